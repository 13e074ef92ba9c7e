/**
 * Boundaries for servers: one for each HTTP request, one for each RPC.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import type * as Boundary from "../Boundary.ts"
import type * as Event from "../Event.ts"
import { type Place, SideEffects } from "../Place.ts"
import type * as Policy from "../Policy.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { unitOfRequest } from "./internal/unit.ts"

/**
 * How the boundary of a request behaves.
 *
 * **Details**
 *
 * - `shouldRelease`: whether what the request has enqueued is released, given its response. By default it is when the
 *   status is below 400 and the handler has succeeded. Where it is given, it is also asked about the response that Effect makes
 *   of a failure or a defect. A request that was interrupted, as by a client that has hung up, is never released.
 * - `dispatch`: `"after-response"` (default) dispatches what is not durable when the response has been sent, so that slow
 *   side effects slow nobody; where the body streams, when it begins to. `"before-response"` waits for it. What is
 *   durable is always written before.
 * - `policy`, `onClose`: as in `Boundary.Options`.
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
 * What a middleware for a group provides to handlers.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Provides<G> = G extends SideEffectGroup.SideEffectGroup<infer S, infer Ev>
  ? SideEffects<S["_tag"] | Ev["_tag"]>
  : never

const noOptions: Options = {}

/**
 * A boundary for each request of the routes that `layer` is provided to.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <S extends SideEffect.Any, Ev extends Event.Any>(
  _group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Options = noOptions
): HttpRouter.Middleware<{
  provides: SideEffects<S["_tag"] | Ev["_tag"]>
  handles: never
  error: never
  requires: never
  layerError: never
  layerRequires: SideEffects<S["_tag"] | Ev["_tag"]>
}> => HttpRouter.middleware(middleware(options) as any) as any

const middleware = (options: Options) =>
  Effect.map(
    SideEffects,
    (place: Place) => (self: Effect.Effect<HttpServerResponse>) => unitOfRequest(self, place, options)
  )

/**
 * A boundary for each request of the router.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerGlobal = <S extends SideEffect.Any, Ev extends Event.Any>(
  _group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Options = noOptions
): Layer.Layer<
  | HttpRouter.Request.From<"Requires", SideEffects<S["_tag"] | Ev["_tag"]>>
  | HttpRouter.Request.From<"GlobalRequires", SideEffects<S["_tag"] | Ev["_tag"]>>,
  never,
  HttpRouter.HttpRouter | SideEffects<S["_tag"] | Ev["_tag"]>
> => HttpRouter.middleware(middleware(options) as any, { global: true }) as any

/**
 * A boundary for each request of the endpoints and groups of an `HttpApi` that name the middleware `service`.
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
  _group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Options = noOptions
): Layer.Layer<Self, never, SideEffects<S["_tag"] | Ev["_tag"]>> =>
  Layer.effect(service as any, middleware(options)) as any

/**
 * A boundary for each call of the procedures that name the middleware `service`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRpc = <Self, S extends SideEffect.Any, Ev extends Event.Any>(
  service: RpcMiddleware.ServiceClass<Self, string, SideEffects<S["_tag"] | Ev["_tag"]>, any, any, any, boolean>,
  _group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options: Pick<Options, "policy" | "onClose"> = noOptions
): Layer.Layer<Self, never, SideEffects<S["_tag"] | Ev["_tag"]>> =>
  Layer.effect(
    service as any,
    Effect.map(
      SideEffects,
      (built: Place) => (self: Effect.Effect<any>, { rpc }: { readonly rpc: { readonly _tag: string } }) =>
        Effect.suspend(() => {
          const name = `rpc ${rpc._tag}`
          const state = built.open({ ...options, name, origin: name })
          return Effect.onExitPrimitive(built.enter(state).provide(self), (exit) => state.close(exit) as any)
        })
    )
  ) as any

/**
 * The same for an HTTP handler that belongs to no router.
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
