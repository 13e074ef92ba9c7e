/**
 * The outbox: intents are written to a database in the transaction of the unit of work, and performed from there.
 *
 * What was committed is performed at least once, whatever is killed when; what was rolled back never is. A live layer
 * with `dispatcher` writes, and needs no handlers; `layerWorker`, in the same process or in another, performs; the
 * service `Outbox` is for operators.
 *
 * **Example** (Writing in one process, performing in another)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { MemoryOutboxStore, Outbox } from "effect-side-effects/outbox"
 * import { Console, Effect, Layer, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const Writing = SideEffects.LiveLayer(Billing, { dispatcher: Outbox.dispatcher() })
 *
 * const Performing = Outbox.layerWorker(Billing).pipe(
 *   Layer.provide(SendReceipt.toLayer(({ invoice }) => Console.log(`receipt for ${invoice}`)))
 * )
 *
 * const program = SideEffects.enqueue(SendReceipt, { invoice: "1042" }).pipe(
 *   SideEffects.boundary(),
 *   Effect.andThen(SideEffects.drain)
 * )
 *
 * const Services = Layer.merge(Writing, Performing).pipe(Layer.provide(MemoryOutboxStore.layer))
 *
 * await Effect.runPromise(Effect.provide(program, Services))
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Dispatcher from "../Dispatcher.ts"
import type * as Engine from "../engine/Engine.ts"
import type * as Event from "../Event.ts"
import type { LiveServices } from "../Layers.ts"
import type * as Policy from "../Policy.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as config from "./internal/config.ts"
import * as internalDispatcher from "./internal/dispatcher.ts"
import * as internalDrain from "./internal/drain.ts"
import * as relay from "./internal/relay.ts"
import * as worker from "./internal/worker.ts"
import type { OutboxError, OutboxStore, Reason } from "./OutboxStore.ts"

/**
 * Writes what is released to the outbox, in the transaction of the fiber that closes the boundary.
 *
 * **When to use**
 *
 * As the dispatcher of a live layer, where a side effect must happen if, and only if, the transaction commits. The unit of
 * work is then `SqlSideEffects.transaction` of `effect-side-effects/sql`: a boundary inside a transaction.
 *
 * **Details**
 *
 * A batch is one statement. The intents of a boundary outside of any transaction are written by that statement alone. When
 * they cannot be written the boundary dies with `DispatchError`, so that the transaction is rolled back, whatever
 * `onDispatchError` says.
 *
 * An intent with an idempotency key is `Deduplicated` when one of the same name and key was written within the last
 * `uniqueFor` (default: 1 day; `0` turns it off) and is not dead. That is decided when it is written, against what is
 * committed; a concurrent transaction with the same key is waited for.
 *
 * The decision of an intent is `Dispatched` once the transaction has committed; until then it is pending.
 * `SideEffects.drain` waits until nothing is due and nothing is running; what waits for its time, and what is paused, is
 * not waited for.
 *
 * **Gotchas**
 *
 * A boundary *around* a transaction writes after it has ended, and a crash between the two loses what it wished for. That
 * is said once, in a warning.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcher: (options?: {
  readonly uniqueFor?: Duration.Input | undefined
}) => Dispatcher.Dispatcher<false, never, OutboxStore> = internalDispatcher.make

export { EditRefused, EntryNotFound, type Finding, layer, Outbox } from "./internal/operators.ts"

/**
 * How a worker works.
 *
 * **Details**
 *
 * - `concurrency` (default 32): how many handlers run at once. A side effect may have a lower limit of its own, in the
 *   options of its handler; both hold for each worker.
 * - `queues`: only what is in them. Default: all.
 * - `lease` (default 30 seconds): for how long a claimed entry is this worker's own. It is renewed as long as the worker
 *   lives; when that has died, the entry is due again after this time.
 * - `pollInterval` (default 1 second): how often it looks when nothing wakes it.
 * - `gracePeriod` (default 10 seconds): how long closing the layer waits for handlers that run. The rest is handed back.
 * - `retry`: for side effects that say nothing about retries. Default: exponential from 2 seconds to an hour, jittered,
 *   20 attempts.
 * - `maxCrashes` (default 3): how often the process may be lost while it holds an entry, begun or not.
 * - `retention`: how long entries are kept: `done` (default 7 days; `0` removes them at once), `dead` (default 90 days),
 *   and from when on one that no worker knows is dead (`unknown`, default 1 hour).
 * - `batchSize` (default 500): how many entries are claimed ahead of those that run, at most.
 * - `cleanupInterval` (default 30 seconds): how often it shows itself and removes what is past its retention.
 * - `policy`, `uniqueFor`: for what handlers enqueue themselves, as in `LiveLayer` and `dispatcher`.
 * - `id`: its name in the history. Default: a random one.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions {
  readonly concurrency?: number | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  readonly lease?: Duration.Input | undefined
  readonly pollInterval?: Duration.Input | undefined
  readonly gracePeriod?: Duration.Input | undefined
  readonly retry?: Schedule.Schedule<any, unknown> | undefined
  readonly maxCrashes?: number | undefined
  readonly retention?: {
    readonly done?: Duration.Input | undefined
    readonly dead?: Duration.Input | undefined
    readonly unknown?: Duration.Input | undefined
  } | undefined
  readonly batchSize?: number | undefined
  readonly cleanupInterval?: Duration.Input | undefined
  readonly policy?: Policy.Policy | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly id?: string | undefined
}

/**
 * Performs what is in the outbox, for as long as the layer lives.
 *
 * **Details**
 *
 * Delivery is at least once: give the idempotency key of the delivery to the outside system where that takes one. Entries
 * are begun by priority and then by the time they are due; nothing is said about the order in which they end.
 *
 * How a handler ends decides: success is `done`; a typed error or a timeout is tried again as its `retry` and
 * `maxAttempts` say, and is `dead` as `exhausted` when they are used up; a defect is `exhausted` at once;
 * `SideEffect.cancel` is `dead` as `cancelled`; `SideEffect.snooze` takes the attempt back. A payload that does not fit the
 * schema is `dead` as `undecodable`. `onExhausted` runs before an entry becomes dead as `exhausted`, and once more if the
 * process dies in between. Nothing of this stops the rest.
 *
 * A worker that dies is noticed when its leases run out. An entry that was held by two workers that died is a suspect: it
 * is performed alone, so that it takes no others with it, though none waits for another longer than 10 seconds. It is `dead`
 * as `crashed` after `maxCrashes`: crashes and failures have budgets of their own.
 *
 * Closing the layer is no failure: it stops claiming, waits `gracePeriod` for the handlers that run, interrupts the others
 * and hands them back with their attempt restored.
 *
 * What a handler enqueues is a unit of work of its own, and goes to the outbox when the handler has succeeded. When it
 * cannot be written, the attempt has failed.
 *
 * **Gotchas**
 *
 * Requires the handler of every side effect of the group. With SQLite, one connection serialises transactions: give the
 * worker a connection of its own (`Layer.fresh`), or a process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions
): Layer.Layer<never, OutboxError, OutboxStore | LiveServices<S, true, never, Ev>> =>
  Layer.effectDiscard(worker.make(group, options)) as any

/**
 * As `layerWorker`, and the deployer turns it without a release. `options` are what the code says where nothing is set.
 *
 * **Details**
 *
 * | config value | meaning |
 * | --- | --- |
 * | `SIDE_EFFECTS_OUTBOX_QUEUES` | comma-separated: `queues` |
 * | `SIDE_EFFECTS_OUTBOX_CONCURRENCY` | `concurrency` |
 * | `SIDE_EFFECTS_OUTBOX_BATCH_SIZE` | `batchSize` |
 * | `SIDE_EFFECTS_OUTBOX_MAX_CRASHES` | `maxCrashes` |
 * | `SIDE_EFFECTS_OUTBOX_LEASE` | `lease`, a duration such as `30 seconds` |
 * | `SIDE_EFFECTS_OUTBOX_POLL_INTERVAL` | `pollInterval`, a duration |
 * | `SIDE_EFFECTS_OUTBOX_GRACE_PERIOD` | `gracePeriod`, a duration |
 * | `SIDE_EFFECTS_OUTBOX_RETENTION_DONE`, `_DEAD`, `_UNKNOWN` | `retention`, a duration each |
 *
 * The switches of `SideEffects.ConfigLayer` count here, too. With `SIDE_EFFECTS_BLOCK` and `SIDE_EFFECTS_ALLOW_ONLY` it does
 * not begin what they keep in: that waits in the outbox until they are lifted. What its handlers enqueue of it is dropped,
 * as everywhere. With another `SIDE_EFFECTS_MODE` than `live` it begins nothing at all. This is said in the log.
 *
 * Wrong values are one `ConfigError` that lists them all, each with the right ones.
 *
 * **Gotchas**
 *
 * `SideEffects.drain` waits for what is held back. To stop side effects that are in the outbox already without a restart, and
 * for all workers at once, there is `Outbox.pause`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorkerConfig = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions
): Layer.Layer<never, OutboxError | Config.ConfigError, OutboxStore | LiveServices<S, true, never, Ev>> =>
  Layer.effectDiscard(Effect.flatMap(config.read(group, options), (turned) => worker.make(group, turned))) as any

/**
 * How a relay works.
 *
 * **Details**
 *
 * - `queues`, `lease`, `pollInterval`, `retention`, `id`: as in `WorkerOptions`. With `queues`, an engine without queues takes
 *   what is in them, as then the relay has honoured it.
 * - `batchSize` (default 500): how many entries are handed over at once, at most. As many are claimed ahead for each engine.
 * - `maxAttempts` (default 100): how often an engine may refuse an entry while it takes others, before it is dead.
 *
 * @category models
 * @since 0.1.0
 */
