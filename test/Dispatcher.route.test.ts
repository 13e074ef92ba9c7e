import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, type Intent, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { logs } from "./fixtures.ts"

const payload = { id: Schema.String }
class Mail extends SideEffect.make("shop:mail:send", { description: "Email the customer.", payload }) {}
class Push extends SideEffect.make("shop:push:notify", { description: "Notify the phone.", payload }) {}
class Report extends SideEffect.make("shop:report:build", {
  description: "Build a report.",
  payload,
  defaults: { queue: "slow" }
}) {}
const Shop = SideEffectGroup.make("shop").add(Mail, Push, Report)

const none: Engine.Honours = { delay: false, priority: false, queue: false }
const all: Engine.Honours = { delay: true, priority: true, queue: true }

interface Recording {
  readonly engine: Engine.Engine
  /** `name:id in queue` of what it got. */
  readonly got: Array<string>
  opened: number
}

const engine = (
  name: string,
  honours = none,
  seen: Array<string> = [],
  queues?: ReadonlyArray<string>
): Recording => {
  const recording: Recording = {
    got: seen,
    opened: 0,
    engine: Engine.dispatcher({
      name,
      honours,
      queues,
      connect: Effect.sync(() => {
        recording.opened++
        return {
          handOver: (jobs) =>
            Effect.sync(() => {
              for (const job of jobs) seen.push(`${name} ${(job.payload as { id: string }).id} in ${job.queue}`)
            })
        }
      })
    })
  }
  return recording
}

const Handlers = (seen: Array<string>) => {
  const perform = ({ id }: { readonly id: string }) => Effect.sync(() => void seen.push(`inline ${id}`))
  return Shop.toLayer({ "shop:mail:send": perform, "shop:push:notify": perform, "shop:report:build": perform })
}

/** Runs a program with routes. What is performed in this process goes to `seen`. */
const routed = <A, E>(
  dispatcher: Dispatcher.Dispatcher<boolean, never, never>,
  effect: Effect.Effect<A, E, SideEffects.SideEffects<SideEffectGroup.Names<typeof Shop>>>,
  seen: Array<string> = [],
  options?: Pick<SideEffects.LiveOptions, "outsideBoundary">
): Effect.Effect<A, E> =>
  Effect.provide(
    effect,
    SideEffects.LiveLayer(Shop, { dispatcher, ...options }).pipe(
      Layer.provide(Handlers(seen)),
      Layer.provide(logs().layer)
    )
  )

const refused = (dispatcher: Dispatcher.Dispatcher<boolean, never, never>) =>
  Effect.map(Effect.exit(routed(dispatcher, Effect.void)), String)

const mail = (id: string, options?: Intent.Options) => SideEffects.enqueue(Mail, { id }, options)
const push = (id: string, options?: Intent.Options) => SideEffects.enqueue(Push, { id }, options)
const report = (id: string, options?: Intent.Options) => SideEffects.enqueue(Report, { id }, options)

