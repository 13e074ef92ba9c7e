import { Bridge, SideEffect, SideEffects } from "effect-side-effects"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as PubSub from "effect/PubSub"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { EventEmitter } from "node:events"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: { id: Schema.String }
}) {}

class Tenant extends Context.Service<Tenant, string>()("Tenant") {}

interface Order {
  readonly id: string
}

const typed = new EventEmitter<{ placed: [order: Order, at: number]; closed: [] }>()
const untyped = new EventEmitter()
const mail = (order: Order) => SideEffects.enqueue(Mail, { id: order.id })

type Attached<R> = Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>>

describe("Bridge", () => {
  test("an attached bridge fails with nothing, and needs what its hook needs", () => {
    expect(Bridge.fromEventEmitter(typed, "placed", mail)).type.toBe<
      Attached<SideEffects.SideEffects<"orders:mail:send">>
    >()
    const failing = (order: Order) =>
      order.id === "" ? undefined : Effect.andThen(Tenant, (tenant) => tenant === "" ? Effect.fail("no") : mail(order))
    expect(Bridge.fromEventEmitter(typed, "placed", failing)).type.toBe<
      Attached<SideEffects.SideEffects<"orders:mail:send"> | Tenant>
    >()
    expect(Bridge.fromEventEmitter(typed, "placed", () => undefined)).type.toBe<Attached<never>>()
  })

  test("the parameters of the hook are checked against an emitter that is typed", () => {
    expect(Bridge.fromEventEmitter).type.toBeCallableWith(typed, "placed", mail)
    expect(Bridge.fromEventEmitter).type.toBeCallableWith(
      typed,
      "placed",
      (order: Order, at: number) => at > 0 ? mail(order) : undefined
    )
    expect(Bridge.fromEventEmitter).type.not.toBeCallableWith(typed, "placed", (_: string) => Effect.void)
    expect(Bridge.fromEventEmitter).type.not.toBeCallableWith(typed, "closed", mail)
    expect(Bridge.fromEventEmitter).type.not.toBeCallableWith(typed, "plced", mail)
    expect(Bridge.fromEventEmitter).type.toBeCallableWith(untyped, "placed", mail)
    expect(Bridge.fromEventEmitter).type.toBeCallableWith(untyped, Symbol("placed"), mail)
    expect(Bridge.fromEventEmitter).type.toBeCallableWith(process, "exit", (_: number) => Effect.void)
  })

  test("a hook returns an effect, or undefined", () => {
    expect(Bridge.fromEventEmitter).type.not.toBeCallableWith(typed, "placed", () => Promise.resolve())
    expect(Bridge.fromEventEmitter).type.not.toBeCallableWith(typed, "placed", () => "no effect")
    expect(Bridge.fromEventEmitter).type.not.toBeCallableWith(new EventTarget(), "placed", () => undefined)
  })

  test("the message of the other sources is inferred", () => {
    Bridge.fromEventTarget(new EventTarget(), "placed", (event) => {
      expect(event).type.toBe<Event>()
      return undefined
    })
    expect(Bridge.fromEventTarget).type.toBeCallableWith(
      new EventTarget(),
      "placed",
      (event: CustomEvent<Order>) => mail(event.detail)
    )
    Bridge.fromPubSub({} as PubSub.PubSub<Order>, (order) => {
      expect(order).type.toBe<Order>()
      return undefined
    })
    Bridge.fromAsyncIterable({} as AsyncIterable<Order>, (order) => {
      expect(order).type.toBe<Order>()
      return undefined
    })
    expect(Bridge.fromStream({} as Stream.Stream<Order, "broken", Tenant>, mail)).type.toBe<
      Attached<SideEffects.SideEffects<"orders:mail:send"> | Tenant>
    >()
  })

  test("only a source that cannot be slowed down has a capacity", () => {
    expect(Bridge.fromEventEmitter).type.toBeCallableWith(typed, "placed", mail, { capacity: 10 })
    expect(Bridge.fromStream).type.not.toBeCallableWith(Stream.make({ id: "1" }), mail, { capacity: 10 })
  })
})
