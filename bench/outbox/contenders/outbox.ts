import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { SideEffect, SideEffectGroup, SideEffects } from "../../../src/index.ts"
import { Outbox, OutboxStore } from "../../../src/outbox/index.ts"
import { SqlOutboxStore, SqlSideEffects } from "../../../src/sql/index.ts"
import { type Contender, payloadOf, type Producer, type Work, type Worker } from "../lib/contender.ts"
import { query, url } from "../lib/database.ts"
import { build, share } from "../lib/shared.ts"

const PayloadSchema = Schema.Struct({ index: Schema.Number, orderId: Schema.String, to: Schema.String })

class SendReceipt extends SideEffect.make("orders:mail:send-receipt", {
  description: "Email the customer a receipt.",
  payload: PayloadSchema
}) {}

const Orders = SideEffectGroup.make("orders").add(SendReceipt)

const Live = SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() })

type Base = SqlClient.SqlClient | OutboxStore.OutboxStore

type Options = Omit<Outbox.WorkerOptions, "policy">

/** The same on every database. */
export const on = (base: Layer.Layer<Base, unknown>) => {
  const shared = share(base)

  const producer = async (): Promise<Producer> => {
    const context = await shared.acquire()
    const { built, close } = await build(Live, context)
    const services = Context.merge(context, built)
    const unit = (indexes: ReadonlyArray<number>) =>
      SqlSideEffects.transaction(
        indexes.length === 1
          ? SideEffects.enqueue(SendReceipt, payloadOf(indexes[0]!))
          : Effect.forEach(indexes, (index) => SideEffects.enqueue(SendReceipt, payloadOf(index)), { discard: true })
      )
    return {
      add: (indexes) => Effect.runPromiseWith(services)(unit(indexes)),
      close: async () => {
        await close()
        await shared.release()
      }
    }
  }

  /** One in twenty is delayed. */
  const mixedProducer = async (): Promise<Producer> => {
    const context = await shared.acquire()
    const { built, close } = await build(Live, context)
    const services = Context.merge(context, built)
    const enqueue = (index: number) =>
      SideEffects.enqueue(SendReceipt, payloadOf(index), index % 20 === 0 ? { delay: "2 seconds" } : undefined)
    return {
      add: (indexes) =>
        Effect.runPromiseWith(services)(
          SqlSideEffects.transaction(Effect.forEach(indexes, enqueue, { discard: true }))
        ),
      close: async () => {
        await close()
        await shared.release()
      }
    }
  }

  /** Without the airlock: what the store alone can do. */
  const storeProducer = async (): Promise<Producer> => {
    const context = await shared.acquire()
    const store = Context.get(context, OutboxStore.OutboxStore)
    const sql = Context.get(context, SqlClient.SqlClient)
    const offers = (indexes: ReadonlyArray<number>): ReadonlyArray<OutboxStore.Offer> =>
      indexes.map((index) => ({
        id: randomUUID(),
        name: SendReceipt.name,
        queue: "default",
        priority: 0,
        payload: JSON.stringify(payloadOf(index)),
        redacted: undefined,
        key: undefined,
        delay: 0,
        origin: undefined,
        metadata: undefined,
        trace: undefined
      }))
    return {
      add: (indexes) =>
        Effect.runPromiseWith(context)(sql.withTransaction(store.offerMany(offers(indexes), { uniqueFor: 0 }))),
      close: shared.release
    }
  }

  const work = (options: (slots: number) => Options, failing = false) =>
  async (
    { onJob, pause, slots }: Work
  ): Promise<Worker> => {
    const context = await shared.acquire()
    const count = ({ index }: typeof PayloadSchema.Type) => Effect.sync(() => onJob(index))
    const handlers = failing
      ? SendReceipt.toLayer((payload, { attempt }) =>
        // One in fifty fails at first.
        payload.index % 50 === 0 && attempt === 1 ? Effect.fail(new Error("not today")) : count(payload)
      )
      : pause > 0
      ? SendReceipt.toLayer((payload) => Effect.andThen(Effect.sleep(pause), count(payload)))
      : SendReceipt.toLayer(count)
    const { close } = await build(Outbox.layerWorker(Orders, options(slots)).pipe(Layer.provide(handlers)), context)
    return {
      stop: async () => {
        await close()
        await shared.release()
      }
    }
  }

  return { producer, mixedProducer, storeProducer, work, shared }
}

/** On PostgreSQL, with tables of its own. */
export const onPostgres = (table: string) => {
  const sides = on(
    SqlOutboxStore.layer({ table }).pipe(Layer.provideMerge(PgClient.layer({ url: Redacted.make(url) })))
  )
  const reset = async (): Promise<void> => {
    const tables = await query(`SELECT tablename FROM pg_tables WHERE tablename LIKE '${table}%'`)
    if (tables.length > 0) await query(`DROP TABLE ${tables.map(({ tablename }) => tablename).join(", ")} CASCADE`)
    await sides.shared.acquire()
    await sides.shared.release()
  }
  const unsettled = async (): Promise<number> =>
    (await query(`SELECT count(*)::int AS n FROM ${table} WHERE state <> 1`))[0].n
  return { ...sides, reset, unsettled }
}

const postgres = onPostgres("side_effects_outbox")
const alone = onPostgres("alone_outbox")

const common = {
  database: "PostgreSQL",
  reset: postgres.reset,
  producer: postgres.producer,
  unsettled: postgres.unsettled
} as const

export const contenders: Readonly<Record<string, Contender>> = {
  default: {
    ...common,
    name: "outbox, default",
    settings: "32 slots",
    pace: 15_000,
    work: postgres.work(() => ({}))
  },
  tuned: {
    ...common,
    name: "outbox, tuned",
    settings: "concurrency = slots",
    pace: 15_000,
    work: postgres.work((slots) => ({ concurrency: slots, batchSize: Math.max(500, slots) }))
  },
  removing: {
    ...common,
    name: "outbox, removing",
    settings: "concurrency = slots, keeps nothing that is done",
    pace: 15_000,
    work: postgres.work((slots) => ({
      concurrency: slots,
      batchSize: Math.max(500, slots),
      retention: { done: 0 }
    }))
  },
  mixed: {
    ...common,
    name: "outbox, mixed load",
    settings: "concurrency = slots, keeps what is done for 10 seconds",
    pace: 10_000,
    producer: postgres.mixedProducer,
    work: postgres.work(
      (slots) => ({
        concurrency: slots,
        batchSize: Math.max(500, slots),
        retention: { done: "10 seconds" },
        cleanupInterval: "5 seconds"
      }),
      true
    )
  },
  store: {
    ...common,
    name: "outbox, the store alone",
    settings: "offerMany",
    pace: 15_000,
    reset: alone.reset,
    unsettled: alone.unsettled,
    producer: alone.storeProducer,
    work: () => Promise.reject(new Error("The store alone does no work"))
  }
}
