import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { type Boundary, Decision, Dispatcher, type Intent, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { SqlClient } from "effect/sql"
import { logs } from "../fixtures.ts"
import { entries, handlers, job, Jobs, note, start, states } from "../outbox/fixtures.ts"

const url = process.env["POSTGRES_URL"]
const table = "sql_side_effects_test"
const ordersTable = `${table}_orders`

const databases: ReadonlyArray<
  { readonly name: string; readonly skip: boolean; readonly client: Layer.Layer<SqlClient.SqlClient, any> }
> = [
  { name: "SQLite", skip: false, client: SqliteClient.layer({ filename: ":memory:", synchronous: "OFF" }) },
  {
    name: "PostgreSQL",
    skip: url === undefined,
    client: Layer.suspend(() => PgClient.layer({ url: Redacted.make(url!), maxConnections: 12 }))
  }
]

const tags = (intents: ReadonlyArray<Intent.Any>) => intents.map((intent) => Decision.of(intent)?._tag)

/** Writes a row of the domain. */
const order = (id: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => Effect.orDie(sql`INSERT INTO ${sql(ordersTable)} (id) VALUES (${id})`))

const orders = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    Effect.orDie(sql<{ id: string }>`SELECT id FROM ${sql(ordersTable)} ORDER BY id`),
    (rows) => rows.map(({ id }) => id)
  ))

/** Both at once: a row and a side effect. */
const place = (id: string) => Effect.andThen(order(id), job(id))

