import { assert, describe, it } from "@effect/vitest"
import {
  type Boundary,
  Decision,
  Dispatcher,
  Event,
  type Intent,
  SideEffect,
  SideEffectGroup,
  SideEffects
} from "effect-side-effects"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import * as BigDecimal from "effect/BigDecimal"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import * as Tracer from "effect/Tracer"
import { vi } from "vitest"
import { logs } from "../fixtures.ts"
import {
  away,
  entries,
  handlers,
  historyOf,
  job,
  Jobs,
  jobs,
  note,
  outbox,
  quiet,
  start,
  states,
  storeWith
} from "./fixtures.ts"

class Shipped extends Event.make("shop:order:shipped", {
  description: "An order has left the house.",
  payload: { order: Schema.String }
}) {}
class Tell extends SideEffect.make("shop:tell", {
  description: "Tell the customer.",
  payload: { order: Schema.String },
  defaults: { queue: "mail", priority: 5 }
}) {}
class Ping extends SideEffect.make("shop:ping", { description: "Ping somebody." }) {}
const OrderId = Schema.String.pipe(Schema.brand("OrderId"))
class Rich extends SideEffect.make("shop:rich", {
  description: "Something with a rich payload.",
  payload: {
    at: Schema.Date,
    amount: Schema.BigInt,
    exact: Schema.BigDecimal,
    order: OrderId,
    token: Schema.Redacted(Schema.String),
    tags: Schema.ReadonlySet(Schema.String)
  }
}) {}
const Shop = SideEffectGroup.make("shop").add(Tell, Ping, Rich).on(Shipped, Tell, ({ order }) => ({ order }))

const tags = (intents: ReadonlyArray<Intent.Any>) => intents.map((intent) => Decision.of(intent)?._tag)

/** A store that writes down what it is offered. */
const recording = () => {
  const offers: Array<OutboxStore.Offer> = []
  const batches: Array<number> = []
  const layer = storeWith((store) => ({
    offerMany: (batch, options) => {
      offers.push(...batch)
      batches.push(batch.length)
      return store.offerMany(batch, options)
    }
  }))
  return { offers, batches, layer }
}

const shop = (store: Layer.Layer<OutboxStore.OutboxStore>) =>
  SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }).pipe(Layer.provideMerge(store))

