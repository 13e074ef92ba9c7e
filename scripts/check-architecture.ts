/**
 * Checks the architecture of `src`: who may import whom, what may not be used, how public modules look.
 *
 * A new public module or folder needs one line in `places`. Run with `npm run check:architecture`.
 */
import { readFileSync } from "node:fs"
import { join, posix } from "node:path"
import { fail, pass } from "./lib/report.ts"
import { at, docOf, type Import, type Node, readSources, root, type Source, target, walk } from "./lib/source.ts"

interface Place {
  /** Modules of `src`, without `.ts`, or one folder of it, with `/`. */
  readonly modules: ReadonlyArray<string>
  /** A module imports from its own place and from lower levels. Places of one level do not see each other. */
  readonly level: number
  /** What may be imported besides `effect/<Module>` and relative modules. */
  readonly packages?: RegExp
}

const places: ReadonlyArray<Place> = [
  { level: 0, modules: ["internal/"] },
  { level: 1, modules: ["Intent", "Decision", "SideEffect", "Event", "Binding", "SideEffectGroup", "Policy"] },
  { level: 2, modules: ["Boundary", "Dispatcher", "Instruments", "Recorder", "Place", "Performer"] },
  { level: 3, modules: ["SideEffects", "Layers", "ConfigLayer"] },
  { level: 4, modules: ["ModelEvents"] },
  { level: 4, modules: ["bridge/"] },
  { level: 4, modules: ["catalog/"] },
  { level: 4, modules: ["engine/"] },
  { level: 5, modules: ["outbox/"] },
  { level: 5, modules: ["bullmq/"], packages: /^bullmq$/ },
  { level: 5, modules: ["pg-boss/"], packages: /^(pg-boss|effect\/sql\/[A-Z]\w*)$/ },
  { level: 5, modules: ["persisted-queue/"], packages: /^effect\/(persistence|sql)\/[A-Z]\w*$/ },
  { level: 5, modules: ["cluster/"], packages: /^effect\/(cluster|rpc|sql)\/[A-Z]\w*$/ },
  { level: 5, modules: ["workflow/"], packages: /^effect\/workflow\/[A-Z]\w*$/ },
  { level: 6, modules: ["sql/"], packages: /^effect\/sql\/[A-Z]\w*$/ },
  { level: 6, modules: ["sqlite/"], packages: /^effect\/(sql|reactivity)\/[A-Z]\w*$/ },
  { level: 6, modules: ["http/"], packages: /^effect\/(http|http-api|rpc)\/[A-Z]\w*$/ },
  { level: 6, modules: ["observability/"], packages: /^effect\/observability\/[A-Z]\w*$/ },
  { level: 6, modules: ["eslint-plugin/"] },
  { level: 7, modules: ["testing/"], packages: /^effect\/(testing|http|process)\/[A-Z]\w*$/ },
  { level: 7, modules: ["cli/"], packages: /^effect\/cli\/[A-Z]\w*$/ },
  { level: 7, modules: ["dashboard/"], packages: /^effect\/http\/[A-Z]\w*$/ },
  { level: 8, modules: ["bin/"], packages: /^(effect\/(cli|sql)\/[A-Z]\w*|@effect\/(platform-node|sql-pg)\/[A-Z]\w*)$/ }
]

const ruleNames = {
  1: "Relative imports end in \".ts\" and lead to a module of src.",
  2: "From effect comes `import * as X from \"effect/X\"` or `import type`, never a barrel.",
  3: "Nothing in src imports a barrel.",
  4: "A barrel holds only `export * as X from \"./X.ts\"`, or from \"./folder/X.ts\".",
  5: "Imports go downward: internal < definitions < Boundary, Dispatcher, Recorder < SideEffects < engine < " +
    "outbox and the engines < sql, sqlite, http, observability < testing, cli, dashboard. Type-only imports count.",
  6: "No import cycles.",
  7: "The core weighs nothing: what src/index.ts reaches imports only `effect/<Module>` and relative modules.",
  8: "What Effect does is left to Effect: no async functions, no ambient time, randomness, timers, environment, console.",
  9: "A module has at most 500 lines of code.",
  10: "A public module begins with a comment about the module.",
  11: "Every export of a public module has a JSDoc comment with @category and @since.",
  12: "TypeIds begin with \"~effect-side-effects/\", service keys with \"effect-side-effects/\".",
  13: "The exports of package.json and the paths of tsconfig.json name the same, existing modules of src."
} as const

