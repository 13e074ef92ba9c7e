/**
 * An outbox in memory, for tests and for programs that need no durability.
 *
 * **Details**
 *
 * It keeps the contract of `OutboxStore`, with two differences that lie in its nature: everything is gone with the
 * process, and there are no transactions, so what is offered exists at once. Its clock is that of the calling fiber: with
 * `TestClock`, leases run out and delays pass when the test says so.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { compilePattern } from "../internal/pattern.ts"
import * as Heap from "./internal/heap.ts"
import { claimedOf, entryOf, isSuspect, type Lane, makePredicate, type Row, sooner, stateOf } from "./internal/row.ts"
import * as OutboxStore from "./OutboxStore.ts"

/** An entry that took a key. It still counts after it was done and removed. */
interface Taken {
  readonly row: Row
  readonly until: number
}

/**
 * Makes an empty store in memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<OutboxStore.OutboxStore["Service"]> = Effect.sync(() => {
  const rows = new Map<number, Row>()
  const byId = new Map<string, Row>()
  const lanes = new Map<string, Lane>()
  const keys = new Map<string, Array<Taken>>()
  const pauses = new Map<string, OutboxStore.Pause & { readonly stops: (lane: Lane) => boolean }>()
  const workers = new Map<string, OutboxStore.Worker>()
  const listeners = new Set<Latch.Latch>()
  let lastSeq = 0
  let lastToken = 0

  const at = <A>(f: (now: number) => A): Effect.Effect<A> => Effect.map(Clock.currentTimeMillis, f)

  const wakeAll = () => {
    for (const latch of listeners) latch.openUnsafe()
  }

  // -- Lanes ----------------------------------------------------------------------------------------------------------

  const laneFor = (row: Row): Lane => {
    const suspect = isSuspect(row)
    const key = `${row.priority} ${suspect} ${row.name} ${row.queue}`
    let lane = lanes.get(key)
    if (lane === undefined) {
      const { name, priority, queue } = row
      lane = { ...Heap.make(sooner), key, name, queue, priority, suspect }
      lanes.set(key, lane)
    }
    return lane
  }

  const leave = (row: Row) => {
    const { lane } = row
    if (lane === undefined) return
    Heap.remove(lane, row)
    if (lane.items.length === 0) lanes.delete(lane.key)
    row.lane = undefined
  }

  /** Gives an entry its place, by what it is now. */
  const wait = (row: Row, visibleAt: number) => {
    leave(row)
    row.visibleAt = visibleAt
    row.lane = laneFor(row)
    Heap.add(row.lane, row)
  }

  const openLanes = ({ names, queues, suspects }: OutboxStore.Claim): Array<Lane> => {
    const known = new Set(names)
    const stops = [...pauses.values()]
    return [...lanes.values()].filter((lane) =>
      known.has(lane.name) && (queues === undefined || queues.includes(lane.queue)) && lane.suspect === suspects &&
      !stops.some((pause) => pause.stops(lane))
    )
  }

  /** The entry that is next among the first ones of some lanes. */
  const next = (candidates: ReadonlyArray<Lane>, now: number): Row | undefined => {
    let first: Row | undefined
    for (const { items, priority } of candidates) {
      const row = items[0]
      if (row === undefined || row.visibleAt > now) continue
      if (first === undefined || priority > first.priority || (priority === first.priority && sooner(row, first))) {
        first = row
      }
    }
    return first
  }

  // -- The life of an entry -------------------------------------------------------------------------------------------

  const add = (
    offer: Omit<OutboxStore.Offer, "delay">,
    options: { readonly now: number; readonly delay: number; readonly uniqueFor: number; readonly replayOf?: string }
  ): Row => {
    const row: Row = {
      index: 0,
      seq: ++lastSeq,
      id: offer.id,
      name: offer.name,
      queue: offer.queue,
      priority: offer.priority,
      key: offer.key,
      origin: offer.origin,
      metadata: offer.metadata,
      trace: offer.trace,
      replayOf: options.replayOf,
      createdAt: options.now,
      payload: offer.payload,
      redacted: offer.redacted,
      lane: undefined,
      ended: undefined,
      reason: undefined,
      token: undefined,
      attempts: 0,
      failures: 0,
      failedAt: [],
      crashes: 0,
      visibleAt: 0,
      startedAt: undefined,
      finishedAt: undefined,
      worker: undefined,
      error: undefined,
      history: []
    }
    rows.set(row.seq, row)
    byId.set(row.id, row)
    wait(row, options.now + options.delay)
    if (row.key !== undefined) {
      const key = keyOf(row.name, row.key)
      const taken = { row, until: options.now + Math.max(options.uniqueFor, OutboxStore.keptKeys) }
      const others = keys.get(key)
      if (others === undefined) keys.set(key, [taken])
      else others.push(taken)
    }
    return row
  }

  const keyOf = (name: string, key: string) => `${name} ${key}`

  /** What is dead does not, unless nobody knew it: that may come back to life. */
  const holdsKey = ({ ended, reason }: Row): boolean => ended !== "dead" || reason === "unknown"

  const duplicateOf = (offer: OutboxStore.Offer, since: number): Row | undefined =>
    offer.key === undefined ?
      undefined :
      keys.get(keyOf(offer.name, offer.key))?.findLast(({ row }) => holdsKey(row) && row.createdAt > since)?.row

  const forgetKeys = (key: string, isForgotten: (taken: Taken) => boolean) => {
    const left = keys.get(key)?.filter((taken) => !isForgotten(taken)) ?? []
    if (left.length === 0) keys.delete(key)
    else keys.set(key, left)
  }

  /** Takes an entry out. Its key is free if its time is over by `until`. */
  const remove = (row: Row, until: number) => {
    leave(row)
    row.token = undefined
    rows.delete(row.seq)
    byId.delete(row.id)
    if (row.key !== undefined) {
      forgetKeys(keyOf(row.name, row.key), (taken) => taken.row === row && taken.until <= until)
    }
  }

  const remember = (
    row: Row,
    outcome: OutboxStore.Attempt["outcome"],
    elapsed: number | undefined,
    error: string | undefined
  ) => {
    row.history.push({
      attempt: row.attempts,
      outcome,
      startedAt: row.startedAt!,
      elapsed,
      worker: row.worker!,
      error
    })
    if (error !== undefined) row.error = error
  }

  /** Takes an entry from the worker whose lease has run out, if there is one. */
  const takeFromTheLost = (row: Row) => {
    if (row.token === undefined) return
    row.token = undefined
    row.crashes++
    remember(row, "crashed", undefined, `Worker "${row.worker}" was lost: its lease ran out before the delivery ended.`)
  }

  const fail = (row: Row, now: number) => {
    row.failures++
    row.failedAt = [...row.failedAt, now]
  }

  const end = (row: Row, now: number, ended: "done" | "dead", reason: OutboxStore.Reason | undefined) => {
    leave(row)
    row.token = undefined
    row.ended = ended
    row.reason = reason
    row.finishedAt = now
  }

  /** Makes an entry due at once, with fresh budgets. */
  const revive = (row: Row, now: number) => {
    row.ended = undefined
    row.reason = undefined
    row.finishedAt = undefined
    row.failures = 0
    row.failedAt = []
    row.crashes = 0
    wait(row, now)
  }

  const settleOne = ({ elapsed, outcome, ref, token }: OutboxStore.Settlement, now: number): boolean => {
    const row = rows.get(ref)
    if (row === undefined || row.token === undefined || row.token !== token) return false
    row.token = undefined
    switch (outcome._tag) {
      case "Done":
        remember(row, "done", elapsed, undefined)
        end(row, now, "done", undefined)
        if (!outcome.keep) remove(row, now)
        return true
      case "Retry":
        remember(row, "failed", elapsed, outcome.error)
        fail(row, now)
        wait(row, now + outcome.delay)
        return true
      case "Snooze":
        remember(row, "snoozed", elapsed, undefined)
        row.attempts--
        wait(row, now + outcome.delay)
        return true
      case "Release":
        row.attempts--
        wait(row, now)
        return true
      case "Dead":
        remember(row, OutboxStore.outcomeOf[outcome.reason], elapsed, outcome.error)
        if (outcome.failed) fail(row, now)
        end(row, now, "dead", outcome.reason)
        return true
    }
  }

  // -- For operators --------------------------------------------------------------------------------------------------

  const matching = (filter: OutboxStore.Filter, now: number): Array<Row> => {
    const candidates = filter.ids === undefined
      ? [...rows.values()]
      : [...new Set(filter.ids)].flatMap((id) => byId.get(id) ?? []).sort((left, right) => left.seq - right.seq)
    return candidates.filter(makePredicate(filter, now))
  }

  const changeOne = (row: Row, change: OutboxStore.Change, id: string, now: number): boolean => {
    const state = stateOf(row, now)
    switch (change._tag) {
      case "Retry":
        if (state !== "dead" && state !== "scheduled") return false
        revive(row, now)
        return true
      case "Cancel":
        if (state === "done" || state === "dead") return false
        if (state === "running") remember(row, "cancelled", undefined, change.reason)
        else takeFromTheLost(row)
        row.error = change.reason
        end(row, now, "dead", "cancelled")
        return true
      case "Replay":
        if (state !== "done" && state !== "dead") return false
        add({ ...row, id }, { now, delay: 0, uniqueFor: 0, replayOf: row.id })
        return true
      case "Edit":
        if (state === "running" || state === "done") return false
        row.payload = change.payload
        row.redacted = change.redacted
        return true
      case "Purge":
        if (state === "running") return false
        remove(row, Infinity)
        return true
    }
  }

  const namesKnown = (now: number): Set<string> =>
    new Set([...workers.values()].flatMap(({ names, seenAt }) => seenAt > now - OutboxStore.aliveFor ? names : []))

  // -- The contract ---------------------------------------------------------------------------------------------------

  return OutboxStore.OutboxStore.of({
    offerMany: (offers, { uniqueFor }) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const ids = new Set(offers.map(({ id }) => id))
        const twice = ids.size < offers.length || offers.some(({ id }) => byId.has(id))
        if (twice) {
          const cause = new Error("An entry has the id of another one. Give each intent an id of its own.")
          return Effect.fail(new OutboxStore.OutboxError({ operation: "offer", cause }))
        }
        const duplicates: Array<OutboxStore.Duplicate> = []
        for (const offer of offers) {
          const of = uniqueFor > 0 ? duplicateOf(offer, now - uniqueFor) : undefined
          if (of === undefined) add(offer, { now, delay: offer.delay, uniqueFor })
          else duplicates.push({ id: offer.id, of: of.id })
        }
        if (duplicates.length < offers.length) wakeAll()
        return Effect.succeed(duplicates)
      }),
    afterCommit: (effect) => effect,
    transactionOf: () => undefined,

    claim: (claim) =>
      at((now) => {
        const claimed: Array<OutboxStore.Claimed> = []
        const candidates = openLanes(claim)
        const limit = claim.suspects ? Math.min(1, claim.limit) : claim.limit
        while (claimed.length < limit) {
          const row = next(candidates, now)
          if (row === undefined) break
          takeFromTheLost(row)
          row.token = ++lastToken
          row.attempts++
          row.worker = claim.worker
          row.startedAt = now
          // It leaves its lane, so that a lease of no time does not give it twice.
          leave(row)
          row.visibleAt = now + claim.lease
          claimed.push(claimedOf(row, row.token))
        }
        for (const { ref } of claimed) wait(rows.get(ref)!, rows.get(ref)!.visibleAt)
        return claimed
      }),
    nextDueIn: (claim) =>
      at((now) => {
        const times = openLanes(claim).map(({ items }) => items[0]!.visibleAt)
        return times.length === 0 ? undefined : Math.max(0, Math.min(...times) - now)
      }),
    settle: (settlements) =>
      at((now) => settlements.filter((settlement) => !settleOne(settlement, now)).map(({ ref }) => ref)),
    renew: (held, lease) =>
      at((now) =>
        held.flatMap(({ ref, token }) => {
          const row = rows.get(ref)
          if (row === undefined || row.token !== token) return [ref]
          wait(row, now + lease)
          return []
        })
      ),
    wake: Effect.acquireRelease(
      Effect.sync(() => {
        const latch = Latch.makeUnsafe(false)
        listeners.add(latch)
        return latch
      }),
      (latch) => Effect.sync(() => listeners.delete(latch))
    ).pipe(Effect.map((latch) => Effect.andThen(latch.await, latch.close))),
    register: ({ id, names, queues }) =>
      at((now) => {
        workers.set(id, { id, names, queues, startedAt: workers.get(id)?.startedAt ?? now, seenAt: now })
        const known = namesKnown(now)
        const orphans = new Map<string, number>()
        for (const row of rows.values()) {
          if (row.reason === "unknown" && names.includes(row.name)) revive(row, now)
          const state = stateOf(row, now)
          if ((state === "pending" || state === "scheduled") && !known.has(row.name)) {
            orphans.set(row.name, (orphans.get(row.name) ?? 0) + 1)
          }
        }
        return Array.from(orphans, ([name, count]) => ({ name, count }))
      }),
    unregister: (id) =>
      Effect.sync(() => {
        workers.delete(id)
      }),
    cleanup: ({ dead, done, unknown }) =>
      at((now) => {
        const known = namesKnown(now)
        const counts = { removed: 0, unknown: 0 }
        for (const row of rows.values()) {
          if (row.ended !== undefined) {
            if (row.finishedAt! > now - (row.ended === "done" ? done : dead)) continue
            remove(row, now)
            counts.removed++
          } else if (row.visibleAt < now - unknown && !known.has(row.name)) {
            takeFromTheLost(row)
            row.error = `No worker knows the side effect "${row.name}". Start one that does, and it becomes due again.`
            end(row, now, "dead", "unknown")
            counts.unknown++
          }
        }
        for (const key of keys.keys()) forgetKeys(key, ({ row, until }) => until <= now && !rows.has(row.seq))
        return counts
      }),

    find: (filter, { before, limit }) =>
      at((now) => {
        const seq = before === undefined ? Infinity : byId.get(before)?.seq ?? 0
        return matching(filter, now).filter((row) => row.seq < seq).reverse().slice(0, limit)
          .map((row) => entryOf(row, now, []))
      }),
    get: (id) =>
      at((now) => {
        const row = byId.get(id)
        return row === undefined ? undefined : entryOf(row, now, [...row.history])
      }),
    count: (filter) => at((now) => matching(filter, now).length),
    counts: at((now) => {
      const counts = new Map<string, { -readonly [K in keyof OutboxStore.Count]: OutboxStore.Count[K] }>()
      for (const row of rows.values()) {
        const { createdAt, name, queue } = row
        const state = stateOf(row, now)
        const key = `${name} ${state} ${queue}`
        const count = counts.get(key)
        if (count === undefined) counts.set(key, { name, queue, state, count: 1, oldest: createdAt })
        else {
          count.count++
          count.oldest = Math.min(count.oldest, createdAt)
        }
      }
      return [...counts.values()]
    }),
    change: (filter, change) =>
      at((now) => {
        const changed = matching(filter, now).filter((row) =>
          changeOne(row, change, globalThis.crypto.randomUUID(), now)
        )
        if (changed.length > 0) wakeAll()
        return changed.length
      }),
    pause: ({ kind, what }) =>
      at((now) => {
        const key = `${kind} ${what}`
        if (pauses.has(key)) return
        const matches = kind === "queue" ? (queue: string) => queue === what : compilePattern(what)
        pauses.set(key, { kind, what, since: now, stops: (lane) => matches(lane[kind]) })
      }),
    resume: ({ kind, what }) =>
      Effect.sync(() => {
        const resumed = pauses.delete(`${kind} ${what}`)
        if (resumed) wakeAll()
        return resumed
      }),
    pauses: Effect.sync(() => Array.from(pauses.values(), ({ kind, since, what }) => ({ kind, what, since }))),
    workers: Effect.sync(() => [...workers.values()]),
    status: (within) =>
      at((now) => {
        const all = [...rows.values()]
        const expired = all.filter((row) => row.token !== undefined && row.visibleAt <= now)
        return {
          now,
          version: 1,
          expected: 1,
          missing: [],
          expired: expired.length,
          longest: expired.reduce((longest, row) => Math.max(longest, now - row.visibleAt), 0),
          offered: all.filter((row) => row.createdAt > now - within).length,
          finished: all.filter((row) => row.finishedAt !== undefined && row.finishedAt > now - within).length
        }
      })
  })
})

/**
 * An empty outbox in memory.
 *
 * **Example** (the outbox in a test)
 *
 * ```ts
 * import * as Effect from "effect/Effect"
 * import { MemoryOutboxStore, OutboxStore } from "effect-side-effects/outbox"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* OutboxStore.OutboxStore
 *   return yield* store.count({ states: ["pending"] })
 * }).pipe(Effect.provide(MemoryOutboxStore.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<OutboxStore.OutboxStore> = Layer.effect(OutboxStore.OutboxStore, make)