describe("Outbox.dispatcher", () => {
  describe("what is written", () => {
    it.effect("a batch at once, in the order of enqueueing, with all that is known of each", () =>
      Effect.gen(function*() {
        const { batches, layer, offers } = recording()
        const intents = yield* Effect.all([
          SideEffects.enqueue(Tell, { order: "1" }),
          SideEffects.enqueue(Tell, { order: "2" }, {
            queue: "slow",
            priority: -3,
            delay: "90 seconds",
            key: "two",
            origin: "POST /orders",
            metadata: { user: { id: 7 }, tags: ["a"] }
          }),
          SideEffects.enqueue(Ping)
        ]).pipe(SideEffects.boundary(), Effect.provide(shop(layer)))
        const common = { redacted: undefined, trace: undefined }
        assert.deepStrictEqual(batches, [3])
        assert.deepStrictEqual(offers, [
          {
            id: intents[0].id,
            name: "shop:tell",
            queue: "mail",
            priority: 5,
            payload: "{\"order\":\"1\"}",
            key: undefined,
            delay: 0,
            origin: undefined,
            metadata: undefined,
            ...common
          },
          {
            id: intents[1].id,
            name: "shop:tell",
            queue: "slow",
            priority: -3,
            payload: "{\"order\":\"2\"}",
            key: "two",
            delay: 90_000,
            origin: "POST /orders",
            metadata: "{\"user\":{\"id\":7},\"tags\":[\"a\"]}",
            ...common
          },
          {
            id: intents[2].id,
            name: "shop:ping",
            queue: "default",
            priority: 0,
            payload: "null",
            key: undefined,
            delay: 0,
            origin: undefined,
            metadata: undefined,
            ...common
          }
        ])
      }))

    it.effect("what follows from an event names the event", () =>
      Effect.gen(function*() {
        const { layer, offers } = recording()
        yield* SideEffects.emit(Shipped, { order: "1" }).pipe(SideEffects.boundary(), Effect.provide(shop(layer)))
        assert.deepStrictEqual(offers.map(({ name, origin }) => [name, origin]), [["shop:tell", "shop:order:shipped"]])
      }))

    it.effect("the W3C span it is released in", () =>
      Effect.gen(function*() {
        const { layer, offers } = recording()
        const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
        const write = (span: Tracer.AnySpan) =>
          SideEffects.enqueue(Ping).pipe(
            SideEffects.boundary(),
            Effect.provide(shop(layer)),
            Effect.withParentSpan(span)
          )
        yield* write(Tracer.externalSpan({ traceId, spanId: "00f067aa0ba902b7", sampled: true }))
        yield* write(Tracer.externalSpan({ traceId, spanId: "00f067aa0ba902b7", sampled: false }))
        yield* write(Tracer.externalSpan({ traceId: "no w3c", spanId: "1", sampled: true }))
        assert.deepStrictEqual(offers.map(({ trace }) => trace), [
          `00-${traceId}-00f067aa0ba902b7-01`,
          `00-${traceId}-00f067aa0ba902b7-00`,
          undefined
        ])
      }))

    it.effect("payloads of any type arrive as they left", () =>
      Effect.gen(function*() {
        const payload = {
          at: new Date(86_400_000),
          amount: 2n ** 80n,
          exact: BigDecimal.fromStringUnsafe("0.1"),
          order: OrderId.make("o-1"),
          token: Redacted.make("secret"),
          tags: new Set(["a", "b"])
        }
        const seen: Array<any> = []
        const worker = Outbox.layerWorker(Shop).pipe(Layer.provide(Shop.toLayer({
          "shop:tell": () => Effect.void,
          "shop:ping": (payload) => Effect.sync(() => seen.push(payload)),
          "shop:rich": (payload) => Effect.sync(() => seen.push(payload))
        })))
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(SideEffects.enqueue(Rich, payload))
          yield* SideEffects.boundary(SideEffects.enqueue(Ping))
          yield* quiet
        }).pipe(Effect.provide(Layer.provideMerge(worker, shop(MemoryOutboxStore.layer))))
        assert.strictEqual(seen.length, 2)
        const { exact, token, ...rest } = seen[0]
        const { exact: _, token: __, ...expected } = payload
        assert.deepStrictEqual(rest, expected)
        assert.isTrue(BigDecimal.equals(exact, payload.exact))
        assert.strictEqual(Redacted.value(token), "secret")
        assert.isUndefined(seen[1])
      }))
  })

  describe("what cannot be written", () => {
    class Sheet extends SideEffect.make("shop:sheet", {
      description: "Has a payload that is valid and cannot be stored.",
      payload: { cell: Schema.Unknown }
    }) {}
    const Sheets = SideEffectGroup.make("sheets").add(Sheet, Ping)
    const refused = (effect: Effect.Effect<unknown, unknown, SideEffects.SideEffects<any>>) =>
      Effect.gen(function*() {
        const { layer, offers } = recording()
        const exit = yield* effect.pipe(
          SideEffects.boundary(),
          Effect.exit,
          Effect.provide(
            SideEffects.LiveLayer(Sheets, { dispatcher: Outbox.dispatcher() }).pipe(Layer.provide(layer))
          )
        )
        assert.strictEqual(offers.length, 0)
        return String(exit)
      })

    it.effect("is said with its name, and the boundary dies", () =>
      Effect.gen(function*() {
        assert.match(
          yield* refused(SideEffects.enqueue(Sheet, { cell: 1n })),
          /DispatchError.*\n.*shop:sheet.*Invalid payload for side effect "shop:sheet": it is valid, but cannot be stored as JSON/
        )
        for (
          const [options, what] of [
            [{ key: "k".repeat(501) }, "a key of 501 characters, and the outbox takes 500"],
            [{ queue: "q".repeat(501) }, "a queue of 501 characters"],
            [{ metadata: { m: "m".repeat(200_001) } }, "metadata of 200009 characters"]
          ] as const
        ) {
          assert.include(yield* refused(SideEffects.enqueue(Ping, undefined, options)), what)
        }
        for (const priority of [0.5, NaN, 1_000_001, Infinity]) {
          assert.include(
            yield* refused(SideEffects.enqueue(Ping, undefined, { priority })),
            `Side effect "shop:ping" was enqueued with priority ${priority}. The outbox takes whole numbers up to a million.`
          )
        }
        assert.match(
          yield* refused(SideEffects.enqueue(Ping, undefined, { metadata: { n: 1n } })),
          /The metadata of side effect "shop:ping" cannot be stored as JSON/
        )
      }))
  })

  describe("decisions", () => {
    it.effect("it is dispatched when it is written, by name", () =>
      outbox(() =>
        Effect.gen(function*() {
          const [intent] = yield* jobs("1")
          assert.strictEqual(Decision.format(Decision.of(intent!)!), "dispatched by dispatcher outbox")
        })
      ))

    it.effect("an idempotency key is taken for a day", () =>
      outbox(() =>
        Effect.gen(function*() {
          const enqueue = SideEffects.boundary(job("1", { key: "k" }))
          const first = yield* enqueue
          const second = yield* enqueue
          const other = yield* SideEffects.boundary(note("1", { key: "k" }))
          assert.deepStrictEqual(tags([first, second, other]), ["Dispatched", "Deduplicated", "Dispatched"])
          assert.deepInclude(Decision.of(second), { by: "dispatcher outbox", of: first.id })
          yield* TestClock.adjust("23 hours")
          assert.deepStrictEqual(tags([yield* enqueue]), ["Deduplicated"])
          yield* TestClock.adjust("2 hours")
          assert.deepStrictEqual(tags([yield* enqueue]), ["Dispatched"])
        })
      ))

    it.effect("also by two in one batch", () =>
      outbox(() =>
        Effect.gen(function*() {
          const intents = yield* SideEffects.boundary(Effect.all([job("1", { key: "k" }), job("2", { key: "k" })]))
          assert.deepStrictEqual(tags(intents), ["Dispatched", "Deduplicated"])
          assert.deepInclude(Decision.of(intents[1]), { of: intents[0].id })
        })
      ))

    it.effect("one that is dead does not stand for it", () =>
      outbox(() =>
        Effect.gen(function*() {
          yield* start(() => Effect.die("a bug"))
          const enqueue = SideEffects.boundary(job("1", { key: "k" }))
          const first = yield* enqueue
          yield* quiet
          assert.deepStrictEqual(tags([first, yield* enqueue]), ["Dispatched", "Dispatched"])
        })
      ))

    it.effect("uniqueFor says how long, and 0 turns it off", () =>
      Effect.gen(function*() {
        const twice = Effect.gen(function*() {
          const enqueue = SideEffects.boundary(job("1", { key: "k" }))
          const first = yield* enqueue
          yield* TestClock.adjust(50)
          const second = yield* enqueue
          yield* TestClock.adjust(51)
          return tags([first, second, yield* enqueue])
        })
        assert.deepStrictEqual(yield* outbox(() => twice, { uniqueFor: 100 }), [
          "Dispatched",
          "Deduplicated",
          "Dispatched"
        ])
        assert.deepStrictEqual(yield* outbox(() => twice, { uniqueFor: 0 }), ["Dispatched", "Dispatched", "Dispatched"])
      }))
  })

  describe("a store that refuses", () => {
    const refusing = storeWith(() => ({ offerMany: () => Effect.fail(away("offer")) }))

    for (const onDispatchError of ["log", "die"] as const) {
      it.effect(`makes the boundary die, with onDispatchError "${onDispatchError}"`, () =>
        outbox((lines) =>
          Effect.gen(function*() {
            const intents: Array<Intent.Any> = []
            const exit = yield* Effect.exit(
              SideEffects.boundary(Effect.map(job("1"), (intent) => intents.push(intent)), { name: "orders" })
            )
            assert.strictEqual(exit._tag, "Failure")
            assert.match(
              String(exit),
              /Die\(DispatchError: 1 of 1 side effects of boundary "orders" failed:\n- jobs:run \(intent .+\): OutboxError: The outbox could not offer: Error: the database is away/
            )
            assert.deepStrictEqual([tags(intents), lines], [["Failed"], []])
          }), { store: refusing, live: { onDispatchError } }))
    }

    it.effect("with abortOnError it is a typed error", () =>
      outbox(() =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(SideEffects.boundary(job("1"), { abortOnError: true }))
          assert.strictEqual(error._tag, "DispatchError")
          assert.strictEqual(error.failures.length, 1)
        }), { store: refusing }))

    it.effect("outside a boundary, whoever enqueues dies", () =>
      outbox(() =>
        Effect.gen(function*() {
          assert.match(String(yield* Effect.exit(job("1"))), /Die\(DispatchError/)
        }), { store: refusing }))
  })

  it.effect("stands beside others in a route: their failure is logged, its own is fatal", () =>
    Effect.gen(function*() {
      const run = (store: Layer.Layer<OutboxStore.OutboxStore>) => {
        const { layer: logger, lines } = logs()
        const layer = SideEffects.LiveLayer(Jobs, {
          dispatcher: Dispatcher.route([["jobs:note", Dispatcher.inline()], ["**", Outbox.dispatcher()]])
        }).pipe(
          Layer.provide(handlers(() => Effect.fail("no"))),
          Layer.provideMerge(Layer.merge(store, logger))
        )
        return Effect.gen(function*() {
          const intents: Array<Intent.Any> = []
          const exit = yield* Effect.exit(
            SideEffects.boundary(
              Effect.map(Effect.all([job("1"), note("2")]), (all) => {
                intents.push(...all)
                return "result"
              })
            )
          )
          return { exit, tags: tags(intents), lines, states: yield* states }
        }).pipe(Effect.provide(layer))
      }
      const good = yield* run(MemoryOutboxStore.layer)
      assert.deepStrictEqual([good.exit, good.tags, good.states], [
        Exit.succeed("result"),
        ["Dispatched", "Failed"],
        ["1 pending"]
      ])
      assert.match(good.lines.join("\n"), /^ERROR Side effect "jobs:note" failed in dispatcher inline \(intent .+\)$/)
      const bad = yield* run(storeWith(() => ({ offerMany: () => Effect.fail(away("offer")) })))
      assert.deepStrictEqual([bad.exit._tag, bad.tags], ["Failure", ["Failed", "Failed"]])
    }))

  it.effect("a boundary that fails writes nothing", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(job("1"), Effect.fail("no"))))
        assert.deepStrictEqual(yield* entries, [])
      })
    ))
})