type Rule = keyof typeof ruleNames

/** Modules of effect that are made to be imported by name, as effect itself does. */
const namedImports = ["effect/Function", "effect/Pipeable"]

const forbidden: Readonly<Record<string, string>> = {
  "Date.now": "Clock.currentTimeMillis",
  "performance.now": "Clock.currentTimeNanos",
  "Math.random": "Random.next",
  "process.env": "Config",
  console: "Console or Effect.log",
  setTimeout: "Effect.sleep",
  setInterval: "Effect.repeat with a Schedule"
}

const maximumCodeLines = 500

// ---------------------------------------------------------------------------------------------------------------------

const directory = join(root, "src")
const sources = new Map(readSources(directory).map((source) => [source.path, source]))
const problems: Array<{ readonly rule: Rule; readonly message: string }> = []

const report = (rule: Rule, source: Source, position: number, message: string) =>
  problems.push({ rule, message: `${at(directory, source, position)} ${message}` })

const isBarrel = (path: string) => posix.basename(path) === "index.ts"
const isPublic = (path: string) => !isBarrel(path) && !path.split("/").includes("internal")
const isRelative = (specifier: string) => specifier.startsWith(".")
const startOf = (source: Source) => source.statements[0]?.start ?? 0
const isEffect = (specifier: string) => specifier.startsWith("effect/")
const isCorePackage = (specifier: string) => /^effect\/[A-Z]\w*$/.test(specifier)
const placeOf = (path: string) =>
  places.find((place) =>
    place.modules.some((module) => module.endsWith("/") ? path.startsWith(module) : path === `${module}.ts`)
  )

const checkRelative = (source: Source, { position, specifier }: Import) => {
  const path = target(source, specifier)
  const inner = path.split("internal/")[0]!
  const [from, to] = [placeOf(source.path), placeOf(path)]
  const problem = (rule: Rule, message: string) => report(rule, source, position, `imports "${specifier}"; ${message}`)
  if (!sources.has(path)) {
    problem(1, "there is no such module in src; write the whole path with \".ts\"")
  } else if (isBarrel(path)) {
    problem(3, "that is a barrel; import the module itself")
  } else if (!source.path.startsWith(inner) && path !== inner) {
    problem(5, `that is internal to src/${inner}; ask a public module for it`)
  } else if (
    !isBarrel(source.path) && from !== to && from !== undefined && to !== undefined && from.level <= to.level
  ) {
    problem(5, "that lies on the same level or higher; move what both need further down")
  }
}

const checkPackage = (source: Source, { inline, namespace, position, specifier, typeOnly }: Import) => {
  const problem = (rule: Rule, message: string) => report(rule, source, position, `imports "${specifier}"; ${message}`)
  if (/^effect(\/[a-z-]+)*$/.test(specifier)) {
    problem(2, `that is a barrel; write import * as X from "${specifier}/X"`)
  } else if (!isCorePackage(specifier) && !placeOf(source.path)?.packages?.test(specifier)) {
    problem(7, "here only \"effect/<Module>\" may be, and what the line in `places` allows")
  } else if (isEffect(specifier) && !namespace && !typeOnly && !inline && !namedImports.includes(specifier)) {
    problem(2, `write import * as ${posix.basename(specifier)} from "${specifier}"`)
  }
}

const checkBarrel = (source: Source) => {
  for (const statement of source.statements) {
    const name = statement.type === "ExportAllDeclaration" ? statement["exported"]?.name : undefined
    if (name !== undefined && /^\.\/(?:[a-z]+\/)?(\w+)\.ts$/.exec(statement["source"].value)?.[1] === name) continue
    report(4, source, statement.start, "is something else; move it into a module of its own")
  }
}

