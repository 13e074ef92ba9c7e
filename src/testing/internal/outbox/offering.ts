import * as Effect from "effect/Effect"
import type * as OutboxStore from "../../../outbox/OutboxStore.ts"
import {
  type Case,
  claim,
  claimOne,
  ensure,
  entry,
  has,
  hour,
  idsOf,
  mail,
  newId,
  offer,
  offers,
  put,
  putOne,
  same,
  test
} from "./check.ts"

/** Values that stores are known to change or to refuse. All of them are JSON. */
const oddPayloads: Readonly<Record<string, unknown>> = {
  "null": null,
  "true": true,
  "a number": -12.5e-3,
  "a text": "paid",
  "an empty text": "",
  "a text like a number": "007",
  "a text like JSON": "{\"a\":[1]}",
  "a list": [1, [2, []], "3"],
  "an empty object": {},
  "quotes and backslashes": { "\"'\\": "'; DROP TABLE \"x\"; -- \\\" $1 ?" },
  "unicode": { "ключ": "žluťoučký 👩‍👩‍👧 \u{1F680} العربية \u2028\u2029 \uFEFF" },
  "control characters": { text: "a\tb\r\nc\u0001\u001f\u007f" },
  "the character NUL": { text: "a\u0000b" },
  "half a surrogate pair": { text: "a\ud83d" },
  "a key like __proto__": JSON.parse("{\"__proto__\":1}")
}

