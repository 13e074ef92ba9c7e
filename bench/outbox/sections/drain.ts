import { heading, number, table, times } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { atLeast } from "../lib/bars.ts"
import { drain as measure } from "../lib/drain.ts"
import type { Effort } from "../lib/effort.ts"
import { inTurns, median } from "../lib/statistics.ts"

const ours = ["outbox/default", "outbox/tuned"]

const onPostgres = [
  "pg-boss/default",
  "pg-boss/tuned",
  "pg-boss/batch",
  "graphile-worker/default",
  "graphile-worker/tuned",
  "bullmq/postgres"
]

const contenders = [
  ...ours,
  ...onPostgres,
  "persisted-queue/default",
  "persisted-queue/tuned",
  "bullmq/default",
  "bullmq/tuned"
]

export const drain = async ({ only, rounds, seconds, slots }: Effort): Promise<void> => {
  heading(
    "Claim, perform and settle",
    `Jobs per second whose handlers do nothing, at 1 and at 4 processes, ${slots} slots each where one can say. Medians ` +
      `of ${rounds}, from tables that were filled, vacuumed and analyzed before.`
  )
  const ids = contenders.filter(only)
  const figures: Record<number, Readonly<Record<string, number>>> = {}
  for (const processes of [1, 4]) {
    const series = await inTurns(
      ids,
      rounds,
      (contender) => measure("drain", { contender, processes, slots, pause: 0, seconds })
    )
    figures[processes] = Object.fromEntries(ids.map((id) => [id, median(series[id]!)]))
  }
  const best = (ids: ReadonlyArray<string>, processes: number) =>
    Math.max(...ids.map((id) => figures[processes]![id] ?? 0))
  const ofOurs = (rate: number, processes: number): string => {
    const own = best(ours, processes)
    return own === 0 ? "" : times(rate / own)
  }
  const rows = await Promise.all(ids.map(async (id) => {
    const { name } = await load(id)
    const one = figures[1]![id]!
    const four = figures[4]![id]!
    return [name, number(one), number(four), ofOurs(one, 1), ofOurs(four, 4)]
  }))
  table(["", "1 process", "4 processes", "of ours", "of ours"], rows)
  console.log()
  for (const processes of [1, 4]) {
    const own = best(ours, processes)
    if (own === 0) continue
    const named = `${processes} process${processes === 1 ? "" : "es"}`
    const peer = best(onPostgres, processes)
    const queue = best(["persisted-queue/default", "persisted-queue/tuned"], processes)
    if (peer > 0) atLeast(`drain, ${named}, of the best peer on PostgreSQL`, own / peer, 1)
    if (queue > 0) atLeast(`drain, ${named}, of PersistedQueue`, own / queue, 3)
  }
}
