import { Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import { type Connect, share } from "../lib/share.ts"
import { payloadOf, type Side } from "../lib/side.ts"

export const PayloadSchema = Schema.Struct({ index: Schema.Number, orderId: Schema.String, to: Schema.String })

class SendReceipt extends SideEffect.make("orders:mail:send-receipt", {
  description: "Email the customer a receipt.",
  payload: PayloadSchema
}) {}

const Orders = SideEffectGroup.make("orders").add(SendReceipt)

const enqueue = (index: number) => SideEffects.enqueue(SendReceipt, payloadOf(index))

export type Engine = Pick<EngineSuite.Subject<any, any>, "dispatcher" | "layerWorker">

/** Any engine, through us. A batch is a boundary. */
export const ours = ({ dispatcher, layerWorker }: Engine, connect: Connect): Side => {
  const { build } = share(connect)
  return {
    producer: async () => {
      const { close, context } = await build(SideEffects.LiveLayer(Orders, { dispatcher }), false)
      const run = Effect.runPromiseWith(context)
      return {
        add: (indexes) => run(SideEffects.boundary(Effect.forEach(indexes, enqueue, { discard: true }))),
        close
      }
    },
    work: async (concurrency, onJob) => {
      const handlers = SendReceipt.toLayer(({ index }) => Effect.sync(() => onJob(index)))
      const { close } = await build(layerWorker(Orders, { concurrency }).pipe(Layer.provide(handlers)), true)
      return { stop: close }
    }
  }
}
