import * as Context from "effect/Context"

/** How the keys begin under which the SQL clients of Effect keep the open transaction of a fiber. They are not imported. */
const prefix = "effect/sql/SqlClient/TransactionConnection"

/** Whether a context has the open transaction of some SQL client under this key. */
export const isKey = (key: string): boolean => key.startsWith(prefix)

/** Whether a fiber with this context is in a transaction of some SQL client. */
export const isOpen = (context: Context.Context<never>): boolean => {
  for (const key of context.mapUnsafe.keys()) if (isKey(key)) return true
  return false
}

/** By the context of the fiber that dispatches: a batch is dispatched in one. */
const left = new WeakMap<Context.Context<never>, Context.Context<never>>()

/**
 * The same context outside of every transaction: what goes on beside a transaction, and after it, must not use its
 * connection.
 */
export const leave = (context: Context.Context<never>): Context.Context<never> => {
  let outside = left.get(context)
  if (outside === undefined) {
    const services = [...context.mapUnsafe].filter(([key]) => !isKey(key))
    outside = services.length === context.mapUnsafe.size ? context : Context.makeUnsafe<never>(new Map(services))
    left.set(context, outside)
  }
  return outside
}
