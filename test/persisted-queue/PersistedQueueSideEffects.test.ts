import { assert, describe, it } from "@effect/vitest"
import { Decision, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import type { Engine, Job } from "effect-side-effects/engine"
import { PersistedQueueSideEffects } from "effect-side-effects/persisted-queue"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Broken, logs } from "../fixtures.ts"

class Task extends SideEffect.make("queue:task", {
  description: "Do something.",
  payload: { what: Schema.String }
}) {}

class Slow extends SideEffect.make("queue:slow", {
  description: "Do something that takes time.",
  payload: { what: Schema.String },
  defaults: { queue: "slow" }
}) {}

const Tasks = SideEffectGroup.make("tasks").add(Task)

interface Call {
  readonly what: string
  readonly attempt: number
  readonly key: string
}

type Behaviour = (what: string, attempt: number) => Effect.Effect<void, Broken>

/** A worker whose handler tells each call, and then does as it is told. */
const working = (options?: PersistedQueueSideEffects.WorkerOptions & { readonly behaviour?: Behaviour }) => {
  const calls = Effect.runSync(Queue.make<Call>())
  const { behaviour = () => Effect.void, ...rest } = options ?? {}
  const layer = PersistedQueueSideEffects.layerWorker(Tasks, rest).pipe(
    Layer.provide(
      Task.toLayer(({ what }, { attempt, idempotencyKey: key }) =>
        Effect.andThen(Queue.offer(calls, { what, attempt, key }), behaviour(what, attempt))
      )
    )
  )
  return { calls, layer }
}

const Writing = SideEffects.LiveLayer(Tasks, { dispatcher: PersistedQueueSideEffects.dispatcher() })

const task = (what: string, options?: { readonly delay?: "1 minute"; readonly key?: string }) =>
  SideEffects.boundary(SideEffects.enqueue(Task, { what }, options))

const failing = (times: number): Behaviour => (what, attempt) =>
  attempt <= times ? Effect.fail(new Broken({ id: what })) : Effect.void

interface End {
  readonly id: string
  readonly exit: Exit.Exit<unknown, unknown>
  readonly failed: boolean
}

type Offer = Parameters<PersistedQueue.PersistedQueueStore["Service"]["offer"]>[0]

/** A store that gives what a test puts in, and shows what it is asked for. */
const scripted = (refusals: { offers?: number; takes?: number } = {}) => {
  const items = Effect.runSync(Queue.make<{ id: string; attempts: number; element: unknown }>())
  const offers = Effect.runSync(Queue.make<Offer>())
  const ends = Effect.runSync(Queue.make<End>())
  const order: Array<string> = []
  const refused = new PersistedQueue.PersistedQueueError({ message: "out of order" })
  const layer = Layer.succeed(PersistedQueue.PersistedQueueStore, {
    offer: (offer) =>
      Effect.suspend(() => {
        if ((refusals.offers ?? 0) > 0) {
          refusals.offers!--
          return Effect.fail(refused)
        }
        order.push(`offer ${offer.id}`)
        return Effect.asVoid(Queue.offer(offers, offer))
      }),
    take: (options) =>
      Effect.suspend(() => {
        if ((refusals.takes ?? 0) > 0) {
          refusals.takes!--
          return Effect.fail(refused)
        }
        return Effect.tap(Queue.take(items), ({ attempts, id }) =>
          Effect.addFinalizer((exit) => {
            order.push(`end ${id}`)
            const failed = Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) &&
              attempts >= options.maxAttempts
            return Effect.asVoid(Queue.offer(ends, { id, exit, failed }))
          }))
      }),
    cleanup: () => Effect.void
  })
  return { items, offers, ends, order, layer }
}

const job = (what: string, rest?: Partial<Job.Job>): Job.Job => ({
  id: what,
  name: "queue:task",
  queue: "default",
  priority: 0,
  payload: { what },
  delay: 0,
  createdAt: 0,
  ...rest
})

