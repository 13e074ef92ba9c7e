import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Effect,
  Exit,
  FileSystem,
  Layer,
  Option,
  Path,
  PlatformError,
  Runtime,
  Stdio,
  Terminal
} from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { Catalog } from "effect-side-effects/cli"
import { type CliError, Command } from "effect/cli"
import { ChildProcessSpawner } from "effect/process"
import { TestConsole } from "effect/testing"
import { Forgotten, Shop } from "./fixtures/shop.ts"

/** A file system in memory, of which only what the command uses is there. */
const memory = (files: Map<string, string>) => {
  const failure = (method: string, _tag: PlatformError.SystemErrorTag, file: string) =>
    Effect.fail(PlatformError.systemError({ _tag, module: "FileSystem", method, pathOrDescriptor: file }))
  return FileSystem.layerNoop({
    exists: (file) => Effect.succeed(files.has(file)),
    stat: (file) => Effect.succeed({ type: file.endsWith("/dir") ? "Directory" : "File" } as FileSystem.File.Info),
    makeDirectory: () => Effect.void,
    readFileString: (file) => {
      const text = files.get(file)
      return text === undefined ? failure("readFileString", "NotFound", file) : Effect.succeed(text)
    },
    writeFileString: (file, text, options) => {
      if (options?.flag === "wx" && files.has(file)) return failure("writeFileString", "AlreadyExists", file)
      if (file.startsWith("/readonly/")) return failure("writeFileString", "PermissionDenied", file)
      return Effect.sync(() => void files.set(file, text))
    }
  })
}

const terminal = (columns: number) =>
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(columns),
      rows: Effect.succeed(24),
      size: Effect.die("size"),
      readInput: Effect.die("readInput"),
      readLine: Effect.die("readLine"),
      display: () => Effect.void
    })
  )

interface Options {
  readonly files?: Map<string, string>
  readonly env?: Record<string, string>
  readonly config?: ConfigProvider.ConfigProvider
  readonly columns?: number
  readonly groups?: Parameters<typeof Catalog.command>[0]
}

/** Runs the command in a CLI of one's own, and tells how it ended. */
const run = Effect.fnUntraced(function*(line: string, options: Options = {}) {
  const { columns, env = {}, files = new Map(), groups = Shop } = options
  const shop = Command.make("shop").pipe(
    Command.withSubcommands([Catalog.command(groups, { root: import.meta.dirname })])
  )
  const before = { out: (yield* TestConsole.logLines).length, err: (yield* TestConsole.errorLines).length }
  const exit = yield* Effect.exit(Command.runWith(shop, { version: "1.0.0" })(["side-effects", ...line.split(" ")]))
    .pipe(
      Effect.provide([
        memory(files),
        Path.layer,
        terminal(columns ?? 80),
        Stdio.layerTest({ stdoutIsTerminal: Effect.succeed(columns !== undefined) }),
        Layer.succeed(ChildProcessSpawner.ChildProcessSpawner, ChildProcessSpawner.make(() => Effect.die("spawn"))),
        ConfigProvider.layer(options.config ?? ConfigProvider.fromEnv({ env }))
      ])
    )
  let code = -1
  Runtime.defaultTeardown(exit, (n) => (code = n))
  const error = Option.getOrUndefined(Exit.findErrorOption(exit)) as
    | Catalog.CommandError
    | Catalog.CheckFailed
    | CliError.CliError
    | undefined
  return {
    code,
    error,
    message: error?.message ?? "",
    out: (yield* TestConsole.logLines).slice(before.out).join("\n"),
    err: (yield* TestConsole.errorLines).slice(before.err).join("\n")
  }
})

class Done extends SideEffect.make("a:done", { description: "Do it." }) {}

