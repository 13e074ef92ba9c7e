import * as Command from "effect/cli/Command"
import * as Prompt from "effect/cli/Prompt"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { plural } from "../../../internal/describe.ts"
import { enumerate } from "../../../internal/lines.ts"
import type { Outbox } from "../../../outbox/Outbox.ts"
import type { Filter, OutboxError, State } from "../../../outbox/OutboxStore.ts"
import { CommandError } from "../errors.ts"
import { flag } from "../list.ts"
import { filterFlags, filterOf, idsArgument, idsOf, isEmpty } from "./filter.ts"
import { type Source, withOutbox } from "./source.ts"
import { canvas, entriesTable, printJson } from "./text.ts"

/** A verb that changes many. */
export interface Verb {
  readonly name: "retry" | "cancel" | "replay" | "purge"
  readonly past: string
  /** What it changes, and what of that by a filter without states. */
  readonly states: ReadonlyArray<State>
  readonly unasked?: ReadonlyArray<State> | undefined
  readonly description: string
  readonly examples: ReadonlyArray<string>
  readonly run: (outbox: Outbox["Service"], filter: Filter) => Effect.Effect<number, OutboxError>
}

const shownInDryRun = 20

const wrong = (message: string) => new CommandError({ message })

/** The filter for what the verb can change. What is named by its id alone is meant in each state. */
const within = Effect.fnUntraced(function*({ name, states, unasked }: Verb, asked: Filter, ids: ReadonlyArray<string>) {
  const given = asked.states
  if (given === undefined) {
    return ids.length === 0 || !isEmpty(asked)
      ? { ...asked, states: unasked ?? states, ids: ids.length === 0 ? undefined : ids }
      : { ids, states }
  }
  const possible = states.filter((state) => given.includes(state))
  if (possible.length > 0) return { ...asked, states: possible, ids: ids.length === 0 ? undefined : ids }
  return yield* wrong(
    `${name} is for what is ${enumerate(states, "or")}, and not for what is ${enumerate(given, "or")}.`
  )
})

/** Whether it may be done. It is asked for where somebody can answer. */
const confirmed = Effect.fnUntraced(function*({ name }: Verb, matched: number) {
  const { canPrompt } = yield* TerminalCapabilities.TerminalCapabilities
  const many = plural(matched, "side effect")
  if (!canPrompt) {
    return yield* wrong(`This would ${name} ${many}. Say --yes to do it, or --dry-run to see which.`)
  }
  return yield* Prompt.run(Prompt.Confirm({ message: `${name} ${many}?` })).pipe(
    Effect.catchTag("QuitError", () => Effect.succeed(false))
  )
})

const preview = Effect.fnUntraced(
  function*(outbox: Outbox["Service"], { name }: Verb, filter: Filter, matched: number) {
    const entries = yield* outbox.list(filter, { limit: shownInDryRun })
    const more = matched > entries.length ? [`... and ${matched - entries.length} more`] : []
    yield* Console.log(
      [`Would ${name} ${plural(matched, "side effect")}:`, "", entriesTable(entries, yield* canvas), ...more].join("\n")
    )
  }
)

/** Nothing is to be done, where something was named. */
const why = Effect.fnUntraced(function*(outbox: Outbox["Service"], { name, states }: Verb, ids: ReadonlyArray<string>) {
  const entries = yield* outbox.list({ ids }, { limit: 3 })
  return yield* wrong(
    `Nothing to ${name}: it is for what is ${enumerate(states, "or")}, and ${
      enumerate(entries.map(({ id, state }) => `${id} is ${state}`))
    }.`
  )
})

export const bulk = <E, R>(source: Source<E, R>, verb: Verb) =>
  Command.make(
    verb.name,
    {
      ...filterFlags,
      all: flag("all", "Everything, which has to be said"),
      dryRun: flag("dry-run", "Show what would be changed, and change nothing"),
      yes: flag("yes", "Do not ask"),
      json: flag("json", "For scripts: { verb, matched, changed, dryRun }"),
      ids: idsArgument
    },
    Effect.fnUntraced(function*({ all, dryRun, ids, json, yes, ...flags }) {
      const asked = yield* filterOf(flags)
      if (all && !(isEmpty(asked) && ids.length === 0)) {
        return yield* wrong("--all and a filter contradict each other: give one of them.")
      }
      if (!all && isEmpty(asked) && ids.length === 0) {
        return yield* wrong(
          `${verb.name} without an id or a filter would mean everything. Say which: an id, --name, --state, --error, ` +
            "--older-than, --where, ..., or --all."
        )
      }
      return yield* withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          const meant = yield* idsOf(outbox, ids)
          const filter = yield* within(verb, asked, meant)
          const matched = yield* outbox.count(filter)
          const answer = (changed: number) =>
            json
              ? printJson({ verb: verb.name, matched, changed, dryRun })
              : Console.log(
                changed === 0 ? "Nothing was changed." : `${verb.past} ${plural(changed, "side effect")}.`
              )
          if (matched === 0 && isEmpty(asked) && meant.length > 0) return yield* why(outbox, verb, meant)
          if (matched === 0) {
            const none = `Nothing to ${verb.name}: nothing that matches is ${enumerate(filter.states, "or")}.`
            return yield* json ? answer(0) : Console.log(none)
          }
          if (dryRun) return yield* json ? answer(0) : preview(outbox, verb, filter, matched)
          const needsNoConsent = yes || (isEmpty(asked) && !all)
          if (!needsNoConsent && !(yield* confirmed(verb, matched))) return yield* answer(0)
          yield* answer(yield* verb.run(outbox, filter))
        })
      )
    })
  ).pipe(
    Command.withDescription(verb.description),
    Command.withExamples(verb.examples.map((command) => ({ command })))
  )
