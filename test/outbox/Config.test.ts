import { assert, describe, it } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { handlers, job, Jobs, jobs, note, outbox, quiet, states, storeWith } from "./fixtures.ts"

type Env = Record<string, string>

const provider = (env: Env) => Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))

/** A worker that begins now, as the environment says. */
const start = Effect.fnUntraced(function*(
  env: Env,
  handle: (id: string) => Effect.Effect<unknown, unknown, any> = () => Effect.void,
  options: Outbox.WorkerOptions = {}
) {
  const scope = yield* Scope.make()
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  const worker = Outbox.layerWorkerConfig(Jobs, { id: "w1", gracePeriod: 0, ...options })
  yield* Layer.buildWithScope(Layer.provide(worker, handlers(handle)), scope).pipe(provider(env))
  return { close }
})

const message = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? (Cause.squash(exit.cause) as Error).message : "it succeeded"

/** What the worker says to its store. */
const watched = () => {
  const seen = {
    claims: [] as Array<OutboxStore.Claim>,
    retention: undefined as unknown,
    names: [] as ReadonlyArray<string>
  }
  const store = storeWith((store) => ({
    claim: (claim) => {
      seen.claims.push(claim)
      return store.claim(claim)
    },
    cleanup: (retention) => {
      seen.retention = retention
      return store.cleanup(retention)
    },
    register: (worker) => {
      seen.names = worker.names
      return store.register(worker)
    }
  }))
  return { seen, store }
}

