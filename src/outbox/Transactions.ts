/**
 * Remembers in which transaction an intent was enqueued, to tell those that are written outside of it.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Intent from "../Intent.ts"
import type { IntentInternal } from "../internal/intent.ts"
import type { Transaction } from "./OutboxStore.ts"

/** @internal */
export const remember = (intent: Intent.Any, transaction: Transaction): void => {
  ;(intent as unknown as IntentInternal).noticed = transaction
}

const enqueuedIn = (intent: Intent.Any): Transaction | undefined =>
  (intent as unknown as IntentInternal).noticed as Transaction | undefined

/**
 * The unit of work of the intent has ended well, so it belongs to what is around that now.
 *
 * @internal
 */
export const moveOut = (intent: Intent.Any, around: Transaction): void => {
  if (enqueuedIn(intent) !== undefined) remember(intent, around)
}

/**
 * Whether the intent is written after the end of the transaction, or of the savepoint, that it was enqueued in.
 *
 * @internal
 */
export const isLate = (intent: Intent.Any, now: Transaction | undefined): boolean => {
  const then = enqueuedIn(intent)
  return then !== undefined && then.level !== now?.level && (now === undefined || now.depth <= then.depth)
}

/**
 * Whether the intent was enqueued in a transaction that is open `here` and has begun inside of what is `around`.
 *
 * @internal
 */
export const endsInside = (
  intent: Intent.Any,
  here: Context.Context<never>,
  around: Context.Context<never>
): boolean => {
  const level = enqueuedIn(intent)?.level
  return level !== undefined && isOpen(level, here) && !isOpen(level, around)
}

/** A context has a transaction as the connection and the depth; its savepoints are on the same connection. */
const isOpen = (level: object, context: Context.Context<never>): boolean => {
  const connection = Array.isArray(level) ? level[0] : undefined
  for (const value of context.mapUnsafe.values()) {
    if (value === level || (connection !== undefined && Array.isArray(value) && value[0] === connection)) return true
  }
  return false
}
