/**
 * Checks every `ts` fence of README.md, CONTRIBUTING.md, docs and the JSDoc comments of `src`: its types against the
 * source, then that it runs against the built package.
 */
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { type Fence, readFences } from "./lib/fences.ts"
import { fail, pass } from "./lib/report.ts"
import { root } from "./lib/source.ts"

const secondsToRun = 20

// Not below node_modules, where node strips no types and the package could not import itself.
const directory = join(root, ".cache", "fences")

/** The module of a fence. It has the fence's line numbers, so that errors point into the page. */
const moduleOf = (fence: Fence) => `${fence.file.replaceAll("/", "__")}__${fence.line}.ts`

const write = (fences: ReadonlyArray<Fence>) => {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  for (const fence of fences) {
    writeFileSync(join(directory, moduleOf(fence)), `${"\n".repeat(fence.line - 1)}${fence.code}\n`)
  }
  writeFileSync(
    join(directory, "tsconfig.json"),
    JSON.stringify({
      extends: "../../tsconfig.json",
      include: ["*.ts"],
      compilerOptions: { noUnusedLocals: false, noUnusedParameters: false }
    })
  )
}

/** The errors of the type checker by the module they are in; what belongs to none is under `tsc`. */
const typeErrors = (): ReadonlyMap<string, ReadonlyArray<string>> => {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
  const { stdout } = spawnSync(process.execPath, [tsc, "--project", directory, "--pretty", "false"], {
    cwd: directory,
    encoding: "utf8"
  })
  const errors = new Map<string, Array<string>>()
  let current = "tsc"
  for (const line of stdout.split("\n").filter((line) => line !== "")) {
    const [, module, row, message] = /^(\S+)\((\d+),\d+\): (.*)$/.exec(line) ?? []
    if (module !== undefined) current = module
    errors.set(current, [...errors.get(current) ?? [], module === undefined ? line : `${row}: ${message}`])
  }
  return errors
}

const checkTypes = (fences: ReadonlyArray<Fence>): ReadonlyArray<string> => {
  const errors = typeErrors()
  const modules = new Set(fences.map(moduleOf))
  const elsewhere = [...errors].filter(([module]) => !modules.has(module))
  if (elsewhere.length > 0) {
    fail(`Types are wrong outside the fences; run npm run check:types. First: ${elsewhere[0]!.flat().join(" ")}`)
  }
  return fences.flatMap((fence) => {
    const found = errors.get(moduleOf(fence)) ?? []
    if (fence.mode !== "expect-error") return found.map((error) => `${fence.file}:${error}`)
    return found.length > 0 ? [] : [`${fence.file}:${fence.line}: is marked expect-error and compiles`]
  })
}

const run = (fence: Fence) =>
  new Promise<string | undefined>((resolve) => {
    const child = spawn(process.execPath, [join(directory, moduleOf(fence))], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      timeout: secondsToRun * 1000
    })
    let output = ""
    child.stderr.setEncoding("utf8").on("data", (chunk) => output += chunk)
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(undefined)
      const reason = signal === "SIGTERM" ? `does not end within ${secondsToRun} seconds` : "fails when it runs"
      const trace = output.trimEnd().replaceAll(join(directory, moduleOf(fence)), fence.file).replace(/^/gm, "    ")
      resolve(`${fence.file}:${fence.line}: ${reason}\n${trace}`)
    })
  })

const runAll = async (fences: ReadonlyArray<Fence>): Promise<ReadonlyArray<string>> => {
  const queue = [...fences]
  const found: Array<string> = []
  const worker = async () => {
    for (let fence = queue.shift(); fence !== undefined; fence = queue.shift()) {
      const problem = await run(fence)
      if (problem !== undefined) found.push(problem)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return found
}

const fences = readFences()
if (fences.length === 0) fail("There is no ts fence in the documentation: there is nothing to check")
write(fences)
const wrong = checkTypes(fences)
if (wrong.length > 0) fail(`${wrong.join("\n")}\nThe types of ${wrong.length} fences are wrong.`)
const runnable = fences.filter((fence) => fence.mode === "run")
const broken = await runAll(runnable)
if (broken.length > 0) fail(`${broken.join("\n")}\n${broken.length} of ${runnable.length} fences do not run.`)
rmSync(directory, { recursive: true })
pass(`${fences.length} fences have the right types, ${runnable.length} of them ran.`)