describe("Outbox.layerWorkerConfig", () => {
  it.effect("is layerWorker where nothing is set", () =>
    outbox((lines) =>
      Effect.gen(function*() {
        yield* jobs("ab")
        yield* start({})
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a done", "b done"])
        assert.deepStrictEqual(lines, [])
      })
    ))

  it.effect("takes every number of the deployer, and those of the code where there is none", () => {
    const { seen, store } = watched()
    return outbox((lines) =>
      Effect.gen(function*() {
        yield* start({
          SIDE_EFFECTS_OUTBOX_QUEUES: "mails, default",
          SIDE_EFFECTS_OUTBOX_CONCURRENCY: "3",
          SIDE_EFFECTS_OUTBOX_BATCH_SIZE: "2",
          SIDE_EFFECTS_OUTBOX_LEASE: "45 seconds",
          SIDE_EFFECTS_OUTBOX_POLL_INTERVAL: "7 minutes",
          SIDE_EFFECTS_OUTBOX_RETENTION_DONE: "0 seconds",
          SIDE_EFFECTS_OUTBOX_RETENTION_UNKNOWN: "2 hours"
        }, () =>
          Effect.void, { retention: { dead: "5 days", unknown: "1 minute" }, concurrency: 9 })
        yield* quiet
        const { lease, limit, queues } = seen.claims.at(-1)!
        assert.deepStrictEqual({ lease, limit, queues }, { lease: 45_000, limit: 5, queues: ["mails", "default"] })
        const claims = seen.claims.length
        yield* TestClock.adjust("6 minutes")
        assert.strictEqual(seen.claims.length, claims)
        yield* TestClock.adjust("2 minutes")
        assert.isAbove(seen.claims.length, claims)
        assert.deepStrictEqual(seen.retention, { done: 0, dead: 5 * 86_400_000, unknown: 7_200_000 })
        assert.deepStrictEqual(lines, [
          "INFO Configuration of the outbox worker of group \"jobs\": SIDE_EFFECTS_OUTBOX_QUEUES=mails,default; " +
          "SIDE_EFFECTS_OUTBOX_CONCURRENCY=3; SIDE_EFFECTS_OUTBOX_BATCH_SIZE=2; SIDE_EFFECTS_OUTBOX_LEASE=45 seconds; " +
          "SIDE_EFFECTS_OUTBOX_POLL_INTERVAL=7 minutes; SIDE_EFFECTS_OUTBOX_RETENTION_DONE=0 seconds; " +
          "SIDE_EFFECTS_OUTBOX_RETENTION_UNKNOWN=2 hours"
        ])
      }), { store })
  })

  it.effect("the grace period is the deployer's", () =>
    outbox(() =>
      Effect.gen(function*() {
        const never = yield* Deferred.make<void>()
        const { close } = yield* start({ SIDE_EFFECTS_OUTBOX_GRACE_PERIOD: "3 minutes" }, () => Deferred.await(never))
        yield* jobs("a")
        yield* quiet
        const closing = yield* Effect.forkChild(close)
        yield* TestClock.adjust("179 seconds")
        assert.strictEqual(closing.pollUnsafe(), undefined)
        yield* TestClock.adjust("1 second")
        yield* quiet
        assert.isDefined(closing.pollUnsafe())
      })
    ))

  it.effect("says everything that is wrong at once, the switches too", () =>
    outbox(() =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(start({
          SIDE_EFFECTS_MODE: "off",
          SIDE_EFFECTS_BLOCK: "mails:**",
          SIDE_EFFECTS_OUTBOX_CONCURRENCY: "none",
          SIDE_EFFECTS_OUTBOX_BATCH_SIZE: "1.5",
          SIDE_EFFECTS_OUTBOX_MAX_CRASHES: "0",
          SIDE_EFFECTS_OUTBOX_LEASE: "0 seconds",
          SIDE_EFFECTS_OUTBOX_POLL_INTERVAL: "1000",
          SIDE_EFFECTS_OUTBOX_GRACE_PERIOD: "-1 second",
          SIDE_EFFECTS_OUTBOX_RETENTION_DONE: "never",
          SIDE_EFFECTS_OUTBOX_RETENTION_DEAD: "Infinity",
          SIDE_EFFECTS_OUTBOX_RETENTION_UNKNOWN: "x"
        }))
        const number = "It takes a whole number, 1 or more."
        const how = "a number and a unit, such as 500 millis, 30 seconds, 5 minutes, 1 hour or 7 days."
        assert.deepStrictEqual(message(exit).split("\n"), [
          "SourceError: Configuration of the outbox worker of group \"jobs\": 11 settings are wrong:",
          "- SIDE_EFFECTS_MODE is \"off\". It takes one of live, drop, assert-none, record; left out, it is live.",
          "- \"mails:**\" in SIDE_EFFECTS_BLOCK matches no side effect of group \"jobs\". Correct it, or remove it. The " +
          "group has: jobs:run, jobs:note.",
          `- SIDE_EFFECTS_OUTBOX_CONCURRENCY is "none". ${number}`,
          `- SIDE_EFFECTS_OUTBOX_BATCH_SIZE is "1.5". ${number}`,
          `- SIDE_EFFECTS_OUTBOX_MAX_CRASHES is "0". ${number}`,
          `- SIDE_EFFECTS_OUTBOX_LEASE is "0 seconds". It takes a duration above 0: ${how}`,
          `- SIDE_EFFECTS_OUTBOX_POLL_INTERVAL is "1000". It takes a duration above 0: ${how}`,
          `- SIDE_EFFECTS_OUTBOX_GRACE_PERIOD is "-1 second". It takes a duration: ${how}`,
          `- SIDE_EFFECTS_OUTBOX_RETENTION_DONE is "never". It takes a duration: ${how}`,
          `- SIDE_EFFECTS_OUTBOX_RETENTION_DEAD is "Infinity". It takes a duration: ${how}`,
          `- SIDE_EFFECTS_OUTBOX_RETENTION_UNKNOWN is "x". It takes a duration: ${how}`
        ])
      })
    ))

  it.effect("the names of queues may be an array, and nothing else that is no text", () => {
    const { seen, store } = watched()
    const from = (value: unknown) =>
      Layer.build(Layer.provide(Outbox.layerWorkerConfig(Jobs), handlers(() => Effect.void))).pipe(
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ SIDE_EFFECTS_OUTBOX_QUEUES: value })
        ),
        Effect.exit
      )
    return outbox(() =>
      Effect.gen(function*() {
        assert.strictEqual(
          message(yield* from({ mails: true })),
          "SourceError: Configuration of the outbox worker of group \"jobs\": SIDE_EFFECTS_OUTBOX_QUEUES holds an object. " +
            "It takes names of queues, separated by commas, or a list of them."
        )
        assert.isTrue(Exit.isSuccess(yield* from(["mails", " default "])))
        yield* quiet
        assert.deepStrictEqual(seen.claims.at(-1)?.queues, ["mails", "default"])
      }), { store })
  })

  it.effect("how many crashes there may be is the deployer's", () => {
    const store = storeWith((store) => ({
      claim: (claim) => Effect.map(store.claim(claim), (claimed) => claimed.map((one) => ({ ...one, crashes: 1 })))
    }))
    return outbox(() =>
      Effect.gen(function*() {
        yield* jobs("a")
        yield* start({ SIDE_EFFECTS_OUTBOX_MAX_CRASHES: "1" })
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a dead crashed"])
      }), { store })
  })
})

