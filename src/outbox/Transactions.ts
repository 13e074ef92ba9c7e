/**
 * Remembers in which transaction an intent was enqueued, to tell those that are written outside of it.
 *
 * @since 0.1.0
 */
import type * as Intent from "../Intent.ts"
import type { Transaction } from "./OutboxStore.ts"

const enqueuedIn = new WeakMap<Intent.Any, Transaction>()

/** @internal */
export const remember = (intent: Intent.Any, transaction: Transaction): void => {
  enqueuedIn.set(intent, transaction)
}

/**
 * The unit of work of the intent has ended well, so it belongs to what is around that now.
 *
 * @internal
 */
export const moveOut = (intent: Intent.Any, around: Transaction | undefined): void => {
  if (!enqueuedIn.has(intent)) return
  if (around === undefined) enqueuedIn.delete(intent)
  else enqueuedIn.set(intent, around)
}

/**
 * Whether the intent is written after the end of the transaction, or of the savepoint, that it was enqueued in.
 *
 * @internal
 */
export const isLate = (intent: Intent.Any, now: Transaction | undefined): boolean => {
  const then = enqueuedIn.get(intent)
  return then !== undefined && then.level !== now?.level && (now === undefined || now.depth <= then.depth)
}
