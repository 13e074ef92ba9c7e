import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as RcRef from "effect/RcRef"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as OutboxStore from "../../outbox/OutboxStore.ts"
import { type Hot, retrying } from "./hot.ts"
import { type LaneRow, Lanes, makeIsOpen, type PauseRow } from "./lanes.ts"
import { anything, type Lane, lanesOf, type Listeners, type Nudge } from "./nudges.ts"
import * as rows from "./rows.ts"
import type { Tables } from "./schema.ts"
import * as transactions from "./transactions.ts"

type Integer = number | bigint

/** The clock of the database as epoch milliseconds, which goes on within a transaction. */
export const now = "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS bigint)"

// Evaluated once a statement. Referred to as a scalar subquery, it can be a condition on an index.
const clock = `clock AS MATERIALIZED (SELECT ${now} AS now)`
const theTime = "(SELECT now FROM clock)"

const itemColumns = "ref bigint, token bigint, tag text, elapsed double precision, worker text, delay bigint, " +
  "failed integer, outcome text, reason text, error text"

const offerColumns = (payload: "json" | "text"): string =>
  "id uuid, queue text, name text, rank integer, redacted text, key text, origin text, metadata text, trace text, " +
  `delay bigint, payload ${payload}`

const insertColumns = "id, queue, name, rank, payload, redacted, key, origin, metadata, trace, visible_at, created_at"

const inserted = `o.id, o.queue, o.name, o.rank, COALESCE(o.payload::json, 'null'), o.redacted, o.key, o.origin,
  o.metadata, o.trace, ${theTime} + o.delay, ${theTime}`

