import { OutboxStore } from "effect-side-effects/outbox"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { Write } from "./log.ts"
import type { Message } from "./processes.ts"
import type { Step, Task } from "./task.ts"

export const tell = (message: Message): void => void process.send?.(message)

const forever = (): never => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  throw new Error("It should be dead.")
}

/** Ends, or stops, this process when it comes to the step of its task for the n-th time. */
export const stepper = ({ nth, step }: Pick<Task, "nth" | "step">, write: Write) => {
  let times = 0
  return (here: Step): void => {
    if (here !== step || ++times !== nth) return
    if (here.startsWith("during-")) return tell("kill me")
    if (here.startsWith("stop-")) {
      tell("stopped")
      process.kill(process.pid, "SIGSTOP")
      return
    }
    write({ is: "dies", step: here })
    process.kill(process.pid, "SIGKILL")
    forever()
  }
}

type At = ReturnType<typeof stepper>

/** The client, which dies around the COMMIT of the outermost transaction, or before a statement of a migration. */
export const layerClient = (task: Task, at: At, isArmed: () => boolean) =>
  Layer.effect(SqlClient.SqlClient, Effect.map(SqlClient.SqlClient, (sql) => wrapClient(sql, task, at, isArmed)))

const wrapClient = (sql: SqlClient.SqlClient, { role }: Task, at: At, isArmed: () => boolean): SqlClient.SqlClient => {
  const commits = role === "producer"
    ? { before: ["before-commit", "during-commit"], after: "after-commit" } as const
    : role === "migrator"
    ? { before: ["in-migration"], after: "in-migration" } as const
    : { before: ["in-replay"], after: "in-replay" } as const
  if (role === "worker") return sql
  const withTransaction: SqlClient.SqlClient["withTransaction"] = (self, ...rest) =>
    Effect.withFiber((fiber) => {
      if (!isArmed() || Context.getOrUndefined(fiber.context, sql.transactionService) !== undefined) {
        return sql.withTransaction(self, ...rest)
      }
      const committing = Effect.gen(function*() {
        yield* sql.afterCommit(Effect.sync(() => at(commits.after)))
        const result = yield* self
        for (const step of commits.before) at(step)
        return result
      })
      return sql.withTransaction(committing, ...rest)
    })
  const unsafe = (...args: Parameters<SqlClient.SqlClient["unsafe"]>) =>
    Effect.suspend(() => {
      at("in-migration")
      return sql.unsafe(...args)
    })
  return new Proxy(sql, {
    get: (target, property, receiver) =>
      property === "withTransaction"
        ? withTransaction
        : property === "unsafe" && role === "migrator"
        ? unsafe
        : Reflect.get(target, property, receiver)
  })
}

/** The store, which dies at the steps of its task, and writes down what it was asked and what it answered. */
export const layerStore = (task: Task, at: At, write: Write, held: Map<string, number>) =>
  Layer.effect(
    OutboxStore.OutboxStore,
    Effect.map(OutboxStore.OutboxStore, (store) => wrapStore(store, task, at, write, held))
  )

const wrapStore = (
  store: OutboxStore.OutboxStore["Service"],
  { lease }: Task,
  at: At,
  write: Write,
  held: Map<string, number>
): OutboxStore.OutboxStore["Service"] => {
  const watched = <A, E>(what: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const asked = Date.now()
      const trouble = (what: string) => write({ is: "trouble", what, took: Date.now() - asked })
      return Effect.onExit(effect, (exit) =>
        Effect.sync(() => {
          if (exit._tag === "Failure") trouble(`${what} failed`)
          else if (Date.now() - asked > lease / 4) trouble(`${what} was slow`)
        }))
    })
  return OutboxStore.OutboxStore.of({
    ...store,
    offerMany: (offers, options) =>
      Effect.suspend(() => {
        at("during-offer")
        return store.offerMany(offers, options)
      }),
    claim: (claim) =>
      Effect.suspend(() => {
        at("during-claim")
        return Effect.tap(watched("claim", store.claim(claim)), (claimed) =>
          Effect.sync(() => {
            for (const { attempts, id, token } of claimed) {
              held.set(id, token)
              write({ is: "claimed", id, token, attempt: attempts })
            }
            if (claimed.length > 0) at("after-claim")
          }))
      }),
    settle: (settlements) =>
      Effect.suspend(() => {
        at("after-handler")
        at("stop-before-settle")
        at("during-settle")
        const asked = Date.now()
        return Effect.tap(watched("settle", store.settle(settlements)), (refused) =>
          Effect.sync(() => {
            for (const { outcome, ref, token } of settlements) {
              write(
                refused.includes(ref) ? { is: "refused", token } : { is: "settled", token, as: outcome._tag, asked }
              )
            }
            at("after-settle")
          }))
      }),
    renew: (leases, lease) =>
      Effect.tap(watched("renew", store.renew(leases, lease)), (lost) =>
        Effect.sync(() => {
          for (const { ref, token } of leases) if (lost.includes(ref)) write({ is: "lost", token })
        }))
  })
}
