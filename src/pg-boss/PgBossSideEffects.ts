/**
 * Side effects through pg-boss: what is released becomes a job of a PgBoss, and a worker performs it through the handlers of
 * the group.
 *
 * Needs the package `pg-boss`, and PostgreSQL.
 *
 * **Example** (Handing over in one process, performing in another)
 *
 * ```ts no-run
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { PgBossSideEffects } from "effect-side-effects/pg-boss"
 * import { Console, Layer, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const PgBoss = PgBossSideEffects.layer({ connectionString: "postgres://app@localhost/shop" })
 *
 * export const Writing = SideEffects.LiveLayer(Billing, { dispatcher: PgBossSideEffects.dispatcher() }).pipe(
 *   Layer.provide(PgBoss)
 * )
 *
 * export const Performing = PgBossSideEffects.layerWorker(Billing, { concurrency: 64 }).pipe(
 *   Layer.provide(SendReceipt.toLayer(({ invoice }) => Console.log(`receipt for ${invoice}`))),
 *   Layer.provide(PgBoss)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as PgBoss from "pg-boss"
import type * as Engine from "../engine/Engine.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as internalBoss from "./internal/boss.ts"
import type { Boss, PgBossError, Settings } from "./internal/boss.ts"
import * as internalDispatcher from "./internal/dispatcher.ts"
import * as worker from "./internal/worker.ts"

export { Boss, PgBossError, type Settings } from "./internal/boss.ts"

/**
 * A PgBoss of its own: started here, and stopped when the layer is closed.
 *
 * **Details**
 *
 * Takes the options of `PgBoss` (`connectionString`, `schema`, `max`, ...) and `Settings`. What it warns of and fails with
 * outside of a call goes to the log.
 *
 * Without `superviseIntervalSeconds` and `monitorIntervalSeconds` both are 10, not 60 as in pg-boss: so often it looks for
 * jobs whose process has died. Another process has them, at the latest, after `lease` and twice this time.
 *
 * `queryTimeout` (default 1 minute, `Infinity` for none): a statement that has no answer for that long has failed, and its
 * connection is closed. It holds for the migrations of pg-boss at the start as well: raise it for those of a large table.
 *
 * A queue that is not there is created, with `notify`, and with settings that leave retries to the handlers. One that is
 * there stays as it is: each job then says for itself what its queue does not.
 *
 * **Gotchas**
 *
 * That look also counts what is in the tables. Where these keep millions of jobs that are over, shorten `retention.done`
 * rather than look less often.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: (
  options: PgBoss.ConstructorOptions & Settings & { readonly queryTimeout?: Duration.Input | undefined }
) => Layer.Layer<Boss, PgBossError> = internalBoss.layer

/**
 * A PgBoss that the program has already: it has to be started, and is not stopped here.
 *
 * **Details**
 *
 * `schema` (default `"pgboss"`) has to be that of the PgBoss, which does not tell it.
 *
 * **Gotchas**
 *
 * How soon the jobs of a process that died are found is up to its `superviseIntervalSeconds` and `monitorIntervalSeconds`:
 * with those that pg-boss has by default, it takes up to two minutes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerBoss: (
  boss: PgBoss.PgBoss,
  settings?: Settings & { readonly schema?: string | undefined }
) => Layer.Layer<Boss, PgBossError> = internalBoss.layerBoss

/**
 * Hands what is released over to pg-boss, by the connection that this has itself.
 *
 * **When to use**
 *
 * Where a boundary is outside of any transaction. Inside of one there is `dispatcherInTransaction`; with another database,
 * or none, `SqlSideEffects.afterCommit` and `Outbox.layerRelay`.
 *
 * **Details**
 *
 * One insert for each queue. The id of the job is that of the intent: what is handed over twice is there once, as long as
 * pg-boss keeps the job. When it cannot be inserted the boundary dies with `DispatchError`.
 *
 * The data of a job is `{ sideEffect, payload, createdAt }`, and `delay` (milliseconds), `key`, `priority`, `origin`,
 * `metadata` and `trace` where they were told. `priority` and the idempotency key (as `singletonKey`) are columns, too. A
 * delay counts by the clock of the database.
 *
 * A boundary that is interrupted while it hands over waits up to 5 seconds for the insert. After that it is not known whether
 * the jobs are there.
 *
 * `queues` names queues besides `"default"` and those of definitions and bindings. A queue has to have the policy `standard`.
 *
 * `SideEffects.drain` waits until nothing is due and nothing is running in the queues that this dispatcher has used,
 * whoever sent it there.
 *
 * **Gotchas**
 *
 * `jsonb` holds no U+0000 and no half of a character (a lone surrogate): with one in a payload, metadata or key the boundary
 * dies with `DispatchError`.
 *
 * The key of an intent does not keep a second one out. What pg-boss has for that, `singletonSeconds`, lets one job into each
 * slot of fixed times: of two within a second both are in when a slot ends between them. For keys there is the outbox.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcher: (options?: {
  readonly queues?: ReadonlyArray<string> | undefined
}) => Engine.Engine<PgBossError, Boss> = internalDispatcher.make

/**
 * Hands what is released over to pg-boss in the transaction of the fiber that closes the boundary: the jobs are committed
 * with the rows of the domain, or not at all.
 *
 * **When to use**
 *
 * Where pg-boss has its tables in the database of the domain. The unit of work is then `SqlSideEffects.transaction` of
 * `effect-side-effects/sql`: a boundary inside a transaction.
 *
 * **Details**
 *
 * As `dispatcher`, and the insert runs on the `SqlClient`: in the transaction that is open there, or alone. The decision of an
 * intent is `Dispatched` once the transaction has committed; until then it is pending, and where the transaction is rolled
 * back after the boundary has ended, it stays without a decision for ever. When the jobs cannot be inserted the boundary dies
 * with `DispatchError`, and the transaction is rolled back.
 *
 * **Gotchas**
 *
 * The `SqlClient` has to be the one that the transactions run on. A boundary *around* a transaction hands over after it has
 * ended, and a crash between the two loses what it wished for.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcherInTransaction: (options?: {
  readonly queues?: ReadonlyArray<string> | undefined
}) => Engine.Engine<PgBossError, Boss | SqlClient.SqlClient> = internalDispatcher.makeInTransaction

/**
 * How a worker works, besides what is the same for every engine.
 *
 * **Details**
 *
 * - `pollInterval` (default 1 second): how often it looks when nothing wakes it. A new job does, by `NOTIFY`; what was delayed
 *   does not, and begins late by up to this time.
 * - `batchSize` (default 500): how many jobs are fetched at once, and how many are taken ahead of those that run, at most. It
 *   takes ahead only while handlers are quick.
 * - `adopt`: queues whose jobs are sent by somebody else, by their names in pg-boss, and what their data is the payload of.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions<E = never, R = never> extends EngineWorker.Options<E, R> {
  readonly pollInterval?: Duration.Input | undefined
  readonly batchSize?: number | undefined
  readonly adopt?: Readonly<Record<string, SideEffect.Any>> | undefined
}

/**
 * Performs the side effects that are in pg-boss, for as long as the layer lives.
 *
 * **Details**
 *
 * Delivery is at least once: give the idempotency key of the delivery to the outside system where that takes one. Jobs are
 * begun by priority and then by the time at which they were made.
 *
 * How a handler ends decides what becomes of the job: success is `completed`. A typed error or a timeout is `retry`, and due
 * when the schedule of the handler says; `output` has the error. `SideEffect.snooze` is `retry` as well, and costs no attempt.
 * What is dead is `failed`, with `{ reason, message, stack }` as its output, and is copied to the dead letter queue where its
 * queue has one. `boss.retry` brings it back, with all its attempts.
 *
 * `retryCount` counts how often a job was taken, for whatever reason. What counts for `maxAttempts` and `maxCrashes` is in its
 * data, under `~progress`.
 *
 * A worker that dies is noticed by pg-boss when it has not heard of it for `lease`, and it looks every so often: see `layer`.
 * A worker that stood still for longer settles nothing that somebody else has taken since.
 *
 * Closing the layer is no failure: it stops fetching, waits `gracePeriod` for the handlers that run, interrupts the others and
 * gives them back with their attempt restored.
 *
 * What a handler enqueues is a unit of work of its own, and is handed over by `dispatcher` when the handler has succeeded. When
 * it cannot be, the attempt has failed.
 *
 * **Gotchas**
 *
 * Requires the handler of every side effect of the group. A handler may run for a day, after which pg-boss gives its job to
 * another. A job in one of its queues that is no side effect is failed, and `onDead` is not told of it, only the log: keep
 * others in queues of their own, or `adopt` them.
 * Queues with the policy `stately` are refused.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any, E = never, R = never>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions<E, R>
): Layer.Layer<never, PgBossError | E, EngineWorker.Services<S, Ev, Boss | R>> =>
  Layer.effectDiscard(worker.make(group, options as WorkerOptions | undefined)) as any
