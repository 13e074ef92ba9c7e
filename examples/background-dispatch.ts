/**
 * Background dispatch: the caller does not wait for slow side effects.
 *
 * `Dispatcher.background` takes over what a boundary releases and performs it in fibers of the layer. What is in memory
 * is lost when the process is killed; a layer that is closed in good order waits for it first.
 */
import { Console, Effect, Layer, Logger, Schedule, Schema } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"

class SendMail extends SideEffect.make("shop:mail", {
  description: "Email a customer.",
  payload: { to: Schema.String }
}) {}

class CallWarehouse extends SideEffect.make("shop:warehouse", {
  description: "Tell the warehouse to pack an order.",
  payload: { order: Schema.String }
}) {}

const Shop = SideEffectGroup.make("shop").add(SendMail, CallWarehouse)

class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", { to: Schema.String }) {}

// Every handler has a limit and a plan for failure of its own: whoever enqueued is long gone.
const MailHandler = SendMail.toLayer(
  Effect.fnUntraced(function*({ to }, { attempt }) {
    yield* Effect.sleep("40 millis")
    if (to === "full@example.org") return yield* new MailboxFull({ to })
    yield* Console.log(`  mail to ${to} sent, attempt ${attempt}`)
  }),
  { timeout: "1 second", retry: Schedule.spaced("10 millis").pipe(Schedule.upTo({ times: 2 })) }
)

const WarehouseHandler = CallWarehouse.toLayer(({ order }) => Console.log(`  warehouse called for ${order}`))

// The warehouse has to know before the customer hears "thank you"; mails can take their time, two at once.
const Live = SideEffects.LiveLayer(Shop, {
  dispatcher: Dispatcher.route([
    ["shop:warehouse", Dispatcher.inline()],
    ["**", Dispatcher.background({ concurrency: 2, capacity: 100, gracePeriod: "5 seconds" })]
  ])
}).pipe(Layer.provide([MailHandler, WarehouseHandler]))

const checkout = Effect.fn("checkout")(function*(order: string, to: string) {
  yield* SideEffects.enqueue(SendMail, { to })
  yield* SideEffects.enqueue(CallWarehouse, { order })
}, SideEffects.boundary({ name: "checkout" }))

const PlainLog = Logger.layer([
  Logger.withConsoleLog(Logger.make(({ message }) => `  log: ${String(message).replace(/ \(intent .*/, "")}`))
])

export const program = Effect.gen(function*() {
  yield* checkout("order 1", "ada@example.org")
  yield* checkout("order 2", "full@example.org")
  yield* checkout("order 3", "grace@example.org")
  yield* Console.log("3 customers thanked")

  // For a script or a test that wants to see the end of it. A server would just go on.
  yield* SideEffects.drain
  yield* Console.log("everything is done")

  yield* checkout("order 4", "edsger@example.org")
  yield* Console.log("closing the layer, with a mail underway")
}).pipe(
  Effect.provide(Live),
  Effect.andThen(Console.log("closed: nothing was lost")),
  Effect.provide(PlainLog)
)

if (import.meta.main) Effect.runPromise(program)
