import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as relay from "../../examples/relay.ts"
import { columns, printed, widerThan } from "./helpers.ts"

describe("the guide to the relay", () => {
  it.live("relay.ts hands over what was committed, and a crash in between makes no second job", () =>
    Effect.gen(function*() {
      const output = yield* printed(relay.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      const [before, after] = output.split("relay 2 takes over when the lease has run out:\n")
      assert.strictEqual(
        before,
        `order 1 is committed
order 2 is rolled back: the card has expired
relay 1 hands over, and is killed:
  the queue takes {"order":"order 1"}
`
      )
      // Which of the two comes first is a matter of when the lease runs out.
      assert.sameMembers(after!.trimEnd().split("\n"), [
        "order 3 is committed",
        "  the queue takes {\"order\":\"order 3\"}",
        "  the queue has already got {\"order\":\"order 1\"}",
        "jobs in the queue: 2"
      ])
    }))
})
