import { BullMqSideEffects } from "effect-side-effects/bullmq"
import type * as EngineSuite from "effect-side-effects/engine/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Redis } from "ioredis"
import { command } from "./command.ts"
import type { Maker } from "./index.ts"

const url = (): string => process.env["REDIS_URL"]!

/** Removes every key with the prefix. */
export const removed = (prefix: string): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.acquireRelease(Effect.void, () =>
    Effect.promise(async () => {
      const redis = new Redis(url())
      for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
        if (keys.length > 0) await redis.unlink(...keys)
      }
      await redis.quit()
    })))

/** A lost process is noticed within seconds. */
export const quick = { lockDuration: "1500 millis", stalledInterval: "500 millis" } as const

export const make: Maker = (namespace, options) => ({
  layer: Layer.suspend(() => BullMqSideEffects.layer({ connection: url(), prefix: namespace })).pipe(
    Layer.provideMerge(options?.child === true ? Layer.empty : removed(namespace)),
    Layer.fresh
  ),
  subject: {
    name: "bullmq",
    dispatcher: BullMqSideEffects.dispatcher({ queues: ["elsewhere"], priorities: true }),
    layerWorker: (group, options) => BullMqSideEffects.layerWorker(group, { priorities: true, ...quick, ...options }),
    dead: Effect.gen(function*() {
      const { opened } = yield* BullMqSideEffects.BullMq
      const failed = yield* Effect.promise(() => Promise.all(opened().map((queue) => queue.getFailed())))
      return failed.flat().map(({ failedReason, id }): EngineSuite.DeadJob => ({ id: id!, error: failedReason }))
    }),
    deduplicates: true,
    crash: {
      command: Effect.sync(() => command("bullmq", namespace)),
      recovery: "10 seconds",
      keepsProgress: true
    }
  }
})
