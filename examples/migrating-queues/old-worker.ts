/** The worker as it was found. It performs what anybody has put into the queue, as long as it knows its name. */
import { type Job, Worker } from "bullmq"
import { packParcel, sendReceipt } from "./processors.ts"
import { connection, prefix, queueName } from "./world.ts"

const processor = async (job: Job): Promise<void> => {
  switch (job.name) {
    case "send-receipt":
      return await sendReceipt(job.data)
    case "pack-parcel":
      return await packParcel(job.data)
  }
  throw new Error(`Nobody performs ${job.name}`)
}

// What a dead worker held is given to others after these. The defaults are 30 seconds each, which is long for a guide.
const lost = { lockDuration: 2000, stalledInterval: 1000 }

const worker = new Worker(queueName, processor, { connection, prefix, concurrency: 4, ...lost })

worker.on("error", (error) => console.error(error.message))
process.once("SIGTERM", () => void worker.close().then(() => process.exit(0)))
// Nobody outlives the guide.
process.once("disconnect", () => process.exit(0))
await worker.waitUntilReady()
process.send?.("ready")
