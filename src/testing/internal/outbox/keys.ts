import * as Effect from "effect/Effect"
import type * as OutboxStore from "../../../outbox/OutboxStore.ts"
import {
  type Case,
  claim,
  claimOne,
  dead,
  done,
  hour,
  idsOf,
  newId,
  offer,
  push,
  put,
  same,
  settle,
  stateOf,
  type Store,
  test
} from "./check.ts"

const keyed = (parts: Partial<OutboxStore.Offer> = {}) => offer({ key: "order-1", ...parts })

const within = (store: Store, uniqueFor: number, ...batch: ReadonlyArray<OutboxStore.Offer>) =>
  store.offerMany(batch, { uniqueFor })

/** Offers one with a key, and ends it. */
const ended = Effect.fnUntraced(function*(store: Store, outcome: OutboxStore.Outcome) {
  const first = keyed()
  yield* within(store, hour, first)
  yield* settle(store, yield* claimOne(store), outcome)
  return first
})

export const keys: ReadonlyArray<Case> = [
  test("an offer is a duplicate of one with its name and key", function*(store) {
    const [first, second] = [keyed(), keyed({ queue: "other", priority: 3, payload: "{\"other\":true}", delay: 5 })]
    yield* same("the first is written", yield* within(store, hour, first), [])
    yield* same("the answer lists what was not written", yield* within(store, hour, second), [
      { id: second.id, of: first.id }
    ])
    yield* same("a duplicate is not written", idsOf(yield* store.find({}, { limit: 10 })), [first.id])
    yield* same("a duplicate is not written", yield* store.get(second.id), undefined)
    yield* claimOne(store)
    const third = keyed()
    yield* same("also while the first is running", yield* within(store, hour, third), [{ id: third.id, of: first.id }])
  }),
  test("a key belongs to its name", function*(store) {
    const duplicates = yield* within(store, hour, keyed(), keyed({ name: push }), keyed({ key: "order-2" }))
    yield* same("only the same name and the same key are the same action", duplicates, [])
    yield* same("all of them are written", yield* store.count({}), 3)
  }),
  test("offers without a key are never duplicates", function*(store) {
    yield* same("only a key makes a duplicate", yield* within(store, hour, offer(), offer()), [])
    yield* same("only a key makes a duplicate", yield* within(store, hour, offer()), [])
    yield* same("all of them are written", yield* store.count({}), 3)
  }),
  test("within one batch the first offer of a key is written", function*(store) {
    const [first, second, third] = [keyed(), keyed(), keyed()]
    const other = keyed({ key: "order-2" })
    const duplicates = yield* within(store, hour, offer(), first, second, other, offer(), third)
    yield* same("the others are duplicates of it", duplicates, [
      { id: second.id, of: first.id },
      { id: third.id, of: first.id }
    ])
    const claimed = idsOf(yield* claim(store))
    yield* same("the rest is written, in order", [claimed.length, claimed[1], claimed[2]], [4, first.id, other.id])
  }),
  test("a batch of duplicates writes nothing", function*(store) {
    const first = keyed()
    yield* within(store, hour, first)
    const again = [keyed(), keyed(), keyed()]
    const duplicates = yield* within(store, hour, ...again)
    yield* same("all of them are listed", duplicates, again.map(({ id }) => ({ id, of: first.id })))
    yield* same("nothing is written", yield* store.count({}), 1)
  }),
  test("a batch of 1,000 keys knows which of them are taken", function*(store) {
    const all = Array.from({ length: 1_000 }, (_, index) => keyed({ key: `order-${index}` }))
    const taken = all.filter((_, index) => index % 2 === 0)
    yield* within(store, hour, ...taken)
    const again = all.map((one) => ({ ...one, id: newId() }))
    const duplicates = yield* within(store, hour, ...again)
    const expected = again.flatMap(({ id }, index) => index % 2 === 0 ? [{ id, of: all[index]!.id }] : [])
    yield* same("the answer lists what was not written", new Set(duplicates), new Set(expected))
    yield* same("the rest is written", yield* store.count({}), 1_000)
  }),
  test("with `uniqueFor: 0` everything is written", function*(store) {
    yield* within(store, hour, keyed())
    yield* put(store, [keyed(), keyed()])
    yield* same("`uniqueFor: 0` writes everything", yield* store.count({ key: "order-1" }), 3)
  }),
  test("what was written with `uniqueFor: 0` has offered its key, too", function*(store) {
    const [first, second] = [keyed(), keyed()]
    yield* put(store, [first])
    yield* same("an entry of its name and key was offered", yield* within(store, hour, second), [
      { id: second.id, of: first.id }
    ])
  }),
  test("a key is free when its time has passed", function*(store) {
    yield* within(store, 80, keyed())
    yield* Effect.sleep(120)
    const second = keyed()
    yield* same("only the last `uniqueFor` milliseconds count", yield* within(store, 80, second), [])
    const third = keyed()
    yield* same("the new one holds the key now", yield* within(store, hour, third), [{ id: third.id, of: second.id }])
  }),
  test("the window is that of the new offer", function*(store) {
    const first = keyed()
    yield* within(store, hour, first)
    yield* Effect.sleep(40)
    const second = keyed()
    yield* same("offered within the last `uniqueFor` milliseconds", yield* within(store, 20, second), [])
    const third = keyed()
    yield* same("the last one holds the key", yield* within(store, hour, third), [{ id: third.id, of: second.id }])
  }),
  test("what is done holds its key", function*(store) {
    const first = yield* ended(store, done)
    const second = keyed()
    yield* same("only what is dead gives its key free", yield* within(store, hour, second), [
      { id: second.id, of: first.id }
    ])
  }),
  test("what is done and removed holds its key", function*(store) {
    const first = yield* ended(store, { _tag: "Done", keep: false })
    const second = keyed()
    yield* same("only what is dead gives its key free", yield* within(store, hour, second), [
      { id: second.id, of: first.id }
    ])
  }),
  test("what is dead gives its key free", function*(store) {
    yield* ended(store, dead())
    const second = keyed()
    yield* same("an entry that is dead is none of them", yield* within(store, hour, second), [])
    const third = keyed()
    yield* same("the new one holds the key now", yield* within(store, hour, third), [{ id: third.id, of: second.id }])
  }),
  test("what is cancelled gives its key free", function*(store) {
    const first = keyed()
    yield* within(store, hour, first)
    yield* store.change({ ids: [first.id] }, { _tag: "Cancel", reason: "no more" })
    yield* same("an entry that is dead is none of them", yield* within(store, hour, keyed()), [])
  }),
  test("the death of an older entry does not free a key that a newer one holds", function*(store) {
    const [first, second, third] = [keyed(), keyed(), keyed()]
    yield* put(store, [first])
    yield* put(store, [second])
    yield* store.change({ ids: [first.id] }, { _tag: "Cancel", reason: "no more" })
    yield* same("the other one is not dead", yield* within(store, hour, third), [{ id: third.id, of: second.id }])
  }),
  test("what is dead and retried by hand holds its key again", function*(store) {
    const first = yield* ended(store, dead())
    yield* store.change({ ids: [first.id] }, { _tag: "Retry" })
    const second = keyed()
    yield* same("it is not dead any more", yield* stateOf(store, first.id), "pending")
    yield* same("it is not dead any more", yield* within(store, hour, second), [{ id: second.id, of: first.id }])
  }),
  test("of many who offer the same key at once, one writes", function*(store) {
    const all = Array.from({ length: 16 }, () => keyed())
    const answers = yield* Effect.forEach(all, (one) => within(store, hour, offer(), one), {
      concurrency: "unbounded"
    })
    const written = idsOf(yield* store.find({ key: "order-1" }, { limit: 100 }))
    yield* same("one of them is written", written.length, 1)
    const expected = all.flatMap(({ id }) => id === written[0] ? [] : [{ id, of: written[0]! }])
    yield* same("the others are duplicates of it", new Set(answers.flat()), new Set(expected))
    yield* same("what has no key is written", yield* store.count({}), 17)
  }),
  test("many offer the same keys in any order and none waits for ever", function*(store) {
    const shuffled = (from: number) =>
      Array.from({ length: 40 }, (_, index) => keyed({ key: `order-${(from * 7 + index * 13) % 40}` }))
    yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], (from) => within(store, hour, ...shuffled(from)), {
      concurrency: "unbounded"
    })
    yield* same("each key is written once", yield* store.count({}), 40)
  })
]
