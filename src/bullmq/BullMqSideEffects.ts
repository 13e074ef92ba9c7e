/**
 * Side effects through BullMQ: what is released becomes a job of a queue in Redis, and a worker performs it.
 *
 * **When to use**
 *
 * Where Redis and BullMQ are there already, or are to be. Jobs are what anybody would have added by hand: their name is that
 * of the side effect, their data is the payload. Processors and bull-board go on with them, and the worker here performs
 * what others have added.
 *
 * **Example** (Writing in one process, performing in another)
 *
 * ```ts no-run
 * import { Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { BullMqSideEffects } from "effect-side-effects/bullmq"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const BullMq = BullMqSideEffects.layer({ connection: "redis://127.0.0.1:6379" })
 *
 * export const Writing = SideEffects.LiveLayer(Billing, { dispatcher: BullMqSideEffects.dispatcher() }).pipe(
 *   Layer.provide(BullMq)
 * )
 *
 * export const Performing = BullMqSideEffects.layerWorker(Billing).pipe(
 *   Layer.provide(SendReceipt.toLayer(({ invoice }) => Effect.log(`receipt for ${invoice}`))),
 *   Layer.provide(BullMq)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type * as BullMQ from "bullmq"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Engine from "../engine/Engine.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as internal from "./internal/connection.ts"
import * as internalDispatcher from "./internal/dispatcher.ts"
import * as internalWorker from "./internal/worker.ts"

export { RedisUnavailable } from "./internal/connection.ts"

/**
 * Where Redis is: a URL, the options of ioredis, or a client of ioredis.
 *
 * **Details**
 *
 * A client is not used itself, and not closed: connections are made like it. Each has the settings that it needs
 * (`maxRetriesPerRequest`, `enableOfflineQueue`, `commandTimeout`, `lazyConnect`), whatever was given.
 *
 * @category models
 * @since 0.1.0
 */
export type Connection = string | Redacted.Redacted | BullMQ.ConnectionOptions

/**
 * The connection to the queues of BullMQ in one Redis.
 *
 * **Details**
 *
 * - `prefix`: of all keys. `nameOf`: what a queue is called in BullMQ.
 * - `queue` opens a queue, for bull-board and for everything else that BullMQ can do with one. It is closed with the layer.
 *   Commands fail at once while Redis is away.
 *
 * @category services
 * @since 0.1.0
 */
export class BullMq extends /*#__PURE__*/ Context.Service<BullMq, {
  readonly prefix: string
  readonly nameOf: (queue: string) => string
  readonly queue: (queue?: string) => BullMQ.Queue
  /** @internal */
  readonly opened: internal.Connected["opened"]
  /** @internal */
  readonly attempt: internal.Connected["attempt"]
  /** @internal */
  readonly client: internal.Connected["client"]
}>()("effect-side-effects/bullmq/BullMq") {}

/**
 * Connects to Redis.
 *
 * **Details**
 *
 * - `connection`: where Redis is.
 * - `prefix` (default `"bull"`, as in BullMQ): of all keys. In a Redis Cluster it has to be in braces, as `"{bull}"`.
 * - `queue` (default `"side-effects"`): what the queue `"default"` is called in BullMQ. Others are called what they are.
 * - `timeout` (default 5 seconds): how long handing over waits for Redis to be there, and then for its answer.
 *
 * The layer does not wait for Redis, and does not fail without it. Handing over fails within `timeout` twice, with
 * `RedisUnavailable`; workers wait until Redis is there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  readonly connection: Connection
  readonly prefix?: string | undefined
  readonly queue?: string | undefined
  readonly timeout?: Duration.Input | undefined
}): Layer.Layer<BullMq> => Layer.effect(BullMq, internal.make(options))

/**
 * What every job that is handed over is given, as in `queue.add` of BullMQ.
 *
 * **Details**
 *
 * `attempts` and `backoff` are for processors of somebody else, in a queue that has both: the worker here goes by the `retry`
 * and `maxAttempts` of the handler. `removeOnComplete` and `removeOnFail` come before the `retention` of the worker.
 *
 * @category models
 * @since 0.1.0
 */
export type JobOptions = Pick<
  BullMQ.JobsOptions,
  "attempts" | "backoff" | "keepLogs" | "removeOnComplete" | "removeOnFail" | "sizeLimit" | "stackTraceLimit"
>

