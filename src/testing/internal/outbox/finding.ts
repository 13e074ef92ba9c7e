import * as Effect from "effect/Effect"
import type * as OutboxStore from "../../../outbox/OutboxStore.ts"
import {
  type Case,
  claim,
  claimOne,
  crash,
  dead,
  ensure,
  hour,
  idsOf,
  inEveryState,
  newId,
  offer,
  offers,
  put,
  putOne,
  retry,
  same,
  settle,
  type Store,
  test
} from "./check.ts"

/** The ids that a filter finds, by what they are called. */
const found = (store: Store, filter: OutboxStore.Filter, called: ReadonlyMap<string, string>) =>
  Effect.gen(function*() {
    const entries = yield* store.find(filter, { limit: 1_000 })
    yield* same("`count` counts what `find` lists", yield* store.count(filter), entries.length)
    return entries.map(({ id }) => called.get(id) ?? id).sort()
  })

/** Offers some, each called as its key here. */
const called = Effect.fnUntraced(function*(store: Store, parts: Readonly<Record<string, Partial<OutboxStore.Offer>>>) {
  const names = new Map<string, string>()
  for (const [name, part] of Object.entries(parts)) names.set((yield* putOne(store, part)).id, name)
  return names
})

const matching = "a filter means those that match all that is given"

/** A filter, and what it finds. */
type Question = readonly [filter: OutboxStore.Filter, expected: ReadonlyArray<string>]

const asks = (
  name: string,
  parts: Readonly<Record<string, Partial<OutboxStore.Offer>>>,
  questions: ReadonlyArray<Question>
): Case =>
  test(name, function*(store) {
    const names = yield* called(store, parts)
    for (const [filter, expected] of questions) {
      const seen = yield* found(store, filter, names)
      yield* ensure(matching, seen.join() === [...expected].sort().join(), { filter, expected, seen })
    }
  })

const at = (path: ReadonlyArray<string>, equals: string): OutboxStore.Filter => ({ payload: [{ path, equals }] })

const json = (payload: unknown) => ({ payload: JSON.stringify(payload) })

