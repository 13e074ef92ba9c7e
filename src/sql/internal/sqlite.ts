import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as OutboxStore from "../../outbox/OutboxStore.ts"
import type { Hot } from "./hot.ts"
import { inTurn, makeIsOpen, type PauseRow } from "./lanes.ts"
import type { Lane, Listeners } from "./nudges.ts"
import * as rows from "./rows.ts"
import type { Tables } from "./schema.ts"

/** The clock of the database as epoch milliseconds. */
export const now = "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"

const offerFields = ["id", "queue", "name", "rank", "payload", "redacted", "key", "origin", "metadata", "trace"]

const itemFields = ["ref", "token", "tag", "elapsed", "worker", "delay", "failed", "outcome", "reason", "error"]

const fieldsOf = (fields: ReadonlyArray<string>): string =>
  fields.map((field) => `value ->> '$.${field}' AS ${field}`).join(", ")

const inList = "IN (SELECT value FROM json_each(?))"

const crashes = "crashes + (lease IS NOT NULL)"

const statementsOf = ({ attempts, entries, keys, pauses }: Tables) => {
  // Materialized, or each mention of a field would read its JSON again.
  const items = `WITH item AS MATERIALIZED (SELECT ${fieldsOf(itemFields)} FROM json_each(?))\n`
  const holds = "e.seq = i.ref AND e.lease = i.token"
  const insert = `INSERT INTO ${entries} (${offerFields.join(", ")}, visible_at, created_at)
SELECT ${offerFields.map((field) => `value ->> '$.${field}'`).join(", ")}, ${now} + (value ->> '$.delay'), ${now}
FROM json_each(?)`
  const takeKeys = `INSERT INTO ${keys} AS k (name, key, id, taken_at, until)
SELECT value ->> '$.name', value ->> '$.key', value ->> '$.id', ${now}, ${now} + max(?, ${OutboxStore.keptKeys}) FROM json_each(?)
WHERE value ->> '$.key' IS NOT NULL
ON CONFLICT (name, key) DO UPDATE SET id = excluded.id, taken_at = excluded.taken_at, until = excluded.until`
  const hasKey = `SELECT k.id FROM ${keys} k WHERE k.name = value ->> '$.name' AND k.key = value ->> '$.key'`

  const first = (where: string) =>
    `(SELECT e.seq FROM ${entries} e WHERE e.state = 0 AND ${where}
      ORDER BY e.queue, e.name, e.rank, e.visible_at, e.seq LIMIT 1)`

  return {
    offer: insert,
    takeKeys,
    takeFreeKeys: `${takeKeys} WHERE k.taken_at <= excluded.taken_at - ?`,
    offerWinners: `${insert} WHERE value ->> '$.key' IS NULL OR value ->> '$.id' = (${hasKey})`,
    losers: `SELECT value ->> '$.id' AS id, (${hasKey}) AS of FROM json_each(?)
WHERE value ->> '$.key' IS NOT NULL AND value ->> '$.id' <> (${hasKey})`,

    // By the first entry of each lane, as no other has to be read. SQLite uses an index for one comparison, not for a row.
    lanes: `WITH RECURSIVE lane(seq) AS (
  SELECT seq FROM (SELECT seq FROM ${entries} WHERE state = 0 ORDER BY queue, name, rank, visible_at, seq LIMIT 1)
  UNION ALL
  SELECT COALESCE(
    ${first("e.queue = p.queue AND e.name = p.name AND e.rank > p.rank")},
    ${first("e.queue = p.queue AND e.name > p.name")},
    ${first("e.queue > p.queue")}
  ) FROM lane JOIN ${entries} p ON p.seq = lane.seq
)
SELECT p.queue, p.name, p.rank, (
  SELECT e.visible_at FROM ${entries} e
  WHERE e.state = 0 AND e.queue = p.queue AND e.name = p.name AND e.rank = p.rank AND e.leased_until <= ${now}
    AND ${crashes} < 2
  ORDER BY e.visible_at, e.seq LIMIT 1
) AS due, ${now} AS now FROM lane JOIN ${entries} p ON p.seq = lane.seq ORDER BY p.rank, due`,

    pauses: `SELECT kind, what, since FROM ${pauses}`,

    // When the first worker would lose what it holds of a lane.
    held: `SELECT min(leased_until) AS due FROM ${entries}
WHERE state = 0 AND queue = ? AND name = ? AND rank = ? AND visible_at <= ${now} AND leased_until > ${now}
  AND ${crashes} < 2`,

    suspects:
      `SELECT seq, queue, name, rank, max(visible_at, leased_until) AS due, lease IS NOT NULL AS held, ${now} AS now FROM ${entries}
WHERE state = 0 AND crashes > 0 AND ${crashes} >= 2 ORDER BY rank, visible_at, seq`,

    due: `SELECT seq, rank, visible_at AS due, lease IS NOT NULL AS held FROM ${entries}
WHERE state = 0 AND queue = ? AND name = ? AND rank = ? AND visible_at <= ${now} AND leased_until <= ${now}
  AND ${crashes} < 2
ORDER BY visible_at, seq LIMIT ?`,

    crashed: `INSERT INTO ${attempts} (entry, attempt, outcome, started_at, worker, error)
SELECT seq, attempts, 'crashed', started_at, worker, ${rows.lost("worker")} FROM ${entries}
WHERE seq ${inList} AND lease IS NOT NULL`,

    claim: `UPDATE ${entries} SET
  leased_until = ${now} + ?,
  lease = abs(random() % 9007199254740991),
  attempts = attempts + 1,
  crashes = ${crashes},
  error = CASE WHEN lease IS NULL THEN error ELSE ${rows.lost("worker")} END,
  worker = ?,
  started_at = ${now}
WHERE seq ${inList}
RETURNING seq, lease, id, name, queue, rank, payload, key, origin, metadata, trace, attempts, failures, failed_at, crashes,
  created_at`,

    history: `${items}INSERT INTO ${attempts} (entry, attempt, outcome, started_at, elapsed, worker, error)
SELECT e.seq, e.attempts, i.outcome, e.started_at, i.elapsed, i.worker, i.error FROM item i
JOIN ${entries} e ON ${holds} WHERE i.outcome IS NOT NULL ORDER BY e.seq`,
    free: `${items}DELETE FROM ${keys} WHERE (name, key, id) IN (
  SELECT e.name, e.key, e.id FROM item i JOIN ${entries} e ON ${holds} WHERE i.tag = 'dead' AND i.reason <> 'unknown' AND e.key IS NOT NULL
)`,
    forget: `${items}DELETE FROM ${attempts} WHERE entry IN (
  SELECT e.seq FROM item i JOIN ${entries} e ON ${holds} WHERE i.tag = 'gone'
)`,
    remove: `${items}DELETE FROM ${entries} WHERE seq IN (
  SELECT e.seq FROM item i JOIN ${entries} e ON ${holds} WHERE i.tag = 'gone'
) RETURNING seq`,
    settle: `${items}UPDATE ${entries} AS e SET ${rows.settled(now)} FROM item i WHERE ${holds} AND i.tag <> 'gone'
RETURNING seq`,

    renew: `${items}UPDATE ${entries} AS e SET leased_until = ${now} + ? FROM item i WHERE ${holds} RETURNING seq`,

    lastSeq: "SELECT seq FROM sqlite_sequence WHERE name = ?"
  }
}

