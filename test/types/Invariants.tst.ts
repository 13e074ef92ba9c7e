import { Dispatcher, type Intent, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { enqueued, expectEnqueued, type Recorder } from "effect-side-effects/testing"
import type * as Cause from "effect/Cause"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: { id: Schema.String, copies: Schema.Number.pipe(Schema.withConstructorDefault(Effect.succeed(1))) }
}) {}

class Push extends SideEffect.make("orders:push:notify", {
  description: "Notify the phone.",
  payload: Schema.Struct({ id: Schema.String })
}) {}

class Ping extends SideEffect.make("monitor:ping", { description: "Ping." }) {}

const Orders = SideEffectGroup.make("orders").add(Mail, Push)

class Mailer
  extends Context.Service<Mailer, { readonly send: (id: string) => Effect.Effect<void, MailError> }>()("Mailer")
{}
class MailError extends Schema.TaggedError<MailError>()("MailError", {}) {}

const mail = SideEffects.enqueue(Mail, { id: "1" })
const MailLive = Mail.toLayer(({ id }) => Effect.flatMap(Mailer, ({ send }) => send(id)), { timeout: "1 second" })
const PushLive = Push.toLayer(() => Effect.void)

describe("4. Policies cannot enqueue", () => {
  test("an effect that enqueues is no effect of a policy", () => {
    expect(Policy.make).type.toBeCallableWith({ name: "p", decide: () => Effect.succeed(Policy.allow) })
    expect(Policy.make).type.not.toBeCallableWith({ name: "p", decide: () => Effect.as(mail, Policy.allow) })
    expect(Policy.make).type.not.toBeCallableWith({ name: "p", onEnqueue: () => Effect.asVoid(mail) })
    expect(Policy.tap).type.not.toBeCallableWith(() => mail)
  })

  test("neither is one that fails or needs a service", () => {
    expect(Policy.make).type.not.toBeCallableWith({ name: "p", decide: () => Effect.fail("no") })
    expect(Policy.make).type.not.toBeCallableWith({ name: "p", decide: () => Effect.as(Mailer, Policy.allow) })
  })
})

