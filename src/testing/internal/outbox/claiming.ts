import * as Effect from "effect/Effect"
import {
  asking,
  type Case,
  claim,
  claimOne,
  crash,
  ensure,
  entry,
  has,
  hour,
  idsOf,
  mail,
  offer,
  offers,
  push,
  put,
  putOne,
  same,
  settle,
  test
} from "./check.ts"

export const claiming: ReadonlyArray<Case> = [
  test("higher priorities are claimed first", function*(store) {
    const batch = [-5, 0, 100, 3, 0, -5].map((priority) => offer({ priority }))
    yield* put(store, batch)
    const first = yield* claim(store, { limit: 2 })
    yield* same("`claim` gives what is due by priority", first.map(({ priority }) => priority), [100, 3])
    const rest = yield* claim(store)
    const order = [1, 4, 0, 5].map((index) => batch[index]!.id)
    yield* same("`claim` gives what is due by priority and then by time", idsOf(rest), order)
  }),
  test("within a priority, what became due first is claimed first", function*(store) {
    const late = yield* putOne(store, { delay: 40 })
    const soon = yield* putOne(store)
    yield* Effect.sleep(80)
    const last = yield* putOne(store)
    yield* same("`claim` gives what is due by time", idsOf(yield* claim(store)), [soon.id, late.id, last.id])
  }),
  test("a claim gives no more than its limit", function*(store) {
    yield* put(store, [...offers(10), ...offers(10, () => ({ name: push, queue: "other", priority: 1 }))])
    yield* same("`limit`: no more than so many", (yield* claim(store, { limit: 7 })).length, 7)
    yield* same("a limit of none gives none", (yield* claim(store, { limit: 0 })).length, 0)
    yield* same("the next claim gives the rest", (yield* claim(store)).length, 13)
  }),
  test("a claim gives only the names it asks for", function*(store) {
    const mails = offers(3)
    yield* put(store, [...offers(3, () => ({ name: push })), ...mails])
    yield* same("no names, no entries", yield* claim(store, { names: [] }), [])
    yield* same("a name that nothing has gives nothing", yield* claim(store, { names: ["orders"] }), [])
    yield* same("`names`: the side effects it can perform", idsOf(yield* claim(store, { names: [mail] })), idsOf(mails))
    yield* same("the others are left", (yield* claim(store, { names: [mail, push, "orders:none"] })).length, 3)
  }),
  test("a claim gives only the queues it asks for, all when left out", function*(store) {
    yield* put(store, ["a", "b", "c"].map((queue) => offer({ queue })))
    yield* same("no queues, no entries", yield* claim(store, { queues: [] }), [])
    const claimed = yield* claim(store, { queues: ["c", "a", "none"] })
    yield* same("`queues`: those it asks for", claimed.map(({ queue }) => queue), ["a", "c"])
    yield* same("`queues`: all when left out", (yield* claim(store)).map(({ queue }) => queue), ["b"])
  }),
  test("what one worker holds is not given to another", function*(store) {
    const [one, two] = offers(2)
    yield* put(store, [one!, two!])
    const first = yield* claim(store, { limit: 1, worker: "a" })
    const second = yield* claim(store, { worker: "b" })
    yield* same("an entry is claimed by one worker at a time", [idsOf(first), idsOf(second)], [[one!.id], [two!.id]])
    yield* same("nothing is left", yield* claim(store), [])
    yield* has("`worker` is who holds it", yield* entry(store, two!.id), { state: "running", worker: "b", attempts: 1 })
  }),
  test("a first delivery has one attempt, no failures and no crashes", function*(store) {
    yield* putOne(store)
    yield* has("`attempts`: deliveries begun, this one included", yield* claimOne(store), {
      attempts: 1,
      failures: 0,
      failedAt: [],
      crashes: 0
    })
  }),
  test("entries of a hundred names are claimed at once", function*(store) {
    const names = Array.from({ length: 100 }, (_, index) => `many:name-${index}`)
    yield* put(store, offers(300, (index) => ({ name: names[index % 100]! })))
    const claimed = yield* claim(store, { names, limit: 300 })
    yield* same("`claim` gives what is due", claimed.length, 300)
  }),
  test("many claim at once and never get the same entry", function*(store) {
    const batch = offers(600, (index) => ({ name: index % 3 === 0 ? push : mail, priority: index % 2 }))
    yield* put(store, batch)
    const claimer = (worker: number) =>
      Effect.gen(function*() {
        const mine: Array<string> = []
        for (;;) {
          const claimed = yield* claim(store, { worker: `worker-${worker}`, limit: 17 })
          mine.push(...idsOf(claimed))
          if (claimed.length === 0) return mine
        }
      })
    const claimed = (yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], claimer, { concurrency: "unbounded" })).flat()
    yield* same("an entry is claimed by one worker at a time", claimed.length, new Set(claimed).size)
    const rest = idsOf(yield* claim(store, { limit: 600 }))
    yield* same("all of them are claimed", new Set([...claimed, ...rest]), new Set(idsOf(batch)))
  }),
  test("nothing becomes due when nothing waits", function*(store) {
    yield* same("`nextDueIn` is undefined without entries", yield* store.nextDueIn(asking()), undefined)
    yield* putOne(store)
    yield* settle(store, yield* claimOne(store), { _tag: "Done", keep: true })
    yield* same("`nextDueIn` is undefined when all is done", yield* store.nextDueIn(asking()), undefined)
  }),
  test("something is due now", function*(store) {
    yield* put(store, [offer({ delay: hour }), offer()])
    yield* same("`nextDueIn` is 0 when something is due", yield* store.nextDueIn(asking()), 0)
    yield* claimOne(store)
    const left = yield* store.nextDueIn(asking())
    yield* ensure("it is the time until the next is due", left! > hour - 10_000 && left! <= hour, left)
  }),
  test("what is held becomes due when its lease ends", function*(store) {
    yield* putOne(store)
    yield* claimOne(store, { lease: 100_000 })
    const left = yield* store.nextDueIn(asking())
    yield* ensure("`nextDueIn` knows when a lease runs out", left! > 90_000 && left! <= 100_000, left)
  }),
  test("only what the claim would give becomes due", function*(store) {
    yield* put(store, [offer({ name: push, queue: "slow" })])
    yield* same("other names do not count", yield* store.nextDueIn(asking({ names: [mail] })), undefined)
    yield* same("no names, nothing due", yield* store.nextDueIn(asking({ names: [] })), undefined)
    yield* same("other queues do not count", yield* store.nextDueIn(asking({ queues: ["fast"] })), undefined)
    yield* same("what it would give does", yield* store.nextDueIn(asking({ queues: ["slow"] })), 0)
    yield* store.pause({ kind: "name", what: push })
    yield* same("what is paused does not count", yield* store.nextDueIn(asking()), undefined)
    yield* store.resume({ kind: "name", what: push })
    yield* crash(store)
    yield* crash(store)
    yield* same("suspects do not count", yield* store.nextDueIn(asking()), undefined)
    yield* same("unless they are asked for", yield* store.nextDueIn(asking({ suspects: true })), 0)
  })
]
