import { assert, describe, it } from "@effect/vitest"
import { Decision, Policy, SideEffects } from "effect-side-effects"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { logs, mail, shop } from "./fixtures.ts"

// That these sizes are reached at all. How fast is the matter of `npm run bench`.

const times = (n: number) => Array.from({ length: n }, (_, i) => String(i))

describe("scale", () => {
  it.effect("100,000 intents in one boundary", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      yield* Effect.forEach(times(100_000), mail, { discard: true }).pipe(SideEffects.boundary(), Effect.provide(layer))
      assert.strictEqual(calls.length, 100_000)
      assert.strictEqual(calls[99_999], "mail:99999")
    }), 30_000)

  it.effect("10,000 intents that fail, and 100,000 that policies drop", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      const { layer: logger, lines } = logs()
      yield* Effect.forEach(times(10_000), (id) => mail(`bad${id}`), { discard: true }).pipe(
        SideEffects.boundary(),
        Effect.provide(Layer.provideMerge(layer, logger))
      )
      assert.deepStrictEqual([calls.length, lines.length], [10_000, 10_000])
      const intents = yield* Effect.forEach(times(100_000), mail).pipe(
        SideEffects.boundary({ policy: Policy.all(Policy.block("**"), Policy.dedupe()) }),
        Effect.provide(layer)
      )
      assert.isTrue(intents.every((intent) => Decision.of(intent)?._tag === "Dropped"))
    }), 30_000)

  it.effect("10,000 boundaries at once", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      yield* Effect.forEach(
        times(10_000),
        (id) => SideEffects.boundary(Effect.andThen(mail(id), Effect.andThen(Effect.yieldNow, mail(id)))),
        { concurrency: "unbounded", discard: true }
      ).pipe(Effect.provide(layer))
      assert.strictEqual(calls.length, 20_000)
    }), 30_000)

  const nest = (levels: number, options: { readonly policy?: Policy.Policy; readonly nested?: "release" }) => {
    let program: Effect.Effect<unknown, never, SideEffects.SideEffects<any>> = mail("0")
    for (let level = 1; level < levels; level++) {
      program = Effect.andThen(mail(String(level)), SideEffects.boundary(program, options))
    }
    return SideEffects.boundary(program, options)
  }
  const ways = {
    "captured by the outermost": {},
    "with a policy on each": { policy: Policy.limit(1_000) },
    "released by each": { nested: "release" }
  } as const
  for (const [name, options] of Object.entries(ways)) {
    it.effect(`1,000 levels of nesting, ${name}`, () =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        yield* Effect.provide(nest(1_000, options), layer)
        const outermostFirst = times(1_000).toReversed().map((id) => `mail:${id}`)
        assert.deepStrictEqual(calls, name === "released by each" ? outermostFirst.toReversed() : outermostFirst)
      }), 30_000)
  }

  it.effect("1,000 levels of nesting, discarded", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      yield* Effect.andThen(nest(1_000, {}), Effect.fail("no")).pipe(
        SideEffects.boundary(),
        Effect.exit,
        Effect.provide(layer)
      )
      assert.deepStrictEqual(calls, [])
    }), 30_000)

  it.effect("1,000 local policies inside each other", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      let program: Effect.Effect<unknown, never, SideEffects.SideEffects<any>> = mail("1")
      for (let i = 0; i < 1_000; i++) program = SideEffects.withPolicy(program, Policy.limit(1))
      yield* program.pipe(SideEffects.boundary(), Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1"])
    }))

  it("3,000 intents at one go, twice: the scheduler is that of the run, not of the run that built the layer", () => {
    const { calls, layer } = shop()
    const runtime = ManagedRuntime.make(layer)
    const unit = SideEffects.boundary(Effect.forEach(times(3_000), mail, { discard: true }))
    runtime.runSync(unit)
    runtime.runSync(unit)
    assert.strictEqual(calls.length, 6_000)
  })

  it.effect("memory is given back after release, while the layer lives on", () =>
    Effect.gen(function*() {
      setFlagsFromString("--expose-gc")
      const gc = runInNewContext("gc") as () => void
      const { layer } = shop()
      yield* Effect.gen(function*() {
        const held: Array<WeakRef<object>> = []
        const unit = Effect.gen(function*() {
          const intents = yield* Effect.forEach(times(100), mail)
          held.push(...intents.map((intent) => new WeakRef(intent)))
        })
        yield* SideEffects.boundary(SideEffects.boundary(unit), { policy: Policy.dedupe() })
        yield* Effect.exit(SideEffects.boundary(Effect.andThen(unit, Effect.fail("no"))))
        // WeakRefs are kept alive until the current job has ended.
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        gc()
        assert.strictEqual(held.length, 200)
        assert.strictEqual(held.filter((ref) => ref.deref() !== undefined).length, 0)
      }).pipe(Effect.provide(layer))
    }))
})
