/** What happens in the shop, and what follows from it. */
import { Schema } from "effect"
import { Event } from "effect-side-effects"
import { CallWarehouse, IndexOrder, SendMail, Shop as SideEffectsOfShop, Track, UpdateCrm } from "./effects.ts"

export class OrderPlaced extends Event.make("shop:order:placed", {
  description: "A customer placed an order.",
  payload: {
    id: Schema.String,
    customer: Schema.String,
    sku: Schema.String,
    quantity: Schema.Number,
    total: Schema.Number
  }
}) {}

export const Shop = SideEffectsOfShop
  .events(OrderPlaced)
  .on(OrderPlaced, SendMail, ({ customer, id }) => ({ to: customer, subject: `Your order ${id}` }))
  .on(OrderPlaced, CallWarehouse, ({ id, quantity, sku }) => ({ order: id, sku, quantity }))
  .on(OrderPlaced, UpdateCrm, ({ customer, total }) => ({ customer, spent: total }))
  .on(OrderPlaced, IndexOrder, ({ customer, id }) => ({ order: id, customer }))
  .on(OrderPlaced, Track, ({ id, total }) => ({ event: "order placed", order: id, total }))
