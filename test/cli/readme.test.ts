import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")

describe("README.md", () => {
  const blocks = readFileSync(join(root, "README.md"), "utf8").matchAll(
    /^```console\n\$ npx side-effects (.*)\n([^]*?)^```$/gm
  )
  it.each([...blocks].map(([, args, output]) => [args!, output!] as const))(
    "shows what `side-effects %s` prints",
    (args, output) => {
      const bin = join(root, "dist", "bin", "side-effects.js")
      assert.strictEqual(
        execFileSync(process.execPath, [bin, ...args.split(" ")], { cwd: root, encoding: "utf8" }),
        output
      )
    }
  )
})
