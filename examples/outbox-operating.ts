/**
 * Operating the outbox: looking into it, stopping and starting, mending a payload, doing something once more.
 *
 * This is the service for an admin page of your own. On the command line, `side-effects outbox` does the same.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox } from "effect-side-effects/outbox"

class SendInvoice extends SideEffect.make("billing:mail:invoice", {
  description: "Email an invoice to a customer.",
  payload: { invoice: Schema.Int, to: Schema.String.check(Schema.isPattern(/@/, { message: "Expected an address" })) }
}) {}

class BookInvoice extends SideEffect.make("billing:ledger:book", {
  description: "Book an invoice in the ledger.",
  payload: { invoice: Schema.Int }
}) {}

const Billing = SideEffectGroup.make("billing").add(SendInvoice, BookInvoice)

class MailboxUnknown extends Schema.TaggedError<MailboxUnknown>()("MailboxUnknown", { to: Schema.String }) {
  override get message() {
    return `there is no mailbox ${this.to}`
  }
}

const Handlers = Billing.toLayer({
  "billing:mail:invoice": SendInvoice.handler(
    ({ invoice, to }) =>
      to.endsWith(".test") ? new MailboxUnknown({ to }) : Console.log(`  -> invoice ${invoice} mailed to ${to}`),
    { maxAttempts: 1 }
  ),
  "billing:ledger:book": ({ invoice }) => Console.log(`  -> invoice ${invoice} booked`)
})

const bill = Effect.fn("bill")(function*(invoice: number, to: string) {
  yield* SideEffects.enqueue(SendInvoice, { invoice, to })
  yield* SideEffects.enqueue(BookInvoice, { invoice })
}, SideEffects.boundary())

const Services = Layer.mergeAll(
  SideEffects.LiveLayer(Billing, { dispatcher: Outbox.dispatcher() }),
  // The group is what edited payloads are checked against.
  Outbox.layer(Billing),
  Handlers
).pipe(Layer.provideMerge(MemoryOutboxStore.layer))

// Performs what is due, here and now. In production a worker does, all the time.
const perform = Outbox.drain(Billing)

export const program = Effect.gen(function*() {
  const outbox = yield* Outbox.Outbox

  yield* Console.log("The mail provider is in trouble, so mails are stopped. They are still accepted:")
  yield* outbox.pause({ kind: "name", what: "billing:mail:*" })
  yield* bill(1, "ada@example.org")
  yield* bill(2, "grace@mistyped.test")
  yield* perform
  for (const { count, name, state } of yield* outbox.counts) yield* Console.log(`  ${count} ${state} ${name}`)

  yield* Console.log("Back to normal:")
  yield* outbox.resume({ kind: "name", what: "billing:mail:*" })
  yield* perform

  yield* Console.log("One is dead, and says why:")
  const [dead] = yield* outbox.list({ states: ["dead"], names: ["billing:mail:*"] })
  const { error, id, payload, reason } = dead!
  yield* Console.log(`  ${reason}, ${payload}\n  ${error?.split("\n", 1)}`)

  yield* Console.log("Its payload is edited, against the schema, and it gets another try:")
  yield* outbox.edit(id, { invoice: 2, to: "grace" }).pipe(
    Effect.catchTag("EditRefused", ({ problem }) => Console.log(`  refused: ${problem.replaceAll("\n", " ")}`))
  )
  yield* outbox.edit(id, { invoice: 2, to: "grace@example.org" })
  yield* outbox.retry({ ids: [id] })
  yield* perform

  yield* Console.log("Ada has lost her invoice, and wants it once more:")
  const done = { states: ["done"], names: ["billing:mail:*"], payload: [{ path: ["invoice"], equals: "1" }] } as const
  yield* outbox.replay(done)
  yield* perform
  const [copy, original] = yield* outbox.list(done)
  yield* Console.log(`  the new entry names the one it repeats: ${copy?.replayOf === original?.id}`)

  yield* Console.log("What is wrong in general, and what to do about it:")
  yield* bill(3, "alan@example.org")
  for (const { remedy, severity, what } of yield* outbox.doctor) {
    yield* Console.log(`  ${severity}: ${what}\n    ${remedy}`)
  }
}).pipe(Effect.provide(Services))

if (import.meta.main) Effect.runPromise(program)
