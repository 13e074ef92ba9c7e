import { assert, describe, it } from "@effect/vitest"
import { Bridge, Policy, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { EventEmitter } from "node:events"
import { Broken, logs, mail, Ping, push, shop } from "./fixtures.ts"

/** A shop, what it performs and logs, and a scope to attach bridges to. */
const setup = Effect.sync(() => {
  const { calls, layer } = shop()
  const { layer: logger, lines } = logs()
  const scope = Scope.makeUnsafe()
  return {
    calls,
    lines,
    scope,
    close: Scope.close(scope, Exit.void),
    layer: Layer.provideMerge(layer, logger)
  }
})

type Setup = Effect.Success<typeof setup>

/** Runs a test with all of that; the scope is closed by the test. */
const bridging = <A, E>(test: (setup: Setup) => Effect.Effect<A, E, any>): Effect.Effect<A, E> =>
  Effect.flatMap(setup, (all) => Effect.provide(Scope.provide(test(all), all.scope), all.layer)) as Effect.Effect<A, E>

/** Lets everything run that can. */
const settle = TestClock.adjust(0)

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i))

/** Closing takes time, which the test has to let pass. */
const closeWithin = ({ close }: Setup, time: "1 second" | "30 seconds" | "6 seconds") =>
  Effect.gen(function*() {
    const closing = yield* Effect.forkChild(close, { startImmediately: true })
    yield* TestClock.adjust(time)
    yield* Fiber.join(closing)
  })

/** Each kind of source: attaches a bridge to it and returns how to send a message. */
const sources: ReadonlyArray<
  readonly [
    name: string,
    attach: (
      receive: (id: string) => Effect.Effect<unknown, unknown, SideEffects.SideEffects<any>> | undefined,
      options?: Bridge.Options
    ) => Effect.Effect<
      { readonly send: (id: string) => Effect.Effect<unknown>; readonly attached: () => number },
      never,
      Scope.Scope | SideEffects.SideEffects<any>
    >
  ]
> = [
  ["event emitter", (receive, options) =>
    Effect.gen(function*() {
      const emitter = new EventEmitter()
      yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => receive(id), options)
      return {
        send: (id) => Effect.sync(() => emitter.emit("order", id)),
        attached: () => emitter.listenerCount("order")
      }
    })],
  ["event target", (receive, options) =>
    Effect.gen(function*() {
      const target = new EventTarget()
      let attached = 0
      const { addEventListener, removeEventListener } = target
      target.addEventListener = (...args: [any, any]) => {
        attached++
        addEventListener.apply(target, args)
      }
      target.removeEventListener = (...args: [any, any]) => {
        attached--
        removeEventListener.apply(target, args)
      }
      yield* Bridge.fromEventTarget(target, "order", (event: CustomEvent<string>) => receive(event.detail), options)
      return {
        send: (id) => Effect.sync(() => target.dispatchEvent(new CustomEvent("order", { detail: id }))),
        attached: () => attached
      }
    })],
  ["PubSub", (receive, options) =>
    Effect.gen(function*() {
      const pubsub = yield* PubSub.unbounded<string>()
      yield* Bridge.fromPubSub(pubsub, receive, options)
      return {
        send: (id) => PubSub.publish(pubsub, id),
        attached: () => pubsub.scope.state._tag === "Empty" ? 0 : 1
      }
    })],
  ["stream", (receive, options) =>
    Effect.gen(function*() {
      let attached = 1
      const queue = yield* Queue.unbounded<string>()
      const stream = Stream.ensuring(Stream.fromQueue(queue), Effect.sync(() => attached--))
      yield* Bridge.fromStream(stream, receive, options)
      return { send: (id) => Effect.andThen(Queue.offer(queue, id), settle), attached: () => attached }
    })],
  ["async iterable", (receive, options) =>
    Effect.gen(function*() {
      let attached = 1
      const waiting: Array<(result: IteratorResult<string>) => void> = []
      const sent: Array<string> = []
      yield* Bridge.fromAsyncIterable(
        {
          [Symbol.asyncIterator]: () => ({
            next: () =>
              new Promise<IteratorResult<string>>((resolve) => {
                const value = sent.shift()
                if (value === undefined) waiting.push(resolve)
                else resolve({ value })
              }),
            return: () => {
              attached--
              return Promise.resolve({ value: undefined, done: true as const })
            }
          })
        },
        receive,
        options
      )
      return {
        send: (value) =>
          Effect.andThen(
            Effect.sync(() => {
              const resolve = waiting.shift()
              if (resolve === undefined) sent.push(value)
              else resolve({ value })
            }),
            settle
          ),
        attached: () => attached
      }
    })]
]

