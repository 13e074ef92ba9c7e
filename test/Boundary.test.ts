import { assert, describe, it } from "@effect/vitest"
import { type Boundary, Decision, type Intent, Policy, SideEffects } from "effect-side-effects"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { logs, mail, Ping, push, shop } from "./fixtures.ts"

const defect = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined

const ids = (intents: ReadonlyArray<Intent.Any>) => intents.map(({ payload }) => payload.id)

describe("Boundary", () => {
  describe("the report", () => {
    const reportOf = <A, E>(
      effect: Effect.Effect<A, E, SideEffects.SideEffects<any>>,
      options: Pick<Boundary.Options<A, E, false>, "name" | "policy">,
      around: (effect: Effect.Effect<A, E, SideEffects.SideEffects<any>>) => Effect.Effect<unknown, any, any> = (e) => e
    ) =>
      Effect.gen(function*() {
        let report!: Boundary.Report
        const { layer } = shop()
        const onClose = (closed: Boundary.Report) =>
          Effect.sync(() => {
            report = closed
          })
        yield* around(SideEffects.boundary<A, E, SideEffects.SideEffects<any>>(effect, { ...options, onClose })).pipe(
          Effect.exit,
          Effect.provide(layer)
        )
        return report
      })

    it.effect("of one that released", () =>
      Effect.gen(function*() {
        const report = yield* reportOf(
          Effect.gen(function*() {
            yield* mail("1")
            yield* SideEffects.boundary(push("2"))
            yield* mail("bad")
          }),
          { name: "order", policy: Policy.block("**:push:**") }
        )
        assert.deepStrictEqual([report.name, report.outcome, Exit.isSuccess(report.exit)], ["order", "released", true])
        assert.deepStrictEqual(ids(report.intents), ["1", "2", "bad"])
        assert.deepStrictEqual(report.decisions.map(({ _tag }) => _tag), ["Dispatched", "Dropped", "Failed"])
        assert.deepStrictEqual(report.pending, [])
      }))

    it.effect("of one that discarded", () =>
      Effect.gen(function*() {
        const report = yield* reportOf(Effect.andThen(mail("1"), Effect.fail("no")), {})
        assert.deepStrictEqual([report.outcome, Exit.isFailure(report.exit)], ["discarded", true])
        assert.deepStrictEqual(report.decisions.map(({ _tag }) => _tag), ["Discarded"])
      }))

    it.effect("of one that was captured: what is left is pending", () =>
      Effect.gen(function*() {
        let pending: ReadonlyArray<Intent.Any> = []
        const report = yield* reportOf(
          Effect.andThen(mail("1"), push("2")),
          {
            policy: Policy.block("**:push:**")
          },
          (inner) =>
            SideEffects.boundary(
              Effect.tap(inner, () => Effect.map(SideEffects.intents, (intents) => pending = intents))
            )
        )
        assert.strictEqual(report.outcome, "captured")
        assert.deepStrictEqual(ids(report.intents), ["1", "2"])
        assert.deepStrictEqual(ids(pending), ["1"])
        // The report can be read again when all is over.
        assert.deepStrictEqual(report.decisions.map(({ _tag }) => _tag), ["Dispatched", "Dropped"])
      }))

    it.effect("of one that captured from concurrent fibers is in order", () =>
      Effect.gen(function*() {
        const unit = (n: number) =>
          SideEffects.boundary(Effect.andThen(mail(`${n}a`), Effect.andThen(Effect.yieldNow, mail(`${n}b`))))
        const report = yield* reportOf(Effect.forEach([1, 2, 3], unit, { concurrency: "unbounded" }), {})
        assert.deepStrictEqual(ids(report.intents), ["1a", "2a", "3a", "1b", "2b", "3b"])
      }))
  })

  describe("inspection", () => {
    it.effect("intents, own and captured, are snapshots", () =>
      Effect.gen(function*() {
        const { layer } = shop()
        yield* Effect.gen(function*() {
          yield* mail("1")
          yield* SideEffects.boundary(mail("2"))
          const before = yield* SideEffects.intents
          assert.deepStrictEqual(ids(yield* SideEffects.ownIntents), ["1"])
          assert.deepStrictEqual(ids(yield* SideEffects.capturedIntents), ["2"])
          yield* mail("3")
          assert.deepStrictEqual(ids(before), ["1", "2"])
          assert.deepStrictEqual(ids(yield* SideEffects.intents), ["1", "2", "3"])
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
      }))

    it.effect("nothing is there outside a boundary", () =>
      Effect.gen(function*() {
        const seen = yield* Effect.all([SideEffects.intents, SideEffects.ownIntents, SideEffects.capturedIntents])
        assert.deepStrictEqual(seen, [[], [], []])
      }).pipe(Effect.provide(SideEffects.TestLayer)))
  })

  describe("defects", () => {
    it.effect("in releaseWhen: everything is discarded and the boundary dies with it", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        let intent!: Intent.Any
        const exit = yield* Effect.map(mail("1"), (enqueued) => intent = enqueued).pipe(
          SideEffects.boundary({
            releaseWhen: () => {
              throw new Error("bug")
            }
          }),
          Effect.exit,
          Effect.provide(layer)
        )
        const error = defect(exit) as Error
        assert.strictEqual(error.message, "releaseWhen of its boundary died, so nothing is released")
        assert.strictEqual((error.cause as Error).message, "bug")
        assert.deepStrictEqual(calls, [])
        assert.strictEqual(
          Decision.format(Decision.of(intent)!),
          "discarded: its boundary was not released: releaseWhen died with Error: bug"
        )
      }))

    it.effect("in onClose: it is logged, and nothing else changes", () =>
      Effect.gen(function*() {
        for (
          const onClose of [() => Effect.die("bug"), () => {
            throw new Error("bug")
          }]
        ) {
          const { calls, layer } = shop()
          const { layer: logger, lines } = logs()
          const result = yield* Effect.as(mail("1"), "result").pipe(
            SideEffects.boundary({ name: "order", onClose }),
            Effect.provide(Layer.provideMerge(layer, logger))
          )
          assert.deepStrictEqual([result, calls], ["result", ["mail:1"]])
          assert.deepStrictEqual(lines, [
            "ERROR onClose of boundary \"order\" died. The boundary was released all the same."
          ])
        }
      }))

    it.effect("in nested: it is logged, and the boundary captures", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const { layer: logger, lines } = logs()
        yield* Effect.gen(function*() {
          yield* SideEffects.boundary(mail("1"))
          assert.deepStrictEqual(calls, [])
        }).pipe(
          SideEffects.boundary({
            nested: () => {
              throw new Error("bug")
            }
          }),
          Effect.provide(Layer.provideMerge(layer, logger))
        )
        assert.deepStrictEqual(calls, ["mail:1"])
        assert.deepStrictEqual(lines, [
          "ERROR nested of its boundary died. What the boundary inside handed over waits for it."
        ])
      }))
  })

  it.effect("a policy of the parent is asked about what leaves before it, and goes on counting", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.andThen(mail("1"), mail("2")))
        yield* Effect.andThen(mail("3"), mail("4"))
      }).pipe(SideEffects.boundary({ nested: "release", policy: Policy.limit(3) }), Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:3"])
    }))

  it.effect("the layer's policy counts over the whole of an outermost boundary", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop({ policy: Policy.limit(2) })
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(mail("1"))
        yield* SideEffects.boundary(mail("2"))
        yield* mail("3")
      }).pipe(SideEffects.boundary({ nested: "release" }), Effect.provide(layer))
      yield* mail("4").pipe(SideEffects.boundary(), Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:4"])
    }))

  describe("open", () => {
    it.effect("runs, and releases by hand", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          const unit = yield* SideEffects.open({ name: "job" })
          assert.strictEqual(yield* unit.run(Effect.as(mail("1"), "result")), "result")
          yield* unit.run(SideEffects.boundary(push("2")))
          assert.deepStrictEqual(ids(yield* unit.intents), ["1", "2"])
          assert.deepStrictEqual(ids(yield* unit.ownIntents), ["1"])
          assert.deepStrictEqual(ids(yield* unit.capturedIntents), ["2"])
          assert.deepStrictEqual([calls, yield* unit.isOpen], [[], true])
          const report = yield* unit.release
          assert.deepStrictEqual([report.name, report.outcome, ids(report.intents)], ["job", "released", ["1", "2"]])
          assert.deepStrictEqual([calls, yield* unit.isOpen], [["mail:1", "push:2"], false])
        }).pipe(Effect.provide(layer))
      }))

    it.effect("discards by hand", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          const unit = yield* SideEffects.open()
          const intent = yield* unit.run(mail("1"))
          const report = yield* unit.discard("was cancelled by the user")
          assert.strictEqual(report.outcome, "discarded")
          assert.strictEqual(Decision.format(Decision.of(intent)!), "discarded: its boundary was cancelled by the user")
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(calls, [])
      }))

    it.effect("closes as boundary would", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          for (const exit of [Exit.succeed(1), Exit.fail("no")]) {
            const closed: Array<string> = []
            const unit = yield* SideEffects.open({ onClose: ({ outcome }) => Effect.sync(() => closed.push(outcome)) })
            yield* unit.run(mail(exit._tag))
            const { outcome } = yield* unit.close(exit)
            assert.deepStrictEqual(closed, [outcome])
          }
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:Success"])
      }))

    it.effect("fails with abortOnError", () =>
      Effect.gen(function*() {
        const { layer } = shop()
        const error = yield* Effect.gen(function*() {
          const unit = yield* SideEffects.open({ abortOnError: true })
          yield* unit.run(mail("bad"))
          return yield* Effect.flip(unit.release)
        }).pipe(Effect.provide(layer))
        assert.instanceOf(error, SideEffects.DispatchError)
      }))

    it.effect("is inside the boundary it was opened in", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.gen(function*() {
          const unit = yield* SideEffects.open()
          yield* unit.run(mail("1"))
          assert.strictEqual((yield* unit.release).outcome, "captured")
          assert.deepStrictEqual(calls, [])
        }).pipe(SideEffects.boundary(), Effect.provide(layer))
        assert.deepStrictEqual(calls, ["mail:1"])
      }))

    it.effect("dies when it is used after its end", () =>
      Effect.gen(function*() {
        const { layer } = shop()
        const exits = yield* Effect.gen(function*() {
          const unit = yield* SideEffects.open({ name: "job" })
          yield* unit.release
          const late: ReadonlyArray<Effect.Effect<unknown, never, SideEffects.SideEffects<"orders:mail:send">>> = [
            unit.release,
            unit.discard(),
            unit.close(Exit.void),
            unit.run(mail("1"))
          ]
          return yield* Effect.forEach(late, (effect) => Effect.exit(effect))
        }).pipe(Effect.provide(layer))
        for (const exit of exits) assert.instanceOf(defect(exit), SideEffects.BoundaryClosed)
        assert.strictEqual(
          (defect(exits[0]!) as Error).message,
          "boundary \"job\" has ended already (released). A boundary is released or discarded once."
        )
      }))
  })

  describe("plan", () => {
    it.effect("performs nothing and says what would have escaped", () =>
      Effect.gen(function*() {
        const { exit, intents } = yield* SideEffects.plan(Effect.gen(function*() {
          yield* SideEffects.boundary(mail("1"))
          yield* Effect.exit(SideEffects.boundary(Effect.andThen(mail("2"), Effect.fail("no"))))
          yield* push("3")
          return yield* Effect.fail("in the end")
        }))
        assert.deepStrictEqual(exit, Exit.fail("in the end"))
        assert.deepStrictEqual(ids(intents), ["1", "3"])
      }))

    it.effect("inside a unit of work, policies count over all of it", () =>
      Effect.gen(function*() {
        const { layer } = shop()
        const { intents } = yield* SideEffects.plan(Effect.andThen(mail("1"), mail("2"))).pipe(
          SideEffects.boundary({ policy: Policy.limit(1) }),
          Effect.provide(layer)
        )
        assert.deepStrictEqual(ids(intents), ["1"])
      }))

    it.effect("obeys the policies around, and dispatches nothing there", () =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ policy: Policy.block("monitor:**") })
        const { intents } = yield* SideEffects.boundary(
          SideEffects.withPolicy(
            SideEffects.plan(Effect.all([mail("1"), mail("2"), push("3"), SideEffects.enqueue(Ping)])),
            Policy.block("**:push:**")
          ),
          { policy: Policy.block(({ payload }) => payload?.id === "2") }
        ).pipe(Effect.provide(layer))
        assert.deepStrictEqual([ids(intents), calls], [["1"], []])
      }))
  })
})
