import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import type * as Job from "../../engine/Job.ts"
import type * as Delivered from "../../engine/Outcome.ts"
import type * as Policy from "../../Policy.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import type { Claimed, Outcome } from "../OutboxStore.ts"
import * as dispatcher from "./dispatcher.ts"

/** How entries are delivered, whoever does it. */
export interface Options {
  readonly retry?: Schedule.Schedule<any, unknown> | undefined
  readonly maxCrashes?: number | undefined
  readonly policy?: Policy.Policy | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly keepDone?: boolean | undefined
}

export const make = Effect.fnUntraced(function*(group: SideEffectGroup.Any, who: string, options: Options) {
  const { keepDone: keep = true, maxCrashes, policy, retry, uniqueFor } = options
  const { deliver: deliverOne, handlers, names } = yield* EngineWorker.deliverer(group, who, {
    name: "outbox",
    dispatcher: dispatcher.make({ uniqueFor, repeated: true }),
    retry,
    maxCrashes,
    policy
  })
  const deliver = (claimed: Claimed): Effect.Effect<Outcome> =>
    Effect.map(deliverOne(headOf(claimed), () => bodyOf(claimed)), (outcome) => outcomeOf(outcome, keep))
  return { deliver, handlers, names }
})

/** By somebody inside of the handler, which may end differently another time. */
export const interrupted: typeof EngineWorker.interrupted = EngineWorker.interrupted

export const progressOf = ({ attempts, crashes, failedAt, failures }: Claimed): Job.Progress => ({
  // The one that begins is counted already.
  attempts: attempts - 1,
  failures,
  failedAt,
  crashes
})

const headOf = (claimed: Claimed): Omit<Job.Job, "metadata" | "payload"> => ({
  id: claimed.id,
  name: claimed.name,
  queue: claimed.queue,
  priority: claimed.priority,
  delay: 0,
  createdAt: claimed.createdAt,
  key: claimed.key,
  origin: claimed.origin,
  trace: claimed.trace,
  progress: progressOf(claimed)
})

/** Throws where it is no JSON. */
export const bodyOf = ({ metadata, payload }: Claimed): Pick<Job.Job, "metadata" | "payload"> => ({
  payload: JSON.parse(payload),
  metadata: metadata === undefined ? undefined : JSON.parse(metadata)
})

export const outcomeOf = (outcome: Delivered.Outcome, keep: boolean): Outcome => {
  switch (outcome._tag) {
    case "Done":
      return { _tag: "Done", keep }
    case "Retry":
      return { _tag: "Retry", delay: outcome.delay, error: outcome.error }
    case "Dead":
      return { _tag: "Dead", reason: outcome.reason, error: outcome.error, failed: outcome.failed }
  }
  return outcome
}
