import { Console, Context, type Effect, type Layer } from "effect"
import { Dispatcher, Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsCommand } from "effect-side-effects/cli"
import { Command, Flag } from "effect/cli"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("shop:mail", { description: "Mail." }) {}
class Push extends SideEffect.make("shop:push", { description: "Push." }) {}
class Paid extends Event.make("shop:paid", { description: "Paid." }) {}
class Other extends SideEffect.make("other", { description: "In another group." }) {}

const Shop = SideEffectGroup.make("shop").add(Mail, Push).on(Paid, Mail)
const Less = SideEffectGroup.make("less").add(Mail)

class Smtp extends Context.Service<Smtp, {}>()("Smtp") {}
class Database extends Context.Service<Database, {}>()("Database") {}

interface LiveError {
  readonly _tag: "LiveError"
}
interface DatabaseError {
  readonly _tag: "DatabaseError"
}
interface HandlerError {
  readonly _tag: "HandlerError"
}

const live = null as unknown as Layer.Layer<
  SideEffects.SideEffects<"shop:mail" | "shop:push" | "shop:paid">,
  LiveError,
  Smtp
>

const make = <E, R>(handler: Effect.Effect<void, E, R>) =>
  Command.make("pay", { order: Flag.Int("order") }, () => handler)

type Own = SideEffectsCommand.CommandError | SideEffectsCommand.Violated

describe("SideEffectsCommand.provide", () => {
  const enqueues = null as unknown as Effect.Effect<
    void,
    HandlerError,
    Database | SideEffects.SideEffects<"shop:mail"> | SideEffects.SideEffects<"shop:paid">
  >

  test("takes the side effects of the group from the requirements, and adds those of the live layer", () => {
    const command = make(enqueues).pipe(SideEffectsCommand.provide(Shop, live))
    expect<Command.Services<typeof command>>().type.toBe<Database | Smtp>()
    expect<Command.Error<typeof command>>().type.toBe<HandlerError | LiveError | Own>()
    expect(SideEffectsCommand.provide(make(enqueues), Shop, live)).type.toBe<typeof command>()
  })

  test("leaves name and input as they are", () => {
    const command = make(enqueues).pipe(SideEffectsCommand.provide(Shop, live))
    expect(command.name).type.toBe<"pay">()
    Command.withHandler(command, (input) => {
      expect(input).type.toBe<{ readonly order: number }>()
      return Console.log("")
    })
  })

  test("leaves a side effect that the group does not have", () => {
    const command = make(SideEffects.enqueue(Other)).pipe(SideEffectsCommand.provide(Shop, live))
    expect<Command.Services<typeof command>>().type.toBe<Smtp | SideEffects.SideEffects<"other">>()
  })

  test("refuses a layer that does not cover the group", () => {
    const less = null as unknown as Layer.Layer<SideEffects.SideEffects<"shop:mail">>
    expect(SideEffectsCommand.provide).type.toBeCallableWith(Less, less)
    expect(SideEffectsCommand.provide).type.not.toBeCallableWith(Shop, less)
  })

  test("asks for the handlers that the live layer asks for", () => {
    const command = make(enqueues).pipe(
      SideEffectsCommand.provide(Shop, SideEffects.LiveLayer(Shop, { dispatcher: Dispatcher.inline() }))
    )
    expect<Database>().type.toBeAssignableTo<Command.Services<typeof command>>()
    expect<Command.Services<typeof command>>().type.not.toBe<Database>()
  })

  test("adds DispatchError with abortOnError alone", () => {
    const strict = make(enqueues).pipe(SideEffectsCommand.provide(Shop, live, { abortOnError: true }))
    expect<Command.Error<typeof strict>>().type.toBe<HandlerError | LiveError | Own | SideEffects.DispatchError>()
    const lenient = make(enqueues).pipe(SideEffectsCommand.provide(Shop, live, { abortOnError: false }))
    expect<Command.Error<typeof lenient>>().type.toBe<HandlerError | LiveError | Own>()
  })

  test("adds what is put around a dry run needs and fails with", () => {
    const around = null as unknown as <A, E, R>(
      self: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | DatabaseError, R | Database>
    const command = make(SideEffects.enqueue(Mail)).pipe(SideEffectsCommand.provide(Shop, live, { around }))
    expect<Command.Error<typeof command>>().type.toBe<DatabaseError | LiveError | Own>()
    expect<Command.Services<typeof command>>().type.toBe<Database | Smtp>()
  })

  test("knows its modes", () => {
    expect<SideEffectsCommand.Mode>().type.toBe<"live" | "drop" | "assert-none" | "record">()
    expect(SideEffectsCommand.provide).type.not.toBeCallableWith(Shop, live, { default: "of" })
  })
})
