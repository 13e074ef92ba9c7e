/**
 * Units of work on a database: what is enqueued shares the fate of what is written.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as SqlClient from "effect/sql/SqlClient"
import * as SqlError from "effect/sql/SqlError"
import type * as Boundary from "../Boundary.ts"
import * as Decision from "../Decision.ts"
import * as Dispatcher from "../Dispatcher.ts"
import type * as Intent from "../Intent.ts"
import { OutboxError } from "../outbox/OutboxStore.ts"
import * as Transactions from "../outbox/Transactions.ts"
import * as SideEffects from "../SideEffects.ts"
import * as transactions from "./internal/transactions.ts"

/**
 * The unit of work to reach for: a boundary inside a transaction, and one commit.
 *
 * **Details**
 *
 * When the effect succeeds, the boundary releases what was enqueued, and with the dispatcher of the outbox that is written
 * in the same transaction; then the transaction commits. When the effect fails, dies or is interrupted, or what was
 * released cannot be written, all of it is rolled back and discarded. What the database says when it refuses is a
 * `SqlError`, as that of any other statement. The options are those of `SideEffects.boundary`.
 *
 * One inside another is a savepoint with a boundary of its own: when it fails and that is caught, what it wrote and what it
 * enqueued are gone, and the rest goes on.
 *
 * **Gotchas**
 *
 * When the connection is lost after COMMIT was sent, nobody can tell whether it took effect. What is retried then should
 * know by an id of its own whether it is there already.
 *
 * **Example** (Placing an order)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { Outbox } from "effect-side-effects/outbox"
 * import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
 * import { SqliteClient } from "effect-side-effects/sqlite"
 * import { Effect, Layer, Schema } from "effect"
 * import { SqlClient } from "effect/sql"
 *
 * class SendConfirmation extends SideEffect.make("orders:send-confirmation", {
 *   description: "Email the customer a confirmation of the order.",
 *   payload: { order: Schema.String }
 * }) {}
 *
 * const Orders = SideEffectGroup.make("orders").add(SendConfirmation)
 *
 * const placeOrder = Effect.fnUntraced(function*(order: string) {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql`INSERT INTO orders (id) VALUES (${order})`
 *   yield* SideEffects.enqueue(SendConfirmation, { order })
 * }, SqlSideEffects.transaction())
 *
 * const Services = SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() }).pipe(
 *   Layer.provide(SqlOutboxStore.layer()),
 *   Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY)`
 *   yield* placeOrder("A-1042")
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Services))
 * ```
 *
 * @category units of work
 * @since 0.1.0
 */
export const transaction: {
  <A, E, R, Abort extends boolean = false>(
    self: Effect.Effect<A, E, R>,
    options?: Boundary.Options<A, E, Abort>
  ): Effect.Effect<
    A,
    E | SideEffects.AbortError<Abort> | SqlError.SqlError,
    R | SideEffects.SideEffects<never> | SqlClient.SqlClient
  >
  <A = any, E = any, Abort extends boolean = false>(
    options?: Boundary.Options<A, E, Abort>
  ): <A2 extends A, E2 extends E, R>(
    self: Effect.Effect<A2, E2, R>
  ) => Effect.Effect<
    A2,
    E2 | SideEffects.AbortError<Abort> | SqlError.SqlError,
    R | SideEffects.SideEffects<never> | SqlClient.SqlClient
  >
} = /*#__PURE__*/ dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(self: Effect.Effect<A, E, R>, options: Boundary.Options = {}) =>
    Effect.withFiber<A, any, R | SideEffects.SideEffects<never> | SqlClient.SqlClient>((fiber) => {
      const sql = Context.getUnsafe(fiber.context, SqlClient.SqlClient)
      const around = transactions.of(sql, fiber.context)
      let report: Boundary.Report | undefined
      let early: Intent.Any | undefined
      const unit = SideEffects.boundary(self, {
        ...options,
        onClose: (closed) => {
          report = closed
          if (closed.outcome === "released") early ??= closed.decisions.find(isPerformed)?.intent
          // It ends together with the transaction around. Where there is none, a boundary around has captured it, and
          // writes too late.
          if (around !== undefined) { for (const intent of closed.intents) Transactions.moveOut(intent, around) }
          return options.onClose?.(closed) ?? Effect.void
        }
      })
      const whole = unit.pipe(
        Effect.catchDefect((defect) => {
          const refused = sqlErrorOf(defect)
          return refused === undefined ? Effect.die(defect) : Effect.fail(refused)
        })
      )
      return Effect.onExitPrimitive(sql.withTransaction(whole), (exit) => {
        if (early !== undefined && !warned.has(sql)) {
          warned.add(sql)
          return Effect.logWarning(earlyMessage(early))
        }
        if (exit._tag === "Success" || report === undefined) return undefined
        for (const intent of report.pending) discard(intent, report.name)
        return undefined
      })
    })
)

/** Clients for which it has been said that nothing waits for the commit. */
const warned = new WeakSet<SqlClient.SqlClient>()

const isPerformed = ({ _tag, ...decision }: Decision.Decision): boolean =>
  _tag === "Dispatched" && (decision as Decision.Dispatched).attempts > 0

const earlyMessage = ({ name }: Intent.Any): string =>
  `Side effect "${name}" of SqlSideEffects.transaction was performed before the commit, which may still fail. Give the ` +
  "live layer dispatcher: Outbox.dispatcher(), or SqlSideEffects.afterCommit(dispatcher). This is said once."