const checkForbidden = (source: Source) => {
  const use = (position: number, name: string, remedy: string) =>
    report(8, source, position, `uses ${name}; use ${remedy}`)
  walk(source.statements, (node) => {
    if (node["async"] === true) use(node.start, "an async function", "Effect.gen or Effect.fnUntraced")
    const name = node.type === "MemberExpression"
      ? source.text.slice(node.start, node.end).replace(/^globalThis\./, "")
      : undefined
    if (name !== undefined && Object.hasOwn(forbidden, name)) use(node.start, name, forbidden[name]!)
    const object = node.type === "MemberExpression" || node.type === "CallExpression"
      ? node["object"] ?? node["callee"]
      : undefined
    if (object?.type === "Identifier" && Object.hasOwn(forbidden, object.name)) {
      use(node.start, object.name, forbidden[object.name]!)
    }
  })
}

const checkSize = (source: Source) => {
  if (source.codeLines <= maximumCodeLines) return
  report(9, source, 0, `has ${source.codeLines} lines of code; split it by concept`)
}

/** The names a statement exports, each with the node that its comment stands before; what it re-exports has its own. */
const exportsOf = (statement: Node): ReadonlyArray<readonly [name: string, node: Node]> => {
  if (!statement.type.startsWith("Export") || statement["source"]?.value.startsWith(".")) return []
  const declaration: Node | undefined = statement["declaration"]
  const declared: ReadonlyArray<Node> = declaration?.["declarations"] ?? [declaration]
  return declaration
    ? declared.map((node) => [node["id"]?.name ?? "default", statement] as const)
    : (statement["specifiers"] ?? [statement]).map((node: Node) => [node["exported"]?.name ?? "*", node] as const)
}

const checkDocs = (source: Source) => {
  const first = source.statements[0]
  const about = source.comments[0]
  const isAboutModule = about !== undefined && about.value.startsWith("*") && about.end <= startOf(source) &&
    (first === undefined || exportsOf(first).length === 0 || docOf(source, first) !== about)
  if (!isAboutModule) report(10, source, 0, "does not; say in /** ... */ at its top what it is and when to use it")

  const overloads = new Set<string>()
  for (const statement of source.statements) {
    for (const [name, node] of exportsOf(statement)) {
      const isFunction = /Function/.test(statement["declaration"]?.type ?? "")
      if (isFunction && overloads.has(name)) continue
      if (isFunction) overloads.add(name)
      const doc = docOf(source, node)?.value ?? ""
      if (doc.includes("@internal")) continue
      const missing = ["@category", "@since"].filter((tag) => !doc.includes(tag))
      if (doc === "") report(11, source, node.start, `exports ${name} without a JSDoc comment`)
      else if (missing.length > 0) report(11, source, node.start, `exports ${name} without ${missing.join(" and ")}`)
    }
  }
}

/** The key in `Context.Service<A, B>()("key")`, `Context.Service<A>("key")` and `Context.Reference<A>("key", ...)`. */
const serviceKey = (source: Source, call: Node): Node | undefined => {
  const callee: Node = call["callee"]?.type === "CallExpression" ? call["callee"]["callee"] : call["callee"]
  const name = callee === undefined ? "" : source.text.slice(callee.start, callee.end)
  return /^Context\.(Service|Reference)$/.test(name) ? call["arguments"][0] : undefined
}

const checkIdentifiers = (source: Source) => {
  walk(source.statements, (node) => {
    const text = node.type === "Literal" ? node["value"] : undefined
    if (typeof text === "string" && /^~(?!effect\/)[^/]+\//.test(text) && !text.startsWith("~effect-side-effects/")) {
      report(12, source, node.start, `holds the TypeId "${text}"; write "~effect-side-effects/..."`)
    }
    const key = node.type === "CallExpression" ? serviceKey(source, node)?.["value"] : undefined
    if (typeof key === "string" && !key.startsWith("effect-side-effects/")) {
      report(12, source, node.start, `has the service key "${key}"; write "effect-side-effects/<path>/X"`)
    }
  })
}

