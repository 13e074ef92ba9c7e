import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { columns, widerThan } from "./helpers.ts"

const root = join(import.meta.dirname, "..", "..")
const url = process.env["REDIS_URL"]

describe.skipIf(url === undefined)(
  url === undefined ? "the guide to BullMQ (skipped: set REDIS_URL)" : "the guide to BullMQ",
  () => {
    it("bullmq-two-workers loses a worker, and none of the receipts", async () => {
      const example = join(root, "examples", "bullmq-two-workers", "main.ts")
      const args = ["--import", join(root, "scripts", "lib", "from-source.ts"), example]
      const { stderr, stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
      assert.strictEqual(stderr, "")
      assert.deepStrictEqual(widerThan(columns, stdout), [])
      const number = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1]?.replaceAll(",", "") ?? assert.fail(stdout))
      const held = number(/it was performing (\d+)/)
      const [first, second] = ["first", "second"].map((name) => ({
        begun: number(new RegExp(`^${name} +([\\d,]+)`, "m")),
        done: number(new RegExp(`^${name} +[\\d,]+ +([\\d,]+)`, "m"))
      })) as [{ begun: number; done: number }, { begun: number; done: number }]
      const again = number(/([\d,]+) begun twice/)
      const inHandler = number(/begun twice: (\d+) in a handler/)
      const unsettled = number(/, (\d+) done and not settled/)
      assert.isAtLeast(held, 1)
      // Both have done something, and the second did not end what it held.
      assert.isAtLeast(second.done, 1)
      assert.isAbove(second.begun, second.done)
      assert.strictEqual(first.begun, first.done)
      assert.strictEqual(first.begun + second.begun, 2000 + again)
      assert.strictEqual(inHandler, held)
      assert.strictEqual(inHandler + unsettled, again)
      assert.isAtLeast(again, second.begun - second.done)
      assert.isAtMost(again, 16)
      assert.isAtMost(number(/([\d,]+) of these the provider knew/), again)
      assert.strictEqual(number(/([\d,]+) receipts sent, of 2,000/), 2000)
      assert.strictEqual(number(/([\d,]+) lost/), 0)
      assert.strictEqual(number(/([\d,]+) failed/), 0)
    }, 60_000)
  }
)
