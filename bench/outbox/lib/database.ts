import { Client, Pool } from "pg"

/** Everything is in a database of its own, which is made at the start of a run and dropped at its end. */
const server = new URL(process.env["POSTGRES_URL"] ?? "postgres://postgres@127.0.0.1:5432/postgres")

const name = "bench_outbox"

export const url: string = Object.assign(new URL(server), { pathname: `/${name}` }).href

export const redisUrl: string = process.env["REDIS_URL"] ?? "redis://127.0.0.1:6379"

export const pool = (max = 10): Pool => new Pool({ connectionString: url, max })

const at = async (connectionString: string, statements: ReadonlyArray<string>): Promise<ReadonlyArray<any>> => {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    let rows: ReadonlyArray<any> = []
    for (const statement of statements) rows = (await client.query(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}

/** Runs statements one after the other, outside a transaction. Returns the rows of the last. */
export const query = (...statements: ReadonlyArray<string>): Promise<ReadonlyArray<any>> => at(url, statements)

const drop = `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`

export const createDatabase = (): Promise<unknown> => at(server.href, [drop, `CREATE DATABASE ${name}`])

export const dropDatabase = (): Promise<unknown> => at(server.href, [drop])

/** So that nobody pays for what another has left behind. */
export const settle = (): Promise<unknown> => query("VACUUM (ANALYZE)", "CHECKPOINT")

export const describeServer = async (): Promise<string> => {
  const rows = await query(
    "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'fsync', 'synchronous_commit') ORDER BY name"
  )
  const of = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
  return `PostgreSQL ${of.server_version}, fsync ${of.fsync}, synchronous_commit ${of.synchronous_commit}`
}