const targets = (source: Source): ReadonlyArray<string> =>
  source.imports.filter(({ specifier }) => isRelative(specifier)).map(({ specifier }) => target(source, specifier))

const checkCycles = () => {
  const done = new Set<string>()
  const visit = (path: string, trail: ReadonlyArray<string>) => {
    const source = sources.get(path)
    if (source === undefined || done.has(path)) return
    if (trail.includes(path)) {
      const cycle = [...trail.slice(trail.indexOf(path)), path].join(" -> ")
      problems.push({ rule: 6, message: `${cycle}; move what they share into a module below both` })
      return
    }
    for (const next of targets(source)) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of sources.keys()) visit(path, [])
}

const checkCore = () => {
  const seen = new Set<string>()
  const visit = (path: string, trail: ReadonlyArray<string>) => {
    const source = sources.get(path)
    if (source === undefined || seen.has(path)) return
    seen.add(path)
    for (const { position, specifier } of source.imports) {
      if (isCorePackage(specifier) || !placeOf(path)?.packages?.test(specifier)) continue
      report(7, source, position, `imports "${specifier}" and is part of the core: ${[...trail, path].join(" -> ")}`)
    }
    for (const next of targets(source)) visit(next, [...trail, path])
  }
  visit("index.ts", [])
}

const checkEntrances = () => {
  const read = (file: string) => readFileSync(join(root, file), "utf8")
  const { exports, name } = JSON.parse(read("package.json"))
  const { compilerOptions } = JSON.parse(read("tsconfig.json").replace(/^\s*\/\/.*$/gm, ""))
  const entrance = (conditions: { readonly default: string }) =>
    conditions.default.replace(/^\.\/dist\//, "./src/").replace(/\.js$/, ".ts")
  const expected = Object.entries<any>(exports)
    .filter(([subpath]) => subpath !== "./package.json")
    .map(([subpath, conditions]) => [posix.join(name, subpath), entrance(conditions)] as const)
  const paths: Readonly<Record<string, ReadonlyArray<string>>> = compilerOptions.paths
  for (const [specifier, file] of expected) {
    const problem = (message: string) => problems.push({ rule: 13, message: `"${specifier}": ${message}` })
    if (!sources.has(posix.relative("./src", file))) problem(`package.json leads to ${file}, which does not exist`)
    if (paths[specifier]?.[0] !== file) problem(`tsconfig.json must have "${specifier}": ["${file}"] in its paths`)
  }
  for (const specifier of Object.keys(paths)) {
    if (expected.some(([name]) => name === specifier)) continue
    problems.push({ rule: 13, message: `"${specifier}" is in the paths of tsconfig.json; add it to exports, too` })
  }
}

if (sources.size === 0) fail("src holds no modules: there is nothing to check")
for (const source of sources.values()) {
  for (const found of source.imports) (isRelative(found.specifier) ? checkRelative : checkPackage)(source, found)
  if (!isBarrel(source.path) && placeOf(source.path) === undefined) {
    report(5, source, 0, "has no place yet; give it a line in `places` of scripts/check-architecture.ts")
  }
  if (isBarrel(source.path)) checkBarrel(source)
  if (isPublic(source.path)) checkDocs(source)
  checkForbidden(source)
  checkSize(source)
  checkIdentifiers(source)
}
checkCycles()
checkCore()
checkEntrances()

if (problems.length > 0) {
  const broken = Object.entries(ruleNames).flatMap(([number, rule]) => {
    const found = problems.filter((problem) => problem.rule === Number(number))
    return found.length === 0 ? [] : [`Rule ${number}. ${rule}`, ...found.map(({ message }) => `  ${message}`), ""]
  })
  fail(`${broken.join("\n")}\nThe architecture is broken in ${problems.length} places.`)
}
pass(`${sources.size} modules keep the ${Object.keys(ruleNames).length} rules of the architecture.`)
