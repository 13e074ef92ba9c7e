import { Event, type Intent, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { expectEmitted, type Recorder } from "effect-side-effects/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"

class OrderPlaced extends Event.make("orders:order:placed", {
  description: "A customer placed an order.",
  payload: { orderId: Schema.String, email: Schema.String }
}) {}

class OrderShipped extends Event.make("orders:order:shipped", {
  description: "The warehouse shipped an order.",
  payload: { orderId: Schema.String, parcel: Schema.Number.pipe(Schema.withConstructorDefault(Effect.succeed(1))) }
}) {}

class AccountClosed extends Event.make("accounts:closed", { description: "A customer closed the account." }) {}

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: { orderId: Schema.String, to: Schema.String }
}) {}

class Audit extends SideEffect.make("audit:write", {
  description: "Write to the audit trail.",
  payload: { event: Schema.String, payload: Schema.Unknown }
}) {}

class Ping extends SideEffect.make("monitor:ping", { description: "Ping." }) {}

const Events = SideEffectGroup.make("orders").events(OrderPlaced, OrderShipped, AccountClosed)
const Orders = Events
  .on(OrderPlaced, Mail, ({ email, orderId }) => ({ orderId, to: email }))
  .on("orders:**", Audit, (payload, event) => ({ event: event.name, payload }))
  .on(AccountClosed, Ping)

describe("events", () => {
  test("have a name and a payload", () => {
    expect<Event.Name<typeof OrderPlaced>>().type.toBe<"orders:order:placed">()
    expect<Event.Payload<typeof OrderPlaced>>().type.toBe<{ readonly orderId: string; readonly email: string }>()
  })

  test("a payload that needs services does not compile", () => {
    const Needy = Schema.String as Schema.Codec<string, string, "service">
    expect(Event.make).type.not.toBeCallableWith("needy", { description: "x", payload: Needy })
  })
})

describe("patterns", () => {
  type Names<Pattern extends string> = Event.Matching<
    typeof OrderPlaced | typeof OrderShipped | typeof AccountClosed,
    Pattern
  >["_tag"]

  test("select by segments, as at run time", () => {
    expect<Names<"orders:order:placed">>().type.toBe<"orders:order:placed">()
    expect<Names<"orders:order:*">>().type.toBe<"orders:order:placed" | "orders:order:shipped">()
    expect<Names<"orders:*:shipped">>().type.toBe<"orders:order:shipped">()
    expect<Names<"*:order:*">>().type.toBe<"orders:order:placed" | "orders:order:shipped">()
    expect<Names<"*">>().type.toBe<never>()
    expect<Names<"*:*">>().type.toBe<"accounts:closed">()
    expect<Names<"orders:*">>().type.toBe<never>()
    expect<Names<"orders:**">>().type.toBe<"orders:order:placed" | "orders:order:shipped">()
    expect<Names<"**">>().type.toBe<"orders:order:placed" | "orders:order:shipped" | "accounts:closed">()
    expect<Names<"**:closed">>().type.toBe<"accounts:closed">()
    expect<Names<"**:order:**">>().type.toBe<"orders:order:placed" | "orders:order:shipped">()
    expect<Names<"accounts:closed:**">>().type.toBe<"accounts:closed">()
    expect<Names<"accounts:closed:**:**">>().type.toBe<"accounts:closed">()
    expect<Names<"accounts:closed:*">>().type.toBe<never>()
    expect<Names<"accounts:clo">>().type.toBe<never>()
  })

  test("may match a name that is known only in part", () => {
    const Made = Event.make("made:created" as `${string}:created`, {
      description: "Made at run time.",
      payload: { made: Schema.Boolean }
    })
    Events.events(Made).on("orders:order:*", Audit, (payload, event) => {
      expect<typeof payload>().type.toBe<
        | { readonly orderId: string; readonly email: string }
        | { readonly orderId: string; readonly parcel: number }
        | { readonly made: boolean }
      >()
      return { event: event.name, payload }
    })
    expect(SideEffectGroup.make("g").events(Made).on).type.toBeCallableWith("a:b:*", Ping)
    expect(Events.on).type.toBeCallableWith("orders:*" as `${string}:*`, Ping)
  })

  test("give the union of the payloads", () => {
    Events.on("orders:order:*", Audit, (payload, event) => {
      expect(payload).type.toBe<
        { readonly orderId: string; readonly email: string } | { readonly orderId: string; readonly parcel: number }
      >()
      expect(event).type.toBe<Event.Emitted<typeof OrderPlaced> | Event.Emitted<typeof OrderShipped>>()
      if (event.name === "orders:order:placed") expect(event.payload.email).type.toBe<string>()
      return { event: event.name, payload }
    })
    Events.on([OrderPlaced, AccountClosed], Ping, undefined, {
      when: (payload, event) => {
        expect(payload).type.toBe<{ readonly orderId: string; readonly email: string } | void>()
        expect(event.name).type.toBe<"orders:order:placed" | "accounts:closed">()
        return true
      }
    })
  })

  test("a regular expression gives unknown", () => {
    Events.on(/^orders:/, Audit, (payload, event) => {
      expect(payload).type.toBe<unknown>()
      expect(event.name).type.toBe<string>()
      return { event: event.name, payload }
    })
  })
})

