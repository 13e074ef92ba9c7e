/** The jobs as side effects. Their names are those of the jobs, their payloads the data, and handlers call what processors call. */
import { Effect, Schema } from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { packParcel, sendReceipt } from "./processors.ts"

export class SendReceipt extends SideEffect.make("send-receipt", {
  description: "Email the customer a receipt.",
  payload: { order: Schema.String, to: Schema.String }
}) {}

export class PackParcel extends SideEffect.make("pack-parcel", {
  description: "Ask the warehouse for a parcel.",
  payload: { order: Schema.String, sku: Schema.String }
}) {}

export const Shop = SideEffectGroup.make("shop").add(SendReceipt, PackParcel)

export const Handlers = Shop.toLayer({
  "send-receipt": (receipt) => Effect.tryPromise(() => sendReceipt(receipt)),
  "pack-parcel": (parcel) => Effect.tryPromise(() => packParcel(parcel))
})
