import * as PgClient from "@effect/sql-pg/PgClient"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { existsSync } from "node:fs"
import type { Database } from "./task.ts"

export const layerClient = (database: Database): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  database.kind === "sqlite"
    ? SqliteClient.layer({ filename: database.filename, busyTimeout: "20 seconds" })
    : PgClient.layer({
      url: Redacted.make(database.url),
      applicationName: database.application,
      startupParameters: { search_path: database.schema },
      maxConnections: 6
    })

/** Where this file is, there is no space left for a SQLite database on a machine that allows no small disk. */
export const fullMark = (filename: string): string => `${filename}.full`

const noLimit = 1_073_741_823

/** Lets the database of this client grow, or not, as the mark says. */
export const obeyMark = (filename: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    let full = false
    while (true) {
      if (full !== existsSync(fullMark(filename))) {
        full = !full
        // No less than the pages that are there.
        yield* Effect.ignore(sql.unsafe(`PRAGMA max_page_count = ${full ? 1 : noLimit}`))
      }
      yield* Effect.sleep(20)
    }
  })

export const layerStore = (database: Database) =>
  SqlOutboxStore.layer(database.kind === "pg" ? { table: `${database.schema}.outbox` } : { table: "outbox" })

/** The tables of the domain. A wish is written together with the intent: it says what has to be performed. */
export const createDomain = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
  yield* sql`CREATE TABLE wishes (
    id TEXT PRIMARY KEY, order_id TEXT NOT NULL, key TEXT, not_before DOUBLE PRECISION NOT NULL, poison INTEGER NOT NULL
  )`
})

export interface Wish {
  readonly id: string
  readonly order: string
  readonly key: string | null
  /** By the real clock, in milliseconds. */
  readonly notBefore: number
  readonly poison: boolean
}

export const readDomain = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const orders = yield* sql<{ readonly id: string }>`SELECT id FROM orders`
  const wishes = yield* sql<
    {
      readonly id: string
      readonly order_id: string
      readonly key: string | null
      readonly not_before: number
      readonly poison: number
    }
  >`SELECT id, order_id, key, not_before, poison FROM wishes`
  return {
    orders: new Set(orders.map(({ id }) => id)),
    wishes: new Map(wishes.map(({ id, key, not_before, order_id, poison }): [string, Wish] => [
      id,
      { id, order: order_id, key, notBefore: not_before, poison: poison > 0 }
    ]))
  }
})
