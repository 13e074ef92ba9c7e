/**
 * Where an outbox keeps its entries: the narrow contract between the machinery and a database.
 *
 * `SqlOutboxStore` of `effect-side-effects/sql` implements it on PostgreSQL and SQLite, `MemoryOutboxStore` in memory. A
 * store of your own is checked by the suite in `effect-side-effects/outbox/testing`.
 *
 * **Details**
 *
 * What all stores promise:
 *
 * - What is offered inside a transaction of the database exists when that commits, and never if it does not.
 * - An entry is claimed by one worker at a time, for the time of a lease. Whoever claims it gets a new token, and only
 *   the holder of the current token can settle or renew it.
 * - All times are epoch milliseconds of the store's own clock: that of the database, never that of a process.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Outcomes from "../engine/Outcome.ts"
import * as describe from "../internal/describe.ts"

/**
 * The store could not do what it was asked: the database is away, or refuses. `operation` is the method, `cause` what it
 * failed with, `remedy` what to do about it, where that is known.
 *
 * @category errors
 * @since 0.1.0
 */
export class OutboxError extends /*#__PURE__*/ Schema.TaggedError<OutboxError>()("OutboxError", {
  operation: Schema.String,
  cause: Schema.Defect(),
  remedy: Schema.optional(Schema.UndefinedOr(Schema.String))
}) {
  override get message(): string {
    // Drivers wrap what the database has said.
    let cause = this.cause
    while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause
    const problem = `The outbox could not ${this.operation}: ${describe.error(cause)}`
    return this.remedy === undefined ? problem : `${problem}. ${this.remedy}`
  }
}

/**
 * An intent as it is written.
 *
 * **Details**
 *
 * - `payload`, `metadata`: JSON texts. `redacted`: where secrets are in the payload, each a path of keys; a path without
 *   keys is all of it.
 * - `priority`: an integer, higher ones come first.
 * - `delay`: milliseconds from now until it may be claimed.
 * - `trace`: a W3C `traceparent`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Offer {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly redacted: ReadonlyArray<ReadonlyArray<string>> | undefined
  readonly key: string | undefined
  readonly delay: number
  readonly origin: string | undefined
  readonly metadata: string | undefined
  readonly trace: string | undefined
}

/**
 * An offer that was not written, as another entry stands for the same action: `of` is the id of that entry.
 *
 * @category models
 * @since 0.1.0
 */
export interface Duplicate {
  readonly id: string
  readonly of: string
}

/**
 * What a worker asks for.
 *
 * **Details**
 *
 * - `limit`: no more than so many. `lease`: for how many milliseconds they are its own.
 * - `names`: the side effects it can perform now. `queues`: all when left out.
 * - `suspects`: asks for one suspect, and for nothing else. That is an entry whose process was lost at least twice. It is
 *   never claimed otherwise, so that its worker can see to it that it takes no others with it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Claim {
  readonly worker: string
  readonly limit: number
  readonly lease: number
  readonly names: ReadonlyArray<string>
  readonly queues: ReadonlyArray<string> | undefined
  readonly suspects: boolean
}

/**
 * An entry that a worker holds.
 *
 * **Details**
 *
 * - `ref`: the entry, for `settle` and `renew`. `token`: the fencing token of this claim.
 * - `attempts`: deliveries begun, this one included. `failures`: those of them that failed since it was offered or last
 *   retried by hand. `crashes`: those in which the process was lost, counted from the same moment.
 * - `failedAt`: when those failures were, oldest first, so that a schedule can be taken up where it stands.
 *
 * @category models
 * @since 0.1.0
 */
export interface Claimed {
  readonly ref: number
  readonly token: number
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly payload: string
  readonly key: string | undefined
  readonly origin: string | undefined
  readonly metadata: string | undefined
  readonly trace: string | undefined
  readonly attempts: number
  readonly failures: number
  readonly failedAt: ReadonlyArray<number>
  readonly crashes: number
  readonly createdAt: number
}

