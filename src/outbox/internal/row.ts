import { compilePattern } from "../../internal/pattern.ts"
import type * as OutboxStore from "../OutboxStore.ts"
import type * as Heap from "./heap.ts"

/** An entry, and where it waits. `token` is that of the worker who holds it. */
export interface Row extends Heap.Item {
  readonly seq: number
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly key: string | undefined
  readonly origin: string | undefined
  readonly metadata: string | undefined
  readonly trace: string | undefined
  readonly replayOf: string | undefined
  readonly createdAt: number
  payload: string
  redacted: OutboxStore.Offer["redacted"]
  lane: Lane | undefined
  ended: "done" | "dead" | undefined
  reason: OutboxStore.Reason | undefined
  token: number | undefined
  attempts: number
  failures: number
  failedAt: ReadonlyArray<number>
  crashes: number
  visibleAt: number
  startedAt: number | undefined
  finishedAt: number | undefined
  worker: string | undefined
  error: string | undefined
  readonly history: Array<OutboxStore.Attempt>
}

/** What waits of a name, in a queue, with a priority: those that are due first come first. Suspects wait by themselves. */
export interface Lane extends Heap.Heap<Row> {
  readonly key: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly suspect: boolean
}

export const sooner = (left: Row, right: Row): boolean =>
  left.visibleAt < right.visibleAt || (left.visibleAt === right.visibleAt && left.seq < right.seq)

export const isSuspect = (row: Row): boolean => row.crashes + (row.token === undefined ? 0 : 1) >= 2

export const stateOf = (row: Row, now: number): OutboxStore.State =>
  row.ended ?? (row.visibleAt <= now ? "pending" : row.token === undefined ? "scheduled" : "running")

export const entryOf = (row: Row, now: number, history: ReadonlyArray<OutboxStore.Attempt>): OutboxStore.Entry => ({
  id: row.id,
  name: row.name,
  queue: row.queue,
  priority: row.priority,
  key: row.key,
  payload: row.payload,
  redacted: row.redacted,
  origin: row.origin,
  metadata: row.metadata,
  trace: row.trace,
  replayOf: row.replayOf,
  state: stateOf(row, now),
  reason: row.reason,
  attempts: row.attempts,
  failures: row.failures,
  crashes: row.crashes,
  createdAt: row.createdAt,
  visibleAt: row.visibleAt,
  startedAt: row.startedAt,
  finishedAt: row.finishedAt,
  worker: row.worker,
  error: row.error,
  history
})

export const claimedOf = (row: Row, token: number): OutboxStore.Claimed => ({
  ref: row.seq,
  token,
  id: row.id,
  name: row.name,
  queue: row.queue,
  priority: row.priority,
  payload: row.payload,
  key: row.key,
  origin: row.origin,
  metadata: row.metadata,
  trace: row.trace,
  attempts: row.attempts,
  failures: row.failures,
  failedAt: row.failedAt,
  crashes: row.crashes,
  createdAt: row.createdAt
})

const textAt = (payload: string, path: ReadonlyArray<string>): string | undefined => {
  const found = path.reduce<any>(
    (value, key) => typeof value === "object" && value !== null && Object.hasOwn(value, key) ? value[key] : undefined,
    JSON.parse(payload)
  )
  return found === null || typeof found === "object" || found === undefined ? undefined : String(found)
}

export const makePredicate = (filter: OutboxStore.Filter, now: number): (row: Row) => boolean => {
  const { error, key, newerThan, olderThan, payload, queues, reasons, states } = filter
  const names = filter.names?.map(compilePattern)
  const part = error?.toLowerCase()
  return (row) =>
    (states === undefined || states.includes(stateOf(row, now))) &&
    (reasons === undefined || (row.reason !== undefined && reasons.includes(row.reason))) &&
    (names === undefined || names.some((matches) => matches(row.name))) &&
    (queues === undefined || queues.includes(row.queue)) &&
    (key === undefined || row.key === key) &&
    (olderThan === undefined || now - row.createdAt > olderThan) &&
    (newerThan === undefined || now - row.createdAt < newerThan) &&
    (part === undefined || row.error?.toLowerCase().includes(part) === true) &&
    (payload === undefined || payload.every(({ equals, path }) => textAt(row.payload, path) === equals))
}
