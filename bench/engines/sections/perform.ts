import { atLeast, heading, table } from "../../lib/report.ts"
import { drain } from "../lib/drain.ts"
import type { Effort } from "../lib/effort.ts"
import { cells, inTurns, ratio } from "../lib/statistics.ts"
import { paceOf } from "../sides/index.ts"

const section = async (
  title: string,
  note: string,
  endToEnd: boolean,
  { batch, engines, rounds, seconds, slots }: Effort
): Promise<void> => {
  heading(title, `${note} ${slots} handlers at once, in a process of their own. Medians of ${rounds} rounds.`)
  const rows: Array<ReadonlyArray<string>> = []
  for (const engine of engines) {
    const jobs = Math.round(paceOf(engine) * seconds / batch) * batch
    const figures = await inTurns(
      rounds,
      (kind) => drain({ engine, kind, processes: 1, slots, batch, jobs, endToEnd })
    )
    rows.push([engine, ...cells(figures), atLeast(`${title.toLowerCase()}, ${engine}`, ratio(figures), 0.85)])
  }
  table(["", "bare", "ours", "ratio", "quartiles", ""], rows)
}

/** How many jobs a second are performed. */
export const perform = (effort: Effort): Promise<void> =>
  section("Performing", "Jobs per second that wait already, whose handlers do nothing.", false, effort)

/** How many jobs a second go all the way. */
export const endToEnd = (effort: Effort): Promise<void> =>
  section(
    "End to end",
    `Jobs per second from another process, ${effort.batch} in a batch, to handlers that do nothing.`,
    true,
    effort
  )