describe("PersistedQueueSideEffects in memory", () => {
  it.effect("performs with the key, and without one with the id", () => {
    const { calls, layer } = working()
    return Effect.gen(function*() {
      yield* task("one", { key: "K" })
      assert.deepStrictEqual(yield* Queue.take(calls), { what: "one", attempt: 1, key: "K" })
      const { id } = yield* task("two")
      assert.deepStrictEqual(yield* Queue.take(calls), { what: "two", attempt: 1, key: id })
    }).pipe(Effect.provide(Layer.merge(Writing, layer).pipe(Layer.provide(PersistedQueue.layerStoreMemory))))
  })

  it.effect("waits for a delay, and for the pauses of a schedule", () => {
    const { calls, layer } = working({ behaviour: failing(2), retry: Schedule.exponential("10 seconds") })
    return Effect.gen(function*() {
      yield* task("late", { delay: "1 minute" })
      const attempts = () => Effect.map(Queue.clear(calls), (all) => all.map(({ attempt }) => attempt))
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* attempts(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* attempts(), [1])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* attempts(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* attempts(), [2])
      yield* TestClock.adjust("19 seconds")
      assert.deepStrictEqual(yield* attempts(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* attempts(), [3])
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* attempts(), [])
    }).pipe(Effect.provide(Layer.merge(Writing, layer).pipe(Layer.provide(PersistedQueue.layerStoreMemory))))
  })

  it.effect("what is handed over again is there once, also when it was performed meanwhile", () => {
    const { calls, layer } = working()
    return Effect.gen(function*() {
      const connection = yield* connect
      yield* connection.handOver([job("one"), job("one")])
      assert.strictEqual((yield* Queue.take(calls)).what, "one")
      yield* connection.handOver([job("one"), job("two")])
      assert.strictEqual((yield* Queue.take(calls)).what, "two")
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* Queue.size(calls), 0)
    }).pipe(Effect.provide(Layer.provideMerge(layer, PersistedQueue.layerStoreMemory)), Effect.scoped)
  })

  it.effect("performs `concurrency` in all, from however many queues", () => {
    let running = 0
    let most = 0
    const go = Latch.makeUnsafe()
    const begun = Effect.runSync(Queue.make<string>())
    const handle = ({ what }: { readonly what: string }) =>
      Effect.gen(function*() {
        most = Math.max(most, ++running)
        yield* Queue.offer(begun, what)
        yield* go.await
        running--
      })
    const Both = SideEffectGroup.make("both").add(Task, Slow)
    const Worker = PersistedQueueSideEffects.layerWorker(Both, { concurrency: 2 }).pipe(
      Layer.provide(Both.toLayer({ "queue:task": handle, "queue:slow": handle }))
    )
    const Live = SideEffects.LiveLayer(Both, { dispatcher: PersistedQueueSideEffects.dispatcher() })
    return Effect.gen(function*() {
      yield* SideEffects.boundary(Effect.forEach(
        ["1", "2", "3"],
        (what) => Effect.andThen(SideEffects.enqueue(Task, { what }), SideEffects.enqueue(Slow, { what }))
      ))
      yield* Queue.takeN(begun, 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Queue.size(begun), 0)
      go.openUnsafe()
      yield* Queue.takeN(begun, 4)
      assert.strictEqual(most, 2)
    }).pipe(Effect.provide(Layer.merge(Live, Worker).pipe(Layer.provide(PersistedQueue.layerStoreMemory))))
  })

  it.effect("closing hands back what it interrupts, with the attempt it was", () => {
    const hanging = working({ behaviour: () => Effect.never, gracePeriod: "1 second" })
    const next = working()
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.provide(Layer.build(hanging.layer), scope)
      yield* task("one")
      yield* task("two")
      yield* Queue.takeN(hanging.calls, 2)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      yield* Layer.build(next.layer)
      const calls = yield* Queue.takeN(next.calls, 2)
      assert.deepStrictEqual(calls.map(({ attempt, what }) => `${what} ${attempt}`).sort(), ["one 1", "two 1"])
    }).pipe(
      Effect.provide(Layer.provideMerge(Writing, PersistedQueue.layerStoreMemory)),
      Effect.scoped
    )
  })

  it.effect("closing does not wait for what may come", () => {
    const { layer } = working({ queues: ["default", "a", "b"] })
    // Time enough to ask for something.
    return Effect.andThen(Layer.build(layer), TestClock.adjust("1 second")).pipe(
      Effect.scoped,
      Effect.provide(PersistedQueue.layerStoreMemory)
    )
  })

  it.effect("refuses a priority, a delay without end, and names that the store uses itself", () =>
    Effect.gen(function*() {
      const refused = (options: object) =>
        Effect.map(
          Effect.exit(SideEffects.boundary(SideEffects.enqueue(Task, { what: "it" }, options))),
          (exit) => Exit.isFailure(exit) ? (Cause.squash(exit.cause) as Engine.UnsupportedOption).message : "taken"
        )
      assert.match(yield* refused({ priority: 1 }), /"queue:task" was enqueued with priority 1, .* has no priorities/)
      assert.match(yield* refused({ delay: Infinity }), /nothing waits for ever/)
      assert.match(yield* refused({ queue: "elsewhere" }), /no worker of persisted-queue would look there/)
      assert.throws(() => PersistedQueueSideEffects.dispatcher({ queues: ["mail:failed"] }), /has lists of its own/)
      assert.throws(() => PersistedQueueSideEffects.dispatcher({ queue: "mail", queues: ["mail"] }), /told no queue/)
      assert.throws(() => PersistedQueueSideEffects.dispatcher({ queue: "q".repeat(256) }), /up to 255 characters/)
    }).pipe(Effect.provide(Layer.provideMerge(Writing, PersistedQueue.layerStoreMemory))))
})

