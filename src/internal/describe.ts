import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as Formatter from "effect/Formatter"
import * as Predicate from "effect/Predicate"

/** An error in one line: its tag or name, and its message. */
export const error = (u: unknown): string => {
  if (!(u instanceof Error)) return Predicate.hasProperty(u, "_tag") ? String(u._tag) : Formatter.format(u)
  const name = Predicate.hasProperty(u, "_tag") && typeof u._tag === "string" ? u._tag : u.name
  const message = u.message.split("\n", 1)[0]!
  return message === "" ? name : `${name}: ${message}`
}

/** What is wrong, in one line. A defect is named before a typed error, as it wins over it. */
export const cause = (self: Cause.Cause<unknown>): string => {
  const die = self.reasons.find(Cause.isDieReason)
  if (die !== undefined) return error(die.defect)
  const fail = self.reasons.find(Cause.isFailReason)
  return fail === undefined ? "interrupted" : error(fail.error)
}

/** How a unit of work ended that did not succeed. */
export const exit = (self: Exit.Exit<unknown, unknown>): string => {
  if (self._tag === "Success") return "was not released: releaseWhen said no"
  if (Cause.hasInterruptsOnly(self.cause)) return "was interrupted"
  return `${Cause.hasDies(self.cause) ? "died" : "failed"} with ${cause(self.cause)}`
}

/** `1 event`, `2 events` */
export const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`

/** One more of a name. */
export const tally = (counts: Map<string, number>, name: string): void => {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

/** `orders:mail ×3, orders:push ×1` */
export const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, n]) => `${name} ×${n}`).join(", ")
