import * as PgClient from "@effect/sql-pg/PgClient"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "./command.ts"
import type { Maker } from "./index.ts"

/** Short, as the suite waits for it to run out. */
const lease = "2 seconds"

const subject = (
  name: string,
  crash: EngineSuite.Subject<any, any>["crash"]
): EngineSuite.Subject<any, any> => ({
  name,
  dispatcher: Outbox.dispatcher(),
  layerWorker: (group, { onDead: _, unknown, ...options } = {}) =>
    Outbox.layerWorker(group, {
      ...options,
      lease,
      pollInterval: "200 millis",
      retention: { unknown },
      cleanupInterval: "200 millis"
    }),
  dead: Effect.gen(function*() {
    const store = yield* OutboxStore.OutboxStore
    const entries = yield* store.find({ states: ["dead"] }, { limit: 1000 })
    return entries.map(({ error = "", id }) => ({ id, error }))
  }),
  deduplicates: true,
  crash
})

const crashOf = (engine: string, namespace: string): EngineSuite.Subject<any, any>["crash"] => ({
  command: Effect.sync(() => command(engine, namespace)),
  recovery: lease,
  keepsProgress: true
})

export const makeMemory: Maker = () => ({
  subject: subject("the outbox in memory", undefined),
  layer: Layer.fresh(MemoryOutboxStore.layer)
})

export const makeSqlite: Maker = (namespace, options) => {
  const filename = join(tmpdir(), `${namespace}.db`)
  const remove = Effect.sync(() => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${filename}${suffix}`, { force: true })
  })
  const client = SqliteClient.layer({ filename, synchronous: "OFF" })
  return {
    subject: subject("the outbox on SQLite", crashOf("outbox-sqlite", namespace)),
    layer: Layer.fresh(
      SqlOutboxStore.layer().pipe(
        Layer.provide(client),
        Layer.provide(options?.child === true ? Layer.empty : Layer.effectDiscard(Effect.addFinalizer(() => remove)))
      )
    )
  }
}

export const makePostgres: Maker = (namespace, options) => {
  const table = namespace
  const dropAll = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const tables = yield* sql<{ name: string }>`SELECT tablename AS name FROM pg_tables
      WHERE schemaname = current_schema() AND tablename LIKE ${`${table}%`}`
    for (const { name } of tables) yield* sql`DROP TABLE ${sql(name)} CASCADE`
  })
  const client = Layer.suspend(() =>
    PgClient.layer({
      url: Redacted.make(process.env["POSTGRES_URL"]!),
      maxConnections: 4,
      startupOptions: "-c synchronous_commit=off"
    })
  )
  const removed = Layer.effectDiscard(Effect.addFinalizer(() => Effect.orDie(dropAll))) as Layer.Layer<any>
  return {
    subject: subject("the outbox on PostgreSQL", crashOf("outbox-postgres", namespace)),
    layer: Layer.fresh(
      SqlOutboxStore.layer({ table }).pipe(
        Layer.provide(options?.child === true ? Layer.empty : removed),
        Layer.provide(client)
      )
    )
  }
}
