/**
 * Boundaries for servers: one for each HTTP request, one for each RPC.
 *
 * A response below 400 releases what its request has enqueued; any other one, a failure, a defect and a client that hangs
 * up discard it. What is durable is written before the response is sent, the rest is dispatched after it.
 *
 * `layerGlobal` is for all routes of an `HttpRouter`, `make` for some of them, `layerApi` for the endpoints of an `HttpApi`,
 * `boundary` for a handler without a router, and `layerRpc` for `effect/rpc`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import type * as Schema from "effect/Schema"
import type * as Boundary from "../Boundary.ts"
import type * as Event from "../Event.ts"
import { type Place, SideEffects } from "../Place.ts"
import type * as Policy from "../Policy.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { unitOfCall } from "./internal/call.ts"
import { answerOf } from "./internal/declared.ts"
import { unitOfRequest } from "./internal/unit.ts"

/**
 * How the boundary of a request behaves.
 *
 * **Details**
 *
 * - `shouldRelease`: whether what the request has enqueued is released, given its response. By default it is when the
 *   status is below 400 and the handler has succeeded. Where it is given, it is also asked about the response that Effect
 *   makes of a failure or a defect. A request that was interrupted, as by a client that has hung up, is never released.
 *   When it throws, everything is discarded and the answer is 500.
 * - `dispatch`: `"after-response"` (default) dispatches what is not durable when the response has been sent, so that slow
 *   side effects slow nobody; where the body streams, when it begins to. `"before-response"` waits for it. What is
 *   durable is always written before.
 * - `policy`, `onClose`: as in `Boundary.Options`. `onClose` runs before the response is sent, so what is dispatched after
 *   it is `pending` in the report at that time.
 *
 * **Gotchas**
 *
 * What fails after the response is logged. `onDispatchError: "die"` of the live layer has an effect on a response only with
 * `"before-response"`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly shouldRelease?: ((request: HttpServerRequest, response: HttpServerResponse) => boolean) | undefined
  readonly dispatch?: "after-response" | "before-response" | undefined
  readonly policy?: Policy.Policy | undefined
  readonly onClose?: ((report: Boundary.Report) => Effect.Effect<unknown>) | undefined
}

/**
 * What a middleware for a group provides to handlers: what the `provides` of an `HttpApiMiddleware.Service` or
 * `RpcMiddleware.Service` has to say.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Provides<G> = G extends SideEffectGroup.SideEffectGroup<infer S, infer Ev>
  ? SideEffects<S["_tag"] | Ev["_tag"]>
  : never

const noOptions: Options = {}

/**
 * A boundary for each request of the routes that its `layer` is provided to.
 *
 * **When to use**
 *
 * When some routes have side effects and others should not, or when routes differ in their options.
 *
 * **Details**
 *
 * Of the group only the type is used: routes get `SideEffects` for its names from the middleware. Where the live layer is
 * provided to the middleware alone, as in the example, a route that enqueues without the middleware does not compile.
 *
 * The boundary is named after the method and the pattern of the route, as in `POST /orders/:id`, and that is the
 * `origin` of its intents and events. Two of these middlewares on one route are nested: the outer one releases.
 *
 * Closing the live layer, as when the server shuts down, waits for what is dispatched after a response.
 *
 * **Gotchas**
 *
 * It sees the response of the handler and of the middlewares inside of it, not what middlewares further out make of it.
 * In a `combine`, what is combined into it runs further out.
 *
 * **Example** (One route with side effects, one without)
 *
 * ```ts
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SideEffectsMiddleware } from "effect-side-effects/http"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * class SendMail extends SideEffect.make("orders:mail", {
 *   description: "Email the customer.",
 *   payload: { order: Schema.String }
 * }) {}
 *
 * const Orders = SideEffectGroup.make("orders").add(SendMail)
 *
 * const Live = SideEffects.LiveLayer(Orders).pipe(
 *   Layer.provide(SendMail.toLayer(({ order }) => Console.log(`a mail about order ${order}`)))
 * )
 *
 * const place = HttpRouter.add(
 *   "POST",
 *   "/orders/:order",
 *   Effect.gen(function*() {
 *     const { order } = yield* HttpRouter.params
 *     yield* SideEffects.enqueue(SendMail, { order: order ?? "" })
 *     return HttpServerResponse.empty({ status: 201 })
 *   })
 * )
 * const health = HttpRouter.add("GET", "/health", HttpServerResponse.text("ok"))
 *
 * const Boundaries = SideEffectsMiddleware.make(Orders).layer.pipe(Layer.provide(Live))
 * const App = Layer.mergeAll(Layer.provide(place, Boundaries), health)
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(App, { disableLogger: true })
 * const response = await handler(new Request("http://localhost/orders/1042", { method: "POST" }))
 * console.log(response.status) // 201
 * await dispose()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Options = noOptions
): HttpRouter.Middleware<{
  provides: SideEffects<S["_tag"] | Ev["_tag"]>
  handles: never
  error: never
  requires: never
  layerError: never
  layerRequires: SideEffects<S["_tag"] | Ev["_tag"]>
}> => typed(group, HttpRouter.middleware(unitOf(options) as any))

/** Of a group only the type counts. */
const typed = (_group: SideEffectGroup.SideEffectGroup<any, any>, value: unknown): any => value

