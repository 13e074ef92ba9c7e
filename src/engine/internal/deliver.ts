import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Decision from "../../Decision.ts"
import type * as Dispatcher from "../../Dispatcher.ts"
import * as Instruments from "../../Instruments.ts"
import { codecOf } from "../../internal/codec.ts"
import * as describe from "../../internal/describe.ts"
import type { HandlerEntry } from "../../internal/handler.ts"
import { IntentImpl } from "../../internal/intent.ts"
import * as redact from "../../internal/redact.ts"
import * as Layers from "../../Layers.ts"
import type * as Policy from "../../Policy.ts"
import type * as SideEffect from "../../SideEffect.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import { type Job, longest, type Progress, untouched } from "../Job.ts"
import type { Outcome, Retry } from "../Outcome.ts"

/** How jobs are delivered, whoever does it. */
export interface Options<E, R> {
  /** As it is called in decisions and spans. */
  readonly name: string
  /** For what handlers enqueue themselves. */
  readonly dispatcher: Dispatcher.Dispatcher<boolean, E, R>
  readonly retry?: Schedule.Schedule<any, unknown> | undefined
  readonly maxCrashes?: number | undefined
  readonly policy?: Policy.Policy | undefined
}

/** What can be delivered here, and the way to deliver one job. */
interface Deliverer {
  /** The side effects by all names that a job may have. */
  readonly names: ReadonlyMap<string, SideEffect.Any>
  readonly handlers: ReadonlyMap<string, HandlerEntry>
  /** The name of the job is one of `names`. `read` may throw where something is no JSON. */
  readonly deliver: (job: Head, read: () => Body) => Effect.Effect<Outcome>
}

type Head = Omit<Job, "metadata" | "payload">
type Body = Pick<Job, "metadata" | "payload">

const maxErrorLength = 8000

/** Seconds at first, then minutes, at last every hour: 20 attempts take about nine hours. */
const standardRetry = /*#__PURE__*/ Schedule.jittered(
  /*#__PURE__*/ Schedule.min([/*#__PURE__*/ Schedule.exponential("2 seconds"), /*#__PURE__*/ Schedule.spaced("1 hour")])
)
const standardAttempts = 20

/** Whatever has failed, and however it prints itself. */
export const textOfCause = (cause: Cause.Cause<unknown>): string => {
  try {
    return cut(Cause.pretty(cause))
  } catch (error) {
    return `It failed with something that cannot be printed: ${error instanceof Error ? error.name : typeof error}`
  }
}

const cut = (text: string): string =>
  text.length <= maxErrorLength ? text : `${text.slice(0, maxErrorLength)}\n... (${text.length} characters)`

export const make = Effect.fnUntraced(function*<E, R>(group: SideEffectGroup.Any, who: string, options: Options<E, R>) {
  const { dispatcher, maxCrashes = 3, name: by, policy } = options
  const standard = options.retry === undefined
    ? { schedule: standardRetry, maxAttempts: standardAttempts }
    : { schedule: options.retry, maxAttempts: undefined }
  const handlers = new Map<string, HandlerEntry>()
  for (const [name, entry] of yield* Layers.collectHandlers(group, who)) {
    handlers.set(
      name,
      entry.schedule === undefined
        ? { ...entry, ...standard, maxAttempts: entry.maxAttempts ?? standard.maxAttempts }
        : entry
    )
  }
  const { perform } = yield* Layers.open(group, dispatcher, handlers, { policy, outsideBoundary: "dispatch" })
  const instruments = yield* Instruments.taken
  const clock = yield* Clock.Clock
  const names = namesOf(group)

  const deliver: Deliverer["deliver"] = (job, read) => {
    const sideEffect = names.get(job.name)!
    const progress = job.progress ?? untouched
    if (progress.crashes >= maxCrashes) {
      instruments?.lost(sideEffect._tag, "crashed")
      return Effect.succeed(crashed(progress))
    }
    let json: unknown
    let intent: any
    try {
      const { metadata, payload } = read()
      json = payload
      intent = intentOf(sideEffect, codecOf(sideEffect).decode(payload), job, metadata)
    } catch (error) {
      instruments?.lost(sideEffect._tag, "undecodable")
      return Effect.succeed(undecodable(sideEffect, job.name, json, error))
    }
    let next: Outcome | undefined
    const performing: Dispatcher.Performing = {
      made: progress.attempts,
      failedAt: progress.failedAt,
      whole: true,
      wait: (pause, snoozed, cause) => {
        const delay = Math.min(Math.max(0, Math.round(Duration.toMillis(pause))), longest)
        next = snoozed ? { _tag: "Snooze", delay } : retryOf(progress, delay, cause, clock.currentTimeMillisUnsafe())
        return Effect.succeed(false)
      }
    }
    return Effect.map(perform([intent], by, performing), () => next ?? outcomeOf(Decision.of(intent)))
  }

  return { deliver, handlers, names } satisfies Deliverer
})

