import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as SqlClient from "effect/sql/SqlClient"
import * as Engine from "../../engine/Engine.ts"
import * as element from "./element.ts"
import * as transaction from "./transaction.ts"

/** See `PersistedQueueSideEffects.DispatcherOptions`. */
export interface Options {
  readonly queue?: string | undefined
  readonly queues?: ReadonlyArray<string> | undefined
}

export const defaultPhysical = "side-effects"

/** How many offers of a batch are under way at once: as many as a usual pool has connections. */
const concurrency = 10

export const make = (
  { queue = defaultPhysical, queues }: Options = {}
): Engine.Engine<never, PersistedQueue.PersistedQueueStore> => {
  element.checkQueues("PersistedQueueSideEffects.dispatcher", queue, queues)
  return Engine.dispatcher({
    name: "persisted-queue",
    honours: { delay: true, priority: false, queue: true, problem: element.problem(queue) },
    queues,
    connect: Effect.gen(function*() {
      const store = yield* PersistedQueue.PersistedQueueStore
      const own = Context.getOrUndefined(yield* Effect.context<never>(), SqlClient.SqlClient)
      return {
        handOver: (jobs) =>
          Effect.forEach(jobs, (job) => store.offer(element.first(job, queue)), { concurrency, discard: true }),
        transaction: transaction.make(store, own)
      }
    })
  })
}
