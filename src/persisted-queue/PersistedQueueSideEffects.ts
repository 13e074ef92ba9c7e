/**
 * Side effects through the `PersistedQueue` of Effect: on Redis, on a SQL database, or in memory.
 *
 * **When to use**
 *
 * Where there is a Redis and nothing else to run, or a program that uses `PersistedQueue` already. The store is a layer of
 * Effect: `PersistedQueue.layerStoreRedis`, `layerStoreSql` or `layerStoreMemory`.
 *
 * **Example** (Writing in one process, performing in another)
 *
 * ```ts
 * import { Console, Deferred, Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { PersistedQueueSideEffects } from "effect-side-effects/persisted-queue"
 * import { PersistedQueue } from "effect/persistence"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const sent = Deferred.makeUnsafe<void>()
 *
 * const Writing = SideEffects.LiveLayer(Billing, { dispatcher: PersistedQueueSideEffects.dispatcher() })
 *
 * const Performing = PersistedQueueSideEffects.layerWorker(Billing).pipe(
 *   Layer.provide(SendReceipt.toLayer(({ invoice }) =>
 *     Effect.andThen(Console.log(`receipt for ${invoice}`), Deferred.succeed(sent, undefined))
 *   ))
 * )
 *
 * const program = SideEffects.enqueue(SendReceipt, { invoice: "1042" }).pipe(
 *   SideEffects.boundary(),
 *   Effect.andThen(Deferred.await(sent)) // only so that this script sees the end of it
 * )
 *
 * const Services = Layer.merge(Writing, Performing).pipe(Layer.provide(PersistedQueue.layerStoreMemory))
 *
 * await Effect.runPromise(Effect.provide(program, Services))
 * ```
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as Engine from "../engine/Engine.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as internalDispatcher from "./internal/dispatcher.ts"
import * as worker from "./internal/worker.ts"

/**
 * Options for `PersistedQueue.layerStoreRedis` and `layerStoreSql` under which delays and fail-over take seconds.
 *
 * **Details**
 *
 * | option | here | default | what it decides |
 * | --- | --- | --- | --- |
 * | `pollInterval` | 100 ms | 1 s | how late a worker sees what another process has written, and what was delayed |
 * | `lockExpiration` | 20 s | 90 s on Redis, 2 min on SQL | when others may have what a lost process held |
 * | `lockRefreshInterval` | 5 s | 30 s | how often locks are renewed; on Redis also how often expired ones are looked for |
 *
 * So what a lost process held is performed elsewhere after 25 seconds on Redis and 21 on SQL at most, instead of 2 minutes.
 * A process that stands still for longer than `lockExpiration` counts as lost.
 *
 * **Gotchas**
 *
 * `NodeRedis.layer` connects when it is built, and where Redis is away it fails with a `RedisError` whose message is empty:
 * what happened is in its `cause`.
 *
 * **Example** (A store on Redis)
 *
 * ```ts no-run
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { PersistedQueueSideEffects } from "effect-side-effects/persisted-queue"
 * import { PersistedQueue } from "effect/persistence"
 *
 * const Store = PersistedQueue.layerStoreRedis({ prefix: "shop:", ...PersistedQueueSideEffects.storeOptions }).pipe(
 *   Layer.provide(NodeRedis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const storeOptions: {
  readonly pollInterval: "100 millis"
  readonly lockRefreshInterval: "5 seconds"
  readonly lockExpiration: "20 seconds"
} = { pollInterval: "100 millis", lockRefreshInterval: "5 seconds", lockExpiration: "20 seconds" }

/**
 * What the dispatcher can be told.
 *
 * **Details**
 *
 * - `queue` (default `"side-effects"`): the `PersistedQueue` of what was told no queue. Others have the name that was told.
 * - `queues`: which ones there are besides those that definitions and bindings name.
 *
 * @category models
 * @since 0.1.0
 */
export interface DispatcherOptions {
  readonly queue?: string | undefined
  readonly queues?: ReadonlyArray<string> | undefined
}

/**
 * Hands what is released over to a `PersistedQueue`.
 *
 * **Details**
 *
 * An element is a `Job` as JSON, its id is that of the intent: handed over twice it is there once, also when it was
 * performed meanwhile, until `PersistedQueue.layerCleanup` has removed it.
 *
 * `delay` and `queue` are honoured, `priority` is refused with `UnsupportedOption`. The idempotency key is told to the
 * handler; nothing is de-duplicated by it. A store on SQL rounds delays up, to whole seconds on PostgreSQL, and up to a
 * second more on SQLite; one on Redis goes by the clocks of the processes.
 *
 * A batch is offered element by element, some at once, as the store takes one at a time. When one is not accepted the
 * boundary dies with `DispatchError`, and outside of a transaction others of the batch may have been accepted.
 *
 * **Gotchas**
 *
 * Redis and memory know nothing of a transaction: use `SqlSideEffects.afterCommit`, or `Outbox.layerRelay`. For a store on SQL
 * there is `dispatcherInTransaction`. `SideEffects.drain` does not wait for what was handed over: the store cannot be asked
 * what is left.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcher: (options?: DispatcherOptions) => Engine.Engine<never, PersistedQueue.PersistedQueueStore> =
  internalDispatcher.make

/**
 * As `dispatcher`, for a store on SQL that uses the `SqlClient` of the unit of work: what is released inside a transaction of
 * that client is handed over if, and only if, it commits, and the decision waits for that.
 *
 * **Gotchas**
 *
 * It takes your word for it that the store writes through that client. With another store, what is released inside a transaction
 * is there before the commit, and stays when that does not come.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcherInTransaction: (
  options?: DispatcherOptions
) => Engine.Engine<never, PersistedQueue.PersistedQueueStore | SqlClient.SqlClient> =
  internalDispatcher.makeInTransaction

/**
 * What the worker can be told: `queue` as the dispatcher, and what every worker can be told.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions<E = never, R = never> extends EngineWorker.Options<E, R> {
  readonly queue?: string | undefined
}

/**
 * Performs what is in a `PersistedQueue`, for as long as the layer lives.
 *
 * **Details**
 *
 * Delivery is at least once: give the idempotency key of the delivery to the outside system where that takes one.
 *
 * - A success completes the element.
 * - What is to be tried again, or was snoozed, comes back as a new element: its id ends in `#1`, `#2`, and so on, and it
 *   knows how often and when it has failed, and why the last time (`progress` and `error` of the element). It is offered before the
 *   one before is completed. A process that is lost between the two leaves both, and the side effect is performed once more than
 *   it would have been.
 * - What is dead is failed in the store, with the reason and the error as its last failure. Nobody takes it any more.
 * - An element that is no `Job` is failed, too, and stops nobody.
 * - A process that is lost is noticed when its locks have expired. What it held is performed again, and is dead as `crashed`
 *   after `maxCrashes`. That counts for what it held and had not begun, too.
 *
 * When the store does not answer, the worker says so in the log and goes on asking. Closing the layer is no failure: it takes
 * nothing more, waits `gracePeriod` for the handlers that run, interrupts the others and hands them back with their attempt
 * restored.
 *
 * **Gotchas**
 *
 * A worker of several queues holds up to `concurrency` elements of each, and performs `concurrency` in all. Tune the
 * store: `storeOptions`. What is completed is kept for `PersistedQueue.layerCleanup` to remove, each attempt by itself.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any, E = never, R = never>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions<E, R>
): Layer.Layer<never, E, EngineWorker.Services<S, Ev, PersistedQueue.PersistedQueueStore | R>> =>
  Layer.effectDiscard(worker.make(group, options as WorkerOptions | undefined)) as any
