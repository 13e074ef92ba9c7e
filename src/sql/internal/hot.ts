import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type * as OutboxStore from "../../outbox/OutboxStore.ts"
import type { Lane } from "./nudges.ts"

/** What each database does in its own way, as it has to be fast. */
export interface Hot {
  readonly offerMany: (
    offers: ReadonlyArray<OutboxStore.Offer>,
    uniqueFor: number
  ) => Effect.Effect<ReadonlyArray<OutboxStore.Duplicate>, SqlError>
  readonly claim: (claim: OutboxStore.Claim) => Effect.Effect<ReadonlyArray<OutboxStore.Claimed>, SqlError>
  readonly nextDueIn: (claim: OutboxStore.Claim) => Effect.Effect<number | undefined, SqlError>
  readonly settle: (
    settlements: ReadonlyArray<OutboxStore.Settlement>
  ) => Effect.Effect<ReadonlyArray<number>, SqlError>
  readonly renew: (
    held: ReadonlyArray<{ readonly ref: number; readonly token: number }>,
    lease: number
  ) => Effect.Effect<ReadonlyArray<number>, SqlError>
  readonly wake: Effect.Effect<Effect.Effect<void>, SqlError, Scope.Scope>
  /** In which lanes something waits. */
  readonly lanes: Effect.Effect<ReadonlyArray<Lane>, SqlError>
  /** After the commit, tells everybody that anything may have become due, or is to be left alone. */
  readonly changed: Effect.Effect<void>
}

/** Tries again what the database has cancelled in favour of somebody else. */
export const retrying = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.retry(effect, {
    times: 5,
    schedule: Schedule.jittered(Schedule.exponential("5 millis")),
    while: ({ reason }) => reason._tag === "DeadlockError" || reason._tag === "SerializationError"
  })
