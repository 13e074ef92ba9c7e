import { NodeCrypto } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Boundary, Dispatcher, type SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as TestRunner from "effect/cluster/TestRunner"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as guide from "../../examples/cluster-entity.ts"
import { printed } from "../examples/helpers.ts"
import { logs, mail, push, Shop, shop } from "../fixtures.ts"

class Unit extends RpcMiddleware.Service<Unit, { provides: SideEffectsMiddleware.Provides<typeof Shop> }>()(
  "test/cluster/Unit"
) {}

const Procedures = RpcGroup.make(
  Rpc.make("Order", { payload: { id: Schema.String }, success: Schema.String, error: Schema.String })
).middleware(Unit)

const Volatile = Entity.fromRpcGroup("Volatile", Procedures)
const Persisted = Entity.fromRpcGroup("Persisted", Procedures).annotateRpcs(ClusterSchema.Persisted, true)
const Transacted = Entity.fromRpcGroup("Transacted", Procedures)
  .annotateRpcs(ClusterSchema.Persisted, true)
  .annotateRpcs(ClusterSchema.WithTransaction, true)

/** What each handling of a message ends with, in turn; a success after that. */
type Script = Array<Effect.Effect<void, string>>

const handling = <Type extends string>(
  entity: Entity.Entity<Type, RpcGroup.Rpcs<typeof Procedures>>,
  script: Script
) =>
  entity.toLayer({
    Order: Effect.fnUntraced(function*({ payload: { id } }) {
      yield* mail(id)
      yield* push(id)
      yield* script.shift() ?? Effect.void
      return id
    })
  }, { defectRetryPolicy: Schedule.spaced("1 millis") })

const reporting = (dispatch: "before-response" | "after-response" = "before-response") => {
  const reports: Array<Boundary.Report> = []
  return {
    outcomes: () => reports.map(({ name, outcome }) => `${name} ${outcome}`),
    unit: SideEffectsMiddleware.layerRpc(Unit, Shop, {
      dispatch,
      onClose: (report) => Effect.sync(() => reports.push(report))
    })
  }
}

const quiet = logs().layer

describe("a message of an entity", () => {
  it.live("releases when it succeeds, discards when it fails, and again when it dies and is handled again", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      const { outcomes, unit } = reporting()
      const script: Script = []
      yield* Effect.gen(function*() {
        const client = yield* Volatile.client
        yield* client("a").Order({ id: "1" })
        assert.deepStrictEqual(calls, ["mail:1", "push:1"])
        script.push(Effect.fail("no"))
        assert.strictEqual(yield* Effect.flip(client("a").Order({ id: "2" })), "no")
        script.push(Effect.die("a bug"), Effect.die("again"))
        assert.strictEqual(yield* client("b").Order({ id: "3" }), "3")
      }).pipe(Effect.provide(
        handling(Volatile, script).pipe(
          Layer.provide(unit),
          Layer.provide(layer),
          Layer.provideMerge(TestRunner.layer),
          Layer.provide(quiet)
        )
      ))
      assert.deepStrictEqual(calls, ["mail:1", "push:1", "mail:3", "push:3"])
      assert.deepStrictEqual(outcomes(), [
        "rpc Order released",
        "rpc Order discarded",
        "rpc Order discarded",
        "rpc Order discarded",
        "rpc Order released"
      ])
    }))

  it.live("is a unit of work of its own, whatever becomes of who has sent it", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      yield* Effect.gen(function*() {
        const client = yield* Volatile.client
        const exit = yield* Effect.exit(SideEffects.boundary(Effect.gen(function*() {
          yield* mail("sender")
          yield* client("a").Order({ id: "1" })
          return yield* Effect.fail("no")
        })))
        assert.isTrue(Exit.isFailure(exit))
      }).pipe(Effect.provide(
        handling(Volatile, []).pipe(
          Layer.provide(reporting().unit),
          Layer.provideMerge(layer),
          Layer.provideMerge(TestRunner.layer)
        )
      ))
      assert.deepStrictEqual(calls, ["mail:1", "push:1"])
    }))
})

/** A runner whose storage breaks when it is to keep an answer, as often as `crashes` says. */
const runner = <Type extends string>(
  filename: string,
  entity: Entity.Entity<Type, RpcGroup.Rpcs<typeof Procedures>>,
  script: Script,
  storage: { crashes: number } = { crashes: 0 },
  live: Layer.Layer<SideEffects.SideEffects<SideEffectGroup.Names<typeof Shop>>, never, OutboxStore.OutboxStore> =
    SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }),
  dispatch: "before-response" | "after-response" = "before-response"
) => {
  const { unit } = reporting(dispatch)
  const messages = Layer.effect(
    MessageStorage.MessageStorage,
    Effect.map(MessageStorage.MessageStorage, (inner) => ({
      ...inner,
      saveReply: (reply) =>
        Effect.suspend(() => storage.crashes-- > 0 ? Effect.die("the storage is gone") : inner.saveReply(reply))
    } as typeof inner))
  ).pipe(Layer.provide(SqlMessageStorage.layer))
  const cluster = Sharding.layer.pipe(
    Layer.provideMerge(Runners.layerNoop),
    Layer.provideMerge(messages),
    Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer({ entityTerminationTimeout: 0 }))
  )
  return handling(entity, script).pipe(
    Layer.provide(unit),
    Layer.provide(live),
    Layer.provideMerge(cluster),
    Layer.provideMerge(SqlOutboxStore.layer()),
    Layer.provide([SqliteClient.layer({ filename }), NodeCrypto.layer]),
    Layer.provide(quiet)
  )
}

