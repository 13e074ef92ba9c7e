import { assert, describe, it } from "@effect/vitest"
import * as EslintPlugin from "effect-side-effects/eslint-plugin"
import { Linter, RuleTester } from "eslint"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { type Case, cases } from "./cases.ts"

RuleTester.describe = describe
RuleTester.it = it

const { default: plugin } = EslintPlugin
const root = join(import.meta.dirname, "../..")

const lint = (code: string, options: EslintPlugin.Options = {}, filename = "src/orders.js") =>
  new Linter({ cwd: "/app" }).verify(code, [
    plugin.configs.recommended,
    { rules: { "effect-side-effects/no-direct-side-effect": ["error", options] } }
  ], { filename: `/app/${filename}` })

describe("no-direct-side-effect", () => {
  const test = ({ code, name, options, errors }: Case) => ({
    name,
    code,
    ...(options === undefined ? {} : { options: [options] }),
    ...(errors === undefined ? {} : {
      errors: errors.map((text) => ({ message: new RegExp(`^\`${text.replaceAll(/[$()[\].?*+]/g, "\\$&")}\` is `) }))
    })
  })
  const split = (isInvalid: boolean) =>
    cases.filter(({ isTypeScript, errors }) => !isTypeScript && (errors !== undefined) === isInvalid).map(test)

  new RuleTester({ languageOptions: { sourceType: "module", ecmaVersion: 2026 } }).run(
    "no-direct-side-effect",
    plugin.rules["no-direct-side-effect"],
    { valid: split(false), invalid: split(true) as Array<any> }
  )

  it("says what happened, why it matters, and what to write instead", () => {
    assert.deepStrictEqual(
      lint("await transport.sendMail({ to })").map(({ message }) => message),
      [
        "`transport.sendMail` is called outside a handler, so it happens even when the unit of work fails. Define a " +
        "side effect and `yield* SideEffects.enqueue(...)` it here, and move the call into its handler."
      ]
    )
    assert.deepStrictEqual(
      lint("const send = (p) => post(p)\nSendMail.toLayer(send)\nawait send({ to })").map(({ message }) => message),
      [
        "`send` is the handler of SendMail. Called directly, it happens even when the unit of work fails, and no policy " +
        "sees it. Write `yield* SideEffects.enqueue(SendMail, { to })`."
      ]
    )
  })

  it("writes what takes the place of a call", () => {
    const write = (code: string) => /is the handler of (.*?)\. .* Write `(.*)`/.exec(lint(code)[0]!.message)?.slice(1)
    const send = "const send = () => {}\n"
    assert.deepStrictEqual(write(`${send}Ping.toLayer(send); send()`), ["Ping", "yield* SideEffects.enqueue(Ping)"])
    assert.deepStrictEqual(write(`${send}Orders.toLayer({ "a:b": send }); send(it)`), [
      "\"a:b\"",
      "yield* SideEffects.enqueue(definition, it)"
    ])
    assert.deepStrictEqual(write(`${send}Orders.toLayer({ "a:b": Mail.handler(send) }); send(it)`), [
      "Mail",
      "yield* SideEffects.enqueue(Mail, it)"
    ])
    assert.deepStrictEqual(
      write(`export class Mail extends SideEffect.make("a:b") {}\n${send}Orders.toLayer({ "a:b": send }); send(it)`),
      ["Mail", "yield* SideEffects.enqueue(Mail, it)"]
    )
    assert.deepStrictEqual(
      write("const mail = SideEffect.make(\"a:b\")\nconst all = { \"a:b\": f }; Orders.toLayer(all); all[\"a:b\"](it)"),
      ["mail", "yield* SideEffects.enqueue(mail, it)"]
    )
    const from = "import { SideEffect } from \"effect-side-effects\"\n"
    assert.deepStrictEqual(write(`${from}${send}const mail = SideEffect.fromFunction("a:b", send)\nsend(to, 1)`), [
      "\"a:b\"",
      "yield* SideEffects.enqueue(mail.definition, [to, 1])"
    ])
  })

  it("marks the call", () => {
    const [finding] = lint("const a = 1; await t.sendMail(\n  {}\n)")
    assert.deepInclude(finding, { line: 1, column: 20, endLine: 3, endColumn: 2, severity: 2 })
  })

  it("keeps long calls and payloads short", () => {
    const long = "x".repeat(100)
    const [client] = lint(`${long}.sendMail()`)
    assert.include(client!.message, `\`${"x".repeat(57)}...\` is called`)
    const [handler] = lint(`const send = () => {}; SendMail.toLayer(send); send({\n  ${long} })`)
    assert.include(handler!.message, `enqueue(SendMail, { ${"x".repeat(55)}...)`)
  })

  it("takes the files of the option handlers as handlers", () => {
    const found = (glob: string, filename: string) => lint("t.sendMail()", { handlers: [glob] }, filename).length === 0
    assert.isTrue(found("src/handlers/**", "src/handlers/mail/send.js"))
    assert.isTrue(found("./src/handlers/**", "src/handlers/send.js"))
    assert.isTrue(found("**/handlers/**", "handlers/send.js"))
    assert.isTrue(found("**/handlers/**", "packages/orders/handlers/send.js"))
    assert.isTrue(found("src/*.js", "src/send.js"))
    assert.isTrue(found("**/*.{handler,client}.js", "src/send.client.js"))
    assert.isTrue(found("src/sen?.js", "src/send.js"))
    assert.isFalse(found("src/handlers/**", "src/other/send.js"))
    assert.isFalse(found("handlers/**", "src/handlers/send.js"))
    assert.isFalse(found("src/*.js", "src/mail/send.js"))
    assert.isFalse(found("src/s.nd.js", "src/send.js"))
    assert.isFalse(found("**/*.{handler,client}.js", "src/send.js"))
  })

  it("is silenced by a comment with a reason", () => {
    const rule = "effect-side-effects/no-direct-side-effect"
    assert.deepStrictEqual(lint(`// eslint-disable-next-line ${rule} -- the health check is no wish\nt.sendMail()`), [])
    assert.deepStrictEqual(lint(`t.sendMail() // eslint-disable-line ${rule}`), [])
    assert.deepStrictEqual(lint(`/* eslint-disable ${rule} */\nt.sendMail()\nt.sendMail()`), [])
  })

  // Not among the cases: oxlint cannot read such a file at all.
  it("comes to the end of a chain of two thousand calls", () => {
    for (const call of [".pipe(a)", ".a(b)"]) {
      const found = lint(`it${call.repeat(2000)}\nt.sendMail()`)
      assert.deepStrictEqual(found.map(({ line, ruleId }) => [line, ruleId]), [
        [2, "effect-side-effects/no-direct-side-effect"]
      ])
    }
  })

  it("refuses wrong options in ESLint's words", () => {
    const wrong = (options: unknown) =>
      assert.throws(() => lint("", options as any), /effect-side-effects\/no-direct-side-effect[^]*(should|must) /i)
    wrong({ client: ["fetch"] })
    wrong({ clients: "fetch" })
    wrong({ clients: [""] })
    wrong({ clients: ["a..b"] })
    wrong({ clients: ["post it"] })
    wrong({ ignore: [1] })
    wrong({ handlers: [""] })
    wrong({ reads: "yes" })
    assert.deepStrictEqual(
      lint("", { clients: ["new WebSocket", "@sendgrid/mail#send", "./mails.js#*.send", "a.b|c"], reads: true }),
      []
    )
  })
})

