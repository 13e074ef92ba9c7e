/**
 * Moving off an EventEmitter, in two steps that can each be shipped.
 *
 * 1. Before: modules tell each other what happens through an emitter, and listeners send mails right there.
 * 2. Bridged: who emits stays as it is. A bridge makes a unit of work of every event, so what the listeners did becomes
 *    side effects: a failing event takes its own with it, and layers and policies have their say.
 * 3. Replaced: the domain function says itself what should happen outside. Only now is it nothing at all that leaves when
 *    the order fails, as an emitter has told everybody by then.
 */
import { Console, Effect, Layer, Logger, Schema } from "effect"
import { Bridge, Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { EventEmitter } from "node:events"

interface Order {
  readonly id: string
  readonly email: string
  readonly inStock: boolean
}

const orders: ReadonlyArray<Order> = [
  { id: "1", email: "ada@example.org", inStock: true },
  { id: "2", email: "no address", inStock: true },
  { id: "3", email: "grace@example.org", inStock: false }
]

// The legacy code. It places an order, and whoever listens is told, before it is known how the order ends.
type Events = { placed: [order: Order] }

const placeLegacy = (emitter: EventEmitter<Events>, order: Order): void => {
  emitter.emit("placed", order)
  if (!order.inStock) throw new Error(`order ${order.id} is out of stock`)
}

const placeAll = (emitter: EventEmitter<Events>) =>
  Effect.forEach(
    orders,
    (order) =>
      Effect.try({ try: () => placeLegacy(emitter, order), catch: (error) => (error as Error).message }).pipe(
        Effect.catch((message) => Console.log(`  ! ${message}`))
      ),
    { discard: true }
  )

// 1. Before. A listener that throws breaks whoever emits, the listeners after it are not told, and there is no way to
//    run this code without mails.
const before = Effect.gen(function*() {
  const console = yield* Console.Console
  const emitter = new EventEmitter<Events>()
  emitter.on("placed", (order) => {
    if (!order.email.includes("@")) throw new Error(`mail server refuses "${order.email}"`)
    console.log(`  -> mail to ${order.email}`)
  })
  emitter.on("placed", (order) => console.log(`  -> warehouse packs order ${order.id}`))
  yield* placeAll(emitter)
})

// What was emitted, as an event, and what the listeners did, as side effects.
class OrderPlaced extends Event.make("shop:order:placed", {
  description: "A customer placed an order.",
  payload: { id: Schema.String, email: Schema.String }
}) {}

class SendConfirmation extends SideEffect.make("shop:mail:send-confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { to: Schema.String.check(Schema.isPattern(/@/)) }
}) {}

class PackOrder extends SideEffect.make("shop:warehouse:pack-order", {
  description: "Tell the warehouse to pack the order.",
  payload: { order: Schema.String }
}) {}

const Shop = SideEffectGroup.make("shop")
  .on(OrderPlaced, PackOrder, ({ id }) => ({ order: id }))
  .on(OrderPlaced, SendConfirmation, ({ email }) => ({ to: email }))

const Handlers = Shop.toLayer({
  "shop:mail:send-confirmation": ({ to }) => Console.log(`  -> mail to ${to}`),
  "shop:warehouse:pack-order": ({ order }) => Console.log(`  -> warehouse packs order ${order}`)
})

const placed = ({ email, id }: Order) => SideEffects.emit(OrderPlaced, { id, email })

// 2. Bridged. Order 2 has no address: all of its event is discarded, and neither the emitter nor another event notices.
//    Order 3 still gets its mail: the emitter had told the bridge before the order failed.
const bridged = Effect.gen(function*() {
  const emitter = new EventEmitter<Events>()
  yield* Bridge.fromEventEmitter(emitter, "placed", (order: Order) => placed(order), { name: "orders" })
  yield* placeAll(emitter)
  // The end of the scope detaches the bridge, and waits for what it has accepted.
}).pipe(Effect.scoped)

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { id: Schema.String }) {}

// 3. Replaced. There is no emitter any more, and order 3 sends nothing.
const place = Effect.fn("place")(function*(order: Order) {
  yield* placed(order)
  if (!order.inStock) return yield* new OutOfStock({ id: order.id })
}, SideEffects.boundary({ name: "place" }))

const replaced = Effect.forEach(orders, (order) =>
  place(order).pipe(
    Effect.catchTag("OutOfStock", ({ id }) => Console.log(`  ! order ${id} is out of stock`)),
    Effect.catchDefect(() => Console.log(`  ! order ${order.id} has no valid address`))
  ), { discard: true })

const PlainLog = Logger.layer([
  Logger.withConsoleLog(Logger.make(({ message }) => `  log: ${String(message).split(". ", 1)[0]}`))
])

export const program = Effect.gen(function*() {
  yield* Console.log("before: listeners send mails")
  yield* before
  yield* Console.log("bridged: each event is a unit of work")
  yield* bridged
  yield* Console.log("bridged, in a migration: the same code, nothing leaves")
  yield* bridged.pipe(Effect.provide(SideEffects.DropLayer))
  yield* Console.log("replaced: each order is a unit of work")
  yield* replaced
}).pipe(Effect.provide([SideEffects.LiveLayer(Shop).pipe(Layer.provide(Handlers)), PlainLog]))

if (import.meta.main) Effect.runPromise(program)