/** The statements of a store, which stay the same so that they are prepared once. */
const statementsOf = ({ attempts, entries, keys, pauses }: Tables) => {
  /** Claims what `due` selects: its `seq` and what the row said before. */
  const claim = (due: string) =>
    `WITH ${clock}, due AS MATERIALIZED (${due}),
crashed AS (
  INSERT INTO ${attempts} (entry, attempt, outcome, started_at, worker, error)
  SELECT seq, attempts, 'crashed', started_at, worker, ${rows.lost("worker")} FROM due WHERE lease IS NOT NULL
),
claimed AS (
  UPDATE ${entries} e SET
    leased_until = ${theTime} + $2::bigint,
    lease = CAST(floor(random() * 9007199254740991) AS bigint),
    attempts = e.attempts + 1,
    crashes = e.crashes + CASE WHEN e.lease IS NULL THEN 0 ELSE 1 END,
    error = CASE WHEN e.lease IS NULL THEN e.error ELSE ${rows.lost("e.worker")} END,
    worker = $3,
    started_at = ${theTime}
  WHERE e.seq = ANY (ARRAY(SELECT seq FROM due))
  RETURNING seq, lease, id, name, queue, rank, payload::text AS payload, key, origin, metadata, trace, attempts,
    failures, failed_at, crashes, created_at
)
SELECT claimed.*, due.visible_at AS due, ${theTime} AS now FROM claimed JOIN due ON due.seq = claimed.seq
ORDER BY claimed.rank, due.visible_at, claimed.seq`

  const before = "e.seq, e.attempts, e.lease, e.worker, e.started_at, e.visible_at"
  const crashes = "crashes + (lease IS NOT NULL)::int"

  return {
    offer: (payload: "json" | "text") =>
      `WITH ${clock}, written AS (
  INSERT INTO ${entries} (${insertColumns}) SELECT ${inserted} FROM json_to_recordset($1::json) AS o(${
        offerColumns(payload)
      })
)
SELECT now FROM clock`,

    // Whoever writes the same key at the same time is waited for by ON CONFLICT, which decides against what is committed.
    offerKeyed: (payload: "json" | "text", unique: boolean) =>
      `WITH ${clock}, offer AS MATERIALIZED (
  SELECT o.*, row_number() OVER () AS at FROM json_to_recordset($1::json) AS o(${offerColumns(payload)})
),
won AS (
  INSERT INTO ${keys} AS k (name, key, id, taken_at, until)
  SELECT DISTINCT ON (name, key) name, key, id, ${theTime}, ${theTime} + greatest($2::bigint, ${OutboxStore.keptKeys}) FROM offer
  WHERE key IS NOT NULL ORDER BY name, key, at ${unique ? "" : "DESC"}
  ON CONFLICT (name, key) DO UPDATE SET id = excluded.id, taken_at = excluded.taken_at, until = excluded.until
  ${unique ? "WHERE k.taken_at <= excluded.taken_at - $2::bigint" : ""}
  RETURNING k.id
),
written AS (
  INSERT INTO ${entries} (${insertColumns}) SELECT ${inserted} FROM offer o
  ${unique ? "WHERE o.key IS NULL OR o.id IN (SELECT id FROM won)" : ""} ORDER BY o.at
  RETURNING id
)
SELECT now, ${
        unique
          ? "ARRAY(SELECT o.id::text FROM offer o WHERE o.key IS NOT NULL AND o.id NOT IN (SELECT id FROM won))"
          : "ARRAY[]::text[]"
      } AS lost FROM clock`,

    holders: `SELECT o.id, k.id AS of FROM json_to_recordset($1::json) AS o(id uuid, name text, key text)
JOIN ${keys} k ON k.name = o.name AND k.key = o.key`,

    claim: claim(`
  SELECT e.* FROM json_to_recordset($1::json) AS lane(queue text, name text, rank integer, at bigint, seq bigint)
  CROSS JOIN LATERAL (
    SELECT ${before} FROM ${entries} e
    WHERE state = 0 AND queue = lane.queue AND name = lane.name AND rank = lane.rank
      AND (visible_at, e.seq) >= (lane.at, lane.seq) AND visible_at <= ${theTime} AND leased_until <= ${theTime}
      AND ${crashes} < 2
    ORDER BY visible_at, e.seq LIMIT $4::int FOR UPDATE SKIP LOCKED
  ) e LIMIT $4::int`),

    claimSuspect: claim(`
  SELECT ${before} FROM ${entries} e
  WHERE state = 0 AND crashes > 0 AND ${crashes} >= 2 AND visible_at <= ${theTime} AND leased_until <= ${theTime}
    AND (queue, name) IN (SELECT queue, name FROM json_to_recordset($1::json) AS lane(queue text, name text))
  ORDER BY rank, visible_at, seq LIMIT 1 FOR UPDATE SKIP LOCKED`),

    suspects: `SELECT queue, name, min(greatest(visible_at, leased_until)) AS due, ${now} AS now FROM ${entries}
WHERE state = 0 AND crashes > 0 AND ${crashes} >= 2 GROUP BY queue, name`,

    lanes: `WITH RECURSIVE ${clock}, lane AS (
  (SELECT queue, name, rank FROM ${entries} WHERE state = 0 ORDER BY queue, name, rank LIMIT 1)
  UNION ALL
  SELECT next.queue, next.name, next.rank FROM lane CROSS JOIN LATERAL (
    SELECT queue, name, rank FROM ${entries}
    WHERE state = 0 AND (queue, name, rank) > (lane.queue, lane.name, lane.rank)
    ORDER BY queue, name, rank LIMIT 1
  ) next
)
SELECT lane.queue, lane.name, lane.rank, first.visible_at AS at, first.seq, ${theTime} AS now
FROM lane CROSS JOIN LATERAL (
  SELECT visible_at, seq FROM ${entries}
  WHERE state = 0 AND queue = lane.queue AND name = lane.name AND rank = lane.rank ORDER BY visible_at, seq LIMIT 1
) first ORDER BY lane.rank, first.visible_at, first.seq`,

    // When the first entry of each lane that nobody holds is due, or when the first worker would lose the one it holds.
    due: `WITH ${clock}
SELECT least(free.due, held.due) AS due, ${theTime} AS now
FROM json_to_recordset($1::json) AS lane(queue text, name text, rank integer, at bigint, seq bigint)
LEFT JOIN LATERAL (
  SELECT visible_at AS due FROM ${entries} e
  WHERE state = 0 AND queue = lane.queue AND name = lane.name AND rank = lane.rank
    AND (visible_at, e.seq) >= (lane.at, lane.seq) AND leased_until <= ${theTime} AND ${crashes} < 2
  ORDER BY visible_at, e.seq LIMIT 1
) free ON true
LEFT JOIN LATERAL (
  SELECT min(leased_until) AS due FROM ${entries} e
  WHERE state = 0 AND queue = lane.queue AND name = lane.name AND rank = lane.rank
    AND (visible_at, e.seq) >= (lane.at, lane.seq) AND visible_at <= ${theTime} AND leased_until > ${theTime}
    AND ${crashes} < 2
) held ON true`,

    pauses: `SELECT kind, what, since FROM ${pauses}`,

    settle: ({ dead, gone, history }: { readonly dead: boolean; readonly gone: boolean; readonly history: boolean }) =>
      `WITH ${clock}, item AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS i(${itemColumns})
),
settled AS (
  UPDATE ${entries} e SET ${rows.settled(theTime)}
  FROM item i
  WHERE e.seq = ANY (ARRAY(SELECT ref FROM item)) AND e.seq = i.ref AND e.lease = i.token
    AND i.tag <> 'gone'
  RETURNING e.seq, i.token, e.id, e.name, e.key, e.started_at, e.attempts, i.tag, i.elapsed, i.worker, i.outcome, i.reason, i.error
)${
        gone ?
          `,
removed AS (
  DELETE FROM ${entries} e USING item i
  WHERE e.seq = ANY (ARRAY(SELECT ref FROM item)) AND e.seq = i.ref AND e.lease = i.token
    AND i.tag = 'gone'
  RETURNING e.seq, i.token
),
forgotten AS (
  DELETE FROM ${attempts} WHERE entry = ANY (ARRAY(SELECT seq FROM removed))
)` :
          ""
      }${
        history ?
          `,
written AS (
  INSERT INTO ${attempts} (entry, attempt, outcome, started_at, elapsed, worker, error)
  SELECT seq, attempts + CASE WHEN tag = 'snooze' THEN 1 ELSE 0 END, outcome, started_at, elapsed, worker, error
  FROM settled WHERE outcome IS NOT NULL ORDER BY seq
)` :
          ""
      }${
        dead ?
          `,
freed AS (
  DELETE FROM ${keys} k USING settled s WHERE s.tag = 'dead' AND s.reason <> 'unknown' AND k.name = s.name AND k.key = s.key AND k.id = s.id
)` :
          ""
      }
SELECT ref FROM item WHERE NOT EXISTS (SELECT FROM settled s WHERE s.seq = ref AND s.token = item.token)${
        gone ? " AND NOT EXISTS (SELECT FROM removed r WHERE r.seq = ref AND r.token = item.token)" : ""
      }`,

    // What `settle` does with those that went well, which most do, and nothing else.
    done: `WITH ${clock}, item AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS i(ref bigint, token bigint, elapsed double precision)
),
settled AS (
  UPDATE ${entries} e SET state = 1, reason = NULL, lease = NULL, leased_until = 0, finished_at = ${theTime},
    elapsed = i.elapsed
  FROM item i
  WHERE e.seq = ANY (ARRAY(SELECT ref FROM item)) AND e.seq = i.ref AND e.lease = i.token AND e.state = 0
  RETURNING e.seq, i.token
)
SELECT ref FROM item WHERE (SELECT count(*) FROM settled) < $2::int
  AND NOT EXISTS (SELECT FROM settled s WHERE s.seq = ref AND s.token = item.token)`,

    renew: `WITH ${clock}, item AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS i(ref bigint, token bigint)
),
renewed AS (
  UPDATE ${entries} e SET leased_until = ${theTime} + $2::bigint
  FROM item i
  WHERE e.seq = ANY (ARRAY(SELECT ref FROM item)) AND e.seq = i.ref AND e.lease = i.token
  RETURNING e.seq, i.token
)
SELECT ref FROM item WHERE NOT EXISTS (SELECT FROM renewed r WHERE r.seq = ref AND r.token = item.token)`
  }
}

