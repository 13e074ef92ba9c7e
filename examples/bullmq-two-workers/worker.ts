/** A process that performs: `WORKER` is its name. It runs until it is closed, or killed. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Config, Effect, Layer, Stdio, Stream } from "effect"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { BullMq, Provider, SendReceipt, Shop } from "./receipts.ts"

const SendReceiptLive = SendReceipt.toLayer(Effect.gen(function*() {
  const provider = yield* Provider
  const name = yield* Effect.orDie(Config.String("WORKER"))
  return Effect.fnUntraced(function*(_, { idempotencyKey }) {
    yield* provider.begun(name, idempotencyKey)
    yield* provider.send(name, idempotencyKey)
    yield* Effect.sleep("20 millis")
    yield* provider.done(name)
  })
}))

const Worker = Layer.unwrap(Effect.map(Config.String("WORKER"), (name) =>
  BullMqSideEffects.layerWorker(Shop, {
    name,
    concurrency: 16,
    // When this process is killed, another one has what it held after this time. In production the default of 10 seconds
    // is fine: it has to be longer than a process ever stands still.
    lockDuration: "2 seconds"
  }))).pipe(
    Layer.provide(SendReceiptLive),
    Layer.provide([Provider.layer, BullMq])
  )

/** The example holds the other end of stdin: when that is gone, however it went, this process has nothing to do. */
const orphaned = Effect.flatMap(Stdio.Stdio, ({ stdin }) => Stream.runDrain(stdin))

if (import.meta.main) {
  NodeRuntime.runMain(Effect.raceFirst(Layer.launch(Worker), orphaned).pipe(Effect.provide(NodeServices.layer)))
}
