import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { later, type Root } from "../../Boundary.ts"

type Response = HttpServerResponse.HttpServerResponse

/**
 * Has it run in a fiber of its own when the response has been sent. Where the body streams, that is when it begins to:
 * it may take hours.
 *
 * That fiber has nothing of the request but its trace and the annotations of its log: a transaction around it has ended,
 * and what it has acquired is given back.
 */
export const afterResponse = (
  dispatch: Effect.Effect<void>,
  { context, root, scope, waits }: {
    readonly context: Context.Context<never>
    readonly root: Root
    readonly scope: Scope.Scope
    /** No layer does, when the server shuts down. */
    readonly waits: boolean
  }
): Effect.Effect<void> => {
  let running: Fiber.Fiber<void> | undefined
  const start = Effect.suspend(() => {
    if (running !== undefined) return Effect.void
    const told = Effect.updateContext(dispatch, (server: Context.Context<never>) => ofRequest(server, context))
    return Effect.map(Effect.forkDetach(told, { uninterruptible: true }), (fiber) => {
      running = fiber
      later(root, fiber)
    })
  })
  HttpEffect.appendPreResponseHandlerUnsafe(context, (_, response) => {
    const { body } = response
    if (body._tag === "Stream") return Effect.succeed(onceStarted(response, body, start))
    // What is forked starts only when this fiber pauses, and then it has written the headers.
    return body._tag === "Raw" && isStream(body.body) ? Effect.as(start, response) : Effect.succeed(response)
  })
  return Scope.addFinalizer(
    scope,
    waits ? Effect.andThen(start, Effect.suspend(() => Fiber.await(running!))) : start
  )
}

const ofRequest = (server: Context.Context<never>, request: Context.Context<never>): Context.Context<never> => {
  const span = Context.getOrUndefined(request, Tracer.ParentSpan)
  const annotated = Context.add(
    server,
    References.CurrentLogAnnotations,
    Context.get(request, References.CurrentLogAnnotations)
  )
  return span === undefined ? annotated : Context.add(annotated, Tracer.ParentSpan, span)
}

const isStream = (body: unknown): boolean =>
  typeof body === "object" && body !== null && ("pipe" in body || "getReader" in body)

const onceStarted = (response: Response, body: HttpBody.Stream, start: Effect.Effect<void>): Response =>
  HttpServerResponse.setHeaders(
    HttpServerResponse.setBody(
      response,
      HttpBody.stream(Stream.onStart(body.stream, start), body.contentType, body.contentLength)
    ),
    response.headers
  )
