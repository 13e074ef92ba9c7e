/**
 * An outbox in your own database: on PostgreSQL and on SQLite, over the `SqlClient` your program already has.
 *
 * **Details**
 *
 * Whatever is offered inside `sql.withTransaction` of that client commits or rolls back with your own rows, savepoints
 * included. The tables are `side_effects_outbox` and others whose names begin like it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { OutboxError, OutboxStore } from "../outbox/OutboxStore.ts"
import { postgresWords, sqliteWords } from "./internal/filter.ts"
import { retrying } from "./internal/hot.ts"
import { makeListeners } from "./internal/nudges.ts"
import * as operators from "./internal/operators.ts"
import * as postgres from "./internal/postgres.ts"
import * as schema from "./internal/schema.ts"
import * as sqlite from "./internal/sqlite.ts"
import * as transactions from "./internal/transactions.ts"

/**
 * Where the outbox is, and who makes its tables.
 *
 * **Details**
 *
 * - `table`: the name of its table, `side_effects_outbox` when left out. It may name a schema, as in `"ops.outbox"`; the
 *   schema has to be there.
 * - `migrate`: whether the tables are made, or brought up to date, when the store is made. `true` when left out. With
 *   `false` it is you who runs `migrate` or the text of `sqlFor`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly table?: string | undefined
  readonly migrate?: boolean | undefined
}

const dialectOf = (sql: SqlClient.SqlClient): Effect.Effect<schema.Dialect, OutboxError> => {
  const other = (dialect: string) => () =>
    Effect.fail(
      new OutboxError({
        operation: "start",
        cause: new Error(
          `SqlOutboxStore runs on PostgreSQL and SQLite, and this SqlClient speaks ${dialect}. Give it a client of one of ` +
            "those."
        )
      })
    )
  return sql.onDialectOrElse({
    pg: () => Effect.succeed("pg" as const),
    sqlite: () => Effect.succeed("sqlite" as const),
    mysql: other("MySQL"),
    mssql: other("SQL Server"),
    clickhouse: other("ClickHouse"),
    orElse: other("another dialect")
  })
}

const failAs = (operation: string) =>
  Effect.mapError((cause: unknown) =>
    cause instanceof OutboxError ? cause : new OutboxError({ operation, cause, remedy: remedyFor(cause) })
  )

const remedyFor = (error: unknown): string | undefined => {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (/no such (table|column)|(relation|column) .* does not exist/.test(cause.message)) {
      return "Its tables are not there, or not of this version: leave migrate: false out of SqlOutboxStore.layer, or run " +
        "side-effects outbox migrate."
    }
  }
  return undefined
}

const elsewhere = new OutboxError({
  operation: "offer",
  cause: new Error("the transaction is one of another SqlClient than the outbox has, so it would write outside of it"),
  remedy:
    "Provide both with one client: a layer that is made twice, as by calling PgClient.layer twice, is two clients."
})

/**
 * Makes the tables of the outbox, or brings them up to date. Several processes may do so at once, and again.
 *
 * **When to use**
 *
 * Use it in the step of a deployment that migrates, and `migrate: false` in the layer: then the program itself needs no
 * right to make tables.
 *
 * @category migrations
 * @since 0.1.0
 */
export const migrate = Effect.fnUntraced(function*(
  options?: Pick<Options, "table">
): Effect.fn.Return<void, OutboxError, SqlClient.SqlClient> {
  const sql = yield* SqlClient.SqlClient
  const dialect = yield* dialectOf(sql)
  yield* failAs("migrate")(schema.migrate(sql.withoutTransforms(), options?.table ?? schema.defaultTable, dialect))
})

/**
 * What `migrate` does, as SQL text, for teams with a migration tool of their own. It can be run again.
 *
 * **Details**
 *
 * Use `migrate: false` in the layer then. When a release needs another schema, its text brings the older one up to date.
 *
 * @category migrations
 * @since 0.1.0
 */
export const sqlFor = (dialect: "pg" | "sqlite", options?: Pick<Options, "table">): string =>
  schema.script(options?.table ?? schema.defaultTable, dialect)

/**
 * Makes a store on the `SqlClient` at hand. It stops listening when the scope closes.
 *
 * **Details**
 *
 * Every method runs in the transaction that the calling fiber has open on that client, if there is one. On PostgreSQL
 * other processes are told by `NOTIFY` what was committed, and a client that can `listen`, such as that of
 * `@effect/sql-pg`, hears it; with one that cannot, only this process is told and the others find it when they poll. On
 * SQLite other processes see that the file has changed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options
): Effect.fn.Return<OutboxStore["Service"], OutboxError, SqlClient.SqlClient | Scope.Scope> {
  const client = yield* SqlClient.SqlClient
  const dialect = yield* dialectOf(client)
  const tables = schema.tablesOf(options?.table ?? schema.defaultTable)
  if (options?.migrate !== false) yield* migrate(options)
  const sql = client.withoutTransforms()
  const listeners = makeListeners()
  const hot = dialect === "pg"
    ? yield* failAs("start")(postgres.make(client, tables, listeners))
    : sqlite.make(client, tables, listeners)
  const words = dialect === "pg" ? postgresWords(sql, postgres.now) : sqliteWords(sql, sqlite.now)
  const { cleanup, count, counts, change, find, get, pause, pauses, register, resume, status, unregister, workers } =
    operators.make({ client, words, tables, hot })

  return OutboxStore.of({
    offerMany: (offers, { uniqueFor }) =>
      Effect.withFiber((fiber) =>
        transactions.isElsewhere(client, fiber.context)
          ? Effect.fail(elsewhere)
          : failAs("offer")(hot.offerMany(offers, uniqueFor))
      ),
    afterCommit: (effect) => client.afterCommit(effect),
    transactionOf: (context) => transactions.of(client, context),

    claim: (claim) => failAs("claim")(hot.claim(claim)),
    nextDueIn: (claim) => failAs("tell what is due next")(hot.nextDueIn(claim)),
    settle: (settlements) => failAs("settle")(hot.settle(settlements)),
    renew: (held, lease) => failAs("renew")(hot.renew(held, lease)),
    wake: failAs("listen")(hot.wake),
    register: (worker) => failAs("register a worker")(retrying(register(worker))),
    unregister: (id) => failAs("unregister a worker")(Effect.asVoid(unregister(id))),
    cleanup: (retention) => failAs("clean up")(retrying(cleanup(retention))),

    find: (filter, page) => failAs("find entries")(find(filter, page)),
    get: (id) => failAs("get an entry")(get(id)),
    count: (filter) => failAs("count entries")(count(filter)),
    counts: failAs("count entries")(counts),
    change: (filter, to) => failAs("change entries")(retrying(change(filter, to))),
    pause: (what) => failAs("pause")(pause(what)),
    resume: (what) => failAs("resume")(resume(what)),
    pauses: failAs("list pauses")(pauses),
    workers: failAs("list workers")(workers),
    status: (within) => failAs("tell its status")(status(within))
  })
})

/**
 * An outbox in your own database.
 *
 * **Example** (an outbox in a SQLite file)
 *
 * ```ts
 * import * as Layer from "effect/Layer"
 * import { SqlOutboxStore } from "effect-side-effects/sql"
 * import { SqliteClient } from "effect-side-effects/sqlite"
 *
 * const OutboxLive = SqlOutboxStore.layer().pipe(
 *   Layer.provideMerge(SqliteClient.layer({ filename: "orders.db" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<OutboxStore, OutboxError, SqlClient.SqlClient> =>
  Layer.effect(OutboxStore, make(options))
