import { assert, describe, it } from "@effect/vitest"
import { execFile, execFileSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, vi } from "vitest"

const root = join(import.meta.dirname, "..", "..")
// The package as `npm test` has built it. Another build is tested by naming its folder.
const built = process.env["SIDE_EFFECTS_PACKAGE"] ?? root
const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
const modules = (name: string) => join(root, "node_modules", ...name.split("/"))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

// Each test starts processes of its own, which takes its time where many others do, too.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const temporary: Array<string> = []

/** A project as a user has it: with the package and Effect installed, and the files given. */
const project = (files: Record<string, string>, options: { readonly platform?: boolean } = {}): string => {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "side-effects-")))
  temporary.push(directory)
  const installed = join(directory, "node_modules")
  mkdirSync(join(installed, "@effect"), { recursive: true })
  symlinkSync(modules("effect"), join(installed, "effect"))
  if (options.platform === false) {
    // A copy: a link would find what is installed beside the original.
    cpSync(join(built, "dist"), join(installed, "effect-side-effects", "dist"), { recursive: true })
    cpSync(join(built, "package.json"), join(installed, "effect-side-effects", "package.json"))
  } else {
    symlinkSync(built, join(installed, "effect-side-effects"))
    symlinkSync(modules("@effect/platform-node"), join(installed, "@effect", "platform-node"))
  }
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true })
    writeFileSync(join(directory, file), text)
  }
  return directory
}

const run = (directory: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  new Promise<Ended>((resolve) => {
    const bin = join(directory, "node_modules", "effect-side-effects", "dist", "bin", "side-effects.js")
    const options = {
      cwd: directory,
      // What Node has compiled once it need not compile again: a third of the time of a run.
      env: {
        PATH: process.env["PATH"],
        HOME: directory,
        NODE_COMPILE_CACHE: join(tmpdir(), "side-effects-cache"),
        ...env
      },
      timeout: 60_000
    }
    execFile(
      process.execPath,
      [bin, ...args],
      options,
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? Number.NaN), stdout, stderr })
    )
  })

const packageJson = (key?: unknown) => JSON.stringify({ type: "module", "side-effects": key })

const shopSource = readFileSync(join(import.meta.dirname, "fixtures", "shop.ts"), "utf8")
const head = "import { SideEffect, SideEffectGroup } from \"effect-side-effects\"\n"
const group = (name: string) =>
  `SideEffectGroup.make("${name}").add(SideEffect.make("${name}:go", { description: "Go ${name}." }))`

const widerThan80 = (text: string) => text.split("\n").filter((line) => line.length > 80)

/** What everything that went wrong has to be. */
const assertSentence = (ended: Ended, expected: RegExp | string) => {
  assert.strictEqual(ended.stdout, "")
  assert.strictEqual(ended.code, 2)
  assert.match(ended.stderr, /^[^\n]+\n$/)
  assert.notInclude(ended.stderr, "    at ")
  if (typeof expected === "string") assert.strictEqual(ended.stderr, `${expected}\n`)
  else assert.match(ended.stderr, expected)
}

let shop: string
beforeAll(() => {
  shop = project({ "package.json": packageJson("./src/shop.ts"), "src/shop.ts": shopSource, "src/deep/.keep": "" })
})
afterAll(() => {
  for (const directory of temporary) rmSync(directory, { recursive: true, force: true })
})

