import { NodeCrypto } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Entity from "effect/cluster/Entity"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as ShardId from "effect/cluster/ShardId"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as TestRunner from "effect/cluster/TestRunner"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import { logs } from "../fixtures.ts"

class Book extends SideEffect.make("bank:book", {
  description: "Book an entry of an account.",
  payload: { account: Schema.String, entry: Schema.Int }
}) {}

class Keyed extends SideEffect.make("bank:keyed", {
  description: "Something with an idempotency key.",
  payload: { n: Schema.Int, key: Schema.String },
  idempotencyKey: ({ key }) => key
}) {}

const Bank = SideEffectGroup.make("bank").add(Book)
const WithKey = SideEffectGroup.make("with-key").add(Keyed)

const orderBy: ClusterSideEffects.OrderBy = ({ payload }) => (payload as { readonly account: string }).account

const quiet = logs().layer

const book = (account: string, entries: number, from = 1) =>
  SideEffects.boundary(SideEffects.enqueueAll(
    Array.from({ length: entries }, (_, i) => [Book, { account, entry: from + i }] as const)
  ))

const sending = SideEffects.LiveLayer(Bank, { dispatcher: ClusterSideEffects.dispatcher({ orderBy }) })

/** Takes as many. */
const take = <A>(queue: Queue.Queue<A>, n: number) => Effect.forEach(Array.from({ length: n }), () => Queue.take(queue))

describe("order", () => {
  it.live("intents of one key run one after another, retries and snoozes included, and hold up no other key", () =>
    Effect.gen(function*() {
      const begun: Array<string> = []
      const failures = new Map([["a2", 2], ["b1", 1]])
      let snoozes = 1
      let running = 0
      let most = 0
      const ended = yield* Queue.unbounded<string>()
      const handler = Book.toLayer(
        Effect.fnUntraced(function*({ account, entry }) {
          const name = `${account}${entry}`
          begun.push(name)
          most = Math.max(most, ++running)
          yield* Effect.ensuring(Effect.sleep("5 millis"), Effect.sync(() => running--))
          const left = failures.get(name) ?? 0
          failures.set(name, left - 1)
          if (left > 0) return yield* Effect.fail("no")
          if (name === "c1" && snoozes-- > 0) return yield* SideEffect.snooze("30 millis")
          yield* Queue.offer(ended, name)
        }),
        { retry: Schedule.spaced("20 millis") }
      )
      const all = yield* Effect.gen(function*() {
        for (const account of ["a", "b", "c", "d"]) yield* book(account, 4)
        return yield* take(ended, 16)
      }).pipe(Effect.provide(
        Layer.merge(sending, ClusterSideEffects.layerWorker(Bank).pipe(Layer.provide(handler))).pipe(
          Layer.provideMerge(TestRunner.layer)
        )
      ))
      const of = (names: ReadonlyArray<string>, account: string) => names.filter((name) => name.startsWith(account))
      for (const account of ["a", "b", "c", "d"]) {
        assert.deepStrictEqual(of(all, account), [1, 2, 3, 4].map((entry) => `${account}${entry}`))
      }
      assert.deepStrictEqual(of(begun, "a"), ["a1", "a2", "a2", "a2", "a3", "a4"])
      assert.deepStrictEqual(of(begun, "c"), ["c1", "c1", "c2", "c3", "c4"])
      assert.isAbove(most, 1)
      assert.isBelow(all.indexOf("d4"), all.indexOf("a2"))
    }))

  it.live("by default the key is the name and the idempotency key", () =>
    Effect.gen(function*() {
      const first = Latch.makeUnsafe()
      const begun = yield* Queue.unbounded<number>()
      const handler = Keyed.toLayer(({ n }) =>
        Effect.andThen(Queue.offer(begun, n), n === 1 ? first.await : Effect.void)
      )
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(SideEffects.enqueueAll([
          [Keyed, { n: 1, key: "one" }],
          [Keyed, { n: 2, key: "one" }],
          [Keyed, { n: 3, key: "two" }]
        ]))
        assert.deepStrictEqual((yield* take(begun, 2)).toSorted(), [1, 3])
        yield* first.open
        assert.strictEqual(yield* Queue.take(begun), 2)
      }).pipe(Effect.provide(
        Layer.merge(
          SideEffects.LiveLayer(WithKey, { dispatcher: ClusterSideEffects.dispatcher() }),
          ClusterSideEffects.layerWorker(WithKey).pipe(Layer.provide(handler))
        ).pipe(Layer.provideMerge(TestRunner.layer))
      ))
    }))
})

