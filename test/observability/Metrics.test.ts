import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { Isolation } from "effect-side-effects/testing"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { logs } from "../fixtures.ts"
import { registry } from "./collecting.ts"

class Mail extends SideEffect.make("shop:mail", {
  description: "Email.",
  payload: { to: Schema.String },
  idempotencyKey: ({ to }) => to
}) {}
class Push extends SideEffect.make("shop:push", { description: "Notify." }) {}
const Shop = SideEffectGroup.make("shop").add(Mail, Push)

class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {}) {}

/** A mail to somebody ends as its name says. */
const handleMail = ({ to }: { readonly to: string }, { attempt }: SideEffect.Delivery<any>) => {
  switch (to) {
    case "no-answer":
      return Effect.fail(new NoAnswer())
    case "once":
      return attempt === 1 ? Effect.fail(new NoAnswer()) : Effect.void
    case "slow":
      return Effect.never
    case "minute":
      return Effect.sleep("1 minute")
    case "bug":
      return Effect.die(new Error("bug"))
    case "text":
      return Effect.fail("the card 4111 1111 1111 1111 was refused")
    case "named":
      // @effect-diagnostics-next-line globalErrorInEffectFailure:off
      return Effect.fail(Object.assign(new Error("x"), { name: "what somebody has written" }))
    case "cancel":
      return SideEffect.cancel("moved to 221b Baker Street")
    default:
      return Effect.void
  }
}

const handlers = Layer.merge(
  Mail.toLayer(handleMail as any, { retry: Schedule.recurs(1), timeout: "2 minutes" }) as Layer.Layer<any>,
  Push.toLayer(() => Effect.void)
) as Layer.Layer<any>

const live = (options?: SideEffects.LiveOptions<boolean, any, any>): Layer.Layer<SideEffects.SideEffects<any>> =>
  SideEffects.LiveLayer(Shop, options as any).pipe(
    Layer.provide(handlers),
    Layer.provide(Observability.layer())
  ) as Layer.Layer<any>

const mail = (to: string) => SideEffects.enqueue(Mail, { to })
const push = SideEffects.enqueue(Push)
const { boundary } = SideEffects

/** One that has a say. */
const asked = Policy.make({ name: "asked", decide: () => Policy.allow })

/** What was measured while it ran, without what is not asked for. */
const measured = (
  self: Effect.Effect<unknown, any, any>,
  layer: Layer.Layer<SideEffects.SideEffects<any>> = live(),
  of: RegExp = /^(enqueued|dispatched|dropped|discarded|failed|deduplicated)/
) => {
  const { layer: metrics, read } = registry()
  return Effect.exit(self).pipe(
    Effect.provide(layer),
    Effect.andThen(read),
    Effect.map((lines) => lines.filter((line) => of.test(line))),
    Effect.provide(Layer.merge(metrics, logs().layer))
  ) as unknown as Effect.Effect<ReadonlyArray<string>>
}

/** Each intent is counted when it is enqueued, and when it has ended. */
const balance = (lines: ReadonlyArray<string>) => {
  const sum = (of: RegExp) =>
    lines.filter((line) => of.test(line)).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0)
  return [sum(/^enqueued/), sum(/^(dispatched|dropped|discarded|failed|deduplicated)/)]
}

