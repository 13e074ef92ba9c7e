import { assert, describe, it } from "@effect/vitest"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const file = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-client-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  ),
  (directory) => join(directory, "test.db")
)

const open = (options: SqliteClient.Options) => Effect.provide(SqliteClient.make(options), Reactivity.layer)

const inMemory = SqliteClient.layer({ filename: ":memory:" })

/** Two connections of this process to one file with a table `t`. */
const two = Effect.fnUntraced(function*(options?: Partial<SqliteClient.Options>) {
  const filename = yield* file
  const one = yield* open({ filename, ...options })
  yield* one`CREATE TABLE t (n INTEGER UNIQUE)`
  return [one, yield* open({ filename, ...options })] as const
})

/** Holds a write transaction open until `release`, once `begun`. */
const holding = Effect.fnUntraced(function*(sql: SqlClient.SqlClient) {
  const begun = yield* Deferred.make<void>()
  const release = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
    yield* sql`INSERT INTO t VALUES (1)`
    yield* Deferred.succeed(begun, undefined)
    yield* Deferred.await(release)
  })))
  yield* Deferred.await(begun)
  return { release: Effect.andThen(Deferred.succeed(release, undefined), Fiber.join(fiber)) }
})

const numbers = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ n: number }>`SELECT n FROM t ORDER BY n`, (rows) => rows.map(({ n }) => n))