/** A cluster in one database: each runner has an address of its own. */
const storage = Layer.mergeAll(
  SqlMessageStorage.layer,
  Layer.orDie(SqlRunnerStorage.layer)
)

const settings = (address?: number) =>
  ClusterSideEffects.layerShardingConfig({
    runnerAddress: address === undefined ? Option.none() : Option.some(RunnerAddress.make("here", address)),
    shardsPerGroup: 12,
    refreshAssignmentsInterval: "20 millis",
    entityMessagePollInterval: "20 millis"
  })

const cluster = (address?: number) =>
  Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provideMerge(storage),
    Layer.provide([RunnerHealth.layerNoop, settings(address), NodeCrypto.layer, quiet])
  )

const database = SqliteClient.layer({ filename: ":memory:" })

describe("with a database", () => {
  it.live("a key with more than a mailbox holds stays in order", () =>
    Effect.gen(function*() {
      const ended = yield* Queue.unbounded<number>()
      const handler = Book.toLayer(({ entry }) => Queue.offer(ended, entry))
      yield* Effect.gen(function*() {
        yield* book("a", 30)
        yield* book("a", 30, 31)
        assert.deepStrictEqual(yield* take(ended, 60), Array.from({ length: 60 }, (_, i) => i + 1))
      }).pipe(Effect.provide(
        Layer.merge(
          sending,
          ClusterSideEffects.layerWorker(Bank, { mailboxCapacity: 4 }).pipe(Layer.provide(handler))
        ).pipe(Layer.provideMerge(cluster(1)), Layer.provide(database))
      ))
    }))

  it.live("what moves to another runner goes on there, in order; what has begun ends where it is", () =>
    Effect.gen(function*() {
      const ended: Array<string> = []
      const done = yield* Deferred.make<void>()
      const begun = yield* Queue.unbounded<void>()
      const go = Latch.makeUnsafe()
      const total = 24 * 3
      const runner = (address: number) =>
        ClusterSideEffects.layerWorker(Bank, { concurrency: 100 }).pipe(
          Layer.provide(Book.toLayer(({ account, entry }) =>
            Effect.gen(function*() {
              yield* Queue.offer(begun, undefined)
              yield* go.await
              ended.push(`${account} ${entry} ${address}`)
              if (ended.length === total) yield* Deferred.succeed(done, undefined)
            })
          )),
          Layer.provideMerge(Layer.fresh(cluster(address)))
        )
      /** How many of the twelve shards a runner has. */
      const shardsOf = (sharding: Sharding.Sharding["Service"]) =>
        Array.from({ length: 12 }, (_, i) => ShardId.make("default", i + 1)).filter((id) => sharding.hasShardId(id))
          .length
      yield* Effect.gen(function*() {
        const scope = yield* Effect.scope
        const first = Context.get(yield* Layer.buildWithScope(runner(1), scope), Sharding.Sharding)
        for (let entry = 1; entry <= 3; entry++) {
          yield* SideEffects.boundary(SideEffects.enqueueAll(
            Array.from({ length: 24 }, (_, account) => [Book, { account: `${account}`, entry }] as const)
          ))
        }
        yield* take(begun, 24)
        // It gets half of the shards, as soon as the first one lets go of them.
        yield* Layer.buildWithScope(runner(2), scope)
        yield* Effect.sync(() => shardsOf(first)).pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (shards) => shards < 12 })
        )
        yield* go.open
        yield* Deferred.await(done)
      }).pipe(
        Effect.provide(sending.pipe(Layer.provideMerge(cluster()), Layer.provideMerge(database))),
        Effect.scoped
      )
      const of = (account: number) => ended.filter((one) => one.startsWith(`${account} `)).map((one) => one.split(" "))
      for (let account = 0; account < 24; account++) {
        assert.deepStrictEqual(of(account).map(([, entry]) => entry), ["1", "2", "3"])
        assert.strictEqual(of(account)[0]![2], "1")
      }
      assert.isTrue(ended.some((one) => one.endsWith(" 2")), "nothing has moved")
    }))

  it.live("refuses inside of a transaction, and takes what is handed over after its commit", () =>
    Effect.gen(function*() {
      const performed = yield* Queue.unbounded<number>()
      const worker = ClusterSideEffects.layerWorker(Bank).pipe(
        Layer.provide(Book.toLayer(({ entry }) => Queue.offer(performed, entry)))
      )
      yield* Effect.gen(function*() {
        const exit = yield* Effect.exit(
          SqlSideEffects.transaction(SideEffects.enqueue(Book, { account: "a", entry: 1 }))
        )
        assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", "was released inside a transaction")
      }).pipe(Effect.provide(
        sending.pipe(Layer.provideMerge(cluster(1)), Layer.provideMerge(database))
      ))
      yield* Effect.gen(function*() {
        yield* SqlSideEffects.transaction(SideEffects.enqueue(Book, { account: "a", entry: 2 }))
        assert.strictEqual(yield* Queue.take(performed), 2)
      }).pipe(Effect.provide(
        Layer.merge(
          SideEffects.LiveLayer(Bank, { dispatcher: SqlSideEffects.afterCommit(ClusterSideEffects.dispatcher()) }),
          worker
        ).pipe(Layer.provideMerge(cluster(1)), Layer.provideMerge(database))
      ))
    }))

  it.live("what is dead is kept as the answer of its message", () =>
    Effect.gen(function*() {
      const dead = yield* Deferred.make<void>()
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* book("a", 1)
        yield* Deferred.await(dead)
        const rows = yield* sql<{ job: string; exit: string }>`SELECT m.payload AS job, r.payload AS exit
          FROM cluster_messages m JOIN cluster_replies r ON r.request_id = m.id AND r.kind = 0`.pipe(
          Effect.delay("20 millis"),
          Effect.repeat({ until: (rows) => rows.length > 0 })
        )
        assert.strictEqual(JSON.parse(rows[0]!.job).job.payload.account, "a")
        const { cause } = JSON.parse(rows[0]!.exit)
        assert.strictEqual(cause[0].error._tag, "SideEffectDead")
        assert.strictEqual(cause[0].error.reason, "cancelled")
        assert.strictEqual(cause[0].error.error, "cancelled: the account is closed")
      }).pipe(Effect.provide(
        Layer.merge(
          sending,
          ClusterSideEffects.layerWorker(Bank, { onDead: () => Effect.asVoid(Deferred.succeed(dead, undefined)) }).pipe(
            Layer.provide(Book.toLayer(() => SideEffect.cancel("the account is closed")))
          )
        ).pipe(Layer.provideMerge(cluster(1)), Layer.provideMerge(database), Layer.provide(quiet))
      ))
    }))
})

