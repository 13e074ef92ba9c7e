import { assert, describe, it, layer } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Engine, type Job } from "effect-side-effects/engine"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { logs } from "../fixtures.ts"
import { away, entries, historyOf, job, Jobs, jobs, note, outbox, quiet, start, states, storeWith } from "./fixtures.ts"
import { everything, nothing, offer, recording, relay } from "./relaying.ts"
import { stores } from "./stores.ts"

const root = join(import.meta.dirname, "../..")

const ids = (n: number, prefix = "") => Array.from({ length: n }, (_, i) => `${prefix}${i}`)
const Store = OutboxStore.OutboxStore
const offerMany = (offers: ReadonlyArray<OutboxStore.Offer>) =>
  Effect.flatMap(Store, (store) => store.offerMany(offers, { uniqueFor: 0 }))
const jobOf = (id: string): Job.Job => ({
  id,
  name: "jobs:run",
  queue: "default",
  priority: 0,
  payload: null,
  delay: 0,
  createdAt: 0
})
const entry = (id: string) => Effect.flatMap(Store, (store) => store.get(id))
const diesWith = (effect: Effect.Effect<unknown, any, any>) => Effect.map(Effect.exit(effect), String)

/** Of one store after the other. The clock is the real one, as that of a database is. */
for (const { database, fresh, name, skip } of stores("relay_test")) {
  describe.skipIf(skip)(`Outbox.layerRelay ${name}`, () => {
    layer(database, { excludeTestServices: true })((it) => {
      const on = <A, E>(body: Effect.Effect<A, E, any>) =>
        Effect.scoped(body).pipe(
          Effect.provide(Layer.provideMerge(
            SideEffects.LiveLayer(Jobs, { dispatcher: Outbox.dispatcher(), outsideBoundary: "dispatch" }),
            fresh
          ))
        ) as Effect.Effect<A, E>

      it.effect("hands over everything that is told of an intent, and nothing that is not", () =>
        on(Effect.gen(function*() {
          const { batches, engine, jobs } = recording({ queues: ["slow"] })
          const metadata = { tenant: "acme", deep: [1, { two: null }] }
          yield* SideEffects.boundary(Effect.all([
            job("a", { key: "k", origin: "a test", metadata, queue: "slow", priority: 3 }),
            note("b")
          ]))
          const before = yield* entries
          yield* relay({ "**": engine })
          yield* SideEffects.drain
          // When it was handed over.
          const createdAt = jobs[0]!.createdAt
          const { trace } = before[0]!
          assert.deepStrictEqual(jobs.map((job) => ({ ...job })), [
            {
              id: before[0]!.id,
              name: "jobs:run",
              queue: "slow",
              priority: 3,
              payload: { id: "a" },
              metadata,
              delay: 0,
              createdAt,
              key: "k",
              origin: "a test",
              trace
            },
            {
              id: before[1]!.id,
              name: "jobs:note",
              queue: "default",
              priority: 0,
              payload: { id: "b" },
              metadata: undefined,
              delay: 0,
              createdAt,
              key: undefined,
              origin: undefined,
              trace: before[1]!.trace
            }
          ])
          assert.deepStrictEqual(batches, [["a", "b"]])
          assert.deepStrictEqual(yield* states, ["a done", "b done"])
          assert.deepStrictEqual(historyOf((yield* entries)[0]), ["1 done"])
        })))

      it.effect("a payload goes as it was written, with what the schema does not know", () =>
        on(Effect.gen(function*() {
          const { engine, jobs } = recording()
          const payload = { id: "a", addedLater: { by: ["a newer release"] }, note: "ä\u0001\"" }
          yield* offerMany([
            offer("00000000-0000-7000-8000-000000000001", {
              payload: JSON.stringify(payload),
              metadata: `{"x":{"y":1}}`
            }),
            offer("00000000-0000-7000-8000-000000000002", { payload: "null" })
          ])
          yield* relay({ "**": engine })
          yield* SideEffects.drain
          assert.deepStrictEqual(jobs.map(({ id, metadata, payload }) => ({ id, metadata, payload })), [
            { id: "00000000-0000-7000-8000-000000000001", payload, metadata: { x: { y: 1 } } },
            { id: "00000000-0000-7000-8000-000000000002", payload: null, metadata: undefined }
          ])
        })))

      it.effect("two relays share the work, and nothing is handed over twice", () =>
        on(Effect.gen(function*() {
          const [one, two] = [recording(), recording()]
          for (const { state } of [one, two]) state.before = Effect.sleep("2 millis")
          yield* jobs(ids(400))
          yield* relay({ "**": one.engine }, { id: "r1", batchSize: 20 })
          yield* relay({ "**": two.engine }, { id: "r2", batchSize: 20 })
          yield* SideEffects.drain
          assert.isAbove(one.jobs.length, 0)
          assert.isAbove(two.jobs.length, 0)
          assert.sameMembers([...one.taken(), ...two.taken()], ids(400))
        })))

      it.effect("what others died of is handed over all the same", () =>
        on(Effect.gen(function*() {
          const store = yield* Store
          yield* jobs(ids(5))
          const claim = { worker: "lost", limit: 10, lease: 1, names: ["jobs:run"], queues: undefined }
          for (const suspects of [false, false]) {
            yield* store.claim({ ...claim, suspects })
            yield* Effect.sleep("10 millis")
          }
          assert.strictEqual((yield* store.claim({ ...claim, suspects: false })).length, 0)
          const { engine, taken } = recording()
          yield* relay({ "**": engine })
          yield* SideEffects.drain
          assert.sameMembers(taken(), ids(5))
          assert.deepStrictEqual(yield* states, ids(5).map((id) => `${id} done`))
        })))

      it.effect("one that the engine does not take is tried again, and the rest is accepted", () =>
        on(Effect.gen(function*() {
          const { engine, state, taken } = recording()
          state.refuses = (id) => id === "7"
          yield* jobs(ids(50))
          yield* relay({ "**": engine })
          yield* SideEffects.drain
          assert.sameMembers(taken(), ids(50).filter((id) => id !== "7"))
          const found = (yield* entries)[7]!
          assert.deepStrictEqual([found.state, found.attempts, found.failures], ["scheduled", 1, 1])
          assert.match(found.error!, /^array did not take it\. Refused: array does not like 7/)
          state.refuses = () => false
          yield* Effect.flatMap(Store, (store) => store.change({ ids: [found.id] }, { _tag: "Retry" }))
          yield* SideEffects.drain
          assert.strictEqual(taken().at(-1), "7")
        })))

      it.effect("nothing is lost while the engine comes and goes", () =>
        on(Effect.gen(function*() {
          const { engine, state, taken } = recording()
          let calls = 0
          state.before = Effect.sync(() => state.down = ++calls % 3 !== 0)
          yield* jobs(ids(60))
          yield* relay({ "**": engine }, { batchSize: 10 })
          yield* Effect.flatMap(Store, (store) =>
            store.change({ states: ["scheduled"] }, { _tag: "Retry" }).pipe(
              Effect.andThen(Effect.sleep("20 millis")),
              Effect.andThen(store.count({ states: ["pending", "scheduled", "running"] })),
              Effect.repeat({ until: (n) => n === 0 })
            ))
          assert.sameMembers(taken(), ids(60))
        })), { timeout: 30_000 })
    })
  })
}

