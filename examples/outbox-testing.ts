/**
 * Testing what goes through an outbox: in memory, with time that the test moves, or in a transaction that is rolled back.
 *
 * Here the tests are a list, so that this file runs by itself. With `@effect/vitest` each of them is an `it.effect`, which
 * brings the `TestClock`.
 */
import { Console, Context, Effect, Layer, Ref, Schedule, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox, type OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"

class SendWelcome extends SideEffect.make("accounts:mail:welcome", {
  description: "Email a new customer a welcome.",
  payload: { to: Schema.String },
  idempotencyKey: ({ to }) => to
}) {}

class SendReminder extends SideEffect.make("accounts:mail:reminder", {
  description: "Email a customer who has not come back.",
  payload: { to: Schema.String }
}) {}

const Accounts = SideEffectGroup.make("accounts").add(SendWelcome, SendReminder)

// --- the code under test ---

class AddressTaken extends Schema.TaggedError<AddressTaken>()("AddressTaken", {}) {}

const signUp = Effect.fn("signUp")(function*(to: string) {
  const sql = yield* SqlClient.SqlClient
  yield* SideEffects.enqueue(SendWelcome, { to })
  yield* SideEffects.enqueue(SendReminder, { to }, { delay: "3 days" })
  const rows = yield* sql`INSERT INTO accounts (email) VALUES (${to}) ON CONFLICT DO NOTHING RETURNING email`
  if (rows.length === 0) return yield* new AddressTaken()
}, SqlSideEffects.transaction())

// --- what the tests share: handlers that write down what they send, and a mail server that can be down ---

class Mails extends Context.Service<Mails, {
  readonly sent: Ref.Ref<ReadonlyArray<string>>
  readonly down: Ref.Ref<boolean>
}>()("example/Mails") {
  static readonly layer = Layer.effect(
    Mails,
    Effect.all({ sent: Ref.make<ReadonlyArray<string>>([]), down: Ref.make(false) })
  )
}

const send = Effect.fn("send")(function*(mail: string) {
  const { down, sent } = yield* Mails
  if (yield* Ref.get(down)) return yield* Effect.fail("the mail server is down")
  yield* Ref.update(sent, (mails) => [...mails, mail])
})

const Handlers = Accounts.toLayer({
  "accounts:mail:welcome": SendWelcome.handler(({ to }) => send(`welcome ${to}`), { retry: Schedule.spaced("1 hour") }),
  "accounts:mail:reminder": ({ to }) => send(`reminder ${to}`)
})

const sent = Effect.flatMap(Mails, ({ sent }) => Ref.get(sent))

// Performs all that is due, one after the other, in the fiber of the test, and says how it ended.
const perform = Outbox.drain(Accounts)

// --- the tests ---

const welcomesOnce = Effect.gen(function*() {
  yield* signUp("ada@example.org")
  yield* perform
  assert.deepEqual(yield* sent, ["welcome ada@example.org"])
})

const welcomesNobodyTwice = Effect.gen(function*() {
  yield* signUp("ada@example.org")
  yield* Effect.flip(signUp("ada@example.org"))
  assert.equal((yield* perform).done, 1)
})

// The store in memory goes by the clock of the test: three days pass at once.
const remindsAfterThreeDays = Effect.gen(function*() {
  yield* signUp("ada@example.org")
  yield* perform
  yield* TestClock.adjust("3 days")
  yield* perform
  assert.deepEqual(yield* sent, ["welcome ada@example.org", "reminder ada@example.org"])
})

const triesAgain = Effect.gen(function*() {
  yield* Ref.set((yield* Mails).down, true)
  yield* signUp("ada@example.org")
  assert.equal((yield* perform).retried, 1)
  yield* Ref.set((yield* Mails).down, false)
  assert.equal((yield* perform).done, 0)
  yield* TestClock.adjust("1 hour")
  assert.equal((yield* perform).done, 1)
})

// With a database that tests share, each one runs in a transaction that is rolled back. What it commits itself is
// simulated, so it can perform what was written, and nothing is left.
const leavesNothing = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const test = Effect.gen(function*() {
    yield* SqlSideEffects.withSimulatedCommit(signUp("ada@example.org"))
    yield* perform
    assert.deepEqual(yield* sent, ["welcome ada@example.org"])
  })
  yield* Effect.flip(sql.withTransaction(Effect.andThen(test, Effect.fail("roll back"))))
  assert.deepEqual(yield* sql`SELECT email FROM accounts UNION SELECT id FROM side_effects_outbox`, [])
})

// --- with which outbox they run ---

const Tables = Layer.effectDiscard(
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE accounts (email TEXT PRIMARY KEY)`)
)

const Services = <E, R>(store: Layer.Layer<OutboxStore.OutboxStore, E, R>) =>
  Layer.mergeAll(SideEffects.LiveLayer(Accounts, { dispatcher: Outbox.dispatcher() }), Handlers, Tables).pipe(
    Layer.provideMerge(Layer.merge(store, Mails.layer)),
    Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })),
    Layer.provideMerge(TestClock.layer())
  )

const InMemory = Services(MemoryOutboxStore.layer)
const InDatabase = Services(SqlOutboxStore.layer())

const tests = {
  "a welcome is sent once": Effect.provide(welcomesOnce, InMemory),
  "an address that is taken gets nothing": Effect.provide(welcomesNobodyTwice, InMemory),
  "a reminder is sent after three days": Effect.provide(remindsAfterThreeDays, InMemory),
  "a mail is tried again after an hour": Effect.provide(triesAgain, InMemory),
  "a test in a transaction leaves nothing behind": Effect.provide(leavesNothing, InDatabase)
}

export const program = Effect.forEach(
  Object.entries(tests),
  ([name, test]) => Effect.andThen(test, Console.log(`ok  ${name}`)),
  { discard: true }
)

if (import.meta.main) Effect.runPromise(program)
