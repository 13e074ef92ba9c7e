/** The smallest outbox: what an order wishes for is committed with the order, in one SQLite database, and then performed. */
import { Console, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { SqlClient } from "effect/sql"

class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendConfirmation)

// The unit of work: a boundary inside a transaction. The row and the wish are committed together, or not at all.
const placeOrder = Effect.fn("placeOrder")(function*(order: string, card: "valid" | "expired") {
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO orders (id) VALUES (${order})`
  yield* SideEffects.enqueue(SendConfirmation, { order })
  if (card === "expired") return yield* Effect.fail("the card has expired")
  yield* Console.log(`${order} is placed`)
}, SqlSideEffects.transaction())

// Who writes needs no handlers.
const Writing = SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() })

// Who performs does. Here it is the same process, it could as well be another one.
const Performing = Outbox.layerWorker(Orders).pipe(
  Layer.provide(SendConfirmation.toLayer(({ order }) => Console.log(`mailed a confirmation of ${order}`)))
)

// With a file name instead of ":memory:", what was committed survives whatever happens to this process.
const Database = SqlOutboxStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))

export const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
  yield* placeOrder("order 1", "valid")
  yield* placeOrder("order 2", "expired").pipe(
    Effect.catch((problem) => Console.log(`order 2 is rolled back: ${problem}`))
  )
  // For a script that wants to see the end of it. A server would just go on.
  yield* SideEffects.drain
}).pipe(Effect.provide([Writing, Performing]), Effect.provide(Database))

if (import.meta.main) Effect.runPromise(program)
