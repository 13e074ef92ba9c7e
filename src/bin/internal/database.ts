import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import { CommandError, OutboxProblem } from "../../cli/Outbox.ts"
import { OutboxStore } from "../../outbox/OutboxStore.ts"

const wrong = (message: string) => new CommandError({ message })

/** A database that a URL names. */
export type Database =
  | { readonly dialect: "pg"; readonly url: string; readonly shown: string }
  | { readonly dialect: "sqlite"; readonly filename: string; readonly shown: string }

const kinds = "postgres://user@host/database, or the file of a SQLite database"

const environment = Config.all({
  own: Config.option(Config.String("SIDE_EFFECTS_URL")),
  common: Config.option(Config.String("DATABASE_URL"))
})

/** The URL that is given, or else the one of the environment. */
const urlOf = Effect.fnUntraced(function*(given: Option.Option<string>) {
  const { common, own } = yield* environment.pipe(Effect.mapError((error) => wrong(error.message)))
  const [by, url] = Option.isSome(given)
    ? ["--url", given.value]
    : Option.isSome(own)
    ? ["SIDE_EFFECTS_URL", own.value]
    : ["DATABASE_URL", Option.getOrElse(common, () => "")]
  if (url.trim() !== "") return [by, url.trim()] as const
  return yield* wrong(
    Option.isSome(given) || Option.isSome(own) || Option.isSome(common)
      ? `${by} is empty. It takes ${kinds}.`
      : `No database is named. Say --url, or set SIDE_EFFECTS_URL or DATABASE_URL: ${kinds}.`
  )
})

/** Without the password, wherever it stands. */
const withoutPassword = (url: string): string =>
  url.replace(/^(\w+:\/\/[^/@]*?):[^/]*@/, "$1:***@").replace(/([?&]password=)[^&]*/g, "$1***")

const parsed = Effect.fnUntraced(function*(by: string, url: string) {
  if (/^postgres(ql)?:\/\//i.test(url)) {
    const shown = withoutPassword(url)
    if (!URL.canParse(url)) return yield* wrong(`${by} ${shown} is no URL. It takes ${kinds}.`)
    return { dialect: "pg", url, shown } satisfies Database
  }
  const path = yield* Path.Path
  if (/^file:\/\//i.test(url)) {
    const filename = yield* Effect.try({ try: () => new URL(url), catch: () => wrong(`${by} ${url} is no URL.`) }).pipe(
      Effect.flatMap(path.fromFileUrl),
      Effect.mapError(() => wrong(`${by} ${url} is no URL of a file.`))
    )
    return { dialect: "sqlite", filename, shown: filename } satisfies Database
  }
  const file = url.replace(/^(sqlite|file):(\/\/)?/i, "")
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(file)?.[1]
  if (scheme !== undefined) {
    return yield* wrong(`${by} names a database of the kind "${scheme}". It takes ${kinds}.`)
  }
  if (file === "" || file === ":memory:") {
    return yield* wrong(`${by} names no file: what a command does in memory is gone with it. It takes ${kinds}.`)
  }
  return { dialect: "sqlite", filename: path.resolve(file), shown: file } satisfies Database
})

export const databaseOf = (given: Option.Option<string>) => Effect.flatMap(urlOf(given), ([by, url]) => parsed(by, url))

const isMissing = (error: unknown, name: string): boolean =>
  error instanceof Error && error.message.startsWith(`Cannot find package '${name}'`)

/** Loads a driver, which need not be installed. */
const driver = Effect.tryPromise({
  try: () => import("@effect/sql-pg/PgClient"),
  catch: (cause) =>
    wrong(
      isMissing(cause, "@effect/sql-pg")
        ? "PostgreSQL needs the package @effect/sql-pg: npm install @effect/sql-pg"
        : `side-effects cannot load @effect/sql-pg: ${OutboxProblem.reasonOf(cause)}.`
    )
})

const clientOf = Effect.fnUntraced(function*(database: Database, make: boolean) {
  if (database.dialect === "pg") {
    const PgClient = yield* driver
    return PgClient.layer({ url: Redacted.make(database.url), applicationName: "side-effects" })
  }
  const fs = yield* FileSystem.FileSystem
  const { filename, shown } = database
  const info = yield* Effect.option(fs.stat(filename))
  if (Option.isSome(info) && info.value.type === "Directory") {
    return yield* wrong(`${shown} is a directory. --url takes the file of a SQLite database.`)
  }
  if (Option.isNone(info) && !make) {
    return yield* wrong(`${shown} does not exist. Make it: side-effects outbox migrate --url ${shown}`)
  }
  const SqliteClient = yield* Effect.promise(() => import("../../sqlite/SqliteClient.ts"))
  return SqliteClient.layer({ filename })
})

const sql = Effect.promise(() => import("../../sql/SqlOutboxStore.ts"))

const tableOf = (table: Option.Option<string>) => ({ table: Option.getOrUndefined(table) })

export const storeOf = (database: Database, table: Option.Option<string>) =>
  Layer.unwrap(Effect.gen(function*() {
    const SqlOutboxStore = yield* sql
    const client = yield* clientOf(database, false)
    return SqlOutboxStore.layer({ ...tableOf(table), migrate: false }).pipe(
      Layer.provide(client),
      Layer.catch((error) =>
        Layer.effect(
          OutboxStore,
          Effect.fail(wrong(`Cannot open ${database.shown}: ${OutboxProblem.reasonOf(error)}.`))
        )
      )
    )
  }))

export const migrate = Effect.fnUntraced(function*(database: Database, table: Option.Option<string>) {
  const SqlOutboxStore = yield* sql
  const client = yield* clientOf(database, true)
  yield* SqlOutboxStore.migrate(tableOf(table)).pipe(
    Effect.provide(client),
    Effect.mapError((error) => wrong(`Cannot migrate ${database.shown}: ${OutboxProblem.reasonOf(error)}.`))
  )
})

export const sqlOf = ({ dialect }: Database, table: Option.Option<string>): Effect.Effect<string> =>
  Effect.map(sql, (SqlOutboxStore) => SqlOutboxStore.sqlFor(dialect, tableOf(table)))
