/** Step 2: a boundary around the use case. Nothing leaves before the order is certain, and the old code is still the same. */
import { Effect, ManagedRuntime } from "effect"
import { SideEffects } from "effect-side-effects"
import { callWarehouse, indexOrder, Live, sendMail, track, updateCrm } from "./legacy.ts"
import {
  insertOrder,
  NoOrder,
  type Order,
  type OutOfStock,
  priceOf,
  type Receipt,
  show,
  type Step,
  storedOrders,
  takeStock
} from "./shop.ts"

export const placeOrder = async (order: Order): Promise<Receipt> => {
  if (order.quantity < 1) throw new NoOrder(`An order of ${order.quantity} is none`)
  const total = priceOf(order)
  insertOrder(order, total)
  try {
    await sendMail(order.customer, `Your order ${order.id}`)
  } catch (error) {
    console.warn(`order ${order.id} goes without its mail`, error)
  }
  try {
    await callWarehouse(order.id, order.sku, order.quantity)
  } catch (error) {
    console.warn(`order ${order.id} is unknown to the warehouse`, error)
  }
  try {
    await updateCrm(order.customer, total)
  } catch (error) {
    console.warn(`order ${order.id} is unknown to the CRM`, error)
  }
  try {
    await indexOrder({ id: order.id, customer: order.customer })
  } catch (error) {
    console.warn(`order ${order.id} cannot be found`, error)
  }
  try {
    await track("order placed", { order: order.id, total })
  } catch (error) {
    console.warn(`order ${order.id} is not counted`, error)
  }
  takeStock(order)
  return { order: order.id, total }
}

const runtime = ManagedRuntime.make(Live)

export const step: Step = {
  placeOrder: (order) =>
    runtime.runPromise(
      Effect.tryPromise({ try: () => placeOrder(order), catch: (error) => error as NoOrder | OutOfStock }).pipe(
        SideEffects.boundary({ name: "place-order" })
      )
    ),
  storedOrders,
  settled: () => runtime.runPromise(SideEffects.drain)
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(program)
