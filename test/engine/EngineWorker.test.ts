import { assert, describe, it } from "@effect/vitest"
import { Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Engine, EngineWorker, Job, type Outcome } from "effect-side-effects/engine"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { logs } from "../fixtures.ts"

class NoServer extends Data.TaggedError("NoServer")<{ readonly message: string }> {}

class Mail extends SideEffect.make("shop:mail", {
  description: "Send a mail.",
  payload: { to: Schema.String, secret: Schema.optionalKey(Schema.Redacted(Schema.String)) },
  aliases: ["shop:letter"]
}) {}
class Ping extends SideEffect.make("shop:ping", { description: "Ping." }) {}
const Shop = SideEffectGroup.make("shop").add(Mail, Ping)

/** What handlers enqueue goes here. */
const stub = (handOver: Engine.Connection["handOver"] = () => Effect.void) =>
  Engine.dispatcher({
    name: "stub",
    honours: { delay: true, priority: true, queue: true },
    connect: Effect.succeed({ handOver })
  })

interface Options extends EngineWorker.Options {
  readonly mail?: SideEffect.HandlerOptions<any, any, any> | undefined
  readonly handOver?: Engine.Connection["handOver"] | undefined
  readonly group?: SideEffectGroup.Any | undefined
}

type Handle = (delivery: SideEffect.Delivery) => Effect.Effect<unknown, unknown, any>

const make = (handle: Handle, { group = Shop, handOver, mail, ...options }: Options = {}) =>
  EngineWorker.make("Stub.layerWorker", stub(handOver), group, options).pipe(
    Effect.provide(Layer.merge(
      Mail.toLayer((_, delivery) => handle(delivery as any), mail),
      Ping.toLayer(() => Effect.void)
    ) as Layer.Layer<any>)
  )

let count = 0
const job = (parts: Partial<Job.Job> = {}): Job.Job => ({
  id: `job-${++count}`,
  name: "shop:mail",
  queue: "default",
  priority: 0,
  payload: { to: "a" },
  delay: 0,
  createdAt: 0,
  ...parts
})

const dieMessage = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? String((exit.cause.reasons.find(Cause.isDieReason)?.defect as Error)?.message) : "it succeeded"

/** Whoever can run does, as far as it comes without time passing. */
const quiet = Effect.repeat(Effect.yieldNow, { times: 30 })

const dead = (outcome: Outcome.Outcome): Outcome.Dead => {
  assert.strictEqual(outcome._tag, "Dead")
  return outcome as Outcome.Dead
}

const retried = (outcome: Outcome.Outcome): Outcome.Retry => {
  assert.strictEqual(outcome._tag, "Retry")
  return outcome as Outcome.Retry
}

describe("making one", () => {
  it.effect("dies where a handler is missing, and names it", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(EngineWorker.make("Stub.layerWorker", stub(), Shop))
      assert.match(dieMessage(exit), /^Stub\.layerWorker of group "shop" has no handler for side effect "shop:mail"/)
    }))

  it.effect("dies with a concurrency of none", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(make(() => Effect.void, { concurrency: 0 }))
      assert.match(dieMessage(exit), /Stub\.layerWorker.*concurrency/)
    }))

  it.effect("knows the names, the queues and the concurrency to ask the engine for", () =>
    Effect.gen(function*() {
      const Placed = Event.make("shop:placed", { description: "Placed." })
      const Slow = SideEffect.make("shop:slow", { description: "Slow.", defaults: { queue: "slow" } })
      const group = SideEffectGroup.make("shop").add(Mail, Slow).on(Placed, Ping, undefined, {
        enqueue: { queue: "placed" }
      })
      const worker = yield* Effect.provide(
        make(() => Effect.void, { group }),
        Slow.toLayer(() => Effect.void)
      )
      assert.deepStrictEqual([...worker.names].toSorted(), ["shop:letter", "shop:mail", "shop:ping", "shop:slow"])
      assert.deepStrictEqual([...worker.queues].toSorted(), ["default", "placed", "slow"])
      assert.strictEqual(worker.concurrency, 32)
      const told = yield* make(() => Effect.void, { queues: ["slow"], concurrency: 4 })
      assert.deepStrictEqual([told.queues, told.concurrency], [["slow"], 4])
    }))

  it.effect("says so where its queues look mistyped, and only then", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const Slow = SideEffect.make("shop:slow", { description: "Slow.", defaults: { queue: "slow" } })
      const group = SideEffectGroup.make("shop").add(Mail, Ping, Slow)
      const looking = (...queues: ReadonlyArray<string>) =>
        Effect.provide(make(() => Effect.void, { group, queues }), Slow.toLayer(() => Effect.void))
      yield* looking("default")
      yield* looking("slow", "another")
      assert.deepStrictEqual(lines, [])
      yield* looking("default", "solw")
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /looks into "solw".*not into "slow"/)
    }).pipe(Effect.provide(layer))
  })
})

