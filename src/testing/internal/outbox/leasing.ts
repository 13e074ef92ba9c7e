import * as Effect from "effect/Effect"
import {
  type Case,
  claim,
  claimLost,
  claimOne,
  crash,
  dead,
  done,
  ensure,
  entry,
  has,
  hour,
  idsOf,
  offers,
  put,
  putOne,
  retry,
  same,
  settle,
  settlement,
  stateOf,
  test
} from "./check.ts"

export const leasing: ReadonlyArray<Case> = [
  test("an entry whose lease has run out is due again, and its delivery has crashed", function*(store) {
    const { id } = yield* putOne(store)
    const first = yield* claimOne(store, { lease: 80, worker: "lost" })
    yield* same("`running`: held by a worker whose lease has not run out", yield* stateOf(store, id), "running")
    yield* same("what is held is not claimed", yield* claim(store, { worker: "other" }), [])
    const { startedAt } = yield* entry(store, id)
    yield* Effect.sleep(120)
    yield* same("an entry whose lease has run out is due again", yield* stateOf(store, id), "pending")
    const second = yield* claimOne(store, { worker: "other" })
    yield* has("a crash is an attempt, not a failure", second, {
      ref: first.ref,
      attempts: 2,
      failures: 0,
      failedAt: [],
      crashes: 1
    })
    const found = yield* entry(store, id)
    yield* has("the entry tells", found, { state: "running", worker: "other", attempts: 2, crashes: 1 })
    yield* same("the lost delivery is in the history", found.history.length, 1)
    yield* has("the lost delivery is in the history", found.history[0], {
      attempt: 1,
      outcome: "crashed",
      startedAt,
      elapsed: undefined,
      worker: "lost"
    })
    yield* ensure("its error names the worker", found.history[0]!.error?.includes("lost") === true, found.history[0])
  }),
  test("each claim has a new token", function*(store) {
    yield* putOne(store)
    const tokens: Array<number> = []
    for (let i = 0; i < 5; i++) {
      // From the third on it is a suspect.
      const { token } = yield* crash(store, { suspects: i >= 2 })
      tokens.push(token)
    }
    yield* same("whoever claims an entry gets a new token", new Set(tokens).size, 5)
    yield* ensure("tokens are safe integers", tokens.every(Number.isSafeInteger), tokens)
  }),
  test("an old token settles nothing", function*(store) {
    const { id } = yield* putOne(store)
    const old = yield* crash(store)
    const current = yield* claimOne(store)
    for (const outcome of [done, retry(0), dead(), { _tag: "Release" }, { _tag: "Snooze", delay: 0 }] as const) {
      const refused = yield* store.settle([settlement(old, outcome)])
      yield* same("`settle` answers with those whose token is not the current one", refused, [old.ref])
    }
    yield* has("what was refused changes nothing", yield* entry(store, id), {
      state: "running",
      attempts: 2,
      failures: 0,
      crashes: 1
    })
    yield* settle(store, current, done)
    yield* same("the holder settles", yield* stateOf(store, id), "done")
  }),
  test("as long as nobody else has claimed it, a late worker can settle", function*(store) {
    const { id } = yield* putOne(store)
    const late = yield* crash(store)
    yield* settle(store, late, done)
    yield* has("only a new claim makes a new token", yield* entry(store, id), {
      state: "done",
      attempts: 1,
      crashes: 0
    })
  }),
  test("a renewed lease lasts from now on", function*(store) {
    const { id } = yield* putOne(store)
    const held = yield* claimOne(store, { lease: 150 })
    yield* same("`renew` answers with those that are lost", yield* store.renew([held], hour), [])
    const left = (yield* entry(store, id)).visibleAt - (yield* store.status(hour)).now
    yield* ensure("`renew` makes leases last so long from now", left > hour - 60_000 && left <= hour, left)
    yield* Effect.sleep(200)
    yield* same("what is held is not claimed", yield* claim(store), [])
    yield* same("the token stays", yield* store.renew([held], 0), [])
    yield* has("a lease can be shortened, too", yield* claimOne(store), { attempts: 2, crashes: 1 })
  }),
  test("a lease that ran out can be renewed as long as nobody else has claimed it", function*(store) {
    yield* putOne(store)
    const held = yield* crash(store)
    yield* same("only a new claim makes a new token", yield* store.renew([held], hour), [])
    yield* same("what is held is not claimed", yield* claim(store), [])
  }),
  test("leases that are lost are not renewed", function*(store) {
    yield* put(store, offers(4))
    const [taken, settled, cancelled, kept] = yield* claimLost(store)
    yield* store.renew([settled!, cancelled!, kept!], hour)
    const again = yield* claimOne(store)
    yield* same("the one whose lease ran out is claimed", again.id, taken!.id)
    yield* settle(store, settled!, done)
    yield* store.change({ ids: [cancelled!.id] }, { _tag: "Cancel", reason: "stop" })
    const lost = yield* store.renew([kept!, cancelled!, settled!, taken!, { ref: 123_456_789, token: 1 }], hour)
    yield* same(
      "`renew` answers with those that are lost",
      new Set(lost),
      new Set([cancelled!.ref, settled!.ref, taken!.ref, 123_456_789])
    )
    yield* same("the others are renewed", yield* store.renew([kept!, again], hour), [])
    yield* same("nothing to renew, nothing lost", yield* store.renew([], hour), [])
  }),
  test("each worker's crash is told as its own", function*(store) {
    yield* put(store, offers(2))
    const [first] = yield* claimLost(store, { limit: 1, worker: "a" })
    const [second] = yield* claimLost(store, { limit: 2, worker: "b" }).pipe(
      Effect.map((claimed) => claimed.filter(({ id }) => id !== first!.id))
    )
    yield* claim(store, { worker: "c", suspects: true })
    yield* claim(store, { worker: "c" })
    const lostBy = (id: string) => Effect.map(entry(store, id), ({ history }) => history.map(({ worker }) => worker))
    const seen = [yield* lostBy(first!.id), yield* lostBy(second!.id)]
    yield* same("the history says whose delivery crashed", seen, [["a", "b"], ["b"]])
  }),
  test("an entry that was in two lost processes is never claimed otherwise than as a suspect", function*(store) {
    const { id } = yield* putOne(store)
    yield* crash(store)
    yield* crash(store)
    yield* same("a suspect is not claimed", yield* claim(store), [])
    const third = yield* claimOne(store, { suspects: true })
    yield* has("a suspect is claimed when it is asked for", third, { id, attempts: 3, crashes: 2 })
    yield* settle(store, third, retry(0))
    yield* same("it stays one", yield* claim(store), [])
    const fourth = yield* claimOne(store, { suspects: true })
    yield* has("a failure is no crash", fourth, { attempts: 4, failures: 1, crashes: 2 })
    yield* settle(store, fourth, done)
    const { history } = yield* entry(store, id)
    yield* same(
      "the history has every delivery, oldest first",
      history.map(({ attempt, outcome }) => [attempt, outcome] as const),
      [[1, "crashed"], [2, "crashed"], [3, "failed"], [4, "done"]]
    )
  }),
  test("an entry that was in one lost process is no suspect", function*(store) {
    yield* putOne(store)
    yield* crash(store)
    const second = yield* claimOne(store)
    yield* settle(store, second, retry(0))
    yield* has("it takes two to be a suspect", yield* claimOne(store), { attempts: 3, failures: 1, crashes: 1 })
  }),
  test("a claim for suspects has one suspect, and nothing else", function*(store) {
    const suspects = offers(3)
    yield* put(store, suspects)
    yield* claimLost(store)
    yield* claimLost(store)
    const healthy = offers(2)
    yield* put(store, healthy)
    const among = idsOf(yield* claim(store, { suspects: true }))
    yield* same("one suspect", [among.length, idsOf(suspects).includes(among[0]!)], [1, true])
    yield* same("the others are claimed without it", new Set(idsOf(yield* claim(store))), new Set(idsOf(healthy)))
    const more = [yield* claimOne(store, { suspects: true }), yield* claimOne(store, { suspects: true })]
    yield* same("each claim has another one", new Set([...among, ...idsOf(more)]), new Set(idsOf(suspects)))
    yield* same("then there are no more", yield* claim(store, { suspects: true }), [])
  }),
  test("suspects keep to the limit, the names and the queues of a claim", function*(store) {
    yield* putOne(store, { queue: "slow" })
    yield* crash(store)
    yield* crash(store)
    yield* same("no other names", yield* claim(store, { suspects: true, names: ["orders:none"] }), [])
    yield* same("no other queues", yield* claim(store, { suspects: true, queues: ["none"] }), [])
    yield* store.pause({ kind: "queue", what: "slow" })
    yield* same("nothing that is paused", yield* claim(store, { suspects: true, queues: ["slow"] }), [])
    yield* store.resume({ kind: "queue", what: "slow" })
    yield* same("a limit of none", yield* claim(store, { suspects: true, limit: 0 }), [])
    yield* same("all that it asks for", (yield* claim(store, { suspects: true, queues: ["slow"] })).length, 1)
  }),
  test("a suspect that is retried by hand is one no more", function*(store) {
    const { id } = yield* putOne(store)
    yield* crash(store)
    yield* crash(store)
    yield* settle(store, yield* claimOne(store, { suspects: true }), dead("crashed"))
    yield* has("it is dead as crashed", yield* entry(store, id), { state: "dead", reason: "crashed", crashes: 2 })
    yield* store.change({ ids: [id] }, { _tag: "Retry" })
    yield* has("crashes are counted from the last retry by hand", yield* claimOne(store), { attempts: 4, crashes: 0 })
  })
]
