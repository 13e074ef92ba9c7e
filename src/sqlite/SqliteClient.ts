/**
 * SQLite as Effect's `SqlClient`, over the `node:sqlite` that is part of Node 22.13 and later: nothing to install.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import * as node from "./internal/node.ts"

/**
 * Which database, and how.
 *
 * **Details**
 *
 * - `filename`: a file, or `":memory:"`. The file is made when it is not there.
 * - `synchronous`: `"FULL"`, the default, so that what was committed survives a loss of power. With `"NORMAL"` it
 *   survives the end of the process only, and commits are faster.
 * - `busyTimeout`: how long a statement waits for a database that another connection is writing to. 5 seconds.
 * - `readonly`: refuses to write. The file has to be there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly filename: string
  readonly synchronous?: "OFF" | "NORMAL" | "FULL" | "EXTRA" | undefined
  readonly busyTimeout?: Duration.Input | undefined
  readonly readonly?: boolean | undefined
  readonly spanAttributes?: Readonly<Record<string, unknown>> | undefined
  readonly transformResultNames?: ((name: string) => string) | undefined
  readonly transformQueryNames?: ((name: string) => string) | undefined
}

const cachedStatements = 200

/**
 * Opens a database. It is closed with the scope.
 *
 * **Details**
 *
 * It is one connection, and a transaction has it alone: others wait. Transactions begin with `BEGIN IMMEDIATE`, so they
 * never fail half-way because another connection writes. The journal is a WAL, foreign keys are enforced.
 *
 * **Gotchas**
 *
 * SQLite itself would wait for a locked database by blocking the process, the fiber that holds the lock included. This
 * client never does: it tries again after a short pause, in which other fibers run.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope | Reactivity.Reactivity> {
  const sqlite = yield* Effect.sync(node.load)
  const patience = Duration.toMillis(options.busyTimeout ?? "5 seconds")
  const transform = options.transformResultNames
  const compiler = Statement.makeCompilerSqlite(options.transformQueryNames)
  const database = yield* Effect.acquireRelease(
    attempt("connect", () => new sqlite.DatabaseSync(options.filename, { readOnly: options.readonly === true })),
    (database) => Effect.sync(() => database.close())
  )

  const statements = new Map<string, node.Prepared>()
  const prepare = (sql: string): node.Prepared => {
    const known = statements.get(sql)
    if (known !== undefined) return known
    const statement = database.prepare(sql)
    if (statements.size >= cachedStatements) statements.delete(statements.keys().next().value!)
    statements.set(sql, statement)
    return statement
  }

  const makeConnection = (asCaller: (pause: Effect.Effect<void>) => Effect.Effect<void>): Connection => {
    const run = <A>(
      sql: string,
      params: ReadonlyArray<unknown>,
      read: (statement: node.Prepared, params: ReadonlyArray<unknown>) => A,
      prepared = prepare
    ): Effect.Effect<A, SqlError.SqlError> => {
      const once = Effect.withFiber<A, SqlError.SqlError>((fiber) =>
        attempt("execute", () => {
          const statement = prepared(sql)
          statement.setReadBigInts(fiber.getRef(SqlClient.SafeIntegers))
          return read(statement, params.map(bindable))
        })
      )
      return Effect.catchIf(
        once,
        // In a transaction the lock is there already, or it does not come.
        (error) => isBusy(error) && database.isTransaction !== true,
        (error) => wait(once, error, patience, begins.test(sql) ? asCaller : identity)
      )
    }
    return {
      execute: (sql, params, transformRows) => transformed(run(sql, params, rowsOf), transformRows),
      executeRaw: (sql, params) => run(sql, params, rawOf),
      executeValues: (sql, params) => run(sql, params, valuesOf),
      executeValuesUnprepared: (sql, params) => run(sql, params, valuesOf, (sql) => database.prepare(sql)),
      executeUnprepared: (sql, params, transformRows) =>
        transformed(run(sql, params, rowsOf, (sql) => database.prepare(sql)), transformRows),
      executeStream: (sql, params, transformRows) =>
        Stream.unwrap(Effect.map(transformed(run(sql, params, rowsOf), transformRows), Stream.fromArray))
    }
  }

  const connection = makeConnection(identity)
  for (
    const pragma of [
      "foreign_keys = ON",
      `synchronous = ${options.synchronous ?? "FULL"}`,
      ...(options.readonly === true ? [] : ["journal_mode = WAL"])
    ]
  ) yield* connection.execute(`PRAGMA ${pragma}`, [], undefined)

  const acquirers = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(connection),
    semaphore: Semaphore.makeUnsafe(1),
    isTransaction: "isTransaction" in database ? () => database.isTransaction! : undefined
  })
  return yield* SqlClient.make({
    ...acquirers,
    // `BEGIN` runs where nothing can be interrupted, and it may wait for long: it waits as its caller would.
    transactionAcquirer: Effect.uninterruptibleMask((restore) =>
      Effect.as(restore(acquirers.transactionAcquirer), makeConnection(restore))
    ),
    compiler,
    driver: "sqlite-node",
    beginTransaction: "BEGIN IMMEDIATE",
    prepareTransactionControls: true,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [
      ...Object.entries(options.spanAttributes ?? {}),
      ["db.system.name", "sqlite"],
      ["db.namespace", options.filename]
    ],
    transformRows: transform === undefined ? undefined : Statement.defaultTransforms(transform).array
  })
})

/**
 * A `SqlClient` on a SQLite database.
 *
 * **When to use**
 *
 * Use it for programs on one machine that want durability without a server: the outbox runs on it, several processes on
 * one file too. Give an outbox worker a client of its own, as a connection does one thing at a time.
 *
 * **Example** (a database in a file)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as SqlClient from "effect/sql/SqlClient"
 * import { SqliteClient } from "effect-side-effects/sqlite"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT 1 AS one`
 * }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))

// ---------------------------------------------------------------------------------------------------------------------

const begins = /^\s*BEGIN\b/i

const attempt = <A>(operation: string, f: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.try({
    try: f,
    catch: (cause: any) => {
      // `classifySqliteError` reads the number of the error where better-sqlite3 and others have it.
      if (typeof cause?.errcode === "number") cause.errno = cause.errcode
      const message = `SQLite could not ${operation}: ${cause?.message}`
      return new SqlError.SqlError({ reason: SqlError.classifySqliteError(cause, { message, operation }) })
    }
  })

// SQLITE_BUSY, and what it is while another connection recovers the journal.
const isBusy = ({ reason }: SqlError.SqlError): boolean => {
  const { errcode } = reason.cause as { readonly errcode?: number }
  return errcode === 5 || errcode === 261
}

/** Tries again until it is not busy any more, or patience is over. */
const wait = <A>(
  once: Effect.Effect<A, SqlError.SqlError>,
  busy: SqlError.SqlError,
  patience: number,
  sleep: (pause: Effect.Effect<void>) => Effect.Effect<void>
): Effect.Effect<A, SqlError.SqlError> =>
  Effect.gen(function*() {
    const until = (yield* Clock.currentTimeMillis) + patience
    let error = busy
    for (let longest = 1; (yield* Clock.currentTimeMillis) < until; longest = Math.min(longest * 2, 20)) {
      yield* sleep(Effect.sleep(longest * (0.5 + (yield* Random.next))))
      const result = yield* Effect.result(once)
      if (Result.isSuccess(result)) return result.success
      if (!isBusy(result.failure)) return yield* Effect.fail(result.failure)
      error = result.failure
    }
    return yield* Effect.fail(error)
    // Other connections hold locks in real time, also where a test stops the clock.
  }).pipe(Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()))

const bindable = (value: unknown): unknown => typeof value === "boolean" ? Number(value) : value

// As other clients give them: node's rows have no prototype.
const rowsOf = (statement: node.Prepared, params: ReadonlyArray<unknown>): ReadonlyArray<any> =>
  statement.all(...params).map((row) => ({ ...row }))

const rawOf = (statement: node.Prepared, params: ReadonlyArray<unknown>): unknown =>
  statement.columns().length > 0 ? rowsOf(statement, params) : statement.run(...params)

const valuesOf = (statement: node.Prepared, params: ReadonlyArray<unknown>): ReadonlyArray<ReadonlyArray<unknown>> => {
  statement.setReturnArrays(true)
  try {
    return statement.all(...params)
  } finally {
    statement.setReturnArrays(false)
  }
}

const transformed = (
  rows: Effect.Effect<ReadonlyArray<any>, SqlError.SqlError>,
  transformRows: ((rows: ReadonlyArray<any>) => ReadonlyArray<any>) | undefined
) => transformRows === undefined ? rows : Effect.map(rows, transformRows)
