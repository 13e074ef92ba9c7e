import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Outbox from "../../cli/Outbox.ts"
import { isConfigured } from "./config.ts"
import * as database from "./database.ts"
import { load, loadWorker } from "./load.ts"
import { interrupted } from "./node.ts"

const shared = {
  url: Flag.String("url").pipe(
    Flag.withMetavar("url"),
    Flag.withDescription(
      "postgres://... or a SQLite file; default: SIDE_EFFECTS_URL, then DATABASE_URL"
    ),
    Flag.optional
  ),
  table: Flag.String("table").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("The table of the outbox, where it is not the usual one"),
    Flag.optional
  )
}

/** The flags before and after a subcommand, by the name of the command. */
const flags = Command.make("outbox").pipe(Command.withSharedFlags(shared))

/** The command `outbox` for the database that its flags name. `modules` are those that `--module` has named. */
export const commandFor = <R>(modules: Effect.Effect<ReadonlyArray<string>, never, R>) => {
  const given = Effect.gen(function*() {
    const { table, url } = yield* flags
    return { database: yield* database.databaseOf(url), table }
  })
  return Outbox.commandFrom<
    Outbox.CommandError,
    R | FileSystem.FileSystem | Path.Path | Command.CommandContext<"outbox">
  >({
    store: Layer.unwrap(Effect.map(given, ({ database: named, table }) => database.storeOf(named, table))),
    migrate: Effect.flatMap(given, ({ database: named, table }) => database.migrate(named, table)),
    sql: Effect.flatMap(given, ({ database: named, table }) => database.sqlOf(named, table)),
    groups: Effect.fnUntraced(function*(required) {
      const named = yield* modules
      if (!required && named.length === 0 && !(yield* isConfigured)) return []
      return (yield* load(named)).groups
    }),
    worker: Effect.fnUntraced(function*(name) {
      const worker = yield* loadWorker(yield* modules, Option.getOrElse(name, () => "worker"))
      interrupted.code = 0
      return worker
    })
  }).pipe(Command.withSharedFlags(shared))
}
