/**
 * The way in from old code: a promise function becomes a side effect, and its callers stay as they are. Inside a boundary
 * they enqueue, and are told once what to write instead; outside, all is as it was.
 */
import { type Cause, Console, Effect, Layer } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { setImmediate } from "node:timers/promises"

const sent: Array<string> = []

// --- how it was ---

const sendWelcomeByMail = async (to: string) => {
  await setImmediate()
  sent.push(`welcome to ${to}`)
  return `message ${sent.length}`
}

// --- what is new: its wrapper, exported under the old name ---

const welcome = SideEffect.fromFunction("accounts:mail:welcome", sendWelcomeByMail, {
  description: "Email a new customer a welcome.",
  deprecation: "yield* SideEffects.enqueue(SendWelcome, { to })",
  idempotencyKey: ([to]) => to
})
const sendWelcome = welcome.call

const Accounts = SideEffectGroup.make("accounts").add(welcome.definition)
const Live = SideEffects.LiveLayer(Accounts).pipe(Layer.provide(welcome.layer))

// --- a caller that knows nothing of Effect, before and after ---

const signUp = async (name: string) => {
  await setImmediate()
  const message = await sendWelcome(`${name}@example.org`)
  await setImmediate()
  if (name === "eve") throw new Error("the address of eve is taken")
  return message
}

const report = Effect.fnUntraced(
  function*<R>(title: string, signingUp: Effect.Effect<string | undefined, Cause.UnknownError, R>) {
    yield* Console.log(`${title}:`)
    const before = sent.length
    const line = yield* signingUp.pipe(
      Effect.map((message) => `signed up: ${message ?? "enqueued"}`),
      Effect.catch(({ cause }) => Effect.succeed(String(cause)))
    )
    return { line, arrived: sent.slice(before) }
  }
)

const old = (name: string) => Effect.tryPromise(() => signUp(name))

export const program = Effect.gen(function*() {
  const outside = yield* report("outside a boundary", old("ada"))
  for (const mail of outside.arrived) yield* Console.log(`  -> ${mail}`)
  yield* Console.log(`  ${outside.line}`)

  // The boundary knows the call behind the await as well.
  const inside = yield* report("inside a boundary", SideEffects.boundary(old("bob")))
  yield* Console.log(`  ${inside.line}`)
  for (const mail of inside.arrived) yield* Console.log(`  -> ${mail}`)

  const failing = yield* report("inside a boundary that fails", SideEffects.boundary(old("eve")))
  yield* Console.log(`  ${failing.line}`)
  for (const mail of failing.arrived) yield* Console.log(`  -> ${mail}`)
}).pipe(Effect.provide(Live))

if (import.meta.main) Effect.runPromise(program)
