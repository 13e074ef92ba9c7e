import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { vi } from "vitest"
import { program } from "../../examples/command.ts"
import { columns, printed, widerThan } from "./helpers.ts"

vi.setConfig({ testTimeout: 60_000 })

const root = join(import.meta.dirname, "..", "..")
const file = join(root, "examples", "command.ts")

const tour = `$ backfill --dry-run
purchases invoiced: 2
Dry run of backfill: 3 side effects would have left. None did.

COUNT  SIDE EFFECT
    2  billing:mail:send-invoice
         {"to":"ada@example.org","cents":1250,"accessKey":"<redacted>"}
         {"to":"grace@example.org","cents":900,"accessKey":"<redacted>"}
    1  billing:report:refresh

$ backfill --dry-run --since 2026-02-01
purchases invoiced: 1
Dry run of backfill: 2 side effects would have left. None did.

COUNT  SIDE EFFECT
    1  billing:mail:send-invoice
         {"to":"grace@example.org","cents":900,"accessKey":"<redacted>"}
    1  billing:report:refresh

$ backfill --side-effects drop --since 2026-02-01
purchases invoiced: 1

$ backfill
  (connected to the mail server)
purchases invoiced: 1
  -> ada@example.org gets an invoice of 1250 cents
  -> the report is made again

$ backfill --dry-run --since 2025-01-01
Dry run of backfill: it failed with NegativeAmount: purchase 4 has -5 cents, so
nothing would have left.

COUNT  KEPT IN
    1  billing:mail:send-invoice
         discarded: boundary "command backfill" failed with NegativeAmount:
           purchase 4 has -5 cents
(it failed)
`

const run = (...args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) =>
    execFile(
      process.execPath,
      [file, ...args],
      { env: { PATH: process.env["PATH"], NODE_COMPILE_CACHE: join(tmpdir(), "side-effects-cache") } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr })
    )
  )

describe("the guide to commands", () => {
  it.live("command.ts shows four ways to run a backfill", () =>
    Effect.gen(function*() {
      const output = stripVTControlCharacters(yield* printed(program))
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(output, `${tour}\n`)
    }))

  it("command.ts is that command, when it is given arguments", async () => {
    const [dry, live, wrong] = await Promise.all([
      run("--since", "2026-02-01", "--dry-run"),
      run("--since", "2026-02-01"),
      run("--dry-run", "--side-effects", "live")
    ])
    assert.deepStrictEqual([dry!.code, dry!.stderr], [0, ""])
    assert.include(tour, `$ backfill --dry-run --since 2026-02-01\n${dry!.stdout}`)
    assert.deepStrictEqual(live, {
      code: 0,
      stderr: "",
      stdout: `  (connected to the mail server)
purchases invoiced: 1
  -> grace@example.org gets an invoice of 900 cents
  -> the report is made again
`
    })
    assert.strictEqual(wrong!.code, 2)
  })

  it("docs/commands.md shows what it prints", () => {
    const page = readFileSync(join(root, "docs", "commands.md"), "utf8")
    const [, block] = /<!-- output of examples\/command\.ts -->\n\n```text\n(.*?)```/s.exec(page)!
    assert.isAbove(block!.length, 100)
    assert.include(tour, block!)
  })
})
