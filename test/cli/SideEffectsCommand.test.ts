import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Console,
  Data,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Option,
  Path,
  Redacted,
  Runtime,
  Schema,
  Stdio,
  Terminal
} from "effect"
import { type Boundary, Dispatcher, Event, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsCommand } from "effect-side-effects/cli"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { Command, Flag, TerminalCapabilities } from "effect/cli"
import { ChildProcessSpawner } from "effect/process"
import { SqlClient } from "effect/sql"
import { TestConsole } from "effect/testing"
import { spawn } from "node:child_process"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { vi } from "vitest"

// Some start processes of their own, which takes its time where many others do, too.
vi.setConfig({ testTimeout: 60_000 })

const esc = String.fromCharCode(27)

class SendMail extends SideEffect.make("shop:mail:send", {
  description: "Email a customer.",
  payload: { order: Schema.Int, text: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("thanks"))) },
  idempotencyKey: ({ order }) => String(order)
}) {}

class Charge extends SideEffect.make("shop:card:charge", {
  description: "Charge a card.",
  payload: { card: Schema.Redacted(Schema.String), cents: Schema.BigInt }
}) {}

class Refresh extends SideEffect.make("shop:search:refresh", { description: "Refresh the search." }) {}

class OrderPaid extends Event.make("shop:order:paid", {
  description: "An order was paid.",
  payload: { order: Schema.Int }
}) {}

class Unknown extends SideEffect.make("elsewhere:do", { description: "Is in no group." }) {}

const Shop = SideEffectGroup.make("shop")
  .add(SendMail, Charge, Refresh)
  .on(OrderPaid, SendMail, ({ order }) => ({ order }))

class Declined extends Data.TaggedError("Declined")<{ readonly message: string }> {}

/** A live layer, and what it has done. */
const makeLive = (options: {
  readonly dispatcher?: Dispatcher.Dispatcher<true>
  readonly mail?: (order: number) => Effect.Effect<void, string>
} = {}) => {
  const done: Array<string> = []
  const seen: Array<Boundary.Report["intents"][number]> = []
  const handlers = Shop.toLayer({
    "shop:mail:send": ({ order }, { intent }) =>
      Effect.andThen(
        options.mail?.(order) ?? Effect.void,
        Effect.sync(() => {
          seen.push(intent as any)
          done.push(`mail ${order}`)
        })
      ),
    "shop:card:charge": () => Effect.sync(() => void done.push("charge")),
    "shop:search:refresh": () => Effect.sync(() => void done.push("refresh"))
  })
  const started = Layer.effectDiscard(
    Effect.acquireRelease(
      Effect.sync(() => void done.push("built")),
      () => Effect.sync(() => void done.push("closed"))
    )
  )
  const layer = SideEffects.LiveLayer(Shop, { dispatcher: options.dispatcher ?? Dispatcher.inline() }).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(started)
  )
  return { layer, done, seen }
}

const widerThan80 = (text: string) => text.split("\n").filter((line) => line.length > 80)

/** Runs a command line, and tells how it ended. */
const run = Effect.fnUntraced(function*(
  command: Command.Command<any, any, any, any, any>,
  args: string,
  env: Record<string, string> = {}
) {
  const before = { out: (yield* TestConsole.logLines).length, err: (yield* TestConsole.errorLines).length }
  const exit = yield* Effect.exit(
    Command.runWith(command, { version: "1.0.0" })(args.split(" ").filter((word) => word !== "")) as Effect.Effect<
      void,
      any
    >
  ).pipe(
    Effect.provide([
      FileSystem.layerNoop({}),
      Path.layer,
      Layer.succeed(
        Terminal.Terminal,
        Terminal.make({
          columns: Effect.succeed(80),
          rows: Effect.succeed(24),
          size: Effect.die("size"),
          readInput: Effect.die("readInput"),
          readLine: Effect.die("readLine"),
          display: () => Effect.void
        })
      ),
      Stdio.layerTest({}),
      Layer.succeed(TerminalCapabilities.TerminalCapabilities, {
        canColor: false,
        canAnimate: false,
        canPrompt: false
      }),
      Layer.succeed(ChildProcessSpawner.ChildProcessSpawner, ChildProcessSpawner.make(() => Effect.die("spawn"))),
      ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
    ])
  )
  let code = -1
  Runtime.defaultTeardown(exit, (n) => (code = n))
  const error = Option.getOrUndefined(Exit.findErrorOption(exit)) as Error | undefined
  return {
    code,
    exit,
    error,
    out: (yield* TestConsole.logLines).slice(before.out).join("\n"),
    err: (yield* TestConsole.errorLines).slice(before.err).join("\n").trim()
  }
})

const orders = Effect.gen(function*() {
  yield* SideEffects.emit(OrderPaid, { order: 1 })
  yield* SideEffects.enqueue(SendMail, { order: 2, text: "a\nb" })
  yield* SideEffects.enqueue(Charge, { card: Redacted.make("4242-4242"), cents: 1250n })
  yield* SideEffects.enqueue(Refresh)
  yield* Console.log("paid")
})