interface DueRow {
  readonly seq: number
  readonly rank: number
  readonly due: number
  readonly held: number
}

export const make = (client: SqlClient.SqlClient, tables: Tables, listeners: Listeners): Hot => {
  const sql = client.withoutTransforms()
  const statements = statementsOf(tables)
  let turn = 0

  const wakeAfterCommit = client.afterCommit(Effect.sync(listeners.wake))

  const offerMany = Effect.fnUntraced(function*(offers: ReadonlyArray<OutboxStore.Offer>, uniqueFor: number) {
    if (offers.length === 0) return []
    const text = rows.offersOf(offers, false)
    const keyed = offers.filter(({ key }) => key !== undefined)
    const lost = keyed.length === 0
      ? yield* Effect.as(sql.unsafe(statements.offer, [text]), [])
      : yield* client.withTransaction(offerKeyed(text, rows.duration(uniqueFor)))
    if (lost.length < offers.length) yield* wakeAfterCommit
    return lost
  })

  const offerKeyed = Effect.fnUntraced(function*(text: string, uniqueFor: number) {
    if (uniqueFor === 0) {
      yield* sql.unsafe(statements.takeKeys, [0, text])
      yield* sql.unsafe(statements.offer, [text])
      return []
    }
    yield* sql.unsafe(statements.takeFreeKeys, [uniqueFor, text, uniqueFor])
    yield* sql.unsafe(statements.offerWinners, [text])
    return yield* sql.unsafe<OutboxStore.Duplicate>(statements.losers, [text])
  })

  // -- Claiming -------------------------------------------------------------------------------------------------------

  type LaneRow = Lane & { readonly due: number | null; readonly now: number }

  const look = Effect.gen(function*() {
    const lanes = yield* sql.unsafe<LaneRow>(statements.lanes)
    // What nobody can claim needs no further question.
    const pauses = lanes.length === 0 ? [] : yield* sql.unsafe<PauseRow>(statements.pauses)
    return { lanes, pauses }
  })

  const suspectsOf = Effect.fnUntraced(function*(
    claim: OutboxStore.Claim,
    pauses: ReadonlyArray<PauseRow>
  ): Effect.fn.Return<ReadonlyArray<LaneRow & DueRow>, SqlError> {
    if (!claim.suspects) return []
    const isOpen = makeIsOpen(claim, pauses)
    return (yield* sql.unsafe<LaneRow & DueRow>(statements.suspects)).filter(isOpen)
  })

  const claim = Effect.fnUntraced(function*(claim: OutboxStore.Claim) {
    if (claim.limit <= 0) return []
    const { lanes, pauses } = yield* look
    const isOpen = makeIsOpen(claim, pauses)
    const open = claim.suspects
      ? []
      : lanes.filter((lane) => lane.due !== null && lane.due <= lane.now && isOpen(lane))
    // Nothing to write, so nobody else is kept from writing.
    if (open.length === 0 && !(yield* suspectsOf(claim, pauses)).some(({ due, now }) => due <= now)) return []
    return yield* client.withTransaction(claimFrom(claim, inTurn(open, turn++), pauses))
  })

  const claimFrom = Effect.fnUntraced(function*(
    claim: OutboxStore.Claim,
    lanes: ReadonlyArray<Lane>,
    pauses: ReadonlyArray<PauseRow>
  ) {
    const due: Array<DueRow> = (yield* suspectsOf(claim, pauses)).filter(({ due, now }) => due <= now).slice(0, 1)
    for (const { name, queue, rank } of lanes) {
      if (due.length >= claim.limit) break
      due.push(...(yield* sql.unsafe<DueRow>(statements.due, [queue, name, rank, claim.limit - due.length])))
    }
    if (due.length === 0) return []
    due.sort(sooner)
    const seqs = JSON.stringify(due.map(({ seq }) => seq))
    if (due.some(({ held }) => held === 1)) yield* sql.unsafe(statements.crashed, [seqs])
    const claimed = yield* sql.unsafe<rows.ClaimedRow>(statements.claim, [
      rows.duration(claim.lease),
      rows.clean(claim.worker),
      seqs
    ])
    const bySeq = new Map(claimed.map((row) => [row.seq, row]))
    return due.map(({ seq }) => rows.claimedOf(bySeq.get(seq)!))
  })

  const nextDueIn = Effect.fnUntraced(function*(claim: OutboxStore.Claim) {
    const { lanes, pauses } = yield* look
    const isOpen = makeIsOpen(claim, pauses)
    const times: Array<number> = []
    for (const { due, name, now, queue, rank } of claim.suspects ? [] : lanes.filter(isOpen)) {
      const [held] = yield* sql.unsafe<{ readonly due: number | null }>(statements.held, [queue, name, rank])
      for (const time of [due, held!.due]) if (time !== null) times.push(time - now)
    }
    for (const { due, now } of yield* suspectsOf(claim, pauses)) times.push(due - now)
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times))
  })

  const settle = Effect.fnUntraced(function*(settlements: ReadonlyArray<OutboxStore.Settlement>) {
    if (settlements.length === 0) return []
    const { items, refused } = rows.itemsOf(settlements)
    const text = [rows.json(items)]
    const settled = yield* client.withTransaction(Effect.gen(function*() {
      if (items.some(({ outcome }) => outcome !== undefined)) yield* sql.unsafe(statements.history, text)
      if (items.some(({ tag }) => tag === "dead")) yield* sql.unsafe(statements.free, text)
      if (!items.some(({ tag }) => tag === "gone")) return yield* sql.unsafe<{ seq: number }>(statements.settle, text)
      yield* sql.unsafe(statements.forget, text)
      const removed = yield* sql.unsafe<{ seq: number }>(statements.remove, text)
      return [...removed, ...(yield* sql.unsafe<{ seq: number }>(statements.settle, text))]
    }))
    return [...refused, ...missing(items, settled)]
  })

  const renew = Effect.fnUntraced(function*(
    held: ReadonlyArray<{ readonly ref: number; readonly token: number }>,
    lease: number
  ) {
    if (held.length === 0) return []
    const text = rows.json(held.map(({ ref, token }) => ({ ref, token })))
    return missing(held, yield* sql.unsafe<{ seq: number }>(statements.renew, [text, rows.duration(lease)]))
  })

  // -- Waking ---------------------------------------------------------------------------------------------------------

  const table = tables.name.slice(tables.name.lastIndexOf(".") + 1)

  const changes = Effect.map(
    sql.unsafe<{ readonly data_version: number }>("PRAGMA data_version"),
    ([row]) => row?.data_version
  )

  const lastSeq = Effect.map(sql.unsafe<{ readonly seq: number }>(statements.lastSeq, [table]), ([row]) => row?.seq)

  /** Waits until another connection has inserted something since it was last waited for. */
  const makeOthers = Effect.map(
    Effect.all([changes, lastSeq]),
    ([version, seq]): Effect.Effect<void> =>
      Effect.gen(function*() {
        while (true) {
          const seen = yield* changes
          if (seen !== version) {
            version = seen
            const last = yield* lastSeq
            if (last !== seq) {
              seq = last
              return
            }
          }
          yield* Effect.sleep("5 millis")
        }
      }).pipe(Effect.catch(() => Effect.sleep("1 second")), Effect.withTracerEnabled(false))
  )

  // SQLite tells nobody. That another connection has written is cheap to see, and only an insert is worth waking for.
  const wake = Effect.map(
    Effect.all([listeners.listen, makeOthers]),
    ([latch, others]) => Effect.andThen(Effect.raceFirst(latch.await, others), latch.close)
  )

  return {
    offerMany,
    claim,
    nextDueIn,
    settle,
    renew,
    wake,
    lanes: sql.unsafe<Lane>(statements.lanes),
    changed: wakeAfterCommit
  }
}

const missing = (
  asked: ReadonlyArray<{ readonly ref: number }>,
  found: ReadonlyArray<{ readonly seq: number }>
): ReadonlyArray<number> => {
  if (found.length === asked.length) return []
  const seqs = new Set(found.map(({ seq }) => seq))
  // Of several deliveries of one entry it is one that counted.
  return asked.flatMap(({ ref }) => seqs.delete(ref) ? [] : [ref])
}

const sooner = (left: DueRow, right: DueRow): number =>
  left.rank - right.rank || left.due - right.due || left.seq - right.seq