/**
 * Why an entry is dead: its attempts are used up (`exhausted`; also a defect, which is not tried again), its process was
 * lost too often (`crashed`), the handler or an operator cancelled it (`cancelled`), its payload does not fit the schema
 * (`undecodable`), or no worker knows its name (`unknown`).
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = Outcomes.Reason

/**
 * All reasons.
 *
 * @category models
 * @since 0.1.0
 */
export const reasons: ReadonlyArray<Reason> = Outcomes.reasons

/**
 * How a delivery ended.
 *
 * **Details**
 *
 * - `Done`: performed. With `keep: false` the entry is removed.
 * - `Retry`: it failed and is tried again after `delay` milliseconds. Counts as a failure.
 * - `Snooze`: it is wanted again after `delay` milliseconds. Takes the attempt back.
 * - `Release`: the worker did not get to it. Takes the attempt back; it is due at once.
 * - `Dead`: it is not tried again. With `failed` it counts as a failure.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly _tag: "Done"; readonly keep: boolean }
  | { readonly _tag: "Retry"; readonly delay: number; readonly error: string }
  | { readonly _tag: "Snooze"; readonly delay: number }
  | { readonly _tag: "Release" }
  | { readonly _tag: "Dead"; readonly reason: Reason; readonly error: string; readonly failed: boolean }

/**
 * A delivery that has ended. `elapsed` is how many milliseconds the handler ran.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settlement {
  readonly ref: number
  readonly token: number
  readonly worker: string
  readonly elapsed: number
  readonly outcome: Outcome
}

/**
 * Where an entry stands: `pending` is due, `scheduled` waits for its time, `running` is held by a worker whose lease has
 * not run out, `done` was performed, `dead` is not tried any more.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "pending" | "scheduled" | "running" | "done" | "dead"

/**
 * All states.
 *
 * @category models
 * @since 0.1.0
 */
export const states: ReadonlyArray<State> = ["pending", "scheduled", "running", "done", "dead"]

/**
 * One delivery, as it is kept. A delivery that was released is not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  readonly attempt: number
  readonly outcome: "done" | "failed" | "snoozed" | "cancelled" | "crashed" | "undecodable"
  readonly startedAt: number
  readonly elapsed: number | undefined
  readonly worker: string
  readonly error: string | undefined
}

/**
 * What is said of a delivery in the history, given why its entry is dead.
 *
 * @internal
 */
export const outcomeOf: Readonly<Record<Reason, Attempt["outcome"]>> = {
  exhausted: "failed",
  crashed: "crashed",
  cancelled: "cancelled",
  undecodable: "undecodable",
  unknown: "failed"
}

/**
 * For how many milliseconds a worker that was seen counts as one that is there.
 *
 * @internal
 */
export const aliveFor = 120_000

/**
 * For how many milliseconds a key is remembered at least, whatever the offer that took it said: a later one may ask.
 *
 * @internal
 */
export const keptKeys = 86_400_000

