/** What the programs have in common: the side effect, the cluster, and the outside world. */
import { NodeClusterSocket, NodeCrypto } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Effect, Layer, Option, Schema } from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { RunnerAddress, ShardingConfig, SqlMessageStorage, SqlRunnerStorage } from "effect/cluster"
import { SqlClient } from "effect/sql"

export class Book extends SideEffect.make("bank:ledger:book", {
  description: "Book an entry of an account at the bank, which takes them in order.",
  payload: { account: Schema.Int, entry: Schema.Int }
}) {}

export const Bank = SideEffectGroup.make("bank").add(Book)

/** What is booked of one account is booked one after another, whichever side effect it is. */
export const orderBy: ClusterSideEffects.OrderBy = ({ payload }) =>
  `account ${Schema.decodeUnknownSync(Book.payloadSchema)(payload).account}`

/** All tables of one run begin like this. */
export const Prefix = Config.String("PREFIX")

export const Postgres = PgClient.layerConfig({ url: Config.Redacted("POSTGRES_URL") })

/** Without a port it only sends. */
export const cluster = (port?: number) =>
  Layer.unwrap(Effect.map(Prefix, (prefix) => {
    const shardingConfig = ClusterSideEffects.shardingConfig({
      runnerAddress: port === undefined ? Option.none() : Option.some(RunnerAddress.make("127.0.0.1", port))
    })
    const storage = Layer.mergeAll(SqlMessageStorage.layerWith({ prefix }), SqlRunnerStorage.layerWith({ prefix }))
      .pipe(
        Layer.provide([ShardingConfig.layer(shardingConfig), NodeCrypto.layer])
      )
    const options = { storage: "byo", shardingConfig } as const
    return Layer.provideMerge(
      port === undefined
        ? NodeClusterSocket.layer({ ...options, clientOnly: true })
        : NodeClusterSocket.layer(options),
      storage
    )
  }))

/** The account under which a runner says that it is there. */
export const nobody = -1

/** The bank: it writes down who has booked what. */
export const table = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  return sql(`${yield* Prefix}_booked`)
})
