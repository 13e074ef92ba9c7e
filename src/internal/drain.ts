import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as describe from "./describe.ts"

/** How long a fiber that drains waits at first until it looks again, in milliseconds. */
const glance = 20

/** After so long it wonders whether anybody works, in milliseconds, and again each time. */
const patience = 5000

// Workers may be other processes: what is waited for is not subject to the clock of a test.
const clock = Clock.Clock.defaultValue
const pause = (millis: number): Effect.Effect<void> => Effect.provideService(Effect.sleep(millis), Clock.Clock, clock())

/**
 * Looks until nothing is left to wait for, at the longest every `longest` milliseconds. `problem` is asked every five
 * seconds, and what it answers is a warning.
 */
export const untilIdle = <E>(options: {
  readonly isBusy: Effect.Effect<boolean, E>
  readonly problem: Effect.Effect<string | undefined, E>
  readonly longest?: number | undefined
}): Effect.Effect<void, E> => {
  const { isBusy, longest = glance } = options
  const problem = Effect.flatMap(
    options.problem,
    (message) => message === undefined ? Effect.void : Effect.logWarning(message)
  )
  const now = () => clock().currentTimeMillisUnsafe()
  const loop = (next: number, since: number): Effect.Effect<void, E> =>
    Effect.flatMap(isBusy, (busy) => {
      if (!busy) return Effect.void
      const wonders = now() - since >= patience
      const again = Effect.suspend(() =>
        Effect.andThen(pause(next), loop(Math.min(next * 2, longest), wonders ? now() : since))
      )
      return wonders ? Effect.andThen(problem, again) : again
    })
  return Effect.suspend(() => loop(glance, now()))
}

/** What to say of an engine in whose queues something waits while nothing is running. `undefined` where there is nothing. */
export const unbegun = (
  counts: ReadonlyMap<string, number>,
  engine: string,
  layerWorker: string
): string | undefined => {
  const waiting = [...counts].filter(([, count]) => count > 0)
  if (waiting.length === 0) return undefined
  const all = waiting.reduce((sum, [, count]) => sum + count, 0)
  return `SideEffects.drain waits for ${describe.plural(all, "side effect")} that no worker has begun, in ` +
    `${waiting.length === 1 ? "queue" : "queues"} ${
      describe.counted(new Map(waiting))
    } of ${engine}. Is a worker running ` +
    `that looks there (${layerWorker})?`
}
