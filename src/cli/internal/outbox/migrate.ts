import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { OutboxStore } from "../../../outbox/OutboxStore.ts"
import { CommandError } from "../errors.ts"
import { flag } from "../list.ts"
import { print } from "../output.ts"
import { type Source, told } from "./source.ts"
import { printJson } from "./text.ts"

export const migrate = <E, R>(source: Source<E, R>) =>
  Command.make(
    "migrate",
    {
      print: flag("print", "Print the SQL instead, for a migration tool of your own"),
      json: flag("json", "For scripts: { version }")
    },
    Effect.fnUntraced(function*(flags) {
      if (flags.print) return yield* print(yield* source.sql)
      yield* source.migrate
      const { expected, missing, version } = yield* OutboxStore.pipe(
        Effect.flatMap((store) => store.status(0)),
        Effect.provide(source.store),
        Effect.mapError(told)
      )
      if (version !== expected) {
        return yield* new CommandError({
          message: `The schema is at version ${version}, and this release needs ${expected}. ${
            version > expected
              ? "Update effect-side-effects."
              : "The store does not migrate by itself: run its migrations."
          }`
        })
      }
      if (missing.length > 0) {
        return yield* new CommandError({
          message:
            `The schema is at version ${version}, and lacks ${missing.join(", ")}, so somebody has removed it. ` +
            "The SQL of side-effects outbox migrate --print makes it again."
        })
      }
      yield* flags.json ? printJson({ version }) : Console.log(`The outbox is at version ${version}.`)
    })
  ).pipe(
    Command.withDescription("Creates what the outbox needs in the database, or upgrades it. Does no harm twice."),
    Command.withExamples([
      { command: "side-effects outbox migrate --url postgres://localhost/shop" },
      { command: "side-effects outbox migrate --print > migrations/outbox.sql" }
    ])
  )
