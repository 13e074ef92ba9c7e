import { heading, number, table } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { drain } from "../lib/drain.ts"
import type { Effort } from "../lib/effort.ts"
import { inTurns, median } from "../lib/statistics.ts"

const contenders = [
  "outbox/tuned",
  "persisted-queue/tuned",
  "pg-boss/tuned",
  "pg-boss/batch",
  "graphile-worker/tuned",
  "bullmq/tuned",
  "bullmq/postgres"
]

const pause = 25
const slots = 256

export const slowHandlers = async ({ only, rounds, seconds }: Effort): Promise<void> => {
  const most = (slots / pause) * 1000
  heading(
    "Slow handlers",
    `Jobs per second whose handlers wait ${pause} ms, one process with ${slots} slots, which could do ` +
      `${number(most)} at most. Medians of ${rounds}.`
  )
  const ids = contenders.filter(only)
  const series = await inTurns(
    ids,
    rounds,
    (contender) => drain("slow handlers", { contender, processes: 1, slots, pause, seconds: 2 * seconds })
  )
  const rows = await Promise.all(ids.map(async (id) => {
    const rate = median(series[id]!)
    return [(await load(id)).name, number(rate), `${number((rate / most) * 100)}%`]
  }))
  table(["", "per second", "of the possible"], rows)
}
