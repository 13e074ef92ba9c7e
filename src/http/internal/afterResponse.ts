import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Later } from "../../internal/later.ts"

type Response = HttpServerResponse.HttpServerResponse

/**
 * Has it run in a fiber of its own when the response has been sent. Where the body streams, that is when it begins to:
 * it may take hours.
 *
 * That fiber has nothing of the request but its trace and the annotations of its log: a transaction around it has ended,
 * and what it has acquired is being given back.
 */
export const afterResponse = (
  dispatch: Effect.Effect<void>,
  { context, later, scope }: {
    readonly context: Context.Context<never>
    readonly later: Later
    readonly scope: Scope.Scope
  }
): Effect.Effect<void> => {
  const request = ofRequest(context)
  const start = later.add(Effect.updateContext(dispatch, request))
  HttpEffect.appendPreResponseHandlerUnsafe(context, (_, response) => {
    const { body } = response
    if (body._tag === "Stream") return Effect.succeed(onceStarted(response, body, start))
    // What is forked starts only when this fiber pauses, and then it has written the headers.
    return body._tag === "Raw" && isStream(body.body) ? Effect.as(start, response) : Effect.succeed(response)
  })
  return Scope.addFinalizer(scope, start)
}

const ofRequest = (context: Context.Context<never>) => {
  const span = Context.getOrUndefined(context, Tracer.ParentSpan)
  const annotations = Context.get(context, References.CurrentLogAnnotations)
  return (server: Context.Context<never>): Context.Context<never> => {
    const annotated = Context.add(withoutRequest(server), References.CurrentLogAnnotations, annotations)
    return span === undefined ? annotated : Context.add(annotated, Tracer.ParentSpan, span)
  }
}

/** It may be kept for as long as the longest delay. */
const withoutRequest: (server: Context.Context<never>) => Context.Context<never> = /*#__PURE__*/ Context.omit(
  HttpServerRequest.HttpServerRequest,
  Scope.Scope
)

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
