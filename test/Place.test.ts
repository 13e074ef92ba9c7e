import { assert, describe, it } from "@effect/vitest"
import { Event, Policy, SideEffectGroup, SideEffects } from "effect-side-effects"
import { capture } from "effect-side-effects/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import { logs, Mail, mail, Ping, Push, push, shop } from "./fixtures.ts"

class Placed extends Event.make("orders:order:placed", { description: "An order was placed." }) {}

const Orders = SideEffectGroup.make("orders").on(Placed, Ping)

/** A service that captures its context when it is built, as those do whose methods show no requirements. */
class Post extends Context.Service<Post, { readonly send: (id: string) => Effect.Effect<unknown> }>()("test/Post") {
  static readonly layer = Layer.effect(
    Post,
    Effect.contextWith((context: Context.Context<SideEffects.SideEffects<"orders:mail:send">>) =>
      Effect.succeed(Post.of({ send: (id) => Effect.provideContext(mail(id), context) }))
    )
  )
}

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const spanOf = (sampled: boolean, id = traceId) =>
  Tracer.externalSpan({ traceId: id, spanId: "00f067aa0ba902b7", sampled })

describe("Place", () => {
  describe("the origin", () => {
    it.effect("is that of the innermost boundary which has one, unless the call says another", () =>
      Effect.gen(function*() {
        const origins: Array<unknown> = []
        const note = (wish: Effect.Effect<{ readonly origin: unknown }, never, SideEffects.SideEffects<any>>) =>
          Effect.map(wish, ({ origin }) => void origins.push(origin))
        yield* SideEffects.boundary(
          Effect.gen(function*() {
            yield* note(mail("1"))
            yield* note(SideEffects.enqueue(Mail, { id: "2" }, { origin: "told", delay: "1 second" }))
            yield* note(SideEffects.enqueue(Mail, { id: "3" }, { delay: "1 second", metadata: { kept: true } }))
            yield* SideEffects.boundary(note(mail("4")))
            yield* SideEffects.boundary(note(mail("5")), { origin: "step" })
            yield* SideEffects.boundary(note(mail("6")), { detached: true })
            yield* SideEffects.withPolicy(note(mail("7")), Policy.allowAll)
            const unit = yield* SideEffects.open()
            yield* unit.run(note(mail("8")))
            yield* unit.release
          }),
          { origin: "job" }
        )
        yield* note(mail("9"))
        assert.deepStrictEqual(
          origins,
          ["job", "told", "job", "job", "step", "job", "job", "job", undefined]
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("of a function is asked for each intent", () =>
      Effect.gen(function*() {
        let n = 0
        const intents = yield* SideEffects.boundary(Effect.all([mail("1"), push("2")]), { origin: () => `job ${++n}` })
        assert.deepStrictEqual(intents.map(({ origin }) => origin), ["job 1", "job 2"])
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("of an event leads on from what follows from it", () =>
      Effect.gen(function*() {
        const [event, intents] = yield* SideEffects.boundary(
          Effect.all([SideEffects.emit(Placed), SideEffects.intents]),
          { origin: "job" }
        )
        assert.strictEqual(event.origin, "job")
        assert.deepStrictEqual(JSON.parse(JSON.stringify(event)), {
          _id: "Event",
          name: "orders:order:placed",
          origin: "job"
        })
        assert.strictEqual(intents[0]?.origin, event)
        assert.strictEqual((yield* SideEffects.emit(Placed)).origin, undefined)
      }).pipe(Effect.provide(SideEffects.TestLayerFor(Orders))))
  })

  describe("the trace", () => {
    it.effect("of an intent is the span that it was enqueued in", () =>
      Effect.gen(function*() {
        const within = (span: Tracer.AnySpan) =>
          Effect.map(Effect.withParentSpan(mail("1"), span), (i) => i.traceparent)
        assert.strictEqual(yield* within(spanOf(true)), `00-${traceId}-00f067aa0ba902b7-01`)
        assert.strictEqual(yield* within(spanOf(false)), `00-${traceId}-00f067aa0ba902b7-00`)
        assert.strictEqual(yield* within(spanOf(true, "no w3c")), undefined)
        assert.strictEqual((yield* mail("2")).traceparent, undefined)
        const [intent, span] = yield* Effect.withSpan(Effect.all([push("3"), Effect.currentSpan]), "work")
        assert.strictEqual(intent.traceparent, `00-${span.traceId}-${span.spanId}-01`)
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    it.effect("of what follows from an event is the span that it was emitted in", () =>
      Effect.gen(function*() {
        const intents = yield* SideEffects.boundary(
          Effect.andThen(Effect.withParentSpan(SideEffects.emit(Placed), spanOf(true)), SideEffects.intents)
        )
        assert.deepStrictEqual(intents.map(({ traceparent }) => traceparent), [`00-${traceId}-00f067aa0ba902b7-01`])
      }).pipe(Effect.provide(SideEffects.TestLayerFor(Orders))))
  })

  describe("a service that captured its context when it was built", () => {
    const built = () => {
      const { calls, layer } = shop()
      const { layer: logging, lines } = logs()
      return { calls, lines, layer: Post.layer.pipe(Layer.provideMerge(layer), Layer.provideMerge(logging)) }
    }
    const send = (id: string) => Effect.flatMap(Post, (post) => post.send(id))

    it.effect("enqueues into the boundary of its caller", () => {
      const { calls, layer, lines } = built()
      return Effect.gen(function*() {
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(send("1"), Effect.fail("no"))))
        assert.deepStrictEqual(calls, [])
        yield* SideEffects.boundary(
          Effect.gen(function*() {
            yield* send("2")
            yield* Fiber.join(yield* Effect.forkChild(SideEffects.boundary(send("3"))))
            assert.deepStrictEqual(calls, [])
          })
        )
        assert.deepStrictEqual(calls, ["mail:2", "mail:3"])
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.provide(layer))
    })

    it.effect("opens a boundary inside that of its caller", () => {
      const { calls, layer } = built()
      return Effect.gen(function*() {
        const context = yield* Effect.context<SideEffects.SideEffects<"orders:mail:send">>()
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(
          Effect.provideContext(SideEffects.boundary(mail("1")), context),
          Effect.fail("no")
        )))
        assert.deepStrictEqual(calls, [])
      }).pipe(Effect.provide(layer))
    })

    it.effect("is outside where its caller is", () => {
      const { calls, layer, lines } = built()
      return Effect.gen(function*() {
        yield* send("1")
        assert.deepStrictEqual(calls, ["mail:1"])
        assert.match(lines[0] ?? "", /WARN Side effect "orders:mail:send" was enqueued outside a boundary/)
      }).pipe(Effect.provide(layer))
    })

    it.effect("performs nothing in a plan, and is captured in a capture", () => {
      const { calls, layer, lines } = built()
      return Effect.gen(function*() {
        const { intents } = yield* SideEffects.plan(send("1"))
        assert.deepStrictEqual(intents.map(({ payload }) => payload), [{ id: "1" }])
        const inside = yield* SideEffects.plan(SideEffects.boundary(Effect.andThen(send("2"), mail("3"))))
        assert.deepStrictEqual(inside.intents.map(({ payload }) => payload), [{ id: "2" }, { id: "3" }])
        const context = yield* Effect.context<SideEffects.SideEffects<"orders:mail:send">>()
        const planning = Effect.provideContext(SideEffects.plan(mail("4")), context)
        const { intents: blocked } = yield* SideEffects.boundary(planning, { policy: Policy.block("**:mail:**") })
        assert.deepStrictEqual(blocked, [])
        const { released } = yield* capture(send("5"))
        assert.lengthOf(released, 1)
        assert.deepStrictEqual([calls, lines], [[], []])
      }).pipe(Effect.provide(layer))
    })

    it.effect("is in the boundary of its own layer, with one of another layer in between", () => {
      const { calls, layer } = built()
      const other = shop()
      return Effect.gen(function*() {
        const inner = SideEffects.boundary(Effect.andThen(send("1"), mail("2"))).pipe(Effect.provide(other.layer))
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(inner, Effect.fail("no"))))
        assert.deepStrictEqual([calls, other.calls], [[], ["mail:2"]])
        yield* SideEffects.boundary(inner)
        assert.deepStrictEqual(calls, ["mail:1"])
      }).pipe(Effect.provide(layer))
    })

    it.effect("is not drawn into a boundary of another layer", () => {
      const { calls, layer } = built()
      return Effect.gen(function*() {
        // The test's own layer is around; what Post was built with is another one.
        yield* Effect.exit(
          SideEffects.boundary(Effect.andThen(send("1"), Effect.fail("no"))).pipe(Effect.provide(SideEffects.TestLayer))
        )
        assert.deepStrictEqual(calls, ["mail:1"])
      }).pipe(Effect.provide(layer))
    })

    it.effect("is in none of the boundaries that dispatch a handler", () => {
      const calls: Array<string> = []
      const { layer: logging, lines } = logs()
      const Group = SideEffectGroup.make("group").add(Mail, Push)
      const handlers = Group.toLayer({
        "orders:push:notify": () => Effect.suspend(() => captured),
        "orders:mail:send": ({ id }) => Effect.sync(() => void calls.push(id))
      })
      let captured: Effect.Effect<unknown> = Effect.die("not built")
      const layer = SideEffects.LiveLayer(Group).pipe(Layer.provide(handlers), Layer.provideMerge(logging))
      return Effect.gen(function*() {
        captured = Effect.provideContext(mail("1"), yield* Effect.context<SideEffects.SideEffects<any>>())
        yield* SideEffects.boundary(
          Effect.gen(function*() {
            yield* SideEffects.boundary(push("2"))
            assert.deepStrictEqual(calls, ["1"])
          }),
          { nested: "release" }
        )
        assert.match(lines.join("\n"), /outside a boundary/)
      }).pipe(Effect.provide(layer))
    })
  })
})
