import { heading, number, table } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { audit } from "../lib/audit.ts"
import { atMost } from "../lib/bars.ts"
import { sleep } from "../lib/contender.ts"
import { settle } from "../lib/database.ts"
import type { Effort } from "../lib/effort.ts"
import { type Child, start } from "../lib/processes.ts"
import { median, quantile } from "../lib/statistics.ts"

const contenders = [
  "outbox/default",
  "persisted-queue/default",
  "pg-boss/tuned",
  "pg-boss/notify",
  "graphile-worker/default",
  "graphile-worker/tuned",
  "bullmq/default",
  "bullmq/postgres"
]

const every = 50

interface Latency {
  /** From the moment the program knows that it is committed; 0 when the handler was quicker. */
  readonly committed: ReadonlyArray<number>
  /** From before the transaction. */
  readonly begun: ReadonlyArray<number>
}

/** The first jobs are for warming up. */
const warm = 20

export const measureLatency = async (id: string, sameProcess: boolean, jobs: number): Promise<Latency> => {
  const contender = await load(id)
  await contender.reset()
  await settle()
  const worker = await start(id)
  const producer = sameProcess ? worker : await start(id)
  await worker.ask({ _tag: "Work", slots: 32, pause: 0, timed: true })
  await producer.ask({ _tag: "Connect" })
  await sleep(500)
  const total = jobs + warm
  const report = await producer.ask({ _tag: "Pace", from: 0, jobs: total, every })
  if (report._tag !== "Times") throw new Error(`${id} answered ${report._tag}`)
  await allHandled(worker, total)
  const { at, indexes } = await worker.stop()
  if (!sameProcess) await producer.stop()
  await audit("latency", contender, total, [indexes])
  const committed: Array<number> = []
  const begun: Array<number> = []
  indexes.forEach((index, i) => {
    if (index < warm) return
    const [before, after] = report.times[index]!
    committed.push(Math.max(0, at[i]! - after))
    begun.push(at[i]! - before)
  })
  return { committed, begun }
}

const allHandled = async (worker: Child, jobs: number): Promise<void> => {
  for (let waited = 0; worker.handled < jobs && waited < 6000; waited += 20) await sleep(20)
}

export const latency = async ({ only, quick }: Effort): Promise<void> => {
  const jobs = quick ? 60 : 400
  heading(
    "Latency",
    `Milliseconds from the commit to the handler, and from the beginning of the transaction (whole), of ${jobs} jobs, ` +
      `one in ${every} ms.`
  )
  const rows: Array<ReadonlyArray<string>> = []
  const bars: Array<() => void> = []
  for (const id of contenders.filter(only)) {
    const row = [(await load(id)).name]
    for (const sameProcess of [true, false]) {
      const { begun, committed } = await measureLatency(id, sameProcess, jobs)
      const p50 = median(committed)
      row.push(number(p50, 1), number(quantile(committed, 0.99), 1), number(median(begun), 1))
      if (id === "outbox/default") {
        const where = sameProcess ? "same process" : "other process"
        bars.push(() => atMost(`latency, ${where}, p50`, p50, sameProcess ? 2 : 5, " ms"))
      }
    }
    rows.push(row)
  }
  table(["", "same p50", "p99", "whole", "other p50", "p99", "whole"], rows)
  console.log()
  for (const bar of bars) bar()
}
