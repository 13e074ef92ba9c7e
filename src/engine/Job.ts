/**
 * A job: an intent on its way through an engine, as data that JSON can hold.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { InvalidPayload } from "../Boundary.ts"
import type * as Intent from "../Intent.ts"
import { codecOf } from "../internal/codec.ts"
import * as describe from "../internal/describe.ts"

/**
 * The queue of what was told none.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultQueue = "default"

/**
 * The longest pause of a job, in milliseconds: 10 years. Queues keep times in numbers that end somewhere.
 *
 * @category models
 * @since 0.1.0
 */
export const longest = 315_360_000_000

/**
 * Whether a number can be a priority.
 *
 * @internal
 */
export const isPriority = (priority: number): boolean =>
  Number.isSafeInteger(priority) && Math.abs(priority) <= 1_000_000

/**
 * What has happened to a job so far.
 *
 * **Details**
 *
 * - `attempts`: deliveries begun. Those that were snoozed or handed back do not count, those that were lost do.
 * - `failures`: those of them that failed; `failedAt`: when, in epoch milliseconds, oldest first.
 * - `crashes`: those in which the process was lost.
 *
 * @category models
 * @since 0.1.0
 */
export const Progress = /*#__PURE__*/ Schema.Struct({
  attempts: Schema.Number,
  failures: Schema.Number,
  failedAt: /*#__PURE__*/ Schema.Array(Schema.Number),
  crashes: Schema.Number
})

/**
 * The type of `Progress`.
 *
 * @category models
 * @since 0.1.0
 */
export type Progress = typeof Progress.Type

/**
 * Nothing has happened to it yet.
 *
 * @category models
 * @since 0.1.0
 */
export const untouched: Progress = { attempts: 0, failures: 0, failedAt: [], crashes: 0 }

/**
 * An intent as an engine keeps it, and the schema of that for engines that keep one JSON value.
 *
 * **Details**
 *
 * - `id`: of the intent, a UUID. Engines that can tell jobs apart by an id of the caller use it, so that what is handed over
 *   twice is there once.
 * - `queue`: `"default"` where nothing was told. `priority`: an integer, higher ones come first; 0 where nothing was told.
 * - `payload`: JSON, encoded by the schema of the side effect. `metadata`: JSON.
 * - `delay`: milliseconds from the moment in which it is handed over.
 * - `key`: the idempotency key. `trace`: a W3C `traceparent`. `origin`: a text; of an event, its name.
 * - `createdAt`: epoch milliseconds, by the clock of the process that made the job.
 * - `progress`: what has happened to it, where the engine keeps that in the job.
 *
 * @category models
 * @since 0.1.0
 */
export const Job = /*#__PURE__*/ Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  queue: Schema.String,
  priority: Schema.Number,
  payload: Schema.Json,
  delay: Schema.Number,
  createdAt: Schema.Number,
  key: /*#__PURE__*/ Schema.optional(Schema.String),
  origin: /*#__PURE__*/ Schema.optional(Schema.String),
  metadata: /*#__PURE__*/ Schema.optional(/*#__PURE__*/ Schema.Record(Schema.String, Schema.Json)),
  trace: /*#__PURE__*/ Schema.optional(Schema.String),
  progress: /*#__PURE__*/ Schema.optional(Progress)
})

/**
 * The type of `Job`.
 *
 * @category models
 * @since 0.1.0
 */
export type Job = typeof Job.Type

/**
 * The payload of an intent as JSON. Throws `InvalidPayload` where its schema does not encode it.
 *
 * @internal
 */
export const encode = ({ name, payload, sideEffect }: Intent.Any): unknown => {
  try {
    return codecOf(sideEffect).encode(payload)
  } catch (error) {
    throw new InvalidPayload({
      sideEffect: name,
      problem: `it is valid, but cannot be stored as JSON. ${describe.error(error)}`
    })
  }
}

/**
 * The metadata of an intent as a JSON text. Throws where it is none.
 *
 * @internal
 */
export const metadataOf = ({ metadata, name }: Intent.Any): string | undefined => {
  if (metadata === undefined) return undefined
  try {
    return JSON.stringify(metadata)
  } catch (cause) {
    throw new Error(`The metadata of side effect "${name}" cannot be stored as JSON.`, { cause })
  }
}

/**
 * What an intent was told, or came from, as a text.
 *
 * @internal
 */
export const originOf = ({ origin }: Intent.Any): string | undefined =>
  typeof origin === "object" ? origin.name : origin

/**
 * The job of an intent. Throws where something of it cannot be stored as JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromIntent = (intent: Intent.Any, createdAt: number): Job => {
  const metadata = metadataOf(intent)
  const { delay, id, key, name, priority = 0, queue = defaultQueue, traceparent } = intent
  return {
    id,
    name,
    queue,
    priority,
    // A payload without a value is stored as `null`.
    payload: (encode(intent) ?? null) as Schema.Json,
    delay: delay === undefined ? 0 : Math.round(Duration.toMillis(delay)),
    createdAt,
    key,
    origin: originOf(intent),
    metadata: metadata === undefined ? undefined : JSON.parse(metadata),
    trace: traceparent
  }
}
