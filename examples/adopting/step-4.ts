/** Step 4: the use case says what has happened, and knows nothing of what follows from it. */
import { Effect, Layer, ManagedRuntime } from "effect"
import { SideEffects } from "effect-side-effects"
import { Handlers } from "./effects.ts"
import { OrderPlaced, Shop } from "./events.ts"
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

export const placeOrder = Effect.fn("placeOrder")(
  function*(order: Order) {
    if (order.quantity < 1) return yield* Effect.fail(new NoOrder(`An order of ${order.quantity} is none`))
    const total = priceOf(order)
    yield* Orders.insert(order, total)
    yield* Orders.takeStock(order)
    return { order: order.id, total }
  },
  SideEffects.emits(OrderPlaced, ({ total }, [order]) => ({ ...order, total })),
  SideEffects.boundary({ name: "place-order" })
)

const runtime = ManagedRuntime.make(SideEffects.LiveLayer(Shop).pipe(Layer.provide(Handlers)))

export const step: Step = {
  placeOrder: (order) => runtime.runPromise(placeOrder(order)),
  storedOrders,
  settled: () => runtime.runPromise(SideEffects.drain)
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(program)
