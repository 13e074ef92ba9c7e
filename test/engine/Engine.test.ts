import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, Event, type Intent, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Engine, type Job } from "effect-side-effects/engine"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { logs } from "../fixtures.ts"

class NoServer extends Data.TaggedError("NoServer")<{ readonly message: string }> {}

class Mail extends SideEffect.make("shop:mail", {
  description: "Send a mail.",
  payload: { to: Schema.String, at: Schema.optionalKey(Schema.Date) }
}) {}
class Ping extends SideEffect.make("shop:ping", { description: "Ping." }) {}
class Placed extends Event.make("shop:placed", { description: "Placed.", payload: { to: Schema.String } }) {}
const Shop = SideEffectGroup.make("shop").add(Mail, Ping)

class Slow extends SideEffect.make("shop:slow", { description: "Slow.", defaults: { queue: "slow" } }) {}
class Urgent extends SideEffect.make("shop:urgent", { description: "Urgent.", defaults: { priority: 3 } }) {}

const everything: Engine.Honours = { delay: true, priority: true, queue: true }
const nothing: Engine.Honours = { delay: false, priority: false, queue: false }

interface Stub extends Partial<Engine.Connection> {
  readonly honours?: Engine.Honours | undefined
  readonly queues?: ReadonlyArray<string> | undefined
}

/** An engine that keeps what is handed over. */
const stub = ({ honours = everything, queues, ...connection }: Stub = {}) => {
  const batches: Array<ReadonlyArray<Job.Job>> = []
  const dispatcher = Engine.dispatcher({
    name: "stub",
    honours,
    queues,
    connect: Effect.succeed({
      handOver: (jobs: ReadonlyArray<Job.Job>) => Effect.sync(() => void batches.push(jobs)),
      ...connection
    })
  })
  return { batches, dispatcher }
}

const live = (
  dispatcher: Dispatcher.Dispatcher<boolean, any, any>,
  group: SideEffectGroup.Any = Shop
): Layer.Layer<any> => SideEffects.LiveLayer(group as any, { dispatcher, onDispatchError: "log" }) as any

const mail = (options?: Intent.Options) => SideEffects.boundary(SideEffects.enqueue(Mail, { to: "a" }, options))

const defectOf = (exit: Exit.Exit<unknown, unknown>): any =>
  Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined

const diesWith = Effect.fnUntraced(function*(effect: Effect.Effect<unknown, unknown, any>, layer: Layer.Layer<any>) {
  return defectOf(yield* Effect.exit(Effect.provide(effect, layer)))
})