for (const { client, name, skip } of databases) {
  describe.skipIf(skip)(`on ${name}`, () => {
    const clean = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`DROP TABLE IF EXISTS ${sql(`${ordersTable}_lines`)}`
      yield* sql`DROP TABLE IF EXISTS ${sql(ordersTable)}`
      const tables = yield* sql.onDialectOrElse({
        pg: () => sql<{ name: string }>`SELECT tablename AS name FROM pg_tables WHERE tablename LIKE ${`${table}%`}`,
        orElse: () => Effect.succeed([])
      })
      for (const { name } of tables) yield* sql`DROP TABLE ${sql(name)} CASCADE`
    })

    const prepare = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* clean
      yield* sql`CREATE TABLE ${sql(ordersTable)} (id TEXT PRIMARY KEY)`
      yield* sql`CREATE TABLE ${sql(`${ordersTable}_lines`)} (ref TEXT REFERENCES ${
        sql(ordersTable)
      } (id) DEFERRABLE INITIALLY DEFERRED)`
    })

    /** A program on a new database. `dispatcher` stands before the outbox. */
    const run = <A, E>(
      body: (lines: Array<string>) => Effect.Effect<A, E, any>,
      options: {
        readonly dispatcher?: Dispatcher.Dispatcher<boolean, never, any>
        readonly handle?: Parameters<typeof handlers>[0]
        readonly store?: (store: OutboxStore.OutboxStore["Service"]) => Partial<OutboxStore.OutboxStore["Service"]>
      } = {}
    ): Effect.Effect<A, E> => {
      const { layer: logger, lines } = logs()
      const store = Layer.effect(
        OutboxStore.OutboxStore,
        Effect.map(OutboxStore.OutboxStore, (store) => ({ ...store, ...options.store?.(store) }))
      ).pipe(Layer.provide(SqlOutboxStore.layer({ table })))
      const live = SideEffects.LiveLayer(Jobs, {
        dispatcher: options.dispatcher ?? Outbox.dispatcher(),
        outsideBoundary: "dispatch"
      }).pipe(Layer.provide(handlers(options.handle ?? (() => Effect.void))))
      const database = Layer.effectDiscard(
        Effect.acquireRelease(prepare, () => Effect.orDie(clean))
      ).pipe(Layer.provideMerge(client))
      return Effect.scoped(body(lines)).pipe(
        Effect.provide(Layer.provideMerge(live, Layer.provideMerge(store, Layer.merge(database, logger))))
      ) as Effect.Effect<A, E>
    }

    describe("SqlSideEffects.transaction", () => {
      it.live("one commit for both, and then it is dispatched", () =>
        run(() =>
          Effect.gen(function*() {
            let pending: ReadonlyArray<Intent.Any> = []
            const intent = yield* place("1").pipe(SqlSideEffects.transaction({
              onClose: (report) => Effect.sync(() => pending = report.pending)
            }))
            assert.deepStrictEqual(pending, [intent], "pending until the commit")
            assert.strictEqual(Decision.format(Decision.of(intent)!), "dispatched by dispatcher outbox")
            assert.deepStrictEqual([yield* orders, yield* states], [["1"], ["1 pending"]])
          })
        ))

      it.live("what fails, dies or is interrupted is rolled back and discarded", () =>
        run(() =>
          Effect.gen(function*() {
            const intents: Array<Intent.Any> = []
            const unit = (id: string, end: Effect.Effect<unknown, string>) =>
              Effect.tap(place(id), (intent) => Effect.andThen(Effect.sync(() => intents.push(intent)), end)).pipe(
                SqlSideEffects.transaction()
              )
            assert.strictEqual((yield* Effect.flip(unit("1", Effect.fail("no")))) as string, "no")
            assert.match(String(yield* Effect.exit(unit("2", Effect.die("bug")))), /bug/)
            const begun = yield* Latch.make()
            const fiber = yield* Effect.forkChild(unit("3", Effect.andThen(begun.open, Effect.never)))
            yield* begun.await
            yield* Fiber.interrupt(fiber)
            assert.deepStrictEqual([yield* orders, yield* states], [[], []])
            assert.deepStrictEqual(tags(intents), ["Discarded", "Discarded", "Discarded"])
          })
        ))

      it.live("one inside another is a savepoint: when it fails and that is caught, the rest goes on", () =>
        run(() =>
          Effect.gen(function*() {
            const lost: Array<Intent.Any> = []
            const inner = Effect.tap(place("lost"), (intent) =>
              Effect.andThen(Effect.sync(() => lost.push(intent)), Effect.fail("no"))).pipe(
                SqlSideEffects.transaction()
              )
            const kept = yield* Effect.gen(function*() {
              const first = yield* place("first")
              yield* Effect.ignore(inner)
              const nested = yield* SqlSideEffects.transaction(place("nested"))
              return [first, nested, yield* place("last")]
            }).pipe(SqlSideEffects.transaction())
            assert.deepStrictEqual(yield* orders, ["first", "last", "nested"])
            assert.deepStrictEqual(yield* states, ["first pending", "nested pending", "last pending"])
            assert.deepStrictEqual([tags(kept), tags(lost)], [
              ["Dispatched", "Dispatched", "Dispatched"],
              ["Discarded"]
            ])
          })
        ))

      it.live("a COMMIT that fails takes all of it back", () =>
        run(() =>
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            const intents: Array<Intent.Any> = []
            const unit = Effect.gen(function*() {
              intents.push(yield* place("1"))
              yield* sql`INSERT INTO ${sql(`${ordersTable}_lines`)} (ref) VALUES ('nobody')`
            })
            const error = yield* Effect.flip(SqlSideEffects.transaction(unit, { name: "orders" }))
            assert.strictEqual((error as any)._tag, "SqlError")
            assert.deepStrictEqual([yield* orders, yield* states], [[], []])
            assert.strictEqual(
              Decision.format(Decision.of(intents[0]!)!),
              "discarded: the transaction of boundary \"orders\" was rolled back"
            )
          })
        ))

      it.live("a COMMIT that fails inside a boundary that goes on leaves nothing to release", () =>
        run(() =>
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            const unit = Effect.andThen(
              place("1"),
              sql`INSERT INTO ${sql(`${ordersTable}_lines`)} (ref) VALUES ('nobody')`
            )
            yield* Effect.andThen(Effect.ignore(SqlSideEffects.transaction(unit)), job("2")).pipe(
              SideEffects.boundary()
            )
            assert.deepStrictEqual([yield* orders, yield* states], [[], ["2 pending"]])
          })
        ))

      it.live("what cannot be written rolls all of it back", () =>
        run(() =>
          Effect.gen(function*() {
            const intents: Array<Intent.Any> = []
            const unit = Effect.tap(place("1"), (intent) => Effect.sync(() => intents.push(intent)))
            assert.match(
              String(yield* Effect.exit(SqlSideEffects.transaction(unit))),
              /Die\(DispatchError: 1 of 1 side effects failed:\n- jobs:run .+: OutboxError: The outbox could not offer/
            )
            const error = yield* Effect.flip(SqlSideEffects.transaction(unit, { abortOnError: true }))
            assert.strictEqual(error._tag, "DispatchError")
            assert.deepStrictEqual([yield* orders, tags(intents)], [[], ["Failed", "Failed"]])
          }), {
          // The statement fails, and that is swallowed in the boundary: SQLite would commit.
          store: () => ({
            offerMany: () =>
              Effect.fail(new OutboxStore.OutboxError({ operation: "offer", cause: new Error("refused") }))
          })
        }))

      it.live("a statement of the outbox that fails rolls all of it back", () =>
        run(() =>
          Effect.gen(function*() {
            const exit = yield* Effect.exit(SqlSideEffects.transaction(
              Effect.gen(function*() {
                const sql = yield* SqlClient.SqlClient
                yield* place("1")
                yield* sql`ALTER TABLE ${sql(table)} RENAME TO ${sql(`${table}_away`)}`
              })
            ))
            // As any other statement would, so that what retries transactions can.
            assert.match(String(exit), /Fail\(effect\/sql\/SqlError: .*(no such table|does not exist)/)
            assert.deepStrictEqual([yield* orders, yield* states], [[], []])
          })
        ))

      for (const rollback of [false, true]) {
        it.live(`a concurrent one with the same key is waited for, and ${rollback ? "rolls back" : "commits"}`, () =>
          run(() =>
            Effect.gen(function*() {
              const sql = yield* SqlClient.SqlClient
              const written = yield* Latch.make()
              const gate = yield* Latch.make()
              const first = yield* Effect.gen(function*() {
                yield* SideEffects.boundary(job("first", { key: "k" }))
                yield* written.open
                yield* gate.await
                if (rollback) return yield* Effect.fail("no")
              }).pipe(sql.withTransaction, Effect.ignore, Effect.forkChild)
              yield* written.await
              const second = yield* Effect.forkChild(SqlSideEffects.transaction(job("second", { key: "k" })))
              yield* Effect.repeat(Effect.yieldNow, { times: 20 })
              assert.isUndefined(second.pollUnsafe())
              yield* gate.open
              yield* Fiber.join(first)
              assert.deepStrictEqual(tags([yield* Fiber.join(second)]), [rollback ? "Dispatched" : "Deduplicated"])
              assert.deepStrictEqual(yield* states, [rollback ? "second pending" : "first pending"])
            })
          ))
      }

      it.live("50 at once do not get into each other's way", () =>
        run(() =>
          Effect.gen(function*() {
            const ids = Array.from({ length: 50 }, (_, i) => String(i).padStart(2, "0"))
            const exits = yield* Effect.forEach(
              ids,
              (id) =>
                Effect.andThen(place(id), Number(id) % 5 === 0 ? Effect.fail("no") : Effect.void).pipe(
                  SqlSideEffects.transaction(),
                  Effect.exit
                ),
              { concurrency: "unbounded" }
            )
            const kept = ids.filter((id) => Number(id) % 5 !== 0)
            assert.strictEqual(exits.filter(({ _tag }) => _tag === "Success").length, 40)
            assert.deepStrictEqual(yield* orders, kept)
            assert.deepStrictEqual((yield* states).toSorted(), kept.map((id) => `${id} pending`))
          })
        ))

      it.live("the result and the options are those of a boundary", () =>
        run(() =>
          Effect.gen(function*() {
            const reports: Array<Boundary.Report> = []
            const result = yield* SqlSideEffects.transaction(Effect.as(place("1"), 42), {
              name: "orders",
              releaseWhen: () => false,
              onClose: (report) => Effect.sync(() => reports.push(report))
            })
            assert.deepStrictEqual([result, reports[0]!.name, reports[0]!.outcome], [42, "orders", "discarded"])
            assert.deepStrictEqual([yield* orders, yield* states], [["1"], []])
          })
        ))
    })

    describe("a boundary around a transaction", () => {
      const inTransaction = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(effect))

      it.live("is warned of once, by name, and writes all the same", () =>
        run((lines) =>
          Effect.gen(function*() {
            const late = SideEffects.boundary(inTransaction(place("1")))
            yield* late
            yield* SideEffects.boundary(inTransaction(place("2")))
            assert.deepStrictEqual(lines, [
              "WARN Side effect \"jobs:run\" was enqueued inside a transaction, and is written to the outbox after that has " +
              "ended: the boundary is around the transaction. A crash between the two loses it, and a rollback that is " +
              "caught does not take it back. Put the boundary inside: SqlSideEffects.transaction(effect). This is said once."
            ])
            assert.deepStrictEqual(yield* states, ["1 pending", "2 pending"])
          })
        ))

      it.live("also around SqlSideEffects.transaction", () =>
        run((lines) =>
          Effect.gen(function*() {
            yield* SideEffects.boundary(SqlSideEffects.transaction(place("1")))
            assert.strictEqual(lines.length, 1)
          })
        ))

      it.live("also around a savepoint that has ended before it", () =>
        run((lines) =>
          Effect.gen(function*() {
            yield* inTransaction(SideEffects.boundary(inTransaction(place("1"))))
            assert.match(lines.join("\n"), /^WARN Side effect "jobs:run" was enqueued inside a transaction/)
          })
        ))

      it.live("not for a boundary inside, a unit of work inside another, or no transaction at all", () =>
        run((lines) =>
          Effect.gen(function*() {
            yield* inTransaction(SideEffects.boundary(place("1")))
            yield* SqlSideEffects.transaction(Effect.andThen(place("2"), SqlSideEffects.transaction(place("3"))))
            yield* inTransaction(SqlSideEffects.transaction(place("4")))
            yield* SideEffects.boundary(job("5"))
            yield* inTransaction(job("6"))
            yield* SideEffects.boundary(Effect.andThen(job("7"), inTransaction(order("8"))))
            yield* SqlSideEffects.transaction(SideEffects.boundary(SideEffects.boundary(place("9"))))
            assert.deepStrictEqual([lines, (yield* entries).length], [[], 8])
          })
        ))

      it.live("not for what handlers of a worker do, as they are performed again after a crash", () =>
        run((lines) =>
          Effect.gen(function*() {
            const services = yield* Effect.context<any>()
            const sql = yield* SqlClient.SqlClient
            yield* start((id) =>
              Effect.provideService(
                SqlSideEffects.transaction(Effect.andThen(order(id), note(id))),
                SqlClient.SqlClient,
                sql
              ), {
              handling: {
                note: () => Effect.void
              }
            }).pipe(Effect.provideContext(services))
            yield* SqlSideEffects.transaction(job("1"))
            yield* SideEffects.drain
            const errors = (yield* entries).map(({ error }) => error)
            assert.deepStrictEqual([lines, errors, yield* orders], [[], [undefined, undefined], ["1"]])
            assert.deepStrictEqual(yield* states, ["1 done", "1 done"])
          })
        ))
    })

    describe("SqlSideEffects.afterCommit", () => {
      for (const background of [false, true]) {
        const dispatcher = SqlSideEffects.afterCommit(
          background ? Dispatcher.background() : Dispatcher.inline()
        ) as Dispatcher.Dispatcher<boolean, never, any>
        const kind = background ? "background" : "inline"

        it.live(`${kind}: dispatches when the outermost transaction has committed`, () => {
          const ran: Array<string> = []
          return run(() =>
            Effect.gen(function*() {
              const sql = yield* SqlClient.SqlClient
              const reports: Array<ReadonlyArray<Intent.Any>> = []
              const intent = yield* Effect.gen(function*() {
                const intent = yield* SqlSideEffects.transaction(place("1"), {
                  onClose: ({ pending }) => Effect.sync(() => reports.push(pending))
                })
                yield* Effect.yieldNow
                assert.deepStrictEqual([ran, tags([intent])], [[], [undefined]])
                return intent
              }).pipe(sql.withTransaction)
              yield* SideEffects.drain
              assert.deepStrictEqual([ran, tags([intent]), reports], [["1"], ["Dispatched"], [[intent]]])
            }), { dispatcher, handle: (id) => Effect.sync(() => ran.push(id)) })
        })

        it.live(`${kind}: never what was rolled back, by savepoint or as a whole`, () => {
          const ran: Array<string> = []
          return run(() =>
            Effect.gen(function*() {
              const lost: Array<Intent.Any> = []
              const failing = (id: string) =>
                Effect.ignore(SqlSideEffects.transaction(
                  Effect.tap(place(id), (intent) =>
                    Effect.andThen(Effect.sync(() => lost.push(intent)), Effect.fail("no")))
                ))
              yield* SqlSideEffects.transaction(Effect.all([place("1"), failing("2"), place("3")]))
              yield* failing("4")
              const sql = yield* SqlClient.SqlClient
              yield* Effect.ignore(sql.withTransaction(
                Effect.andThen(SideEffects.boundary(place("5")), Effect.fail("no"))
              ))
              yield* SideEffects.drain
              assert.deepStrictEqual([ran, tags(lost), yield* orders], [["1", "3"], ["Discarded", "Discarded"], [
                "1",
                "3"
              ]])
            }), { dispatcher, handle: (id) => Effect.sync(() => ran.push(id)) })
        })

        it.live(`${kind}: outside a transaction at once`, () => {
          const ran: Array<string> = []
          return run(() =>
            Effect.gen(function*() {
              const intent = yield* SideEffects.boundary(job("1"))
              yield* SideEffects.drain
              assert.deepStrictEqual([ran, tags([intent])], [["1"], ["Dispatched"]])
            }), { dispatcher, handle: (id) => Effect.sync(() => ran.push(id)) })
        })

        it.live(`${kind}: failures are logged, and harm nobody`, () =>
          run((lines) =>
            Effect.gen(function*() {
              const intent = yield* SqlSideEffects.transaction(place("1"))
              yield* SideEffects.drain
              assert.deepStrictEqual([tags([intent]), yield* orders], [["Failed"], ["1"]])
              assert.strictEqual(lines.length, 1)
              assert.match(lines[0]!, new RegExp(`^ERROR Side effect "jobs:run" failed in dispatcher ${kind}`))
            }), { dispatcher, handle: () => Effect.fail("no") }))
      }

      it.live("inline: the commit waits", () => {
        const begun = Latch.makeUnsafe()
        const gate = Latch.makeUnsafe()
        return run(() =>
          Effect.gen(function*() {
            const fiber = yield* Effect.forkChild(SqlSideEffects.transaction(place("1")))
            yield* begun.await
            yield* Effect.yieldNow
            assert.isUndefined(fiber.pollUnsafe())
            assert.deepStrictEqual(yield* orders, ["1"], "it is committed all the same")
            yield* gate.open
            yield* Fiber.join(fiber)
          }), {
          dispatcher: SqlSideEffects.afterCommit(Dispatcher.inline()),
          handle: () => Effect.andThen(begun.open, gate.await)
        })
      })

      it.live("background: the commit does not wait", () => {
        const gate = Latch.makeUnsafe()
        const ran: Array<string> = []
        return run(() =>
          Effect.gen(function*() {
            yield* SqlSideEffects.transaction(place("1"))
            assert.deepStrictEqual(ran, [])
            yield* gate.open
            yield* SideEffects.drain
            assert.deepStrictEqual(ran, ["1"])
          }), {
          dispatcher: SqlSideEffects.afterCommit(Dispatcher.background()),
          handle: (id) => Effect.andThen(gate.await, Effect.sync(() => ran.push(id)))
        })
      })
    })

    it.live("a handler in the background is outside of the transaction that released it", () => {
      const gate = Latch.makeUnsafe()
      const places: Array<boolean> = []
      return run(() =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(SideEffects.boundary(job("1")), Effect.fail("no"))))
          yield* gate.open
          yield* SideEffects.drain
          // What it wrote was not rolled back.
          assert.deepStrictEqual([places, yield* orders], [[false], ["1"]])
        }), {
        dispatcher: Dispatcher.background(),
        handle: (id) =>
          Effect.gen(function*() {
            yield* gate.await
            const sql = yield* SqlClient.SqlClient
            places.push((yield* Effect.serviceOption(sql.transactionService))._tag === "Some")
            yield* order(id)
          })
      })
    })

    describe("SqlSideEffects.withSimulatedCommit", () => {
      const simulate = SqlSideEffects.withSimulatedCommit
      /** As a test harness does: everything is rolled back. */
      const rolledBack = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          let result: A | undefined
          yield* Effect.tap(effect, (value) => Effect.sync(() => result = value)).pipe(
            Effect.andThen(Effect.fail("rolled back" as const)),
            sql.withTransaction,
            Effect.catchIf((error) => error === "rolled back", () => Effect.void)
          )
          return result as A
        })

      it.live("what waits for the commit runs, and all of it is rolled back later", () =>
        run(() =>
          Effect.gen(function*() {
            yield* rolledBack(Effect.gen(function*() {
              const intent = yield* simulate(SqlSideEffects.transaction(place("1")))
              assert.deepStrictEqual([tags([intent]), yield* orders, yield* states], [["Dispatched"], ["1"], [
                "1 pending"
              ]])
            }))
            assert.deepStrictEqual([yield* orders, yield* states], [[], []])
          })
        ))

      it.live("what was released is performed in the same transaction by Outbox.drain", () =>
        run(() =>
          Effect.gen(function*() {
            const ran: Array<string> = []
            yield* rolledBack(Effect.gen(function*() {
              yield* simulate(SqlSideEffects.transaction(place("1")))
              yield* simulate(SqlSideEffects.transaction(job("later", { delay: "1 hour" })))
              const handle = (id: string) => Effect.map(orders, (ids) => ran.push(`${id} sees ${ids}`))
              const drain = Outbox.drain(Jobs, { scheduled: true }).pipe(Effect.provide(handlers(handle)))
              assert.deepInclude(yield* drain, { done: 2 })
              assert.deepStrictEqual(yield* states, ["1 done", "later done"])
            }))
            assert.deepStrictEqual([ran, yield* states], [["1 sees 1", "later sees 1"], []])
          })
        ))

      it.live("what a handler enqueues is drained there, too, and a handler that fails harms nobody", () =>
        run(() =>
          Effect.gen(function*() {
            const ran: Array<string> = []
            yield* rolledBack(Effect.gen(function*() {
              yield* simulate(SqlSideEffects.transaction(Effect.all([place("bad"), place("good")])))
              const handle = (id: string) =>
                Effect.andThen(
                  Effect.sync(() => ran.push(id)),
                  SqlSideEffects.transaction(
                    Effect.andThen(
                      note(`n-${id}`),
                      id === "bad" ? Effect.andThen(order("lost"), Effect.fail("no")) : Effect.void
                    )
                  )
                )
              const noted = (id: string) => Effect.sync(() => ran.push(id))
              const drained = yield* Outbox.drain(Jobs).pipe(Effect.provide(handlers(handle, { note: noted })))
              assert.deepInclude(drained, { done: 2, retried: 1 })
              assert.deepStrictEqual([ran, yield* orders], [["bad", "good", "n-good"], ["bad", "good"]])
            }))
          })
        ))

      it.live("savepoints inside that are rolled back drop theirs", () => {
        const ran: Array<string> = []
        return run(() =>
          rolledBack(Effect.gen(function*() {
            yield* simulate(SqlSideEffects.transaction(Effect.all([
              place("1"),
              Effect.ignore(SqlSideEffects.transaction(Effect.andThen(place("2"), Effect.fail("no"))))
            ])))
            assert.deepStrictEqual([ran, yield* orders], [["1"], ["1"]])
          })), {
          dispatcher: SqlSideEffects.afterCommit(Dispatcher.inline()),
          handle: (id) => Effect.sync(() => ran.push(id))
        })
      })

      it.live("what fails inside is rolled back to there, and the transaction around goes on", () => {
        const ran: Array<string> = []
        return run(() =>
          rolledBack(Effect.gen(function*() {
            yield* order("before")
            const error = yield* Effect.flip(
              simulate(Effect.andThen(SqlSideEffects.transaction(place("1")), Effect.fail("no")))
            )
            assert.strictEqual(error as string, "no")
            assert.deepStrictEqual([ran, yield* orders], [[], ["before"]])
            yield* simulate(SqlSideEffects.transaction(place("2")))
            assert.deepStrictEqual([ran, yield* orders], [["2"], ["2", "before"]])
          })), {
          dispatcher: SqlSideEffects.afterCommit(Dispatcher.inline()),
          handle: (id) => Effect.sync(() => ran.push(id))
        })
      })

      it.live("one inside another commits by itself", () => {
        const ran: Array<string> = []
        return run(() =>
          Effect.gen(function*() {
            yield* rolledBack(simulate(Effect.gen(function*() {
              yield* SqlSideEffects.transaction(place("outer"))
              yield* simulate(SqlSideEffects.transaction(place("inner")))
              assert.deepStrictEqual(ran, ["inner"])
              yield* Effect.ignore(
                simulate(Effect.andThen(SqlSideEffects.transaction(place("lost")), Effect.fail("no")))
              )
            })))
            assert.deepStrictEqual([ran, yield* orders], [["inner", "outer"], []])
          }), {
          dispatcher: SqlSideEffects.afterCommit(Dispatcher.inline()),
          handle: (id) => Effect.sync(() => ran.push(id))
        })
      })

      it.live("without a transaction around it is one", () =>
        run(() =>
          Effect.gen(function*() {
            yield* simulate(place("1").pipe(SideEffects.boundary()))
            yield* Effect.ignore(simulate(Effect.andThen(place("2").pipe(SideEffects.boundary()), Effect.fail("no"))))
            assert.deepStrictEqual([yield* orders, yield* states], [["1"], ["1 pending"]])
          })
        ))
    })

    it.live("a worker performs what transactions have written, and nothing of those that failed", () => {
      const ran: Array<string> = []
      return run(() =>
        Effect.gen(function*() {
          yield* start((id) => Effect.sync(() => ran.push(id)), { id: "w1" })
          yield* start((id) => Effect.sync(() => ran.push(id)), { id: "w2" })
          const ids = Array.from({ length: 40 }, (_, i) => String(i).padStart(2, "0"))
          yield* Effect.forEach(
            ids,
            (id) =>
              Effect.andThen(place(id), Number(id) % 4 === 0 ? Effect.fail("no") : Effect.void).pipe(
                SqlSideEffects.transaction(),
                Effect.ignore
              ),
            { concurrency: 8 }
          )
          yield* SideEffects.drain
          assert.deepStrictEqual(ran.toSorted(), ids.filter((id) => Number(id) % 4 !== 0))
          assert.deepStrictEqual(yield* orders, ran.toSorted())
        })
      )
    })

    it.live("drain inside a transaction dies, with the remedy", () =>
      run(() =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          assert.match(String(yield* Effect.exit(sql.withTransaction(SideEffects.drain))), /Outbox\.drain\(group\)/)
        })
      ))
  })
}

it("the store in memory has no transactions", () =>
  Effect.runPromise(
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      assert.isUndefined(store.transactionOf(yield* Effect.context<never>()))
    })
  ))
