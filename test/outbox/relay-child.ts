/** A process with a relay on an outbox in a SQLite file. Its engine writes what it gets to another file, and dies of it. */
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { appendFileSync } from "node:fs"

const { OUTBOX: filename, TAKEN: taken } = process.env as Record<string, string>

class Run extends SideEffect.make("jobs:run", { description: "Run a job.", payload: { id: Schema.String } }) {}

const mortal = Engine.dispatcher({
  name: "mortal",
  honours: { delay: false, priority: false, queue: false },
  connect: Effect.succeed({
    handOver: (jobs) =>
      Effect.sync(() => {
        for (const { id, key } of jobs) appendFileSync(taken!, `${JSON.stringify({ id, key, pid: process.pid })}\n`)
        process.kill(process.pid, "SIGKILL")
      })
  })
})

const Relay = Outbox.layerRelay(SideEffectGroup.make("jobs").add(Run), { "**": mortal }, { lease: "300 millis" }).pipe(
  Layer.provide(SqlOutboxStore.layer()),
  Layer.provide(SqliteClient.layer({ filename: filename! }))
)

Effect.runFork(Layer.launch(Relay))
