import { assert, describe, it } from "@effect/vitest"
import { OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const bin = join(root, "dist", "bin", "side-effects.js")

/** The outbox of a shop: two mails and three calls were performed, and one mail is dead. */
const fill = Effect.gen(function*() {
  const store = yield* OutboxStore.OutboxStore
  const mail = "orders:mail:send-confirmation"
  const call = "orders:warehouse:call"
  yield* store.offerMany(
    [mail, mail, mail, call, call, call].map((name) => ({
      id: randomUUID(),
      name,
      queue: "default",
      priority: 0,
      payload: "null",
      redacted: undefined,
      key: undefined,
      delay: 0,
      origin: undefined,
      metadata: undefined,
      trace: undefined
    })),
    { uniqueFor: 0 }
  )
  const claim = { worker: "w", limit: 10, lease: 30_000, names: [mail, call], queues: undefined, suspects: false }
  const claimed = yield* store.claim(claim)
  const dead = claimed.find(({ name }) => name === mail)!
  yield* store.settle(claimed.map(({ ref, token }) => ({
    ref,
    token,
    worker: "w",
    elapsed: 1,
    outcome: ref === dead.ref
      ? { _tag: "Dead", reason: "exhausted", error: "connect ECONNREFUSED 127.0.0.1:25", failed: true }
      : { _tag: "Done", keep: true }
  })))
})

describe("README.md", () => {
  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```console\n([^]*?)^```$/gm)].map((
    block
  ) =>
    [...block[1]!.matchAll(/^\$ npx side-effects (.*)\n((?:[^$].*\n)*)/gm)].map(([, args, output]) =>
      [args!, output!] as const
    )
  )

  it.live.each(blocks.map((commands) => ({ commands, first: commands[0]![0] })))(
    "shows what `side-effects $first` prints",
    ({ commands }) =>
      Effect.gen(function*() {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "readme-"))),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
        )
        const url = join(directory, "shop.db")
        yield* Effect.provide(
          fill,
          SqlOutboxStore.layer().pipe(Layer.provide(SqliteClient.layer({ filename: url })))
        )
        for (const [args, output] of commands) {
          const printed = execFileSync(process.execPath, [bin, ...args.split(" ")], {
            cwd: args.startsWith("outbox") ? directory : root,
            encoding: "utf8"
          })
          assert.strictEqual(printed, output)
        }
      })
  )

  it("has such blocks", () => {
    assert.deepStrictEqual(blocks.map((commands) => commands.length), [1, 2])
  })
})
