import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { clean } from "../../../internal/lines.ts"
import { CommandError } from "../errors.ts"
import { flag } from "../list.ts"
import { printPauses, whatFlags, whatOf } from "./pause.ts"
import { type Source, withOutbox } from "./source.ts"

export const resume = <E, R>(source: Source<E, R>) =>
  Command.make(
    "resume",
    {
      ...whatFlags,
      all: flag("all", "All that is paused"),
      json: flag("json", "For scripts: { pauses: [...] }, those that are left")
    },
    Effect.fnUntraced(function*({ all, json, ...flags }) {
      const named = yield* whatOf(flags)
      if (named.length > 0 === all) {
        return yield* new CommandError({ message: "resume takes what was paused: --name, --queue, or else --all." })
      }
      yield* withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          for (const what of all ? yield* outbox.pauses : named) {
            if (!(yield* outbox.resume(what))) {
              yield* Console.error(`${what.kind === "name" ? "Name" : "Queue"} "${clean(what.what)}" was not paused.`)
            }
          }
          yield* printPauses(outbox, json)
        })
      )
    })
  ).pipe(
    Command.withDescription("Takes back a pause, which is named as it was made."),
    Command.withExamples([{ command: "side-effects outbox resume --name \"orders:mail:*\"" }])
  )
