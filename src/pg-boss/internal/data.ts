import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { defaultQueue, type Job, Progress, untouched } from "../../engine/Job.ts"

/**
 * The data of a job, as it reads in the tables of pg-boss. What was not told is not there.
 *
 * The key and the priority are columns as well; to fetch those takes half as long again.
 */
export interface Data extends Omit<Job, "id" | "queue" | "name" | "priority" | "delay" | "progress"> {
  readonly sideEffect: string
  readonly priority?: number | undefined
}

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const isData = (u: unknown): u is Data =>
  isRecord(u) && typeof u["sideEffect"] === "string" && u["payload"] !== undefined

export const dataOf = ({ createdAt, key, metadata, name, origin, payload, priority, trace }: Job): Data => ({
  sideEffect: name,
  payload,
  createdAt,
  key,
  priority: priority === 0 ? undefined : priority,
  origin,
  metadata,
  trace
})

/** Where the progress of a job stands in its data, ours or not. */
export const progressKey = "~progress"

/**
 * The progress as it is kept in the data. `job`: whose it is, as a dead letter copies the data. `claims`: how often the job
 * had been taken when this was written; what it was taken more often since was lost.
 */
const Kept = /*#__PURE__*/ Schema.Struct({ ...Progress.fields, job: Schema.String, claims: Schema.Number })
export type Kept = typeof Kept.Type

const decodeKept = /*#__PURE__*/ Schema.decodeUnknownOption(Kept)

const decodeTold = /*#__PURE__*/ Schema.decodeUnknownOption(
  /*#__PURE__*/ Schema.Struct({
    createdAt: /*#__PURE__*/ Schema.optional(Schema.Number),
    priority: /*#__PURE__*/ Schema.optional(Schema.Number),
    key: /*#__PURE__*/ Schema.optional(Schema.String),
    origin: /*#__PURE__*/ Schema.optional(Schema.String),
    metadata: /*#__PURE__*/ Schema.optional(/*#__PURE__*/ Schema.Record(Schema.String, Schema.Json)),
    trace: /*#__PURE__*/ Schema.optional(Schema.String)
  })
)

/** A job as pg-boss gives it. */
export interface Fetched {
  readonly id: string
  readonly data: unknown
  readonly retryCount: number
  readonly groupId?: string | null | undefined
}

/** What has happened to a job before it was taken now. */
const progressOf = ({ data, id, retryCount }: Fetched, ours: boolean, now: number): Progress => {
  const stored = isRecord(data) && data[progressKey] !== undefined ? decodeKept(data[progressKey]) : Option.none()
  const kept = Option.isSome(stored) && stored.value.job === id && stored.value.claims <= retryCount
    ? stored.value
    : undefined
  if (kept === undefined && !ours) {
    // Another worker has tried it, and how that ended is not known.
    return {
      attempts: retryCount,
      failures: retryCount,
      failedAt: Array.from({ length: retryCount }, () => now),
      crashes: 0
    }
  }
  const { attempts, crashes, failedAt, failures } = kept ?? untouched
  const lost = retryCount - (kept?.claims ?? 0)
  return { attempts: attempts + lost, crashes: crashes + lost, failedAt, failures }
}

/** The progress with which a job is given back. */
export const keptOf = ({ attempts, crashes, failedAt, failures }: Progress, { id, retryCount }: Fetched): Kept => ({
  job: id,
  claims: retryCount + 1,
  attempts,
  failures,
  failedAt,
  crashes
})

/** The job of what was fetched. `undefined` where that is no side effect, and its queue is not said to hold one. */
export const jobOf = (
  fetched: Fetched,
  { adopted, queue = defaultQueue }: { readonly queue: string; readonly adopted: string | undefined },
  now: number
): Job | undefined => {
  const { data, id } = fetched
  if (isData(data)) {
    const told = Option.getOrElse(decodeTold(data), () => ({} as Partial<Data>))
    return {
      id,
      name: data.sideEffect,
      queue,
      priority: told.priority ?? 0,
      payload: data.payload,
      delay: 0,
      createdAt: told.createdAt ?? now,
      key: told.key,
      origin: told.origin,
      metadata: told.metadata,
      trace: told.trace,
      progress: progressOf(fetched, true, now)
    }
  }
  if (adopted === undefined) return undefined
  return {
    id,
    name: adopted,
    queue,
    priority: 0,
    payload: withoutProgress(data) as Schema.Json,
    delay: 0,
    createdAt: now,
    progress: progressOf(fetched, false, now)
  }
}

const withoutProgress = (data: unknown): unknown => {
  if (!isRecord(data)) return data ?? null
  const { [progressKey]: _, ...payload } = data
  return payload
}
