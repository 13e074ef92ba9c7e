/**
 * Remote procedures: one boundary a call. A call that fails answers with its error, and what it has enqueued is gone.
 *
 * Over HTTP such a call has status 200 all the same, and others of its batch may have succeeded. That is why the
 * boundary belongs to the procedure and not to the request.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Context, Effect, Exit, Layer, Schema, Stream } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcMiddleware, RpcSerialization, RpcServer } from "effect/rpc"
import { createServer } from "node:http"

class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendConfirmation)

class Refused extends Schema.TaggedError<Refused>()("Refused", { order: Schema.String }) {}

// The middleware provides what handlers need to enqueue.
class Unit extends RpcMiddleware.Service<Unit, {
  provides: SideEffectsMiddleware.Provides<typeof Orders>
}>()("orders/Unit") {}

class Procedures extends RpcGroup.make(
  Rpc.make("Place", { payload: { order: Schema.String, card: Schema.String }, error: Refused }),
  Rpc.make("Import", {
    payload: { orders: Schema.Array(Schema.String) },
    success: Schema.String,
    error: Refused,
    stream: true
  })
).middleware(Unit) {}

const Handlers = Procedures.toLayer({
  Place: Effect.fnUntraced(function*({ card, order }) {
    yield* SideEffects.enqueue(SendConfirmation, { order })
    if (card === "expired") return yield* new Refused({ order })
  }),
  // A stream is one call: it releases when it has ended, and discards when the client stops reading.
  Import: ({ orders }) =>
    Stream.fromIterable(orders).pipe(
      Stream.tap((order) => SideEffects.enqueue(SendConfirmation, { order })),
      Stream.tap((order) => order.endsWith("(unreadable)") ? new Refused({ order }) : Effect.void)
    )
})

class Outbox extends Context.Service<Outbox, Array<string>>()("orders/Outbox") {}

const Mails = SendConfirmation.toLayer(
  Effect.fnUntraced(function*({ order }, { intent }) {
    const outbox = yield* Outbox
    outbox.push(`  ${order}, because of ${intent.origin}`)
  })
)

// The live layer goes to the middleware alone: a procedure that has no boundary can enqueue nothing.
const UnitLive = SideEffectsMiddleware.layerRpc(Unit, Orders).pipe(
  Layer.provide(SideEffects.LiveLayer(Orders)),
  Layer.provide(Mails)
)

const Server = HttpRouter.serve(
  RpcServer.layerHttp({ group: Procedures, path: "/rpc", protocol: "http" }).pipe(
    Layer.provide([Handlers, UnitLive])
  ),
  { disableLogger: true, disableListenLog: true }
).pipe(
  Layer.provide(RpcSerialization.layerNdjson),
  // Any port that is free.
  Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
)

const Client = Layer.unwrap(
  HttpServer.addressFormattedWith((address) => Effect.succeed(RpcClient.layerProtocolHttp({ url: `${address}/rpc` })))
).pipe(Layer.provide([RpcSerialization.layerNdjson, FetchHttpClient.layer]))

const calls = Effect.gen(function*() {
  const client = yield* RpcClient.make(Procedures)
  yield* client.Place({ order: "order 1", card: "valid" })
  yield* Console.log("order 1 is placed")
  const refused = yield* Effect.exit(client.Place({ order: "order 2", card: "expired" }))
  yield* Console.log(`order 2 is ${Exit.isFailure(refused) ? "refused" : "placed"}`)
  yield* Stream.runDrain(client.Import({ orders: ["order 3", "order 4"] }))
  yield* Console.log("orders 3 and 4 are imported")
  const broken = yield* Effect.exit(Stream.runDrain(client.Import({ orders: ["order 5", "order 6 (unreadable)"] })))
  yield* Console.log(`orders 5 and 6 are ${Exit.isFailure(broken) ? "refused" : "imported"}`)
}).pipe(Effect.scoped, Effect.provide(Client))

export const program = Effect.gen(function*() {
  const outbox = yield* Outbox
  // Mails go out when the answer has been sent. A server that is closed waits for them.
  yield* Effect.provide(calls, Server)
  yield* Console.log(["confirmed:", ...outbox].join("\n"))
}).pipe(Effect.provideService(Outbox, []))

if (import.meta.main) Effect.runPromise(program)
