import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type * as OutboxStore from "../../outbox/OutboxStore.ts"
import { rankOf } from "./rows.ts"

/** What waits of a name, in a queue, with a rank. */
export interface Lane {
  readonly queue: string
  readonly name: string
  readonly rank: number
}

/** What was committed: something in these lanes, written `at` a time of the database or later; or anything, when empty. */
export interface Nudge {
  readonly lanes: ReadonlyArray<Lane>
  readonly at: number
}

export const anything: Nudge = { lanes: [], at: 0 }

export const laneKey = ({ name, queue, rank }: Lane): string => `${rank} ${name} ${queue}`

export const lanesOf = (offers: ReadonlyArray<OutboxStore.Offer>): ReadonlyArray<Lane> => {
  const lanes = new Map<string, Lane>()
  for (const { name, priority, queue } of offers) {
    const lane = { queue, name, rank: rankOf(priority) }
    lanes.set(laneKey(lane), lane)
  }
  return [...lanes.values()]
}

/** Who in this process waits for what is offered. */
export interface Listeners {
  readonly wake: () => void
  /** A latch that is opened by each `wake`. */
  readonly listen: Effect.Effect<Latch.Latch, never, Scope.Scope>
}

export const makeListeners = (): Listeners => {
  const latches = new Set<Latch.Latch>()
  return {
    wake: () => {
      for (const latch of latches) latch.openUnsafe()
    },
    listen: Effect.acquireRelease(
      Effect.sync(() => {
        const latch = Latch.makeUnsafe(false)
        latches.add(latch)
        return latch
      }),
      (latch) => Effect.sync(() => latches.delete(latch))
    )
  }
}
