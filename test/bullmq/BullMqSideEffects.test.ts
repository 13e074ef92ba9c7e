import { assert, describe, it } from "@effect/vitest"
import { type Job as BullJob, type Queue as BullQueue, UnrecoverableError, Worker as BullWorker } from "bullmq"
import { Decision, Dispatcher, type Intent, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { Engine, Job } from "effect-side-effects/engine"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Redis } from "ioredis"
import { quick, removed } from "../engine/subjects/bullmq.ts"
import { logs } from "../fixtures.ts"
import * as proxy from "./proxy.ts"

const url = process.env["REDIS_URL"]

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Send a mail.",
  payload: { to: Schema.String },
  idempotencyKey: ({ to }) => to
}) {}

class Plain extends SideEffect.make("orders:plain", {
  description: "Has a payload and no key.",
  payload: { n: Schema.Int }
}) {}

class Nothing extends SideEffect.make("orders:nothing", { description: "Has no payload." }) {}

class Text extends SideEffect.make("orders:text", { description: "Has a text.", payload: Schema.String }) {}

class Bulk extends SideEffect.make("orders:bulk", {
  description: "In a queue of its own.",
  payload: { n: Schema.Int },
  defaults: { queue: "bulk" }
}) {}

const Orders = SideEffectGroup.make("orders").add(Mail, Plain, Nothing, Text, Bulk)

interface Seen {
  readonly name: string
  readonly payload: unknown
  readonly attempt: number
  readonly key: string
}

class TooBusy extends Schema.TaggedError<TooBusy>()("TooBusy", { message: Schema.String }) {}

type Handle = (seen: Seen) => Effect.Effect<unknown, unknown>

const unset = { lockDuration: undefined, stalledInterval: undefined }

let count = 0

/** An empty Redis of one's own, what writes to it, and what performs. */
const make = Effect.fnUntraced(function*(options?: {
  readonly connection?: BullMqSideEffects.Connection
  readonly dispatcher?: BullMqSideEffects.DispatcherOptions
  readonly timeout?: "300 millis"
}) {
  const prefix = `test-bullmq-${process.pid}-${count++}`
  const scope = yield* Effect.scope
  yield* Layer.build(removed(prefix))
  const connection = options?.connection ?? url!
  const Connection = BullMqSideEffects.layer({ connection, prefix, timeout: options?.timeout })
  const services = yield* Layer.build(
    SideEffects.LiveLayer(Orders, { dispatcher: BullMqSideEffects.dispatcher(options?.dispatcher) }).pipe(
      Layer.provideMerge(Connection)
    )
  )
  const bull = yield* Effect.provide(BullMqSideEffects.BullMq, services)
  const seen = yield* Queue.unbounded<Seen>()
  const work = Effect.fnUntraced(function*(worker: {
    readonly handle?: Handle | undefined
    readonly retry?: Schedule.Schedule<unknown>
    readonly maxAttempts?: number
    readonly options?: BullMqSideEffects.WorkerOptions
    readonly connection?: BullMqSideEffects.Connection
  } = {}) {
    const { handle = () => Effect.void, maxAttempts, retry } = worker
    const handler = (payload: unknown, { attempt, idempotencyKey, intent }: SideEffect.Delivery<any>) => {
      const one: Seen = { name: intent.name, payload, attempt, key: idempotencyKey }
      return Effect.andThen(Queue.offer(seen, one), Effect.suspend(() => handle(one)))
    }
    const settings = { retry: retry ?? Schedule.spaced("1 millis"), ...(maxAttempts && { maxAttempts }) } as any
    const Handlers = Layer.mergeAll(
      Mail.toLayer(handler, settings),
      Plain.toLayer(handler, settings),
      Nothing.toLayer(handler, settings),
      Text.toLayer(handler, settings),
      Bulk.toLayer(handler, settings)
    )
    const inner = yield* Scope.fork(scope)
    const Performing = BullMqSideEffects.layerWorker(Orders, { ...quick, ...worker.options }).pipe(
      Layer.provide(Handlers),
      Layer.provide(BullMqSideEffects.layer({ connection: worker.connection ?? connection, prefix }))
    )
    yield* Layer.buildWithScope(Performing, inner)
    return { close: Scope.close(inner, Exit.void) }
  })
  return {
    prefix,
    bull,
    seen: Queue.take(seen),
    work,
    run: <A, E>(effect: Effect.Effect<A, E, SideEffects.SideEffects<any>>) =>
      Effect.provide(SideEffects.boundary(effect), services),
    jobs: (queue?: string) => Effect.promise(() => bull.queue(queue).getJobs()),
    job: (id: string, queue?: string) => Effect.promise(() => bull.queue(queue).getJob(id)),
    /** Looks until it is so. */
    until: <A>(look: () => Promise<A | undefined | false>): Effect.Effect<A> =>
      Effect.promise(look).pipe(
        Effect.repeat({
          while: (found) => found === undefined || found === false,
          schedule: Schedule.spaced("5 millis")
        }),
        Effect.timeout("15 seconds"),
        Effect.orDie
      ) as Effect.Effect<A>
  }
})

