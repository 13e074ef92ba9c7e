import * as Cause from "effect/Cause"
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
import * as Layers from "../../Layers.ts"
import type * as Policy from "../../Policy.ts"
import type * as SideEffect from "../../SideEffect.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import type { Claimed, Outcome } from "../OutboxStore.ts"
import * as dispatcher from "./dispatcher.ts"
import * as redact from "./redact.ts"

/** How entries are delivered, whoever does it. */
export interface Options {
  readonly retry?: Schedule.Schedule<any, unknown> | undefined
  readonly maxCrashes?: number | undefined
  readonly policy?: Policy.Policy | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly keepDone?: boolean | undefined
}

/** What can be delivered here, and the way to deliver one entry. */
interface Deliverer {
  /** The side effects by all names that an entry may have. */
  readonly names: ReadonlyMap<string, SideEffect.Any>
  readonly handlers: ReadonlyMap<string, HandlerEntry>
  readonly deliver: (claimed: Claimed) => Effect.Effect<Outcome>
}

const maxErrorLength = 8000

/** Seconds at first, then minutes, at last every hour: 20 attempts take about nine hours. */
const standardRetry = /*#__PURE__*/ Schedule.jittered(
  /*#__PURE__*/ Schedule.min([/*#__PURE__*/ Schedule.exponential("2 seconds"), /*#__PURE__*/ Schedule.spaced("1 hour")])
)
export const standardAttempts = 20

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

export const make = Effect.fnUntraced(function*(group: SideEffectGroup.Any, who: string, options: Options) {
  const { maxCrashes = 3, policy, uniqueFor } = options
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
  const { perform } = yield* Layers.open(group, dispatcher.make({ uniqueFor, repeated: true }), handlers, {
    policy,
    outsideBoundary: "dispatch"
  })
  const instruments = yield* Instruments.taken
  const names = namesOf(group)
  const done: Outcome = { _tag: "Done", keep: options.keepDone ?? true }

  const deliver = (claimed: Claimed): Effect.Effect<Outcome> => {
    const sideEffect = names.get(claimed.name)!
    if (claimed.crashes >= maxCrashes) {
      instruments?.lost(sideEffect._tag, "crashed")
      return Effect.succeed(crashed(claimed))
    }
    let intent: any
    try {
      intent = intentOf(sideEffect, codecOf(sideEffect).decode(JSON.parse(claimed.payload)), claimed)
    } catch (error) {
      instruments?.lost(sideEffect._tag, "undecodable")
      return Effect.succeed(undecodable(sideEffect, claimed, error))
    }
    let next: Outcome | undefined
    const performing: Dispatcher.Performing = {
      made: claimed.attempts - 1,
      failedAt: claimed.failedAt,
      whole: true,
      wait: (pause, snoozed, cause) => {
        const delay = Math.max(0, Math.round(Duration.toMillis(pause)))
        next = snoozed ? { _tag: "Snooze", delay } : { _tag: "Retry", delay, error: textOfCause(cause) }
        return Effect.succeed(false)
      }
    }
    return Effect.map(perform([intent], "outbox", performing), () => next ?? outcomeOf(Decision.of(intent), done))
  }

  return { deliver, handlers, names } satisfies Deliverer
})

const namesOf = (group: SideEffectGroup.Any): ReadonlyMap<string, SideEffect.Any> => {
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

const intentOf = (sideEffect: SideEffect.Any, payload: unknown, claimed: Claimed): IntentImpl =>
  new IntentImpl(
    sideEffect,
    payload,
    claimed.key,
    {
      queue: claimed.queue,
      priority: claimed.priority,
      origin: claimed.origin,
      metadata: claimed.metadata === undefined ? undefined : JSON.parse(claimed.metadata)
    },
    undefined,
    undefined,
    claimed.trace,
    claimed.id
  )

const outcomeOf = (decision: Decision.Decision | undefined, done: Outcome): Outcome => {
  switch (decision?._tag) {
    case "Dispatched":
      return done
    case "Failed":
      return { _tag: "Dead", reason: "exhausted", error: textOfCause(decision.cause), failed: true }
    case "Dropped":
      return { _tag: "Dead", reason: "cancelled", error: cut(decision.reason), failed: false }
  }
  return { _tag: "Dead", reason: "exhausted", error: "It ended without a decision.", failed: true }
}

const crashed = ({ crashes }: Claimed): Outcome => ({
  _tag: "Dead",
  reason: "crashed",
  error: `${
    crashes === 1 ? "The process" : `${crashes} processes`
  } that performed it died, or stood still for longer than the lease. Look for what it does to a process, then retry it.`,
  failed: false
})

const undecodable = (sideEffect: SideEffect.Any, { name, payload }: Claimed, error: unknown): Outcome => ({
  _tag: "Dead",
  reason: "undecodable",
  error: cut(
    `The payload does not fit the schema of "${name}": ${problemOf(sideEffect, payload, error)}\n` +
      "Edit it, or let the schema accept what was written before, then retry it."
  ),
  failed: false
})

/** Without the secrets that a message may quote. */
const problemOf = (sideEffect: SideEffect.Any, payload: string, error: unknown): string => {
  let json: unknown
  try {
    json = JSON.parse(payload)
  } catch {
    // The parser quotes what it does not understand.
    return "it is no JSON"
  }
  return redact.hideIn(describe.error(error), json, redact.redactedPaths(sideEffect, undefined, json))
}
