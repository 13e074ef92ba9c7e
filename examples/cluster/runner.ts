/** A runner of the cluster. `main.ts` starts three of them. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Logger } from "effect"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { ShardId, Sharding } from "effect/cluster"
import { SqlClient } from "effect/sql"
import { Bank, Book, cluster, nobody, Postgres, table } from "./ledger.ts"

const BookLive = Book.toLayer(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const runner = yield* Config.String("RUNNER")
  const booked = yield* table
  return ({ account, entry }) =>
    Effect.andThen(
      Effect.sleep("20 millis"),
      sql`INSERT INTO ${booked} ${sql.insert({ account, entry, runner })}`
    )
}))

const Worker = ClusterSideEffects.layerWorker(Bank, { gracePeriod: "2 seconds" }).pipe(Layer.provide(BookLive))

/** Tells when it has its share of the shards: whoever enqueues before that has the others do the work. */
const Present = Layer.effectDiscard(Effect.gen(function*() {
  const sharding = yield* Sharding.Sharding
  const sql = yield* SqlClient.SqlClient
  const runner = yield* Config.String("RUNNER")
  const shards = Array.from({ length: 64 }, (_, index) => ShardId.make("default", index + 1))
  yield* Effect.sync(() => shards.some((shard) => sharding.hasShardId(shard))).pipe(
    Effect.delay("50 millis"),
    Effect.repeat({ until: (has) => has }),
    Effect.andThen(sql`INSERT INTO ${yield* table} ${sql.insert({ account: nobody, entry: 0, runner })}`),
    Effect.forkScoped
  )
}))

const Runner = Layer.unwrap(
  Effect.map(Config.Int("PORT"), (port) => Layer.provide(Layer.merge(Worker, Present), cluster(port)))
)

const Logs = Logger.layer([])

NodeRuntime.runMain(Layer.launch(Runner.pipe(Layer.provide(Postgres), Layer.provide(Logs))))
