import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { program } from "../../examples/pg-boss.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const skip = !process.env["POSTGRES_URL"]

describe.skipIf(skip)(`the guide to pg-boss${skip ? " (skipped: set POSTGRES_URL)" : ""}`, () => {
  it.live("pg-boss.ts performs what was committed, and nothing of what was rolled back", () =>
    Effect.gen(function*() {
      const output = yield* printed(program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(
        output,
        `A-1043: refused by the database, and rolled back
the jobs in pg-boss, committed with the order:
  created orders:mail:confirmation
  created orders:warehouse:tell
a worker comes:
  mailed a confirmation of A-1042
  the warehouse is busy
  the warehouse packs A-1042: 3
completed, retries: 0, orders:mail:confirmation
completed, retries: 1, orders:warehouse:tell
`
      )
    }))
})