const middleware = <A>(f: (place: Place) => A) => Effect.map(SideEffects, f)

const unitOf = (options: Options) =>
  middleware((place) => (self: Effect.Effect<HttpServerResponse>) => unitOfRequest(self, place, options))

/**
 * A boundary for each request of a router.
 *
 * **When to use**
 *
 * For most servers: no route can be forgotten. A request that enqueues nothing pays next to nothing.
 *
 * **Details**
 *
 * As `make`, for all routes. Provide the live layer to it alone, as in the example, and nothing else can reach it: a route
 * of another router that enqueues does not compile.
 *
 * **Gotchas**
 *
 * Global middlewares run in the order in which their layers are built: what a layer is provided to runs inside of it. So
 * provide that of authentication and CORS to this one, or let them refuse inside: what they answer is below 400 or
 * discards, and has enqueued nothing.
 *
 * **Example** (All routes)
 *
 * ```ts
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SideEffectsMiddleware } from "effect-side-effects/http"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * class SendMail extends SideEffect.make("orders:mail", {
 *   description: "Email the customer.",
 *   payload: { order: Schema.String }
 * }) {}
 *
 * const Orders = SideEffectGroup.make("orders").add(SendMail)
 *
 * const Live = SideEffects.LiveLayer(Orders).pipe(
 *   Layer.provide(SendMail.toLayer(({ order }) => Console.log(`a mail about order ${order}`)))
 * )
 *
 * const App = HttpRouter.add(
 *   "POST",
 *   "/orders",
 *   Effect.as(SideEffects.enqueue(SendMail, { order: "1042" }), HttpServerResponse.empty({ status: 409 }))
 * ).pipe(
 *   Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, {
 *     onClose: (report) => Console.log(`${report.name} was ${report.outcome}`)
 *   })),
 *   Layer.provide(Live)
 * )
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(App, { disableLogger: true })
 * await handler(new Request("http://localhost/orders", { method: "POST" })) // POST /orders was discarded
 * await dispose()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerGlobal = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Options = noOptions
): Layer.Layer<
  | HttpRouter.Request.From<"Requires", SideEffects<S["_tag"] | Ev["_tag"]>>
  | HttpRouter.Request.From<"GlobalRequires", SideEffects<S["_tag"] | Ev["_tag"]>>,
  never,
  HttpRouter.HttpRouter | SideEffects<S["_tag"] | Ev["_tag"]>
> => typed(group, HttpRouter.middleware(unitOf(options) as any, { global: true }))

/**
 * A boundary for each request of the endpoints and groups of an `HttpApi` that name the middleware `service`.
 *
 * **When to use**
 *
 * When the definition of the API should say which endpoints have side effects. Otherwise `layerGlobal` and `make` do for an
 * `HttpApi` as they do for any router.
 *
 * **Details**
 *
 * Declared errors discard, as all failures do. `shouldRelease` is asked before the response of a declared error is made: it
 * sees its status, and neither headers nor a body.
 *
 * **Example** (An endpoint that says so)
 *
 * ```ts
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SideEffectsMiddleware } from "effect-side-effects/http"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
 *
 * class SendMail extends SideEffect.make("orders:mail", {
 *   description: "Email the customer.",
 *   payload: { order: Schema.String }
 * }) {}
 *
 * const Orders = SideEffectGroup.make("orders").add(SendMail)
 *
 * class Unit extends HttpApiMiddleware.Service<Unit, {
 *   provides: SideEffectsMiddleware.Provides<typeof Orders>
 * }>()("Unit") {}
 *
 * class Api extends HttpApi.make("shop").add(
 *   HttpApiGroup.make("orders").add(HttpApiEndpoint.post("place", "/orders")).middleware(Unit)
 * ) {}
 *
 * const Handlers = HttpApiBuilder.group(
 *   Api,
 *   "orders",
 *   (handlers) => handlers.handle("place", () => Effect.asVoid(SideEffects.enqueue(SendMail, { order: "1042" })))
 * )
 *
 * const UnitLive = SideEffectsMiddleware.layerApi(Unit, Orders).pipe(
 *   Layer.provide(SideEffects.LiveLayer(Orders)),
 *   Layer.provide(SendMail.toLayer(({ order }) => Console.log(`a mail about order ${order}`)))
 * )
 *
 * export const App = HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers), Layer.provide(UnitLive))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerApi = <Self, S extends SideEffect.Any, Ev extends Event.Any>(
  service: HttpApiMiddleware.ServiceClass<Self, string, {
    requires: any
    provides: SideEffects<S["_tag"] | Ev["_tag"]>
    error: any
    clientError: any
    requiredForClient: boolean
    security: never
  }>,
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Options = noOptions
): Layer.Layer<Self, never, SideEffects<S["_tag"] | Ev["_tag"]>> =>
  typed(
    group,
    Layer.effect(
      service as any,
      middleware(
        (place) =>
        (self: Effect.Effect<HttpServerResponse>, { endpoint }: { readonly endpoint: HttpApiEndpoint.Top }) =>
          unitOfRequest(self, place, options, answerOf(endpoint))
      )
    )
  )

/**
 * A boundary for each call of the procedures that name the middleware `service`.
 *
 * **When to use**
 *
 * For the procedures of an `RpcGroup`, over any protocol, and for the messages of a cluster `Entity`, whose protocol is
 * an `RpcGroup` as well.
 *
 * **Details**
 *
 * A call that succeeds releases, one that fails, dies or is interrupted discards. Its name and the origin of its intents
 * are `rpc <tag>`. What is durable is written before the call is answered; the rest is dispatched when it has been,
 * unless `dispatch` says otherwise, and closing the layer waits for that. Two of these middlewares on one procedure are
 * nested.
 *
 * The handler gets `SideEffects` from the middleware, so where the live layer is provided to that alone, a procedure
 * without it does not compile when it enqueues.
 *
 * **Gotchas**
 *
 * - A call is a unit of work of its own. A boundary around the server, as of an HTTP middleware, has no say: a call that
 *   fails is answered with status 200, and others of its batch may succeed.
 * - A procedure that streams is one call: it releases when its stream has ended, and discards when the client stops
 *   reading. For items that stand for themselves, put `SideEffects.boundary(..., { detached: true })` around each.
 * - A handler that answers with a `Deferred` has ended when it returns that.
 *
 * **Example** (A procedure that enqueues)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SideEffectsMiddleware } from "effect-side-effects/http"
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcGroup, RpcMiddleware, RpcTest } from "effect/rpc"
 *
 * class SendMail extends SideEffect.make("accounts:mail", {
 *   description: "Email a new customer.",
 *   payload: { to: Schema.String }
 * }) {}
 *
 * const Accounts = SideEffectGroup.make("accounts").add(SendMail)
 *
 * class Unit extends RpcMiddleware.Service<Unit, { provides: SideEffectsMiddleware.Provides<typeof Accounts> }>()("Unit") {}
 *
 * class SignUp extends RpcGroup.make(Rpc.make("SignUp", { payload: { email: Schema.String } })).middleware(Unit) {}
 *
 * const Handlers = SignUp.toLayer({
 *   SignUp: ({ email }) => Effect.asVoid(SideEffects.enqueue(SendMail, { to: email }))
 * })
 *
 * const UnitLive = SideEffectsMiddleware.layerRpc(Unit, Accounts).pipe(
 *   Layer.provide(SideEffects.LiveLayer(Accounts)),
 *   Layer.provide(SendMail.toLayer(({ to }) => Console.log(`a mail to ${to}`)))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const client = yield* RpcTest.makeClient(SignUp)
 *   yield* client.SignUp({ email: "ada@example.org" })
 * })
 *
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([Handlers, UnitLive])))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRpc = <
  Self,
  Provided extends SideEffects<S["_tag"] | Ev["_tag"]>,
  E extends Schema.Constraint,
  ClientError,
  Requires,
  RequiredForClient extends boolean,
  S extends SideEffect.Any,
  Ev extends Event.Any
>(
  service: RpcMiddleware.ServiceClass<Self, string, Provided, E, ClientError, Requires, RequiredForClient>,
  _group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Pick<Options, "dispatch" | "policy" | "onClose"> = noOptions
): Layer.Layer<Self, never, SideEffects<S["_tag"] | Ev["_tag"]>> =>
  Layer.effect(service as any, unitOfCall(options) as any) as any

/**
 * A boundary for each request of an HTTP handler that belongs to no router.
 *
 * **When to use**
 *
 * With `HttpServer.serve` and `HttpEffect.toWebHandlerLayer`, and for a single handler.
 *
 * **Details**
 *
 * It needs the live layer in its context, as `SideEffects.boundary` does, and its options are those of a middleware. Its
 * name and the origin of its intents are the method and the path without the query, where no router is inside.
 *
 * The handler is interrupted when the client hangs up, as routes are; without a router Effect lets it run to its end.
 * Where that is wanted, say `Effect.uninterruptible` inside.
 *
 * **Gotchas**
 *
 * As the `middleware` of `HttpRouter.serve` or `HttpServer.serve` it would run around the sending of the response, when it
 * is too late to decide. It says so in the log.
 *
 * **Example** (A web handler)
 *
 * ```ts
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SideEffectsMiddleware } from "effect-side-effects/http"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 *
 * class SendMail extends SideEffect.make("orders:mail", {
 *   description: "Email the customer.",
 *   payload: { order: Schema.String }
 * }) {}
 *
 * const Live = SideEffects.LiveLayer(SideEffectGroup.make("orders").add(SendMail)).pipe(
 *   Layer.provide(SendMail.toLayer(({ order }) => Console.log(`a mail about order ${order}`)))
 * )
 *
 * const place = SideEffects.enqueue(SendMail, { order: "1042" }).pipe(
 *   Effect.as(HttpServerResponse.empty({ status: 201 })),
 *   SideEffectsMiddleware.boundary()
 * )
 *
 * const { dispose, handler } = HttpEffect.toWebHandlerLayer(place, Live)
 * console.log((await handler(new Request("http://localhost/orders", { method: "POST" }))).status) // 201
 * await dispose()
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const boundary: {
  (
    options?: Options
  ): <E, R>(
    self: Effect.Effect<HttpServerResponse, E, R>
  ) => Effect.Effect<HttpServerResponse, E, R | HttpServerRequest | SideEffects<never>>
  <E, R>(
    self: Effect.Effect<HttpServerResponse, E, R>,
    options?: Options
  ): Effect.Effect<HttpServerResponse, E, R | HttpServerRequest | SideEffects<never>>
} = /*#__PURE__*/ dual((args) => Effect.isEffect(args[0]), <E, R>(
  self: Effect.Effect<HttpServerResponse, E, R>,
  options: Options = noOptions
): Effect.Effect<HttpServerResponse, E, R | HttpServerRequest> => unitOfRequest(self, undefined, options))