describe("the bin", () => {
  it("lists, explains and checks the groups of the package, in 80 columns", async () => {
    const [list, verbose, event, sideEffect, check] = await Promise.all([
      run(shop, ["list"]),
      run(shop, ["list", "--verbose"]),
      run(shop, ["explain", "orders:order:placed"], { SIDE_EFFECTS_BLOCK: "orders:mail:*" }),
      run(shop, ["explain", "orders:audit:write"]),
      run(shop, ["check"])
    ])
    for (const { code, stderr, stdout } of [list, verbose, event, sideEffect, check]) {
      assert.deepStrictEqual([code, stderr, widerThan80(stdout)], [0, "", []])
    }
    assert.isTrue(
      list.stdout.startsWith("orders:order:placed  A customer placed an order.\n  1. orders:mail:send-conf")
    )
    assert.match(verbose.stdout, /\n {2}source {7}src\/shop\.ts:\d+\n/)
    assert.include(
      event.stdout.replace(/\s+/g, " "),
      "SIDE_EFFECTS_BLOCK is orders:mail:*, which stops orders:mail:send"
    )
    assert.include(sideEffect.stdout, "orders:order:placed, as number 3 of 3")
    assert.include(check.stdout, "3 findings")
  })

  it("finds package.json upwards, and names files relative to it", async () => {
    const below = join(shop, "src", "deep")
    const bin = join(shop, "node_modules", "effect-side-effects", "dist", "bin", "side-effects.js")
    const stdout = execFileSync(process.execPath, [bin, "list", "--json"], { cwd: below, encoding: "utf8" })
    assert.isTrue(JSON.parse(stdout).events.every((event: any) => event.source.file === "src/shop.ts"))
  })

  it("has the catalogue in every format", async () => {
    const json = await run(shop, ["list", "--json"])
    assert.strictEqual(JSON.parse(json.stdout).sideEffects.length, 6)
    assert.strictEqual((await run(shop, ["list", "--format", "json"])).stdout, json.stdout)
    assert.match((await run(shop, ["list", "--format", "mermaid"])).stdout, /^flowchart LR\n/)
    assert.match((await run(shop, ["list", "--format", "markdown"])).stdout, /^# Side effects\n/)
    assert.match((await run(shop, ["list", "--format", "html"])).stdout, /^<!DOCTYPE html>/)
    assert.strictEqual((await run(shop, ["list", "--raw"])).stdout.trimEnd().split("\n").length, 5)
  })

  it("has a part of the catalogue, and writes it to a file", async () => {
    const filtered = await run(shop, ["list", "--label-contains", "warehouse", "--sorted", "--raw"])
    assert.deepStrictEqual(filtered.stdout.trimEnd().split("\n").map((line) => line.split("\t")[1]), [
      "orders:warehouse:ship",
      "orders:warehouse:notify"
    ])
    const written = await run(shop, ["list", "--out", "docs/deep/side-effects.html"])
    assert.match(written.stderr, /^Wrote docs\/deep\/side-effects\.html \(html, \d+ kB\)\.\n$/)
    assert.match(readFileSync(join(shop, "docs/deep/side-effects.html"), "utf8"), /^<!DOCTYPE html>/)
    assertSentence(
      await run(shop, ["list", "--out", "package.json/x.txt"]),
      /^Invalid value for flag --out: "package\.json\/x\.txt"\./
    )
  })

  const sentences: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp | string]> = [
    [["explain", "orders:order:plcaed"], /Did you mean "orders:order:placed"\?$/m],
    [["explain", "Orderplaced"], /Did you mean "OrderPlaced"\?$/m],
    [["explain"], /^Missing required argument: name\. More with: side-effects explain --help$/m],
    [["list", "--label", "OrderPlaced"], "--label takes the exact name: OrderPlaced is orders:order:placed."],
    [["list", "--raw", "--json"], /^--raw and --json contradict each other: give one of them\.$/m],
    [["list", "--json", "--format", "html"], /^--json and --format html contradict each other/],
    [["list", "--verbos"], /^Unrecognized flag: --verbos in command side-effects list\. Did you mean --verbose\?/],
    [["lst"], /^Unknown subcommand "lst" for "side-effects"\. Did you mean list\?/],
    [["list", "--format", "yaml"], /^Invalid value for flag --format: "yaml"\./],
    [["new", "thing", "a"], /^Invalid value for argument <kind>: "thing"\./],
    [["check", "--write"], /^--write writes the file of --lock/],
    [["check", "--lock", "none.json"], "none.json does not exist. Make it with --write, and commit it."],
    [
      ["check", "--lock", "src"],
      "src is a directory: --lock takes the file to compare with, such as src/catalogue.json."
    ],
    [
      ["list", "--module", "src"],
      "src is a directory: --module takes the file that exports the groups, such as src/groups.ts."
    ]
  ]
  for (const [args, expected] of sentences) {
    it(`${args.join(" ")} is one sentence`, async () => assertSentence(await run(shop, args), expected))
  }

  it("--strict exits with the number of findings, --lock with 1 when something has changed", async () => {
    const strict = await run(shop, ["check", "--strict"])
    assert.deepStrictEqual([strict.code, strict.stderr], [3, ""])
    const written = await run(shop, ["check", "--lock", "catalogue.json", "--write"])
    assert.deepStrictEqual([written.code, written.stdout.split("\n").at(-2)], [0, "Wrote catalogue.json. Commit it."])
    assert.strictEqual((await run(shop, ["check", "--lock", "catalogue.json"])).code, 0)
    const more = ["--module", "src/shop.ts", "--module", "src/more.ts"]
    writeFileSync(join(shop, "src", "more.ts"), `${head}export const more = ${group("more")}\n`)
    const drift = await run(shop, ["check", "--lock", "catalogue.json", ...more])
    assert.deepStrictEqual([drift.code, drift.stderr, widerThan80(drift.stdout)], [1, "", []])
    assert.include(drift.stdout, "\n+ side effect more:go  Go more.\n")
    assert.include(drift.stdout, "\nIf that is meant, run it again with --write, and commit the file.\n")
    assert.strictEqual((await run(shop, ["check", "--strict", "--lock", "catalogue.json", ...more])).code, 5)
    assert.strictEqual((await run(shop, ["check", "--lock", "catalogue.json", "--write", ...more])).code, 0)
    assert.strictEqual((await run(shop, ["check", "--lock", "catalogue.json", ...more])).code, 0)
  })

  it("has help, a version and completions", async () => {
    const [help, listHelp, bare, version] = await Promise.all([
      run(shop, ["--help"]),
      run(shop, ["list", "--help"]),
      run(shop, []),
      run(shop, ["--version"])
    ])
    for (const word of ["list", "explain", "check", "new", "--module", "--completions"]) {
      assert.include(help.stdout, word)
    }
    for (const flag of ["label", "label-contains", "raw", "json", "verbose", "sorted", "format", "out", "module"]) {
      assert.include(listHelp.stdout, `--${flag}`)
    }
    assert.deepStrictEqual([bare.code, bare.stdout], [0, help.stdout])
    const { version: expected } = JSON.parse(readFileSync(join(built, "package.json"), "utf8"))
    assert.deepStrictEqual([version.code, version.stdout], [0, `side-effects v${expected}\n`])
    const { stdout } = await run(shop, ["--completions", "bash"])
    execFileSync("bash", ["-n"], { input: stdout })
    for (const word of ["explain", "--label-contains", "--lock", "--module"]) assert.include(stdout, word)
  })
})

