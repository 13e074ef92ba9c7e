/**
 * Entities of a cluster: one boundary a message.
 *
 * The protocol of an entity is an `RpcGroup`, so it takes the same middleware as remote procedures. A message that fails
 * or dies discards what it has enqueued; when the entity runs it again, that is enqueued again.
 *
 * Here messages are persisted and handled in a transaction, and side effects go through the outbox. So one commit keeps
 * the answer of the message and what it wished for: neither is there without the other, whenever the process dies.
 */
import { NodeCrypto } from "@effect/platform-node"
import { Console, Context, Effect, Exit, Layer, Logger, Schedule, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { ClusterSchema, Entity, SingleRunner } from "effect/cluster"
import { Rpc, RpcGroup, RpcMiddleware } from "effect/rpc"
import { SqlClient } from "effect/sql"

class SendReceipt extends SideEffect.make("accounts:mail:receipt", {
  description: "Email the owner of the account a receipt.",
  payload: { account: Schema.String, amount: Schema.Int }
}) {}

const Accounts = SideEffectGroup.make("accounts").add(SendReceipt)

class Unit extends RpcMiddleware.Service<Unit, {
  provides: SideEffectsMiddleware.Provides<typeof Accounts>
}>()("accounts/Unit") {}

class Overdrawn extends Schema.TaggedError<Overdrawn>()("Overdrawn", { by: Schema.Int }) {}

const Protocol = RpcGroup.make(
  Rpc.make("Withdraw", { payload: { amount: Schema.Int }, success: Schema.Int, error: Overdrawn })
).middleware(Unit)

const Account = Entity.fromRpcGroup("Account", Protocol)
  .annotateRpcs(ClusterSchema.Persisted, true)
  .annotateRpcs(ClusterSchema.WithTransaction, true)

/** How many bugs are to come, and where mails go: so that the guide can show both. */
class World extends Context.Service<World, { bugs: number; readonly mails: Array<string> }>()("accounts/World") {}

const AccountLive = Account.toLayer(
  Effect.gen(function*() {
    const world = yield* World
    const sql = yield* SqlClient.SqlClient
    return Account.of({
      Withdraw: Effect.fnUntraced(function*({ address: { entityId }, payload: { amount } }) {
        yield* SideEffects.enqueue(SendReceipt, { account: entityId, amount })
        const [account] = yield* Effect.orDie(
          sql<
            { balance: number }
          >`UPDATE accounts SET balance = balance - ${amount} WHERE id = ${entityId} RETURNING balance`
        )
        if (world.bugs-- > 0) return yield* Effect.die("a bug")
        if (account!.balance < 0) return yield* new Overdrawn({ by: -account!.balance })
        return account!.balance
      })
    })
  }),
  { defectRetryPolicy: Schedule.spaced("10 millis") }
)

const Live = SideEffectsMiddleware.layerRpc(Unit, Accounts).pipe(
  Layer.provideMerge(SideEffects.LiveLayer(Accounts, { dispatcher: Outbox.dispatcher() }))
)

const Worker = Outbox.layerWorker(Accounts).pipe(
  Layer.provide(SendReceipt.toLayer(
    Effect.fnUntraced(function*({ account, amount }) {
      const { mails } = yield* World
      mails.push(`  receipt to ${account}: ${amount}`)
    })
  ))
)

// One process. For many, `NodeClusterSocket.layer` and PostgreSQL.
const Runner = SingleRunner.layer({ runnerStorage: "memory" }).pipe(Layer.provide(NodeCrypto.layer))

const Database = SqlOutboxStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))

const PlainLog = Logger.layer([
  Logger.withConsoleLog(Logger.make(({ message }) => `  log: ${[message].flat()[0]}`))
])

export const program = Effect.gen(function*() {
  const world = yield* World
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE accounts (id TEXT PRIMARY KEY, balance INTEGER)`
  yield* sql`INSERT INTO accounts VALUES ('ada', 100)`
  const account = (yield* Account.client)("ada")

  yield* Console.log(`30 withdrawn, ${yield* account.Withdraw({ amount: 30 })} left`)

  const refused = yield* Effect.exit(account.Withdraw({ amount: 500 }))
  yield* Console.log(`500 ${Exit.isFailure(refused) ? "refused" : "withdrawn"}`)

  yield* Console.log("a bug: the entity starts again, and handles the message again")
  world.bugs = 1
  yield* Console.log(`20 withdrawn, ${yield* account.Withdraw({ amount: 20 })} left`)

  yield* SideEffects.drain
  yield* Console.log(["mailed:", ...world.mails].join("\n"))
}).pipe(
  Effect.provide(AccountLive.pipe(
    Layer.provideMerge(Layer.mergeAll(Live, Worker, Runner)),
    Layer.provideMerge(Database),
    Layer.provide(PlainLog)
  )),
  Effect.provideService(World, { bugs: 0, mails: [] })
)

if (import.meta.main) Effect.runPromise(program)
