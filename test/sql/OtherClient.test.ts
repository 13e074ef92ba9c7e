import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { logs } from "../fixtures.ts"

class Send extends SideEffect.make("other-client:send", { description: "Send." }) {}

const Group = SideEffectGroup.make("other-client").add(Send)

describe("an outbox with another client than the transaction", () => {
  it.live("refuses, and says what to do, instead of writing outside of the transaction", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "other-client-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
      )
      const client = (file: string) => SqliteClient.layer({ filename: join(directory, file) })
      const Live = SideEffects.LiveLayer(Group, { dispatcher: Outbox.dispatcher() }).pipe(
        Layer.provideMerge(SqlOutboxStore.layer().pipe(Layer.provide(client("outbox.db")))),
        Layer.provideMerge(client("shop.db"))
      )
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE TABLE orders (id TEXT)`
        const order = Effect.andThen(sql`INSERT INTO orders VALUES ('1042')`, SideEffects.enqueue(Send))
        const defect = yield* Effect.flip(Effect.sandbox(SqlSideEffects.transaction(order)))
        assert.include(String(defect), "the transaction is one of another SqlClient than the outbox has")
        assert.include(String(defect), "Provide both with one client")
        assert.deepStrictEqual(yield* sql`SELECT * FROM orders`, [])
        const store = yield* OutboxStore.OutboxStore
        assert.strictEqual(yield* store.count({}), 0)

        // The same for a transaction that is none of ours.
        const plain = yield* Effect.exit(
          sql.withTransaction(Effect.andThen(sql`INSERT INTO orders VALUES ('1043')`, SideEffects.boundary(order)))
        )
        assert.include(String(plain), "the transaction is one of another SqlClient than the outbox has")
        assert.deepStrictEqual([yield* sql`SELECT * FROM orders`, yield* store.count({})], [[], 0])

        // Outside of a transaction, and after one, it is nobody else's business.
        yield* SideEffects.boundary(SideEffects.enqueue(Send))
        assert.strictEqual(yield* store.count({}), 1)
      }).pipe(Effect.provide(Live))
    }))

  it.live("names the remedy where its tables are missing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.gen(function*() {
        const store = yield* OutboxStore.OutboxStore
        return yield* Effect.flip(store.counts)
      }).pipe(
        Effect.provide(
          SqlOutboxStore.layer({ migrate: false }).pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" })))
        )
      )
      assert.match(
        error.message,
        /^The outbox could not count entries: .*no such table: side_effects_outbox\. Its tables/
      )
      assert.include(error.message, "side-effects outbox migrate")
    }))

  it.live("an inline dispatcher that performs before the commit is warned of, once", () => {
    const { layer: logging, lines } = logs()
    const Live = SideEffects.LiveLayer(Group).pipe(
      Layer.provide(Send.toLayer(() => Effect.void)),
      Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })),
      Layer.provideMerge(logging)
    )
    return Effect.gen(function*() {
      yield* SqlSideEffects.transaction(SideEffects.enqueue(Send))
      yield* SqlSideEffects.transaction(SideEffects.enqueue(Send))
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], `"other-client:send" of SqlSideEffects.transaction was performed before the commit`)
      assert.include(lines[0], "SqlSideEffects.afterCommit(dispatcher)")
    }).pipe(Effect.provide(Live))
  })

  it.live("nothing is said of one that waits for the commit", () => {
    const { layer: logging, lines } = logs()
    const Live = SideEffects.LiveLayer(Group, { dispatcher: SqlSideEffects.afterCommit(Dispatcher.inline()) }).pipe(
      Layer.provide(Send.toLayer(() => Effect.void)),
      Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })),
      Layer.provideMerge(logging)
    )
    return Effect.gen(function*() {
      yield* SqlSideEffects.transaction(SideEffects.enqueue(Send))
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.provide(Live))
  })
})
