import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import type { OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"

type Store = OutboxStore.OutboxStore["Service"]

// -- Databases --------------------------------------------------------------------------------------------------------

const url = process.env["POSTGRES_URL"]
const schema = "sql_outbox_store_test"
const transforms = {
  transformQueryNames: (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  transformResultNames: (name: string) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
}

interface Database {
  /** One more connection, or pool of them, to the database of this test. */
  readonly connect: (options?: typeof transforms) => Effect.Effect<SqlClient.SqlClient, unknown, Scope.Scope>
  /** What a process of its own needs to connect: an expression. */
  readonly connectElsewhere: string
}

const source = (path: string) => pathToFileURL(join(import.meta.dirname, "../../src", path)).href

const onSqlite: Effect.Effect<Database, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "sql-outbox-store-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  ),
  (directory) => {
    const filename = join(directory, "test.db")
    return {
      connect: (options) =>
        Effect.provide(SqliteClient.make({ filename, synchronous: "OFF", ...options }), Reactivity.layer),
      connectElsewhere: `(await import(${JSON.stringify(source("sqlite/SqliteClient.ts"))})).layer({ filename: ${
        JSON.stringify(filename)
      } })`
    }
  }
)

const pgClient = (options: Partial<PgClient.PgPoolConfig>) =>
  Effect.provide(PgClient.make({ url: Redacted.make(url!), maxConnections: 4, ...options }), Reactivity.layer)

let schemas = 0

/** A schema of its own. */
const onPostgres: Effect.Effect<Database, unknown, Scope.Scope> = Effect.gen(function*() {
  const name = `${schema}_${++schemas}`
  const admin = yield* pgClient({ maxConnections: 1 })
  const drop = admin.unsafe(`DROP SCHEMA IF EXISTS ${name} CASCADE`)
  yield* drop
  yield* Effect.acquireRelease(admin.unsafe(`CREATE SCHEMA ${name}`), () => Effect.orDie(drop))
  const startupOptions = `-c search_path=${name}`
  return {
    connect: (options) => pgClient({ startupOptions, ...options }),
    connectElsewhere: `(await import("@effect/sql-pg/PgClient")).layer({
      url: (await import("effect/Redacted")).make(${JSON.stringify(url)}),
      startupOptions: ${JSON.stringify(startupOptions)}
    })`
  }
})

const databases = [
  { name: "SQLite", dialect: "sqlite", skip: false, database: onSqlite },
  { name: "PostgreSQL", dialect: "pg", skip: url === undefined, database: onPostgres }
] as const

// -- Stores -----------------------------------------------------------------------------------------------------------

const storeOn = (
  sql: SqlClient.SqlClient,
  options?: SqlOutboxStore.Options
): Effect.Effect<Store, OutboxStore.OutboxError, Scope.Scope> =>
  Effect.provideService(SqlOutboxStore.make(options), SqlClient.SqlClient, sql)

const offer = (parts?: Partial<OutboxStore.Offer>): OutboxStore.Offer => ({
  id: crypto.randomUUID(),
  name: "orders:mail",
  queue: "default",
  priority: 0,
  payload: "{\"order\":1}",
  redacted: undefined,
  key: undefined,
  delay: 0,
  origin: undefined,
  metadata: undefined,
  trace: undefined,
  ...parts
})

const hour = 3_600_000

const put = (store: Store, ...offers: ReadonlyArray<OutboxStore.Offer>) => store.offerMany(offers, { uniqueFor: hour })

const claim = (store: Store, limit = 100) =>
  store.claim({ worker: "w", limit, lease: hour, names: ["orders:mail"], queues: undefined, suspects: false })

const done = ({ ref, token }: OutboxStore.Claimed): OutboxStore.Settlement => ({
  ref,
  token,
  worker: "w",
  elapsed: 1,
  outcome: { _tag: "Done", keep: true }
})

const idsOf = (entries: ReadonlyArray<{ readonly id: string }>) => entries.map(({ id }) => id)

const exec = promisify(execFile)

/** Runs a program in a process of its own: an expression of an effect, given what the modules export. */
const elsewhere = (database: Database, program: string) =>
  Effect.promise(() =>
    exec(process.execPath, [
      "--disable-warning=ExperimentalWarning",
      "--input-type=module",
      "--eval",
      `const Effect = await import("effect/Effect")
      const SqlOutboxStore = await import(${JSON.stringify(source("sql/SqlOutboxStore.ts"))})
      const { OutboxStore } = await import(${JSON.stringify(source("outbox/OutboxStore.ts"))})
      await Effect.runPromise(Effect.provide(${program}, ${database.connectElsewhere}))`
    ], { cwd: join(import.meta.dirname, "../..") })
  )

describe.each(databases)("on $name", ({ database, dialect, skip }) => {
  const test = (
    name: string,
    run: (database: Database) => Effect.Effect<void, unknown, Scope.Scope>
  ) =>
    it.live.skipIf(skip)(
      name,
      () => Effect.scoped(Effect.flatMap(database as Effect.Effect<Database, unknown, Scope.Scope>, run)),
      60_000
    )

  // What a schema is: its columns and its indexes, without the record of migrations.
  const shape = (sql: SqlClient.SqlClient) =>
    dialect === "sqlite"
      ? sql<
        { what: string }
      >`SELECT sql AS what FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE '%_migrations'
          AND name NOT LIKE 'sqlite_%' ORDER BY name`
      : sql<{ what: string }>`SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default,
            collation_name, is_identity) AS what FROM information_schema.columns
          WHERE table_schema = current_schema() AND table_name NOT LIKE '%_migrations'
          UNION ALL SELECT indexdef FROM pg_indexes
          WHERE schemaname = current_schema() AND tablename NOT LIKE '%_migrations'
          UNION ALL SELECT concat_ws(' ', relname, reloptions::text) FROM pg_class
          WHERE relnamespace = current_schema()::regnamespace AND reloptions IS NOT NULL ORDER BY 1`

  describe("the schema", () => {
    test("is made by eight programs that start at once, and not again", (database) =>
      Effect.gen(function*() {
        const clients = yield* Effect.all(Array.from({ length: 8 }, () => database.connect()), { concurrency: 8 })
        const stores = yield* Effect.forEach(clients, (sql) => storeOn(sql), { concurrency: 8 })
        for (const store of stores) yield* put(store, offer())
        assert.strictEqual((yield* claim(stores[0]!)).length, 8)
        const sql = clients[0]!
        assert.deepStrictEqual(
          yield* sql<{ migration_id: number }>`SELECT migration_id FROM side_effects_outbox_migrations`,
          [{ migration_id: 1 }]
        )
        const before = yield* shape(sql)
        yield* Effect.provideService(SqlOutboxStore.migrate(), SqlClient.SqlClient, sql)
        assert.deepStrictEqual(yield* shape(sql), before)
      }))

    test("is made by processes that start at once", (database) =>
      Effect.gen(function*() {
        yield* Effect.forEach(
          Array.from({ length: 4 }),
          () => elsewhere(database, "SqlOutboxStore.migrate()"),
          { concurrency: 4 }
        )
        const sql = yield* database.connect()
        const store = yield* storeOn(sql, { migrate: false })
        const { expected, missing, version } = yield* store.status(hour)
        assert.deepStrictEqual({ missing, version }, { missing: [], version: expected })
      }))

    test("is the same from plain SQL", (database) =>
      Effect.gen(function*() {
        const sql = yield* database.connect()
        yield* storeOn(sql)
        const migrated = yield* shape(sql)
        const tables = ["", "_attempts", "_keys", "_pauses", "_workers", "_migrations"]
        for (const suffix of tables) yield* sql.unsafe(`DROP TABLE side_effects_outbox${suffix}`)
        // Twice, as it may be run again.
        for (let run = 0; run < 2; run++) {
          for (const statement of SqlOutboxStore.sqlFor(dialect).split(";\n")) {
            if (statement.trim() !== "") yield* sql.unsafe(statement)
          }
        }
        assert.deepStrictEqual(yield* shape(sql), migrated)
        const store = yield* storeOn(sql, { migrate: false })
        const { expected, missing, version } = yield* store.status(hour)
        assert.deepStrictEqual({ missing, version }, { missing: [], version: expected })
        // And a program that migrates finds nothing to do.
        yield* storeOn(sql)
      }))

    test("is compared with what should be there", (database) =>
      Effect.gen(function*() {
        const sql = yield* database.connect()
        const absent = yield* (yield* storeOn(sql, { migrate: false })).status(hour)
        assert.deepInclude(absent, { version: 0, expected: 1, offered: 0 })
        assert.include(absent.missing, "table side_effects_outbox")
        const store = yield* storeOn(sql)
        yield* sql`DROP INDEX side_effects_outbox_due`
        yield* sql`DROP TABLE side_effects_outbox_workers`
        yield* sql`ALTER TABLE side_effects_outbox_keys RENAME COLUMN taken_at TO at`
        yield* put(store, offer())
        const status = yield* store.status(hour)
        assert.deepStrictEqual(status.missing, [
          "column side_effects_outbox_keys.taken_at",
          "table side_effects_outbox_workers",
          "index side_effects_outbox_due"
        ])
        assert.strictEqual(status.offered, 1)
      }))

    test("can have another name, and one that needs quotes", (database) =>
      Effect.gen(function*() {
        const sql = yield* database.connect()
        for (const table of ["jobs", "My \"Jobs\"", "select"]) {
          const store = yield* storeOn(sql, { table })
          yield* put(store, offer({ key: "k" }))
          const [claimed] = yield* claim(store)
          assert.deepStrictEqual(yield* store.settle([done(claimed!)]), [])
          assert.strictEqual((yield* store.find({ states: ["done"] }, { limit: 10 })).length, 1)
          assert.deepStrictEqual((yield* store.status(hour)).missing, [])
        }
      }))

    test("cannot have a name that PostgreSQL would cut", (database) =>
      Effect.gen(function*() {
        const sql = yield* database.connect()
        const exit = yield* Effect.exit(storeOn(sql, { table: "x".repeat(41) }))
        assert.match(String(exit), /its name must have 1 to 40 characters/)
      }))

    test("does not mind a client that transforms names", (database) =>
      Effect.gen(function*() {
        const sql = yield* database.connect(transforms)
        for (let start = 0; start < 2; start++) {
          const store = yield* storeOn(sql)
          yield* put(store, offer({ key: `k${start}` }))
          const [claimed] = yield* claim(store)
          yield* store.settle([done(claimed!)])
          yield* store.register({ id: "w", names: ["orders:mail"], queues: undefined })
          assert.strictEqual((yield* store.workers).length, 1)
          assert.strictEqual((yield* store.get(claimed!.id))?.history.length, 1)
          assert.deepStrictEqual((yield* store.status(hour)).missing, [])
        }
      }))
  })

  describe("a transaction", () => {
    const prepared = Effect.fnUntraced(function*(database: Database) {
      const sql = yield* database.connect()
      const store = yield* storeOn(sql)
      return { sql, store, ids: Effect.map(store.find({}, { limit: 100 }), (found) => idsOf(found).reverse()) }
    })

    test("that commits has written what was offered in it, and one that does not has not", (database) =>
      Effect.gen(function*() {
        const { ids, sql, store } = yield* prepared(database)
        const [kept, failed, died] = [offer(), offer(), offer()]
        yield* sql.withTransaction(put(store, kept))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(put(store, failed), Effect.fail("no"))))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(put(store, died), Effect.die("no"))))
        assert.deepStrictEqual(yield* ids, [kept.id])
        assert.deepStrictEqual(idsOf(yield* claim(store)), [kept.id])
      }))

    test("decides with each savepoint", (database) =>
      Effect.gen(function*() {
        const { ids, sql, store } = yield* prepared(database)
        const [outer, kept, gone, last] = [offer(), offer({ key: "k" }), offer({ key: "l" }), offer({ key: "l" })]
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* put(store, outer)
          yield* sql.withTransaction(put(store, kept))
          yield* Effect.exit(sql.withTransaction(Effect.andThen(put(store, gone), Effect.fail("no"))))
          // What the savepoint had taken is free again.
          assert.deepStrictEqual(yield* put(store, last), [])
        }))
        assert.deepStrictEqual(yield* ids, [outer.id, kept.id, last.id])
      }))

    test("wakes when it has committed and not before", (database) =>
      Effect.gen(function*() {
        const { sql, store } = yield* prepared(database)
        const woken = yield* store.wake
        // Whoever begins to listen to PostgreSQL does not know what was there before.
        if (dialect === "pg") yield* woken
        const waiting = yield* Effect.forkChild(woken)
        yield* Effect.exit(sql.withTransaction(Effect.andThen(put(store, offer()), Effect.fail("no"))))
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* put(store, offer())
          yield* Effect.exit(sql.withTransaction(Effect.andThen(put(store, offer()), Effect.fail("no"))))
          yield* Effect.sleep(20)
          assert.isUndefined(waiting.pollUnsafe())
        }))
        yield* Fiber.join(waiting)
        assert.strictEqual((yield* claim(store)).length, 1)
      }))

    test("can claim what was offered in it, as a test does that rolls it back", (database) =>
      Effect.gen(function*() {
        const { sql, store } = yield* prepared(database)
        yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          for (const priority of [0, 1, 0, 2]) {
            const one = offer({ priority })
            yield* put(store, one)
            const claimed = yield* claim(store)
            assert.deepStrictEqual(idsOf(claimed), [one.id])
            assert.deepStrictEqual(yield* store.settle(claimed.map(done)), [])
          }
          yield* store.pause({ kind: "queue", what: "default" })
          yield* put(store, offer())
          assert.deepStrictEqual(yield* claim(store), [])
          return yield* Effect.fail("roll back")
        })))
        const { id } = offer()
        yield* put(store, offer({ id }))
        assert.deepStrictEqual(idsOf(yield* claim(store).pipe(Effect.delay(1100))), [id])
        assert.strictEqual(yield* store.count({}), 1)
      }))

    test("runs what is for after its commit, and is known from the context", (database) =>
      Effect.gen(function*() {
        const { sql, store } = yield* prepared(database)
        const ran: Array<string> = []
        const note = (what: string) => store.afterCommit(Effect.sync(() => void ran.push(what)))
        const here = Effect.map(Effect.context<never>(), store.transactionOf)
        assert.isUndefined(yield* here)
        yield* note("at once")
        yield* Effect.exit(sql.withTransaction(Effect.andThen(note("never"), Effect.fail("no"))))
        yield* sql.withTransaction(Effect.gen(function*() {
          const outer = yield* here
          assert.strictEqual(outer?.depth, 0)
          assert.strictEqual((yield* here)?.level, outer?.level)
          yield* note("later")
          yield* sql.withTransaction(Effect.gen(function*() {
            const inner = yield* here
            assert.strictEqual(inner?.depth, 1)
            assert.notStrictEqual(inner?.level, outer?.level)
          }))
          assert.deepStrictEqual(ran, ["at once"])
        }))
        assert.deepStrictEqual(ran, ["at once", "later"])
        assert.isUndefined(store.transactionOf(Context.empty()))
      }))

    test("can change entries, too, and take it back", (database) =>
      Effect.gen(function*() {
        const { sql, store } = yield* prepared(database)
        yield* put(store, offer({ key: "k" }))
        yield* Effect.exit(
          sql.withTransaction(Effect.andThen(store.change({}, { _tag: "Purge" }), Effect.fail("no")))
        )
        assert.strictEqual(yield* store.count({ states: ["pending"] }), 1)
        assert.strictEqual((yield* put(store, offer({ key: "k" }))).length, 1)
      }))
  })

  describe("many", () => {
    test("are one statement, in the order given", (database) =>
      Effect.gen(function*() {
        const sql = yield* database.connect()
        const store = yield* storeOn(sql)
        const offers = Array.from(
          { length: 5000 },
          (_, n) => offer({ payload: `{"n":${n}}`, key: n % 2 === 0 ? `k${n % 1000}` : undefined })
        )
        let statements = 0
        const duplicates = yield* Effect.provideService(
          store.offerMany(offers, { uniqueFor: hour }),
          Statement.CurrentTransformer,
          (statement) =>
            Effect.sync(() => {
              statements++
              return statement
            })
        )
        assert.strictEqual(duplicates.length, 2000)
        const first = new Map(offers.flatMap(({ id, key }) => key === undefined ? [] : [[key, id] as const]).reverse())
        const keys = new Map(offers.map(({ id, key }) => [id, key]))
        for (const { id, of } of duplicates) assert.strictEqual(of, first.get(keys.get(id)!))
        assert.isAtMost(statements, 3)
        const lost = new Set(idsOf(duplicates))
        const kept = idsOf(offers).filter((id) => !lost.has(id))
        assert.deepStrictEqual(idsOf(yield* claim(store, 5000)), kept)
      }))

    test("are claimed by several programs at once, each by one", (database) =>
      Effect.gen(function*() {
        const stores = yield* Effect.forEach(
          Array.from({ length: 4 }),
          () => Effect.flatMap(database.connect(), (sql) => storeOn(sql))
        )
        const offers = Array.from({ length: 1000 }, () => offer())
        yield* put(stores[0]!, ...offers)
        const work = Effect.fnUntraced(function*(store: Store) {
          const mine: Array<string> = []
          while ((yield* store.count({ states: ["pending"] })) > 0) {
            const claimed = yield* claim(store, 17)
            mine.push(...idsOf(claimed))
            assert.deepStrictEqual(yield* store.settle(claimed.map(done)), [])
          }
          return mine
        })
        const claimed = (yield* Effect.forEach(stores, work, { concurrency: 4 })).flat()
        assert.strictEqual(claimed.length, 1000)
        assert.deepStrictEqual(new Set(claimed), new Set(idsOf(offers)))
        assert.strictEqual(yield* stores[0]!.count({ states: ["done"] }), 1000)
      }))

    test("are changed by operators while workers work on them", (database) =>
      Effect.gen(function*() {
        const [worker, operator] = [
          yield* storeOn(yield* database.connect()),
          yield* storeOn(yield* database.connect())
        ]
        yield* put(worker, ...Array.from({ length: 300 }, () => offer()))
        const work = Effect.gen(function*() {
          for (let round = 0; round < 20; round++) {
            const claimed = yield* claim(worker, 20)
            yield* worker.renew(claimed, hour)
            yield* worker.settle(claimed.map((claimed, n) => ({
              ...done(claimed),
              outcome: n % 2 === 0
                ? { _tag: "Retry", delay: 0, error: "no" } as const
                : { _tag: "Dead", reason: "exhausted", error: "no", failed: true } as const
            })))
          }
        })
        const operate = Effect.gen(function*() {
          for (let round = 0; round < 10; round++) {
            yield* operator.change({}, { _tag: "Cancel", reason: "stop" })
            yield* operator.change({}, { _tag: "Retry" })
            yield* operator.change({ states: ["dead"] }, { _tag: "Replay" })
          }
        })
        yield* Effect.all([work, operate, operate], { concurrency: 3 })
        const counts = yield* operator.counts
        assert.strictEqual(counts.reduce((sum, { count }) => sum + count, 0), yield* operator.count({}))
        assert.isAtLeast(yield* operator.count({}), 300)
      }))
  })

  test("another program hears what was committed, and not what was not", (database) =>
    Effect.gen(function*() {
      const sql = yield* database.connect()
      const here = yield* storeOn(sql)
      const there = yield* storeOn(yield* database.connect())
      const woken = yield* there.wake
      // A worker listens before it looks for the first time: until then it may be woken for nothing.
      yield* put(here, offer())
      yield* woken
      yield* Effect.ignore(Effect.timeout(Effect.forever(woken), 200))
      yield* Effect.exit(sql.withTransaction(Effect.andThen(put(here, offer()), Effect.fail("no"))))
      assert.isTrue((yield* Effect.timeoutOption(woken, 100))._tag === "None")
      const late = yield* Effect.forkChild(woken)
      const { id } = offer()
      yield* sql.withTransaction(put(here, offer({ id })))
      yield* Fiber.join(late).pipe(Effect.timeout("5 seconds"))
      assert.include(idsOf(yield* claim(there)), id)
    }))
})

