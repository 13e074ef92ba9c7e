import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as guide from "../../examples/persisted-queue.ts"
import { columns, printed, widerThan } from "./helpers.ts"

it.live("persisted-queue.ts performs after a delay, after failures, or not at all", () =>
  Effect.gen(function*() {
    const output = yield* printed(guide.program)
    assert.deepStrictEqual(widerThan(columns, output), [])
    assert.strictEqual(
      output,
      `A-1 is placed
  attempt 1: the courier comes for A-1, and knows it as A-1
A-2 is placed
  attempt 1: the line is busy
  attempt 2: the line is busy
  attempt 3: the courier comes for A-2, and knows it as A-2
A-3 is placed
  attempt 1: the line is busy
  attempt 2: the line is busy
  attempt 3: the line is busy
  dead as exhausted: LineBusy: the line is busy
A-1 has arrived, and A-4 is refused: nobody is asked about that
  later: how was A-1?
`
    )
  }))
