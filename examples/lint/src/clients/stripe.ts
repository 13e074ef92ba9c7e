/** A client. The option `handlers` has this directory, the option `clients` has what it exports. */
import { Effect } from "effect"

const post = Effect.fn("stripe")((path = "", charge = "") =>
  Effect.tryPromise(() => fetch(`https://stripe.example/${path}`, { method: "POST", body: charge }))
)

export const stripe = {
  charges: { create: (charge = "") => post("charges", charge) },
  refunds: { create: (charge = "") => post("refunds", charge) }
}