export const finding: ReadonlyArray<Case> = [
  test("without anything, a filter means all", function*(store) {
    const { ids } = yield* inEveryState(store)
    yield* same(matching, new Set(idsOf(yield* store.find({}, { limit: 10 }))), new Set(Object.values(ids)))
    yield* same(matching, yield* store.count({ ids: undefined, names: undefined, error: undefined }), 5)
  }),
  test("entries are found by ids", function*(store) {
    const [one, two, three] = offers(3)
    yield* put(store, [one!, two!, three!])
    const seen = idsOf(yield* store.find({ ids: [one!.id, three!.id, newId(), one!.id] }, { limit: 10 }))
    yield* same("`ids`: any of them, newest first", seen, [three!.id, one!.id])
    yield* same("none of none", yield* store.count({ ids: [] }), 0)
  }),
  test("entries are found by states", function*(store) {
    const { ids } = yield* inEveryState(store)
    for (const state of ["pending", "scheduled", "running", "done", "dead"] as const) {
      yield* same("`states`: any of them", idsOf(yield* store.find({ states: [state] }, { limit: 10 })), [ids[state]])
      yield* same("`count` counts what `find` lists", yield* store.count({ states: [state] }), 1)
    }
    const several = idsOf(yield* store.find({ states: ["dead", "running", "scheduled"] }, { limit: 10 }))
    yield* same("`states`: any of them", new Set(several), new Set([ids.dead, ids.running, ids.scheduled]))
    yield* same("none of none", yield* store.count({ states: [] }), 0)
  }),
  test("what is held by a lost worker is found as pending", function*(store) {
    yield* putOne(store)
    yield* crash(store)
    yield* same("`running`: by a worker whose lease has not run out", yield* store.count({ states: ["running"] }), 0)
    yield* same("`pending` is due", yield* store.count({ states: ["pending"] }), 1)
  }),
  test("entries are found by reasons", function*(store) {
    yield* put(store, offers(4))
    const [one, two, three] = yield* claim(store)
    yield* settle(store, one!, dead("exhausted"))
    yield* settle(store, two!, dead("undecodable"))
    yield* settle(store, three!, retry(0))
    const seen = idsOf(yield* store.find({ reasons: ["undecodable", "crashed"] }, { limit: 10 }))
    yield* same("`reasons`: any of them", seen, [two!.id])
    yield* same("`reasons`: any of them", yield* store.count({ reasons: ["undecodable", "exhausted"] }), 2)
    yield* same("none of none", yield* store.count({ reasons: [] }), 0)
  }),
  asks("entries are found by patterns of names", {
    mail: { name: "orders:mail" },
    deep: { name: "orders:mail:late.v2" },
    push: { name: "orders:push_x" },
    other: { name: "billing:mail" },
    plain: { name: "orders" },
    upper: { name: "Orders:Mail" }
  }, [
    [{ names: ["orders:mail"] }, ["mail"]],
    [{ names: ["orders:*"] }, ["mail", "push"]],
    [{ names: ["orders:**"] }, ["mail", "deep", "push", "plain"]],
    [{ names: ["**:mail"] }, ["mail", "other"]],
    [{ names: ["*:mail", "orders"] }, ["mail", "other", "plain"]],
    [{ names: ["**"] }, ["mail", "deep", "push", "other", "plain", "upper"]],
    [{ names: ["orders:none"] }, []],
    [{ names: [/mail$/i] }, ["mail", "other", "upper"]],
    [{ names: [/^orders:/, "billing:*"] }, ["mail", "deep", "push", "other"]],
    [{ names: [/push_./g] }, ["push"]],
    [{ names: [] }, []]
  ]),
  asks("entries are found by queues and keys", {
    a: { queue: "a", key: "k" },
    b: { queue: "b" },
    c: { queue: "c", key: "k%" }
  }, [
    [{ queues: ["a"] }, ["a"]],
    [{ queues: ["a", "c", "none"] }, ["a", "c"]],
    [{ queues: [] }, []],
    [{ key: "k" }, ["a"]],
    [{ key: "k%" }, ["c"]],
    [{ key: "" }, []]
  ]),
  test("entries are found by age", function*(store) {
    const old = yield* putOne(store)
    yield* Effect.sleep(100)
    const young = yield* putOne(store)
    const ids = (filter: OutboxStore.Filter) => Effect.map(store.find(filter, { limit: 10 }), idsOf)
    yield* same("`olderThan`: offered longer ago", yield* ids({ olderThan: 80 }), [old.id])
    yield* same("`newerThan`: offered since", yield* ids({ newerThan: 80 }), [young.id])
    yield* same("both together", yield* ids({ olderThan: 80, newerThan: hour }), [old.id])
    yield* same("both together", yield* ids({ olderThan: hour, newerThan: hour }), [])
    yield* same("`newerThan`: offered since", yield* ids({ newerThan: hour }), [young.id, old.id])
  }),
  test("entries are found by a part of their error", function*(store) {
    yield* put(store, offers(4))
    const held = yield* claim(store)
    const errors = ["Connection REFUSED by host", "100% of 5_000\\", "100 of 5x000", "other"]
    yield* Effect.forEach(held, (claimed, index) => settle(store, claimed, retry(hour, errors[index])))
    yield* putOne(store)
    const ids = (error: string) => Effect.map(store.find({ error }, { limit: 10 }), idsOf)
    yield* same("in any case of letters", yield* ids("refused BY"), [held[0]!.id])
    yield* same("as it is written", yield* ids("100%"), [held[1]!.id])
    yield* same("as it is written", yield* ids("5_000"), [held[1]!.id])
    yield* same("as it is written", yield* ids("5_000\\"), [held[1]!.id])
    yield* same("as it is written", yield* ids("'; --"), [])
    yield* same("a part of it", yield* ids("100"), [held[2]!.id, held[1]!.id])
    yield* same("entries without an error have none", (yield* ids("")).length, 4)
  }),
  asks("entries are found by what is in their payload", {
    paid: json({ status: "paid", total: 42, express: true, lines: [{ sku: "a" }, { sku: "b" }] }),
    open: json({ status: "open", total: 42.5, express: false, lines: [] }),
    texts: json({ status: "true", total: "42", express: "false", lines: { "0": { sku: "a" } } }),
    nothing: json({ status: null, lines: null }),
    scalar: json("paid"),
    list: json(["paid", ["open"]]),
    number: json(42),
    none: json(null)
  }, [
    [at(["status"], "paid"), ["paid"]],
    [at(["status"], "Paid"), []],
    [at(["total"], "42"), ["paid", "texts"]],
    [at(["total"], "42.5"), ["open"]],
    [at(["express"], "true"), ["paid"]],
    [at(["express"], "false"), ["open", "texts"]],
    [at(["status"], "true"), ["texts"]],
    [at(["lines", "1", "sku"], "b"), ["paid"]],
    [at(["lines", "0", "sku"], "a"), ["paid", "texts"]],
    [at(["lines", "7", "sku"], "a"), []],
    [at(["0"], "paid"), ["list"]],
    [at(["1", "0"], "open"), ["list"]],
    [at([], "paid"), ["scalar"]],
    [at([], "42"), ["number"]],
    [at(["status", "deeper"], "paid"), []],
    [at(["missing"], "null"), []],
    [at(["missing"], ""), []],
    [{ payload: [{ path: ["total"], equals: "42" }, { path: ["status"], equals: "paid" }] }, ["paid"]],
    [{ payload: [] }, ["paid", "open", "texts", "nothing", "scalar", "list", "number", "none"]]
  ]),
  asks("paths into a payload can have any keys", {
    odd: json({ "a.b": { "c\"d": { "$[0]": { "e'f": { "": { "ž,{}": "x" } } } } } }),
    plain: json({ a: { b: "x" } })
  }, [
    [at(["a.b", "c\"d", "$[0]", "e'f", "", "ž,{}"], "x"), ["odd"]],
    [at(["a", "b"], "x"), ["plain"]],
    [at(["a.b"], "x"), []],
    [at(["a", "'; DROP TABLE x; --"], "x"), []]
  ]),
  asks("values in a payload can have any text", {
    quote: json({ text: "it's \"x\" \\ %" }),
    unicode: json({ text: "žluť 👩‍👩‍👧" }),
    nul: json({ text: "a\u0000b" }),
    half: json({ text: "\ud83d" })
  }, [
    [at(["text"], "it's \"x\" \\ %"), ["quote"]],
    [at(["text"], "žluť 👩‍👩‍👧"), ["unicode"]],
    [at(["text"], "_"), []]
  ]),
  asks("a filter means those that match all that is given", {
    a: { name: "orders:mail", queue: "x", key: "1", ...json({ n: 1 }) },
    b: { name: "orders:mail", queue: "y", key: "1", ...json({ n: 1 }) },
    c: { name: "orders:mail", queue: "x", key: "2", ...json({ n: 1 }) },
    d: { name: "orders:push", queue: "x", key: "1", ...json({ n: 1 }) },
    e: { name: "orders:mail", queue: "x", key: "1", ...json({ n: 2 }) },
    f: { name: "orders:mail", queue: "x", key: "1", delay: hour, ...json({ n: 1 }) }
  }, [
    [{ names: ["*:mail"], queues: ["x"], key: "1", states: ["pending"], ...at(["n"], "1") }, ["a"]],
    [{ names: ["*:mail"], queues: ["x"], key: "1", ...at(["n"], "1") }, ["a", "f"]],
    [{ names: ["*:mail"], queues: ["x"], states: ["pending"], olderThan: hour }, []],
    [{ queues: ["y"], key: "2" }, []]
  ]),
  test("pages follow each other, newest first, and none is missing", function*(store) {
    const all = [...offers(7), ...offers(6, () => ({ name: "orders:push" }))]
    yield* put(store, all.slice(0, 5))
    yield* put(store, all.slice(5))
    const seen: Array<string> = []
    let before: string | undefined
    do {
      const page = idsOf(yield* store.find({}, { limit: 4, before }))
      yield* ensure("a page has no more than its limit", page.length <= 4, page)
      before = page.at(-1)
      seen.push(...page)
    } while (before !== undefined)
    yield* same("`find` lists what matches, newest first, `before` an id", seen, idsOf(all).reverse())
    const page = yield* store.find({ names: ["orders:mail"] }, { limit: 3, before: all[9]!.id })
    yield* same("the filter holds on each page", idsOf(page), [all[6]!.id, all[5]!.id, all[4]!.id])
    yield* same("a page of none", yield* store.find({}, { limit: 0 }), [])
  }),
  test("only `get` tells the history", function*(store) {
    const { id } = yield* putOne(store)
    yield* settle(store, yield* claimOne(store), retry(0))
    const [listed] = yield* store.find({}, { limit: 1 })
    const one = (yield* store.get(id))!
    yield* same("only `get` fills it", [listed!.history.length, one.history.length], [0, 1])
    yield* same("everything else is the same", listed, { ...one, history: [] })
  }),
  test("entries are counted by name, queue and state", function*(store) {
    yield* same("nothing is there", yield* store.counts, [])
    const { ids } = yield* inEveryState(store)
    yield* Effect.sleep(10)
    yield* put(store, [offer({ queue: "slow" }), offer({ name: "orders:push" }), offer()])
    const counts = (yield* store.counts).map(({ count, name, queue, state }) => `${name} ${queue} ${state} ${count}`)
    yield* same("how many of a name, in a queue, are in a state", counts.sort(), [
      "orders:mail default dead 1",
      "orders:mail default done 1",
      "orders:mail default pending 2",
      "orders:mail default running 1",
      "orders:mail default scheduled 1",
      "orders:mail slow pending 1",
      "orders:push default pending 1"
    ])
    const oldest = (yield* store.counts).find(({ count }) => count === 2)?.oldest
    yield* same("`oldest`: when the oldest was offered", oldest, (yield* store.get(ids.pending))!.createdAt)
  })
]
