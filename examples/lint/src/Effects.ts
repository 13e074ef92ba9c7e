/** What leaves the program, and how: a handler may call any client. */
import { Effect, Schema } from "effect"
import { SideEffect } from "effect-side-effects"

export class TellPartner extends SideEffect.make("orders:webhook:partner", {
  description: "Tell the partner what was ordered.",
  payload: { order: Schema.String }
}) {}

export const TellPartnerLive = TellPartner.toLayer(({ order }) =>
  Effect.tryPromise(() => fetch("https://partner.example/orders", { method: "POST", body: order }))
)
