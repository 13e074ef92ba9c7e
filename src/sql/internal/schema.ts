import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** The databases this runs on. */
export type Dialect = "pg" | "sqlite"

/** The tables, quoted, as they stand in statements. */
export interface Tables {
  /** The name that was given. */
  readonly name: string
  readonly entries: string
  readonly attempts: string
  readonly keys: string
  readonly pauses: string
  readonly workers: string
  readonly migrations: string
}

export const defaultTable = "side_effects_outbox"

/** Of the schema that this release needs. */
export const version = 1

// PostgreSQL cuts names at 63 bytes, and what is added to this one is up to 19 long.
const longestName = 40

/** What a name is called in statements; a dot is between a schema and a table. */
const quote = (name: string): string => name.split(".").map((part) => `"${part.replaceAll("\"", "\"\"")}"`).join(".")

const unqualified = (name: string): string => name.slice(name.lastIndexOf(".") + 1)

export const tablesOf = (name: string): Tables => {
  if (unqualified(name) === "" || unqualified(name).length > longestName) {
    throw new Error(
      `The table ${
        JSON.stringify(name)
      } of an outbox: its name must have 1 to ${longestName} characters. Give \`table\` ` +
        "another one."
    )
  }
  return {
    name,
    entries: quote(name),
    attempts: quote(`${name}_attempts`),
    keys: quote(`${name}_keys`),
    pauses: quote(`${name}_pauses`),
    workers: quote(`${name}_workers`),
    migrations: quote(`${name}_migrations`)
  }
}

// -- What there is ----------------------------------------------------------------------------------------------------

/** A column: its name, and its type on PostgreSQL and on SQLite. */
type Column = readonly [name: string, pg: string, sqlite: string]

interface Table {
  readonly suffix: string
  readonly columns: ReadonlyArray<Column>
  readonly constraint?: string
  readonly pg?: string
}

const text = (name: string, constraint = ""): Column => [name, `text${constraint}`, `TEXT${constraint}`]
// Names are compared often, and no language has to sort them.
const word = (name: string): Column => [name, "text COLLATE \"C\" NOT NULL", "TEXT NOT NULL"]
const int = (name: string, constraint = ""): Column => [name, `integer${constraint}`, `INTEGER${constraint}`]
const bigint = (name: string, constraint = ""): Column => [name, `bigint${constraint}`, `INTEGER${constraint}`]

const identity: Column = [
  "seq",
  "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  "INTEGER PRIMARY KEY AUTOINCREMENT"
]

const tables: ReadonlyArray<Table> = [
  {
    suffix: "",
    columns: [
      identity,
      ["id", "uuid NOT NULL UNIQUE", "TEXT NOT NULL UNIQUE"],
      word("queue"),
      word("name"),
      int("rank", " NOT NULL"),
      ["payload", "json NOT NULL", "TEXT NOT NULL"],
      text("redacted"),
      text("key"),
      text("origin"),
      text("metadata"),
      text("trace"),
      text("replay_of"),
      ["state", "smallint NOT NULL DEFAULT 0", "INTEGER NOT NULL DEFAULT 0"],
      text("reason"),
      int("attempts", " NOT NULL DEFAULT 0"),
      int("failures", " NOT NULL DEFAULT 0"),
      int("crashes", " NOT NULL DEFAULT 0"),
      text("failed_at", " NOT NULL DEFAULT ''"),
      bigint("visible_at", " NOT NULL"),
      bigint("lease"),
      bigint("leased_until", " NOT NULL DEFAULT 0"),
      text("worker"),
      bigint("started_at"),
      bigint("finished_at"),
      ["elapsed", "double precision", "REAL"],
      text("error"),
      bigint("created_at", " NOT NULL")
    ],
    // A claim changes nothing that is in an index, so its new version needs only room on the page of the old one. A queue
    // is small, and most of its rows are dead soon: cleaned often, it stays so.
    pg: " WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05, " +
      "autovacuum_vacuum_insert_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0)"
  },
  {
    suffix: "_attempts",
    columns: [
      identity,
      bigint("entry", " NOT NULL"),
      int("attempt", " NOT NULL"),
      text("outcome", " NOT NULL"),
      bigint("started_at", " NOT NULL"),
      ["elapsed", "double precision", "REAL"],
      text("worker", " NOT NULL"),
      text("error")
    ]
  },
  {
    suffix: "_keys",
    columns: [
      word("name"),
      text("key", " NOT NULL"),
      ["id", "uuid NOT NULL", "TEXT NOT NULL"],
      bigint("taken_at", " NOT NULL"),
      bigint("until", " NOT NULL")
    ],
    constraint: "PRIMARY KEY (name, key)"
  },
  {
    suffix: "_pauses",
    columns: [text("kind", " NOT NULL"), text("what", " NOT NULL"), bigint("since", " NOT NULL")],
    constraint: "PRIMARY KEY (kind, what)"
  },
  {
    suffix: "_workers",
    columns: [
      ["id", "text PRIMARY KEY", "TEXT PRIMARY KEY NOT NULL"],
      text("names", " NOT NULL"),
      text("queues"),
      bigint("started_at", " NOT NULL"),
      bigint("seen_at", " NOT NULL")
    ]
  }
]

