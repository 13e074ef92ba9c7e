import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as guide from "../../examples/workflow-days-and-steps.ts"
import { columns, printed, widerThan } from "./helpers.ts"

describe("examples/workflow-days-and-steps.ts", () => {
  it.live("pays after a person and three days, and asks again a day after each failure", () =>
    Effect.gen(function*() {
      const output = yield* printed(guide.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(
        output,
        `day 0: who approves 12 EUR for 1042?
day 2: Ann approves
day 5: paid 12 EUR for 1042, approved by Ann
day 14: survey for 1042, attempt 1
day 15: survey for 1042, attempt 2
day 16: survey for 1042, attempt 3
day 16: done, a refund in steps and a survey that was tried again
`
      )
    }))
})
