import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as DurableClock from "effect/workflow/DurableClock"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import * as Job from "../../engine/Job.ts"
import type { Outcome } from "../../engine/Outcome.ts"
import { type PerformSideEffect, SideEffectDead } from "./definition.ts"
import { type Hub, Lease } from "./hub.ts"

type Services = WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance

/** What is kept of how a delivery ended. */
const Ended = /*#__PURE__*/ Schema.Union([
  Schema.TaggedStruct("Done", {}),
  Schema.TaggedStruct("Dead", { reason: SideEffectDead.fields.reason, error: Schema.String }),
  Schema.TaggedStruct("Again", { due: Schema.Number, progress: Job.Progress })
])
type Ended = typeof Ended.Type

/** The body of the workflow. */
export const run = (hub: Hub) => ({ due, job }: typeof PerformSideEffect.payloadSchema.Type, executionId: string) =>
  Effect.suspend(() => {
    const lease = new Lease(hub, job.name)
    hub.enter(executionId)
    return Effect.ensuring(
      deliveries(hub, lease, job, due),
      Effect.sync(() => {
        lease.release()
        hub.exit()
      })
    )
  })

/** One delivery after the other. A run goes through those that are recorded without performing anything. */
const deliveries = Effect.fnUntraced(function*(
  hub: Hub,
  lease: Lease,
  job: Job.Job,
  first: number
): Effect.fn.Return<void, SideEffectDead, Services> {
  let due = first
  let progress = Job.untouched
  for (let n = 1;; n++) {
    yield* until(hub, lease, `pause/${n}`, due)
    if (lease.worker === undefined && !(yield* hub.take(lease))) return yield* hub.park
    const ended = yield* delivery(hub, lease, { ...job, progress }, n)
    if (ended._tag === "Done") return
    if (ended._tag === "Dead") {
      return yield* new SideEffectDead({ name: job.name, reason: ended.reason, error: ended.error })
    }
    due = ended.due
    progress = ended.progress
  }
})

/**
 * That a delivery has begun is recorded before its handler runs, in an activity, and how it ended behind it, unless that is
 * the end of the workflow, too: the usual one costs one activity. One that began in another run and has no end was lost with
 * its process.
 */
const delivery = Effect.fnUntraced(function*(
  hub: Hub,
  lease: Lease,
  job: Job.Job & { readonly progress: Job.Progress },
  n: number
): Effect.fn.Return<Ended, never, Services> {
  let begun = false
  yield* Activity.make({
    name: `begin/${n}`,
    execute: Effect.sync(() => {
      begun = true
    })
  })
  if (begun) return yield* performed(hub, lease, job, n)
  const ended = yield* elsewhere(hub, lease, job, n)
  return ended ?? (yield* recorded(n, Effect.map(Clock.currentTimeMillis, (now) => lost(job.progress, now))))
})

const recorded = (n: number, ended: Effect.Effect<Ended>) =>
  Activity.make({ name: `end/${n}`, success: Ended, execute: ended })

/** Another runner reads here how a delivery ended that its own runner could not finish in time. */
const handedOn = (n: number) => DurableDeferred.make(`end/${n}`, { success: Ended })

/**
 * The runner may want to give the execution to another one, as when shards are spread anew. That waits for the handler:
 * nobody would know otherwise that it was performed.
 */
const performed = Effect.fnUntraced(function*(
  hub: Hub,
  lease: Lease,
  job: Job.Job & { readonly progress: Job.Progress },
  n: number
): Effect.fn.Return<Ended, never, Services> {
  const instance = yield* WorkflowEngine.WorkflowInstance
  const deferred = handedOn(n)
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(lease.perform(job), (fiber) => {
      let known: Ended | undefined
      const ended = Effect.flatMap(Fiber.join(fiber), (outcome) =>
        Effect.map(Clock.currentTimeMillis, (now) => known ??= endOf(outcome, job.progress, now)))
      const kept = Effect.flatMap(
        ended,
        (value) =>
          value._tag === "Again" ? recorded(n, Effect.succeed(value)) : Effect.succeed(value)
      )
      return Effect.onInterrupt(restore(kept), () =>
        Effect.flatMap(ended, (value) =>
          hub.engine.deferredDone(deferred, {
            workflowName: instance.workflow._tag,
            executionId: instance.executionId,
            deferredName: deferred.name,
            exit: Exit.succeed(value)
          })))
    })
  )
})

/** What another run knows of a delivery that this one has not begun. */
const elsewhere = Effect.fnUntraced(function*(
  hub: Hub,
  lease: Lease,
  job: Job.Job & { readonly progress: Job.Progress },
  n: number
): Effect.fn.Return<Ended | undefined, never, Services> {
  const fiber = hub.running.get(job.id)
  if (fiber !== undefined) {
    lease.release()
    const outcome = yield* Fiber.join(fiber)
    return endOf(outcome, job.progress, yield* Clock.currentTimeMillis)
  }
  const exit = yield* hub.engine.deferredResult(handedOn(n))
  return Option.isSome(exit) && exit.value._tag === "Success" ? exit.value.value : undefined
})

const endOf = (outcome: Outcome, progress: Job.Progress, now: number): Ended => {
  switch (outcome._tag) {
    case "Done":
      return { _tag: "Done" }
    case "Dead":
      return { _tag: "Dead", reason: outcome.reason, error: outcome.error }
    case "Retry":
      return { _tag: "Again", due: now + outcome.delay, progress: outcome.progress }
    case "Snooze":
      return { _tag: "Again", due: now + outcome.delay, progress }
    case "Release":
      return { _tag: "Again", due: now, progress }
  }
}

const lost = (progress: Job.Progress, now: number): Ended => ({
  _tag: "Again",
  due: now,
  progress: { ...progress, attempts: progress.attempts + 1, crashes: progress.crashes + 1 }
})

/** Short pauses are slept here, as long as there is a worker. */
const until = Effect.fnUntraced(function*(
  hub: Hub,
  lease: Lease,
  name: string,
  due: number
): Effect.fn.Return<void, never, Services> {
  let left = due - (yield* Clock.currentTimeMillis)
  if (left <= 0) return
  lease.release()
  if (left <= hub.inMemoryThreshold) {
    const slept = yield* Effect.raceFirst(Effect.as(Effect.sleep(left), true), Effect.as(hub.deserted.await, false))
    if (slept) return
  }
  left = due - (yield* Clock.currentTimeMillis)
  if (left <= 0) return
  yield* DurableClock.sleep({ name, duration: left, inMemoryThreshold: 0 })
  // Clocks of machines differ.
  yield* Effect.sleep(Math.max(0, due - (yield* Clock.currentTimeMillis)))
})
