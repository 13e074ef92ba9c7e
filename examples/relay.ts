/**
 * The relay: a transaction decides what will happen, somebody else's queue does the work, and a crash between the two neither
 * loses anything nor does it twice.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { SqlClient } from "effect/sql"

class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendConfirmation)

const placeOrder = Effect.fn("placeOrder")(function*(order: string, card: "valid" | "expired") {
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO orders (id) VALUES (${order})`
  yield* SideEffects.enqueue(SendConfirmation, { order })
  if (card === "expired") return yield* Effect.fail("the card has expired")
  yield* Console.log(`${order} is committed`)
}, SqlSideEffects.transaction())

// The queue of somebody else, which tells jobs apart by their id. In production: bullmq, pg-boss, a cluster, ...
const queue = new Map<string, unknown>()
const send = (id: string, payload: unknown) =>
  Effect.suspend(() => {
    const known = queue.has(id)
    queue.set(id, payload)
    return Console.log(`  the queue ${known ? "has already got" : "takes"} ${JSON.stringify(payload)}`)
  })

const engine = Engine.dispatcher({
  name: "queue",
  honours: { delay: false, priority: false, queue: false },
  connect: Effect.succeed({
    handOver: (jobs) => Effect.forEach(jobs, ({ id, payload }) => send(id, payload), { discard: true })
  })
})

// What a relay does, up to the moment in which it is killed: the entry is in the queue, and nobody has written that down.
const killed = Effect.gen(function*() {
  const store = yield* OutboxStore.OutboxStore
  const names = [SendConfirmation._tag]
  const claim = { worker: "relay 1", limit: 10, lease: 200, names, queues: undefined, suspects: false }
  for (const { id, payload } of yield* store.claim(claim)) yield* send(id, JSON.parse(payload))
})

const Writing = SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() })
const Relay = Outbox.layerRelay(Orders, { "orders:mail:*": engine }, { id: "relay 2" })
const Database = SqlOutboxStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))

export const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
  yield* placeOrder("order 1", "valid")
  yield* placeOrder("order 2", "expired").pipe(
    Effect.catch((problem) => Console.log(`order 2 is rolled back: ${problem}`))
  )

  yield* Console.log("relay 1 hands over, and is killed:")
  yield* killed

  yield* Console.log("relay 2 takes over when the lease has run out:")
  yield* Effect.gen(function*() {
    yield* placeOrder("order 3", "valid")
    // The outbox is empty then. What the queue has done by now is its own matter.
    yield* SideEffects.drain
  }).pipe(Effect.provide(Relay))

  yield* Console.log(`jobs in the queue: ${queue.size}`)
}).pipe(Effect.provide(Writing.pipe(Layer.provideMerge(Database))))

if (import.meta.main) Effect.runPromise(program)
