import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Effect,
  Exit,
  FileSystem,
  Layer,
  Option,
  Path,
  Queue,
  Redacted,
  Runtime,
  Stdio,
  Stream,
  Terminal
} from "effect"
import { Outbox } from "effect-side-effects/cli"
import { MemoryOutboxStore, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { type CliError, Command, TerminalCapabilities } from "effect/cli"
import { ChildProcessSpawner } from "effect/process"
import { SqlClient } from "effect/sql"
import { TestClock, TestConsole } from "effect/testing"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, vi } from "vitest"
import { Orders } from "./fixtures/outbox.ts"

const worker = "worker-1"

interface Given {
  readonly id: string
  readonly name?: string
  readonly payload?: unknown
  readonly delay?: number
  readonly key?: string
}

const mail = (id: string, order: number, more: object = {}): Given => ({
  id,
  name: "orders:mail:send",
  payload: { order, to: "ann@example.com", token: `s3cret-${order}`, ...more }
})

const offer = Effect.fnUntraced(function*(...all: ReadonlyArray<Given>) {
  const store = yield* OutboxStore.OutboxStore
  yield* store.offerMany(
    all.map(({ delay = 0, id, key, name = "orders:push", payload = { order: 1 } }) => ({
      id,
      name,
      queue: "default",
      priority: 0,
      payload: JSON.stringify(payload),
      redacted: name === "orders:mail:send" ? [["token"]] : undefined,
      key,
      delay,
      origin: undefined,
      metadata: undefined,
      trace: undefined
    })),
    { uniqueFor: 0 }
  )
})

const settle = Effect.fnUntraced(function*(limit: number, outcome: OutboxStore.Outcome) {
  const store = yield* OutboxStore.OutboxStore
  const names = ["orders:mail:send", "orders:push"]
  const claimed = yield* store.claim({ worker, limit, lease: 30_000, names, queues: undefined, suspects: false })
  yield* store.settle(claimed.map(({ ref, token }) => ({ ref, token, worker, elapsed: 12, outcome })))
})

const esc = String.fromCharCode(27)

const failed = (error: string): OutboxStore.Outcome => ({ _tag: "Retry", delay: 0, error })
const dead = (error: string): OutboxStore.Outcome => ({ _tag: "Dead", reason: "exhausted", error, failed: true })
const done: OutboxStore.Outcome = { _tag: "Done", keep: true }

const widerThan80 = (text: string) => text.split("\n").filter((line) => line.length > 80)

// --- the command, mounted in a CLI of one's own ---

interface Options {
  readonly stdin?: string
  /** What somebody at the terminal types. Without it there is no terminal. */
  readonly types?: string
}

const terminal = (types: string | undefined) =>
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      size: Effect.die("size"),
      readInput: Effect.gen(function*() {
        const queue = yield* Queue.unbounded<Terminal.UserInput>()
        const key = { name: types ?? "", ctrl: false, meta: false, shift: false }
        yield* Queue.offer(queue, { input: Option.fromUndefinedOr(types), key })
        return queue as any
      }),
      readLine: Effect.die("readLine"),
      display: () => Effect.void
    })
  )

/** Runs `shop outbox <args>` on the store around it, and tells how it ended. */
const run = Effect.fnUntraced(function*(args: string | ReadonlyArray<string>, { stdin, types }: Options = {}) {
  const shop = Command.make("shop").pipe(Command.withSubcommands([Outbox.command(Orders)]))
  const before = { out: (yield* TestConsole.logLines).length, err: (yield* TestConsole.errorLines).length }
  const words = typeof args === "string" ? args.split(" ") : args
  const exit = yield* Effect.exit(Command.runWith(shop, { version: "1.0.0" })(["outbox", ...words])).pipe(
    Effect.provide([
      FileSystem.layerNoop({}),
      Path.layer,
      terminal(types),
      Stdio.layerTest({
        stdinIsTerminal: Effect.succeed(stdin === undefined),
        stdin: Stream.make(new TextEncoder().encode(stdin ?? ""))
      }),
      Layer.succeed(TerminalCapabilities.TerminalCapabilities, {
        canColor: false,
        canAnimate: false,
        canPrompt: types !== undefined
      }),
      Layer.succeed(ChildProcessSpawner.ChildProcessSpawner, ChildProcessSpawner.make(() => Effect.die("spawn"))),
      ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} }))
    ])
  )
  let code = -1
  Runtime.defaultTeardown(exit, (n) => (code = n))
  const error = Option.getOrUndefined(Exit.findErrorOption(exit)) as Error | CliError.CliError | undefined
  return {
    code,
    message: error?.message ?? "",
    out: (yield* TestConsole.logLines).slice(before.out).join("\n"),
    err: (yield* TestConsole.errorLines).slice(before.err).join("\n")
  }
})

