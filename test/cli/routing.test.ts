/** What the bin finds in a module of what goes where. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, vi } from "vitest"

const root = join(import.meta.dirname, "..", "..")
const built = process.env["SIDE_EFFECTS_PACKAGE"] ?? root

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const head = `import { Effect } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import { Outbox } from "effect-side-effects/outbox"
const honours = { delay: true, priority: true, queue: true }
const engine = (name) => Engine.dispatcher({ name, honours, connect: Effect.succeed({ handOver: () => Effect.void }) })
export const Shop = SideEffectGroup.make("shop").add(SideEffect.make("shop:mail", { description: "Send a mail." }))
`

const directories: Array<string> = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

const explain = (...sources: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resolve) => {
    const directory = realpathSync(mkdtempSync(join(tmpdir(), "side-effects-")))
    directories.push(directory)
    mkdirSync(join(directory, "node_modules", "@effect"), { recursive: true })
    symlinkSync(join(root, "node_modules", "effect"), join(directory, "node_modules", "effect"))
    symlinkSync(built, join(directory, "node_modules", "effect-side-effects"))
    symlinkSync(
      join(root, "node_modules", "@effect", "platform-node"),
      join(directory, "node_modules", "@effect", "platform-node")
    )
    const files = sources.map((_, index) => index === 0 ? "shop.js" : `shop${index}.js`)
    writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module", "side-effects": files }))
    sources.forEach((source, index) => writeFileSync(join(directory, files[index]!), source))
    execFile(
      process.execPath,
      [join(built, "dist", "bin", "side-effects.js"), "explain", "shop:mail"],
      { cwd: directory, env: { PATH: process.env["PATH"], HOME: directory }, timeout: 60_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    )
  })

describe("the bin, where a module exports what side effects go to", () => {
  it("uses the dispatcher, and the engines of a relay", async () => {
    const [none, one, relay, both] = await Promise.all([
      explain(head),
      explain(
        `${head}export const live = Dispatcher.route([[{ queue: "slow" }, engine("boss")], ["**", engine("bull")]])`
      ),
      explain(`${head}export const engines = { "shop:*": engine("bull") }`),
      explain(`${head}export const bull = engine("bull")
export const live = Outbox.dispatcher()
export const again = live
export const engines = { "shop:*": bull }`)
    ])
    assert.deepStrictEqual([none.code, one.code, relay.code, both.code], [0, 0, 0, 0])
    assert.notInclude(none.stdout, "goes")
    assert.include(one.stdout, "goes to bull; in queue slow: boss\n")
    assert.include(relay.stdout, "goes through the outbox to bull\n")
    assert.include(both.stdout, "goes through the outbox to bull\n")
  })

  it("the one called dispatcher, or relay, counts where there are several", async () => {
    const [dispatcher, relay] = await Promise.all([
      explain(`${head}export const other = engine("bull")
export const dispatcher = Dispatcher.inline()`),
      explain(`${head}export const dispatcher = Outbox.dispatcher()
export const relay = { "**": engine("bull") }
export const old = { "**": engine("boss") }`)
    ])
    assert.include(dispatcher.stdout, "goes to inline\n")
    assert.include(relay.stdout, "goes through the outbox to bull\n")
  })

  it("says what to do where it cannot tell", async () => {
    const [dispatchers, relays, modules] = await Promise.all([
      explain(`${head}export const one = engine("bull")
export const two = Dispatcher.inline()`),
      explain(`${head}export const one = { "**": engine("bull") }
export const two = { "**": engine("boss") }`),
      explain(
        `${head}export const dispatcher = engine("bull")`,
        `export { Shop } from "./shop.js"
import { Dispatcher } from "effect-side-effects"
export const dispatcher = Dispatcher.inline()`
      )
    ])
    assert.deepStrictEqual([dispatchers.code, relays.code, modules.code], [2, 2, 2])
    assert.strictEqual(
      dispatchers.stderr,
      "shop.js exports several dispatchers, one and two, and a live layer has one. Call that one dispatcher, or do not " +
        "export the others.\n"
    )
    assert.strictEqual(
      relays.stderr,
      "shop.js exports several records of engines, one and two, and there is one relay for each catalogue. Call the one " +
        "that counts relay, or do not export the others.\n"
    )
    assert.match(
      modules.stderr,
      /^shop\.js and shop1\.js exports? several dispatchers, dispatcher, and a live layer has one/
    )
  })
})
