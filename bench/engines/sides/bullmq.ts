import { Queue, Worker } from "bullmq"

import type { Connect } from "../lib/share.ts"
import { type Payload, payloadOf, type Side } from "../lib/side.ts"

export const bare = (_: Connect, namespace: string): Side => {
  const options = {
    prefix: namespace,
    connection: { url: process.env["REDIS_URL"]!, maxRetriesPerRequest: null }
  }
  return {
    producer: async () => {
      const queue = new Queue<Payload>("orders", options)
      await queue.waitUntilReady()
      return {
        add: (indexes) => queue.addBulk(indexes.map((index) => ({ name: "send-receipt", data: payloadOf(index) }))),
        close: () => queue.close()
      }
    },
    work: async (concurrency, onJob) => {
      const worker = new Worker<Payload>("orders", async ({ data }) => onJob(data.index), { ...options, concurrency })
      worker.on("error", (error) => console.error("BullMQ:", error.message))
      await worker.waitUntilReady()
      return { stop: () => worker.close() }
    }
  }
}
