/**
 * How a delivery of a job ended.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type { Progress } from "./Job.ts"

/**
 * Why a job is dead: its attempts are used up (`exhausted`; also a defect, which is not tried again), its process was lost too
 * often (`crashed`), the handler or an operator cancelled it (`cancelled`), its payload does not fit the schema
 * (`undecodable`), or no worker knows its name (`unknown`).
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = (typeof reasons)[number]

/**
 * All reasons.
 *
 * @category models
 * @since 0.1.0
 */
export const reasons: readonly ["exhausted", "crashed", "cancelled", "undecodable", "unknown"] = [
  "exhausted",
  "crashed",
  "cancelled",
  "undecodable",
  "unknown"
]

/**
 * It failed and is to be tried again after `delay` milliseconds. `progress` is what has happened to it by now, this delivery
 * included.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retry {
  readonly _tag: "Retry"
  readonly delay: number
  readonly error: string
  readonly cause: Cause.Cause<unknown>
  readonly progress: Progress
}

/**
 * It is not tried again. `error` says why, for people; `cause` is what the handler failed with, if it did. `failed` says
 * whether this delivery was a failure of the handler.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dead {
  readonly _tag: "Dead"
  readonly reason: Reason
  readonly error: string
  readonly cause: Cause.Cause<unknown> | undefined
  readonly failed: boolean
}

/**
 * How a delivery ended, and so what the engine has to do with the job.
 *
 * **Details**
 *
 * - `Done`: it was performed.
 * - `Retry`: again after `delay` milliseconds, with its new `progress`.
 * - `Snooze`: again after `delay` milliseconds, and no attempt was used: its progress is what it was.
 * - `Release`: the worker did not get to it, or is being closed. It is due at once, its progress is what it was.
 * - `Dead`: it is not tried again.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly _tag: "Done" }
  | Retry
  | { readonly _tag: "Snooze"; readonly delay: number }
  | { readonly _tag: "Release" }
  | Dead