describe("performing", () => {
  it.effect("gives the handler the intent of the job, and is done when it has succeeded", () =>
    Effect.gen(function*() {
      const seen: Array<SideEffect.Delivery> = []
      const { perform } = yield* make((delivery) => Effect.sync(() => seen.push(delivery)))
      const outcome = yield* perform(job({
        id: "the-id",
        key: "the key",
        queue: "slow",
        priority: 4,
        origin: "POST /orders",
        metadata: { tenant: "acme" },
        trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      }))
      assert.deepStrictEqual(outcome, { _tag: "Done" })
      const [{ attempt, idempotencyKey, intent }] = seen as [SideEffect.Delivery]
      assert.deepStrictEqual([attempt, idempotencyKey], [1, "the key"])
      assert.deepInclude(intent, {
        id: "the-id",
        name: "shop:mail",
        key: "the key",
        queue: "slow",
        priority: 4,
        origin: "POST /orders",
        metadata: { tenant: "acme" },
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      } as any)
    }))

  it.effect("a failure is tried again, with what has happened so far", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(5000)
      const attempts: Array<number> = []
      const { perform } = yield* make(({ attempt }) => {
        attempts.push(attempt)
        return Effect.fail(new NoServer({ message: `attempt ${attempt}` }))
      }, { mail: { retry: Schedule.exponential("1 second"), maxAttempts: 3 } })
      const first = retried(yield* perform(job()))
      assert.deepInclude(first, {
        delay: 1000,
        progress: { attempts: 1, failures: 1, failedAt: [5000], crashes: 0 }
      })
      assert.include(first.error, "attempt 1")
      yield* TestClock.setTime(6000)
      const second = retried(yield* perform(job({ progress: first.progress })))
      assert.deepInclude(second, {
        delay: 2000,
        progress: { attempts: 2, failures: 2, failedAt: [5000, 6000], crashes: 0 }
      })
      const last = dead(yield* perform(job({ progress: second.progress })))
      assert.deepInclude(last, { reason: "exhausted", failed: true })
      assert.deepStrictEqual(attempts, [1, 2, 3])
    }))

  it.effect("what was lost counts as an attempt, and not as a failure", () =>
    Effect.gen(function*() {
      const attempts: Array<number> = []
      const { perform } = yield* make(({ attempt }) => {
        attempts.push(attempt)
        return Effect.fail("no")
      }, { mail: { retry: Schedule.spaced("1 second"), maxAttempts: 2 }, maxCrashes: 3 })
      const { progress } = retried(
        yield* perform(job({ progress: { attempts: 2, failures: 0, failedAt: [], crashes: 2 } }))
      )
      assert.deepStrictEqual(progress, { attempts: 3, failures: 1, failedAt: [0], crashes: 2 })
      assert.deepStrictEqual(attempts, [3])
      const lost = yield* perform(job({ progress: { attempts: 3, failures: 0, failedAt: [], crashes: 3 } }))
      assert.strictEqual(dead(lost).reason, "crashed")
      assert.deepStrictEqual(attempts, [3])
    }))

  it.effect("a snooze leaves its progress alone", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => SideEffect.snooze("90 seconds"))
      assert.deepStrictEqual(yield* perform(job()), { _tag: "Snooze", delay: 90_000 })
    }))

  it.effect("a defect, a cancellation and what does not fit the schema are final", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(
        ({ attempt }) => attempt === 1 ? Effect.die(new Error("a bug")) : SideEffect.cancel("too late"),
        { mail: { retry: Schedule.forever } }
      )
      assert.deepInclude(dead(yield* perform(job())), { reason: "exhausted", failed: true })
      const progress = { attempts: 1, failures: 0, failedAt: [], crashes: 0 }
      const cancelled = dead(yield* perform(job({ progress })))
      assert.deepInclude(cancelled, { reason: "cancelled", failed: false, error: "cancelled: too late" })
      const undecodable = dead(yield* perform(job({ payload: { to: 5 } })))
      assert.deepInclude(undecodable, { reason: "undecodable", failed: false })
      assert.match(undecodable.error, /^The payload does not fit the schema of "shop:mail": .*\["to"\]\n/)
    }))

  it.effect("what does not fit the schema does not tell its secrets", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => Effect.void)
      const { error } = dead(yield* perform(job({ payload: { to: 5, secret: "hunter2" } })))
      assert.notInclude(error, "hunter2")
    }))

  it.effect("the job of an alias is performed", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => Effect.void)
      assert.deepStrictEqual(yield* perform(job({ name: "shop:letter" })), { _tag: "Done" })
    }))

  it.effect("has failed where what the handler enqueued was not accepted", () =>
    Effect.gen(function*() {
      const handed: Array<string> = []
      let fails = true
      const { perform } = yield* make(() => SideEffects.enqueue(Ping), {
        retry: Schedule.spaced("1 second"),
        handOver: (jobs) =>
          fails
            ? Effect.fail(new NoServer({ message: "no server" }))
            : Effect.sync(() => void handed.push(jobs[0]!.name))
      })
      const { error } = retried(yield* perform(job()))
      assert.include(error, "no server")
      fails = false
      assert.deepStrictEqual(yield* perform(job()), { _tag: "Done" })
      assert.deepStrictEqual(handed, ["shop:ping"])
    }))

  it.effect("an unsupported option in a handler is a bug of the handler", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => SideEffects.enqueue(Ping, undefined, { queue: "nowhere" }))
      assert.match(dead(yield* perform(job())).error, /UnsupportedOption/)
    }))

  it.effect("interrupting it does not interrupt the handler", () =>
    Effect.gen(function*() {
      const gate = Latch.makeUnsafe()
      let interrupted = false
      const { perform } = yield* make(() =>
        Effect.onInterrupt(gate.await, () =>
          Effect.sync(() => {
            interrupted = true
          }))
      )
      const fiber = yield* Effect.forkChild(perform(job()), { startImmediately: true })
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* quiet
      yield* gate.open
      yield* Fiber.await(interrupting)
      assert.isFalse(interrupted)
    }))

  it.effect("a handler that is interrupted from inside is tried again, later and later, and not for ever", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() =>
        Effect.withFiber((fiber) => {
          fiber.interruptUnsafe()
          return Effect.never
        })
      )
      let progress: Job.Progress | undefined
      const delays: Array<number> = []
      let outcome = yield* perform(job({ progress }))
      while (outcome._tag === "Retry") {
        delays.push(outcome.delay)
        progress = outcome.progress
        outcome = yield* perform(job({ progress }))
      }
      assert.deepStrictEqual(delays.slice(0, 4), [1000, 2000, 4000, 8000])
      assert.strictEqual(delays.length, 19)
      assert.strictEqual(dead(outcome).reason, "exhausted")
    }))

  it.effect("a handler that ends as interrupted has ended", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => Effect.interrupt, { retry: Schedule.forever })
      assert.deepInclude(dead(yield* perform(job())), { reason: "exhausted", failed: true })
    }))

  it.effect("a handler with a limit of its own runs no more often at once, and others go on", () =>
    Effect.gen(function*() {
      const gate = Latch.makeUnsafe()
      let running = 0
      const { perform } = yield* make(
        () => Effect.andThen(Effect.sync(() => running++), gate.await),
        { mail: { concurrency: 2 } }
      )
      const fibers = yield* Effect.forEach(
        [1, 2, 3, 4],
        () => Effect.forkChild(perform(job()), { startImmediately: true })
      )
      yield* quiet
      assert.strictEqual(running, 2)
      assert.deepStrictEqual(yield* perform(job({ name: "shop:ping", payload: null })), { _tag: "Done" })
      yield* gate.open
      const outcomes = yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag), ["Done", "Done", "Done", "Done"])
    }))
})

