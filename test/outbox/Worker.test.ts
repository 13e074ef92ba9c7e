import { assert, describe, it } from "@effect/vitest"
import { SideEffects } from "effect-side-effects"
import { type Outbox, OutboxStore } from "effect-side-effects/outbox"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import { TestClock } from "effect/testing"
import { away, entries, historyOf, job, jobs, note, outbox, quiet, start, states, storeWith } from "./fixtures.ts"

const now = Clock.currentTimeMillis

describe("Outbox.layerWorker", () => {
  describe("how many at once", () => {
    const counting = () => {
      const seen = { running: 0, most: 0, begun: [] as Array<string> }
      const handle = (id: string) =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            seen.begun.push(id)
            seen.most = Math.max(seen.most, ++seen.running)
          }),
          () => Effect.sleep("1 second"),
          () => Effect.sync(() => seen.running--)
        )
      return { seen, handle }
    }

    it.effect("concurrency is the limit, and what is done makes room at once", () =>
      outbox(() =>
        Effect.gen(function*() {
          const { handle, seen } = counting()
          yield* start(handle, { concurrency: 3, pollInterval: "1 hour" })
          yield* jobs(Array.from({ length: 30 }, (_, i) => String(i)))
          yield* quiet
          yield* TestClock.adjust("9 seconds")
          assert.deepStrictEqual([seen.begun.length, seen.most], [30, 3])
          assert.deepStrictEqual(seen.begun, Array.from({ length: 30 }, (_, i) => String(i)))
        })
      ))

    it.effect("a side effect has a lower limit of its own, and the others go on beside it", () =>
      outbox(() =>
        Effect.gen(function*() {
          const one = counting()
          const other = counting()
          yield* start(one.handle, {
            concurrency: 10,
            pollInterval: "1 hour",
            handling: { options: { concurrency: 2 }, note: other.handle }
          })
          yield* SideEffects.boundary(
            Effect.forEach(Array.from({ length: 20 }, (_, i) => String(i)), (id) => Effect.andThen(job(id), note(id)))
          )
          yield* quiet
          assert.deepStrictEqual([one.seen.running, other.seen.running], [2, 8])
          yield* TestClock.adjust("15 seconds")
          assert.deepStrictEqual([one.seen.most, one.seen.begun.length, other.seen.begun.length], [2, 20, 20])
          assert.isAtMost(other.seen.most, 10)
        })
      ))

    it.effect("one with a limit is not starved by a backlog of those without", () =>
      outbox(() =>
        Effect.gen(function*() {
          const one = counting()
          const other = counting()
          yield* start(one.handle, {
            concurrency: 4,
            handling: { options: { concurrency: 1 }, note: other.handle }
          })
          yield* SideEffects.boundary(
            Effect.forEach(Array.from({ length: 1000 }, (_, i) => String(i)), (id) => note(id))
          )
          yield* jobs("abc")
          yield* quiet
          yield* TestClock.adjust("60 seconds")
          assert.strictEqual(one.seen.begun.length, 3)
        })
      ))

    it.effect("refuses a number that is none", () =>
      Effect.gen(function*() {
        const refused = (options: Outbox.WorkerOptions) =>
          Effect.map(Effect.exit(outbox(() => start(() => Effect.void, options))), String)
        assert.include(
          yield* refused({ concurrency: 0 }),
          "Outbox.layerWorker was given concurrency: 0. It takes a whole number, 1 or more."
        )
        assert.include(yield* refused({ batchSize: 1.5 }), "batchSize: 1.5")
        for (const option of ["lease", "pollInterval", "cleanupInterval"]) {
          assert.include(
            yield* refused({ [option]: 0 }),
            `Outbox.layerWorker was given ${option}: 0. It takes 1 millisecond or more.`
          )
        }
      }))
  })

  describe("what comes first", () => {
    it.effect("priority, then the time it is due", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          yield* SideEffects.boundary(Effect.all([
            job("later", { delay: 5 }),
            job("a"),
            job("urgent", { priority: 10, delay: 5 }),
            job("b"),
            job("unimportant", { priority: -1 })
          ]))
          yield* TestClock.adjust(10)
          yield* start((id) => Effect.sync(() => ran.push(id)), { concurrency: 1 })
          yield* quiet
          assert.deepStrictEqual(ran, ["urgent", "a", "b", "later", "unimportant"])
        })
      ))

    it.effect("priority also among those that were claimed ahead", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const gates = new Map<string, Latch.Latch>()
          const gate = (id: string) => {
            if (!gates.has(id)) gates.set(id, Latch.makeUnsafe())
            return gates.get(id)!
          }
          yield* start((id) => Effect.andThen(Effect.sync(() => ran.push(id)), gate(id).await), { concurrency: 1 })
          yield* jobs("abcdefghijklmnop")
          yield* quiet
          for (const id of "abcde") {
            if (id === "d") yield* jobs(["urgent"], { priority: 1 })
            yield* gate(id).open
            yield* quiet
          }
          assert.deepStrictEqual(ran, ["a", "b", "c", "d", "e", "urgent"], "f to l were there before it")
        })
      ))

    it.effect("a worker takes only what is in its queues", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          yield* start((id) => Effect.sync(() => ran.push(id)), { queues: ["fast", "default"] })
          yield* SideEffects.boundary(
            Effect.all([job("slow", { queue: "slow" }), job("fast", { queue: "fast" }), job("default")])
          )
          yield* quiet
          assert.deepStrictEqual([ran, (yield* states)[0]], [["fast", "default"], "slow pending"])
        })
      ))

    it.effect("a delay is kept to the millisecond", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<readonly [string, number]> = []
          yield* start((id) => Effect.map(now, (at) => ran.push([id, at])))
          yield* jobs(["late"], { delay: "1 hour" })
          yield* jobs(["soon"], { delay: 1234 })
          yield* quiet
          yield* TestClock.adjust("2 hours")
          assert.deepStrictEqual(ran, [["soon", 1234], ["late", 3_600_000]])
        })
      ))

    it.effect("what is paused waits, and goes on when it is resumed", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const ran: Array<string> = []
          yield* start((id) => Effect.sync(() => ran.push(id)))
          yield* store.pause({ kind: "name", what: "jobs:run" })
          yield* SideEffects.boundary(Effect.all([job("1"), note("2")]))
          yield* quiet
          yield* TestClock.adjust("1 hour")
          assert.deepStrictEqual([ran, yield* states], [["2"], ["1 pending", "2 done"]])
          yield* store.resume({ kind: "name", what: "jobs:run" })
          yield* quiet
          assert.deepStrictEqual(ran, ["2", "1"])
        })
      ))
  })

  describe("leases", () => {
    it.effect("are renewed as long as a handler runs", () =>
      outbox((lines) =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const handle = (id: string) => Effect.andThen(Effect.sync(() => ran.push(id)), Effect.sleep("10 minutes"))
          yield* start(handle, { lease: "30 seconds" })
          yield* start(handle, { lease: "30 seconds", id: "w2" })
          yield* jobs(["1"])
          yield* quiet
          yield* TestClock.adjust("11 minutes")
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual([ran, entry!.state, entry!.crashes, lines], [["1"], "done", 0, []])
        })
      ))

    it.effect("what an operator cancels while it runs is interrupted, and nothing is said about it", () =>
      outbox((lines) =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const interrupted = yield* Deferred.make<number>()
          yield* start(() =>
            Effect.onInterrupt(Effect.never, () => Effect.flatMap(now, (at) => Deferred.succeed(interrupted, at)))
          )
          yield* jobs(["1"])
          yield* quiet
          assert.strictEqual(yield* store.change({}, { _tag: "Cancel", reason: "not wanted" }), 1)
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual(yield* Deferred.await(interrupted), 10_000)
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual(
            [entry!.reason, entry!.error, historyOf(entry), lines],
            ["cancelled", "not wanted", ["1 cancelled"], []]
          )
        })
      ))

    it.effect("a worker that stood still begins nothing that somebody else has by now", () => {
      let stopped = false
      return outbox((lines) =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const gate = yield* Latch.make()
          yield* start((id) => Effect.andThen(Effect.sync(() => ran.push(id)), gate.await), { concurrency: 1 })
          yield* jobs("ab")
          yield* quiet
          stopped = true
          yield* TestClock.adjust("1 minute")
          yield* gate.open
          yield* quiet
          assert.deepStrictEqual(ran, ["a"], "b was claimed ahead, and its lease is over")
          assert.match(lines.at(-1)!, /had lost the lease of 1 side effect before it could settle them/)
        }), {
        store: storeWith((store) => {
          let others = 0
          return {
            // It stands still: no lease is renewed, and another worker takes what is due again.
            renew: (held, lease) => stopped ? Effect.never : store.renew(held, lease),
            claim: (claim) => stopped ? Effect.succeed([]) : store.claim(claim),
            settle: (settlements) =>
              Effect.andThen(
                stopped && others++ === 0
                  ? store.claim({
                    worker: "other",
                    limit: 10,
                    lease: 60_000,
                    names: ["jobs:run"],
                    queues: undefined,
                    suspects: false
                  })
                  : Effect.void,
                store.settle(settlements)
              )
          }
        })
      })
    })
  })

  describe("crashes", () => {
    /** A worker that claims and dies. */
    const crash = Effect.gen(function*() {
      const store = yield* OutboxStore.OutboxStore
      const claim = { worker: "died", limit: 1, lease: 1000, names: ["jobs:run"], queues: undefined }
      const sound = yield* store.claim({ ...claim, suspects: false })
      const claimed = sound.length > 0 ? sound : yield* store.claim({ ...claim, suspects: true })
      yield* TestClock.adjust(1001)
      return claimed.length
    })

    it.effect("have a budget of their own", () =>
      outbox(() =>
        Effect.gen(function*() {
          const attempts: Array<number> = []
          yield* jobs(["1"])
          yield* crash
          yield* crash
          yield* start((_, { attempt }) =>
            Effect.suspend(() => {
              attempts.push(attempt)
              return attempts.length < 3 ? Effect.fail("no") : Effect.void
            }), { handling: { options: { retry: Schedule.recurs(2) } } })
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual([attempts, entry!.state, entry!.crashes, entry!.failures], [[3, 4, 5], "done", 2, 2])
          assert.deepStrictEqual(historyOf(entry), ["1 crashed", "2 crashed", "3 failed", "4 failed", "5 done"])
        })
      ))

    it.effect("after maxCrashes the entry is dead as crashed, without being performed", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          let ran = 0
          yield* jobs(["1"])
          for (let i = 0; i < 3; i++) yield* crash
          yield* start(() => Effect.sync(() => ran++))
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual([ran, entry!.reason, entry!.failures], [0, "crashed", 0])
          assert.match(entry!.error!, /^3 processes that performed it died/)
          yield* store.change({}, { _tag: "Retry" })
          yield* quiet
          assert.deepStrictEqual([ran, yield* states], [1, ["1 done"]])
        })
      ))

    it.effect("maxCrashes is an option", () =>
      outbox(() =>
        Effect.gen(function*() {
          let ran = 0
          yield* jobs(["1"])
          yield* crash
          yield* start(() => Effect.sync(() => ran++), { maxCrashes: 1 })
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual([ran, entry!.reason], [0, "crashed"])
          assert.match(entry!.error!, /^The process that performed it died/)
        })
      ))

    it.effect("a suspect is performed alone, and the others have their turns", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const running = new Set<string>()
          const beside: Record<string, string> = {}
          yield* jobs("ab")
          for (let i = 0; i < 2; i++) {
            yield* store.claim({
              worker: "died",
              limit: 5,
              lease: 1000,
              names: ["jobs:run"],
              queues: undefined,
              suspects: false
            })
            yield* TestClock.adjust(1001)
          }
          yield* jobs("cd")
          yield* start((id) =>
            Effect.gen(function*() {
              running.add(id)
              for (const one of running) beside[one] = `${beside[one] ?? ""}${[...running].join("")}`
              yield* Effect.sleep("1 second")
              running.delete(id)
            })
          )
          for (let i = 0; i < 8; i++) {
            yield* quiet
            yield* TestClock.adjust("500 millis")
          }
          yield* quiet
          assert.deepStrictEqual(yield* states, ["a done", "b done", "c done", "d done"])
          assert.deepStrictEqual([new Set(beside["a"]), new Set(beside["b"])], [new Set("a"), new Set("b")])
          assert.deepStrictEqual(new Set(beside["c"]), new Set("cd"), "the others run together")
        })
      ))

    it.effect("suspects that are quick are performed one right after the other", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const ran: Array<string> = []
          yield* jobs("abcdefgh")
          for (let i = 0; i < 2; i++) {
            yield* store.claim({
              worker: "died",
              limit: 10,
              lease: 1000,
              names: ["jobs:run"],
              queues: undefined,
              suspects: false
            })
            yield* TestClock.adjust(1001)
          }
          yield* start((id) => Effect.sync(() => ran.push(id)))
          yield* Effect.repeat(quiet, { times: 10 })
          yield* TestClock.adjust("100 millis")
          yield* Effect.repeat(quiet, { times: 10 })
          assert.deepStrictEqual(ran, [..."abcdefgh"])
        })
      ))

    it.effect("others are begun only when the end of a suspect is written, and it when theirs is", () => {
      const order: Array<string> = []
      return outbox(() =>
        Effect.gen(function*() {
          yield* jobs("s")
          yield* crash
          yield* crash
          yield* jobs("ab")
          yield* start((id) => Effect.sync(() => order.push(id)))
          for (let i = 0; i < 6; i++) {
            yield* quiet
            yield* TestClock.adjust("500 millis")
          }
          assert.deepStrictEqual(order, ["s", "settled", "a", "b", "settled"])
        }), {
        store: storeWith((store) => ({
          settle: (settlements) =>
            store.settle(settlements).pipe(
              Effect.delay("1 second"),
              Effect.tap(() => Effect.sync(() => order.push("settled")))
            )
        }))
      })
    })

    it.effect("a suspect that takes long does not keep the others waiting", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          yield* jobs("s")
          yield* crash
          yield* crash
          yield* jobs("l")
          yield* start((id) =>
            Effect.andThen(Effect.sync(() => ran.push(id)), id === "x" ? Effect.void : Effect.sleep("1 hour"))
          )
          yield* quiet
          assert.deepStrictEqual(ran, ["s"])
          yield* TestClock.adjust("10 seconds")
          yield* quiet
          assert.deepStrictEqual(ran, ["s", "l"])
          yield* jobs("x")
          yield* quiet
          assert.deepStrictEqual(ran, ["s", "l", "x"])
          yield* TestClock.adjust("2 hours")
          yield* quiet
        })
      ))
  })

  describe("a store that fails now and then", () => {
    const flaky = (methods: ReadonlyArray<"claim" | "settle" | "renew" | "nextDueIn" | "register" | "cleanup">) => {
      const state = { broken: false, failed: new Set<string>() }
      const layer = storeWith((store) => {
        const changed: any = {}
        for (const method of methods) {
          changed[method] = (...args: Array<any>) =>
            Effect.suspend(() => {
              if (!state.broken) return (store[method] as any)(...args)
              state.failed.add(method)
              return Effect.fail(away(method))
            })
        }
        return changed
      })
      return { state, layer }
    }

    it.effect("nothing is lost, and nothing is performed twice", () => {
      const { layer, state } = flaky(["claim", "settle", "renew", "nextDueIn", "register", "cleanup"])
      return outbox((lines) =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const ids = Array.from({ length: 20 }, (_, i) => String(i))
          yield* start((id) => Effect.andThen(Effect.sync(() => ran.push(id)), Effect.sleep("15 seconds")), {
            concurrency: 4,
            lease: "1 minute"
          })
          yield* jobs(ids)
          yield* quiet
          for (let i = 0; i < 12; i++) {
            state.broken = i % 2 === 0
            yield* TestClock.adjust("12 seconds")
          }
          for (const method of ["claim", "settle", "renew"]) assert.isTrue(state.failed.has(method), method)
          assert.deepStrictEqual([ran.length, new Set(ran).size], [20, 20])
          assert.deepStrictEqual(yield* states, ids.map((id) => `${id} done`))
          assert.isTrue(
            lines.includes(
              "ERROR Outbox worker w1 could not claim, and tries again: OutboxError: The outbox could not claim: Error: the database is away"
            ),
            lines.join("\n")
          )
        }), { store: layer })
    })

    it.effect("a defect of the store does not end the worker either", () => {
      let broken = true
      return outbox(() =>
        Effect.gen(function*() {
          yield* start(() => Effect.void)
          yield* jobs(["1"])
          yield* quiet
          assert.deepStrictEqual(yield* states, ["1 pending"])
          broken = false
          yield* TestClock.adjust("1 second")
          yield* quiet
          assert.deepStrictEqual(yield* states, ["1 done"])
        }), {
        store: storeWith((store) => ({
          claim: (claim) => broken ? Effect.die(new Error("a bug in the store")) : store.claim(claim)
        }))
      })
    })

    it.effect("closing does not wait for ever for one that is away", () => {
      const { layer, state } = flaky(["claim", "settle"])
      return outbox((lines) =>
        Effect.gen(function*() {
          const worker = yield* start(() => Effect.sync(() => state.broken = true))
          yield* jobs(["1"])
          yield* quiet
          const closing = yield* Effect.forkChild(worker.close, { startImmediately: true })
          yield* TestClock.adjust("15 seconds")
          yield* quiet
          assert.isDefined(closing.pollUnsafe())
          // Nothing goes on trying.
          const said = lines.length
          assert.isAbove(said, 0)
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(lines.length, said)
        }), { store: layer })
    })
  })

  describe("closing", () => {
    it.effect("waits for the handlers that run, within the grace period, and begins nothing", () =>
      outbox((lines) =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const worker = yield* start(
            (id) => Effect.andThen(Effect.sleep("8 seconds"), Effect.sync(() => ran.push(id))),
            { concurrency: 1, gracePeriod: "10 seconds" }
          )
          yield* jobs("abc")
          yield* quiet
          const closing = yield* Effect.forkChild(worker.close, { startImmediately: true })
          yield* quiet
          yield* jobs("d")
          yield* quiet
          assert.isUndefined(closing.pollUnsafe())
          yield* TestClock.adjust("8 seconds")
          yield* quiet
          assert.isDefined(closing.pollUnsafe())
          assert.deepStrictEqual(ran, ["a"])
          const all = yield* entries
          assert.deepStrictEqual(yield* states, ["a done", "b pending", "c pending", "d pending"])
          assert.deepStrictEqual(all.map(({ attempts }) => attempts), [1, 0, 0, 0])
          assert.deepStrictEqual([all.map(historyOf), lines], [[["1 done"], [], [], []], []])
        })
      ))

    it.effect("interrupts the rest, hands it back with its attempt restored, and it is due at once", () =>
      outbox((lines) =>
        Effect.gen(function*() {
          const interrupted: Array<string> = []
          const worker = yield* start(
            (id) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push(id))),
            { gracePeriod: "10 seconds" }
          )
          yield* jobs("ab")
          yield* quiet
          const closing = yield* Effect.forkChild(worker.close, { startImmediately: true })
          yield* TestClock.adjust("10 seconds")
          yield* quiet
          assert.isDefined(closing.pollUnsafe())
          const all = yield* entries
          assert.deepStrictEqual([interrupted, yield* states], [["a", "b"], ["a pending", "b pending"]])
          assert.deepStrictEqual(
            all.map(({ attempts, crashes, failures, history }) => [attempts, failures, crashes, history.length]),
            [[0, 0, 0, 0], [0, 0, 0, 0]]
          )
          assert.deepStrictEqual(lines, ["INFO Outbox worker w1 was closed and hands back 2 side effects"])
          const ran: Array<readonly [string, number]> = []
          yield* start((id, { attempt }) => Effect.sync(() => ran.push([id, attempt])), { id: "w2" })
          yield* quiet
          assert.deepStrictEqual(ran, [["a", 1], ["b", 1]])
        })
      ))

    it.effect("does not wait for ever for a handler that cannot be interrupted", () =>
      outbox((lines) =>
        Effect.gen(function*() {
          const gate = yield* Latch.make()
          const worker = yield* start(() => Effect.uninterruptible(gate.await), { gracePeriod: "10 seconds" })
          yield* jobs("a")
          yield* quiet
          const closing = yield* Effect.forkChild(worker.close, { startImmediately: true })
          yield* TestClock.adjust("10 seconds")
          yield* quiet
          assert.isUndefined(closing.pollUnsafe())
          yield* TestClock.adjust("5 seconds")
          yield* quiet
          assert.isDefined(closing.pollUnsafe())
          assert.match(lines[0]!, /hands back 1 side effect, of which some cannot be interrupted/)
          assert.deepStrictEqual(yield* states, ["a running"])
          yield* gate.open
          yield* quiet
          yield* TestClock.adjust("1 minute")
          yield* start(() => Effect.void, { id: "w2" })
          yield* quiet
          assert.deepStrictEqual(yield* states, ["a done"])
        })
      ))

    it.effect("takes the worker out of the list", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const worker = yield* start(() => Effect.void, { queues: ["default"] })
          yield* TestClock.adjust("5 minutes")
          const [listed] = yield* store.workers
          const { id, names, queues, seenAt } = listed!
          assert.deepStrictEqual([id, names, queues], ["w1", ["jobs:run", "jobs:note"], ["default"]])
          assert.isAbove(seenAt, 200_000)
          yield* worker.close
          assert.deepStrictEqual(yield* store.workers, [])
        })
      ))
  })

  it.effect("looks once in pollInterval when nothing wakes it", () =>
    outbox(() =>
      Effect.gen(function*() {
        const ran: Array<readonly [string, number]> = []
        yield* start((id) => Effect.map(now, (at) => ran.push([id, at])), { pollInterval: "10 seconds" })
        yield* quiet
        yield* TestClock.adjust("3 seconds")
        yield* jobs("a")
        yield* quiet
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual(ran, [["a", 10_000]])
      }), { store: storeWith(() => ({ wake: Effect.succeed(Effect.never) })) }))

  it.effect("claims batchSize ahead of those that run, at most", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* start(() => Effect.never, { concurrency: 2, batchSize: 1 })
        yield* jobs("abcdefghij")
        yield* quiet
        assert.strictEqual((yield* states).filter((state) => state.endsWith("running")).length, 3)
      })
    ))

  it.effect("two workers share the work, and nothing is performed twice", () =>
    outbox(() =>
      Effect.gen(function*() {
        const ran: Array<readonly [string, string]> = []
        const by = (id: string) =>
          start((job) => Effect.andThen(Effect.sync(() => ran.push([job, id])), Effect.sleep("1 second")), {
            id,
            concurrency: 5,
            batchSize: 5
          })
        yield* by("w1")
        yield* by("w2")
        const ids = Array.from({ length: 100 }, (_, i) => String(i))
        yield* jobs(ids)
        yield* quiet
        yield* TestClock.adjust("20 seconds")
        assert.deepStrictEqual([ran.length, new Set(ran.map(([job]) => job)).size], [100, 100])
        assert.deepStrictEqual([...new Set(ran.map(([, id]) => id))].toSorted(), ["w1", "w2"])
      })
    ))

  it.effect("each has a name of its own unless it is given one", () =>
    outbox(() =>
      Effect.gen(function*() {
        const store = yield* OutboxStore.OutboxStore
        yield* start(() => Effect.void, { id: undefined })
        yield* start(() => Effect.void, { id: undefined })
        const ids = (yield* store.workers).map(({ id }) => id)
        assert.strictEqual(new Set(ids).size, 2)
        for (const id of ids) assert.match(id, /^worker-[0-9a-f]{8}$/)
      })
    ))

  it.effect("keeps what is done for as long as retention says", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* start((id) => id === "dead" ? Effect.die("a bug") : Effect.void, {
          retention: { done: "1 day", dead: "2 days" },
          cleanupInterval: "10 minutes",
          pollInterval: "1 hour",
          lease: "1 hour"
        })
        yield* jobs(["done", "dead"])
        yield* quiet
        yield* TestClock.adjust("23 hours")
        assert.deepStrictEqual(yield* states, ["done done", "dead dead exhausted"])
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual(yield* states, ["dead dead exhausted"])
        yield* TestClock.adjust("24 hours")
        assert.deepStrictEqual(yield* states, [])
      })
    ))

  it.effect("retention.done: 0 removes it at once", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* start((id) => id === "dead" ? Effect.die("a bug") : Effect.void, { retention: { done: 0 } })
        yield* jobs(["done", "dead"])
        yield* quiet
        assert.deepStrictEqual(yield* states, ["dead dead exhausted"])
      })
    ))

  it.effect("a backlog of thousands is performed in order, by handlers that end at once", () =>
    outbox(() =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const ids = Array.from({ length: 5000 }, (_, i) => String(i))
        yield* jobs(ids)
        yield* start((id) => Effect.sync(() => ran.push(id)), { concurrency: 1000, batchSize: 5000 })
        yield* SideEffects.drain
        assert.deepStrictEqual(ran, ids)
      })
    ))
})
