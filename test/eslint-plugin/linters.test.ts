import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, relative } from "node:path"
import { cases } from "./cases.ts"

const root = join(import.meta.dirname, "../..")
const sample = join(root, "examples", "lint")

/** `npx -y oxlint@1.94.0`: its binary is not among the dependencies, which have to install everywhere. */
const oxlint = process.env["OXLINT"]?.split(" ")

const run = (command: ReadonlyArray<string>, cwd: string) => {
  // The plugin is TypeScript here: not every node on the path of the machine takes that.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env["PATH"]}` }
  const { error, status, stderr, stdout } = spawnSync(command[0]!, command.slice(1), { cwd, encoding: "utf8", env })
  if (error !== undefined) throw error
  return { status, stderr, stdout }
}

const json = ({ stderr, stdout }: ReturnType<typeof run>) => {
  try {
    return JSON.parse(stdout)
  } catch {
    return assert.fail(`no JSON: ${stdout}${stderr}`)
  }
}

/** What both linters have to find in the sample project. */
const findings = [
  ["src/old.js", 18, "`archive` is the handler of ArchiveOrder."],
  ["src/old.js", 21, "`stripe.refunds.create` is called outside a handler,"],
  ["src/orders.ts", 11, "`fetch` is called outside a handler,"]
]

const begin = (message: string) => /^.*?(?:handler of \w+\.|handler,)/.exec(message)?.[0] ?? message
const sorted = (found: ReadonlyArray<ReadonlyArray<unknown>>) => found.toSorted((a, b) => `${a}` < `${b}` ? -1 : 1)

describe("ESLint's command", () => {
  it("finds in examples/lint what the rule is there for", () => {
    const eslint = join(root, "node_modules", "eslint", "bin", "eslint.js")
    const result = run([process.execPath, eslint, "--format", "json"], sample)
    const found = json(result).flatMap(({ filePath, messages }: any) =>
      messages.map((it: any) => [relative(sample, filePath).replaceAll("\\", "/"), it.line, begin(it.message)])
    )
    assert.deepStrictEqual(sorted(found), findings)
    assert.strictEqual(result.status, 1)
  })
})

describe.skipIf(oxlint === undefined)("oxlint's command", () => {
  const lint = (cwd: string, ...args: ReadonlyArray<string>) => run([...oxlint!, "--format", "json", ...args], cwd)

  it("finds in examples/lint what ESLint finds", () => {
    const result = lint(sample)
    const found = json(result).diagnostics.map(({ code, filename, labels, message }: any) => {
      assert.strictEqual(code, "effect-side-effects(no-direct-side-effect)")
      return [filename, labels[0].span.line, begin(message)]
    })
    assert.deepStrictEqual(sorted(found), findings)
    assert.strictEqual(result.status, 1)
  }, 120_000)

  it("refuses wrong options", () => {
    const directory = mkdtempSync(join(tmpdir(), "oxlint-options-"))
    try {
      writeFileSync(join(directory, ".oxlintrc.json"), config([], { client: ["fetch"] }))
      writeFileSync(join(directory, "a.js"), "fetch()\n")
      const { status, stderr, stdout } = lint(directory)
      assert.notStrictEqual(status, 0)
      assert.match(`${stdout}${stderr}`, /no-direct-side-effect/)
      assert.match(`${stdout}${stderr}`, /client/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  }, 120_000)

  it("is silenced by its own comment, and by that of ESLint", () => {
    const directory = mkdtempSync(join(tmpdir(), "oxlint-comments-"))
    try {
      writeFileSync(join(directory, ".oxlintrc.json"), config([]))
      const lines = ["oxlint", "eslint", "other"].map((linter) =>
        `// ${linter}-disable-next-line ${rule}\nt.sendMail()\n`
      )
      writeFileSync(join(directory, "a.ts"), lines.join(""))
      assert.deepStrictEqual(json(lint(directory)).diagnostics.map(({ labels }: any) => labels[0].span.line), [6])
    } finally {
      rmSync(directory, { recursive: true })
    }
  }, 120_000)

  const rule = "effect-side-effects/no-direct-side-effect"
  const config = (overrides: ReadonlyArray<unknown>, options = {}) =>
    JSON.stringify({
      jsPlugins: [join(root, "src", "eslint-plugin", "EslintPlugin.ts")],
      categories: { correctness: "off" },
      rules: { [rule]: ["error", options] },
      overrides
    })

  it("agrees with ESLint about every case, and knows types", () => {
    const directory = mkdtempSync(join(tmpdir(), "oxlint-cases-"))
    try {
      const fileOf = (index: number) => `case-${index}.ts`
      const overrides = cases.flatMap(({ options }, index) =>
        options === undefined ? [] : [{ files: [fileOf(index)], rules: { [rule]: ["error", options] } }]
      )
      writeFileSync(join(directory, ".oxlintrc.json"), config(overrides))
      cases.forEach(({ code }, index) => writeFileSync(join(directory, fileOf(index)), `${code}\nexport {}\n`))
      // In the order of the source.
      const found = Map.groupBy<string, any>(json(lint(directory)).diagnostics, ({ filename }) => filename)
      const seen = cases.map(({ name }, index): readonly [string, ReadonlyArray<string>] => [
        name,
        (found.get(fileOf(index)) ?? [])
          .toSorted((a, b) => a.labels[0].span.offset - b.labels[0].span.offset)
          .map(({ message }) => /^`(.*?)` is /.exec(message)?.[1] ?? message)
      ])
      assert.deepStrictEqual(seen, cases.map(({ errors = [], name }) => [name, errors]))
    } finally {
      rmSync(directory, { recursive: true })
    }
  }, 120_000)
})
