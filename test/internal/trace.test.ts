import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { spanOf, traceparentOf } from "../../src/internal/trace.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const span = Tracer.externalSpan({ traceId, spanId })

/** As Effect makes them where tracing is turned off. */
const standIn = (parent: Option.Option<Tracer.AnySpan>): Tracer.Span =>
  new Tracer.NativeSpan({
    name: "off",
    parent,
    annotations: Context.make(Tracer.DisablePropagation, true),
    links: [],
    startTime: 0n,
    kind: "internal",
    sampled: false
  })

describe("traceparentOf", () => {
  it("is what W3C Trace Context says", () => {
    assert.strictEqual(traceparentOf(span), `00-${traceId}-${spanId}-01`)
    assert.strictEqual(traceparentOf({ ...span, sampled: false }), `00-${traceId}-${spanId}-00`)
  })

  it("fills up an id of 64 bits", () =>
    assert.strictEqual(
      traceparentOf({ ...span, traceId: "8448eb211c80319c" }),
      `00-00000000000000008448eb211c80319c-${spanId}-01`
    ))

  it("is nothing where the ids are none that W3C knows", () => {
    for (const other of [{ traceId: "noop" }, { spanId: "noop" }, { traceId: "0".repeat(32) }, { spanId: "1" }]) {
      assert.isUndefined(traceparentOf({ ...span, ...other }))
    }
  })

  it("is that of the span around, where tracing is turned off", () => {
    assert.strictEqual(traceparentOf(standIn(Option.some(standIn(Option.some(span))))), traceparentOf(span))
    assert.isUndefined(traceparentOf(standIn(Option.none())))
  })
})

describe("spanOf", () => {
  it("is the span itself in the same process, and what others may see of it", () => {
    assert.strictEqual(spanOf(span), span)
    assert.strictEqual(spanOf(standIn(Option.some(span))), span)
    assert.isUndefined(spanOf(standIn(Option.none())))
    assert.isUndefined(spanOf(undefined))
  })

  it("reads what traceparentOf has written", () => {
    for (const sampled of [true, false]) {
      const read = spanOf(traceparentOf({ ...span, sampled }))
      assert.deepStrictEqual([read?.traceId, read?.spanId, read?.sampled], [traceId, spanId, sampled])
    }
  })

  it("reads flags bit by bit, and versions to come", () => {
    assert.isTrue(spanOf(`00-${traceId}-${spanId}-03`)?.sampled)
    assert.isFalse(spanOf(`00-${traceId}-${spanId}-02`)?.sampled)
    assert.strictEqual(spanOf(`cc-${traceId}-${spanId}-01-what-comes`)?.traceId, traceId)
  })

  it("takes nothing from what is none", () => {
    for (
      const text of ["", "x", `00-${traceId}-${spanId}`, `00-${"0".repeat(32)}-${spanId}-01`, `00-${traceId}-no-01`]
    ) {
      assert.isUndefined(spanOf(text), text)
    }
  })
})
