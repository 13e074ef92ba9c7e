import { atLeast, heading, table } from "../../lib/report.ts"
import type { Effort } from "../lib/effort.ts"
import { place, remove } from "../lib/places.ts"
import { type Child, start } from "../lib/processes.ts"
import type { Kind } from "../lib/side.ts"
import { cells, inTurns, ratio } from "../lib/statistics.ts"

/** How many jobs a second are handed over. */
export const handOver = async ({ batch, engines, rounds, seconds }: Effort): Promise<void> => {
  heading(
    "Hand-over",
    `Jobs per second that are handed over, ${batch} in a batch (ours: in a boundary), one batch after the other. ` +
      `Medians of ${rounds} rounds, in which both have their turn; the ratio of each round, and its quartiles.`
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const engine of engines) {
    const children = {} as Record<Kind, Child>
    const places = { bare: place(engine, "bare"), ours: place(engine, "ours") }
    const added = { bare: 0, ours: 0 }
    for (const kind of ["bare", "ours"] as const) {
      children[kind] = await start(engine, kind, places[kind])
      await children[kind].ask({ _tag: "Connect" })
    }
    const turn = async (kind: Kind, milliseconds: number): Promise<number> => {
      const report = await children[kind].ask({ _tag: "AddFor", from: added[kind], size: batch, milliseconds })
      if (report._tag !== "Added") throw new Error(`${engine} answered ${report._tag}`)
      added[kind] += report.jobs
      return (report.jobs / report.elapsed) * 1000
    }
    for (const kind of ["bare", "ours"] as const) await turn(kind, 500)
    const figures = await inTurns(rounds, (kind) => turn(kind, seconds * 500))
    for (const kind of ["bare", "ours"] as const) {
      await children[kind].stop()
      await remove(engine, places[kind])
    }
    rows.push([engine, ...cells(figures), atLeast(`hand-over, ${engine}`, ratio(figures), 0.85)])
  }
  table(["", "bare", "ours", "ratio", "quartiles", ""], rows)
}
