/**
 * Uses the package as a stranger would: packs it, installs it into an empty project outside the repository, compiles
 * there with the strictest settings and runs with the node of the machine rather than that of the repository.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join, posix } from "node:path"
import { fencesOfPage } from "./lib/fences.ts"
import { fail, pass } from "./lib/report.ts"
import { root } from "./lib/source.ts"

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const name: string = manifest.name
const project = mkdtempSync(join(tmpdir(), `${name}-consumer-`))
process.on("exit", () => rmSync(project, { recursive: true, force: true }))

// The node of the machine, and nothing that the npm of the repository tells its scripts.
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_(package|lifecycle|config)_/.test(key))),
  PATH: process.env["PATH"]?.split(delimiter).filter((path) => !path.endsWith(".bin")).join(delimiter)
}

const attempt = (command: string, args: ReadonlyArray<string>, cwd = project) => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd, encoding: "utf8", env })
  return { ok: status === 0, status, stdout, output: error?.message ?? `${stdout}${stderr}` }
}

const run = (command: string, args: ReadonlyArray<string>, cwd = project): string => {
  const { ok, output, stdout } = attempt(command, args, cwd)
  if (!ok) fail(`In the consumer's project, ${command} ${args.join(" ")} failed:\n${output}`)
  return stdout
}

const write = (file: string, content: string) => writeFileSync(join(project, file), content)

// --- what is in the package

const [packed] = JSON.parse(run("npm", ["pack", "--json", "--pack-destination", project], root))
const files: ReadonlyArray<string> = packed.files.map(({ path }: { readonly path: string }) => path)
const stray = files.filter((file) =>
  !/^(dist\/.*\.(js|d\.ts)(\.map)?|src\/.*\.ts|package\.json|README\.md|LICENSE)$/.test(file)
)
if (stray.length > 0) fail(`The package holds ${stray.join(", ")}; see "files" in package.json`)
for (const file of ["README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "dist/index.js.map", "src/index.ts"]) {
  if (!files.includes(file)) fail(`The package lacks ${file}; see "files" in package.json`)
}

// --- what comes with it

interface Tree {
  /** An optional peer that is not installed has none. */
  readonly version?: string
  readonly dependencies?: Readonly<Record<string, Tree>>
}

const namesIn = (tree: Tree): ReadonlyArray<string> =>
  Object.entries(tree.dependencies ?? {}).flatMap(([name, child]) =>
    child.version === undefined ? [] : [name, ...namesIn(child)]
  )

write("package.json", JSON.stringify({ name: "consumer", version: "1.0.0", private: true, type: "module" }))
run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", join(project, packed.filename)])
const installed: Tree = JSON.parse(run("npm", ["ls", "--all", "--json"]))
const own = installed.dependencies?.[name]?.dependencies ?? {}
const known = new Set([name, "effect", ...namesIn(own["effect"] ?? {})])
const extra = [...new Set(namesIn(installed))].filter((name) => !known.has(name))
if (own["effect"] === undefined) fail("The package did not bring effect as a peer dependency")
if (extra.length > 0) fail(`The package brings ${extra.join(", ")} besides effect; only effect may be a dependency`)

// --- whether it compiles and runs

const devDependencies = ["typescript", "@types/node"].map((name) =>
  `${name}@${JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8")).version}`
)
run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", "--save-dev", ...devDependencies])

const compilerOptions = {
  target: "ES2023",
  types: ["node"],
  rootDir: ".",
  outDir: "out",
  declaration: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  skipLibCheck: false
}
const resolutions = {
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" }
}
const compile = (resolution: keyof typeof resolutions, files: ReadonlyArray<string>, others = {}) => {
  write(
    "tsconfig.json",
    JSON.stringify({ files, compilerOptions: { ...compilerOptions, ...resolutions[resolution], ...others } })
  )
  return attempt(join(project, "node_modules", ".bin", "tsc"), ["--project", "tsconfig.json", "--pretty", "false"])
}

const entrances = Object.keys(manifest.exports).filter((subpath) => subpath !== "./package.json")
/** Entrances that need a package more, which their users install. */
const peers: Readonly<Record<string, ReadonlyArray<string>>> = {
  "./bullmq": ["bullmq", "ioredis"],
  "./pg-boss": ["pg-boss"]
}
const writeEntrances = (subpaths: ReadonlyArray<string>) =>
  write(
    "entrances.ts",
    subpaths.map((subpath, index) => `export * as _${index} from "${posix.join(name, subpath)}"\n`).join("")
  )
writeEntrances(entrances.filter((subpath) => peers[subpath] === undefined))
for (const program of ["main.ts", "declarations.ts"]) {
  copyFileSync(join(root, "scripts", "consumer", program), join(project, program))
}
write("readme.ts", fencesOfPage("README.md")[0]?.code ?? fail("README.md has no ts fence"))

const programs = ["entrances", "main", "declarations", "readme"]
for (const resolution of ["bundler", "nodenext"] as const) {
  const { ok, output } = compile(resolution, programs.map((program) => `${program}.ts`))
  if (!ok) fail(`The consumer's programs do not compile with moduleResolution ${resolution}:\n${output}`)
}
for (const program of programs) run("node", [join("out", `${program}.js`)])

