import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import { Outbox, type OutboxStore } from "effect-side-effects/outbox"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: { id: Schema.String }
}) {}
class Push extends SideEffect.make("orders:push:notify", { description: "Notify the phone." }) {}
const Orders = SideEffectGroup.make("orders").add(Mail, Push)
type Names = "orders:mail:send" | "orders:push:notify"

class Redis extends Context.Service<Redis, { readonly send: Effect.Effect<void> }>()("Redis") {}
class Postgres extends Context.Service<Postgres, { readonly send: Effect.Effect<void> }>()("Postgres") {}
class NoRedis extends Schema.TaggedError<NoRedis>()("NoRedis", {}) {}

const honours = { delay: true, priority: true, queue: true }
const handOver = () => Effect.void
const plain = Engine.dispatcher({ name: "plain", honours, connect: Effect.succeed({ handOver }) })
const redis = Engine.dispatcher({
  name: "redis",
  honours,
  connect: Effect.gen(function*() {
    yield* Redis
    yield* Effect.acquireRelease(Effect.void, () => Effect.void)
    if (honours.delay) return yield* new NoRedis()
    return { handOver }
  })
})
const postgres = Engine.dispatcher({
  name: "postgres",
  honours,
  connect: Effect.map(Postgres, () => ({ handOver }))
})

describe("engines", () => {
  test("an engine has the errors and the services of its connection, and no scope", () => {
    expect(plain).type.toBe<Engine.Engine<never, never>>()
    expect(redis).type.toBe<Engine.Engine<NoRedis, Redis>>()
    expect(postgres).type.toBe<Engine.Engine<never, Postgres>>()
  })

  test("a live layer with an engine needs no handlers", () => {
    expect(SideEffects.LiveLayer(Orders, { dispatcher: redis })).type.toBe<
      Layer.Layer<SideEffects.SideEffects<Names>, NoRedis, Redis>
    >()
    expect(SideEffects.LiveLayer(Orders, { dispatcher: plain })).type.toBe<
      Layer.Layer<SideEffects.SideEffects<Names>>
    >()
  })
})

describe("Dispatcher.route", () => {
  test("has the errors and the services of all its dispatchers", () => {
    expect(Dispatcher.route([["**:mail:**", redis], [{ queue: "slow" }, postgres], ["**", plain]])).type.toBe<
      Dispatcher.Dispatcher<false, NoRedis, Redis | Postgres>
    >()
    expect(Dispatcher.route([["**", plain]])).type.toBe<Dispatcher.Dispatcher<false, never, never>>()
  })

  test("performs when one of them does, and then the layer needs handlers", () => {
    const mixed = Dispatcher.route([[{ queue: ["slow", "bulk"], name: /mail/ }, redis], ["**", Dispatcher.inline()]])
    expect(mixed).type.toBe<Dispatcher.Dispatcher<true, NoRedis, Redis>>()
    expect(SideEffects.LiveLayer(Orders, { dispatcher: mixed })).type.toBe<
      Layer.Layer<
        SideEffects.SideEffects<Names>,
        NoRedis,
        Redis | SideEffect.Handler<"orders:mail:send", Names> | SideEffect.Handler<"orders:push:notify", Names>
      >
    >()
  })

  test("also inside of another one", () => {
    expect(Dispatcher.route([["**", Dispatcher.route([[{ queue: "slow" }, redis], ["**", plain]])]])).type.toBe<
      Dispatcher.Dispatcher<false, NoRedis, Redis>
    >()
  })

  test("a route has a pattern, a queue, or both", () => {
    expect(Dispatcher.route).type.toBeCallableWith([[{ queue: "slow" }, plain], ["**", plain]])
    expect(Dispatcher.route).type.not.toBeCallableWith([[{ name: "**" }, plain]])
    expect(Dispatcher.route).type.not.toBeCallableWith([[{ queue: 1 }, plain]])
    expect(Dispatcher.route).type.not.toBeCallableWith([[undefined, plain]])
  })
})

describe("Outbox.layerRelay", () => {
  test("needs the store and what its engines need, no handlers, and fails with what these fail with", () => {
    expect(Outbox.layerRelay(Orders, { "**": plain })).type.toBe<
      Layer.Layer<never, OutboxStore.OutboxError, OutboxStore.OutboxStore>
    >()
    expect(Outbox.layerRelay(Orders, { "**:mail:**": redis, "**": postgres }, { batchSize: 100 })).type.toBe<
      Layer.Layer<never, OutboxStore.OutboxError | NoRedis, OutboxStore.OutboxStore | Redis | Postgres>
    >()
  })

  test("of a record that was made before", () => {
    const engines = { "**:mail:**": redis, "**": plain }
    expect(Outbox.layerRelay(Orders, engines)).type.toBe<
      Layer.Layer<never, OutboxStore.OutboxError | NoRedis, OutboxStore.OutboxStore | Redis>
    >()
  })

  test("takes engines, and no other dispatchers", () => {
    expect(Outbox.layerRelay).type.toBeCallableWith(Orders, { "**": plain })
    expect(Outbox.layerRelay).type.not.toBeCallableWith(Orders, { "**": Dispatcher.inline() })
    expect(Outbox.layerRelay).type.not.toBeCallableWith(Orders, { "**": Outbox.dispatcher() })
    expect(Outbox.layerRelay).type.not.toBeCallableWith(Orders, { "**": Dispatcher.route([["**", plain]]) })
    expect(Outbox.layerRelay).type.not.toBeCallableWith({ "**": plain })
  })
})