interface Index {
  readonly suffix: string
  readonly table: string
  readonly on: string
}

const indexes: ReadonlyArray<Index> = [
  { suffix: "_due", table: "", on: "(queue, name, rank, visible_at, seq) WHERE state = 0" },
  { suffix: "_crashed", table: "", on: "(visible_at) WHERE state = 0 AND crashes > 0" },
  { suffix: "_dead", table: "", on: "(reason, name, seq) WHERE state = 2" },
  { suffix: "_attempts_entry", table: "_attempts", on: "(entry)" },
  { suffix: "_keys_until", table: "_keys", on: "(until)" }
]

// -- Making it --------------------------------------------------------------------------------------------------------

const createTable = (name: string, dialect: Dialect, { columns, constraint, pg, suffix }: Table): string => {
  const lines = [
    ...columns.map(([column, pg, sqlite]) => `${column} ${dialect === "pg" ? pg : sqlite}`),
    ...(constraint === undefined ? [] : [constraint])
  ]
  return `CREATE TABLE IF NOT EXISTS ${quote(name + suffix)} (\n  ${lines.join(",\n  ")}\n)` +
    (dialect === "pg" ? pg ?? "" : "")
}

// On SQLite it is the index that bears the schema, on PostgreSQL the table.
const createIndex = (name: string, dialect: Dialect, { on, suffix, table }: Index): string =>
  dialect === "pg"
    ? `CREATE INDEX IF NOT EXISTS ${quote(unqualified(name) + suffix)} ON ${quote(name + table)} ${on}`
    : `CREATE INDEX IF NOT EXISTS ${quote(name + suffix)} ON ${quote(unqualified(name) + table)} ${on}`

const migrations: ReadonlyArray<{
  readonly name: string
  readonly statements: (name: string, dialect: Dialect) => ReadonlyArray<string>
}> = [
  {
    name: "outbox",
    statements: (name, dialect) => [
      ...tables.map((table) => createTable(name, dialect, table)),
      ...indexes.map((index) => createIndex(name, dialect, index))
    ]
  }
]

/** The schema as text, with the record that it is there. */
export const script = (name: string, dialect: Dialect): string => {
  const { migrations: record } = tablesOf(name)
  const created = dialect === "pg"
    ? "timestamp with time zone not null default now()"
    : "datetime NOT NULL DEFAULT current_timestamp"
  return [
    `CREATE TABLE IF NOT EXISTS ${record} (\n  migration_id integer PRIMARY KEY NOT NULL,\n  created_at ${created},\n` +
    "  name text NOT NULL\n)",
    ...migrations.flatMap((migration, index) => [
      ...migration.statements(name, dialect),
      `INSERT INTO ${record} (migration_id, name) VALUES (${index + 1}, '${migration.name}') ON CONFLICT DO NOTHING`
    ])
  ].map((statement) => `${statement};\n`).join("\n")
}

