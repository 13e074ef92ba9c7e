import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsCommand } from "effect-side-effects/cli"
import { MemoryOutboxStore, Outbox } from "effect-side-effects/outbox"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Command from "effect/cli/Command"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { logs, Mail, mail, push, Shop } from "./fixtures.ts"

const message = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit) ? (Cause.squash(exit.cause) as Error).message : "it succeeded"

const handlers = Shop.toLayer({
  "orders:mail:send": () => Effect.void,
  "orders:push:notify": () => Effect.void,
  "monitor:ping": () => Effect.void
})

describe("ConfigLayer", () => {
  const run = (
    env: Record<string, string> | ConfigProvider.ConfigProvider,
    options?: SideEffects.LiveOptions<boolean, any, any>
  ) =>
    Effect.gen(function*() {
      const { layer: logger, lines } = logs()
      const exit = yield* Effect.all([mail("1"), push("2")]).pipe(
        SideEffects.boundary(),
        Effect.map((intents) => intents.map((intent) => Decision.format(Decision.of(intent)!))),
        Effect.provide(SideEffects.ConfigLayer(Shop, options as SideEffects.LiveOptions).pipe(Layer.provide(handlers))),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          "load" in env ? env as any : ConfigProvider.fromEnvRecord(env)
        ),
        Effect.provide(logger),
        Effect.exit
      )
      return { exit, lines, decisions: Exit.isSuccess(exit) ? exit.value : [] }
    })

  it.effect("is live by default, and on demand", () =>
    Effect.gen(function*() {
      for (const env of [{}, { SIDE_EFFECTS_MODE: "live" }, { SIDE_EFFECTS_MODE: "", SIDE_EFFECTS_BLOCK: " , " }]) {
        const { decisions, lines } = yield* run(env)
        assert.deepStrictEqual(decisions, ["dispatched by dispatcher inline", "dispatched by dispatcher inline"])
        assert.deepStrictEqual(lines, [])
      }
    }))

  it.effect("drops", () =>
    Effect.gen(function*() {
      const { decisions, lines } = yield* run({ SIDE_EFFECTS_MODE: "drop" })
      assert.deepStrictEqual(decisions, Array.from("12", () => "dropped by DropLayer: nothing may leave here"))
      assert.deepStrictEqual(lines, [
        "INFO Configuration of group \"shop\": SIDE_EFFECTS_MODE=drop",
        "INFO DropLayer dropped 2 side effects: orders:mail:send ×1, orders:push:notify ×1"
      ])
    }))

  it.effect("asserts none", () =>
    Effect.gen(function*() {
      const { exit } = yield* run({ SIDE_EFFECTS_MODE: "assert-none" })
      assert.match(message(exit), /enqueued under AssertNoneLayer/)
    }))

  it.effect("records, and says what would have left", () =>
    Effect.gen(function*() {
      const { decisions, lines } = yield* run({ SIDE_EFFECTS_MODE: "record" })
      assert.deepStrictEqual(decisions, Array.from("12", () => "dispatched by SIDE_EFFECTS_MODE=record"))
      assert.deepStrictEqual(lines, [
        "INFO Configuration of group \"shop\": SIDE_EFFECTS_MODE=record",
        "INFO SIDE_EFFECTS_MODE=record held back 2 side effects: orders:mail:send ×1, orders:push:notify ×1"
      ])
      const blocked = yield* run({ SIDE_EFFECTS_MODE: "record", SIDE_EFFECTS_BLOCK: "**:push:**" }, {
        policy: Policy.limit(1)
      })
      assert.deepStrictEqual(blocked.lines, [
        "INFO Configuration of group \"shop\": SIDE_EFFECTS_MODE=record; SIDE_EFFECTS_BLOCK=**:push:** keeps in 1 of 3 " +
        "side effects",
        "INFO SIDE_EFFECTS_MODE=record held back 1 side effect: orders:mail:send ×1"
      ])
    }))

  it.effect("blocks patterns, beside the policy of the layer", () =>
    Effect.gen(function*() {
      const blocked = yield* run({ SIDE_EFFECTS_BLOCK: " **:push:** , monitor:* ," })
      assert.deepStrictEqual(blocked.decisions, [
        "dispatched by dispatcher inline",
        "dropped by policy block(\"**:push:**\", \"monitor:*\"): it is blocked"
      ])
      const both = yield* run({ SIDE_EFFECTS_BLOCK: "**:push:**" }, { policy: Policy.block(Mail) })
      assert.deepStrictEqual(both.decisions.map((decision) => decision.slice(0, 7)), ["dropped", "dropped"])
    }))

  const wrong: ReadonlyArray<readonly [Record<string, string>, string]> = [
    [
      { SIDE_EFFECTS_MODE: "lvie" },
      "SourceError: Configuration of group \"shop\": SIDE_EFFECTS_MODE is \"lvie\". It takes one of live, drop, assert-none, record; left out, it is live."
    ],
    [
      { SIDE_EFFECTS_BLOCK: "orders::x" },
      "SourceError: Configuration of group \"shop\": SIDE_EFFECTS_BLOCK: Pattern \"orders::x\" has an empty segment at position 2. Expected segments of " +
      "letters, digits, \"-\", \"_\" or \".\", separated by \":\", such as \"orders:mail:send-confirmation\". In a pattern, a " +
      "whole segment may be \"*\" (exactly one segment) or \"**\" (any number)."
    ],
    [
      { SIDE_EFFECTS_BLOCK: "orders:mail" },
      "SourceError: Configuration of group \"shop\": \"orders:mail\" in SIDE_EFFECTS_BLOCK matches no side effect of group \"shop\". Correct it, or remove " +
      "it. The group has: orders:mail:send, orders:push:notify, monitor:ping."
    ]
  ]
  for (const [env, expected] of wrong) {
    it.effect(`refuses ${JSON.stringify(env)}`, () =>
      Effect.gen(function*() {
        const { exit } = yield* run(env)
        assert.strictEqual(message(exit), expected)
        assert.strictEqual(Exit.isFailure(exit) && (Cause.squash(exit.cause) as any)._tag, "ConfigError")
      }))
  }

  it.effect("allows only what matches, and what is blocked stays in all the same", () =>
    Effect.gen(function*() {
      const only = yield* run({ SIDE_EFFECTS_ALLOW_ONLY: "**:push:**" })
      assert.deepStrictEqual(only.decisions, [
        "dropped by policy allowOnly(\"**:push:**\"): it is not among the allowed",
        "dispatched by dispatcher inline"
      ])
      assert.deepStrictEqual(only.lines, [
        "INFO Configuration of group \"shop\": SIDE_EFFECTS_ALLOW_ONLY=**:push:** keeps in all but 1 of 3 side effects"
      ])
      const both = yield* run({ SIDE_EFFECTS_ALLOW_ONLY: "orders:**", SIDE_EFFECTS_BLOCK: "**:push:**" }, {
        policy: Policy.limit(1)
      })
      assert.deepStrictEqual(both.decisions, [
        "dispatched by dispatcher inline",
        "dropped by policy block(\"**:push:**\"): it is blocked"
      ])
    }))

  it.effect("takes values in any case, with spaces around, and below a prefix", () =>
    Effect.gen(function*() {
      const { decisions } = yield* run({ SIDE_EFFECTS_MODE: " Drop " })
      assert.match(decisions[0]!, /DropLayer/)
      assert.match(message((yield* run({ SIDE_EFFECTS_MODE: "ASSERT_NONE" })).exit), /AssertNoneLayer/)
      assert.include(message((yield* run({ SIDE_EFFECTS_OUTSIDE_BOUNDARY: "REJECT" })).exit), "it succeeded")
      const shouted = yield* run({ SIDE_EFFECTS_BLOCK: "ORDERS:**" })
      assert.include(message(shouted.exit), "\"ORDERS:**\" in SIDE_EFFECTS_BLOCK matches no side effect")
      const shop = ConfigProvider.fromEnvRecord({ SHOP_SIDE_EFFECTS_MODE: "drop", SIDE_EFFECTS_MODE: "of" })
      const below = yield* run(ConfigProvider.nested(shop, "SHOP"))
      assert.match(below.decisions[0]!, /DropLayer/)
      const json = { SIDE_EFFECTS_BLOCK: ["**:push:**", "monitor:*"] }
      const list = yield* run(ConfigProvider.fromUnknown(json))
      assert.deepStrictEqual(list.decisions.map((decision) => decision.slice(0, 7)), ["dispatc", "dropped"])
    }))

  const shapes: ReadonlyArray<readonly [Record<string, unknown>, string]> = [
    [{ SIDE_EFFECTS_MODE: ["drop"] }, "SIDE_EFFECTS_MODE holds a list. It takes one of live, drop, assert-none,"],
    [{ SIDE_EFFECTS_MODE: [] }, "SIDE_EFFECTS_MODE holds a list. It takes one of live, drop, assert-none,"],
    [
      { SIDE_EFFECTS_MODE: { x: "drop" } },
      "SIDE_EFFECTS_MODE holds an object. It takes one of live, drop, assert-none,"
    ],
    [{ SIDE_EFFECTS_MODE: false }, "SIDE_EFFECTS_MODE is \"false\". It takes one of live, drop, assert-none,"],
    [
      { SIDE_EFFECTS_BLOCK: { a: "orders:mail:**" } },
      "SIDE_EFFECTS_BLOCK holds an object. It takes patterns, separated by commas, or a list of them."
    ],
    [
      { SIDE_EFFECTS_BLOCK: ["orders:**", ["monitor:ping"]] },
      "SIDE_EFFECTS_BLOCK[1] holds a list. It takes patterns, separated by commas, or a list of them."
    ],
    [
      { SIDE_EFFECTS_ALLOW_ONLY: [{ pattern: "orders:**" }] },
      "SIDE_EFFECTS_ALLOW_ONLY[0] holds an object. It takes patterns, separated by commas, or a list of them."
    ],
    [{ SIDE_EFFECTS_CAPACITY: [5] }, "SIDE_EFFECTS_CAPACITY holds a list. It takes a whole number, 1 or more."],
    [{ SIDE_EFFECTS_GRACE_PERIOD: { seconds: 5 } }, "SIDE_EFFECTS_GRACE_PERIOD holds an object. It takes a duration:"]
  ]
  for (const [json, expected] of shapes) {
    it.effect(`refuses ${JSON.stringify(json)}, as it must not look as if it were not set`, () =>
      Effect.gen(function*() {
        const { exit } = yield* run(ConfigProvider.fromUnknown(json))
        assert.isTrue(
          message(exit).startsWith(`SourceError: Configuration of group "shop": ${expected}`),
          message(exit)
        )
      }))
  }

  it.effect("null is not set, and neither is a list of nothing", () =>
    Effect.gen(function*() {
      const json = { SIDE_EFFECTS_MODE: null, SIDE_EFFECTS_BLOCK: [], SIDE_EFFECTS_ALLOW_ONLY: [null, ""] }
      const { decisions, lines } = yield* run(ConfigProvider.fromUnknown(json))
      assert.deepStrictEqual(decisions, ["dispatched by dispatcher inline", "dispatched by dispatcher inline"])
      assert.deepStrictEqual(lines, [])
    }))

  it.effect("names the group where another one reads another prefix", () =>
    Effect.gen(function*() {
      const env = ConfigProvider.fromEnv({ env: { SHOP_SIDE_EFFECTS_MODE: "of", SIDE_EFFECTS_MODE: "live" } })
      assert.strictEqual(
        message((yield* run(ConfigProvider.nested(env, "SHOP"))).exit),
        "SourceError: Configuration of group \"shop\": SIDE_EFFECTS_MODE is \"of\". It takes one of live, drop, " +
          "assert-none, record; left out, it is live."
      )
    }))

  it.effect("says everything that is wrong at once", () =>
    Effect.gen(function*() {
      const { exit } = yield* run({
        SIDE_EFFECTS_MODE: "of",
        SIDE_EFFECTS_BLOCK: "orders:mail",
        SIDE_EFFECTS_ALLOW_ONLY: "a::b, orders:**",
        SIDE_EFFECTS_OUTSIDE_BOUNDARY: "refuse",
        SIDE_EFFECTS_CONCURRENCY: "0",
        SIDE_EFFECTS_CAPACITY: "many",
        SIDE_EFFECTS_GRACE_PERIOD: "30s"
      })
      const has = "The group has: orders:mail:send, orders:push:notify, monitor:ping."
      assert.deepStrictEqual(message(exit).split("\n").map((line) => line.replace(/ Expected segments.*/, "")), [
        "SourceError: Configuration of group \"shop\": 7 settings are wrong:",
        "- SIDE_EFFECTS_MODE is \"of\". It takes one of live, drop, assert-none, record; left out, it is live.",
        `- "orders:mail" in SIDE_EFFECTS_BLOCK matches no side effect of group "shop". Correct it, or remove it. ${has}`,
        "- SIDE_EFFECTS_ALLOW_ONLY: Pattern \"a::b\" has an empty segment at position 2.",
        "- SIDE_EFFECTS_OUTSIDE_BOUNDARY is \"refuse\". It takes one of warn, dispatch, reject; left out, it is warn.",
        "- SIDE_EFFECTS_CONCURRENCY is \"0\". It takes a whole number, 1 or more.",
        "- SIDE_EFFECTS_CAPACITY is \"many\". It takes a whole number, 1 or more.",
        "- SIDE_EFFECTS_GRACE_PERIOD is \"30s\". It takes a duration: a number and a unit, such as 500 millis, 30 " +
        "seconds, 5 minutes, 1 hour or 7 days."
      ])
    }))

  for (const value of ["-1", "1.5", "1e3", "0x10", "Infinity", "99999999999999999999"]) {
    it.effect(`refuses SIDE_EFFECTS_CONCURRENCY=${value}`, () =>
      Effect.gen(function*() {
        assert.include(
          message((yield* run({ SIDE_EFFECTS_CONCURRENCY: value })).exit),
          "It takes a whole number, 1 or more."
        )
      }))
  }

  // So many digits are a number that is not finite.
  for (const value of ["-1 seconds", "5", "infinity", "1 fortnight", `${"9".repeat(400)} days`]) {
    it.effect(`refuses SIDE_EFFECTS_GRACE_PERIOD=${value.slice(0, 20)}`, () =>
      Effect.gen(function*() {
        assert.include(
          message((yield* run({ SIDE_EFFECTS_GRACE_PERIOD: value })).exit),
          "It takes a duration: a number and a unit"
        )
      }))
  }

  it.effect("says where the names of the code are meant when nothing is set", () =>
    Effect.gen(function*() {
      const { exit } = yield* run({ SIDE_EFFECTS_OUTSIDE_BOUNDARY: "x" }, { outsideBoundary: "reject" })
      assert.include(message(exit), "left out, it is reject.")
    }))

  it.effect("what cannot be read is the error of the source", () =>
    Effect.gen(function*() {
      const away = ConfigProvider.make(() =>
        Effect.fail(new ConfigProvider.SourceError({ message: "the vault is sealed" }))
      )
      assert.include(message((yield* run(away)).exit), "the vault is sealed")
    }))

  it.effect("turns what happens outside a boundary", () =>
    Effect.gen(function*() {
      const outside = (env: Record<string, string>, options?: SideEffects.LiveOptions) =>
        mail("1").pipe(
          Effect.provide(SideEffects.ConfigLayer(Shop, options).pipe(Layer.provide(handlers))),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env)),
          Effect.exit,
          Effect.map(message)
        )
      assert.match(yield* outside({ SIDE_EFFECTS_OUTSIDE_BOUNDARY: "reject" }), /outside a boundary/)
      assert.match(yield* outside({}, { outsideBoundary: "reject" }), /outside a boundary/)
      assert.strictEqual(
        yield* outside({ SIDE_EFFECTS_OUTSIDE_BOUNDARY: "dispatch" }, { outsideBoundary: "reject" }),
        "it succeeded"
      )
    }))

  it.effect("says what is set and read by nothing, as a switch with a mistyped name stops nothing", () =>
    Effect.gen(function*() {
      const { decisions, lines } = yield* run({
        SIDE_EFFECTS_BLOK: "**",
        SIDE_EFFECTS_URL: "file.db",
        SIDE_EFFECTSX: "1"
      })
      assert.deepStrictEqual(decisions.map((decision) => decision.slice(0, 10)), ["dispatched", "dispatched"])
      assert.strictEqual(lines.length, 1)
      assert.match(
        lines[0]!,
        /^WARN Configuration of group "shop": SIDE_EFFECTS_BLOK is set, and nothing here reads that\. After SIDE_EFFECTS_ comes one of MODE, BLOCK, ALLOW_ONLY,/
      )
      const shop = ConfigProvider.fromEnvRecord({ SHOP_SIDE_EFFECTS_MODES: "drop", SHOP_SIDE_EFFECTS_OUTBOX_LEAS: "1" })
      const below = yield* run(ConfigProvider.nested(shop, "SHOP"))
      assert.match(
        below.lines[0]!,
        /^WARN Configuration of group "shop": SIDE_EFFECTS_MODES, SIDE_EFFECTS_OUTBOX_LEAS are set/
      )
    }))

  for (
    const [env, found] of [
      [{ SIDE_EFFECTS_BLOCK_0: "**" }, "SIDE_EFFECTS_BLOCK_0 is"],
      [{ SIDE_EFFECTS_BLOCK: "monitor:*", SIDE_EFFECTS_BLOCK_0: "**" }, "SIDE_EFFECTS_BLOCK_0 is"],
      [{ SIDE_EFFECTS_BLOCK_1: "**", SIDE_EFFECTS_BLOCK_0: "**" }, "SIDE_EFFECTS_BLOCK_0, SIDE_EFFECTS_BLOCK_1 are"],
      [{ SIDE_EFFECTS_BLOCK_4000000000: "**" }, "SIDE_EFFECTS_BLOCK_4000000000 is"],
      [{ SIDE_EFFECTS_BLOCK_0_X: "**" }, "SIDE_EFFECTS_BLOCK_0_X is"],
      [{ SIDE_EFFECTS_0: "**" }, "SIDE_EFFECTS_0 is"],
      [{ SIDE_EFFECTS: "drop" }, "SIDE_EFFECTS is"]
    ] as ReadonlyArray<readonly [Record<string, string>, string]>
  ) {
    it.effect(`says that nothing reads ${JSON.stringify(env)}`, () =>
      Effect.gen(function*() {
        const { decisions, lines } = yield* run(ConfigProvider.fromEnv({ env }))
        assert.deepStrictEqual(decisions.map((decision) => decision.slice(0, 10)), ["dispatched", "dispatched"])
        const warned = lines.filter((line) => line.startsWith("WARN"))
        assert.strictEqual(warned.length, 1)
        assert.isTrue(
          warned[0]!.startsWith(`WARN Configuration of group "shop": ${found} set, and nothing here reads that.`),
          warned[0]
        )
      }))
  }

  it.effect("a source that cuts names at _ has lists, which are read and not warned of", () =>
    Effect.gen(function*() {
      const env = ConfigProvider.fromEnv({
        env: { SIDE_EFFECTS_BLOCK_0: "monitor:*", SIDE_EFFECTS_BLOCK_1: "**:push:**" }
      })
      const cut = ConfigProvider.mapInput(
        env,
        (path) =>
          path.flatMap((part): ReadonlyArray<string | number> => typeof part === "string" ? part.split("_") : [part])
      )
      const { decisions, lines } = yield* run(cut)
      assert.deepStrictEqual(decisions.map((decision) => decision.slice(0, 7)), ["dispatc", "dropped"])
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("WARN")), [])
    }))
})

