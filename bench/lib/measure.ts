import { Bench, type Task } from "tinybench"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
/** Collects all garbage, so that nobody pays for what another has left behind. */
export const gc: () => void = runInNewContext("gc")

export interface Subject {
  readonly run: () => unknown
  /** How often what is measured happens in one run. */
  readonly units: number
}

/** One figure per round. */
export type Series = ReadonlyArray<number>

export interface Effort {
  readonly rounds: number
  /** Milliseconds for each subject in each round. */
  readonly time: number
}

// Rounds until everything is compiled as well as it will ever be.
const warmup = 3

/**
 * Nanoseconds per unit of every subject. In each round each subject has its turn, in one round from the first to the
 * last and in the next one back, so that whatever slows the machine down hits all of them alike: compare within a round.
 * The figure of a round is a mean, garbage collection included.
 */
export const measure = async <Name extends string>(
  subjects: Readonly<Record<Name, Subject>>,
  { rounds, time }: Effort
): Promise<Readonly<Record<Name, Series>>> => {
  const names = Object.keys(subjects) as Array<Name>
  const bench = new Bench({ warmup: false, iterations: 1, time, throws: true })
  const tasks = {} as Record<Name, Task>
  const series = {} as Record<Name, Array<number>>
  for (const name of names) {
    const { run } = subjects[name]
    const first = run()
    await first
    bench.add(name, run, { async: first instanceof Promise })
    tasks[name] = bench.getTask(name)!
    series[name] = []
  }
  const turn = async (name: Name): Promise<number> => {
    tasks[name].reset(false)
    const { result } = await tasks[name].run()
    if (result.state !== "completed") throw new Error(`${name} was ${result.state}`)
    return (result.period * 1e6) / subjects[name].units
  }
  for (let round = -warmup; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      gc()
      // A full collection throws away compiled code as well: the first turn after it is not what we are after.
      await turn(name)
      const figure = await turn(name)
      if (round >= 0) series[name].push(figure)
    }
  }
  return series
}

const quantile = (series: Series, q: number): number => {
  const sorted = series.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * q
  const low = sorted[Math.floor(position)]!
  return low + (sorted[Math.ceil(position)]! - low) * (position % 1)
}

export const median = (series: Series): number => quantile(series, 0.5)

/** The half of the rounds that is in the middle. */
export const quartiles = (series: Series): readonly [low: number, high: number] => [
  quantile(series, 0.25),
  quantile(series, 0.75)
]

/** Round by round. */
export const ratios = (a: Series, b: Series): Series => a.map((value, round) => value / b[round]!)