describe("bindings that do not compile", () => {
  test("a wrong mapping", () => {
    expect(Events.on).type.not.toBeCallableWith(OrderPlaced, Mail, () => ({ orderId: 1, to: "ada" }))
    expect(Events.on).type.not.toBeCallableWith(OrderPlaced, Mail, () => ({ orderId: "1" }))
    expect(Events.on).type.not.toBeCallableWith(OrderPlaced, Mail)
    expect(Events.on).type.not.toBeCallableWith(OrderPlaced, Ping, () => ({ orderId: "1" }))
    // @ts-expect-error MappingOf<"orders:order:placed", "orders:mail:send">
    Events.on(OrderPlaced, Mail, ({ email }) => ({ orderId: 1, to: email }))
    expect(Events.on).type.toBeCallableWith(OrderPlaced, Ping)
    const Anything = SideEffect.make("anything", { description: "Anything.", payload: Schema.Any })
    expect(Events.on).type.toBeCallableWith(OrderPlaced, Anything, () => 1)
    expect(Events.on).type.not.toBeCallableWith(OrderPlaced, Anything)
    expect(Events.on).type.toBeCallableWith(OrderPlaced, Mail, () => ({ orderId: "1", to: "ada" }), {
      id: "confirmation",
      priority: 1,
      enqueue: { delay: "1 minute" }
    })
  })

  test("an unknown event", () => {
    expect(Events.on).type.not.toBeCallableWith("orders:order:plcaed", Ping)
    expect(Events.on).type.not.toBeCallableWith("invoices:*", Ping)
    expect(Events.on).type.toBeCallableWith("orders:order:placed", Ping)
    // @ts-expect-error NoEventSoFarMatches<"orders:order:plcaed">
    Events.on("orders:order:plcaed", Ping)
  })
})

describe("11. The type names the effects", () => {
  const emit = SideEffects.emit(OrderPlaced, { orderId: "1", email: "ada@example.org" })

  test("also those that are events", () => {
    expect(emit).type.toBe<
      Effect.Effect<Event.Emitted<typeof OrderPlaced>, never, SideEffects.SideEffects<"orders:order:placed">>
    >()
    expect(SideEffects.emit).type.toBeCallableWith(OrderShipped, { orderId: "1" })
    expect(SideEffects.emit).type.toBeCallableWith(AccountClosed)
    expect(SideEffects.emit).type.not.toBeCallableWith(OrderPlaced)
    expect(SideEffects.emit).type.not.toBeCallableWith(OrderPlaced, { orderId: 1, email: "ada" })
    expect(SideEffects.emit).type.not.toBeCallableWith(Ping)
    expect(SideEffects.enqueue).type.not.toBeCallableWith(AccountClosed)
  })

  test("a group has both names", () => {
    expect<SideEffectGroup.Names<typeof Orders>>().type.toBe<
      | "orders:mail:send"
      | "audit:write"
      | "monitor:ping"
      | "orders:order:placed"
      | "orders:order:shipped"
      | "accounts:closed"
    >()
  })

  test("a live layer whose group does not know an event leaves it required", () => {
    const Handlers = Orders.toLayer({
      "orders:mail:send": () => Effect.void,
      "audit:write": () => Effect.void,
      "monitor:ping": () => Effect.void
    })
    const live = Layer.provide(SideEffects.LiveLayer(Orders), Handlers)
    expect(Effect.provide(emit, live)).type.toBe<Effect.Effect<Event.Emitted<typeof OrderPlaced>>>()
    expect(Effect.provide(emit, SideEffects.TestLayer)).type.toBe<Effect.Effect<Event.Emitted<typeof OrderPlaced>>>()

    const Pings = SideEffectGroup.make("pings").on(AccountClosed, Ping)
    const other = Layer.provide(SideEffects.LiveLayer(Pings), Ping.toLayer(() => Effect.void))
    expect(Effect.provide(emit, other)).type.toBe<
      Effect.Effect<Event.Emitted<typeof OrderPlaced>, never, SideEffects.SideEffects<"orders:order:placed">>
    >()
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.provide(emit, other))
    expect(Effect.provide(emit, SideEffects.TestLayerFor(Pings))).type.toBe<
      Effect.Effect<Event.Emitted<typeof OrderPlaced>, never, SideEffects.SideEffects<"orders:order:placed">>
    >()
  })

  test("a bound side effect without a handler leaves it required", () => {
    const Group = SideEffectGroup.make("group").on(AccountClosed, Ping)
    expect(SideEffects.LiveLayer(Group)).type.toBe<
      Layer.Layer<
        SideEffects.SideEffects<"monitor:ping" | "accounts:closed">,
        never,
        SideEffect.Handler<"monitor:ping", "monitor:ping" | "accounts:closed">
      >
    >()
    expect(Group.toLayer).type.not.toBeCallableWith({})
  })

  test("a handler that emits needs a group that has the event", () => {
    const emitting = Ping.toLayer(() => emit)
    expect(emitting).type.toBe<Layer.Layer<SideEffect.Handler<"monitor:ping", "orders:order:placed">>>()
    const Pings = SideEffectGroup.make("pings").add(Ping)
    expect(Layer.provide(SideEffects.LiveLayer(Pings), emitting)).type.not.toBe<
      Layer.Layer<SideEffects.SideEffects<"monitor:ping">>
    >()
    expect(Layer.provide(SideEffects.LiveLayer(Pings.events(OrderPlaced)), emitting)).type.toBe<
      Layer.Layer<SideEffects.SideEffects<"monitor:ping" | "orders:order:placed">>
    >()
  })

  test("a group cannot be taken for one that knows more", () => {
    expect(Events).type.not.toBeAssignableTo<SideEffectGroup.SideEffectGroup<typeof Ping, typeof OrderPlaced>>()
    expect(SideEffectGroup.make("g").events(OrderPlaced)).type.not.toBeAssignableTo<
      SideEffectGroup.SideEffectGroup<never, typeof OrderPlaced | typeof OrderShipped>
    >()
    expect(Orders).type.toBeAssignableTo<SideEffectGroup.Any>()
  })

  test("the names of a group without events, or without side effects", () => {
    const Pings = SideEffectGroup.make("pings").add(Ping)
    expect<SideEffectGroup.Names<typeof Pings>>().type.toBe<"monitor:ping">()
    const Facts = SideEffectGroup.make("facts").events(OrderPlaced)
    expect<SideEffectGroup.Names<typeof Facts>>().type.toBe<"orders:order:placed">()
  })

  test("merged groups know what each of them knows", () => {
    const Merged = SideEffectGroup.make("all").merge(Orders, SideEffectGroup.make("none"))
    expect<SideEffectGroup.Events<typeof Merged>>().type.toBe<
      typeof OrderPlaced | typeof OrderShipped | typeof AccountClosed
    >()
    expect<SideEffectGroup.SideEffects<typeof Merged>>().type.toBe<typeof Mail | typeof Audit | typeof Ping>()
  })
})

