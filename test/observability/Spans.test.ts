import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { logs } from "../fixtures.ts"
import { tracer, tree } from "./collecting.ts"

class Mail extends SideEffect.make("shop:mail", { description: "Email.", payload: { to: Schema.String } }) {}
class Push extends SideEffect.make("shop:push", { description: "Notify.", payload: { to: Schema.String } }) {}
const Shop = SideEffectGroup.make("shop").add(Mail, Push)

class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {}) {}

type Handle = (delivery: SideEffect.Delivery<any>) => Effect.Effect<unknown, unknown, any>

interface Setting {
  readonly dispatcher?: Dispatcher.Dispatcher<true> | undefined
  readonly policy?: Policy.Policy | undefined
  readonly push?: Handle | undefined
  readonly retry?: Schedule.Schedule<any, unknown> | undefined
  readonly observability?: Layer.Layer<never> | undefined
  readonly timeout?: number | undefined
}

const live = (mail: Handle, setting: Setting = {}): Layer.Layer<SideEffects.SideEffects<any>> =>
  SideEffects.LiveLayer(Shop, { dispatcher: setting.dispatcher, policy: setting.policy }).pipe(
    Layer.provide(Mail.toLayer((_, delivery) => mail(delivery as any), {
      retry: setting.retry ?? Schedule.recurs(1),
      timeout: setting.timeout
    })),
    Layer.provide(Push.toLayer((_, delivery) => setting.push?.(delivery as any) ?? Effect.void)),
    Layer.provide(setting.observability ?? Observability.layer())
  ) as Layer.Layer<any>

const mail = SideEffects.enqueue(Mail, { to: "ada" })
const push = SideEffects.enqueue(Push, { to: "ada" })
const boundary = SideEffects.boundary({ name: "checkout" })
const inRequest = Effect.withSpan("request")

/** Fails at the attempts that are named. */
const failingAt = (...attempts: ReadonlyArray<number>): Handle => ({ attempt }) =>
  attempts.includes(attempt) ? Effect.fail(new NoAnswer()) : Effect.void

const run = <A, E, R>(self: Effect.Effect<A, E, R>, layer: Layer.Layer<SideEffects.SideEffects<any>>) => {
  const tracing = tracer()
  return Effect.map(
    self.pipe(Effect.exit, Effect.provide(Layer.provideMerge(layer, Layer.merge(tracing.layer, logs().layer)))),
    (exit) => ({ ...tracing, exit, tree: tree(tracing.spans) })
  ) as Effect.Effect<ReturnType<typeof tracer> & { readonly exit: any; readonly tree: ReadonlyArray<string> }>
}

