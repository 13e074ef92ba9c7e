import { type Job, PgBoss } from "pg-boss"

import type { Connect } from "../lib/share.ts"
import { type Payload, payloadOf, type Side, sleep } from "../lib/side.ts"

const queue = "orders"

export const bare = (_: Connect, namespace: string): Side => {
  const start = async (): Promise<PgBoss> => {
    const boss = new PgBoss({
      connectionString: process.env["POSTGRES_URL"]!,
      schema: namespace,
      useListenNotify: true
    })
    boss.on("error", (error) => console.error("pg-boss:", error.message))
    await boss.start()
    await boss.createQueue(queue, { notify: true })
    return boss
  }
  const stop = (boss: PgBoss): Promise<void> => boss.stop({ graceful: true, timeout: 5000 })
  return {
    producer: async () => {
      const boss = await start()
      return {
        add: (indexes) => boss.insert(queue, indexes.map((index) => ({ data: payloadOf(index) }))),
        close: () => stop(boss)
      }
    },
    work: async (slots, onJob, { latency }) => {
      const boss = await start()
      // A batch is settled when the last of it is done, so there are two at once.
      const batchSize = Math.ceil(slots / 2)
      const all = async (jobs: ReadonlyArray<Job<Payload>>): Promise<void> => {
        for (const { data } of jobs) onJob(data.index)
      }
      if (latency) {
        await boss.work<Payload>(queue, { batchSize, localConcurrency: 2 }, all)
        return { stop: () => stop(boss) }
      }
      const stopping = new AbortController()
      // What `work` does, without its pauses.
      const loop = async (): Promise<void> => {
        while (!stopping.signal.aborted) {
          const jobs = await boss.fetch<Payload>(queue, { batchSize })
          if (jobs.length === 0) {
            await sleep(5)
            continue
          }
          await all(jobs)
          await boss.complete(queue, jobs.map(({ id }) => id))
        }
      }
      const loops = [loop(), loop()]
      return {
        stop: async () => {
          stopping.abort()
          await Promise.all(loops)
          await stop(boss)
        }
      }
    }
  }
}