export const offering: ReadonlyArray<Case> = [
  test("what was offered is claimed as it was offered", function*(store) {
    const all = offer({
      queue: "slow",
      priority: 7,
      payload: "{\"to\":\"a@example.com\"}",
      redacted: [["to"], []],
      key: "order-1",
      origin: "orders:order:placed",
      metadata: "{\"user\":{\"id\":1}}",
      trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    })
    const { delay: _, redacted, ...rest } = all
    yield* put(store, [all])
    yield* has("an entry says what was offered", yield* entry(store, all.id), { ...rest, redacted, state: "pending" })
    yield* has("a claim says what was offered", yield* claimOne(store), rest)
  }),
  test("what an offer leaves out is left out of the entry and of the claim", function*(store) {
    const { id } = yield* putOne(store)
    const nothing = { key: undefined, origin: undefined, metadata: undefined, trace: undefined }
    const found = yield* entry(store, id)
    yield* has("an entry has no more than was offered", found, {
      ...nothing,
      redacted: undefined,
      replayOf: undefined,
      reason: undefined,
      startedAt: undefined,
      finishedAt: undefined,
      worker: undefined,
      error: undefined,
      attempts: 0,
      failures: 0,
      crashes: 0,
      history: []
    })
    yield* has("a claim has no more than was offered", yield* claimOne(store), nothing)
  }),
  test("a batch is written in the order given", function*(store) {
    const batch = offers(200)
    yield* put(store, batch)
    yield* same("`claim` gives what is due at the same time in the order of offering", idsOf(yield* claim(store)), [
      ...idsOf(batch.slice(0, 100))
    ])
    yield* same("`find` lists the newest first", idsOf(yield* store.find({}, { limit: 200 })), idsOf(batch).reverse())
  }),
  test("a batch of none is nothing", function*(store) {
    yield* put(store, [])
    yield* same("nothing was offered", yield* store.count({}), 0)
  }),
  test("a batch of 2,000 is written as a whole", function*(store) {
    const batch = offers(2_000, (index) => ({ payload: `{"index":${index}}` }))
    yield* put(store, batch)
    yield* same("all of it is there", yield* store.count({}), 2_000)
    const claimed = yield* claim(store, { limit: 2_000 })
    yield* same("all of it is claimed, in order", idsOf(claimed), idsOf(batch))
    yield* same("each has its own payload", claimed.every(({ payload }, index) => payload.includes(`:${index}}`)), true)
  }),
  test("a batch is written all or not at all", function*(store) {
    const first = yield* putOne(store)
    const error = yield* Effect.flip(store.offerMany([offer(), offer({ id: first.id }), offer()], { uniqueFor: 0 }))
    yield* same("an id that is there already is an `OutboxError`", error._tag, "OutboxError")
    yield* same("of a batch that fails, nothing is written", yield* store.count({}), 1)
  }),
  ...Object.entries(oddPayloads).map(([what, payload]) =>
    test(`a payload can be ${what}`, function*(store) {
      const before = yield* putOne(store)
      const odd = yield* putOne(store, { payload: JSON.stringify(payload), metadata: JSON.stringify({ payload }) })
      const [first, claimed] = yield* claim(store)
      yield* same("it does not come in the way of others", first?.id, before.id)
      yield* has("a claim says what was offered", claimed, { id: odd.id })
      yield* same("a payload stays what it is", JSON.parse(claimed!.payload), payload)
      yield* same("metadata stay what they are", JSON.parse(claimed!.metadata!), { payload })
      yield* same("an entry says what was offered", JSON.parse((yield* entry(store, odd.id)).payload), payload)
      const looking = store.count({ payload: [{ path: ["text"], equals: "no such text" }] })
      yield* same("it can be searched beside others", yield* looking, 0)
    })
  ),
  test("a payload keeps its numbers as they were written", function*(store) {
    yield* putOne(store, { payload: "{\"big\":12345678901234567890123,\"price\":1.10}" })
    const { payload } = yield* claimOne(store)
    yield* ensure(
      "a payload is a JSON text that the store does not change",
      payload.includes("12345678901234567890123") && payload.includes("1.10"),
      payload
    )
  }),
  test("a payload can have 1 MB", function*(store) {
    const payload = JSON.stringify({ text: "žA\"\\".repeat(250_000) })
    yield* putOne(store, { payload })
    yield* same("a payload stays what it is", (yield* claimOne(store)).payload === payload, true)
  }),
  test("a payload can be nested 500 deep", function*(store) {
    const payload = `${"{\"a\":[".repeat(250)}1${"]}".repeat(250)}`
    const { id } = yield* putOne(store, { payload })
    yield* same("a payload stays what it is", (yield* claimOne(store)).payload, payload)
    yield* same("a payload stays what it is", (yield* entry(store, id)).payload, payload)
  }),
  test("keys, queues and origins can have any letters", function*(store) {
    const odd = "Ünï'\"\\ %_ $1 👍"
    yield* put(store, offers(2, () => ({ key: odd, queue: odd, origin: odd })))
    yield* same("they stay what they are", yield* store.count({ key: odd, queues: [odd] }), 2)
    const claimed = yield* claim(store, { queues: [odd], worker: odd })
    yield* same("a queue is found by its name", claimed.length, 2)
    yield* has("they stay what they are", claimed[0], { key: odd, queue: odd, origin: odd })
    yield* has("a worker is called as it said", yield* entry(store, claimed[0]!.id), { worker: odd })
  }),
  test("what is delayed is scheduled, and claimed when its time has come", function*(store) {
    const { id } = yield* putOne(store, { delay: 80 })
    const early = yield* entry(store, id)
    yield* has("an entry that waits for its time is scheduled", early, {
      state: "scheduled",
      visibleAt: early.createdAt + 80
    })
    yield* same("`claim` gives what is due", yield* claim(store), [])
    yield* Effect.sleep(120)
    yield* has("an entry whose time has come is pending", yield* entry(store, id), { state: "pending" })
    yield* same("`claim` gives what is due", (yield* claimOne(store)).id, id)
  }),
  test("times are those of one clock, in milliseconds", function*(store) {
    const { now } = yield* store.status(hour)
    yield* Effect.sleep(5)
    const { id } = yield* putOne(store)
    yield* Effect.sleep(5)
    const claimed = yield* claimOne(store)
    const { createdAt, startedAt, visibleAt } = yield* entry(store, id)
    const later = (yield* store.status(hour)).now
    yield* ensure(
      "all times are epoch milliseconds of the store's clock",
      now < createdAt && claimed.createdAt === createdAt && createdAt < startedAt! && startedAt! <= later &&
        [createdAt, startedAt!, visibleAt, later].every(Number.isInteger) && now > Date.UTC(2020),
      { now, createdAt, startedAt, visibleAt, later }
    )
    yield* same("a lease ends so many milliseconds after the claim", visibleAt, startedAt! + hour)
  }),
  test("where there is no transaction, `afterCommit` runs at once", function*(store) {
    let ran = 0
    yield* store.afterCommit(Effect.sync(() => {
      ran++
    }))
    yield* same("`afterCommit` runs an effect at once where there is no transaction", ran, 1)
  }),
  test("where there is no transaction, `transactionOf` is undefined", function*(store) {
    const transaction = store.transactionOf(yield* Effect.context<never>())
    yield* same("`transactionOf` tells the transaction of a context", transaction, undefined)
  }),
  test("an id that was never offered is not found", function*(store) {
    yield* putOne(store)
    yield* same("`get` gives undefined for an id that is not there", yield* store.get(newId()), undefined)
    yield* same("also for what is no id at all", yield* store.get("no such id"), undefined)
    yield* same("and `find` nothing", yield* store.find({ ids: [newId(), "no such id"] }, { limit: 1 }), [])
    const change: OutboxStore.Change = { _tag: "Cancel", reason: "a mistake" }
    yield* same("and `change` changes nothing", yield* store.change({ ids: ["no such id"] }, change), 0)
    yield* same("what is there stays", yield* store.count({ states: ["pending"], names: [mail] }), 1)
  })
]