/** What a client has that listens, such as that of `@effect/sql-pg`. */
interface Listening {
  readonly listen: (
    channel: string
  ) => Effect.Effect<Queue.Dequeue<{ readonly payload: string }, unknown>, unknown, Scope.Scope>
}

const listeningOf = (sql: object): Listening | undefined =>
  "listen" in sql && typeof sql.listen === "function" && !hasOneConnection(sql) ? sql as Listening : undefined

/** Whoever listens keeps a connection, and nothing would be left. */
const hasOneConnection = (sql: object): boolean =>
  (sql as { readonly config?: { readonly maxConnections?: number } }).config?.maxConnections === 1

// PostgreSQL takes 8000 bytes.
const longestPayload = 7000

/** The channel of a table, which has to fit into 63 bytes. */
const channelOf = (table: string): string => `effect_side_effects_${hash(table)}`

/** What another process told; nothing where it does not speak of nudges. */
const readNudges = (payload: string): { readonly me: string; readonly nudges: ReadonlyArray<Nudge> } | undefined => {
  try {
    const told = JSON.parse(payload)
    return Array.isArray(told.nudges) ? told : undefined
  } catch {
    return undefined
  }
}

const hash = (text: string): string => {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return (h >>> 0).toString(36)
}

type ClaimedRow = rows.ClaimedRow & { readonly due: Integer; readonly now: Integer }