const assertOut = Effect.fnUntraced(function*(args: string, expected: string) {
  const { code, message, out } = yield* run(args)
  assert.deepStrictEqual({ args, message, code, out }, { args, message: "", code: 0, out: expected })
  assert.deepStrictEqual(widerThan80(out), [])
})

const assertRefused = Effect.fnUntraced(function*(args: string | ReadonlyArray<string>, expected: RegExp, code = 2) {
  const ended = yield* run(args)
  assert.strictEqual(ended.out, "")
  assert.match(ended.message, expected)
  assert.strictEqual(ended.code, code)
})

const states = Effect.fnUntraced(function*() {
  const store = yield* OutboxStore.OutboxStore
  const entries = yield* store.find({}, { limit: 100 })
  return Object.fromEntries(entries.map(({ id, state }) => [id, state]))
})

const cause = `Error: connect ECONNREFUSED 127.0.0.1:25
    at send (file:///app/mail.ts:12:5) {
  [cause]: Error: the ${esc}[31mmail server is away with the token s3cret-2, which is a long story of many words
      at connect (file:///app/smtp.ts:3:1)
}`

/** One of each kind, one of them with a history. */
const shop = Effect.gen(function*() {
  yield* offer(mail("aaaaaaaa-1111", 1), mail("bbbbbbbb-2222", 2, { customer: { id: 42 } }))
  yield* settle(1, done)
  yield* settle(1, failed(cause))
  yield* TestClock.adjust("5 seconds")
  yield* settle(1, dead(cause))
  yield* TestClock.adjust("2 minutes")
  yield* offer({ id: "cccccccc-3333" }, { id: "cccccccc-4444", delay: 3_600_000 })
})

