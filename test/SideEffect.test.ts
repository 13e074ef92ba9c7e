import { assert, describe, it } from "@effect/vitest"
import { Decision, type Intent, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { Broken, logs, Mail, Ping } from "./fixtures.ts"

const Mails = SideEffectGroup.make("mails").add(Mail, Ping)
const PingLive = Ping.toLayer(() => Effect.void)

/** Releases one mail through a handler and says what became of it, when the attempts were made, and what was logged. */
const deliver = <E, R>(
  handle: (attempt: number, delivery: SideEffect.Delivery) => Effect.Effect<unknown, E, R>,
  options?: SideEffect.HandlerOptions<E>
) =>
  Effect.gen(function*() {
    const attempts: Array<number> = []
    const { layer: logger, lines } = logs()
    const live = SideEffects.LiveLayer(Mails).pipe(
      Layer.provide(Mail.toLayer((_, delivery) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          attempts.push(now)
          return handle(delivery.attempt, delivery)
        }), options)),
      Layer.provide(PingLive)
    )
    const intent = yield* SideEffects.boundary(SideEffects.enqueue(Mail, { id: "1" })).pipe(
      Effect.provide(Layer.provideMerge(live, logger))
    )
    return { decision: Decision.of(intent)!, attempts, lines, intent }
  })

/** The same, while the test clock advances. */
const deliverFor = <A, E, R>(duration: Duration.Input, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust(duration)
    return yield* Fiber.join(fiber)
  })

