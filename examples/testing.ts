/**
 * Testing: asks what would have left a program, and gets told why when that is not what was expected.
 *
 * Here the tests are a list, so that this file runs by itself. With `@effect/vitest` each of them is
 * `it.effect("sends one welcome", () => test.pipe(Effect.provide(SideEffects.TestLayer)))`.
 */
import { Console, Effect, Schema } from "effect"
import { SideEffect, SideEffects } from "effect-side-effects"
import { capture, drain, enqueued, expectEnqueued, expectNothing, expectOrder } from "effect-side-effects/testing"
import assert from "node:assert/strict"

class SendWelcome extends SideEffect.make("accounts:mail:send-welcome", {
  description: "Email a new customer a welcome.",
  payload: { to: Schema.String, language: Schema.Literals(["en", "pt"]) }
}) {}

class AddToNewsletter extends SideEffect.make("accounts:newsletter:add", {
  description: "Add the customer to the newsletter.",
  payload: { email: Schema.String }
}) {}

class AddressTaken extends Schema.TaggedError<AddressTaken>()("AddressTaken", { email: Schema.String }) {}

// The code under test. It is the code of production: nothing is mocked, and no client has to be replaced.
const signUp = Effect.fn("signUp")(function*(email: string) {
  yield* SideEffects.enqueue(SendWelcome, { to: email, language: "en" })
  yield* SideEffects.enqueue(AddToNewsletter, { email })
  if (email === "taken@example.org") return yield* new AddressTaken({ email })
}, SideEffects.boundary({ name: "sign-up" }))

const sendsOneWelcome = Effect.gen(function*() {
  yield* signUp("ada@example.org")
  // A part of the payload is enough. The type knows which parts there are.
  yield* expectEnqueued(SendWelcome, { to: "ada@example.org" }, { times: 1 })
  yield* expectOrder([SendWelcome, AddToNewsletter])
  // For everything else: the payloads themselves.
  const [payload] = yield* enqueued(SendWelcome)
  assert.equal(payload?.language, "en")
})

const sendsNothingWhenTaken = Effect.gen(function*() {
  yield* Effect.ignore(signUp("taken@example.org"))
  yield* expectNothing
})

const tellsApartWhatHappened = Effect.gen(function*() {
  const { discarded, exit, released } = yield* capture(signUp("taken@example.org"))
  assert.equal(exit._tag, "Failure")
  assert.equal(released.length, 0)
  assert.equal(discarded.length, 2)
})

// The handlers can be tried, too: `drain` performs what was recorded, with whatever services the test provides.
const handlersWork = Effect.gen(function*() {
  const sent: Array<string> = []
  yield* signUp("ada@example.org")
  const { performed } = yield* drain().pipe(
    Effect.provide([
      SendWelcome.toLayer(({ to }) => Effect.sync(() => sent.push(to))),
      AddToNewsletter.toLayer(() => Effect.void)
    ])
  )
  assert.equal(performed.length, 2)
  assert.deepEqual(sent, ["ada@example.org"])
})

// Two tests that are wrong on purpose, to see what they say: the nearest payload, and why nothing escaped.
const expectsPortuguese = Effect.gen(function*() {
  yield* signUp("ada@example.org")
  yield* expectEnqueued(SendWelcome, { to: "ada@example.org", language: "pt" })
})

const expectsMailToTaken = Effect.gen(function*() {
  yield* Effect.ignore(signUp("taken@example.org"))
  yield* expectEnqueued(SendWelcome)
})

const tests = {
  "sends one welcome": sendsOneWelcome,
  "sends nothing when the address is taken": sendsNothingWhenTaken,
  "tells apart what happened": tellsApartWhatHappened,
  "the handlers work": handlersWork,
  "(wrong on purpose) the welcome is in Portuguese": expectsPortuguese,
  "(wrong on purpose) a taken address gets a welcome": expectsMailToTaken
}

export const program = Effect.forEach(
  Object.entries(tests),
  ([name, test]) =>
    test.pipe(
      // Each test gets a recorder of its own.
      Effect.provide(SideEffects.TestLayer),
      Effect.matchEffect({
        onSuccess: () => Console.log(`ok      ${name}`),
        onFailure: ({ message }) => Console.log(`\nFAILED  ${name}\n${message}`)
      })
    ),
  { discard: true }
)

if (import.meta.main) Effect.runPromise(program)