describe("emits", () => {
  test("gets result and arguments in Effect.fn", () => {
    const place = Effect.fn("place")(
      function*(email: string, items: ReadonlyArray<string>) {
        if (items.length === 0) return yield* Effect.fail("empty" as const)
        return { id: "1", email }
      },
      SideEffects.emits(OrderPlaced, (result, args) => {
        expect(result).type.toBe<{ id: string; email: string }>()
        expect(args).type.toBe<[email: string, items: ReadonlyArray<string>]>()
        return { orderId: result.id, email: args[0] }
      }, { when: (result) => result.id !== "" }),
      SideEffects.boundary()
    )
    expect(place).type.toBe<
      (email: string, items: ReadonlyArray<string>) => Effect.Effect<
        { id: string; email: string },
        "empty",
        SideEffects.SideEffects<"orders:order:placed"> | SideEffects.SideEffects<never>
      >
    >()
  })

  test("gets the result in a pipe", () => {
    const piped = Effect.succeed({ id: "1" }).pipe(
      SideEffects.emits(OrderShipped, (result) => {
        expect(result).type.toBe<{ id: string }>()
        return { orderId: result.id }
      })
    )
    expect(piped).type.toBe<
      Effect.Effect<{ id: string }, never, SideEffects.SideEffects<"orders:order:shipped">>
    >()
    expect(Effect.void.pipe(SideEffects.emits(AccountClosed))).type.toBe<
      Effect.Effect<void, never, SideEffects.SideEffects<"accounts:closed">>
    >()
  })

  test("a mapping that does not fit does not compile", () => {
    expect(SideEffects.emits).type.not.toBeCallableWith(OrderPlaced, () => ({ orderId: "1" }))
    expect(SideEffects.emits).type.not.toBeCallableWith(OrderPlaced)
    expect(SideEffects.emits).type.toBeCallableWith(AccountClosed)
  })
})

test("events select in policies, and are what tests expect", () => {
  expect(Policy.block).type.toBeCallableWith(OrderPlaced, Mail, "orders:**")
  expect(expectEmitted(OrderPlaced, { orderId: "1" })).type.toBeAssignableTo<
    Effect.Effect<ReadonlyArray<Event.Emitted<typeof OrderPlaced>>, unknown, Recorder>
  >()
  expect(expectEmitted).type.not.toBeCallableWith(OrderPlaced, { orderId: 1 })
  expect<Intent.Any["origin"]>().type.toBe<string | Event.Emitted | undefined>()
})
