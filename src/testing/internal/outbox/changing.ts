import * as Effect from "effect/Effect"
import type * as OutboxStore from "../../../outbox/OutboxStore.ts"
import {
  type Case,
  claim,
  claimOne,
  crash,
  dead,
  done,
  ensure,
  entry,
  has,
  hour,
  idsOf,
  inEveryState,
  mail,
  newId,
  offer,
  offers,
  push,
  put,
  putOne,
  retry,
  same,
  settle,
  settlement,
  statesOf,
  test
} from "./check.ts"

const unchanged = {
  pending: "pending",
  scheduled: "scheduled",
  running: "running",
  done: "done",
  dead: "dead"
} as const

/** A change of an entry in each state: how many it counts, and where they stand afterwards. */
const changes = (
  name: string,
  change: OutboxStore.Change,
  count: number,
  after: Partial<Record<OutboxStore.State, OutboxStore.State | "removed">>
): Case =>
  test(name, function*(store) {
    const { ids } = yield* inEveryState(store)
    yield* same("`change` answers with how many entries it changed", yield* store.change({}, change), count)
    const expected: Record<OutboxStore.State, OutboxStore.State | "removed"> = { ...unchanged, ...after }
    yield* same("entries in other states are left as they are", yield* statesOf(store, ids), expected)
  })