describe.skipIf(url === undefined)("keys on PostgreSQL", () => {
  const race = Effect.fnUntraced(function*(outcome: "commit" | "roll back") {
    const database = yield* onPostgres
    const [one, other] = [yield* database.connect(), yield* database.connect()]
    const [first, second] = [yield* storeOn(one), yield* storeOn(other)]
    const offered = yield* Deferred.make<void>()
    const end = yield* Deferred.make<void>()
    const [mine, yours] = [offer({ key: "k" }), offer({ key: "k" })]
    const writing = yield* Effect.forkChild(Effect.exit(one.withTransaction(Effect.gen(function*() {
      yield* put(first, mine)
      yield* Deferred.succeed(offered, undefined)
      yield* Deferred.await(end)
      if (outcome === "roll back") return yield* Effect.fail("no")
    }))))
    yield* Deferred.await(offered)
    const waiting = yield* Effect.forkChild(put(second, yours))
    // Until PostgreSQL says that one waits for the other.
    yield* one<{ n: bigint }>`SELECT count(*) AS n FROM pg_stat_activity
      WHERE wait_event_type = 'Lock' AND query LIKE '%side_effects_outbox_keys%' AND datname = current_database()`.pipe(
      Effect.flatMap(([row]) => row!.n > 0n ? Effect.void : Effect.fail("not yet")),
      Effect.retry(Schedule.spaced(10))
    )
    assert.isUndefined(waiting.pollUnsafe())
    yield* Deferred.succeed(end, undefined)
    yield* Fiber.join(writing)
    const duplicates = yield* Fiber.join(waiting)
    return { duplicates, mine, yours, found: idsOf(yield* second.find({}, { limit: 10 })) }
  })

  it.live("wait for a transaction that writes the same one: it commits, and there is one entry", () =>
    Effect.scoped(Effect.gen(function*() {
      const { duplicates, found, mine, yours } = yield* race("commit")
      assert.deepStrictEqual(duplicates, [{ id: yours.id, of: mine.id }])
      assert.deepStrictEqual(found, [mine.id])
    })))

  it.live("wait for a transaction that writes the same one: it rolls back, and there is the other entry", () =>
    Effect.scoped(Effect.gen(function*() {
      const { duplicates, found, yours } = yield* race("roll back")
      assert.deepStrictEqual(duplicates, [])
      assert.deepStrictEqual(found, [yours.id])
    })))

  it.live("in other orders do not keep each other waiting for ever", () =>
    Effect.scoped(Effect.gen(function*() {
      const database = yield* onPostgres
      const stores = yield* Effect.forEach(
        Array.from({ length: 4 }),
        () => Effect.flatMap(database.connect(), (sql) => storeOn(sql))
      )
      const keys = Array.from({ length: 50 }, (_, n) => `k${n}`)
      const lost = yield* Effect.forEach(stores, (store, n) =>
        store.offerMany(
          (n % 2 === 0 ? keys : [...keys].reverse()).map((key) => offer({ key })),
          { uniqueFor: hour }
        ), {
        concurrency: 4
      })
      assert.strictEqual(lost.flat().length, 150)
      assert.strictEqual(yield* stores[0]!.count({}), 50)
    })))
})