const foot = `
Only side effects are held back. What the command does besides, such as writing
to a database, it has done.`

describe("a dry run", () => {
  it.effect("prints what would have left, and builds nothing of what is live", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive()
      const pay = Command.make("pay", {}, () => orders).pipe(SideEffectsCommand.provide(Shop, layer))
      const ended = yield* run(pay, "--dry-run")
      assert.strictEqual(ended.code, 0)
      assert.strictEqual(ended.err, "")
      assert.strictEqual(
        ended.out,
        `paid
Dry run of pay: 4 side effects would have left. None did.

COUNT  SIDE EFFECT
    2  shop:mail:send
         {"order":1,"text":"thanks"}  from event shop:order:paid
         {"order":2,"text":"a\\nb"}
    1  shop:card:charge
         {"card":"<redacted>","cents":"1250n"}
    1  shop:search:refresh

COUNT  EVENT
    1  shop:order:paid
${foot}`
      )
      assert.deepStrictEqual(done, [])
    }))

  it.effect("prints no more than its limit, in 80 columns, with nothing a terminal would obey", () =>
    Effect.gen(function*() {
      const text = `${esc}[31m\u009b31m\u202e${"long ".repeat(30)}`
      const pay = Command.make("pay", {}, () =>
        Effect.forEach(
          [...Array(12).keys()],
          (order) => SideEffects.enqueue(SendMail, { order, text: order === 0 ? text : "" }, { origin: `\n${esc}` })
        )).pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      const { out } = yield* run(pay, "--dry-run")
      assert.deepStrictEqual(widerThan80(out), [])
      assert.notMatch(out, /[^\n\P{Cc}]|\p{Cf}/u)
      const lines = out.split("\n")
      assert.strictEqual(lines[3], "   12  shop:mail:send")
      assert.match(lines[4]!, /^ {9}\{"order":0,"text":"\\u001b\[31m\\x9b31m\\x202elong .*\.\.\. {2}from \\x1b$/)
      assert.strictEqual(lines[13], "         {\"order\":9,\"text\":\"\"}  from \\x1b")
      assert.strictEqual(lines[14], "         ... and 2 more")
      const smileys = Command.make(
        "pay",
        {},
        () => SideEffects.enqueue(SendMail, { order: 1, text: "\u{1f600}".repeat(99) })
      )
        .pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      const odd = Command.make(
        "pay",
        {},
        () => SideEffects.enqueue(SendMail, { order: 10, text: "\u{1f600}".repeat(99) })
      )
        .pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      for (const command of [smileys, odd]) assert.isTrue((yield* run(command, "--dry-run")).out.isWellFormed())
      const few = Command.make("pay", {}, () => SideEffects.enqueue(SendMail, { order: 1 })).pipe(
        SideEffectsCommand.provide(Shop, makeLive().layer, { limit: 0 })
      )
      assert.include((yield* run(few, "--dry-run")).out, "    1  shop:mail:send\n         ... and 1 more\n")
    }))

  it.effect("says what stays in, and why", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () =>
        Effect.gen(function*() {
          yield* SideEffects.enqueue(SendMail, { order: 1 })
          yield* SideEffects.enqueue(SendMail, { order: 1 })
          yield* SideEffects.enqueue(Refresh)
          yield* Effect.ignore(SideEffects.boundary(
            Effect.gen(function*() {
              yield* SideEffects.emit(OrderPaid, { order: 5 })
              yield* SideEffects.enqueue(SendMail, { order: 6 })
              return yield* new Declined({ message: "the card was declined" })
            }),
            { name: "order 5" }
          ))
        })).pipe(
          SideEffectsCommand.provide(Shop, makeLive().layer, {
            policy: Policy.all(Policy.dedupe(), Policy.block(Refresh))
          })
        )
      const { code, out } = yield* run(pay, "--dry-run")
      assert.strictEqual(code, 0)
      assert.strictEqual(
        out,
        `Dry run of pay: 1 side effect would have left. None did.

COUNT  SIDE EFFECT
    1  shop:mail:send
         {"order":1,"text":"thanks"}

COUNT  KEPT IN
    3  shop:mail:send
         discarded: boundary "order 5" failed with Declined: the card was
           declined (2 times)
         deduplicated by policy dedupe
    1  shop:search:refresh
         dropped by policy block("shop:search:refresh"): it is blocked
    1  event shop:order:paid
         discarded: boundary "order 5" failed with Declined: the card was
           declined
${foot}`
      )
    }))

  it.effect("says when nothing would have left", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () => Effect.void).pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      const { code, out } = yield* run(pay, "--dry-run")
      assert.deepStrictEqual([code, out], [0, `Dry run of pay: no side effect would have left.\n${foot}`])
    }))

  it.effect("fails as the command fails, after it has said what would have been discarded", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () =>
        Effect.andThen(
          SideEffects.enqueue(SendMail, { order: 1 }),
          Effect.fail(new Declined({ message: "no money" }))
        )).pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      const { code, error, out } = yield* run(pay, "--dry-run")
      assert.strictEqual(code, 1)
      assert.instanceOf(error, Declined)
      assert.strictEqual(
        out,
        `Dry run of pay: it failed with Declined: no money, so nothing would have left.

COUNT  KEPT IN
    1  shop:mail:send
         discarded: boundary "command pay" failed with Declined: no money
${foot}`
      )
    }))

  it.effect("refuses what the group does not have, as live does", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () => SideEffects.enqueue(Unknown)).pipe(
        SideEffectsCommand.provide(Shop, makeLive().layer)
      )
      const { code, out } = yield* run(pay, "--dry-run")
      assert.strictEqual(code, 1)
      assert.include(out.replace(/\s+/g, " "), "Side effect \"elsewhere:do\" is not in group \"shop\"")
    }))

  it.effect("in a transaction that is rolled back leaves the database as it was", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE paid (id INTEGER)`
      const count = Effect.map(sql<{ n: number }>`SELECT count(*) AS n FROM paid`, (rows) => rows[0]!.n)
      const rolledBack = <A, E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.exit(self).pipe(
          Effect.flatMap((exit) => Effect.fail({ exit })),
          sql.withTransaction,
          Effect.catchIf((error) => "exit" in error, ({ exit }) => exit)
        )
      const handler = () =>
        Effect.gen(function*() {
          yield* sql`INSERT INTO paid VALUES (1)`
          yield* SideEffects.enqueue(SendMail, { order: yield* count })
        })
      const { done, layer } = makeLive()
      const make = (options?: { readonly around: typeof rolledBack }) =>
        Command.make("pay", {}, handler).pipe(SideEffectsCommand.provide(Shop, layer, options))
      const rolled = yield* run(make({ around: rolledBack }), "--dry-run")
      assert.deepStrictEqual([rolled.code, yield* count], [0, 0])
      assert.include(rolled.out, "{\"order\":1,\"text\":\"thanks\"}")
      assert.notInclude(rolled.out, "Only side effects")
      const kept = yield* run(make(), "--dry-run")
      assert.deepStrictEqual([kept.code, yield* count], [0, 1])
      assert.include(kept.out, "Only side effects")
      // And it is of no matter to a run that is not dry.
      yield* run(make({ around: rolledBack }), "")
      assert.strictEqual(yield* count, 2)
      assert.deepStrictEqual(done, ["built", "mail 2", "closed"])
      // A command with transactions of its own, of which one fails.
      const inner = Command.make("inner", {}, () =>
        Effect.gen(function*() {
          yield* SqlSideEffects.transaction(handler())
          yield* Effect.ignore(SqlSideEffects.transaction(Effect.andThen(handler(), Effect.fail("no"))))
        })).pipe(SideEffectsCommand.provide(Shop, layer, { around: rolledBack }))
      const nested = yield* run(inner, "--dry-run")
      assert.deepStrictEqual([nested.code, yield* count], [0, 2])
      assert.include(
        nested.out,
        "    1  shop:mail:send\n         {\"order\":3,\"text\":\"thanks\"}\n\nCOUNT  KEPT IN\n    1  shop"
      )
    }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }))))

  it.effect("of a hundred thousand side effects prints as little as one of eleven", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () =>
        Effect.forEach(Array(100_000), (_, order) =>
          SideEffects.enqueue(SendMail, { order }, { origin: `row ${order}` }), { discard: true })).pipe(
          SideEffectsCommand.provide(Shop, makeLive().layer)
        )
      const { out } = yield* run(pay, "--dry-run")
      assert.strictEqual(out.split("\n").length, 18)
      assert.include(out, "100000  shop:mail:send")
      assert.include(out, "... and 99990 more")
    }))

  it.effect("that is interrupted says so", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const pay = Command.make("pay", {}, () =>
        SideEffects.enqueue(SendMail, { order: 1 }).pipe(
          Effect.andThen(Deferred.succeed(reached, undefined)),
          Effect.andThen(Effect.never)
        )).pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      const fiber = yield* Effect.forkChild(run(pay, "--dry-run"))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        "Interrupted. The dry run had come to 1 side effect; none has left."
      ])
      assert.deepStrictEqual(yield* TestConsole.logLines, [])
    }))
})

describe("live", () => {
  it.effect("is a boundary per run, with name and origin, released when the handler has succeeded", () =>
    Effect.gen(function*() {
      const { done, layer, seen } = makeLive()
      const names: Array<string | undefined> = []
      const pay = Command.make("pay", { order: Flag.Int("order") }, ({ order }) =>
        Effect.gen(function*() {
          yield* SideEffects.enqueue(SendMail, { order })
          yield* Effect.sync(() => void done.push("handled"))
          names.push(...(yield* SideEffects.intents).map(({ name }) => name))
        })).pipe(SideEffectsCommand.provide(Shop, layer))
      assert.deepInclude(yield* run(pay, "--order 1"), { code: 0, out: "", err: "" })
      assert.deepInclude(yield* run(pay, "--order 2"), { code: 0, out: "", err: "" })
      assert.deepStrictEqual(done, ["built", "handled", "mail 1", "closed", "built", "handled", "mail 2", "closed"])
      assert.deepStrictEqual(names, ["shop:mail:send", "shop:mail:send"])
      assert.deepStrictEqual(seen.map(({ origin }) => origin), ["command pay", "command pay"])
    }))

  it.effect("discards when the handler fails, and says so", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive()
      const pay = Command.make("pay", {}, () => Effect.andThen(orders, Effect.fail(new Declined({ message: "no" }))))
        .pipe(SideEffectsCommand.provide(Shop, layer))
      const { code, err, error } = yield* run(pay, "")
      assert.strictEqual(code, 1)
      assert.instanceOf(error, Declined)
      assert.strictEqual(
        err,
        `The command failed, so 4 side effects were discarded: shop:mail:send ×2,
shop:card:charge ×1, shop:search:refresh ×1.`
      )
      assert.deepStrictEqual(done, ["built", "closed"])
    }))

  it.effect("waits for the background before the command ends", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive({ dispatcher: Dispatcher.background(), mail: () => Effect.yieldNow })
      const pay = Command.make("pay", {}, () => SideEffects.enqueue(SendMail, { order: 1 })).pipe(
        SideEffectsCommand.provide(Shop, layer)
      )
      assert.deepInclude(yield* run(pay, ""), { code: 0, err: "" })
      assert.deepStrictEqual(done, ["built", "mail 1", "closed"])
    }))

  for (
    const [name, dispatcher] of [["inline", Dispatcher.inline()], ["background", Dispatcher.background()]] as const
  ) {
    it.effect(`a side effect that fails ${name} fails the command with abortOnError, and only with that`, () =>
      Effect.gen(function*() {
        const { done, layer } = makeLive({ dispatcher, mail: (order) => order === 1 ? Effect.fail("no") : Effect.void })
        const make = (abortOnError?: boolean) =>
          Command.make("pay", {}, () => orders).pipe(SideEffectsCommand.provide(Shop, layer, { abortOnError }))
        const lenient = yield* run(make(), "")
        assert.deepInclude(lenient, { code: 0, err: "1 side effect failed: shop:mail:send ×1." })
        const strict = yield* run(make(true), "")
        assert.deepInclude(strict, {
          code: 1,
          err: "ERROR\n  1 of 4 side effects failed:\n  - shop:mail:send: \"no\""
        })
        assert.instanceOf(strict.error, SideEffects.DispatchError)
        // The others have left all the same.
        assert.deepStrictEqual(done.toSorted(), [
          "built",
          "built",
          "charge",
          "charge",
          "closed",
          "closed",
          "mail 2",
          "mail 2",
          "refresh",
          "refresh"
        ])
      }))
  }

  it.effect("counts what was discarded where the layer cannot be listened to, too", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () => Effect.andThen(orders, Effect.fail("no"))).pipe(
        SideEffectsCommand.provide(Shop, SideEffects.TestLayerFor(Shop))
      )
      assert.include((yield* run(pay, "")).err, "so 4 side effects were discarded")
    }))

  it.effect("interrupted, counts what the boundaries inside have discarded, too", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive()
      const reached = yield* Deferred.make<void>()
      const pay = Command.make("pay", {}, () =>
        Effect.andThen(
          SideEffects.enqueue(SendMail, { order: 1 }),
          SideEffects.boundary(
            SideEffects.enqueue(SendMail, { order: 2 }).pipe(
              Effect.andThen(Deferred.succeed(reached, undefined)),
              Effect.andThen(Effect.never)
            )
          )
        )).pipe(SideEffectsCommand.provide(Shop, layer))
      const fiber = yield* Effect.forkChild(run(pay, ""))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        "Interrupted, so 2 side effects were discarded: shop:mail:send ×2."
      ])
      assert.deepStrictEqual(done, ["built", "closed"])
    }))

  it.effect("interrupted while it releases, finishes that and says so", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const { done, layer } = makeLive({
        mail: () => Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(go))
      })
      const pay = Command.make("pay", {}, () => orders).pipe(SideEffectsCommand.provide(Shop, layer))
      const fiber = yield* Effect.forkChild(run(pay, ""))
      yield* Deferred.await(reached)
      const ending = yield* Effect.forkChild(Fiber.interrupt(fiber))
      const waiting = "Interrupted, but side effects are being performed. That is finished first."
      while ((yield* TestConsole.errorLines).length === 0) yield* Effect.yieldNow
      assert.deepStrictEqual(yield* TestConsole.errorLines, [waiting])
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(ending)
      assert.deepStrictEqual(done, ["built", "mail 1", "mail 2", "charge", "refresh", "closed"])
      assert.deepStrictEqual(yield* TestConsole.errorLines, [
        waiting,
        `Interrupted. No side effect was discarded.
4 side effects were dispatched: shop:mail:send ×2, shop:card:charge ×1,
shop:search:refresh ×1.`
      ])
    }))
})

describe("the mode", () => {
  const make = (options?: SideEffectsCommand.Options<false>) => {
    const live = makeLive()
    return {
      ...live,
      pay: Command.make("pay", {}, () => orders).pipe(SideEffectsCommand.provide(Shop, live.layer, options))
    }
  }

  it.effect("drop lets nothing leave, and says how much", () =>
    Effect.gen(function*() {
      const { done, pay } = make()
      assert.deepInclude(yield* run(pay, "--side-effects drop"), {
        code: 0,
        out: "paid",
        err: `As --side-effects drop says, 4 side effects were dropped: shop:mail:send ×2,
shop:card:charge ×1, shop:search:refresh ×1.`
      })
      assert.deepStrictEqual(done, [])
    }))

  it.effect("record lets nothing leave, and says how much would have", () =>
    Effect.gen(function*() {
      const { done, pay } = make({ policy: Policy.block(SendMail) })
      assert.deepInclude(yield* run(pay, "", { SIDE_EFFECTS_MODE: "record" }), {
        code: 0,
        out: "paid",
        err: `As SIDE_EFFECTS_MODE=record says, 2 side effects were held back:
shop:card:charge ×1, shop:search:refresh ×1.`
      })
      assert.deepStrictEqual(done, [])
    }))

  it.effect("drop says what a command that fails has discarded", () =>
    Effect.gen(function*() {
      const pay = Command.make("pay", {}, () => Effect.andThen(SideEffects.enqueue(Refresh), Effect.fail("no"))).pipe(
        SideEffectsCommand.provide(Shop, makeLive().layer)
      )
      assert.deepInclude(yield* run(pay, "--side-effects drop"), {
        code: 1,
        err: `As --side-effects drop says, 0 side effects were dropped.
The command failed, so 1 side effect was discarded: shop:search:refresh ×1.`
      })
    }))

  it.effect("assert-none ends at the first, with one sentence and exit code 1", () =>
    Effect.gen(function*() {
      const { done, pay } = make()
      const ended = yield* run(pay, "--side-effects assert-none")
      assert.instanceOf(ended.error, SideEffectsCommand.Violated)
      assert.deepInclude(ended, {
        code: 1,
        out: "",
        err: "ERROR\n  Event \"shop:order:paid\" was emitted, and --side-effects assert-none allows none."
      })
      assert.deepStrictEqual(done, [])
      const pure = Command.make("pay", {}, () => Console.log("pure")).pipe(
        SideEffectsCommand.provide(Shop, makeLive().layer)
      )
      assert.deepInclude(yield* run(pure, "--side-effects assert-none"), { code: 0, out: "pure", err: "" })
    }))

  it.effect("assert-none notices what the command swallows", () =>
    Effect.gen(function*() {
      const sly = Command.make("sly", {}, () => Effect.catchDefect(SideEffects.enqueue(Refresh), () => Effect.void))
        .pipe(SideEffectsCommand.provide(Shop, makeLive().layer))
      assert.deepInclude(yield* run(sly, "", { SIDE_EFFECTS_MODE: "assert-none" }), {
        code: 1,
        err: "ERROR\n  Side effect \"shop:search:refresh\" was enqueued, and SIDE_EFFECTS_MODE=assert-none allows none."
      })
    }))

  it.effect("is what the flag says, else the environment, else the default", () =>
    Effect.gen(function*() {
      const { done, pay } = make({ default: "drop" })
      const drop = { SIDE_EFFECTS_MODE: "drop" }
      assert.include((yield* run(pay, "")).err, "As the default, drop, says, 4 side effects were dropped")
      assert.include((yield* run(pay, "", { SIDE_EFFECTS_MODE: " Record " })).err, "held back")
      assert.strictEqual((yield* run(pay, "", { SIDE_EFFECTS_MODE: "ASSERT_NONE" })).code, 1)
      assert.include((yield* run(pay, "--dry-run", { SIDE_EFFECTS_MODE: "live" })).out, "Dry run of pay")
      assert.include((yield* run(pay, "", { SIDE_EFFECTS_MODE: "" })).err, "As the default, drop, says")
      assert.deepStrictEqual(done, [])
      yield* run(pay, "--side-effects live", drop)
      assert.strictEqual(done.length, 6)
    }))

  it.effect("may be a dry run by default, which says how to leave it", () =>
    Effect.gen(function*() {
      const { done, pay } = make({ default: "dry-run" })
      const { out } = yield* run(pay, "")
      assert.isTrue(out.endsWith("it has done.\nTo let them leave: --side-effects live"))
      assert.notInclude((yield* run(pay, "--dry-run")).out, "To let them leave")
      assert.deepStrictEqual(done, [])
    }))

  it.effect("is refused with a sentence where it is wrong, or said twice", () =>
    Effect.gen(function*() {
      const { done, pay } = make()
      const wrong = yield* run(pay, "", { SIDE_EFFECTS_MODE: "of" })
      assert.instanceOf(wrong.error, SideEffectsCommand.CommandError)
      assert.deepInclude(wrong, {
        code: 2,
        out: "",
        err:
          "ERROR\n  SIDE_EFFECTS_MODE is \"of\". It takes live, drop, assert-none or record; left out, it is live for " +
          "this command."
      })
      const twice = yield* run(pay, "--dry-run --side-effects live")
      assert.strictEqual(twice.code, 2)
      assert.include(twice.err, "--side-effects live cannot be said besides")
      const unknown = yield* run(pay, "--side-effects of")
      assert.strictEqual(unknown.code, 1)
      assert.match(unknown.err, /of.*live.*drop.*assert-none.*record/s)
      const block = yield* run(pay, "", { SIDE_EFFECTS_BLOCK: "shop:sms:*" })
      assert.strictEqual(block.code, 2)
      const two = yield* run(pay, "--dry-run", { SIDE_EFFECTS_BLOCK: "shop:sms:*", SIDE_EFFECTS_CONCURRENCY: "0" })
      assert.match(
        two.err,
        /^ERROR\n {2}Configuration of group "[a-z]+": 2 settings are wrong:\n {2}- .*\n {2}- SIDE_EFFECTS_CONCURRENCY is "0"/
      )
      assert.match(block.err, /^ERROR\n {2}[^\n]*shop:sms:\*[^\n]* shop:mail:send/)
      assert.deepStrictEqual(done, [])
    }))

  it.effect("wins over what a ConfigLayer would read", () =>
    Effect.gen(function*() {
      const sent: Array<number> = []
      const layer = SideEffects.ConfigLayer(SideEffectGroup.make("mail").add(SendMail)).pipe(
        Layer.provide(SendMail.toLayer(({ order }) => Effect.sync(() => void sent.push(order))))
      )
      const group = SideEffectGroup.make("mail").add(SendMail)
      const pay = Command.make("pay", {}, () => SideEffects.enqueue(SendMail, { order: 1 })).pipe(
        SideEffectsCommand.provide(group, layer)
      )
      yield* run(pay, "--side-effects live", { SIDE_EFFECTS_MODE: "drop" })
      assert.deepStrictEqual(sent, [1])
    }))

  it.effect("leaves SIDE_EFFECTS_BLOCK in force, whatever it is", () =>
    Effect.gen(function*() {
      const { done, pay } = make()
      const block = { SIDE_EFFECTS_BLOCK: "shop:mail:*, shop:card:*" }
      assert.include(
        (yield* run(pay, "", block)).err,
        "3 side effects were kept in: shop:mail:send ×2, shop:card:charge ×1."
      )
      assert.deepStrictEqual(done, ["built", "refresh", "closed"])
      assert.match(
        (yield* run(pay, "--dry-run", block)).out,
        /: 1 side effect would.*KEPT IN\n {4}2 {2}shop:mail:send/s
      )
      assert.include((yield* run(pay, "--side-effects record", block)).err, "1 side effect was held back")
      const only = yield* run(pay, "--dry-run", { SIDE_EFFECTS_ALLOW_ONLY: "shop:card:*", SIDE_EFFECTS_CAPACITY: "5" })
      assert.match(only.out, /^paid\nDry run of pay: 1 side effect would.*\n\nCOUNT .*\n {4}1 {2}shop:card:charge\n/)
      assert.include((yield* run(pay, "--side-effects drop", block)).err, "4 side effects were dropped")
    }))
})

describe("the wrapper", () => {
  const pay = Command.make("pay", {}, () => orders)
  const refund = Command.make(
    "refund",
    { fast: Flag.Boolean("fast").pipe(Flag.withDefault(false)) },
    () => SideEffects.enqueue(Refresh)
  )

  it.effect("holds for all subcommands, wherever the flag stands", () =>
    Effect.gen(function*() {
      const { done, layer, seen } = makeLive()
      const group = Command.make("orders").pipe(Command.withSubcommands([pay, refund]))
      const shop = Command.make("shop").pipe(
        Command.withSubcommands([group]),
        SideEffectsCommand.provide(Shop, layer)
      )
      for (const args of ["--dry-run orders pay", "orders --dry-run pay", "orders pay --dry-run"]) {
        assert.include((yield* run(shop, args)).out, "Dry run of shop orders pay: 4 side effects")
      }
      assert.include((yield* run(shop, "orders refund --fast --dry-run")).out, "shop:search:refresh")
      assert.deepStrictEqual(done, [])
      yield* run(shop, "orders pay")
      assert.strictEqual(seen[1]!.origin, "command shop orders pay")
      const { out } = yield* run(shop, "orders pay --help")
      assert.include(out, "--dry-run")
      assert.include(out, "(choices: live, drop, assert-none, record)")
    }))

  it.effect("is also for one subcommand, and then its flags are", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive()
      const list = Command.make("list", {}, () => Console.log("listed"))
      const provided = SideEffectsCommand.provide(Shop, layer)
      const shop = Command.make("shop").pipe(Command.withSubcommands([provided(pay), provided(refund), list]))
      assert.include((yield* run(shop, "--dry-run pay")).out, "Dry run of shop pay: 4 side effects")
      assert.include((yield* run(shop, "refund --dry-run")).out, "Dry run of shop refund: 1 side effect")
      const refused = yield* run(shop, "list --dry-run")
      assert.strictEqual(refused.code, 1)
      assert.include(refused.err, "--dry-run")
      assert.notInclude(refused.out, "listed")
      // Help for one that does nothing itself needs nothing that is live.
      yield* run(shop, "")
      assert.deepStrictEqual(done, [])
    }))

  it.effect("builds what is live before a command that does nothing itself shows its help", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive()
      const shop = Command.make("shop").pipe(Command.withSubcommands([pay]), SideEffectsCommand.provide(Shop, layer))
      assert.include((yield* run(shop, "")).out, "USAGE")
      assert.deepStrictEqual(done, ["built", "closed"])
      yield* run(shop, "--help")
      assert.strictEqual(done.length, 2)
    }))

  it.effect("has nothing to say when help is all that was asked for", () =>
    Effect.gen(function*() {
      const shop = Command.make("shop").pipe(
        Command.withSubcommands([pay]),
        SideEffectsCommand.provide(Shop, makeLive().layer)
      )
      for (const args of ["", "--dry-run", "--side-effects drop", "--side-effects live"]) {
        const { err, out } = yield* run(shop, args)
        assert.include(out, "USAGE")
        assert.strictEqual(err, "")
        assert.notInclude(out, "Dry run of")
      }
    }))

  it.effect("takes the command first, too", () =>
    Effect.gen(function*() {
      const command = SideEffectsCommand.provide(pay, Shop, makeLive().layer)
      assert.include((yield* run(command, "--dry-run")).out, "Dry run of pay: 4 side effects")
    }))

  it("refuses a command that has a flag of that name, with its path", () => {
    const own = Flag.Boolean("dry-run").pipe(Flag.withDescription("mine"), Flag.withDefault(false))
    const mine = Command.make("mine", { deep: { own } }, () => Effect.void)
    const shop = Command.make("shop").pipe(Command.withSubcommands([mine]))
    const shared = Command.make("mine", {}, () => Effect.void).pipe(
      Command.withSharedFlags({ mode: Flag.optional(Flag.String("side-effects")) })
    )
    const { layer } = makeLive()
    const message = (name: string, flag: string) =>
      `Command "${name}" has a flag --${flag} of its own, and SideEffectsCommand.provide adds one of that name. Rename ` +
      "the command's, or remove it."
    assert.throws(() => SideEffectsCommand.provide(mine, Shop, layer), message("mine", "dry-run"))
    assert.throws(() => SideEffectsCommand.provide(shop, Shop, layer), message("shop mine", "dry-run"))
    assert.throws(() => SideEffectsCommand.provide(shared, Shop, layer), message("mine", "side-effects"))
  })

  it("refuses to do it twice", () => {
    const provided = SideEffectsCommand.provide(Shop, makeLive().layer)
    assert.throws(() => provided(provided(pay)), "Command \"pay\" has been given its side effects already")
    const shop = Command.make("shop").pipe(Command.withSubcommands([provided(pay)]))
    assert.throws(() => provided(shop), "Command \"shop pay\" has been given its side effects already")
  })

  it.effect("does not let subcommands pass that it does not know", () =>
    Effect.gen(function*() {
      const { done, layer } = makeLive()
      const sends = Command.make("send", {}, () => Effect.sync(() => void done.push("sent")))
      const shop = Command.make("shop").pipe(
        SideEffectsCommand.provide(Shop, layer),
        Command.withSubcommands([sends])
      )
      const { code, exit } = yield* run(shop, "send --dry-run")
      assert.strictEqual(code, 1)
      assert.include(String((exit as any).cause), "Put Command.withSubcommands before it.")
      assert.deepStrictEqual(done, [])
    }))

  it("says when it does not know the commands of effect", () => {
    const foreign = Object.assign(Object.create(Object.getPrototypeOf(pay)), pay, { handle: undefined })
    assert.throws(() => SideEffectsCommand.provide(foreign, Shop, makeLive().layer), "It was made for effect 4.1.")
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// Processes
// ---------------------------------------------------------------------------------------------------------------------

const fixture = join(import.meta.dirname, "fixtures", "command-shop.ts")

/** Starts the shop as a process. `signals` are sent when it has printed the text beside them. */
const start = (
  args: string,
  signals: ReadonlyArray<readonly [after: string, signal: NodeJS.Signals]> = [],
  env: NodeJS.ProcessEnv = {}
) =>
  new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((resolve) => {
    const child = spawn(process.execPath, [fixture, ...args.split(" ")], {
      env: {
        PATH: process.env["PATH"],
        NODE_COMPILE_CACHE: join(tmpdir(), "side-effects-cache"),
        SMTP_URL: "smtp://mail",
        ...env
      }
    })
    const texts = { out: "", err: "" }
    const left = [...signals]
    const more = (where: "out" | "err") => (chunk: Buffer) => {
      texts[where] += chunk.toString()
      while (left.length > 0 && (texts.out + texts.err).includes(left[0]![0])) child.kill(left.shift()![1])
    }
    child.stdout.on("data", more("out"))
    child.stderr.on("data", more("err"))
    child.on("close", (code) => resolve({ code, ...texts }))
  })

describe("a process", () => {
  it("runs dry without credentials, in 80 columns and into a pipe", async () => {
    const env = { SMTP_URL: undefined }
    const { code, err, out } = await start("backfill 1 2 7 --dry-run", [], env)
    assert.deepStrictEqual([code, err, widerThan80(out)], [0, "", []])
    assert.isTrue(
      out.startsWith(`skipped: the card of order 7 was declined
settled 3
Dry run of shop backfill: 5 side effects would have left. None did.

COUNT  SIDE EFFECT
    2  shop:warehouse:notify
         {"order":1}  from event shop:order:paid
`)
    )
    assert.strictEqual((await start("backfill 1", [], env)).code, 1)
    assert.include(out, "\"token\":\"<redacted>\"")
    assert.notInclude(out, "s3cret")
  })

  it("lets side effects leave when the command has ended well, and none when not", async () => {
    const [paid, declined] = await Promise.all([start("pay 1"), start("pay 7")])
    assert.deepStrictEqual(
      [paid.code, paid.err, paid.out],
      [0, "", "connected to smtp://mail\ntold the warehouse of 1\nmailing 1\nmailed 1\n"]
    )
    assert.strictEqual(declined.code, 1)
    assert.isTrue(declined.out.startsWith("connected to smtp://mail\n["))
    assert.deepStrictEqual(widerThan80(declined.err), [])
    assert.match(declined.err, /^The command failed, so 2 side effects were discarded: shop:warehouse:notify ×1,\n/)
  })

  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 130]] as const) {
    it(`discards at ${signal}, and says how much`, async () => {
      const ended = await start("backfill 1 2 --wait", [["settled 2", signal]])
      assert.deepStrictEqual(ended, {
        code,
        out: "connected to smtp://mail\nsettled 2\n",
        err: "Interrupted, so 5 side effects were discarded: shop:warehouse:notify ×2,\n" +
          "shop:mail:send ×2, shop:search:refresh ×1.\n"
      })
    })
  }

  it("finishes what it releases at SIGINT, once and again", async () => {
    const ended = await start("backfill 99", [["mailing 99", "SIGINT"], ["Interrupted, but", "SIGINT"]])
    assert.deepStrictEqual(ended, {
      code: 130,
      out:
        "connected to smtp://mail\nsettled 1\ntold the warehouse of 99\nmailing 99\nmailed 99\nrefreshed the search\n",
      err: "Interrupted, but side effects are being performed. That is finished first.\n" +
        "Interrupted. No side effect was discarded.\n" +
        "3 side effects were dispatched: shop:warehouse:notify ×1, shop:mail:send ×1,\nshop:search:refresh ×1.\n"
    })
  })

  it("finishes what the background has begun at SIGINT", async () => {
    const ended = await start("99", [["mailing 99", "SIGINT"]], { COMMAND: "later" })
    assert.strictEqual(ended.code, 130)
    assert.include(ended.out, "mailed 99")
    assert.deepStrictEqual(ended.err.split("\n").slice(0, 2), [
      "Interrupted, but side effects are being performed. That is finished first.",
      "Interrupted. No side effect was discarded."
    ])
  })

  it("says at SIGINT how far a dry run had come", async () => {
    const ended = await start("backfill 1 --wait --dry-run", [["settled 1", "SIGINT"]])
    assert.deepStrictEqual(ended, {
      code: 130,
      out: "settled 1\n",
      err: "Interrupted. The dry run had come to 3 side effects; none has left.\n"
    })
  })

  it("fails with abortOnError when a side effect has failed, inline and in the background", async () => {
    const [strict, later] = await Promise.all([
      start("13 14", [], { COMMAND: "strict" }),
      start("13", [], { COMMAND: "later" })
    ])
    for (const { code, err } of [strict, later]) {
      assert.strictEqual(code, 1)
      assert.match(err, /^\nERROR\n {2}1 of [14] side effects? failed:\n {2}- shop:mail:send: "no such mailbox"\n$/)
    }
  })
})
