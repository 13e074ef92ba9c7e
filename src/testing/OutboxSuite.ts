/**
 * The conformance suite of the outbox: what every `OutboxStore` promises, as cases that any test runner can run.
 *
 * **When to use**
 *
 * Use it to check a store of your own. The stores of this library are checked by the same cases.
 *
 * **Details**
 *
 * Each case needs an empty store of its own, runs for some milliseconds of real time, and fails with a `Violation` that
 * says what the contract is and what was seen instead.
 *
 * **Gotchas**
 *
 * Cases wait for leases and delays to pass by the store's clock, so they run with the live clock and not with `TestClock`:
 * with `it.live` of `@effect/vitest`.
 *
 * **Example** (checking a store of your own)
 *
 * ```ts no-run
 * import { describe, it } from "@effect/vitest"
 * import * as Effect from "effect/Effect"
 * import { MemoryOutboxStore } from "effect-side-effects/outbox"
 * import * as OutboxSuite from "effect-side-effects/outbox/testing"
 *
 * describe("MemoryOutboxStore", () => {
 *   for (const { name, run } of OutboxSuite.cases) {
 *     it.live(name, () => Effect.provide(run, MemoryOutboxStore.layer))
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as OutboxStore from "../outbox/OutboxStore.ts"
import { changing } from "./internal/outbox/changing.ts"
import * as check from "./internal/outbox/check.ts"
import { claiming } from "./internal/outbox/claiming.ts"
import { finding } from "./internal/outbox/finding.ts"
import { keeping } from "./internal/outbox/keeping.ts"
import { keys } from "./internal/outbox/keys.ts"
import { leasing } from "./internal/outbox/leasing.ts"
import { offering } from "./internal/outbox/offering.ts"
import { settling } from "./internal/outbox/settling.ts"
import { waking } from "./internal/outbox/waking.ts"

/**
 * Something that every store promises. `name` is a sentence, `run` proves it on an empty store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, OutboxStore.OutboxStore>
}

/**
 * A store does not do what the contract says. The message tells what was expected and what was seen.
 *
 * @category errors
 * @since 0.1.0
 */
export const Violation: typeof check.Violation = check.Violation

/**
 * All cases. Their names are unique.
 *
 * @category cases
 * @since 0.1.0
 */
export const cases: ReadonlyArray<Case> = [
  ...offering,
  ...claiming,
  ...leasing,
  ...settling,
  ...keys,
  ...waking,
  ...keeping,
  ...finding,
  ...changing
]
