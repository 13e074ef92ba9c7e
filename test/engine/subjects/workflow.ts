import { NodeCrypto } from "@effect/platform-node"
import * as PgClient from "@effect/sql-pg/PgClient"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import { SqliteClient } from "effect-side-effects/sqlite"
import { WorkflowSideEffects } from "effect-side-effects/workflow"
import * as Cause from "effect/Cause"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcRef from "effect/RcRef"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { command } from "./command.ts"

/** How the maker of a subject is called. A child process must not remove what it shares. */
export interface Options {
  readonly child?: boolean | undefined
}

/** A workflow engine keeps no list of what failed, so what was handed over is noted. */
const noting = (ids: Set<string>) =>
  Layer.effect(
    WorkflowEngine.WorkflowEngine,
    Effect.map(WorkflowEngine.WorkflowEngine, (engine): WorkflowEngine.WorkflowEngine["Service"] => ({
      ...engine,
      execute: (workflow, options) => {
        ids.add(options.executionId.split("/").at(-1)!)
        return engine.execute(workflow, options)
      }
    }))
  )

const deadOf = (ids: Set<string>) =>
  Effect.gen(function*() {
    const dead: Array<EngineSuite.DeadJob> = []
    for (const id of ids) {
      const result = yield* WorkflowSideEffects.poll(id)
      if (Option.isNone(result) || result.value._tag !== "Complete" || result.value.exit._tag === "Success") continue
      const error = Cause.squash(result.value.exit.cause)
      dead.push({ id, error: error instanceof WorkflowSideEffects.SideEffectDead ? error.error : String(error) })
    }
    return dead
  })

/** Everything in this process, and gone with it. */
export const makeMemory = (_namespace: string): {
  readonly subject: EngineSuite.Subject<never, WorkflowEngine.WorkflowEngine>
  readonly layer: Layer.Layer<WorkflowEngine.WorkflowEngine>
} => {
  const ids = new Set<string>()
  return {
    subject: {
      name: "workflow in memory",
      dispatcher: WorkflowSideEffects.dispatcher(),
      layerWorker: WorkflowSideEffects.layerWorker,
      dead: deadOf(ids),
      deduplicates: true,
      crash: undefined
    },
    layer: noting(ids).pipe(Layer.provide(Layer.fresh(WorkflowEngine.layerMemory)))
  }
}

/** A runner of a cluster that is reached through its database only; without an address, a client of one. */
const runner = (prefix: string, ids: Set<string>, port: number | undefined) =>
  noting(ids).pipe(
    Layer.provide(ClusterWorkflowEngine.layer),
    Layer.provide(Sharding.layer),
    Layer.provide(Runners.layerNoop),
    Layer.provide(SqlMessageStorage.layerWith({ prefix })),
    Layer.provide([Layer.orDie(SqlRunnerStorage.layerWith({ prefix })), RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer({
      runnerAddress: port === undefined ? Option.none() : Option.some(RunnerAddress.make("127.0.0.1", port)),
      shardsPerGroup: 16,
      shardLockDisableAdvisory: true,
      shardLockExpiration: "4 seconds",
      shardLockRefreshInterval: "1 second",
      refreshAssignmentsInterval: "300 millis",
      entityMessagePollInterval: "200 millis",
      entityReplyPollInterval: "200 millis",
      entityTerminationTimeout: "5 seconds",
      simulateRemoteSerialization: false
    })),
    Layer.provide(NodeCrypto.layer),
    Layer.fresh
  )

/** Ports of the runners that live in this process. A child has its own. */
const taken = new Map<string, Set<number>>()

const port = (prefix: string, child: boolean) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const ports = taken.get(prefix) ?? new Set()
      taken.set(prefix, ports)
      let port = child ? 2000 + process.pid : 1000
      while (ports.has(port)) port++
      ports.add(port)
      return port
    }),
    (port) => Effect.sync(() => void taken.get(prefix)?.delete(port))
  )

/** The runner of this process, as long as it has a worker. */
class Runner extends Context.Service<Runner, RcRef.RcRef<Context.Context<WorkflowEngine.WorkflowEngine>>>()(
  "test/engine/subjects/workflow/Runner"
) {}

type Connection = Runner | WorkflowEngine.WorkflowEngine

const inCluster = <E>(
  name: string,
  engine: string,
  namespace: string,
  database: Layer.Layer<SqlClient.SqlClient, E>,
  { child = false }: Options
): {
  readonly subject: EngineSuite.Subject<E, Connection>
  readonly layer: Layer.Layer<Connection, E>
} => {
  const prefix = prefixOf(namespace)
  const ids = new Set<string>()
  return {
    subject: {
      name,
      dispatcher: WorkflowSideEffects.dispatcher(),
      layerWorker: ((group: any, options: any) =>
        WorkflowSideEffects.layerWorker(group, options).pipe(
          Layer.provide(Layer.effectContext(Effect.flatMap(Runner, RcRef.get)))
        )) as any,
      dead: deadOf(ids),
      patience: "20 seconds",
      deduplicates: true,
      crash: {
        command: Effect.sync(() => command(engine, namespace)),
        recovery: "8 seconds",
        keepsProgress: true
      }
    },
    layer: Layer.merge(
      runner(prefix, ids, undefined),
      Layer.effect(
        Runner,
        RcRef.make({
          acquire: Effect.flatMap(port(prefix, child), (port) => Layer.build(runner(prefix, ids, port)))
        })
      )
    ).pipe(Layer.provide(database))
  }
}

const prefixOf = (namespace: string) => namespace.replaceAll(/\W/g, "_").toLowerCase().slice(-40)

/** A cluster on a SQLite file in the directory for temporary files. */
export const makeSqlite = (namespace: string, options: Options = {}) => {
  const filename = join(tmpdir(), `${prefixOf(namespace)}.db`)
  const remove = Effect.sync(() => {
    if (options.child !== true) { for (const end of ["", "-wal", "-shm"]) rmSync(`${filename}${end}`, { force: true }) }
  })
  const database = SqliteClient.layer({ filename, synchronous: "OFF" }).pipe(
    Layer.provide(Layer.effectDiscard(Effect.acquireRelease(remove, () => remove))),
    Layer.fresh
  )
  return inCluster("workflow in a cluster on SQLite", "workflow-sqlite", namespace, database, options)
}

/** A cluster on PostgreSQL: tables that begin with the namespace. */
export const makePostgres = (namespace: string, options: Options = {}) => {
  const prefix = prefixOf(namespace)
  const dropAll = Effect.gen(function*() {
    if (options.child === true) return
    const sql = yield* SqlClient.SqlClient
    const tables = yield* sql<{ name: string }>`SELECT tablename AS name FROM pg_tables
      WHERE schemaname = current_schema() AND tablename LIKE ${`${prefix}%`}`
    for (const { name } of tables) yield* sql`DROP TABLE ${sql(name)} CASCADE`
  })
  const database = Layer.effectDiscard(Effect.acquireRelease(dropAll, () => Effect.orDie(dropAll))).pipe(
    Layer.provideMerge(Layer.suspend(() =>
      PgClient.layer({
        url: Redacted.make(process.env["POSTGRES_URL"]!),
        maxConnections: 8,
        startupOptions: "-c synchronous_commit=off"
      })
    )),
    Layer.fresh
  )
  return inCluster("workflow in a cluster on PostgreSQL", "workflow-postgres", namespace, database, options)
}
