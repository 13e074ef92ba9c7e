/**
 * Side effects through Effect's `PersistedQueue`: written in a unit of work, performed by a worker, after a delay, after
 * failures, or not at all.
 *
 * The store is in memory, so that this file runs by itself. On Redis or on a database one layer is another one: see `Store`.
 */
import { Console, Effect, Layer, Queue, References, Schedule, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { PersistedQueueSideEffects } from "effect-side-effects/persisted-queue"
import { PersistedQueue } from "effect/persistence"

class CallCourier extends SideEffect.make("orders:courier:call", {
  description: "Ask the courier to fetch an order.",
  payload: { order: Schema.String, busy: Schema.Number },
  idempotencyKey: ({ order }) => order
}) {}

class AskForReview extends SideEffect.make("orders:review:ask", {
  description: "Ask the customer how it was.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(CallCourier, AskForReview)

class LineBusy extends Schema.TaggedError<LineBusy>()("LineBusy", {}) {
  override get message() {
    return "the line is busy"
  }
}

/** What has come to its end. */
const ended = Effect.runSync(Queue.unbounded<string>())

const Handlers = Orders.toLayer({
  "orders:courier:call": CallCourier.handler(
    Effect.fnUntraced(function*({ busy, order }, { attempt, idempotencyKey }) {
      if (attempt <= busy) {
        yield* Console.log(`  attempt ${attempt}: the line is busy`)
        return yield* new LineBusy()
      }
      yield* Console.log(`  attempt ${attempt}: the courier comes for ${order}, and knows it as ${idempotencyKey}`)
      yield* Queue.offer(ended, order)
    }),
    { timeout: "1 second", retry: Schedule.exponential("10 millis"), maxAttempts: 3 }
  ),
  "orders:review:ask": Effect.fnUntraced(function*({ order }) {
    yield* Console.log(`  later: how was ${order}?`)
    yield* Queue.offer(ended, order)
  })
})

// On Redis: PersistedQueue.layerStoreRedis(PersistedQueueSideEffects.storeOptions), with NodeRedis.layer(...).
// On a database: PersistedQueue.layerStoreSql(PersistedQueueSideEffects.storeOptions), with its SqlClient.
const Store = PersistedQueue.layerStoreMemory

const Writing = SideEffects.LiveLayer(Orders, { dispatcher: PersistedQueueSideEffects.dispatcher() })

// In a program of its own, where the store is not in memory.
const Performing = PersistedQueueSideEffects.layerWorker(Orders, {
  onDead: (job, { error, reason }) =>
    Effect.andThen(
      Console.log(`  dead as ${reason}: ${error.split("\n", 1)}`),
      Queue.offer(ended, job.id)
    )
}).pipe(Layer.provide(Handlers))

const place = Effect.fn("place")(function*(order: string, busy: number) {
  yield* Console.log(`${order} is placed`)
  yield* SideEffects.enqueue(CallCourier, { order, busy })
}, SideEffects.boundary())

export const program = Effect.gen(function*() {
  yield* place("A-1", 0)
  yield* Queue.take(ended)
  yield* place("A-2", 2)
  yield* Queue.take(ended)
  yield* place("A-3", 3)
  yield* Queue.take(ended)

  yield* Console.log("A-1 has arrived, and A-4 is refused: nobody is asked about that")
  const ask = (order: string) => SideEffects.enqueue(AskForReview, { order }, { delay: "50 millis" })
  yield* SideEffects.boundary(ask("A-1"))
  yield* ask("A-4").pipe(Effect.andThen(Effect.fail("refused")), SideEffects.boundary(), Effect.ignore)
  yield* Queue.take(ended)
}).pipe(
  Effect.provide([Writing, Performing]),
  Effect.provide(Store),
  // What is dead is an error in the log, too.
  Effect.provideService(References.MinimumLogLevel, "None")
)

if (import.meta.main) Effect.runPromise(program)
