import { NodeCrypto } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { SideEffects } from "effect-side-effects"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as guide from "../../examples/workflow-activity.ts"
import { printed } from "../examples/helpers.ts"
import { logs, mail, Push, push, Shop, shop } from "../fixtures.ts"

const Go = DurableDeferred.make("Go")

const Job = Workflow.make("Job", {
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id,
  error: Schema.String
})

type Script = Array<Effect.Effect<void, string>>

/** Enqueues a mail, and ends as the script says. */
const send = (id: string, script: Script, options: { readonly detached: boolean } = { detached: true }) =>
  Activity.make({
    name: "send",
    error: Schema.String,
    execute: Effect.andThen(mail(id), Effect.suspend(() => script.shift() ?? Effect.void)).pipe(
      SideEffects.boundary({ name: "send", ...options })
    )
  })

/** Starts the workflow, waits until it pauses, and lets it go on to its end. */
const paused = Effect.fnUntraced(function*(id: string) {
  const executionId = yield* Job.execute({ id }, { discard: true })
  while ((yield* Job.poll(executionId))._tag === "None") yield* Effect.sleep("1 millis")
  const token = DurableDeferred.tokenFromExecutionId(Go, { workflow: Job, executionId })
  yield* DurableDeferred.succeed(Go, { token, value: undefined })
  yield* Job.execute({ id })
})

const inMemory = <R>(job: Layer.Layer<never, never, R | WorkflowEngine.WorkflowEngine>) => {
  const { calls, layer } = shop()
  return {
    calls,
    layer: job.pipe(Layer.provideMerge(Layer.mergeAll(layer, WorkflowEngine.layerMemory))) as Layer.Layer<
      WorkflowEngine.WorkflowEngine | Layer.Success<typeof layer>
    >
  }
}

describe("an activity with a boundary", () => {
  it.live("discards what an attempt that failed or died has enqueued, and releases that of the one that succeeds", () =>
    Effect.gen(function*() {
      const script: Script = [Effect.fail("no"), Effect.fail("no")]
      const { calls, layer } = inMemory(Job.toLayer(({ id }) => send(id, script).pipe(Activity.retry({ times: 2 }))))
      yield* Job.execute({ id: "1" }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1"])
      script.push(Effect.die("a bug"))
      yield* Effect.exit(Job.execute({ id: "2" })).pipe(Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1"])
    }))

  it.live("enqueues nothing again when the workflow goes on after a pause; what is outside an activity is", () =>
    Effect.gen(function*() {
      const { calls, layer } = inMemory(Job.toLayer(Effect.fnUntraced(function*({ id }) {
        yield* SideEffects.boundary(push(id))
        yield* send(id, [])
        yield* DurableDeferred.await(Go)
      })))
      yield* paused("1").pipe(Effect.provide(layer))
      assert.deepStrictEqual(calls, ["push:1", "mail:1", "push:1"])
    }))

  it.live("has nothing to do with the boundary that the workflow is started in", () =>
    Effect.gen(function*() {
      const { calls, layer } = inMemory(Job.toLayer(({ id }) => send(id, [])))
      yield* Effect.exit(SideEffects.boundary(Effect.andThen(Job.execute({ id: "1" }), Effect.fail("no")))).pipe(
        Effect.provide(layer)
      )
      assert.deepStrictEqual(calls, ["mail:1"])
    }))

  for (const detached of [true, false]) {
    it.live(
      detached
        ? "keeps its intents where a boundary around the workflow discards its own at a pause, and enqueues them again"
        : "loses them there when it is not detached, as its result is known when the workflow goes on",
      () =>
        Effect.gen(function*() {
          const { calls, layer } = inMemory(Job.toLayer((payload) =>
            Effect.gen(function*() {
              yield* push(payload.id)
              yield* send(payload.id, [], { detached })
              yield* DurableDeferred.await(Go)
            }).pipe(SideEffects.boundary())
          ))
          yield* paused("1").pipe(Effect.provide(layer))
          assert.deepStrictEqual(calls, detached ? ["mail:1", "push:1"] : ["push:1"])
        })
    )
  }
})

const file = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "workflow-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "cluster.db")))

const kept = Effect.orDie(Effect.flatMap(OutboxStore.OutboxStore, ({ counts }) => counts)).pipe(
  Effect.map((counts) => counts.map(({ count, name }) => `${count} ${name}`).toSorted())
)

/** A runner with the outbox whose storage breaks at the next answer that it is to keep, when `armed`. */
const runner = (filename: string, script: Script, storage: { armed: boolean; broken: boolean }) => {
  const job = Job.toLayer(({ id }) =>
    Activity.make({
      name: "send",
      error: Schema.String,
      execute: Effect.gen(function*() {
        const key = yield* Activity.idempotencyKey("push")
        yield* SideEffects.enqueue(Push, { id }, { key })
        yield* push(id)
        yield* script.shift() ?? Effect.void
      }).pipe(SideEffects.boundary({ detached: true }))
    })
  )
  const messages = Layer.effect(
    MessageStorage.MessageStorage,
    Effect.map(MessageStorage.MessageStorage, (inner) => ({
      ...inner,
      saveReply: (reply) =>
        Effect.suspend(() => {
          if (!storage.armed) return inner.saveReply(reply)
          storage.broken = true
          return Effect.die("the storage is gone")
        })
    } as typeof inner))
  ).pipe(Layer.provide(SqlMessageStorage.layer))
  return job.pipe(
    Layer.provide(SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() })),
    Layer.provideMerge(ClusterWorkflowEngine.layer),
    Layer.provideMerge(Sharding.layer),
    Layer.provide(Runners.layerNoop),
    Layer.provideMerge(messages),
    Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer({ entityTerminationTimeout: 0 })),
    Layer.provideMerge(SqlOutboxStore.layer()),
    Layer.provide([SqliteClient.layer({ filename }), NodeCrypto.layer]),
    Layer.provide(logs().layer)
  )
}

