import { median, quartiles, ratios } from "../../lib/measure.ts"
import { number, spread, times } from "../../lib/report.ts"
import { type Kind, kinds } from "./side.ts"

/** One figure a round, of each side. */
export type Figures = Readonly<Record<Kind, ReadonlyArray<number>>>

/** In each round each has its turn, in one from the first to the last and in the next one back. */
export const inTurns = async (
  rounds: number,
  measure: (kind: Kind, round: number) => Promise<number>
): Promise<Figures> => {
  const series: Record<Kind, Array<number>> = { bare: [], ours: [] }
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) series[kind].push(await measure(kind, round))
  }
  return series
}

/** Ours through bare, round by round. */
export const ratio = ({ bare, ours }: Figures): number => median(ratios(ours, bare))

/** The cells of a row: bare, ours, the ratio and the half of the rounds that is in the middle. */
export const cells = (figures: Figures): ReadonlyArray<string> => [
  number(median(figures.bare)),
  number(median(figures.ours)),
  times(ratio(figures)),
  spread(quartiles(ratios(figures.ours, figures.bare)))
]
