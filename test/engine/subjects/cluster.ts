import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as PgClient from "@effect/sql-pg/PgClient"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "./command.ts"
import type { Made, Maker } from "./index.ts"

// A cluster that is reached through its database only: the connection is a client of it, and each worker brings a runner.

let runners = 0

/** No two on a machine have the same. */
const addressOf = () => RunnerAddress.make(`process-${process.pid}`, ++runners)

const cluster = (prefix: string, runner: boolean) =>
  Layer.suspend(() =>
    Sharding.layer.pipe(
      Layer.provide(Runners.layerNoop),
      Layer.provideMerge(SqlMessageStorage.layerWith({ prefix })),
      Layer.provide([Layer.orDie(SqlRunnerStorage.layerWith({ prefix })), RunnerHealth.layerNoop]),
      Layer.provide(ClusterSideEffects.layerShardingConfig({
        runnerAddress: runner ? Option.some(addressOf()) : Option.none(),
        shardsPerGroup: 16,
        // Long enough for a machine on which much else runs: a lock that is not refreshed in time is lost.
        shardLockExpiration: "9 seconds",
        refreshAssignmentsInterval: "200 millis",
        entityMessagePollInterval: "50 millis"
      })),
      Layer.provide(NodeCrypto.layer)
    )
  )

/** What failed, from the answers that are kept. */
const deadOf = (prefix: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<{ job: string; exit: string }>`SELECT m.payload AS job, r.payload AS exit
      FROM ${sql(`${prefix}_messages`)} m JOIN ${sql(`${prefix}_replies`)} r ON r.request_id = m.id AND r.kind = 0`
    return rows.flatMap((row): ReadonlyArray<EngineSuite.DeadJob> => {
      const exit = JSON.parse(row.exit)
      if (exit._tag === "Success") return []
      return [{ id: JSON.parse(row.job).job.id, error: JSON.stringify(exit) }]
    })
  })

const made = (
  name: string,
  engine: string,
  namespace: string,
  prefix: string,
  database: Layer.Layer<SqlClient.SqlClient, any>
): Made => ({
  subject: {
    name,
    dispatcher: ClusterSideEffects.dispatcher(),
    layerWorker:
      ((group: any, options: any) =>
        ClusterSideEffects.layerWorker(group, options).pipe(Layer.provide(Layer.fresh(cluster(prefix, true))))) as any,
    dead: deadOf(prefix),
    patience: "20 seconds",
    deduplicates: true,
    crash: {
      command: Effect.sync(() => command(engine, namespace)),
      recovery: "12 seconds",
      keepsProgress: true
    }
  },
  layer: cluster(prefix, false).pipe(Layer.provideMerge(database), Layer.fresh)
})

const prefixOf = (namespace: string) => namespace.replaceAll(/\W/g, "_").toLowerCase().slice(-40)

/** A cluster on a SQLite file in the directory for temporary files. */
export const makeSqlite: Maker = (namespace, options) => {
  const prefix = prefixOf(namespace)
  const filename = join(tmpdir(), `${prefix}.db`)
  const remove = Effect.sync(() => {
    if (options?.child === true) return
    for (const end of ["", "-wal", "-shm"]) rmSync(`${filename}${end}`, { force: true })
  })
  const database = SqliteClient.layer({ filename, synchronous: "OFF" }).pipe(
    Layer.provide(Layer.effectDiscard(Effect.acquireRelease(remove, () => remove)))
  )
  return made("cluster on SQLite", "cluster-sqlite", namespace, prefix, database)
}

/** A cluster on PostgreSQL: tables that begin with the namespace. */
export const makePostgres: Maker = (namespace, options) => {
  const prefix = prefixOf(namespace)
  const dropAll = Effect.gen(function*() {
    if (options?.child === true) return
    const sql = yield* SqlClient.SqlClient
    const tables = yield* sql<{ name: string }>`SELECT tablename AS name FROM pg_tables
      WHERE schemaname = current_schema() AND tablename LIKE ${`${prefix}%`}`
    for (const { name } of tables) yield* sql`DROP TABLE ${sql(name)} CASCADE`
  })
  const database = Layer.effectDiscard(Effect.acquireRelease(dropAll, () => Effect.orDie(dropAll))).pipe(
    Layer.provideMerge(Layer.suspend(() =>
      PgClient.layer({
        url: Redacted.make(process.env["POSTGRES_URL"]!),
        maxConnections: 6,
        startupOptions: "-c synchronous_commit=off"
      })
    ))
  )
  return made("cluster on PostgreSQL", "cluster-postgres", namespace, prefix, database)
}