export interface RelayOptions
  extends Pick<WorkerOptions, "batchSize" | "id" | "lease" | "pollInterval" | "queues" | "retention">
{
  readonly maxAttempts?: number | undefined
}

/**
 * The engines of a relay, by the names or patterns of the side effects that they get.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Engines = Readonly<Record<string, Engine.Engine<any, any>>>

type EngineError<E> = E extends Engine.Engine<infer Error, any> ? Error : never
type EngineServices<E> = E extends Engine.Engine<any, infer R> ? Exclude<R, Scope.Scope> : never

/**
 * Hands what is in the outbox to engines that do the work, for as long as the layer lives.
 *
 * **When to use**
 *
 * When the database has to be the only truth about what will happen, and somebody else's queue has to do it: a wish is
 * committed with the transaction, and is in the engine soon after. Without a transaction around, the dispatcher of the
 * engine alone is enough, and with few side effects `layerWorker` is.
 *
 * **Details**
 *
 * An engine gets the side effects whose name matches its pattern; where several match, the first one of the record counts.
 * What matches none is left to workers, which is said in the log. A pattern without a match, and what the group tells that an
 * engine cannot honour, dies when the layer is built. No handlers are needed here.
 *
 * Entries are handed over in batches, by priority and then by the time they are due. Payload and metadata go as they were
 * written, whatever the schema says by now. The id of the job is that of the entry. Delays have passed by then;
 * priorities are passed on where the engine has them; `createdAt` of the job is the moment of the hand-over. When the engine has accepted a batch, its entries are `done`: handed
 * over, not performed. `SideEffects.drain` waits for that much, and not for the engine.
 *
 * The hand-over is at least once. A crash between it and the end of the entry makes a second one, with the same id and the same
 * idempotency key: there is one job where the engine can tell by the id, and two where it cannot. So it is, too, with an engine
 * that does not answer for 30 seconds: it gets half as much at once then, and more again when it is quick. A single job has up
 * to two minutes.
 *
 * | a batch fails | then |
 * | --- | --- |
 * | because of some of it | these are tried again after 1 second, then 2, 4, ... up to 5 minutes, and are `dead` as `exhausted` after `maxAttempts`, with the error of the engine; the rest is accepted |
 * | whatever is in it | the engine counts as away: all is handed back, no attempt is used, and it is tried again after 100 milliseconds, then 200, ... up to 5 seconds. Other engines go on |
 *
 * An entry with a queue that its engine does not know is `dead` as `exhausted`, one whose payload is no JSON as `undecodable`.
 *
 * Closing the layer finishes the batches that are underway, for 10 seconds at most, and hands back the rest.
 *
 * **Gotchas**
 *
 * Who retries, and how often, is a matter of the worker of the engine: an entry that is `done` has left. What alone is in the
 * outbox and is refused cannot be told from an engine that is away, until something else is accepted: it is tried again and
 * again, and uses no attempts.
 *
 * Leave the names to the relay: a worker of the outbox that knows them performs its share of them itself.
 *
 * **Example** (Mails through an engine)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup } from "effect-side-effects"
 * import { Engine } from "effect-side-effects/engine"
 * import { Outbox } from "effect-side-effects/outbox"
 * import { Console, Effect } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", { description: "Email the customer a receipt." }) {}
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const printing = Engine.dispatcher({
 *   name: "printer",
 *   honours: { delay: false, priority: false, queue: false },
 *   connect: Effect.succeed({ handOver: (jobs) => Console.log(`${jobs.length} jobs`) })
 * })
 *
 * export const Relay = Outbox.layerRelay(Billing, { "billing:mail:*": printing })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRelay = <S extends SideEffect.Any, Ev extends Event.Any, const E extends Engines>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  engines: E,
  options?: RelayOptions
): Layer.Layer<never, OutboxError | EngineError<E[keyof E]>, OutboxStore | EngineServices<E[keyof E]>> =>
  Layer.effectDiscard(relay.make(group, engines, options)) as any

/**
 * What `drain` has performed, by how it ended. `ids` are those of the entries, in the order in which they ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Drained {
  readonly done: number
  readonly retried: number
  readonly snoozed: number
  readonly dead: Readonly<Record<Reason, number>>
  readonly ids: ReadonlyArray<string>
}

/**
 * Performs everything that is due, here and now, in the fiber that asks: no worker is needed.
 *
 * **When to use**
 *
 * In tests, also inside a transaction that is rolled back afterwards; and for jobs that are started from outside, as on a
 * platform without long-running processes.
 *
 * **Details**
 *
 * One entry after the other, including what handlers enqueue themselves. With `scheduled`, what waits for its time (a
 * delay, a retry, a snooze) is made due first, once, with fresh budgets. `limit` (default 10,000) guards against handlers
 * that go on enqueueing: reaching it is a defect.
 *
 * @category running
 * @since 0.1.0
 */
export const drain: <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: Pick<WorkerOptions, "queues" | "lease" | "retry" | "maxCrashes" | "policy" | "uniqueFor"> & {
    readonly scheduled?: boolean | undefined
    readonly limit?: number | undefined
  }
) => Effect.Effect<Drained, OutboxError, OutboxStore | LiveServices<S, true, never, Ev>> = internalDrain.drain as any
