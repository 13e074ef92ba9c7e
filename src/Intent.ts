/**
 * An intent: one recorded wish to perform a side effect, with its payload.
 *
 * Intents are made by `SideEffects.enqueue`. They are plain data: nothing in them runs, and nothing leaves the process
 * because one exists. What became of an intent is its `Decision`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Event from "./Event.ts"
import * as internal from "./internal/intent.ts"

/**
 * The runtime type of every intent.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = internal.TypeId

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/Intent"

/**
 * What an intent has to know of the side effect it is for: its name and the schema of its payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Target {
  readonly _tag: string
  readonly payloadSchema: Schema.Constraint
}

/**
 * One recorded wish to perform a side effect.
 *
 * **Details**
 *
 * - `id`: a UUID, unique for each intent.
 * - `name`, `sideEffect`, `payload`: what is to be performed. The payload was validated when it was enqueued.
 * - `key`: the idempotency key, from the option `key` of `enqueue` or from the definition. `undefined` when neither
 *   gave one.
 * - `delay`, `queue`, `priority`, `metadata`: for the dispatcher. `origin`: where the wish came from, or the
 *   event it follows from.
 * - `traceparent`: the span it was enqueued in, as W3C Trace Context writes it; `undefined` where there was none.
 * - `policies`: names of the policies of the `withPolicy` blocks the intent was enqueued in, innermost first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Intent<out S extends Target> {
  readonly [TypeId]: TypeId
  readonly id: string
  readonly name: S["_tag"]
  readonly sideEffect: S
  readonly payload: S["payloadSchema"]["Type"]
  readonly key: string | undefined
  readonly delay: Duration.Duration | undefined
  readonly queue: string | undefined
  readonly priority: number | undefined
  readonly origin: string | Event.Emitted | undefined
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly traceparent: string | undefined
  readonly policies: ReadonlyArray<string>
}

/**
 * An intent of any side effect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Intent<Target> {
  readonly payload: any
}

/**
 * What `enqueue` can be told about one intent.
 *
 * **Details**
 *
 * - `delay`: perform it no earlier than this long after its release.
 * - `key`: the idempotency key; it wins over the one the definition computes.
 * - `origin`: where the wish comes from, for people: a route, a job, an event. Without it, that of the boundary.
 * - `metadata`: anything a policy or a dispatcher of yours wants to read.
 * - `queue`, `priority`: for dispatchers that have queues; those of this process have none and leave them alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly delay?: Duration.Input | undefined
  readonly key?: string | undefined
  readonly origin?: string | Event.Emitted | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
}

/**
 * Whether a value is an intent.
 *
 * @category guards
 * @since 0.1.0
 */
export const isIntent = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)