const failure = (what: string) =>
  `ERROR Bridge "${what}" failed on a message, which is not tried again. Its side effects are discarded; the bridge ` +
  "goes on with the next message."

describe("Bridge", () => {
  describe.each(sources)("from %s", (_, attach) => {
    it.effect("makes a unit of work of each message, and ignores what the hook ignores", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const { send } = yield* attach((id) => id === "2" ? undefined : mail(id))
          for (const id of ["1", "2", "3"]) yield* send(id)
          yield* settle
          assert.deepStrictEqual(calls, ["mail:1", "mail:3"])
          yield* close
          assert.deepStrictEqual(lines, [])
        })
      ))

    it.effect("what was sent right after it was attached is not lost when the scope closes", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const { send } = yield* attach(mail)
          yield* send("1")
          yield* close
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.deepStrictEqual(lines, [])
        })
      ))

    it.effect("detaches when the scope closes", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const { attached, send } = yield* attach(mail)
          yield* settle
          assert.strictEqual(attached(), 1)
          yield* close
          assert.strictEqual(attached(), 0)
          yield* send("1")
          yield* settle
          assert.deepStrictEqual(calls, [])
        })
      ))

    it.effect("one after the other, in order", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          let running = 0
          let most = 0
          const { send } = yield* attach((id) =>
            Effect.gen(function*() {
              most = Math.max(most, ++running)
              yield* Effect.sleep(10 - Number(id))
              running--
              yield* mail(id)
            })
          )
          for (const id of numbers(1, 9)) yield* send(id)
          for (const _ of numbers(1, 60)) yield* TestClock.adjust(1)
          yield* setup.close
          assert.deepStrictEqual(setup.calls, numbers(1, 9).map((id) => `mail:${id}`))
          assert.strictEqual(most, 1)
        })
      ))

    it.effect("so many at once, and no more", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          let running = 0
          let most = 0
          const { send } = yield* attach((id) =>
            Effect.gen(function*() {
              most = Math.max(most, ++running)
              yield* Effect.sleep(100)
              running--
              yield* mail(id)
            }), { concurrency: 3 })
          for (const id of numbers(1, 9)) yield* send(id)
          yield* settle
          assert.strictEqual(running, 3)
          for (const _ of numbers(1, 3)) yield* TestClock.adjust(100)
          assert.strictEqual(running, 0)
          yield* setup.close
          assert.strictEqual(setup.calls.length, 9)
          assert.strictEqual(most, 3)
        })
      ))

    it.effect("a message that fails is logged, loses its side effects, and harms no other", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const fails: Record<string, () => Effect.Effect<never, Broken>> = {
            typed: () => Effect.fail(new Broken({ id: "typed" })),
            defect: () => Effect.die(new Error("defect")),
            interrupted: () => Effect.interrupt,
            killed: () => Effect.withFiber((fiber) => Effect.andThen(Fiber.interrupt(fiber), Effect.never))
          }
          const { send } = yield* attach((id) => {
            if (id === "thrown") throw new Error("thrown")
            return Effect.andThen(mail(id), fails[id]?.() ?? Effect.void)
          }, { name: "orders" })
          for (const id of ["1", "typed", "2", "defect", "3", "interrupted", "4", "killed", "5", "thrown", "6"]) {
            yield* send(id)
          }
          yield* settle
          assert.deepStrictEqual(calls, numbers(1, 6).map((id) => `mail:${id}`))
          assert.deepStrictEqual(lines, Array.from({ length: 5 }, () => failure("orders")))
          yield* close
        })
      ))

    it.effect("finishes within the grace period what was accepted", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const { attached, send } = yield* attach((id) => Effect.andThen(Effect.sleep("1 second"), mail(id)), {
            concurrency: 2
          })
          yield* send("1")
          yield* send("2")
          yield* settle
          yield* closeWithin(setup, "1 second")
          assert.deepStrictEqual([setup.calls, setup.lines, attached()], [["mail:1", "mail:2"], [], 0])
        })
      ))

    it.effect("gives up when the grace period is over, and says how many messages were lost", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const { attached, send } = yield* attach(
            (id) => id === "1" ? mail(id) : Effect.andThen(mail(id), Effect.never),
            { name: "orders", concurrency: 2 }
          )
          for (const id of numbers(1, 3)) yield* send(id)
          yield* settle
          yield* closeWithin(setup, "30 seconds")
          assert.deepStrictEqual([setup.calls, attached()], [["mail:1"], 0])
          assert.deepStrictEqual(setup.lines, [
            "ERROR Bridge \"orders\" was closed before it could finish 2 messages, which are lost; their side effects " +
            "are discarded. Raise grace or concurrency, or give what the messages do a timeout."
          ])
        })
      ))

    it.effect("a bridge attached inside a boundary does not belong to it", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const exit = yield* Effect.gen(function*() {
            const { send } = yield* attach(mail)
            yield* push("outside")
            yield* send("1")
            yield* settle
            assert.deepStrictEqual(calls, ["mail:1"])
            return yield* Effect.fail("no")
          }).pipe(SideEffects.boundary({ policy: Policy.dropAll }), Effect.exit)
          assert.isTrue(Exit.isFailure(exit))
          assert.deepStrictEqual(calls, ["mail:1"])
          yield* close
        })
      ))

    it.effect("a message that closes the bridge waits for the others, not for itself", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const done = yield* Deferred.make<void>()
          const { attached, send } = yield* attach((id) =>
            id === "last" ? Effect.andThen(close, Deferred.succeed(done, undefined)) : mail(id)
          )
          for (const id of ["1", "2", "last"]) yield* send(id)
          yield* Deferred.await(done)
          assert.deepStrictEqual([calls, lines, attached()], [["mail:1", "mail:2"], [], 0])
        })
      ))
  })

  describe("fromEventEmitter", () => {
    class Tenant extends Context.Service<Tenant, string>()("test/Tenant") {}

    it.effect("gives the hook all arguments, and the services of where it was attached", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter<{ order: [id: string, urgent: boolean] }>()
          yield* Bridge.fromEventEmitter(
            emitter,
            "order",
            (id: string, urgent: boolean) => Effect.flatMap(Tenant, (tenant) => mail(`${tenant}-${id}-${urgent}`))
          ).pipe(Effect.provideService(Tenant, "acme"))
          emitter.emit("order", "1", true)
          yield* close
          assert.deepStrictEqual(calls, ["mail:acme-1-true"])
        })
      ))

    it.effect("takes a symbol for a name, and works outside any fiber", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          const name = Symbol("placed")
          yield* Bridge.fromEventEmitter(emitter, name, (id: string) => id === "bad" ? Effect.fail("no") : mail(id))
          yield* Effect.promise(() => Promise.resolve().then(() => ["1", "bad"].map((id) => emitter.emit(name, id))))
          yield* close
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.deepStrictEqual(lines, [failure("placed")])
        })
      ))

    it.effect("runs nothing of a message while its emitter emits", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => mail(id))
          yield* settle
          emitter.emit("order", "1")
          assert.deepStrictEqual(calls, [])
          yield* close
          assert.deepStrictEqual(calls, ["mail:1"])
        })
      ))

    it.effect("a message may emit on its own emitter", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "order", (n: number) =>
            Effect.andThen(
              Effect.sync(() => {
                if (n < 3) emitter.emit("order", n + 1)
              }),
              mail(String(n))
            ))
          emitter.emit("order", 1)
          yield* settle
          assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:3"])
          yield* close
        })
      ))

    it.effect("an \"error\" event is a message like any other", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "error", (error: Error) => mail(error.message))
          emitter.emit("error", new Error("1"))
          yield* close
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.throws(() => emitter.emit("error", new Error("2")), "2")
        })
      ))

    it.effect("drops what finds no room, and says how many, once at a time", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const gate = yield* Latch.make()
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => Effect.andThen(gate.await, mail(id)), {
            capacity: 2
          })
          yield* settle
          const flood = (from: number, to: number) => numbers(from, to).forEach((id) => emitter.emit("order", id))
          const dropped = (count: string) =>
            `ERROR Bridge "order" has dropped ${count}: 2 were waiting already. Raise capacity or concurrency.`
          flood(1, 1)
          yield* settle
          flood(2, 1000)
          yield* settle
          assert.deepStrictEqual(setup.lines, [dropped("997 messages")])
          flood(1001, 2000)
          yield* settle
          flood(2001, 2001)
          yield* TestClock.adjust("9 seconds")
          assert.strictEqual(setup.lines.length, 1)
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(setup.lines.slice(1), [dropped("1001 messages")])
          flood(2002, 2002)
          yield* gate.open
          yield* setup.close
          assert.deepStrictEqual(setup.lines.slice(2), [dropped("1 message")])
          assert.deepStrictEqual(setup.calls, ["mail:1", "mail:2", "mail:3"])
        })
      ))

    it.effect("says what it was given too late", () =>
      bridging(({ calls, close, lines, scope }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          const run = Effect.runForkWith(yield* Effect.context())
          emitter.on("order", (id: string) => {
            // The listeners of this emission are called to the end, though the bridge removes its own here.
            if (id === "2") run(Scope.close(scope, Exit.void))
          })
          yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => mail(id))
          emitter.emit("order", "1")
          emitter.emit("order", "2")
          yield* close
          yield* settle
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.deepStrictEqual(lines, [
            "ERROR Bridge \"order\" was given 1 message when its scope was closed already, and dropped what it was given."
          ])
        })
      ))

    it.effect("is closed during a flood, and counts what it loses", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          let begun = 0
          yield* Bridge.fromEventEmitter(
            emitter,
            "order",
            (n: number) => Effect.suspend(() => ++begun > 10 ? Effect.never : mail(String(n))),
            { grace: "1 second", concurrency: 5 }
          )
          for (let n = 1; n <= 100_000; n++) emitter.emit("order", n)
          yield* closeWithin(setup, "1 second")
          assert.deepStrictEqual(setup.calls, numbers(1, 10).map((id) => `mail:${id}`))
          assert.strictEqual(begun, 15)
          assert.strictEqual(setup.lines.length, 1)
          assert.include(setup.lines[0], "finish 99990 messages")
          assert.strictEqual(emitter.listenerCount("order"), 0)
        })
      ))

    it.effect("handles a flood of 100,000, in order", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          let next = 0
          yield* Bridge.fromEventEmitter(emitter, "order", (n: number) =>
            Effect.sync(() => {
              if (n === next) next++
            }))
          for (let n = 0; n < 100_000; n++) emitter.emit("order", n)
          yield* setup.close
          assert.strictEqual(next, 100_000)
          assert.deepStrictEqual(setup.lines.filter((line) => line.startsWith("ERROR")), [])
        })
      ))

    it.effect("unbounded is unbounded", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const gate = yield* Latch.make()
          let running = 0
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(
            emitter,
            "order",
            (id: string) => Effect.andThen(Effect.andThen(Effect.sync(() => running++), gate.await), mail(id)),
            { concurrency: "unbounded" }
          )
          for (const id of numbers(1, 500)) emitter.emit("order", id)
          yield* settle
          assert.strictEqual(running, 500)
          yield* gate.open
          yield* close
          assert.strictEqual(calls.length, 500)
        })
      ))

    it.effect("a release that has begun is finished, and not counted as lost", () =>
      Effect.gen(function*() {
        const { layer: logger, lines } = logs()
        const started = yield* Latch.make()
        const gate = yield* Latch.make()
        const handled: Array<string> = []
        const layer = SideEffects.LiveLayer(SideEffectGroup.make("pings").add(Ping)).pipe(
          Layer.provide(Ping.toLayer(() =>
            started.open.pipe(
              Effect.andThen(gate.await),
              Effect.andThen(Effect.sync(() => handled.push("ping")))
            )
          )),
          Layer.provideMerge(logger)
        )
        const scope = Scope.makeUnsafe()
        const emitter = new EventEmitter()
        yield* Effect.gen(function*() {
          const ping = () => SideEffects.enqueue(Ping)
          yield* Scope.provide(Bridge.fromEventEmitter(emitter, "order", ping, { grace: 0 }), scope)
          emitter.emit("order")
          yield* started.await
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* settle
          yield* gate.open
          yield* Fiber.join(closing)
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual([handled, lines], [["ping"], []])
      }))

    it.effect("each message has a scope of its own", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => Effect.addFinalizer(() => mail(id)))
          emitter.emit("order", "1")
          yield* settle
          assert.deepStrictEqual(calls, ["mail:1"])
          yield* close
        })
      ))

    it.effect("survives an emitter that fails to detach", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const listeners: Array<(id: string) => void> = []
          const emitter = {
            on: (_: string, listener: (id: string) => void) => listeners.push(listener),
            off: () => {
              throw new Error("off is broken")
            }
          }
          yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => mail(id))
          listeners[0]!("1")
          yield* close
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.deepStrictEqual(lines, ["ERROR Bridge \"order\" could not detach from its source."])
          for (const id of numbers(2, 100)) listeners[0]!(id)
          yield* settle
          assert.strictEqual(lines.length, 2)
          assert.include(lines[1], "was given 99 messages when its scope was closed already")
        })
      ))

    it.effect("in a scope that is closed it is closed at once", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          yield* close
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => mail(id))
          assert.strictEqual(emitter.listenerCount("order"), 0)
          assert.deepStrictEqual(calls, [])
        })
      ))

    it.effect("lives on when the fiber that attached it is interrupted", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          const fiber = yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => mail(id)).pipe(
            Effect.andThen(Effect.never),
            Effect.forkChild({ startImmediately: true })
          )
          yield* Fiber.interrupt(fiber)
          emitter.emit("order", "1")
          yield* close
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.strictEqual(emitter.listenerCount("order"), 0)
        })
      ))

    it.effect("waits for the grace period in a scope that closes everything at once, too", () =>
      bridging(({ calls, lines }) =>
        Effect.gen(function*() {
          const scope = Scope.makeUnsafe("parallel")
          const emitter = new EventEmitter()
          yield* Scope.provide(
            Bridge.fromEventEmitter(
              emitter,
              "order",
              (id: string) => Effect.andThen(Effect.sleep("1 second"), mail(id))
            ),
            scope
          )
          emitter.emit("order", "1")
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* settle
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(closing)
          assert.deepStrictEqual([calls, lines], [["mail:1"], []])
        })
      ))

    it.effect("a hook that returns no effect is told so", () =>
      bridging(({ close, lines }) =>
        Effect.gen(function*() {
          const emitter = new EventEmitter()
          yield* Bridge.fromEventEmitter(emitter, "order", (() => Promise.resolve()) as any)
          emitter.emit("order")
          yield* close
          assert.deepStrictEqual(lines, [failure("order")])
        })
      ))

    it("refuses what cannot be right", () => {
      const emitter = new EventEmitter()
      const hook = () => undefined
      assert.throws(
        () => Bridge.fromEventEmitter(emitter, "order", hook, { concurrency: 0 }),
        "Bridge.fromEventEmitter was given concurrency: 0. It takes a whole number, 1 or more."
      )
      assert.throws(() => Bridge.fromEventEmitter(emitter, "order", hook, { capacity: 0.5 }), /capacity: 0.5/)
      assert.throws(
        () => Bridge.fromEventEmitter(new EventTarget() as any, "order", hook),
        "Bridge.fromEventEmitter was given a value of EventTarget. It takes an emitter, with the methods on and off. For " +
          "an EventTarget there is Bridge.fromEventTarget."
      )
      assert.throws(
        () => Bridge.fromEventEmitter(emitter, "order", undefined as any),
        /given undefined. It takes a func/
      )
      assert.throws(() => Bridge.fromEventTarget(emitter as any, "order", hook), /given a value of EventEmitter/)
      assert.throws(() => Bridge.fromPubSub(null as any, hook), "Bridge.fromPubSub was given null. It takes a PubSub.")
      assert.throws(
        () => Bridge.fromStream("a" as any, hook),
        "Bridge.fromStream was given a string. It takes a Stream."
      )
      assert.throws(
        () => Bridge.fromAsyncIterable([] as any, hook),
        /given a value of Array. It takes an async iterable/
      )
    })
  })

  describe("fromPubSub", () => {
    it.effect("slows publishers down", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const gate = yield* Latch.make()
          const pubsub = yield* PubSub.bounded<string>(2)
          yield* Bridge.fromPubSub(pubsub, (id) => Effect.andThen(gate.await, mail(id)))
          const publishing = yield* Effect.forkChild(
            Effect.forEach(numbers(1, 5), (id) => PubSub.publish(pubsub, id), { discard: true })
          )
          yield* settle
          assert.strictEqual(publishing.pollUnsafe(), undefined)
          assert.strictEqual(PubSub.sizeUnsafe(pubsub), 2)
          yield* gate.open
          yield* Fiber.join(publishing)
          yield* close
          assert.deepStrictEqual(calls, numbers(1, 5).map((id) => `mail:${id}`))
        })
      ))

    it.effect("closing finishes what was published, and does not accept what waits for room", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const pubsub = yield* PubSub.bounded<string>(2)
          yield* Bridge.fromPubSub(pubsub, (id) => Effect.andThen(Effect.sleep(100), mail(id)))
          yield* settle
          let published = 0
          const full = yield* Latch.make()
          const publishing = yield* Effect.forkChild(
            Effect.forever(Effect.andThen(
              PubSub.publish(pubsub, "1"),
              Effect.sync(() => ++published === 3 ? full.openUnsafe() : false)
            ))
          )
          yield* full.await
          const closing = yield* Effect.forkChild(setup.close, { startImmediately: true })
          for (const _ of numbers(1, 3)) {
            yield* TestClock.adjust(100)
          }
          yield* Fiber.join(closing)
          assert.deepStrictEqual([setup.calls, setup.lines], [["mail:1", "mail:1", "mail:1"], []])
          yield* Fiber.interrupt(publishing)
        })
      ))

    it.effect("replays, and takes the last message of an ended PubSub once", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const pubsub = yield* PubSub.unbounded<string>({ replay: 2 })
          yield* PubSub.publishAll(pubsub, numbers(1, 3))
          yield* Bridge.fromPubSub(pubsub, mail)
          yield* settle
          yield* PubSub.publish(pubsub, "4")
          yield* PubSub.end(pubsub, "end")
          yield* settle
          yield* close
          assert.deepStrictEqual(calls, ["mail:2", "mail:3", "mail:4", "mail:end"])
          assert.deepStrictEqual(lines, [])
        })
      ))

    it.effect("takes the last message also when it is closed before its turn", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const pubsub = yield* PubSub.unbounded<string>({ replay: 1 })
          yield* PubSub.publish(pubsub, "0")
          yield* Bridge.fromPubSub(pubsub, mail)
          yield* PubSub.publish(pubsub, "1")
          yield* PubSub.end(pubsub, "1")
          yield* close
          assert.deepStrictEqual(calls, ["mail:0", "mail:1", "mail:1"])
        })
      ))

    it.effect("ends quietly when its PubSub is shut down, and says so when that may have lost something", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const quiet = yield* PubSub.unbounded<string>()
          yield* Bridge.fromPubSub(quiet, mail, { name: "quiet" })
          yield* settle
          yield* PubSub.shutdown(quiet)
          const busy = yield* PubSub.unbounded<string>()
          const gate = yield* Latch.make()
          yield* Bridge.fromPubSub(busy, (id) => Effect.andThen(gate.await, mail(id)), { name: "busy" })
          yield* PubSub.publishAll(busy, ["1", "2"])
          yield* settle
          yield* PubSub.shutdown(busy)
          const closing = yield* Effect.forkChild(close, { startImmediately: true })
          yield* gate.open
          yield* Fiber.join(closing)
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.deepStrictEqual(lines, [
            "ERROR The PubSub of Bridge \"busy\" was shut down while the bridge was at work. Messages that were waiting " +
            "in it are lost. Close the bridge first, or use PubSub.end."
          ])
        })
      ))

    it.effect("a message may publish to its own PubSub", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const pubsub = yield* PubSub.unbounded<number>()
          yield* Bridge.fromPubSub(
            pubsub,
            (n) => Effect.andThen(n < 3 ? PubSub.publish(pubsub, n + 1) : Effect.void, mail(String(n)))
          )
          yield* PubSub.publish(pubsub, 1)
          yield* settle
          yield* close
          assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:3"])
        })
      ))
  })

  describe("fromStream", () => {
    it.effect("ends quietly with the stream, and closes it then", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const closed = yield* Deferred.make<void>()
          yield* Bridge.fromStream(
            Stream.make("1", "2", "3").pipe(Stream.ensuring(Deferred.succeed(closed, undefined))),
            mail
          )
          yield* Deferred.await(closed)
          assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:3"])
          yield* close
          assert.deepStrictEqual(lines, [])
        })
      ))

    it.effect("logs that the stream failed, and finishes what had been pulled", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const stream = Stream.concat(Stream.make("1", "2"), Stream.fail(new Broken({ id: "stream" })))
          yield* Bridge.fromStream(stream, (id) => Effect.andThen(Effect.sleep(100), mail(id)), {
            name: "orders",
            concurrency: 3
          })
          yield* settle
          assert.deepStrictEqual(setup.lines, [
            "ERROR Bridge \"orders\" has ended, as its source failed. The messages it had accepted are finished."
          ])
          yield* TestClock.adjust(100)
          assert.deepStrictEqual(setup.calls, ["mail:1", "mail:2"])
          yield* setup.close
        })
      ))

    it.effect("pulls only when there is a place", () =>
      bridging(({ calls, close }) =>
        Effect.gen(function*() {
          const gate = yield* Latch.make()
          let pulled = 0
          const stream = Stream.fromIterable(numbers(1, 10)).pipe(
            Stream.rechunk(1),
            Stream.tap(() => Effect.sync(() => pulled++))
          )
          yield* Bridge.fromStream(stream, (id) => Effect.andThen(gate.await, mail(id)), { concurrency: 2 })
          yield* settle
          assert.strictEqual(pulled, 2)
          yield* gate.open
          yield* settle
          assert.strictEqual(calls.length, 10)
          yield* close
        })
      ))

    it.effect("what was pulled in one chunk is finished, with the stream still open", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          let open = true
          const seen: Array<boolean> = []
          const stream = Stream.concat(Stream.make("1", "2", "3"), Stream.never).pipe(
            Stream.ensuring(Effect.sync(() => open = false))
          )
          yield* Bridge.fromStream(stream, () => Effect.andThen(Effect.sleep(100), Effect.sync(() => seen.push(open))))
          yield* settle
          const closing = yield* Effect.forkChild(setup.close, { startImmediately: true })
          for (const _ of numbers(1, 3)) yield* TestClock.adjust(100)
          yield* Fiber.join(closing)
          assert.deepStrictEqual([seen, open, setup.lines], [[true, true, true], false, []])
        })
      ))

    it.effect("is interrupted while it begins", () =>
      bridging(({ close, lines }) =>
        Effect.gen(function*() {
          yield* Bridge.fromStream(Stream.unwrap(Effect.never), () => Effect.void)
          yield* settle
          yield* close
          assert.deepStrictEqual(lines, [])
        })
      ))

    it.effect("does not wait forever for a stream that does not close", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          yield* Bridge.fromStream(Stream.ensuring(Stream.never, Effect.never), () => Effect.void, {
            grace: "1 second"
          })
          yield* settle
          yield* closeWithin(setup, "6 seconds")
          assert.deepStrictEqual(setup.lines, [
            "ERROR Bridge \"stream\" has stopped waiting for its source, which does not close."
          ])
        })
      ))
  })

  describe("fromAsyncIterable", () => {
    it.effect("runs an async generator to its end", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const closed = yield* Deferred.make<void>()
          async function* orders() {
            yield "1"
            yield "2"
            Deferred.doneUnsafe(closed, Exit.void)
          }
          yield* Bridge.fromAsyncIterable(orders(), mail)
          yield* Deferred.await(closed)
          yield* settle
          assert.deepStrictEqual(calls, ["mail:1", "mail:2"])
          yield* close
          assert.deepStrictEqual(lines, [])
        })
      ))

    it.effect("closes an async generator that is between two messages", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          const started = yield* Latch.make()
          const gate = yield* Latch.make()
          let cleaned = false
          async function* orders() {
            try {
              yield "1"
              yield "2"
            } finally {
              cleaned = true
            }
          }
          yield* Bridge.fromAsyncIterable(orders(), (id) =>
            Effect.andThen(Effect.andThen(started.open, gate.await), mail(id)))
          yield* started.await
          const closing = yield* Effect.forkChild(close, { startImmediately: true })
          yield* settle
          yield* gate.open
          yield* Fiber.join(closing)
          assert.deepStrictEqual([calls, lines, cleaned], [["mail:1"], [], true])
        })
      ))

    it.effect("a next that never resolves does not hold up closing, and what it gives later is not lost silently", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          let returned = 0
          let give: (result: IteratorResult<string>) => void = () => {}
          yield* Bridge.fromAsyncIterable(
            {
              [Symbol.asyncIterator]: () => ({
                next: () => new Promise<IteratorResult<string>>((resolve) => give = resolve),
                return: () => {
                  returned++
                  return new Promise<IteratorResult<string>>(() => {})
                }
              })
            },
            mail,
            { name: "orders" }
          )
          yield* settle
          yield* close
          assert.deepStrictEqual([calls, lines, returned], [[], [], 1])
          give({ value: "late" })
          yield* settle
          assert.deepStrictEqual(lines, [
            "ERROR Bridge \"orders\" was given 1 message when its scope was closed already, and dropped what it was given."
          ])
        })
      ))

    it.effect("does not wait forever for a return that never resolves, and survives one that throws", () =>
      bridging((setup) =>
        Effect.gen(function*() {
          const broken = (name: string, end: () => any) =>
            Bridge.fromAsyncIterable(
              {
                [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ value: name }), return: end })
              },
              () => Effect.never,
              { name, grace: "1 second" }
            )
          yield* broken("hangs", () => new Promise(() => {}))
          yield* broken("throws", () => {
            throw new Error("return is broken")
          })
          yield* settle
          const closing = yield* Effect.forkChild(setup.close, { startImmediately: true })
          for (const _ of numbers(1, 8)) yield* TestClock.adjust("1 second")
          yield* Fiber.join(closing)
          const about = (name: string) =>
            setup.lines.filter((line) => line.includes(name)).map((line) => line.slice(line.indexOf("\" ") + 2, -1))
          assert.strictEqual(about("throws")[0], "could not close its source")
          assert.include(about("throws")[1], "finish 1 message, which are lost")
          assert.strictEqual(about("hangs")[0], "has stopped waiting for its source, which does not close")
          assert.include(about("hangs")[1], "finish 1 message")
        })
      ))

    it.effect("logs that the iterable failed", () =>
      bridging(({ calls, close, lines }) =>
        Effect.gen(function*() {
          async function* orders() {
            yield "1"
            throw new Error("connection lost")
          }
          yield* Bridge.fromAsyncIterable(orders(), mail, { name: "orders" })
          yield* settle
          yield* settle
          assert.deepStrictEqual(calls, ["mail:1"])
          assert.deepStrictEqual(lines, [
            "ERROR Bridge \"orders\" has ended, as its source failed. The messages it had accepted are finished."
          ])
          yield* close
        })
      ))
  })

  it.effect("says that side effects had left when the boundary dies after its release", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop({ onDispatchError: "die" })
      const { layer: logger, lines } = logs()
      const emitter = new EventEmitter()
      yield* Effect.gen(function*() {
        yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => Effect.andThen(mail(id), push(id)))
        emitter.emit("order", "bad")
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(layer, logger)))
      assert.deepStrictEqual(calls, ["mail:bad", "push:bad"])
      assert.include(lines[0], "Its side effects had been released before; the bridge goes on")
    }))

  it.effect("keeps to the layer in place", () =>
    Effect.gen(function*() {
      const { layer: logger, lines } = logs()
      const emitter = new EventEmitter()
      yield* Effect.gen(function*() {
        yield* Bridge.fromEventEmitter(emitter, "order", (id: string) => mail(id))
        emitter.emit("order", "1")
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(SideEffects.DropLayer, logger)))
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /^INFO DropLayer dropped .*: orders:mail:send ×1/)
    }))
})
