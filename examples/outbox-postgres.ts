/**
 * The outbox on PostgreSQL: one client writes, another one performs, and a NOTIFY wakes it at the commit.
 *
 * `POSTGRES_URL=postgres://postgres@127.0.0.1:5432/test npm run example examples/outbox-postgres.ts`. It makes a schema
 * `outbox_example` there, and removes it in the end.
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqlClient } from "effect/sql"

class PublishPrice extends SideEffect.make("shop:price:publish", {
  description: "Tell the marketplace the price of a product.",
  payload: { product: Schema.String, cents: Schema.Int }
}) {}

const Shop = SideEffectGroup.make("shop").add(PublishPrice)

const setPrice = Effect.fn("setPrice")(function*(product: string, cents: number) {
  const sql = yield* SqlClient.SqlClient
  // It is wished for before the database has its say. Nobody has to take it back then.
  yield* SideEffects.enqueue(PublishPrice, { product, cents })
  yield* sql`INSERT INTO outbox_example.prices ${sql.insert({ product, cents })}`
}, SqlSideEffects.transaction())

// Each call makes a client of its own, with a pool of its own. In production these are two programs.
const connect = () => PgClient.layerConfig({ url: Config.Redacted("POSTGRES_URL") })

// The tables of the outbox are made, or brought up to date, by whoever comes first.
const Store = SqlOutboxStore.layer({ table: "outbox_example.outbox" })

const Writing = SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }).pipe(
  Layer.provide(Store),
  Layer.provideMerge(connect())
)

// The poll stands behind the NOTIFY. It is this rare to show that it was not needed.
const Performing = Outbox.layerWorker(Shop, { pollInterval: "1 minute" }).pipe(
  Layer.provide(
    PublishPrice.toLayer(({ cents, product }) => Console.log(`  the marketplace hears: ${product}, ${cents}`))
  ),
  Layer.provide(Layer.fresh(Store)),
  Layer.provide(connect())
)

const Tables = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const drop = sql`DROP SCHEMA IF EXISTS outbox_example CASCADE`
  yield* drop
  yield* Effect.acquireRelease(sql`CREATE SCHEMA outbox_example`, () => Effect.ignore(drop))
  yield* sql`CREATE TABLE outbox_example.prices (product text PRIMARY KEY, cents integer CHECK (cents > 0))`
})).pipe(Layer.provide(connect()))

export const program = Effect.gen(function*() {
  yield* setPrice("tea", 990)
  yield* Console.log("tea: committed")
  yield* SideEffects.drain
  yield* setPrice("coffee", -1).pipe(
    Effect.catchTag("SqlError", () => Console.log("coffee: refused by the database, so nobody hears of it"))
  )
  yield* SideEffects.drain
  yield* Console.log("done, long before the worker would have polled")
}).pipe(Effect.provide(Layer.merge(Writing, Performing).pipe(Layer.provide(Tables))))

if (import.meta.main) NodeRuntime.runMain(program)
