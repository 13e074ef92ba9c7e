/**
 * Workflows: one boundary an activity.
 *
 * A workflow is run again from its beginning whenever it goes on: after a pause, after a crash. Activities that have
 * completed are not: their results are known. So what an activity enqueues belongs into a boundary around it, and
 * nothing is enqueued outside an activity.
 */
import { Console, Context, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Activity, DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"

class SendReceipt extends SideEffect.make("orders:mail:receipt", {
  description: "Email the customer a receipt.",
  payload: { order: Schema.String }
}) {}

class TellTheLog extends SideEffect.make("orders:log", {
  description: "Tell the audit log that an order is handled.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendReceipt, TellTheLog)

class CardDeclined extends Schema.TaggedError<CardDeclined>()("CardDeclined", {}) {}

class Bank extends Context.Service<Bank, { readonly charge: Effect.Effect<void, CardDeclined> }>()("orders/Bank") {}

/**
 * A unit of work of its own, `detached` from whatever the workflow is started in: it ends with the attempt. When an
 * attempt fails, dies or is interrupted, what it has enqueued is gone; the next one enqueues it again.
 */
const attempt = (name: string) => SideEffects.boundary({ name, origin: `activity ${name}`, detached: true })

const charge = (order: string) =>
  Activity.make({
    name: "charge",
    error: CardDeclined,
    execute: Effect.gen(function*() {
      const bank = yield* Bank
      // The activity may succeed and be run again all the same, when the process dies before its result is kept. The key
      // is the same then, so that an outbox knows it.
      const key = yield* Activity.idempotencyKey("receipt")
      yield* SideEffects.enqueue(SendReceipt, { order }, { key })
      yield* bank.charge
    }).pipe(attempt("charge"))
  }).pipe(Activity.retry({ times: 3 }))

const Approval = DurableDeferred.make("Approval")

const HandleOrder = Workflow.make("HandleOrder", {
  payload: { order: Schema.String },
  idempotencyKey: ({ order }) => order,
  error: CardDeclined
})

const HandleOrderLive = HandleOrder.toLayer(Effect.fnUntraced(function*({ order }) {
  yield* Console.log("the workflow runs")
  // Wrong, to show it: this is not in an activity, so it happens again whenever the workflow runs.
  yield* SideEffects.enqueue(TellTheLog, { order }).pipe(SideEffects.boundary({ detached: true }))
  yield* charge(order)
  // The workflow pauses here, for days if need be, and is run again from its beginning.
  yield* DurableDeferred.await(Approval)
  yield* Console.log("the workflow ends")
}))

const Handlers = Orders.toLayer({
  "orders:mail:receipt": ({ order }, { intent }) => Console.log(`  receipt of ${order}, because of ${intent.origin}`),
  "orders:log": ({ order }) => Console.log(`  ${order} is handled, says the log`)
})

const Live = HandleOrderLive.pipe(
  Layer.provide(SideEffects.LiveLayer(Orders)),
  Layer.provide(Handlers),
  // It forgets everything with the process. `ClusterWorkflowEngine` does not.
  Layer.provideMerge(WorkflowEngine.layerMemory)
)

export const program = Effect.gen(function*() {
  const payload = { order: "order 1" }
  const executionId = yield* HandleOrder.execute(payload, { discard: true })
  while ((yield* HandleOrder.poll(executionId))._tag === "None") yield* Effect.sleep("5 millis")
  yield* Console.log("the workflow waits, and is approved")
  const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: HandleOrder, executionId })
  yield* DurableDeferred.succeed(Approval, { token, value: undefined })
  yield* HandleOrder.execute(payload)
}).pipe(
  Effect.provide(Live),
  Effect.provideServiceEffect(
    Bank,
    Effect.sync(() => {
      let calls = 0
      const charge = Effect.suspend(() => ++calls === 1 ? new CardDeclined() : Effect.void).pipe(
        Effect.onExit(({ _tag }) => Console.log(`  charged: ${_tag}`))
      )
      return { charge }
    })
  )
)

if (import.meta.main) Effect.runPromise(program)