/**
 * How jobs are handed over.
 *
 * **Details**
 *
 * - `queues`: names of queues that `enqueue` may tell besides those that definitions and bindings name.
 * - `priorities` (default `false`): gives a priority to every job, so that one above 0 comes before those without. It costs
 *   about a sixth of the throughput of adding. Without it priorities below 0 are honoured, and those above are refused, as
 *   in BullMQ a job without one comes before all that have one. To be the same in all programs that write to a queue.
 * - `uniqueFor` (default: off): an intent with an idempotency key is `Deduplicated` when one of the same side effect and key
 *   was added to the queue within that time and is not dead. It is the `deduplication` of BullMQ.
 * - `job`: options for every job.
 *
 * @category models
 * @since 0.1.0
 */
export interface DispatcherOptions {
  readonly queues?: ReadonlyArray<string> | undefined
  readonly priorities?: boolean | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly job?: JobOptions | undefined
}

/**
 * Adds what is released to queues of BullMQ.
 *
 * **Details**
 *
 * A boundary is one pipeline for each queue (`addBulk`), in the order of release. The id of an intent is that of its job: as
 * long as the job is kept, one that is added again is there once. When Redis does not take it, or does not answer in time,
 * the boundary dies with `DispatchError` that holds `RedisUnavailable`.
 *
 * The decision of an intent is `Dispatched` once Redis has it. `SideEffects.drain` waits until nothing is waiting and nothing
 * is active in the queues; what waits for its time, and a queue that is paused, is not waited for. Where nothing is active
 * it warns every five seconds of what waits.
 *
 * **Gotchas**
 *
 * BullMQ knows nothing of a transaction. Hand over after the commit with
 * `SqlSideEffects.afterCommit(BullMqSideEffects.dispatcher())`, which loses what a crash catches in between, or from an outbox
 * with `Outbox.layerRelay`, which loses nothing.
 *
 * What Redis has not written to its disk is lost with it: see the guide to BullMQ.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcher = (options?: DispatcherOptions): Engine.Engine<never, BullMq> =>
  internalDispatcher.make(BullMq, options)

/**
 * How a worker works.
 *
 * **Details**
 *
 * - `concurrency` of `EngineWorker.Options` is for all queues of this worker together. A queue that must not wait for another
 *   one has a worker of its own.
 * - `lockDuration` (default 10 seconds): for how long a job is this worker's own. It is renewed as long as the worker lives.
 *   Longer than the process ever stands still.
 * - `stalledInterval` (default: a third of `lockDuration`): how often jobs are looked for whose lock has run out. They are
 *   begun anew at most `lockDuration` and two of these after the worker has died.
 * - `retention`: how long jobs are kept: `done` (default 1 hour; `0` removes them at once) and `dead` (default 90 days).
 * - `priorities`, `uniqueFor`: for what handlers enqueue themselves, as in `dispatcher`.
 * - `name`: what jobs say of who performs them.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions<E = never, R = never> extends EngineWorker.Options<E, R> {
  readonly lockDuration?: Duration.Input | undefined
  readonly stalledInterval?: Duration.Input | undefined
  readonly retention?: {
    readonly done?: Duration.Input | undefined
    readonly dead?: Duration.Input | undefined
  } | undefined
  readonly priorities?: boolean | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly name?: string | undefined
}

/**
 * Performs what is in the queues of BullMQ, for as long as the layer lives.
 *
 * **Details**
 *
 * Delivery is at least once: give the idempotency key of the delivery to the outside system where that takes one.
 *
 * Success completes a job. A typed error or a timeout is a failed attempt of BullMQ, and the job waits as long as `retry` of the
 * handler says. A job whose attempts are used up, that was cancelled or whose payload does not fit is failed for good. A
 * snoozed one is delayed, without an attempt.
 *
 * When a worker dies its jobs have stalled in the words of BullMQ, and another one begins them anew. After `maxCrashes` a job
 * is failed. Retrying a failed job, in bull-board or with `job.retry()`, gives it fresh budgets.
 * A worker that could not renew the lock of a job interrupts its handler, and leaves the job to whoever has it.
 *
 * Closing the layer stops fetching, waits `gracePeriod` for the handlers that run, interrupts the others and hands them back
 * with their attempt restored. Without Redis it ends all the same.
 *
 * It performs what others have added, too: a job without our key in its data is one whose data is the payload.
 *
 * **Gotchas**
 *
 * Requires the handler of every side effect of the group. A job whose name none of the workers of a queue knows is dead after
 * `unknown`: a queue that has processors of somebody else for other names needs one that sorts them.
 *
 * A handler that computes for longer than `lockDuration` without a pause loses its job, which is then performed twice.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any, E = never, R = never>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions<E, R>
): Layer.Layer<never, E, EngineWorker.Services<S, Ev, BullMq | R>> =>
  Layer.effectDiscard(internalWorker.make(BullMq, group, options as WorkerOptions | undefined)) as any
