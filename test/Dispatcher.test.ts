import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, type Intent, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { logs, Mail, mail, Ping, push, Shop, shop } from "./fixtures.ts"

class Job extends SideEffect.make("jobs:run", { description: "Run a job.", payload: { id: Schema.String } }) {}
const Jobs = SideEffectGroup.make("jobs").add(Job)
const job = (id: string, options?: Intent.Options) => SideEffects.enqueue(Job, { id }, options)

const jobs = <Performs extends boolean, E>(
  dispatcher: Dispatcher.Dispatcher<Performs, E>,
  handle: (id: string) => Effect.Effect<unknown, unknown, SideEffects.SideEffects<"jobs:run">>,
  options?: SideEffect.HandlerOptions<any>
) =>
  SideEffects.LiveLayer(Jobs, { dispatcher }).pipe(
    Layer.provide(Job.toLayer(({ id }) => handle(id), options))
  )

const tags = (intents: ReadonlyArray<Intent.Any>) => intents.map((intent) => Decision.of(intent)?._tag)

describe("Dispatcher", () => {
  describe("inline", () => {
    it.effect("runs so many at once, and no more", () =>
      Effect.gen(function*() {
        let running = 0
        let most = 0
        const layer = jobs(Dispatcher.inline({ concurrency: 3 }), () =>
          Effect.gen(function*() {
            most = Math.max(most, ++running)
            yield* Effect.sleep("1 second")
            running--
          }))
        const fiber = yield* Effect.forEach("abcdefg", (id) => job(id)).pipe(
          SideEffects.boundary(),
          Effect.provide(layer),
          Effect.forkChild
        )
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(tags(yield* Fiber.join(fiber)), Array.from("abcdefg", () => "Dispatched"))
        assert.strictEqual(most, 3)
      }))

    it.effect("failFast drops what has not begun", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ dispatcher: Dispatcher.inline({ failFast: true }) })
        const intents = yield* Effect.all([mail("1"), mail("bad"), mail("2"), push("3")]).pipe(
          SideEffects.boundary(),
          Effect.provide(layer)
        )
        assert.deepStrictEqual(calls, ["mail:1", "mail:bad"])
        assert.deepStrictEqual(tags(intents), ["Dispatched", "Failed", "Dropped", "Dropped"])
        assert.strictEqual(
          Decision.format(Decision.of(intents[2])!),
          `dropped by dispatcher inline: side effect "orders:mail:send" (intent ${
            intents[1].id
          }) failed before it, and ` +
            "the dispatcher fails fast"
        )
      }))

    it.effect("waits for delays, those without first", () =>
      Effect.gen(function*() {
        const ran: Array<readonly [string, number]> = []
        const layer = jobs(
          Dispatcher.inline(),
          (id) => Effect.map(Clock.currentTimeMillis, (now) => ran.push([id, now]))
        )
        const fiber = yield* Effect.all([
          job("late", { delay: "1 hour" }),
          job("soon", { delay: "1 minute" }),
          job("now")
        ]).pipe(SideEffects.boundary(), Effect.provide(layer), Effect.forkChild)
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(ran, [["now", 0], ["soon", 60_000], ["late", 3_600_000]])
      }))

    it.effect("is not interrupted once it has begun", () =>
      Effect.gen(function*() {
        const started = yield* Latch.make()
        const gate = yield* Latch.make()
        const ran: Array<string> = []
        const layer = jobs(Dispatcher.inline(), (id) =>
          Effect.gen(function*() {
            yield* started.open
            yield* gate.await
            ran.push(id)
          }))
        const intents: Array<Intent.Any> = []
        const fiber = yield* Effect.forEach("ab", (id) => Effect.map(job(id), (intent) => intents.push(intent))).pipe(
          SideEffects.boundary(),
          Effect.provide(layer),
          Effect.forkChild
        )
        yield* started.await
        const stop = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
        yield* gate.open
        yield* Fiber.join(stop)
        assert.deepStrictEqual([ran, tags(intents)], [["a", "b"], ["Dispatched", "Dispatched"]])
      }))

    it("refuses a concurrency that is none", () => {
      assert.throws(
        () => Dispatcher.inline({ concurrency: 0 }),
        "Dispatcher.inline was given concurrency: 0. It takes a whole number, 1 or more."
      )
      assert.throws(() => Dispatcher.background({ capacity: 1.5 }), /capacity: 1.5/)
    })
  })

  describe("background", () => {
    it.effect("does not hold up the boundary; drain waits", () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        const ran: Array<string> = []
        const layer = jobs(Dispatcher.background(), (id) => Effect.andThen(gate.await, Effect.sync(() => ran.push(id))))
        yield* Effect.gen(function*() {
          const intent = yield* SideEffects.boundary(job("1"))
          assert.deepStrictEqual([ran, tags([intent])], [[], [undefined]])
          const drained = yield* Effect.forkChild(SideEffects.drain, { startImmediately: true })
          assert.strictEqual(drained.pollUnsafe(), undefined)
          yield* gate.open
          yield* Fiber.join(drained)
          assert.deepStrictEqual([ran, tags([intent])], [["1"], ["Dispatched"]])
        }).pipe(Effect.provide(layer))
      }))

    it.effect("runs so many at once, starting in order, and does not count those that wait", () =>
      Effect.gen(function*() {
        let running = 0
        let most = 0
        const started: Array<string> = []
        const layer = jobs(Dispatcher.background({ concurrency: 2 }), (id) =>
          Effect.gen(function*() {
            started.push(id)
            most = Math.max(most, ++running)
            yield* Effect.sleep("1 second")
            running--
            if (id === "a" && started.filter((other) => other === "a").length < 3) return yield* Effect.fail("again")
          }), { retry: Schedule.spaced("10 seconds") })
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(Effect.forEach("abcd", (id) => job(id)))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(started, ["a", "b", "c", "d"], "a waits for its next attempt and holds no slot")
          yield* TestClock.adjust("1 minute")
          yield* SideEffects.drain
          assert.deepStrictEqual([started.join(""), most], ["abcdaa", 2])
        }).pipe(Effect.provide(layer))
      }))

    it.effect("makes a boundary wait when it is full", () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        const layer = jobs(Dispatcher.background({ capacity: 2 }), () => gate.await)
        yield* Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(SideEffects.boundary(Effect.forEach("abc", (id) => job(id))), {
            startImmediately: true
          })
          yield* Effect.yieldNow
          assert.strictEqual(fiber.pollUnsafe(), undefined)
          yield* gate.open
          yield* Fiber.join(fiber)
        }).pipe(Effect.provide(layer))
      }))

    it.effect("does not wait for itself when a handler enqueues", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const layer = jobs(Dispatcher.background({ capacity: 1, concurrency: 1 }), (id) =>
          Effect.gen(function*() {
            ran.push(id)
            if (id.length < 4) yield* job(id + id)
          }))
        yield* Effect.andThen(SideEffects.boundary(job("a")), SideEffects.drain).pipe(Effect.provide(layer))
        assert.deepStrictEqual(ran, ["a", "aa", "aaaa"])
      }))

    it.effect("a boundary that is interrupted while it waits hands over the rest at once", () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        const layer = jobs(Dispatcher.background({ capacity: 1 }), () => gate.await)
        yield* Effect.gen(function*() {
          const intents: Array<Intent.Any> = []
          const unit = Effect.forEach("abc", (id) => Effect.map(job(id), (intent) => intents.push(intent)))
          const fiber = yield* Effect.forkChild(SideEffects.boundary(unit), { startImmediately: true })
          yield* Effect.yieldNow
          assert.strictEqual(fiber.pollUnsafe(), undefined)
          yield* Fiber.interrupt(fiber)
          yield* gate.open
          yield* SideEffects.drain
          assert.deepStrictEqual(tags(intents), ["Dispatched", "Dispatched", "Dispatched"])
        }).pipe(Effect.provide(layer))
      }))

    it.effect("closing the layer decides also what a boundary still waits with", () =>
      Effect.gen(function*() {
        const { layer: logger } = logs()
        const layer = jobs(Dispatcher.background({ capacity: 1, gracePeriod: "1 second" }), () => Effect.never)
        const intents: Array<Intent.Any> = []
        const unit = Effect.forEach("abc", (id) => Effect.map(job(id), (intent) => intents.push(intent)))
        const fiber = yield* Effect.forkDetach(SideEffects.boundary(unit), { startImmediately: true }).pipe(
          Effect.tap(Effect.yieldNow),
          Effect.provide(Layer.provideMerge(layer, logger)),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.await(yield* Fiber.join(fiber))
        assert.deepStrictEqual(tags(intents), ["Discarded", "Discarded", "Discarded"])
      }))

    it.effect("what a handler enqueued is decided when its dispatcher is closed under it", () =>
      Effect.gen(function*() {
        const { layer: logger } = logs()
        const seen: Array<Intent.Any> = []
        const layer = jobs(
          Dispatcher.background({ gracePeriod: "1 second" }),
          (id) =>
            id === "a" ? Effect.andThen(Effect.map(job("b"), (intent) => seen.push(intent)), Effect.never) : Effect.void
        )
        const fiber = yield* SideEffects.boundary(job("a")).pipe(
          Effect.provide(Layer.provideMerge(layer, logger)),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 second")
        const intent = yield* Fiber.join(fiber)
        assert.deepStrictEqual(tags([intent, ...seen]), ["Discarded", "Discarded"])
      }))

    it.effect("keeps delays exactly", () =>
      Effect.gen(function*() {
        const ran: Array<readonly [string, number]> = []
        const layer = jobs(Dispatcher.background(), (id) =>
          Effect.map(Clock.currentTimeMillis, (now) => ran.push([id, now])))
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(Effect.andThen(job("late", { delay: "1 hour" }), job("now")))
          yield* TestClock.adjust("1 hour")
          yield* SideEffects.drain
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(ran, [["now", 0], ["late", 3_600_000]])
      }))

    it.effect("logs a failure by name", () =>
      Effect.gen(function*() {
        const { layer: logger, lines } = logs()
        const intent = yield* SideEffects.boundary(job("1")).pipe(
          Effect.tap(SideEffects.drain),
          Effect.provide(Layer.provideMerge(jobs(Dispatcher.background(), () => Effect.fail("no")), logger))
        )
        assert.strictEqual(Decision.of(intent)?._tag, "Failed")
        assert.match(lines.join("\n"), /^ERROR Side effect "jobs:run" failed in dispatcher background \(intent .+\)$/)
      }))

    it.effect("is drained when the layer is closed", () =>
      Effect.gen(function*() {
        const ran: Array<string> = []
        const layer = jobs(Dispatcher.background(), (id) =>
          Effect.andThen(Effect.sleep("20 seconds"), Effect.sync(() => ran.push(id))))
        const fiber = yield* SideEffects.boundary(job("1")).pipe(Effect.provide(layer), Effect.forkChild)
        yield* TestClock.adjust("20 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(ran, ["1"])
      }))

    it.effect("within its grace period; what could not run is logged by name", () =>
      Effect.gen(function*() {
        const { layer: logger, lines } = logs()
        const layer = jobs(Dispatcher.background({ gracePeriod: "5 seconds" }), (id) =>
          id === "quick" ? Effect.sleep("1 second") : Effect.never)
        const fiber = yield* SideEffects.boundary(Effect.all([job("quick"), job("stuck"), job("stuck too")])).pipe(
          Effect.provide(Layer.provideMerge(layer, logger)),
          Effect.forkChild
        )
        yield* TestClock.adjust("5 seconds")
        const intents = yield* Fiber.join(fiber)
        assert.deepStrictEqual(tags(intents), ["Dispatched", "Discarded", "Discarded"])
        assert.deepStrictEqual(lines, [
          "ERROR Dispatcher.background was closed before it could perform 2 side effects: jobs:run ×2. Raise " +
          "gracePeriod, give handlers a timeout, or hand on what is delayed for long: delays are kept in memory."
        ])
      }))
  })

  describe("route", () => {
    it.effect("sends each intent to the first pattern that matches", () =>
      Effect.gen(function*() {
        const handed: Array<string> = []
        const hand = (name: string) =>
          Dispatcher.make({
            name,
            dispatch: (intents) =>
              Effect.sync(() => void handed.push(`${name}: ${intents.map((i) => i.name).join(" ")}`))
          })
        const mails = hand("mails")
        const { calls, layer } = shop({
          dispatcher: Dispatcher.route([
            ["**:mail:**", mails],
            [/push/, mails],
            ["**", Dispatcher.inline()]
          ])
        })
        const intents = yield* Effect.all([push("1"), SideEffects.enqueue(Ping), mail("2")]).pipe(
          SideEffects.boundary(),
          Effect.provide(layer)
        )
        assert.deepStrictEqual(handed, ["mails: orders:push:notify orders:mail:send"])
        assert.deepStrictEqual(calls, ["ping"])
        assert.deepStrictEqual(intents.map((intent) => Decision.format(Decision.of(intent)!)), [
          "dispatched by dispatcher mails",
          "dispatched by dispatcher inline",
          "dispatched by dispatcher mails"
        ])
      }))

    it.effect("inside a route, and opens a dispatcher that stands in it twice once", () =>
      Effect.gen(function*() {
        let opened = 0
        const inline = Dispatcher.inline()
        const counted = { ...inline, open: (port: Dispatcher.Port) => (opened++, inline.open(port)) }
        const { calls, layer } = shop({
          dispatcher: Dispatcher.route([
            ["**:mail:**", Dispatcher.route([["orders:**", counted]])],
            ["**:push:**", counted],
            ["monitor:*", counted]
          ])
        })
        yield* Effect.all([mail("1"), push("2")]).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual([calls, opened], [["mail:1", "push:2"], 2])
      }))

    it.effect("needs no handlers when none of its dispatchers does", () =>
      Effect.gen(function*() {
        const nowhere = Dispatcher.make({ name: "nowhere", dispatch: () => Effect.void })
        const layer = SideEffects.LiveLayer(Shop, { dispatcher: Dispatcher.route([["**", nowhere]]) })
        const intent = yield* mail("1").pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
      }))

    it.effect("drains all of them", () =>
      Effect.gen(function*() {
        const layer = jobs(Dispatcher.route([["**", Dispatcher.background()]]), () => Effect.yieldNow)
        const intent = yield* SideEffects.boundary(job("1")).pipe(Effect.tap(SideEffects.drain), Effect.provide(layer))
        assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
      }))

    it.effect("one that fails harms no other", () =>
      Effect.gen(function*() {
        const down = Dispatcher.make({ name: "down", dispatch: () => Effect.fail("down") })
        const { calls, layer } = shop({
          dispatcher: Dispatcher.route([["**:mail:**", down], ["**", Dispatcher.inline()]])
        })
        const intents = yield* Effect.all([mail("1"), push("1")]).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual([calls, tags(intents)], [["push:1"], ["Failed", "Dispatched"]])
      }))

    const refused = (dispatcher: Dispatcher.Dispatcher<any, any, any>) =>
      Effect.scoped(Layer.build(shop({ dispatcher }).layer)).pipe(Effect.exit, Effect.map(String))

    it.effect("refuses a side effect without a route, and a route without a side effect", () =>
      Effect.gen(function*() {
        assert.match(
          yield* refused(Dispatcher.route([["orders:**", Dispatcher.inline()]])),
          /Dispatcher\.route has no pattern for side effect "monitor:ping"\. Add one, or end the list with \["\*\*", dispatcher\]/
        )
        assert.match(
          yield* refused(Dispatcher.route([["ordesr:**", Dispatcher.inline()], ["**", Dispatcher.inline()]])),
          /"ordesr:\*\*" in dispatcher route\(.+\) matches no side effect of group "shop"/
        )
      }))
  })

  it.live("drain in a handler does not wait for the handler, wherever it is called there", () =>
    Effect.gen(function*() {
      for (const dispatcher of [Dispatcher.background({ gracePeriod: "1 minute" }), Dispatcher.inline()]) {
        const done: Array<string> = []
        const group = SideEffectGroup.make("group").add(Mail)
        const handlers = Mail.toLayer(({ id }) =>
          Effect.gen(function*() {
            yield* SideEffects.drain
            yield* SideEffects.boundary(SideEffects.drain)
            yield* Fiber.join(yield* Effect.forkChild(Effect.timeout(SideEffects.drain, "1 minute")))
            done.push(id)
          })
        )
        const layer = SideEffects.LiveLayer(group, { dispatcher }).pipe(Layer.provide(handlers)) as Layer.Layer<any>
        yield* Effect.andThen(SideEffects.boundary(Effect.all([mail("1"), mail("2")])), SideEffects.drain).pipe(
          Effect.provide(layer)
        )
        assert.deepStrictEqual(done, ["1", "2"])
      }
    }))

  describe("make", () => {
    it.effect("hands on: success means that all were accepted", () =>
      Effect.gen(function*() {
        const Outbox = Context.Service<Array<string>>("Outbox")
        const layer = SideEffects.LiveLayer(Shop, {
          dispatcher: Dispatcher.make({
            name: "outbox",
            dispatch: (intents) => Effect.map(Outbox, (rows) => rows.push(...intents.map(({ payload }) => payload.id)))
          })
        })
        const rows: Array<string> = []
        const intents = yield* Effect.all([mail("1"), push("2")]).pipe(
          SideEffects.boundary(),
          Effect.provide(layer),
          Effect.provideService(Outbox, rows)
        )
        assert.deepStrictEqual([rows, tags(intents)], [["1", "2"], ["Dispatched", "Dispatched"]])
      }))

    it.effect("one that is durable makes the boundary die with it, whatever the layer says", () =>
      Effect.gen(function*() {
        for (const durable of [true, false]) {
          const dispatcher = Dispatcher.make({ name: "broker", durable, dispatch: () => Effect.fail("down") })
          const exit = yield* Effect.exit(SideEffects.boundary(mail("1"))).pipe(
            Effect.provide(SideEffects.LiveLayer(Shop, { dispatcher, onDispatchError: "log" }))
          )
          assert.strictEqual(Exit.isFailure(exit), durable)
        }
      }))

    it.effect("when it fails or dies, what has no decision fails with that cause", () =>
      Effect.gen(function*() {
        for (const end of [Effect.fail("down"), Effect.die("down")]) {
          const { layer } = shop({
            dispatcher: Dispatcher.make({
              name: "half",
              performs: true,
              dispatch: (intents, perform) => Effect.andThen(perform(intents[0]!), end)
            })
          })
          const intents = yield* Effect.all([mail("1"), mail("2")]).pipe(SideEffects.boundary(), Effect.provide(layer))
          assert.deepStrictEqual(tags(intents), ["Dispatched", "Failed"])
          const decision = Decision.of(intents[1]) as Decision.Failed
          assert.deepStrictEqual([decision.by, Cause.squash(decision.cause)], ["dispatcher half", "down"])
        }
      }))

    it.effect("what it forgets to perform fails", () =>
      Effect.gen(function*() {
        for (const performs of [true, false] as const) {
          const lazy = performs
            ? Dispatcher.make({ name: "lazy", performs, dispatch: () => Effect.void })
            : {
              ...Dispatcher.inline(),
              name: "lazy",
              open: () => Effect.succeed({ drain: Effect.void, dispatch: () => Effect.void })
            }
          const { layer } = shop({ dispatcher: lazy })
          const intent = yield* mail("1").pipe(SideEffects.boundary(), Effect.provide(layer))
          const decision = Decision.of(intent) as Decision.Failed
          assert.strictEqual(
            (Cause.squash(decision.cause) as Error).message,
            "Dispatcher lazy ended without performing side effect \"orders:mail:send\"."
          )
        }
      }))

    it.effect("throwing is failing, too", () =>
      Effect.gen(function*() {
        const dispatcher = Dispatcher.make({
          name: "thrower",
          dispatch: () => {
            throw new Error("bug")
          }
        })
        const intent = yield* mail("1").pipe(SideEffects.boundary(), Effect.provide(shop({ dispatcher }).layer))
        assert.strictEqual(Decision.of(intent)?._tag, "Failed")
      }))

    it.effect("has a drain of its own", () =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<void>()
        const dispatcher = Dispatcher.make({
          name: "own",
          dispatch: () => Effect.void,
          drain: Deferred.succeed(done, undefined)
        })
        yield* SideEffects.drain.pipe(Effect.provide(SideEffects.LiveLayer(Shop, { dispatcher })))
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(Deferred.await(done))))
        assert.isTrue(Dispatcher.isDispatcher(dispatcher))
      }))
  })
})
