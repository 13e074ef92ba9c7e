/**
 * Side effects through `effect/workflow`, for those that take days and steps. What was handed over survives restarts where
 * the workflow engine does; a side effect that waits costs no memory.
 *
 * There are two ways, which can be combined. With `dispatcher` and `layerWorker` the workflow engine is the queue: each
 * intent is a workflow that performs the handler, and waits for the next attempt. With `start` the side effect is the start
 * of a workflow of your own: its activities, durable clocks and compensations are the steps.
 *
 * **Example** (The workflow engine as the queue)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { WorkflowSideEffects } from "effect-side-effects/workflow"
 * import { Console, Deferred, Effect, Layer, Schema } from "effect"
 * import { WorkflowEngine } from "effect/workflow"
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
 * const Writing = SideEffects.LiveLayer(Billing, { dispatcher: WorkflowSideEffects.dispatcher() })
 *
 * const Performing = WorkflowSideEffects.layerWorker(Billing).pipe(
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
 * // It forgets everything with the process. `ClusterWorkflowEngine` of `effect/cluster` does not.
 * const Services = Layer.merge(Writing, Performing).pipe(Layer.provide(WorkflowEngine.layerMemory))
 *
 * await Effect.runPromise(Effect.provide(program, Services))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type * as Workflow from "effect/workflow/Workflow"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import * as Engine from "../engine/Engine.ts"
import * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Event from "../Event.ts"
import * as trace from "../internal/trace.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { executionIdOf, PerformSideEffect, type SideEffectDead } from "./internal/definition.ts"
import { hubOf } from "./internal/hub.ts"
import * as perform from "./internal/perform.ts"

export { SideEffectDead } from "./internal/definition.ts"

/**
 * Starts a workflow for each intent, with an execution id that is made of the id of the intent: what is handed over twice is
 * there once.
 *
 * **When to use**
 *
 * As the dispatcher of a live layer where a workflow engine runs already, for side effects whose pauses are long: a delay of
 * weeks, attempts a day apart. For many short ones a queue is quicker: an execution is several writes.
 *
 * **Details**
 *
 * It honours `delay`, which counts from the moment of handing over. It has no priorities and no queues; a queue is honoured
 * where it is routed here by name (`Dispatcher.route`). It dies with `DispatchError` where the workflow engine does not
 * accept.
 *
 * `SideEffects.drain` does not wait for what was handed over: ask `poll` for one.
 *
 * **Gotchas**
 *
 * An idempotency key does not make two intents one: that is the outbox in front of it. Hand over after the commit, with
 * `SqlSideEffects.afterCommit` or `Outbox.layerRelay`: in a transaction of the database that a cluster keeps its messages
 * in, it is written in there, and then waits for the next poll of the storage (10 seconds by default); in another one,
 * it happens although the transaction fails.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const dispatcher = (): Engine.Engine<never, WorkflowEngine.WorkflowEngine> => made

const made: Engine.Engine<never, WorkflowEngine.WorkflowEngine> = /*#__PURE__*/ Engine.dispatcher({
  name: "workflow",
  honours: { delay: true, priority: false, queue: false },
  connect: /*#__PURE__*/ Effect.gen(function*() {
    const hub = hubOf(yield* WorkflowEngine.WorkflowEngine)
    yield* hub.use
    return { handOver: hub.handOver }
  })
})