const connect = Effect.gen(function*() {
  const dispatcher = PersistedQueueSideEffects.dispatcher()
  return yield* dispatcher["~effect-side-effects/Engine"].connect
})

describe("what PersistedQueueSideEffects asks of a store", () => {
  it.effect("an element is the job, and its id that of the intent", () => {
    const store = scripted()
    return Effect.gen(function*() {
      const intent = yield* task("one", { key: "K" })
      const { element, ...offer } = yield* Queue.take(store.offers)
      assert.deepStrictEqual(offer, { name: "side-effects", id: intent.id, isCustomId: true, delay: undefined })
      const { createdAt: _, trace: __, ...stored } = JSON.parse(JSON.stringify(element))
      assert.deepStrictEqual(stored, {
        id: intent.id,
        name: "queue:task",
        queue: "default",
        priority: 0,
        payload: { what: "one" },
        delay: 0,
        key: "K"
      })
      assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
    }).pipe(Effect.provide(Layer.provideMerge(Writing, store.layer)))
  })

  it.effect("a retry is a new element that knows all, offered before the one before is completed", () => {
    const store = scripted()
    const { calls, layer } = working({ behaviour: failing(9), retry: Schedule.spaced("1 minute") })
    return Effect.gen(function*() {
      yield* TestClock.setTime(1000)
      // Two processes were lost with it.
      yield* Queue.offer(store.items, { id: "one", attempts: 3, element: job("one") })
      assert.strictEqual((yield* Queue.take(calls)).attempt, 3)
      const { delay, element, id } = yield* Queue.take(store.offers)
      assert.deepInclude(element as object, {
        id: "one",
        progress: { attempts: 3, failures: 1, failedAt: [1000], crashes: 2 }
      })
      assert.match((element as { readonly error: string }).error, /Broken/)
      assert.strictEqual(id, "one#1")
      assert.strictEqual(Duration.toMillis(delay!), 60_000)
      assert.isTrue(Exit.isSuccess((yield* Queue.take(store.ends)).exit))
      assert.deepStrictEqual(store.order, ["offer one#1", "end one"])

      // A crash between the two gives it once more: what comes after has the same id, so a store has it once.
      yield* Queue.offer(store.items, { id: "one", attempts: 3, element: job("one") })
      assert.strictEqual((yield* Queue.take(store.offers)).id, "one#1")

      yield* TestClock.setTime(61_000)
      yield* Queue.offer(store.items, { id, attempts: 1, element: JSON.parse(JSON.stringify(element)) })
      yield* Queue.take(calls)
      assert.strictEqual((yield* Queue.take(calls)).attempt, 4)
      const third = yield* Queue.take(store.offers)
      assert.strictEqual(third.id, "one#2")
      assert.deepInclude(third.element as object, {
        progress: { attempts: 4, failures: 2, failedAt: [1000, 61_000], crashes: 2 }
      })
    }).pipe(Effect.provide(Layer.provideMerge(layer, store.layer)))
  })

  it.effect("what was snoozed comes as a new element with the progress it had", () => {
    const store = scripted()
    const { layer } = working({ behaviour: () => SideEffect.snooze("1 hour") })
    const progress = { attempts: 1, failures: 1, failedAt: [7], crashes: 0 }
    return Effect.gen(function*() {
      yield* Queue.offer(store.items, { id: "one#1", attempts: 1, element: job("one", { progress }) })
      const { element, id } = yield* Queue.take(store.offers)
      assert.strictEqual(id, "one#2")
      assert.deepInclude(element as object, { delay: 3_600_000, progress })
    }).pipe(Effect.provide(Layer.provideMerge(layer, store.layer)))
  })

  it.effect("what is dead is failed, with the reason and the error", () => {
    const store = scripted()
    const { layer } = working({
      behaviour: (what) => what === "no" ? SideEffect.cancel("not wanted") : Effect.fail(new Broken({ id: what })),
      retry: Schedule.recurs(0),
      maxCrashes: 2
    })
    const dead = (id: string, attempts: number, element: unknown) =>
      Effect.gen(function*() {
        yield* Queue.offer(store.items, { id, attempts, element })
        const { exit, failed } = yield* Queue.take(store.ends)
        assert.isTrue(failed)
        return Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "alive"
      })
    return Effect.gen(function*() {
      assert.match(yield* dead("1", 1, job("bad")), /^exhausted: Broken/)
      assert.match(yield* dead("2", 1, job("no")), /^cancelled: cancelled: not wanted$/)
      assert.match(yield* dead("3", 1, job("x", { payload: 1 })), /^undecodable: The payload does not fit/)
      assert.match(yield* dead("4", 3, job("killer")), /^crashed: 2 processes/)
      assert.match(
        yield* dead("5", 1, { a: "stranger" }),
        /^undecodable: In queue "side-effects" is something that is no/
      )
      assert.match(yield* dead("6", 1, null), /^undecodable: /)
      // All the rest goes on.
      yield* Queue.offer(store.items, { id: "7", attempts: 1, element: job("bad", { name: "nobody" }) })
      assert.strictEqual((yield* Queue.take(store.offers)).id, "7#1")
      assert.strictEqual(yield* Queue.size(store.offers), 0)
    }).pipe(Effect.provide(Layer.provideMerge(layer, store.layer)))
  })

  it.effect("a store that does not answer is asked again, and says so once each time", () => {
    const store = scripted({ takes: 9, offers: 2 })
    const { lines, layer: Logged } = logs()
    const { calls, layer } = working({ behaviour: failing(1), concurrency: 2 })
    return Effect.gen(function*() {
      yield* Queue.offer(store.items, { id: "one", attempts: 1, element: job("one") })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Queue.take(calls)).what, "one")
      assert.strictEqual((yield* Queue.take(store.offers)).id, "one#1")
      const all = lines.filter((line) => line.includes("out of order"))
      assert.isAtMost(all.length, 7)
      assert.match(all[0]!, /^ERROR PersistedQueueSideEffects.layerWorker could not take from queue "side-effects"/)
      assert.match(all.at(-1)!, /could not put side effect "queue:task" \(intent one\) back, and tries again/)
    }).pipe(Effect.provide(Layer.provideMerge(layer, Layer.merge(store.layer, Logged))))
  })

  it.effect("a batch that the store does not take is the failure of the boundary", () => {
    const store = scripted({ offers: 1 })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(task("one"))
      assert.isTrue(Exit.isFailure(exit) && /out of order/.test(Cause.pretty(exit.cause)))
    }).pipe(Effect.provide(Layer.provideMerge(Writing, store.layer)))
  })

  it.effect("closing ends, also where the store never answers", () => {
    const store = scripted({ offers: Infinity })
    const { calls, layer } = working({ behaviour: failing(9) })
    const reached = Deferred.makeUnsafe<void>()
    return Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Scope.provide(Layer.build(layer), scope)
      yield* Queue.offer(store.items, { id: "one", attempts: 1, element: job("one") })
      yield* Queue.take(calls)
      yield* Effect.forkChild(Effect.andThen(Scope.close(scope, Exit.void), Deferred.succeed(reached, undefined)))
      yield* TestClock.adjust("30 seconds")
      yield* Deferred.await(reached)
      // It is handed back.
      const { exit } = yield* Queue.take(store.ends)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    }).pipe(Effect.provide(Layer.merge(store.layer, logs().layer)))
  })
})
