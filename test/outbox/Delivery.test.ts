import { assert, describe, it } from "@effect/vitest"
import { type Intent, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { Broken } from "../fixtures.ts"
import {
  away,
  entries,
  handlers,
  historyOf,
  Job,
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

const now = Clock.currentTimeMillis
const fails = () => Effect.fail(new Broken({ id: "1" }))

/** What a handler does to an entry, and when its attempts were, within a time. */
const deliver = (
  handle: (attempt: number, call: number, delivery: SideEffect.Delivery) => Effect.Effect<unknown, unknown, any>,
  options: {
    readonly handler?: SideEffect.HandlerOptions<any, any, any>
    readonly worker?: Outbox.WorkerOptions
    readonly within?: string
  } = {}
) =>
  outbox((lines) =>
    Effect.gen(function*() {
      const attempts: Array<readonly [attempt: number, at: number]> = []
      yield* start((_, delivery) =>
        Effect.flatMap(now, (at) => {
          attempts.push([delivery.attempt, at])
          return handle(delivery.attempt, attempts.length, delivery)
        }), { ...options.worker, handling: { options: options.handler, note: () => Effect.void } })
      const intent = yield* SideEffects.boundary(job("1"))
      yield* quiet
      if (options.within !== undefined) yield* TestClock.adjust(options.within as "1 second")
      yield* quiet
      const [entry] = yield* entries
      return { attempts, entry: entry!, history: historyOf(entry), intent, lines }
    })
  )

describe("Outbox.layerWorker: a delivery", () => {
  describe("how a handler ends", () => {
    it.effect("success is done", () =>
      Effect.gen(function*() {
        const { entry, history, lines } = yield* deliver(() => Effect.void)
        assert.deepStrictEqual([entry.state, entry.reason, history, entry.worker], [
          "done",
          undefined,
          ["1 done"],
          "w1"
        ])
        assert.deepStrictEqual(lines, [])
      }))

    it.effect("how long it ran is kept", () =>
      Effect.gen(function*() {
        const { entry } = yield* deliver(() => Effect.sleep("90 seconds"), { within: "2 minutes" })
        assert.deepStrictEqual(entry.history.map(({ elapsed }) => elapsed), [90_000])
      }))

    it.effect("a typed error is tried again as its retry says, and is exhausted at its end", () =>
      Effect.gen(function*() {
        const exhausted: Array<unknown> = []
        const { attempts, entry, history, intent } = yield* deliver(fails, {
          handler: {
            retry: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 2 })),
            onExhausted: (_, { attempt, idempotencyKey }) =>
              Effect.sync(() => exhausted.push([attempt, idempotencyKey]))
          },
          within: "5 minutes"
        })
        assert.deepStrictEqual(attempts, [[1, 0], [2, 1000], [3, 3000]])
        assert.deepStrictEqual([entry.state, entry.reason, entry.failures, entry.attempts], ["dead", "exhausted", 3, 3])
        assert.deepStrictEqual(history, ["1 failed", "2 failed", "3 failed"])
        assert.deepStrictEqual(exhausted, [[3, intent.id]])
        for (const { error } of entry.history) assert.match(error!, /Broken/)
      }))

    it.effect("by the standard schedule it has 20 attempts, at first seconds and at last an hour apart", () =>
      Effect.gen(function*() {
        const worker = { pollInterval: "1 hour", lease: "1 hour", cleanupInterval: "1 hour" } as const
        const { attempts, entry } = yield* deliver(fails, { worker, within: "30 hours" })
        const pauses = attempts.slice(1).map(([, at], i) => at - attempts[i]![1])
        assert.deepStrictEqual([entry.reason, attempts.length, attempts.at(-1)![0]], ["exhausted", 20, 20])
        assert.isTrue(pauses[0]! >= 1600 && pauses[0]! <= 2400, `${pauses[0]}`)
        for (const pause of pauses.slice(-5)) assert.isTrue(pause >= 2_880_000 && pause <= 4_320_000, `${pause}`)
      }))

    it.effect("maxAttempts ends it before the schedule does, and the schedule before maxAttempts", () =>
      Effect.gen(function*() {
        const retry = Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 4 }))
        for (const [maxAttempts, made] of [[2, 2], [10, 5], [1, 1]] as const) {
          const { attempts, entry } = yield* deliver(fails, { handler: { retry, maxAttempts }, within: "5 minutes" })
          assert.deepStrictEqual([attempts.length, entry.reason], [made, "exhausted"])
        }
      }))

    it.effect("maxAttempts holds for the standard schedule, too", () =>
      Effect.gen(function*() {
        const { attempts, entry } = yield* deliver(fails, { handler: { maxAttempts: 3 }, within: "5 minutes" })
        assert.deepStrictEqual([attempts.length, entry.reason], [3, "exhausted"])
      }))

    it.effect("the retry of the worker is for those without, and has no limit but its own", () =>
      Effect.gen(function*() {
        const worker = { retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 24 })) }
        const { attempts } = yield* deliver(fails, { worker, within: "5 minutes" })
        assert.strictEqual(attempts.length, 25)
        const own = yield* deliver(fails, { worker, handler: { retry: Schedule.recurs(1) }, within: "5 minutes" })
        assert.strictEqual(own.attempts.length, 2)
      }))

    it.effect("an error that is not to be retried is exhausted at once", () =>
      Effect.gen(function*() {
        const { attempts, entry } = yield* deliver(fails, {
          handler: { retry: { schedule: Schedule.spaced("1 second"), while: () => false } },
          within: "5 minutes"
        })
        assert.deepStrictEqual([attempts.length, entry.reason], [1, "exhausted"])
      }))

    it.effect("a timeout is tried again", () =>
      Effect.gen(function*() {
        const { attempts, entry, history } = yield* deliver((_, call) => call === 1 ? Effect.never : Effect.void, {
          handler: { timeout: "5 seconds", retry: Schedule.spaced("1 second") },
          within: "1 minute"
        })
        assert.deepStrictEqual([attempts, entry.state], [[[1, 0], [2, 6000]], "done"])
        assert.deepStrictEqual(history, ["1 failed", "2 done"])
        assert.match(entry.history[0]!.error!, /TimeoutError/)
      }))

    it.effect("a defect is exhausted at once, and stops nobody else", () =>
      Effect.gen(function*() {
        let exhausted = 0
        const { attempts, entry, history } = yield* deliver(() => Effect.die(new Error("a bug")), {
          handler: { retry: Schedule.spaced("1 second"), onExhausted: () => Effect.sync(() => exhausted++) },
          within: "1 minute"
        })
        assert.deepStrictEqual([attempts.length, entry.reason, history, exhausted], [1, "exhausted", ["1 failed"], 1])
        assert.match(entry.error!, /a bug/)
        yield* outbox(() =>
          Effect.gen(function*() {
            yield* start((id) => {
              if (id === "b") throw new Error("a bug")
              return Effect.void
            })
            yield* jobs("abc")
            yield* quiet
            assert.deepStrictEqual(yield* states, ["a done", "b dead exhausted", "c done"])
          })
        )
      }))

    it.effect("cancel is dead as cancelled, without another attempt and without onExhausted", () =>
      Effect.gen(function*() {
        let exhausted = 0
        const { attempts, entry, history } = yield* deliver(() => SideEffect.cancel("already paid"), {
          handler: { retry: Schedule.spaced("1 second"), onExhausted: () => Effect.sync(() => exhausted++) },
          within: "1 minute"
        })
        assert.deepStrictEqual(
          [attempts.length, entry.state, entry.reason, entry.error, entry.failures, exhausted],
          [1, "dead", "cancelled", "cancelled: already paid", 0, 0]
        )
        assert.deepStrictEqual(history, ["1 cancelled"])
      }))

    it.effect("snooze takes the attempt back, and uses no budget", () =>
      Effect.gen(function*() {
        const { attempts, entry, history } = yield* deliver(
          (_, call) => call < 4 ? SideEffect.snooze("10 minutes") : Effect.void,
          { handler: { maxAttempts: 1, retry: Schedule.recurs(1) }, within: "31 minutes" }
        )
        assert.deepStrictEqual(attempts, [[1, 0], [1, 600_000], [1, 1_200_000], [1, 1_800_000]])
        assert.deepStrictEqual([entry.state, entry.attempts, entry.failures], ["done", 1, 0])
        assert.deepStrictEqual(history, ["1 snoozed", "1 snoozed", "1 snoozed", "1 done"])
      }))

    it.effect("a handler that interrupts itself is exhausted", () =>
      Effect.gen(function*() {
        const { attempts, entry } = yield* deliver(() => Effect.interrupt, { within: "1 minute" })
        assert.deepStrictEqual([attempts.length, entry.reason], [1, "exhausted"])
        assert.match(entry.error!, /interrupt/i)
      }))

    it.effect("a payload that does not fit the schema is undecodable, says why, and can be edited", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const store = yield* OutboxStore.OutboxStore
          yield* store.offerMany([offer("x", "{\"id\":1}"), offer("y", "no json"), offer("z", "{\"id\":\"z\"}")], {
            uniqueFor: 0
          })
          yield* start((id) => Effect.sync(() => ran.push(id)))
          yield* quiet
          const all = yield* entries
          assert.deepStrictEqual(all.map(({ reason, state }) => reason ?? state), [
            "undecodable",
            "undecodable",
            "done"
          ])
          assert.match(
            all[0]!.error!,
            /^The payload does not fit the schema of "jobs:run": .*\nEdit it, or let the schema accept/
          )
          assert.deepStrictEqual(historyOf(all[0]), ["1 undecodable"])
          assert.deepStrictEqual([ran, all[0]!.failures], [["z"], 0])
          yield* store.change({ ids: ["x"] }, { _tag: "Edit", payload: "{\"id\":\"x\"}", redacted: undefined })
          yield* store.change({ ids: ["x"] }, { _tag: "Retry" })
          yield* quiet
          assert.deepStrictEqual(ran, ["z", "x"])
        })
      ))

    it.effect("metadata that is no JSON is undecodable, too", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          yield* store.offerMany([{ ...offer("x", "{\"id\":\"x\"}"), metadata: "{" }], { uniqueFor: 0 })
          yield* start(() => Effect.void)
          yield* quiet
          assert.deepStrictEqual(yield* states, ["x dead undecodable"])
        })
      ))

    it.effect("error texts are cut", () =>
      Effect.gen(function*() {
        const { entry } = yield* deliver(() => Effect.die(new Error("x".repeat(50_000))))
        assert.isBelow(entry.error!.length, 9000)
        assert.match(entry.error!, /\.\.\. \(\d+ characters\)$/)
      }))
  })

  describe("what the handler gets", () => {
    it.effect("the intent as it was written", () =>
      outbox(() =>
        Effect.gen(function*() {
          const seen: Array<Intent.Any> = []
          const keys: Array<string> = []
          yield* start((_, { idempotencyKey, intent }) =>
            Effect.sync(() => {
              seen.push(intent)
              keys.push(idempotencyKey)
            })
          )
          const one = yield* SideEffects.boundary(
            job("1", { key: "k", origin: "POST /jobs", metadata: { user: 7 }, queue: "slow", priority: 3 })
          )
          const two = yield* SideEffects.boundary(job("2"))
          yield* quiet
          const { id, key, metadata, name, origin, payload, priority, queue, sideEffect } = seen[0]!
          assert.deepStrictEqual(
            { id, key, metadata, name, origin, payload, priority, queue },
            {
              id: one.id,
              key: "k",
              metadata: { user: 7 },
              name: "jobs:run",
              origin: "POST /jobs",
              payload: { id: "1" },
              priority: 3,
              queue: "slow"
            }
          )
          assert.strictEqual(sideEffect, Job)
          assert.deepStrictEqual(keys, ["k", two.id])
        })
      ))
  })

  describe("schedules", () => {
    it.effect("go on where they stand after a restart of the worker", () =>
      outbox(() =>
        Effect.gen(function*() {
          const attempts: Array<readonly [number, number]> = []
          const handle = (_: string, { attempt }: SideEffect.Delivery) =>
            Effect.flatMap(now, (at) => {
              attempts.push([attempt, at])
              return Effect.fail("no")
            })
          const handling = {
            options: { retry: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 4 })) }
          }
          yield* jobs(["1"])
          for (let i = 0; i < 4; i++) {
            const worker = yield* start(handle, { handling })
            yield* quiet
            yield* TestClock.adjust(attempts.length === 1 ? 1000 : 2 ** (attempts.length - 1) * 1000)
            yield* quiet
            yield* worker.close
          }
          assert.deepStrictEqual(attempts, [[1, 0], [2, 1000], [3, 3000], [4, 7000], [5, 15_000]])
          assert.deepStrictEqual(yield* states, ["1 dead exhausted"])
        })
      ))

    it.effect("that look at the time gone by count from the first failure, whichever worker saw it", () =>
      outbox(() =>
        Effect.gen(function*() {
          const attempts: Array<number> = []
          const handling = {
            options: { retry: Schedule.spaced("10 seconds").pipe(Schedule.upTo({ duration: "35 seconds" })) }
          }
          const handle = () =>
            Effect.flatMap(now, (at) => {
              attempts.push(at)
              return Effect.fail("no")
            })
          yield* jobs(["1"])
          for (let i = 0; i < 8; i++) {
            const worker = yield* start(handle, { handling })
            yield* quiet
            yield* worker.close
            yield* TestClock.adjust("10 seconds")
          }
          assert.deepStrictEqual(attempts, [0, 10_000, 20_000, 30_000, 40_000])
        })
      ))

    it.effect("begin anew when an operator retries, and the number of the attempt goes on", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const attempts: Array<number> = []
          yield* start((_, { attempt }) =>
            Effect.suspend(() => {
              attempts.push(attempt)
              return Effect.fail("no")
            }), { handling: { options: { retry: Schedule.recurs(1) } } })
          yield* jobs(["1"])
          yield* quiet
          assert.deepStrictEqual(yield* states, ["1 dead exhausted"])
          yield* store.change({}, { _tag: "Retry" })
          yield* quiet
          assert.deepStrictEqual([attempts, yield* states], [[1, 2, 3, 4], ["1 dead exhausted"]])
        })
      ))
  })

  describe("onExhausted", () => {
    it.effect("runs before the entry is dead, and once more when the worker is closed in between", () =>
      outbox(() =>
        Effect.gen(function*() {
          const seen: Array<string> = []
          const gate = yield* Latch.make()
          const handling = {
            options: {
              maxAttempts: 1,
              onExhausted: () =>
                Effect.gen(function*() {
                  seen.push((yield* states)[0]!)
                  yield* gate.await
                })
            }
          }
          const services = yield* Effect.context<any>()
          const provided = {
            options: {
              ...handling.options,
              onExhausted: () => Effect.provideContext(handling.options.onExhausted(), services)
            }
          } as any
          const first = yield* start(() => Effect.fail("no"), { handling: provided })
          yield* jobs(["1"])
          yield* quiet
          yield* first.close
          assert.deepStrictEqual(yield* states, ["1 pending"])
          yield* gate.open
          yield* start(() => Effect.fail("no"), { handling: provided })
          yield* quiet
          assert.deepStrictEqual([seen, yield* states], [["1 running", "1 running"], ["1 dead exhausted"]])
        })
      ))

    it.effect("is a unit of work of its own, and what it enqueues is performed", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          yield* start(() => Effect.fail("no"), {
            handling: {
              options: { maxAttempts: 1, onExhausted: () => note("told") },
              note: (id) => Effect.sync(() => ran.push(id))
            }
          })
          yield* jobs(["1"])
          yield* quiet
          assert.deepStrictEqual([ran, yield* states], [["told"], ["1 dead exhausted", "told done"]])
        })
      ))
  })

  describe("what a handler enqueues", () => {
    it.effect("goes to the outbox when it has succeeded, and not before", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          const gate = yield* Latch.make()
          yield* start(() => Effect.andThen(note("next"), gate.await), {
            handling: { note: (id) => Effect.sync(() => ran.push(id)) }
          })
          yield* jobs(["1"])
          yield* quiet
          assert.deepStrictEqual(yield* states, ["1 running"])
          yield* gate.open
          yield* quiet
          assert.deepStrictEqual([ran, yield* states], [["next"], ["1 done", "next done"]])
        })
      ))

    it.effect("goes nowhere when it fails", () =>
      Effect.gen(function*() {
        let left: ReadonlyArray<string> = []
        yield* outbox(() =>
          Effect.gen(function*() {
            yield* start(
              (_, { attempt }) => attempt === 1 ? Effect.andThen(note("lost"), Effect.fail("no")) : note("kept"),
              {
                handling: { options: { retry: Schedule.recurs(1) }, note: () => Effect.void }
              }
            )
            yield* jobs(["1"])
            yield* quiet
            left = yield* states
          })
        )
        assert.deepStrictEqual(left, ["1 done", "kept done"])
      }))

    it.effect("that cannot be written is no success: the handler is tried again", () => {
      let broken = true
      return outbox(() =>
        Effect.gen(function*() {
          let calls = 0
          yield* start(() => Effect.andThen(Effect.sync(() => calls++), note("next")), {
            handling: { options: { retry: Schedule.spaced("1 second") }, note: () => Effect.void }
          })
          yield* jobs(["1"])
          yield* quiet
          const [entry] = yield* entries
          assert.deepStrictEqual([historyOf(entry), yield* states], [["1 failed"], ["1 scheduled"]])
          assert.match(entry!.error!, /The outbox could not offer: Error: the database is away/)
          broken = false
          yield* TestClock.adjust("1 second")
          yield* quiet
          assert.deepStrictEqual([calls, yield* states], [2, ["1 done", "next done"]])
        }), {
        store: storeWith((store) => ({
          offerMany: (offers, options) =>
            broken && offers[0]!.name === "jobs:note" ? Effect.fail(away("offer")) : store.offerMany(offers, options)
        }))
      })
    })

    it.effect("that nobody could ever write makes it exhausted", () =>
      Effect.gen(function*() {
        const { entry } = yield* deliver(() => note("next", { priority: 0.5 }), { within: "5 minutes" })
        assert.strictEqual(entry.reason, "exhausted")
        assert.match(entry.error!, /enqueued with priority 0.5/)
      }))

    it.effect("obeys the policy of the worker", () =>
      outbox(() =>
        Effect.gen(function*() {
          let asked = 0
          const policy = Policy.make({
            name: "no notes",
            decide: ({ name }) => {
              asked++
              return name === "jobs:note" ? Policy.drop("not here") : Policy.allow
            }
          })
          yield* start((id) => id === "1" ? Effect.andThen(note("n"), job("2")) : Effect.void, { policy })
          yield* jobs(["1"])
          yield* quiet
          assert.deepStrictEqual([asked, yield* states], [2, ["1 done", "2 done"]])
        })
      ))

    it.effect("obeys its uniqueFor", () =>
      outbox(() =>
        Effect.gen(function*() {
          const ran: Array<string> = []
          yield* start((id) => note(id, { key: "same" }), {
            handling: { note: (id) => Effect.sync(() => ran.push(id)) },
            uniqueFor: "1 minute"
          })
          yield* jobs("ab")
          yield* quiet
          assert.deepStrictEqual(ran, ["a"])
          yield* TestClock.adjust("2 minutes")
          yield* jobs("c")
          yield* quiet
          assert.deepStrictEqual(ran, ["a", "c"])
        })
      ))
  })

  describe("names", () => {
    class Old extends SideEffect.make("mail:send", {
      description: "Send a mail.",
      payload: { id: Schema.String },
      aliases: ["mails:send", "post:send"]
    }) {}
    const Mails = SideEffectGroup.make("mails").add(Old)
    const working = (id: string, ran: Array<string>, options: SideEffect.HandlerOptions<any> = {}) =>
      Outbox.layerWorker(Mails, { id }).pipe(
        Layer.provide(
          Old.toLayer(({ id }, { intent }) => Effect.sync(() => ran.push(`${intent.name} ${id}`)), options)
        )
      )

    it.effect("an alias is performed by the side effect that has it", () =>
      outbox(() =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const ran: Array<string> = []
          yield* store.offerMany(
            ["mail:send", "mails:send", "post:send"].map((name, i) => ({ ...offer(`${i}`, `{"id":"${i}"}`), name })),
            { uniqueFor: 0 }
          )
          yield* Layer.build(working("w", ran, { concurrency: 1 }))
          yield* quiet
          assert.deepStrictEqual(ran.toSorted(), ["mail:send 0", "mail:send 1", "mail:send 2"])
        })
      ))

    it.effect("an alias that is taken is refused", () =>
      outbox(() =>
        Effect.gen(function*() {
          class Clash extends SideEffect.make("jobs:clash", { description: "Clash.", aliases: ["jobs:run"] }) {}
          const group = Jobs.add(Clash)
          const exit = yield* Effect.exit(
            Layer.build(Layer.provide(
              Outbox.layerWorker(group),
              Layer.merge(handlers(() => Effect.void), Clash.toLayer(() => Effect.void))
            ))
          )
          assert.match(
            String(exit),
            /Side effect "jobs:clash" has the alias "jobs:run", which is also a name of "jobs:run" in group "jobs"\. Remove/
          )
        })
      ))

    it.effect("one that no worker knows is reported when a worker starts, is dead later, and comes back to life", () =>
      outbox((lines) =>
        Effect.gen(function*() {
          const store = yield* OutboxStore.OutboxStore
          const ran: Array<string> = []
          yield* store.offerMany([
            { ...offer("x", "{\"id\":\"x\"}"), name: "mails:send" },
            { ...offer("y", "{\"id\":\"y\"}"), name: "mails:send" }
          ], { uniqueFor: 0 })
          yield* start(() => Effect.void, { cleanupInterval: "1 minute" })
          assert.deepStrictEqual(lines, [
            "WARN The outbox holds side effects that no worker knows: mails:send ×2. Name the old name in aliases where " +
            "one was renamed, or start the worker that performs them."
          ])
          yield* TestClock.adjust("50 minutes")
          assert.deepStrictEqual(yield* states, ["x pending", "y pending"])
          yield* TestClock.adjust("15 minutes")
          assert.deepStrictEqual(yield* states, ["x dead unknown", "y dead unknown"])
          assert.match(lines[1]!, /^WARN 2 side effects in the outbox had names that no worker knows, and are dead now/)
          yield* Layer.build(working("w2", ran))
          yield* quiet
          assert.deepStrictEqual(ran, ["mail:send x", "mail:send y"])
        })
      ))
  })
})

const offer = (id: string, payload: string): OutboxStore.Offer => ({
  id,
  name: "jobs:run",
  queue: "default",
  priority: 0,
  payload,
  redacted: undefined,
  key: undefined,
  delay: 0,
  origin: undefined,
  metadata: undefined,
  trace: undefined
})
