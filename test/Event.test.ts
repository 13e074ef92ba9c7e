import { assert, describe, it } from "@effect/vitest"
import {
  Binding,
  type Boundary,
  Decision,
  Event,
  type Intent,
  Policy,
  SideEffect,
  SideEffectGroup,
  SideEffects
} from "effect-side-effects"
import {
  capture,
  expectEmitted,
  expectEnqueued,
  expectNotEmitted,
  expectNothing,
  Recorder
} from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as vm from "node:vm"
import { logs } from "./fixtures.ts"

class Placed extends Event.make("shop:order:placed", {
  description: "A customer placed an order.\nNot paid yet.",
  payload: { id: Schema.String, email: Schema.String }
}) {}
class Shipped extends Event.make("shop:order:shipped", {
  description: "The warehouse shipped an order.",
  payload: { id: Schema.String, parcels: Schema.Number.pipe(Schema.withConstructorDefault(Effect.succeed(1))) }
}) {}
class Closed extends Event.make("shop:closed", { description: "The shop was closed." }) {}

class Mail extends SideEffect.make("shop:mail", {
  description: "Email the customer.",
  payload: { to: Schema.String },
  idempotencyKey: ({ to }) => to
}) {}
class Audit extends SideEffect.make("audit:write", {
  description: "Write to the audit trail.",
  payload: { event: Schema.String, id: Schema.String }
}) {}
class Ping extends SideEffect.make("monitor:ping", { description: "Ping the monitoring service." }) {}

const Shop = SideEffectGroup.make("shop")
  .events(Placed, Shipped, Closed)
  .on(Placed, Mail, ({ email }) => ({ to: email }))
  .on("shop:order:*", Audit, ({ id }, event) => ({ event: event.name, id }))
  .on([Placed, Closed], Ping)

const placed = SideEffects.emit(Placed, { id: "1", email: "ada" })
const names = (intents: ReadonlyArray<Intent.Any>) => intents.map(({ name }) => name)

/** A live layer whose handlers write down what they perform. */
const live = (group = Shop, options?: SideEffects.LiveOptions) => {
  const calls: Array<string> = []
  const handlers = Shop.toLayer({
    "shop:mail": ({ to }) => Effect.sync(() => void calls.push(`mail:${to}`)),
    "audit:write": ({ event, id }) => Effect.sync(() => void calls.push(`audit:${event}:${id}`)),
    "monitor:ping": () => Effect.sync(() => void calls.push("ping"))
  })
  return { calls, layer: SideEffects.LiveLayer(group, options).pipe(Layer.provide(handlers)) }
}

const defectOf = (exit: Exit.Exit<unknown, unknown>): any => {
  assert.isTrue(Exit.isFailure(exit))
  return Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
}

describe("definitions", () => {
  it("hold name, description, summary and schema", () => {
    assert.strictEqual(Placed._tag, "shop:order:placed")
    assert.strictEqual(Placed.description, "A customer placed an order.\nNot paid yet.")
    assert.strictEqual(Placed.summary, "A customer placed an order.")
    assert.isTrue(Event.isEvent(Placed))
    assert.isFalse(Event.isEvent(Mail))
    assert.isFalse(SideEffect.isSideEffect(Placed))
  })

  it("refuse bad names and empty descriptions when the module loads", () => {
    assert.throws(
      () => Event.make("shop::placed", { description: "x" }),
      /Event name "shop::placed" has an empty segment/
    )
    assert.throws(
      () => Event.make("shop:placed", { description: " " }),
      /Event "shop:placed" has no description. Say in one sentence what has happened/
    )
  })
})

