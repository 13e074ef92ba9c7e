import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { columns, widerThan } from "./helpers.ts"

const root = join(import.meta.dirname, "..", "..")
const folder = join(root, "examples", "migrating-queues")
const redis = process.env["REDIS_URL"]

const titles = [
  "step 0, as it was found",
  "step 1, wrap",
  "step 2, run both",
  "step 3, switch",
  "step 4, remove"
]

/** What the old worker holds when it is killed. */
const slots = 4
const inVain = [20, 10, 10, 0, 0]

const patience = 120_000

/** Each as its reader runs it, in a process of its own, and its workers in others: all of what this test is made from. */
const run = (n: number): Promise<string> =>
  promisify(execFile)(
    process.execPath,
    ["--import", join(root, "scripts/lib/from-source.ts"), join(folder, `step-${n}.ts`)],
    { cwd: root, timeout: patience }
  ).then(({ stdout }) => stdout)

describe.skipIf(redis === undefined)(`migrating-queues${redis === undefined ? " (REDIS_URL is not set)" : ""}`, () => {
  for (const [n, title] of titles.entries()) {
    it(`${title}: nothing is lost`, async () => {
      const output = await run(n)
      const duplicates = Number(/duplicates (\d+)/.exec(output)?.[1])
      assert.strictEqual(
        output,
        `${title}: 60 orders, of which 10 failed
  jobs produced 100, performed 100, duplicates ${duplicates}, lost 0
  jobs of failed orders performed ${inVain[n]}
`
      )
      if (n === 2) assert.isAtMost(duplicates, slots)
      else assert.strictEqual(duplicates, 0)
      assert.deepStrictEqual(widerThan(columns, output), [])
    }, patience)
  }
})

describe("docs/migrating-queues.md", () => {
  const guide = readFileSync(join(root, "docs", "migrating-queues.md"), "utf8")

  it("has a row for each step, and says of it what is so", () => {
    const rows = [...guide.matchAll(/^\| (\d) +\|.*\|$/gm)].map(([row]) =>
      row.split("|").slice(1, -1).map((cell) => cell.trim())
    )
    assert.deepStrictEqual(
      rows.map(([n, , , , jobs, lost, duplicates, failed]) => [n, jobs, lost, duplicates, failed]),
      inVain.map((jobs, n) => [`${n}`, "100", "0", n === 2 ? `up to ${slots}` : "0", `${jobs}`])
    )
    assert.strictEqual(readdirSync(folder).filter((file) => file.startsWith("step-")).length, rows.length)
  })

  it("shows the files as they are", () => {
    const shown = [...guide.matchAll(/^<!-- from (\S+) -->\n\n```text\n([^]*?)^```$/gm)]
    assert.strictEqual(shown.length, guide.match(/^<!-- from \S+ -->$/gm)?.length)
    assert.isAbove(shown.length, 5)
    for (const [, file, text] of shown) assert.include(readFileSync(join(root, file!), "utf8"), text!.trim(), file)
  })
})
