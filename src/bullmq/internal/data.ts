import type * as BullMQ from "bullmq"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Job from "../../engine/Job.ts"
import { codecOf } from "../../internal/codec.ts"
import type * as SideEffect from "../../SideEffect.ts"

/** The one key in the data of a job that is ours. */
const reserved = "effect-side-effects"

/** Priority 0 of ours where all jobs have one of BullMQ's, which goes from 1, the first, to 2,097,151. */
const zero = 1_000_001

/** In `createdAt` only what the timestamp of the job does not say. */
const late = 1000

/**
 * What has happened to a job, and which numbers of BullMQ it stands for: `made` is `attemptsMade`, `stalled` is
 * `stalledCounter`. BullMQ's do not begin anew when a job is retried by hand, and so this does.
 */
const Progress = /*#__PURE__*/ Schema.Struct({
  ...Job.Progress.fields,
  made: Schema.Number,
  stalled: Schema.Number
})

export type Progress = typeof Progress.Type

const Extra = /*#__PURE__*/ Schema.Struct({
  payload: /*#__PURE__*/ Schema.optional(Schema.Json),
  key: /*#__PURE__*/ Schema.optional(Schema.String),
  origin: /*#__PURE__*/ Schema.optional(Schema.String),
  metadata: /*#__PURE__*/ Schema.optional(/*#__PURE__*/ Schema.Record(Schema.String, Schema.Json)),
  trace: /*#__PURE__*/ Schema.optional(Schema.String),
  createdAt: /*#__PURE__*/ Schema.optional(Schema.Number),
  progress: /*#__PURE__*/ Schema.optional(Progress)
})

type Extra = typeof Extra.Type

const decodeExtra = /*#__PURE__*/ Schema.decodeUnknownExit(Extra)

const isRecord = (u: unknown): u is Readonly<Record<string, Schema.Json>> =>
  typeof u === "object" && u !== null && !Array.isArray(u)

/** The data of a job as its readers know it: the payload, and one key more where there is more to say. */
export const dataOf = (job: Job.Job, now: number): unknown => {
  const { createdAt, key, metadata, origin, payload, trace } = job
  const extra: { -readonly [K in keyof Extra]: Extra[K] } = {}
  const plain = isRecord(payload) && !Object.hasOwn(payload, reserved)
  if (!plain) extra.payload = payload
  if (key !== undefined) extra.key = key
  if (origin !== undefined) extra.origin = origin
  if (metadata !== undefined) extra.metadata = metadata
  if (trace !== undefined) extra.trace = trace
  if (now - createdAt >= late) extra.createdAt = createdAt
  if (!plain) return { [reserved]: extra }
  return Object.keys(extra).length === 0 ? payload : { ...payload, [reserved]: extra }
}

/** Undefined is none, which comes before all that have one. */
export const priorityOf = (priority: number, all: boolean): number | undefined =>
  priority === 0 && !all ? undefined : zero - priority

/** A job that was taken, and what BullMQ's numbers say about it. */
export interface Taken {
  readonly job: Job.Job
  readonly progress: Progress
  /** The progress is not what the data of the job says, and has to be there before anything happens. */
  readonly moved: boolean
}

/** The data has the key that is ours, and something else in it. */
export const foreign = ({ id, name }: BullMQ.Job): string =>
  `The data of job ${id} ("${name}") has a key "${reserved}" that effect-side-effects has not written. Remove it, ` +
  "then retry the job."

/** Of BullMQ or of somebody else's code: its id is a number, and unique in its queue only. */
const idOf = (queue: string, id: string): string => /^\d+$/.test(id) ? `${queue}:${id}` : id

export const take = (
  { attemptsMade, data, failedReason, id = "", name, opts, priority, stalledCounter, timestamp }: BullMQ.Job,
  queue: string,
  physical: string,
  isVoid: (name: string) => boolean
): Taken | undefined => {
  let payload: Schema.Json = data
  let extra: Extra = {}
  if (isRecord(data) && Object.hasOwn(data, reserved)) {
    const { [reserved]: ours, ...rest } = data
    const decoded = decodeExtra(ours)
    if (Exit.isFailure(decoded)) return undefined
    extra = decoded.value
    payload = extra.payload === undefined ? rest : extra.payload
  } else if (isRecord(data) && Object.keys(data).length === 0 && isVoid(name)) {
    // BullMQ stores no data as an object without keys.
    payload = null
  }
  const before = extra.progress
  const progress = progressOf(before, attemptsMade, stalledCounter, typeof failedReason === "string")
  const { crashes, failedAt, failures } = progress
  return {
    moved: progress.moved,
    progress,
    job: {
      id: idOf(physical, id),
      name,
      queue,
      priority: priority === 0 ? 0 : zero - priority,
      payload,
      delay: opts.delay ?? 0,
      createdAt: extra.createdAt ?? timestamp,
      key: extra.key,
      origin: extra.origin,
      metadata: extra.metadata,
      trace: extra.trace,
      progress: { attempts: failures + crashes, failures, failedAt, crashes }
    }
  }
}

const progressOf = (
  before: Progress | undefined,
  made: number,
  stalled: number,
  failing: boolean
): Progress & { readonly moved: boolean } => {
  if (before === undefined) {
    // Failures of somebody else's worker, which BullMQ is just retrying, are failures. Any other end was the end.
    if (made === 0 || failing) {
      return {
        attempts: made + stalled,
        failures: made,
        failedAt: [],
        crashes: stalled,
        made,
        stalled: 0,
        moved: false
      }
    }
    return { ...Job.untouched, made, stalled, moved: true }
  }
  const lost = stalled - before.stalled
  if (made === before.made) {
    return { ...before, attempts: before.attempts + lost, crashes: before.crashes + lost, moved: false }
  }
  // The process was lost after it had noted a failure and before BullMQ had heard of it: that was one delivery, not two.
  if (made === before.made - 1 && lost > 0) {
    const crashes = before.crashes + lost - 1
    return { ...before, attempts: before.failures + crashes, crashes, made, stalled, moved: true }
  }
  return { ...Job.untouched, made, stalled, moved: true }
}

/** The data with another progress. */
export const withProgress = (data: unknown, progress: Progress): unknown => {
  const { attempts, crashes, failedAt, failures, made, stalled } = progress
  const rest = isRecord(data) ? data : { [reserved]: { payload: data as Schema.Json } }
  const ours = rest[reserved]
  return {
    ...rest,
    [reserved]: {
      ...(isRecord(ours) ? ours : undefined),
      progress: { attempts, failures, failedAt, crashes, made, stalled }
    }
  }
}

/** Whether a side effect has no payload: `null`, and not an object. */
export const voids = (names: ReadonlyMap<string, SideEffect.Any>): (name: string) => boolean => {
  const known = new Map<string, boolean>()
  return (name) => {
    let is = known.get(name)
    if (is === undefined) {
      const sideEffect = names.get(name)
      is = sideEffect !== undefined && accepts(sideEffect, null) && !accepts(sideEffect, {})
      known.set(name, is)
    }
    return is
  }
}

const accepts = (sideEffect: SideEffect.Any, json: unknown): boolean => {
  try {
    codecOf(sideEffect).decode(json)
    return true
  } catch {
    return false
  }
}
