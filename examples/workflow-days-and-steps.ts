/**
 * Side effects that take days and steps: the start of a workflow is the side effect.
 *
 * Domain code wishes for a refund and knows nothing of what it takes. The workflow waits for a person, then three days for
 * objections, then pays; its execution has the id of the intent. Everything here waits for days, and the clock of this
 * program is turned by hand.
 */
import { Clock, Console, Effect, Layer, Option, Schedule, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { WorkflowSideEffects } from "effect-side-effects/workflow"
import { TestClock } from "effect/testing"
import { Activity, DurableClock, DurableDeferred, Workflow, WorkflowEngine } from "effect/workflow"

class RequestRefund extends SideEffect.make("billing:refund:request", {
  description: "Pay a customer back, once somebody has approved it.",
  payload: { invoice: Schema.String, amount: Schema.Number }
}) {}

class SendSurvey extends SideEffect.make("billing:mail:survey", {
  description: "Ask a customer how it was.",
  payload: { invoice: Schema.String }
}) {}

const Billing = SideEffectGroup.make("billing").add(RequestRefund, SendSurvey)

const say = (text: string) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => Console.log(`day ${Math.floor(now / 86_400_000)}: ${text}`))

// What a refund takes. It is an ordinary workflow, and what is done once belongs into an activity.

const Approval = DurableDeferred.make("Approval", { success: Schema.Struct({ by: Schema.String }) })

const Refund = Workflow.make("Refund", {
  payload: { invoice: Schema.String, amount: Schema.Number, key: Schema.String },
  idempotencyKey: ({ key }) => key
})

const RefundLive = Refund.toLayer(Effect.fnUntraced(function*({ amount, invoice }) {
  yield* Activity.make({ name: "ask", execute: say(`who approves ${amount} EUR for ${invoice}?`) })
  const { by } = yield* DurableDeferred.await(Approval)
  yield* DurableClock.sleep({ name: "objections", duration: "3 days" })
  yield* Activity.make({ name: "pay", execute: say(`paid ${amount} EUR for ${invoice}, approved by ${by}`) })
}))

// The handler of the side effect starts it. The other one is a handler as everywhere: its attempts are a day apart.

const RefundHandler = WorkflowSideEffects.start(
  RequestRefund,
  Refund,
  (payload, { idempotencyKey }) => ({ ...payload, key: idempotencyKey })
)

class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", {}) {}

const SurveyHandler = SendSurvey.toLayer(
  ({ invoice }, { attempt }) =>
    Effect.andThen(
      say(`survey for ${invoice}, attempt ${attempt}`),
      attempt < 3 ? Effect.fail(new MailboxFull()) : Effect.void
    ),
  { retry: Schedule.spaced("1 day") }
)

const closeInvoice = Effect.fn("closeInvoice")(function*(invoice: string) {
  const survey = yield* SideEffects.enqueue(SendSurvey, { invoice }, { delay: "14 days" })
  const refund = yield* SideEffects.enqueue(RequestRefund, { invoice, amount: 12 })
  return { survey, refund }
}, SideEffects.boundary())

const Live = SideEffects.LiveLayer(Billing, { dispatcher: WorkflowSideEffects.dispatcher() }).pipe(
  Layer.merge(WorkflowSideEffects.layerWorker(Billing)),
  Layer.provide([RefundHandler, SurveyHandler]),
  Layer.provideMerge(RefundLive),
  // It forgets everything with the process. `ClusterWorkflowEngine` does not.
  Layer.provideMerge(WorkflowEngine.layerMemory),
  Layer.provideMerge(TestClock.layer())
)

/** Waits until an execution has come to rest, and says whether that is its end. */
const atRest = <A, E, R>(poll: Effect.Effect<Option.Option<Workflow.Result<A, E>>, never, R>) =>
  poll.pipe(
    Effect.tap(Effect.yieldNow),
    Effect.repeat({ until: Option.isSome }),
    Effect.map((result) => Option.getOrThrow(result)._tag === "Complete")
  )

export const program = Effect.gen(function*() {
  const { refund, survey } = yield* closeInvoice("1042")
  yield* atRest(Refund.poll(refund.id))

  yield* TestClock.adjust("2 days")
  yield* say("Ann approves")
  // What a link in a mail would hold: the execution is known by the intent.
  const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Refund, executionId: refund.id })
  yield* DurableDeferred.succeed(Approval, { token, value: { by: "Ann" } })
  yield* atRest(Refund.poll(refund.id))

  while (!(yield* atRest(WorkflowSideEffects.poll(survey.id)))) {
    yield* TestClock.adjust("1 day")
    yield* atRest(Refund.poll(refund.id))
  }
  yield* say("done, a refund in steps and a survey that was tried again")
}).pipe(Effect.provide(Live))

if (import.meta.main) Effect.runPromise(program)
