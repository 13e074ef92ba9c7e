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
  /** In milliseconds. With `createdAt` it says when the job was due first. */
  readonly delay?: number | undefined
}

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const isData = (u: unknown): u is Data =>
  isRecord(u) && typeof u["sideEffect"] === "string" && u["payload"] !== undefined

export const dataOf = ({ createdAt, delay, key, metadata, name, origin, payload, priority, trace }: Job): Data => ({
  sideEffect: name,
  payload,
  createdAt,
  delay: delay === 0 ? undefined : delay,
  key,
  priority: priority === 0 ? undefined : priority,
  origin,
  metadata,
  trace
})

/** Where the progress of a job stands in its data, ours or not. */
const progressKey = "~progress"

/**
 * The progress as it is kept in the data. `job`: whose it is, as a dead letter copies the data. `claims`: how often the job
 * had been taken when this was written; what it was taken more often since was lost. `seen`: when the job was seen first,
 * where its data does not say when it was made.
 */
const Kept = /*#__PURE__*/ Schema.Struct({
  ...Progress.fields,
  job: Schema.String,
  claims: Schema.Number,
  seen: /*#__PURE__*/ Schema.optional(Schema.Number)
})
export type Kept = typeof Kept.Type

const decodeKept = /*#__PURE__*/ Schema.decodeUnknownOption(Kept)

const numberOf = (u: unknown): number | undefined => typeof u === "number" && Number.isFinite(u) ? u : undefined
const textOf = (u: unknown): string | undefined => typeof u === "string" ? u : undefined

/** Each for itself, as whoever sends jobs by hand errs in one of them. */
const toldOf = (data: Data) => ({
  createdAt: numberOf(data.createdAt),
  delay: Math.max(0, numberOf(data.delay) ?? 0),
  priority: numberOf(data.priority) ?? 0,
  key: textOf(data.key),
  origin: textOf(data.origin),
  metadata: isRecord(data.metadata) ? data.metadata as Job["metadata"] : undefined,
  trace: textOf(data.trace)
})

/** A job as pg-boss gives it. */
export interface Fetched {
  readonly id: string
  readonly data: unknown
  readonly retryCount: number
  readonly groupId?: string | null | undefined
  /** See `Kept`. */
  readonly seen?: number | undefined
}

/** When a job was seen first. `undefined` where its data says when it was made. */
export const seenOf = ({ data }: Fetched, { createdAt }: Job): number | undefined =>
  isRecord(data) && data["createdAt"] === createdAt ? undefined : createdAt

const storedOf = ({ data, id, retryCount }: Fetched): Kept | undefined => {
  const stored = isRecord(data) && data[progressKey] !== undefined ? decodeKept(data[progressKey]) : Option.none()
  return Option.isSome(stored) && stored.value.job === id && stored.value.claims <= retryCount
    ? stored.value
    : undefined
}

/** What has happened to a job before it was taken now. */
const progressOf = ({ retryCount }: Fetched, kept: Kept | undefined, ours: boolean, now: number): Progress => {
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
export const keptOf = (
  { attempts, crashes, failedAt, failures }: Progress,
  { id, retryCount, seen }: Fetched
): Kept => ({
  job: id,
  claims: retryCount + 1,
  attempts,
  failures,
  failedAt,
  crashes,
  seen
})

/** The job of what was fetched. `undefined` where that is no side effect, and its queue is not said to hold one. */
export const jobOf = (
  fetched: Fetched,
  { adopted, queue = defaultQueue }: { readonly queue: string; readonly adopted: string | undefined },
  now: number
): Job | undefined => {
  const { data, id } = fetched
  const kept = storedOf(fetched)
  const seen = kept?.seen ?? now
  if (isData(data)) {
    const { createdAt = seen, ...told } = toldOf(data)
    return {
      id,
      name: data.sideEffect,
      queue,
      payload: data.payload,
      createdAt,
      ...told,
      progress: progressOf(fetched, kept, true, now)
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
    createdAt: seen,
    progress: progressOf(fetched, kept, false, now)
  }
}

const withoutProgress = (data: unknown): unknown => {
  if (!isRecord(data)) return data ?? null
  const { [progressKey]: _, ...payload } = data
  return payload
}
