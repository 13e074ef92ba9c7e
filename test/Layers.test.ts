import { assert, describe, it } from "@effect/vitest"
import { Decision, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Recorder } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { logs, Mail, mail, Ping, push, Shop } from "./fixtures.ts"

const message = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? (Cause.squash(exit.cause) as Error).message : "it succeeded"

const handlers = Shop.toLayer({
  "orders:mail:send": () => Effect.void,
  "orders:push:notify": () => Effect.void,
  "monitor:ping": () => Effect.void
})

describe("payloads", () => {
  const Order = Schema.Struct({ id: Schema.String, items: Schema.Array(Schema.Struct({ sku: Schema.String })) })
  class Ship extends SideEffect.make("ship", { description: "Ship it.", payload: Order }) {}

  it.effect("that do not fit die at the call site with the schema's own message", () =>
    Effect.gen(function*() {
      const wrong = { id: "1", items: [{ sku: "a" }, { sku: 2 }] } as any
      for (const layer of [SideEffects.TestLayer, SideEffects.DropLayer] as const) {
        const exit = yield* SideEffects.enqueue(Ship, wrong).pipe(
          SideEffects.boundary(),
          Effect.exit,
          Effect.provide(layer as Layer.Layer<SideEffects.SideEffects<any>>)
        )
        assert.strictEqual(
          message(exit),
          "Invalid payload for side effect \"ship\": Expected string\n  at [\"items\"][1][\"sku\"]"
        )
        assert.instanceOf(Exit.isFailure(exit) && Cause.squash(exit.cause), SideEffects.InvalidPayload)
      }
    }))

  it.effect("get their defaults", () =>
    Effect.gen(function*() {
      class WithDefault extends SideEffect.make("d", {
        description: "Defaults.",
        payload: { n: Schema.Number.pipe(Schema.withConstructorDefault(Effect.succeed(7))) }
      }) {}
      const intent = yield* SideEffects.enqueue(WithDefault, {})
      assert.deepStrictEqual(intent.payload, { n: 7 })
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("go through a queue's round trip under TestLayer", () =>
    Effect.gen(function*() {
      class Typed extends SideEffect.make("t", {
        description: "What JSON does not have.",
        payload: { at: Schema.Date, big: Schema.BigInt }
      }) {}
      const at = new Date(0)
      const intent = yield* SideEffects.enqueue(Typed, { at, big: 7n })
      assert.deepStrictEqual(intent.payload, { at, big: 7n })
      assert.notStrictEqual(intent.payload.at, at, "it is another date, read back")
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("that would break in a queue are found under TestLayer", () =>
    Effect.gen(function*() {
      class Callback extends SideEffect.make("c", {
        description: "A function cannot be stored.",
        payload: { call: Schema.declare((u): u is () => void => typeof u === "function") }
      }) {}
      const enqueue = SideEffects.enqueue(Callback, { call: () => {} })
      const exit = yield* Effect.exit(Effect.provide(enqueue, SideEffects.TestLayer))
      assert.match(
        message(exit),
        /^Invalid payload for side effect "c": it is valid, but would not survive being stored in a queue and read back\. /
      )
      const group = SideEffectGroup.make("g").add(Callback)
      yield* Effect.provide(enqueue, SideEffects.TestLayerFor(group, { roundTrip: false }))
    }))
})

describe("LiveLayer", () => {
  const build = (layer: Layer.Layer<any, any, any>) =>
    Effect.exit(Effect.scoped(Layer.build(layer))) as Effect.Effect<Exit.Exit<any, any>>

  it.effect("refuses a pattern that matches nothing", () =>
    Effect.gen(function*() {
      const exit = yield* build(
        SideEffects.LiveLayer(Shop, { policy: Policy.all(Policy.limit(1), Policy.allowOnly("mail:**")) }).pipe(
          Layer.provide(handlers)
        )
      )
      assert.strictEqual(
        message(exit),
        "\"mail:**\" in policy all(limit(1), allowOnly(\"mail:**\")) matches no side effect of group \"shop\". Correct it, " +
          "or remove it. The group has: orders:mail:send, orders:push:notify, monitor:ping."
      )
    }))

  it.effect("names a missing handler where the types were evaded", () =>
    Effect.gen(function*() {
      const exit = yield* build(SideEffects.LiveLayer(Shop).pipe(Layer.provide(Mail.toLayer(() => Effect.void))))
      assert.strictEqual(
        message(exit),
        "LiveLayer of group \"shop\" has no handler for side effect \"orders:push:notify\". Provide the layer made by its " +
          "toLayer, or by the toLayer of the group."
      )
    }))

  it.effect("names a side effect it does not know where the types were evaded", () =>
    Effect.gen(function*() {
      const small = SideEffectGroup.make("small").add(Mail)
      const layer = SideEffects.LiveLayer(small).pipe(
        Layer.provide(Mail.toLayer(() => Effect.void))
      ) as Layer.Layer<SideEffects.SideEffects<any>>
      const attempt = (effect: Effect.Effect<unknown, never, SideEffects.SideEffects<any>>) =>
        Effect.map(Effect.exit(Effect.provide(SideEffects.boundary(effect), layer)), message)
      assert.strictEqual(
        yield* attempt(push("1")),
        "Side effect \"orders:push:notify\" is not in group \"small\", so its layer cannot perform it. Add it to the group; " +
          "where there is another live layer for it, merge the two groups."
      )
      const Twin = SideEffect.make("orders:mail:send", { description: "Not the one." })
      assert.strictEqual(
        yield* attempt(SideEffects.enqueue(Twin)),
        "Two definitions are named \"orders:mail:send\", and the one that was enqueued is not the one in group \"small\". " +
          "Import the definition from one place, or rename one of them."
      )
    }))
})

describe("DropLayer", () => {
  it.effect("drops what is released and says how much when it is closed", () =>
    Effect.gen(function*() {
      const { layer: logger, lines } = logs()
      const intent = yield* Effect.gen(function*() {
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(push("0"), Effect.fail("no"))))
        yield* SideEffects.enqueueAll([[Mail, { id: "1" }], [Ping], [Mail, { id: "2" }]])
        assert.deepStrictEqual(lines, [])
        return yield* mail("3")
      }).pipe(SideEffects.boundary(), Effect.provide(Layer.provideMerge(SideEffects.DropLayer, logger)))
      assert.deepStrictEqual(lines, ["INFO DropLayer dropped 4 side effects: orders:mail:send ×3, monitor:ping ×1"])
      assert.strictEqual(Decision.format(Decision.of(intent)!), "dropped by DropLayer: nothing may leave here")
    }))

  it.effect("says so when there was nothing", () =>
    Effect.gen(function*() {
      const { layer: logger, lines } = logs()
      yield* Effect.void.pipe(SideEffects.boundary(), Effect.provide(Layer.provideMerge(SideEffects.DropLayer, logger)))
      assert.deepStrictEqual(lines, ["INFO DropLayer dropped 0 side effects"])
    }))
})

describe("TestLayer", () => {
  it.effect("records what was enqueued, what became of it, and forgets on clear", () =>
    Effect.gen(function*() {
      const recorder = yield* Recorder
      yield* mail("outside")
      yield* Effect.exit(SideEffects.boundary(Effect.andThen(mail("1"), Effect.fail("no"))))
      yield* SideEffects.boundary(push("2"))
      const names = (intents: ReadonlyArray<{ readonly payload: any }>) => intents.map(({ payload }) => payload.id)
      assert.deepStrictEqual(names(yield* recorder.enqueued), ["outside", "1", "2"])
      assert.deepStrictEqual(names(yield* recorder.intents), ["outside", "2"])
      assert.deepStrictEqual((yield* recorder.decisions).map(({ _tag }) => _tag), [
        "Dispatched",
        "Discarded",
        "Dispatched"
      ])
      yield* recorder.clear
      assert.deepStrictEqual([yield* recorder.enqueued, yield* recorder.decisions], [[], []])
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("for a group: obeys its policy, and checks patterns and names", () =>
    Effect.gen(function*() {
      const layer = SideEffects.TestLayerFor(Shop, { policy: Policy.block(Ping), outsideBoundary: "reject" })
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.andThen(SideEffects.enqueue(Ping), mail("1")))
        assert.strictEqual((yield* (yield* Recorder).intents).length, 1)
        assert.match(message(yield* Effect.exit(mail("2"))), /outside a boundary/)
        assert.match(
          message(yield* Effect.exit(SideEffects.boundary(Effect.void, { policy: Policy.block("nope") }))),
          /"nope" in policy block\("nope"\) matches no side effect of group "shop"/
        )
      }).pipe(Effect.provide(layer))
    }))
})
