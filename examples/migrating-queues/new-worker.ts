/** The worker that comes in its place. It performs what is in the same queue, whoever has put it there. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { Handlers, Shop } from "./effects.ts"
import { connection, prefix, queueName } from "./world.ts"

// As the old worker has them.
const lost = { lockDuration: "2 seconds", stalledInterval: "1 second" } as const

const Worker = BullMqSideEffects.layerWorker(Shop, { concurrency: 4, ...lost }).pipe(
  Layer.provide(Handlers),
  Layer.provide(BullMqSideEffects.layer({ connection, prefix, queue: queueName }))
)

const Ready = Layer.effectDiscard(Effect.sync(() => process.send?.("ready")))

// Nobody outlives the guide.
process.once("disconnect", () => process.exit(0))
NodeRuntime.runMain(Layer.launch(Layer.provideMerge(Ready, Worker)), { teardown: () => process.exit(0) })