describe("SideEffects.drain", () => {
  it.effect("waits until nothing is due and nothing is running, and not for what waits for its time", () =>
    outbox(() =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        const ran: Array<string> = []
        yield* start(
          (id) => Effect.andThen(gate.await, Effect.suspend(() => id === "a" ? note("n") : Effect.void)),
          { handling: { note: (id) => Effect.sync(() => ran.push(id)) } }
        )
        yield* jobs("a")
        yield* jobs(["later"], { delay: "1 hour" })
        const drained = yield* Effect.forkChild(SideEffects.drain, { startImmediately: true })
        yield* quiet
        assert.isUndefined(drained.pollUnsafe())
        yield* gate.open
        yield* Fiber.join(drained)
        assert.deepStrictEqual([ran, yield* states], [["n"], ["a done", "later scheduled", "n done"]])
      })
    ))

  it.effect("does not wait for what is paused, by name or by queue", () =>
    outbox(() =>
      Effect.gen(function*() {
        const store = yield* OutboxStore.OutboxStore
        yield* start(() => Effect.void)
        yield* store.pause({ kind: "name", what: "*:note" })
        yield* store.pause({ kind: "queue", what: "slow" })
        yield* SideEffects.boundary(Effect.all([note("paused"), job("slow", { queue: "slow" }), job("free")]))
        yield* SideEffects.drain
        assert.deepStrictEqual(yield* states, ["paused pending", "slow pending", "free done"])
      })
    ))

  it.effect("says when nobody works", () =>
    outbox((lines) =>
      Effect.gen(function*() {
        vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] })
        yield* Effect.addFinalizer(() => Effect.sync(() => vi.useRealTimers()))
        yield* jobs("ab")
        const drained = yield* Effect.forkChild(SideEffects.drain, { startImmediately: true })
        for (let i = 0; i < 300; i++) {
          vi.advanceTimersByTime(20)
          yield* Effect.repeat(Effect.yieldNow, { times: 10 })
        }
        vi.useRealTimers()
        assert.deepStrictEqual(lines, [
          "WARN SideEffects.drain waits for 2 side effects that no worker has begun. Is one running " +
          "(Outbox.layerWorker, or Outbox.layerRelay where an engine performs), does it know their names, or are they paused?"
        ])
        yield* Fiber.interrupt(drained)
      })
    ))

  it.effect("inside a transaction it dies, with the remedy", () =>
    outbox(() =>
      Effect.gen(function*() {
        assert.match(
          String(yield* Effect.exit(SideEffects.drain)),
          /In a test that is rolled back, perform it here: Outbox\.drain\(group\)/
        )
      }), { store: storeWith(() => ({ transactionOf: () => ({ level: {}, depth: 0 }) })) }))
})