/** Something else that a runner performs. */
const Other = Entity.make("SomethingElse", [Rpc.make("Hi", {})]).toLayer({ Hi: () => Effect.void })

describe("a runner without a worker", () => {
  it.live("keeps what is sent to its shards for one that comes an hour later", () =>
    Effect.gen(function*() {
      let later = 0
      const live = yield* Clock.Clock
      const clock: Clock.Clock = Object.assign(Object.create(live), {
        currentTimeMillisUnsafe: () => live.currentTimeMillisUnsafe() + later
      })
      const log = logs()
      const performed = yield* Queue.unbounded<number>()
      const runner = Sharding.layer.pipe(
        Layer.provide(Runners.layerNoop),
        Layer.provideMerge(storage),
        Layer.provide([RunnerHealth.layerNoop, settings(1), NodeCrypto.layer, log.layer]),
        Layer.provide(Layer.succeed(Clock.Clock, clock))
      )
      yield* Effect.gen(function*() {
        const context = yield* Layer.build(Layer.provideMerge(Other, Layer.fresh(runner)))
        // It was there for an hour.
        later = 3_600_000
        yield* book("a", 1)
        yield* Effect.sync(() => log.lines.some((line) => line.includes("Could not find entity manager"))).pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (looked) => looked })
        )
        yield* Layer.build(
          ClusterSideEffects.layerWorker(Bank).pipe(
            Layer.provide(Book.toLayer(({ entry }) => Queue.offer(performed, entry)))
          )
        ).pipe(Effect.provideContext(context))
        assert.strictEqual(yield* Queue.take(performed), 1)
      }).pipe(
        Effect.provide(sending.pipe(Layer.provideMerge(cluster()), Layer.provideMerge(database))),
        Effect.scoped
      ) as Effect.Effect<void>
    }))

  /** Ends the patience of a dispatcher. */
  const outwait = <A, E>(fiber: Fiber.Fiber<A, E>) =>
    Effect.gen(function*() {
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("10 seconds")
        yield* TestClock.withLive(Effect.sleep("5 millis"))
      }
      return yield* Fiber.await(fiber)
    })

  it.effect("accepts nothing that belongs to itself", () =>
    Effect.gen(function*() {
      const built = yield* TestClock.withLive(Layer.build(sending.pipe(Layer.provideMerge(TestRunner.layer))))
      const sharding = Context.get(built, Sharding.Sharding)
      yield* Effect.sync(() => sharding.hasShardId(ShardId.make("default", 1))).pipe(
        Effect.delay("10 millis"),
        Effect.repeat({ until: (mine) => mine }),
        TestClock.withLive
      )
      const exit = yield* Effect.flatMap(Effect.forkChild(Effect.provideContext(book("a", 1), built)), outwait)
      const text = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it was accepted"
      assert.include(text, "Side effect \"bank:book\" was not accepted")
      assert.include(text, "no ClusterSideEffects.layerWorker for entity \"SideEffects\"")
      const { requests } = Context.get(built, MessageStorage.MemoryDriver)
      assert.strictEqual(requests.size, 0)
    }))

  it.effect("does not hold up who sends to it once the message is kept", () =>
    Effect.gen(function*() {
      const log = logs()
      const built = yield* TestClock.withLive(Layer.build(TestRunner.layer))
      const messages = Context.get(built, MessageStorage.MessageStorage)
      // As over a socket: the message is written, and the runner does not answer.
      const far = Sharding.Sharding.of({
        ...Context.get(built, Sharding.Sharding),
        sendOutgoing: (message) => Effect.andThen(Effect.orDie(messages.saveRequest(message as any)), Effect.never)
      })
      const exit = yield* book("a", 3).pipe(
        Effect.provide(sending),
        Effect.provideContext(Context.add(built, Sharding.Sharding, far)),
        Effect.provide(log.layer),
        Effect.forkChild,
        Effect.flatMap(outwait)
      )
      assert.isTrue(Exit.isSuccess(exit))
      assert.strictEqual(Context.get(built, MessageStorage.MemoryDriver).requests.size, 3)
      assert.strictEqual(log.lines.filter((line) => line.includes("is kept, but")).length, 1)
    }))
})

