import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"

const options = { description: "Email a customer." }

describe("fromFunction", () => {
  const mail = SideEffect.fromFunction("orders:mail", async (_to: string, _copies?: number) => "id", options)

  test("the drop-in takes what the function takes, and its result may be gone", () => {
    expect(mail.call).type.toBe<(to: string, copies?: number) => Promise<string | undefined>>()
    expect(mail.call).type.not.toBeCallableWith()
    expect(mail.call).type.not.toBeCallableWith(1)
  })

  test("a function without a result stays what it was", () => {
    const ping = SideEffect.fromFunction("orders:ping", async () => {}, options)
    expect(ping.call).type.toBeAssignableTo<() => Promise<void>>()
    const id: (to: string) => Promise<string> = async () => "id"
    expect(SideEffect.fromFunction("orders:id", id, options).call).type.not.toBeAssignableTo(id)
  })

  test("functions that return no promise are taken, too", () => {
    const sync = SideEffect.fromFunction("orders:sync", (n: number) => n, options)
    expect(sync.call).type.toBe<(n: number) => Promise<number | undefined>>()
  })

  test("the definition and the layer have the name", () => {
    expect(mail.definition._tag).type.toBe<"orders:mail">()
    expect(mail.layer).type.toBe<Layer.Layer<SideEffect.Handler<"orders:mail">>>()
    const group = SideEffectGroup.make("orders").add(mail.definition)
    expect<SideEffectGroup.Names<typeof group>>().type.toBe<"orders:mail">()
  })

  test("enqueue takes the arguments as an array", () => {
    expect(SideEffects.enqueue).type.toBeCallableWith(mail.definition, ["ada"])
    expect(SideEffects.enqueue).type.toBeCallableWith(mail.definition, ["ada", 2])
    expect(SideEffects.enqueue).type.not.toBeCallableWith(mail.definition, [])
    expect(SideEffects.enqueue).type.not.toBeCallableWith(mail.definition, ["ada", "2"])
    expect(SideEffects.enqueue).type.not.toBeCallableWith(mail.definition, "ada")
  })

  test("a schema of the payload has to be one of the arguments", () => {
    const remind = async (_to: string, _at: Date) => {}
    const payload = Schema.Tuple([Schema.String, Schema.Date])
    expect(SideEffect.fromFunction("orders:remind", remind, { ...options, payload }).definition.payloadSchema).type
      .toBe<
        typeof payload
      >()
    expect(SideEffect.fromFunction).type.toBeCallableWith("orders:remind", remind, {
      ...options,
      payload,
      idempotencyKey: ([to, at]: readonly [string, Date]) => `${to}${at.getTime()}`
    })
    expect(SideEffect.fromFunction).type.not.toBeCallableWith("orders:remind", remind, {
      ...options,
      payload: Schema.Tuple([Schema.String, Schema.Number])
    })
  })

  test("a description is required", () => {
    expect(SideEffect.fromFunction).type.not.toBeCallableWith("orders:mail", async () => {}, {})
  })
})
