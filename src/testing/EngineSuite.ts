/**
 * The conformance suite of engines: what every engine promises, as cases that any test runner can run.
 *
 * **When to use**
 *
 * Use it to prove an engine of your own. The engines of this library, and the outbox, are proven by the same cases.
 *
 * **Details**
 *
 * Each case needs the connection of the engine with nothing on it, runs for some hundred milliseconds of real time, and fails
 * with a `Violation` that says what the contract is and what was seen instead. `cases` leaves out what the engine does not
 * promise: where it says that it has no priorities, the case is that they are refused.
 *
 * Cases do not know of each other: on connections of their own they can run at the same time.
 *
 * **Gotchas**
 *
 * Cases wait for real queues, so they run with the live clock and not with `TestClock`: with `it.live` of `@effect/vitest`.
 *
 * **Example** (Proving an engine of your own)
 *
 * ```ts no-run
 * import { describe, it } from "@effect/vitest"
 * import * as Effect from "effect/Effect"
 * import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
 * import * as EngineSuite from "effect-side-effects/engine/testing"
 *
 * const cases = EngineSuite.cases({
 *   name: "the outbox in memory",
 *   dispatcher: Outbox.dispatcher(),
 *   layerWorker: (group, { unknown, ...options } = {}) =>
 *     Outbox.layerWorker(group, { ...options, retention: { unknown }, cleanupInterval: "100 millis" }),
 *   dead: Effect.gen(function*() {
 *     const store = yield* OutboxStore.OutboxStore
 *     const entries = yield* store.find({ states: ["dead"] }, { limit: 100 })
 *     return entries.map(({ error = "", id }) => ({ id, error }))
 *   }),
 *   deduplicates: true,
 *   crash: undefined
 * })
 *
 * describe("the outbox in memory", () => {
 *   for (const { name, run } of cases) {
 *     it.live(name, () => Effect.provide(run, MemoryOutboxStore.layer))
 *   }
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as ChildProcess from "effect/process/ChildProcess"
import type * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import type * as Dispatcher from "../Dispatcher.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { choosing } from "./internal/engine/choosing.ts"
import * as definitions from "./internal/engine/definitions.ts"
import { ending } from "./internal/engine/ending.ts"
import { handing } from "./internal/engine/handing.ts"
import { losing } from "./internal/engine/losing.ts"
import * as runner from "./internal/engine/runner.ts"
import * as stage from "./internal/engine/stage.ts"
import { working } from "./internal/engine/working.ts"

/**
 * A job that is dead, as the engine holds it. `error` is the text of why: that of the outcome.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadJob {
  readonly id: string
  readonly error: string
}

/**
 * An engine that is put to the proof.
 *
 * **Details**
 *
 * - `dispatcher`, `layerWorker`: the engine. `R` are the services of its connection; each case gets new and empty ones. The
 *   worker gets options such as `concurrency`, `queues`, `gracePeriod` and `unknown`, and has to heed them.
 * - `dead`: what the engine holds as dead.
 * - `patience` (default 10 seconds): how long what has to happen may take, redelivery after a lost process excepted.
 * - `crash`: what becomes of jobs whose process is lost. `command` starts a process that runs `runWorker` on the same
 *   connection; `recovery` is how long it may take until another worker has what the lost one held; `keepsProgress` says
 *   whether the attempts that were made before count. `undefined` where an engine lives in one process and dies with it.
 * - `deduplicates`: whether a job that is handed over twice, with one id, is performed once, also when it was performed
 *   between the two.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<E, R> {
  readonly name: string
  readonly dispatcher: Dispatcher.Dispatcher<false, E, R>
  readonly layerWorker: <S extends SideEffect.Any, Ev extends Event.Any>(
    group: SideEffectGroup.SideEffectGroup<S, Ev>,
    options?: EngineWorker.Options
  ) => Layer.Layer<never, E, EngineWorker.Services<S, Ev, R>>
  readonly dead: Effect.Effect<ReadonlyArray<DeadJob>, unknown, R>
  readonly patience?: Duration.Input | undefined
  readonly deduplicates: boolean
  readonly crash: {
    readonly command: Effect.Effect<ChildProcess.Command, unknown, R>
    readonly recovery: Duration.Input
    readonly keepsProgress: boolean
  } | undefined
}

/**
 * Something that every engine promises. `name` is a sentence, `run` proves it on an empty connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case<out R> {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, R>
}

/**
 * An engine does not do what the contract says. The message tells what was expected and what was seen.
 *
 * @category errors
 * @since 0.1.0
 */
export const Violation: typeof stage.Violation = stage.Violation

/**
 * All cases of an engine. Their names are unique. Those that kill a process start it with `ChildProcessSpawner`, which
 * `NodeServices` of `@effect/platform-node` has.
 *
 * @category cases
 * @since 0.1.0
 */
export const cases: {
  <E, R>(subject: Subject<E, R> & { readonly crash: undefined }): ReadonlyArray<Case<R>>
  <E, R>(subject: Subject<E, R>): ReadonlyArray<Case<R | ChildProcessSpawner.ChildProcessSpawner>>
} = (subject: Subject<any, any>): ReadonlyArray<Case<any>> =>
  [...handing, ...ending, ...choosing, ...working, ...losing].flatMap(({ isFor, on }) =>
    isFor(subject as any) ? [on(subject as any)] : []
  )

/**
 * The side effect that a child process performs: its payload says what the handler does.
 *
 * **Details**
 *
 * `done` ends well, `hang` never ends, `fail-then-hang` fails at the first attempt and never ends at the second; each takes
 * `millis` milliseconds first. `label` is for whoever looks.
 *
 * @category crashing
 * @since 0.1.0
 */
export const Errand: typeof definitions.Errand = definitions.Errand

/**
 * The group of `Errand`: what `runWorker` performs.
 *
 * @category crashing
 * @since 0.1.0
 */
export const Errands: typeof definitions.Errands = definitions.Errands

/**
 * What a child process runs so that it can be killed: a worker that performs errands and says so on its standard output, in
 * lines of JSON.
 *
 * **Details**
 *
 * A line has `suite`: `"ready"` when the worker has started, `"begin"` and `"end"` of each delivery with `id`, `key`, `label`
 * and `attempt`; and `at`, epoch milliseconds. Lines that begin otherwise are of the log.
 *
 * **Example** (A process that can be killed)
 *
 * ```ts no-run
 * import { NodeRuntime } from "@effect/platform-node"
 * import { BullMqSideEffects } from "effect-side-effects/bullmq"
 * import * as EngineSuite from "effect-side-effects/engine/testing"
 * import * as Effect from "effect/Effect"
 *
 * EngineSuite.runWorker(BullMqSideEffects.layerWorker).pipe(
 *   Effect.provide(BullMqSideEffects.layer({ connection: { url: "redis://127.0.0.1:6379" } })),
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @category crashing
 * @since 0.1.0
 */
export const runWorker: <E, R>(
  layerWorker: (
    group: typeof Errands,
    options?: EngineWorker.Options
  ) => Layer.Layer<never, E, EngineWorker.Services<typeof Errand, never, R>>,
  options?: EngineWorker.Options
) => Effect.Effect<never, E, R> = runner.runWorker as any

/**
 * A line of a process that runs `runWorker`.
 *
 * @category crashing
 * @since 0.1.0
 */
export type Report = runner.Report

/**
 * What a line of a process that runs `runWorker` says; nothing where it is of its log.
 *
 * @category crashing
 * @since 0.1.0
 */
export const parseReport: (line: string) => Report | undefined = runner.parse
