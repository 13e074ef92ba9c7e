/** Code on its way: there is a side effect, and somebody still calls its handler. */
import { Effect, Schema } from "effect"
import { SideEffect } from "effect-side-effects"
import { stripe } from "./clients/stripe.ts"

class ArchiveOrder extends SideEffect.make("orders:archive:order", {
  description: "Put the order into the archive.",
  payload: { order: Schema.String }
}) {}

const archive = ({ order }) =>
  Effect.tryPromise(() => fetch("https://archive.example", { method: "PUT", body: order }))

export const ArchiveOrderLive = ArchiveOrder.toLayer(archive)

export const closeOrder = Effect.fn("closeOrder")(function*(order) {
  // Reported: closing may still fail.
  yield* archive({ order })

  // Reported: the options name it.
  yield* stripe.refunds.create(order)
})
