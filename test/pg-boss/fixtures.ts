import * as PgClient from "@effect/sql-pg/PgClient"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { PgBossSideEffects } from "effect-side-effects/pg-boss"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Net from "node:net"

import type { Intent } from "../../src/index.ts"
import { connection, removed } from "../engine/subjects/pgBoss.ts"
import { logs } from "../fixtures.ts"

export const url = process.env["POSTGRES_URL"]

export class Job extends SideEffect.make("jobs:run", { description: "Run a job.", payload: { id: Schema.String } }) {}
export class Remark
  extends SideEffect.make("jobs:remark", { description: "Remark something, or nothing.", payload: Schema.Json })
{}
/** It says what it is told to. */
export class Unanswered extends Schema.TaggedError<Unanswered>()("Unanswered", { message: Schema.String }) {}

export const Jobs = SideEffectGroup.make("jobs").add(Job, Remark)

export const job = (id: string, options?: Intent.Options) => SideEffects.enqueue(Job, { id }, options)
export const jobs = (...ids: ReadonlyArray<string>) => SideEffects.boundary(Effect.forEach(ids, (id) => job(id)))

/** A PgBoss and a client in a schema that tests of one file share. */
export const shared = (schema: string) =>
  connection(schema).pipe(
    Layer.provideMerge(removed(schema)),
    Layer.merge(
      Layer.orDie(Layer.suspend(() => PgClient.layer({ url: Redacted.make(url!), maxConnections: 4 })))
    )
  )

/** A row of pg-boss, as far as tests look at it. */
export interface Row {
  readonly id: string
  readonly state: string
  readonly data: any
  readonly output: any
  readonly priority: number
  readonly retry_count: number
  readonly retry_limit: number
  readonly singleton_key: string | null
  readonly group_id: string | null
  readonly heartbeat_seconds: number | null
  readonly expire_seconds: number
  readonly deletion_seconds: number
  /** In seconds, from when it was made, and from when it is due. */
  readonly wait: number
  readonly keep: number
  /** In seconds, until it was over. */
  readonly lived: number
}

/** A way to the database on which, once it is frozen, nothing moves any more. */
export const proxied = Effect.gen(function*() {
  const { hostname, port } = new URL(url!)
  const sockets = new Set<Net.Socket>()
  let frozen = false
  const server = Net.createServer((client) => {
    const database = Net.connect(Number(port || 5432), hostname)
    const join = (from: Net.Socket, to: Net.Socket) => {
      sockets.add(from)
      from.on("data", (data) => frozen || to.write(data))
      from.on("close", () => to.destroy())
      from.on("error", () => {})
    }
    join(client, database)
    join(database, client)
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )
  const way = new URL(url!)
  way.hostname = "127.0.0.1"
  way.port = String((server.address() as Net.AddressInfo).port)
  return { url: way.href, freeze: () => void (frozen = true) }
})

let count = 0

/** A body with a queue of its own, which is `"default"` there. `lines` is what is logged. */
export const inQueue = <A, E, R>(
  body: (stage: Stage) => Effect.Effect<A, E, R>,
  settings: PgBossSideEffects.Settings = {}
) =>
  Effect.gen(function*() {
    const { boss, schema } = yield* PgBossSideEffects.Boss
    const queue = settings.queue ?? `queue-${count++}`
    const { layer: logger, lines } = logs()
    const own = PgBossSideEffects.layerBoss(boss, { schema, queue, lease: "2 seconds", ...settings })
    const execute = (text: string, values: ReadonlyArray<unknown> = []) =>
      Effect.promise(() => boss.getDb().executeSql(text, [...values]))
    const rows = Effect.map(
      execute(
        `SELECT *, extract(epoch from start_after - created_on)::float8 AS wait,
           extract(epoch from keep_until - start_after)::float8 AS keep,
           extract(epoch from completed_on - created_on)::float8 AS lived
         FROM ${schema}.job WHERE name = $1 ORDER BY data->'payload'->>'id', id`,
        [queue]
      ),
      ({ rows }) => rows as ReadonlyArray<Row>
    )
    const stage: Stage = {
      boss,
      schema,
      queue,
      lines,
      execute,
      rows,
      until: (holds) =>
        Effect.repeat(Effect.delay(rows, "10 millis"), { until: holds }).pipe(
          Effect.timeoutOrElse({
            duration: "12 seconds",
            orElse: () => Effect.flatMap(rows, (rows) => Effect.die(new Error(`still: ${JSON.stringify(rows)}`)))
          })
        ),
      work: (handle, options) => work(handle, options),
      live: (effect, dispatcher = PgBossSideEffects.dispatcher()) =>
        Effect.provide(effect, SideEffects.LiveLayer(Jobs, { dispatcher: dispatcher as any })) as any
    }
    return yield* Effect.scoped(body(stage)).pipe(Effect.provide(Layer.merge(own, logger)))
  })

export interface Stage {
  readonly boss: PgBossSideEffects.Boss["Service"]["boss"]
  readonly schema: string
  readonly queue: string
  readonly lines: Array<string>
  readonly execute: (
    text: string,
    values?: ReadonlyArray<unknown>
  ) => Effect.Effect<{ readonly rows: ReadonlyArray<any> }>
  readonly rows: Effect.Effect<ReadonlyArray<Row>>
  /** Waits until the rows are like that, and answers with them. */
  readonly until: (holds: (rows: ReadonlyArray<Row>) => boolean) => Effect.Effect<ReadonlyArray<Row>>
  readonly work: typeof work
  readonly live: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    dispatcher?: unknown
  ) => Effect.Effect<A, E, any>
}

export type Handle = (payload: any, delivery: SideEffect.Delivery) => Effect.Effect<unknown, unknown, any>

/** A worker that begins now. It ends with the scope, or when it is closed. */
const work = Effect.fnUntraced(function*(
  handle: Handle,
  { handling, ...options }: PgBossSideEffects.WorkerOptions & {
    readonly handling?: SideEffect.HandlerOptions<any, any, any> | undefined
  } = {}
) {
  const scope = yield* Scope.make()
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  const handlers = Layer.merge(
    Job.toLayer((payload, delivery) => handle(payload, delivery as any), handling),
    Remark.toLayer((payload, delivery) => handle(payload, delivery as any), handling)
  ) as Layer.Layer<any>
  yield* Layer.buildWithScope(
    PgBossSideEffects.layerWorker(Jobs, { pollInterval: "100 millis", gracePeriod: 0, ...options }).pipe(
      Layer.provide(handlers)
    ),
    scope
  )
  return { close }
})