/**
 * An entry, as operators see it.
 *
 * **Details**
 *
 * - `payload`: the JSON text as it is stored, secrets included; `redacted` says where they are.
 * - `visibleAt`: when it is due; while it runs, when its lease ends.
 * - `startedAt`, `worker`: of the last delivery. `finishedAt`: when it became `done` or `dead`.
 * - `error`: of the last delivery that did not go well; why it is dead.
 * - `replayOf`: the id of the entry it repeats.
 * - `history`: every delivery, oldest first. Only `get` fills it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly key: string | undefined
  readonly payload: string
  readonly redacted: ReadonlyArray<ReadonlyArray<string>> | undefined
  readonly origin: string | undefined
  readonly metadata: string | undefined
  readonly trace: string | undefined
  readonly replayOf: string | undefined
  readonly state: State
  readonly reason: Reason | undefined
  readonly attempts: number
  readonly failures: number
  readonly crashes: number
  readonly createdAt: number
  readonly visibleAt: number
  readonly startedAt: number | undefined
  readonly finishedAt: number | undefined
  readonly worker: string | undefined
  readonly error: string | undefined
  readonly history: ReadonlyArray<Attempt>
}

/**
 * Which entries are meant: those that match all that is given. Without anything, all.
 *
 * **Details**
 *
 * - `names`: patterns, as in policies. `ids`, `states`, `reasons`, `queues`: any of them.
 * - `olderThan`, `newerThan`: milliseconds since the entry was offered.
 * - `error`: a part of the text of the last error, in any case of letters.
 * - `payload`: values at paths of keys (an index for an array), compared as text: `true`, `42`, `paid`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filter {
  readonly ids?: ReadonlyArray<string> | undefined
  readonly states?: ReadonlyArray<State> | undefined
  readonly reasons?: ReadonlyArray<Reason> | undefined
  readonly names?: ReadonlyArray<string | RegExp> | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  readonly key?: string | undefined
  readonly olderThan?: number | undefined
  readonly newerThan?: number | undefined
  readonly error?: string | undefined
  readonly payload?: ReadonlyArray<{ readonly path: ReadonlyArray<string>; readonly equals: string }> | undefined
}

/**
 * What operators do to entries.
 *
 * **Details**
 *
 * - `Retry`: what is `dead` or `scheduled` becomes due at once, with fresh budgets; its history stays.
 * - `Cancel`: what is `pending`, `scheduled` or `running` becomes dead. A handler that is running is interrupted when its
 *   worker renews the lease.
 * - `Replay`: what is `done` or `dead` is offered once more, as a new entry that names the original.
 * - `Edit`: a new payload for what is not `running` and not `done`.
 * - `Purge`: removes what is not `running`.
 *
 * Entries in other states are left as they are and not counted.
 *
 * @category models
 * @since 0.1.0
 */
export type Change =
  | { readonly _tag: "Retry" }
  | { readonly _tag: "Cancel"; readonly reason: string }
  | { readonly _tag: "Replay" }
  | {
    readonly _tag: "Edit"
    readonly payload: string
    readonly redacted: ReadonlyArray<ReadonlyArray<string>> | undefined
  }
  | { readonly _tag: "Purge" }

/**
 * Something that is not to be claimed for the time being: the side effects of a name or pattern, or a queue. It is kept
 * in the store, so it survives restarts, and what it stops is still accepted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pause {
  readonly kind: "name" | "queue"
  /** A name or a pattern, or the queue. */
  readonly what: string
  readonly since: number
}

/**
 * A worker that has shown itself. `seenAt` is when it last did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Worker {
  readonly id: string
  readonly names: ReadonlyArray<string>
  readonly queues: ReadonlyArray<string> | undefined
  readonly startedAt: number
  readonly seenAt: number
}

/**
 * How many entries of a name, in a queue, are in a state; `oldest` is when the oldest of them was offered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Count {
  readonly name: string
  readonly queue: string
  readonly state: State
  readonly count: number
  readonly oldest: number
}

/**
 * What `doctor` asks a store.
 *
 * **Details**
 *
 * - `now`: the store's clock.
 * - `version`: of the schema that is there; `expected`: of the one that this release needs.
 * - `missing`: what should be in the schema and is not, such as an index.
 * - `expired`: entries whose lease has run out and that nobody has claimed again; `longest` is how many milliseconds
 *   ago the first did.
 * - `offered`, `finished`: within the last `within` milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly now: number
  readonly version: number
  readonly expected: number
  readonly missing: ReadonlyArray<string>
  readonly expired: number
  readonly longest: number
  readonly offered: number
  readonly finished: number
}

/**
 * How long entries are kept, in milliseconds, and from when on an entry that no worker knows is dead.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retention {
  readonly done: number
  readonly dead: number
  readonly unknown: number
}

/**
 * The transaction of the database that a fiber is in: `level` is an object for each transaction and each savepoint,
 * `depth` is 0 for a transaction.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transaction {
  readonly level: object
  readonly depth: number
}

/**
 * Where an outbox keeps its entries.
 *
 * **Details**
 *
 * For those who offer:
 *
 * - `offerMany` writes in the transaction of the calling fiber, all or nothing, in the order given. An offer with a key
 *   is not written when an entry of its name and key was offered within the last `uniqueFor` milliseconds and is not
 *   dead, or dead as `unknown`, as that may come back to life; where several entries have one key, one of them counts. What concurrent transactions write is waited for. The answer lists those. `uniqueFor: 0` writes everything.
 * - `afterCommit` runs an effect when the outermost transaction of the calling fiber has committed, at once where there
 *   is none, and never when it is rolled back.
 * - `transactionOf` tells the transaction from the context of a fiber.
 *
 * For workers:
 *
 * - `claim` gives what is due, by priority and then by time, and never the same entry to two workers. An entry whose
 *   lease has run out is due again: the delivery that held it counts as crashed and goes to its history.
 * - `nextDueIn`: milliseconds until something becomes due that the claim would give, 0 when something is.
 * - `settle` answers with the `ref` of those that were not settled, as the token is not the current one any more.
 * - `renew` makes leases last `lease` milliseconds from now, and answers with the `ref` of those that are lost.
 * - `wake` listens: the effect it gives waits until something was offered, anywhere, since it was last waited for.
 *   It may miss what another process offers and may wake for nothing: a poll stands behind it.
 * - `register` shows a worker, again at each call, brings entries back to life that were dead as `unknown` and that it
 *   knows, and answers with the names of entries that wait and that no registered worker knows. `unregister` takes it out.
 * - `cleanup` removes what is past its retention, and makes entries dead as `unknown` that were due longer ago than
 *   `unknown` and that no worker knows which was seen within the last two minutes.
 *
 * For operators: `find` lists what matches, newest first, `before` an id; `change` answers with how many entries it
 * changed.
 *
 * @category services
 * @since 0.1.0
 */