describe("a name that it does not know", () => {
  it.effect("is put back until `unknown` has passed since it was first seen, then dead", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const { perform } = yield* make(() => Effect.void, {
        unknown: "1 minute",
        onDead: (_, { reason }) => Effect.sync(() => told.push(reason))
      })
      yield* TestClock.setTime(7_200_000)
      const stranger = job({ name: "shop:stranger", createdAt: 0 })
      assert.deepStrictEqual(yield* perform(stranger), { _tag: "Snooze", delay: 100 })
      assert.deepStrictEqual(yield* perform(stranger), { _tag: "Snooze", delay: 200 })
      yield* TestClock.adjust("59950 millis")
      assert.deepStrictEqual(yield* perform(stranger), { _tag: "Snooze", delay: 50 })
      yield* TestClock.adjust("50 millis")
      const { error, reason } = dead(yield* perform(stranger))
      assert.deepStrictEqual([reason, told], ["unknown", ["unknown"]])
      assert.match(error, /no worker knows/)
    }))

  it.effect("has all the time again when somebody has attempted it meanwhile", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => Effect.void, { unknown: "1 minute" })
      const stranger = job({ name: "shop:stranger" })
      yield* perform(stranger)
      yield* TestClock.adjust("1 hour")
      const progress = { ...Job.untouched, attempts: 1 }
      assert.deepStrictEqual(yield* perform({ ...stranger, progress }), { _tag: "Snooze", delay: 100 })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* perform({ ...stranger, progress }))._tag, "Dead")
    }))

  it.effect("is told in the log, once", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const { perform } = yield* make(() => Effect.void)
      for (let i = 0; i < 3; i++) yield* perform(job({ name: "shop:stranger" }))
      assert.strictEqual(lines.length, 1)
      assert.match(
        lines[0]!,
        /^WARN Stub\.layerWorker of group "shop" was given side effect "shop:stranger".*dead after 1h of that/
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("is looked at again soon, also where it may wait for long", () =>
    Effect.gen(function*() {
      const { perform } = yield* make(() => Effect.void, { unknown: "1 day" })
      const stranger = job({ name: "shop:stranger" })
      for (let i = 0; i < 20; i++) yield* perform(stranger)
      assert.deepStrictEqual(yield* perform(stranger), { _tag: "Snooze", delay: 30_000 })
    }))
})