/** What the database said when what was released could not be written: an error of the transaction as any other. */
const sqlErrorOf = (defect: unknown): SqlError.SqlError | undefined => {
  if (!(defect instanceof Dispatcher.DispatchError)) return undefined
  for (const { cause } of defect.failures) {
    const error = Cause.squash(cause)
    if (error instanceof OutboxError && SqlError.isSqlError(error.cause)) return error.cause
  }
  return undefined
}

const discard = (intent: Intent.Any, name: string | undefined): void =>
  Decision.settle(undefined, {
    _tag: "Discarded",
    intent,
    by: name === undefined ? "its transaction" : `the transaction of boundary "${name}"`,
    reason: "was rolled back",
    cause: undefined
  })

/**
 * Makes a dispatcher wait for the commit: what is released inside a transaction is dispatched when the outermost one has
 * committed, and never when it is rolled back.
 *
 * **When to use**
 *
 * With `Dispatcher.inline` or `background`, for those who want no outbox: nothing leaves for a rolled-back transaction, and
 * what a process had in memory when it died is lost.
 *
 * **Details**
 *
 * Outside a transaction it dispatches at once. A boundary inside a transaction does not see how its intents ended, as
 * they are dispatched after it: they are pending in its report, and failures are logged. The commit waits for the
 * dispatcher; with `Dispatcher.background` that is not long.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const afterCommit = <Performs extends boolean, E, R>(
  dispatcher: Dispatcher.Dispatcher<Performs, E, R>
): Dispatcher.Dispatcher<Performs, E, R | SqlClient.SqlClient> =>
  Dispatcher.proto<any, any, any>({
    name: `afterCommit(${dispatcher.name})`,
    performs: dispatcher.performs,
    patterns: dispatcher.patterns,
    durable: dispatcher.durable,
    open: Effect.fnUntraced(function*(port: Dispatcher.Port) {
      const sql = yield* SqlClient.SqlClient
      // What the dispatcher has in the background it logs itself.
      const background = new WeakSet<Intent.Any>()
      const own: Dispatcher.Port = {
        ...port,
        underway: (intent) => {
          background.add(intent)
          port.underway(intent)
        }
      }
      const opened = Dispatcher.guard(dispatcher, own, yield* dispatcher.open(own))
      return {
        ...opened,
        isBound: () => transactions.of(sql, Fiber.getCurrent()!.context) !== undefined,
        passesOn: true,
        dispatch: (intents) =>
          Effect.withFiber((fiber) => {
            if (transactions.of(sql, fiber.context) === undefined) return opened.dispatch(intents)
            for (const intent of intents) port.underway(intent)
            return sql.afterCommit(Effect.andThen(
              opened.dispatch(intents),
              Effect.suspend(() => logFailures(intents.filter((intent) => !background.has(intent))))
            ))
          })
      }
    })
  })

/** The boundary that would have said it has ended. */
const logFailures = (intents: ReadonlyArray<Intent.Any>): Effect.Effect<void> =>
  Effect.forEach(intents, (intent) => {
    const decision = Decision.of(intent)
    return decision?._tag === "Failed" ? Decision.logFailure(decision) : Effect.void
  }, { discard: true })

/**
 * Runs an effect inside an open transaction as if it were a transaction of its own that commits: what waits for the commit
 * runs when the effect has succeeded, although the transaction around is rolled back later.
 *
 * **When to use**
 *
 * In tests that run each test in a transaction and roll it back: wrap the unit of work, then look at what was released, or
 * perform it with `Outbox.drain` in the same transaction.
 *
 * **Details**
 *
 * It is a savepoint. When the effect fails, what it wrote is rolled back to there, and nothing that waited for its commit
 * runs. Without a transaction around, the effect runs in one of its own.
 *
 * **Gotchas**
 *
 * What runs after the simulated commit runs outside of the transaction, as after a real one, and does not see what it wrote.
 * On SQLite, where there is one connection, it must not use the database: it would wait for the transaction around for ever.
 *
 * @category testing
 * @since 0.1.0
 */
export const withSimulatedCommit = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError.SqlError, R | SqlClient.SqlClient> =>
  Effect.withFiber((fiber) => {
    const sql = Context.getUnsafe(fiber.context, SqlClient.SqlClient)
    const around = Context.getOrUndefined(fiber.context, sql.transactionService)
    if (around === undefined) return sql.withTransaction(self)
    const [connection, depth] = around
    const name = `simulated_commit_${depth}`
    const control = (statement: string) => Effect.asVoid(connection.executeUnprepared(statement, [], undefined))
    const withTransaction = SqlClient.makeWithTransaction({
      transactionService: sql.transactionService,
      spanAttributes: [],
      acquireConnection: () => Effect.succeed(connection),
      begin: () => control(`SAVEPOINT ${name}`),
      savepoint: (_, id) => control(`SAVEPOINT ${name}_${id}`),
      commit: () => control(`RELEASE SAVEPOINT ${name}`),
      rollback: () => Effect.andThen(control(`ROLLBACK TO SAVEPOINT ${name}`), control(`RELEASE SAVEPOINT ${name}`)),
      rollbackSavepoint: (_, id) => control(`ROLLBACK TO SAVEPOINT ${name}_${id}`)
    })
    return Effect.updateContext(
      withTransaction(self),
      (context: Context.Context<R>) => Context.omit(sql.transactionService)(context) as Context.Context<R>
    )
  })
