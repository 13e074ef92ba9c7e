import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Dispatcher from "../../Dispatcher.ts"
import type * as Intent from "../../Intent.ts"
import * as describe from "../../internal/describe.ts"
import { untilIdle } from "../../internal/drain.ts"
import { millisOf } from "../../internal/duration.ts"
import { compilePattern } from "../../internal/pattern.ts"
import { OutboxStore } from "../OutboxStore.ts"
import * as Transactions from "../Transactions.ts"
import { offerOf } from "./offer.ts"

export const make = (options?: {
  readonly uniqueFor?: Duration.Input | undefined
  /** What is written too late is not lost: whoever enqueued it is performed again. */
  readonly repeated?: boolean | undefined
}): Dispatcher.Dispatcher<false, never, OutboxStore> => {
  const uniqueFor = millisOf("Outbox.dispatcher", "uniqueFor", options?.uniqueFor ?? "1 day")
  const by = "dispatcher outbox"
  return Dispatcher.proto({
    name: "outbox",
    performs: false,
    durable: true,
    open: Effect.fnUntraced(function*(port) {
      const store = yield* OutboxStore
      let warned = options?.repeated === true

      const accepted = (intents: ReadonlyArray<Intent.Any>) => () => {
        for (const intent of intents) port.settle({ _tag: "Dispatched", intent, by, attempts: 0 })
      }

      const write = (intents: ReadonlyArray<Intent.Any>) =>
        Effect.withFiber<void, unknown>((fiber) => {
          const transaction = store.transactionOf(fiber.context)
          return Effect.flatMap(
            store.offerMany(intents.map(offerOf), { uniqueFor }),
            (duplicates) => {
              const known = new Map(duplicates.map(({ id, of }) => [id, of]))
              const written: Array<Intent.Any> = []
              for (const intent of intents) {
                const of = known.get(intent.id)
                if (of === undefined) written.push(intent)
                else port.settle({ _tag: "Deduplicated", intent, by, of })
              }
              if (transaction === undefined) return Effect.sync(accepted(written))
              // Whether it was accepted shows when the transaction ends.
              for (const intent of written) port.underway(intent)
              return store.afterCommit(Effect.sync(accepted(written)))
            }
          )
        })

      const warn = (intents: ReadonlyArray<Intent.Any>): Effect.Effect<void> =>
        Effect.withFiber((fiber) => {
          const now = store.transactionOf(fiber.context)
          const late = intents.find((intent) => Transactions.isLate(intent, now))
          if (late === undefined) return Effect.void
          warned = true
          return Effect.logWarning(lateMessage(late))
        })

      return {
        dispatch: (intents) => warned ? write(intents) : Effect.andThen(warn(intents), write(intents)),
        noticed: (intent) => {
          const fiber = Fiber.getCurrent()
          const transaction = fiber && store.transactionOf(fiber.context)
          if (transaction !== undefined) Transactions.remember(intent, transaction)
        },
        drain: drain(store, [...port.names])
      }
    })
  })
}

const lateMessage = ({ name }: Intent.Any): string =>
  `Side effect "${name}" was enqueued inside a transaction, and is written to the outbox after that has ended: the ` +
  "boundary is around the transaction. A crash between the two loses it, and a rollback that is caught does not take " +
  "it back. Put the boundary inside: SqlSideEffects.transaction(effect). This is said once."

/** Waits until nothing that is not paused is due, and nothing is running. */
const drain = (store: OutboxStore["Service"], names: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    if (store.transactionOf(fiber.context) !== undefined) {
      return Effect.die(
        new Error(
          "SideEffects.drain waits for workers, and they cannot see what this transaction has written. In a test that " +
            "is rolled back, perform it here: Outbox.drain(group)."
        )
      )
    }
    const look = Effect.orDie(Effect.gen(function*() {
      const pauses = yield* store.pauses
      const paused = pauses.flatMap(({ kind, what }) => kind === "name" ? [compilePattern(what)] : [])
      const queues = pauses.flatMap(({ kind, what }) => kind === "queue" ? [what] : [])
      const awake = names.filter((name) => !paused.some((matches) => matches(name)))
      const due = { names: awake, states: ["pending"] } as const
      let pending = awake.length === 0 ? 0 : yield* store.count(due)
      if (pending > 0 && queues.length > 0) pending = Math.max(0, pending - (yield* store.count({ ...due, queues })))
      return [pending, yield* store.count({ names, states: ["running"] })] as const
    }))
    // In one look: what is handed back between two would be in neither.
    const isBusy = Effect.orDie(Effect.flatMap(store.pauses, (pauses) =>
      pauses.length > 0
        ? Effect.map(look, ([pending, running]) => pending + running > 0)
        : Effect.map(store.count({ names, states: ["pending", "running"] }), (count) => count > 0)))
    return untilIdle({
      isBusy,
      problem: Effect.map(
        look,
        ([pending, running]) =>
          pending === 0 || running > 0 ?
            undefined :
            `SideEffects.drain waits for ${
              describe.plural(pending, "side effect")
            } that no worker has begun. Is one running (Outbox.layerWorker, or Outbox.layerRelay where an engine performs), ` +
            "does it know their names, or are they paused?"
      )
    })
  })
