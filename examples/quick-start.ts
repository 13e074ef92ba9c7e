/** The smallest whole program: what can happen outside, who wishes for it, who performs it, and when it leaves. */
import { Console, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"

// A side effect has a name, a description and a payload. It does nothing by itself.
class SendWelcome extends SideEffect.make("accounts:mail:send-welcome", {
  description: "Email a new customer a welcome.",
  payload: { to: Schema.String }
}) {}

const Accounts = SideEffectGroup.make("accounts").add(SendWelcome)

// Domain code says what should happen. The boundary holds it back until the whole function has succeeded.
const signUp = Effect.fn("signUp")(function*(email: string) {
  yield* SideEffects.enqueue(SendWelcome, { to: email })
  yield* Console.log(`stored the account of ${email}`)
}, SideEffects.boundary())

// A handler performs it, and a layer decides that it really leaves. In a migration you would write
// `SideEffects.DropLayer` instead, in a test `SideEffects.TestLayer`.
const Handlers = SendWelcome.toLayer(({ to }) => Console.log(`mailed a welcome to ${to}`))
const Live = SideEffects.LiveLayer(Accounts).pipe(Layer.provide(Handlers))

export const program = signUp("ada@example.org").pipe(Effect.provide(Live))

if (import.meta.main) Effect.runPromise(program)
