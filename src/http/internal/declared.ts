import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type { Answer } from "./unit.ts"

const statusIn = /*#__PURE__*/ SchemaAST.resolveAt<number>("httpApiStatus")

/**
 * An `HttpApi` makes the response of a declared error when its middlewares are through. What is known of it before is the
 * status.
 */
export const answerOf = (endpoint: HttpApiEndpoint.Top): Answer => (cause) => {
  const fail = cause.reasons.find(Cause.isFailReason)
  if (fail !== undefined && !HttpServerRespondable.isRespondable(fail.error)) {
    for (const schema of errorsOf(endpoint)) {
      if (Schema.is(schema as Schema.Schema<unknown>)(fail.error)) {
        return Effect.succeed(HttpServerResponse.empty({ status: statusIn(schema.ast) ?? 500 }))
      }
    }
  }
  return Effect.map(HttpServerError.causeResponse(cause), ([response]) => response)
}

const errorsOf = (endpoint: HttpApiEndpoint.Top): ReadonlyArray<Schema.Top> => [
  ...endpoint.error,
  ...[...endpoint.middlewares].flatMap((middleware) => [...(middleware as any).error as ReadonlySet<Schema.Top>])
]
