import { assert, describe, it } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { Mail, Ping, Push, Shop } from "./fixtures.ts"

const SecondMail = SideEffect.make("orders:mail:send", { description: "Another one of the same name." })
const Empty = SideEffectGroup.make("empty")

describe("SideEffectGroup", () => {
  it("is a value: add and merge return new ones", () => {
    const One = Empty.add(Mail)
    const Two = SideEffectGroup.make("two").add(Push).merge(One, Empty.add(Ping, Mail))
    assert.deepStrictEqual([...Empty.sideEffects.keys()], [])
    assert.deepStrictEqual([...One.sideEffects.keys()], ["orders:mail:send"])
    assert.deepStrictEqual([...Two.sideEffects.keys()], ["orders:push:notify", "orders:mail:send", "monitor:ping"])
    assert.isTrue(SideEffectGroup.isSideEffectGroup(Two))
    assert.isFalse(SideEffectGroup.isSideEffectGroup(Mail))
  })

  it("keeps annotations, and keeps them to itself when it is merged", () => {
    const Owner = Context.Service<string>("Owner")
    const One = Empty.annotate(Owner, "one")
    assert.strictEqual(Empty.annotations.mapUnsafe.size, 0)
    const merged = SideEffectGroup.make("m").annotate(Owner, "m").merge(One)
    assert.strictEqual(Context.get(merged.annotations as Context.Context<string>, Owner), "m")
    assert.deepStrictEqual(merged.parts, [One])
    assert.strictEqual(One.add(Mail).annotations, One.annotations)
  })

  it("refuses a second side effect of the same name", () => {
    const message =
      "Group \"empty\" already has a side effect named \"orders:mail:send\". A name stands for one side " +
      "effect: give the second one another name, or remove it if it is the same."
    assert.throws(() => Empty.add(Mail, SecondMail), message)
    assert.throws(
      () => Empty.add(Mail, SecondMail),
      /They are defined at .*test\/fixtures\.ts:\d+ and .*test\/SideEffectGroup\.test\.ts:\d+\.$/
    )
    assert.throws(() => Empty.add(Mail).add(Mail), message)
    assert.throws(() => Empty.add(Mail).merge(SideEffectGroup.make("b").add(SecondMail)), message)
  })

  it("refuses a malformed name", () => {
    assert.throws(() => SideEffectGroup.make("a b"), /^Group name "a b" has an invalid segment "a b"/)
  })

  it.effect("toLayer takes handlers, or an effect that makes them when the layer is built", () =>
    Effect.gen(function*() {
      const Prefix = Context.Service<string>("Prefix")
      const seen: Array<string> = []
      const handlers = Shop.toLayer(Effect.map(Prefix, (prefix) => ({
        "orders:mail:send": ({ id }: { readonly id: string }) => Effect.sync(() => seen.push(`${prefix} mail ${id}`)),
        "orders:push:notify": Push.handler(({ id }) => Effect.sync(() => seen.push(`${prefix} push ${id}`))),
        "monitor:ping": () => Effect.void
      })))
      yield* SideEffects.enqueueAll([[Mail, { id: "1" }], [Push, { id: "2" }]]).pipe(
        SideEffects.boundary(),
        Effect.provide(
          SideEffects.LiveLayer(Shop).pipe(
            Layer.provide(handlers),
            Layer.provide(Layer.succeed(Prefix, "the"))
          )
        )
      )
      assert.deepStrictEqual(seen, ["the mail 1", "the push 2"])
    }))

  it.effect("toLayer names a handler that nobody asked for, and one that is missing", () =>
    Effect.gen(function*() {
      const build = (handlers: any): Effect.Effect<Exit.Exit<unknown, unknown>> =>
        Effect.exit(Effect.scoped(Layer.build(Empty.add(Mail).toLayer(handlers) as Layer.Layer<any>)))
      const extra = yield* build({ "orders:mail:send": () => Effect.void, "orders:mail:sned": () => Effect.void })
      assert.match(
        String(Exit.isFailure(extra) && extra.cause),
        /Group "empty" has no side effect named "orders:mail:sned", but it was given a handler for it\. It has: orders:mail:send\./
      )
      assert.match(
        String(yield* build({})),
        /Group "empty" was given no handler for its side effect "orders:mail:send"/
      )
    }))
})