describe("SideEffect", () => {
  describe("make", () => {
    it("keeps what it was given", () => {
      assert.strictEqual(Mail._tag, "orders:mail:send")
      assert.strictEqual(Mail.summary, "Email the customer.")
      assert.strictEqual(Mail.description, "Email the customer.\nUses the template of the shop.")
      assert.strictEqual(Mail.idempotencyKey!({ id: "7" }), "7")
      assert.isTrue(SideEffect.isSideEffect(Mail))
      assert.isFalse(SideEffect.isSideEffect(() => {}))
    })

    it("takes a schema as payload", () => {
      class Letter extends Schema.Class<Letter>("Letter")({ to: Schema.String }) {}
      const Post = SideEffect.make("post:send", { description: "Post a letter.", payload: Letter })
      assert.strictEqual(Post.payloadSchema, Letter)
    })

    it("annotates a copy", () => {
      const Owner = Context.Service<string>("Owner")
      const Owned = Mail.annotate(Owner, "team mail")
      assert.strictEqual(Context.get(Owned.annotations as Context.Context<string>, Owner), "team mail")
      assert.strictEqual(Owned._tag, Mail._tag)
      assert.strictEqual(Mail.annotations.mapUnsafe.size, 0)
      assert.strictEqual(Mail.annotateMerge(Context.make(Owner, "x")).annotations.mapUnsafe.size, 1)
    })

    const wrong: ReadonlyArray<readonly [name: string, description: string, message: RegExp]> = [
      ["", "x", /^Side effect name "" is empty\. Expected segments of letters, digits/],
      ["a::b", "x", /^Side effect name "a::b" has an empty segment at position 2\./],
      ["a:b!", "x", /^Side effect name "a:b!" has an invalid segment "b!"\./],
      ["a:*", "x", /^Side effect name "a:\*" has an invalid segment "\*"\./],
      ["a:b", " \n", /^Side effect "a:b" has no description\. Say in one sentence/]
    ]
    for (const [name, description, message] of wrong) {
      it(`refuses ${JSON.stringify(name)} with ${JSON.stringify(description)}`, () => {
        assert.throws(() => SideEffect.make(name, { description }), message)
      })
    }
  })

  describe("handlers", () => {
    it.effect("get the payload and the delivery", () =>
      Effect.gen(function*() {
        let seen: SideEffect.Delivery | undefined
        const { decision, intent } = yield* deliver((_, delivery) => Effect.sync(() => seen = delivery))
        assert.deepStrictEqual([seen?.attempt, seen?.idempotencyKey, seen?.intent.id], [1, "1", intent.id])
        assert.deepStrictEqual(decision, {
          _tag: "Dispatched",
          intent,
          by: "dispatcher inline",
          attempts: 1
        })
      }))

    it.effect("have the id of the intent as idempotency key where there is no other", () =>
      Effect.gen(function*() {
        const keys: Array<string> = []
        const live = SideEffects.LiveLayer(SideEffectGroup.make("g").add(Ping)).pipe(
          Layer.provide(Ping.toLayer((_, { idempotencyKey }) => Effect.sync(() => keys.push(idempotencyKey))))
        )
        const [one, two] = yield* SideEffects.enqueueAll([[Ping], [Ping, undefined, { key: "mine" }]]).pipe(
          SideEffects.boundary(),
          Effect.provide(live)
        )
        assert.deepStrictEqual(keys, [one.id, "mine"])
        assert.strictEqual(two.key, "mine")
      }))

    it.effect("run with the services of their layer, and made by an effect with its own", () =>
      Effect.gen(function*() {
        const Transport = Context.Service<(text: string) => void>("Transport")
        const Prefix = Context.Service<string>("Prefix")
        const sent: Array<string> = []
        const handler = Mail.toLayer(Effect.map(Prefix, (prefix) => ({ id }: { readonly id: string }) =>
          Effect.map(Transport, (send) =>
            send(prefix + id))))
        const live = SideEffects.LiveLayer(SideEffectGroup.make("g").add(Mail)).pipe(
          Layer.provide(handler),
          Layer.provide(Layer.succeed(Transport, (text: string) =>
            void sent.push(text))),
          Layer.provide(Layer.succeed(Prefix, "mail "))
        )
        yield* SideEffects.enqueue(Mail, { id: "1" }).pipe(SideEffects.boundary(), Effect.provide(live))
        assert.deepStrictEqual(sent, ["mail 1"])
      }))

    it.effect("have a boundary of their own when they enqueue, one for each attempt", () =>
      Effect.gen(function*() {
        const pings: Array<Intent.Any> = []
        let performed = 0
        const handlers = Mails.toLayer({
          "orders:mail:send": Mail.handler(
            (_, { attempt }) =>
              Effect.gen(function*() {
                pings.push(yield* SideEffects.enqueue(Ping))
                assert.strictEqual((yield* SideEffects.intents).length, 1)
                if (attempt === 1) return yield* Effect.fail("again")
              }),
            { retry: Schedule.recurs(1) }
          ),
          "monitor:ping": () => Effect.sync(() => performed++)
        })
        yield* SideEffects.enqueue(Mail, { id: "1" }).pipe(
          SideEffects.boundary(),
          Effect.provide(SideEffects.LiveLayer(Mails).pipe(Layer.provide(handlers)))
        )
        assert.deepStrictEqual(pings.map((ping) => Decision.of(ping)?._tag), ["Discarded", "Dispatched"])
        assert.strictEqual(
          Decision.format(Decision.of(pings[0]!)!),
          "discarded: boundary \"handler of orders:mail:send\" failed with \"again\""
        )
        assert.strictEqual(performed, 1)
      }))
  })

  describe("defaults of the definition", () => {
    const Upload = SideEffect.make("docs:upload", {
      description: "Upload a document.",
      defaults: {
        timeout: "1 second",
        retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 1 })),
        queue: "slow",
        priority: 3
      }
    })

    const upload = (options?: SideEffect.HandlerOptions<never>, told?: Intent.Options) =>
      Effect.gen(function*() {
        const attempts: Array<number> = []
        const live = SideEffects.LiveLayer(SideEffectGroup.make("docs").add(Upload)).pipe(
          Layer.provide(Upload.toLayer(() =>
            Effect.flatMap(Clock.currentTimeMillis, (now) => {
              attempts.push(now)
              return Effect.never
            }), options))
        )
        const intent = yield* SideEffects.boundary(SideEffects.enqueue(Upload, undefined, told)).pipe(
          Effect.provide(Layer.provideMerge(live, logs().layer))
        )
        return { attempts, intent }
      })

    it.effect("hold for handler and call site", () =>
      Effect.gen(function*() {
        const { attempts, intent } = yield* deliverFor("1 hour", upload())
        assert.deepStrictEqual(attempts, [0, 61_000])
        assert.deepStrictEqual([intent.queue, intent.priority], ["slow", 3])
      }))

    it.effect("maxAttempts is one of them", () =>
      Effect.gen(function*() {
        class Limited extends SideEffect.make("docs:limited", {
          description: "Upload a document.",
          defaults: { maxAttempts: 2, retry: Schedule.recurs(5) }
        }) {}
        const attemptsWith = (options?: SideEffect.HandlerOptions<string>) =>
          Effect.gen(function*() {
            let attempts = 0
            const handler = Limited.toLayer(
              () => Effect.andThen(Effect.sync(() => attempts++), Effect.fail("no")),
              options
            )
            yield* SideEffects.boundary(SideEffects.enqueue(Limited)).pipe(
              Effect.provide(
                SideEffects.LiveLayer(SideEffectGroup.make("docs").add(Limited)).pipe(
                  Layer.provideMerge(Layer.merge(handler, logs().layer))
                )
              )
            )
            return attempts
          })
        assert.deepStrictEqual([yield* attemptsWith(), yield* attemptsWith({ maxAttempts: 4 })], [2, 4])
      }))

    it.effect("give way to what those say", () =>
      Effect.gen(function*() {
        const { attempts, intent } = yield* deliverFor(
          "1 hour",
          upload({ timeout: "2 seconds", retry: Schedule.recurs(0) }, { queue: "fast", priority: 0 })
        )
        assert.deepStrictEqual(attempts, [0])
        assert.deepStrictEqual([intent.queue, intent.priority], ["fast", 0])
      }))
  })

  describe("retry and timeout, exact under the test clock", () => {
    it.effect("without a schedule there is one attempt", () =>
      Effect.gen(function*() {
        const { attempts, decision } = yield* deliver(() => Effect.fail("no"))
        assert.deepStrictEqual([attempts, decision._tag], [[0], "Failed"])
      }))

    it.effect("pauses by the schedule", () =>
      Effect.gen(function*() {
        const { attempts, decision } = yield* deliverFor(
          "1 hour",
          deliver((attempt) => attempt < 4 ? Effect.fail("no") : Effect.void, {
            retry: Schedule.exponential("1 second")
          })
        )
        assert.deepStrictEqual(attempts, [0, 1000, 3000, 7000])
        assert.deepStrictEqual([decision._tag, (decision as Decision.Dispatched).attempts], ["Dispatched", 4])
      }))

    it.effect("ends with the schedule, and says so", () =>
      Effect.gen(function*() {
        const exhausted: Array<unknown> = []
        const { attempts, decision, lines } = yield* deliverFor(
          "1 hour",
          deliver(() => Effect.fail(new Broken({ id: "1" })), {
            retry: Schedule.spaced("1 minute").pipe(Schedule.upTo({ times: 2 })),
            onExhausted: (cause, { attempt, intent }) =>
              Effect.sync(() => exhausted.push([Cause.squash(cause), attempt, intent.name]))
          })
        )
        assert.deepStrictEqual(attempts, [0, 60_000, 120_000])
        assert.strictEqual((decision as Decision.Failed).attempts, 3)
        assert.deepStrictEqual(exhausted, [[new Broken({ id: "1" }), 3, "orders:mail:send"]])
        assert.match(
          lines.join("\n"),
          /^ERROR Side effect "orders:mail:send" failed in dispatcher inline after 3 attempts \(intent/
        )
      }))

    it.effect("maxAttempts ends it before the schedule does, and counts no snooze", () =>
      Effect.gen(function*() {
        const retry = Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 3 }))
        for (const [maxAttempts, made] of [[1, 1], [2, 2], [4, 4], [9, 4]] as const) {
          const { attempts } = yield* deliverFor("1 hour", deliver(() => Effect.fail("no"), { retry, maxAttempts }))
          assert.strictEqual(attempts.length, made)
        }
        let calls = 0
        const { attempts } = yield* deliverFor(
          "1 hour",
          deliver(() => calls++ % 2 === 0 ? SideEffect.snooze("1 second") : Effect.fail("no"), {
            retry,
            maxAttempts: 2
          })
        )
        assert.deepStrictEqual(attempts.map((at) => at - attempts[0]!), [0, 1000, 2000, 3000])
      }))

    it.effect("a maxAttempts or concurrency that is none is refused, by name", () =>
      Effect.gen(function*() {
        const built = (options: SideEffect.HandlerOptions<any>) =>
          Effect.map(Effect.exit(Effect.scoped(Layer.build(Mail.toLayer(() => Effect.void, options)))), String)
        assert.include(
          yield* built({ maxAttempts: 0 }),
          "The handler of \"orders:mail:send\" was given maxAttempts: 0. It takes a whole number, 1 or more."
        )
        assert.include(yield* built({ concurrency: 1.5 }), "was given concurrency: 1.5.")
      }))

    it.effect("only for some errors", () =>
      Effect.gen(function*() {
        const { attempts } = yield* deliverFor(
          "1 hour",
          deliver((attempt) => Effect.fail(attempt === 1 ? "busy" : "gone"), {
            retry: { schedule: Schedule.spaced("1 second"), while: (error) => error === "busy" }
          })
        )
        assert.deepStrictEqual(attempts, [0, 1000])
      }))

    it.effect("not for defects", () =>
      Effect.gen(function*() {
        const { attempts, decision } = yield* deliver(() => Effect.die("bug"), { retry: Schedule.spaced("1 second") })
        assert.deepStrictEqual([attempts, decision._tag], [[0], "Failed"])
      }))

    it.effect("a timeout limits each attempt, and can be retried", () =>
      Effect.gen(function*() {
        let interrupted = 0
        const { attempts, decision } = yield* deliverFor(
          "1 hour",
          deliver(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)), {
            timeout: "10 seconds",
            retry: {
              schedule: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 1 })),
              while: (error) => Cause.isTimeoutError(error)
            }
          })
        )
        assert.deepStrictEqual([attempts, interrupted], [[0, 11_000], 2])
        assert.isTrue(Cause.isTimeoutError(Cause.squash((decision as Decision.Failed).cause)))
      }))

    it.effect("what its options throw is the end of this intent and of no other", () =>
      Effect.gen(function*() {
        const { decision } = yield* deliver(() => Effect.fail("no"), {
          retry: {
            schedule: Schedule.spaced("1 second"),
            while: () => {
              throw new Error("bug in while")
            }
          }
        })
        assert.match(String((decision as Decision.Failed).cause), /no.*bug in while/)
        const second = yield* deliver(() => Effect.fail("no"), { onExhausted: () => Effect.die("bug in onExhausted") })
        assert.strictEqual(second.decision._tag, "Failed")
        assert.match(second.lines[0]!, /^ERROR onExhausted of side effect "orders:mail:send" died/)
      }))
  })

  describe("the end of a handler", () => {
    const releasing = (
      handle: () => Effect.Effect<unknown, unknown, SideEffects.SideEffects<"monitor:ping">>,
      options?: any
    ) =>
      Effect.gen(function*() {
        const pinged: Array<string> = []
        const { layer: logger, lines } = logs()
        const handlers = Mails.toLayer({
          "orders:mail:send": Mail.handler(handle, options),
          "monitor:ping": () => Effect.sync(() => pinged.push("ping"))
        }) as Layer.Layer<SideEffect.Handler<"orders:mail:send", any> | SideEffect.Handler<"monitor:ping", any>>
        yield* SideEffects.enqueue(Mail, { id: "1" }).pipe(
          SideEffects.boundary(),
          Effect.provide(Layer.provideMerge(SideEffects.LiveLayer(Mails).pipe(Layer.provide(handlers)), logger))
        )
        return { pinged, lines }
      })

    it.effect("onExhausted is a unit of work of its own", () =>
      Effect.gen(function*() {
        for (const first of [Effect.void, SideEffects.enqueue(Ping)]) {
          const { pinged } = yield* releasing(() => Effect.andThen(first, Effect.fail("no")), {
            onExhausted: () => SideEffects.enqueue(Ping)
          })
          assert.deepStrictEqual(pinged, ["ping"])
        }
      }))

    it.effect("what it enqueues after its end dies, as in any boundary", () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        let stray!: Fiber.Fiber<unknown, unknown>
        const late = Effect.andThen(gate.await, SideEffects.enqueue(Ping))
        const { pinged } = yield* releasing(() =>
          Effect.map(Effect.forkDetach(late, { startImmediately: true }), (fiber) => stray = fiber)
        )
        yield* gate.open
        assert.match(String(yield* Fiber.await(stray)), /BoundaryClosed: Side effect "monitor:ping" was enqueued after/)
        assert.deepStrictEqual(pinged, [])
      }))

    it.effect("what a snoozed or cancelled one enqueued says so", () =>
      Effect.gen(function*() {
        const reasons: Array<string> = []
        for (const end of [SideEffect.snooze("1 second"), SideEffect.cancel("not wanted")]) {
          let intent!: Intent.Any
          let attempts = 0
          yield* deliverFor(
            "1 second",
            releasing(() =>
              attempts++ > 0
                ? Effect.void
                : Effect.andThen(Effect.map(SideEffects.enqueue(Ping), (ping) => intent = ping), end)
            )
          )
          reasons.push(Decision.format(Decision.of(intent)!))
        }
        assert.deepStrictEqual(reasons, [
          "discarded: boundary \"handler of orders:mail:send\" snoozed",
          "discarded: boundary \"handler of orders:mail:send\" was cancelled: not wanted"
        ])
      }))

    it.effect("whose last attempt failed leaves the caller where it was", () =>
      Effect.gen(function*() {
        const handlers = Layer.merge(Mail.toLayer(() => Effect.fail("no")), PingLive)
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(SideEffects.enqueue(Mail, { id: "1" }))
          assert.deepStrictEqual(yield* SideEffects.intents, [])
          const ping = yield* SideEffects.boundary(SideEffects.enqueue(Ping))
          assert.strictEqual(Decision.of(ping)?._tag, "Dispatched")
        }).pipe(Effect.provide(SideEffects.LiveLayer(Mails).pipe(Layer.provide(handlers))))
      }))
  })

  it.effect("a handler that returns no effect fails, named, and harms no other", () =>
    Effect.gen(function*() {
      const pinged: Array<string> = []
      const live = SideEffects.LiveLayer(Mails).pipe(
        Layer.provide(Mail.toLayer((() => Promise.resolve()) as any)),
        Layer.provide(Ping.toLayer(() => Effect.sync(() => pinged.push("ping"))))
      ) as Layer.Layer<SideEffects.SideEffects<any>>
      const [intent] = yield* SideEffects.enqueueAll([[Mail, { id: "1" }], [Ping]]).pipe(
        SideEffects.boundary(),
        Effect.provide(Layer.provideMerge(live, logs().layer))
      )
      assert.deepStrictEqual(pinged, ["ping"])
      assert.strictEqual(
        (Cause.squash((Decision.of(intent) as Decision.Failed).cause) as Error).message,
        "The handler of \"orders:mail:send\" returned [object Promise] instead of an Effect. Wrap it: Effect.sync for a " +
          "value, Effect.tryPromise for a promise."
      )
    }))

  describe("cancel and snooze", () => {
    it.effect("cancel never retries, and is no failure", () =>
      Effect.gen(function*() {
        let exhausted = false
        const { attempts, decision, lines } = yield* deliver(() => SideEffect.cancel("already paid"), {
          retry: Schedule.spaced("1 second"),
          onExhausted: () => Effect.sync(() => exhausted = true)
        })
        assert.deepStrictEqual([attempts, exhausted, lines], [[0], false, []])
        assert.strictEqual(Decision.format(decision), "dropped by handler of orders:mail:send: cancelled: already paid")
      }))

    it.effect("snooze tries again later and uses no attempt", () =>
      Effect.gen(function*() {
        const seen: Array<number> = []
        const { attempts, decision } = yield* deliverFor(
          "1 hour",
          deliver((attempt) => {
            seen.push(attempt)
            return seen.length < 3 ? SideEffect.snooze("5 minutes") : Effect.void
          })
        )
        assert.deepStrictEqual([seen, attempts], [[1, 1, 1], [0, 300_000, 600_000]])
        assert.strictEqual((decision as Decision.Dispatched).attempts, 1)
      }))

    it.effect("they pass through the handler's own error handling", () =>
      Effect.gen(function*() {
        const { decision } = yield* deliver(() =>
          Effect.andThen(Effect.fail("busy"), Effect.void).pipe(
            Effect.catch(() => SideEffect.cancel("no")),
            Effect.ignore
          )
        )
        assert.strictEqual(decision._tag, "Dropped")
      }))
  })
})
