/**
 * Side effects through a cluster of Effect: each intent is a persisted message, and whichever runner has its shard performs
 * it. Those with the same ordering key run one after another; different keys spread over all runners.
 *
 * **When to use**
 *
 * Where a cluster runs already, or where the order of side effects about the same thing matters and one process is not
 * enough.
 *
 * **Example** (Sending and performing in one runner)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { ClusterSideEffects } from "effect-side-effects/cluster"
 * import { Deferred, Effect, Layer, Schema } from "effect"
 * import { TestRunner } from "effect/cluster"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const program = Effect.gen(function*() {
 *   const sent = yield* Deferred.make<string>()
 *   const Live = Layer.merge(
 *     SideEffects.LiveLayer(Billing, { dispatcher: ClusterSideEffects.dispatcher() }),
 *     ClusterSideEffects.layerWorker(Billing).pipe(
 *       Layer.provide(SendReceipt.toLayer(({ invoice }) => Deferred.succeed(sent, invoice)))
 *     )
 *   )
 *   return yield* SideEffects.boundary(SideEffects.enqueue(SendReceipt, { invoice: "1042" })).pipe(
 *     Effect.andThen(Deferred.await(sent)),
 *     Effect.provide(Live)
 *   )
 * })
 *
 * // In production, NodeClusterSocket.layer({ shardingConfig: ClusterSideEffects.shardingConfig() }) on PostgreSQL.
 * await Effect.runPromise(Effect.provide(program, TestRunner.layer))
 * ```
 *
 * @since 0.1.0
 */
import type * as MessageStorage from "effect/cluster/MessageStorage"
import type * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Layer from "effect/Layer"
import type * as Engine from "../engine/Engine.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Job from "../engine/Job.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as internalDispatcher from "./internal/dispatcher.ts"
import * as worker from "./internal/worker.ts"

/**
 * The ordering key of a job, or `undefined` where it has no order. The payload of the job is JSON, as its schema encodes it.
 *
 * @category models
 * @since 0.1.0
 */
export type OrderBy = (job: Job.Job) => string | undefined