describe("new", () => {
  it("writes files that compile strictly, load and are reported by check", async () => {
    const directory = project({
      "package.json": packageJson("./src/groups.ts"),
      "tsconfig.json": JSON.stringify({
        include: ["src"],
        compilerOptions: {
          target: "ES2023",
          module: "NodeNext",
          noEmit: true,
          skipLibCheck: true,
          strict: true,
          exactOptionalPropertyTypes: true,
          noUncheckedIndexedAccess: true,
          noUnusedLocals: true,
          verbatimModuleSyntax: true,
          erasableSyntaxOnly: true,
          allowImportingTsExtensions: true
        }
      })
    })
    const made = await Promise.all([
      run(directory, ["new", "event", "orders:order:placed", "--dir", "src"]),
      run(directory, ["new", "side-effect", "orders:mail:send-confirmation", "--dir", "src"]),
      run(directory, ["new", "side-effect", "orders:event", "--dir", "src"]),
      run(directory, ["new", "group", "orders", "--dir", "src"])
    ])
    for (const { code, stderr } of made) assert.deepStrictEqual([code, stderr], [0, ""])
    assert.include(made[1]!.stdout, "Wrote SendConfirmation to src/SendConfirmation.ts.")
    writeFileSync(
      join(directory, "src", "groups.ts"),
      `import { OrderPlaced } from "./OrderPlaced.ts"
import { Orders } from "./Orders.ts"
import { OrdersEvent } from "./OrdersEvent.ts"
import { SendConfirmation } from "./SendConfirmation.ts"
export default Orders.on(OrderPlaced, SendConfirmation, ({ id }) => ({ id })).add(OrdersEvent)
`
    )
    execFileSync(process.execPath, [tsc, "--project", directory], { cwd: directory })
    const check = await run(directory, ["check"])
    assert.strictEqual(check.stderr, "")
    for (const name of ["orders:order:placed", "orders:mail:send-confirmation", "orders:event"]) {
      assert.match(check.stdout.replace(/\s+/g, " "), new RegExp(`"${name}" has no description yet`))
    }

    const before = readFileSync(join(directory, "src", "SendConfirmation.ts"), "utf8")
    assertSentence(
      await run(directory, ["new", "side-effect", "crm:mail:send-confirmation", "--dir", "src"]),
      "src/SendConfirmation.ts exists already, and nothing was written. Name another file with --out, or remove it."
    )
    assert.strictEqual(readFileSync(join(directory, "src", "SendConfirmation.ts"), "utf8"), before)
  })

  it("needs no module, and refuses a malformed name", async () => {
    const directory = project({})
    assert.strictEqual((await run(directory, ["new", "group", "crm"])).code, 0)
    assert.isTrue(existsSync(join(directory, "Crm.ts")))
    assertSentence(
      await run(directory, ["new", "side-effect", "orders:send mail"]),
      /^Side effect name "orders:send mail" has an invalid segment "send mail"\. Expected segments of letters/
    )
  })
})

