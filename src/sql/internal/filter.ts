import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { compilePattern } from "../../internal/pattern.ts"
import type * as OutboxStore from "../../outbox/OutboxStore.ts"
import { clean, duration, json } from "./rows.ts"
import type { Dialect, Tables } from "./schema.ts"

/** What the two databases say differently where speed is no matter. */
export interface Words {
  readonly dialect: Dialect
  /** The clock as epoch milliseconds. */
  readonly now: string
  /** A new id. */
  readonly newId: string
  /** Locks the rows that a statement selects. */
  readonly forUpdate: string
  readonly isIn: (column: string, values: ReadonlyArray<string>) => Fragment
  readonly areIds: (ids: ReadonlyArray<string>) => Fragment
  readonly seqs: (seqs: ReadonlyArray<number>) => Fragment
  readonly contains: (column: string, part: string) => Fragment
  readonly payloadIs: (path: ReadonlyArray<string>, equals: string) => Fragment
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const postgresWords = (sql: SqlClient.SqlClient, now: string): Words => {
  const texts = (values: ReadonlyArray<string>, type: string) =>
    sql`ANY (ARRAY(SELECT value::${sql.literal(type)} FROM json_array_elements_text(${json(values)}::json)))`
  return {
    dialect: "pg",
    now,
    newId: "gen_random_uuid()",
    forUpdate: "FOR UPDATE",
    isIn: (column, values) => sql`${sql.literal(column)} = ${texts(values, "text")}`,
    areIds: (ids) => sql`id = ${texts(ids.filter((id) => uuid.test(id)), "uuid")}`,
    seqs: (seqs) => sql`seq = ${texts(seqs.map(String), "bigint")}`,
    contains: (column, part) => sql`position(lower(${part}::text) IN lower(${sql.literal(column)})) > 0`,
    payloadIs: (path, equals) => {
      const keys = sql`ARRAY(SELECT json_array_elements_text(${json(path)}::json))`
      // What no text of PostgreSQL holds cannot be looked into: it is replaced for the look.
      const readable = sql`CASE WHEN strpos(payload::text, '\\u') = 0 THEN payload
        ELSE regexp_replace(payload::text, '\\\\u(0000|d[89a-f]..)', '\\\\ufffd', 'gi')::json END`
      return sql`(CASE WHEN json_typeof(${readable} #> ${keys}) IN ('string', 'number', 'boolean')
        THEN ${readable} #>> ${keys} = ${equals}::text ELSE false END)`
    }
  }
}

export const sqliteWords = (sql: SqlClient.SqlClient, now: string): Words => {
  const isIn = (column: string, values: ReadonlyArray<string | number>) =>
    sql`${sql.literal(column)} IN (SELECT value FROM json_each(${json(values)}))`
  return {
    dialect: "sqlite",
    now,
    newId: "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || " +
      "substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))",
    forUpdate: "",
    isIn,
    areIds: (ids) => isIn("id", ids),
    seqs: (seqs) => isIn("seq", seqs),
    contains: (column, part) => sql`instr(lower(${sql.literal(column)}), lower(${part})) > 0`,
    payloadIs: (path, equals) => {
      // Step by step, as a JSON path of SQLite cannot name every key.
      const steps = path.map((key, index) =>
        sql`json_each(CASE WHEN ${sql.literal(`p${index}.type`)} IN ('object', 'array')
          THEN ${sql.literal(`p${index}.value`)} ELSE '[]' END) AS ${sql.literal(`p${index + 1}`)}
          ON CAST(${sql.literal(`p${index + 1}.key`)} AS text) = ${key}`
      )
      const last = sql.literal(`p${path.length}.atom`)
      const type = sql.literal(`p${path.length}.type`)
      return sql`EXISTS (SELECT 1 FROM json_each('[' || payload || ']') AS p0 ${
        steps.length === 0 ? sql`` : sql`JOIN ${sql.join(" JOIN ", false)(steps)}`
      } WHERE CASE WHEN ${type} IN ('true', 'false') THEN ${type} ELSE CAST(${last} AS text) END = ${equals})`
    }
  }
}

const nothing = "1 = 0"

const stateIs = (sql: SqlClient.SqlClient, state: OutboxStore.State, now: number): Fragment => {
  const time = sql`CAST(${now} AS bigint)`
  switch (state) {
    case "pending":
      return sql`(state = 0 AND visible_at <= ${time} AND leased_until <= ${time})`
    case "scheduled":
      return sql`(state = 0 AND visible_at > ${time} AND leased_until <= ${time})`
    case "running":
      return sql`(state = 0 AND leased_until > ${time})`
    case "done":
      return sql`state = 1`
    case "dead":
      return sql`state = 2`
  }
}

/** What matches a filter, as a condition. */
export const condition = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  words: Words,
  tables: Tables,
  filter: OutboxStore.Filter,
  now: number
): Effect.fn.Return<Fragment, SqlError> {
  const { error, ids, key, names, newerThan, olderThan, payload, queues, reasons, states } = filter
  const all: Array<Fragment> = []
  const oneOf = (fragments: ReadonlyArray<Fragment>) =>
    all.push(fragments.length === 0 ? sql.literal(nothing) : sql.or(fragments))
  if (ids !== undefined) all.push(words.areIds(ids))
  if (states !== undefined) oneOf([...new Set(states)].map((state) => stateIs(sql, state, now)))
  if (reasons !== undefined) all.push(words.isIn("reason", reasons))
  if (queues !== undefined) all.push(words.isIn("queue", queues))
  if (key !== undefined) all.push(sql`key = ${clean(key)}`)
  if (olderThan !== undefined) all.push(sql`created_at < CAST(${now - duration(olderThan)} AS bigint)`)
  if (newerThan !== undefined) all.push(sql`created_at > CAST(${now - duration(newerThan)} AS bigint)`)
  if (error !== undefined) all.push(words.contains("error", clean(error)))
  for (const { equals, path } of payload ?? []) all.push(words.payloadIs(path.map(clean), clean(equals)))
  if (names !== undefined) {
    const matches = names.map(compilePattern)
    const exact = names.filter((name) => typeof name === "string" && !name.includes("*")) as ReadonlyArray<string>
    const found = exact.length === names.length
      ? exact
      : (yield* sql<{ readonly name: string }>`SELECT DISTINCT name FROM ${sql.literal(tables.entries)}
          WHERE ${all.length === 0 ? sql`1 = 1` : sql.and(all)}`)
        .map(({ name }) => name).filter((name) => matches.some((matches) => matches(name)))
    all.push(words.isIn("name", found))
  }
  return all.length === 0 ? sql.literal("1 = 1") : sql.and(all)
})