describe("the mounted command", () => {
  it.effect("counts and list are tables", () =>
    Effect.gen(function*() {
      yield* assertOut("counts", "The outbox is empty.")
      yield* assertOut("list", "The outbox is empty.")
      yield* shop
      yield* assertOut(
        "counts",
        `PENDING  SCHED  RUNNING  DONE  DEAD  OLDEST  NAME (QUEUE)
      -      -        -     1     1       -  orders:mail:send
      1      1        -     -     -      0s  orders:push
      1      1        -     1     1      0s  total`
      )
      yield* assertOut(
        "list",
        `ID          AGE  STATE           TRIES  NAME
cccccccc-4   0s  scheduled           0  orders:push
cccccccc-3   0s  pending             0  orders:push
bbbbbbbb-2   2m  dead/exhausted      2  orders:mail:send
aaaaaaaa-1   2m  done                1  orders:mail:send`
      )
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("show has it all, in 80 columns, without secrets and without what a terminal obeys", () =>
    Effect.gen(function*() {
      yield* shop
      yield* assertOut(
        "show bbb",
        `orders:mail:send
  id           bbbbbbbb-2222
  state        dead/exhausted
  queue        default, priority 0
  offered      1970-01-01 00:00:00Z (2m ago)
  begun        1970-01-01 00:00:05Z (2m ago)
  ended        1970-01-01 00:00:05Z (2m ago)
  worker       worker-1
  attempts     2, with 2 failures and 0 crashes

payload
  {
    "order": 2,
    "to": "ann@example.com",
    "token": "<redacted>",
    "customer": {
      "id": 42
    }
  }

error
  Error: connect ECONNREFUSED 127.0.0.1:25
      at send (file:///app/mail.ts:12:5) {
    [cause]: Error: the \\x1b[31mmail server is away with the token <redacted>,
    which is a long story of many words
        at connect (file:///app/smtp.ts:3:1)
  }

history
   1  1970-01-01 00:00:00.000Z failed after 12 ms, by worker-1
      Error: connect ECONNREFUSED 127.0.0.1:25
        [cause]: Error: the \\x1b[31mmail server is away with the token
        <redacted>, which is a long story of many words
   2  1970-01-01 00:00:05.000Z failed after 12 ms, by worker-1
      Error: connect ECONNREFUSED 127.0.0.1:25
        [cause]: Error: the \\x1b[31mmail server is away with the token
        <redacted>, which is a long story of many words`
      )
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("--json has a stable shape", () =>
    Effect.gen(function*() {
      yield* shop
      const json = Effect.fnUntraced(function*(args: string) {
        const { code, out } = yield* run(args)
        assert.strictEqual(code, 0)
        return JSON.parse(out)
      })
      assert.deepStrictEqual((yield* json("counts --json")).counts[0], {
        name: "orders:mail:send",
        queue: "default",
        state: "done",
        count: 1,
        oldest: "1970-01-01T00:00:00.000Z"
      })
      const shown = yield* json("show bbbbbbbb-2222 --json")
      const { history, ...entry } = shown
      assert.deepStrictEqual(entry, {
        id: "bbbbbbbb-2222",
        name: "orders:mail:send",
        queue: "default",
        priority: 0,
        key: null,
        state: "dead",
        reason: "exhausted",
        payload: { order: 2, to: "ann@example.com", token: "<redacted>", customer: { id: 42 } },
        redacted: [["token"]],
        metadata: null,
        origin: null,
        trace: null,
        replayOf: null,
        attempts: 2,
        failures: 2,
        crashes: 0,
        createdAt: "1970-01-01T00:00:00.000Z",
        visibleAt: null,
        startedAt: "1970-01-01T00:00:05.000Z",
        finishedAt: "1970-01-01T00:00:05.000Z",
        worker,
        error: cause.replace("s3cret-2", "<redacted>")
      })
      assert.deepStrictEqual(Object.keys(history[0]), ["attempt", "outcome", "startedAt", "elapsed", "worker", "error"])
      const page = yield* json("list --limit 3 --json")
      assert.deepStrictEqual([page.entries.length, page.next], [3, "bbbbbbbb-2222"])
      const next = yield* json(`list --limit 3 --before ${page.next} --json`)
      assert.deepStrictEqual([next.entries.length, next.entries[0].id, next.next], [1, "aaaaaaaa-1111", null])
      assert.deepStrictEqual(yield* json("retry --state dead --dry-run --json"), {
        verb: "retry",
        matched: 1,
        changed: 0,
        dryRun: true
      })
      assert.deepStrictEqual(yield* json("retry --state dead --yes --json"), {
        verb: "retry",
        matched: 1,
        changed: 1,
        dryRun: false
      })
      assert.deepStrictEqual(yield* json("pause --queue slow --json"), {
        pauses: [{ kind: "queue", what: "slow", since: "1970-01-01T00:02:05.000Z" }]
      })
      assert.deepStrictEqual(yield* json("resume --all --json"), { pauses: [] })
      assert.deepStrictEqual(yield* json("migrate --json"), { version: 1 })
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("every filter selects", () =>
    Effect.gen(function*() {
      yield* shop
      const cases = {
        "--state dead": ["bbbbbbbb-2222"],
        "--state dead --state done": ["bbbbbbbb-2222", "aaaaaaaa-1111"],
        "--reason exhausted": ["bbbbbbbb-2222"],
        "--reason cancelled": [],
        "--name orders:mail:*": ["bbbbbbbb-2222", "aaaaaaaa-1111"],
        "--name orders:push --state pending": ["cccccccc-3333"],
        "--queue other": [],
        "--key k": [],
        "--older-than 1m": ["bbbbbbbb-2222", "aaaaaaaa-1111"],
        "--newer-than 1.5m": ["cccccccc-4444", "cccccccc-3333"],
        "--error econnrefused": ["bbbbbbbb-2222"],
        "--where customer.id=42": ["bbbbbbbb-2222"],
        "--where order=1 --where to=ann@example.com": ["aaaaaaaa-1111"],
        "aaaa cccccccc-3": ["cccccccc-3333", "aaaaaaaa-1111"]
      }
      for (const [flags, expected] of Object.entries(cases)) {
        const { out } = yield* run(`list ${flags} --json`)
        assert.deepStrictEqual([flags, JSON.parse(out).entries.map(({ id }: any) => id)], [flags, expected])
      }
      assert.strictEqual((yield* run("list --queue other")).out, "Nothing matches.")
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("what cannot be carried out is one sentence, with exit code 2", () =>
    Effect.gen(function*() {
      yield* shop
      yield* assertRefused("list --older-than soon", /^--older-than soon is no age\. It takes .* 15m/)
      yield* assertRefused("list --where nonsense", /^--where nonsense lacks a path and a value/)
      yield* assertRefused("list --name a*b", /^Pattern "a\*b" has an invalid segment/)
      yield* assertRefused("list --limit 0", /^--limit takes 1 to 10000, and not 0\.$/)
      yield* assertRefused("retry", /^retry without an id or a filter would mean everything\. Say which/)
      yield* assertRefused("cancel --all --name a", /contradict each other/)
      yield* assertRefused("purge --state running --yes", /^purge is for what is .*, and not for what is running\.$/)
      yield* assertRefused("retry aaaa", /^Nothing to retry: it is for .*, and aaaaaaaa-1111 is done\.$/)
      yield* assertRefused(
        "show cccccccc",
        /^cccccccc is ambiguous: it begins cccccccc-4444, cccccccc-3333\. Give more/
      )
      yield* assertRefused("resume", /^resume takes what was paused: --name, --queue, or else --all\.$/)
      yield* assertRefused("edit bbb --payload {\"order\":", /^The payload is no JSON/)
      yield* assertRefused("edit bbb", /--payload/)
      yield* assertRefused("migrate --print", /SqlOutboxStore\.sqlFor/)
      yield* assertRefused("work", /^No worker is given here/)
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("an id that is not there has exit code 1", () =>
    Effect.gen(function*() {
      yield* shop
      for (const verb of ["show", "retry", "edit --payload 1", "list"]) {
        yield* assertRefused(`${verb} zzz`, /^The outbox has no entry zzz\./, 1)
      }
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("a bulk verb asks where somebody can answer, and needs --yes where nobody can", () =>
    Effect.gen(function*() {
      yield* shop
      const before = yield* states()
      yield* assertRefused(
        "cancel --name orders:*",
        /^This would cancel 2 side effects\. Say --yes to do it, or --dry-run to see which\.$/
      )
      assert.strictEqual((yield* run("cancel --name orders:*", { types: "n" })).out, "Nothing was changed.")
      assert.include((yield* run("cancel --all --dry-run")).out, "Would cancel 2 side effects:\n\nID ")
      assert.deepStrictEqual(yield* states(), before)
      assert.strictEqual((yield* run("cancel --name orders:*", { types: "y" })).out, "Cancelled 2 side effects.")
      assert.strictEqual((yield* run("retry cccccccc-3333 cccccccc-44")).out, "Retried 2 side effects.")
      assert.strictEqual((yield* run("replay --state done --yes")).out, "Replayed 1 side effect.")
      assert.strictEqual(
        (yield* run("cancel --name a:b --yes")).out,
        "Nothing to cancel: nothing that matches is pending, scheduled or running."
      )
      assert.strictEqual((yield* run("purge --all --yes")).out, "Purged 2 side effects.")
      assert.deepStrictEqual(Object.values(yield* states()), ["pending", "pending", "pending"])
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("retry by a filter leaves alone what was delayed on purpose, unless it is asked for", () =>
    Effect.gen(function*() {
      yield* shop
      assert.strictEqual((yield* run("retry --name orders:** --yes")).out, "Retried 1 side effect.")
      assert.strictEqual((yield* states())["cccccccc-4444"], "scheduled")
      assert.strictEqual((yield* run("retry --state scheduled --yes")).out, "Retried 1 side effect.")
      assert.strictEqual((yield* states())["cccccccc-4444"], "pending")
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("edit takes a payload from a flag or from stdin, checks it, and keeps secrets", () =>
    Effect.gen(function*() {
      yield* shop
      const store = yield* OutboxStore.OutboxStore
      const payload = { order: 3, to: "bob@example.com", token: "<redacted>" }
      yield* assertRefused(
        ["edit", "bbb", "--payload", JSON.stringify({ ...payload, order: "three" })],
        /^The payload of "orders:mail:send" \(bbbbbbbb-2222\) was not changed: Expected .* at \["order"\]$/
      )
      assert.strictEqual(
        (yield* run(["edit", "bbb", "--payload", JSON.stringify(payload)])).out,
        "Changed the payload of bbbbbbbb-2222.\nIt is dead: side-effects outbox retry bbbbbbbb-2222"
      )
      assert.strictEqual(
        (yield* store.get("bbbbbbbb-2222"))?.payload,
        JSON.stringify({ ...payload, token: "s3cret-2" })
      )
      const piped = yield* run("edit cccccccc-3 --payload - --json", { stdin: "{ \"order\": 9 }\n" })
      assert.deepStrictEqual(JSON.parse(piped.out), { id: "cccccccc-3333", edited: true })
      assert.strictEqual((yield* store.get("cccccccc-3333"))?.payload, "{\"order\":9}")
      yield* assertRefused("edit aaa --payload 1", /is done\. Replay it/)
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("pause and resume answer with what is paused", () =>
    Effect.gen(function*() {
      yield* assertOut("pause", "Nothing is paused.")
      yield* assertOut("pause --name orders:mail:*", "PAUSED  FOR  WHAT\nname     0s  orders:mail:*")
      const resumed = yield* run("resume --name orders:mail")
      assert.deepStrictEqual([resumed.code, resumed.err], [0, "Name \"orders:mail\" was not paused."])
      yield* assertOut("resume --name orders:mail:*", "Nothing is paused.")
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))

  it.effect("doctor exits with 1 when there are errors", () =>
    Effect.gen(function*() {
      yield* assertOut("doctor", "Nothing is wrong with the outbox.")
      yield* shop
      const sick = yield* run("doctor")
      assert.strictEqual(sick.code, 1)
      assert.strictEqual(
        sick.out,
        `error    1 side effect is due, and no worker has been seen yet.
         Start one: Outbox.layerWorker, or side-effects outbox work.

1 error, 0 warnings.`
      )
      const json = yield* run("doctor --json")
      assert.deepStrictEqual([json.code, JSON.parse(json.out).findings.length], [1, 1])
    }).pipe(Effect.provide(MemoryOutboxStore.layer)))
})

// --- the bin ---

// Each run is a process of its own, which takes its time where many others do, too.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const bin = join(import.meta.dirname, "..", "..", "src", "bin", "side-effects.ts")
const fixture = join(import.meta.dirname, "fixtures", "outbox.ts")
const directory = realpathSync(mkdtempSync(join(tmpdir(), "side-effects-outbox-")))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Process {
  readonly env?: Record<string, string>
  readonly stdin?: string
  /** Ends it with SIGTERM once this is in what it says. */
  readonly until?: RegExp
}

const runBin = (args: string | ReadonlyArray<string>, { env = {}, stdin = "", until }: Process = {}) =>
  new Promise<Ended>((resolve) => {
    const words = typeof args === "string" ? args.split(" ") : args
    const child = spawn(process.execPath, [bin, "outbox", ...words], {
      cwd: directory,
      env: {
        PATH: process.env["PATH"],
        HOME: directory,
        NODE_COMPILE_CACHE: join(tmpdir(), "side-effects-cache"),
        ...env
      },
      timeout: 60_000
    })
    const said = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        said[name] += text
        if (until?.test(said.stdout) === true) child.kill("SIGTERM")
      })
    }
    child.stdin.end(stdin)
    child.on("close", (code) => resolve({ code, ...said }))
  })

const assertSentence = ({ code, stderr, stdout }: Ended, expected: RegExp, exitCode = 2) => {
  assert.strictEqual(stdout, "")
  assert.match(stderr, expected)
  assert.match(stderr, /^[^\n]+\n$/)
  assert.strictEqual(code, exitCode)
}

describe("the bin", () => {
  const file = join(directory, "shop.db")
  const url = { SIDE_EFFECTS_URL: "shop.db" }
  const store = SqlOutboxStore.layer().pipe(Layer.provide(SqliteClient.layer({ filename: file })))

  it.live("operates an outbox in a SQLite file, from migrate to work", () =>
    Effect.gen(function*() {
      const go = (args: string | ReadonlyArray<string>, options: Process = {}) =>
        Effect.promise(() => runBin(args, { ...options, env: url }))
      const says = Effect.fnUntraced(function*(args: string, expected: RegExp, options?: Process) {
        const { code, stderr, stdout } = yield* go(args, options)
        assert.deepStrictEqual([args, code, stderr], [args, 0, ""])
        assert.match(stdout, expected)
        assert.deepStrictEqual(widerThan80(stdout), [])
      })
      assertSentence(yield* go("counts"), /^shop\.db does not exist\. Make it: side-effects outbox migrate/)
      assert.isFalse(existsSync(file))
      yield* says("migrate", /^The outbox is at version \d+\.\n$/)
      yield* says("migrate --url sqlite:shop.db", /^The outbox is at version \d+\.\n$/)
      yield* says("counts", /^The outbox is empty\.\n$/)
      yield* Effect.gen(function*() {
        yield* offer(mail("11111111-1111-4111-8111-111111111111", 1), mail("22222222-2222-4222-8222-222222222222", 2))
        yield* settle(1, dead("Error: mailbox full"))
      }).pipe(Effect.provide(store))
      yield* says("list --state dead", /^11111111 +\d+s +dead\/exhausted +1 +orders:mail:send\n$/m)
      yield* says("show 1111", /^ {2}Error: mailbox full$/m)
      assertSentence(
        yield* go("edit 1111 --payload {}"),
        /^No module is configured: there is no package\.json here or above/
      )
      const payload = JSON.stringify({ order: 7, to: "bob@example.com", token: "<redacted>" })
      yield* says(`edit 1111 --module ${fixture}`, /^Changed the payload of 11111111-1111-4111-8111-111111111111\.$/m, {
        stdin: payload
      })
      yield* says("retry 1111", /^Retried 1 side effect\.\n$/)
      const sick = yield* go("doctor")
      assert.strictEqual(sick.code, 1)
      assert.include(sick.stdout, "2 side effects are due, and no worker has been seen yet.")

      const worked = yield* go(`work --module ${fixture}`, { until: /mail 2 to ann[^]*mail 7 to bob|mail 7[^]*mail 2/ })
      assert.deepStrictEqual([worked.code, worked.stderr], [
        0,
        "The worker runs. Ctrl-C, or SIGTERM, ends it in good order.\n"
      ])
      assert.include(worked.stdout, "mail 7 to bob@example.com, 8\n")
      yield* says("counts --json", /"state": "done",\n {6}"count": 2,/)
      yield* says(`doctor --module ${fixture}`, /^Nothing is wrong with the outbox\.\n$/)
    }))

  it("says in one sentence why a database cannot be used, without its password", async () => {
    writeFileSync(
      join(directory, "text.db"),
      "hello, this is not a database, and it is long enough to be looked at\n".repeat(20)
    )
    const port = "postgres://ann:hunter2@127.0.0.1:1/shop"
    const cases: ReadonlyArray<readonly [string, RegExp]> = [
      ["counts", /^No database is named\. Say --url, or set SIDE_EFFECTS_URL or DATABASE_URL: postgres:\/\//],
      ["counts --url mysql://root@localhost/shop", /^--url names a database of the kind "mysql"\. It takes postgres:/],
      ["counts --url :memory:", /^--url names no file/],
      ["counts --url .", /^\. is a directory\./],
      ["counts --url text.db", /^Cannot open text\.db: file is not a database\.$/m],
      [`counts --url ${port}`, /^Cannot open postgres:\/\/ann:\*\*\*@127\.0\.0\.1:1\/shop: .*ECONNREFUSED/],
      ["migrate --url nowhere/shop.db", /^Cannot migrate nowhere\/shop\.db: unable to open database file\.$/m]
    ]
    const ended = await Promise.all(cases.map(([args]) => runBin(args)))
    for (const [index, [, expected]] of cases.entries()) {
      assertSentence(ended[index]!, expected)
      assert.notInclude(ended[index]!.stderr, "hunter2")
    }
    assertSentence(await runBin("counts", { env: { DATABASE_URL: " " } }), /^DATABASE_URL is empty\./)
  })

  it("says what to do without tables, and prints the SQL for them", async () => {
    const empty = { SIDE_EFFECTS_URL: join(directory, "empty.db") }
    writeFileSync(join(directory, "empty.db"), "")
    assertSentence(await runBin("list", { env: empty }), /Make it: side-effects outbox migrate$/m)
    const doctor = await runBin("doctor", { env: empty })
    assert.deepStrictEqual([doctor.code, doctor.stderr], [1, ""])
    assert.include(doctor.stdout, "The outbox has no tables yet.\n         Run side-effects outbox migrate")
    const printed = await runBin("migrate --print --table mine", { env: empty })
    assert.deepStrictEqual([printed.code, printed.stderr], [0, ""])
    assert.include(printed.stdout, "CREATE TABLE IF NOT EXISTS \"mine\"")
    assert.strictEqual(
      (await runBin("migrate --print --url new.db")).stdout.replaceAll("side_effects_outbox", "mine"),
      printed.stdout
    )
    assert.isFalse(existsSync(join(directory, "new.db")))
  })

  it("says what is wrong with a worker", async () => {
    const work = (layer: string) => runBin(`work --module ${fixture} --layer ${layer}`, { env: url })
    assertSentence(await work("nope"), /outbox\.ts exports no "nope"\. Export the worker, as in: export const nope = /)
    assertSentence(await work("Orders"), /^"Orders" of .*outbox\.ts is no Layer\. It takes a worker with its handlers/)
    assertSentence(
      await work("careless"),
      /^The worker cannot run: Outbox\.layerWorker of group "orders" has no handler/
    )
    assertSentence(await work("broken"), /^The worker cannot run: .*MAIL_SERVER.*\.$/m)
  })

  const postgres = process.env["POSTGRES_URL"]

  describe.skipIf(!postgres)("on PostgreSQL", () => {
    const table = "cli_outbox_test"
    const client = PgClient.layer({ url: Redacted.make(postgres ?? "") })
    const drop = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const tables = yield* sql<{ name: string }>`
        SELECT tablename AS name FROM pg_tables WHERE tablename LIKE ${`${table}%`}`
      for (const { name } of tables) yield* sql`DROP TABLE ${sql(name)} CASCADE`
    })

    it.live("operates an outbox", () =>
      Effect.gen(function*() {
        const go = (args: string) =>
          Effect.promise(() => runBin(`${args} --table ${table}`, { env: { DATABASE_URL: postgres! } }))
        yield* drop
        assertSentence(yield* go("counts"), /relation .* does not exist.*Make it: side-effects outbox migrate$/m)
        const missing = yield* go("doctor")
        assert.deepStrictEqual([missing.code, missing.stderr], [1, ""])
        assert.match((yield* go("migrate")).stdout, /^The outbox is at version \d+\.\n$/)
        yield* Effect.gen(function*() {
          yield* offer(
            mail("11111111-1111-4111-8111-111111111111", 1),
            mail("22222222-2222-4222-8222-222222222222", 2, { customer: { id: 42 } })
          )
          yield* settle(2, dead("Error: mailbox full"))
        }).pipe(Effect.provide(Layer.provide(SqlOutboxStore.layer({ table }), client)))
        assert.match((yield* go("show 2222")).stdout, /^ {4}"token": "<redacted>",$/m)
        assert.strictEqual((yield* go("retry --where customer.id=42 --yes")).stdout, "Retried 1 side effect.\n")
        assert.match((yield* go("counts")).stdout, /^ +1 +- +- +- +1 +\d+s +orders:mail:send$/m)
        assert.match((yield* go("pause --name orders:**")).stdout, /^name +0s +orders:\*\*$/m)
        const sick = yield* go("doctor --json")
        assert.deepStrictEqual([sick.code, JSON.parse(sick.stdout).findings[0].severity], [1, "error"])
        const wrong = `${new URL("/no_such_database", postgres)}`
        assertSentence(
          yield* go(`counts --url ${wrong}`),
          /^Cannot open postgres.*no_such_database: database "no_such_database" does not exist\.$/m
        )
      }).pipe(Effect.ensuring(Effect.orDie(drop)), Effect.provide(client)))
  })
})
