import * as OutboxStore from "../../outbox/OutboxStore.ts"

// How the rows of both databases become what the contract speaks of, and back.

type Integer = number | bigint

/** The columns that an entry is made of. `now` is when it was read. */
export interface EntryRow {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly rank: number
  readonly key: string | null
  readonly payload: string
  readonly redacted: string | null
  readonly origin: string | null
  readonly metadata: string | null
  readonly trace: string | null
  readonly replay_of: string | null
  readonly state: number
  readonly reason: OutboxStore.Reason | null
  readonly attempts: number
  readonly failures: number
  readonly crashes: number
  readonly held: number
  readonly created_at: Integer
  readonly visible_at: Integer
  readonly leased_until: Integer
  readonly started_at: Integer | null
  readonly finished_at: Integer | null
  readonly elapsed: number | null
  readonly worker: string | null
  readonly error: string | null
}

export const entryColumns =
  "id, name, queue, rank, key, CAST(payload AS text) AS payload, redacted, origin, metadata, " +
  "trace, replay_of, state, reason, attempts, failures, crashes, CASE WHEN lease IS NULL THEN 0 ELSE 1 END AS held, " +
  "created_at, visible_at, leased_until, started_at, finished_at, elapsed, worker, error"

export interface ClaimedRow {
  readonly seq: Integer
  readonly lease: Integer
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly rank: number
  readonly payload: string
  readonly key: string | null
  readonly origin: string | null
  readonly metadata: string | null
  readonly trace: string | null
  readonly attempts: number
  readonly failures: number
  readonly failed_at: string
  readonly crashes: number
  readonly created_at: Integer
}

export interface AttemptRow {
  readonly attempt: number
  readonly outcome: OutboxStore.Attempt["outcome"]
  readonly started_at: Integer
  readonly elapsed: number | null
  readonly worker: string
  readonly error: string | null
}

const maybe = (value: Integer | null): number | undefined => value === null ? undefined : Number(value)

const stateOf = ({ held, leased_until, state, visible_at }: EntryRow, now: number): OutboxStore.State =>
  state === 1
    ? "done"
    : state === 2
    ? "dead"
    : held === 1 && Number(leased_until) > now
    ? "running"
    : Number(visible_at) <= now
    ? "pending"
    : "scheduled"

export const entryOf = (
  row: EntryRow,
  now: number,
  history: ReadonlyArray<OutboxStore.Attempt>
): OutboxStore.Entry => ({
  id: row.id,
  name: row.name,
  queue: row.queue,
  priority: priorityOf(row.rank),
  key: row.key ?? undefined,
  payload: row.payload,
  redacted: row.redacted === null ? undefined : JSON.parse(row.redacted),
  origin: row.origin ?? undefined,
  metadata: row.metadata ?? undefined,
  trace: row.trace ?? undefined,
  replayOf: row.replay_of ?? undefined,
  state: stateOf(row, now),
  reason: row.reason ?? undefined,
  attempts: row.attempts,
  failures: row.failures,
  crashes: row.crashes,
  createdAt: Number(row.created_at),
  visibleAt: Number(row.held === 1 ? row.leased_until : row.visible_at),
  startedAt: maybe(row.started_at),
  finishedAt: maybe(row.finished_at),
  worker: row.worker ?? undefined,
  error: row.error ?? undefined,
  history
})

/** Every delivery: those that are written down, and the one that went well, which the entry tells itself. */
export const historyOf = (
  row: EntryRow,
  attempts: ReadonlyArray<AttemptRow>
): ReadonlyArray<OutboxStore.Attempt> => {
  const history: Array<OutboxStore.Attempt> = attempts.map((row) => ({
    attempt: row.attempt,
    outcome: row.outcome,
    startedAt: Number(row.started_at),
    elapsed: maybe(row.elapsed),
    worker: row.worker,
    error: row.error ?? undefined
  }))
  if (row.state === 1) {
    history.push({
      attempt: row.attempts,
      outcome: "done",
      startedAt: Number(row.started_at),
      elapsed: maybe(row.elapsed),
      worker: row.worker ?? "",
      error: undefined
    })
  }
  return history
}

export const claimedOf = (row: ClaimedRow): OutboxStore.Claimed => ({
  ref: Number(row.seq),
  token: Number(row.lease),
  id: row.id,
  name: row.name,
  queue: row.queue,
  priority: priorityOf(row.rank),
  payload: row.payload,
  key: row.key ?? undefined,
  origin: row.origin ?? undefined,
  metadata: row.metadata ?? undefined,
  trace: row.trace ?? undefined,
  attempts: row.attempts,
  failures: row.failures,
  failedAt: row.failed_at === "" ? [] : row.failed_at.split(",").map(Number),
  crashes: row.crashes,
  createdAt: Number(row.created_at)
})

/** A rank is a priority the other way round, so that what comes first in an index is sooner. */
export const rankOf = (priority: number): number => priority === 0 ? 0 : -priority

const priorityOf = rankOf

// -- To the database --------------------------------------------------------------------------------------------------

// What no text of PostgreSQL holds: NUL, and halves of characters.
// oxlint-disable-next-line no-control-regex
const impossible = /\u0000|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/** A text as both databases can hold it. */
export const clean = (text: string): string => text.replace(impossible, "\ufffd")

/** JSON of what holds texts. */
export const json = (value: unknown): string => {
  const text = JSON.stringify(value)
  // Nearly no text has one of the escapes that it would take.
  return text.includes("\\u")
    ? JSON.stringify(value, (_, value) => typeof value === "string" ? clean(value) : value)
    : text
}

