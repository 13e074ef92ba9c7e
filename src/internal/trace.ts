import type * as Tracer from "effect/Tracer"

/** The W3C `traceparent` of a span, or `undefined` where its ids are none that W3C knows. */
export const traceparentOf = (span: Tracer.AnySpan): string | undefined =>
  span.traceId.length === 32 ? `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}` : undefined