/**
 * How a dispatcher hands over.
 *
 * **Details**
 *
 * - `entity` (default `"SideEffects"`): the entity type. Two groups with workers of their own need two.
 * - `orderBy`: the ordering key. Default: the name and the idempotency key, and no order where there is none.
 * - `concurrency` (default 8): how many messages of a batch are written at once. Those of one key are written in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface DispatcherOptions {
  readonly entity?: string | undefined
  readonly orderBy?: OrderBy | undefined
  readonly concurrency?: number | undefined
}

/**
 * Hands over to the cluster: a persisted message for each intent, with the id of the intent as its primary key, so that what
 * is handed over twice is there once.
 *
 * **Details**
 *
 * `delay` is honoured, by the clocks of sender and runner, and to the `entityMessagePollInterval`. `priority` is refused.
 * There are no queues: route by queue, each to an `entity` of its own.
 *
 * Each batch is in order, and so are two boundaries of which one began to release when the other had ended. What has a delay
 * takes its place in the order when it is due.
 *
 * **Gotchas**
 *
 * - Inside an open transaction it refuses, and the boundary dies with `DispatchError`: the cluster would look before the
 *   commit, or perform what is rolled back. Hand over after the commit, with `SqlSideEffects.afterCommit(dispatcher())`, or
 *   with `Outbox.layerRelay` where a crash between the two must lose nothing.
 * - Workers first: a runner owns shards whether it has a `layerWorker` for the entity or not. Give all runners one before
 *   anybody sends to a new `entity`; a process that only sends is a client of the cluster (`clientOnly`).
 * - What belongs to a runner without a worker is kept there until one is built or the shard moves, where the settings are
 *   those of `shardingConfig`. With others, set `entityRegistrationTimeout: "Infinity"`: by default a runner that has had any
 *   entity for a minute answers such messages with a failure, and they are lost.
 * - In a runner that has no worker itself, what belongs to that runner is not accepted: after 10 seconds the boundary dies
 *   with `DispatchError`.
 * - `SideEffects.drain` does not wait for what was handed over.
 * - The cluster never removes what was performed. See the guide for the statement that does.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcher: (options?: DispatcherOptions) => Engine.Engine<never, Sharding.Sharding> =
  internalDispatcher.make

/**
 * How a worker works, besides what `EngineWorker.Options` says.
 *
 * **Details**
 *
 * - `concurrency` (default 32): how many handlers run at once in this runner, however many entities it has.
 * - `entity`, `orderBy`: as in `dispatcher`; for what handlers enqueue themselves, too.
 * - `mailboxCapacity` (default 256): how many messages an entity holds in memory; there are up to 1,024 entities. The rest
 *   waits in the storage.
 * - `maxCrashes` (default 3): counts from the second loss of a message for which a running runner was told at once; writing
 *   each beginning down would double what a side effect costs.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions<E = never, R = never> extends Omit<EngineWorker.Options<E, R>, "queues"> {
  readonly entity?: string | undefined
  readonly orderBy?: OrderBy | undefined
  readonly mailboxCapacity?: number | undefined
}

/**
 * Performs what is in the cluster, in every runner that has this layer, for as long as it lives.
 *
 * **Details**
 *
 * Delivery is at least once. One message of a key is handled when the answer of the one before is kept, so that of each key
 * no more than one is performed again when a process is lost. Retries and snoozes wait where they are: those of the same key
 * wait behind them, and nobody else does.
 *
 * Attempts that failed are kept beside the message, so another runner goes on counting, and waits for what is left of the
 * pause. What is dead is logged, told to `onDead`, and is the answer of its message: a failure `SideEffectDead` with the
 * reason and the error.
 *
 * Closing the layer, or a shard that moves to another runner, is no failure. What waits goes along; what runs has
 * `gracePeriod` to end, and where a shard moves 15 seconds at least, for which the rest of that shard waits.
 *
 * **Gotchas**
 *
 * - The order is as good as the locks of the shards: a runner that stands still for longer than `shardLockExpiration` may end
 *   one side effect of a key beside the runner that has taken over.
 * - A cluster in a process has one worker for each `entity`, as long as it lives: a second one is refused, also when the first
 *   one is closed. Build the cluster again with the worker.
 * - Closing the layer stops the whole runner, with all other entities, unless `preemptiveShutdown` is `false`. Then what
 *   belongs to its shards waits until the runner is closed, too.
 * - A snooze or a pause of hours is a fiber in memory, and so is everything behind it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any, E = never, R = never>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions<E, R>
): Layer.Layer<
  never,
  E,
  EngineWorker.Services<S, Ev, Sharding.Sharding | MessageStorage.MessageStorage | R>
> => Layer.effectDiscard(worker.make(group, options as WorkerOptions | undefined)) as any

/**
 * Settings of a cluster, for `shardingConfig` of `NodeClusterSocket.layer` and `SingleRunner.layer`: a lost process is
 * noticed within seconds, and rebalancing costs little. `options` come first.
 *
 * **Details**
 *
 * | setting | here | default | why |
 * | --- | --- | --- | --- |
 * | `shardsPerGroup` | 64 | 300 | each shard is a lock to take, to refresh and to let go of; each answer checks one |
 * | `shardLockExpiration` | 12 s | 35 s | a process that nobody could ask is missed after this |
 * | `shardLockRefreshInterval` | 4 s | 10 s | a third of it |
 * | `runnerHealthCheckInterval` | 1 s | 1 min | a process that is gone is noticed by who asks it |
 * | `refreshAssignmentsInterval` | 1 s | 3 s | how soon the others hear of it |
 * | `entityMessagePollInterval` | 1 s | 10 s | the precision of `delay`, and the longest wait where nobody was told |
 * | `entityRegistrationTimeout` | for ever | 1 min | what a runner has no worker for yet is kept, and not failed |
 *
 * **Gotchas**
 *
 * A message that is not persisted, to an entity of yours that no runner registers, waits for ever as well.
 *
 * All runners need the same `shardsPerGroup`; keep yours where a cluster runs already. A runner that cannot refresh its locks
 * for 4 seconds, as the database is overloaded, gives its shards back; set more where that happens.
 *
 * @category settings
 * @since 0.1.0
 */
export const shardingConfig = (
  options?: Partial<ShardingConfig.ShardingConfig["Service"]>
): Partial<ShardingConfig.ShardingConfig["Service"]> => ({
  shardsPerGroup: 64,
  shardLockExpiration: "12 seconds",
  shardLockRefreshInterval: "4 seconds",
  runnerHealthCheckInterval: "1 second",
  refreshAssignmentsInterval: "1 second",
  entityMessagePollInterval: "1 second",
  entityRegistrationTimeout: "Infinity",
  ...options
})

/**
 * `shardingConfig` as a layer, for a cluster that is put together by hand.
 *
 * @category settings
 * @since 0.1.0
 */
export const layerShardingConfig = (
  options?: Partial<ShardingConfig.ShardingConfig["Service"]>
): Layer.Layer<ShardingConfig.ShardingConfig> => ShardingConfig.layer(shardingConfig(options))
