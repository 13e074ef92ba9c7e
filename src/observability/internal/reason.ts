import * as Cause from "effect/Cause"
import type * as Decision from "../../Decision.ts"

/** What a name in code looks like. Anything else may be a text of somebody, of which there are many. */
const word = /^[\w$.:/@~#-]{1,100}$/

const nameOf = (error: unknown): string => {
  const { _tag, name } = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>
  const found = typeof _tag === "string" ? _tag : error instanceof Error ? name : undefined
  return typeof found === "string" && word.test(found) ? found : "error"
}

/** The kind of an error, one of few: the tag of a typed error, `timeout`, `defect` or `interrupted`. */
export const errorType = (cause: Cause.Cause<unknown>): string => {
  if (cause.reasons.some(Cause.isDieReason)) return "defect"
  const fail = cause.reasons.find(Cause.isFailReason)
  if (fail === undefined) return "interrupted"
  return Cause.isTimeoutError(fail.error) ? "timeout" : nameOf(fail.error)
}

/** What a policy is called may name what it looks for. */
const by = (who: string): string => who.replace(/^(policy|dispatcher) /, "")

const discarded = ({ by: who, cause, reason }: Decision.Discarded): string => {
  if (cause !== undefined) {
    if (Cause.hasInterruptsOnly(cause)) return "interrupted"
    return Cause.hasDies(cause) ? "died" : "failed"
  }
  if (who.startsWith("dispatcher ")) return "closed"
  return /^(had ended|succeeded only after)/.test(reason) ? "late" : "not released"
}

/** Why an intent has ended as it has: one of few words, never a text. */
export const reasonOf = (decision: Decision.Decision): string => {
  switch (decision._tag) {
    case "Dispatched":
      // The worker of the outbox performs what the dispatcher has written.
      return decision.by === "dispatcher outbox" && decision.attempts > 0 ? "outbox worker" : by(decision.by)
    case "Failed":
      return errorType(decision.cause)
    case "Dropped":
      return decision.by.startsWith("handler of ") ? "cancelled" : by(decision.by)
    case "Deduplicated":
      return by(decision.by)
    case "Discarded":
      return discarded(decision)
  }
}