describe("Outbox.layerRelay, killed between hand-over and settle", () => {
  const died = (directory: string): Effect.Effect<NodeJS.Signals | null> =>
    Effect.callback((resume) => {
      const child = spawn(
        process.execPath,
        ["--import", join(root, "scripts/lib/from-source.ts"), join(root, "test/outbox/relay-child.ts")],
        {
          env: { ...process.env, OUTBOX: join(directory, "outbox.db"), TAKEN: join(directory, "taken") },
          stdio: ["ignore", "inherit", "inherit"]
        }
      )
      child.once("exit", (_, signal) => resume(Effect.succeed(signal)))
      return Effect.sync(() => child.kill("SIGKILL"))
    })

  it.live(
    "it is handed over again with the same id: one job where the engine can tell, one more where it cannot",
    () =>
      Effect.gen(function*() {
        const directory = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "relay-"))),
          (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
        )
        const sqlite = SqliteClient.layer({ filename: join(directory, "outbox.db") })
        const Services = Layer.provideMerge(
          SideEffects.LiveLayer(Jobs, { dispatcher: Outbox.dispatcher() }),
          Layer.provide(SqlOutboxStore.layer(), sqlite)
        )
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(Effect.all([job("a", { key: "order 1" }), job("b", { key: "order 2" })]))
          const offered = (yield* entries).map(({ id, key }) => ({ id, key }))

          // Two of them: what has lost its process twice is a suspect, and is handed over all the same.
          assert.strictEqual(yield* died(directory), "SIGKILL")
          assert.strictEqual(yield* died(directory), "SIGKILL")
          assert.deepStrictEqual((yield* entries).map(({ state }) => state === "done"), [false, false])
          const lost = readFileSync(join(directory, "taken"), "utf8").trim().split("\n").map((line) => JSON.parse(line))
          assert.strictEqual(new Set(lost.map(({ pid }) => pid)).size, 2)
          assert.deepStrictEqual(lost.map(({ id, key }) => ({ id, key })), [...offered, ...offered])

          // What they had accepted when their relay died.
          const [clever, simple] = [recording({ deduplicates: true }), recording()]
          clever.jobs.push(...offered.map(({ id, key }) => ({ ...jobOf(id), key })))
          simple.jobs.push(...lost.map(({ id, key }) => ({ ...jobOf(id), key })))
          const both = Engine.dispatcher({
            name: "both",
            honours: everything,
            connect: Effect.gen(function*() {
              const [one, two] = yield* Effect.all([
                clever.engine[Engine.TypeId].connect,
                simple.engine[Engine.TypeId].connect
              ])
              return { handOver: (jobs) => Effect.andThen(two.handOver(jobs), one.handOver(jobs)) }
            })
          })
          yield* relay({ "**": both }, { lease: "300 millis", pollInterval: "50 millis" })
          yield* SideEffects.drain
          assert.deepStrictEqual(yield* states, ["a done", "b done"])
          assert.deepStrictEqual(clever.jobs.map(({ id, key }) => ({ id, key })), offered)
          const bySimple = simple.jobs.map(({ id, key }) => `${id} ${key}`)
          assert.sameMembers(bySimple, [...lost, ...offered].map(({ id, key }) => `${id} ${key}`))
        }).pipe(Effect.provide(Services))
      }).pipe(Effect.scoped),
    60_000
  )
})