/**
 * How a worker works: as everywhere, but that there are no queues.
 *
 * **Details**
 *
 * - `inMemoryThreshold` (default 1 minute): pauses up to this are slept in the process, to the millisecond, and go on from
 *   the same time when the process is lost. Longer ones are durable clocks: they cost no memory, and a cluster wakes them
 *   with its next poll of the storage.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions<E = never, R = never> extends Omit<EngineWorker.Options<E, R>, "queues"> {
  readonly inMemoryThreshold?: Duration.Input | undefined
}

/**
 * Performs what was handed to the workflow engine, for as long as the layer lives.
 *
 * **Details**
 *
 * Delivery is at least once: give the idempotency key of the delivery to the outside system where that takes one. That a
 * delivery has begun is recorded before its handler runs, and how it ended behind it; between the two a crash has it made
 * again, as the next attempt, and `maxCrashes` counts that. A handler is not run again by the replay of a workflow.
 *
 * How a handler ends decides, as with the outbox: success ends the workflow; what is to be tried again, and
 * `SideEffect.snooze`, is a pause in it; what is dead fails it with `SideEffectDead`. `onExhausted` runs before that, and once
 * more if the process dies in between.
 *
 * Closing the layer waits `gracePeriod` for the handlers that run and interrupts the others. Whatever is underway is recorded
 * and left to the next worker, with its attempt restored.
 *
 * All workers of a process that share an engine stand behind one workflow, and each takes what it knows.
 *
 * **Gotchas**
 *
 * A cluster gives an execution to any runner of its shard group: each of them needs the workers of all groups. With
 * `WorkflowEngine.layerMemory` everything is forgotten with the process.
 *
 * A run goes through all deliveries before it. A side effect that snoozes thousands of times becomes slow: enqueue a new one
 * instead.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any, E = never, R = never>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions<E, R>
): Layer.Layer<never, E, EngineWorker.Services<S, Ev, WorkflowEngine.WorkflowEngine | R>> =>
  Layer.effectDiscard(makeWorker(group, options as WorkerOptions | undefined)) as any

const makeWorker = Effect.fnUntraced(function*(group: SideEffectGroup.Any, options: WorkerOptions | undefined) {
  const worker = yield* EngineWorker.make("WorkflowSideEffects.layerWorker", made, group, options)
  const hub = hubOf(yield* WorkflowEngine.WorkflowEngine)
  const joined = {
    names: worker.names,
    perform: worker.perform,
    free: worker.concurrency,
    inMemoryThreshold: Duration.toMillis(Duration.fromInputUnsafe(options?.inMemoryThreshold ?? "1 minute"))
  }
  yield* hub.use
  yield* Effect.acquireRelease(
    hub.join(joined, perform.run(hub)),
    () => Effect.andThen(hub.leave(joined), Effect.andThen(worker.close, hub.settled))
  )
})

/**
 * How far an intent is that was handed to the workflow engine, by its id.
 *
 * **Details**
 *
 * Nothing while it is being performed or sleeps in the process, as in pauses up to `inMemoryThreshold`, before a worker is
 * there, or where the engine does not know it. `Suspended`: it waits for its time in a durable clock. `Complete`: it is done,
 * or failed with `SideEffectDead`. How long that can be asked is up to the engine.
 *
 * @category operating
 * @since 0.1.0
 */
export const poll = (
  intent: string
): Effect.Effect<Option.Option<Workflow.Result<void, SideEffectDead>>, never, WorkflowEngine.WorkflowEngine> =>
  PerformSideEffect.poll(executionIdOf(intent))

/**
 * Takes back an intent that waits for its time or for a worker, by its id. One that is being performed goes on to the end of
 * that attempt.
 *
 * @category operating
 * @since 0.1.0
 */
export const interrupt = (intent: string): Effect.Effect<void, never, WorkflowEngine.WorkflowEngine> =>
  Effect.flatMap(WorkflowEngine.WorkflowEngine, (engine) => hubOf(engine).interrupt(executionIdOf(intent)))