describe("Observability.layer: counters", () => {
  it.effect("what is dispatched, by dispatcher; retries are one", () =>
    Effect.gen(function*() {
      const program = boundary(Effect.all([mail("ada"), mail("once"), push]))
      assert.deepStrictEqual(yield* measured(program), [
        "dispatched{name=shop:mail,reason=inline} 2",
        "dispatched{name=shop:push,reason=inline} 1",
        "enqueued{name=shop:mail} 2",
        "enqueued{name=shop:push} 1"
      ])
      const background = live({ dispatcher: Dispatcher.background() })
      assert.include(
        yield* measured(Effect.andThen(program, SideEffects.drain), background),
        "dispatched{name=shop:mail,reason=background} 2"
      )
    }))

  it.effect("each once, wherever it is provided again, and what one leaves out the other has", () =>
    Effect.gen(function*() {
      const once = ["dispatched{name=shop:push,reason=inline} 1", "enqueued{name=shop:push} 1"]
      const again = live().pipe(Layer.provide(Observability.layer()))
      const counted = yield* measured(Isolation.observe(boundary(push)), again)
      assert.deepStrictEqual(counted, once)
      const inside = Isolation.observe(Effect.provide(boundary(push), live()))
      assert.deepStrictEqual(yield* measured(inside, Observability.layer() as Layer.Layer<any>), once)
      const halves = SideEffects.LiveLayer(Shop).pipe(
        Layer.provide(handlers),
        Layer.provide(Observability.layer({ spans: false })),
        Layer.provide(Observability.layer({ metrics: false }))
      ) as Layer.Layer<any>
      assert.deepStrictEqual(yield* measured(boundary(push), halves), once)
    }))

  it.effect("what fails, by the kind of its error, and never by its text", () =>
    Effect.gen(function*() {
      const all = ["no-answer", "bug", "text", "named", "cancel", "slow"].map(mail)
      const lines = yield* measured(
        Effect.raceFirst(boundary(Effect.all(all)), Effect.andThen(TestClock.adjust("1 hour"), Effect.never))
      )
      assert.deepStrictEqual(lines, [
        "dropped{name=shop:mail,reason=cancelled} 1",
        "enqueued{name=shop:mail} 6",
        "failed{name=shop:mail,reason=NoAnswer} 1",
        "failed{name=shop:mail,reason=defect} 1",
        "failed{name=shop:mail,reason=error} 2",
        "failed{name=shop:mail,reason=timeout} 1"
      ])
      assert.deepStrictEqual(balance(lines), [6, 6])
    }))

  it.effect("what is dropped and deduplicated, by policy", () =>
    Effect.gen(function*() {
      const policy = Policy.all(Policy.block("shop:push"), Policy.dedupe())
      const lines = yield* measured(
        Effect.andThen(
          boundary(Effect.all([mail("ada"), mail("ada"), push])),
          boundary(push, { policy: Policy.make({ name: "quiet hours", decide: () => Policy.drop("at night") }) })
        ),
        live({ policy })
      )
      assert.deepStrictEqual(lines, [
        "deduplicated{name=shop:mail,reason=dedupe} 1",
        "dispatched{name=shop:mail,reason=inline} 1",
        "dropped{name=shop:push,reason=block(\"shop:push\")} 1",
        "dropped{name=shop:push,reason=quiet hours} 1",
        "enqueued{name=shop:mail} 2",
        "enqueued{name=shop:push} 2"
      ])
    }))

  it.effect("what is discarded, by how its boundary ended", () =>
    Effect.gen(function*() {
      const lines = yield* measured(Effect.gen(function*() {
        const and = (self: Effect.Effect<unknown, unknown>) => Effect.exit(boundary(Effect.andThen(push, self)))
        yield* and(Effect.fail("the card 4111 1111 1111 1111 was refused"))
        yield* and(Effect.die("bug"))
        yield* and(Effect.interrupt)
        yield* boundary(push, { releaseWhen: () => false })
        const late = yield* boundary(
          Effect.contextWith((context: Context.Context<never>) => Effect.succeed(Effect.provideContext(push, context)))
        )
        yield* Effect.exit(late)
      }))
      assert.deepStrictEqual(lines, [
        "discarded{name=shop:push,reason=died} 1",
        "discarded{name=shop:push,reason=failed} 1",
        "discarded{name=shop:push,reason=interrupted} 1",
        "discarded{name=shop:push,reason=late} 1",
        "discarded{name=shop:push,reason=not released} 1",
        "enqueued{name=shop:push} 5"
      ])
    }))

  it.effect("what the background could not perform when it was closed", () =>
    Effect.gen(function*() {
      const layer = live({ dispatcher: Dispatcher.background({ gracePeriod: 0 }) })
      assert.deepStrictEqual(yield* measured(boundary(mail("slow")), layer), [
        "discarded{name=shop:mail,reason=closed} 1",
        "enqueued{name=shop:mail} 1"
      ])
    }))

  it.effect("DropLayer counts what it drops", () =>
    Effect.gen(function*() {
      const layer = Layer.provide(SideEffects.DropLayer, Observability.layer())
      assert.deepStrictEqual(yield* measured(boundary(Effect.all([push, mail("ada")])), layer), [
        "dropped{name=shop:mail,reason=DropLayer} 1",
        "dropped{name=shop:push,reason=DropLayer} 1",
        "enqueued{name=shop:mail} 1",
        "enqueued{name=shop:push} 1"
      ])
    }))

  it.effect("ConfigLayer counts what it drops, and what it holds back", () =>
    Effect.gen(function*() {
      for (
        const [mode, end] of [
          ["drop", "dropped{name=shop:push,reason=DropLayer} 1"],
          ["record", "dispatched{name=shop:push,reason=SIDE_EFFECTS_MODE=record} 1"],
          ["live", "dispatched{name=shop:push,reason=inline} 1"]
        ] as const
      ) {
        const layer = SideEffects.ConfigLayer(Shop).pipe(
          Layer.provide(handlers),
          Layer.provide(Observability.layer()),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ SIDE_EFFECTS_MODE: mode })))
        ) as Layer.Layer<any>
        assert.deepStrictEqual(yield* measured(boundary(push), layer), [end, "enqueued{name=shop:push} 1"])
      }
    }))

  it.effect("what is not begun when another one fails fast", () =>
    Effect.gen(function*() {
      const layer = live({ dispatcher: Dispatcher.inline({ failFast: true }) })
      assert.deepStrictEqual(yield* measured(boundary(Effect.all([mail("bug"), push])), layer), [
        "dropped{name=shop:push,reason=inline} 1",
        "enqueued{name=shop:mail} 1",
        "enqueued{name=shop:push} 1",
        "failed{name=shop:mail,reason=defect} 1"
      ])
    }))

  it.effect("metrics: false, and spans: false", () =>
    Effect.gen(function*() {
      const of = (options: Observability.Options) =>
        measured(
          boundary(push),
          SideEffects.LiveLayer(Shop).pipe(
            Layer.provide(handlers),
            Layer.provide(Observability.layer(options))
          ) as Layer.Layer<any>
        )
      assert.deepStrictEqual(yield* of({ metrics: false }), [])
      assert.strictEqual((yield* of({ spans: false })).length, 2)
    }))
})

