import type * as EngineSuite from "effect-side-effects/engine/testing"
import { PgBossSideEffects } from "effect-side-effects/pg-boss"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Client } from "pg"
import { command } from "./command.ts"
import type { Maker } from "./index.ts"

const url = (): string => process.env["POSTGRES_URL"]!

/** Removes a schema. */
export const removed = (schema: string): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.acquireRelease(Effect.void, () =>
    Effect.promise(async () => {
      const client = new Client({ connectionString: url() })
      await client.connect()
      await client.query(`SET client_min_messages = warning; DROP SCHEMA IF EXISTS ${schema} CASCADE`)
      await client.end()
    })))

/** A PgBoss in a schema of its own. A lost process is noticed within seconds. */
export const connection = (schema: string): Layer.Layer<PgBossSideEffects.Boss> =>
  Layer.suspend(() =>
    PgBossSideEffects.layer({
      connectionString: url(),
      schema,
      max: 4,
      options: "-c synchronous_commit=off",
      superviseIntervalSeconds: 1,
      monitorIntervalSeconds: 1,
      schedule: false,
      lease: "2 seconds"
    })
  ).pipe(Layer.orDie)

export const make: Maker = (namespace, options) => ({
  layer: connection(namespace).pipe(
    Layer.provideMerge(options?.child === true ? Layer.empty : removed(namespace)),
    Layer.fresh
  ),
  subject: {
    name: "pg-boss",
    dispatcher: PgBossSideEffects.dispatcher({ queues: ["elsewhere"] }),
    layerWorker: (group, options) => PgBossSideEffects.layerWorker(group, { pollInterval: "200 millis", ...options }),
    dead: Effect.gen(function*() {
      const { boss, schema } = yield* PgBossSideEffects.Boss
      const { rows } = yield* Effect.promise(() =>
        boss.getDb().executeSql(`SELECT id, output FROM ${schema}.job WHERE state = 'failed'`)
      )
      return rows.map(({ id, output }): EngineSuite.DeadJob => ({ id, error: output.stack ?? output.message }))
    }),
    deduplicates: true,
    crash: {
      command: Effect.sync(() => command("pg-boss", namespace)),
      recovery: "6 seconds",
      keepsProgress: true
    }
  }
})
