import { createPostgresBackend, Queue, Worker as BullWorker } from "bullmq"
import {
  type Contender,
  type Payload,
  payloadOf,
  type Producer,
  sleep,
  type Work,
  type Worker
} from "../lib/contender.ts"
import { query, redisUrl, url } from "../lib/database.ts"

const name = "orders"

/** The few methods that are used here: the types of a queue differ by its database. */
interface BullQueue {
  readonly addBulk: (jobs: Array<{ readonly name: string; readonly data: Payload }>) => Promise<unknown>
  readonly getJobCounts: (...states: Array<"wait" | "active" | "delayed" | "prioritized">) => Promise<
    Readonly<Record<string, number>>
  >
  readonly obliterate: (options: { readonly force: boolean }) => Promise<void>
  readonly close: () => Promise<void>
}

type Processor = (job: { readonly data: Payload }) => Promise<void>

interface Database {
  readonly queue: () => BullQueue
  readonly worker: (processor: Processor, concurrency: number) => {
    readonly waitUntilReady: () => Promise<unknown>
    readonly close: () => Promise<void>
    readonly on: (event: "error", listener: (error: Error) => void) => unknown
  }
}

const redis = { prefix: "bench_outbox", connection: { url: redisUrl, maxRetriesPerRequest: null } }

const inRedis: Database = {
  queue: () => new Queue(name, redis),
  worker: (processor, concurrency) => new BullWorker(name, processor, { ...redis, concurrency })
}

const postgres = { connection: { connectionString: url, schema: "bullmq", migrate: true } }

const inPostgres: Database = {
  queue: () => new Queue(name, postgres, createPostgresBackend),
  worker: (processor, concurrency) =>
    new BullWorker(name, processor, { ...postgres, concurrency }, createPostgresBackend)
}

const once = async <A>(database: Database, f: (queue: BullQueue) => Promise<A>): Promise<A> => {
  const queue = database.queue()
  try {
    return await f(queue)
  } finally {
    await queue.close()
  }
}

// It has no part in a transaction of the caller.
const producer = (database: Database) => async (): Promise<Producer> => {
  const queue = database.queue()
  return {
    add: (indexes) => queue.addBulk(indexes.map((index) => ({ name: "send-receipt", data: payloadOf(index) }))),
    close: () => queue.close()
  }
}

const work =
  (database: Database, concurrency: (slots: number) => number) =>
  async ({ onJob, pause, slots }: Work): Promise<Worker> => {
    const processor: Processor = async ({ data }) => {
      if (pause > 0) await sleep(pause)
      onJob(data.index)
    }
    const worker = database.worker(processor, concurrency(slots))
    worker.on("error", (error) => console.error("BullMQ:", error.message))
    await worker.waitUntilReady()
    return { stop: () => worker.close() }
  }

const unsettled = (database: Database) => (): Promise<number> =>
  once(database, async (queue) => {
    const counts = await queue.getJobCounts("wait", "active", "delayed", "prioritized")
    return Object.values(counts).reduce((sum, n) => sum + n, 0)
  })

const obliterate = (): Promise<void> => once(inRedis, (queue) => queue.obliterate({ force: true }))

const migrate = async (): Promise<void> => {
  await query("DROP SCHEMA IF EXISTS bullmq CASCADE")
  await once(inPostgres, (queue) => queue.getJobCounts("wait"))
}

const redisCommon = {
  database: "Redis",
  reset: obliterate,
  producer: producer(inRedis),
  unsettled: unsettled(inRedis)
} as const

const postgresCommon = {
  database: "PostgreSQL",
  reset: migrate,
  producer: producer(inPostgres),
  unsettled: unsettled(inPostgres)
} as const

const asMany = "concurrency = slots"

export const contenders: Readonly<Record<string, Contender>> = {
  default: {
    ...redisCommon,
    name: "BullMQ (Redis), default",
    settings: "one job at once",
    pace: 2500,
    work: work(inRedis, () => 1)
  },
  tuned: {
    ...redisCommon,
    name: "BullMQ (Redis), tuned",
    settings: asMany,
    pace: 5000,
    work: work(inRedis, (slots) => slots)
  },
  postgres: {
    ...postgresCommon,
    name: "BullMQ (PostgreSQL), tuned",
    settings: asMany,
    pace: 1000,
    work: work(inPostgres, (slots) => slots)
  }
}