/**
 * The handler of a side effect that is the start of a workflow, with the id of the intent as the execution id.
 *
 * **When to use**
 *
 * When the side effect takes steps that have to be remembered each: activities, waiting for a person, compensation. The
 * workflow is an ordinary one, and `workflow.toLayer` its body.
 *
 * **Details**
 *
 * It is a handler as any other: it is there for every dispatcher, and the side effect is done when the workflow was started.
 * Its retries and timeouts are those of the start. A delivery that comes twice starts it once.
 *
 * `payload` makes the payload of the workflow of that of the side effect. The delivery is there for what the body wants to
 * know: the idempotency key, the metadata of the intent. The workflow runs in the trace of the place that enqueued.
 *
 * Who has enqueued knows the execution by the intent: `workflow.poll(intent.id)`, and
 * `DurableDeferred.tokenFromExecutionId(Approval, { workflow, executionId: intent.id })`. The `idempotencyKey` of the workflow
 * is not asked.
 *
 * **Gotchas**
 *
 * The body runs again from its beginning when it goes on: enqueue in activities only, with a detached boundary around.
 * `WorkflowEngine.layerMemory` has to know the workflow before it is started.
 *
 * **Example** (A refund that somebody has to approve)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { WorkflowSideEffects } from "effect-side-effects/workflow"
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { Activity, DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"
 *
 * class RequestRefund extends SideEffect.make("billing:refund:request", {
 *   description: "Pay a customer back, once somebody has approved it.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(RequestRefund)
 *
 * const Approval = DurableDeferred.make("Approval")
 *
 * const Refund = Workflow.make("Refund", {
 *   payload: { invoice: Schema.String, key: Schema.String },
 *   idempotencyKey: ({ invoice }) => invoice
 * })
 *
 * const RefundLive = Refund.toLayer(Effect.fnUntraced(function*({ invoice }) {
 *   yield* DurableDeferred.await(Approval)
 *   yield* Activity.make({ name: "pay", execute: Console.log(`paid back ${invoice}`) })
 * }))
 *
 * const Live = SideEffects.LiveLayer(Billing).pipe(
 *   Layer.provide(WorkflowSideEffects.start(
 *     RequestRefund,
 *     Refund,
 *     ({ invoice }, { idempotencyKey }) => ({ invoice, key: idempotencyKey })
 *   )),
 *   Layer.provideMerge(RefundLive),
 *   Layer.provideMerge(WorkflowEngine.layerMemory)
 * )
 *
 * const program = Effect.gen(function*() {
 *   const intent = yield* SideEffects.boundary(SideEffects.enqueue(RequestRefund, { invoice: "1042" }))
 *   const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Refund, executionId: intent.id })
 *   yield* DurableDeferred.succeed(Approval, { token, value: undefined })
 *   while ((yield* Refund.poll(intent.id))._tag === "None") yield* Effect.sleep("5 millis")
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category handlers
 * @since 0.1.0
 */
export const start = <
  S extends SideEffect.Any,
  Tag extends string,
  Payload extends Workflow.AnyStructSchema,
  Success extends Schema.Top,
  Error extends Schema.Top,
  R = never,
  RS = never
>(
  sideEffect: S,
  workflow: Workflow.Workflow<Tag, Payload, Success, Error>,
  payload: (
    payload: SideEffect.Payload<S>,
    delivery: SideEffect.Delivery<S>
  ) => Payload["~type.make.in"],
  options?: SideEffect.HandlerOptions<never, R, RS, S>
): Layer.Layer<
  SideEffect.ToHandler<S>,
  never,
  | WorkflowEngine.WorkflowEngine
  | Payload["EncodingServices"]
  | Success["DecodingServices"]
  | Error["DecodingServices"]
  | R
  | RS
> =>
  (sideEffect as unknown as SideEffect.SideEffect<string, any>).toLayer(
    Effect.contextWith((built: Context.Context<WorkflowEngine.WorkflowEngine>) => {
      const engine = Context.get(built, WorkflowEngine.WorkflowEngine)
      // What belongs to the moment of building, not to the workflow.
      const context = Context.omit(Scheduler.Scheduler, Scope.Scope, Tracer.ParentSpan)(built)
      return Effect.succeed((value: unknown, delivery: SideEffect.Delivery<any>) =>
        Effect.flatMap(Effect.serviceOption(Tracer.ParentSpan), (current) => {
          const span = current._tag === "Some" ? current.value : trace.spanOf(delivery.intent.traceparent)
          return Effect.setContext(
            engine.execute(workflow, {
              executionId: delivery.intent.id,
              payload: workflow.payloadSchema.make(payload(value as any, delivery)),
              discard: true
            }),
            // An engine in memory runs the workflow in the context of whoever starts it, and a handler's ends with it.
            (span === undefined ? context : Context.add(context, Tracer.ParentSpan, span)) as Context.Context<any>
          )
        })
      )
    }),
    options as any
  ) as any
