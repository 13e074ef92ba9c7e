/** The side effects of the shop, written down: names, payloads with field names, and handlers. */
import { Effect, Schema } from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import * as world from "./world.ts"

export class SendMail extends SideEffect.make("shop:mail:send", {
  description: "Email a customer.",
  payload: { to: Schema.String, subject: Schema.String }
}) {}

export class CallWarehouse extends SideEffect.make("shop:warehouse:call", {
  description: "Ask the warehouse to ship an order.",
  payload: { order: Schema.String, sku: Schema.String, quantity: Schema.Number }
}) {}

export class UpdateCrm extends SideEffect.make("shop:crm:update", {
  description: "Tell the CRM what a customer has spent.",
  payload: { customer: Schema.String, spent: Schema.Number }
}) {}

export class IndexOrder extends SideEffect.make("shop:search:index", {
  description: "Make an order findable.",
  payload: { order: Schema.String, customer: Schema.String }
}) {}

export class Track extends SideEffect.make("shop:analytics:track", {
  description: "Count what has happened.",
  payload: { event: Schema.String, order: Schema.String, total: Schema.Number }
}) {}

export const Shop = SideEffectGroup.make("shop").add(SendMail, CallWarehouse, UpdateCrm, IndexOrder, Track)

export const Handlers = Shop.toLayer({
  "shop:mail:send": ({ subject, to }) => Effect.tryPromise(() => world.sendMail(to, subject)),
  "shop:warehouse:call": ({ order, quantity, sku }) =>
    Effect.tryPromise(() => world.callWarehouse(order, sku, quantity)),
  "shop:crm:update": ({ customer, spent }) => Effect.tryPromise(() => world.updateCrm(customer, spent)),
  "shop:search:index": ({ customer, order }) => Effect.tryPromise(() => world.indexOrder({ id: order, customer })),
  "shop:analytics:track": ({ event, order, total }) => Effect.tryPromise(() => world.track(event, { order, total }))
})
