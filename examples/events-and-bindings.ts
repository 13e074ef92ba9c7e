/**
 * Events and bindings: the code says what has happened, one place says what follows from it.
 *
 * `closeAccount` and `changeEmail` know nothing of mails or the CRM. The group does, and so its catalogue answers the
 * question "what happens when somebody closes an account?", also on the command line:
 *
 *     npx side-effects list --module examples/events-and-bindings.ts
 *     npx side-effects explain accounts:account:closed --module examples/events-and-bindings.ts
 */
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { Catalog, Event, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"

// What can happen in the domain: facts, in the past tense.

class AccountClosed extends Event.make("accounts:account:closed", {
  description: "A customer closed the account.",
  payload: { accountId: Schema.String, email: Schema.String, balance: Schema.Number }
}) {}

class EmailChanged extends Event.make("accounts:email:changed", {
  description: "A customer changed the address that we write to.",
  payload: { accountId: Schema.String, email: Schema.String, previous: Schema.String }
}) {}

// What can happen outside: actions.

class SendMail extends SideEffect.make("accounts:mail:send", {
  description: "Email a customer.",
  payload: { to: Schema.String, template: Schema.Literals(["goodbye", "address-changed"]) },
  defaults: { timeout: "10 seconds", retry: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 })) }
}) {}

class RefundBalance extends SideEffect.make("accounts:bank:refund", {
  description: "Transfer what is left on the account back to the customer.",
  payload: { accountId: Schema.String, amount: Schema.Number },
  idempotencyKey: ({ accountId }) => accountId
}) {}

class UpdateCrm extends SideEffect.make("crm:contact:update", {
  description: "Tell the CRM what has become of a contact.",
  payload: { accountId: Schema.String, note: Schema.String }
}) {}

// What follows from what. A mapping makes the payload of the side effect from that of the event; the compiler checks it.
export const Accounts = SideEffectGroup.make("accounts")
  .annotate(Catalog.Owner, "team accounts")
  .events(AccountClosed, EmailChanged)
  .on(AccountClosed, SendMail, ({ email }) => ({ to: email, template: "goodbye" }))
  .on(AccountClosed, RefundBalance, ({ accountId, balance }) => ({ accountId, amount: balance }), {
    when: ({ balance }) => balance > 0,
    // Before the mail that speaks of it.
    priority: 1
  })
  .on(EmailChanged, SendMail, ({ previous }) => ({ to: previous, template: "address-changed" }))
  // A pattern selects among the events above; the payload is the union of theirs.
  .on("accounts:**", UpdateCrm, ({ accountId }, event) => ({ accountId, note: event.name }))

// The domain. Its type names the events: Effect<void, never, SideEffects<"accounts:account:closed">>.

const closeAccount = Effect.fn("closeAccount")(
  function*(accountId: string, balance: number) {
    return { accountId, email: `${accountId}@example.org`, balance }
  },
  // After success, with the result and the arguments.
  SideEffects.emits(AccountClosed, (account) => account),
  SideEffects.boundary()
)

const changeEmail = Effect.fn("changeEmail")(function*(accountId: string, email: string) {
  if (!email.includes("@")) return yield* Effect.fail(`${email} is no address`)
  yield* SideEffects.emit(EmailChanged, { accountId, email, previous: `${accountId}@example.org` })
}, SideEffects.boundary())

const Handlers = Accounts.toLayer({
  "accounts:mail:send": ({ template, to }) => Console.log(`  mail "${template}" to ${to}`),
  "accounts:bank:refund": ({ accountId, amount }) => Console.log(`  refund ${amount} to ${accountId}`),
  "crm:contact:update": ({ accountId, note }) => Console.log(`  CRM: ${accountId}: ${note}`)
})

export const program = Effect.gen(function*() {
  yield* Console.log("Ada closes her account, with money on it:")
  yield* closeAccount("ada", 12)

  yield* Console.log("Grace closes hers, without:")
  yield* closeAccount("grace", 0)

  yield* Console.log("Linus mistypes his new address, so nothing has happened:")
  yield* Effect.ignore(changeEmail("linus", "linus at example.org"))

  yield* Console.log("A policy can keep in what follows from one event, and only that:")
  yield* changeEmail("mary", "mary@example.com").pipe(SideEffects.withPolicy(Policy.block(EmailChanged)))

  yield* Console.log("What would follow, without doing it:")
  const { events, intents } = yield* SideEffects.plan(closeAccount("joan", 5))
  for (const event of events) {
    yield* Console.log(`  ${event.name}`)
    for (const intent of intents) if (intent.origin === event) yield* Console.log(`    ${intent.name}`)
  }
}).pipe(Effect.provide(SideEffects.LiveLayer(Accounts).pipe(Layer.provide(Handlers))))

if (import.meta.main) Effect.runPromise(program)