describe("the numbers of dispatchers under ConfigLayer", () => {
  class Step extends SideEffect.make("steps:go", { description: "Go.", payload: { id: Schema.Number } }) {}
  class Leap extends SideEffect.make("leaps:go", { description: "Leap.", payload: { id: Schema.Number } }) {}
  const Steps = SideEffectGroup.make("steps").add(Step, Leap)

  /** Releases ten, and says how many ran at once. */
  const most = Effect.fnUntraced(function*<E, R>(
    env: Record<string, string>,
    dispatcher: Dispatcher.Dispatcher<boolean, E, R>,
    sideEffect: typeof Step | typeof Leap = Step
  ) {
    const { layer: logger, lines } = logs()
    const seen = { running: 0, most: 0 }
    const handle = () =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          seen.most = Math.max(seen.most, ++seen.running)
        }),
        () => Effect.sleep("1 second"),
        () => Effect.sync(() => seen.running--)
      )
    const layer = SideEffects.ConfigLayer(Steps, { dispatcher: dispatcher as Dispatcher.Dispatcher<true> }).pipe(
      Layer.provide(Steps.toLayer({ "steps:go": handle, "leaps:go": handle })),
      Layer.provide(SqliteClient.layer({ filename: ":memory:" })),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))),
      Layer.provide(logger)
    )
    const work = Effect.forEach(
      Array.from({ length: 10 }, (_, id) => id),
      (id) => SideEffects.enqueue(sideEffect, { id })
    )
    const fiber = yield* SideEffects.boundary(work).pipe(
      Effect.andThen(SideEffects.drain),
      Effect.provide(Layer.provideMerge(layer as Layer.Layer<SideEffects.SideEffects<any>>, logger)),
      Effect.forkChild
    )
    yield* TestClock.adjust("11 seconds")
    yield* Fiber.join(fiber)
    return { most: seen.most, lines: lines.filter((line) => line.startsWith("WARN")) }
  })

  it.effect("concurrency takes the place of what the code says", () =>
    Effect.gen(function*() {
      const env = { SIDE_EFFECTS_CONCURRENCY: "3" }
      for (
        const dispatcher of [
          Dispatcher.inline(),
          Dispatcher.inline({ concurrency: 5 }),
          Dispatcher.background(),
          Dispatcher.background({ concurrency: 2 }),
          Dispatcher.route([["leaps:**", Dispatcher.inline()], ["**", Dispatcher.background()]]),
          SqlSideEffects.afterCommit(Dispatcher.background())
        ]
      ) {
        assert.deepStrictEqual(yield* most(env, dispatcher), { most: 3, lines: [] }, dispatcher.name)
      }
      assert.strictEqual((yield* most({}, Dispatcher.inline())).most, 1)
      assert.strictEqual((yield* most({}, Dispatcher.background({ concurrency: 2 }))).most, 2)
    }))

  it.effect("but not where the code wants the order", () =>
    Effect.gen(function*() {
      const routed = Dispatcher.route([["leaps:**", Dispatcher.background()], [
        "**",
        Dispatcher.inline({ concurrency: 1 })
      ]])
      const env = { SIDE_EFFECTS_CONCURRENCY: "3" }
      assert.deepStrictEqual(yield* most(env, routed), { most: 1, lines: [] })
      assert.deepStrictEqual(yield* most(env, routed, Leap), { most: 3, lines: [] })
      const alone = yield* most(env, Dispatcher.inline({ concurrency: 1 }))
      assert.deepStrictEqual(alone, {
        most: 1,
        lines: [
          "WARN SIDE_EFFECTS_CONCURRENCY changes nothing for group \"steps\": no dispatcher of its layer (inline) takes it " +
          "from there. Dispatcher.background takes all three, Dispatcher.inline the concurrency unless its code says 1, " +
          "which keeps the order."
        ]
      })
    }))

  it.effect("what no dispatcher takes is said", () =>
    Effect.gen(function*() {
      const env = { SIDE_EFFECTS_CAPACITY: "5", SIDE_EFFECTS_GRACE_PERIOD: "1 second" }
      const { lines } = yield* most(env, Dispatcher.inline())
      assert.match(lines[0]!, /^WARN SIDE_EFFECTS_CAPACITY and SIDE_EFFECTS_GRACE_PERIOD change nothing/)
      assert.deepStrictEqual((yield* most(env, Dispatcher.background())).lines, [])
    }))

  it.effect("capacity makes who releases more wait, and gracePeriod ends what is left", () =>
    Effect.gen(function*() {
      const { layer: logger, lines } = logs()
      const never = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        SideEffects.ConfigLayer(Steps, { dispatcher: Dispatcher.background() }).pipe(
          Layer.provide(Steps.toLayer({ "steps:go": () => Deferred.await(never), "leaps:go": () => Effect.void })),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
            SIDE_EFFECTS_CAPACITY: "2",
            SIDE_EFFECTS_GRACE_PERIOD: "7 Seconds"
          }))),
          Layer.provide(logger)
        ),
        scope
      )
      assert.include(lines[0]!, "SIDE_EFFECTS_CAPACITY=2; SIDE_EFFECTS_GRACE_PERIOD=7 Seconds")
      const release = (n: number) =>
        SideEffects.boundary(Effect.forEach(Array.from({ length: n }), (_, id) => SideEffects.enqueue(Step, { id })))
          .pipe(
            Effect.provideContext(context as Context.Context<any>)
          )
      yield* release(2)
      const third = yield* Effect.forkChild(release(1))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(third.pollUnsafe(), undefined)
      yield* Fiber.interrupt(third)
      const closing = yield* Effect.forkChild(Effect.provide(Scope.close(scope, Exit.void), logger))
      yield* TestClock.adjust("6999 millis")
      assert.strictEqual(closing.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
    }))
})