export class OutboxStore extends /*#__PURE__*/ Context.Service<OutboxStore, {
  readonly offerMany: (
    offers: ReadonlyArray<Offer>,
    options: { readonly uniqueFor: number }
  ) => Effect.Effect<ReadonlyArray<Duplicate>, OutboxError>
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  readonly transactionOf: (context: Context.Context<never>) => Transaction | undefined

  readonly claim: (claim: Claim) => Effect.Effect<ReadonlyArray<Claimed>, OutboxError>
  readonly nextDueIn: (claim: Claim) => Effect.Effect<number | undefined, OutboxError>
  readonly settle: (settlements: ReadonlyArray<Settlement>) => Effect.Effect<ReadonlyArray<number>, OutboxError>
  readonly renew: (
    held: ReadonlyArray<{ readonly ref: number; readonly token: number }>,
    lease: number
  ) => Effect.Effect<ReadonlyArray<number>, OutboxError>
  readonly wake: Effect.Effect<Effect.Effect<void>, OutboxError, Scope.Scope>
  readonly register: (
    worker: Pick<Worker, "id" | "names" | "queues">
  ) => Effect.Effect<ReadonlyArray<{ readonly name: string; readonly count: number }>, OutboxError>
  readonly unregister: (id: string) => Effect.Effect<void, OutboxError>
  readonly cleanup: (
    retention: Retention
  ) => Effect.Effect<{ readonly removed: number; readonly unknown: number }, OutboxError>

  readonly find: (
    filter: Filter,
    page: { readonly limit: number; readonly before?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<Entry>, OutboxError>
  readonly get: (id: string) => Effect.Effect<Entry | undefined, OutboxError>
  readonly count: (filter: Filter) => Effect.Effect<number, OutboxError>
  readonly counts: Effect.Effect<ReadonlyArray<Count>, OutboxError>
  readonly change: (filter: Filter, change: Change) => Effect.Effect<number, OutboxError>
  readonly pause: (pause: Pick<Pause, "kind" | "what">) => Effect.Effect<void, OutboxError>
  readonly resume: (pause: Pick<Pause, "kind" | "what">) => Effect.Effect<boolean, OutboxError>
  readonly pauses: Effect.Effect<ReadonlyArray<Pause>, OutboxError>
  readonly workers: Effect.Effect<ReadonlyArray<Worker>, OutboxError>
  readonly status: (within: number) => Effect.Effect<Status, OutboxError>
}>()("effect-side-effects/outbox/OutboxStore") {}
