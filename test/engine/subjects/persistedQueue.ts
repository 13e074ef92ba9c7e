import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import { PersistedQueueSideEffects } from "effect-side-effects/persisted-queue"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "./command.ts"
import type { Made, Maker } from "./index.ts"

/** A lost process is noticed within seconds. */
export const quick = {
  pollInterval: "50 millis",
  lockRefreshInterval: "700 millis",
  lockExpiration: "3 seconds"
} as const

const made = (
  layer: Layer.Layer<any, any>,
  options: Pick<EngineSuite.Subject<any, any>, "name" | "dead" | "crash" | "patience">
): Made => ({
  layer: Layer.fresh(layer),
  subject: {
    ...options,
    dispatcher: PersistedQueueSideEffects.dispatcher({ queues: ["elsewhere"] }),
    layerWorker: PersistedQueueSideEffects.layerWorker as any,
    deduplicates: true
  }
})

/** The job knows the id of the intent; what is no job has none. */
const deadJob = (id: string, element: any, error: string): EngineSuite.DeadJob => ({ id: element?.id ?? id, error })

// --- in memory, where nobody can be asked what has failed ---

class Failed extends Context.Service<Failed, Array<EngineSuite.DeadJob>>()("test/persisted-queue/Failed") {}

const Watched = Layer.effectContext(Effect.gen(function*() {
  const store = yield* PersistedQueue.PersistedQueueStore
  const failed: Array<EngineSuite.DeadJob> = []
  return Context.make(Failed, failed).pipe(
    Context.add(PersistedQueue.PersistedQueueStore, {
      ...store,
      take: (options) =>
        Effect.tap(store.take(options), ({ element, id }) =>
          Effect.addFinalizer((exit) =>
            Effect.sync(() => {
              if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
              failed.push(deadJob(id, element, Cause.pretty(exit.cause)))
            })
          ))
    })
  )
})).pipe(Layer.provide(PersistedQueue.layerStoreMemory))

export const makeMemory: Maker = () =>
  made(Watched, {
    name: "persisted-queue in memory",
    dead: Effect.map(Failed, (failed) => [...failed]),
    crash: undefined
  })

// --- on Redis ---

const keysOf = (pattern: string) => Redis.Redis.use(({ send }) => send<ReadonlyArray<string>>("KEYS", pattern))

export const makeRedis: Maker = (namespace, options) => {
  const prefix = `persisted-queue:${namespace}:`
  const Removed = Layer.effectDiscard(Effect.acquireRelease(Effect.void, () =>
    Effect.gen(function*() {
      const keys = yield* keysOf(`${prefix}*`)
      if (keys.length > 0) yield* (yield* Redis.Redis).send("DEL", ...keys)
    }).pipe(Effect.orDie)))
  return made(
    PersistedQueue.layerStoreRedis({ prefix, ...quick }).pipe(
      Layer.provideMerge(options?.child === true ? Layer.empty : Removed),
      Layer.provideMerge(Layer.suspend(() => NodeRedis.layer({ url: process.env["REDIS_URL"]! })))
    ),
    {
      name: "persisted-queue on Redis",
      dead: Effect.gen(function*() {
        const { send } = yield* Redis.Redis
        const records: Array<string> = []
        for (const key of yield* keysOf(`${prefix}*:failed`)) {
          records.push(...(yield* send<ReadonlyArray<string>>("LRANGE", key, "0", "-1")))
        }
        return records.map((record) => {
          const { element, id, lastFailure } = JSON.parse(record)
          return deadJob(id, element, lastFailure)
        })
      }),
      crash: {
        command: Effect.sync(() => command("persisted-queue-redis", namespace)),
        recovery: "15 seconds",
        keepsProgress: true
      }
    }
  )
}

// --- on SQL ---

const makeSql = (
  engine: string,
  name: string,
  namespace: string,
  Database: Layer.Layer<any, any>,
  Removed: (table: string) => Layer.Layer<never, any, SqlClient.SqlClient>
): Made => {
  const table = `pq_${namespace.replaceAll(/[^A-Za-z0-9]/g, "_")}`
  return made(
    PersistedQueue.layerStoreSql({ tableName: table, ...quick }).pipe(
      Layer.provideMerge(Removed(table)),
      Layer.provideMerge(Database)
    ),
    {
      name: `persisted-queue on ${name}`,
      dead: Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql<{ id: string; element: string; last_failure: string }>`
          SELECT id, element, last_failure FROM ${sql(table)} WHERE state = 'failed'`
        return rows.map(({ element, id, last_failure }) => deadJob(id, JSON.parse(element), last_failure))
      }),
      // Delays are whole seconds there, and up to one more.
      patience: "20 seconds",
      crash: { command: Effect.sync(() => command(engine, namespace)), recovery: "15 seconds", keepsProgress: true }
    }
  )
}

export const makePostgres: Maker = (namespace, options) =>
  makeSql(
    "persisted-queue-postgres",
    "PostgreSQL",
    namespace,
    Layer.suspend(() =>
      PgClient.layer({
        url: Redacted.make(process.env["POSTGRES_URL"]!),
        maxConnections: 4,
        startupOptions: "-c synchronous_commit=off"
      })
    ),
    (table) =>
      options?.child === true ?
        Layer.empty :
        Layer.effectDiscard(Effect.acquireRelease(Effect.void, () =>
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            yield* sql`DROP TABLE IF EXISTS ${sql(table)}, ${sql(`${table}_migrations`)}`
          }).pipe(Effect.orDie)))
  )

export const makeSqlite: Maker = (namespace, options) => {
  const filename = join(tmpdir(), `persisted-queue-${namespace}.db`)
  const Removed = Layer.effectDiscard(Effect.acquireRelease(Effect.void, () =>
    Effect.sync(() => {
      for (const end of ["", "-wal", "-shm"]) rmSync(filename + end, { force: true })
    })))
  const Database = SqliteClient.layer({ filename, synchronous: "OFF" })
  return makeSql(
    "persisted-queue-sqlite",
    "SQLite",
    namespace,
    options?.child === true ? Database : Layer.provideMerge(Database, Removed),
    () => Layer.empty
  )
}
