import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "../../engine/Engine.ts"

type Store = PersistedQueue.PersistedQueueStore["Service"]

const forever = /*#__PURE__*/ Duration.days(36500)

/**
 * The transactions in which a store writes. `own` is the client of the layer; that of a unit of work may be another one.
 *
 * A store does not say where it writes. One that uses the same client writes in the transaction that is open, so it is given
 * one whose connection refuses everything, and is asked to remove what is older than a century: whether it has tried to use
 * that connection is the answer.
 */
export const make = (store: Store, own: SqlClient.SqlClient | undefined): NonNullable<Connection["transaction"]> => {
  const known = new WeakMap<object, boolean>()

  const writesIn = (service: SqlClient.SqlClient["transactionService"], context: Context.Context<never>): boolean => {
    let answer = known.get(service)
    if (answer === undefined) {
      answer = false
      const refusing = new Proxy({}, {
        get: () => () => {
          answer = true
          return Effect.die("This connection is none.")
        }
      })
      const fiber = Effect.runForkWith(Context.add(context, service, [refusing as any, 0]))(
        Effect.withTracerEnabled(store.cleanup({ timeToLive: forever, failedTimeToLive: undefined }), false)
      )
      // Where it did not ask at once it waits for something else, and needs not finish.
      fiber.interruptUnsafe()
      known.set(service, answer)
    }
    return answer
  }

  const clientOf = (context: Context.Context<never>): SqlClient.SqlClient | undefined => {
    const around = Context.getOrUndefined(context, SqlClient.SqlClient)
    return [own, around].find((sql) =>
      sql !== undefined && Context.getOrUndefined(context, sql.transactionService) !== undefined &&
      writesIn(sql.transactionService, context)
    )
  }

  return {
    isOpen: (context) => clientOf(context) !== undefined,
    afterCommit: (effect) => Effect.withFiber((fiber) => clientOf(fiber.context)?.afterCommit(effect) ?? effect)
  }
}