describe("command(groups)", () => {
  it.effect("list prints the catalogue in every format", () =>
    Effect.gen(function*() {
      const catalog = Catalog.make(Shop, { root: import.meta.dirname })
      const expected: ReadonlyArray<readonly [string, string]> = [
        ["list", Catalog.toText(catalog)],
        ["list --verbose", Catalog.toText(catalog, { verbose: true })],
        ["list --raw", Catalog.toText(catalog, { raw: true })],
        ["list --json", Catalog.toJson(catalog)],
        ["list --format json", Catalog.toJson(catalog)],
        ["list --format text", Catalog.toText(catalog)],
        ["list --format markdown", Catalog.toMarkdown(catalog)],
        ["list --format mermaid", Catalog.toMermaid(catalog)],
        ["list --format html", Catalog.toHtml(catalog)],
        ["list --sorted", Catalog.toText(Catalog.filter(catalog, { sorted: true }))],
        ["list --label orders:order:paid", Catalog.toText(Catalog.filter(catalog, { label: "orders:order:paid" }))],
        ["list --label-contains fax --raw", ""],
        [
          "list --label orders:order:paid --label-contains paid",
          Catalog.toText(Catalog.filter(catalog, { label: "orders:order:paid" }))
        ]
      ]
      for (const [line, text] of expected) {
        const { code, err, out } = yield* run(line)
        assert.deepStrictEqual({ line, code, err, out: out === "" ? "" : `${out}\n` }, {
          line,
          code: 0,
          err: "",
          out: text.endsWith("\n") || text === "" ? text : `${text}\n`
        })
      }
    }))

  it.effect("list --out writes a file, by its name in a format, and says so", () =>
    Effect.gen(function*() {
      const files = new Map<string, string>()
      const catalog = Catalog.make(Shop, { root: import.meta.dirname })
      const formats = {
        "/out/a.html": Catalog.toHtml(catalog),
        "/out/a.md": Catalog.toMarkdown(catalog),
        "/out/a.mmd": Catalog.toMermaid(catalog),
        "/out/a.json": Catalog.toJson(catalog),
        "/out/a.txt": Catalog.toText(catalog),
        "/out/a": Catalog.toText(catalog)
      }
      for (const [file, text] of Object.entries(formats)) {
        const { code, err, out } = yield* run(`list --out ${file}`, { files, columns: 50 })
        assert.deepStrictEqual([code, out, files.get(file)], [0, "", text])
        assert.match(err, /^Wrote \/out\/\S+ \((text|json|markdown|mermaid|html), \d+ (bytes|kB)\)\.$/)
      }
      yield* run("list --out /out/b.html --format json", { files })
      assert.strictEqual(files.get("/out/b.html"), Catalog.toJson(catalog))
      const refused = yield* run("list --out /readonly/a.txt", { files })
      assert.deepStrictEqual([refused.code, refused.message], [
        2,
        "Cannot write /readonly/a.txt: that is not permitted."
      ])
    }))

  it.effect("list refuses flags that contradict each other, and what is not there", () =>
    Effect.gen(function*() {
      const both = (a: string, b: string) => `${a} and ${b} contradict each other: give one of them.`
      const expected: ReadonlyArray<readonly [string, string]> = [
        ["list --raw --json", both("--raw", "--json")],
        ["list --json --format html", both("--json", "--format html")],
        ["list --verbose --format mermaid", both("--verbose", "--format mermaid")],
        ["list --raw --verbose", both("--raw", "--verbose")],
        [
          "list --label orders:order:paid --label-contains fax",
          "orders:order:paid does not have \"fax\" in its name."
        ],
        ["list --label OrderPlaced", "--label takes the exact name: OrderPlaced is orders:order:placed."],
        ["list --label OrderPlaced --raw", "--label takes the exact name: OrderPlaced is orders:order:placed."],
        [
          "list --label orders:**",
          "--label takes the exact name. For a part of it there is --label-contains; for patterns, side-effects explain."
        ],
        [
          "list --label orders",
          "\"orders\" is a group: it has 3 events and 6 side effects. Explain one of them, such as orders:order:placed."
        ],
        ["list --label-contains zzz", "No event and no side effect has \"zzz\" in its name."],
        [
          "list --label orders:order:payd",
          "There is no event and no side effect \"orders:order:payd\". Did you mean \"orders:order:paid\"?"
        ]
      ]
      for (const [line, message] of expected) {
        const result = yield* run(line)
        assert.deepStrictEqual([line, result.code, result.message, result.out], [line, 2, message, ""])
        assert.instanceOf(result.error, Catalog.CommandError)
        // Once, by effect/cli.
        assert.strictEqual(result.err.split(message).length, 2)
      }
    }))

  it.effect("list takes the width of a terminal, and 80 columns elsewhere", () =>
    Effect.gen(function*() {
      const widest = (text: string) => Math.max(...text.split("\n").map((line) => line.length))
      assert.isAtMost(widest((yield* run("list", { columns: 60 })).out), 60)
      assert.isAbove(widest((yield* run("list", { columns: 300 })).out), 80)
      assert.isAtMost(widest((yield* run("list", { columns: 300 })).out), 100)
      assert.isAtMost(widest((yield* run("list", { columns: 0 })).out), 80)
      assert.isAtMost(widest((yield* run("list")).out), 80)
    }))

  it.effect("explain knows the environment", () =>
    Effect.gen(function*() {
      const mode = yield* run("explain orders:order:paid", { env: { SIDE_EFFECTS_MODE: "drop" } })
      assert.include(mode.out.replace(/\s+/g, " "), "SIDE_EFFECTS_MODE is drop, so nothing leaves.")
      const block = yield* run("explain orders:order:paid", { env: { SIDE_EFFECTS_BLOCK: "orders:audit:*" } })
      assert.include(
        block.out.replace(/\s+/g, " "),
        "SIDE_EFFECTS_BLOCK is orders:audit:*, which stops orders:audit:write."
      )
      const list = yield* run("explain orders:order:paid", {
        config: ConfigProvider.fromUnknown({ SIDE_EFFECTS_BLOCK: ["orders:audit:*"] })
      })
      assert.strictEqual(list.out, block.out)
      const wrong = yield* run("explain orders:order:paid", {
        config: ConfigProvider.fromUnknown({ SIDE_EFFECTS_MODE: ["drop"] })
      })
      assert.deepStrictEqual([wrong.code, wrong.out], [2, ""])
      assert.strictEqual(
        wrong.message,
        "SIDE_EFFECTS_MODE holds a list. It takes one of live, drop, assert-none, record."
      )
      const nothing = yield* run("explain orders:order:pajd")
      assert.deepStrictEqual([nothing.code, nothing.out], [2, ""])
      assert.include(nothing.message, "Did you mean \"orders:order:paid\"?")
    }))

  it.effect("check prints findings, and under --strict their number is the exit code", () =>
    Effect.gen(function*() {
      const plain = yield* run("check")
      assert.strictEqual(plain.code, 0)
      assert.include(plain.out, "fixtures/shop.ts:")
      assert.include(plain.out, "3 findings in 3 events, 6 side effects and 4 bindings.")
      const strict = yield* run("check --strict")
      assert.deepStrictEqual([strict.code, strict.out, strict.err], [3, plain.out, ""])
      const many = Array.from({ length: 300 }, (_, i) => SideEffect.make(`a:n${i}`, { description: `Do ${i}.` }))
      const all = yield* run("check --strict", { groups: SideEffectGroup.make("a").add(...many) })
      assert.strictEqual(all.code, 255)
      const empty = yield* run("check --strict", { groups: [] })
      assert.deepStrictEqual([empty.code, empty.out], [
        0,
        "Nothing to mend in 0 events, 0 side effects and 0 bindings."
      ])
    }))

  it.effect("check --lock compares with what was written, and --write renews it", () =>
    Effect.gen(function*() {
      const files = new Map<string, string>()
      const missing = yield* run("check --lock /a/catalogue.json", { files })
      assert.deepStrictEqual([missing.code, missing.out, missing.message], [
        2,
        "",
        "/a/catalogue.json does not exist. Make it with --write, and commit it."
      ])
      for (const line of ["check --lock /a/dir", "check --lock /a/dir --write"]) {
        const directory = yield* run(line, { files: new Map([["/a/dir", ""]]) })
        assert.deepStrictEqual([directory.code, directory.out, directory.message], [
          2,
          "",
          "/a/dir is a directory: --lock takes the file to compare with, such as /a/dir/catalogue.json."
        ])
      }
      const written = yield* run("check --lock /a/catalogue.json --write", { files })
      assert.strictEqual(written.code, 0)
      assert.include(written.out, "Wrote /a/catalogue.json. Commit it.")
      assert.strictEqual(files.get("/a/catalogue.json"), Catalog.lock(Catalog.make(Shop)))
      for (const line of ["check --lock /a/catalogue.json", "check --lock /a/catalogue.json --write"]) {
        const same = yield* run(line, { files })
        assert.deepStrictEqual([same.code, same.out.split("\n").at(-1)], [0, "/a/catalogue.json is up to date."])
      }

      const groups = [Shop, SideEffectGroup.make("more").add(Done)]
      const drift = yield* run("check --lock /a/catalogue.json", { files, groups })
      assert.strictEqual(drift.code, 1)
      assert.isTrue(drift.out.endsWith(`
/a/catalogue.json is not what the code says any more (- committed, + now):

+ group more
+ side effect a:done  Do it.

If that is meant, run it again with --write, and commit the file.`))
      const both = yield* run("check --strict --lock /a/catalogue.json", { files, groups })
      assert.strictEqual(both.code, 4 + 1)
      yield* run("check --lock /a/catalogue.json --write", { files, groups })
      assert.strictEqual((yield* run("check --lock /a/catalogue.json", { files, groups })).code, 0)

      files.set("/a/catalogue.json", "<<<<<<< HEAD")
      const broken = yield* run("check --lock /a/catalogue.json", { files })
      assert.strictEqual(broken.code, 2)
      assert.match(
        broken.message,
        /^Cannot compare with \/a\/catalogue\.json\. This is no catalogue .* For that, run it with --write\.$/
      )
      const without = yield* run("check --write", { files })
      assert.strictEqual(without.code, 2)
      assert.include(without.message, "--lock catalogue.json")
    }))

  it.effect("new writes a file, once", () =>
    Effect.gen(function*() {
      const files = new Map<string, string>()
      const made = yield* run("new side-effect orders:mail:send-receipt --dir /a", { files })
      assert.strictEqual(made.code, 0)
      assert.include(made.out, "Wrote SendReceipt to /a/SendReceipt.ts.")
      assert.strictEqual(
        files.get("/a/SendReceipt.ts"),
        `import { Schema } from "effect"
import { SideEffect } from "effect-side-effects"

export class SendReceipt extends SideEffect.make("orders:mail:send-receipt", {
  description: "TODO: say in one sentence what happens outside when it is performed.",
  payload: { id: Schema.String }
}) {}
`
      )
      const again = yield* run("new side-effect crm:mail:send-receipt --dir /a", { files })
      assert.deepStrictEqual([again.code, again.message], [
        2,
        "/a/SendReceipt.ts exists already, and nothing was written. Name another file with --out, or remove it."
      ])
      const names: ReadonlyArray<readonly [string, string]> = [
        ["event orders:order:placed", "OrderPlaced.ts"],
        ["event shop:orders:order:placed", "OrderPlaced.ts"],
        ["event placed", "Placed.ts"],
        ["event orders:2fa:enabled", "Orders2faEnabled.ts"],
        ["event 2fa:enabled", "Enabled.ts"],
        ["event app:side:effect", "AppSideEffect.ts"],
        ["event side:effect", "Effect.ts"],
        ["event schema", "NewEvent.ts"],
        ["side-effect orders:mail:send", "Send.ts"],
        ["event orders:2fa", "Orders2fa.ts"],
        ["event 2fa", "NewEvent.ts"],
        ["side-effect orders:side-effect", "OrdersSideEffect.ts"],
        ["group schema", "NewGroup.ts"],
        ["group a.b_c", "ABC.ts"],
        ["side-effect orders:--x", "X.ts"]
      ]
      for (const [args, file] of names) {
        const { out } = yield* run(`new ${args} --dir /b`, { files: new Map() })
        assert.include(out, `/b/${file}.`)
      }
      const malformed = yield* run("new event orders::placed", { files })
      assert.deepStrictEqual([malformed.code, malformed.message], [
        2,
        "Event name \"orders::placed\" has an empty segment at position 2. Expected segments of letters, digits, \"-\", " +
        "\"_\" or \".\", separated by \":\", such as \"orders:mail:send-confirmation\"."
      ])
      const both = yield* run("new event a:b --dir /a --out /b.ts", { files })
      assert.deepStrictEqual([both.code, both.message], [2, "--out and --dir contradict each other: give one of them."])
    }))

  it.effect("groups that do not go together are one sentence", () =>
    Effect.gen(function*() {
      const other = SideEffect.make("orders:fax:send", { description: "Another one." })
      const { code, message } = yield* run("list", { groups: [Shop, SideEffectGroup.make("other").add(other)] })
      assert.strictEqual(code, 2)
      assert.include(message, `Groups "orders" and "other" have different side effects named "${Forgotten._tag}".`)
    }))
})