describe("Engine.dispatcher", () => {
  it.effect("hands the batch of a boundary over in order, as data", () => {
    const { batches, dispatcher } = stub()
    return Effect.gen(function*() {
      yield* TestClock.setTime(1_700_000_000_000)
      const at = new Date(0)
      const [first, second] = yield* SideEffects.boundary(SideEffects.enqueueAll([
        [Mail, { to: "a", at }, {
          delay: "2 seconds",
          key: "k",
          origin: "POST /orders",
          metadata: { a: [1, { b: null }] },
          priority: 5
        }],
        [Ping]
      ]))
      assert.deepStrictEqual(batches.map((batch) => JSON.parse(JSON.stringify(batch))), [[
        {
          id: first.id,
          name: "shop:mail",
          queue: "default",
          priority: 5,
          payload: { to: "a", at: "1970-01-01T00:00:00.000Z" },
          delay: 2000,
          createdAt: 1_700_000_000_000,
          key: "k",
          origin: "POST /orders",
          metadata: { a: [1, { b: null }] }
        },
        {
          id: second.id,
          name: "shop:ping",
          queue: "default",
          priority: 0,
          payload: null,
          delay: 0,
          createdAt: 1_700_000_000_000
        }
      ]])
      for (const intent of [first, second]) {
        assert.deepStrictEqual(Decision.of(intent), {
          _tag: "Dispatched",
          intent,
          by: "dispatcher stub",
          attempts: 0
        } as any)
      }
    }).pipe(Effect.provide(live(dispatcher)))
  })

  it.effect("hands over the span in which it was enqueued, and the event from which it follows", () => {
    const { batches, dispatcher } = stub()
    const group = SideEffectGroup.make("shop").on(Placed, Mail, ({ to }) => ({ to }))
    return Effect.gen(function*() {
      const span = yield* Effect.currentSpan
      yield* SideEffects.boundary(SideEffects.emit(Placed, { to: "a" }))
      const [job] = batches[0]!
      assert.strictEqual(job!.origin, "shop:placed")
      assert.include(job!.trace, span.traceId)
    }).pipe(Effect.withSpan("here"), Effect.provide(live(dispatcher, group)))
  })

  it.effect("is told nothing by a boundary without side effects, or by one that fails", () => {
    const { batches, dispatcher } = stub()
    return Effect.gen(function*() {
      yield* SideEffects.boundary(Effect.void)
      yield* Effect.exit(SideEffects.boundary(Effect.andThen(SideEffects.enqueue(Ping), Effect.fail("no"))))
      assert.deepStrictEqual(batches, [])
    }).pipe(Effect.provide(live(dispatcher)))
  })

  it.effect("what it says to stand for another one is deduplicated, and the rest dispatched", () => {
    const { dispatcher } = stub({
      handOver: (jobs) => Effect.succeed([{ id: jobs[1]!.id, of: "the one before" }])
    })
    return Effect.gen(function*() {
      const intents = yield* SideEffects.boundary(SideEffects.enqueueAll([
        [Mail, { to: "a" }],
        [Mail, { to: "b" }],
        [Mail, { to: "c" }]
      ]))
      const decisions = intents.map((intent) => Decision.of(intent)!)
      assert.deepStrictEqual(decisions.map(({ _tag }) => _tag), ["Dispatched", "Deduplicated", "Dispatched"])
      assert.deepInclude(decisions[1] as any, { by: "dispatcher stub", of: "the one before" })
    }).pipe(Effect.provide(live(dispatcher)))
  })

  for (
    const [how, handOver] of [
      ["fails", () => Effect.fail(new NoServer({ message: "connection refused" }))],
      ["dies", () => Effect.die(new Error("connection refused"))],
      ["throws", () => {
        throw new Error("connection refused")
      }]
    ] as const
  ) {
    it.effect(`where hand-over ${how}, the boundary dies with DispatchError, whatever the layer says`, () => {
      const { dispatcher } = stub({ handOver })
      return Effect.gen(function*() {
        const kept: Array<Intent.Any> = []
        const work = SideEffects.enqueueAll([[Mail, { to: "a" }], [Ping]])
        const exit = yield* Effect.exit(
          SideEffects.boundary(Effect.tap(work, (intents) => Effect.sync(() => kept.push(...intents))))
        )
        const error = defectOf(exit)
        assert.instanceOf(error, Dispatcher.DispatchError)
        assert.strictEqual(error.failures.length, 2)
        assert.include(error.message, "connection refused")
        assert.deepStrictEqual(kept.map((intent) => Decision.of(intent)?._tag), ["Failed", "Failed"])
      }).pipe(Effect.provide(live(dispatcher)))
    })
  }

  it.effect("a batch of which one cannot be encoded is not handed over at all", () => {
    const { batches, dispatcher } = stub()
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(
        SideEffects.boundary(SideEffects.enqueueAll([[Ping], [Mail, { to: "a" }, { metadata: { big: 1n } }]]))
      )
      assert.instanceOf(defectOf(exit), Dispatcher.DispatchError)
      assert.match(defectOf(exit).message, /"shop:mail"/)
      assert.deepStrictEqual(batches, [])
    }).pipe(Effect.provide(live(dispatcher)))
  })

  it.effect("an error of connecting is one of the layer", () => {
    const dispatcher = Engine.dispatcher({ name: "stub", honours: everything, connect: Effect.fail("no server") })
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.provide(Effect.void, SideEffects.LiveLayer(Shop, { dispatcher })))
      assert.deepStrictEqual(exit, Exit.fail("no server"))
    })
  })

  it.effect("drain is that of the connection, and waits for nothing where it has none", () => {
    let drained = 0
    const one = stub({ drain: Effect.sync(() => void drained++) })
    const other = stub()
    return Effect.gen(function*() {
      yield* Effect.provide(SideEffects.drain, live(one.dispatcher))
      yield* Effect.provide(SideEffects.drain, live(other.dispatcher))
      assert.strictEqual(drained, 1)
    })
  })

  it("is an engine, and others are none", () => {
    assert.isTrue(Engine.isEngine(stub().dispatcher))
    assert.isFalse(Engine.isEngine(Dispatcher.inline()))
    assert.isTrue(stub().dispatcher.durable)
  })
})