describe("onDead", () => {
  it.effect("is told of the job and the reason, beside the log", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const told: Array<readonly [string, string]> = []
      const { perform } = yield* make(() => SideEffect.cancel("gone"), {
        onDead: ({ id }, { reason }) => Effect.sync(() => told.push([id, reason]))
      })
      yield* perform(job({ id: "the-id" }))
      assert.deepStrictEqual(told, [["the-id", "cancelled"]])
      assert.deepStrictEqual(lines, [
        "ERROR Side effect \"shop:mail\" (intent the-id) is dead as cancelled: cancelled: gone"
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("that dies or throws is logged, and the job is dead all the same", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      for (
        const onDead of [() => Effect.die("a bug"), () => {
          throw new Error("a bug")
        }]
      ) {
        const { perform } = yield* make(() => SideEffect.cancel("gone"), { onDead })
        assert.strictEqual(dead(yield* perform(job())).reason, "cancelled")
      }
      assert.strictEqual(lines.filter((line) => line.includes("onDead died with side effect \"shop:mail\"")).length, 2)
    }).pipe(Effect.provide(layer))
  })
})

describe("closing", () => {
  /** A worker whose handler runs until the gate opens. */
  const busy = Effect.fnUntraced(function*(options: Options = {}) {
    const gate = Latch.makeUnsafe()
    const begun = yield* Deferred.make<void>()
    const worker = yield* make(() => Effect.andThen(Deferred.succeed(begun, undefined), gate.await), options)
    const performing = yield* Effect.forkChild(worker.perform(job()), { startImmediately: true })
    yield* Deferred.await(begun)
    return { ...worker, gate, performing }
  })

  it.effect("ends at once where nothing runs, and nothing is begun from then on", () =>
    Effect.gen(function*() {
      let begun = 0
      const { close, perform } = yield* make(() => Effect.sync(() => begun++))
      yield* close
      assert.deepStrictEqual(yield* perform(job()), { _tag: "Release" })
      assert.deepStrictEqual(yield* perform(job({ name: "shop:stranger" })), { _tag: "Release" })
      assert.strictEqual(begun, 0)
    }))

  it.effect("waits for what runs, and that counts", () =>
    Effect.gen(function*() {
      const { close, gate, performing } = yield* busy()
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(closing.pollUnsafe())
      yield* gate.open
      yield* Fiber.await(closing)
      assert.deepStrictEqual(yield* Fiber.join(performing), { _tag: "Done" })
    }))

  it.effect("a failure in the meantime is one", () =>
    Effect.gen(function*() {
      const gate = Latch.makeUnsafe()
      const { close, perform } = yield* make(() => Effect.andThen(gate.await, Effect.fail("no")))
      const performing = yield* Effect.forkChild(perform(job()), { startImmediately: true })
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* gate.open
      yield* Fiber.await(closing)
      assert.strictEqual((yield* Fiber.join(performing))._tag, "Retry")
    }))

  it.effect("interrupts what still runs after `gracePeriod`, and hands it back", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const { close, performing } = yield* busy({ gracePeriod: "3 seconds" })
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("2999 millis")
      assert.isUndefined(performing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.await(closing)
      assert.deepStrictEqual(yield* Fiber.join(performing), { _tag: "Release" })
      assert.deepStrictEqual(lines, ["INFO Stub.layerWorker was closed and hands back 1 side effect"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("hands back at once what has not begun", () =>
    Effect.gen(function*() {
      const { close, gate, perform, performing } = yield* busy({ mail: { concurrency: 1 } })
      const waiting = yield* Effect.forkChild(perform(job()), { startImmediately: true })
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "Release" })
      assert.isUndefined(performing.pollUnsafe())
      yield* gate.open
      yield* Fiber.await(closing)
      assert.deepStrictEqual(yield* Fiber.join(performing), { _tag: "Done" })
    }))

  it.effect("does not wait for ever for a handler that cannot be interrupted", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      const gate = Latch.makeUnsafe()
      const { close, perform } = yield* make(() => Effect.uninterruptible(gate.await), { gracePeriod: "1 second" })
      const performing = yield* Effect.forkChild(perform(job()), { startImmediately: true })
      const began = yield* Clock.currentTimeMillis
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.await(closing)
      assert.strictEqual((yield* Clock.currentTimeMillis) - began, 6000)
      assert.include(lines.join(), "of which some cannot be interrupted")
      yield* gate.open
      yield* Fiber.await(performing)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a dead job that onDead still tells of is dead, and not handed back", () =>
    Effect.gen(function*() {
      const telling = yield* Deferred.make<void>()
      const { close, perform } = yield* make(() => SideEffect.cancel("gone"), {
        gracePeriod: 0,
        onDead: () => Effect.andThen(Deferred.succeed(telling, undefined), Effect.never)
      })
      const performing = yield* Effect.forkChild(perform(job()), { startImmediately: true })
      yield* Deferred.await(telling)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(closing)
      assert.strictEqual((yield* Fiber.join(performing))._tag, "Dead")
    }))
})

describe("what a handler enqueues", () => {
  it.effect("goes to the engine of the worker, or to the dispatcher that it was told", () =>
    Effect.gen(function*() {
      const got: Array<string> = []
      const taking = (name: string) => (jobs: ReadonlyArray<Job.Job>) =>
        Effect.sync(() => {
          for (const job of jobs) got.push(`${name}: ${job.name} in ${job.queue}`)
        })
      const Elsewhere = Engine.dispatcher({
        name: "elsewhere",
        honours: { delay: true, priority: true, queue: true },
        queues: ["bulk"],
        connect: Effect.succeed({ handOver: taking("elsewhere") })
      })
      const ping = (queue: string) => () => SideEffects.enqueue(Ping, undefined, { queue })
      const own = yield* make(ping("default"), { handOver: taking("own") })
      const told = yield* make(ping("bulk"), { handOver: taking("own"), dispatcher: Elsewhere })
      for (const { perform } of [own, told]) assert.deepStrictEqual(yield* perform(job()), { _tag: "Done" })
      assert.deepStrictEqual(got, ["own: shop:ping in default", "elsewhere: shop:ping in bulk"])
    }))
})