describe("11. The type names the effects", () => {
  test("a program's requirements list what it can enqueue", () => {
    expect(mail).type.toBe<
      Effect.Effect<Intent.Intent<typeof Mail>, never, SideEffects.SideEffects<"orders:mail:send">>
    >()
    const both = Effect.gen(function*() {
      yield* mail
      yield* SideEffects.enqueue(Ping)
    })
    expect(both).type.toBe<
      Effect.Effect<void, never, SideEffects.SideEffects<"orders:mail:send"> | SideEffects.SideEffects<"monitor:ping">>
    >()
    expect(SideEffects.enqueueAll([[Mail, { id: "1" }], [Ping]])).type.toBe<
      Effect.Effect<
        readonly [Intent.Intent<typeof Mail>, Intent.Intent<typeof Ping>],
        never,
        SideEffects.SideEffects<"orders:mail:send" | "monitor:ping">
      >
    >()
  })

  test("a layer that covers more satisfies a program that needs less", () => {
    const layer = Layer.mergeAll(MailLive, PushLive).pipe(
      Layer.provideMerge(Layer.succeed(Mailer, { send: () => Effect.void }))
    )
    const live = Layer.provide(SideEffects.LiveLayer(Orders), layer)
    expect(live).type.toBe<Layer.Layer<SideEffects.SideEffects<"orders:mail:send" | "orders:push:notify">>>()
    expect(Effect.provide(mail, live)).type.toBe<Effect.Effect<Intent.Intent<typeof Mail>>>()
    expect(Effect.provide(SideEffects.boundary(Effect.succeed(1)), live)).type.toBe<Effect.Effect<number>>()
    expect(Effect.provide(mail, SideEffects.DropLayer)).type.toBe<Effect.Effect<Intent.Intent<typeof Mail>>>()
    expect(Effect.provide(mail, SideEffects.AssertNoneLayer)).type.toBe<Effect.Effect<Intent.Intent<typeof Mail>>>()
    expect(Effect.provide(mail, SideEffects.TestLayer)).type.toBe<Effect.Effect<Intent.Intent<typeof Mail>>>()
  })

  test("a live layer that cannot perform one of them leaves it required", () => {
    const ping = SideEffects.enqueue(Ping)
    const live = SideEffects.LiveLayer(Orders, {
      dispatcher: Dispatcher.make({ name: "d", dispatch: () => Effect.void })
    })
    expect(Effect.provide(ping, live)).type.toBe<
      Effect.Effect<Intent.Intent<typeof Ping>, never, SideEffects.SideEffects<"monitor:ping">>
    >()
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.provide(ping, live))
    expect(Effect.provide(ping, SideEffects.TestLayerFor(Orders))).type.toBe<
      Effect.Effect<Intent.Intent<typeof Ping>, never, SideEffects.SideEffects<"monitor:ping">>
    >()
  })

  test("a group without a handler does not compile", () => {
    const live = Layer.provide(SideEffects.LiveLayer(Orders), MailLive)
    expect(live).type.toBe<
      Layer.Layer<
        SideEffects.SideEffects<"orders:mail:send" | "orders:push:notify">,
        never,
        Mailer | SideEffect.Handler<"orders:push:notify", "orders:mail:send" | "orders:push:notify">
      >
    >()
    expect(Orders.toLayer).type.not.toBeCallableWith({ "orders:mail:send": () => Effect.void })
    expect(Orders.toLayer).type.toBeCallableWith({
      "orders:mail:send": () => Effect.void,
      "orders:push:notify": () => Effect.void
    })
  })

  test("a handler that needs a scope has to bring one", () => {
    const acquiring = Mail.toLayer(() => Effect.acquireRelease(Effect.succeed(1), () => Effect.void))
    expect(acquiring).type.toBe<Layer.Layer<SideEffect.Handler<"orders:mail:send">, never, Scope.Scope>>()
  })

  test("handlers with options keep their requirements", () => {
    const layer = Orders.toLayer({
      "orders:mail:send": Mail.handler(({ id }) => Effect.flatMap(Mailer, ({ send }) => send(id)), {
        timeout: "1 second"
      }),
      "orders:push:notify": () => Effect.void
    })
    expect(layer).type.toBe<
      Layer.Layer<SideEffect.Handler<"orders:mail:send"> | SideEffect.Handler<"orders:push:notify">, never, Mailer>
    >()
  })

  test("a handler that enqueues needs a group that has it", () => {
    const pinging = Mail.toLayer(() => SideEffects.enqueue(Ping))
    expect(pinging).type.toBe<Layer.Layer<SideEffect.Handler<"orders:mail:send", "monitor:ping">>>()
    const Mails = SideEffectGroup.make("mails").add(Mail)
    expect(Layer.provide(SideEffects.LiveLayer(Mails), pinging)).type.not.toBe<
      Layer.Layer<SideEffects.SideEffects<"orders:mail:send">>
    >()
    const PingLive = Ping.toLayer(() => Effect.void)
    expect(Layer.provide(SideEffects.LiveLayer(Mails.add(Ping)), Layer.mergeAll(pinging, PingLive))).type.toBe<
      Layer.Layer<SideEffects.SideEffects<"orders:mail:send" | "monitor:ping">>
    >()
  })

  test("a dispatcher that hands on needs no handlers; its own services are required", () => {
    const dispatcher = Dispatcher.make({ name: "d", dispatch: () => Effect.asVoid(Mailer) })
    expect(SideEffects.LiveLayer(Orders, { dispatcher })).type.toBe<
      Layer.Layer<SideEffects.SideEffects<"orders:mail:send" | "orders:push:notify">, never, Mailer>
    >()
    const routed = Dispatcher.route([["a", dispatcher], ["**", Dispatcher.inline()]])
    expect(routed).type.toBe<Dispatcher.Dispatcher<true, never, Mailer>>()
    expect(Dispatcher.route([["**", dispatcher]])).type.toBe<Dispatcher.Dispatcher<false, never, Mailer>>()
  })

  test("ConfigLayer is as LiveLayer, and can fail", () => {
    const layer = Layer.provide(SideEffects.ConfigLayer(Orders), Layer.mergeAll(MailLive, PushLive))
    expect(layer).type.toBe<
      Layer.Layer<SideEffects.SideEffects<"orders:mail:send" | "orders:push:notify">, Config.ConfigError, Mailer>
    >()
  })
})

