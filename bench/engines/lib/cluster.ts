import { NodeCrypto } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Layer, Option, Redacted } from "effect"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import { RunnerAddress, RunnerHealth, Runners, Sharding, SqlMessageStorage, SqlRunnerStorage } from "effect/cluster"

/**
 * A member of a cluster that is reached through PostgreSQL only: one that has shards, or a client. The messages of its own
 * process a runner sees at once, those of others when it looks.
 */
export const layer = (prefix: string, isRunner: boolean) =>
  Sharding.layer.pipe(
    Layer.provide(Runners.layerNoop),
    Layer.provideMerge(SqlMessageStorage.layerWith({ prefix })),
    Layer.provide([Layer.orDie(SqlRunnerStorage.layerWith({ prefix })), RunnerHealth.layerNoop]),
    Layer.provide(ClusterSideEffects.layerShardingConfig({
      runnerAddress: isRunner ? Option.some(RunnerAddress.make(`process-${process.pid}`, 1)) : Option.none(),
      shardsPerGroup: 16,
      refreshAssignmentsInterval: "200 millis",
      entityMessagePollInterval: "50 millis"
    })),
    Layer.provideMerge(NodeCrypto.layer),
    Layer.provide(PgClient.layer({ url: Redacted.make(process.env["POSTGRES_URL"]!), maxConnections: 6 }))
  )
