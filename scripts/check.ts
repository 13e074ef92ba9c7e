/** Runs every `check:*` script of package.json but the consumer's, and says at the end which failed. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fail, pass } from "./lib/report.ts"
import { root } from "./lib/source.ts"

// It installs packages into a project of its own, which takes longer than all others together.
const separate = ["check:consumer"]

const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const checks = Object.keys(scripts).filter((name) => name.startsWith("check:") && !separate.includes(name))

const failed = checks.filter((name) => {
  const start = performance.now()
  const { status, stderr, stdout } = spawnSync("npm", ["run", "--silent", name], { cwd: root, encoding: "utf8" })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${status === 0 ? "ok    " : "FAILED"} ${name.padEnd(20)} ${seconds.padStart(5)} s`)
  if (status !== 0) console.log(`\n${stdout}${stderr}`)
  return status !== 0
})
if (failed.length > 0) fail(`${failed.length} of ${checks.length} checks failed: ${failed.join(", ")}`)
pass(`All ${checks.length} checks passed.`)
