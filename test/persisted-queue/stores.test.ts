import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import { Decision, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { PersistedQueueSideEffects } from "effect-side-effects/persisted-queue"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as subjects from "../engine/subjects/persistedQueue.ts"
import { Broken } from "../fixtures.ts"

// What depends on the store. What every engine promises is proven on all of them in test/engine/conformance.test.ts.

class Task extends SideEffect.make("queue:task", {
  description: "Do something.",
  payload: { what: Schema.String }
}) {}

const Tasks = SideEffectGroup.make("tasks").add(Task)

const Writing = SideEffects.LiveLayer(Tasks, { dispatcher: PersistedQueueSideEffects.dispatcher() })

const WritingInTransaction = SideEffects.LiveLayer(Tasks, {
  dispatcher: PersistedQueueSideEffects.dispatcherInTransaction()
})

const working = (options?: PersistedQueueSideEffects.WorkerOptions) => {
  const performed = Effect.runSync(Queue.make<string>())
  const layer = PersistedQueueSideEffects.layerWorker(Tasks, options).pipe(
    Layer.provide(Task.toLayer(({ what }) => Effect.asVoid(Queue.offer(performed, what))))
  )
  return { performed, layer }
}

const enqueue = (what: string) => SideEffects.enqueue(Task, { what })

const postgres = process.env["POSTGRES_URL"]
const redis = process.env["REDIS_URL"]
const noRedis = redis === undefined ? " (skipped: set REDIS_URL)" : ""

let made = 0
const namespace = () => `stores_${process.pid}_${++made}`

const databases = [
  { name: "SQLite", make: subjects.makeSqlite, skip: false },
  {
    name: postgres === undefined ? "PostgreSQL (skipped: set POSTGRES_URL)" : "PostgreSQL",
    make: subjects.makePostgres,
    skip: postgres === undefined
  }
]

for (const { make, name, skip } of databases) {
  describe.skipIf(skip)(`PersistedQueueSideEffects in a transaction on ${name}`, () => {
    const proves = (
      what: string,
      run: (performed: Queue.Queue<string>) => Effect.Effect<
        void,
        unknown,
        SideEffects.SideEffects<"queue:task"> | SqlClient.SqlClient
      >
    ) =>
      it.live(what, () => {
        const { layer, performed } = working()
        return Effect.provide(
          run(performed),
          Layer.merge(WritingInTransaction, layer).pipe(Layer.provideMerge(make(namespace()).layer))
        )
      }, 20_000)

    proves("what is rolled back was never handed over", (performed) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const gone = yield* Effect.flip(sql.withTransaction(
          SideEffects.boundary(enqueue("gone")).pipe(
            Effect.flatMap((intent) => {
              assert.strictEqual(Decision.of(intent), undefined)
              return Effect.fail(new Broken({ id: intent.id }))
            })
          )
        ))
        assert.instanceOf(gone, Broken)
        const unit = yield* Effect.exit(SqlSideEffects.transaction(Effect.andThen(enqueue("gone"), Effect.fail("no"))))
        assert.strictEqual(unit._tag, "Failure")
        yield* SideEffects.boundary(enqueue("there"))
        assert.strictEqual(yield* Queue.take(performed), "there")
        assert.strictEqual(yield* Queue.size(performed), 0)
      }))

    proves("what is committed is handed over, and the decision waits for that", (performed) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const intent = yield* sql.withTransaction(Effect.gen(function*() {
          const intent = yield* SqlSideEffects.transaction(enqueue("there"))
          yield* sql`SELECT 1`
          assert.strictEqual(Decision.of(intent), undefined)
          assert.strictEqual(yield* Queue.size(performed), 0)
          return intent
        }))
        assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
        assert.strictEqual(yield* Queue.take(performed), "there")
      }))

    proves("a savepoint that is rolled back takes its own with it", (performed) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        let inner: Decision.Decision | undefined
        const outer = yield* sql.withTransaction(Effect.gen(function*() {
          yield* Effect.ignore(sql.withTransaction(Effect.gen(function*() {
            const intent = yield* SideEffects.boundary(enqueue("gone"))
            inner = Decision.of(intent)
            return yield* Effect.fail("no")
          })))
          return yield* SideEffects.boundary(enqueue("there"))
        }))
        assert.strictEqual(inner, undefined)
        assert.strictEqual(Decision.of(outer)?._tag, "Dispatched")
        assert.strictEqual(yield* Queue.take(performed), "there")
        assert.strictEqual(yield* Queue.size(performed), 0)
      }))
  })
}

describe("PersistedQueueSideEffects on another store than that of the transaction", () => {
  it.live("SqlSideEffects.afterCommit makes it wait for the commit", () => {
    const { layer, performed } = working()
    const Later = SideEffects.LiveLayer(Tasks, {
      dispatcher: SqlSideEffects.afterCommit(PersistedQueueSideEffects.dispatcher())
    })
    return Effect.gen(function*() {
      yield* Effect.ignore(SqlSideEffects.transaction(Effect.andThen(enqueue("gone"), Effect.fail("no"))))
      yield* SqlSideEffects.transaction(enqueue("there"))
      assert.strictEqual(yield* Queue.take(performed), "there")
    }).pipe(Effect.provide(
      Layer.merge(Later, layer).pipe(
        Layer.provide(subjects.makeMemory("").layer),
        Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))
      )
    ))
  })
})

describe("PersistedQueueSideEffects.storeOptions", () => {
  it.live.skipIf(redis === undefined)(
    `are those of both stores, and what the same process hands over waits for no poll${noRedis}`,
    () => {
      const { layer, performed } = working()
      const store = { ...PersistedQueueSideEffects.storeOptions, pollInterval: "1 hour" } as const
      const prefix = `persisted-queue:${namespace()}:`
      const options: Parameters<typeof PersistedQueue.layerStoreSql>[0] = PersistedQueueSideEffects.storeOptions
      assert.deepStrictEqual(Object.keys(options!), ["pollInterval", "lockRefreshInterval", "lockExpiration"])
      return Effect.gen(function*() {
        yield* SideEffects.boundary(enqueue("at once"))
        assert.strictEqual(yield* Queue.take(performed), "at once")
      }).pipe(
        Effect.provide(
          Layer.provideMerge(Layer.merge(Writing, layer), PersistedQueue.layerStoreRedis({ ...store, prefix }))
        ),
        Effect.ensuring(Effect.gen(function*() {
          const { client } = yield* NodeRedis.NodeRedis
          yield* Effect.promise(async () => client.del(await client.keys(`${prefix}*`)))
        })),
        Effect.provide(Layer.suspend(() => NodeRedis.layer({ url: redis! })))
      )
    }
  )
})