describe("Observability.layer: what is measured", () => {
  it.effect("the latency is from the release to the decision, in seconds", () =>
    Effect.gen(function*() {
      const { layer: metrics } = registry()
      const layer = live({ dispatcher: Dispatcher.background() })
      const histograms = Effect.gen(function*() {
        yield* boundary(Effect.andThen(Effect.all([mail("minute"), mail("cancel")]), Effect.sleep("1 hour"))).pipe(
          Effect.raceFirst(Effect.andThen(TestClock.adjust("1 hour"), Effect.never))
        )
        yield* TestClock.adjust("1 minute")
        yield* SideEffects.drain
        return (yield* Metric.snapshot).filter(({ id }) => id === "side_effects_dispatch_latency")
      }).pipe(Effect.provide(Layer.provideMerge(layer, metrics)))
      const [latency, ...others] = yield* histograms
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(latency!.attributes, { unit: "s", name: "shop:mail" })
      const { count, sum } = latency!.state as { readonly count: number; readonly sum: number }
      assert.deepStrictEqual([count, sum], [1, 60])
    }))

  it.effect("the size of the buffer, once for each boundary that releases", () =>
    Effect.gen(function*() {
      const { layer: metrics } = registry()
      const [size] = yield* Effect.gen(function*() {
        yield* boundary(Effect.andThen(push, boundary(Effect.all([push, push]), { policy: asked })))
        yield* boundary(push)
        yield* boundary(Effect.void)
        yield* Effect.exit(boundary(Effect.andThen(push, Effect.fail("no"))))
        return (yield* Metric.snapshot).filter(({ id }) => id === "side_effects_buffer_size")
      }).pipe(Effect.provide(Layer.provideMerge(live(), metrics)))
      const { count, max, sum } = size!.state as { readonly count: number; readonly sum: number; readonly max: number }
      assert.deepStrictEqual([count, sum, max], [2, 4, 3])
    }))

  it.effect("how many are underway in the background, of all that bear the name", () =>
    Effect.gen(function*() {
      const { layer: metrics, read } = registry()
      const depth = Effect.map(read, (lines) => lines.filter((line) => line.startsWith("background_depth")))
      const open = yield* Deferred.make<void>()
      const waiting = Mail.toLayer(() => Deferred.await(open))
      const layer = SideEffects.LiveLayer(Shop, {
        dispatcher: Dispatcher.route([["*:mail", Dispatcher.background()], ["**", Dispatcher.background()]])
      }).pipe(
        Layer.provide(Layer.merge(waiting, Push.toLayer(() => Deferred.await(open)))),
        Layer.provide(Observability.layer())
      )
      yield* Effect.gen(function*() {
        yield* boundary(Effect.all([mail("ada"), mail("bob"), push]))
        assert.deepStrictEqual(yield* depth, ["background_depth{dispatcher=background} 3"])
        yield* Deferred.succeed(open, undefined)
        yield* SideEffects.drain
        assert.deepStrictEqual(yield* depth, ["background_depth{dispatcher=background} 0"])
      }).pipe(Effect.provide(Layer.provideMerge(layer, metrics)))
    }))
})