/** Brings the schema to this version, from whichever is there. */
export const migrate = (
  sql: SqlClient.SqlClient,
  name: string,
  dialect: Dialect
): Effect.Effect<void, Migrator.MigrationError | SqlError> =>
  Migrator.make({})({
    table: `${tablesOf(name).name}_migrations`,
    loader: Migrator.fromRecord(Object.fromEntries(migrations.map((migration, index) => [
      `${index + 1}_${migration.name}`,
      Effect.forEach(migration.statements(name, dialect), (statement) => sql.unsafe(statement), { discard: true })
    ])))
  }).pipe(Effect.provideService(SqlClient.SqlClient, sql), Effect.asVoid)

// -- Looking at it ----------------------------------------------------------------------------------------------------

/** What is in the database of what should be: its version, and the names of what is not there. */
export const inspect = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  name: string,
  dialect: Dialect
): Effect.fn.Return<
  { readonly version: number; readonly missing: ReadonlyArray<string>; readonly tables: ReadonlySet<string> },
  SqlError
> {
  const found = dialect === "pg" ? yield* inspectPostgres(sql, name) : yield* inspectSqlite(sql, name)
  const missing = [
    ...tables.flatMap(({ columns, suffix }) => {
      const there = found.columns.get(unqualified(name) + suffix)
      return there === undefined
        ? [`table ${name}${suffix}`]
        : columns.filter(([column]) => !there.has(column)).map(([column]) => `column ${name}${suffix}.${column}`)
    }),
    ...indexes.filter(({ suffix }) => !found.indexes.has(unqualified(name) + suffix))
      .map(({ suffix }) => `index ${unqualified(name)}${suffix}`)
  ]
  const record = `${unqualified(name)}_migrations`
  const rows = found.columns.has(record)
    ? yield* sql.unsafe<{ readonly version: number | null }>(
      `SELECT max(migration_id) AS version FROM ${quote(`${name}_migrations`)}`
    )
    : []
  return { version: rows[0]?.version ?? 0, missing, tables: new Set(found.columns.keys()) }
})

interface Found {
  readonly columns: Map<string, Set<string>>
  readonly indexes: Set<string>
}

const foundIn = (
  columns: ReadonlyArray<{ readonly t: string; readonly c: string }>,
  indexes: ReadonlyArray<{ readonly i: string }>
): Found => {
  const byTable = new Map<string, Set<string>>()
  for (const { c, t } of columns) byTable.set(t, (byTable.get(t) ?? new Set()).add(c))
  return { columns: byTable, indexes: new Set(indexes.map(({ i }) => i)) }
}

const inspectPostgres = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, name: string) {
  const candidates = JSON.stringify([...tables.map(({ suffix }) => suffix), "_migrations"].map((s) => quote(name + s)))
  const columns = yield* sql.unsafe<{ readonly t: string; readonly c: string }>(
    `SELECT c.relname::text AS t, a.attname::text AS c FROM json_array_elements_text($1::json) AS n(name)
    JOIN pg_class c ON c.oid = to_regclass(n.name) JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped`,
    [candidates]
  )
  const indexes = yield* sql.unsafe<{ readonly i: string }>(
    `SELECT c.relname::text AS i FROM json_array_elements_text($1::json) AS n(name)
    JOIN pg_index x ON x.indrelid = to_regclass(n.name) JOIN pg_class c ON c.oid = x.indexrelid WHERE x.indisvalid`,
    [candidates]
  )
  return foundIn(columns, indexes)
})

const inspectSqlite = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, name: string) {
  const schema = name.includes(".") ? `${quote(name.slice(0, name.lastIndexOf(".")))}.` : ""
  const columns = yield* sql.unsafe<{ readonly t: string; readonly c: string }>(
    `SELECT m.name AS t, c.name AS c FROM ${schema}sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'`
  )
  const indexes = yield* sql.unsafe<{ readonly i: string }>(
    `SELECT name AS i FROM ${schema}sqlite_master WHERE type = 'index'`
  )
  return foundIn(columns, indexes)
})