describe("Outbox.drain", () => {
  const drain = (
    handle: Parameters<typeof handlers>[0],
    options?: Parameters<typeof Outbox.drain>[1],
    handling?: Parameters<typeof handlers>[1]
  ) => Outbox.drain(Jobs, options).pipe(Effect.provide(handlers(handle, handling)))

  const none = { exhausted: 0, crashed: 0, cancelled: 0, undecodable: 0, unknown: 0 }

  it.effect("performs what is due, in order, and counts how it ended", () =>
    outbox(() =>
      Effect.gen(function*() {
        const intents = yield* jobs(["ok", "retry", "snooze", "cancel", "bug", "ok2"])
        yield* jobs(["later"], { delay: "1 hour" })
        const drained = yield* drain((id) => {
          switch (id) {
            case "retry":
              return Effect.fail("no")
            case "snooze":
              return SideEffect.snooze("1 minute")
            case "cancel":
              return SideEffect.cancel("no")
            case "bug":
              return Effect.die("a bug")
          }
          return Effect.void
        })
        assert.deepStrictEqual(drained, {
          done: 2,
          retried: 1,
          snoozed: 1,
          dead: { ...none, cancelled: 1, exhausted: 1 },
          ids: intents.map(({ id }) => id)
        })
        assert.deepStrictEqual(yield* states, [
          "ok done",
          "retry scheduled",
          "snooze scheduled",
          "cancel dead cancelled",
          "bug dead exhausted",
          "ok2 done",
          "later scheduled"
        ])
      })
    ))

  it.effect("an empty outbox is drained", () =>
    outbox(() =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* drain(() => Effect.void), {
          done: 0,
          retried: 0,
          snoozed: 0,
          dead: none,
          ids: []
        })
      })
    ))

  it.effect("also what handlers enqueue themselves", () =>
    outbox(() =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        yield* jobs("ab")
        const { done } = yield* drain((id) =>
          Effect.suspend(() => {
            ran.push(id)
            return id.length < 3 ? job(id + id) : Effect.void
          })
        )
        assert.deepStrictEqual([done, ran], [6, ["a", "b", "aa", "bb", "aaaa", "bbbb"]])
      })
    ))

  it.effect("with scheduled, what waits for its time is made due first, once, with fresh budgets", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* jobs(["later"], { delay: "1 hour" })
        yield* jobs(["fails"])
        const handling = { options: { retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 1 })) } }
        const handle = (id: string) => id === "fails" ? Effect.fail("no") : Effect.void
        assert.deepInclude(yield* drain(handle, {}, handling), { done: 0, retried: 1 })
        assert.deepInclude(yield* drain(handle, { scheduled: true }, handling), { done: 1, retried: 1 })
        assert.deepInclude(yield* drain(handle, { scheduled: true }, handling), { done: 0, retried: 1 })
        yield* TestClock.adjust("1 minute")
        assert.deepInclude(yield* drain(handle, {}, handling), { dead: { ...none, exhausted: 1 } })
        assert.deepStrictEqual((yield* entries).map(historyOf), [["1 done"], [
          "1 failed",
          "2 failed",
          "3 failed",
          "4 failed"
        ]])
      })
    ))

  it.effect("with scheduled, only what it performs itself", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* jobs(["1"], { delay: "1 hour", queue: "other" })
        assert.deepInclude(yield* drain(() => Effect.void, { scheduled: true, queues: ["default"] }), { done: 0 })
        assert.deepStrictEqual(yield* states, ["1 scheduled"])
      })
    ))

  it.effect("limit guards against handlers that go on enqueueing", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* jobs("a")
        const exit = yield* Effect.exit(drain((id) => job(id), { limit: 10 }))
        assert.include(
          String(exit),
          "Outbox.drain has performed 10 side effects and there are more, such as \"jobs:run\". Does a handler go on " +
            "enqueueing? Raise limit if that is right."
        )
        const all = yield* entries
        assert.deepStrictEqual(
          [all.length, all.at(-1)!.state, all.at(-1)!.attempts],
          [11, "pending", 0]
        )
      })
    ))

  it.effect("as many as limit are no defect", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* jobs("abc")
        assert.strictEqual((yield* drain(() => Effect.void, { limit: 3 })).done, 3)
      })
    ))

  it.effect("whoever interrupts it hands back what it performs", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* jobs("ab")
        const fiber = yield* Effect.forkChild(drain((id) => id === "a" ? Effect.void : Effect.never), {
          startImmediately: true
        })
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a done", "b running"])
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* states, ["a done", "b pending"])
        assert.deepStrictEqual((yield* entries).map(({ attempts }) => attempts), [1, 0])
        assert.deepInclude(yield* drain(() => Effect.void), { done: 1 })
      })
    ))

  it.effect("leaves paused ones and other queues alone", () =>
    outbox(() =>
      Effect.gen(function*() {
        const store = yield* OutboxStore.OutboxStore
        yield* store.pause({ kind: "name", what: "jobs:note" })
        yield* SideEffects.boundary(Effect.all([note("n"), job("slow", { queue: "slow" }), job("a")]))
        const { done } = yield* drain(() => Effect.void, { queues: ["default"] })
        assert.deepStrictEqual([done, yield* states], [1, ["n pending", "slow pending", "a done"]])
      })
    ))

  it.effect("a store that is away is a typed error", () =>
    outbox(() =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(drain(() => Effect.void))
        assert.instanceOf(error, OutboxStore.OutboxError)
      }), { store: storeWith(() => ({ claim: () => Effect.fail(away("claim")) })) }))
})

describe("a boundary", () => {
  it.effect("sees the intents as dispatched in its report, outside of a transaction", () =>
    outbox(() =>
      Effect.gen(function*() {
        const reports: Array<Boundary.Report> = []
        yield* SideEffects.boundary(job("1"), { onClose: (report) => Effect.sync(() => reports.push(report)) })
        assert.deepStrictEqual(reports.map(({ decisions, outcome, pending }) => [outcome, decisions.length, pending]), [
          [
            "released",
            1,
            []
          ]
        ])
      })
    ))
})
