/**
 * Configuration: what a deployer turns without a release.
 *
 * `SideEffects.ConfigLayer` and `Outbox.layerWorkerConfig` read it from Effect's `ConfigProvider` when they are built, by
 * default from the environment. docs/configuration.md has the table of everything there is.
 *
 * This file runs the same program with several environments.
 */
import { Cause, ConfigProvider, Console, Effect, Layer, Logger, Schedule, Schema } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox } from "effect-side-effects/outbox"

class SendMail extends SideEffect.make("shop:mail:send", {
  description: "Email a customer.",
  payload: { to: Schema.String }
}) {}

class CallWarehouse extends SideEffect.make("shop:warehouse:call", {
  description: "Tell the warehouse what to pack.",
  payload: { order: Schema.String }
}) {}

const Shop = SideEffectGroup.make("shop").add(SendMail, CallWarehouse)

let running = 0
let most = 0

// It takes a while, so that several run at once where they may.
const perform = (what: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      most = Math.max(most, ++running)
    }),
    () => Effect.andThen(Effect.sleep("5 millis"), Console.log(`  -> ${what}`)),
    () => Effect.sync(() => running--)
  )

const Handlers = Shop.toLayer({
  "shop:mail:send": ({ to }) => perform(`mail to ${to}`),
  "shop:warehouse:call": ({ order }) => perform(`warehouse called for ${order}`)
})

const checkout = SideEffects.boundary(SideEffects.enqueueAll([
  [CallWarehouse, { order: "A-1" }],
  [SendMail, { to: "ada@example.org" }]
]))

type Env = Record<string, string>

const withEnv = (env: Env) => Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const title = (env: Env) =>
  Console.log(Object.entries(env).map(([key, value]) => `${key}=${value}`).join("\n") || "nothing is set")

// -- in the process that serves requests --

// The numbers in the code are what counts where the deployer says nothing.
const Live = SideEffects.ConfigLayer(Shop, { dispatcher: Dispatcher.background({ concurrency: 8 }) })

const serve = (env: Env) =>
  Effect.gen(function*() {
    most = 0
    yield* title(env)
    yield* Effect.andThen(checkout, SideEffects.drain).pipe(
      Effect.andThen(Effect.suspend(() => Console.log(`  at most ${most} at once`))),
      Effect.provide(Live.pipe(Layer.provide(Handlers))),
      Effect.catchCause((cause) => Console.log(wrap(`  ! ${(Cause.squash(cause) as Error).message}`))),
      withEnv(env)
    )
  })

// -- in the process that performs what is in the outbox --

const Writing = SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() })
const Worker = Outbox.layerWorkerConfig(Shop, { pollInterval: "10 millis" }).pipe(Layer.provide(Handlers))

const untilDone = Effect.flatMap(
  Outbox.Outbox,
  (outbox) =>
    outbox.count({ states: ["done"], names: [CallWarehouse._tag] }).pipe(
      Effect.repeat({ until: (done) => done > 0, schedule: Schedule.spaced("5 millis") })
    )
)

const backlog = Effect.gen(function*() {
  yield* checkout
  const blocked = { SIDE_EFFECTS_BLOCK: "shop:mail:**", SIDE_EFFECTS_OUTBOX_CONCURRENCY: "2" }
  yield* title(blocked)
  yield* untilDone.pipe(Effect.provide(Worker), withEnv(blocked))
  yield* Console.log("nothing is set, after a restart")
  yield* SideEffects.drain.pipe(Effect.provide(Worker), withEnv({}))
}).pipe(Effect.provide(Layer.mergeAll(Writing, Outbox.layer(Shop)).pipe(Layer.provideMerge(MemoryOutboxStore.layer))))

// For the terminal: lines of at most 78 characters.
const wrap = (text: string) =>
  text.split("\n").map((line) => line.replace(/(.{1,74})( |$)/g, "$1\n    ").trimEnd()).join("\n  ")
const PlainLog = Logger.layer([
  Logger.withConsoleLog(Logger.make(({ logLevel, message }) => wrap(`  ${logLevel.toLowerCase()}: ${message}`)))
])

export const program = Effect.gen(function*() {
  yield* serve({})
  yield* serve({ SIDE_EFFECTS_CONCURRENCY: "1", SIDE_EFFECTS_GRACE_PERIOD: "5 seconds" })
  yield* serve({ SIDE_EFFECTS_ALLOW_ONLY: "*:warehouse:*" })
  yield* serve({ SIDE_EFFECTS_MODE: "off", SIDE_EFFECTS_CONCURRENCY: "none", SIDE_EFFECTS_GRACE_PERIOD: "5s" })
  yield* serve({ SIDE_EFFECTS_BLOK: "**" })
  yield* Console.log("\nand the outbox:")
  yield* backlog
}).pipe(Effect.provide(PlainLog))

if (import.meta.main) Effect.runPromise(program)
