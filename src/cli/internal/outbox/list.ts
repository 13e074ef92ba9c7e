import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CommandError } from "../errors.ts"
import { flag } from "../list.ts"
import { filterFlags, filterOf, idsArgument, idsOf, isEmpty } from "./filter.ts"
import { type Source, withOutbox } from "./source.ts"
import { canvas, entriesTable, entryJson, printJson } from "./text.ts"

export const list = <E, R>(source: Source<E, R>) =>
  Command.make(
    "list",
    {
      ...filterFlags,
      limit: Flag.Int("limit").pipe(
        Flag.withMetavar("n"),
        Flag.withDescription("How many, at most; default: 20"),
        Flag.withDefault(20)
      ),
      before: Flag.String("before").pipe(
        Flag.withMetavar("id"),
        Flag.withDescription("Those that are older than this one: the next page"),
        Flag.optional
      ),
      json: flag("json", "For scripts: { entries: [...], next: id or null }, without history"),
      ids: idsArgument
    },
    Effect.fnUntraced(function*({ before, ids, json, limit, ...flags }) {
      if (limit < 1 || limit > 10_000) {
        return yield* new CommandError({ message: `--limit takes 1 to 10000, and not ${limit}.` })
      }
      const filter = yield* filterOf(flags)
      return yield* withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          const meant = yield* idsOf(outbox, ids)
          const [after] = yield* idsOf(outbox, Option.toArray(before))
          const found = yield* outbox.list(meant.length === 0 ? filter : { ...filter, ids: meant }, {
            limit: limit + 1,
            before: after
          })
          const entries = found.slice(0, limit)
          const next = found.length > limit ? entries.at(-1)!.id : null
          if (json) return yield* printJson({ entries: entries.map(entryJson), next })
          if (entries.length === 0) {
            return yield* Console.log(isEmpty(filter) && ids.length === 0 ? "The outbox is empty." : "Nothing matches.")
          }
          yield* Console.log(entriesTable(entries, yield* canvas))
          if (next !== null) yield* Console.log(`\nThere are more. The next page: --before ${next}`)
        })
      )
    })
  ).pipe(
    Command.withDescription("What is in the outbox, newest first; with a filter, what matches."),
    Command.withExamples([
      { command: "side-effects outbox list --state dead" },
      { command: "side-effects outbox list --name \"orders:mail:*\" --error ECONNREFUSED --newer-than 1h" },
      { command: "side-effects outbox list --where customer.id=42 --json" }
    ])
  )
