import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { DispatchError } from "../../Dispatcher.ts"
import * as describe from "../../internal/describe.ts"
import { Place, SideEffects } from "../../Place.ts"
import type { Options } from "../SideEffectsMiddleware.ts"

type Request = HttpServerRequest.HttpServerRequest
type Response = HttpServerResponse.HttpServerResponse

/** What Effect's server notes on a request when it has sent the response. */
const sent = Symbol.for("effect/http/HttpEffect/handled")

/**
 * One request, one boundary. It stands in the boundary around it, where there is one of the same layer, and otherwise in
 * `built`, where the middleware was built.
 */
export const unitOfRequest = <E, R>(
  self: Effect.Effect<Response, E, R>,
  built: Place | undefined,
  options: Options
): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.withFiber((fiber) => {
    const { context } = fiber
    const request = Context.getUnsafe(context, HttpServerRequest.HttpServerRequest)
    const around = Context.getOrUndefined(context, SideEffects)
    const place = built === undefined || around?.root === built.root ? Place.of(context as any) : built
    const route = routeOf(request)
    const state = place.open({
      get name() {
        return route.known()
      },
      origin: route.find,
      policy: options.policy,
      onClose: options.onClose
    })
    if (options.dispatch !== "before-response") {
      const scope = Context.getOrUndefined(context, Scope.Scope)
      // Without a scope of the request nobody says when the response has been sent.
      if (scope !== undefined) state.defer = (dispatch) => afterResponse(context, scope, dispatch)
    }
    const shouldRelease = options.shouldRelease ?? isSuccess

    const decide = (response: Response, exit: Exit.Exit<Response, E>) => {
      let release: boolean
      try {
        release = shouldRelease(request, response)
      } catch (cause) {
        const error = new Error(`shouldRelease of ${state.label} died, so nothing is released`, { cause })
        const reason = `was not released: shouldRelease died with ${describe.error(cause)}`
        return Effect.andThen(state.discard(exit, reason) ?? Effect.void, Effect.die(error))
      }
      if (release) return state.release(exit)
      return state.discard(
        exit,
        exit._tag === "Failure" ? describe.exit(exit) : `was not released: it answered ${response.status}`
      )
    }
    const close = (exit: Exit.Exit<Response, E>): Effect.Effect<void, DispatchError> | undefined => {
      if (exit._tag === "Success") {
        const closing = decide(exit.value, exit)
        return sent in request ? Effect.andThen(Effect.logError(tooLate), closing ?? Effect.void) : closing
      }
      return options.shouldRelease === undefined || Cause.hasInterrupts(exit.cause)
        ? state.discard(exit, describe.exit(exit))
        : Effect.flatMap(
          HttpServerError.causeResponse(exit.cause),
          ([response]) => decide(response, exit) ?? Effect.void
        )
    }
    const handled = Effect.onExitPrimitive(self, () => {
      // The router has found the route by now, and its context is gone outside.
      route.find()
      return undefined
    })
    // Not abortOnError: there is no DispatchError.
    return Effect.onExitPrimitive(place.enter(state).provide(handled), close) as Effect.Effect<Response, E, R>
  })

const isSuccess = (_: Request, { status }: Response): boolean => status < 400

const tooLate =
  "SideEffectsMiddleware.boundary runs around the sending of responses, so a request is answered before " +
  "anything is decided. It was given to the server as its middleware: pipe the handler through it instead."

/** Method and route, or the path while no route is known. */
const routeOf = (request: Request) => {
  let found: string | undefined
  const known = () => found ?? `${request.method} ${pathOf(request.originalUrl)}`
  return {
    known,
    find: (): string => {
      if (found === undefined) {
        const context = Fiber.getCurrent()!.context
        const path = Context.getOrUndefined(context, HttpRouter.RouteContext)?.route.path
        if (path !== undefined) found = `${request.method} ${path}`
      }
      return known()
    }
  }
}

const pathOf = (url: string): string => url.replace(/[?#].*$/s, "").replace(/^[a-z]+:\/\/[^/]*/, "") || "/"

/**
 * Runs what was left when the response has been sent. Where its body streams, that is when its headers have been: it may
 * take hours.
 */
const afterResponse = (
  context: Context.Context<never>,
  scope: Scope.Scope,
  dispatch: Effect.Effect<void>
): void => {
  const span = Context.getOrUndefined(context, Tracer.ParentSpan)
  const traced = span === undefined ? dispatch : Effect.provideService(dispatch, Tracer.ParentSpan, span)
  let running: Fiber.Fiber<void> | undefined
  const start = Effect.suspend(() =>
    running === undefined
      ? Effect.map(Effect.forkDetach(traced), (fiber) => {
        running = fiber
      })
      : Effect.void
  )
  HttpEffect.appendPreResponseHandlerUnsafe(
    context,
    (_, response) =>
      Effect.succeed(response.body._tag === "Stream" ? onceStarted(response, response.body, start) : response)
  )
  Effect.runSync(Scope.addFinalizer(
    scope,
    Effect.suspend(() => running === undefined ? traced : Fiber.await(running))
  ))
}

const onceStarted = (response: Response, body: HttpBody.Stream, start: Effect.Effect<void>): Response =>
  HttpServerResponse.setHeaders(
    HttpServerResponse.setBody(
      response,
      HttpBody.stream(Stream.onStart(body.stream, start), body.contentType, body.contentLength)
    ),
    response.headers
  )