describe("Dispatcher.route", () => {
  describe("by queue", () => {
    it.effect("an intent goes to the first route that it fits", () => {
      const seen: Array<string> = []
      const [both, slow, mails, rest] = ["both", "slow", "mails", "rest"].map((name) => engine(name, none, seen))
      return Effect.gen(function*() {
        yield* routed(
          Dispatcher.route([
            [{ queue: "slow", name: "**:mail:**" }, both!.engine],
            [{ queue: ["slow", "bulk"] }, slow!.engine],
            [/:mail:/, mails!.engine],
            ["**", rest!.engine]
          ]),
          SideEffects.boundary(Effect.all([
            mail("1"),
            mail("2", { queue: "slow" }),
            push("3", { queue: "bulk" }),
            push("4"),
            report("5"),
            report("6", { queue: "default" }),
            mail("7", { queue: "bulk" })
          ]))
        )
        assert.deepStrictEqual(seen, [
          "both 2 in slow",
          "slow 3 in bulk",
          "slow 5 in slow",
          "slow 7 in bulk",
          "mails 1 in default",
          "rest 4 in default",
          "rest 6 in default"
        ])
      })
    })

    it.effect("the queue of an intent that was told none is \"default\"", () => {
      const seen: Array<string> = []
      return Effect.gen(function*() {
        yield* routed(
          Dispatcher.route([
            [{ queue: "default" }, engine("default", none, seen).engine],
            ["**", engine("rest", all, seen).engine]
          ]),
          SideEffects.boundary(Effect.all([mail("1"), report("2"), mail("3", { queue: "default" })]))
        )
        assert.deepStrictEqual(seen, ["default 1 in default", "default 3 in default", "rest 2 in slow"])
      })
    })

    it.effect("inline, background and engines stand beside each other in one layer, each with its own in order", () => {
      const seen: Array<string> = []
      const got = engine("engine", none)
      const decisions: Array<string> = []
      return Effect.gen(function*() {
        yield* routed(
          Dispatcher.route([
            [{ queue: "slow" }, got.engine],
            ["**:push:**", Dispatcher.background({ concurrency: 1 })],
            ["**", Dispatcher.inline()]
          ]),
          Effect.gen(function*() {
            const intents = yield* SideEffects.boundary(Effect.all([
              mail("1"),
              report("2"),
              push("3"),
              mail("4", { queue: "slow" }),
              mail("5"),
              push("6"),
              report("7")
            ]))
            yield* SideEffects.drain
            decisions.push(...intents.map((intent) => {
              const decision = Decision.of(intent)!
              return `${decision._tag} by ${decision.by}`
            }))
          }),
          seen
        )
        assert.deepStrictEqual(got.got, ["engine 2 in slow", "engine 4 in slow", "engine 7 in slow"])
        assert.deepStrictEqual(seen.filter((line) => /[15]/.test(line)), ["inline 1", "inline 5"])
        assert.deepStrictEqual(seen.filter((line) => /[36]/.test(line)), ["inline 3", "inline 6"])
        assert.deepStrictEqual(decisions, [
          "Dispatched by dispatcher inline",
          "Dispatched by dispatcher engine",
          "Dispatched by dispatcher background",
          "Dispatched by dispatcher engine",
          "Dispatched by dispatcher inline",
          "Dispatched by dispatcher background",
          "Dispatched by dispatcher engine"
        ])
      })
    })

    it.effect("what is enqueued outside of a boundary goes the same ways", () => {
      const slow = engine("slow")
      const seen: Array<string> = []
      return Effect.gen(function*() {
        yield* routed(
          Dispatcher.route([[{ queue: "slow" }, slow.engine], ["**", Dispatcher.inline()]]),
          Effect.all([mail("1"), mail("2", { queue: "slow" })]),
          seen,
          { outsideBoundary: "dispatch" }
        )
        assert.deepStrictEqual([seen, slow.got], [["inline 1"], ["slow 2 in slow"]])
      })
    })
  })

  describe("when the layer is built", () => {
    it.effect("a side effect that only has routes by queue is refused", () =>
      Effect.gen(function*() {
        const { engine: slow } = engine("slow")
        assert.include(
          yield* refused(Dispatcher.route([[{ queue: "slow" }, slow], ["**:mail:**", slow], ["**:report:**", slow]])),
          "Dispatcher.route has no pattern for side effect \"shop:push:notify\" outside of some queues. Add one, or end " +
            "the list with [\"**\", dispatcher] for everything else."
        )
        assert.include(
          yield* refused(Dispatcher.route([["**:mail:**", slow], [{ queue: "slow", name: "**:report:**" }, slow]])),
          "Dispatcher.route has no pattern for side effect \"shop:push:notify\". Add one"
        )
      }))

    it.effect("a pattern in a route by queue has to match something", () =>
      Effect.gen(function*() {
        const { engine: slow } = engine("slow")
        assert.include(
          yield* refused(Dispatcher.route([[{ queue: "slow", name: "shpo:**" }, slow], ["**", Dispatcher.inline()]])),
          "\"shpo:**\" in dispatcher route(shpo:** in queue slow -> slow, ** -> inline) matches no side effect of group \"shop\""
        )
      }))

    it.effect("a route without any queue is refused where it is made", () =>
      Effect.sync(() => {
        assert.throws(
          () => Dispatcher.route([[{ queue: [] }, Dispatcher.inline()], ["**", Dispatcher.inline()]]),
          /Dispatcher\.route was given a route for no queue\. Name one, as in \{ queue: "slow" \}, or leave queue out/
        )
      }))

    it.effect("an engine is asked only about what it gets", () =>
      Effect.gen(function*() {
        // Reports are told to be in the queue "slow", and this one has no queues.
        const { engine: bare } = engine("bare")
        assert.include(
          yield* refused(bare),
          "Side effect \"shop:report:build\" is told by its definition to have queue \"slow\", and bare has no queues."
        )
        assert.include(
          yield* refused(Dispatcher.route([["**:report:**", bare], ["**", Dispatcher.inline()]])),
          "bare has no queues"
        )
        // The route has honoured it.
        assert.include(
          yield* refused(Dispatcher.route([[{ queue: "slow" }, bare], ["**", Dispatcher.inline()]])),
          "Success"
        )
        // Another one gets it.
        assert.include(
          yield* refused(Dispatcher.route([[{ queue: "slow" }, Dispatcher.inline()], ["**", bare]])),
          "Success"
        )
      }))

    it.effect("a dispatcher is opened once, wherever it stands", () =>
      Effect.gen(function*() {
        const one = engine("one", all)
        yield* routed(
          Dispatcher.route([[{ queue: "slow" }, one.engine], ["**:mail:**", one.engine], ["**", Dispatcher.inline()]]),
          Effect.void
        )
        assert.strictEqual(one.opened, 1)
      }))
  })

  describe("at the call site", () => {
    const dies = (
      effect: Effect.Effect<unknown, never, SideEffects.SideEffects<SideEffectGroup.Names<typeof Shop>>>,
      routes: Dispatcher.Dispatcher<boolean, never, never>
    ) => Effect.map(Effect.exit(routed(routes, SideEffects.boundary(effect))), String)

    it.effect("the engine that would get an intent says what it cannot honour, and no other", () => {
      const able = engine("able", all, [], ["bulk"])
      const bare = engine("bare")
      const routes = Dispatcher.route([
        [{ queue: ["slow", "bulk"] }, able.engine],
        ["**:mail:**", bare.engine],
        ["**", Dispatcher.inline()]
      ])
      return Effect.gen(function*() {
        assert.include(
          yield* dies(mail("1", { delay: "1 second" }), routes),
          "Side effect \"shop:mail:send\" was enqueued with a delay, and bare has none."
        )
        assert.include(yield* dies(mail("1", { priority: 3 }), routes), "bare has no priorities")
        assert.include(
          yield* dies(mail("1", { queue: "unknown" }), routes),
          "bare has no queues. Leave it out, or route it by queue: Dispatcher.route([[{ queue: \"unknown\" }, ...]])."
        )
        assert.include(yield* dies(mail("1", { queue: "bulk", delay: 0, priority: 3 }), routes), "Success")
        assert.include(yield* dies(push("1", { delay: 0, priority: 3 }), routes), "Success")
        assert.deepStrictEqual([able.got, bare.got], [["able 1 in bulk"], []])
      })
    })

    it.effect("a queue that is routed to an engine with queues is known there when somebody looks into it", () => {
      const able = engine("able", all)
      const looking = engine("looking", all, [], ["bulk"])
      return Effect.gen(function*() {
        const to = (one: typeof able.engine) => Dispatcher.route([[{ queue: "bulk" }, one], ["**", one]])
        assert.include(yield* dies(mail("1", { queue: "bulk" }), to(looking.engine)), "Success")
        assert.include(yield* dies(mail("1", { queue: "bulk" }), to(able.engine)), "no worker of able would look there")
      })
    })

    it.effect("an engine without queues takes one only by the route that is for it", () => {
      const bare = engine("bare")
      return Effect.gen(function*() {
        const routes = Dispatcher.route([
          [{ name: "**:mail:**", queue: "slow" }, bare.engine],
          ["**:report:**", Dispatcher.inline()],
          ["**", bare.engine]
        ])
        assert.include(yield* dies(mail("1", { queue: "slow" }), routes), "Success")
        assert.include(yield* dies(push("1", { queue: "slow" }), routes), "bare has no queues")
      })
    })
  })

  describe("a route inside a route", () => {
    it.effect("chooses among what it gets", () => {
      const seen: Array<string> = []
      const one = (name: string) => engine(name, none, seen).engine
      return Effect.gen(function*() {
        yield* routed(
          Dispatcher.route([
            [{ queue: ["slow", "bulk"] }, Dispatcher.route([[{ queue: "bulk" }, one("bulk")], ["**", one("slow")]])],
            ["**", Dispatcher.route([["**:mail:**", one("mail")], ["**", Dispatcher.inline()]])]
          ]),
          SideEffects.boundary(Effect.all([mail("1"), report("2"), push("3"), mail("4", { queue: "bulk" })])),
          seen
        )
        assert.deepStrictEqual(seen, ["bulk 4 in bulk", "slow 2 in slow", "mail 1 in default", "inline 3"])
      })
    })

    it.effect("asks the engine at the end of the way", () => {
      const inner = Dispatcher.route([["**:mail:**", engine("bare").engine], ["**", Dispatcher.inline()]])
      return Effect.gen(function*() {
        assert.include(
          String(
            yield* Effect.exit(routed(
              Dispatcher.route([["**", inner]]),
              SideEffects.boundary(mail("1", { priority: 1 }))
            ))
          ),
          "bare has no priorities"
        )
      })
    })
  })

  describe("where it sends a side effect", () => {
    const to = (dispatcher: Dispatcher.Dispatcher<boolean, any, any>, name = "shop:mail:send") =>
      Dispatcher.destinationsOf(dispatcher, name).map(({ dispatcher, queue }) =>
        queue === undefined ? dispatcher : `${dispatcher} in ${queue}`
      )

    it("of one that is no route, just there", () => {
      assert.deepStrictEqual(to(Dispatcher.inline()), ["inline"])
    })

    it("in the order of the routes, up to the first that takes all of it", () => {
      const routes = Dispatcher.route([
        [{ queue: "slow" }, engine("one").engine],
        ["**:push:**", engine("two").engine],
        [{ queue: ["bulk", "night"], name: "**:mail:**" }, engine("three").engine],
        ["**", Dispatcher.inline()],
        [{ queue: "never" }, engine("four").engine]
      ])
      assert.deepStrictEqual(to(routes), ["one in slow", "three in bulk", "three in night", "inline"])
      assert.deepStrictEqual(to(routes, "shop:push:notify"), ["one in slow", "two"])
    })

    it("of a route inside a route, only what can get there", () => {
      const inner = Dispatcher.route([
        [{ queue: "bulk" }, engine("bulk").engine],
        [{ queue: "slow" }, engine("slow").engine],
        ["**", Dispatcher.inline()]
      ])
      const routes = Dispatcher.route([[{ queue: "slow" }, inner], ["**", inner]])
      assert.deepStrictEqual(to(routes), ["slow in slow", "bulk in bulk", "inline"])
    })
  })
})
