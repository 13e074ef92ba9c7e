import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { columns, widerThan } from "./helpers.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const skip = !process.env["POSTGRES_URL"]

describe.skipIf(skip)(`the guide to the cluster${skip ? " (skipped: set POSTGRES_URL)" : ""}`, () => {
  it("cluster/main.ts loses a runner, and neither a side effect nor the order", async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "./scripts/lib/from-source.ts", "examples/cluster/main.ts"],
      { cwd: root, timeout: 150_000 }
    )
    assert.deepStrictEqual(widerThan(columns, stdout), [])
    for (
      const line of [
        /s {2}all 240 are enqueued$/m,
        /s {2}bob is killed with SIGKILL; \d+ of 240 are booked$/m,
        /s {2}others book what was to be booked by it$/m,
        /^ada +[1-9]\d* +\d+$/m,
        /^bob +[1-9]\d* +\d+ {2}\(killed\)$/m,
        /^cyd +[1-9]\d* +\d+$/m,
        /^ {2}240 booked, of 240$/m,
        /^ {4}0 lost$/m,
        /^ {4}0 out of order$/m
      ]
    ) assert.match(stdout, line)
  }, 160_000)
})
