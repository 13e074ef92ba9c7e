import { clean } from "../../../internal/lines.ts"
import type { OutboxError } from "../../../outbox/OutboxStore.ts"
import { CommandError } from "../errors.ts"

/** What is in an error, and in what it was caused by, and so on. */
const texts = (error: unknown, depth = 0): ReadonlyArray<string> => {
  if (!(error instanceof Error) || depth > 10) return []
  const { reason } = error as { readonly reason?: unknown }
  return [error.message, ...texts(reason, depth + 1), ...texts(error.cause, depth + 1)]
}

const noTables = /no such table|relation "?[^ ]+"? does not exist|no such column|column "?[^ ]+"? does not exist/i

/** What a database failed with at last, in one line. */
export const reasonOf = (error: unknown): string => clean(texts(error).at(-1) ?? String(error)).replace(/\.$/, "")

/** What to tell of what a store or its database failed with. */
export const said = (error: OutboxError): CommandError => {
  const all = texts(error)
  const found = all.find((text) => noTables.test(text))
  if (found !== undefined) {
    return new CommandError({
      message: `The database has no outbox of this release (${clean(found)}). Make it: side-effects outbox migrate`
    })
  }
  return new CommandError({ message: `The outbox could not ${error.operation}: ${reasonOf(error)}.` })
}