const inState = (queue: BullQueue, id: string, state: string) => async () => {
  return (await queue.getJobState(id)) === state && (await queue.getJob(id))
}

const defectOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail("it succeeded")

describe.skipIf(url === undefined)(url === undefined ? "BullMQ (skipped: set REDIS_URL)" : "BullMQ", () => {
  describe("a job", () => {
    it.live("is what anybody would have added: the name, the payload, the id", () =>
      Effect.gen(function*() {
        const { jobs, run } = yield* make()
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const [job] = yield* jobs()
        assert.deepStrictEqual([job!.id, job!.name, job!.data], [id, "orders:plain", { n: 1 }])
        assert.deepStrictEqual([job!.priority, job!.delay, yield* Effect.promise(() => job!.getState())], [
          0,
          0,
          "waiting"
        ])
      }).pipe(Effect.scoped))

    it.live("says under one key, the last, what the payload does not", () =>
      Effect.gen(function*() {
        const { job, run } = yield* make()
        const one = yield* run(SideEffects.enqueue(Mail, { to: "ada" }, { origin: "signup", metadata: { tenant: 7 } }))
        const found = yield* job(one.id)
        assert.strictEqual(
          JSON.stringify(found!.data),
          "{\"to\":\"ada\",\"effect-side-effects\":{\"key\":\"ada\",\"origin\":\"signup\",\"metadata\":{\"tenant\":7}}}"
        )
        const text = yield* run(SideEffects.enqueue(Text, "hello"))
        assert.deepStrictEqual((yield* job(text.id))!.data, { "effect-side-effects": { payload: "hello" } })
      }).pipe(Effect.scoped))

    it.live("is in the queue it was told, and the default one is called as the connection says", () =>
      Effect.gen(function*() {
        const { bull, job, run } = yield* make()
        const one = yield* run(SideEffects.enqueue(Bulk, { n: 1 }))
        assert.isDefined(yield* job(one.id, "bulk"))
        assert.strictEqual(bull.queue("bulk").name, "bulk")
        assert.strictEqual(bull.queue().name, "side-effects")
      }).pipe(Effect.scoped))

    it.live("that was performed is completed, with one attempt, and kept", () =>
      Effect.gen(function*() {
        const { bull, run, until, work } = yield* make()
        yield* work()
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const job = yield* until(inState(bull.queue(), id, "completed"))
        assert.deepStrictEqual([job.attemptsMade, job.data, job.failedReason], [1, { n: 1 }, undefined])
      }).pipe(Effect.scoped))

    it.live("is gone at once when it is not to be kept", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        yield* work({ options: { retention: { done: 0 } } })
        yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* seen
        yield* until(async () => (await bull.queue().getJobs()).length === 0)
      }).pipe(Effect.scoped))

    it.live("gets the options that every job is to have", () =>
      Effect.gen(function*() {
        const { job, run } = yield* make({ dispatcher: { job: { attempts: 5, stackTraceLimit: 3 } } })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const { attempts, stackTraceLimit } = (yield* job(id))!.opts
        assert.deepStrictEqual([attempts, stackTraceLimit], [5, 3])
      }).pipe(Effect.scoped))
  })

  describe("with somebody else's code on the other side", () => {
    it.live("a job that it has added is performed", () =>
      Effect.gen(function*() {
        const { bull, seen, work } = yield* make()
        yield* work()
        const queue = bull.queue()
        yield* Effect.promise(() => queue.add("orders:mail:send", { to: "ada" }))
        yield* Effect.promise(() => queue.add("orders:mail:send", { to: "bob" }, { jobId: "mine" }))
        yield* Effect.promise(() => queue.add("orders:nothing", undefined))
        assert.deepStrictEqual([yield* seen, yield* seen, yield* seen], [
          // Numbers are unique in their queue only.
          { name: "orders:mail:send", payload: { to: "ada" }, attempt: 1, key: "side-effects:1" },
          { name: "orders:mail:send", payload: { to: "bob" }, attempt: 1, key: "mine" },
          { name: "orders:nothing", payload: undefined, attempt: 1, key: "side-effects:3" }
        ])
      }).pipe(Effect.scoped))

    it.live("its job is tried again as our handler says, whatever it was added with", () =>
      Effect.gen(function*() {
        const { bull, seen, until, work } = yield* make()
        yield* work({ handle: ({ attempt }) => attempt < 3 ? Effect.fail("no") : Effect.void })
        for (const opts of [{}, { attempts: 1 }, { attempts: 2, backoff: { type: "fixed", delay: 3_600_000 } }]) {
          const job = yield* Effect.promise(() => bull.queue().add("orders:plain", { n: 1 }, opts))
          const attempts = [(yield* seen).attempt, (yield* seen).attempt, (yield* seen).attempt]
          assert.deepStrictEqual(attempts, [1, 2, 3])
          const { attemptsMade } = yield* until(inState(bull.queue(), job.id!, "completed"))
          assert.strictEqual(attemptsMade, 3)
        }
      }).pipe(Effect.scoped))

    it.live("a job that does not fit is failed, and says why", () =>
      Effect.gen(function*() {
        const { bull, until, work } = yield* make()
        yield* work()
        const job = yield* Effect.promise(() => bull.queue().add("orders:mail:send", { address: "ada" }))
        const { failedReason, stacktrace } = yield* until(inState(bull.queue(), job.id!, "failed"))
        assert.include(failedReason, "does not fit the schema of \"orders:mail:send\"")
        assert.deepStrictEqual(stacktrace, [])
        const other = yield* Effect.promise(() => bull.queue().add("orders:plain", { n: 1, "effect-side-effects": 7 }))
        assert.include(
          (yield* until(inState(bull.queue(), other.id!, "failed"))).failedReason,
          "has a key \"effect-side-effects\" that effect-side-effects has not written"
        )
      }).pipe(Effect.scoped))

    it.live("its processor performs our jobs", () =>
      Effect.gen(function*() {
        const { prefix, run } = yield* make()
        const got = yield* Queue.unbounded<unknown>()
        const { host, port } = new Redis(url!, { lazyConnect: true }).options
        const processor = async ({ data: { to }, name }: BullJob) => void Queue.offerUnsafe(got, [name, to])
        const worker = new BullWorker("side-effects", processor, { connection: { host: host!, port: port! }, prefix })
        yield* Effect.addFinalizer(() => Effect.promise(() => worker.close()))
        yield* run(SideEffects.enqueue(Mail, { to: "ada" }))
        assert.deepStrictEqual(yield* Queue.take(got), ["orders:mail:send", "ada"])
      }).pipe(Effect.scoped))

    it.live("failures of its processor count", () =>
      Effect.gen(function*() {
        const { bull, prefix, seen, until, work } = yield* make()
        const { host, port } = new Redis(url!, { lazyConnect: true }).options
        const worker = new BullWorker("side-effects", () => Promise.reject(new Error("no")), {
          connection: { host: host!, port: port! },
          prefix
        })
        const opts = { attempts: 5, backoff: { type: "fixed", delay: 300 } }
        const { id } = yield* Effect.promise(() => bull.queue().add("orders:plain", { n: 1 }, opts))
        yield* until(inState(bull.queue(), id!, "delayed"))
        yield* Effect.promise(() => worker.close())
        yield* work()
        assert.strictEqual((yield* seen).attempt, 2)
      }).pipe(Effect.scoped))
  })

  describe("a handler that fails", () => {
    it.live("is an attempt of BullMQ, with the error and its stack", () =>
      Effect.gen(function*() {
        const { bull, run, until, work } = yield* make()
        yield* work({
          handle: () => Effect.fail(new TooBusy({ message: "try later" })),
          retry: Schedule.spaced("1 hour")
        })
        const { id } = yield* run(SideEffects.enqueue(Mail, { to: "ada" }))
        const job = yield* until(inState(bull.queue(), id, "delayed"))
        assert.deepStrictEqual([job.attemptsMade, job.failedReason], [1, "try later"])
        assert.include(job.stacktrace![0], "TooBusy: try later")
        assert.include(job.stacktrace![0], "BullMqSideEffects.test.ts")
        assert.approximately(job.delay, 3_600_000, 1000)
        assert.strictEqual(job.data.to, "ada")
      }).pipe(Effect.scoped))

    it.live("goes on counting in another worker", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        const first = yield* work({ handle: () => Effect.fail("no"), retry: Schedule.spaced("300 millis") })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* until(inState(bull.queue(), id, "delayed"))
        yield* first.close
        assert.strictEqual((yield* seen).attempt, 1)
        yield* work()
        assert.strictEqual((yield* seen).attempt, 2)
      }).pipe(Effect.scoped))

    it.live("is failed for good when its attempts are used up, and has fresh ones when it is retried by hand", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        yield* work({ handle: () => Effect.fail(new TooBusy({ message: "no" })), maxAttempts: 2 })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const attempts = Effect.all([
          Effect.map(seen, ({ attempt }) => attempt),
          Effect.map(seen, ({ attempt }) => attempt)
        ])
        let made = 0
        for (const how of [undefined, {}, { resetAttemptsMade: true }, {}]) {
          if (how !== undefined) {
            const failed = yield* Effect.promise(() => bull.queue().getJob(id))
            yield* Effect.promise(() => failed!.retry("failed", how))
          }
          assert.deepStrictEqual(yield* attempts, [1, 2])
          const job = yield* until(inState(bull.queue(), id, "failed"))
          made = how?.resetAttemptsMade === true ? 2 : made + 2
          assert.deepStrictEqual([job.attemptsMade, job.failedReason], [made, "no"])
          assert.include(job.stacktrace!.at(-1), "TooBusy: no")
        }
      }).pipe(Effect.scoped))

    it.live("is not taken for BullMQ's own signals", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        const named = (name: string) => Object.assign(new Error("no"), { name })
        const errors = [
          named("DelayedError"),
          named("WaitingError"),
          named("WaitingChildrenError"),
          new UnrecoverableError("no"),
          BullWorker.RateLimitError()
        ]
        yield* work({
          handle: ({ attempt }) => attempt <= errors.length ? Effect.fail(errors[attempt - 1]) : Effect.void
        })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        for (let attempt = 1; attempt <= 6; attempt++) assert.strictEqual((yield* seen).attempt, attempt)
        const { attemptsMade } = yield* until(inState(bull.queue(), id, "completed"))
        assert.strictEqual(attemptsMade, 6)
      }).pipe(Effect.scoped))

    it.live("that snoozes is delayed without an attempt", () =>
      Effect.gen(function*() {
        const { bull, run, until, work } = yield* make()
        yield* work({ handle: () => SideEffect.snooze("1 hour") })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const job = yield* until(inState(bull.queue(), id, "delayed"))
        assert.deepStrictEqual([job.attemptsMade, job.failedReason, job.data], [0, undefined, { n: 1 }])
      }).pipe(Effect.scoped))

    it.live("that cancels is failed with its reason", () =>
      Effect.gen(function*() {
        const { bull, run, until, work } = yield* make()
        yield* work({ handle: () => SideEffect.cancel("nobody wants it") })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const job = yield* until(inState(bull.queue(), id, "failed"))
        assert.strictEqual(job.failedReason, "cancelled: nobody wants it")
      }).pipe(Effect.scoped))
  })

  describe("a job whose process is lost", () => {
    /** As if workers had died with it. */
    const stall = (bull: BullMqSideEffects.BullMq["Service"], id: string, times: number) =>
      Effect.promise(async () => {
        const client = await bull.queue().getBackend().client
        await client.hset(bull.queue().toKey(id), { stc: times })
      })

    it.live("is counted, whatever BullMQ's own limit is, and dead after `maxCrashes`", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        const two = yield* run(SideEffects.enqueue(Plain, { n: 2 }))
        const three = yield* run(SideEffects.enqueue(Plain, { n: 3 }))
        yield* stall(bull, two.id, 2)
        yield* stall(bull, three.id, 3)
        yield* work()
        assert.deepInclude(yield* seen, { payload: { n: 2 }, attempt: 3 })
        const { failedReason } = yield* until(inState(bull.queue(), three.id, "failed"))
        assert.include(failedReason, "3 processes that performed it died")
      }).pipe(Effect.scoped))

    it.live("is noticed within seconds, as nobody has to set", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        yield* work({ handle: () => Effect.never, options: { ...unset, gracePeriod: 0 } })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* seen
        const redis = new Redis(url!)
        yield* Effect.addFinalizer(() => Effect.promise(() => redis.quit()))
        const left = (key: string) => until(async () => (await redis.pttl(bull.queue().toKey(key))) + 2 || undefined)
        const [lock, check] = [yield* left(`${id}:lock`), yield* left("stalled-check")]
        assert.isTrue(lock > 5000 && lock <= 10_002, String(lock))
        assert.isTrue(check > 0 && check <= 3336, String(check))
      }).pipe(Effect.scoped))

    for (const how of [{}, { resetAttemptsMade: true }]) {
      it.live(`may be lost as often again when it is retried by hand, with ${JSON.stringify(how)}`, () =>
        Effect.gen(function*() {
          const { bull, job, run, seen, until, work } = yield* make()
          const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
          yield* stall(bull, id, 3)
          const first = yield* work({ handle: () => Effect.never, options: { gracePeriod: 0 } })
          yield* until(inState(bull.queue(), id, "failed"))
          const dead = yield* job(id)
          yield* Effect.promise(() => dead!.retry("failed", how))
          assert.deepInclude(yield* seen, { payload: { n: 1 }, attempt: 1 })
          // What it was given is noted before it begins: or it would be given it after each crash.
          assert.deepInclude((yield* job(id))!.data["effect-side-effects"].progress, { crashes: 0, stalled: 3 })
          yield* first.close
          yield* stall(bull, id, 5)
          yield* work()
          assert.deepInclude(yield* seen, { payload: { n: 1 }, attempt: 3 })
        }).pipe(Effect.scoped))
    }
  })

  describe("a job whose lock is lost", () => {
    it.live("is no longer performed, and is left to whoever has it", () =>
      Effect.gen(function*() {
        const { bull, job, run, seen, until, work } = yield* make()
        const interrupted = yield* Deferred.make<void>()
        yield* work({
          handle: ({ payload }) =>
            (payload as any).n === 1
              ? Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
              : Effect.void,
          options: { concurrency: 1 }
        })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* seen
        const client = yield* Effect.promise(() => bull.queue().getBackend().client)
        yield* Effect.promise(() =>
          client.set(bull.queue().toKey(`${id}:lock`), "somebody else", { PX: 60_000 } as any)
        )
        yield* Deferred.await(interrupted)
        // It goes on with others.
        const next = yield* run(SideEffects.enqueue(Plain, { n: 2 }))
        assert.deepStrictEqual((yield* seen).payload, { n: 2 })
        yield* until(inState(bull.queue(), next.id, "completed"))
        const left = yield* job(id)
        assert.deepStrictEqual([left!.attemptsMade, left!.failedReason], [0, undefined])
        assert.strictEqual(yield* Effect.promise(() => bull.queue().getJobState(id)), "active")
      }).pipe(Effect.scoped), 15_000)

    it.live("is performed once at a time, also where the same worker has it again", () =>
      Effect.gen(function*() {
        const { bull, run, seen, until, work } = yield* make()
        let running = 0
        let most = 0
        yield* work({
          handle: ({ attempt }) =>
            Effect.suspend(() => {
              most = Math.max(most, ++running)
              return attempt === 1 ? Effect.never : Effect.sleep("100 millis")
            }).pipe(Effect.ensuring(Effect.sync(() => running--))),
          options: { concurrency: 4, lockDuration: "20 seconds", stalledInterval: "200 millis" }
        })
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* seen
        // It stalls, and is taken again, long before the worker renews it.
        const client = yield* Effect.promise(() => bull.queue().getBackend().client)
        yield* Effect.promise(() => client.del(bull.queue().toKey(`${id}:lock`)))
        assert.strictEqual((yield* seen).attempt, 2)
        yield* until(inState(bull.queue(), id, "completed"))
        assert.strictEqual(running, 0)
        assert.isAtMost(most, 2)
      }).pipe(Effect.scoped), 15_000)
  })

  describe("what is there already", () => {
    const handOver = (bull: BullMqSideEffects.BullMq["Service"], job: Job.Job) =>
      Effect.scoped(Effect.flatMap(
        BullMqSideEffects.dispatcher()[Engine.TypeId].connect,
        ({ handOver }) => handOver([job])
      )).pipe(Effect.provideService(BullMqSideEffects.BullMq, bull))

    it.live("with the same id is there once, done or not", () =>
      Effect.gen(function*() {
        const { bull, jobs, run, seen, until, work } = yield* make()
        const one = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* handOver(bull, Job.fromIntent(one, Date.now()))
        assert.strictEqual((yield* jobs()).length, 1)
        yield* work()
        yield* seen
        yield* until(inState(bull.queue(), one.id, "completed"))
        yield* handOver(bull, Job.fromIntent(one, Date.now()))
        const { id } = yield* run(SideEffects.enqueue(Plain, { n: 2 }))
        assert.deepStrictEqual((yield* seen).payload, { n: 2 })
        yield* until(inState(bull.queue(), id, "completed"))
        assert.strictEqual((yield* jobs()).length, 2)
      }).pipe(Effect.scoped))

    it.live("with the same key is another one, unless they are to be unique", () =>
      Effect.gen(function*() {
        const { jobs, run } = yield* make()
        yield* run(SideEffects.enqueueAll([[Mail, { to: "ada" }], [Mail, { to: "ada" }]]))
        assert.strictEqual((yield* jobs()).length, 2)
      }).pipe(Effect.scoped))

    it.live("with the same key is a duplicate, and the decision says of which one", () =>
      Effect.gen(function*() {
        const { bull, jobs, run, until, work } = yield* make({ dispatcher: { uniqueFor: "1 hour" } })
        const enqueue = (sideEffect: any, payload: unknown, key: string) =>
          run(SideEffects.enqueue(sideEffect, payload, { key })) as Effect.Effect<Intent.Any>
        const first = yield* enqueue(Mail, { to: "ada" }, "k")
        const second = yield* enqueue(Mail, { to: "ada" }, "k")
        yield* enqueue(Plain, { n: 1 }, "k")
        assert.deepStrictEqual((yield* jobs()).map(({ name }) => name).sort(), ["orders:mail:send", "orders:plain"])
        assert.deepInclude(Decision.of(second), { _tag: "Deduplicated", of: first.id })
        // One that is dead stands for nothing.
        yield* work({ handle: ({ name }) => name === Mail._tag ? SideEffect.cancel("no") : Effect.void })
        yield* until(inState(bull.queue(), first.id, "failed"))
        const third = yield* enqueue(Mail, { to: "ada" }, "k")
        yield* until(inState(bull.queue(), third.id, "failed"))
      }).pipe(Effect.scoped))
  })

  describe("priorities and queues", () => {
    const order = (dispatcher: BullMqSideEffects.DispatcherOptions, priorities: ReadonlyArray<number>) =>
      Effect.gen(function*() {
        const { run, seen, work } = yield* make({ dispatcher })
        for (const n of priorities) yield* run(SideEffects.enqueue(Plain, { n }, { priority: n }))
        yield* work({ options: { concurrency: 1 } })
        const begun: Array<number> = []
        for (const _ of priorities) begun.push(((yield* seen).payload as { readonly n: number }).n)
        return begun
      }).pipe(Effect.scoped)

    it.live("below 0 come after those without one", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* order({}, [-5, 0, -1, 0, -9]), [0, 0, -1, -5, -9])
      }))

    it.live("come in their order when all jobs have one", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* order({ priorities: true }, [-5, 0, 9, 3, -1, 5]), [9, 5, 3, 0, -1, -5])
      }))

    it.live("above 0 are refused when jobs have none", () =>
      Effect.gen(function*() {
        const { run } = yield* make()
        const refused = defectOf(yield* Effect.exit(run(SideEffects.enqueue(Plain, { n: 1 }, { priority: 1 }))))
        assert.strictEqual(refused._tag, "UnsupportedOption")
        assert.include(refused.message, "say priorities: true to the dispatcher")
      }).pipe(Effect.scoped))

    it.live("a queue with a colon is refused", () =>
      Effect.gen(function*() {
        const { bull, run } = yield* make()
        const refused = defectOf(yield* Effect.exit(run(SideEffects.enqueue(Plain, { n: 1 }, { queue: "a:b" }))))
        assert.strictEqual(refused._tag, "UnsupportedOption")
        assert.include(refused.message, "have no \":\"")
        const problem = "was given queue \"a:b\": names of queues of BullMQ are not empty and have no \":\"."
        assert.throws(() => BullMqSideEffects.dispatcher({ queues: ["a:b"] }), problem)
        for (
          const layer of [
            BullMqSideEffects.layer({ connection: url!, queue: "a:b" }),
            BullMqSideEffects.layerWorker(Orders, { queues: ["a:b"] }).pipe(
              Layer.provide(Layer.succeed(BullMqSideEffects.BullMq, bull))
            )
          ]
        ) assert.include(defectOf(yield* Effect.exit(Layer.build(layer as Layer.Layer<any>))).message, problem)
      }).pipe(Effect.scoped))
  })

  describe("an option", () => {
    const built = (layer: Layer.Layer<any, never, any>) =>
      Effect.map(Effect.exit(Effect.scoped(Layer.build(layer as Layer.Layer<any>))), (exit) => defectOf(exit).message)

    it.live("of the connection that leads to no Redis is refused when the layer is built", () =>
      Effect.gen(function*() {
        const http = "http://user:secret@localhost:6379"
        for (const connection of [http, Redacted.make(http), { url: http } as any]) {
          assert.strictEqual(
            yield* built(BullMqSideEffects.layer({ connection })),
            "BullMqSideEffects.layer was given a connection that begins with \"http://\". It takes \"redis://host:6379\", " +
              "\"rediss://host:6379\", or the path of a socket."
          )
        }
        assert.include(yield* built(BullMqSideEffects.layer({ connection: "" })), "a connection that is empty")
        for (const connection of ["/run/redis.sock", "REDISS://localhost:1", "localhost:1", "1"]) {
          yield* Effect.scoped(Layer.build(BullMqSideEffects.layer({ connection })))
        }
      }))

    it.live("that is no duration is refused with its name", () =>
      Effect.gen(function*() {
        const { bull } = yield* make()
        const wrong: any = "10 secs"
        const worker = (options: BullMqSideEffects.WorkerOptions) =>
          BullMqSideEffects.layerWorker(Orders, options).pipe(
            Layer.provide(Layer.succeed(BullMqSideEffects.BullMq, bull))
          )
        const problem = (option: string) => `was given ${option}: "10 secs". It takes a duration, such as "10 seconds".`
        for (
          const [option, layer] of [
            ["timeout", BullMqSideEffects.layer({ connection: url!, timeout: wrong })],
            ["lockDuration", worker({ lockDuration: wrong })],
            ["stalledInterval", worker({ stalledInterval: wrong })],
            ["retention.done", worker({ retention: { done: wrong } })],
            ["retention.dead", worker({ retention: { dead: wrong } })],
            ["uniqueFor", worker({ uniqueFor: wrong })]
          ] as const
        ) assert.include(yield* built(layer as any), problem(option))
        assert.throws(() => BullMqSideEffects.dispatcher({ uniqueFor: wrong }), problem("uniqueFor"))
      }).pipe(Effect.scoped))
  })

  describe("Redis", () => {
    it.live("is found by a URL, a secret URL, options, or a client, which is left alone", () =>
      Effect.gen(function*() {
        const client = new Redis(url!)
        yield* Effect.addFinalizer(() => Effect.promise(() => client.quit()))
        const { db, host, port } = client.options
        for (const connection of [Redacted.make(url!), { host: host!, port: port!, db: db! }, client]) {
          yield* Effect.gen(function*() {
            const { run, seen, work } = yield* make({ connection: connection as BullMqSideEffects.Connection })
            yield* work()
            yield* run(SideEffects.enqueue(Plain, { n: 1 }))
            assert.deepStrictEqual((yield* seen).payload, { n: 1 })
          }).pipe(Effect.scoped)
        }
        assert.strictEqual(yield* Effect.promise(() => client.ping()), "PONG")
      }).pipe(Effect.scoped))

    it.live("that is away fails the boundary in bounded time, says what to do, and gets nothing later", () =>
      Effect.gen(function*() {
        const between = yield* proxy.make(url!)
        const { bull, jobs, run } = yield* make({ connection: between.url, timeout: "300 millis" })
        const given: Job.Job = {
          id: "x",
          name: Plain._tag,
          queue: "default",
          priority: 0,
          payload: null,
          delay: 0,
          createdAt: 0
        }
        yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        for (const away of [between.cut, between.freeze]) {
          yield* away
          const started = Date.now()
          const exit = yield* Effect.exit(run(SideEffects.enqueue(Plain, { n: 2 })))
          assert.isBelow(Date.now() - started, 2500)
          const error = defectOf(exit)
          assert.instanceOf(error, Dispatcher.DispatchError)
          assert.include(error.message, "Redis at 127.0.0.1:")
          assert.include(error.message, "Outbox.layerRelay")
          // To the relay that would be no advice.
          const connection = yield* BullMqSideEffects.dispatcher()[Engine.TypeId].connect.pipe(
            Effect.provideService(BullMqSideEffects.BullMq, bull)
          )
          const relayed = defectOf(yield* Effect.exit(connection.handOver([{ ...given, payload: { n: 2 } }])))
          assert.include(relayed.message, "Redis at 127.0.0.1:")
          assert.notInclude(relayed.message, "Outbox")
          yield* between.heal
        }
        yield* run(SideEffects.enqueue(Plain, { n: 3 })).pipe(
          Effect.sandbox,
          Effect.retry(Schedule.spaced("50 millis"))
        )
        const numbers = (yield* jobs()).map(({ data }) => data.n).sort()
        // While nobody could be reached nothing was sent, not even later.
        assert.deepStrictEqual(numbers, [1, 3])
        assert.strictEqual(bull.queue().name, "side-effects")
      }).pipe(Effect.scoped))

    it.live("that is away for a moment is waited for", () =>
      Effect.gen(function*() {
        const between = yield* proxy.make(url!)
        const { bull, jobs, run, until } = yield* make({ connection: between.url })
        yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        const client = yield* Effect.promise(() => bull.queue().getBackend().client)
        yield* between.cut
        yield* until(async () => client.status !== "ready")
        const handing = yield* Effect.forkChild(run(SideEffects.enqueue(Plain, { n: 2 })), { startImmediately: true })
        yield* between.heal
        yield* Fiber.join(handing)
        assert.deepStrictEqual((yield* jobs()).map(({ data }) => data.n).sort(), [1, 2])
      }).pipe(Effect.scoped))

    it.live("that was away is found again by workers, and nothing is lost", () =>
      Effect.gen(function*() {
        const between = yield* proxy.make(url!)
        const { run, seen, work } = yield* make()
        const gate = yield* Deferred.make<void>()
        yield* work({
          connection: between.url,
          handle: ({ payload }) => (payload as any).n === 1 ? Deferred.await(gate) : Effect.void
        })
        const first = yield* run(SideEffects.enqueue(Plain, { n: 1 }))
        yield* seen
        yield* between.cut
        yield* run(SideEffects.enqueue(Plain, { n: 2 }))
        yield* Deferred.succeed(gate, undefined)
        yield* between.heal
        assert.deepStrictEqual((yield* seen).payload, { n: 2 })
        assert.isString(first.id)
      }).pipe(Effect.scoped))

    it.live("that is away does not keep a worker from being closed", () =>
      Effect.gen(function*() {
        const between = yield* proxy.make(url!)
        const { run, seen, work } = yield* make()
        const idle = yield* work({ connection: between.url })
        const busy = yield* work({
          connection: between.url,
          handle: () => Effect.never,
          options: { gracePeriod: "50 millis" }
        })
        yield* run(SideEffects.enqueueAll([[Plain, { n: 1 }], [Plain, { n: 2 }], [Plain, { n: 3 }], [Plain, { n: 4 }]]))
        yield* Effect.all([seen, seen, seen, seen])
        yield* between.cut
        const started = Date.now()
        yield* idle.close
        yield* busy.close
        const never = yield* work({ connection: "redis://127.0.0.1:1" })
        yield* never.close
        assert.isBelow(Date.now() - started, 4000)
      }).pipe(Effect.scoped))
  })

  describe("drain", () => {
    it.live("waits until nothing is waiting and nothing is active, and not for what has time", () =>
      Effect.gen(function*() {
        const { bull, run, work } = yield* make()
        yield* work({ handle: () => Effect.sleep("30 millis"), options: { concurrency: 2 } })
        yield* run(SideEffects.enqueue(Plain, { n: 0 }, { delay: "1 hour" }))
        for (let n = 1; n <= 5; n++) yield* run(SideEffects.enqueue(n % 2 === 0 ? Plain : Bulk, { n }))
        yield* run(SideEffects.drain)
        const completed = yield* Effect.promise(() =>
          Promise.all([bull.queue().getCompletedCount(), bull.queue("bulk").getCompletedCount()])
        )
        assert.deepStrictEqual(completed, [2, 3])
        yield* Effect.promise(() => bull.queue().pause())
        yield* run(SideEffects.enqueue(Plain, { n: 6 }))
        yield* run(SideEffects.drain)
      }).pipe(Effect.scoped))

    it.live("says when nobody works", () =>
      Effect.gen(function*() {
        const { run } = yield* make()
        const { layer, lines } = logs()
        yield* run(SideEffects.enqueueAll([[Plain, { n: 1 }], [Plain, { n: 2 }], [Bulk, { n: 3 }]]))
        yield* Effect.timeoutOption(run(SideEffects.drain), "6500 millis").pipe(Effect.provide(layer))
        assert.deepStrictEqual(lines, [
          "WARN SideEffects.drain waits for 3 side effects that no worker has begun, in queues side-effects ×2, bulk ×1 of " +
          "BullMQ. Is a worker running that looks there (BullMqSideEffects.layerWorker)?"
        ])
      }).pipe(Effect.scoped), 15_000)
  })
})
