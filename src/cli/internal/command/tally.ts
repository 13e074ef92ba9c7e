import type * as Decision from "../../../Decision.ts"
import type * as Instruments from "../../../Instruments.ts"
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

/** Two that listen, where there is a first one. */
export const alongside = (first: Decision.Observer | undefined, second: Decision.Observer): Decision.Observer =>
  first === undefined ? second : {
    enqueued: (intent) => {
      first.enqueued(intent)
      second.enqueued(intent)
    },
    decided: (decision) => {
      first.decided(decision)
      second.decided(decision)
    },
    emitted: (event) => {
      first.emitted(event)
      second.emitted(event)
    },
    concluded: (event) => {
      first.concluded(event)
      second.concluded(event)
    }
  }

const same = <A>(self: A): A => self

/** Listens to a layer and leaves what it does as it is. */
export const listening = (observer: Decision.Observer): Instruments.Instruments => ({
  observer,
  release: same,
  dispatch: same,
  deliver: same,
  underway: () => {},
  lost: () => {}
})
