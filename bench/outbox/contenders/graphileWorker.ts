import { Logger, run, runMigrations, type TaskList } from "graphile-worker"
import { Pool } from "pg"
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

const task = "send-receipt"

const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error("graphile-worker:", message)
})

const reset = async (): Promise<void> => {
  await query("DROP SCHEMA IF EXISTS graphile_worker CASCADE")
  await runMigrations({ connectionString: url, logger })
}

// What `addJobs` sends, on the connection of the transaction, as its documentation advises.
const addJobs =
  "SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(SELECT json_populate_recordset(null::graphile_worker.job_spec, $1::json)))"

const producer = async (): Promise<Producer> => {
  const pool = new Pool({ connectionString: url, max: 1 })
  const client = await pool.connect()
  return {
    add: async (indexes) => {
      await client.query("BEGIN")
      await client.query({
        name: "add_jobs",
        text: addJobs,
        values: [JSON.stringify(indexes.map((index) => ({ identifier: task, payload: payloadOf(index) })))]
      })
      await client.query("COMMIT")
    },
    close: async () => {
      client.release()
      await pool.end()
    }
  }
}

const tasks = ({ onJob, pause }: Work): TaskList => ({
  [task]: async (payload) => {
    if (pause > 0) await sleep(pause)
    onJob((payload as Payload).index)
  }
})

const work = (preset: (work: Work) => GraphileConfig.Preset["worker"]) => async (work: Work): Promise<Worker> => {
  const runner = await run({
    logger,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: tasks(work),
    preset: { worker: { connectionString: url, ...preset(work) } }
  })
  return { stop: () => runner.stop() }
}

const unsettled = async (): Promise<number> => (await query("SELECT count(*)::int AS n FROM graphile_worker.jobs"))[0].n

const common = { database: "PostgreSQL", reset, producer, unsettled } as const

export const contenders: Readonly<Record<string, Contender>> = {
  default: {
    ...common,
    name: "graphile-worker, default",
    settings: "one job at once",
    pace: 1500,
    work: work(() => ({}))
  },
  tuned: {
    ...common,
    name: "graphile-worker, tuned",
    settings: "concurrentJobs = slots, localQueue.size 2 x slots, completeJobBatchDelay 0",
    pace: 15_000,
    work: work(({ slots }) => ({
      concurrentJobs: slots,
      maxPoolSize: 10,
      localQueue: { size: 2 * slots },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0
    }))
  }
}
