/** A runner of the cluster. `main.ts` starts three of them. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer, Logger } from "effect"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { SqlClient } from "effect/sql"
import { Bank, Book, cluster, Postgres, table } from "./ledger.ts"

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

const Runner = Layer.unwrap(
  Effect.map(Config.Int("PORT"), (port) =>
    ClusterSideEffects.layerWorker(Bank, { gracePeriod: "2 seconds" }).pipe(
      Layer.provide(BookLive),
      Layer.provide(cluster(port))
    ))
)

const Logs = Logger.layer([])

NodeRuntime.runMain(Layer.launch(Runner.pipe(Layer.provide(Postgres), Layer.provide(Logs))))