describe("an option that the engine does not honour", () => {
  const cases = [
    ["delay", { delay: "1 second" }, /"shop:mail" was enqueued with a delay, and stub has none\..*Dispatcher\.route/],
    ["priority", { priority: 2 }, /with priority 2, and stub has no priorities/],
    [
      "queue",
      { queue: "slow" },
      /with queue "slow", and stub has no queues\..*Dispatcher\.route\(\[\[\{ queue: "slow" \}/
    ]
  ] as const
  for (const [option, options, message] of cases) {
    it.effect(`${option}: is refused at the call`, () =>
      Effect.gen(function*() {
        const { batches, dispatcher } = stub({ honours: nothing })
        const error = yield* diesWith(mail(options), live(dispatcher))
        assert.instanceOf(error, Engine.UnsupportedOption)
        assert.deepInclude(error, { sideEffect: "shop:mail", option, engine: "stub" })
        assert.match(error.message, message)
        assert.deepStrictEqual(batches, [])
      }))

    it.effect(`${option}: is taken where it does`, () =>
      Effect.gen(function*() {
        const { batches, dispatcher } = stub({ honours: { ...nothing, [option]: true }, queues: ["slow"] })
        yield* Effect.provide(mail(options), live(dispatcher))
        assert.strictEqual(batches.length, 1)
      }))
  }

  it.effect("of a definition is refused when the layer is built, and says who told it", () =>
    Effect.gen(function*() {
      const { dispatcher } = stub({ honours: nothing })
      const slow = yield* diesWith(Effect.void, live(dispatcher, SideEffectGroup.make("shop").add(Slow)))
      assert.match(slow.message, /^Side effect "shop:slow" is told by its definition to have queue "slow"/)
      const urgent = yield* diesWith(Effect.void, live(dispatcher, SideEffectGroup.make("shop").add(Urgent)))
      assert.match(urgent.message, /^Side effect "shop:urgent" is told by its definition to have priority 3/)
    }))

  it.effect("of a binding is refused when the layer is built, or when it is computed", () =>
    Effect.gen(function*() {
      const { dispatcher } = stub({ honours: nothing })
      const bound = (enqueue: any) => SideEffectGroup.make("shop").on(Placed, Mail, ({ to }) => ({ to }), { enqueue })
      const built = yield* diesWith(Effect.void, live(dispatcher, bound({ delay: "1 second" })))
      assert.match(built.message, /^Side effect "shop:mail" is told by binding ".*" to have a delay/)
      const emit = SideEffects.boundary(SideEffects.emit(Placed, { to: "a" }))
      const computed = yield* diesWith(emit, live(dispatcher, bound(() => ({ priority: 1 }))))
      assert.match(computed.message, /UnsupportedOption: Side effect "shop:mail" .* stub has no priorities/)
    }))

  it.effect("is none where it asks for what is the case anyway", () =>
    Effect.gen(function*() {
      const { batches, dispatcher } = stub({ honours: nothing })
      yield* Effect.provide(mail({ priority: 0, queue: "default" }), live(dispatcher))
      assert.strictEqual(batches.length, 1)
    }))

  it.effect("may be one that it honours otherwise", () =>
    Effect.gen(function*() {
      const { dispatcher } = stub({
        honours: {
          ...everything,
          problem: ({ priority = 0 }) =>
            priority > 9 ? { option: "priority", problem: "it has priorities up to 9." } : undefined
        }
      })
      yield* Effect.provide(mail({ priority: 9 }), live(dispatcher))
      const error = yield* diesWith(mail({ priority: 10 }), live(dispatcher))
      assert.deepInclude(error, { option: "priority" })
      assert.match(error.message, /with priority 10, and stub cannot take that: it has priorities up to 9\.$/)
    }))
})

describe("a priority", () => {
  it.effect("that no queue can hold is refused at the call", () =>
    Effect.gen(function*() {
      for (const priority of [1.5, 2_000_000, NaN]) {
        const defect = yield* diesWith(mail({ priority }), live(stub().dispatcher))
        assert.instanceOf(defect, Engine.UnsupportedOption)
        assert.match(defect.message, /"shop:mail" was enqueued with priority .*whole numbers up to a million/)
      }
    }))
})

describe("a delay", () => {
  it.effect("that no queue can hold is refused at the call", () =>
    Effect.gen(function*() {
      for (const delay of [Duration.infinity, "4000 days"] as const) {
        const defect = yield* diesWith(mail({ delay }), live(stub().dispatcher))
        assert.instanceOf(defect, Engine.UnsupportedOption)
        assert.match(defect.message, /"shop:mail" was enqueued with a delay of more than 10 years/)
      }
      assert.strictEqual(yield* diesWith(mail({ delay: "3600 days" }), live(stub().dispatcher)), undefined)
    }))
})

describe("inside a transaction that the engine knows nothing of", () => {
  const inside = (effect: Effect.Effect<unknown, unknown, SideEffects.SideEffects<"shop:mail">>) =>
    Effect.updateContext(
      effect,
      (context: Context.Context<SideEffects.SideEffects<"shop:mail">>) =>
        Context.makeUnsafe<SideEffects.SideEffects<"shop:mail">>(
          new Map([...context.mapUnsafe, ["effect/sql/SqlClient/TransactionConnection/1", [{}, 0]]])
        )
    )

  it.effect("it says once that a rollback takes nothing back", () => {
    const { layer, lines } = logs()
    return Effect.gen(function*() {
      yield* mail()
      assert.deepStrictEqual(lines, [])
      yield* inside(mail())
      yield* inside(mail())
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /^WARN Side effect "shop:mail" is handed over to stub while a transaction is open/)
    }).pipe(Effect.provide(Layer.provideMerge(live(stub().dispatcher), layer)))
  })

  it.effect("nothing is said after the commit, as with SqlSideEffects.afterCommit", () => {
    const { layer, lines } = logs()
    const { batches, dispatcher } = stub()
    return Effect.gen(function*() {
      yield* SqlSideEffects.transaction(SideEffects.enqueue(Mail, { to: "a" }))
      assert.strictEqual(batches.length, 1)
      assert.deepStrictEqual(lines, [])
    }).pipe(
      Effect.provide(Layer.provideMerge(
        live(SqlSideEffects.afterCommit(dispatcher)),
        Layer.merge(SqliteClient.layer({ filename: ":memory:" }), layer)
      ))
    )
  })
})

describe("a queue", () => {
  it.effect("that nobody looks into is refused, and those that are known are named", () =>
    Effect.gen(function*() {
      const { dispatcher } = stub({ queues: ["bulk"] })
      const group = SideEffectGroup.make("shop").add(Mail, Slow)
      const error = yield* diesWith(mail({ queue: "slwo" }), live(dispatcher, group))
      assert.instanceOf(error, Engine.UnsupportedOption)
      assert.match(error.message, /"default", "bulk" (and|or) "slow"/)
    }))

  it.effect("is known where a definition, a binding or `queues` names it", () =>
    Effect.gen(function*() {
      const { batches, dispatcher } = stub({ queues: ["bulk"] })
      const group = SideEffectGroup.make("shop").add(Slow).on(Placed, Mail, ({ to }) => ({ to }), {
        enqueue: { queue: "placed" }
      })
      const layer = live(dispatcher, group)
      for (const queue of ["bulk", "slow", "placed", "default"]) yield* Effect.provide(mail({ queue }), layer)
      yield* Effect.provide(SideEffects.boundary(SideEffects.enqueue(Slow)), layer)
      assert.deepStrictEqual(batches.map(([job]) => job!.queue), ["bulk", "slow", "placed", "default", "slow"])
    }))

  it.effect("by which it is routed to an engine without queues is honoured by the route", () =>
    Effect.gen(function*() {
      const [slow, rest] = [stub({ honours: nothing }), stub({ honours: nothing })]
      const dispatcher = Dispatcher.route([[{ queue: "slow" }, slow.dispatcher], ["**", rest.dispatcher]])
      const layer = live(dispatcher, SideEffectGroup.make("shop").add(Mail, Slow))
      yield* Effect.provide(SideEffects.boundary(SideEffects.enqueueAll([[Slow], [Mail, { to: "a" }]])), layer)
      assert.deepStrictEqual(slow.batches.map((jobs) => jobs.map(({ name }) => name)), [["shop:slow"]])
      assert.deepStrictEqual(rest.batches.map((jobs) => jobs.map(({ name }) => name)), [["shop:mail"]])
      const error = yield* diesWith(mail({ queue: "other" }), layer)
      assert.instanceOf(error, Engine.UnsupportedOption)
    }))
})

describe("an engine that writes in the transaction of the caller", () => {
  const Transaction = Context.Reference<boolean>("test/engine/Transaction", { defaultValue: () => false })
  const transactional = () => {
    const waiting: Array<Effect.Effect<void>> = []
    const { batches, dispatcher } = stub({
      transaction: {
        isOpen: (context) => Context.get(context, Transaction),
        afterCommit: (effect) => Effect.sync(() => void waiting.push(effect))
      }
    })
    return { batches, dispatcher, commit: Effect.suspend(() => Effect.forEach(waiting.splice(0), (effect) => effect)) }
  }

  it.effect("has accepted when the transaction has committed", () => {
    const { batches, commit, dispatcher } = transactional()
    return Effect.gen(function*() {
      const intent = yield* Effect.provideService(mail(), Transaction, true)
      assert.strictEqual(batches.length, 1)
      assert.isUndefined(Decision.of(intent))
      yield* commit
      assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
    }).pipe(Effect.provide(live(dispatcher)))
  })

  it.effect("has accepted at once outside of any", () => {
    const { dispatcher } = transactional()
    return Effect.gen(function*() {
      assert.strictEqual(Decision.of(yield* mail())?._tag, "Dispatched")
    }).pipe(Effect.provide(live(dispatcher)))
  })

  it.effect("makes the boundary die inside of it where it cannot write", () => {
    const { dispatcher } = stub({
      handOver: () => Effect.fail("no"),
      transaction: { isOpen: () => true, afterCommit: () => Effect.void }
    })
    return Effect.gen(function*() {
      assert.instanceOf(defectOf(yield* Effect.exit(mail())), Dispatcher.DispatchError)
    }).pipe(Effect.provide(live(dispatcher)))
  })
})
