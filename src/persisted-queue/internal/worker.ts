import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import type * as Job from "../../engine/Job.ts"
import type { Outcome, Reason } from "../../engine/Outcome.ts"
import * as describe from "../../internal/describe.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import * as dispatcher from "./dispatcher.ts"
import * as element from "./element.ts"

/** See `PersistedQueueSideEffects.WorkerOptions`. */
export interface Options extends EngineWorker.Options {
  readonly queue?: string | undefined
}

/** The store counts claims, and gives up by them; here it is crashes that are counted. */
const noLimit = 2 ** 31 - 1

/** How the store is told what to do with an element: by the way in which its scope ends. */
type End = Exit.Exit<void, unknown>
const done = /*#__PURE__*/ Effect.succeed(Exit.void)
const released = /*#__PURE__*/ Effect.succeed(/*#__PURE__*/ Exit.interrupt())

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** While handlers run, as many others may be settled: who takes the next one does not wait for that. */
const settling = 2

export const make = Effect.fnUntraced(function*(group: SideEffectGroup.Any, options: Options = {}) {
  const who = "PersistedQueueSideEffects.layerWorker"
  const { queue: physical = dispatcher.defaultPhysical } = options
  element.checkQueues(who, physical, options.queues)
  const store = yield* PersistedQueue.PersistedQueueStore
  const handOn = dispatcher.make({ queue: physical, queues: options.queues })
  const worker = yield* EngineWorker.make(who, handOn, group, options)
  /** Each queue is taken from as if it were the only one. */
  const permits = worker.queues.length === 1 ? undefined : Semaphore.makeUnsafe(worker.concurrency)
  /** Fibers that wait for an element. */
  const waiting = new Set<Fiber.Fiber<any, any>>()
  let closing = false

  // --- when the store does not answer ---

  const answering = Latch.makeUnsafe(true)
  let silences = 0

  /** All that take wait together, soon asking again, then less often, and it is said once each time. */
  const patience = (what: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!answering.isOpen()) return answering.await
      answering.closeUnsafe()
      const pause = Duration.millis(Math.min(100 * 2 ** silences++, 5000))
      return Effect.logError(`${who} could not ${what}, and tries again: ${describe.cause(cause)}`).pipe(
        Effect.andThen(Effect.sleep(pause)),
        Effect.ensuring(Effect.sync(() => answering.openUnsafe()))
      )
    })

  const patiently = (what: string, effect: Effect.Effect<void, unknown>): Effect.Effect<void> =>
    Effect.catchCause(
      Effect.tap(effect, () => Effect.sync(() => void (silences = 0))),
      (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : Effect.andThen(patience(what, cause), patiently(what, effect))
    )

  // --- from an element to its end ---

  const buried = (claim: Claim, reason: Reason, error: string): Exit.Exit<never, unknown> => {
    claim.dead = true
    // The store keeps how that prints itself.
    return Exit.fail({ name: reason, message: error })
  }

  const stranger = (name: string, { id }: element.Item, claim: Claim, problem: string) => {
    const error =
      `In queue "${name}" is something that is no side effect: ${problem}. Keep other things in other queues.`
    return Effect.as(
      Effect.logError(`${who} found what it cannot read, and leaves it as failed (element ${id}). ${error}`),
      buried(claim, "undecodable", error)
    )
  }

  const end = (
    name: string,
    item: element.Item,
    job: Job.Job,
    claim: Claim,
    outcome: Outcome,
    restore: Restore
  ): Effect.Effect<End> => {
    switch (outcome._tag) {
      case "Done":
        return done
      case "Release":
        return released
      case "Dead":
        return Effect.succeed(buried(claim, outcome.reason, outcome.error))
    }
    // Before this one is completed: what a crash between the two leaves is delivered again, and not lost.
    const offered = patiently(
      `put side effect "${job.name}" (intent ${job.id}) back`,
      store.offer(element.next(name, item, job, outcome))
    )
    return Effect.flatMap(Effect.exit(restore(offered)), (exit) => exit._tag === "Success" ? done : released)
  }

  const settle = (scope: Scope.Closeable, { id }: element.Item, end: Effect.Effect<End>): Effect.Effect<void> =>
    Effect.catchCause(
      Effect.flatMap(end, (exit) => Scope.close(scope, exit)),
      (cause) =>
        Effect.logError(
          `${who} could not settle element ${id}, so it is performed again when its lock has expired: ${
            describe.cause(cause)
          }`
        )
    )

  const ended = (
    name: string,
    item: element.Item,
    claim: Claim,
    scope: Scope.Closeable,
    restore: Restore
  ): Effect.Effect<Effect.Effect<void>> => {
    const job = element.jobOf(item)
    if (Result.isFailure(job)) return Effect.succeed(settle(scope, item, stranger(name, item, claim, job.failure)))
    const performed = worker.perform(job.success)
    return Effect.map(
      permits === undefined ? performed : permits.withPermits(1)(performed),
      (outcome) => settle(scope, item, end(name, item, job.success, claim, outcome, restore))
    )
  }

  /** Takes one element and performs it. Answers how to settle it, which others need not wait for. */
  const take = (name: string, restore: Restore): Effect.Effect<Effect.Effect<void>> =>
    Effect.withFiber((fiber) => {
      if (closing) return Effect.succeed(Effect.void)
      const claim = claimIn(name)
      const scope = Scope.makeUnsafe()
      waiting.add(fiber)
      return Effect.matchCauseEffect(restore(Scope.provide(store.take(claim), scope)), {
        onFailure: (cause) => {
          waiting.delete(fiber)
          return Effect.andThen(
            Scope.close(scope, Exit.failCause(cause)),
            Cause.hasInterruptsOnly(cause)
              ? Effect.failCause(cause as Cause.Cause<never>)
              : Effect.succeed(restore(patience(`take from queue "${name}"`, cause)))
          )
        },
        onSuccess: (item) => {
          waiting.delete(fiber)
          silences = 0
          return ended(name, item, claim, scope, restore)
        }
      })
    })

  // --- the life of the worker ---

  const loop = (name: string, slots: Semaphore.Semaphore) => {
    const turn = Effect.uninterruptibleMask((restore) => Effect.flatten(slots.withPermits(1)(take(name, restore))))
    return Effect.whileLoop({ while: () => !closing, body: () => turn, step: () => {} })
  }

  // What the worker does all the time belongs to no trace.
  const fork = (name: string, slots: Semaphore.Semaphore) =>
    Effect.forkDetach(Effect.withTracerEnabled(loop(name, slots), false))

  yield* Effect.uninterruptible(Effect.gen(function*() {
    const fibers: Array<Fiber.Fiber<void>> = []
    for (const queue of worker.queues) {
      const name = element.nameOf(queue, physical)
      const slots = Semaphore.makeUnsafe(worker.concurrency)
      for (let i = 0; i < worker.concurrency * settling; i++) {
        fibers.push(yield* fork(name, slots))
      }
    }
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closing = true
        for (const fiber of waiting) fiber.interruptUnsafe()
        yield* worker.close
        // Closing has to end, also where the store does not answer.
        const settled = Fiber.awaitAll(fibers)
        if ((yield* Effect.timeoutOption(Effect.interruptible(settled), "5 seconds"))._tag === "Some") return
        for (const fiber of fibers) fiber.interruptUnsafe()
        yield* Effect.timeoutOption(Effect.interruptible(settled), "5 seconds")
      })
    )
  }))
})

/**
 * What the store is asked with. It looks at it again when an element has failed: that is the end of it when it is dead, and
 * nothing else is told as a failure.
 */
interface Claim {
  readonly name: string
  readonly maxAttempts: number
  readonly retryDelay: () => Effect.Effect<Duration.Duration>
  dead: boolean
}

const claimIn = (name: string): Claim => ({
  name,
  dead: false,
  get maxAttempts() {
    return this.dead ? 0 : noLimit
  },
  // A store that does not look again keeps it, and gives it to nobody.
  retryDelay: () => Effect.succeed(Duration.days(36500))
})
