import type { Event, SideEffect, SideEffectGroup } from "effect-side-effects"
import { Engine, EngineWorker, type Job } from "effect-side-effects/engine"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import type { Maker } from "./index.ts"

// An engine of one's own, on an array: what it takes at least.

export interface Row {
  readonly job: Job.Job
  readonly due: number
}

export class Queue extends Context.Service<Queue, {
  readonly rows: Array<Row>
  readonly known: Set<string>
  readonly dead: Array<EngineSuite.DeadJob>
}>()("test/engine/Queue") {}

const layer = Layer.sync(Queue, () => ({ rows: [], known: new Set<string>(), dead: [] }))

export const dispatcher = Engine.dispatcher({
  name: "own",
  honours: { delay: true, priority: true, queue: false },
  connect: Effect.map(Queue, ({ known, rows }) => ({
    handOver: (jobs: ReadonlyArray<Job.Job>) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const job of jobs) {
          if (!known.has(job.id)) rows.push({ job, due: now + job.delay })
          known.add(job.id)
        }
      })
  }))
})

/** What is due, and of the highest priority. Looks every now and then. */
const take: Effect.Effect<Row, never, Queue> = Effect.gen(function*() {
  const { rows } = yield* Queue
  const now = yield* Clock.currentTimeMillis
  const [first] = rows.filter(({ due }) => due <= now).sort((a, b) => b.job.priority - a.job.priority || a.due - b.due)
  if (first === undefined) return yield* Effect.delay(take, "5 millis")
  return rows.splice(rows.indexOf(first), 1)[0]!
})

export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: EngineWorker.Options
): Layer.Layer<never, never, EngineWorker.Services<S, Ev, Queue>> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { dead, rows } = yield* Queue
    const worker = yield* EngineWorker.make("Own.layerWorker", dispatcher, group, options)
    const slots = yield* Semaphore.make(worker.concurrency)
    const perform = Effect.fnUntraced(function*({ job }: Row) {
      const outcome = yield* worker.perform(job)
      const now = yield* Clock.currentTimeMillis
      if (outcome._tag === "Dead") dead.push({ id: job.id, error: `${outcome.reason}: ${outcome.error}` })
      else if (outcome._tag === "Retry") {
        rows.push({ job: { ...job, progress: outcome.progress }, due: now + outcome.delay })
      } else if (outcome._tag === "Snooze") {
        rows.push({ job, due: now + outcome.delay })
      } else if (outcome._tag === "Release") rows.push({ job, due: now })
    })
    // Between taking and performing nothing is interrupted, or it would be lost.
    const turn = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(Effect.andThen(slots.take(1), Effect.onInterrupt(take, () => slots.release(1)))),
        (row) => Effect.forkDetach(Effect.ensuring(perform(row), slots.release(1)))
      )
    )
    const taker = yield* Effect.forkDetach(Effect.forever(turn))
    // Takes nothing more, waits for what runs, and then until all of it is settled.
    yield* Effect.addFinalizer(() =>
      Fiber.interrupt(taker).pipe(Effect.andThen(worker.close), Effect.andThen(slots.take(worker.concurrency)))
    )
  }))

export const make: Maker = () => ({
  layer: Layer.fresh(layer),
  subject: {
    name: "an engine of one's own",
    dispatcher,
    layerWorker,
    dead: Effect.map(Queue, ({ dead }) => dead),
    deduplicates: true,
    crash: undefined
  }
})
