/**
 * A cluster of three runners on loopback, over sockets, with its storage in PostgreSQL: what is booked of one account is
 * booked one after another, and different accounts spread over all runners. One of them is killed in the middle.
 *
 * `POSTGRES_URL=postgres://postgres@127.0.0.1:5432/test npm run example examples/cluster/main.ts`. It makes tables that
 * begin with `cluster_example_` there, and removes them in the end.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Clock, ConfigProvider, Console, Effect, Layer, Logger, Path, Schema, Stream } from "effect"
import { SideEffects } from "effect-side-effects"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { ChildProcess } from "effect/process"
import { SqlClient } from "effect/sql"
import { createServer } from "node:net"
import { Bank, Book, cluster, nobody, orderBy, Postgres, Prefix, table } from "./ledger.ts"

const names = ["ada", "bob", "cyd"] as const
const killed = "bob"
const accounts = 16
const entries = 15
const total = accounts * entries

class RunnerEnded extends Schema.TaggedError<RunnerEnded>()("RunnerEnded", { output: Schema.String }) {
  override get message() {
    return `A runner ended by itself: ${this.output}`
  }
}

/** A port that nobody listens on. */
const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { readonly port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

const start = Effect.fnUntraced(function*(name: string) {
  const path = yield* Path.Path
  const args = [...process.execArgv, path.join(import.meta.dirname, "runner.ts")]
  const runner = yield* ChildProcess.make(process.execPath, args, {
    env: { RUNNER: name, PORT: `${yield* freePort}`, PREFIX: yield* Prefix },
    extendEnv: true,
    forceKillAfter: "8 seconds"
  })
  let wanted = false
  const ended = Stream.mkString(Stream.decodeText(runner.all)).pipe(
    Effect.flatMap((output) => wanted ? Effect.never : Effect.fail(new RunnerEnded({ output })))
  )
  const kill = Effect.suspend(() => {
    wanted = true
    return runner.kill({ killSignal: "SIGKILL" })
  })
  return { name, ended, kill }
})

interface Booked {
  readonly account: number
  readonly entry: number
  readonly runner: string
}

/** What the bank has, in the order in which it came. */
const books = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<Booked>`SELECT account, entry, runner FROM ${yield* table}
    WHERE account <> ${nobody} ORDER BY seq`
  const last = new Map<number, number>()
  const done = new Set<string>()
  let violations = 0
  for (const { account, entry } of rows) {
    const before = last.get(account) ?? 0
    // The one that comes again is in order: nothing of that account was booked meanwhile.
    if (entry !== before + 1 && entry !== before) violations++
    last.set(account, Math.max(before, entry))
    done.add(`${account}/${entry}`)
  }
  return { rows, violations, done: done.size, of: (name: string) => rows.filter(({ runner }) => runner === name) }
})

/** Waits until each runner has its share. */
const gathered = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const present = sql`SELECT 1 FROM ${yield* table} WHERE account = ${nobody}`
  yield* present.pipe(Effect.delay("100 millis"), Effect.repeat({ until: ({ length }) => length === names.length }))
})

const until = (isSo: (is: Effect.Success<typeof books>) => boolean) =>
  books.pipe(Effect.delay("100 millis"), Effect.repeat({ until: isSo }))

const run = Effect.gen(function*() {
  const began = yield* Clock.currentTimeMillis
  const say = (text: string) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => Console.log(`${((now - began) / 1000).toFixed(1).padStart(5)} s  ${text}`)
    )

  const runners = yield* Effect.forEach(names, start, { concurrency: "unbounded" })
  const whileTheyRun = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.raceFirst(self, Effect.raceAllFirst(runners.map(({ ended }) => ended)))

  // A unit of work for each day of the bank: one entry of each account.
  const enqueueing = Effect.forEach(
    Array.from({ length: entries }, (_, i) => i + 1),
    (entry) =>
      SideEffects.boundary(SideEffects.enqueueAll(
        Array.from({ length: accounts }, (_, account) => [Book, { account, entry }] as const)
      )),
    { discard: true }
  ).pipe(Effect.andThen(say(`all ${total} are enqueued`)))

  const killing = Effect.gen(function*() {
    const before = yield* until(({ done, of }) => done >= total / 4 && names.every((name) => of(name).length > 0))
    // Those that it has now: who was here first had some more.
    const owners = new Map(before.rows.map(({ account, runner }) => [account, runner]))
    yield* runners.find(({ name }) => name === killed)!.kill
    const atKill = yield* books
    yield* say(`${killed} is killed with SIGKILL; ${atKill.done} of ${total} are booked`)
    yield* until(({ rows }) =>
      rows.slice(atKill.rows.length).some(({ account, runner }) => owners.get(account) === killed && runner !== killed)
    )
    yield* say("others book what was to be booked by it")
  })

  yield* gathered.pipe(
    Effect.andThen(say("all runners are there")),
    Effect.andThen(Effect.all([enqueueing, killing], { concurrency: "unbounded" })),
    Effect.andThen(until(({ done }) => done === total)),
    whileTheyRun
  )
  yield* say("everything is booked")

  const { done, of, rows, violations } = yield* books
  const row = (name: string) => {
    const mine = of(name)
    const of_ = new Set(mine.map(({ account }) => account)).size
    return `${name.padEnd(8)}${`${mine.length}`.padStart(7)}${`${of_}`.padStart(10)}${
      name === killed ? "  (killed)" : ""
    }`
  }
  yield* Console.log(`
runner   booked  accounts
${names.map(row).join("\n")}

${`${done}`.padStart(5)} booked, of ${total}
${`${total - done}`.padStart(5)} lost
${`${rows.length - done}`.padStart(5)} booked twice: the process died between the booking and its answer
${`${violations}`.padStart(5)} out of order`)
})

const Sending = SideEffects.LiveLayer(Bank, { dispatcher: ClusterSideEffects.dispatcher({ orderBy }) }).pipe(
  Layer.provide(cluster())
)

const Tables = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const prefix = yield* Prefix
  const remove = Effect.gen(function*() {
    const tables = yield* sql<{ name: string }>`SELECT tablename AS name FROM pg_tables
      WHERE schemaname = current_schema() AND starts_with(tablename, ${prefix})`
    for (const { name } of tables) yield* sql`DROP TABLE ${sql(name)} CASCADE`
  })
  yield* Effect.acquireRelease(
    sql`CREATE TABLE ${yield* table} (seq serial PRIMARY KEY, account int, entry int, runner text)`,
    () => Effect.orDie(remove)
  )
}))

const Settings = ConfigProvider.layer(
  ConfigProvider.orElse(
    ConfigProvider.fromUnknown({ PREFIX: `cluster_example_${process.pid}` }),
    ConfigProvider.fromEnv()
  )
)

export const program = run.pipe(
  Effect.scoped,
  Effect.provide(Sending.pipe(
    Layer.provideMerge(Tables),
    Layer.provideMerge(Postgres),
    Layer.merge(NodeServices.layer),
    // The cluster tells of each runner that comes and goes.
    Layer.provide(Logger.layer([])),
    Layer.provideMerge(Settings)
  ))
)

if (import.meta.main) {
  if (process.env["POSTGRES_URL"]) NodeRuntime.runMain(program)
  else {
    console.error("Set POSTGRES_URL, for example POSTGRES_URL=postgres://postgres@127.0.0.1:5432/test")
    process.exitCode = 1
  }
}
