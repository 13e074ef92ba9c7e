import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Bench, type Task } from "tinybench"

setFlagsFromString("--expose-gc")
/** Collects all garbage. */
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
  /** Milliseconds of a turn: each subject has one in each round. */
  readonly time: number
  /** For heavy subjects, whose turns are ten times as long. */
  readonly heavyRounds: number
}

/**
 * Nanoseconds per unit of every subject. In each round each subject has its turn, in one round from the first to the
 * last and in the next one back, so that whatever slows the machine down hits all of them alike: compare within a round.
 * The figure of a turn is a mean, so the garbage collection in it is included.
 *
 * Subjects that leave so much garbage that others would pay for it are `heavy`.
 */
export const measure = async <Name extends string>(
  subjects: Readonly<Record<Name, Subject>>,
  effort: Effort,
  heavy = false
): Promise<Readonly<Record<Name, Series>>> => {
  const names = Object.keys(subjects) as Array<Name>
  const { heavyRounds, rounds, time } = effort
  const bench = new Bench({ warmup: false, iterations: heavy ? 2 : 1, time: heavy ? 10 * time : time, throws: true })
  const tasks = {} as Record<Name, Task>
  const series = {} as Record<Name, Array<number>>
  for (const name of names) {
    const first = subjects[name].run()
    await first
    bench.add(name, subjects[name].run, { async: first instanceof Promise })
    tasks[name] = bench.getTask(name)!
    series[name] = []
  }
  const turn = async (name: Name): Promise<number> => {
    tasks[name].reset(false)
    const { result } = await tasks[name].run()
    if (result.state !== "completed") throw new Error(`${name} was ${result.state}`)
    return (result.period * 1e6) / subjects[name].units
  }
  // Until everything is compiled as well as it will ever be.
  const warmup = heavy ? 1 : Math.ceil(400 / time)
  for (let round = -warmup; round < (heavy ? heavyRounds : rounds); round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      if (heavy) await collectAndWarmUp(subjects[name])
      const figure = await turn(name)
      if (round >= 0) series[name].push(figure)
    }
  }
  return series
}

/** Collecting all garbage throws away compiled code, too. */
const collectAndWarmUp = async ({ run }: Subject): Promise<void> => {
  gc()
  const start = performance.now()
  do await run()
  while (performance.now() - start < 200)
}

export const quantile = (series: Series, q: number): number => {
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
