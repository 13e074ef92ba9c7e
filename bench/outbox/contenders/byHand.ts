import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { type Contender, payloadOf, type Producer } from "../lib/contender.ts"
import { url } from "../lib/database.ts"
import { share } from "../lib/shared.ts"
import { onPostgres } from "./outbox.ts"

/** The best statements that a person could write for the same columns, into a table of the outbox that nobody else uses. */
const shared = share(PgClient.layer({ url: Redacted.make(url) }))

const columns = "id, queue, name, rank, payload, visible_at, created_at"

// The same clock as that of the outbox.
const clock = "(SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"

const json = (table: string): string =>
  `INSERT INTO ${table} (${columns}) SELECT r.id, r.queue, r.name, r.rank, r.payload, ${clock}, ${clock} ` +
  "FROM json_to_recordset($1::json) AS r (id uuid, queue text, name text, rank integer, payload json)"

const unnest = (table: string): string =>
  `INSERT INTO ${table} (${columns}) SELECT r.id, r.queue, r.name, r.rank, r.payload::json, ${clock}, ${clock} ` +
  "FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[], $5::text[]) AS r (id, queue, name, rank, payload)"

const name = "orders:mail:send-receipt"
const queue = "default"

const jsonParameters = (indexes: ReadonlyArray<number>): ReadonlyArray<unknown> => [
  JSON.stringify(
    indexes.map((index) => ({ id: randomUUID(), queue, name, rank: 0, payload: payloadOf(index) }))
  )
]

const unnestParameters = (indexes: ReadonlyArray<number>): ReadonlyArray<unknown> => [
  indexes.map(() => randomUUID()),
  indexes.map(() => queue),
  indexes.map(() => name),
  indexes.map(() => 0),
  indexes.map((index) => JSON.stringify(payloadOf(index)))
]

const producer =
  (text: string, parameters: (indexes: ReadonlyArray<number>) => ReadonlyArray<unknown>) =>
  async (): Promise<Producer> => {
    const context = await shared.acquire()
    const sql = Context.get(context, SqlClient.SqlClient)
    return {
      add: (indexes) =>
        Effect.runPromise(sql.withTransaction(Effect.suspend(() => sql.unsafe(text, parameters(indexes))))),
      close: shared.release
    }
  }

const contender = (
  name: string,
  table: string,
  statement: (table: string) => string,
  parameters: (indexes: ReadonlyArray<number>) => ReadonlyArray<unknown>
): Contender => {
  const { reset, unsettled } = onPostgres(table)
  return {
    name,
    database: "PostgreSQL",
    settings: "",
    pace: 20_000,
    reset,
    unsettled,
    producer: producer(statement(table), parameters),
    work: () => Promise.reject(new Error("There are no workers by hand"))
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  json: contender("by hand, json_to_recordset", "by_hand_json", json, jsonParameters),
  unnest: contender("by hand, unnest", "by_hand_unnest", unnest, unnestParameters)
}
