import { heading, number, table, times } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { atLeast } from "../lib/bars.ts"
import { drain } from "../lib/drain.ts"
import type { Effort } from "../lib/effort.ts"
import { inTurns, median } from "../lib/statistics.ts"

const contenders = ["outbox/tuned", "pg-boss/batch", "graphile-worker/tuned"]

const few = 10_000
const many = 1_000_000

export const backlog = async ({ only, quick, rounds, seconds, slots }: Effort): Promise<void> => {
  const turns = Math.ceil(rounds / 2)
  heading(
    "Backlog",
    `Jobs per second of the first ${number(few)}, with no more waiting, and with ${number(many)}. Medians of ${turns}.`
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const id of contenders.filter(only)) {
    // Filling is slow.
    if (quick && id !== "outbox/tuned") continue
    const series = await inTurns(["few", "many"], turns, (which) =>
      drain("backlog", {
        contender: id,
        processes: 1,
        slots,
        pause: 0,
        seconds: Math.max(3, seconds),
        jobs: which === "few" ? few : many,
        upTo: few
      }))
    const ratio = median(series.many.map((value, round) => value / series.few[round]!))
    rows.push([(await load(id)).name, number(median(series.few)), number(median(series.many)), times(ratio)])
    if (id === "outbox/tuned") atLeast(`${number(many)} waiting, of ${number(few)}`, ratio, 0.8)
  }
  table(["waiting", number(few), number(many), "ratio"], rows)
}
