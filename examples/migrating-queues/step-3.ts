/** Step 3: all call sites enqueue, in the transaction of the order, and a relay hands over to the queue. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { SideEffects } from "effect-side-effects"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as SqlClient from "effect/sql/SqlClient"
import { PackParcel, SendReceipt, Shop } from "./effects.ts"
import { type Order, OutOfStock, schema, show, type Step } from "./shop.ts"
import { connection, disconnect, prefix, queueName } from "./world.ts"

export const placeOrder = Effect.fn("placeOrder")(function*(order: Order) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO orders VALUES (${order.id}, ${order.customer})`
  yield* SideEffects.enqueue(SendReceipt, { order: order.id, to: order.customer })
  yield* SideEffects.enqueue(PackParcel, { order: order.id, sku: order.sku })
  const taken = yield* sql`UPDATE stock SET left = left - 1 WHERE sku = ${order.sku} AND left > 0 RETURNING left`
  if (taken.length === 0) return yield* Effect.fail(new OutOfStock(`${order.sku} is out of stock`))
}, SqlSideEffects.transaction({ name: "place-order" }))

const Tables = Layer.effectDiscard(
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    for (const statement of schema) yield* sql.unsafe(statement)
  })
)

/** Whoever knows the database: this process, and any number of others. */
const Relay = Outbox.layerRelay(Shop, { "**": BullMqSideEffects.dispatcher() }).pipe(
  Layer.provide(BullMqSideEffects.layer({ connection, prefix, queue: queueName }))
)

const runtime = ManagedRuntime.make(
  Layer.mergeAll(SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }), Relay, Tables).pipe(
    Layer.provide(SqlOutboxStore.layer()),
    Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))
  )
)

export const step: Step = {
  title: "step 3, switch",
  placeOrder: (order) => runtime.runPromise(placeOrder(order)),
  workers: { old: 1, new: 1 },
  close: () => runtime.dispose()
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(Effect.ensuring(program, Effect.sync(disconnect)))
