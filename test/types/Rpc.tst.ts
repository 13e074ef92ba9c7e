import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import * as Entity from "effect/cluster/Entity"
import type * as Sharding from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("orders:mail", { description: "Email the customer." }) {}
class Page extends SideEffect.make("alarms:page", { description: "Page an operator." }) {}

const Orders = SideEffectGroup.make("orders").add(Mail)
const live = SideEffects.LiveLayer(Orders).pipe(Layer.provide(Mail.toLayer(() => Effect.void)))

type ToMail = SideEffects.SideEffects<"orders:mail">

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
class Tenant extends Context.Service<Tenant, string>()("Tenant") {}

class Unit extends RpcMiddleware.Service<Unit, { provides: SideEffectsMiddleware.Provides<typeof Orders> }>()("Unit") {}

const With = RpcGroup.make(Rpc.make("Place")).middleware(Unit)
const Without = RpcGroup.make(Rpc.make("Place"))

const handlers = { Place: () => Effect.asVoid(SideEffects.enqueue(Mail)) }

describe("SideEffectsMiddleware.layerRpc", () => {
  test("provides handlers with what they need to enqueue", () => {
    expect(With.toLayer(handlers)).type.toBe<Layer.Layer<Rpc.Handler<"Place">>>()
    expect(SideEffectsMiddleware.layerRpc(Unit, Orders)).type.toBe<Layer.Layer<Unit, never, ToMail>>()
  })

  test("leaves a procedure without it without", () => {
    expect(Without.toLayer(handlers)).type.toBe<Layer.Layer<Rpc.Handler<"Place">, never, ToMail>>()
    const server = Layer.merge(
      Without.toLayer(handlers),
      SideEffectsMiddleware.layerRpc(Unit, Orders).pipe(Layer.provide(live))
    )
    expect(Layer.launch(server)).type.toBe<Effect.Effect<never, never, ToMail>>()
    expect(Effect.runPromise<never, never>).type.not.toBeCallableWith(Layer.launch(server))
  })

  test("leaves what the group does not cover", () => {
    const paging = { Place: () => Effect.asVoid(SideEffects.enqueue(Page)) }
    expect(With.toLayer(paging)).type.toBe<
      Layer.Layer<Rpc.Handler<"Place">, never, SideEffects.SideEffects<"alarms:page">>
    >()
  })

  test("takes a middleware that also needs something, fails, or is for clients", () => {
    class Needing extends RpcMiddleware.Service<Needing, { provides: ToMail; requires: Tenant }>()("Needing") {}
    class Failing extends RpcMiddleware.Service<Failing, { provides: ToMail }>()("Failing", {
      error: Refused,
      requiredForClient: true
    }) {}
    expect(SideEffectsMiddleware.layerRpc(Needing, Orders)).type.toBe<Layer.Layer<Needing, never, ToMail>>()
    expect(SideEffectsMiddleware.layerRpc(Failing, Orders)).type.toBe<Layer.Layer<Failing, never, ToMail>>()
  })

  test("takes no middleware that promises more than the group, or something else", () => {
    class More extends RpcMiddleware.Service<More, {
      provides: SideEffects.SideEffects<"orders:mail" | "alarms:page">
    }>()("More") {}
    class Else extends RpcMiddleware.Service<Else, { provides: ToMail | Tenant }>()("Else") {}
    expect(SideEffectsMiddleware.layerRpc).type.not.toBeCallableWith(More, Orders)
    expect(SideEffectsMiddleware.layerRpc).type.not.toBeCallableWith(Else, Orders)
  })

  test("provides the handlers of an entity", () => {
    expect(Entity.fromRpcGroup("Order", With).toLayer(handlers)).type.toBe<
      Layer.Layer<never, never, Unit | Sharding.Sharding>
    >()
    expect(Entity.fromRpcGroup("Order", Without).toLayer(handlers)).type.toBe<
      Layer.Layer<never, never, ToMail | Sharding.Sharding>
    >()
  })
})
