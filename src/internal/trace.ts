import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** The span, or the nearest around it that others may see: where tracing is turned off, spans are stand-ins. */
export const visible = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined => {
  let at = span
  while (at !== undefined && Context.get(at.annotations, Tracer.DisablePropagation)) {
    at = at._tag === "Span" ? Option.getOrUndefined(at.parent) : undefined
  }
  return at
}

const pattern = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})/

/** The W3C `traceparent` of a span, or `undefined` where its ids are none that W3C knows. */
export const traceparentOf = (span: Tracer.AnySpan): string | undefined => {
  const seen = visible(span)
  if (seen === undefined) return undefined
  // Ids of 64 bits are written so in W3C Trace Context.
  const text = `00-${seen.traceId.padStart(32, "0")}-${seen.spanId}-${seen.sampled ? "01" : "00"}`
  return pattern.test(text) ? text : undefined
}

/** The span that was noted: itself, or one that stands for it where it was in another process. */
export const spanOf = (trace: Tracer.AnySpan | string | undefined): Tracer.AnySpan | undefined => {
  if (typeof trace !== "string") return visible(trace)
  const [, traceId, spanId, flags] = pattern.exec(trace) ?? []
  return flags === undefined
    ? undefined
    : Tracer.externalSpan({ traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}
