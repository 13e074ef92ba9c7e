import { Pool } from "pg"
import { type Db, type Job, PgBoss } from "pg-boss"
import {
  type Contender,
  type Payload,
  payloadOf,
  type Producer,
  sleep,
  type Work,
  type Worker
} from "../lib/contender.ts"
import { query, url } from "../lib/database.ts"

const queue = "orders"

const start = async (options: { readonly notify?: boolean; readonly max?: number } = {}): Promise<PgBoss> => {
  const boss = new PgBoss({
    connectionString: url,
    max: options.max ?? 10,
    useListenNotify: options.notify === true
  })
  boss.on("error", (error) => console.error("pg-boss:", error.message))
  await boss.start()
  return boss
}

const reset = (notify: boolean) => async (): Promise<void> => {
  await query("DROP SCHEMA IF EXISTS pgboss CASCADE")
  const boss = await start()
  await boss.createQueue(queue, { notify })
  await boss.stop({ graceful: false })
}

const producer = async (): Promise<Producer> => {
  const boss = await start()
  const pool = new Pool({ connectionString: url, max: 1 })
  const client = await pool.connect()
  const db: Db = { executeSql: (text, values) => client.query(text, values) }
  return {
    add: async (indexes) => {
      await client.query("BEGIN")
      await boss.insert(queue, indexes.map((index) => ({ data: payloadOf(index) })), { db })
      await client.query("COMMIT")
    },
    close: async () => {
      client.release()
      await pool.end()
      await boss.stop({ graceful: false })
    }
  }
}

const handle = ({ onJob, pause }: Work) => async (job: Job<Payload>): Promise<void> => {
  if (pause > 0) await sleep(pause)
  onJob(job.data.index)
}

const workByWork = (
  variant: { readonly notify?: boolean; readonly tuned?: boolean }
): (work: Work) => Promise<Worker> =>
async (work) => {
  const boss = await start({ notify: variant.notify === true })
  const each = handle(work)
  const all = (jobs: ReadonlyArray<Job<Payload>>): Promise<unknown> => Promise.all(jobs.map(each))
  // A batch is settled when the last of it is done, so there are several at once.
  const batchSize = Math.max(1, Math.ceil(work.slots / 4))
  if (variant.tuned) await boss.work<Payload>(queue, { batchSize, burstWhenBatchFull: true, localConcurrency: 4 }, all)
  else await boss.work<Payload>(queue, all)
  return { stop: () => boss.stop({ graceful: true, timeout: 5000 }) }
}

/** What `work` does, by hand, without its pauses. */
const workByFetch = async (work: Work): Promise<Worker> => {
  const boss = await start()
  const each = handle(work)
  const stopping = new AbortController()
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const jobs = await boss.fetch<Payload>(queue, { batchSize: Math.ceil(work.slots / 2) })
      if (jobs.length === 0) {
        await sleep(5)
        continue
      }
      await Promise.all(jobs.map(each))
      await boss.complete(queue, jobs.map((job) => job.id))
    }
  }
  const loops = [loop(), loop()]
  return {
    stop: async () => {
      stopping.abort()
      await Promise.all(loops)
      await boss.stop({ graceful: false })
    }
  }
}

const unsettled = async (): Promise<number> => {
  const rows = await query(`SELECT count(*)::int AS n FROM pgboss.job WHERE name = '${queue}' AND state <> 'completed'`)
  return rows[0].n
}

const common = { database: "PostgreSQL", producer, unsettled } as const

export const contenders: Readonly<Record<string, Contender>> = {
  default: {
    ...common,
    name: "pg-boss, default",
    settings: "work()",
    pace: 1,
    reset: reset(false),
    work: workByWork({})
  },
  tuned: {
    ...common,
    name: "pg-boss, tuned",
    settings: "work(), 4 x slots / 4 a batch, burstWhenBatchFull",
    pace: 10_000,
    reset: reset(false),
    work: workByWork({ tuned: true })
  },
  notify: {
    ...common,
    name: "pg-boss, notify",
    settings: "work(), LISTEN/NOTIFY",
    pace: 1,
    reset: reset(true),
    work: workByWork({ notify: true })
  },
  batch: {
    ...common,
    name: "pg-boss, batch API",
    settings: "fetch() and complete(), 2 x slots / 2 a batch, no pause",
    pace: 15_000,
    reset: reset(false),
    work: workByFetch
  }
}
