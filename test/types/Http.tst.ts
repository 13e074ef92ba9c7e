import { Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServer } from "effect/http/HttpServer"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("orders:mail:send", { description: "Email.", payload: { id: Schema.String } }) {}
class Placed extends Event.make("orders:order:placed", { description: "Placed.", payload: { id: Schema.String } }) {}
class Charge extends SideEffect.make("billing:card:charge", { description: "Charge the card." }) {}

const Orders = SideEffectGroup.make("orders").add(Mail).events(Placed)
const Billing = SideEffectGroup.make("billing").add(Charge)
const Live = SideEffects.LiveLayer(Orders).pipe(Layer.provide(Mail.toLayer(() => Effect.void)))
const BillingLive = SideEffects.LiveLayer(Billing).pipe(Layer.provide(Charge.toLayer(() => Effect.void)))

const ok = HttpServerResponse.empty()
const route = HttpRouter.add("POST", "/orders", Effect.as(SideEffects.enqueue(Mail, { id: "1" }), ok))
const emitting = HttpRouter.add("POST", "/orders", Effect.as(SideEffects.emit(Placed, { id: "1" }), ok))

const middlewares = () => {
  const { layer } = SideEffectsMiddleware.make(Orders)
  return [layer, SideEffectsMiddleware.layerGlobal(Orders)] as const
}

describe("a route", () => {
  test("inside of the middleware has what it needs", () => {
    const [perRoute, global] = middlewares()
    expect(route.pipe(Layer.provide(perRoute), Layer.provide(Live))).type.toBe<
      Layer.Layer<never, never, HttpRouter.HttpRouter>
    >()
    expect(route.pipe(Layer.provide(global), Layer.provide(Live))).type.toBe<
      Layer.Layer<never, never, HttpRouter.HttpRouter>
    >()
    expect(emitting.pipe(Layer.provide(global), Layer.provide(Live))).type.toBe<
      Layer.Layer<never, never, HttpRouter.HttpRouter>
    >()
  })

  test("outside of it does not compile, though the live layer is there for others", () => {
    const [perRoute] = middlewares()
    const inside = route.pipe(Layer.provide(perRoute), Layer.provide(Live))
    const outside = Layer.mergeAll(inside, route).pipe(Layer.provide(Live))
    expect(outside).type.toBe<
      Layer.Layer<
        never,
        never,
        HttpRouter.HttpRouter | HttpRouter.Request.From<"Requires", SideEffects.SideEffects<"orders:mail:send">>
      >
    >()
    expect(HttpRouter.serve(inside)).type.toBe<Layer.Layer<never, never, HttpServer>>()
    expect(HttpRouter.serve(outside)).type.toBe<
      Layer.Layer<never, never, HttpServer | SideEffects.SideEffects<"orders:mail:send">>
    >()
    expect(HttpRouter.serve(outside)).type.not.toBeAssignableTo<Layer.Layer<never, never, HttpServer>>()
  })

  test("in the middleware of another group does not compile", () => {
    const { layer } = SideEffectsMiddleware.make(Billing)
    expect(route.pipe(Layer.provide(layer), Layer.provide(BillingLive))).type.not.toBeAssignableTo<
      Layer.Layer<never, never, HttpRouter.HttpRouter>
    >()
    const global = SideEffectsMiddleware.layerGlobal(Billing)
    expect(route.pipe(Layer.provide(global), Layer.provide(BillingLive))).type.not.toBeAssignableTo<
      Layer.Layer<never, never, HttpRouter.HttpRouter>
    >()
  })
})

test("the middleware needs a live layer of its group", () => {
  const [perRoute, global] = middlewares()
  type Needs = SideEffects.SideEffects<"orders:mail:send" | "orders:order:placed">
  expect<Layer.Services<typeof perRoute>>().type.toBe<Needs>()
  expect<Layer.Services<typeof global>>().type.toBe<HttpRouter.HttpRouter | Needs>()
  expect(Layer.provide(perRoute, BillingLive)).type.not.toBeAssignableTo<Layer.Layer<any>>()
  expect<SideEffectsMiddleware.Provides<typeof Orders>>().type.toBe<Needs>()
})

describe("an HttpApi", () => {
  class Unit extends HttpApiMiddleware.Service<Unit, {
    provides: SideEffectsMiddleware.Provides<typeof Orders>
  }>()("Unit") {}
  const group = HttpApiGroup.make("orders").add(HttpApiEndpoint.post("place", "/orders"))
  class Inside extends HttpApi.make("shop").add(group.middleware(Unit)) {}
  class Outside extends HttpApi.make("shop").add(group) {}
  const place = () => Effect.asVoid(SideEffects.enqueue(Mail, { id: "1" }))

  test("whose group names the middleware has what its handlers need", () => {
    const handlers = HttpApiBuilder.group(Inside, "orders", (handlers) => handlers.handle("place", place))
    expect<Extract<Layer.Services<typeof handlers>, HttpRouter.Request<any, any>>>().type.toBe<never>()
    const unit = SideEffectsMiddleware.layerApi(Unit, Orders)
    expect(unit).type.toBe<
      Layer.Layer<Unit, never, SideEffects.SideEffects<"orders:mail:send" | "orders:order:placed">>
    >()
  })

  test("whose group does not leaves it to the router", () => {
    const handlers = HttpApiBuilder.group(Outside, "orders", (handlers) => handlers.handle("place", place))
    expect<Extract<Layer.Services<typeof handlers>, HttpRouter.Request<any, any>>>().type.toBe<
      HttpRouter.Request.From<"Requires", SideEffects.SideEffects<"orders:mail:send">>
    >()
  })

  test("the middleware of another group does not provide for it", () => {
    expect(SideEffectsMiddleware.layerApi).type.not.toBeCallableWith(Unit, Billing)
  })
})

test("a handler without a router keeps what it needs", () => {
  const handler = Effect.as(SideEffects.enqueue(Mail, { id: "1" }), ok)
  const inside = SideEffectsMiddleware.boundary(handler)
  expect<Effect.Services<typeof inside>>().type.toBe<
    HttpServerRequest | SideEffects.SideEffects<never> | SideEffects.SideEffects<"orders:mail:send">
  >()
  expect(handler.pipe(SideEffectsMiddleware.boundary({ dispatch: "before-response" }))).type.toBe(inside)
  expect(SideEffectsMiddleware.boundary).type.not.toBeCallableWith(handler, { dispatch: "never" })
})