// --- entrances whose package is missing, and is then there

for (const [subpath, packages] of Object.entries(peers)) {
  const { ok, output } = attempt("node", ["--eval", `import("${posix.join(name, subpath)}")`])
  if (ok || !output.includes(`npm install ${packages.join(" ")}`)) {
    fail(`Without ${packages.join(" and ")}, importing ${subpath} does not say what to install:\n${output}`)
  }
}
const versionOf = (peer: string): string =>
  JSON.parse(readFileSync(join(root, "node_modules", peer, "package.json"), "utf8")).version
run("npm", [
  "install",
  "--no-audit",
  "--no-fund",
  "--prefer-offline",
  ...Object.values(peers).flat().map((peer) => `${peer}@${versionOf(peer)}`)
])
writeEntrances(Object.keys(peers))
for (const resolution of ["bundler", "nodenext"] as const) {
  // The declarations of pg-boss do not compile by themselves.
  const { ok, output } = compile(resolution, ["entrances.ts"], { skipLibCheck: true })
  if (!ok) fail(`The entrances that need a package do not compile with moduleResolution ${resolution}:\n${output}`)
}
run("node", [join("out", "entrances.js")])

// --- whether mistakes are found, and explained

const mistakes = [
  {
    what: "a payload of the wrong type",
    code: `SideEffects.enqueue(NotifyWarehouse, { orderId: 42 })`,
    explained: /Type 'number' is not assignable to type 'string'/
  },
  {
    what: "a side effect that the group of the live layer lacks",
    code: `Effect.runFork(Effect.provide(
      SideEffects.enqueue(NotifyWarehouse, { orderId: "42" }),
      SideEffects.LiveLayer(SideEffectGroup.make("empty"))
    ))`,
    explained: /orders:notify-warehouse/
  },
  {
    what: "an event that the group of the live layer lacks",
    code: `Effect.runFork(Effect.provide(
      SideEffects.emit(OrderPlaced, { id: "42" }),
      SideEffects.LiveLayer(SideEffectGroup.make("empty"))
    ))`,
    explained: /orders:placed/
  },
  {
    what: "a binding to an event that the group does not have",
    code:
      `SideEffectGroup.make("orders").events(OrderPlaced).on("orders:plcaed", NotifyWarehouse, () => ({ orderId: "1" }))`,
    explained: /NoEventSoFarMatches<"orders:plcaed">/
  },
  {
    what: "a mapping that does not make the payload of its side effect",
    code: `SideEffectGroup.make("orders").on(OrderPlaced, NotifyWarehouse, ({ id }) => ({ id }))`,
    explained: /MappingOf<"orders:placed", "orders:notify-warehouse">[^]*Property 'orderId' is missing/
  }
]
const definitions = `
import { Event, SideEffect, SideEffectGroup, SideEffects } from "${name}"
import { Effect, Schema } from "effect"
export class OrderPlaced extends Event.make("orders:placed", {
  description: "A customer placed an order.",
  payload: { id: Schema.String }
}) {}
export class NotifyWarehouse extends SideEffect.make("orders:notify-warehouse", {
  description: "Tell the warehouse to pack the order.",
  payload: { orderId: Schema.String }
}) {}
export { Effect, SideEffectGroup, SideEffects }
`
write("mistake.ts", definitions)
const control = compile("nodenext", ["mistake.ts"])
if (!control.ok) fail(`The definitions of the mistyped programs do not compile themselves:\n${control.output}`)
for (const { code, explained, what } of mistakes) {
  write("mistake.ts", `${definitions}${code}\n`)
  const { ok, output } = compile("nodenext", ["mistake.ts"])
  if (ok) fail(`A program with ${what} compiles:\n${code}`)
  if (!explained.test(output)) fail(`The error for ${what} does not say ${explained.source}:\n${output}`)
}

// --- the command, which needs one package more and a newer node

const node = join(root, "node_modules", ".bin", "node")
const list = [
  join(project, "node_modules", ".bin", "side-effects"),
  "list",
  "--raw",
  "--module",
  join("out", "main.js")
]
const withoutPlatform = attempt(node, list)
if (withoutPlatform.status !== 2 || !/npm install .*@effect\/platform-node/.test(withoutPlatform.output)) {
  fail(`Without @effect/platform-node, the command does not say that it is needed:\n${withoutPlatform.output}`)
}
const platform = JSON.parse(readFileSync(join(root, "node_modules/@effect/platform-node/package.json"), "utf8")).version
run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", `@effect/platform-node@${platform}`])
const listed = run(node, list)
if (!listed.startsWith("orders:placed\torders:send-confirmation\t")) {
  fail(`The command lists something else:\n${listed}`)
}

const { stdout: version } = attempt("node", ["--version"])
pass(
  `A project with effect and nothing else installs ${packed.filename}, ` +
    `compiles against ${entrances.length} entrances and runs on node ${version.trim()}; ` +
    `${mistakes.length} mistakes do not compile.`
)
