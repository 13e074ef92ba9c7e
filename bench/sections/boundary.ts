import { Context, Effect } from "effect"
import { type Effort, measure, median, quartiles, ratios, type Subject } from "../lib/measure.ts"
import { bar, heading, number, spread, table, times } from "../lib/report.ts"
import { live, ours, repeat } from "../lib/subjects.ts"

class Anything extends Context.Service<Anything, number>()("bench/Anything") {}

export const emptyBoundary = async (effort: Effort): Promise<void> => {
  heading("An empty boundary", "Nanoseconds to open and close one around Effect.void.")
  const times1000 = (unit: () => Effect.Effect<void, never, any>): Subject => {
    const program = repeat(1000, unit)
    return { run: () => Effect.runSyncWith(live)(program), units: 1000 }
  }
  const series = await measure({
    ours: times1000(() => ours.boundary(Effect.void)),
    provideService: times1000(() => Effect.provideService(Effect.void, Anything, 1))
  }, effort)
  const ratio = ratios(series.ours, series.provideService)
  table(["", "ours", "Effect.provideService", "ratio", "spread", " "], [[
    "empty boundary",
    number(median(series.ours)),
    number(median(series.provideService)),
    times(median(ratio)),
    spread(quartiles(ratio)),
    bar("empty boundary, to Effect.provideService", median(ratio), 3)
  ]])
}