describe.skipIf(url === undefined)("on PostgreSQL alone", () => {
  const late = Effect.fnUntraced(function*() {
    const database = yield* onPostgres
    const sql = yield* database.connect()
    const [here, there] = [yield* storeOn(sql), yield* storeOn(yield* database.connect())]
    const late = offer()
    const [offered, commit] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const long = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
      yield* put(here, late)
      yield* Deferred.succeed(offered, undefined)
      yield* Deferred.await(commit)
    })))
    yield* Deferred.await(offered)
    // Longer than what a claim looks back.
    yield* Effect.sleep(1300)
    yield* put(here, ...Array.from({ length: 20 }, () => offer()))
    for (const store of [here, there]) assert.strictEqual((yield* claim(store, 5)).length, 5)
    yield* Deferred.succeed(commit, undefined)
    yield* Fiber.join(long)
    return { here, there, late: late.id }
  })

  it.live("what a long transaction commits late is the next thing for the program that wrote it", () =>
    Effect.scoped(Effect.gen(function*() {
      const { here, late: id } = yield* late()
      assert.deepStrictEqual(idsOf(yield* claim(here, 1)), [id])
    })))

  it.live("what a long transaction commits late is found within a second by one that does not listen", () =>
    Effect.scoped(Effect.gen(function*() {
      const { late: id, there } = yield* late()
      yield* Effect.sleep(1000)
      assert.deepStrictEqual(idsOf(yield* claim(there, 1)), [id])
    })))

  it.live("a claim within your transaction leaves it as durable as it is, and one outside does not wait for the disk", () =>
    Effect.scoped(Effect.gen(function*() {
      const database = yield* onPostgres
      const sql = yield* database.connect()
      const store = yield* storeOn(sql)
      const setting = Effect.map(sql`SHOW synchronous_commit`, ([row]) => row!["synchronous_commit"])
      yield* put(store, offer(), offer())
      const within = yield* sql.withTransaction(Effect.andThen(claim(store, 1), setting))
      assert.deepStrictEqual([within, yield* setting], ["on", "on"])
      assert.strictEqual((yield* claim(store, 1)).length, 1)
      assert.strictEqual(yield* setting, "on")
    })))

  it.live("the table may be in another schema", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* onPostgres
      const sql = yield* pgClient({})
      const store = yield* storeOn(sql, { table: `${schema}_${schemas}.outbox` })
      yield* put(store, offer({ key: "k" }))
      const [claimed] = yield* claim(store)
      yield* store.settle([done(claimed!)])
      assert.deepStrictEqual((yield* store.status(hour)).missing, [])
      assert.deepStrictEqual(
        yield* sql`SELECT count(*)::int AS n FROM ${sql(`${schema}_${schemas}.outbox`)}`,
        [{ n: 1 }]
      )
    })))

  it.live("what no text of PostgreSQL can hold does no harm", () =>
    Effect.scoped(Effect.gen(function*() {
      const database = yield* onPostgres
      const store = yield* storeOn(yield* database.connect())
      const payload = JSON.stringify({ a: "\u0000 \ud800 x", b: "\\u0000", c: 1 })
      yield* put(store, offer({ payload, origin: "\u0000", metadata: "{\"a\":\"\\u0000\"}" }), offer())
      const [claimed, other] = yield* claim(store)
      assert.strictEqual(claimed!.payload, payload)
      assert.strictEqual(claimed!.metadata, "{\"a\":\"\\u0000\"}")
      yield* store.settle([{ ...done(claimed!), outcome: { _tag: "Retry", delay: hour, error: "a\u0000b\ud800" } }])
      assert.strictEqual((yield* store.get(claimed!.id))?.error, "a\ufffdb\ufffd")
      assert.deepStrictEqual(
        idsOf(yield* store.find({ payload: [{ path: ["c"], equals: "1" }] }, { limit: 10 })),
        [claimed!.id]
      )
      assert.deepStrictEqual(idsOf(yield* store.find({ ids: ["no id", other!.id] }, { limit: 10 })), [other!.id])
    })))

  it.live("a worker wakes by itself only, where the client cannot listen", () =>
    Effect.scoped(Effect.gen(function*() {
      const database = yield* onPostgres
      const client = yield* database.connect()
      const plain = Object.assign(
        // A client is a function with members, of which this one lacks `listen`.
        ((...args: Parameters<SqlClient.SqlClient>) => client(...args)) as never,
        client,
        { listen: undefined }
      ) as SqlClient.SqlClient
      const store = yield* storeOn(plain)
      const woken = yield* store.wake
      yield* put(store, offer())
      yield* woken
    })))
})

describe("a database that is neither", () => {
  it.effect("is refused, and the ones that do are named", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.make({
        acquirer: Effect.die("never asked"),
        compiler: Statement.makeCompiler({
          dialect: "mysql",
          placeholder: () => "?",
          onIdentifier: (name) => name,
          onCustom: () => ["", []],
          onRecordUpdate: () => ["", []]
        }),
        driver: "mysql2",
        spanAttributes: []
      })
      const error = yield* Effect.flip(
        Layer.build(Layer.provide(SqlOutboxStore.layer(), Layer.succeed(SqlClient.SqlClient, sql)))
      )
      assert.match(error.message, /runs on PostgreSQL and SQLite, and this SqlClient speaks MySQL/)
    }).pipe(Effect.provide(Reactivity.layer), Effect.scoped))
})