describe("group.on", () => {
  it("adds what is not there yet, and nothing twice", () => {
    const group = SideEffectGroup.make("g").on(Placed, Mail, ({ email }) => ({ to: email })).on(Placed, Ping)
    assert.deepStrictEqual([...group.eventsByName.keys()], ["shop:order:placed"])
    assert.deepStrictEqual([...group.sideEffects.keys()], ["shop:mail", "monitor:ping"])
    assert.deepStrictEqual(group.bindings.map(({ id }) => id), [
      "shop:order:placed -> shop:mail",
      "shop:order:placed -> monitor:ping"
    ])
  })

  it("gives every binding a stable id", () => {
    assert.deepStrictEqual(Shop.bindings.map(({ id }) => id), [
      "shop:order:placed -> shop:mail",
      "shop:order:* -> audit:write",
      "shop:order:placed, shop:closed -> monitor:ping"
    ])
    const given = Shop.on(Shipped, Ping, undefined, { id: "shipped-ping" })
    assert.strictEqual(given.bindings[3]?.id, "shipped-ping")
  })

  it("refuses duplicates", () => {
    assert.throws(
      () => Shop.on(Placed, Mail, () => ({ to: "bob" })),
      "Group \"shop\" already has a binding with the id \"shop:order:placed -> shop:mail\""
    )
    assert.throws(
      () => Shop.on(Closed, Ping),
      "Group \"shop\" binds side effect \"monitor:ping\" to event \"shop:closed\" twice: by \"shop:order:placed, " +
        "shop:closed -> monitor:ping\" and by \"shop:closed -> monitor:ping\". Remove one of them"
    )
    assert.strictEqual(Shop.on(Closed, Ping, undefined, { id: "again" }).bindings.length, 4)
    assert.throws(() => Shop.on(Closed, Ping, undefined, { id: "" }), "Binding id \"\" is empty")
    assert.throws(
      () => Shop.on(Closed, Ping, undefined, { id: "x" }).on(Shipped, Ping, undefined, { id: "x" }),
      "already has a binding with the id \"x\""
    )
  })

  it("takes the name of an event for the event", () => {
    const [binding] = SideEffectGroup.make("g").events(Closed).on("shop:closed", Ping).bindings
    assert.strictEqual(binding?.kind, "event")
    assert.throws(() => Shop.on("shop:closed", Ping), /twice/)
  })

  it("selects by a pattern among the events that are there, and refuses one that comes too late", () => {
    const audit = SideEffectGroup.make("g").events(Placed)
      .on("shop:order:*", Audit, ({ id }, { name }) => ({ event: name, id }))
    assert.deepStrictEqual([...audit.bindings[0]!.events], ["shop:order:placed"])
    const late =
      "Group \"g\" gets event \"shop:order:shipped\" after the binding \"shop:order:* -> audit:write\", whose " +
      "pattern matches it"
    assert.throws(() => audit.events(Shipped), late)
    assert.throws(() => audit.on(Shipped, Ping), late)
    assert.strictEqual(audit.events(Closed).eventsByName.size, 2)
  })

  it("keeps a pattern to its group when groups are merged", () => {
    const orders = SideEffectGroup.make("orders").events(Placed)
      .on("shop:**", Audit, ({ id }, { name }) => ({ event: name, id }))
    const all = SideEffectGroup.make("all").merge(orders, SideEffectGroup.make("shipping").events(Shipped))
    assert.deepStrictEqual(Binding.byEvent(all.bindings)("shop:order:shipped"), [])
    assert.strictEqual(Binding.byEvent(all.bindings)("shop:order:placed").length, 1)
  })

  it("does not mind events that come after the pattern of a group that was merged in", () => {
    const orders = SideEffectGroup.make("orders").events(Placed)
      .on("shop:**", Audit, ({ id }, { name }) => ({ event: name, id }))
    assert.strictEqual(SideEffectGroup.make("all").merge(orders).events(Shipped).eventsByName.size, 2)
  })

  it("refuses what two groups bind alike, also when they are merged", () => {
    const a = SideEffectGroup.make("a").on(Closed, Ping)
    const b = SideEffectGroup.make("b").on([Placed, Closed], Ping)
    assert.throws(
      () => SideEffectGroup.make("all").merge(a, b),
      "Group \"all\" binds side effect \"monitor:ping\" to event \"shop:closed\" twice"
    )
  })

  it("a pattern may select what is bound already, and then it follows twice", () => {
    const group = SideEffectGroup.make("g").on(Closed, Ping).on("shop:*", Ping)
    assert.deepStrictEqual(Binding.byEvent(group.bindings)("shop:closed").map(({ id }) => id), [
      "shop:closed -> monitor:ping",
      "shop:* -> monitor:ping"
    ])
    assert.strictEqual(SideEffectGroup.make("g").events(Closed).on("shop:*", Ping).on(Closed, Ping).bindings.length, 2)
  })

  it("selects by a regular expression, too", () => {
    const group = SideEffectGroup.make("g").events(Placed, Shipped, Closed).on(/order:(placed|lost)$/g, Ping)
    assert.deepStrictEqual([...group.bindings[0]!.events], ["shop:order:placed"])
    assert.strictEqual(group.bindings[0]!.id, "/order:(placed|lost)$/g -> monitor:ping")
  })

  it("refuses what is no event, no side effect and no mapping, where no compiler has seen it", () => {
    const group: any = SideEffectGroup.make("g")
    assert.throws(
      () => group.on(undefined, Ping),
      "Group \"g\": on takes an event, an array of events, a pattern or a RegExp"
    )
    assert.throws(() => group.on([], Ping), "Group \"g\": on takes an event, an array of events")
    assert.throws(() => group.on(Ping, Ping), "Group \"g\": on takes an event")
    assert.throws(() => group.on(Closed, undefined), "Group \"g\": on takes the definition of a side effect second")
    assert.throws(() => group.on(Closed, Mail, "to"), "Group \"g\": on takes a function that makes the payload third")
    assert.throws(
      () => group.on(Closed, Ping, undefined, { priority: NaN }),
      "was given priority: NaN. It takes a number"
    )
    assert.throws(
      () => group.events(Ping),
      "Group \"g\" was given something else where the definition of an event belongs"
    )
    assert.throws(() => group.add(Closed), "Group \"g\" was given something else where the definition of a side effect")
  })

  it("merges the same binding once, and refuses another one with its id", () => {
    const all = SideEffectGroup.make("all").merge(Shop, Shop, SideEffectGroup.make("part").merge(Shop))
    assert.strictEqual(all.bindings.length, 3)
    const other = SideEffectGroup.make("other").on(Placed, Mail, () => ({ to: "bob" }))
    assert.throws(
      () => all.merge(other),
      "Group \"all\" already has a binding with the id \"shop:order:placed -> shop:mail\""
    )
  })

  it("refuses one name for an event and a side effect", () => {
    const Clash = Event.make("shop:mail", { description: "Mail came." })
    assert.throws(() => Shop.events(Clash), "Group \"shop\" has both a side effect and an event named \"shop:mail\"")
    assert.throws(
      () => SideEffectGroup.make("g").events(Clash).add(Mail),
      "Group \"g\" has both a side effect and an event named \"shop:mail\""
    )
    assert.throws(
      () => SideEffectGroup.make("g").add(Mail).merge(SideEffectGroup.make("other").events(Clash)),
      "Group \"g\" has both a side effect and an event named \"shop:mail\""
    )
    const Twin = Event.make("shop:closed", { description: "Another one." })
    assert.throws(() => Shop.events(Twin), "Group \"shop\" already has an event named \"shop:closed\"")
  })
})

