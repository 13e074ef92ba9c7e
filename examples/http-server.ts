/**
 * A server: each request is a unit of work.
 *
 * A response below 400 releases what its request has enqueued; any other one, a failure and a client that hangs up discard
 * it. What is durable is in the outbox before the client has its answer, the rest is dispatched after that: here the mail
 * server is so slow that it does nothing before the client has read the response.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Latch, Layer, Schema } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"

class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: Schema.String }
}) {}

class WriteInvoice extends SideEffect.make("orders:invoice:write", {
  description: "Have the accountants write an invoice.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendConfirmation, WriteInvoice)

// The rows and the invoice are committed together. The confirmation waits for the response.
const placeOrder = Effect.fn("placeOrder")(function*(order: string) {
  const sql = yield* SqlClient.SqlClient
  yield* SideEffects.enqueue(SendConfirmation, { order })
  yield* sql`INSERT INTO orders (id) VALUES (${order})`
  yield* SideEffects.enqueue(WriteInvoice, { order })
}, SqlSideEffects.transaction())

const Place = HttpRouter.add(
  "POST",
  "/orders/:order",
  Effect.gen(function*() {
    const { order } = yield* HttpRouter.params
    yield* placeOrder(order!)
    return HttpServerResponse.empty({ status: 201 })
  }).pipe(
    Effect.catchTag("SqlError", () => Effect.succeed(HttpServerResponse.empty({ status: 409 })))
  )
)

const Health = HttpRouter.add("GET", "/health", HttpServerResponse.text("ok"))

const clientHasRead = Latch.makeUnsafe()
const mailed = Latch.makeUnsafe()

const Handlers = Orders.toLayer({
  "orders:mail:confirmation": Effect.fnUntraced(function*({ order }) {
    yield* clientHasRead.await
    yield* Console.log(`  -> mailed a confirmation of order ${order}`)
    yield* mailed.open
  }),
  "orders:invoice:write": ({ order }) => Console.log(`  -> wrote the invoice of order ${order}`)
})

const Live = SideEffects.LiveLayer(Orders, {
  dispatcher: Dispatcher.route([
    ["orders:invoice:*", Outbox.dispatcher()],
    ["**", Dispatcher.inline()]
  ])
})

// The live layer is provided to the middleware alone, so a route that enqueues without it does not compile.
const Boundaries = SideEffectsMiddleware.layerGlobal(Orders, {
  onClose: ({ name, outcome }) => Console.log(`  ${name} is ${outcome}`)
}).pipe(Layer.provide(Live))

const Server = HttpRouter.serve(Layer.mergeAll(Place, Health).pipe(Layer.provide(Boundaries)), {
  disableListenLog: true,
  disableLogger: true
}).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

const Database = SqlOutboxStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))

const place = Effect.fn("place")(function*(order: string) {
  yield* Console.log(`POST /orders/${order}`)
  const { status } = yield* HttpClient.post(`/orders/${order}`)
  yield* Console.log(`  the client reads ${status}`)
  // A server has Outbox.layerWorker for that.
  yield* Outbox.drain(Orders)
})

export const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
  yield* place("1042")
  yield* clientHasRead.open
  yield* mailed.await
  yield* place("1042")
}).pipe(Effect.provide(Layer.provideMerge(Server, Layer.provideMerge(Handlers, Database))))

if (import.meta.main) Effect.runPromise(program)