const kept = Effect.orDie(Effect.flatMap(OutboxStore.OutboxStore, ({ counts }) => counts)).pipe(
  Effect.map((counts) => counts.map(({ count, name }) => `${count} ${name}`).toSorted())
)

const file = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "entity-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => join(folder, "cluster.db")))

describe("a persisted message of an entity, with the outbox", () => {
  /** Sends a message to a runner that goes away before it is answered. */
  const lost = (
    filename: string,
    script: Script,
    storage: { crashes: number },
    until: Effect.Effect<unknown, never, OutboxStore.OutboxStore>
  ) =>
    Effect.gen(function*() {
      const client = yield* Persisted.client
      yield* Effect.forkChild(client("a").Order({ id: "1" }))
      yield* until
      return yield* kept
    }).pipe(Effect.provide(runner(filename, Persisted, script, storage)))

  /** What the outbox holds when the next runner has handled it. */
  const found = (filename: string) =>
    Effect.gen(function*() {
      const client = yield* Persisted.client
      // An entity handles one message after the other.
      yield* client("a").Order({ id: "2" })
      return yield* kept
    }).pipe(Effect.provide(runner(filename, Persisted, [])))

  it.live("enqueues again what was discarded when its runner went away, and nothing twice", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const started = yield* Latch.make()
      const script = [Effect.andThen(started.open, Effect.never)]
      assert.deepStrictEqual(yield* lost(filename, script, { crashes: 0 }, started.await), [])
      assert.deepStrictEqual(yield* found(filename), ["2 orders:mail:send", "2 orders:push:notify"])
    }).pipe(Effect.scoped))

  it.live("is kept again when its answer could not be, but for what has a key", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const storage = { crashes: 1 }
      const crashed = Effect.gen(function*() {
        while (storage.crashes > 0) yield* Effect.sleep("1 millis")
      })
      assert.deepStrictEqual(yield* lost(filename, [], storage, crashed), [
        "1 orders:mail:send",
        "1 orders:push:notify"
      ])
      assert.deepStrictEqual(yield* found(filename), ["2 orders:mail:send", "3 orders:push:notify"])
    }).pipe(Effect.scoped))

  it.live("is kept together with its answer, where it is handled in a transaction", () =>
    Effect.gen(function*() {
      const filename = yield* file
      yield* Effect.gen(function*() {
        const client = yield* Transacted.client
        assert.strictEqual(yield* client("a").Order({ id: "1" }), "1")
        assert.deepStrictEqual(yield* kept, ["1 orders:mail:send", "1 orders:push:notify"])
      }).pipe(Effect.provide(runner(filename, Transacted, [], { crashes: 1 })))
    }).pipe(Effect.scoped))

  it.live("lets go what the outbox does not keep, though its transaction is rolled back", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const { calls, layer } = shop()
      yield* Effect.gen(function*() {
        const client = yield* Transacted.client
        assert.strictEqual(yield* client("a").Order({ id: "1" }), "1")
      }).pipe(Effect.provide(runner(filename, Transacted, [], { crashes: 1 }, layer)))
      assert.deepStrictEqual(calls, ["mail:1", "push:1", "mail:1", "push:1"])
    }).pipe(Effect.scoped))

  it.live("leaves its transaction behind, where something is dispatched after its answer", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const seen: Array<boolean> = []
      const looking = SideEffects.LiveLayer(Shop, {
        dispatcher: Dispatcher.make({
          name: "looking",
          dispatch: () =>
            Effect.contextWith((context: Context.Context<never>) =>
              Effect.sync(() => {
                seen.push([...context.mapUnsafe.keys()].some((key) => key.includes("TransactionConnection")))
              })
            )
        })
      })
      for (const dispatch of ["before-response", "after-response"] as const) {
        yield* Effect.gen(function*() {
          const client = yield* Transacted.client
          yield* client("a").Order({ id: dispatch })
        }).pipe(Effect.provide(runner(filename, Transacted, [], { crashes: 0 }, looking, dispatch)))
      }
      assert.deepStrictEqual(seen, [true, false])
    }).pipe(Effect.scoped))
})

describe("examples/cluster-entity.ts", () => {
  it.live("mails a receipt of each withdrawal, once", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* printed(guide.program),
        `30 withdrawn, 70 left
500 refused
a bug: the entity starts again, and handles the message again
  log: Defect in entity, restarting
20 withdrawn, 50 left
mailed:
  receipt to ada: 30
  receipt to ada: 20
`
      )
    }))
})
