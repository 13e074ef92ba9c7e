import { Effect, Layer } from "effect"
import { WorkflowSideEffects } from "effect-side-effects/workflow"
import { ClusterWorkflowEngine } from "effect/cluster"
import { Activity, Workflow } from "effect/workflow"
import * as cluster from "../lib/cluster.ts"
import { type Connect, share } from "../lib/share.ts"
import { payloadOf, type Side } from "../lib/side.ts"
import { type Engine, PayloadSchema } from "./ours.ts"

const SendReceipt = Workflow.make("SendReceipt", {
  payload: PayloadSchema.fields,
  idempotencyKey: ({ orderId }) => orderId
})

/** As many on their way as ours has. */
const sends = 16

export const bare = (connect: Connect): Side => {
  const { acquire, build, release } = share(connect)
  return {
    producer: async () => {
      const run = Effect.runPromiseWith(await acquire(false))
      return {
        add: (indexes) =>
          run(Effect.forEach(indexes, (index) => SendReceipt.execute(payloadOf(index), { discard: true }), {
            concurrency: sends,
            discard: true
          })),
        close: release
      }
    },
    work: async (_, onJob) => {
      const handler = SendReceipt.toLayer(({ index }): Effect.Effect<void, never, any> =>
        Activity.make({ name: "send", execute: Effect.sync(() => onJob(index)) })
      )
      const { close } = await build(handler, true)
      return { stop: close }
    }
  }
}

const engine: Engine = {
  dispatcher: WorkflowSideEffects.dispatcher(),
  layerWorker: WorkflowSideEffects.layerWorker as Engine["layerWorker"]
}

export const ours = {
  engine,
  connect: (namespace: string): Connect => (performs) =>
    Layer.provideMerge(ClusterWorkflowEngine.layer, cluster.layer(namespace, performs))
}