describe("an activity with a boundary, in a cluster with the outbox", () => {
  const finished = (filename: string) =>
    Effect.andThen(Job.execute({ id: "1" }), kept).pipe(
      Effect.provide(runner(filename, [], { armed: false, broken: false }))
    )

  it.live("enqueues again what was discarded when the process went away, and nothing twice", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const started = yield* Latch.make()
      yield* Effect.gen(function*() {
        yield* Job.execute({ id: "1" }, { discard: true })
        yield* started.await
        assert.deepStrictEqual(yield* kept, [])
      }).pipe(Effect.provide(
        runner(filename, [Effect.andThen(started.open, Effect.never)], { armed: false, broken: false })
      ))
      assert.deepStrictEqual(yield* finished(filename), ["2 orders:push:notify"])
    }).pipe(Effect.scoped))

  it.live("enqueues again when its result could not be kept, but for what has a key", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const storage = { armed: false, broken: false }
      const arm = Effect.sync(() => {
        storage.armed = true
      })
      yield* Effect.gen(function*() {
        yield* Job.execute({ id: "1" }, { discard: true })
        while (!storage.broken) yield* Effect.sleep("1 millis")
        assert.deepStrictEqual(yield* kept, ["2 orders:push:notify"])
      }).pipe(Effect.provide(runner(filename, [arm], storage)))
      assert.deepStrictEqual(yield* finished(filename), ["3 orders:push:notify"])
    }).pipe(Effect.scoped))
})

describe("examples/workflow-activity.ts", () => {
  it.live("sends one receipt, though the card is declined once and the workflow runs twice", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* printed(guide.program),
        `the workflow runs
  order 1 is handled, says the log
  charged: Failure
  charged: Success
  receipt of order 1, because of activity charge
the workflow waits, and is approved
the workflow runs
  order 1 is handled, says the log
the workflow ends
`
      )
    }))
})
