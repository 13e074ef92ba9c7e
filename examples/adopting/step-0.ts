/** Step 0: the service as it was found. Four lines in five are side effects, and they leave before the order is certain. */
import { Effect } from "effect"
import {
  insertOrder,
  NoOrder,
  type Order,
  priceOf,
  type Receipt,
  show,
  type Step,
  storedOrders,
  takeStock
} from "./shop.ts"
import { callWarehouse, indexOrder, sendMail, track, updateCrm } from "./world.ts"

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

export const step: Step = { placeOrder, storedOrders, settled: async () => {} }

export const program = show(step)

if (import.meta.main) Effect.runPromise(program)
