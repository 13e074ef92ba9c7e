import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient } from "effect/sql"
import { type Contender, payloadOf, type Producer, type Work, type Worker } from "../lib/contender.ts"
import { query, url } from "../lib/database.ts"
import { share } from "../lib/shared.ts"

const PayloadSchema = Schema.Struct({ index: Schema.Number, orderId: Schema.String, to: Schema.String })

const layer = PersistedQueue.layer.pipe(
  Layer.provide(PersistedQueue.layerStoreSql()),
  Layer.provideMerge(PgClient.layer({ url: Redacted.make(url) }))
)

const shared = share(layer)

const start = async () => {
  const context = await shared.acquire()
  const queue = await Effect.runPromiseWith(context)(PersistedQueue.make({ name: "orders", schema: PayloadSchema }))
  return { context, queue, stop: shared.release }
}

const reset = async (): Promise<void> => {
  await query("DROP TABLE IF EXISTS effect_queue, effect_queue_migrations")
  await (await start()).stop()
}

const producer = async (): Promise<Producer> => {
  const { context, queue, stop } = await start()
  const offerAll = (indexes: ReadonlyArray<number>) =>
    SqlClient.SqlClient.use((sql) =>
      sql.withTransaction(Effect.forEach(indexes, (index) => queue.offer(payloadOf(index)), { discard: true }))
    )
  return { add: (indexes) => Effect.runPromiseWith(context)(offerAll(indexes)), close: stop }
}

const work = (takers: (slots: number) => number) => async ({ onJob, pause, slots }: Work): Promise<Worker> => {
  const { queue, stop } = await start()
  const count = ({ index }: typeof PayloadSchema.Type) => Effect.sync(() => onJob(index))
  const handler: typeof count = pause > 0 ? (payload) => Effect.andThen(Effect.sleep(pause), count(payload)) : count
  const fiber = Effect.runFork(
    Effect.all(Array.from({ length: takers(slots) }, () => Effect.forever(queue.take(handler))), {
      concurrency: "unbounded",
      discard: true
    })
  )
  return {
    stop: async () => {
      await new Promise<void>((resolve) => {
        fiber.addObserver(() => resolve())
        fiber.interruptUnsafe()
      })
      await stop()
    }
  }
}

const unsettled = async (): Promise<number> =>
  (await query("SELECT count(*)::int AS n FROM effect_queue WHERE state <> 'completed'"))[0].n

const common = { database: "PostgreSQL", reset, producer, unsettled } as const

export const contenders: Readonly<Record<string, Contender>> = {
  default: {
    ...common,
    name: "PersistedQueue, default",
    settings: "one taker",
    pace: 250,
    work: work(() => 1)
  },
  tuned: {
    ...common,
    name: "PersistedQueue, tuned",
    settings: "a taker for each slot",
    pace: 1500,
    work: work((n) => n)
  }
}