export const changing: ReadonlyArray<Case> = [
  changes("what is dead or scheduled can be retried", { _tag: "Retry" }, 2, { dead: "pending", scheduled: "pending" }),
  changes("what has not ended can be cancelled", { _tag: "Cancel", reason: "stop" }, 3, {
    pending: "dead",
    scheduled: "dead",
    running: "dead"
  }),
  changes("what has ended can be replayed", { _tag: "Replay" }, 2, {}),
  changes(
    "what is neither running nor done can be edited",
    { _tag: "Edit", payload: "{\"n\":1}", redacted: undefined },
    3,
    {}
  ),
  changes("what is not running can be purged", { _tag: "Purge" }, 4, {
    pending: "removed",
    scheduled: "removed",
    done: "removed",
    dead: "removed"
  }),
  test("a change keeps to its filter", function*(store) {
    const { ids } = yield* inEveryState(store)
    const cancel: OutboxStore.Change = { _tag: "Cancel", reason: "stop" }
    yield* same("nothing matches, nothing changes", yield* store.change({ names: [push] }, cancel), 0)
    yield* same("no ids, nothing changes", yield* store.change({ ids: [] }, cancel), 0)
    yield* same("what matches changes", yield* store.change({ states: ["scheduled", "done"] }, cancel), 1)
    yield* same("what matches changes", yield* statesOf(store, ids), { ...unchanged, scheduled: "dead" })
    yield* same("what matches changes", yield* store.change({ ids: [ids.dead, ids.running] }, { _tag: "Purge" }), 1)
    yield* same("what matches changes", yield* statesOf(store, ids), {
      ...unchanged,
      scheduled: "dead",
      dead: "removed"
    })
  }),
  test("a retry by hand makes an entry due at once, with fresh budgets and its old history", function*(store) {
    const { id } = yield* putOne(store)
    yield* crash(store)
    yield* settle(store, yield* claimOne(store), retry(0, "one"))
    yield* settle(store, yield* claimOne(store), dead("exhausted", true))
    yield* has("it is dead", yield* entry(store, id), { state: "dead", attempts: 3, failures: 2, crashes: 1 })
    yield* same("it is changed", yield* store.change({ ids: [id] }, { _tag: "Retry" }), 1)
    const found = yield* entry(store, id)
    yield* has("it becomes due at once, with fresh budgets", found, {
      state: "pending",
      reason: undefined,
      finishedAt: undefined,
      attempts: 3,
      failures: 0,
      crashes: 0
    })
    yield* same("its history stays", found.history.map(({ outcome }) => outcome), ["crashed", "failed", "failed"])
    yield* has("failures and crashes are counted from the last retry by hand", yield* claimOne(store), {
      id,
      attempts: 4,
      failures: 0,
      failedAt: [],
      crashes: 0
    })
  }),
  test("a retry by hand does not wait for the delay", function*(store) {
    yield* putOne(store)
    yield* settle(store, yield* claimOne(store), retry(hour))
    const later = yield* putOne(store, { delay: hour })
    yield* same("both are scheduled", yield* store.change({ states: ["scheduled"] }, { _tag: "Retry" }), 2)
    const claimed = yield* claim(store)
    yield* same("what is retried is due at once", claimed.map(({ failures }) => failures), [0, 0])
    yield* same("also what was never tried", idsOf(claimed).includes(later.id), true)
  }),
  test("who holds an entry loses it when it is cancelled", function*(store) {
    const { ids, running } = yield* inEveryState(store)
    yield* store.change({ ids: [ids.running] }, { _tag: "Cancel", reason: "a wrong address" })
    yield* same("its worker sees that when it renews", yield* store.renew([running], hour), [running.ref])
    yield* same("its worker cannot settle it", yield* store.settle([settlement(running, done)]), [running.ref])
    const found = yield* entry(store, ids.running)
    yield* has("it is dead as cancelled, and says why", found, {
      state: "dead",
      reason: "cancelled",
      error: "a wrong address",
      attempts: 1,
      failures: 0,
      crashes: 0
    })
    yield* ensure("`finishedAt`: when it became dead", found.finishedAt! >= found.startedAt!, found)
    yield* same(
      "the history has every delivery",
      found.history.map(({ attempt, outcome, worker }) => ({
        attempt,
        outcome,
        worker
      })),
      [{ attempt: 1, outcome: "cancelled", worker: "worker-1" }]
    )
    yield* same("what is dead is not claimed", idsOf(yield* claim(store)), [ids.pending])
  }),
  test("what is cancelled before it was tried has no history", function*(store) {
    const { id } = yield* putOne(store)
    yield* store.change({}, { _tag: "Cancel", reason: "no more" })
    yield* has("it is dead as cancelled", yield* entry(store, id), {
      reason: "cancelled",
      error: "no more",
      attempts: 0,
      history: []
    })
    yield* store.change({}, { _tag: "Retry" })
    yield* has("it can be retried", yield* claimOne(store), { id, attempts: 1 })
  }),
  test("a replay is a new entry that names the original", function*(store) {
    const original = offer({
      queue: "slow",
      priority: 4,
      payload: "{\"to\":\"a\"}",
      redacted: [["to"]],
      key: "order-1",
      origin: "orders:placed",
      metadata: "{\"m\":1}",
      trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    })
    yield* put(store, [original])
    yield* settle(store, yield* claimOne(store), retry(0))
    yield* settle(store, yield* claimOne(store), done)
    const before = yield* entry(store, original.id)
    yield* Effect.sleep(5)
    yield* same("it is one more", yield* store.change({ ids: [original.id] }, { _tag: "Replay" }), 1)
    yield* same("the original stays as it is", yield* entry(store, original.id), before)
    const [replay] = yield* store.find({ states: ["pending"] }, { limit: 10 })
    yield* ensure("it has an id of its own", replay!.id !== original.id, replay)
    yield* has("it names the original and is offered once more", replay, {
      name: original.name,
      queue: "slow",
      priority: 4,
      redacted: [["to"]],
      origin: "orders:placed",
      trace: original.trace,
      replayOf: original.id,
      attempts: 0,
      failures: 0,
      crashes: 0,
      error: undefined,
      startedAt: undefined,
      worker: undefined,
      history: []
    })
    yield* same("its payload is the same", JSON.parse(replay!.payload), { to: "a" })
    yield* same("its metadata are the same", JSON.parse(replay!.metadata!), { m: 1 })
    yield* ensure("it is offered now", replay!.createdAt > before.createdAt, [replay!.createdAt, before.createdAt])
    yield* has("it is claimed", yield* claimOne(store), { id: replay!.id, attempts: 1, failures: 0 })
  }),
  test("many are replayed at once, in their order", function*(store) {
    const batch = offers(50, (index) => ({ payload: `${index}` }))
    yield* put(store, batch)
    yield* settle(store, yield* claim(store), done)
    yield* same("each is replayed once", yield* store.change({ states: ["done"] }, { _tag: "Replay" }), 50)
    const claimed = yield* claim(store)
    yield* same("they have ids of their own", new Set([...idsOf(batch), ...idsOf(claimed)]).size, 100)
    yield* same("they come in the order of the originals", claimed.map(({ payload }) => Number(payload)), [
      ...batch.keys()
    ])
  }),
  test("an edited payload is the one that is performed", function*(store) {
    const { ids, running } = yield* inEveryState(store)
    const edit = { _tag: "Edit", payload: "{\"to\":\"ž\",\"n\":null}", redacted: [["to"]] } as const
    yield* store.change({}, edit)
    for (const id of [ids.pending, ids.scheduled, ids.dead]) {
      const { payload, redacted } = yield* entry(store, id)
      yield* same("`Edit`: a new payload", [JSON.parse(payload), redacted], [{ to: "ž", n: null }, [["to"]]])
    }
    for (const id of [ids.running, ids.done]) {
      const { payload, redacted } = yield* entry(store, id)
      yield* same("what is running or done stays", [payload, redacted], ["{}", undefined])
    }
    yield* settle(store, running, done)
    const { payload } = yield* claimOne(store)
    yield* same("the new payload is claimed", JSON.parse(payload), { to: "ž", n: null })
    yield* store.change({ ids: [ids.dead] }, { ...edit, payload: "\"text\"", redacted: undefined })
    yield* has("secrets can go", yield* entry(store, ids.dead), { payload: "\"text\"", redacted: undefined })
  }),
  test("what is purged is gone, and its id can come again", function*(store) {
    const first = yield* putOne(store)
    yield* settle(store, yield* claimOne(store), retry(0))
    yield* same("it is removed", yield* store.change({ ids: [first.id] }, { _tag: "Purge" }), 1)
    yield* same("it is gone", yield* store.get(first.id), undefined)
    yield* put(store, [first])
    yield* has("nothing is left of the old one", yield* entry(store, first.id), { attempts: 0, history: [] })
  }),
  test("what a lost worker held can be purged, and its token is worth nothing", function*(store) {
    yield* putOne(store)
    const held = yield* crash(store)
    yield* same("it is pending", yield* store.change({}, { _tag: "Purge" }), 1)
    yield* same("nothing is there to settle", yield* store.settle([settlement(held, done)]), [held.ref])
  }),
  test("1,500 are changed at once", function*(store) {
    yield* put(store, offers(1_500))
    yield* same("all are changed", yield* store.change({}, { _tag: "Cancel", reason: "stop" }), 1_500)
    yield* same("all are changed", yield* store.change({}, { _tag: "Retry" }), 1_500)
    yield* same("all are changed", yield* store.change({}, { _tag: "Purge" }), 1_500)
    yield* same("nothing is left", yield* store.count({}), 0)
  }),
  test("operators and workers do not come in each other's way", function*(store) {
    yield* put(store, offers(300))
    const work = Effect.gen(function*() {
      for (let i = 0; i < 10; i++) {
        const held = yield* claim(store, { limit: 10, worker: newId() })
        yield* store.renew(held, hour)
        yield* store.settle(held.map((claimed) => settlement(claimed, i % 2 === 0 ? done : retry(0))))
      }
    })
    const operate = Effect.gen(function*() {
      for (let i = 0; i < 3; i++) {
        yield* store.change({ states: ["pending"] }, { _tag: "Cancel", reason: "stop" })
        yield* store.change({ states: ["dead"] }, { _tag: "Retry" })
        yield* store.counts
      }
    })
    yield* Effect.all([work, work, operate, work, operate], { concurrency: "unbounded" })
    yield* same("nothing is lost, nothing is held", [
      yield* store.count({}),
      yield* store.count({ states: ["running"] })
    ], [300, 0])
  }),
  test("what is paused by name is accepted and not claimed", function*(store) {
    yield* store.pause({ kind: "name", what: mail })
    yield* put(store, [offer(), offer({ name: push })])
    yield* same("it is still accepted", yield* store.count({ names: [mail] }), 1)
    yield* has("it is not claimed", yield* claimOne(store), { name: push })
    yield* same("`resume` answers whether it was paused", yield* store.resume({ kind: "name", what: mail }), true)
    yield* has("then it is claimed", yield* claimOne(store), { name: mail })
  }),
  test("what is paused by pattern is not claimed", function*(store) {
    yield* put(store, [offer(), offer({ name: "billing:mail:late" }), offer({ name: "billing" })])
    const names = [mail, "billing:mail:late", "billing"]
    yield* store.pause({ kind: "name", what: "orders:*" })
    yield* store.pause({ kind: "name", what: "*:mail:**" })
    yield* has("only what no pattern stops is claimed", yield* claimOne(store, { names }), { name: "billing" })
    yield* store.resume({ kind: "name", what: "*:mail:**" })
    yield* has("each pause stops for itself", yield* claimOne(store, { names }), { name: "billing:mail:late" })
    yield* same("an entry that two pauses stop waits for both", yield* claim(store, { names }), [])
    yield* store.resume({ kind: "name", what: "orders:*" })
    yield* has("then it is claimed", yield* claimOne(store, { names }), { name: mail })
  }),
  test("what is paused by queue is not claimed", function*(store) {
    yield* store.pause({ kind: "queue", what: "slow" })
    yield* put(store, [offer({ queue: "slow" }), offer({ queue: "slower" })])
    yield* has("only that queue is stopped", yield* claimOne(store), { queue: "slower" })
    yield* same("a name is no queue", yield* store.resume({ kind: "name", what: "slow" }), false)
    yield* same("it is still stopped", yield* claim(store, { queues: ["slow"] }), [])
    yield* store.resume({ kind: "queue", what: "slow" })
    yield* has("then it is claimed", yield* claimOne(store), { queue: "slow" })
  }),
  test("what is running while it is paused can be settled and renewed", function*(store) {
    yield* putOne(store)
    const held = yield* claimOne(store)
    yield* store.pause({ kind: "name", what: mail })
    yield* same("a pause stops claims only", yield* store.renew([held], hour), [])
    yield* settle(store, held, retry(0))
    yield* same("it is not claimed again", yield* claim(store), [])
  }),
  test("pauses are listed", function*(store) {
    yield* same("nothing is paused", yield* store.pauses, [])
    yield* same("nothing to resume", yield* store.resume({ kind: "queue", what: "a" }), false)
    yield* store.pause({ kind: "queue", what: "a" })
    const [{ since } = { since: 0 }] = yield* store.pauses
    yield* Effect.sleep(5)
    yield* store.pause({ kind: "queue", what: "a" })
    yield* store.pause({ kind: "name", what: "a:**" })
    const { now } = yield* store.status(hour)
    yield* ensure("`since` is a time of the store's clock", since <= now && since > now - 60_000, { since, now })
    const listed = [...yield* store.pauses].sort((left, right) => left.kind.localeCompare(right.kind))
    yield* has("each is listed once, since it was first paused", listed, [
      { kind: "name", what: "a:**" },
      { kind: "queue", what: "a", since }
    ])
    yield* same("`resume` answers whether it was paused", yield* store.resume({ kind: "queue", what: "a" }), true)
    yield* same("once", yield* store.resume({ kind: "queue", what: "a" }), false)
    yield* same("the other one stays", (yield* store.pauses).map(({ what }) => what), ["a:**"])
  })
]
