/** Step 1: one call site after the other enqueues. The job is the same, and the old worker performs it. */
import { Queue } from "bullmq"
import { Effect, Layer, ManagedRuntime } from "effect"
import { SideEffects } from "effect-side-effects"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { SendReceipt, Shop } from "./effects.ts"
import { insertOrder, type Order, type OutOfStock, show, type Step, takeStock } from "./shop.ts"
import { connection, disconnect, prefix, queueName } from "./world.ts"

const queue = new Queue(queueName, { connection, prefix })

const runtime = ManagedRuntime.make(
  SideEffects.LiveLayer(Shop, { dispatcher: BullMqSideEffects.dispatcher() }).pipe(
    Layer.provide(BullMqSideEffects.layer({ connection, prefix, queue: queueName }))
  )
)

export const placeOrder = Effect.fn("placeOrder")(function*(order: Order) {
  insertOrder(order)
  yield* SideEffects.enqueue(SendReceipt, { order: order.id, to: order.customer })
  yield* Effect.promise(() => queue.add("pack-parcel", { order: order.id, sku: order.sku }))
  yield* Effect.try({ try: () => takeStock(order), catch: (error) => error as OutOfStock })
}, SideEffects.boundary({ name: "place-order" }))

export const step: Step = {
  title: "step 1, wrap",
  placeOrder: (order) => runtime.runPromise(placeOrder(order)),
  workers: { old: 1 },
  close: async () => {
    await runtime.dispose()
    await queue.close()
  }
}

export const program = show(step)

if (import.meta.main) Effect.runPromise(Effect.ensuring(program, Effect.sync(disconnect)))
