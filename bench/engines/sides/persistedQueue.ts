import { Effect, Fiber, Layer } from "effect"
import { PersistedQueue } from "effect/persistence"
import { type Connect, share } from "../lib/share.ts"
import { payloadOf, type Side } from "../lib/side.ts"
import { PayloadSchema } from "./ours.ts"

/** As many offers at once as ours has, and a taker for each slot. */
const offers = 10

export const bare = (connect: Connect): Side => {
  const { acquire, release } = share((performs) => Layer.provideMerge(PersistedQueue.layer, connect(performs)))
  const start = async (performs: boolean) => {
    const context = await acquire(performs)
    const queue = await Effect.runPromiseWith(context)(PersistedQueue.make({ name: "orders", schema: PayloadSchema }))
    return { context, queue }
  }
  return {
    producer: async () => {
      const { context, queue } = await start(false)
      const run = Effect.runPromiseWith(context)
      return {
        add: (indexes) =>
          run(
            Effect.forEach(indexes, (index) => queue.offer(payloadOf(index)), { concurrency: offers, discard: true })
          ),
        close: release
      }
    },
    work: async (slots, onJob) => {
      const { context, queue } = await start(true)
      const take = queue.take(({ index }) => Effect.sync(() => onJob(index)))
      const fiber = Effect.runForkWith(context)(
        Effect.all(Array.from({ length: slots }, () => Effect.forever(take)), {
          concurrency: "unbounded",
          discard: true
        })
      )
      return {
        stop: async () => {
          await Effect.runPromise(Fiber.interrupt(fiber))
          await release()
        }
      }
    }
  }
}
