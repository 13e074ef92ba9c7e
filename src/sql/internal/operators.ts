import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import * as OutboxStore from "../../outbox/OutboxStore.ts"
import { condition, type Words } from "./filter.ts"
import type { Hot } from "./hot.ts"
import type { PauseRow } from "./lanes.ts"
import * as rows from "./rows.ts"
import * as schema from "./schema.ts"

// What is asked for now and then: the same statements for both databases, one after the other in a transaction.

type Integer = number | bigint
type Store = OutboxStore.OutboxStore["Service"]

/** What `rows.entryColumns` reads, and a row's place. */
type SeqRow = { readonly seq: Integer }

// So many rows are changed by one statement, and removed by one transaction of a cleanup.
const chunkSize = 5000
const batchSize = 1000

// For so long a worker is listed after it was last seen.
const rememberedFor = 86_400_000

export const make = (options: {
  readonly client: SqlClient.SqlClient
  readonly words: Words
  readonly tables: schema.Tables
  readonly hot: Pick<Hot, "changed" | "lanes">
}) => {
  const { client, hot, tables, words } = options
  const { changed } = hot
  const sql = client.withoutTransforms()
  const entries = sql.literal(tables.entries)
  const attempts = sql.literal(tables.attempts)
  const keys = sql.literal(tables.keys)
  const pauses = sql.literal(tables.pauses)
  const workers = sql.literal(tables.workers)
  const columns = sql.literal(rows.entryColumns)
  const time = (now: number): Fragment => sql`CAST(${now} AS bigint)`

  const clock = Effect.map(
    sql<{ readonly now: Integer }>`SELECT ${sql.literal(words.now)} AS now`,
    ([row]) => Number(row!.now)
  )

  const matching = (filter: OutboxStore.Filter, now: number) => condition(sql, words, tables, filter, now)

  // -- Reading --------------------------------------------------------------------------------------------------------

  const find = Effect.fnUntraced(function*(
    filter: OutboxStore.Filter,
    { before, limit }: { readonly limit: number; readonly before?: string | undefined }
  ) {
    const now = yield* clock
    const earlier = before === undefined
      ? sql`1 = 1`
      : sql`seq < (SELECT seq FROM ${entries} WHERE ${words.areIds([before])})`
    const found = yield* sql<rows.EntryRow>`SELECT ${columns} FROM ${entries}
      WHERE ${yield* matching(filter, now)} AND ${earlier} ORDER BY seq DESC LIMIT CAST(${limit} AS integer)`
    return found.map((row) => rows.entryOf(row, now, []))
  })

  const get = Effect.fnUntraced(function*(id: string) {
    const now = yield* clock
    const [row] = yield* sql<rows.EntryRow & SeqRow>`SELECT seq, ${columns} FROM ${entries} WHERE ${words.areIds([id])}`
    if (row === undefined) return undefined
    const history = yield* sql<rows.AttemptRow>`SELECT attempt, outcome, started_at, elapsed, worker, error
      FROM ${attempts} WHERE entry = CAST(${Number(row.seq)} AS bigint) ORDER BY seq`
    return rows.entryOf(row, now, rows.historyOf(row, history))
  })

  const count = Effect.fnUntraced(function*(filter: OutboxStore.Filter) {
    const now = yield* clock
    const [row] = yield* sql<{ readonly n: Integer }>`SELECT count(*) AS n FROM ${entries}
      WHERE ${yield* matching(filter, now)}`
    return Number(row!.n)
  })

  const counts = Effect.gen(function*() {
    const now = yield* clock
    const found = yield* sql<Omit<OutboxStore.Count, "count" | "oldest"> & { n: Integer; oldest: Integer }>`
      SELECT name, queue, state, count(*) AS n, min(created_at) AS oldest FROM (
        SELECT name, queue, created_at, CASE WHEN state = 1 THEN 'done' WHEN state = 2 THEN 'dead'
          WHEN leased_until > ${time(now)} THEN 'running' WHEN visible_at <= ${
      time(now)
    } THEN 'pending' ELSE 'scheduled' END AS state
        FROM ${entries}
      ) AS e GROUP BY name, queue, state ORDER BY name, queue, state`
    return found.map(({ n, name, oldest, queue, state }): OutboxStore.Count => ({
      name,
      queue,
      state,
      count: Number(n),
      oldest: Number(oldest)
    }))
  })

  // -- Changing -------------------------------------------------------------------------------------------------------

  /** In which states each change finds what it changes. */
  const changeable: Readonly<Record<OutboxStore.Change["_tag"], ReadonlyArray<OutboxStore.State>>> = {
    Retry: ["scheduled", "dead"],
    Cancel: ["pending", "scheduled", "running"],
    Replay: ["done", "dead"],
    Edit: ["pending", "scheduled", "dead"],
    Purge: ["pending", "scheduled", "done", "dead"]
  }

  const applyTo = Effect.fnUntraced(function*(
    which: Fragment,
    change: OutboxStore.Change,
    now: number
  ): Effect.fn.Return<void, SqlError> {
    switch (change._tag) {
      case "Retry":
        yield* revive(which, now)
        return
      case "Cancel":
        yield* takeFromWorkers(which, now, rows.clean(change.reason))
        yield* kill(which, now, "cancelled", sql`${rows.clean(change.reason)}`)
        return
      case "Replay":
        yield* sql`INSERT INTO ${entries} (id, queue, name, rank, payload, redacted, key, origin, metadata, trace, replay_of,
            visible_at, created_at)
          SELECT ${sql.literal(words.newId)}, queue, name, rank, payload, redacted, key, origin, metadata, trace, id,
            ${time(now)}, ${time(now)} FROM ${entries} WHERE ${which} ORDER BY seq`
        yield* takeKeys(
          sql`state = 0 AND created_at >= ${time(now)} AND replay_of IN (
          SELECT CAST(id AS text) FROM ${entries} WHERE ${which}
        )`,
          now
        )
        return
      case "Edit": {
        const redacted = change.redacted === undefined ? null : JSON.stringify(change.redacted)
        yield* sql`UPDATE ${entries} SET payload = CAST(${change.payload} AS ${
          sql.literal(words.dialect === "pg" ? "json" : "text")
        }), redacted = ${redacted} WHERE ${which}`
        return
      }
      case "Purge":
        yield* freeKeys(which)
        yield* sql`DELETE FROM ${attempts} WHERE entry IN (SELECT seq FROM ${entries} WHERE ${which})`
        yield* sql`DELETE FROM ${entries} WHERE ${which}`
        return
    }
  })

  /** Makes entries due at once, with fresh budgets. Those that were dead have their keys again, unless others took them. */
  const revive = Effect.fnUntraced(function*(which: Fragment, now: number) {
    yield* sql`INSERT INTO ${keys} (name, key, id, taken_at, until)
      SELECT name, key, id, created_at, ${
      time(now + OutboxStore.keptKeys)
    } FROM ${entries} WHERE ${which} AND state = 2 AND key IS NOT NULL
      ORDER BY seq DESC ON CONFLICT (name, key) DO NOTHING`
    yield* sql`UPDATE ${entries} SET state = 0, reason = NULL, finished_at = NULL, failures = 0, failed_at = '', crashes = 0,
      visible_at = ${time(now)} WHERE ${which}`
  })

  const kill = Effect.fnUntraced(function*(which: Fragment, now: number, reason: OutboxStore.Reason, error: Fragment) {
    // What nobody knows may come back to life.
    if (reason !== "unknown") yield* freeKeys(which)
    yield* sql`UPDATE ${entries} SET state = 2, reason = ${reason}, lease = NULL, leased_until = 0, finished_at = ${
      time(now)
    },
      crashes = crashes + CASE WHEN lease IS NOT NULL AND leased_until <= ${time(now)} THEN 1 ELSE 0 END,
      error = ${error} WHERE ${which}`
  })

  /** The deliveries of those who hold entries, or were lost with them, go to the history. */
  const takeFromWorkers = (which: Fragment, now: number, reason: string) =>
    sql`INSERT INTO ${attempts} (entry, attempt, outcome, started_at, worker, error)
      SELECT seq, attempts, CASE WHEN leased_until <= ${
      time(now)
    } THEN 'crashed' ELSE 'cancelled' END, started_at, worker,
        CASE WHEN leased_until <= ${time(now)} THEN ${sql.literal(rows.lost("worker"))} ELSE ${reason} END
      FROM ${entries} WHERE ${which} AND lease IS NOT NULL ORDER BY seq`

  const takeKeys = (which: Fragment, now: number) =>
    sql`INSERT INTO ${keys} (name, key, id, taken_at, until)
      SELECT name, key, id, created_at, ${time(now + OutboxStore.keptKeys)} FROM ${entries}
      WHERE ${which} AND key IS NOT NULL ORDER BY name, key, seq DESC ON CONFLICT (name, key) DO NOTHING`

  const freeKeys = (which: Fragment) =>
    sql`DELETE FROM ${keys} WHERE (name, key, id) IN (
      SELECT name, key, id FROM ${entries} WHERE ${which} AND key IS NOT NULL
    )`

  const change = Effect.fnUntraced(function*(filter: OutboxStore.Filter, change: OutboxStore.Change) {
    const now = yield* clock
    const states = yield* matching({ states: changeable[change._tag] }, now)
    // In one order, as workers lock them, too.
    const found = yield* sql<SeqRow>`SELECT seq FROM ${entries} WHERE ${yield* matching(filter, now)} AND ${states}
      ORDER BY seq ${sql.literal(words.forUpdate)}`
    for (let from = 0; from < found.length; from += chunkSize) {
      const seqs = found.slice(from, from + chunkSize).map(({ seq }) => Number(seq))
      yield* applyTo(words.seqs(seqs), change, now)
    }
    if (found.length > 0) yield* changed
    return found.length
  })

  // -- Pauses ---------------------------------------------------------------------------------------------------------

  const pause = ({ kind, what }: Pick<OutboxStore.Pause, "kind" | "what">) =>
    sql`INSERT INTO ${pauses} (kind, what, since) VALUES (${kind}, ${rows.clean(what)}, ${sql.literal(words.now)})
      ON CONFLICT (kind, what) DO NOTHING`.pipe(Effect.andThen(changed))

  const resume = ({ kind, what }: Pick<OutboxStore.Pause, "kind" | "what">) =>
    sql`DELETE FROM ${pauses} WHERE kind = ${kind} AND what = ${rows.clean(what)} RETURNING kind`.pipe(
      Effect.map(({ length }) => length > 0),
      Effect.tap((resumed) => resumed ? changed : Effect.void)
    )

  const listPauses = Effect.map(
    sql<PauseRow>`SELECT kind, what, since FROM ${pauses} ORDER BY since, kind, what`,
    (found) => found.map(({ kind, since, what }): OutboxStore.Pause => ({ kind, what, since: Number(since) }))
  )

  // -- Workers --------------------------------------------------------------------------------------------------------

  const namesKnown = Effect.fnUntraced(function*(now: number) {
    const alive = yield* sql<{ readonly names: string }>`SELECT names FROM ${workers}
      WHERE seen_at > ${time(now - OutboxStore.aliveFor)}`
    return new Set(alive.flatMap(({ names }): Array<string> => JSON.parse(names)))
  })

  /** The names of what waits and that no worker knows which is there. */
  const orphanNames = Effect.fnUntraced(function*(now: number) {
    const alive = yield* namesKnown(now)
    return [...new Set((yield* hot.lanes).map(({ name }) => name))].filter((name) => !alive.has(name))
  })

  const register = Effect.fnUntraced(
    function*({ id, names, queues }: Pick<OutboxStore.Worker, "id" | "names" | "queues">) {
      const now = yield* clock
      const served = queues === undefined ? null : rows.json(queues)
      yield* sql`INSERT INTO ${workers} (id, names, queues, started_at, seen_at)
      VALUES (${rows.clean(id)}, ${rows.json(names)}, ${served}, ${time(now)}, ${time(now)})
      ON CONFLICT (id) DO UPDATE SET names = excluded.names, queues = excluded.queues, seen_at = excluded.seen_at`
      const known = yield* sql<SeqRow>`SELECT seq FROM ${entries} WHERE state = 2 AND reason = 'unknown'
      AND ${words.isIn("name", names)} ORDER BY seq ${sql.literal(words.forUpdate)}`
      for (let from = 0; from < known.length; from += chunkSize) {
        yield* revive(words.seqs(known.slice(from, from + chunkSize).map(({ seq }) => Number(seq))), now)
      }
      if (known.length > 0) yield* changed
      const orphans = yield* orphanNames(now)
      if (orphans.length === 0) return []
      const counted = yield* sql<
        { readonly name: string; readonly n: Integer }
      >`SELECT name, count(*) AS n FROM ${entries}
      WHERE state = 0 AND leased_until <= ${time(now)} AND ${words.isIn("name", orphans)}
      GROUP BY name ORDER BY name`
      return counted.map(({ n, name }) => ({ name, count: Number(n) }))
    }
  )

  const unregister = (id: string) => sql`DELETE FROM ${workers} WHERE id = ${rows.clean(id)}`

  const listWorkers = Effect.map(
    sql<{ id: string; names: string; queues: string | null; started_at: Integer; seen_at: Integer }>`
      SELECT id, names, queues, started_at, seen_at FROM ${workers} ORDER BY started_at, id`,
    (found) =>
      found.map((row): OutboxStore.Worker => ({
        id: row.id,
        names: JSON.parse(row.names),
        queues: row.queues === null ? undefined : JSON.parse(row.queues),
        startedAt: Number(row.started_at),
        seenAt: Number(row.seen_at)
      }))
  )

  // -- Cleaning up ----------------------------------------------------------------------------------------------------

  /** One worker at a time cleans up; others find nothing to do. */
  const mine = words.dialect === "sqlite"
    ? Effect.succeed(true)
    : Effect.map(
      sql<{ readonly mine: boolean }>`SELECT pg_try_advisory_xact_lock(hashtext(${`${tables.name} cleanup`})) AS mine`,
      ([row]) => row!.mine
    )

  /** Does something to batches of entries, each in its own transaction so that none holds locks for long. */
  const inBatches = Effect.fnUntraced(function*(
    where: Fragment,
    apply: (which: Fragment) => Effect.Effect<unknown, SqlError>
  ) {
    let total = 0
    let last = 0
    while (true) {
      const batch = yield* client.withTransaction(Effect.gen(function*() {
        if (!(yield* mine)) return []
        const found = yield* sql<SeqRow>`SELECT seq FROM ${entries} WHERE ${where} AND seq > ${time(last)} ORDER BY seq
          LIMIT CAST(${batchSize} AS integer) ${sql.literal(words.forUpdate === "" ? "" : "FOR UPDATE SKIP LOCKED")}`
        const seqs = found.map(({ seq }) => Number(seq))
        if (seqs.length > 0) yield* apply(words.seqs(seqs))
        return seqs
      }))
      total += batch.length
      if (batch.length < batchSize) return total
      last = batch.at(-1)!
    }
  })

  /**
   * Where the entries begin that were offered after a time. They are in order of time, more or less, so nothing has to be
   * read of those that are too young to be removed.
   */
  const firstAfter = Effect.fnUntraced(function*(at: number) {
    const [range] = yield* sql<{ readonly low: Integer | null; readonly high: Integer | null }>`SELECT
      min(seq) AS low, max(seq) AS high FROM ${entries}`
    let low = Number(range!.low ?? 0)
    let high = Number(range!.high ?? 0) + 1
    while (high - low > batchSize) {
      const middle = Math.floor((low + high) / 2)
      const [row] = yield* sql<{ readonly created_at: Integer }>`SELECT created_at FROM ${entries}
        WHERE seq >= ${time(middle)} ORDER BY seq LIMIT 1`
      if (row === undefined || Number(row.created_at) > at) high = middle
      else low = middle
    }
    return high
  })

  const removeAll = (which: Fragment) =>
    Effect.andThen(
      sql`DELETE FROM ${attempts} WHERE entry IN (SELECT seq FROM ${entries} WHERE ${which})`,
      sql`DELETE FROM ${entries} WHERE ${which}`
    )

  const cleanup = Effect.fnUntraced(function*({ dead, done, unknown }: OutboxStore.Retention) {
    const now = yield* clock
    let removed = 0
    for (const [state, kept] of [["1", done], ["2", dead]] as const) {
      const until = now - rows.duration(kept)
      const over = sql`state = ${sql.literal(state)} AND finished_at <= ${time(until)} AND seq < ${
        time(yield* firstAfter(until))
      }`
      removed += yield* inBatches(over, removeAll)
    }
    const orphans = yield* orphanNames(now)
    const error = sql.literal(rows.unknown("name"))
    const forgotten = orphans.length === 0 ? 0 : yield* inBatches(
      sql`state = 0 AND visible_at < ${time(now - rows.duration(unknown))}
        AND leased_until < ${time(now - rows.duration(unknown))} AND ${words.isIn("name", orphans)}`,
      (which) => Effect.andThen(takeFromWorkers(which, now, ""), kill(which, now, "unknown", error))
    )
    if (forgotten > 0) yield* changed
    yield* sql`DELETE FROM ${keys} WHERE until <= ${time(now)}`
    yield* sql`DELETE FROM ${workers} WHERE seen_at <= ${time(now - rememberedFor)}`
    return { removed, unknown: forgotten }
  })

  // -- The doctor -----------------------------------------------------------------------------------------------------

  const status = Effect.fnUntraced(function*(within: number) {
    const now = yield* clock
    const found = yield* schema.inspect(sql, tables.name, words.dialect)
    const base = { now, version: found.version, expected: schema.version, missing: found.missing }
    if (found.missing.some((what) => what === `table ${tables.name}` || what.startsWith(`column ${tables.name}.`))) {
      return { ...base, expired: 0, longest: 0, offered: 0, finished: 0 }
    }
    const [expired] = yield* sql<{ readonly n: Integer; readonly first: Integer | null }>`SELECT count(*) AS n,
      min(leased_until) AS first FROM ${entries} WHERE state = 0 AND lease IS NOT NULL AND leased_until <= ${time(now)}`
    const since = time(now - rows.duration(within))
    const [recent] = yield* sql<{ readonly offered: Integer; readonly finished: Integer }>`SELECT
      (SELECT count(*) FROM ${entries} WHERE created_at > ${since}) AS offered,
      (SELECT count(*) FROM ${entries} WHERE state IN (1, 2) AND finished_at > ${since}) AS finished`
    return {
      ...base,
      expired: Number(expired!.n),
      longest: expired!.first === null ? 0 : now - Number(expired!.first),
      offered: Number(recent!.offered),
      finished: Number(recent!.finished)
    }
  })

  return {
    find,
    get,
    count,
    counts,
    change: (filter: OutboxStore.Filter, to: OutboxStore.Change) => client.withTransaction(change(filter, to)),
    pause,
    resume,
    pauses: listPauses,
    register: (worker: Parameters<Store["register"]>[0]) => client.withTransaction(register(worker)),
    unregister,
    workers: listWorkers,
    cleanup,
    status
  }
}
