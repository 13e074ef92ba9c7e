import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as metrics from "../../examples/metrics.ts"
import * as tracing from "../../examples/tracing.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const prints = <E>(program: Effect.Effect<unknown, E>, expected: string) =>
  Effect.gen(function*() {
    const output = yield* printed(program)
    assert.deepStrictEqual(widerThan(columns, output), [])
    assert.strictEqual(output, expected)
  })

describe("the guides to observability", () => {
  it.live("tracing.ts prints the trace of a request, and that of a retry", () =>
    prints(
      tracing.program,
      `trace
  POST /orders
    placeOrder
      deliver shop:mail, attempt 1, failed
          linked to SideEffects.dispatch
        smtp, failed
      deliver shop:warehouse, attempt 1
          linked to SideEffects.dispatch
    SideEffects.release
      SideEffects.dispatch
trace
  deliver shop:mail, attempt 2
      linked to placeOrder and SideEffects.dispatch
    smtp
`
    ))

  it.live("metrics.ts prints what became of each side effect", () =>
    prints(
      metrics.program,
      `side_effects_enqueued
  {name="shop:mail"} 5
side_effects_enqueued
  {name="shop:sms"} 1
side_effects_deduplicated
  {name="shop:mail",reason="dedupe"} 1
side_effects_dropped
  {name="shop:sms",reason="block(\\"shop:sms\\")"} 1
side_effects_dispatched
  {name="shop:mail",reason="inline"} 2
side_effects_failed
  {name="shop:mail",reason="Bounced"} 1
side_effects_discarded
  {name="shop:mail",reason="failed"} 1
`
    ))
})
