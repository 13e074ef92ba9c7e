import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, type Intent, Policy, SideEffects } from "effect-side-effects"
import { Recorder } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { logs, Mail, mail, Ping, push, shop } from "./fixtures.ts"

const defect = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined

describe("invariants", () => {
  describe("1. Nothing escapes early", () => {
    it.effect("not before the boundary has succeeded", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          yield* mail("1")
          assert.deepStrictEqual(calls, [])
          yield* Effect.yieldNow
          assert.deepStrictEqual(calls, [])
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1"])
      }))

    it.effect("not before the outermost one has succeeded", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(SideEffects.boundary(mail("1")))
          assert.deepStrictEqual(calls, [])
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1"])
      }))
  })

  describe("2. Failure discards", () => {
    const ends = {
      "a failure": [Effect.fail("no stock"), "failed with \"no stock\""],
      "a defect": [Effect.die(new Error("boom")), "died with Error: boom"],
      "an interruption": [Effect.interrupt, "was interrupted"]
    } as const
    for (const [name, [end, reason]] of Object.entries(ends)) {
      it.effect(`on ${name}`, () =>
        Effect.gen(function*() {
          const { calls, layer } = shop()
          let intent!: Intent.Any
          yield* Effect.gen(function*() {
            intent = yield* mail("1")
            yield* end as Effect.Effect<void>
          }).pipe(SideEffects.boundary({ name: "order" }), Effect.exit, Effect.provide(layer))
          assert.deepStrictEqual(calls, [])
          assert.strictEqual(Decision.format(Decision.of(intent)!), `discarded: boundary "order" ${reason}`)
        }))
    }

    it.effect("the intents of the parent stay", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          yield* mail("before")
          yield* Effect.exit(SideEffects.boundary(Effect.andThen(mail("inside"), Effect.fail("no"))))
          yield* mail("after")
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:before", "mail:after"])
      }))

    it.effect("unless releaseWhen says otherwise", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.andThen(mail("1"), Effect.fail("declined")).pipe(
          SideEffects.boundary({ releaseWhen: () => true }),
          Effect.exit,
          Effect.provide(layer)
        )
        yield* mail("2").pipe(SideEffects.boundary({ releaseWhen: () => false }), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1"])
      }))
  })

  describe("3. Order", () => {
    it.effect("of enqueueing, across boundaries", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          yield* mail("1")
          yield* SideEffects.boundary(Effect.andThen(push("2"), SideEffects.boundary(mail("3"))))
          yield* push("4")
          yield* SideEffects.enqueueAll([[Mail, { id: "5" }], [Ping]])
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1", "push:2", "mail:3", "push:4", "mail:5", "ping"])
      }))

    it.effect("also when boundaries inside overlap in time", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          const one = yield* Latch.make()
          const two = yield* Latch.make()
          const slow = SideEffects.boundary(Effect.gen(function*() {
            yield* mail("1")
            yield* one.open
            yield* two.await
            yield* mail("3")
          }))
          const fast = SideEffects.boundary(Effect.gen(function*() {
            yield* one.await
            yield* mail("2")
          }))
          yield* Effect.all([slow, Effect.andThen(fast, two.open)], { concurrency: 2 })
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:3"])
      }))

    it.effect("which is when a policy at the call site has let it pass, with and without nesting", () =>
      Effect.gen(function*() {
        for (const extra of [Effect.void, SideEffects.boundary(mail("c"))]) {
          const gate = yield* Latch.make()
          const policy = Policy.make({
            name: "slow",
            onEnqueue: ({ payload }) => payload.id === "a" ? gate.await : undefined
          })
          const { calls, layer } = shop()
          yield* Effect.gen(function*() {
            const slow = yield* Effect.forkChild(mail("a"), { startImmediately: true })
            yield* mail("b")
            yield* gate.open
            yield* Fiber.join(slow)
            yield* extra
          }).pipe(SideEffects.boundary({ policy }), Effect.provide(layer))
          assert.deepStrictEqual(calls.slice(0, 2), ["mail:b", "mail:a"])
        }
      }))

    it.effect("policies filter and do not reorder", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ policy: Policy.block("orders:push:*") })
        yield* Effect.forEach(["1", "2", "3"], (id) => Effect.andThen(push(id), mail(id))).pipe(
          SideEffects.boundary({ policy: Policy.limit(5) }),
          Effect.provide(layer)
        )
        assert.deepStrictEqual(calls, ["mail:1", "mail:2"])
      }))
  })

  // 4. "Policies cannot enqueue" is a matter of types: test/types/Invariants.tst.ts

  describe("5. The outermost boundary is in control", () => {
    it.effect("a boundary that succeeds hands over to the one around, which may fail", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.andThen(SideEffects.boundary(mail("1")), Effect.fail("later")).pipe(
          SideEffects.boundary(),
          Effect.exit,
          Effect.provide(layer)
        )
        assert.deepStrictEqual(calls, [])
      }))

    it.effect("nested: \"release\" lets everything through, if all around agree", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          yield* Effect.gen(function*() {
            yield* SideEffects.boundary(mail("1"))
            assert.deepStrictEqual(calls, ["mail:1"])
          }).pipe(SideEffects.boundary({ nested: "release" }))
          yield* Effect.gen(function*() {
            yield* SideEffects.boundary(mail("2"))
            assert.deepStrictEqual(calls, ["mail:1"], "the one between captures")
          }).pipe(SideEffects.boundary())
        }).pipe(SideEffects.boundary({ nested: "release" }), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1", "mail:2"])
      }))

    it.effect("nested as a function lets some through, in their order", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(Effect.all([mail("1"), push("1"), mail("2"), push("2")]))
          assert.deepStrictEqual(calls, ["push:1", "push:2"])
        }).pipe(
          SideEffects.boundary({
            nested: (intents) => intents.filter(({ name }) => name.startsWith("orders:push")).toReversed()
          }),
          Effect.provide(layer)
        )
        assert.deepStrictEqual(calls, ["push:1", "push:2", "mail:1", "mail:2"])
      }))
  })

  describe("6. Policies only narrow", () => {
    it.effect("local, boundary, parent and layer all have to allow", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ policy: Policy.reject(({ payload }) => payload?.id === "never") })
        const dropId = (id: string) => Policy.block(({ payload }) => payload?.id === id)
        yield* SideEffects.boundary(
          SideEffects.boundary(
            SideEffects.withPolicy(Effect.forEach(["1", "2", "3", "4"], mail), dropId("1")),
            { policy: dropId("2") }
          ),
          { policy: dropId("3") }
        ).pipe(Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:4"])
      }))

    it.effect("onEnqueue of all of them is asked at the call site, innermost first", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const watch = (name: string) => Policy.make({ name, onEnqueue: () => void asked.push(name) })
        const { layer } = shop({ policy: watch("layer") })
        yield* SideEffects.withPolicy(
          SideEffects.boundary(
            SideEffects.boundary(
              SideEffects.withPolicy(
                SideEffects.withPolicy(
                  Effect.andThen(mail("1"), Effect.sync(() => asked.push("enqueued"))),
                  watch("local inside")
                ),
                watch("local")
              ),
              { policy: watch("inner boundary") }
            ),
            { policy: watch("outer boundary") }
          ),
          watch("local around")
        ).pipe(Effect.provide(layer))
        assert.deepStrictEqual(asked, [
          "local inside",
          "local",
          "inner boundary",
          "outer boundary",
          "local around",
          "layer",
          "enqueued"
        ])
      }))
  })

  describe("7. No late enqueue", () => {
    it.effect("a stray fiber dies with BoundaryClosed", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const gate = yield* Latch.make()
        const stray = yield* Effect.forkDetach(Effect.andThen(gate.await, mail("late"))).pipe(
          SideEffects.boundary({ name: "request" }),
          Effect.provide(layer)
        )
        yield* gate.open
        const error = defect(yield* Fiber.await(stray))
        assert.instanceOf(error, SideEffects.BoundaryClosed)
        assert.strictEqual(
          error.message,
          "Side effect \"orders:mail:send\" was enqueued after boundary \"request\" had ended (released). A fiber or a promise has " +
            "outlived the unit of work it was started in: wait for it there, or make it one of its own with " +
            "SideEffects.boundary(..., { detached: true })."
        )
        assert.deepStrictEqual(calls, [])
      }))

    it.effect("nor vanishes where nobody waits for the fiber: it is logged, and recorded as discarded", () =>
      Effect.gen(function*() {
        const { layer: logger, lines } = logs()
        const gate = yield* Latch.make()
        yield* Effect.gen(function*() {
          const stray = yield* SideEffects.boundary(Effect.forkDetach(Effect.andThen(gate.await, mail("late"))))
          yield* gate.open
          yield* Fiber.await(stray)
          const [decision] = yield* (yield* Recorder).decisions
          assert.strictEqual(
            Decision.format(decision!),
            "discarded: its boundary had ended (released) when it was enqueued"
          )
        }).pipe(Effect.provide(Layer.provideMerge(SideEffects.TestLayer, logger)))
        assert.match(
          lines.join("\n"),
          /^ERROR Side effect "orders:mail:send" was enqueued after its boundary had ended/
        )
      }))

    it.effect("a detached boundary is a unit of work of its own, and may outlive the one it was forked in", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ policy: Policy.block(Ping) })
        const gate = yield* Latch.make()
        const job = SideEffects.boundary(
          Effect.andThen(Effect.andThen(mail("job"), SideEffects.enqueue(Ping)), gate.await),
          { detached: true }
        )
        const fiber = yield* Effect.gen(function*() {
          const fiber = yield* Effect.forkDetach(SideEffects.withPolicy(job, Policy.dropAll), {
            startImmediately: true
          })
          yield* mail("request")
          return fiber
        }).pipe(SideEffects.boundary({ policy: Policy.limit(1) }), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:request"])
        yield* gate.open
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(calls, ["mail:request", "mail:job"])
      }))

    it.effect("nothing joins a boundary while it is releasing", () =>
      Effect.gen(function*() {
        const releasing = yield* Latch.make()
        const gate = yield* Latch.make()
        const slow = Policy.make({
          name: "slow",
          decide: () => Effect.as(Effect.andThen(releasing.open, gate.await), Policy.allow)
        })
        const { calls, layer } = shop()
        const late = Effect.andThen(releasing.await, mail("late"))
        const unit = Effect.gen(function*() {
          const stray = yield* Effect.forkDetach(late, { startImmediately: true })
          yield* mail("1")
          return stray
        })
        const fiber = yield* Effect.forkChild(Effect.provide(SideEffects.boundary(unit, { policy: slow }), layer))
        yield* releasing.await
        yield* Effect.yieldNow
        yield* gate.open
        const stray = yield* Fiber.join(fiber)
        assert.instanceOf(defect(yield* Fiber.await(stray)), SideEffects.BoundaryClosed)
        assert.deepStrictEqual(calls, ["mail:1"])
      }))

    it.effect("a boundary that outlives the one around it dies, and its intents are discarded", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const gate = yield* Latch.make()
        let intent!: Intent.Any
        const late = SideEffects.boundary(Effect.gen(function*() {
          intent = yield* mail("late")
          yield* gate.await
        }))
        const stray = yield* Effect.forkDetach(late, { startImmediately: true }).pipe(
          SideEffects.boundary({ name: "request" }),
          Effect.provide(layer)
        )
        yield* gate.open
        const error = defect(yield* Fiber.await(stray))
        assert.instanceOf(error, SideEffects.BoundaryClosed)
        assert.strictEqual(
          Decision.format(Decision.of(intent)!),
          "discarded: its boundary succeeded only after boundary \"request\" around it had ended"
        )
        assert.deepStrictEqual(calls, [])
      }))

    it.effect("not even when a policy took its time at the call site", () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        const started = yield* Latch.make()
        const { calls, layer } = shop({
          policy: Policy.make({ name: "slow", onEnqueue: () => Effect.andThen(started.open, gate.await) })
        })
        const stray = yield* Effect.gen(function*() {
          const fiber = yield* Effect.forkDetach(mail("late"), { startImmediately: true })
          yield* started.await
          return fiber
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        yield* gate.open
        assert.instanceOf(defect(yield* Fiber.await(stray)), SideEffects.BoundaryClosed)
        assert.deepStrictEqual(calls, [])
      }))
  })

  describe("8. Outside a boundary is loud", () => {
    it.effect("\"warn\" dispatches at once and names the side effect", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const { layer: logger, lines } = logs()
        yield* Effect.gen(function*() {
          yield* mail("1")
          assert.deepStrictEqual(calls, ["mail:1"])
        }).pipe(Effect.provide(Layer.provideMerge(layer, logger)))
        assert.deepStrictEqual(lines, [
          "WARN Side effect \"orders:mail:send\" was enqueued outside a boundary, so it is dispatched at once, whatever " +
          "happens next. Wrap the unit of work in SideEffects.boundary, or say outsideBoundary: \"dispatch\" or " +
          "\"reject\" in the layer."
        ])
      }))

    it.effect("\"dispatch\" does it silently", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ outsideBoundary: "dispatch" })
        const { layer: logger, lines } = logs()
        yield* Effect.andThen(mail("1"), Effect.fail("later")).pipe(
          Effect.exit,
          Effect.provide(Layer.provideMerge(layer, logger))
        )
        assert.deepStrictEqual([calls, lines], [["mail:1"], []])
      }))

    it.effect("\"reject\" dies with NoBoundary", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ outsideBoundary: "reject" })
        const error = defect(yield* mail("1").pipe(Effect.provide(layer), Effect.exit))
        assert.instanceOf(error, SideEffects.NoBoundary)
        assert.strictEqual(
          error.message,
          "Side effect \"orders:mail:send\" was enqueued outside a boundary, and the layer says outsideBoundary: " +
            "\"reject\". Wrap the unit of work in SideEffects.boundary."
        )
        assert.deepStrictEqual(calls, [])
      }))

    it.effect("policies still decide", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ outsideBoundary: "dispatch", policy: Policy.block("**:push:**") })
        yield* Effect.all([push("1"), SideEffects.withPolicy(mail("2"), Policy.dropAll), mail("3")]).pipe(
          Effect.provide(layer)
        )
        assert.deepStrictEqual(calls, ["mail:3"])
      }))
  })

  describe("9. Every intent has exactly one decision, and it can be read", () => {
    it.effect("each of the five ends", () =>
      Effect.gen(function*() {
        const { layer } = shop({ policy: Policy.all(Policy.dedupe(), Policy.block("**:push:**")) })
        let decisions: ReadonlyArray<Decision.Decision | undefined> = []
        const intents = yield* Effect.gen(function*() {
          const discarded = yield* Effect.gen(function*() {
            const seen: Array<Intent.Any> = []
            yield* Effect.gen(function*() {
              seen.push(yield* mail("discarded"))
              return yield* Effect.fail("no")
            }).pipe(SideEffects.boundary(), Effect.exit)
            return seen
          })
          return [...discarded, yield* mail("1"), yield* mail("1"), yield* mail("bad"), yield* push("1")]
        }).pipe(
          SideEffects.boundary({ onClose: (report) => Effect.sync(() => decisions = report.decisions) }),
          Effect.provide(layer)
        )
        const tags = intents.map((intent) => Decision.of(intent)?._tag)
        assert.deepStrictEqual(tags, ["Discarded", "Dispatched", "Deduplicated", "Failed", "Dropped"])
        assert.deepStrictEqual(decisions, intents.slice(1).map((intent) => Decision.of(intent)))
      }))

    it.effect("it is pending before, and never changes after", () =>
      Effect.gen(function*() {
        const { layer } = shop({
          dispatcher: Dispatcher.make({
            name: "confused",
            performs: true,
            dispatch: (intents, perform) => Effect.andThen(Effect.forEach(intents, perform), Effect.fail("afterwards"))
          })
        })
        const intent = yield* Effect.gen(function*() {
          const intent = yield* mail("1")
          assert.strictEqual(Decision.of(intent), undefined)
          return intent
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
      }))

    it.effect("the recorder has them too", () =>
      Effect.gen(function*() {
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(mail("1"), Effect.fail("no"))))
        yield* SideEffects.boundary(Effect.andThen(mail("2"), mail("3")), { policy: Policy.limit(1) })
        const decisions = yield* (yield* Recorder).decisions
        assert.deepStrictEqual(decisions.map(({ _tag, intent }) => [_tag, intent.payload.id]), [
          ["Discarded", "1"],
          ["Dropped", "3"],
          ["Dispatched", "2"]
        ])
      }).pipe(Effect.provide(SideEffects.TestLayer)))
  })

  describe("10. Isolation", () => {
    it.effect("concurrent units of work never see each other's intents", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const unit = (n: number) =>
          Effect.gen(function*() {
            yield* mail(`${n}a`)
            yield* Effect.yieldNow
            yield* mail(`${n}b`)
            const seen = (yield* SideEffects.intents).map(({ payload }) => payload.id)
            assert.deepStrictEqual(seen, [`${n}a`, `${n}b`])
            if (n % 2 === 1) return yield* Effect.fail("odd")
            return undefined
          }).pipe(SideEffects.boundary(), Effect.exit)
        yield* Effect.forEach(Array.from({ length: 50 }, (_, n) => n), unit, { concurrency: "unbounded" }).pipe(
          Effect.provide(layer)
        )
        const even = Array.from({ length: 25 }, (_, n) => [`mail:${2 * n}a`, `mail:${2 * n}b`]).flat()
        assert.deepStrictEqual(calls.toSorted(), even.toSorted())
      }))

    it.effect("a forked child belongs to the boundary it was forked in", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          const gate = yield* Deferred.make<void>()
          const child = yield* SideEffects.boundary(Effect.gen(function*() {
            const child = yield* Effect.forkChild(Effect.andThen(Deferred.await(gate), mail("child")))
            yield* Deferred.succeed(gate, undefined)
            yield* Fiber.join(child)
            return (yield* SideEffects.ownIntents).length
          }))
          assert.strictEqual(child, 1)
          assert.strictEqual((yield* SideEffects.ownIntents).length, 0)
          assert.strictEqual((yield* SideEffects.capturedIntents).length, 1)
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:child"])
      }))
  })

  // 11. "The type names the effects" is a matter of types: test/types/Invariants.tst.ts

  describe("12. A failing side effect harms nobody else", () => {
    it.effect("the others still run, and the result is unchanged", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const { layer: logger, lines } = logs()
        const result = yield* Effect.all([mail("1"), mail("bad"), mail("bug"), mail("2")]).pipe(
          Effect.as("the result"),
          SideEffects.boundary(),
          Effect.provide(Layer.provideMerge(layer, logger))
        )
        assert.strictEqual(result, "the result")
        assert.deepStrictEqual(calls, ["mail:1", "mail:bad", "mail:bug", "mail:2"])
        assert.strictEqual(lines.length, 2)
        for (const line of lines) {
          assert.match(line, /^ERROR Side effect "orders:mail:send" failed in dispatcher inline/)
        }
      }))

    it.effect("unless abortOnError is set", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const error = yield* Effect.all([mail("1"), mail("bad"), mail("2")]).pipe(
          SideEffects.boundary({ name: "order", abortOnError: true }),
          Effect.flip,
          Effect.provide(layer)
        )
        assert.instanceOf(error, SideEffects.DispatchError)
        assert.deepStrictEqual(calls, ["mail:1", "mail:bad", "mail:2"])
        assert.strictEqual(error.failures.length, 1)
        const { cause, intent } = error.failures[0]!
        assert.strictEqual(intent.payload.id, "bad")
        assert.strictEqual((Cause.squash(cause) as any)._tag, "Broken")
        assert.strictEqual(
          error.message,
          `1 of 3 side effects of boundary "order" failed:\n- orders:mail:send (intent ${intent.id}): Broken`
        )
      }))

    it.effect("or the layer says that it dies", () =>
      Effect.gen(function*() {
        const { layer } = shop({ onDispatchError: "die" })
        const exit = yield* mail("bad").pipe(SideEffects.boundary(), Effect.provide(layer), Effect.exit)
        assert.instanceOf(defect(exit), SideEffects.DispatchError)
      }))
  })

  describe("13. A violation cannot be swallowed", () => {
    it.effect("closing AssertNoneLayer dies with it again", () =>
      Effect.gen(function*() {
        const exit = yield* mail("1").pipe(
          Effect.catchCause(() => Effect.succeed("swallowed")),
          Effect.provide(SideEffects.AssertNoneLayer),
          Effect.exit
        )
        const error = defect(exit)
        assert.instanceOf(error, SideEffects.PolicyViolation)
        assert.strictEqual(
          error.message,
          "Side effect \"orders:mail:send\" was enqueued under AssertNoneLayer, which allows none. Remove the call from " +
            "this code path, or run it with another layer."
        )
      }))

    it.effect("whatever else is wrong with the call", () =>
      Effect.gen(function*() {
        const exit = yield* SideEffects.enqueue(Mail, { id: 1 } as any).pipe(
          Effect.exit,
          Effect.provide(SideEffects.AssertNoneLayer),
          Effect.exit
        )
        assert.instanceOf(defect(exit), SideEffects.PolicyViolation)
      }))

    it.effect("one that was not swallowed is reported once", () =>
      Effect.gen(function*() {
        const exit = yield* mail("1").pipe(Effect.provide(SideEffects.AssertNoneLayer), Effect.exit)
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) assert.strictEqual(exit.cause.reasons.length, 1)
      }))

    it.effect("a program that enqueues nothing is fine", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const result = yield* SideEffects.boundary(Effect.succeed("pure")).pipe(
          Effect.provide(SideEffects.AssertNoneLayer)
        )
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(result, "pure")
      }))
  })
})
