import { assert, describe, it } from "@effect/vitest"
import { MemoryOutboxStore, OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"

// What is particular to it: that it obeys TestClock, to the millisecond, and copes with many entries. What all stores
// promise is in conformance.test.ts.

const minute = 60_000
const year = 365 * 24 * 60 * minute

const offer = (parts: Partial<OutboxStore.Offer> = {}): OutboxStore.Offer => ({
  id: crypto.randomUUID(),
  name: "orders:mail",
  queue: "default",
  priority: 0,
  payload: "{}",
  redacted: undefined,
  key: undefined,
  delay: 0,
  origin: undefined,
  metadata: undefined,
  trace: undefined,
  ...parts
})

const asking: OutboxStore.Claim = {
  worker: "w",
  limit: 100,
  lease: minute,
  names: ["orders:mail"],
  queues: undefined,
  suspects: false
}

describe("MemoryOutboxStore", () => {
  it.effect("delays and leases pass when TestClock says so", () =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      yield* store.offerMany([offer({ delay: minute })], { uniqueFor: 0 })
      assert.strictEqual(yield* store.nextDueIn(asking), minute)
      yield* TestClock.adjust(minute - 1)
      assert.strictEqual(yield* store.nextDueIn(asking), 1)
      assert.deepStrictEqual(yield* store.claim(asking), [])
      yield* TestClock.adjust(1)
      const [first] = yield* store.claim(asking)
      assert.strictEqual(first?.attempts, 1)
      yield* TestClock.adjust(minute - 1)
      assert.deepStrictEqual(yield* store.claim(asking), [])
      yield* TestClock.adjust(1)
      const [second] = yield* store.claim(asking)
      assert.deepStrictEqual([second?.attempts, second?.crashes], [2, 1])
      const { history } = (yield* store.get(first!.id))!
      assert.deepStrictEqual(history.map(({ outcome, startedAt }) => [outcome, startedAt]), [["crashed", minute]])
    }))

  it.effect("a key is free after its window, to the millisecond", () =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      const put = Effect.suspend(() =>
        Effect.map(store.offerMany([offer({ key: "k" })], { uniqueFor: minute }), ({ length }) => length === 0)
      )
      assert.isTrue(yield* put)
      yield* TestClock.adjust(minute - 1)
      assert.isFalse(yield* put)
      yield* TestClock.adjust(1)
      assert.isTrue(yield* put)
      assert.isFalse(yield* put)
    }))

  it.effect("what has ended is kept for its retention, to the millisecond", () =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      yield* store.offerMany([offer()], { uniqueFor: 0 })
      const [held] = yield* store.claim(asking)
      yield* store.settle([{ ...held!, worker: "w", elapsed: 0, outcome: { _tag: "Done", keep: true } }])
      const cleanup = store.cleanup({ done: minute, dead: year, unknown: year })
      yield* TestClock.adjust(minute - 1)
      assert.deepStrictEqual(yield* cleanup, { removed: 0, unknown: 0 })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* cleanup, { removed: 1, unknown: 0 })
    }))

  it.effect("a worker that was not seen for two minutes knows nothing any more", () =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      yield* store.register({ id: "w", names: ["orders:mail"], queues: undefined })
      yield* store.offerMany([offer()], { uniqueFor: 0 })
      const cleanup = store.cleanup({ done: year, dead: year, unknown: minute })
      yield* TestClock.adjust(2 * minute - 1)
      assert.deepStrictEqual(yield* cleanup, { removed: 0, unknown: 0 })
      yield* store.register({ id: "w", names: ["orders:mail"], queues: undefined })
      yield* TestClock.adjust(2 * minute - 1)
      assert.deepStrictEqual(yield* cleanup, { removed: 0, unknown: 0 })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* cleanup, { removed: 0, unknown: 1 })
      yield* store.register({ id: "v", names: ["orders:mail"], queues: undefined })
      assert.strictEqual((yield* store.claim(asking)).length, 1)
    }))

  it.effect("who waits is woken at once, and once", () =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      const wait = yield* store.wake
      const fiber = yield* Effect.forkChild(wait, { startImmediately: true })
      yield* store.offerMany([offer()], { uniqueFor: 0 })
      yield* Fiber.join(fiber)
      const again = yield* Effect.forkChild(wait, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(again.pollUnsafe())
      yield* Fiber.interrupt(again)
    }))

  it.effect("each store has its own entries", () =>
    Effect.gen(function*() {
      const count = Effect.flatMap(OutboxStore.OutboxStore, (store) =>
        Effect.andThen(store.offerMany([offer()], { uniqueFor: 0 }), store.count({})))
      assert.strictEqual(yield* Effect.provide(count, MemoryOutboxStore.layer), 1)
      assert.strictEqual(yield* Effect.provide(count, MemoryOutboxStore.layer), 1)
    }))

  it.effect("100,000 entries are claimed in order, without a look at all of them each time", () =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      const total = 100_000
      const idOf = (index: number) => `entry-${index}`
      const batch = Array.from(
        { length: total },
        (_, index) =>
          offer({ id: idOf(index), name: `orders:mail-${index % 4}`, priority: index % 3, delay: index % 1_000 })
      )
      yield* store.offerMany(batch, { uniqueFor: 0 })
      yield* TestClock.adjust(1_000)
      const names = [0, 1, 2, 3].map((n) => `orders:mail-${n}`)
      const seen: Array<number> = []
      for (let taken = -1; taken !== 0;) {
        const claimed = yield* store.claim({ ...asking, names })
        taken = claimed.length
        for (const { id } of claimed) seen.push(Number(id.slice("entry-".length)))
        yield* store.settle(claimed.map(({ ref, token }) => (
          { ref, token, worker: "w", elapsed: 0, outcome: { _tag: "Done", keep: false } }
        )))
      }
      const expected = Array.from({ length: total }, (_, index) => index).sort((left, right) =>
        right % 3 - left % 3 || left % 1_000 - right % 1_000 || left - right
      )
      assert.isTrue(seen.length === total && seen.every((index, at) => index === expected[at]))
      assert.strictEqual(yield* store.count({}), 0)
    }))
})