/** On a clock that stands still until the test says so. */
describe("Outbox.layerRelay", () => {
  const test = (name: string, body: (lines: Array<string>) => Effect.Effect<unknown, any, any>) =>
    it.effect(name, () => outbox(body))

  describe("which engine gets what", () => {
    test("the first pattern that matches, and what matches none is left to a worker", (lines) =>
      Effect.gen(function*() {
        const [one, two] = [recording({ name: "one" }), recording({ name: "two" })]
        yield* SideEffects.boundary(Effect.all([job("a"), note("b"), job("c")]))
        const first = yield* relay({ "jobs:run": one.engine, "jobs:*": two.engine })
        yield* quiet
        assert.deepStrictEqual([one.taken(), two.taken()], [["a", "c"], ["b"]])
        yield* first.close

        yield* relay({ "jobs:note": two.engine })
        assert.deepStrictEqual(lines, ["INFO Outbox relay r1 leaves jobs:run to workers: no pattern matches."])
        yield* SideEffects.boundary(Effect.all([job("d"), note("e")]))
        yield* quiet
        assert.deepStrictEqual((yield* states).slice(3), ["d pending", "e done"])
        const seen: Array<string> = []
        yield* start((id) => Effect.sync(() => seen.push(id)))
        yield* quiet
        assert.deepStrictEqual(seen, ["d"])
      }))

    test("an engine that stands in it twice is connected once, one that gets nothing not at all", () =>
      Effect.gen(function*() {
        const connected: Array<string> = []
        const engineOf = (name: string) =>
          Engine.dispatcher({
            name,
            honours: nothing,
            connect: Effect.acquireRelease(
              Effect.sync(() => {
                connected.push(name)
                return { handOver: () => Effect.void }
              }),
              () => Effect.sync(() => connected.push(`${name} closed`))
            )
          })
        const twice = engineOf("twice")
        const { close } = yield* relay({ "jobs:run": twice, "jobs:note": twice, "**": engineOf("never") })
        yield* SideEffects.boundary(Effect.all([job("a"), note("b")]))
        yield* quiet
        yield* close
        assert.deepStrictEqual(connected, ["twice", "twice closed"])
        assert.deepStrictEqual(yield* states, ["a done", "b done"])
      }))

    test("what cannot be meant is refused when the layer is built", () =>
      Effect.gen(function*() {
        const { engine } = recording()
        assert.include(
          yield* diesWith(relay({ "jobs:runn": engine, "**": engine })),
          "Outbox.layerRelay was given the pattern \"jobs:runn\", which matches no side effect of group \"jobs\". It has " +
            "jobs:run and jobs:note."
        )
        for (
          const [before, after] of [["**", "jobs:run"], ["jobs:*", "jobs:run"], ["jobs:**", "jobs:*"], [
            "*:run",
            "jobs:run"
          ]]
        ) {
          assert.include(
            yield* diesWith(relay({ [before!]: engine, "jobs:note": engine, [after!]: engine })),
            `Outbox.layerRelay was given the pattern "`
          )
        }
        assert.include(
          yield* diesWith(relay({ "jobs:run": engine, "**": engine, "jobs:note": engine })),
          "Outbox.layerRelay was given the pattern \"jobs:note\" after \"**\", which takes all that it matches. Name " +
            "\"jobs:note\" before \"**\", or leave it out."
        )
        assert.include(
          yield* diesWith(relay({})),
          "Outbox.layerRelay was given no engine. Name one: { \"**\": engine }."
        )
        assert.include(
          yield* diesWith(relay({ "**": Outbox.dispatcher() as any })),
          "Outbox.layerRelay was given something else than an engine for \"**\"."
        )
        assert.include(yield* diesWith(relay({ "jobs::run": engine })), "has an empty segment")
        assert.include(yield* diesWith(relay({ "**": engine }, { batchSize: 0 })), "batchSize: 0")
        assert.include(yield* diesWith(relay({ "**": engine }, { maxAttempts: 0 })), "maxAttempts: 0")
        for (const option of ["lease", "pollInterval"]) {
          assert.include(
            yield* diesWith(relay({ "**": engine }, { [option]: 0 })),
            `Outbox.layerRelay was given ${option}: 0. It takes 1 millisecond or more.`
          )
        }
      }))

    test("an engine that cannot be connected fails the layer, and nothing has been begun", () =>
      Effect.gen(function*() {
        const engine = Engine.dispatcher({ name: "gone", honours: nothing, connect: Effect.fail("no such host") })
        yield* job("a")
        assert.include(yield* diesWith(relay({ "**": engine })), "no such host")
        assert.deepStrictEqual(yield* Effect.flatMap(Store, (store) => store.workers), [])
        assert.deepStrictEqual(yield* states, ["a pending"])
      }))

    it.effect("an alias goes where its side effect goes, under the name that was written", () => {
      class Renamed extends SideEffect.make("mails:send", {
        description: "Send a mail.",
        payload: { id: Schema.String },
        aliases: ["old:mail"]
      }) {}
      const Group = SideEffectGroup.make("mails").add(Renamed)
      const { engine, jobs } = recording()
      return Effect.gen(function*() {
        yield* offerMany([offer("1", { name: "old:mail" }), offer("2", { name: "mails:send" })])
        yield* Layer.build(Outbox.layerRelay(Group, { "mails:*": engine }))
        yield* quiet
        assert.deepStrictEqual(jobs.map(({ name }) => name), ["old:mail", "mails:send"])
      }).pipe(Effect.scoped, Effect.provide(MemoryOutboxStore.layer))
    })
  })

  describe("what an engine cannot honour", () => {
    class Slow extends SideEffect.make("jobs:slow", { description: "Run slowly.", defaults: { queue: "slow" } }) {}
    class Urgent extends SideEffect.make("jobs:urgent", { description: "Run urgently.", defaults: { priority: 9 } }) {}
    const build = (
      group: SideEffectGroup.Any,
      engines: Outbox.Engines,
      options?: Outbox.RelayOptions
    ): Effect.Effect<unknown, any, any> => Layer.build(Outbox.layerRelay(group as any, engines, options))
    const refusal = (
      group: SideEffectGroup.Any,
      engines: Outbox.Engines,
      options?: Outbox.RelayOptions
    ): Effect.Effect<string> =>
      diesWith(build(group, engines, options)).pipe(
        Effect.scoped,
        Effect.provide(MemoryOutboxStore.layer)
      ) as Effect.Effect<string>

    it.effect("a queue that the group tells is refused when the layer is built", () =>
      Effect.gen(function*() {
        const group = SideEffectGroup.make("slow").add(Slow, Urgent)
        const { engine } = recording({ honours: nothing })
        assert.include(
          yield* refusal(group, { "**": engine }),
          "Side effect \"jobs:slow\" is told by its definition to have queue \"slow\", and array has no queues."
        )
        // Another engine gets it.
        assert.include(yield* refusal(group, { "jobs:slow": recording().engine, "**": engine }), "Success")
        // The relay looks elsewhere.
        assert.include(yield* refusal(group, { "**": engine }, { queues: ["default"] }), "Success")
        // The relay has honoured it.
        assert.include(yield* refusal(group, { "**": engine }, { queues: ["default", "slow"] }), "Success")
        assert.include(yield* refusal(group, { "**": recording().engine }), "Success")
      }))

    it.effect("what an engine takes no value of is refused when the layer is built", () =>
      Effect.gen(function*() {
        const group = SideEffectGroup.make("urgent").add(Urgent)
        const problem = ({ priority = 0 }: { readonly priority?: number | undefined }) =>
          priority > 5 ? { option: "priority", problem: "5 is the highest." } as const : undefined
        assert.include(
          yield* refusal(group, { "**": recording({ honours: { ...everything, problem } }).engine }),
          "array cannot take that: 5 is the highest."
        )
        // It gets no priorities.
        assert.include(
          yield* refusal(group, { "**": recording({ honours: { ...nothing, problem } }).engine }),
          "Success"
        )
      }))

    test("delays and priorities are honoured by the outbox", () =>
      Effect.gen(function*() {
        const [bare, full] = [recording({ honours: nothing }), recording()]
        yield* SideEffects.boundary(Effect.all([
          job("a", { priority: -1 }),
          job("b"),
          job("c", { priority: 5 }),
          job("d", { delay: "1 minute" }),
          note("e", { priority: 7 })
        ]))
        yield* relay({ "jobs:run": bare.engine, "jobs:note": full.engine })
        yield* quiet
        assert.deepStrictEqual(bare.jobs.map(({ delay, payload, priority }) => [payload, delay, priority]), [
          [{ id: "c" }, 0, 0],
          [{ id: "b" }, 0, 0],
          [{ id: "a" }, 0, 0]
        ])
        assert.deepStrictEqual(full.jobs.map(({ priority }) => priority), [7])
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(bare.taken(), ["c", "b", "a", "d"])
      }))

    test("a single entry with a queue that the engine does not know is dead, and says so", () =>
      Effect.gen(function*() {
        const { batches, engine } = recording()
        yield* SideEffects.boundary(Effect.all([job("a", { queue: "unheard-of" }), job("b")]))
        yield* relay({ "**": engine })
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a dead exhausted", "b done"])
        const [dead] = yield* entries
        assert.include(
          dead!.error!,
          "Side effect \"jobs:run\" was enqueued with queue \"unheard-of\", and no worker of array"
        )
        assert.deepStrictEqual(historyOf(dead), ["1 failed"])
        assert.deepStrictEqual(batches, [["b"]])
      }))

    test("a relay for some queues hands over nothing else", () =>
      Effect.gen(function*() {
        const { engine, jobs } = recording({ honours: nothing })
        yield* SideEffects.boundary(Effect.all([job("a", { queue: "slow" }), job("b")]))
        yield* relay({ "**": engine }, { queues: ["slow"] })
        yield* quiet
        assert.deepStrictEqual(yield* states, ["a done", "b pending"])
        assert.deepStrictEqual(jobs.map(({ queue }) => queue), ["slow"])
      }))

    test("a payload that is no JSON is dead as undecodable", () =>
      Effect.gen(function*() {
        const { engine, taken } = recording()
        yield* offerMany([
          offer("1", { payload: "{" }),
          offer("2", { metadata: "nonsense" }),
          offer("3", { payload: "{\"id\":1}" })
        ])
        yield* relay({ "**": engine })
        yield* quiet
        for (const id of ["1", "2"]) {
          const found = yield* entry(id)
          assert.deepStrictEqual([found?.state, found?.reason], ["dead", "undecodable"])
          assert.include(found!.error!, "The payload of \"jobs:run\", or its metadata, is no JSON.")
          assert.deepStrictEqual(historyOf(found), ["1 undecodable"])
        }
        // Whether it fits the schema is found out by who performs it.
        assert.deepStrictEqual(taken(), ["1"])
      }))
  })

  describe("batches", () => {
    test("of batchSize at most, in order", () =>
      Effect.gen(function*() {
        const { batches, engine, taken } = recording()
        yield* jobs(ids(25))
        yield* relay({ "**": engine }, { batchSize: 10, pollInterval: "1 hour" })
        yield* quiet
        assert.deepStrictEqual(batches.map(({ length }) => length), [10, 10, 5])
        assert.deepStrictEqual(taken(), ids(25))
      }))

    test("a batch is claimed while the one before is handed over, and no more than that", () =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        const gate = yield* Deferred.make<void>()
        state.before = Deferred.await(gate)
        yield* jobs(ids(50))
        yield* relay({ "**": engine }, { batchSize: 10 })
        yield* quiet
        const store = yield* Store
        assert.strictEqual(yield* store.count({ states: ["running"] }), 20)
        yield* Deferred.succeed(gate, undefined)
      }))

    test("a commit wakes it, and a poll stands behind that", () =>
      Effect.gen(function*() {
        const { engine, taken } = recording()
        yield* relay({ "**": engine }, { pollInterval: "1 hour" })
        yield* quiet
        yield* job("a")
        yield* quiet
        assert.deepStrictEqual(taken(), ["a"])
      }))

    it.effect("the poll finds what nobody has told of", () =>
      outbox(() =>
        Effect.gen(function*() {
          const { engine, taken } = recording()
          yield* relay({ "**": engine }, { pollInterval: "3 seconds" })
          yield* quiet
          yield* job("a")
          yield* quiet
          assert.deepStrictEqual(taken(), [])
          yield* TestClock.adjust("3 seconds")
          assert.deepStrictEqual(taken(), ["a"])
        }), { store: storeWith(() => ({ wake: Effect.succeed(Effect.never) })) }))

    test("what the engine has already is done", () =>
      Effect.gen(function*() {
        const { engine, jobs: has } = recording({ deduplicates: true })
        yield* offerMany([offer("1"), offer("2")])
        has.push(jobOf("1"))
        yield* relay({ "**": engine })
        yield* quiet
        assert.deepStrictEqual(has.map(({ id }) => id), ["1", "2"])
        assert.deepStrictEqual(yield* states, ["1 done", "2 done"])
      }))

    test("what is paused waits", () =>
      Effect.gen(function*() {
        const store = yield* Store
        const { engine, taken } = recording()
        yield* store.pause({ kind: "name", what: "jobs:run" })
        yield* SideEffects.boundary(Effect.all([job("a"), note("b")]))
        yield* relay({ "**": engine })
        yield* quiet
        assert.deepStrictEqual(taken(), ["b"])
        yield* store.resume({ kind: "name", what: "jobs:run" })
        yield* quiet
        assert.deepStrictEqual(taken(), ["b", "a"])
      }))

    test("retention.done: 0 removes what was handed over at once", () =>
      Effect.gen(function*() {
        const { engine, taken } = recording()
        yield* relay({ "**": engine }, { retention: { done: 0 } })
        yield* jobs("ab")
        yield* quiet
        assert.deepStrictEqual([taken(), (yield* entries).length], [["a", "b"], 0])
      }))
  })

  describe("an engine that does not take something", () => {
    test("tries it again after 1 second, then 2, ... up to 5 minutes, and then it is dead", () =>
      Effect.gen(function*() {
        const { batches, engine, state } = recording()
        state.refuses = (id) => id === "bad"
        yield* jobs(["a", "bad", "b"])
        yield* relay({ "**": engine }, { maxAttempts: 12 })
        yield* quiet
        const tries = () => batches.filter((batch) => batch.length === 1 && batch[0] === "bad").length
        const begun = tries()
        const pauses = [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        for (const [index, seconds] of pauses.entries()) {
          yield* TestClock.adjust(seconds * 1000 - 1)
          assert.strictEqual(tries() - begun, index)
          // What is accepted shows that the engine is there.
          yield* job("other", { delay: "1 millis" })
          yield* TestClock.adjust(1)
          yield* quiet
          assert.strictEqual(tries() - begun, index + 1)
        }
        assert.deepStrictEqual((yield* states).slice(0, 3), ["a done", "bad dead exhausted", "b done"])
        const dead = (yield* entries)[1]!
        assert.include(dead.error!, "array did not take it. Refused: array does not like bad")
        assert.deepStrictEqual([dead.failures, dead.history.length], [12, 12])
      }))

    test("has 100 attempts unless it is told otherwise", () =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        state.refuses = (id) => id === "bad"
        yield* jobs(["a", "bad"])
        yield* relay({ "**": engine }, { pollInterval: "1 hour", retention: { unknown: "30 days" } })
        yield* quiet
        const { id } = (yield* entries)[1]!
        for (let n = 1; n < 100; n++) {
          assert.deepStrictEqual((yield* entry(id))?.failures, n)
          yield* TestClock.adjust(Math.min(1000 * 2 ** (n - 1), 300_000) - 1)
          yield* job("other", { delay: "1 millis" })
          yield* TestClock.adjust(1)
          yield* quiet
        }
        const dead = yield* entry(id)
        assert.deepStrictEqual([dead?.state, dead?.failures], ["dead", 100])
      }))

    test("is found by halving: with few calls, and in order", () =>
      Effect.gen(function*() {
        const { batches, engine, state, taken } = recording()
        state.refuses = (id) => id === "bad"
        const all = [...ids(200), "bad", ...ids(299, "x")]
        yield* jobs(all)
        yield* relay({ "**": engine })
        yield* quiet
        assert.strictEqual(taken().length, 499)
        assert.isAtMost(batches.length, 24)
        // All but the sample that has shown that the engine takes something.
        const [sample, ...rest] = taken()
        assert.deepStrictEqual(rest, all.filter((id) => id !== "bad" && id !== sample))
      }))

    test("many of them do not keep the others waiting, nor are they tried for ever", (lines) =>
      Effect.gen(function*() {
        const { batches, engine, state, taken } = recording()
        state.refuses = (id) => id.startsWith("bad")
        yield* jobs([...ids(90, "bad"), ...ids(10)])
        yield* relay({ "**": engine }, { batchSize: 100 })
        yield* quiet
        for (let i = 0; i < 60 && taken().length < 10; i++) yield* TestClock.adjust("1 second")
        assert.sameMembers(taken(), ids(10))
        yield* TestClock.adjust("2 minutes")
        // By then each of them has been refused while others were not, and waits for its own next attempt.
        const calls = batches.length
        yield* job("late")
        yield* TestClock.adjust("10 seconds")
        assert.include(taken(), "late")
        assert.isAtMost(batches.length - calls, 200)
        const left = (yield* entries).filter(({ state }) => state !== "done")
        assert.strictEqual(left.length, 90)
        assert.isAtMost(lines.filter((line) => line.startsWith("ERROR")).length, 10)
      }))

    test("of one that is alone attempts are used only where others have been accepted since", (lines) =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        state.refuses = (id) => id === "bad"
        yield* jobs(["a", "bad"])
        // Never together with another.
        yield* relay({ "**": engine }, { batchSize: 1, maxAttempts: 4 })
        yield* quiet
        const failures = () => Effect.map(entries, (all) => all[1]!.failures)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* failures(), 0)
        assert.deepStrictEqual(lines, [
          "ERROR Outbox relay r1 cannot hand over to array, and tries again: Refused: array does not like bad. What is for it waits in the outbox."
        ])
        for (let n = 1; n < 4; n++) {
          yield* job("other", { priority: 1 })
          yield* TestClock.adjust("1 minute")
          assert.strictEqual(yield* failures(), n)
          assert.strictEqual((yield* states)[1], "bad pending")
        }
        yield* job("other", { priority: 1 })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* states)[1], "bad dead exhausted")
      }))
  })

  describe("an engine that is away", () => {
    test("uses no attempts, is asked less and less, and others go on", (lines) =>
      Effect.gen(function*() {
        const [one, two] = [recording({ name: "one" }), recording({ name: "two" })]
        one.state.down = true
        yield* jobs(ids(20))
        yield* relay({ "jobs:run": one.engine, "jobs:note": two.engine }, { batchSize: 10 })
        yield* quiet
        assert.deepStrictEqual(lines, [
          "ERROR Outbox relay r1 cannot hand over to one, and tries again: Refused: one is away. What is for it waits in the outbox."
        ])
        assert.deepStrictEqual(
          new Set((yield* entries).map(({ attempts, state }) => `${state} ${attempts}`)),
          new Set(["pending 0"])
        )
        const first = one.batches.length
        yield* TestClock.adjust(79)
        assert.strictEqual(one.batches.length, first)
        yield* TestClock.adjust("1 minute")
        const calls = one.batches.length
        yield* note("b")
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(two.taken(), ["b"])
        // One batch and its samples in about 5 seconds.
        assert.isAtMost(one.batches.filter(({ length }) => length > 1).length, 25)
        assert.isAtMost(one.batches.length - calls, 100)
        assert.strictEqual(lines.length, 1)

        one.state.down = false
        yield* TestClock.adjust("6 seconds")
        assert.sameMembers(one.taken(), ids(20))
        assert.deepStrictEqual(lines.slice(1), ["INFO Outbox relay r1 hands over to one again."])
        const ended = yield* entries
        assert.deepStrictEqual(ended.map(({ attempts, state }) => `${state} ${attempts}`), ended.map(() => "done 1"))
        assert.deepStrictEqual(historyOf(ended[0]), ["1 done"])

        one.state.down = true
        yield* job("c")
        yield* quiet
        assert.match(lines[2]!, /^ERROR Outbox relay r1 cannot hand over to one/)
      }))

    test("is said in sentences that end once", (lines) =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        state.before = Effect.die(new Error("It is away."))
        yield* job("a")
        yield* relay({ "**": engine })
        yield* quiet
        assert.include(lines[0], "tries again: Error: It is away. What is for it waits in the outbox.")
      }))

    test("uses no attempts of what was refused before, either", (lines) =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        state.refuses = (id) => id !== "0"
        yield* jobs(ids(6))
        yield* relay({ "**": engine }, { maxAttempts: 4 })
        yield* quiet
        const failures = Effect.map(entries, (all) => all.map(({ failures }) => failures))
        assert.deepStrictEqual(yield* failures, [0, 1, 1, 1, 1, 1])
        assert.deepStrictEqual(lines, [])
        state.down = true
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual(yield* failures, [0, 1, 1, 1, 1, 1])
        assert.deepStrictEqual(lines, [
          "ERROR Outbox relay r1 cannot hand over to array, and tries again: Refused: array is away. What is for it waits in the outbox."
        ])
        state.down = false
        state.refuses = () => false
        yield* TestClock.adjust("6 seconds")
        assert.deepStrictEqual(yield* states, ids(6).map((id) => `${id} done`))
      }))

    test("what was delayed or had to wait is created when it is handed over", () =>
      Effect.gen(function*() {
        const { engine, jobs: taken, state } = recording()
        state.down = true
        yield* job("a")
        yield* job("b", { delay: "5 minutes" })
        yield* relay({ "**": engine })
        const began = (yield* entries)[0]!.createdAt
        yield* TestClock.adjust("3 minutes")
        state.down = false
        yield* TestClock.adjust("3 minutes")
        const [a, b] = taken.map(({ createdAt, delay }) => createdAt + delay - began)
        assert.isAtLeast(a!, 3 * 60_000)
        assert.isAtMost(a!, 3 * 60_000 + 6000)
        assert.strictEqual(b, 5 * 60_000)
      }))

    test("what another relay can hand over is not kept from it", () =>
      Effect.gen(function*() {
        const [one, two] = [recording({ name: "one" }), recording({ name: "two" })]
        one.state.down = true
        yield* jobs(ids(20))
        yield* relay({ "**": one.engine }, { id: "r1", batchSize: 5 })
        yield* quiet
        yield* relay({ "**": two.engine }, { id: "r2", batchSize: 5 })
        yield* quiet
        assert.sameMembers(two.taken(), ids(20))
      }))

    test("what is claimed behind a batch that is refused is handed back with it", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const { engine, state, taken } = recording()
        state.before = Deferred.await(gate)
        yield* jobs(ids(20))
        yield* relay({ "**": engine }, { batchSize: 10 })
        yield* quiet
        const store = yield* Store
        assert.strictEqual(yield* store.count({ states: ["running"] }), 20)
        state.down = true
        yield* Deferred.succeed(gate, undefined)
        yield* quiet
        assert.deepStrictEqual(yield* states, ids(20).map((id) => `${id} pending`))
        state.down = false
        yield* TestClock.adjust("1 second")
        assert.sameMembers(taken(), ids(20))
      }))

    test("one that goes away while a batch is sorted out", () =>
      Effect.gen(function*() {
        const { engine, state, taken } = recording()
        let accepted = 0
        state.refuses = (id) => id === "bad" || accepted++ > 50
        yield* jobs([...ids(50), "bad", ...ids(50, "x")])
        yield* relay({ "**": engine })
        yield* quiet
        state.refuses = (id) => id === "bad"
        yield* TestClock.adjust("2 minutes")
        assert.sameMembers(taken(), [...ids(50), ...ids(50, "x")])
      }))

    test("one that does not answer is away after 30 seconds", (lines) =>
      Effect.gen(function*() {
        const { engine, state, taken } = recording()
        state.before = Effect.never
        yield* jobs(ids(3))
        yield* relay({ "**": engine })
        yield* TestClock.adjust("29 seconds")
        // The leases were renewed all the time.
        assert.deepStrictEqual(yield* states, ids(3).map((id) => `${id} running`))
        assert.deepStrictEqual(lines, [])
        state.before = Effect.void
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(lines, [
          "ERROR Outbox relay r1 cannot hand over to array, and tries again: it does not answer. What is for it waits in the outbox.",
          "INFO Outbox relay r1 hands over to array again."
        ])
        assert.deepStrictEqual(taken(), ids(3))
      }))

    /** An engine that takes one after the other, with the pause that `millis` says. */
    const slow = (millis: (id: string) => number) => {
      const taken: Array<string> = []
      const batches: Array<number> = []
      const engine = Engine.dispatcher({
        name: "slow",
        honours: nothing,
        connect: Effect.succeed({
          handOver: (jobs) =>
            Effect.suspend(() => {
              batches.push(jobs.length)
              return Effect.forEach(jobs, ({ payload }) => {
                const { id } = payload as { readonly id: string }
                return Effect.andThen(Effect.sleep(millis(id)), Effect.sync(() => taken.push(id)))
              }, { discard: true })
            })
        })
      })
      const most = () => Math.max(...ids(2000).map((id) => taken.filter((other) => other === id).length))
      return { engine, taken, batches, most }
    }

    test("one that is slow gets less at once, so that it comes to an end", (lines) =>
      Effect.gen(function*() {
        const { batches, engine, most, taken } = slow(() => 100)
        yield* jobs(ids(400))
        yield* relay({ "**": engine })
        yield* TestClock.adjust("75 seconds")
        assert.deepStrictEqual(yield* states, ids(400).map((id) => `${id} done`))
        assert.strictEqual(new Set(taken).size, 400)
        assert.strictEqual(most(), 2)
        assert.deepStrictEqual(batches, [400, 200, 200])
        // It is not tempted again.
        yield* jobs(ids(2000).slice(1000))
        yield* TestClock.adjust("3 minutes")
        assert.strictEqual(most(), 2)
        assert.strictEqual(taken.filter((id) => id.length === 4).length, 1000)
        assert.strictEqual(lines.length, 2)
      }))

    test("one that needs long for a single one has up to two minutes", () =>
      Effect.gen(function*() {
        const { engine, taken } = slow(() => 100_000)
        yield* jobs(ids(2))
        yield* relay({ "**": engine })
        yield* TestClock.adjust("8 minutes")
        assert.deepStrictEqual(yield* states, ["0 done", "1 done"])
        assert.sameMembers(taken, ids(2))
      }))

    test("one that is quick again gets whole batches again", () =>
      Effect.gen(function*() {
        let pause = 2000
        const { batches, engine } = slow(() => pause)
        yield* jobs(ids(100))
        yield* relay({ "**": engine }, { batchSize: 100 })
        yield* TestClock.adjust("3 minutes")
        assert.isAtMost(batches.at(-1)!, 13)
        pause = 0
        yield* jobs(ids(1000))
        yield* TestClock.adjust("5 minutes")
        assert.strictEqual(Math.max(...batches.slice(-5)), 100)
      }))

    test("a defect of it is a failure as any other", () =>
      Effect.gen(function*() {
        const { engine, state, taken } = recording()
        state.before = Effect.die("a bug")
        yield* jobs(ids(3))
        yield* relay({ "**": engine })
        yield* quiet
        state.before = Effect.void
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(taken(), ids(3))
      }))
  })

  describe("leases", () => {
    test("are renewed while an engine thinks", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const [one, two] = [recording(), recording()]
        one.state.before = Deferred.await(gate)
        yield* jobs("ab")
        yield* relay({ "**": one.engine }, { id: "r1", lease: "3 seconds" })
        yield* quiet
        yield* relay({ "**": two.engine }, { id: "r2", lease: "3 seconds" })
        yield* TestClock.adjust("20 seconds")
        yield* Deferred.succeed(gate, undefined)
        yield* quiet
        assert.deepStrictEqual([one.taken(), two.taken()], [["a", "b"], []])
      }))

    it.effect("what was lost is handed over again, with the same id, and that is said", () => {
      let renews = true
      const store = storeWith(({ renew }) => ({
        renew: (held, lease) => renews ? renew(held, lease) : Effect.never
      }))
      return outbox((lines) =>
        Effect.gen(function*() {
          const gate = yield* Deferred.make<void>()
          const { engine, jobs, state } = recording()
          state.before = Deferred.await(gate)
          yield* job("a", { key: "k" })
          yield* relay({ "**": engine }, { lease: "3 seconds" })
          yield* quiet
          renews = false
          yield* TestClock.adjust("4 seconds")
          yield* Deferred.succeed(gate, undefined)
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual(jobs.map(({ id, key }) => [id, key]), [[entry!.id, "k"], [entry!.id, "k"]])
          assert.deepStrictEqual(yield* states, ["a done"])
          assert.deepStrictEqual(lines, [
            "WARN Outbox relay r1 had lost the lease of 1 side effect before it could settle them, so they are or were handed over again. Raise lease, or lower batchSize."
          ])
        }), { store })
    })
  })

  describe("a store that fails now and then", () => {
    it.effect("nothing is lost, and nothing is handed over twice", () => {
      let calls = 0
      const flaky = <A>(effect: Effect.Effect<A, OutboxStore.OutboxError>) =>
        Effect.suspend(() => ++calls % 3 === 0 ? Effect.fail(away("do that")) : effect)
      const store = storeWith(({ claim, nextDueIn, renew, settle }) => ({
        claim: (self) => flaky(claim(self)),
        nextDueIn: (self) => flaky(nextDueIn(self)),
        settle: (all) => flaky(settle(all)),
        renew: (held, lease) => flaky(renew(held, lease))
      }))
      return outbox(() =>
        Effect.gen(function*() {
          const { engine, taken } = recording()
          yield* jobs(ids(100))
          yield* relay({ "**": engine }, { batchSize: 7 })
          yield* TestClock.adjust("5 minutes")
          assert.deepStrictEqual(taken().toSorted(), ids(100).toSorted())
          assert.deepStrictEqual(yield* states, ids(100).map((id) => `${id} done`))
        }), { store })
    })
  })

  it.effect("what is handed over and cannot be settled does not become much", () => {
    let gone = true
    const store = storeWith(({ settle }) => ({
      settle: (all) => Effect.suspend(() => gone ? Effect.fail(away("settle")) : settle(all))
    }))
    return outbox(() =>
      Effect.gen(function*() {
        const { engine, taken } = recording()
        yield* jobs(ids(100))
        yield* relay({ "**": engine }, { batchSize: 5 })
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(taken().length, 20)
        gone = false
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(taken(), ids(100))
      }), { store })
  })

  describe("closing", () => {
    test("finishes the batch that is underway, and hands back the one behind", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const { engine, state, taken } = recording()
        state.before = Deferred.await(gate)
        yield* jobs(ids(15))
        const { close } = yield* relay({ "**": engine }, { batchSize: 5 })
        yield* quiet
        const closing = yield* Effect.forkChild(close)
        yield* quiet
        assert.deepStrictEqual(taken(), [])
        yield* Deferred.succeed(gate, undefined)
        yield* closing.pipe((fiber) => Effect.andThen(quiet, Effect.sync(() => assert.isDefined(fiber.pollUnsafe()))))
        assert.deepStrictEqual(taken(), ids(5))
        const all = yield* entries
        assert.deepStrictEqual(
          all.map(({ attempts, state }) => `${state} ${attempts}`),
          [...ids(5).map(() => "done 1"), ...ids(10).map(() => "pending 0")]
        )
        assert.deepStrictEqual(yield* Effect.flatMap(Store, (store) => store.workers), [])
      }))

    test("does not wait for ever for an engine that does not answer", (lines) =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        state.before = Effect.never
        yield* jobs(ids(3))
        const { close } = yield* relay({ "**": engine })
        yield* quiet
        const closing = yield* Effect.forkChild(close)
        yield* TestClock.adjust("10 seconds")
        yield* quiet
        assert.isDefined(closing.pollUnsafe())
        assert.deepStrictEqual(yield* states, ids(3).map((id) => `${id} pending`))
        assert.deepStrictEqual(lines, ["INFO Outbox relay r1 was closed and hands back 3 side effects"])
      }))

    test("does not wait for an engine that is left alone", () =>
      Effect.gen(function*() {
        const { engine, state } = recording()
        state.down = true
        yield* jobs(ids(3))
        const { close } = yield* relay({ "**": engine })
        yield* TestClock.adjust("20 seconds")
        const closing = yield* Effect.forkChild(close)
        yield* quiet
        assert.isDefined(closing.pollUnsafe())
        assert.deepStrictEqual(yield* states, ids(3).map((id) => `${id} pending`))
      }))

    it.effect("leaves nothing behind that goes on trying", () => {
      let gone = false
      let calls = 0
      const failing = <A>(effect: Effect.Effect<A, OutboxStore.OutboxError>) =>
        Effect.suspend(() => {
          calls++
          return gone ? Effect.fail(away("do that")) : effect
        })
      const store = storeWith(({ claim, cleanup, nextDueIn, register, renew, settle, unregister }) => ({
        claim: (claimed) => failing(claim(claimed)),
        cleanup: (retention) => failing(cleanup(retention)),
        nextDueIn: (claimed) => failing(nextDueIn(claimed)),
        register: (worker) => failing(register(worker)),
        renew: (held, lease) => failing(renew(held, lease)),
        settle: (all) => failing(settle(all)),
        unregister: (id) => failing(unregister(id))
      }))
      return outbox((lines) =>
        Effect.gen(function*() {
          const { engine, state } = recording()
          state.before = Effect.sync(() => gone = true)
          const { close } = yield* relay({ "**": engine })
          yield* job("a")
          yield* quiet
          const closing = yield* Effect.forkChild(close)
          yield* TestClock.adjust("1 minute")
          assert.isDefined(closing.pollUnsafe())
          assert.isTrue(lines.some((line) => line.includes("could not settle")))
          const before = [calls, lines.length]
          yield* TestClock.adjust("1 hour")
          assert.deepStrictEqual([calls, lines.length], before)
        }), { store })
    })

    it.effect("does not wait for ever for a store that is away", () => {
      let gone = false
      const store = storeWith(({ settle }) => ({
        settle: (all) => gone ? Effect.never : settle(all)
      }))
      return outbox(() =>
        Effect.gen(function*() {
          const { engine } = recording()
          const { close } = yield* relay({ "**": engine })
          gone = true
          yield* job("a")
          yield* quiet
          const closing = yield* Effect.forkChild(close)
          yield* TestClock.adjust("1 minute")
          assert.isDefined(closing.pollUnsafe())
          assert.deepStrictEqual(yield* states, ["a pending"])
        }), { store })
    })
  })

  describe("among workers", () => {
    test("it shows itself with the names that it takes, again and again", () =>
      Effect.gen(function*() {
        const store = yield* Store
        const { engine } = recording()
        yield* relay({ "jobs:run": engine }, { queues: ["default", "slow"] })
        const [before] = yield* store.workers
        assert.deepStrictEqual([before!.id, before!.names, before!.queues], ["r1", ["jobs:run"], ["default", "slow"]])
        yield* TestClock.adjust("31 seconds")
        const [after] = yield* store.workers
        assert.isAbove(after!.seenAt, before!.seenAt)
      }))

    test("says which side effects nobody knows, and buries them after a while", (lines) =>
      Effect.gen(function*() {
        const { engine } = recording()
        yield* offerMany([offer("1", { name: "jobs:gone" })])
        yield* relay({ "**": engine })
        yield* quiet
        assert.match(lines[0]!, /^WARN The outbox holds side effects that no worker knows: jobs:gone ×1\./)
        yield* TestClock.adjust("2 hours")
        assert.strictEqual((yield* entry("1"))?.reason, "unknown")
      }))

    test("keeps what was handed over for as long as retention says", () =>
      Effect.gen(function*() {
        const { engine } = recording()
        yield* relay({ "**": engine }, { retention: { done: "1 hour" } })
        yield* jobs("a")
        yield* TestClock.adjust("59 minutes")
        assert.strictEqual((yield* entries).length, 1)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual((yield* entries).length, 0)
      }))

    it.effect("each has a name of its own unless it is given one", () => {
      const { layer } = logs()
      return Effect.gen(function*() {
        const { engine } = recording()
        const one = Outbox.layerRelay(Jobs, { "**": engine })
        yield* Layer.build(Layer.merge(one, Layer.fresh(one)))
        const workers = yield* Effect.flatMap(Store, (store) => store.workers)
        assert.strictEqual(new Set(workers.map(({ id }) => id)).size, 2)
        for (const { id } of workers) assert.match(id, /^relay-[0-9a-f]{8}$/)
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(MemoryOutboxStore.layer, layer)))
    })
  })
})
