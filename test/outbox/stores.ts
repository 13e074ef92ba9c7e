import * as PgClient from "@effect/sql-pg/PgClient"
import { MemoryOutboxStore, type OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A store that tests run on. */
export interface Tested {
  readonly name: string
  readonly skip: boolean
  /** What many stores share, such as a pool of connections. */
  readonly database: Layer.Layer<any, unknown>
  /** A new and empty store. */
  readonly fresh: Layer.Layer<OutboxStore.OutboxStore, unknown, any>
}

const nothing = Layer.empty as Layer.Layer<any>

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "outbox-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const onSqlite = (filename: string) =>
  SqlOutboxStore.layer().pipe(Layer.provide(SqliteClient.layer({ filename, synchronous: "OFF" })), Layer.fresh)

const url = process.env["POSTGRES_URL"]

/** All stores. `table` is one that no other test file uses, as they run at the same time. */
export const stores = (table: string): ReadonlyArray<Tested> => {
  const dropAll = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    for (const name of yield* tablesOf) yield* sql`DROP TABLE ${sql(name)} CASCADE`
  })
  const tablesOf = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const tables = yield* sql<{ name: string }>`SELECT tablename AS name FROM pg_tables
      WHERE schemaname = current_schema() AND tablename LIKE ${`${table}%`}`
    return tables.map(({ name }) => name)
  })
  const empty = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const tables = (yield* tablesOf).filter((name) => !name.endsWith("_migrations"))
    for (const name of tables) yield* sql`DELETE FROM ${sql(name)}`
  })
  return [
    {
      name: "in memory",
      skip: false,
      database: nothing,
      fresh: Layer.fresh(MemoryOutboxStore.layer)
    },
    {
      name: "on SQLite in memory",
      skip: false,
      database: nothing,
      fresh: onSqlite(":memory:")
    },
    {
      name: "on SQLite in a file",
      skip: false,
      database: nothing,
      fresh: Layer.unwrap(Effect.map(temporary, (directory) => onSqlite(join(directory, "outbox.db"))))
    },
    {
      name: url === undefined ? "on PostgreSQL (skipped: set POSTGRES_URL)" : "on PostgreSQL",
      skip: url === undefined,
      database: Layer.effectDiscard(
        Effect.acquireRelease(Effect.andThen(dropAll, SqlOutboxStore.migrate({ table })), () => Effect.orDie(dropAll))
      ).pipe(
        Layer.provideMerge(
          Layer.suspend(() =>
            PgClient.layer({
              url: Redacted.make(url!),
              maxConnections: 12,
              startupOptions: "-c synchronous_commit=off"
            })
          )
        )
      ),
      fresh: Layer.fresh(Layer.unwrap(Effect.as(empty, SqlOutboxStore.layer({ table, migrate: false }))))
    }
  ]
}