const retryOf = (progress: Progress, delay: number, cause: Cause.Cause<unknown>, now: number): Retry => ({
  _tag: "Retry",
  delay,
  error: textOfCause(cause),
  cause,
  progress: {
    ...progress,
    attempts: progress.attempts + 1,
    failures: progress.failures + 1,
    failedAt: [...progress.failedAt, now]
  }
})

/** A handler was interrupted by itself, and may end differently another time. */
export const interrupted = (progress: Progress, cause: Cause.Cause<unknown>, now: number): Outcome =>
  progress.failures + 1 < standardAttempts
    ? retryOf(progress, 1000 * 2 ** Math.min(progress.failures, 11), cause, now)
    : { _tag: "Dead", reason: "exhausted", error: textOfCause(cause), cause, failed: true }

export const namesOf = (group: SideEffectGroup.Any): ReadonlyMap<string, SideEffect.Any> => {
  const names = new Map(group.sideEffects)
  for (const sideEffect of group.sideEffects.values()) {
    for (const alias of sideEffect.aliases) {
      const other = names.get(alias)
      if (other !== undefined && other !== sideEffect) {
        throw new Error(
          `Side effect "${sideEffect._tag}" has the alias "${alias}", which is also a name of "${other._tag}" in group ` +
            `"${group.name}". Remove one of them.`
        )
      }
      names.set(alias, sideEffect)
    }
  }
  return names
}

const intentOf = (sideEffect: SideEffect.Any, payload: unknown, job: Head, metadata: Body["metadata"]): IntentImpl =>
  new IntentImpl(
    sideEffect,
    payload,
    job.key,
    { queue: job.queue, priority: job.priority, origin: job.origin, metadata },
    undefined,
    undefined,
    job.trace,
    job.id
  )

const outcomeOf = (decision: Decision.Decision | undefined): Outcome => {
  switch (decision?._tag) {
    case "Dispatched":
      return { _tag: "Done" }
    case "Failed": {
      const { cause } = decision
      return { _tag: "Dead", reason: "exhausted", error: textOfCause(cause), cause, failed: true }
    }
    case "Dropped":
      return { _tag: "Dead", reason: "cancelled", error: cut(decision.reason), cause: undefined, failed: false }
  }
  return { _tag: "Dead", reason: "exhausted", error: "It ended without a decision.", cause: undefined, failed: true }
}

const crashed = ({ crashes }: Progress): Outcome => ({
  _tag: "Dead",
  reason: "crashed",
  error: `${
    crashes === 1 ? "The process" : `${crashes} processes`
  } that performed it died, or stood still for longer than the lease. Look for what it does to a process, then retry it.`,
  cause: undefined,
  failed: false
})

const undecodable = (sideEffect: SideEffect.Any, name: string, json: unknown, error: unknown): Outcome => ({
  _tag: "Dead",
  reason: "undecodable",
  error: cut(
    `The payload does not fit the schema of "${name}": ${problemOf(sideEffect, json, error)}\n` +
      "Edit it, or let the schema accept what was written before, then retry it."
  ),
  cause: undefined,
  failed: false
})

/** Without the secrets that a message may quote. */
const problemOf = (sideEffect: SideEffect.Any, json: unknown, error: unknown): string =>
  // The parser quotes what it does not understand.
  json === undefined
    ? "it is no JSON"
    : redact.hideIn(inOneLine(error), json, redact.redactedPaths(sideEffect, json))

/** A schema says what is wrong in the first line of its message, and where in the others. */
const inOneLine = (error: unknown): string => {
  const others = error instanceof Error ? error.message.split("\n").slice(1) : []
  return [describe.error(error), ...others.map((line) => line.trim())].join(" ")
}
