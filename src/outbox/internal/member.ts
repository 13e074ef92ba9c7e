import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Formatter from "effect/Formatter"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as describe from "../../internal/describe.ts"
import { millisOf } from "../../internal/duration.ts"
import * as patience from "../../internal/patience.ts"
import { OutboxStore, type Settlement } from "../OutboxStore.ts"

/** What everybody is told who takes entries out of an outbox. See `Outbox.WorkerOptions`. */
export interface Options {
  readonly id?: string | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  readonly lease?: Duration.Input | undefined
  readonly pollInterval?: Duration.Input | undefined
  readonly retention?: {
    readonly done?: Duration.Input | undefined
    readonly dead?: Duration.Input | undefined
    readonly unknown?: Duration.Input | undefined
  } | undefined
  readonly cleanupInterval?: Duration.Input | undefined
}

/** Whoever was not seen for two minutes counts as gone. */
const showInterval = "30 seconds"

export type Member = Effect.Success<ReturnType<typeof make>>

/** The part of a worker, or of a relay, that does not know what becomes of the entries. */
export const make = Effect.fnUntraced(function*(what: "worker" | "relay", options: Options) {
  const { queues } = options
  const named = what === "worker" ? "Outbox.layerWorker" : "Outbox.layerRelay"
  const millis = (option: string, input: Duration.Input) => millisOf(named, option, input)
  const interval = (option: string, input: Duration.Input): number => {
    const n = millis(option, input)
    // With less its loops would never rest.
    if (n >= 1) return n
    throw new Error(`${named} was given ${option}: ${Formatter.format(input)}. It takes 1 millisecond or more.`)
  }
  const lease = interval("lease", options.lease ?? "30 seconds")
  const pollInterval = interval("pollInterval", options.pollInterval ?? "1 second")
  const cleanupInterval = interval("cleanupInterval", options.cleanupInterval ?? "30 seconds")
  const retention = {
    done: millis("retention.done", options.retention?.done ?? "7 days"),
    dead: millis("retention.dead", options.retention?.dead ?? "90 days"),
    unknown: millis("retention.unknown", options.retention?.unknown ?? "1 hour")
  }
  const id = options.id ?? `${what}-${(yield* Random.nextIntBetween(0, 0xffffffff)).toString(16).padStart(8, "0")}`
  const who = `Outbox ${what} ${id}`
  const store = yield* OutboxStore
  const context = Context.omit(Scheduler.Scheduler, Scope.Scope, Tracer.ParentSpan)(yield* Effect.context<never>())
  const fork = Effect.runForkWith(context)

  const patient = patience.make(who)

  /**
   * Waits for an effect no longer than that: closing has to end, also where the database does not answer. The effect is then
   * interrupted without waiting for that, so that nothing goes on trying.
   */
  const atMost = (patience: Duration.Input, effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      const fiber = fork(effect)
      return Effect.timeoutOrElse(Effect.interruptible(Fiber.await(fiber)), {
        duration: patience,
        orElse: () => Effect.sync(() => void fork(Fiber.interrupt(fiber)))
      })
    })

  /** What goes on all the time belongs to no trace. */
  const forkLoop = (turn: Effect.Effect<unknown>) =>
    Effect.forkDetach(Effect.withTracerEnabled(Effect.forever(turn), false))

  const cleaning = Effect.gen(function*() {
    const { unknown } = yield* store.cleanup(retention)
    if (unknown === 0) return
    yield* Effect.logWarning(
      `${describe.plural(unknown, "side effect")} in the outbox had names that no worker knows, and are dead now. ` +
        "Name the old name in aliases where one was renamed; they come back to life with a worker that knows them."
    )
  })
  const toCleanup = Effect.flatMap(Random.next, (random) => Effect.sleep(cleanupInterval * (0.8 + 0.4 * random)))

  /** Shows itself for the first time. */
  const enter = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
    const orphans = yield* store.register({ id, names, queues })
    if (orphans.length === 0) return
    yield* Effect.logWarning(
      `The outbox holds side effects that no worker knows: ${
        orphans.map(({ count, name }) => `${name} ×${count}`).join(", ")
      }. Name the old name in aliases where one was renamed, or start the worker that performs them.`
    )
  })

  /** What it has to do again and again, besides its work. `renewing` renews the leases of what it holds. */
  const forkRoutine = (names: ReadonlyArray<string>, renewing: Effect.Effect<void, unknown>) =>
    Effect.all([
      forkLoop(Effect.andThen(Effect.sleep(lease / 3), patient("renew its leases", renewing))),
      forkLoop(
        Effect.andThen(Effect.sleep(showInterval), patient("show itself", store.register({ id, names, queues })))
      ),
      forkLoop(Effect.andThen(toCleanup, patient("clean up", cleaning)))
    ])

  return { id, who, store, fork, lease, pollInterval, retention, patient, atMost, forkLoop, enter, forkRoutine }
})

/** Writes how deliveries have ended: what ends in the same moment in one statement. */
export const settler = (
  { patient, store, who }: Member,
  options: {
    /** Those of a statement, when it has been made. */
    readonly onSettled: (batch: ReadonlyArray<Settlement>) => void
    /** What was lost before it could be settled, and what to do about it. */
    readonly lost: string
  }
) => {
  const outcomes: Array<Settlement> = []
  const settleable = Latch.makeUnsafe()

  const flush: Effect.Effect<void> = Effect.suspend(() => {
    if (outcomes.length === 0) return Effect.void
    const batch = outcomes.slice(0, 1000)
    const settle = Effect.tap(store.settle(batch), () =>
      Effect.sync(() => {
        outcomes.splice(0, batch.length)
        options.onSettled(batch)
      }))
    return patient("settle what it performed", Effect.uninterruptible(settle)).pipe(
      Effect.flatMap((refused) =>
        refused.length === 0 ? Effect.void : Effect.logWarning(
          `${who} had lost the lease of ${
            describe.plural(refused.length, "side effect")
          } before it could settle them, ` +
            options.lost
        )
      ),
      Effect.andThen(flush)
    )
  })

  const settling = Effect.gen(function*() {
    yield* settleable.await
    settleable.closeUnsafe()
    // What ends in the same moment is settled together; the more there is, the more comes together meanwhile.
    yield* Effect.yieldNow
    yield* flush
  })

  return {
    /** Wakes nobody: that is done by `settleSoon`, when all that hangs on the outcome is known. */
    add: (settlement: Settlement): void => void outcomes.push(settlement),
    settleSoon: (): void => void settleable.openUnsafe(),
    isEmpty: (): boolean => outcomes.length === 0,
    size: (): number => outcomes.length,
    settling,
    flush
  }
}