describe("Observability and the outbox", () => {
  const outbox = <A, E>(self: Effect.Effect<A, E, any>) => {
    const { layer: metrics, read } = registry()
    return Effect.andThen(self, read).pipe(
      Effect.provide(
        Layer.provideMerge(
          live({ dispatcher: Outbox.dispatcher() }),
          Layer.provideMerge(
            Layer.provideMerge(Observability.layer(), Layer.mergeAll(handlers, MemoryOutboxStore.layer)),
            Layer.merge(metrics, logs().layer)
          )
        )
      )
    ) as unknown as Effect.Effect<ReadonlyArray<string>>
  }

  it.effect("what goes through it is counted where it is accepted, and where it is performed", () =>
    Effect.gen(function*() {
      const program = Effect.andThen(
        boundary(Effect.all([mail("ada"), mail("bug"), mail("cancel"), mail("ada")])),
        Outbox.drain(Shop, { retry: Schedule.recurs(0) })
      )
      assert.deepStrictEqual((yield* outbox(program)).filter((line) => !/^(dispatch_latency|buffer)/.test(line)), [
        "deduplicated{name=shop:mail,reason=outbox} 1",
        "dispatched{name=shop:mail,reason=outbox worker} 1",
        "dispatched{name=shop:mail,reason=outbox} 3",
        "dropped{name=shop:mail,reason=cancelled} 1",
        "enqueued{name=shop:mail} 4",
        "failed{name=shop:mail,reason=defect} 1"
      ])
    }))

  it.effect("what cannot be read, and what has killed its workers, has failed, too", () =>
    Effect.gen(function*() {
      const program = Effect.gen(function*() {
        const store = yield* OutboxStore.OutboxStore
        const offer = {
          queue: "default",
          priority: 0,
          redacted: undefined,
          key: undefined,
          delay: 0,
          origin: undefined,
          metadata: undefined,
          trace: undefined
        }
        yield* store.offerMany([
          { ...offer, id: "1", name: "shop:mail", payload: `{"to":1}` },
          { ...offer, id: "2", name: "shop:push", payload: "null" }
        ], { uniqueFor: 0 })
        const claim = { worker: "w", limit: 1, lease: 10, names: ["shop:push"], queues: undefined, suspects: false }
        yield* store.claim(claim)
        yield* TestClock.adjust("1 second")
        yield* Outbox.drain(Shop, { maxCrashes: 1 })
      })
      assert.deepStrictEqual((yield* outbox(program)).filter((line) => line.startsWith("failed")), [
        "failed{name=shop:mail,reason=undecodable} 1",
        "failed{name=shop:push,reason=crashed} 1"
      ])
    }))

  it.effect("layerOutboxDepth tells how many of each there are, and none of what has gone", () =>
    Effect.gen(function*() {
      const { layer: metrics, read } = registry()
      const depth = Effect.map(read, (lines) => lines.filter((line) => line.startsWith("outbox_depth")))
      yield* Effect.gen(function*() {
        yield* boundary(
          Effect.all([mail("ada"), mail("bug"), SideEffects.enqueue(Push, undefined, { delay: "1 day" })])
        )
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* depth, [
          "outbox_depth{name=shop:mail,state=pending} 2",
          "outbox_depth{name=shop:push,state=scheduled} 1"
        ])
        yield* Outbox.drain(Shop, { retry: Schedule.recurs(0) })
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* depth, [
          "outbox_depth{name=shop:mail,state=dead} 1",
          "outbox_depth{name=shop:mail,state=pending} 0",
          "outbox_depth{name=shop:push,state=scheduled} 1"
        ])
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            live({ dispatcher: Outbox.dispatcher() }),
            Layer.provideMerge(
              Layer.provideMerge(Observability.layerOutboxDepth(), Layer.mergeAll(handlers, MemoryOutboxStore.layer)),
              Layer.merge(metrics, logs().layer)
            )
          )
        )
      ) as Effect.Effect<void>
    }))
})
