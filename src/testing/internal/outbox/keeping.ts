import * as Effect from "effect/Effect"
import {
  type Case,
  claim,
  claimLost,
  claimOne,
  dead,
  done,
  ensure,
  entry,
  has,
  hour,
  inEveryState,
  mail,
  offer,
  offers,
  push,
  put,
  putOne,
  same,
  settle,
  stateOf,
  statesOf,
  test,
  year
} from "./check.ts"

const long = { done: year, dead: year, unknown: year }

const worker = (id: string, names: ReadonlyArray<string>, queues?: ReadonlyArray<string>) => ({ id, names, queues })

export const keeping: ReadonlyArray<Case> = [
  test("a worker that registers is shown", function*(store) {
    yield* store.register(worker("a", [mail, push]))
    yield* store.register(worker("b", [], ["slow", "fast"]))
    const shown = [...yield* store.workers].sort((left, right) => left.id.localeCompare(right.id))
    yield* has("`workers` are those that have registered", shown, [
      { id: "a", names: [mail, push], queues: undefined },
      { id: "b", names: [], queues: ["slow", "fast"] }
    ])
    const { now } = yield* store.status(hour)
    yield* ensure(
      "`seenAt` is when a worker last showed itself",
      shown.every(({ seenAt, startedAt }) => startedAt <= seenAt && seenAt <= now && seenAt > now - 60_000),
      { now, shown }
    )
  }),
  test("a worker shows itself again", function*(store) {
    yield* store.register(worker("a", [mail]))
    const [before] = yield* store.workers
    yield* Effect.sleep(10)
    yield* store.register(worker("a", [push], ["slow"]))
    const after = yield* store.workers
    yield* has("it is one worker, that knows what it said last", after, [
      { id: "a", names: [push], queues: ["slow"], startedAt: before!.startedAt }
    ])
    yield* ensure("`seenAt` is when it last showed itself", after[0]!.seenAt > before!.seenAt, { before, after })
  }),
  test("a worker that unregisters is shown no more", function*(store) {
    yield* store.register(worker("a", [mail]))
    yield* store.register(worker("b", [mail]))
    yield* store.unregister("a")
    yield* store.unregister("never registered")
    yield* same("`unregister` takes it out", (yield* store.workers).map(({ id }) => id), ["b"])
  }),
  test("a worker is told which names wait that nobody knows", function*(store) {
    yield* put(store, [
      ...offers(2, () => ({ name: "old:name" })),
      offer({ name: "old:later", delay: hour }),
      offer(),
      offer({ name: push })
    ])
    const first = yield* store.register(worker("a", [mail]))
    const names = (orphans: typeof first) =>
      [...orphans].sort((left, right) => left.name.localeCompare(right.name)).map(({ count, name }) => ({
        name,
        count
      }))
    yield* same("`register` answers with the names that wait and that no worker knows", names(first), [
      { name: "old:later", count: 1 },
      { name: "old:name", count: 2 },
      { name: push, count: 1 }
    ])
    const second = yield* store.register(worker("b", [push, "old:later"]))
    yield* same("what any registered worker knows is none of them", names(second), [{ name: "old:name", count: 2 }])
    yield* store.unregister("a")
    const third = yield* store.register(worker("b", [push, "old:later"]))
    yield* same(
      "a worker that unregistered knows nothing any more",
      names(third),
      [
        { name: "old:name", count: 2 },
        { name: mail, count: 1 }
      ].sort((left, right) => left.name.localeCompare(right.name))
    )
  }),
  test("what has ended is nobody's orphan", function*(store) {
    yield* put(store, offers(2, () => ({ name: "old:name" })))
    const [one, two] = yield* claim(store, { names: ["old:name"] })
    yield* settle(store, one!, done)
    yield* settle(store, two!, dead())
    yield* same("only what waits counts", yield* store.register(worker("a", [mail])), [])
  }),
  test("what no worker knows is dead after a time, and alive again when one does", function*(store) {
    yield* store.register(worker("a", [mail]))
    const known = yield* putOne(store)
    const lost = yield* putOne(store, { name: "old:name" })
    const later = yield* putOne(store, { name: "old:name", delay: hour })
    yield* Effect.sleep(20)
    yield* same("not before its time", yield* store.cleanup({ ...long, unknown: hour }), { removed: 0, unknown: 0 })
    yield* same("after its time it is dead", yield* store.cleanup({ ...long, unknown: 5 }), { removed: 0, unknown: 1 })
    const found = yield* entry(store, lost.id)
    yield* has("it is dead as unknown", found, { state: "dead", reason: "unknown", attempts: 0 })
    yield* ensure("it says why and since when", found.error !== undefined && found.finishedAt !== undefined, found)
    yield* same("what a worker knows waits", yield* stateOf(store, known.id), "pending")
    yield* same("what is not due waits", yield* stateOf(store, later.id), "scheduled")
    yield* store.register(worker("b", [push]))
    yield* same("other workers do not bring it back", yield* stateOf(store, lost.id), "dead")
    yield* store.register(worker("c", [push, "old:name"]))
    yield* has("`register` brings back what it knows", yield* entry(store, lost.id), {
      state: "pending",
      reason: undefined,
      finishedAt: undefined
    })
    yield* has("it is claimed", yield* claimOne(store, { names: ["old:name"] }), { id: lost.id, attempts: 1 })
  }),
  test("what is dead as unknown keeps its key, as it may come back", function*(store) {
    yield* store.register(worker("a", [mail]))
    const lost = offer({ name: "old:name", key: "order-1" })
    yield* store.offerMany([lost], { uniqueFor: hour })
    yield* Effect.sleep(20)
    yield* same("it is dead", yield* store.cleanup({ ...long, unknown: 5 }), { removed: 0, unknown: 1 })
    const again = offer({ name: "old:name", key: "order-1" })
    yield* same(
      "a second one is a duplicate",
      yield* store.offerMany([again], { uniqueFor: hour }),
      [{ id: again.id, of: lost.id }]
    )
    yield* store.register(worker("b", ["old:name"]))
    yield* same("one is there", (yield* claim(store, { names: ["old:name"] })).length, 1)
  }),
  test("an entry that ends frees no key that another one has taken", function*(store) {
    const first = offer({ key: "order-1" })
    yield* store.offerMany([first], { uniqueFor: hour })
    yield* store.change({ ids: [first.id] }, { _tag: "Cancel", reason: "no" })
    const second = offer({ key: "order-1" })
    yield* same("the key of a dead one is free", yield* store.offerMany([second], { uniqueFor: hour }), [])
    yield* store.change({ ids: [first.id] }, { _tag: "Purge" })
    const third = offer({ key: "order-1" })
    yield* same(
      "the second one holds it",
      yield* store.offerMany([third], { uniqueFor: hour }),
      [{ id: third.id, of: second.id }]
    )
  }),
  test("a worker brings back only what is dead as unknown", function*(store) {
    yield* put(store, offers(2))
    const [one, two] = yield* claim(store)
    yield* settle(store, one!, dead("exhausted"))
    yield* settle(store, two!, dead("unknown"))
    yield* store.register(worker("a", [mail]))
    const states = [yield* stateOf(store, one!.id), yield* stateOf(store, two!.id)]
    yield* same("what is dead for another reason stays dead", states, ["dead", "pending"])
  }),
  test("what a worker holds does not become unknown", function*(store) {
    yield* putOne(store, { name: "old:name" })
    const held = yield* claimOne(store, { names: ["old:name"] })
    yield* Effect.sleep(10)
    yield* same("what is running is not due", yield* store.cleanup({ ...long, unknown: 1 }), { removed: 0, unknown: 0 })
    yield* settle(store, held, done)
  }),
  test("what is done is removed after its time", function*(store) {
    const { ids } = yield* inEveryState(store)
    yield* store.register(worker("a", [mail]))
    yield* Effect.sleep(20)
    yield* same("not before its time", yield* store.cleanup(long), { removed: 0, unknown: 0 })
    yield* same("`cleanup` removes what is past its retention", yield* store.cleanup({ ...long, done: 5 }), {
      removed: 1,
      unknown: 0
    })
    yield* same("nothing else is removed", yield* statesOf(store, ids), {
      done: "removed",
      dead: "dead",
      running: "running",
      pending: "pending",
      scheduled: "scheduled"
    })
  }),
  test("what is dead is removed after its time", function*(store) {
    const { ids } = yield* inEveryState(store)
    yield* store.register(worker("a", [mail]))
    yield* Effect.sleep(20)
    yield* same("`cleanup` removes what is past its retention", yield* store.cleanup({ ...long, dead: 5 }), {
      removed: 1,
      unknown: 0
    })
    yield* same("nothing else is removed", yield* statesOf(store, ids), {
      done: "done",
      dead: "removed",
      running: "running",
      pending: "pending",
      scheduled: "scheduled"
    })
  }),
  test("a cleanup removes 2,500 at once, history and all", function*(store) {
    yield* put(store, offers(2_500))
    yield* settle(store, yield* claim(store, { limit: 2_500 }), dead())
    yield* Effect.sleep(20)
    yield* same("`cleanup` removes what is past its retention", yield* store.cleanup({ ...long, dead: 5 }), {
      removed: 2_500,
      unknown: 0
    })
    yield* same("it is gone", yield* store.count({}), 0)
  }),
  test("of many who clean up at once, each entry is removed once", function*(store) {
    yield* put(store, offers(200))
    yield* settle(store, yield* claim(store, { limit: 200 }), done)
    yield* Effect.sleep(20)
    const answers = yield* Effect.forEach([1, 2, 3, 4], () => store.cleanup({ ...long, done: 5 }), {
      concurrency: "unbounded"
    })
    yield* same("each is counted once", answers.reduce((sum, { removed }) => sum + removed, 0), 200)
    yield* same("they are gone", yield* store.count({}), 0)
  }),
  test("the status says what came, what ended and what is stuck", function*(store) {
    yield* has("an empty store has nothing to tell", yield* store.status(hour), {
      expired: 0,
      longest: 0,
      offered: 0,
      finished: 0,
      missing: []
    })
    const { expected, version } = yield* store.status(hour)
    yield* same("the schema is the one that is needed", version, expected)
    yield* put(store, offers(5))
    const [one, two, three, four] = yield* claimLost(store)
    yield* settle(store, one!, done)
    yield* settle(store, two!, dead())
    yield* store.renew([three!], hour)
    yield* Effect.sleep(30)
    const status = yield* store.status(hour)
    yield* has("it counts what came, what ended and what is stuck", status, { expired: 2, offered: 5, finished: 2 })
    yield* ensure(
      "`longest`: how many milliseconds ago the first lease ran out",
      status.longest >= 20 && status.longest < 60_000,
      status.longest
    )
    yield* has("only what lies within the time counts", yield* store.status(10), {
      offered: 0,
      finished: 0,
      expired: 2
    })
    yield* settle(store, four!, done)
    yield* has("what is settled is not stuck", yield* store.status(hour), { expired: 1, finished: 3 })
  })
]