describe("the table in docs/configuration.md", () => {
  const page = readFileSync(join(import.meta.dirname, "..", "docs", "configuration.md"), "utf8")
  const rows = page.split("\n").filter((line) => line.startsWith("| `SIDE_EFFECTS_") && line.includes("0.1.0")).map(
    (line) => {
      const [, name = "", values = "", , readBy = ""] = line.split("|").map((cell) => cell.trim().replaceAll("`", ""))
      return { name, values, readBy }
    }
  )
  const names = (by: string) => rows.filter(({ readBy }) => readBy.includes(by)).map(({ name }) => name).toSorted()
  const worker = Outbox.layerWorkerConfig(Shop).pipe(Layer.provide(MemoryOutboxStore.layer))
  const readers = { ConfigLayer: SideEffects.ConfigLayer(Shop), layerWorkerConfig: worker }

  for (const [by, layer] of Object.entries<Layer.Layer<never, any, any>>(readers)) {
    it.effect(`has what ${by} asks for, and nothing else`, () =>
      Effect.gen(function*() {
        const asked = new Set<string>()
        const provider = ConfigProvider.make((path) => {
          if (path.length === 1) asked.add(String(path[0]))
          return Effect.succeed(undefined)
        })
        yield* Layer.build(
          layer.pipe(Layer.provide(handlers), Layer.provide(ConfigProvider.layer(provider))) as Layer.Layer<never>
        )
        assert.deepStrictEqual([...asked].toSorted(), names(by))
      }).pipe(Effect.scoped))
  }

  it.effect("has the switches that commands obey, which refuse what is no text", () =>
    Effect.gen(function*() {
      const switches = ["SIDE_EFFECTS_ALLOW_ONLY", "SIDE_EFFECTS_BLOCK", "SIDE_EFFECTS_MODE"]
      assert.deepStrictEqual(names("SideEffectsCommand"), switches)
      for (const name of switches) {
        const command = Command.make("go", {}, () => Effect.void).pipe(
          SideEffectsCommand.provide(Shop, SideEffects.ConfigLayer(Shop).pipe(Layer.provide(handlers)))
        )
        const exit = yield* Command.runWith(command, { version: "1.0.0" })(
          name === "SIDE_EFFECTS_MODE" ? [] : ["--dry-run"]
        ).pipe(
          Effect.provide(
            Layer.provideMerge(
              ConfigProvider.layer(ConfigProvider.fromUnknown({ [name]: { x: 1 } })),
              NodeServices.layer
            )
          ),
          Effect.exit
        )
        assert.include(message(exit), `${name} holds an object. It takes`)
      }
    }))

  it.effect("has everything that is known by name, and what it takes", () =>
    Effect.gen(function*() {
      const warned = logs()
      const strays = ConfigProvider.fromEnvRecord({ SIDE_EFFECTS_X: "1" })
      yield* Layer.build(
        SideEffects.ConfigLayer(Shop).pipe(
          Layer.provide(handlers),
          Layer.provide([ConfigProvider.layer(strays), warned.layer])
        )
      )
      const known = /one of (.*)\.$/.exec(warned.lines[0]!)![1]!.split(", ").map((name) => `SIDE_EFFECTS_${name}`)
      assert.deepStrictEqual(rows.map(({ name }) => name).toSorted(), known.toSorted())
      for (const { name, readBy, values } of rows) {
        if (name === "SIDE_EFFECTS_URL" || name === "SIDE_EFFECTS_OUTBOX_QUEUES") continue
        const wrong = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ [name]: "?" }))
        const layer: Layer.Layer<never, any, any> = readBy.includes("ConfigLayer") ? readers.ConfigLayer : worker
        const exit = yield* Effect.exit(
          Layer.build(layer.pipe(Layer.provide(handlers), Layer.provide(wrong)) as Layer.Layer<never>)
        )
        if (values.startsWith("patterns")) assert.include(message(exit), `${name}: Pattern "?" has an invalid segment`)
        else {assert.include(
            message(exit),
            `${name} is "?". It takes ${values.startsWith("a ") ? values : `one of ${values}`}`
          )}
      }
    }).pipe(Effect.scoped))

  it("has every variable that the source speaks of", () => {
    const src = join(import.meta.dirname, "..", "src")
    const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
    const spoken = files.flatMap((file) => readFileSync(join(src, file), "utf8").match(/SIDE_EFFECTS(_[A-Z]+)+/g) ?? [])
    const known = new Set(rows.map(({ name }) => name))
    assert.isAbove(spoken.length, 20)
    assert.deepStrictEqual([...new Set(spoken)].filter((name) => !known.has(name)), [])
  })
})
