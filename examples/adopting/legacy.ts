/** The functions of the world as side effects: old callers go on to call them. */
import { Layer } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as world from "./world.ts"

const mail = SideEffect.fromFunction("shop:mail:send", world.sendMail, {
  description: "Email a customer.",
  deprecation: "yield* SideEffects.enqueue(SendMail, { to, subject })"
})
const warehouse = SideEffect.fromFunction("shop:warehouse:call", world.callWarehouse, {
  description: "Ask the warehouse to ship an order.",
  deprecation: "yield* SideEffects.enqueue(CallWarehouse, { order, sku, quantity })"
})
const crm = SideEffect.fromFunction("shop:crm:update", world.updateCrm, {
  description: "Tell the CRM what a customer has spent.",
  deprecation: "yield* SideEffects.enqueue(UpdateCrm, { customer, spent })"
})
const search = SideEffect.fromFunction("shop:search:index", world.indexOrder, {
  description: "Make an order findable.",
  deprecation: "yield* SideEffects.enqueue(IndexOrder, { order, customer })"
})
const analytics = SideEffect.fromFunction("shop:analytics:track", world.track, {
  description: "Count what has happened.",
  deprecation: "yield* SideEffects.enqueue(Track, { event, order, total })"
})

// What the old code imports, under the old names.
export const sendMail = mail.call
export const callWarehouse = warehouse.call
export const updateCrm = crm.call
export const indexOrder = search.call
export const track = analytics.call

export const Shop = SideEffectGroup.make("shop").add(
  mail.definition,
  warehouse.definition,
  crm.definition,
  search.definition,
  analytics.definition
)

export const Live = SideEffects.LiveLayer(Shop).pipe(
  Layer.provide([mail.layer, warehouse.layer, crm.layer, search.layer, analytics.layer])
)
