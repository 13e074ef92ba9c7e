import { Effect } from "effect"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import * as cluster from "../lib/cluster.ts"
import { type Connect, share } from "../lib/share.ts"
import { payloadOf, type Side } from "../lib/side.ts"
import { type Engine, PayloadSchema } from "./ours.ts"

const Orders = Entity.make("Orders", [Rpc.make("SendReceipt", { payload: PayloadSchema })])
  .annotateRpcs(ClusterSchema.Persisted, true)

/** As many entities, and as many messages on their way, as ours has. */
const lanes = 1024
const sends = 8

export const bare = (connect: Connect): Side => {
  const { acquire, build, release } = share(connect)
  return {
    producer: async () => {
      const run = Effect.runPromiseWith(await acquire(false))
      const client = await run(Orders.client)
      return {
        add: (indexes) =>
          run(Effect.forEach(
            indexes,
            (index) => client(`${index % lanes}`).SendReceipt(payloadOf(index), { discard: true }),
            { concurrency: sends, discard: true }
          )),
        close: release
      }
    },
    work: async (_, onJob) => {
      const handlers = Orders.toLayer({ SendReceipt: ({ payload }) => Effect.sync(() => onJob(payload.index)) })
      const { close } = await build(handlers, true)
      return { stop: close }
    }
  }
}

const engine: Engine = {
  dispatcher: ClusterSideEffects.dispatcher(),
  layerWorker: ClusterSideEffects.layerWorker as Engine["layerWorker"]
}

export const ours = {
  engine,
  connect: (namespace: string): Connect => (performs) => cluster.layer(namespace, performs)
}