describe("Observability.layer: spans", () => {
  it.effect("a first attempt is a child of the span it was enqueued in, with a link to the dispatch", () =>
    Effect.gen(function*() {
      const program = mail.pipe(Effect.withSpan("place order"), boundary, inRequest)
      const { tree } = yield* run(program, live(failingAt()))
      assert.deepStrictEqual(tree, [
        "request",
        "  place order",
        "    deliver shop:mail ~> SideEffects.dispatch",
        "  SideEffects.release",
        "    SideEffects.dispatch"
      ])
    }))

  it.effect("a retry is the root of a new trace, with links to the span it was enqueued in and to the dispatch", () =>
    Effect.gen(function*() {
      const { named, one, tree } = yield* run(mail.pipe(boundary, inRequest), live(failingAt(1)))
      assert.deepStrictEqual(tree, [
        "request",
        "  SideEffects.release",
        "    SideEffects.dispatch",
        "  deliver shop:mail (failed) ~> SideEffects.dispatch",
        "deliver shop:mail ~> request ~> SideEffects.dispatch"
      ])
      const [first, second] = named("deliver shop:mail")
      assert.strictEqual(first!.traceId, one("request").traceId)
      assert.notStrictEqual(second!.traceId, first!.traceId)
      assert.deepStrictEqual(second!.links.map(({ attributes }) => attributes), [
        { "side_effect.link": "enqueued" },
        { "side_effect.link": "dispatched" }
      ])
    }))

  it.effect("what they say of themselves", () =>
    Effect.gen(function*() {
      const program = SideEffects.boundary(
        Effect.andThen(SideEffects.enqueue(Mail, { to: "ada" }, { key: "secret", origin: "POST /orders" }), push),
        { name: "checkout" }
      )
      const { exit, named, one } = yield* run(program, live(failingAt(1)))
      assert.strictEqual(exit._tag, "Success")
      assert.deepStrictEqual(Object.fromEntries(one("SideEffects.release").attributes), {
        "side_effects.boundary": "checkout",
        "side_effects.count": 2
      })
      assert.deepStrictEqual(Object.fromEntries(one("SideEffects.dispatch").attributes), {
        "side_effects.dispatcher": "inline",
        "side_effects.count": 2
      })
      const [first, second] = named("deliver shop:mail")
      const { "side_effect.intent_id": id, ...told } = Object.fromEntries(first!.attributes)
      assert.deepStrictEqual(told, {
        "side_effect.name": "shop:mail",
        "side_effect.attempt": 1,
        "side_effect.dispatcher": "inline",
        "side_effect.origin": "POST /orders",
        "side_effect.outcome": "failed",
        "error.type": "NoAnswer",
        "messaging.system": "effect-side-effects",
        "messaging.operation.name": "deliver",
        "messaging.operation.type": "process",
        "messaging.destination.name": "shop:mail",
        "messaging.message.id": id
      })
      assert.strictEqual(first!.kind, "consumer")
      assert.strictEqual(second!.attributes.get("side_effect.attempt"), 2)
      assert.strictEqual(second!.attributes.get("side_effect.outcome"), "succeeded")
      assert.isFalse(second!.attributes.has("error.type"))
    }))

  it.effect("cancel and snooze are no errors, and what was snoozed uses no attempt", () =>
    Effect.gen(function*() {
      let times = 0
      const handle = () => times++ === 0 ? SideEffect.snooze("10 minutes") : SideEffect.cancel("moved")
      const fiber = yield* Effect.forkChild(run(mail.pipe(boundary, inRequest), live(handle)))
      yield* TestClock.adjust("1 hour")
      const { named } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        named("deliver shop:mail").map(({ attributes, status }) => [
          attributes.get("side_effect.attempt"),
          attributes.get("side_effect.outcome"),
          (status as any).exit._tag,
          attributes.has("error.type")
        ]),
        [[1, "snoozed", "Success", false], [1, "cancelled", "Success", false]]
      )
    }))

  it.effect("a timeout and a defect are errors of their kind", () =>
    Effect.gen(function*() {
      const slow = yield* Effect.forkChild(
        run(mail.pipe(boundary), live(() => Effect.never, { timeout: 100, retry: Schedule.recurs(0) }))
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(slow)).one("deliver shop:mail").attributes.get("error.type"), "timeout")
      const died = yield* run(mail.pipe(boundary), live(() => Effect.die("oh")))
      assert.strictEqual(died.one("deliver shop:mail").attributes.get("error.type"), "defect")
      assert.include(died.tree.join("\n"), "deliver shop:mail (failed)")
    }))

  it.effect("without a span around, the boundary's release is the root", () =>
    Effect.gen(function*() {
      const { tree } = yield* run(boundary(mail), live(failingAt(1)))
      assert.deepStrictEqual(tree, [
        "SideEffects.release",
        "  SideEffects.dispatch",
        "    deliver shop:mail (failed)",
        "deliver shop:mail ~> SideEffects.dispatch"
      ])
    }))

  it.effect("where it was enqueued in a span but released in none, the trace is that of the span", () =>
    Effect.gen(function*() {
      const { tree } = yield* run(boundary(inRequest(mail)), live(failingAt()))
      assert.deepStrictEqual(tree, [
        "request",
        "  SideEffects.release",
        "    SideEffects.dispatch",
        "  deliver shop:mail ~> SideEffects.dispatch"
      ])
    }))

  it.effect("what a handler enqueues carries on from its span", () =>
    Effect.gen(function*() {
      const layer = live(({ attempt }) => attempt === 1 ? Effect.fail(new NoAnswer()) : push)
      const { tree } = yield* run(mail.pipe(boundary, inRequest), layer)
      assert.deepStrictEqual(tree, [
        "request",
        "  SideEffects.release",
        "    SideEffects.dispatch",
        "  deliver shop:mail (failed) ~> SideEffects.dispatch",
        "deliver shop:mail ~> request ~> SideEffects.dispatch",
        "  SideEffects.release",
        "    SideEffects.dispatch",
        "  deliver shop:push ~> SideEffects.dispatch"
      ])
    }))

  it.effect("spans of the handler are below its delivery, not in the span the layer was built in", () =>
    Effect.gen(function*() {
      const layer = live(() => Effect.withSpan(Effect.void, "smtp"))
      const { tree } = yield* run(mail.pipe(boundary, inRequest), layer)
      assert.include(tree, "    smtp")
      assert.strictEqual(tree[tree.indexOf("    smtp") - 1], "  deliver shop:mail ~> SideEffects.dispatch")
    }))

  it.effect("in the background: the same tree, also when the request has ended first", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<void>()
      const layer = live(({ attempt }) => Effect.andThen(Deferred.await(ended), failingAt(1)({ attempt } as any)), {
        dispatcher: Dispatcher.background()
      })
      const program = mail.pipe(
        boundary,
        inRequest,
        Effect.andThen(Deferred.succeed(ended, undefined)),
        Effect.andThen(SideEffects.drain)
      )
      const { named, one, tree } = yield* run(program, layer)
      assert.deepStrictEqual(tree, [
        "request",
        "  SideEffects.release",
        "    SideEffects.dispatch",
        "  deliver shop:mail (failed) ~> SideEffects.dispatch",
        "deliver shop:mail ~> request ~> SideEffects.dispatch"
      ])
      assert.strictEqual(named("deliver shop:mail")[0]!.attributes.get("side_effect.dispatcher"), "background")
      assert.strictEqual(one("request").status._tag, "Ended")
    }))

  it.effect("a route has no span of its own, what it routes to has", () =>
    Effect.gen(function*() {
      const dispatcher = Dispatcher.route([["*:mail", Dispatcher.background()], ["**", Dispatcher.inline()]])
      const program = Effect.andThen(boundary(Effect.all([push, mail])), SideEffects.drain)
      const { named, tree } = yield* run(program, live(failingAt(), { dispatcher }))
      assert.deepStrictEqual(tree, [
        "SideEffects.release",
        "  SideEffects.dispatch",
        "    deliver shop:mail",
        "  SideEffects.dispatch",
        "    deliver shop:push"
      ])
      assert.deepStrictEqual(
        named("SideEffects.dispatch").map(({ attributes }) => attributes.get("side_effects.dispatcher")),
        ["background", "inline"]
      )
    }))

  it.effect("after a commit: the dispatch, once, in the trace of the request", () =>
    Effect.gen(function*() {
      const dispatcher = SqlSideEffects.afterCommit(Dispatcher.inline())
      const program = SqlSideEffects.transaction(mail).pipe(Effect.withSpan("request"))
      const sql = SqliteClient.layer({ filename: ":memory:" })
      const { spans, tree } = yield* run(
        program as Effect.Effect<any>,
        Layer.provideMerge(live(failingAt(), { dispatcher: dispatcher as any }), sql) as Layer.Layer<any>
      )
      const [request, ...others] = tree
      assert.strictEqual(request, "request")
      assert.isTrue(others.every((line) => line.startsWith("  ")))
      const names = spans.map(({ name }) => name)
      for (const name of ["SideEffects.release", "SideEffects.dispatch", "deliver shop:mail"]) {
        assert.strictEqual(names.filter((other) => other === name).length, 1, name)
      }
    }))

  it.effect("interruption is none of its own making: the span ends interrupted", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const layer = live(() => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never), {
        dispatcher: Dispatcher.background({ gracePeriod: 0 })
      })
      const { one } = yield* run(Effect.andThen(boundary(mail), Deferred.await(begun)), layer)
      const { status } = one("deliver shop:mail")
      assert.isTrue(
        status._tag === "Ended" && status.exit._tag === "Failure" && Cause.hasInterruptsOnly(status.exit.cause)
      )
    }))

  it.effect("the decision to sample is that of the request, also for retries", () =>
    Effect.gen(function*() {
      const parent = Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: false })
      const { spans } = yield* run(Effect.withParentSpan(boundary(mail), parent), live(failingAt(1)))
      assert.strictEqual(spans.length, 4)
      assert.deepStrictEqual(spans.filter(({ sampled }) => sampled), [])
    }))

  it.effect("where tracing is turned off, there are no spans", () =>
    Effect.gen(function*() {
      const { spans } = yield* run(Effect.withTracerEnabled(mail.pipe(boundary, inRequest), false), live(failingAt(1)))
      assert.deepStrictEqual(spans, [])
    }))

  it.effect("a boundary in another one is released with it, one that releases by itself has a span", () =>
    Effect.gen(function*() {
      const policy = Policy.make({ name: "asked", decide: () => Policy.allow })
      const inner = SideEffects.boundary(mail, { name: "inner", policy })
      const captured = yield* run(SideEffects.boundary(inner, { name: "outer" }), live(failingAt()))
      assert.strictEqual(captured.one("SideEffects.release").attributes.get("side_effects.boundary"), "outer")
      const released = yield* run(
        SideEffects.boundary(inner, { name: "outer", nested: "release" }),
        live(failingAt())
      )
      assert.strictEqual(released.one("SideEffects.release").attributes.get("side_effects.boundary"), "inner")
    }))

  it.effect("nothing is enqueued, or all of it discarded: no span", () =>
    Effect.gen(function*() {
      const empty = yield* run(boundary(Effect.void), live(failingAt()))
      const failed = yield* run(boundary(Effect.andThen(mail, Effect.fail("no"))), live(failingAt()))
      assert.deepStrictEqual([empty.spans, failed.spans], [[], []])
    }))

  it.effect("outside a boundary, an intent is released alone", () =>
    Effect.gen(function*() {
      const { tree } = yield* run(inRequest(mail), live(failingAt()))
      assert.deepStrictEqual(tree, [
        "request",
        "  SideEffects.release",
        "    SideEffects.dispatch",
        "  deliver shop:mail ~> SideEffects.dispatch"
      ])
    }))

  it.effect("abortOnError is an error of the release, and of nothing else that it dispatched", () =>
    Effect.gen(function*() {
      const program = SideEffects.boundary(Effect.andThen(mail, push), { abortOnError: true })
      const { exit, tree } = yield* run(program, live(failingAt(1, 2)))
      assert.strictEqual(exit._tag, "Failure")
      assert.deepStrictEqual(tree, [
        "SideEffects.release (failed)",
        "  SideEffects.dispatch",
        "    deliver shop:mail (failed)",
        "    deliver shop:push",
        "deliver shop:mail (failed) ~> SideEffects.dispatch"
      ])
    }))

  it.effect("a boundary that hands over to the one around releases nothing, whatever the dispatcher", () =>
    Effect.gen(function*() {
      const dispatcher = Dispatcher.route([["**", Dispatcher.inline()]])
      const { tree } = yield* run(boundary(boundary(mail)), live(failingAt(), { dispatcher }))
      assert.strictEqual(tree.filter((line) => line.includes("SideEffects.release")).length, 1)
      const released = yield* run(
        SideEffects.boundary(boundary(mail), { nested: "release" }),
        live(failingAt(), { dispatcher })
      )
      assert.strictEqual(released.tree.filter((line) => line.includes("SideEffects.release")).length, 1)
    }))

  it.effect("without it, spans: false, and two of them: none, none, and each once", () =>
    Effect.gen(function*() {
      const none = yield* run(boundary(mail), live(failingAt(), { observability: Layer.empty }))
      const off = yield* run(
        boundary(mail),
        live(failingAt(), { observability: Observability.layer({ spans: false }) })
      )
      const observability = Observability.layer().pipe(Layer.provide(Observability.layer()))
      const twice = yield* run(boundary(mail), live(failingAt(), { observability }))
      assert.deepStrictEqual([none.spans.length, off.spans.length, twice.spans.length], [0, 0, 3])
    }))

  it.effect("merged beside the live layer it measures nothing, which is said once", () =>
    Effect.gen(function*() {
      const { layer, lines } = logs()
      const beside = Layer.merge(live(failingAt(), { observability: Layer.empty }), Observability.layer())
      yield* Effect.provide(Effect.andThen(boundary(mail), boundary(mail)), Layer.provideMerge(beside, layer))
      assert.deepStrictEqual(lines, [
        "WARN Observability.layer() stands beside the layer of the side effects, so nothing is measured. Provide it to " +
        "that layer instead: Live.pipe(Layer.provide(Observability.layer())). This is said once."
      ])
      lines.length = 0
      const below = live(failingAt()).pipe(Layer.provideMerge(Observability.layer()))
      yield* Effect.provide(boundary(mail), Layer.provideMerge(below, layer))
      assert.deepStrictEqual(lines, [])
    }))

  it.effect("nor anywhere else, where the fiber does not see it", () =>
    Effect.gen(function*() {
      const { layer, lines } = logs()
      const program = Effect.provide(boundary(mail), live(failingAt(), { observability: Layer.empty }))
      yield* Effect.scoped(Effect.andThen(Layer.build(Observability.layer()), program)).pipe(Effect.provide(layer))
      assert.strictEqual(lines.length, 1)
      // It is gone with its scope.
      yield* Effect.provide(program, layer)
      assert.strictEqual(lines.length, 1)
    }))
})
