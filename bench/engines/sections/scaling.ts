import { median } from "../../lib/measure.ts"
import { heading, number, table, times } from "../../lib/report.ts"
import { drain } from "../lib/drain.ts"
import type { Effort } from "../lib/effort.ts"
import { kinds } from "../lib/side.ts"
import { paceOf } from "../sides/index.ts"

/** What more processes bring. */
export const scaling = async ({ batch, engines, rounds, seconds, slots }: Effort): Promise<void> => {
  heading(
    "Scaling",
    `Jobs per second that wait already, performed by 1, 2 and 4 processes of ${slots} handlers each, and the factor by ` +
      "which that is more than by one. The processes, the server and the engine share the cores of this machine."
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const engine of engines) {
    const jobs = Math.round(paceOf(engine) * seconds * 1.5 / batch) * batch
    for (const kind of kinds) {
      const rates: Array<number> = []
      for (const processes of [1, 2, 4]) {
        const series: Array<number> = []
        for (let round = 0; round < Math.ceil(rounds / 2); round++) {
          series.push(await drain({ engine, kind, processes, slots, batch, jobs, endToEnd: false }))
        }
        rates.push(median(series))
      }
      const [one, two, four] = rates as [number, number, number]
      rows.push([
        `${engine}, ${kind}`,
        number(one),
        number(two),
        times(two / one),
        number(four),
        times(four / one)
      ])
    }
  }
  table(["", "1", "2", "factor", "4", "factor"], rows)
}