describe("the plugin", () => {
  it("has the name and the version of the package", () => {
    assert.deepStrictEqual(plugin.meta, { name: packageJson.name, version: packageJson.version })
  })

  it("exports by name what it exports by default", () => {
    assert.deepStrictEqual(
      { meta: EslintPlugin.meta, rules: EslintPlugin.rules, configs: EslintPlugin.configs },
      plugin
    )
  })

  it("has a configuration that ESLint takes, also where its types are checked", () => {
    const config: Array<Linter.Config> = [plugin.configs.recommended]
    assert.deepStrictEqual(new Linter().verify("", config), [])
  })

  it("leads to a page that lists every default pattern and every option, with the configurations of the sample", () => {
    const { docs, schema } = plugin.rules["no-direct-side-effect"].meta
    const page = join(root, docs.url)
    assert.isTrue(existsSync(page))
    const text = readFileSync(page, "utf8")
    for (const pattern of EslintPlugin.defaultClients) assert.include(text, `\`${pattern.replaceAll("|", "\\|")}\``)
    const sample = (file: string) => readFileSync(join(root, "examples", "lint", file), "utf8")
    const config = sample("eslint.config.js")
    assert.include(text, `\n\`\`\`ts no-run\n${config.slice(config.indexOf("import "))}\`\`\`\n`)
    assert.include(text, `\n\`\`\`json\n${sample(".oxlintrc.json")}\`\`\`\n`)
    for (const option of Object.keys(schema[0]!.properties)) assert.include(text, `\`${option}\``)
  })
})
