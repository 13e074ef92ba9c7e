import * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { clean } from "../../../internal/lines.ts"
import { compilePattern } from "../../../internal/pattern.ts"
import type { Outbox } from "../../../outbox/Outbox.ts"
import { type Filter, reasons, states } from "../../../outbox/OutboxStore.ts"
import { CommandError, NotFound } from "../errors.ts"
import { attempt } from "../source.ts"

const wrong = (message: string) => new CommandError({ message })

/** One of these words, with advice for what is none. */
const words = <const Words extends ReadonlyArray<string>>(name: string, words: Words, description: string) =>
  Flag.Literals(name, words).pipe(Flag.withMetavar(name), Flag.withDescription(description), Flag.atLeast(0))

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const texts = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.atLeast(0))

/** What selects entries besides their ids. All that is given has to hold; of what comes several times, one. */
export const filterFlags = {
  state: words("state", states, "Where it stands; may come several times, as --reason, --name, --queue"),
  reason: words("reason", reasons, "Why it is dead"),
  name: texts("name", "pattern", "The side effect: a name, or a pattern such as \"orders:mail:*\""),
  queue: texts("queue", "queue", "The queue"),
  key: text("key", "key", "The idempotency key"),
  olderThan: text("older-than", "age", "Offered longer ago than that: 90s, 15m, 1h, 2d"),
  newerThan: text("newer-than", "age", "Offered since then"),
  error: text("error", "text", "What the last error says, or a part of it"),
  where: texts("where", "path=value", "A value in the payload, as in customer.id=42; all of them")
}

export const idsArgument = Argument.String("id").pipe(
  Argument.withDescription("An id, or as much of its beginning as is unambiguous"),
  Argument.variadic()
)

export const idArgument = Argument.String("id").pipe(
  Argument.withDescription("The id, or as much of its beginning as is unambiguous")
)

const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

const ageOf = (flag: string, given: Option.Option<string>): Effect.Effect<number | undefined, CommandError> => {
  if (Option.isNone(given)) return Effect.undefined
  const found = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(given.value.trim())
  return found === null
    ? Effect.fail(
      wrong(`--${flag} ${clean(given.value)} is no age. It takes a number and a unit: 90s, 15m, 1h, 2d, 1w.`)
    )
    : Effect.succeed(Number(found[1]) * units[found[2]!]!)
}

/** `customer.id=42`; a dot of a key is written `\.` */
const conditionOf = (given: string) => {
  const at = given.indexOf("=")
  return at < 1
    ? Effect.fail(wrong(`--where ${clean(given)} lacks a path and a value, as in --where customer.id=42.`))
    : Effect.succeed({
      path: given.slice(0, at).split(/(?<!\\)\./).map((key) => key.replaceAll("\\.", ".")),
      equals: given.slice(at + 1)
    })
}

const some = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> | undefined => all.length === 0 ? undefined : all

/** The filter that the flags make, without ids. */
export const filterOf = Effect.fnUntraced(function*(flags: Command.Command.Config.Infer<typeof filterFlags>) {
  for (const pattern of flags.name) yield* attempt(() => compilePattern(pattern))
  return {
    states: some(flags.state),
    reasons: some(flags.reason),
    names: some(flags.name),
    queues: some(flags.queue),
    key: Option.getOrUndefined(flags.key),
    olderThan: yield* ageOf("older-than", flags.olderThan),
    newerThan: yield* ageOf("newer-than", flags.newerThan),
    error: Option.getOrUndefined(flags.error),
    payload: some(yield* Effect.forEach(flags.where, conditionOf))
  } satisfies Filter
})

export const isEmpty = (filter: Filter): boolean => Object.values(filter).every((value) => value === undefined)

const pageSize = 500
/** Among how many entries the beginning of an id is looked for. */
const reach = 10_000

/** The whole ids of what was given by its beginning. Reads the newest entries until it has seen enough. */
const complete = Effect.fnUntraced(function*(outbox: Outbox["Service"], prefixes: ReadonlyArray<string>) {
  const found = new Map<string, Array<string>>(prefixes.map((prefix) => [prefix, []]))
  let before: string | undefined
  let seen = 0
  while (seen < reach) {
    const page = yield* outbox.list({}, { limit: pageSize, before })
    for (const { id } of page) {
      for (const [prefix, ids] of found) if (id.startsWith(prefix)) ids.push(id)
    }
    seen += page.length
    before = page.at(-1)?.id
    if (page.length < pageSize) break
  }
  return { found, all: seen < reach }
})

/** The ids that are meant. Fails where one is not there, or not the only one that begins so. */
export const idsOf = Effect.fnUntraced(function*(outbox: Outbox["Service"], given: ReadonlyArray<string>) {
  if (given.length === 0) return []
  const empty = given.find((id) => id.trim() === "")
  if (empty !== undefined) return yield* wrong("An id is empty.")
  const there = new Set((yield* outbox.list({ ids: given }, { limit: given.length })).map(({ id }) => id))
  const prefixes = given.filter((id) => !there.has(id))
  if (prefixes.length === 0) return given
  const { all, found } = yield* complete(outbox, prefixes)
  const ids: Array<string> = []
  for (const id of given) {
    const matches = there.has(id) ? [id] : found.get(id)!
    if (matches.length === 0) {
      const where = all ? "The outbox has no entry" : `None of the newest ${reach} entries is, or begins with,`
      const advice = all ? "What is past its retention, or was purged, is gone." : "Give the whole id."
      return yield* new NotFound({ message: `${where} ${clean(id)}. ${advice}` })
    }
    if (matches.length > 1) {
      const more = matches.length > 5 ? `, and ${matches.length - 5} more` : ""
      return yield* wrong(
        `${clean(id)} is ambiguous: it begins ${matches.slice(0, 5).join(", ")}${more}. Give more of it.`
      )
    }
    ids.push(matches[0]!)
  }
  return [...new Set(ids)]
})
