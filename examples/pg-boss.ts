/**
 * Side effects through pg-boss: an order and its jobs are written in one transaction, and a worker performs the jobs.
 *
 * `POSTGRES_URL=postgres://postgres@127.0.0.1:5432/test npm run example examples/pg-boss.ts`. It makes a schema
 * `pgboss_example` there, for pg-boss and for the orders, and removes it in the end.
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { PgBossSideEffects } from "effect-side-effects/pg-boss"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqlClient } from "effect/sql"

class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: Schema.String }
}) {}

class TellWarehouse extends SideEffect.make("orders:warehouse:tell", {
  description: "Tell the warehouse what to pack.",
  payload: { order: Schema.String, items: Schema.Int }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendConfirmation, TellWarehouse)

const placeOrder = Effect.fn("placeOrder")(function*(order: string, items: number) {
  const sql = yield* SqlClient.SqlClient
  // They are wished for before the database has its say. Nobody has to take them back then.
  yield* SideEffects.enqueue(SendConfirmation, { order })
  yield* SideEffects.enqueue(TellWarehouse, { order, items })
  yield* sql`INSERT INTO pgboss_example.orders ${sql.insert({ id: order, items })}`
}, SqlSideEffects.transaction())

// --- who places orders ---

const Database = PgClient.layerConfig({ url: Config.Redacted("POSTGRES_URL") })

const PgBoss = Layer.unwrap(Effect.gen(function*() {
  const url = yield* Config.Redacted("POSTGRES_URL")
  return PgBossSideEffects.layer({ connectionString: Redacted.value(url), schema: "pgboss_example" })
}))

const Writing = SideEffects.LiveLayer(Orders, { dispatcher: PgBossSideEffects.dispatcherInTransaction() })

// --- who performs: in production another process, with a PgBoss of its own ---

const Handlers = Orders.toLayer({
  "orders:mail:confirmation": ({ order }) => Console.log(`  mailed a confirmation of ${order}`),
  "orders:warehouse:tell": TellWarehouse.handler(
    ({ items, order }, { attempt }) =>
      attempt === 1
        ? Effect.andThen(Console.log("  the warehouse is busy"), Effect.fail("busy"))
        : Console.log(`  the warehouse packs ${order}: ${items}`),
    { retry: Schedule.spaced("50 millis"), maxAttempts: 5 }
  )
})

// One at a time, so that the lines below come in order.
const Performing = PgBossSideEffects.layerWorker(Orders, { concurrency: 1 }).pipe(Layer.provide(Handlers))

// --- the program ---

/** Waits until no job waits for its time either, which `SideEffects.drain` does not. Only for this script. */
const finished = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const left = sql<{ n: number }>`SELECT count(*)::int AS n FROM pgboss_example.job WHERE state < 'completed'`
  yield* left.pipe(Effect.delay("10 millis"), Effect.repeat({ until: ([row]) => row?.n === 0 }))
})

const Tables = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const drop = sql`DROP SCHEMA IF EXISTS pgboss_example CASCADE`
  yield* drop
  yield* Effect.acquireRelease(sql`CREATE SCHEMA pgboss_example`, () => Effect.ignore(drop))
  yield* sql`CREATE TABLE pgboss_example.orders (id text PRIMARY KEY, items integer CHECK (items > 0))`
}))

const placing = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* placeOrder("A-1042", 3)
  yield* placeOrder("A-1043", 0).pipe(
    Effect.catch(() => Console.log("A-1043: refused by the database, and rolled back"))
  )
  const jobs = yield* sql<{ what: string }>`SELECT state || ' ' || (data->>'sideEffect') AS what
    FROM pgboss_example.job ORDER BY created_on, data->>'sideEffect'`
  yield* Console.log("the jobs in pg-boss, committed with the order:")
  for (const { what } of jobs) yield* Console.log(`  ${what}`)
}).pipe(Effect.provide(Writing))

const performing = Effect.andThen(Console.log("a worker comes:"), finished).pipe(Effect.provide(Performing))

export const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* placing
  yield* performing
  const jobs = yield* sql<{ what: string }>`SELECT state || ', retries: ' || retry_count || ', ' ||
    (data->>'sideEffect') AS what FROM pgboss_example.job ORDER BY created_on, data->>'sideEffect'`
  for (const { what } of jobs) yield* Console.log(what)
}).pipe(Effect.provide(PgBoss.pipe(Layer.provideMerge(Tables), Layer.provideMerge(Database))))

if (import.meta.main) {
  if (process.env["POSTGRES_URL"]) NodeRuntime.runMain(program)
  else {
    console.error("Set POSTGRES_URL, for example POSTGRES_URL=postgres://postgres@127.0.0.1:5432/test")
    process.exitCode = 1
  }
}
