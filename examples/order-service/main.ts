/**
 * One program, one order file, and a choice of what may leave: `npm run demo`, or with a choice
 * `npm run demo -- --policy production|migration|test|no-mail|durable`.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Logger, Option, Runtime, Schema } from "effect"
import { type Boundary, Policy, Recorder, SideEffects } from "effect-side-effects"
import { expectEnqueued, expectNotEnqueued } from "effect-side-effects/testing"
import { type CliError, CliOutput, Command, Flag, TerminalCapabilities } from "effect/cli"
import { FetchHttpClient } from "effect/http"
import { durable } from "./Durable.ts"
import { CallWarehouse, Orders, SendConfirmation } from "./Effects.ts"
import { readData } from "./Fixtures/Data.ts"
import { layer as memoryStore } from "./Fixtures/MemoryStore.ts"
import { MailServer, WarehouseServer, World } from "./Fixtures/World.ts"
import { Handlers, Mailer, Warehouse } from "./Handlers.ts"
import { type Outcome, processOrders } from "./Process.ts"
import * as Report from "./Report.ts"

// ---------------------------------------------------------------------------------------------------------------------
// The choice. This is all that is different between the runs.
// ---------------------------------------------------------------------------------------------------------------------

const choices = {
  production: {
    explanation: "LiveLayer: what an order wished for leaves when the order has succeeded.",
    released: "dispatched",
    layer: SideEffects.LiveLayer(Orders).pipe(Layer.provide(Handlers))
  },
  migration: {
    explanation: "DropLayer: the orders are processed all the same, and nothing leaves.",
    released: "dispatched",
    layer: SideEffects.DropLayer
  },
  test: {
    explanation: "TestLayer: nothing leaves, and the test kit knows what would have left.",
    released: "recorded",
    layer: SideEffects.TestLayer
  },
  "no-mail": {
    explanation: "LiveLayer with Policy.block(\"orders:mail:*\"): the calls leave, the mails do not.",
    released: "dispatched",
    layer: SideEffects.LiveLayer(Orders, { policy: Policy.block("orders:mail:*") }).pipe(Layer.provide(Handlers))
  }
} as const

type Choice = keyof typeof choices
const names = [...Object.keys(choices) as Array<Choice>, "durable"] as const
const compared = ["production", "migration", "test"] as const

// ---------------------------------------------------------------------------------------------------------------------
// One run
// ---------------------------------------------------------------------------------------------------------------------

/** Real clients, pointed at the servers of the demo. */
const Clients = Layer.unwrap(Effect.gen(function*() {
  const { host, port } = yield* MailServer
  const { url } = yield* WarehouseServer
  return Layer.merge(Mailer.layer({ host, port }), Warehouse.layer(url))
})).pipe(Layer.provide(FetchHttpClient.layer))

/** What a test would say about a run. Fails with an explanation when it is not so. */
const checkRecorded = Effect.fnUntraced(function*(outcomes: ReadonlyArray<Outcome>) {
  const processed = outcomes.filter(({ _tag }) => _tag === "Processed")
  yield* expectEnqueued(SendConfirmation, undefined, { times: processed.length })
  const soldOut = outcomes.filter((outcome) => outcome._tag === "Failed" && outcome.reason === "OutOfStock")
  const orders = new Set(soldOut.map((outcome) => outcome._tag === "Failed" ? outcome.order : ""))
  yield* expectNotEnqueued(CallWarehouse, ({ order }) => orders.has(order))
  return [
    `a confirmation for each of the ${processed.length} processed orders, and no other`,
    `no call to a warehouse for any of the ${orders.size} orders that were out of stock`
  ]
})

const run = Effect.fnUntraced(function*(choice: Choice) {
  const { explanation, layer, released } = choices[choice]
  const { lines, products } = yield* readData
  const { calls } = yield* WarehouseServer
  const { mails } = yield* MailServer

  const reports: Array<Boundary.Report> = []
  const log: Array<{ readonly level: string; readonly message: string }> = []
  const logger = Logger.make(({ logLevel, message }) => {
    log.push({ level: logLevel, message: String(Array.isArray(message) ? message[0] : message) })
  })
  const showProgress = yield* Report.progress(choice, lines.length)

  const program = Effect.gen(function*() {
    const outcomes = yield* processOrders(lines, {
      onClose: (report) => Effect.sync(() => reports.push(report)),
      onOutcome: (_, index) => showProgress(index + 1)
    })
    const recorder = yield* Effect.serviceOption(Recorder.Recorder)
    if (Option.isNone(recorder)) return { outcomes, recorded: [], checks: [] }
    const checks = yield* Effect.provideService(checkRecorded(outcomes), Recorder.Recorder, recorder.value)
    return { outcomes, recorded: yield* recorder.value.intents, checks }
  })

  const services = Layer.merge(layer, memoryStore(products)).pipe(
    Layer.provide(Clients),
    Layer.provideMerge(Logger.layer([logger]))
  )
  const { checks, outcomes, recorded } = yield* Effect.provide(program, services)
  return {
    title: choice,
    explanation,
    released,
    outcomes,
    decisions: reports.flatMap(({ decisions }) => decisions),
    mails: yield* mails,
    calls: yield* calls,
    recorded,
    checks,
    log
  } satisfies Report.Run
}, Effect.provide(World))

// ---------------------------------------------------------------------------------------------------------------------
// The command
// ---------------------------------------------------------------------------------------------------------------------

const policy = Flag.String("policy").pipe(
  Flag.withDescription(`What may leave: ${names.join(", ")}. Without it: the first three, one after the other.`),
  Flag.filterMap(
    (name) => Option.fromUndefinedOr(names.find((known) => known === name)),
    (name) => `There is no policy "${name}": choose one of ${names.join(", ")}.`
  ),
  Flag.optional
)

export const demo = Command.make(
  "demo",
  { policy },
  Effect.fnUntraced(function*({ policy }) {
    if (Option.contains(policy, "durable")) return yield* durable
    const runs: Array<Report.Run> = []
    for (const choice of Option.isSome(policy) ? [policy.value as Choice] : compared) {
      const report = yield* run(choice)
      yield* Report.print(report)
      runs.push(report)
    }
    if (runs.length > 1) yield* Report.compare(runs)
  })
).pipe(Command.withDescription("Processes the same order file with different layers."))

/** The command was wrong, and that has been said. */
class WrongUsage extends Schema.TaggedError<WrongUsage>()("WrongUsage", {}) {
  override readonly [Runtime.errorExitCode] = 2
  override readonly [Runtime.errorReported] = false
}

/** Help is for those who ask for it; a mistake gets one sentence. */
const Sentence = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.forEach(event.errors, (error) =>
        Console.error(error._tag === "InvalidValue" ? error.expected : error.message), { discard: true })
      : CliOutput.defaultPresenter.present(event)
})

export const program = Command.run(demo, { version: "0.1.0" }).pipe(
  Effect.catchTag("ShowHelp", (error: CliError.ShowHelp) => error.errors.length === 0 ? Effect.void : new WrongUsage()),
  Effect.provide([Sentence, TerminalCapabilities.layer]),
  Effect.provide(NodeServices.layer)
)

if (import.meta.main) NodeRuntime.runMain(program)