describe("emit", () => {
  it.effect("records the event and enqueues one intent for each binding, with the event as origin", () =>
    Effect.gen(function*() {
      const event = yield* SideEffects.boundary(placed)
      assert.deepStrictEqual([event.name, event.event, event.payload], [
        "shop:order:placed",
        Placed,
        { id: "1", email: "ada" }
      ])
      const recorder = yield* Recorder
      const intents = yield* recorder.intents
      assert.deepStrictEqual(names(intents), ["shop:mail", "audit:write", "monitor:ping"])
      assert.deepStrictEqual(intents.map(({ payload }) => payload), [
        { to: "ada" },
        { event: "shop:order:placed", id: "1" },
        undefined
      ])
      for (const { origin } of intents) assert.strictEqual(origin, event)
      assert.strictEqual(intents[0]?.key, "ada")
      assert.deepStrictEqual(yield* recorder.events, [event])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("performs them in production", () => {
    const { calls, layer } = live()
    return Effect.gen(function*() {
      yield* SideEffects.boundary(Effect.andThen(placed, SideEffects.emit(Shipped, { id: "2" })))
      assert.deepStrictEqual(calls, ["mail:ada", "audit:shop:order:placed:1", "ping", "audit:shop:order:shipped:2"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("fills in the defaults of the payload", () =>
    Effect.gen(function*() {
      yield* SideEffects.emit(Shipped, { id: "2" })
      yield* expectEmitted(Shipped, { id: "2", parcels: 1 })
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("follows priority, then the order of binding", () => {
    const group = SideEffectGroup.make("g")
      .on(Closed, Mail, () => ({ to: "last" }), { priority: -1 })
      .on(Closed, Ping)
      .on(Closed, Mail, () => ({ to: "first" }), { id: "first", priority: 10 })
      .on(Closed, Mail, () => ({ to: "middle" }), { id: "middle" })
    return Effect.gen(function*() {
      const { intents } = yield* SideEffects.plan(SideEffects.emit(Closed))
      assert.deepStrictEqual(intents.map(({ name, payload }) => payload?.to ?? name), [
        "first",
        "monitor:ping",
        "middle",
        "last"
      ])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(group)))
  })

  it.effect("follows only if `when` says so, and with the options of the binding", () => {
    const group = SideEffectGroup.make("g")
      .on(Placed, Mail, ({ email }) => ({ to: email }), { when: ({ email }) => email.includes("@") })
      .on(Placed, Ping, undefined, { enqueue: { delay: "1 minute", queue: "slow" } })
      .on(Placed, Audit, ({ id }, { name }) => ({ event: name, id }), {
        enqueue: ({ id }, { name }) => ({ key: `${name}/${id}`, priority: 3 })
      })
    return Effect.gen(function*() {
      const { intents } = yield* SideEffects.plan(placed)
      assert.deepStrictEqual(names(intents), ["monitor:ping", "audit:write"])
      assert.strictEqual(intents[0]?.queue, "slow")
      assert.isTrue(Equal.equals(intents[0]?.delay, Duration.minutes(1)))
      assert.deepStrictEqual([intents[1]?.key, intents[1]?.priority], ["shop:order:placed/1", 3])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(group)))
  })

  it.effect("follows only a `when` that says true", () => {
    const group = SideEffectGroup.make("g").on(Placed, Ping, undefined, { when: ({ id }) => id as any })
    return Effect.gen(function*() {
      assert.deepStrictEqual((yield* SideEffects.plan(placed)).intents, [])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(group)))
  })

  it("sorts the bindings of a group out once, not for every emit", () => {
    const find = Binding.byEvent(Shop.bindings)
    assert.strictEqual(find("shop:order:placed").length, 3)
    assert.strictEqual(find("shop:order:placed"), find("shop:order:placed"))
    assert.strictEqual(Binding.byEvent(Shop.bindings), find)
  })

  it.effect("a payload that does not fit dies at the call site", () =>
    Effect.gen(function*() {
      const defect = defectOf(yield* Effect.exit(SideEffects.emit(Placed, { id: 1, email: "ada" } as any)))
      assert.instanceOf(defect, SideEffects.InvalidPayload)
      assert.match(defect.message, /^Invalid payload for event "shop:order:placed": .*string.*id/s)
      yield* expectNotEmitted(Placed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))
})

describe("a binding that throws", () => {
  const broken = SideEffectGroup.make("g")
    .on(Placed, Ping)
    .on(Placed, Mail, () => {
      throw new Error("no template")
    })

  it.effect("dies naming event and binding, and nothing of the boundary escapes", () => {
    const { calls, layer } = live(broken as any)
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(SideEffects.boundary(Effect.andThen(SideEffects.enqueue(Ping), placed)))
      assert.strictEqual(
        defectOf(exit).message,
        "Event \"shop:order:placed\": the mapping of binding \"shop:order:placed -> shop:mail\" died with Error: no " +
          "template. Nothing was enqueued for this event."
      )
      assert.deepStrictEqual(calls, [])
    }).pipe(Effect.provide(layer)) as Effect.Effect<void>
  })

  it.effect("enqueues nothing of its event, also where the defect is caught, and outside a boundary", () => {
    const { calls, layer } = live(broken as any, { outsideBoundary: "dispatch" })
    const caught = Effect.catchDefect(placed, () => Effect.void)
    return Effect.gen(function*() {
      yield* SideEffects.boundary(caught)
      yield* caught
      assert.deepStrictEqual(calls, [])
    }).pipe(Effect.provide(layer)) as Effect.Effect<void>
  })

  it.effect("names a `when` and options that throw, and the binding of an invalid payload", () =>
    Effect.gen(function*() {
      const messages: Array<string> = []
      const boom = () => {
        throw new Error("boom")
      }
      for (
        const group of [
          SideEffectGroup.make("g").on(Placed, Ping, undefined, { when: boom }),
          SideEffectGroup.make("g").on(Placed, Ping, undefined, { enqueue: boom }),
          SideEffectGroup.make("g").on(Placed, Mail, () => ({ to: 1 } as any)),
          SideEffectGroup.make("g").on(Placed, Ping, undefined, { enqueue: { delay: "soon" as any } })
        ]
      ) {
        const { exit } = yield* capture(placed, { group })
        messages.push(defectOf(exit).message)
      }
      assert.include(messages[0], "the when of binding \"shop:order:placed -> monitor:ping\" died with Error: boom")
      assert.include(messages[1], "the enqueue of binding \"shop:order:placed -> monitor:ping\" died with Error: boom")
      assert.match(
        messages[2]!,
        /^Invalid payload for side effect "shop:mail", made by binding "shop:order:placed -> shop:mail" of event "shop:order:placed": /
      )
      assert.match(messages[3]!, /^Event "shop:order:placed": binding "shop:order:placed -> monitor:ping" died with /)
    }))
})

describe("boundaries", () => {
  it.effect("an event is discarded with its boundary, and handed over to the one around", () =>
    Effect.gen(function*() {
      const failed = SideEffects.boundary(Effect.andThen(placed, Effect.fail("no")), { name: "inner" })
      let report: Boundary.Report | undefined
      yield* SideEffects.boundary(
        Effect.gen(function*() {
          yield* Effect.ignore(failed)
          yield* SideEffects.boundary(SideEffects.emit(Closed))
          yield* SideEffects.emit(Shipped, { id: "2" })
          assert.deepStrictEqual((yield* SideEffects.events).map(({ name }) => name), [
            "shop:closed",
            "shop:order:shipped"
          ])
        }),
        { onClose: (closed) => Effect.sync(() => (report = closed)) }
      )
      const recorder = yield* Recorder
      const released = ["shop:closed", "shop:order:shipped"]
      assert.deepStrictEqual((yield* recorder.events).map(({ name }) => name), released)
      assert.deepStrictEqual((yield* recorder.emitted).map(({ name }) => name), ["shop:order:placed", ...released])
      assert.deepStrictEqual(report?.events.map(({ name }) => name), released)
      assert.deepStrictEqual(yield* SideEffects.events, [])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("what a boundary around discards is discarded, whatever the inner one did", () =>
    Effect.gen(function*() {
      yield* Effect.ignore(SideEffects.boundary(Effect.andThen(SideEffects.boundary(placed), Effect.fail("no"))))
      yield* expectNotEmitted(Placed)
      yield* expectNothing
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("leaves at once through boundaries with nested: release", () =>
    Effect.gen(function*() {
      yield* Effect.ignore(SideEffects.boundary(
        Effect.andThen(SideEffects.boundary(placed), Effect.fail("no")),
        { nested: "release" }
      ))
      yield* expectEmitted(Placed, undefined, { times: 1 })
      yield* expectEnqueued(Mail)
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("leaves at once through several of them", () =>
    Effect.gen(function*() {
      const inner = SideEffects.boundary(SideEffects.emit(Closed))
      const around = SideEffects.boundary(inner, { nested: "release" })
      yield* Effect.ignore(
        SideEffects.boundary(Effect.andThen(around, Effect.fail("no")), { nested: "release" })
      )
      yield* expectEmitted(Closed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("goes with what follows from it where `nested` lets some pass", () =>
    Effect.gen(function*() {
      yield* Effect.ignore(SideEffects.boundary(
        Effect.gen(function*() {
          yield* SideEffects.boundary(placed)
          assert.deepStrictEqual(yield* SideEffects.events, [])
          yield* SideEffects.boundary(SideEffects.emit(Shipped, { id: "2" }))
          assert.strictEqual((yield* SideEffects.events).length, 1)
          return yield* Effect.fail("no")
        }),
        { nested: (intents) => intents.filter(({ name }) => name === "shop:mail") }
      ))
      assert.deepStrictEqual(names(yield* (yield* Recorder).intents), ["shop:mail"])
      assert.deepStrictEqual((yield* (yield* Recorder).events).map(({ name }) => name), ["shop:order:placed"])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  for (const nested of ["capture", "release"] as const) {
    it.effect(`one that outlives the one around it (${nested}) dies and discards, also with events alone`, () =>
      Effect.gen(function*() {
        const ended = yield* Latch.make()
        let reports: ReadonlyArray<string> = []
        const late = SideEffects.boundary(Effect.andThen(placed, ended.await), {
          onClose: ({ outcome }) => Effect.sync(() => (reports = [...reports, outcome]))
        })
        let fiber: Fiber.Fiber<unknown> | undefined
        yield* Effect.ignore(SideEffects.boundary(
          Effect.gen(function*() {
            fiber = yield* Effect.forkDetach(late, { startImmediately: true })
            return yield* Effect.fail("no")
          }),
          { name: "outer", nested }
        ))
        yield* ended.open
        const defect = defectOf(yield* Fiber.await(fiber!))
        assert.instanceOf(defect, SideEffects.BoundaryClosed)
        assert.match(
          defect.message,
          /^A boundary with event "shop:order:placed" succeeded only after boundary "outer" around it had ended/
        )
        assert.strictEqual(defect.event?.name, "shop:order:placed")
        assert.deepStrictEqual(reports, ["discarded"])
        yield* expectNotEmitted(Placed)
        const why = yield* Effect.flip(expectEmitted(Placed))
        assert.include(
          why.message,
          "discarded: its boundary succeeded only after boundary \"outer\" around it had ended"
        )
      }).pipe(Effect.provide(SideEffects.TestLayer)))
  }

  it.effect("a captured one with events alone says that it was captured", () =>
    Effect.gen(function*() {
      let outcome: string | undefined
      const inner = SideEffects.boundary(placed, { onClose: (report) => Effect.sync(() => (outcome = report.outcome)) })
      yield* SideEffects.boundary(inner)
      assert.strictEqual(outcome, "captured")
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  const asking = Policy.make({ name: "asking", decide: () => Policy.allow })
  it.effect.each([undefined, asking])(
    "events of boundaries side by side keep the order of emission",
    (policy) =>
      Effect.gen(function*() {
        const seen: Array<unknown> = []
        const idsOf = (events: ReadonlyArray<Event.Emitted>) => events.map(({ payload }) => (payload as any).id)
        const unit = (ids: ReadonlyArray<string>) =>
          SideEffects.boundary(
            Effect.forEach(ids, (id) => Effect.andThen(SideEffects.emit(Shipped, { id }), Effect.yieldNow))
          )
        yield* SideEffects.boundary(
          Effect.gen(function*() {
            yield* Effect.all([unit(["1", "3"]), unit(["2", "4", "5"])], { concurrency: "unbounded" })
            yield* SideEffects.emit(Shipped, { id: "6" })
            seen.push(idsOf(yield* SideEffects.events))
          }),
          { policy, onClose: ({ events }) => Effect.sync(() => seen.push(idsOf(events))) }
        )
        const recorder = yield* Recorder
        seen.push(idsOf(yield* recorder.events), idsOf(yield* recorder.emitted))
        const inOrder = ["1", "2", "3", "4", "5", "6"]
        assert.deepStrictEqual(seen, [inOrder, inOrder, inOrder, inOrder])
      }).pipe(Effect.provide(SideEffects.TestLayer))
  )

  it.effect("one that ends while a policy is asked about what follows leaves nothing behind", () =>
    Effect.gen(function*() {
      const asked = yield* Latch.make()
      const answer = yield* Latch.make()
      const slow = Policy.make({ name: "slow", onEnqueue: () => Effect.andThen(asked.open, answer.await) })
      let fiber: Fiber.Fiber<unknown> | undefined
      yield* SideEffects.boundary(
        Effect.gen(function*() {
          fiber = yield* Effect.forkDetach(placed, { startImmediately: true })
          yield* asked.await
        }),
        { name: "request", policy: slow }
      )
      yield* answer.open
      const defect = defectOf(yield* Fiber.await(fiber!))
      assert.match(defect.message, /^Event "shop:order:placed" was emitted after boundary "request" had ended/)
      yield* expectNothing
      yield* expectNotEmitted(Placed)
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("a boundary by hand shows its events", () =>
    Effect.gen(function*() {
      const unit = yield* SideEffects.open()
      yield* unit.run(placed)
      assert.deepStrictEqual((yield* unit.events).map(({ name }) => name), ["shop:order:placed"])
      yield* unit.discard()
      assert.deepStrictEqual(yield* unit.events, [])
      yield* expectNotEmitted(Placed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("emitting into one that has ended dies with BoundaryClosed, and is recorded", () => {
    const log = logs()
    return Effect.gen(function*() {
      let late: Effect.Effect<unknown> = Effect.void
      yield* SideEffects.boundary(
        Effect.gen(function*() {
          late = Effect.provideContext(placed, yield* Effect.context<SideEffects.SideEffects<"shop:order:placed">>())
        }),
        { name: "request" }
      )
      const defect = defectOf(yield* Effect.exit(late))
      assert.instanceOf(defect, SideEffects.BoundaryClosed)
      assert.match(
        defect.message,
        /^Event "shop:order:placed" was emitted after boundary "request" had ended \(released\)/
      )
      assert.isTrue(log.lines.some((line) => line.startsWith("ERROR Event \"shop:order:placed\"")))
      yield* expectNothing
      yield* expectNotEmitted(Placed)
      assert.strictEqual((yield* (yield* Recorder).emitted).length, 1)
    }).pipe(Effect.provide(Layer.provideMerge(SideEffects.TestLayerFor(Shop), log.layer)))
  })

  it.effect("outside of any, all that follows leaves together, with one warning", () => {
    const log = logs()
    const { calls, layer } = live()
    return Effect.gen(function*() {
      yield* placed
      assert.deepStrictEqual(calls, ["mail:ada", "audit:shop:order:placed:1", "ping"])
      assert.deepStrictEqual(log.lines.length, 1)
      assert.match(
        log.lines[0]!,
        /^WARN Event "shop:order:placed" was emitted outside a boundary, so the 3 side effects bound to it are dispatched/
      )
    }).pipe(Effect.provide(Layer.provideMerge(layer, log.layer)))
  })

  it.effect("outside of any, there is no warning where nothing follows", () => {
    const log = logs()
    return Effect.gen(function*() {
      yield* SideEffects.emit(Shipped, { id: "1" })
      assert.deepStrictEqual(log.lines, [])
    }).pipe(
      Effect.provide(Layer.provideMerge(
        SideEffects.LiveLayer(SideEffectGroup.make("g").events(Shipped)),
        log.layer
      ))
    )
  })

  it.effect("outside of any, an interruption leaves nothing without an end", () =>
    Effect.gen(function*() {
      const wait = Policy.make({ name: "wait", onEnqueue: () => Effect.yieldNow })
      const recorder = yield* Recorder
      for (let ops = 2; ops < 30; ops++) {
        for (let yields = 0; yields < 8; yields++) {
          for (const program of [placed, SideEffects.enqueue(Ping), SideEffects.withPolicy(placed, wait)]) {
            const fiber = yield* Effect.forkChild(
              Effect.provideService(program as typeof placed, Scheduler.MaxOpsBeforeYield, ops)
            )
            for (let i = 0; i < yields; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
          }
        }
      }
      const { length } = yield* recorder.emitted
      assert.isAbove(length, 50)
      assert.strictEqual((yield* recorder.events).length, length)
      assert.strictEqual((yield* recorder.decisions).length, (yield* recorder.enqueued).length)
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("outside of any, reject dies with NoBoundary", () => {
    const { calls, layer } = live(Shop, { outsideBoundary: "reject" })
    return Effect.gen(function*() {
      const defect = defectOf(yield* Effect.exit(placed))
      assert.instanceOf(defect, SideEffects.NoBoundary)
      assert.match(defect.message, /^Event "shop:order:placed" was emitted outside a boundary/)
      assert.deepStrictEqual(calls, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("concurrent units of work do not see each other's events", () =>
    Effect.gen(function*() {
      const unit = (id: string) =>
        SideEffects.boundary(Effect.gen(function*() {
          yield* SideEffects.emit(Shipped, { id })
          yield* Effect.yieldNow
          return (yield* SideEffects.events).map(({ payload }) => (payload as any).id)
        }))
      const seen = yield* Effect.forEach(["a", "b", "c"], unit, { concurrency: "unbounded" })
      assert.deepStrictEqual(seen, [["a"], ["b"], ["c"]])
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("a forked child belongs to the boundary it was forked in", () =>
    Effect.gen(function*() {
      yield* SideEffects.boundary(Effect.gen(function*() {
        yield* Fiber.join(yield* Effect.forkChild(placed))
        yield* SideEffects.emit(Closed)
      }))
      assert.deepStrictEqual((yield* (yield* Recorder).events).map(({ name }) => name), [
        "shop:order:placed",
        "shop:closed"
      ])
    }).pipe(Effect.provide(SideEffects.TestLayer)))
})

describe("policies", () => {
  it.effect("see the event as the origin of an intent", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const see = Policy.make({ name: "see", onEnqueue: ({ origin }) => void seen.push(origin) })
      const event = yield* SideEffects.boundary(placed, { policy: see })
      assert.deepStrictEqual(seen, [event, event, event])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("select by event what follows from it", () =>
    Effect.gen(function*() {
      yield* SideEffects.boundary(
        Effect.all([placed, SideEffects.emit(Closed), SideEffects.enqueue(Mail, { to: "bob" })]),
        { policy: Policy.block(Placed) }
      )
      yield* expectEnqueued(Ping, undefined, { times: 1 })
      yield* expectEnqueued(Mail, { to: "bob" }, { times: 1 })
      assert.strictEqual((yield* (yield* Recorder).intents).length, 2)
      const decision = (yield* (yield* Recorder).decisions).find(({ _tag }) => _tag === "Dropped")
      assert.strictEqual(Decision.format(decision!), "dropped by policy block(\"shop:order:placed\"): it is blocked")
      yield* expectEmitted(Placed)
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("one that refuses at the call site leaves nothing of the event behind", () =>
    Effect.gen(function*() {
      yield* SideEffects.boundary(
        Effect.catchDefect(
          placed,
          (defect) => Effect.sync(() => assert.instanceOf(defect, SideEffects.PolicyViolation))
        ),
        { policy: Policy.reject(Audit) }
      )
      yield* expectNothing
      yield* expectNotEmitted(Placed)
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("an event that the group of the layer does not have is a mistake", () => {
    const Other = Event.make("other", { description: "Another one." })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(Effect.void, live(Shop, { policy: Policy.block(Other) }).layer))
      assert.match(defectOf(exit).message, /^"other" in policy block\("other"\) is no event of group "shop"/)
    })
  })
})

describe("layers", () => {
  it.effect("TestLayer records the event alone", () =>
    Effect.gen(function*() {
      yield* SideEffects.boundary(placed)
      yield* expectEmitted(Placed)
      yield* expectNothing
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("a live layer refuses an event that its group does not have, and a twin", () =>
    Effect.gen(function*() {
      const Other = Event.make("other", { description: "Another one." })
      const other = defectOf(yield* Effect.exit(SideEffects.emit(Other) as Effect.Effect<unknown>))
      assert.match(
        other.message,
        /^Event "other" is not in group "shop", so its layer does not know what follows from it/
      )
      const Twin = Event.make("shop:closed", { description: "Another one." })
      const twin = defectOf(yield* Effect.exit(SideEffects.emit(Twin)))
      assert.match(
        twin.message,
        /^Two definitions are named "shop:closed", and the one that was emitted is not the one/
      )
    }).pipe(Effect.provide(live().layer)))

  it.effect("AssertNoneLayer refuses it, and it cannot be swallowed", () =>
    Effect.gen(function*() {
      const caught = Effect.catchDefect(placed, (defect: any) => Effect.succeed(defect))
      const exit = yield* Effect.exit(Effect.provide(caught, SideEffects.AssertNoneLayer))
      const defect = defectOf(exit)
      assert.instanceOf(defect, SideEffects.PolicyViolation)
      assert.match(defect.message, /^Event "shop:order:placed" was emitted under AssertNoneLayer/)
      assert.strictEqual(defect.event?.name, "shop:order:placed")
    }))

  it.effect("DropLayer counts the events, as it does not know what follows", () => {
    const log = logs()
    return Effect.gen(function*() {
      const program = Effect.gen(function*() {
        yield* SideEffects.boundary(placed)
        yield* SideEffects.boundary(placed)
        yield* SideEffects.boundary(SideEffects.enqueue(Ping))
        yield* Effect.ignore(SideEffects.boundary(Effect.andThen(SideEffects.emit(Closed), Effect.fail("no"))))
      })
      yield* Effect.provide(program, SideEffects.DropLayer)
      assert.deepStrictEqual(log.lines, [
        "INFO DropLayer dropped 1 side effect: monitor:ping ×1, and whatever follows from 2 events: shop:order:placed ×2"
      ])
    }).pipe(Effect.provide(log.layer))
  })

  it.effect("ConfigLayer knows what follows in every mode", () => {
    const log = logs()
    const { calls } = live()
    const run = (SIDE_EFFECTS_MODE: string) => {
      const handlers = Shop.toLayer({
        "shop:mail": ({ to }) => Effect.sync(() => void calls.push(to)),
        "audit:write": () => Effect.void,
        "monitor:ping": () => Effect.void
      })
      return SideEffects.boundary(placed).pipe(
        Effect.provide(Layer.provide(SideEffects.ConfigLayer(Shop), handlers)),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ SIDE_EFFECTS_MODE }))
      )
    }
    return Effect.gen(function*() {
      yield* run("drop")
      yield* run("record")
      assert.deepStrictEqual(calls, [])
      const what = "3 side effects: shop:mail ×1, audit:write ×1, monitor:ping ×1, after 1 event: shop:order:placed ×1"
      assert.deepStrictEqual(log.lines, [
        "INFO Configuration of group \"shop\": SIDE_EFFECTS_MODE=drop",
        `INFO DropLayer dropped ${what}`,
        "INFO Configuration of group \"shop\": SIDE_EFFECTS_MODE=record",
        `INFO SIDE_EFFECTS_MODE=record held back ${what}`
      ])
      yield* run("live")
      assert.deepStrictEqual(calls, ["ada"])
    }).pipe(Effect.provide(log.layer))
  })

  it.effect("plan knows what follows from the layer around", () => {
    const { calls, layer } = live()
    return Effect.gen(function*() {
      const plan = yield* SideEffects.plan(SideEffects.boundary(placed))
      assert.deepStrictEqual(names(plan.intents), ["shop:mail", "audit:write", "monitor:ping"])
      assert.deepStrictEqual(plan.events.map(({ name }) => name), ["shop:order:placed"])
      assert.deepStrictEqual(calls, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("a plan inside a unit of work has its events, also when the program fails", () =>
    Effect.gen(function*() {
      const { events, exit } = yield* SideEffects.boundary(
        SideEffects.plan(Effect.andThen(placed, Effect.fail("no")))
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(events.map(({ name }) => name), ["shop:order:placed"])
      yield* expectNotEmitted(Placed)
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))

  it.effect("a recorder gives snapshots, and forgets", () =>
    Effect.gen(function*() {
      const recorder = yield* Recorder
      yield* SideEffects.emit(Closed)
      const events = yield* recorder.events
      const emitted = yield* recorder.emitted
      yield* SideEffects.emit(Closed)
      assert.deepStrictEqual([events.length, emitted.length], [1, 1])
      yield* recorder.clear
      assert.deepStrictEqual([yield* recorder.events, yield* recorder.emitted], [[], []])
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("plan refuses what the layer around would refuse", () =>
    Effect.gen(function*() {
      const Other = Event.make("other", { description: "Another one." })
      const { exit } = yield* Effect.provide(SideEffects.plan(SideEffects.emit(Other)), live().layer)
      assert.match(defectOf(exit).message, /^Event "other" is not in group "shop"/)
      const alone = yield* SideEffects.plan(SideEffects.emit(Other))
      assert.strictEqual(alone.events.length, 1)
    }))

  it.effect("capture has the events of what was released", () =>
    Effect.gen(function*() {
      const released = yield* capture(SideEffects.boundary(placed), { group: Shop })
      assert.strictEqual(released.events.length, 1)
      assert.strictEqual(released.released.length, 3)
      const discarded = yield* capture(SideEffects.boundary(Effect.andThen(placed, Effect.fail("no"))))
      assert.deepStrictEqual(discarded.events, [])
    }))

  it.effect("a handler may emit, in a unit of work of its own", () => {
    const calls: Array<string> = []
    const Group = SideEffectGroup.make("g").on(Placed, Mail, ({ email }) => ({ to: email })).on(Closed, Ping)
    const handlers = Layer.mergeAll(
      Mail.toLayer(({ to }) =>
        to === "bad" ? Effect.andThen(SideEffects.emit(Closed), Effect.die("x")) : SideEffects.emit(Closed)
      ),
      Ping.toLayer(() => Effect.sync(() => void calls.push("ping")))
    )
    return Effect.gen(function*() {
      yield* SideEffects.boundary(placed)
      assert.deepStrictEqual(calls, ["ping"])
      yield* SideEffects.boundary(SideEffects.emit(Placed, { id: "2", email: "bad" }))
      assert.deepStrictEqual(calls, ["ping"])
    }).pipe(Effect.provide(Layer.provide(SideEffects.LiveLayer(Group), handlers)))
  })
})

describe("emits", () => {
  const ship = Effect.fn("ship")(
    function*(id: string, parcels: number) {
      if (parcels === 0) return yield* Effect.fail("nothing to ship")
      return { code: `${id}/${parcels}` }
    },
    SideEffects.emits(Shipped, ({ code }, [, parcels]) => ({ id: code, parcels })),
    SideEffects.boundary()
  )

  it.effect("emits after success, with result and arguments", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ship("7", 2), { code: "7/2" })
      yield* expectEmitted(Shipped, { id: "7/2", parcels: 2 }, { times: 1 })
      yield* Effect.ignore(ship("8", 0))
      yield* expectEmitted(Shipped, undefined, { times: 1 })
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("in a pipe there are no arguments, and without a payload no mapping", () =>
    Effect.gen(function*() {
      yield* Effect.succeed("9").pipe(
        SideEffects.emits(Shipped, (id, args: ReadonlyArray<unknown>) => ({ id, parcels: args.length }))
      )
      yield* expectEmitted(Shipped, { id: "9", parcels: 0 })
      yield* Effect.void.pipe(SideEffects.emits(Closed))
      yield* expectEmitted(Closed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("`when` looks at the result", () =>
    Effect.gen(function*() {
      const close = (n: number) => Effect.succeed(n).pipe(SideEffects.emits(Closed, undefined, { when: (n) => n > 1 }))
      yield* close(1)
      yield* expectNotEmitted(Closed)
      yield* close(2)
      yield* expectEmitted(Closed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  const foreign = vm.runInNewContext(
    "class Response { constructor(status) { this.status = status } get [Symbol.toStringTag]() { return 'Response' } }; Response"
  )
  const responses: ReadonlyArray<readonly [string, unknown, boolean]> = [
    ["a web response 200", new Response("ok"), true],
    ["a web response 303", new Response(null, { status: 303 }), true],
    ["a web response 400", new Response(null, { status: 400 }), false],
    ["a web response 404", new Response(null, { status: 404 }), false],
    ["a web response 500", new Response(null, { status: 500 }), false],
    ["a web response 404 of another realm", new foreign(404), false],
    ["a response of Effect 201", HttpServerResponse.empty({ status: 201 }), true],
    ["a response of Effect 422", HttpServerResponse.empty({ status: 422 }), false],
    ["something else with a status", { status: 500 }, true],
    ["nothing", undefined, true]
  ]
  it.effect.each(responses)("by default: %s", ([_, response, emitted]) =>
    Effect.gen(function*() {
      yield* Effect.succeed(response).pipe(SideEffects.emits(Closed))
      yield* emitted ? expectEmitted(Closed) : expectNotEmitted(Closed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("a `when` that throws dies naming the event", () =>
    Effect.gen(function*() {
      const when = () => {
        throw new Error("boom")
      }
      const exit = yield* Effect.exit(Effect.succeed(1).pipe(SideEffects.emits(Closed, undefined, { when })))
      assert.strictEqual(
        defectOf(exit).message,
        "Event \"shop:closed\": the when given to SideEffects.emits died with Error: boom"
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("`when` replaces the default", () =>
    Effect.gen(function*() {
      yield* Effect.succeed(new Response(null, { status: 404 })).pipe(
        SideEffects.emits(Closed, undefined, { when: () => true })
      )
      yield* expectEmitted(Closed)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("a mapping that throws dies naming the event", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        Effect.succeed(null as any).pipe(
          SideEffects.emits(Shipped, (result) => ({ id: result.code }))
        )
      )
      assert.match(
        defectOf(exit).message,
        /^Event "shop:order:shipped": the mapping given to SideEffects.emits died with TypeError: Cannot read/
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))
})

describe("expectEnqueued explains", () => {
  it.effect("that nothing follows from an event where the group is not known", () =>
    Effect.gen(function*() {
      yield* placed
      const { message } = yield* Effect.flip(expectEnqueued(Mail))
      assert.strictEqual(
        message,
        "Expected side effect \"shop:mail\" to be enqueued\nbut nothing was enqueued.\nEmitted: shop:order:placed. Nothing " +
          "follows from an event here: a recorder knows what a group binds to it only if it is that of " +
          "TestLayerFor(group), or of capture with { group }."
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("and does not where it is", () =>
    Effect.gen(function*() {
      yield* placed
      const { message } = yield* Effect.flip(expectEnqueued(Mail, { to: "bob" }))
      assert.notInclude(message, "TestLayerFor")
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop))))
})

describe("expectEmitted explains", () => {
  const explained = (program: Effect.Effect<unknown, unknown, SideEffects.SideEffects<any>>) =>
    Effect.gen(function*() {
      yield* Effect.ignore(program)
      return (yield* Effect.flip(expectEmitted(Shipped, { id: "1" }))).message
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Shop) as typeof SideEffects.TestLayer))

  it.effect("that nothing was emitted", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* explained(SideEffects.enqueue(Ping)),
        "Expected event \"shop:order:shipped\" to be emitted with\n  {\"id\":\"1\"}\nbut nothing was emitted."
      )
    }))

  it.effect("what else was", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* explained(SideEffects.emit(Closed)),
        "Expected event \"shop:order:shipped\" to be emitted with\n  {\"id\":\"1\"}\n" +
          "but nothing of that kind was released. These were released:\n  shop:closed undefined"
      )
    }))

  it.effect("what is nearest", () =>
    Effect.gen(function*() {
      assert.include(
        yield* explained(SideEffects.emit(Shipped, { id: "2" })),
        "but none that was released matches. The only one of that kind (- expected, + emitted):"
      )
    }))

  it.effect("why it did not count", () =>
    Effect.gen(function*() {
      assert.include(
        yield* explained(
          SideEffects.boundary(Effect.andThen(SideEffects.emit(Shipped, { id: "1" }), Effect.fail("no stock")), {
            name: "checkout"
          })
        ),
        "but nothing was released.\nIt was emitted, but was not released:\n  {\"id\":\"1\",\"parcels\":1}\n" +
          "    discarded: boundary \"checkout\" failed with"
      )
    }))

  it.effect("how often, and that it should not have been", () =>
    Effect.gen(function*() {
      yield* SideEffects.emit(Shipped, { id: "1" })
      const often = yield* Effect.flip(expectEmitted(Shipped, undefined, { times: 2 }))
      assert.include(often.message, "to be emitted 2 times\nbut it was released 1 time:")
      const not = yield* Effect.flip(expectNotEmitted(Shipped, ({ id }) => id === "1"))
      assert.include(
        not.message,
        "Expected event \"shop:order:shipped\" not to be emitted with a payload that satisfies the predicate"
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))
})
