/** Step 3: the use case is an Effect and enqueues. No try, no catch: that a system is down is no matter of the order. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { SideEffects } from "effect-side-effects"
import { CallWarehouse, Handlers, IndexOrder, SendMail, Shop, Track, UpdateCrm } from "./effects.ts"
import {
  insertOrder,
  NoOrder,
  type Order,
  type OutOfStock,
  priceOf,
  show,
  type Step,
  storedOrders,
  takeStock
} from "./shop.ts"

const Orders = {
  insert: (order: Order, total: number) => Effect.sync(() => insertOrder(order, total)),
  takeStock: (order: Order) => Effect.try({ try: () => takeStock(order), catch: (error) => error as OutOfStock })
}

export const placeOrder = Effect.fn("placeOrder")(function*(order: Order) {
  if (order.quantity < 1) return yield* Effect.fail(new NoOrder(`An order of ${order.quantity} is none`))
  const total = priceOf(order)
  yield* Orders.insert(order, total)
  yield* SideEffects.enqueue(SendMail, { to: order.customer, subject: `Your order ${order.id}` })
  yield* SideEffects.enqueue(CallWarehouse, { order: order.id, sku: order.sku, quantity: order.quantity })
  yield* SideEffects.enqueue(UpdateCrm, { customer: order.customer, spent: total })
  yield* SideEffects.enqueue(IndexOrder, { order: order.id, customer: order.customer })
  yield* SideEffects.enqueue(Track, { event: "order placed", order: order.id, total })
  yield* Orders.takeStock(order)
  return { order: order.id, total }
}, SideEffects.boundary({ name: "place-order" }))

const runtime = ManagedRuntime.make(SideEffects.LiveLayer(Shop).pipe(Layer.provide(Handlers)))

export const step: Step = {
  placeOrder: (order) => runtime.runPromise(placeOrder(order)),
  storedOrders,
  settled: () => runtime.runPromise(SideEffects.drain)
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(program)
