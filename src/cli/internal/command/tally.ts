import type * as Decision from "../../../Decision.ts"
import * as describe from "../../../internal/describe.ts"

type Counts = ReadonlyMap<string, number>

/** How many of each side effect came to which end. */
export interface Tally {
  readonly observer: Decision.Observer
  readonly enqueued: () => number
  readonly of: (end: Decision.Decision["_tag"]) => Counts
  readonly failures: ReadonlyArray<Decision.Failed>
}

export const make = (): Tally => {
  const ends = new Map<string, Map<string, number>>()
  const failures: Array<Decision.Failed> = []
  let enqueued = 0
  const of = (end: string) => {
    let counts = ends.get(end)
    if (counts === undefined) ends.set(end, counts = new Map())
    return counts
  }
  return {
    enqueued: () => enqueued,
    of,
    failures,
    observer: {
      enqueued: () => {
        enqueued++
      },
      decided: (decision) => {
        describe.tally(of(decision._tag), decision.intent.name)
        if (decision._tag === "Failed") failures.push(decision)
      },
      emitted: () => {},
      concluded: () => {}
    }
  }
}

export const sum = (counts: Counts): number => [...counts.values()].reduce((sum, n) => sum + n, 0)

/** `3 side effects` */
export const amount = (counts: Counts): string => describe.plural(sum(counts), "side effect")

export const were = (counts: Counts): string => sum(counts) === 1 ? "was" : "were"