// A plan that is this slow may have been made when the table was another.
const slow = 25
const planFor = 1000

export const make = Effect.fnUntraced(function*(
  client: SqlClient.SqlClient,
  tables: Tables,
  listeners: Listeners
): Effect.fn.Return<Hot, SqlError, Scope.Scope> {
  const sql = client.withoutTransforms()
  const scope = yield* Effect.scope
  const statements = statementsOf(tables)
  const lanes = new Lanes()
  const channel = channelOf(tables.name)

  // -- Plans ----------------------------------------------------------------------------------------------------------

  // A prepared statement keeps its plan, and one that was made for a few rows reads all of many. PostgreSQL makes a new one
  // when it has analyzed the table, which is late for a table that grows fast: so a slow statement gets another text.
  let plans = 0
  let plannedAt = -Infinity
  const planned = <A extends object>(text: string, params: ReadonlyArray<unknown>) =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (from) =>
        Effect.tap(sql.unsafe<A>(plans === 0 ? text : `${text} /* ${plans} */`, params), () =>
          Effect.map(Clock.currentTimeMillis, (to) => {
            if (to - from < slow || to - plannedAt < planFor) {
              return
            }
            plannedAt = to
            plans = plans % 50 + 1
          }))
    )

  // What a worker claims and settles may be forgotten when the database itself fails: then it is done again, as after any
  // crash. Outside of a transaction, which is nobody else's then, its commit does not wait for the disk.
  const relaxed = new Map<string, string>()
  const forgettable = <A extends object>(text: string, params: ReadonlyArray<unknown>) =>
    Effect.withFiber<ReadonlyArray<A>, SqlError>((fiber) => {
      if (transactions.of(client, fiber.context) !== undefined) return planned<A>(text, params)
      let without = relaxed.get(text)
      if (without === undefined) {
        without = text.replace(
          clock,
          `clock AS MATERIALIZED (SELECT ${now} AS now, set_config('synchronous_commit', 'off', true))`
        )
        relaxed.set(text, without)
      }
      return planned<A>(without, params)
    })

  // -- Nudges ---------------------------------------------------------------------------------------------------------

  const [{ me }] = (yield* sql.unsafe<{ me: string }>("SELECT gen_random_uuid()::text AS me")) as [{ me: string }]
  let waiting: Array<Nudge> = []
  let notifying = false

  const payloadOf = (nudges: ReadonlyArray<Nudge>): string => {
    const all = nudges.includes(anything) ? [] : nudges.map(({ at, lanes }) => ({ at, lanes }))
    const text = rows.json({ me, nudges: all })
    return text.length * 3 > longestPayload ? rows.json({ me, nudges: [] }) : text
  }

  // Its own commit has nothing to wait for the disk for.
  const notifyAll = "SELECT pg_notify($1, $2), set_config('synchronous_commit', 'off', true)"

  // One at a time, as each takes a lock on all of them: those that come meanwhile go together.
  const notify = Effect.gen(function*() {
    while (waiting.length > 0) {
      const nudges = waiting
      waiting = []
      yield* Effect.ignore(sql.unsafe(notifyAll, [channel, payloadOf(nudges)]))
    }
  }).pipe(Effect.ensuring(Effect.sync(() => notifying = false)))

  const nudge = (nudge: Nudge): Effect.Effect<void> =>
    Effect.suspend(() => {
      // Claims in this transaction see it already.
      lanes.tell(nudge)
      return client.afterCommit(Effect.suspend(() => {
        lanes.tell(nudge)
        listeners.wake()
        waiting.push(nudge)
        if (notifying) return Effect.void
        notifying = true
        return Effect.asVoid(Effect.forkIn(notify, scope))
      }))
    })

  const receive = (payload: string) => {
    const told = readNudges(payload)
    if (told?.me === me) return
    if (told === undefined || told.nudges.length === 0) lanes.tell(anything)
    else for (const nudge of told.nudges) lanes.tell(nudge)
    listeners.wake()
  }

  const listening = listeningOf(client)
  const ear = yield* RcRef.make({
    acquire: listening === undefined ? Effect.void : Effect.scoped(Effect.gen(function*() {
      const queue = yield* listening.listen(channel)
      // What was offered while nobody listened.
      receive("")
      return yield* Effect.forever(Effect.map(Queue.take(queue), ({ payload }) => receive(payload)))
    })).pipe(
      Effect.exit,
      Effect.andThen(Effect.sleep("1 second")),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )
  })

  // -- Claiming -------------------------------------------------------------------------------------------------------

  const look = Effect.gen(function*() {
    const since = lanes.look()
    const from = yield* Clock.currentTimeMillis
    const found = yield* planned<LaneRow>(statements.lanes, [])
    const pauses = yield* sql.unsafe<PauseRow>(statements.pauses)
    lanes.seen(found, pauses, { since, from, to: yield* Clock.currentTimeMillis })
    return { found, pauses }
  }).pipe(Effect.tapCause(() => Effect.sync(() => lanes.tell(anything))))

  const claimKnown = Effect.fnUntraced(function*(claim: OutboxStore.Claim, limit: number) {
    const since = lanes.now()
    const open = lanes.open(claim)
    if (open.length === 0 || limit <= 0) return []
    const asked = open.map(({ floor, name, queue, rank }) => ({ queue, name, rank, ...floor }))
    const params = [rows.json(asked), rows.duration(claim.lease), rows.clean(claim.worker), limit]
    const claimed = yield* forgettable<ClaimedRow>(statements.claim, params)
    lanes.claimed(claimed, since)
    return claimed
  })

  const claimSuspect = Effect.fnUntraced(function*(claim: OutboxStore.Claim) {
    const open = yield* openSuspects(claim)
    if (open.length === 0) return []
    return yield* forgettable<ClaimedRow>(statements.claimSuspect, [
      rows.json(open.map(({ name, queue }) => ({ name, queue }))),
      rows.duration(claim.lease),
      rows.clean(claim.worker)
    ])
  })

  const openSuspects = Effect.fnUntraced(function*(claim: OutboxStore.Claim) {
    const found = yield* planned<Pick<Lane, "name" | "queue"> & Record<"due" | "now", Integer>>(
      statements.suspects,
      []
    )
    if (found.length === 0) return []
    return found.filter(makeIsOpen(claim, yield* sql.unsafe<PauseRow>(statements.pauses)))
  })

  const claim = Effect.fnUntraced(function*(claim: OutboxStore.Claim) {
    if (claim.limit <= 0) return []
    if (claim.suspects) return (yield* claimSuspect(claim)).map(rows.claimedOf)
    const { limit } = claim
    const looked = lanes.isStale(yield* Clock.currentTimeMillis, false)
    if (looked) yield* look
    let claimed = yield* claimKnown(claim, limit)
    if (!looked && claimed.length === 0 && lanes.isStale(yield* Clock.currentTimeMillis, true)) {
      yield* look
      claimed = yield* claimKnown(claim, limit)
    }
    return claimed.map(rows.claimedOf)
  })

  const inWhich = (
    dues: ReadonlyArray<{ readonly due: Integer | null; readonly now: Integer }>
  ): number | undefined => {
    const times = dues.flatMap(({ due, now }) => due === null ? [] : [Number(due) - Number(now)])
    return times.length === 0 ? undefined : Math.max(0, Math.min(...times))
  }

  const nextDueIn = Effect.fnUntraced(function*(claim: OutboxStore.Claim) {
    if (claim.suspects) return inWhich(yield* openSuspects(claim))
    const { found, pauses } = yield* look
    const open = found.filter(makeIsOpen(claim, pauses))
    return inWhich(
      yield* planned<{ readonly due: Integer | null; readonly now: Integer }>(statements.due, [
        rows.json(
          open.map(({ at, name, queue, rank, seq }) => ({ queue, name, rank, at: Number(at), seq: Number(seq) }))
        )
      ])
    )
  })

  // -- Offering -------------------------------------------------------------------------------------------------------

  const offerMany = Effect.fnUntraced(function*(
    offers: ReadonlyArray<OutboxStore.Offer>,
    uniqueFor: number
  ): Effect.fn.Return<ReadonlyArray<OutboxStore.Duplicate>, SqlError> {
    if (offers.length === 0) return []
    const raw = !offers.some(({ payload }) => rows.isDelicate(payload))
    const payload = raw ? "json" : "text"
    const text = rows.offersOf(offers, raw)
    if (!offers.some(({ key }) => key !== undefined)) {
      const [{ now }] = (yield* sql.unsafe(statements.offer(payload), [text])) as unknown as [{ now: Integer }]
      yield* nudge({ lanes: lanesOf(offers), at: Number(now) })
      return []
    }
    const [{ lost, now }] = (yield* sql.unsafe(
      statements.offerKeyed(payload, uniqueFor > 0),
      [text, rows.duration(uniqueFor)]
    )) as unknown as [{ now: Integer; lost: ReadonlyArray<string> }]
    if (lost.length < offers.length) yield* nudge({ lanes: lanesOf(offers), at: Number(now) })
    if (lost.length === 0) return []
    const ids = new Set(lost)
    const losers = offers.filter(({ id }) => ids.has(id.toLowerCase()))
    const holders = yield* sql.unsafe<{ readonly id: string; readonly of: string }>(statements.holders, [
      rows.json(losers.map(({ id, key, name }) => ({ id, key, name })))
    ])
    const of = new Map(holders.map(({ id, of }) => [id, of]))
    const free = losers.filter(({ id }) => !of.has(id.toLowerCase()))
    return [
      ...losers.flatMap(({ id }) => of.has(id.toLowerCase()) ? [{ id, of: of.get(id.toLowerCase())! }] : []),
      // Whoever had the key lost it between the two statements.
      ...(yield* offerMany(free, uniqueFor))
    ]
  })

  const settle = Effect.fnUntraced(function*(settlements: ReadonlyArray<OutboxStore.Settlement>) {
    if (settlements.length === 0) return []
    const { items, refused } = rows.itemsOf(settlements)
    if (items.every(({ tag }) => tag === "done")) {
      const done = items.map(({ elapsed, ref, token }) => ({ ref, token, elapsed }))
      const lost = yield* forgettable<{ readonly ref: Integer }>(statements.done, [JSON.stringify(done), done.length])
      return lost.length === 0 ? refused : [...refused, ...lost.map(({ ref }) => Number(ref))]
    }
    const text = statements.settle({
      dead: items.some(({ tag }) => tag === "dead"),
      gone: items.some(({ tag }) => tag === "gone"),
      history: items.some(({ outcome }) => outcome !== undefined)
    })
    const lost = yield* forgettable<{ readonly ref: Integer }>(text, [rows.json(items)])
    return lost.length === 0 ? refused : [...refused, ...lost.map(({ ref }) => Number(ref))]
  })

  const renew = Effect.fnUntraced(function*(
    held: ReadonlyArray<{ readonly ref: number; readonly token: number }>,
    lease: number
  ) {
    if (held.length === 0) return []
    const sorted = [...held].sort((left, right) => left.ref - right.ref)
    const lost = yield* forgettable<{ readonly ref: Integer }>(statements.renew, [
      rows.json(sorted.map(({ ref, token }) => ({ ref, token }))),
      rows.duration(lease)
    ])
    return lost.map(({ ref }) => Number(ref))
  })

  return {
    offerMany,
    claim: (options) => retrying(claim(options)),
    nextDueIn,
    settle: (settlements) => retrying(settle(settlements)),
    renew: (held, lease) => retrying(renew(held, lease)),
    wake: listeners.listen.pipe(
      Effect.tap(() => RcRef.get(ear)),
      Effect.map((latch) => Effect.andThen(latch.await, latch.close))
    ),
    lanes: planned<Lane>(statements.lanes, []),
    changed: nudge(anything)
  }
})
