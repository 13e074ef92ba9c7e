/** Step 0: the service as it was found. Jobs are in the queue before the order is certain. */
import { Queue } from "bullmq"
import { Effect } from "effect"
import { insertOrder, type Order, show, type Step, takeStock } from "./shop.ts"
import { connection, disconnect, prefix, queueName } from "./world.ts"

const queue = new Queue(queueName, { connection, prefix })

export const placeOrder = async (order: Order): Promise<void> => {
  insertOrder(order)
  await queue.add("send-receipt", { order: order.id, to: order.customer })
  await queue.add("pack-parcel", { order: order.id, sku: order.sku })
  takeStock(order)
}

export const step: Step = {
  title: "step 0, as it was found",
  placeOrder,
  workers: { old: 1 },
  close: () => queue.close()
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(Effect.ensuring(program, Effect.sync(disconnect)))
