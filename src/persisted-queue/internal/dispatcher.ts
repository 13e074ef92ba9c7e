import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as SqlClient from "effect/sql/SqlClient"
import * as Engine from "../../engine/Engine.ts"
import * as element from "./element.ts"

/** See `PersistedQueueSideEffects.DispatcherOptions`. */
export interface Options {
  readonly queue?: string | undefined
  readonly queues?: ReadonlyArray<string> | undefined
}

export const defaultPhysical = "side-effects"

/** How many offers of a batch are under way at once: as many as a usual pool has connections. */
const concurrency = 10

/** `transaction` says in which transactions the store writes. */
const makeWith = <R>(
  who: string,
  { queue = defaultPhysical, queues }: Options,
  transaction: Effect.Effect<Engine.Connection["transaction"], never, R>
): Engine.Engine<never, PersistedQueue.PersistedQueueStore | R> => {
  element.checkQueues(who, queue, queues)
  return Engine.dispatcher({
    name: "persisted-queue",
    honours: { delay: true, priority: false, queue: true, problem: element.problem(queue) },
    queues,
    connect: Effect.gen(function*() {
      const store = yield* PersistedQueue.PersistedQueueStore
      return {
        handOver: (jobs) =>
          Effect.forEach(jobs, (job) => store.offer(element.first(job, queue)), { concurrency, discard: true }),
        transaction: yield* transaction
      }
    })
  }) as any
}

export const make = (options: Options = {}): Engine.Engine<never, PersistedQueue.PersistedQueueStore> =>
  makeWith("PersistedQueueSideEffects.dispatcher", options, Effect.succeed(undefined))

export const makeInTransaction = (
  options: Options = {}
): Engine.Engine<never, PersistedQueue.PersistedQueueStore | SqlClient.SqlClient> =>
  makeWith(
    "PersistedQueueSideEffects.dispatcherInTransaction",
    options,
    Effect.map(SqlClient.SqlClient, ({ afterCommit, transactionService }) => ({
      isOpen: (context: Context.Context<never>) => Context.getOrUndefined(context, transactionService) !== undefined,
      afterCommit
    }))
  )