const wholeMilliseconds = (n: number): number => Math.min(Math.max(0, Math.round(n)), longest)

// Far enough, and any sum of it and a time is exact.
const longest = 2 ** 52

/** A duration in whole milliseconds; what never ends becomes a long time. */
export const duration = wholeMilliseconds

/** What offers of one lane have in common. */
const laneOf = ({ name, priority, queue }: OutboxStore.Offer): string =>
  `"queue":${json(queue)},"name":${json(name)},"rank":${rankOf(priority)}`

const optional = ["key", "origin", "metadata", "trace"] as const

/**
 * Offers as one JSON array. With `raw` the payloads stand in it as they are, else as texts, which takes longer and keeps
 * what PostgreSQL would refuse to read inside of JSON.
 */
export const offersOf = (offers: ReadonlyArray<OutboxStore.Offer>, raw: boolean): string => {
  // By hand, as this is the hot path of whoever writes: most of it is the same for all, or is not there.
  let before: OutboxStore.Offer | undefined
  let lane = ""
  let text = "["
  for (const offer of offers) {
    const { delay, id, name, payload, priority, queue, redacted } = offer
    if (before === undefined || name !== before.name || queue !== before.queue || priority !== before.priority) {
      lane = laneOf(offer)
    }
    text += before === undefined ? "{" : ",{"
    before = offer
    text += `"id":${json(id)},${lane},"delay":${duration(delay)}`
    if (redacted !== undefined) text += `,"redacted":${json(JSON.stringify(redacted))}`
    for (const column of optional) {
      const value = offer[column]
      if (value !== undefined) text += `,"${column}":${json(value)}`
    }
    text += `,"payload":${raw ? payload : JSON.stringify(payload)}}`
  }
  return `${text}]`
}

/** Whether a JSON text has escapes of what no text of PostgreSQL holds, or may have. */
export const isDelicate = (payload: string): boolean => payload.includes("\\u")

/** What a settlement says, in the columns that both databases read. `outcome` is for the history; without one there is none. */
interface Item {
  readonly ref: number
  readonly token: number
  readonly tag: "done" | "gone" | "retry" | "snooze" | "release" | "dead"
  readonly elapsed: number
  readonly worker: string
  readonly delay: number
  readonly failed: 0 | 1
  readonly outcome?: OutboxStore.Attempt["outcome"]
  readonly reason?: OutboxStore.Reason
  readonly error?: string
}

const itemOf = ({ elapsed, outcome, ref, token, worker }: OutboxStore.Settlement): Item => {
  const item = { ref, token, elapsed, worker, delay: 0, failed: 0 } as const
  switch (outcome._tag) {
    case "Done":
      return { ...item, tag: outcome.keep ? "done" : "gone" }
    case "Retry":
      return {
        ...item,
        tag: "retry",
        delay: duration(outcome.delay),
        failed: 1,
        outcome: "failed",
        error: outcome.error
      }
    case "Snooze":
      return { ...item, tag: "snooze", delay: duration(outcome.delay), outcome: "snoozed" }
    case "Release":
      return { ...item, tag: "release" }
    case "Dead":
      return {
        ...item,
        tag: "dead",
        failed: outcome.failed ? 1 : 0,
        outcome: OutboxStore.outcomeOf[outcome.reason],
        reason: outcome.reason,
        error: outcome.error
      }
  }
}

/** One settlement a delivery: the first one counts. Sorted, so that all who lock rows do so in one order. */
export const itemsOf = (
  settlements: ReadonlyArray<OutboxStore.Settlement>
): { readonly items: ReadonlyArray<Item>; readonly refused: ReadonlyArray<number> } => {
  const items = new Map<string, Item>()
  const refused: Array<number> = []
  for (const settlement of settlements) {
    const key = `${settlement.ref} ${settlement.token}`
    if (items.has(key)) refused.push(settlement.ref)
    else items.set(key, itemOf(settlement))
  }
  return { items: [...items.values()].sort((left, right) => left.ref - right.ref), refused }
}

/** What a settlement does to its entry, for the SQL of both databases: `e` is the entry, `i` the item. */
export const settled = (now: string): string => `
  state = CASE i.tag WHEN 'done' THEN 1 WHEN 'dead' THEN 2 ELSE 0 END,
  reason = i.reason,
  lease = NULL,
  leased_until = 0,
  attempts = e.attempts - CASE WHEN i.tag IN ('snooze', 'release') THEN 1 ELSE 0 END,
  failures = e.failures + i.failed,
  failed_at = CASE WHEN i.failed = 0 THEN e.failed_at WHEN e.failed_at = '' THEN CAST(${now} AS text)
    ELSE e.failed_at || ',' || CAST(${now} AS text) END,
  visible_at = CASE WHEN i.tag IN ('done', 'dead') THEN e.visible_at ELSE ${now} + i.delay END,
  finished_at = CASE WHEN i.tag IN ('done', 'dead') THEN ${now} END,
  elapsed = i.elapsed,
  error = COALESCE(i.error, e.error)`

/** What is written about a delivery whose worker was lost, for the SQL of both databases. */
export const lost = (worker: string): string =>
  `'Worker "' || ${worker} || '" was lost: its lease ran out before the delivery ended.'`

export const unknown = (name: string): string =>
  `'No worker knows the side effect "' || ${name} || '". Start one that does, and it becomes due again.'`
