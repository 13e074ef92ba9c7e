import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import type * as Boundary from "../../Boundary.ts"
import type { BoundaryState } from "../../Boundary.ts"
import type { DispatchError } from "../../Dispatcher.ts"
import * as describe from "../../internal/describe.ts"
import { type Place, placeOf, SideEffects } from "../../Place.ts"
import type * as Policy from "../../Policy.ts"
import { afterResponse } from "./afterResponse.ts"
import { committed } from "./committed.ts"

type Request = HttpServerRequest.HttpServerRequest

export interface UnitOptions {
  readonly shouldRelease?: ((request: Request, response: HttpServerResponse) => boolean) | undefined
  readonly dispatch?: "after-response" | "before-response" | undefined
  readonly policy?: Policy.Policy | undefined
  readonly onClose?: ((report: Boundary.Report) => Effect.Effect<unknown>) | undefined
}

/** The response that is made of a failure. */
export type Answer = <E>(cause: Cause.Cause<E>) => Effect.Effect<HttpServerResponse>

const answerOf: Answer = (cause) => Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)

/** What Effect's server notes on a request when it has sent the response. */
const sent = Symbol.for("effect/http/HttpEffect/handled")

/**
 * One request, one boundary. It stands in the boundary around it, where there is one of the same layer, and otherwise in
 * `built`, where the middleware was built.
 */
export const unitOfRequest = <E, R>(
  self: Effect.Effect<HttpServerResponse, E, R>,
  built: Place | undefined,
  options: UnitOptions,
  answer: Answer = answerOf
): Effect.Effect<HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.withFiber((fiber) => {
    const { context } = fiber
    const around = Context.getOrUndefined(context, SideEffects)
    const place = built === undefined || around?.root === built.root ? placeOf(context) : built
    const unit = new Unit(place, context, options, built === undefined)
    const handler = unit.route === undefined ? unit.looking(self) : self
    // Not abortOnError: there is no DispatchError.
    return place.enter(unit.state).enclose(handler, fiber, (exit) => unit.close(exit, answer) as Effect.Effect<void>)
  })

/** A request, and the options of its boundary. */
class Unit implements Boundary.Options {
  readonly context: Context.Context<never>
  readonly request: Request
  /** Whether no layer has made it. */
  private readonly isPlain: boolean
  private readonly told: UnitOptions
  private readonly outer: Boundary.Options | undefined
  readonly state: BoundaryState
  /** Method and route, as soon as the route is known. */
  route: string | undefined
  readonly origin: string | (() => string)
  readonly policy: Policy.Policy | undefined
  readonly onClose: Boundary.Options["onClose"]
  readonly nested: Boundary.Options["nested"]

  constructor(place: Place, context: Context.Context<never>, told: UnitOptions, isPlain: boolean) {
    const known = Context.getOrUndefined(context, HttpRouter.RouteContext)
    this.context = context
    this.request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    this.isPlain = isPlain
    this.told = told
    this.outer = place.boundary?.options
    this.route = known && `${this.request.method} ${known.route.path}`
    this.origin = this.route ?? (() => this.find())
    this.policy = told.policy
    this.onClose = told.onClose
    this.nested = committed(place.root, context)
    this.state = place.open(this)
  }

  /** Method and route, or the path while no route is known. */
  get name(): string {
    return this.route ?? `${this.request.method} ${pathOf(this.request.originalUrl)}`
  }

  /** In front of the router nobody knows the route, but whoever is behind it has it in its context. */
  private find(): string {
    if (this.route === undefined) {
      const context = Fiber.getCurrent()?.context
      const path = context && Context.getOrUndefined(context, HttpRouter.RouteContext)?.route.path
      if (path !== undefined) {
        this.route = `${this.request.method} ${path}`
        // The context of the router is gone there, too.
        if (this.outer instanceof Unit) this.outer.find()
      }
    }
    return this.name
  }

  looking<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    // The context of the router is gone outside.
    const looking = Effect.onExitPrimitive(self, () => {
      this.find()
      return undefined
    })
    // Routes are interrupted when the client hangs up. Nobody has seen to that where there is no router.
    return this.isPlain ? Effect.interruptible(looking) : looking
  }

  close(
    exit: Exit.Exit<HttpServerResponse, unknown>,
    answer: Answer
  ): Effect.Effect<void, DispatchError> | undefined {
    if (exit._tag === "Success") {
      const closing = this.decide(exit.value, exit)
      return sent in this.request ? Effect.andThen(Effect.logError(tooLate), closing ?? Effect.void) : closing
    }
    return this.told.shouldRelease === undefined || Cause.hasInterrupts(exit.cause)
      ? this.state.discard(exit, describe.exit(exit))
      : Effect.matchCauseEffect(Effect.suspend(() => answer(exit.cause)), {
        // There is no response that could be asked about.
        onFailure: () => this.state.discard(exit, describe.exit(exit)) ?? Effect.void,
        onSuccess: (response) => this.decide(response, exit) ?? Effect.void
      })
  }

  private decide(
    response: HttpServerResponse,
    exit: Exit.Exit<HttpServerResponse, unknown>
  ): Effect.Effect<void, DispatchError> | undefined {
    const { request, state, told: { shouldRelease } } = this
    let release: boolean
    try {
      release = shouldRelease === undefined ? response.status < 400 : shouldRelease(request, response)
    } catch (cause) {
      const error = new Error(`shouldRelease of ${state.label} died, so nothing is released`, { cause })
      const reason = `was not released: shouldRelease died with ${describe.error(cause)}`
      return Effect.andThen(state.discard(exit, reason) ?? Effect.void, Effect.die(error))
    }
    if (release) return this.release(exit)
    const reason = exit._tag === "Failure" ? describe.exit(exit) : `was not released: it answered ${response.status}`
    return state.discard(exit, reason)
  }

  private release(
    exit: Exit.Exit<HttpServerResponse, unknown>
  ): Effect.Effect<void, DispatchError> | undefined {
    const { context, state, told: { dispatch } } = this
    if (dispatch !== "before-response" && state.entries.length > 0 && !state.root.later.isFull) {
      // Without a scope of the request nobody says when the response has been sent.
      const scope = Context.getOrUndefined(context, Scope.Scope)
      if (scope !== undefined) {
        state.defer = (dispatch) => afterResponse(dispatch, { context, later: state.root.later, scope })
      }
    }
    return state.release(exit)
  }
}

const pathOf = (url: string): string => url.replace(/[?#].*$/s, "").replace(/^[a-z]+:\/\/[^/]*/, "") || "/"

const tooLate =
  "SideEffectsMiddleware.boundary runs around the sending of responses, so a request is answered before " +
  "anything is decided. It was given to the server as its middleware: pipe the handler through it instead."