describe.concurrent("the module", () => {
  it("gives all groups it exports, also in arrays and by default, each once", async () => {
    const directory = project({
      "package.json": packageJson(["./a.ts", "b.js", "./a.ts"]),
      "a.ts":
        `${head}export const a: SideEffectGroup.Any = ${group("a")}\nexport const again = [a, [${group("c")}]]\n` +
        "export const other = 1\nexport default a\n",
      "b.js": `${head}export default ${group("b")}\nexport * from "./a.ts"\n`
    })
    const { code, stderr, stdout } = await run(directory, ["list", "--json"])
    assert.deepStrictEqual([code, stderr], [0, ""])
    assert.deepStrictEqual(JSON.parse(stdout).groups.map(({ name }: any) => name).toSorted(), ["a", "b", "c"])
    // Before and after the subcommand, and instead of what the package says.
    const one = await run(directory, ["--module", "b.js", "list", "--module", "a.ts", "--json"])
    assert.strictEqual(JSON.parse(one.stdout).groups.length, 3)
  })

  it("that prints or keeps something open does not keep the command from ending, nor get into its output", async () => {
    const directory = project({
      "package.json": packageJson("a.ts"),
      "a.ts": `${head}console.log("noise")\nsetInterval(() => {}, 1000)\nexport const a = ${group("a")}\n`
    })
    const { code, stderr, stdout } = await run(directory, ["list", "--json"])
    assert.deepStrictEqual([code, stderr], [0, "noise\n"])
    assert.strictEqual(JSON.parse(stdout).groups.length, 1)
  })

  it("that is not configured, or wrongly, is one sentence", async () => {
    assertSentence(
      await run(project({ "package.json": packageJson() }), ["list"]),
      /^No module is configured: say --module <path>, or add "side-effects": "[^"]+" to .+package\.json;/
    )
    assertSentence(await run(project({ "package.json": packageJson([]) }), ["list"]), /^No module is configured/)
    assertSentence(
      await run(project({ "package.json": packageJson(1) }), ["list"]),
      /"side-effects" in .+ is 1\. It takes/
    )
    assertSentence(await run(project({ "package.json": "{" }), ["list"]), /package\.json is not JSON: /)
    assertSentence(
      await run(project({ "package.json": packageJson("./nope.ts") }), ["list"]),
      "The module nope.ts does not exist. It is named by --module, or by \"side-effects\" in package.json."
    )
    assertSentence(
      await run(project({ "package.json": packageJson("./node_modules") }), ["check"]),
      "node_modules is a directory: \"side-effects\" in package.json takes the file that exports the groups, such as " +
        "node_modules/groups.ts."
    )
  })

  it("that loads for long is told of, once, and waited for", async () => {
    const directory = project({
      "package.json": packageJson("src/a.ts"),
      "src/a.ts": `${head}await new Promise((resolve) => setTimeout(resolve, 6000))\nexport const a = ${group("a")}\n`
    })
    const { code, stderr, stdout } = await run(directory, ["list", "--json"])
    assert.deepStrictEqual([code, stderr], [
      0,
      "Still loading src/a.ts: does it wait for something at its top level?\n"
    ])
    assert.strictEqual(JSON.parse(stdout).groups.length, 1)
  })

  const wrong: Readonly<Record<string, readonly [file: string, text: string, expected: RegExp]>> = {
    "has no group": ["a.ts", "export const a = 1", /^a\.ts exports no group\. Export one, or several, as in: /],
    "has a syntax error in JavaScript": [
      "a.js",
      "export const b = = 2\n",
      /^a\.js, or a module that it imports, has a syntax error: Unexpected token '='\. .*node --check a\.js$/m
    ],
    "has a syntax error in TypeScript": [
      "a.ts",
      "export const a = 1\nexport const b: = 2\n",
      /^a\.ts:2 has a syntax error: /
    ],
    "has TypeScript that cannot be stripped": [
      "a.ts",
      "\nexport enum A { x }\n",
      /^a\.ts:2 has TypeScript that Node cannot run, as it only strips types: .*enum.*a loader such as tsx/
    ],
    "imports a package that is not there": [
      "a.ts",
      "import \"not-there\"\n",
      /^a\.ts imports "not-there", which is not installed\.$/m
    ],
    "imports a path of tsconfig.json": [
      "a.ts",
      "import \"@/orders\"\n",
      new RegExp(
        "^a\\.ts imports \"@/orders\", which is not installed\\. If it is a path of tsconfig\\.json, Node does not know it: " +
          "use \"imports\" in package\\.json, or a loader such as tsx\\.$",
        "m"
      )
    ],
    "imports a path of tsconfig.json, from home": [
      "a.ts",
      "import \"~/orders\"\n",
      /^a\.ts imports "~\/\.\.\.", which is not installed\. If it is a path of tsconfig\.json, Node does not know it: /
    ],
    "imports a file that is not there": [
      "a.ts",
      "import \"./orders.js\"\n",
      /^a\.ts imports orders\.js, which does not exist\. Node takes the name of the file as it is/
    ],
    "imports a type as a value": [
      "a.ts",
      "import { Group } from \"./b.ts\"\nexport const a: Group = 1\n",
      /^a\.ts:1: The requested module '\.\/b\.ts' does not provide an export named 'Group'\. If it is a type, /
    ],
    "throws": ["a.ts", "\n\nthrow new Error(\"no\\nway\")\n", /^a\.ts threw at a\.ts:3 while it was loaded: no way$/m],
    "throws what is no error": ["a.ts", "throw \"no\"\n", /^a\.ts threw while it was loaded: no$/m],
    "has a name twice": [
      "a.ts",
      `${head}export const a = ${group("a")}\n  .add(SideEffect.make("a:go", { description: "Again." }))\n`,
      /^a\.ts threw at a\.ts:\d while it was loaded: Group "a" already has a side effect named "a:go"\./
    ],
    "has groups that do not go together": [
      "a.ts",
      `${head}const b = SideEffect.make("a:go", { description: "B." })\n` +
      `export default [${group("a")}, SideEffectGroup.make("b").add(b)]\n`,
      /^Groups "a" and "b" have different side effects named "a:go"\./
    ],
    "ends the process": ["a.ts", "process.exit(0)\n", /^a\.ts ended the process while it was loaded\.$/m],
    "lets something fail that nobody waits for": [
      "a.ts",
      "setTimeout(() => { throw new Error(\"late\") })\nawait new Promise(() => setInterval(() => {}, 1000))\n",
      /^a\.ts threw at a\.ts:1 while it was loaded: late$/m
    ],
    "is no module": ["a.txt", "hello", /^a\.txt is no JavaScript or TypeScript module\.$/m],
    "is JSX": ["a.tsx", "export const a = 1", /^a\.tsx is a kind of file that Node does not run: /]
  }

  for (const [what, [file, text, expected]] of Object.entries(wrong)) {
    it(`that ${what} is one sentence`, async () => {
      const directory = project({
        "package.json": packageJson(`./${file}`),
        "b.ts": "export type Group = number\n",
        [file]: text
      })
      assertSentence(await run(directory, ["list"]), expected)
    })
  }

  it("in TypeScript is one sentence where Node does not strip types", async () => {
    assertSentence(
      await run(shop, ["list"], { NODE_OPTIONS: "--no-experimental-strip-types" }),
      /^src\/shop\.ts is TypeScript, which this Node does not run: take Node 22\.18 or newer, or a loader such as tsx: /
    )
  })
})

describe("without @effect/platform-node", () => {
  it("one sentence says to install it", async () => {
    const directory = project({ "package.json": packageJson("./shop.ts"), "shop.ts": shopSource }, { platform: false })
    for (const args of [["list"], ["--help"], []]) {
      assertSentence(
        await run(directory, args),
        "side-effects needs the package @effect/platform-node: npm install --save-dev @effect/platform-node"
      )
    }
  })
})
