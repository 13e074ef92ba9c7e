/** The process that performs what is in the outbox of a database file. It runs until it is closed, or killed. */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Config, Effect, Layer, Stdio, Stream } from "effect"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { FetchHttpClient } from "effect/http"
import { Orders } from "./Effects.ts"
import { Handlers, Mailer, Warehouse } from "./Handlers.ts"

const Worker = Layer.unwrap(Effect.gen(function*() {
  const filename = yield* Config.String("DATABASE")
  const host = yield* Config.String("MAIL_HOST")
  const port = yield* Config.Port("MAIL_PORT")
  const url = yield* Config.String("WAREHOUSE_URL")
  // When this process is killed, what it had claimed is performed by another one after the lease. In production the
  // default of 30 seconds is fine.
  return Outbox.layerWorker(Orders, { concurrency: 8, batchSize: 32, lease: "3 seconds" }).pipe(
    Layer.provide(Handlers),
    Layer.provide([Mailer.layer({ host, port }), Warehouse.layer(url)]),
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(SqlOutboxStore.layer()),
    Layer.provide(SqliteClient.layer({ filename }))
  )
}))

/** The demo holds the other end of stdin: when that is gone, however it went, this process has nothing to do. */
const orphaned = Effect.flatMap(Stdio.Stdio, ({ stdin }) => Stream.runDrain(stdin))

if (import.meta.main) {
  NodeRuntime.runMain(Effect.raceFirst(Layer.launch(Worker), orphaned).pipe(Effect.provide(NodeServices.layer)))
}
