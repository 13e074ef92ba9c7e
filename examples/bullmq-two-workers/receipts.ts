/** What the programs have in common: the side effect, where the queue is, and the outside world. */
import { Config, Context, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { Redis } from "ioredis"

export class SendReceipt extends SideEffect.make("shop:mail:receipt", {
  description: "Mail a customer the receipt of an order.",
  payload: { order: Schema.Int },
  idempotencyKey: ({ order }) => `receipt-${order}`
}) {}

export const Shop = SideEffectGroup.make("shop").add(SendReceipt)

const url = Config.String("REDIS_URL")

/** All keys of one run begin like this. */
export const Prefix = Config.String("PREFIX")

export const BullMq = Layer.unwrap(
  Effect.map(Config.all({ connection: url, prefix: Prefix }), (options) => BullMqSideEffects.layer(options))
)

/** A mail provider that knows what it was told before, and keeps books. It stands in Redis, and dies with nobody. */
export class Provider extends Context.Service<Provider, {
  readonly begun: (worker: string, key: string) => Effect.Effect<unknown>
  readonly send: (worker: string, key: string) => Effect.Effect<unknown>
  readonly done: (worker: string) => Effect.Effect<unknown>
  readonly sent: Effect.Effect<number>
  readonly books: Effect.Effect<{
    /** How often each mail was begun, by its key. */
    readonly deliveries: ReadonlyMap<string, number>
    /** What it had sent already when it was told again. */
    readonly deduplicated: number
    readonly of: (worker: string) => { readonly begun: number; readonly done: number }
  }>
  /** Removes everything of this run, the queue included. */
  readonly clear: Effect.Effect<void>
}>()("Provider") {
  static readonly layer = Layer.effect(Provider)(Effect.gen(function*() {
    const prefix = yield* Prefix
    const address = yield* url
    const redis = yield* Effect.acquireRelease(
      Effect.sync(() => new Redis(address)),
      (redis) => Effect.promise(() => redis.quit())
    )
    const key = (name: string) => `${prefix}:provider:${name}`
    const counts = (name: string) => Effect.promise(() => redis.hgetall(key(name)))
    const count = (name: string, field: string) => Effect.promise(() => redis.hincrby(key(name), field, 1))
    return {
      begun: (worker, mail) =>
        Effect.promise(() => redis.multi().hincrby(key("begun"), worker, 1).hincrby(key("deliveries"), mail, 1).exec()),
      send: (worker, mail) =>
        Effect.flatMap(
          Effect.promise(() => redis.hsetnx(key("sent"), mail, worker)),
          (isNew) => isNew === 1 ? Effect.void : count("deduplicated", mail)
        ),
      done: (worker) => count("done", worker),
      sent: Effect.promise(() => redis.hlen(key("sent"))),
      books: Effect.gen(function*() {
        const begun = yield* counts("begun")
        const done = yield* counts("done")
        const deduplicated = Object.values(yield* counts("deduplicated"))
        return {
          deliveries: new Map(
            Object.entries(yield* counts("deliveries")).map(([mail, times]) => [mail, Number(times)])
          ),
          deduplicated: deduplicated.reduce((all, times) => all + Number(times), 0),
          of: (worker: string) => ({ begun: Number(begun[worker] ?? 0), done: Number(done[worker] ?? 0) })
        }
      }),
      clear: Effect.promise(async () => {
        for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
          if (keys.length > 0) await redis.unlink(...keys)
        }
      })
    }
  }))
}
