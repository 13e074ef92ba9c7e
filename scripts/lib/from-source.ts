/**
 * Lets node find the package under its own name in `src`, as tsconfig.json and the tests do:
 * `node --import ./scripts/lib/from-source.ts child.ts`. A child process of a test then runs what the test runs.
 */
import { existsSync } from "node:fs"
import { registerHooks } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { root } from "./source.ts"

const name = "effect-side-effects"
const { exports } = (await import("../../package.json", { with: { type: "json" } })).default

const targets: ReadonlyMap<string, string> = new Map(
  Object.entries(exports).flatMap(([subpath, target]) => {
    if (typeof target === "string") return []
    const source = target.default.replace("./dist/", "./src/").replace(/\.js$/, ".ts")
    return [[`${name}${subpath.slice(1)}`, pathToFileURL(`${root}/${source}`).href] as const]
  })
)

registerHooks({
  resolve: (specifier, context, next) => {
    const target = targets.get(specifier)
    if (target === undefined || !existsSync(fileURLToPath(target))) return next(specifier, context)
    return { url: target, shortCircuit: true }
  }
})