describe("what it refuses", () => {
  const failed = (layer: Layer.Layer<never, never, any>, on: Layer.Layer<any> = TestRunner.layer) =>
    Effect.scoped(Layer.build(layer)).pipe(
      Effect.provide(Layer.merge(Book.toLayer(() => Effect.void), on)),
      Effect.exit,
      Effect.map((exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it was built")
    ) as Effect.Effect<string>

  it.live("two workers of one entity in one process, but not those of two", () =>
    Effect.gen(function*() {
      const one = ClusterSideEffects.layerWorker(Bank)
      const message = yield* failed(Layer.merge(one, ClusterSideEffects.layerWorker(Bank, { concurrency: 1 })))
      assert.include(message, "entity \"SideEffects\", which another worker in this process performs already")
      const other = ClusterSideEffects.layerWorker(Bank, { entity: "Other" })
      assert.strictEqual(yield* failed(Layer.merge(one, other)), "it was built")
    }))

  it.live("a worker that is built again in the same cluster, when the first one is closed", () =>
    Effect.gen(function*() {
      const built = yield* Layer.build(Layer.merge(TestRunner.layer, Book.toLayer(() => Effect.void)))
      const again = Effect.exit(Effect.scoped(Effect.provideContext(
        Layer.build(Layer.fresh(ClusterSideEffects.layerWorker(Bank))),
        built
      )))
      assert.isTrue(Exit.isSuccess(yield* again))
      const exit = yield* again
      assert.include(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it was built", "performed until it was closed")
    }))

  it.live("queues, and a cluster that keeps nothing", () =>
    Effect.gen(function*() {
      const options: object = { queues: ["mails"] }
      assert.include(yield* failed(ClusterSideEffects.layerWorker(Bank, options)), "was given queues")
      const volatile = Sharding.layer.pipe(
        Layer.provide([Runners.layerNoop, RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
        Layer.provideMerge(MessageStorage.layerNoop),
        Layer.provide(settings(1))
      )
      assert.include(yield* failed(ClusterSideEffects.layerWorker(Bank), volatile), "has no MessageStorage")
    }))
})

describe("layerShardingConfig", () => {
  it.effect("is the settings of Effect, turned, and what the caller says comes first", () =>
    Effect.gen(function*() {
      const of = (options?: Parameters<typeof ClusterSideEffects.layerShardingConfig>[0]) =>
        Effect.provide(ShardingConfig.ShardingConfig, ClusterSideEffects.layerShardingConfig(options))
      assert.deepStrictEqual(yield* of(), { ...ShardingConfig.defaults, ...ClusterSideEffects.shardingConfig() })
      assert.strictEqual((yield* of({ entityMessagePollInterval: "3 seconds" })).entityMessagePollInterval, "3 seconds")
    }))
})
