/** Domain code: a call that the rule reports, and what to write in its place. */
import { Effect } from "effect"
import { SideEffects } from "effect-side-effects"
import { stripe } from "./clients/stripe.ts"
import { TellPartner } from "./Effects.ts"

export const placeOrder = Effect.gen(function*() {
  const order = "A-1042"

  // Reported: if the order fails further down, the partner was told of it nevertheless.
  yield* Effect.tryPromise(() => fetch("https://partner.example/orders", { method: "POST", body: order }))

  // A side effect waits until the order is placed.
  yield* SideEffects.enqueue(TellPartner, { order })

  // What cannot wait says why.
  // eslint-disable-next-line effect-side-effects/no-direct-side-effect -- no card, no order: the answer decides
  yield* stripe.charges.create(order)

  // To ask is no side effect: the option `reads` is false.
  return yield* Effect.tryPromise(() => fetch("https://stock.example/A-1042"))
})
