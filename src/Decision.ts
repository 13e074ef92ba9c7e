/**
 * A decision: the one recorded end of every intent.
 *
 * Each intent that was enqueued gets exactly one: it was `Dispatched`, it `Failed`, a policy or a handler `Dropped` it,
 * it was `Deduplicated`, or its boundary `Discarded` it. Until then it is pending.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Event from "./Event.ts"
import type * as Intent from "./Intent.ts"
import type { IntentInternal } from "./internal/intent.ts"

/**
 * The intent was performed, or handed on to an engine that has accepted it. `by` names the dispatcher; `attempts` is
 * how often the handler ran, 0 when it ran elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatched {
  readonly _tag: "Dispatched"
  readonly intent: Intent.Any
  readonly by: string
  readonly attempts: number
}

/**
 * It was to be performed and could not be: the handler failed for good, the dispatcher failed, or a policy died when it
 * was asked. `by` names who failed; `durable` says that it was to be kept and could not be, so its boundary dies.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failed {
  readonly _tag: "Failed"
  readonly intent: Intent.Any
  readonly by: string
  readonly attempts: number
  readonly cause: Cause.Cause<unknown>
  readonly durable?: boolean | undefined
}

/**
 * Somebody decided that it must not escape. `by` names the policy, layer, handler or dispatcher, `reason` says why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dropped {
  readonly _tag: "Dropped"
  readonly intent: Intent.Any
  readonly by: string
  readonly reason: string
}

/**
 * Another intent that stands for the same action was let through before it; `of` is that intent's id.
 *
 * @category models
 * @since 0.1.0
 */
export interface Deduplicated {
  readonly _tag: "Deduplicated"
  readonly intent: Intent.Any
  readonly by: string
  readonly of: string
}

/**
 * The boundary it was in did not succeed, or ended before it could be released. `by` names the boundary; `cause` is why
 * the boundary failed, where it did.
 *
 * @category models
 * @since 0.1.0
 */
export interface Discarded {
  readonly _tag: "Discarded"
  readonly intent: Intent.Any
  readonly by: string
  readonly reason: string
  readonly cause: Cause.Cause<unknown> | undefined
}

/**
 * The end of an intent.
 *
 * @category models
 * @since 0.1.0
 */
export type Decision = Dispatched | Failed | Dropped | Deduplicated | Discarded

/**
 * The decision on an intent, or `undefined` while it is pending.
 *
 * **Example** (Reading what became of an intent)
 *
 * ```ts
 * import { Decision, Policy, SideEffect, SideEffects } from "effect-side-effects"
 * import { Effect } from "effect"
 *
 * class Ping extends SideEffect.make("docs:ping", { description: "Ping the monitoring service." }) {}
 *
 * const program = Effect.gen(function*() {
 *   const intent = yield* SideEffects.boundary(SideEffects.enqueue(Ping), { policy: Policy.block("docs:*") })
 *   const decision = Decision.of(intent)
 *   console.log(decision?._tag) // Dropped
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const of = (intent: Intent.Any): Decision | undefined => {
  const decision = (intent as unknown as IntentInternal).decision as Decision | undefined
  return decision === undefined || decision.intent !== undefined ? decision : { ...decision, intent }
}

/**
 * What happened and why, in a few words: `dropped by policy block("mail:**"): it is blocked`.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (self: Decision): string => {
  switch (self._tag) {
    case "Dispatched":
      return `dispatched by ${self.by}`
    case "Failed":
      return `failed in ${self.by}${self.attempts > 1 ? ` after ${self.attempts} attempts` : ""}`
    case "Dropped":
      return `dropped by ${self.by}: ${self.reason}`
    case "Deduplicated":
      return `deduplicated by ${self.by}: the same as intent ${self.of}`
    case "Discarded":
      return `discarded: ${self.by} ${self.reason}`
  }
}

/** @internal */
export interface Observer {
  readonly enqueued: (intent: Intent.Any) => void
  readonly decided: (decision: Decision) => void
  readonly emitted: (event: Event.EmittedImpl) => void
  /** Its boundary has ended. */
  readonly concluded: (event: Event.EmittedImpl) => void
}

/**
 * Records the decision on an intent. The first one counts.
 *
 * @internal
 */
export const settle = (observer: Observer | undefined, decision: Decision): void => {
  const intent = decision.intent as unknown as IntentInternal
  if (intent.decision !== undefined) return
  intent.decision = decision
  intent.owner = undefined
  observer?.decided(decision)
}

/**
 * The same for the many that end alike, which share a decision without the intent: `of` adds it.
 *
 * @internal
 */
export const settleShared = (observer: Observer | undefined, intent: Intent.Any, shared: Shared): void => {
  if (observer !== undefined) return settle(observer, { ...shared, intent })
  const impl = intent as unknown as IntentInternal
  if (impl.decision !== undefined) return
  impl.decision = shared
  impl.owner = undefined
}

/**
 * Records what becomes of an event. The first time counts.
 *
 * @internal
 */
export const conclude = (observer: Observer | undefined, event: Event.EmittedImpl, fate: Event.Fate): void => {
  if (event.fate !== undefined) return
  event.fate = fate
  observer?.concluded(event)
}

/** @internal */
export type Shared = Omit<Dispatched, "intent">

/**
 * Logs those that failed and that nobody else logs.
 *
 * @internal
 */
export const logFailures = (intents: ReadonlyArray<Intent.Any>): Effect.Effect<void> =>
  Effect.forEach(intents, (intent) => {
    const decision = of(intent)
    return decision?._tag === "Failed" && !(intent as unknown as IntentInternal).detached
      ? logFailure(decision)
      : Effect.void
  }, { discard: true })

const whence = ({ origin }: Intent.Any): string =>
  origin === undefined ? "" : `, from ${typeof origin === "string" ? origin : origin.name}`

/** @internal */
export const logFailure = (decision: Failed): Effect.Effect<void> =>
  Effect.logError(
    `Side effect "${decision.intent.name}" failed in ${decision.by}` +
      `${decision.attempts > 1 ? ` after ${decision.attempts} attempts` : ""} (intent ${decision.intent.id}${
        whence(decision.intent)
      })`,
    decision.cause
  )
