import * as Clock from "effect/Clock"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Rpc from "effect/rpc/Rpc"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import type { Job } from "../../engine/Job.ts"
import type { Outcome } from "../../engine/Outcome.ts"
import { checkNumber } from "../../internal/check.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import * as dispatcher from "./dispatcher.ts"
import * as journal from "./journal.ts"
import { Buried, defaultEntity, entity, type OrderBy, type Request } from "./protocol.ts"

export interface Options extends Omit<EngineWorker.Options, "queues"> {
  readonly entity?: string | undefined
  readonly orderBy?: OrderBy | undefined
  readonly mailboxCapacity?: number | undefined
}

const who = "ClusterSideEffects.layerWorker"

/** How long a shard waits here for a handler that runs, at least: nobody is in a hurry as at a shutdown. */
const moving = /*#__PURE__*/ Duration.seconds(15)

/** It is not answered until it is interrupted, so whoever has the shard next gets it. */
const moved = /*#__PURE__*/ Effect.interruptible(Effect.never)

/**
 * A cluster takes the first handlers of an entity type and says nothing of the second, also when the first are closed: it never
 * lets go of a type.
 */
const taken = new WeakMap<Sharding.Sharding["Service"], Set<string>>()

const take = (sharding: Sharding.Sharding["Service"], type: string, group: string) => {
  let types = taken.get(sharding)
  if (types === undefined) taken.set(sharding, types = new Set())
  if (types.has(type)) {
    throw new Error(
      `${who} was given group "${group}" for entity "${type}", which another worker in this process performs already, or ` +
        "performed until it was closed: a runner takes one worker for each entity, once. Make one group of both, or name " +
        "another entity in the options of this worker and of its dispatcher. To build a worker again, build its cluster " +
        "(Sharding) again with it, in Layer.fresh where layers are shared."
    )
  }
  types.add(type)
}

export const make = Effect.fnUntraced(function*(group: SideEffectGroup.Any, options: Options = {}) {
  const { entity: type = defaultEntity, mailboxCapacity = 256, orderBy } = options
  checkNumber(who, "mailboxCapacity", mailboxCapacity)
  if ("queues" in options && options.queues !== undefined) {
    throw new Error(`${who} was given queues, and a cluster has none. Leave them out, or give another entity.`)
  }
  const patience = Duration.max(Duration.fromInputUnsafe(options.gracePeriod ?? "10 seconds"), moving)
  const clock = yield* Clock.Clock
  const sharding = yield* Sharding.Sharding
  const storage = yield* MessageStorage.MessageStorage
  if (storage === MessageStorage.noop) {
    throw new Error(
      `${who} needs a cluster that keeps messages, and this one has no MessageStorage. Give it SQL storage.`
    )
  }
  const worker = yield* EngineWorker.make(who, dispatcher.make({ entity: type, orderBy }), group, options)
  const book = journal.make(sharding, storage, () => clock.currentTimeMillisUnsafe())
  yield* Effect.forkScoped(book.watch)
  const slots = Semaphore.makeUnsafe(worker.concurrency)

  /** Once begun it is waited for, but not for ever when its shard has to leave this runner. */
  const delivery = (job: Job): Effect.Effect<Outcome> =>
    Effect.flatMap(
      Effect.forkDetach(worker.perform(job), { startImmediately: true }),
      (fiber) =>
        Effect.matchCauseEffect(Effect.interruptible(Fiber.join(fiber)), {
          onSuccess: Effect.succeed,
          onFailure: () =>
            Effect.timeoutOption(Effect.interruptible(Fiber.join(fiber)), patience).pipe(
              Effect.flatMap((outcome) =>
                outcome._tag === "Some"
                  ? Effect.succeed(outcome.value)
                  : Effect.andThen(worker.release(job.id), Fiber.join(fiber))
              )
            )
        })
    )

  const handle = Effect.fnUntraced(function*(request: Request) {
    const { address, payload: { job } } = request
    const journals = book.of(request)
    let { due, progress } = journals
    while (true) {
      const pause = due - clock.currentTimeMillisUnsafe()
      if (pause > 0) yield* Effect.interruptible(Effect.sleep(pause))
      yield* Effect.interruptible(slots.take(1))
      // Whoever has the shard now performs it, and those before it as well.
      if (!sharding.hasShardId(address.shardId)) return yield* Effect.andThen(slots.release(1), moved)
      yield* journals.begin(progress)
      const outcome = yield* delivery({ ...job, progress })
      // Answers are on their way together: those of a shard share the look at its lock.
      yield* slots.release(1)
      if (outcome._tag === "Done") return
      if (outcome._tag === "Dead") return yield* new Buried({ reason: outcome.reason, error: outcome.error })
      switch (outcome._tag) {
        case "Release":
          yield* journals.stay(progress)
          return yield* moved
        case "Snooze":
          due = clock.currentTimeMillisUnsafe() + outcome.delay
          yield* journals.stay(progress)
          break
        case "Retry":
          due = clock.currentTimeMillisUnsafe() + outcome.delay
          progress = outcome.progress
          yield* journals.retry(progress, due)
      }
    }
  })

  // Only now, so that one whose handlers are missing takes nothing.
  take(sharding, type, group.name)
  const inOrder = ordered()
  yield* sharding.registerEntity(
    entity(type),
    Effect.succeed({
      Perform: (request: Request) =>
        Rpc.uninterruptible(Stream.drain(Stream.fromEffect(inOrder(request.payload.order, handle(request)))))
    } as any),
    { concurrency: "unbounded", mailboxCapacity }
  )
  // Last here, so first when it is closed: what runs ends while the cluster is still there to take its answer.
  yield* Effect.addFinalizer(() => worker.close)
})

/**
 * Messages of the same key are handled one after another, in the order in which they came. The next one begins when the
 * answer of the one before is kept, so that a lost process leaves no more than one of a key to be performed again.
 */
const ordered = () => {
  const tails = new Map<string, Latch.Latch>()
  return <E>(
    key: string | undefined,
    handle: Effect.Effect<void, E, Scope.Scope>
  ): Effect.Effect<void, E, Scope.Scope> =>
    key === undefined ? handle : Effect.suspend(() => {
      const before = tails.get(key)
      const mine = Latch.makeUnsafe()
      tails.set(key, mine)
      const leave = Effect.sync(() => {
        mine.openUnsafe()
        if (tails.get(key) === mine) tails.delete(key)
      })
      const run = Effect.andThen(Effect.addFinalizer(() => leave), handle)
      return before === undefined ? run : Effect.matchCauseEffect(Effect.interruptible(before.await), {
        onSuccess: () => run,
        // Whoever goes lets nobody behind it pass who is before it.
        onFailure: (cause) =>
          Effect.andThen(Effect.forkDetach(Effect.andThen(before.await, leave)), Effect.failCause(cause))
      })
    })
}
