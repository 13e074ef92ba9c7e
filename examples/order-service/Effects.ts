/** Everything that the order service can let happen outside. */
import { Schema } from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { EmailAddress, OrderId, Product } from "./Domain.ts"

export class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: OrderId, to: EmailAddress, name: Schema.String },
  idempotencyKey: ({ order }) => order
}) {}

export class SendInvoice extends SideEffect.make("orders:mail:invoice", {
  description: "Email the invoice to the customer's accounting.",
  payload: { order: OrderId, to: EmailAddress, cents: Schema.Int },
  idempotencyKey: ({ order }) => order
}) {}

// One call for each site, however many lines of the order it keeps: the key makes the others duplicates.
export class CallWarehouse extends SideEffect.make("orders:warehouse:call", {
  description: "Tell a warehouse to pack its part of the order.",
  payload: { order: OrderId, site: Product.fields.site },
  idempotencyKey: ({ order, site }) => `${order}@${site}`
}) {}

export const Orders = SideEffectGroup.make("orders").add(SendConfirmation, SendInvoice, CallWarehouse)
