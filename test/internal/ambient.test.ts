import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setImmediate } from "node:timers/promises"
import { afterEach, vi } from "vitest"
import { logs } from "../fixtures.ts"

// Each test has a library of its own, as what is tested is kept by the module.
const library = async () => {
  vi.resetModules()
  const ambient = await import("../../src/internal/ambient.ts")
  const { SideEffect, SideEffects } = await import("effect-side-effects")
  const { expectEnqueued } = await import("effect-side-effects/testing")
  return { ambient, SideEffect, SideEffects, expectEnqueued }
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe("ambient", () => {
  it("nobody pays for it before the first fromFunction", async () => {
    const { ambient, SideEffect } = await library()
    const place: any = {}
    assert.strictEqual(ambient.enter(place, Effect.void), Effect.void)
    SideEffect.make("a:b", { description: "Not of a function." })
    assert.strictEqual(ambient.enter(place, Effect.void), Effect.void)
    SideEffect.fromFunction("a:c", async () => {}, { description: "Of a function." })
    assert.notStrictEqual(ambient.enter(place, Effect.void), Effect.void)
  })

  it("without AsyncLocalStorage it holds until the first await, and says so once", async () => {
    vi.spyOn(process, "getBuiltinModule").mockImplementation(() => undefined as any)
    const { expectEnqueued, SideEffect, SideEffects } = await library()
    const sent: Array<string> = []
    const mail = SideEffect.fromFunction("a:mail", async (to: string) => void sent.push(to), {
      description: "Mail.",
      deprecation: false
    })
    const { layer, lines } = logs()
    const unit = SideEffects.boundary(Effect.promise(async () => {
      await mail.call("before")
      await setImmediate()
      await mail.call("behind")
    }))
    await Effect.runPromise(
      Effect.gen(function*() {
        yield* unit
        yield* unit
        yield* expectEnqueued(mail.definition, ["before"], { times: 2 })
      }).pipe(Effect.provide([SideEffects.TestLayer, layer]))
    )
    assert.deepStrictEqual(sent, ["behind", "behind"])
    assert.strictEqual(lines.length, 1)
    assert.include(lines[0], "SideEffect.fromFunction finds no AsyncLocalStorage here")
  })

  it("without AsyncLocalStorage the handler of a function that calls others enqueues them, and performs itself", async () => {
    vi.spyOn(process, "getBuiltinModule").mockImplementation(() => undefined as any)
    const { SideEffect } = await library()
    const { SideEffectGroup, SideEffects } = await import("effect-side-effects")
    const log: Array<string> = []
    const inner = SideEffect.fromFunction("a:inner", async () => void log.push("inner"), {
      description: "Inner.",
      deprecation: false
    })
    const again: { call: (times: number) => Promise<void> } = { call: async () => {} }
    const outer = SideEffect.fromFunction("a:outer", async (times: number) => {
      if (times > 0) await again.call(times - 1)
      else await inner.call()
      log.push(`outer ${times}`)
    }, { description: "Outer.", deprecation: false })
    again.call = outer.call
    const { layer } = logs()
    await Effect.runPromise(
      SideEffects.boundary(SideEffects.enqueue(outer.definition, [1])).pipe(
        Effect.provide(SideEffects.LiveLayer(SideEffectGroup.make("a").add(inner.definition, outer.definition))),
        Effect.provide([inner.layer, outer.layer, layer])
      )
    )
    assert.deepStrictEqual(log, ["outer 0", "outer 1", "inner"])
  })
})