describe("the kill switch and the backlog", () => {
  const stores = {
    memory: MemoryOutboxStore.layer,
    sqlite: SqlOutboxStore.layer().pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" })), Layer.orDie)
  }
  for (const [name, store] of Object.entries(stores)) {
    it.effect(`what is blocked waits in the outbox, and goes when the block is lifted (${name})`, () =>
      outbox((lines) =>
        Effect.gen(function*() {
          yield* SideEffects.boundary(Effect.all([job("a"), note("b"), job("c")]))
          const blocked = yield* start({ SIDE_EFFECTS_BLOCK: "jobs:run" })
          yield* quiet
          yield* TestClock.adjust("1 minute")
          yield* quiet
          assert.deepStrictEqual(yield* states, ["a pending", "b done", "c pending"])
          assert.deepStrictEqual(lines, [
            "INFO Configuration of the outbox worker of group \"jobs\": SIDE_EFFECTS_BLOCK=jobs:run keeps in 1 of 2 side " +
            "effects",
            "WARN The outbox worker of group \"jobs\" begins nothing of jobs:run, as SIDE_EFFECTS_BLOCK and " +
            "SIDE_EFFECTS_ALLOW_ONLY say. What is in the outbox waits there."
          ])
          yield* blocked.close
          yield* start({})
          yield* quiet
          assert.deepStrictEqual(yield* states, ["a done", "b done", "c done"])
        }), { store }))
  }

  it.effect("so does what is not allowed", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([job("a"), note("b")]))
        yield* start({ SIDE_EFFECTS_ALLOW_ONLY: "jobs:run" })
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a done", "b pending"])
      })
    ))

  for (const mode of ["drop", "assert-none", "record"]) {
    it.effect(`a worker begins nothing where SIDE_EFFECTS_MODE is ${mode}, and is known all the same`, () => {
      const { seen, store } = watched()
      return outbox((lines) =>
        Effect.gen(function*() {
          yield* jobs("ab")
          const { close } = yield* start({ SIDE_EFFECTS_MODE: mode })
          yield* TestClock.adjust("3 hours")
          yield* quiet
          // Nothing has become dead as unknown.
          assert.deepStrictEqual(yield* states, ["a pending", "b pending"])
          assert.deepStrictEqual(seen.names, ["jobs:run", "jobs:note"])
          assert.include(lines[1]!, `begins nothing of jobs:run, jobs:note, as SIDE_EFFECTS_MODE is ${mode}.`)
          yield* close
        }), { store })
    })
  }

  it.effect("a handler's limit of its own does not lead around the block", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([job("a"), note("b")]))
        const worker = Outbox.layerWorkerConfig(Jobs, { id: "w1" })
        const limited = handlers(() => Effect.void, { options: { concurrency: 1 } })
        yield* Layer.build(Layer.provide(worker, limited)).pipe(provider({ SIDE_EFFECTS_BLOCK: "jobs:run" }))
        yield* TestClock.adjust("1 minute")
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a pending", "b done"])
      })
    ))

  it.effect("nor does a handler's limit lead the suspects around the block, or wake the worker for it", () => {
    const asked: Array<OutboxStore.Claim> = []
    const store = storeWith((store) => ({
      claim: (claim) => {
        asked.push(claim)
        return store.claim(claim)
      },
      nextDueIn: (claim) => {
        asked.push(claim as OutboxStore.Claim)
        return store.nextDueIn(claim)
      }
    }))
    return outbox(() =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.all([job("a"), note("b")]))
        // Two workers have ended while they performed it.
        for (let crash = 0; crash < 2; crash++) {
          const { claim } = yield* OutboxStore.OutboxStore
          yield* claim({ worker: "gone", limit: 1, lease: 1, names: ["jobs:run"], queues: undefined, suspects: false })
          yield* TestClock.adjust("1 minute")
        }
        asked.length = 0
        const worker = Outbox.layerWorkerConfig(Jobs, { id: "w1" })
        const limited = handlers(() => Effect.void, { options: { concurrency: 1 } })
        yield* Layer.build(Layer.provide(worker, limited)).pipe(provider({ SIDE_EFFECTS_BLOCK: "jobs:run" }))
        yield* TestClock.adjust("1 minute")
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a pending", "b done"])
        assert.isTrue(asked.some(({ suspects }) => suspects) && asked.some(({ suspects }) => !suspects))
        assert.deepStrictEqual(asked.filter(({ names }) => names.includes("jobs:run")), [])
      }), { store })
  })

  it.effect("what a handler enqueues of the blocked is dropped, as everywhere", () =>
    outbox(() =>
      Effect.gen(function*() {
        yield* jobs("a")
        yield* start({ SIDE_EFFECTS_BLOCK: "jobs:note" }, (id) =>
          id === "a" ? Effect.andThen(note("b"), job("c")) : Effect.void)
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a done", "c done"])
      })
    ))

  it.effect("an entry under an old name is blocked by the new one", () =>
    Effect.gen(function*() {
      const Old = SideEffect.make("mails:old", { description: "Send." })
      const New = SideEffect.make("mails:new", { description: "Send.", aliases: ["mails:old"] })
      const [Before, After] = [SideEffectGroup.make("mails").add(Old), SideEffectGroup.make("mails").add(New)]
      let sent = 0
      const count = Effect.sync(() => void sent++)
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(SideEffects.enqueue(Old)).pipe(
          Effect.provide(SideEffects.LiveLayer(Before, { dispatcher: Outbox.dispatcher() }))
        )
        const worker = Outbox.layerWorkerConfig(After).pipe(Layer.provide(New.toLayer(() => count)))
        yield* Effect.scoped(Effect.andThen(
          Layer.build(worker).pipe(provider({ SIDE_EFFECTS_BLOCK: "mails:new" })),
          quiet
        ))
        assert.strictEqual(sent, 0)
        yield* Effect.scoped(Effect.andThen(Layer.build(worker).pipe(provider({})), quiet))
        assert.strictEqual(sent, 1)
      }).pipe(Effect.provide(MemoryOutboxStore.layer))
    }))
})