describe("statements", () => {
  it.effect("give rows, values and what SQLite says of a change", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, done INTEGER)`
      const inserted = yield* sql`INSERT INTO t ${sql.insert([{ name: "a", done: true }, { name: "b", done: false }])}`
        .raw
      assert.strictEqual((inserted as { changes: number }).changes, 2)
      assert.deepStrictEqual(yield* sql`SELECT name, done FROM t ORDER BY id`, [{ name: "a", done: 1 }, {
        name: "b",
        done: 0
      }])
      assert.deepStrictEqual(yield* sql`SELECT name, name FROM t ORDER BY id`.values, [["a", "a"], ["b", "b"]])
      assert.deepStrictEqual(yield* sql`SELECT name FROM t WHERE id = 1`, [{ name: "a" }])
      assert.deepStrictEqual(yield* sql`SELECT name FROM t ORDER BY id`.unprepared, [{ name: "a" }, { name: "b" }])
      assert.deepStrictEqual(yield* Stream.runCollect(sql`SELECT name FROM t WHERE id > 1`.stream), [{ name: "b" }])
    }).pipe(Effect.provide(inMemory)))

  it.effect("transform names when asked to", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE ${sql("myTable")} (${sql("someName")} TEXT)`
      yield* sql`INSERT INTO my_table ${sql.insert({ someName: "x" })}`
      assert.deepStrictEqual(yield* sql`SELECT * FROM my_table`, [{ someName: "x" }])
      assert.deepStrictEqual(yield* sql`SELECT * FROM my_table`.withoutTransform, [{ some_name: "x" }])
    }).pipe(Effect.provide(SqliteClient.layer({
      filename: ":memory:",
      transformQueryNames: (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      transformResultNames: (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
    }))))

  it.effect("can be more than are kept prepared", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 300; n++) {
          assert.deepStrictEqual(yield* sql.unsafe<{ n: number }>(`SELECT ${n} AS n`), [{ n }])
        }
      }
    }).pipe(Effect.provide(inMemory)))

  it.effect("read integers that are no numbers when asked to", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const big = sql<{ n: bigint }>`SELECT 9007199254740993 AS n`
      assert.isTrue(Exit.isFailure(yield* Effect.exit(big)))
      assert.deepStrictEqual(yield* Effect.provideService(big, SqlClient.SafeIntegers, true), [{
        n: 9007199254740993n
      }])
    }).pipe(Effect.provide(inMemory)))

  it.effect("fail with what went wrong", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER UNIQUE CHECK (n < 10))`
      yield* sql`INSERT INTO t VALUES (1)`
      assert.strictEqual((yield* Effect.flip(sql`INSERT INTO t VALUES (1)`)).reason._tag, "UniqueViolation")
      assert.strictEqual((yield* Effect.flip(sql`INSERT INTO t VALUES (11)`)).reason._tag, "ConstraintError")
      assert.match((yield* Effect.flip(sql`SELECT * FROM nowhere`)).message, /no such table: nowhere/)
    }).pipe(Effect.provide(inMemory)))

  it.effect("are refused by a database that cannot be opened", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(open({ filename: "/nowhere/at/all.db" })))
      assert.strictEqual(error.reason._tag, "ConnectionError")
    }))

  it.live("keep what was committed when power is lost, unless told otherwise", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const [one, other] = [yield* open({ filename }), yield* open({ filename, synchronous: "NORMAL" })]
      assert.deepStrictEqual(yield* one`PRAGMA synchronous`, [{ synchronous: 2 }])
      assert.deepStrictEqual(yield* other`PRAGMA synchronous`, [{ synchronous: 1 }])
      assert.deepStrictEqual(yield* one`PRAGMA journal_mode`, [{ journal_mode: "wal" }])
      assert.deepStrictEqual(yield* one`PRAGMA foreign_keys`, [{ foreign_keys: 1 }])
    }).pipe(Effect.scoped))

  it.live("only read where it is read only", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* (yield* open({ filename }))`CREATE TABLE t (n INTEGER)`
      const reader = yield* open({ filename, readonly: true })
      assert.deepStrictEqual(yield* numbers(reader), [])
      assert.match((yield* Effect.flip(reader`INSERT INTO t VALUES (1)`)).message, /readonly/)
    }).pipe(Effect.scoped))
})

describe("transactions", () => {
  it.effect("commit or roll back, savepoints too", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER)`
      const insert = (n: number) => sql`INSERT INTO t VALUES (${n})`
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* sql.withTransaction(insert(2))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(3), Effect.fail("no"))))
      }))
      yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(4), Effect.die("no"))))
      assert.deepStrictEqual(yield* numbers(sql), [1, 2])
    }).pipe(Effect.provide(inMemory)))

  it.effect("leave the connection usable when the commit fails", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE p (n INTEGER PRIMARY KEY)`
      yield* sql`CREATE TABLE t (n INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)`
      const error = yield* Effect.flip(sql.withTransaction(sql`INSERT INTO t VALUES (1)`))
      assert.strictEqual(error.reason._tag, "ConstraintError")
      assert.deepStrictEqual(yield* numbers(sql), [])
      yield* sql.withTransaction(sql`INSERT INTO t VALUES (NULL)`)
      assert.deepStrictEqual(yield* numbers(sql), [null as never])
    }).pipe(Effect.provide(inMemory)))
})

describe("two connections of one process", () => {
  it.live("wait for one another without keeping the process from going on", () =>
    Effect.gen(function*() {
      const [one, other] = yield* two()
      const { release } = yield* holding(one)
      const single = yield* Effect.forkChild(other`INSERT INTO t VALUES (2)`)
      const transaction = yield* Effect.forkChild(other.withTransaction(other`INSERT INTO t VALUES (3)`))
      // Time goes on, which it would not if the process were blocked.
      yield* Effect.sleep(30)
      assert.isUndefined(single.pollUnsafe())
      assert.isUndefined(transaction.pollUnsafe())
      yield* release
      yield* Fiber.join(single)
      yield* Fiber.join(transaction)
      assert.deepStrictEqual(yield* numbers(one), [1, 2, 3])
    }).pipe(Effect.scoped))

  it.live("lose patience after a time", () =>
    Effect.gen(function*() {
      const [one, other] = yield* two({ busyTimeout: 50 })
      const { release } = yield* holding(one)
      assert.strictEqual((yield* Effect.flip(other`INSERT INTO t VALUES (2)`)).reason._tag, "LockTimeoutError")
      const begun = yield* Effect.flip(other.withTransaction(other`INSERT INTO t VALUES (2)`))
      assert.strictEqual(begun.reason._tag, "LockTimeoutError")
      yield* release
      yield* other`INSERT INTO t VALUES (2)`
      assert.deepStrictEqual(yield* numbers(one), [1, 2])
    }).pipe(Effect.scoped))

  it.effect("lose patience where a test has stopped the clock, too", () =>
    Effect.gen(function*() {
      const [one, other] = yield* two({ busyTimeout: 50 })
      const { release } = yield* holding(one)
      assert.strictEqual((yield* Effect.flip(other`INSERT INTO t VALUES (2)`)).reason._tag, "LockTimeoutError")
      yield* release
    }).pipe(Effect.scoped))

  it.live("can be interrupted while they wait, and nothing stays locked", () =>
    Effect.gen(function*() {
      const [one, other] = yield* two({ busyTimeout: "1 minute" })
      const { release } = yield* holding(one)
      const single = yield* Effect.forkChild(other`INSERT INTO t VALUES (2)`)
      yield* Effect.sleep(20)
      assert.isTrue(Cause.hasInterruptsOnly(yield* Effect.flip(Effect.sandbox(interrupted(single)))))
      const transaction = yield* Effect.forkChild(other.withTransaction(other`INSERT INTO t VALUES (3)`))
      yield* Effect.sleep(20)
      assert.isTrue(Cause.hasInterruptsOnly(yield* Effect.flip(Effect.sandbox(interrupted(transaction)))))
      yield* release
      yield* other.withTransaction(other`INSERT INTO t VALUES (4)`)
      assert.deepStrictEqual(yield* numbers(one), [1, 4])
    }).pipe(Effect.scoped))

  it.live("go on waiting where nothing may interrupt them", () =>
    Effect.gen(function*() {
      const [one, other] = yield* two({ busyTimeout: "1 minute" })
      const { release } = yield* holding(one)
      const transaction = yield* Effect.forkChild(
        Effect.uninterruptible(other.withTransaction(other`INSERT INTO t VALUES (2)`))
      )
      yield* Effect.sleep(20)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(transaction))
      yield* Effect.sleep(20)
      yield* release
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(yield* numbers(one), [1, 2])
    }).pipe(Effect.scoped))

  it.live("see that the other one has written", () =>
    Effect.gen(function*() {
      const [one, other] = yield* two()
      const version = other<{ data_version: number }>`PRAGMA data_version`
      const before = yield* version
      yield* other`INSERT INTO t VALUES (1)`
      assert.deepStrictEqual(yield* version, before)
      yield* one`INSERT INTO t VALUES (2)`
      assert.notDeepEqual(yield* version, before)
    }).pipe(Effect.scoped))
})

const interrupted = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.andThen(Fiber.interrupt(fiber), Fiber.join(fiber))
