import { median, quantile } from "../../lib/measure.ts"
import { bar, heading, number, table } from "../../lib/report.ts"
import type { Effort } from "../lib/effort.ts"
import { place, remove } from "../lib/places.ts"
import { start } from "../lib/processes.ts"
import { type Kind, kinds } from "../lib/side.ts"

/** The first jobs are for warming up. */
const warm = 20

interface Pings {
  readonly begun: Array<number>
  readonly accepted: Array<number>
}

/** How long one job takes from the call to its handler. */
export const latency = async ({ engines, quick, rounds, slots }: Effort): Promise<void> => {
  const jobs = quick ? 60 : 150
  heading(
    "Latency",
    `Milliseconds from the hand-over to the handler, one job at a time, in one process: whole is from before the ` +
      `hand-over began, after is from when the program knows that it has ended. ${rounds} rounds of ${jobs} jobs.`
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const engine of engines) {
    const all: Record<Kind, Pings> = { bare: { begun: [], accepted: [] }, ours: { begun: [], accepted: [] } }
    const more: Array<number> = []
    for (let round = 0; round < rounds; round++) {
      const medians = {} as Record<Kind, number>
      for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
        const namespace = place(engine, kind)
        const child = await start(engine, kind, namespace)
        await child.ask({ _tag: "Work", slots, latency: true })
        const report = await child.ask({ _tag: "Ping", jobs: jobs + warm, every: 10 })
        if (report._tag !== "Pinged") throw new Error(`${engine} answered ${report._tag}`)
        await child.stop()
        await remove(engine, namespace)
        const begun = report.begun.slice(warm)
        all[kind].begun.push(...begun)
        all[kind].accepted.push(...report.accepted.slice(warm))
        medians[kind] = median(begun)
      }
      more.push(medians.ours - medians.bare)
    }
    for (const kind of kinds) {
      const { accepted, begun } = all[kind]
      rows.push([
        `${engine}, ${kind}`,
        number(median(begun), 2),
        number(quantile(begun, 0.99), 2),
        number(median(accepted), 2),
        number(quantile(accepted, 0.99), 2),
        kind === "ours" ? `+${number(median(more), 2)}`.replace("+-", "-") : "",
        kind === "ours" ? bar(`latency p50, ${engine}, more than bare`, median(more), 1, " ms") : ""
      ])
    }
  }
  table(["", "whole p50", "p99", "after p50", "p99", "more", ""], rows)
}
