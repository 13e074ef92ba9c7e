import type * as Context from "effect/Context"
import * as Fiber from "effect/Fiber"
import type * as Boundary from "../../Boundary.ts"
import * as Transactions from "../../outbox/Transactions.ts"

/**
 * What the boundary of a request or a call lets pass at once: what is durable is committed with what was written beside
 * it in a transaction that began inside, whatever becomes of the request after that.
 */
export const committed = (root: Boundary.Root, around: Context.Context<never>): Boundary.Options["nested"] =>
  root.noticed === undefined
    ? undefined
    : (intents) => {
      const here = Fiber.getCurrent()!.context
      return intents.filter((intent) => root.isDurable(intent) && Transactions.endsInside(intent, here, around))
    }
