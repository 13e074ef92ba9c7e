import { assert, describe, it } from "@effect/vitest"
import { Policy, SideEffect, SideEffects } from "effect-side-effects"
import {
  capture,
  drain,
  enqueued,
  type ExpectationFailed,
  expectEnqueued,
  expectNotEnqueued,
  expectNothing,
  expectOrder,
  Recorder
} from "effect-side-effects/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Mail, mail, Ping, Push, push } from "./../fixtures.ts"

class Invoice extends SideEffect.make("billing:invoice:send", {
  description: "Send an invoice.",
  payload: {
    to: Schema.String,
    lines: Schema.Array(Schema.Struct({ sku: Schema.String, amount: Schema.Number })),
    address: Schema.Struct({ city: Schema.String, zip: Schema.String })
  }
}) {}

const invoice = (to: string, city: string, amount = 1) =>
  SideEffects.enqueue(Invoice, { to, lines: [{ sku: "a", amount }], address: { city, zip: "1000" } })

/** The message of a failed expectation. */
const messageOf = <A, R>(expectation: Effect.Effect<A, ExpectationFailed, R>) =>
  Effect.map(Effect.flip(expectation), (error) => error.message)

const lines = (...text: ReadonlyArray<string>) => text.join("\n")

describe("the test kit", () => {
  describe("expectEnqueued", () => {
    it.effect("finds by definition, by part of a payload, by predicate, and counts", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([invoice("ada", "Bern"), invoice("bob", "Basel"), mail("1")]))
        assert.strictEqual((yield* expectEnqueued(Invoice)).length, 2)
        const [found] = yield* expectEnqueued(Invoice, { address: { city: "Basel" } }, { times: 1 })
        assert.strictEqual(found?.payload.to, "bob")
        yield* expectEnqueued(Invoice, { lines: [{ sku: "a" }] }, { times: 2 })
        yield* expectEnqueued(Invoice, (payload, { name }) => payload.to === "ada" && name.startsWith("billing"))
        yield* expectEnqueued(Ping, undefined, { times: 0 })
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("nothing was enqueued", () =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail, { id: "1" })),
          lines(
            "Expected side effect \"orders:mail:send\" to be enqueued with",
            "  {\"id\":\"1\"}",
            "but nothing was enqueued."
          )
        )
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail)),
          lines("Expected side effect \"orders:mail:send\" to be enqueued", "but nothing was enqueued.")
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("nothing of that kind was, these were", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([push("1"), SideEffects.enqueue(Ping)]))
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail, { id: "1" })),
          lines(
            "Expected side effect \"orders:mail:send\" to be enqueued with",
            "  {\"id\":\"1\"}",
            "but nothing of that kind escaped. These would have escaped:",
            "  orders:push:notify {\"id\":\"1\"}",
            "  monitor:ping undefined"
          )
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("these are the nearest, with a diff", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([invoice("ada", "Bern"), invoice("bob", "Basel", 7), mail("1")]))
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Invoice, { to: "bob", lines: [{ amount: 8 }], address: { city: "Basel" } })),
          lines(
            "Expected side effect \"billing:invoice:send\" to be enqueued with",
            "  {\"to\":\"bob\",\"lines\":[{\"amount\":8}],\"address\":{\"city\":\"Basel\"}}",
            "but none that escaped matches. The nearest of 2 of that kind (- expected, + enqueued):",
            "    {",
            "      \"to\": \"bob\",",
            "  -   \"lines\": [{\"amount\":8}],",
            "  +   \"lines\": [{\"amount\":7}],",
            "      \"address\": {\"city\":\"Basel\"}",
            "    }"
          )
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("the only one of that kind", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(mail("1"))
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail, { id: "2" })),
          lines(
            "Expected side effect \"orders:mail:send\" to be enqueued with",
            "  {\"id\":\"2\"}",
            "but none that escaped matches. The only one of that kind (- expected, + enqueued):",
            "  - {\"id\":\"2\"}",
            "  + {\"id\":\"1\"}"
          )
        )
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail, ({ id }) => id === "2")),
          lines(
            "Expected side effect \"orders:mail:send\" to be enqueued with a payload that satisfies the predicate",
            "but none of these does:",
            "  orders:mail:send {\"id\":\"1\"}"
          )
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("names what matches and did not escape, and why", () =>
      Effect.gen(function*() {
        yield* Effect.exit(
          SideEffects.boundary(Effect.andThen(mail("1"), Effect.fail("out of stock")), { name: "checkout" })
        )
        yield* SideEffects.boundary(mail("1"), { policy: Policy.block("**:mail:**") })
        const unit = yield* SideEffects.open()
        yield* unit.run(mail("1"))
        yield* unit.run(mail("2"))
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail, { id: "1" })),
          lines(
            "Expected side effect \"orders:mail:send\" to be enqueued with",
            "  {\"id\":\"1\"}",
            "but nothing escaped.",
            "It was enqueued, but did not escape:",
            "  {\"id\":\"1\"}",
            "    discarded: boundary \"checkout\" failed with \"out of stock\"",
            "  {\"id\":\"1\"}",
            "    dropped by policy block(\"**:mail:**\"): it is blocked",
            "  {\"id\":\"1\"}",
            "    still waits: its boundary has not ended"
          )
        )
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Ping)),
          lines(
            "Expected side effect \"monitor:ping\" to be enqueued",
            "but nothing escaped.",
            "These were enqueued, but did not escape:",
            "  {\"id\":\"1\"}",
            "    discarded: boundary \"checkout\" failed with \"out of stock\"",
            "  {\"id\":\"1\"}",
            "    dropped by policy block(\"**:mail:**\"): it is blocked",
            "  {\"id\":\"1\"}",
            "    still waits: its boundary has not ended",
            "  {\"id\":\"2\"}",
            "    still waits: its boundary has not ended"
          )
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("too many, too few", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.andThen(mail("1"), mail("2")))
        yield* SideEffects.boundary(Effect.andThen(mail("3"), mail("3")), { policy: Policy.dedupe() })
        const [, third] = yield* (yield* Recorder).intents
        assert.strictEqual(
          yield* messageOf(expectEnqueued(Mail, undefined, { times: 1 })),
          lines(
            "Expected side effect \"orders:mail:send\" to be enqueued 1 time",
            "but it would have escaped 3 times:",
            "  orders:mail:send {\"id\":\"1\"}",
            "  orders:mail:send {\"id\":\"2\"}",
            "  orders:mail:send {\"id\":\"3\"}",
            "It was also enqueued, but did not escape:",
            "  {\"id\":\"3\"}",
            `    deduplicated by policy dedupe: the same as intent ${(yield* (yield* Recorder).intents)[2]!.id}`
          )
        )
        assert.strictEqual(third?.payload.id, "2")
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("shows twenty of many", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.forEach(Array.from({ length: 25 }), () => push("1")))
        assert.match(yield* messageOf(expectEnqueued(Mail)), /\n {2}and 5 more$/)
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("does not show what is redacted", () =>
      Effect.gen(function*() {
        class Login extends SideEffect.make("login", {
          description: "Log in.",
          payload: { user: Schema.String, password: Schema.Redacted(Schema.String) }
        }) {}
        const layer = SideEffects.TestLayer
        const text = yield* Effect.gen(function*() {
          const exit = yield* Effect.exit(
            SideEffects.enqueue(Login, { user: "ada", password: Redacted.make("secret") })
          )
          return String(exit) + (yield* messageOf(expectEnqueued(Ping)))
        }).pipe(Effect.provide(layer))
        assert.notInclude(text, "secret")
      }))
  })

  it.effect("a failure points to the line of the test", () =>
    Effect.gen(function*() {
      const { stack } = yield* Effect.flip(expectEnqueued(Mail))
      const frame = stack!.split("\n").find((line) => line.startsWith("    at "))
      assert.match(frame!, /Testing\.test\.ts/)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("expectNotEnqueued and expectNothing", () =>
    Effect.gen(function*() {
      yield* expectNothing
      yield* SideEffects.boundary(mail("1"), { policy: Policy.dropAll })
      yield* expectNothing
      yield* SideEffects.boundary(Effect.andThen(mail("2"), push("3")))
      yield* expectNotEnqueued(Ping)
      yield* expectNotEnqueued(Mail, { id: "1" })
      assert.strictEqual(
        yield* messageOf(expectNotEnqueued(Mail, { id: "2" })),
        lines(
          "Expected side effect \"orders:mail:send\" not to be enqueued with",
          "  {\"id\":\"2\"}",
          "but it would have escaped 1 time:",
          "  orders:mail:send {\"id\":\"2\"}"
        )
      )
      assert.strictEqual(
        yield* messageOf(expectNothing),
        lines(
          "Expected no side effects, but 2 would have escaped:",
          "  orders:mail:send {\"id\":\"2\"}",
          "  orders:push:notify {\"id\":\"3\"}"
        )
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("expectOrder", () =>
    Effect.gen(function*() {
      yield* expectOrder([])
      assert.strictEqual(
        yield* messageOf(expectOrder([Mail])),
        lines(
          "Expected side effects to escape in this order:",
          "  orders:mail:send",
          "but there is no \"orders:mail:send\". Nothing would have escaped."
        )
      )
      yield* SideEffects.boundary(Effect.all([mail("1"), SideEffects.enqueue(Ping), push("2")]))
      yield* expectOrder([Mail, Push])
      yield* expectOrder([Mail, Ping, Push])
      assert.strictEqual(
        yield* messageOf(expectOrder([Push, Mail])),
        lines(
          "Expected side effects to escape in this order:",
          "  orders:push:notify",
          "  orders:mail:send",
          "but there is no \"orders:mail:send\" after \"orders:push:notify\". They would have escaped in this order:",
          "  orders:mail:send",
          "  monitor:ping",
          "  orders:push:notify"
        )
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("enqueued returns typed payloads", () =>
    Effect.gen(function*() {
      yield* SideEffects.boundary(Effect.all([mail("1"), push("2"), mail("3")]))
      const payloads: ReadonlyArray<{ readonly id: string }> = yield* enqueued(Mail)
      assert.deepStrictEqual(payloads, [{ id: "1" }, { id: "3" }])
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("capture says what became of the side effects of an effect", () =>
    Effect.gen(function*() {
      const { discarded, dropped, exit, released } = yield* capture(Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([mail("1"), mail("1"), push("2")]), {
          policy: Policy.all(Policy.dedupe(), Policy.block(Push))
        })
        return yield* SideEffects.boundary(Effect.andThen(mail("3"), Effect.fail("no")))
      }))
      const ids = (intents: typeof released) => intents.map(({ name, payload }) => `${name} ${payload.id}`)
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(ids(released), ["orders:mail:send 1"])
      assert.deepStrictEqual(ids(dropped), ["orders:mail:send 1", "orders:push:notify 2"])
      assert.deepStrictEqual(ids(discarded), ["orders:mail:send 3"])
    }))

  describe("drain", () => {
    const done: Array<string> = []
    const handlers = Layer.mergeAll(
      Mail.toLayer(({ id }, { attempt, idempotencyKey }) =>
        Effect.gen(function*() {
          done.push(`mail ${id} ${attempt}`)
          if (id === "again" && attempt < 3) return yield* Effect.fail("again")
          if (id === "bad") return yield* Effect.fail("bad")
          if (id === "snooze" && done.filter((line) => line.includes("snooze")).length === 1) {
            return yield* SideEffect.snooze("1 hour")
          }
          if (id === "cancel") return yield* SideEffect.cancel("not wanted")
          if (id === "parent") yield* SideEffects.enqueue(Push, { id: idempotencyKey })
        }), { retry: { schedule: Schedule.spaced("1 hour"), while: (error) => error === "again" } }),
      Push.toLayer(({ id }) => Effect.sync(() => done.push(`push ${id}`)))
    )
    const drained = <A, E>(test: Effect.Effect<A, E, SideEffects.SideEffects<any> | Recorder>) =>
      Effect.suspend(() => {
        done.length = 0
        return Effect.provide(test, Layer.mergeAll(handlers, SideEffects.TestLayer))
      })
    const names = (intents: ReadonlyArray<{ readonly payload: any }>) => intents.map(({ payload }) => payload.id)

    it.effect("performs what was recorded, once, and retries without waiting", () =>
      drained(Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([mail("1"), mail("again"), mail("bad"), mail("cancel")]))
        yield* SideEffects.boundary(push("dropped"), { policy: Policy.dropAll })
        const { cancelled, failed, performed } = yield* drain()
        assert.deepStrictEqual(done, [
          "mail 1 1",
          "mail again 1",
          "mail again 2",
          "mail again 3",
          "mail bad 1",
          "mail cancel 1"
        ])
        assert.deepStrictEqual(names(performed), ["1", "again"])
        assert.deepStrictEqual(failed.map(({ intent }) => intent.payload.id), ["bad"])
        assert.deepStrictEqual(cancelled.map(({ reason }) => reason), ["cancelled: not wanted"])
        assert.deepStrictEqual((yield* drain()).performed, [])
      })))

    it.effect("recursive also performs what handlers enqueue", () =>
      drained(Effect.gen(function*() {
        yield* SideEffects.boundary(mail("parent"))
        assert.deepStrictEqual(names((yield* drain()).performed), ["parent"])
        assert.deepStrictEqual(done, ["mail parent 1"])
        yield* expectEnqueued(Push, { id: "parent" })
        assert.deepStrictEqual(names((yield* drain({ recursive: true })).performed), ["parent"])
        assert.deepStrictEqual(done, ["mail parent 1", "push parent"])
        yield* SideEffects.boundary(mail("parent"))
        assert.strictEqual((yield* drain({ recursive: true })).performed.length, 2)
      })))

    it.effect("until leaves alone what is delayed for longer", () =>
      drained(Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([
          SideEffects.enqueue(Push, { id: "soon" }, { delay: "1 minute" }),
          SideEffects.enqueue(Push, { id: "late" }, { delay: "1 day" })
        ]))
        assert.deepStrictEqual(names((yield* drain({ until: "1 hour" })).performed), ["soon"])
        assert.deepStrictEqual(names((yield* drain()).performed), ["late"])
      })))

    it.effect("a snoozed intent is left for the next time", () =>
      drained(Effect.gen(function*() {
        yield* SideEffects.boundary(mail("snooze"))
        const first = yield* drain({ recursive: true })
        assert.deepStrictEqual([names(first.snoozed), names(first.performed)], [["snooze"], []])
        assert.deepStrictEqual(names((yield* drain()).performed), ["snooze"])
      })))

    it.effect("rethrow dies with what failed", () =>
      drained(Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.andThen(mail("bad"), push("1")))
        const exit = yield* Effect.exit(drain({ rethrow: true }))
        assert.match(String(exit), /1 of 2 side effects failed:\n- orders:mail:send/)
      })))

    it.effect("names a handler that is missing", () =>
      drained(Effect.gen(function*() {
        yield* SideEffects.boundary(SideEffects.enqueue(Ping))
        assert.match(
          String(yield* Effect.exit(drain())),
          /drain has no handler for side effect "monitor:ping"\. Provide the layer made by its toLayer beside TestLayer\./
        )
      })))
  })
})
