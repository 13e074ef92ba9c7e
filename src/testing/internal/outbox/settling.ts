import * as Effect from "effect/Effect"
import * as OutboxStore from "../../../outbox/OutboxStore.ts"
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

export const settling: ReadonlyArray<Case> = [
  test("what is done is kept with its delivery", function*(store) {
    const { id } = yield* putOne(store)
    yield* settle(store, yield* claimOne(store), done)
    const found = yield* entry(store, id)
    yield* has("`Done`: performed", found, {
      state: "done",
      reason: undefined,
      attempts: 1,
      failures: 0,
      error: undefined,
      worker: "worker-1"
    })
    yield* ensure("`finishedAt`: when it became done", found.finishedAt! >= found.startedAt!, found.finishedAt)
    yield* same("the history has every delivery", found.history, [
      { attempt: 1, outcome: "done", startedAt: found.startedAt!, elapsed: 7, worker: "worker-1", error: undefined }
    ])
    yield* same("what is done is not claimed", yield* claim(store, { suspects: true }), [])
  }),
  test("what is done and not to be kept is removed", function*(store) {
    const { id } = yield* putOne(store)
    const held = yield* claimOne(store)
    yield* settle(store, held, { _tag: "Done", keep: false })
    yield* same("with `keep: false` the entry is removed", yield* store.get(id), undefined)
    yield* same("with `keep: false` the entry is removed", yield* store.count({}), 0)
    yield* same("it is settled once", yield* store.settle([settlement(held, done)]), [held.ref])
  }),
  test("what failed is tried again after its delay", function*(store) {
    const { id } = yield* putOne(store)
    yield* settle(store, yield* claimOne(store), retry(80, "no route to host"))
    const found = yield* entry(store, id)
    yield* has("`Retry`: it failed and is tried again later", found, {
      state: "scheduled",
      attempts: 1,
      failures: 1,
      crashes: 0,
      error: "no route to host",
      finishedAt: undefined
    })
    yield* same("what waits for its time is not claimed", yield* claim(store), [])
    yield* Effect.sleep(120)
    const again = yield* claimOne(store)
    yield* has("a failure counts", again, { attempts: 2, failures: 1, crashes: 0 })
    const [failedAt] = again.failedAt
    yield* ensure(
      "`failedAt`: when it failed, and its delay counts from there",
      again.failedAt.length === 1 && failedAt! >= found.startedAt! && found.visibleAt === failedAt! + 80,
      { failedAt: again.failedAt, startedAt: found.startedAt, visibleAt: found.visibleAt }
    )
    const { history } = yield* entry(store, id)
    yield* same("the history has every delivery", history, [{
      attempt: 1,
      outcome: "failed",
      startedAt: found.startedAt!,
      elapsed: 7,
      worker: "worker-1",
      error: "no route to host"
    }])
  }),
  test("failures are told oldest first", function*(store) {
    const { id } = yield* putOne(store)
    for (const error of ["first", "second", "third"]) {
      yield* settle(store, yield* claimOne(store), retry(0, error))
      yield* Effect.sleep(3)
    }
    const { attempts, failedAt, failures } = yield* claimOne(store)
    yield* same("each failure counts", [attempts, failures, failedAt.length], [4, 3, 3])
    yield* ensure("`failedAt`: oldest first", failedAt[0]! < failedAt[1]! && failedAt[1]! < failedAt[2]!, failedAt)
    const { error, history } = yield* entry(store, id)
    yield* same("`error`: of the last delivery that did not go well", error, "third")
    yield* same("`history`: oldest first", history.map(({ attempt, error }) => [attempt, error] as const), [
      [1, "first"],
      [2, "second"],
      [3, "third"]
    ])
  }),
  test("a snooze takes the attempt back and is no failure", function*(store) {
    const { id } = yield* putOne(store)
    yield* settle(store, yield* claimOne(store), { _tag: "Snooze", delay: 80 })
    const found = yield* entry(store, id)
    yield* has("`Snooze`: it is wanted again later", found, {
      state: "scheduled",
      attempts: 0,
      failures: 0,
      crashes: 0
    })
    yield* same("the history has it", found.history.map(({ attempt, outcome }) => [attempt, outcome] as const), [
      [1, "snoozed"]
    ])
    yield* same("what waits for its time is not claimed", yield* claim(store), [])
    yield* Effect.sleep(120)
    yield* has("it takes the attempt back", yield* claimOne(store), { attempts: 1, failures: 0, failedAt: [] })
  }),
  test("a release takes the attempt back, is due at once and not in the history", function*(store) {
    const { id } = yield* putOne(store)
    yield* settle(store, yield* claimOne(store), { _tag: "Release" })
    yield* has("`Release`: the worker did not get to it", yield* entry(store, id), {
      state: "pending",
      attempts: 0,
      failures: 0,
      crashes: 0,
      history: []
    })
    yield* has("it is due at once", yield* claimOne(store), { attempts: 1, failures: 0, crashes: 0 })
  }),
  ...OutboxStore.reasons.flatMap((reason) =>
    [true, false].map((failed) =>
      test(`an entry can be dead as ${reason}, ${failed ? "with" : "without"} a failure`, function*(store) {
        const { id } = yield* putOne(store)
        yield* settle(store, yield* claimOne(store), dead(reason, failed))
        const found = yield* entry(store, id)
        yield* has("`Dead`: it is not tried again", found, {
          state: "dead",
          reason,
          error: `because of ${reason}`,
          attempts: 1,
          failures: failed ? 1 : 0,
          crashes: 0
        })
        yield* ensure("`finishedAt`: when it became dead", found.finishedAt! >= found.startedAt!, found.finishedAt)
        yield* same("what is dead is not claimed", yield* claim(store, { suspects: true }), [])
        const outcome = reason === "exhausted" || reason === "unknown" ? "failed" : reason
        yield* same(
          "the history has every delivery",
          found.history.map(({ elapsed, error, outcome, worker }) => ({
            elapsed,
            error,
            outcome,
            worker
          })),
          [{ elapsed: 7, error: `because of ${reason}`, outcome, worker: "worker-1" }]
        )
        yield* same("it is found by its reason", yield* store.count({ reasons: [reason] }), 1)
      })
    )
  ),
  test("one batch can have every outcome", function*(store) {
    yield* put(store, offers(7))
    const held = yield* claim(store)
    const outcomes: ReadonlyArray<OutboxStore.Outcome> = [
      done,
      { _tag: "Done", keep: false },
      retry(hour),
      retry(0),
      { _tag: "Snooze", delay: hour },
      { _tag: "Release" },
      dead("undecodable")
    ]
    const refused = yield* store.settle(held.map((claimed, index) => settlement(claimed, outcomes[index]!)))
    yield* same("all of them are settled", refused, [])
    const entries = yield* Effect.forEach(held, ({ id }) => store.get(id))
    yield* same(
      "each has its own outcome",
      entries.map((found) => found && ([found.state, found.attempts, found.failures] as const)),
      [
        ["done", 1, 0],
        undefined,
        ["scheduled", 1, 1],
        ["pending", 1, 1],
        ["scheduled", 0, 0],
        ["pending", 0, 0],
        ["dead", 1, 0]
      ]
    )
  }),
  test("of a batch, only those that are not held any more are refused", function*(store) {
    yield* put(store, offers(3))
    const [one, two, three] = yield* claim(store)
    yield* settle(store, two!, retry(hour))
    const unknown = { ...one!, ref: 123_456_789 }
    const wrong = { ...three!, token: three!.token + 1 }
    const refused = yield* store.settle([one!, two!, unknown, wrong].map((claimed) => settlement(claimed, done)))
    yield* same(
      "`settle` answers with those that were not settled",
      new Set(refused),
      new Set([
        two!.ref,
        unknown.ref,
        three!.ref
      ])
    )
    const states = yield* Effect.forEach([one!, two!, three!], ({ id }) => stateOf(store, id))
    yield* same("the others are settled", states, ["done", "scheduled", "running"])
  }),
  test(
    "of two deliveries of one entry in a batch, the current one is settled and the old one refused",
    function*(store) {
      yield* put(store, offers(2))
      const old = yield* claimLost(store)
      const current = yield* claim(store)
      const batch = [
        settlement(old[0]!, dead()),
        ...current.map((held) => settlement(held, done)),
        settlement(old[1]!, dead())
      ]
      const refused = yield* store.settle(batch)
      yield* same(
        "`settle` answers with those that were not settled",
        new Set(refused),
        new Set(old.map(({ ref }) => ref))
      )
      yield* same("the holder settles", yield* store.count({ states: ["done"] }), 2)
    }
  ),
  test("of two deliveries that both went well, the one that is not current is refused, too", function*(store) {
    yield* put(store, offers(2))
    const old = yield* claimLost(store)
    const current = yield* claim(store)
    const batch = [
      settlement(old[0]!, done),
      ...current.map((held) => settlement(held, done)),
      settlement(old[1]!, done)
    ]
    yield* same(
      "`settle` answers with those that were not settled",
      new Set(yield* store.settle(batch)),
      new Set(old.map(({ ref }) => ref))
    )
    yield* same("the holder settles", yield* store.count({ states: ["done"] }), 2)
  }),
  test("a batch of none settles nothing", function*(store) {
    yield* same("nothing is refused", yield* store.settle([]), [])
  }),
  test("a batch of 2,000 is settled at once", function*(store) {
    yield* put(store, offers(2_000))
    const held = yield* claim(store, { limit: 2_000 })
    yield* settle(store, held, done)
    yield* same("all of it is done", yield* store.count({ states: ["done"] }), 2_000)
  }),
  test("of many who settle the same delivery at once, one does", function*(store) {
    yield* put(store, offers(20))
    const held = yield* claim(store)
    const settleAll = store.settle(held.map((claimed) => settlement(claimed, retry(hour))))
    const refused = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => settleAll, { concurrency: "unbounded" })
    yield* same("a delivery is settled once", refused.flat().length, 7 * 20)
    const entries = yield* store.find({}, { limit: 100 })
    yield* same("a delivery is settled once", entries.every(({ failures }) => failures === 1), true)
  }),
  test("many settle what they hold at once", function*(store) {
    yield* put(store, offers(400))
    const workers = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => claim(store, { limit: 50 }))
    yield* Effect.forEach(workers, (held) => settle(store, [...held].reverse(), done), { concurrency: "unbounded" })
    yield* same("all of it is done", yield* store.count({ states: ["done"] }), 400)
    yield* same("nothing was claimed twice", new Set(idsOf(workers.flat())).size, 400)
  }),
  test("an error can have any text", function*(store) {
    yield* put(store, offers(4))
    const held = yield* claim(store)
    const errors = ["", "'; -- \"\\ $1\n\tat x (y.ts:1)", "žluť 👩‍👩‍👧", "long ".repeat(20_000)]
    const refused = yield* store.settle(held.map((claimed, i) => settlement(claimed, retry(0, errors[i]))))
    yield* same("all of them are settled", refused, [])
    const seen = yield* Effect.forEach(held, ({ id }) => entry(store, id))
    yield* same("an error stays what it is", seen.map(({ history }) => history[0]?.error), errors)
    yield* same("an error stays what it is", seen.map(({ error }) => error), errors)
  }),
  test("what a database cannot write in an error does not keep a delivery from being settled", function*(store) {
    yield* put(store, offers(2))
    const [nul, surrogate] = yield* claim(store)
    const refused = yield* store.settle([
      settlement(nul!, retry(0, "before\u0000after")),
      settlement(surrogate!, dead("exhausted")),
      settlement({ ...surrogate!, ref: 123_456_789 }, { ...dead(), error: "\ud83d" } as OutboxStore.Outcome)
    ])
    yield* same("both are settled", refused, [123_456_789])
    const { error } = yield* entry(store, nul!.id)
    yield* ensure("the rest of the error is kept", /^before.*after$/s.test(error ?? ""), error)
    const again = yield* claimOne(store)
    yield* settle(store, again, retry(0, "half a pair: \ud83d."))
    const half = (yield* entry(store, again.id)).error
    yield* ensure("the rest of the error is kept", /^half a pair: .*\.$/s.test(half ?? ""), half)
  })
]