describe("payloads", () => {
  test("are checked", () => {
    expect(SideEffects.enqueue).type.toBeCallableWith(Mail, { id: "1", copies: 2 })
    expect(SideEffects.enqueue).type.toBeCallableWith(Mail, { id: "1" }, { delay: "1 minute", key: "k" })
    expect(SideEffects.enqueue).type.not.toBeCallableWith(Mail, { id: 1 })
    expect(SideEffects.enqueue).type.not.toBeCallableWith(Mail, {})
    expect(SideEffects.enqueue).type.not.toBeCallableWith(Mail)
    expect(SideEffects.enqueue).type.toBeCallableWith(Ping)
    expect(SideEffects.enqueue).type.toBeCallableWith(Ping, undefined, { priority: 1 })
    expect(SideEffects.enqueue).type.not.toBeCallableWith(Ping, { id: "1" })
    expect(SideEffects.enqueueAll).type.not.toBeCallableWith([[Mail, { id: 1 }]])
    expect(SideEffects.enqueueAll).type.not.toBeCallableWith([[Mail]])
  })

  test("are what the handler and the test get", () => {
    expect<SideEffect.Payload<typeof Mail>>().type.toBe<{ readonly id: string; readonly copies: number }>()
    expect(enqueued(Push)).type.toBe<Effect.Effect<ReadonlyArray<{ readonly id: string }>, never, Recorder>>()
    expect(expectEnqueued).type.toBeCallableWith(Mail, { copies: 2 })
    expect(expectEnqueued).type.not.toBeCallableWith(Mail, { copies: "2" })
  })
})

describe("boundaries", () => {
  test("abortOnError adds DispatchError", () => {
    expect(SideEffects.boundary(mail)).type.toBe<
      Effect.Effect<
        Intent.Intent<typeof Mail>,
        never,
        SideEffects.SideEffects<"orders:mail:send"> | SideEffects.SideEffects<never>
      >
    >()
    expect(SideEffects.boundary(Effect.fail("no"), { abortOnError: true })).type.toBe<
      Effect.Effect<never, string | SideEffects.DispatchError, SideEffects.SideEffects<never>>
    >()
    expect(Effect.succeed(1).pipe(SideEffects.boundary({ name: "n", abortOnError: true }))).type.toBe<
      Effect.Effect<number, SideEffects.DispatchError, SideEffects.SideEffects<never>>
    >()
    expect(Effect.succeed(1).pipe(SideEffects.boundary({ abortOnError: false }))).type.toBe<
      Effect.Effect<number, never, SideEffects.SideEffects<never>>
    >()
  })

  test("in Effect.fn", () => {
    const f = Effect.fn("f")(function*(n: number) {
      yield* mail
      return n
    }, SideEffects.boundary({ name: "f" }))
    expect(f).type.toBe<
      (n: number) => Effect.Effect<
        number,
        never,
        SideEffects.SideEffects<"orders:mail:send"> | SideEffects.SideEffects<never>
      >
    >()
  })

  test("a plan needs no layer", () => {
    expect(SideEffects.plan(mail)).type.toBe<Effect.Effect<SideEffects.Plan<Intent.Intent<typeof Mail>, never>>>()
  })
})

describe("handlers", () => {
  test("retry sees the typed errors and the timeout", () => {
    const layer = Mail.toLayer(() => Effect.flatMap(Mailer, ({ send }) => send("1")), {
      retry: {
        schedule: Schedule.recurs(1),
        while: (error) => {
          expect(error).type.toBe<MailError | Cause.TimeoutError>()
          return true
        }
      },
      onExhausted: (cause, delivery) => {
        expect(cause).type.toBe<Cause.Cause<MailError | Cause.TimeoutError>>()
        expect(delivery.intent.payload.id).type.toBe<string>()
        return Effect.void
      }
    })
    expect(layer).type.toBe<Layer.Layer<SideEffect.Handler<"orders:mail:send">, never, Mailer>>()
  })

  test("a payload that needs services does not compile", () => {
    const Needy = Schema.String as Schema.Codec<string, string, Mailer>
    expect(SideEffect.make).type.not.toBeCallableWith("needy", { description: "x", payload: Needy })
  })
})
