import { assert, describe, layer } from "@effect/vitest"
import { Decision, SideEffect, SideEffects } from "effect-side-effects"
import { PgBossSideEffects } from "effect-side-effects/pg-boss"
import { SqlSideEffects } from "effect-side-effects/sql"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { logs } from "../fixtures.ts"
import {
  inQueue,
  Job,
  job,
  Jobs,
  jobs,
  proxied,
  Remark,
  type Row,
  shared,
  type Stage,
  Unanswered,
  url
} from "./fixtures.ts"

const schema = "pgboss_test"
const inTransaction = PgBossSideEffects.dispatcherInTransaction()

const ids = (rows: ReadonlyArray<Row>) => rows.map(({ data }) => data.payload.id)
const isIn = (state: string) => (rows: ReadonlyArray<Row>) =>
  rows.length > 0 && rows.every((row) => row.state === state)
const failure = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "success"

const title = url === undefined ? "pg-boss (skipped: set POSTGRES_URL)" : "pg-boss"

describe.skipIf(url === undefined)(title, () => {
  layer(shared(schema), { excludeTestServices: true })((it) => {
    describe("handing over", () => {
      it.effect("a job reads well: its data, and what has columns of its own", () =>
        inQueue(Effect.fnUntraced(function*({ live, rows }) {
          const intent = yield* live(SideEffects.boundary(
            job("a", { key: "k", priority: 7, delay: "90 seconds", origin: "import", metadata: { by: "me" } })
          ))
          const [row] = yield* rows
          assert.strictEqual(row!.id, intent.id)
          const { createdAt, trace: _, ...data } = row!.data
          assert.deepStrictEqual(data, {
            sideEffect: "jobs:run",
            payload: { id: "a" },
            key: "k",
            priority: 7,
            origin: "import",
            metadata: { by: "me" },
            delay: 90_000
          })
          assert.strictEqual(typeof createdAt, "number")
          assert.deepStrictEqual(
            [row!.state, row!.singleton_key, row!.priority, row!.wait],
            ["created", "k", 7, 90]
          )
        })))

      it.effect("a job is never removed before it is over, has the lease, and leaves retries to the handler", () =>
        inQueue(
          Effect.fnUntraced(function*({ live, rows }) {
            yield* live(jobs("a"))
            const [row] = yield* rows
            assert.isAbove(row!.keep, 9 * 365 * 86_400)
            assert.deepStrictEqual(
              [row!.heartbeat_seconds, row!.expire_seconds, row!.deletion_seconds, row!.retry_limit],
              [3, 86_400, 86_400, 100]
            )
          }),
          { lease: "3 seconds", retention: { done: "1 day" } }
        ))

      it.effect("a queue that is there keeps its settings, and side effects bring their own", () =>
        inQueue(Effect.fnUntraced(function*({ boss, live, queue, rows }) {
          yield* Effect.promise(() =>
            boss.createQueue(queue, { retryLimit: 1, retryBackoff: true, expireInSeconds: 60 })
          )
          yield* live(jobs("a"))
          const [row] = yield* rows
          assert.deepStrictEqual([row!.retry_limit, row!.expire_seconds], [100, 86_400])
          const found = yield* Effect.promise(() => boss.getQueue(queue))
          assert.deepStrictEqual([found!.retryLimit, found!.expireInSeconds], [1, 60])
        })))

      it.effect("a queue whose policy keeps jobs out is refused", () =>
        inQueue(Effect.fnUntraced(function*({ boss, live, queue, rows }) {
          yield* Effect.promise(() => boss.createQueue(queue, { policy: "short" }))
          const exit = yield* Effect.exit(live(jobs("a")))
          assert.match(failure(exit), /its policy is short, which keeps jobs out/)
          assert.deepStrictEqual(yield* rows, [])
        })))

      it.effect("a queue that was removed since is there again", () =>
        inQueue(Effect.fnUntraced(function*({ boss, execute, live, queue, rows }) {
          yield* live(Effect.gen(function*() {
            yield* jobs("a")
            yield* Effect.promise(() => boss.deleteQueue(queue))
            yield* jobs("b")
            assert.deepStrictEqual(ids(yield* rows), ["b"])
            // By another process, so that this PgBoss does not know.
            yield* execute(`SELECT ${schema}.delete_queue('${queue}')`)
            yield* jobs("c")
          }))
          assert.deepStrictEqual(ids(yield* rows), ["c"])
        })))

      it.effect("a queue that is named as the default one is in pg-boss is refused: at the call, and by the worker", () =>
        inQueue(Effect.fnUntraced(function*({ live, queue, rows, work }) {
          const told = yield* Effect.exit(live(SideEffects.boundary(job("a", { queue }))))
          assert.match(failure(told), /that were told no queue. Leave it out/)
          const named = yield* Effect.exit(live(Effect.void, PgBossSideEffects.dispatcher({ queues: [queue] })))
          assert.match(failure(named), /dispatcher was given queue .*told no queue/)
          const worker = yield* Effect.exit(work(() => Effect.void, { queues: ["default", queue] }))
          assert.match(failure(worker), /layerWorker was given queue .*told no queue/)
          assert.deepStrictEqual(yield* rows, [])
        })))

      it.effect("what the database does not hold is said by its own words, also by a SqlClient", () =>
        inQueue(Effect.fnUntraced(function*({ live }) {
          for (const dispatcher of [PgBossSideEffects.dispatcher(), inTransaction]) {
            const exit = yield* Effect.exit(live(jobs("nul \u0000"), dispatcher))
            assert.match(failure(exit), /unsupported Unicode escape sequence/)
          }
        })))

      it.effect("a name that pg-boss does not take for a queue is refused at the call", () =>
        inQueue(Effect.fnUntraced(function*({ live }) {
          const exit = yield* Effect.exit(live(
            SideEffects.boundary(job("a", { queue: "with space" })),
            PgBossSideEffects.dispatcher({ queues: ["fine"] })
          ))
          assert.match(failure(exit), /the name of a queue is made of letters/)
          const problem = /was given queue "with space": the name of a queue is made of letters/
          assert.throws(() => PgBossSideEffects.dispatcher({ queues: ["with space"] }), problem)
          assert.throws(() => PgBossSideEffects.dispatcherInTransaction({ queues: ["with space"] }), problem)
          const { boss } = yield* PgBossSideEffects.Boss
          for (
            const layer of [
              PgBossSideEffects.layerBoss(boss, { schema, queue: "with space" }),
              PgBossSideEffects.layerWorker(Jobs, { queues: ["with space"] })
            ]
          ) assert.match(failure(yield* Effect.exit(Layer.build(layer as Layer.Layer<any>))), problem)
        })))
    })

    describe("in the transaction of the caller", () => {
      const table = `${schema}.orders`
      const place = (id: string) =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* Effect.orDie(sql.unsafe(`INSERT INTO ${table} (id) VALUES ($1)`, [id]))
          return yield* job(id)
        })
      const orders = ({ execute }: Stage) =>
        Effect.map(execute(`SELECT id FROM ${table} ORDER BY id`), ({ rows }) => rows.map(({ id }) => id))
      const prepared = ({ execute }: Stage) =>
        execute(`DROP TABLE IF EXISTS ${table}; CREATE TABLE ${table} (
          id text PRIMARY KEY, parent text REFERENCES ${table} (id) DEFERRABLE INITIALLY DEFERRED)`)

      it.effect("commit leaves all, and decisions are pending until then", () =>
        inQueue((stage) =>
          Effect.gen(function*() {
            yield* prepared(stage)
            const intents = yield* stage.live(
              Effect.gen(function*() {
                const sql = yield* SqlClient.SqlClient
                const intents = yield* sql.withTransaction(Effect.gen(function*() {
                  const intents = yield* SideEffects.boundary(Effect.all([place("a"), place("b")]))
                  assert.deepStrictEqual(intents.map((intent) => Decision.of(intent)), [undefined, undefined])
                  assert.deepStrictEqual(yield* stage.rows, [])
                  return intents
                }))
                return intents
              }),
              inTransaction
            )
            assert.deepStrictEqual(intents.map((intent) => Decision.of(intent)?._tag), ["Dispatched", "Dispatched"])
            assert.deepStrictEqual(yield* orders(stage), ["a", "b"])
            assert.deepStrictEqual(ids(yield* stage.rows), ["a", "b"])
          })
        ))

      it.effect("rollback leaves nothing, and no decision says that it was dispatched", () =>
        inQueue((stage) =>
          Effect.gen(function*() {
            yield* prepared(stage)
            const intents: Array<any> = []
            const exit = yield* Effect.exit(stage.live(
              Effect.gen(function*() {
                const sql = yield* SqlClient.SqlClient
                return yield* sql.withTransaction(Effect.gen(function*() {
                  intents.push(yield* SideEffects.boundary(place("a")))
                  return yield* Effect.fail("changed my mind")
                }))
              }),
              inTransaction
            ))
            assert.match(failure(exit), /changed my mind/)
            assert.deepStrictEqual(yield* orders(stage), [])
            assert.deepStrictEqual(yield* stage.rows, [])
            assert.notStrictEqual(Decision.of(intents[0])?._tag, "Dispatched")
          })
        ))

      it.effect("a transaction that fails at its commit leaves nothing", () =>
        inQueue((stage) =>
          Effect.gen(function*() {
            yield* prepared(stage)
            const intents: Array<any> = []
            const exit = yield* Effect.exit(stage.live(
              SqlSideEffects.transaction(Effect.gen(function*() {
                const sql = yield* SqlClient.SqlClient
                intents.push(yield* place("a"))
                yield* sql.unsafe(`INSERT INTO ${table} (id, parent) VALUES ('b', 'nobody')`)
              })),
              inTransaction
            ))
            assert.isTrue(Exit.isFailure(exit))
            assert.deepStrictEqual(yield* orders(stage), [])
            assert.deepStrictEqual(yield* stage.rows, [])
            assert.notStrictEqual(Decision.of(intents[0])?._tag, "Dispatched")
          })
        ))

      it.effect("a savepoint that is rolled back takes its jobs with it, and the rest is committed", () =>
        inQueue((stage) =>
          Effect.gen(function*() {
            yield* prepared(stage)
            yield* stage.live(
              SqlSideEffects.transaction(Effect.gen(function*() {
                yield* place("a")
                yield* Effect.ignore(
                  SqlSideEffects.transaction(Effect.andThen(place("b"), Effect.fail("no")), { nested: "release" })
                )
              })),
              inTransaction
            )
            assert.deepStrictEqual(yield* orders(stage), ["a"])
            assert.deepStrictEqual(ids(yield* stage.rows), ["a"])
          })
        ))

      it.effect("a snapshot in which the queue is not there yet loses nothing: it is rolled back", () =>
        inQueue((stage) =>
          Effect.gen(function*() {
            const exit = yield* Effect.exit(stage.live(
              Effect.gen(function*() {
                const sql = yield* SqlClient.SqlClient
                yield* stage.execute(`SELECT ${schema}.delete_queue('${stage.queue}')`)
                yield* sql.withTransaction(Effect.gen(function*() {
                  yield* sql.unsafe("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                  yield* sql.unsafe(`SELECT count(*) FROM ${schema}.queue`)
                  // Created now, by another connection.
                  yield* Effect.promise(() => stage.boss.createQueue(stage.queue))
                  yield* SideEffects.boundary(job("a"))
                }))
              }),
              inTransaction
            ))
            assert.match(failure(exit), /is not to be seen by the snapshot of this transaction/)
          })
        ))

      it.effect("a queue that was removed since is said, and is there the next time", () =>
        inQueue(({ boss, live, queue, rows }) =>
          Effect.gen(function*() {
            yield* live(
              Effect.gen(function*() {
                yield* Effect.promise(() => boss.deleteQueue(queue))
                const exit = yield* Effect.exit(SqlSideEffects.transaction(job("a")))
                assert.match(failure(exit), /Do it once more/)
                yield* SqlSideEffects.transaction(job("b"))
              }),
              inTransaction
            )
            assert.deepStrictEqual(ids(yield* rows), ["b"])
          })
        ))

      it.effect("outside of any transaction it is inserted alone, and a worker is woken at the commit", () =>
        inQueue(Effect.fnUntraced(function*({ live, until, work }) {
          const performed = yield* Queue.unbounded<string>()
          yield* work(({ id }) => Queue.offer(performed, id), { pollInterval: "1 hour" })
          const intent = yield* live(SideEffects.boundary(job("alone")), inTransaction)
          assert.strictEqual(Decision.of(intent)?._tag, "Dispatched")
          assert.strictEqual(yield* Queue.take(performed), "alone")
          yield* live(SqlSideEffects.transaction(job("within")), inTransaction)
          assert.strictEqual(yield* Queue.take(performed), "within")
          yield* until(isIn("completed"))
        })))

      it.effect("to drain inside of it is refused, as nobody else sees what it has written", () =>
        inQueue(Effect.fnUntraced(function*({ live }) {
          const exit = yield* Effect.exit(live(
            Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(SideEffects.drain)),
            inTransaction
          ))
          assert.match(failure(exit), /cannot see what this transaction has written/)
        })))
    })

    describe("performing", () => {
      it.effect("NOTIFY wakes a worker that hardly ever polls, and what comes back is found as well", () =>
        inQueue(Effect.fnUntraced(function*({ live, until, work }) {
          yield* work((_, { attempt }) => attempt < 3 ? Effect.fail("not yet") : Effect.void, {
            pollInterval: "1 hour",
            handling: { retry: Schedule.spaced("20 millis") }
          })
          yield* live(jobs("a", "b"))
          const rows = yield* until(isIn("completed"))
          assert.deepStrictEqual(rows.map(({ retry_count }) => retry_count), [2, 2])
        })))

      it.effect("a failure reads as one of pg-boss: retry, with its error, and when it is due", () =>
        inQueue(Effect.fnUntraced(function*({ live, until, work }) {
          yield* work(() => Effect.fail(new Unanswered({ message: "nobody \u0000 answers \ud800" })), {
            handling: { retry: Schedule.spaced("1 hour") }
          })
          yield* live(jobs("a"))
          const [row] = yield* until(isIn("retry"))
          assert.strictEqual(row!.output.message, "Unanswered: nobody \ufffd answers \ufffd")
          assert.include(row!.output.stack, "PgBossSideEffects.test.ts")
          assert.closeTo(row!.wait, 3600, 10)
          assert.isAbove(row!.keep, 9 * 365 * 86_400)
          const { failedAt, ...progress } = row!.data["~progress"]
          assert.deepStrictEqual(progress, { job: row!.id, claims: 1, attempts: 1, failures: 1, crashes: 0 })
          assert.strictEqual(failedAt.length, 1)
        })))

      it.effect("what is dead is failed, is kept for longer, and boss.retry gives it all its attempts again", () =>
        inQueue(
          Effect.fnUntraced(function*({ boss, live, queue, until, work }) {
            const attempts: Array<number> = []
            yield* work((_, { attempt }) => {
              attempts.push(attempt)
              return Effect.fail("no")
            }, { handling: { retry: Schedule.spaced("1 millis"), maxAttempts: 2 } })
            yield* live(jobs("a"))
            const [row] = yield* until(isIn("failed"))
            assert.strictEqual(row!.output.reason, "exhausted")
            assert.strictEqual(row!.deletion_seconds, 2 * 86_400)
            yield* Effect.promise(() => boss.retry(queue, row!.id))
            yield* until((rows) => rows[0]!.state === "failed" && attempts.length === 4)
            assert.deepStrictEqual(attempts, [1, 2, 1, 2])
          }),
          { retention: { dead: "2 days" } }
        ))

      it.effect("what is dead is copied to the dead letter queue of its queue, from where it can be sent back", () =>
        inQueue(Effect.fnUntraced(function*({ boss, live, queue, until, work }) {
          const letters = `${queue}-dead`
          yield* Effect.promise(() => boss.createQueue(letters))
          yield* Effect.promise(() => boss.createQueue(queue, { deadLetter: letters }))
          let good = false
          const attempts: Array<number> = []
          yield* work(({ id }, { attempt }) => {
            if (id === "b") return Effect.void
            attempts.push(attempt)
            return good ? Effect.void : SideEffect.cancel("not today")
          })
          yield* live(jobs("a", "b"))
          const [a, b] = yield* until((rows) => rows.every(({ state }) => state === "failed" || state === "completed"))
          assert.deepStrictEqual([a!.state, b!.state], ["failed", "completed"])
          assert.strictEqual(a!.output.reason, "cancelled")
          const [letter] = yield* Effect.promise(() => boss.findJobs(letters, { queued: true }))
          assert.strictEqual(letter!.sourceId, a!.id)
          good = true
          yield* Effect.promise(() => boss.redrive(letters))
          const all = yield* until((rows) => rows.filter(({ state }) => state === "completed").length === 2)
          assert.strictEqual(all.length, 3)
          // With all its attempts, as it is a new job.
          assert.deepStrictEqual(attempts, [1, 1])
        })))

      it.effect("a job that is no side effect is failed and said, and holds nobody up", () =>
        inQueue(Effect.fnUntraced(function*({ boss, lines, live, queue, rows, until, work }) {
          yield* work(() => Effect.void)
          const id = yield* Effect.promise(() => boss.send(queue, { to: "ada" }))
          yield* live(jobs("a"))
          yield* until((rows) =>
            rows.length === 2 && rows.every(({ state }) => state !== "created" && state !== "active")
          )
          const foreign = (yield* rows).find((row) => row.id === id)!
          assert.strictEqual(foreign.state, "failed")
          assert.match(foreign.output.message, /is no side effect.*adopt/)
          assert.isTrue(lines.some((line) => line.startsWith("ERROR") && line.includes(id!)))
        })))

      it.effect("a field of the wrong type takes no other with it", () =>
        inQueue(Effect.fnUntraced(function*({ boss, queue, work }) {
          const seen = yield* Deferred.make<unknown>()
          yield* work((_, { idempotencyKey, intent: { metadata } }) =>
            Deferred.succeed(seen, { idempotencyKey, metadata })
          )
          yield* Effect.promise(() =>
            boss.send(queue, {
              sideEffect: "jobs:run",
              payload: { id: "a" },
              priority: "high",
              key: "k",
              metadata: { by: "me" },
              "~progress": "rubbish"
            })
          )
          assert.deepStrictEqual(yield* Deferred.await(seen), { idempotencyKey: "k", metadata: { by: "me" } })
        })))

      it.effect(
        "a name that nobody knows is dead some time after it was due, whoever sent it",
        () =>
          inQueue(Effect.fnUntraced(function*({ boss, execute, live, queue, rows, until, work }) {
            yield* work(() => Effect.void, { unknown: "1 second" })
            yield* live(SideEffects.boundary(job("delayed", { delay: "2 seconds" })))
            const id = yield* Effect.promise(() =>
              boss.send(queue, { sideEffect: "jobs:gone", payload: { id: "sent" } })
            )
            yield* execute(
              `UPDATE ${schema}.job SET data = data || '{"sideEffect":"jobs:gone"}', group_id = 'jobs:gone' WHERE name = $1`,
              [queue]
            )
            const [first] = yield* until((rows) => rows.some(({ state }) => state === "failed"))
            assert.strictEqual(first!.id === id, false)
            const all = yield* until(isIn("failed"))
            assert.deepStrictEqual(all.map(({ output }) => output.reason), ["unknown", "unknown"])
            assert.isAbove(all[0]!.lived, 2.9)
            assert.isAbove(all[1]!.lived, 0.9)
            assert.strictEqual((yield* rows).length, 2)
          })),
        15_000
      )

      it.effect("an end that the database does not take holds no other up, and is said", () =>
        inQueue(
          Effect.fnUntraced(function*({ execute, lines, live, queue, until, work }) {
            const go = Latch.makeUnsafe()
            // As a trigger of somebody else might.
            yield* execute(`CREATE OR REPLACE FUNCTION ${schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $f$
              BEGIN
                IF NEW.name = '${queue}' AND NEW.data->'payload'->>'id' = 'poison' AND NEW.state <> 'active' THEN
                  RAISE EXCEPTION 'not this one';
                END IF;
                RETURN NEW;
              END $f$;
              CREATE TRIGGER refuse BEFORE UPDATE ON ${schema}.job_common FOR EACH ROW EXECUTE FUNCTION ${schema}.refuse()`)
            yield* Effect.addFinalizer(() => execute(`DROP TRIGGER refuse ON ${schema}.job_common`))
            yield* work(({ id }) => Effect.andThen(go.await, id === "c" ? Effect.fail("no") : Effect.void), {
              handling: { retry: Schedule.spaced("1 hour") }
            })
            yield* live(jobs("a", "b", "c", "d", "poison"))
            yield* until(isIn("active"))
            go.openUnsafe()
            const rows = yield* until((rows) => rows.filter(({ state }) => state === "active").length <= 1)
            assert.deepStrictEqual(
              rows.map(({ state }) => state),
              ["completed", "completed", "retry", "completed", "active"]
            )
            const said = () => lines.filter((line) => /ERROR.*cannot write how job .*not this one/.test(line))
            yield* until(() => said().length > 0)
            assert.include(said()[0]!, rows[4]!.id)
          }),
          { lease: "1 minute" }
        ))

      it.effect("what an operator cancels while it runs is interrupted, and stays cancelled", () =>
        inQueue(
          Effect.fnUntraced(function*({ boss, live, queue, rows, work }) {
            const begun = yield* Deferred.make<void>()
            const interrupted = yield* Deferred.make<void>()
            yield* work(() =>
              Effect.onInterrupt(
                Effect.andThen(Deferred.succeed(begun, undefined), Effect.never),
                () => Deferred.succeed(interrupted, undefined)
              )
            )
            const intent = yield* live(SideEffects.boundary(job("a")))
            yield* Deferred.await(begun)
            yield* Effect.promise(() => boss.cancel(queue, intent.id))
            yield* Deferred.await(interrupted)
            assert.strictEqual((yield* rows)[0]!.state, "cancelled")
          }),
          { lease: "1 second" }
        ))
    })

    describe("the lease", () => {
      it.effect("a handler that takes longer than the lease keeps its job", () =>
        inQueue(
          Effect.fnUntraced(function*({ live, until, work }) {
            let deliveries = 0
            const slowly = () => {
              deliveries++
              return Effect.sleep("3500 millis")
            }
            yield* work(slowly)
            yield* work(slowly)
            yield* live(jobs("a"))
            const [row] = yield* until(isIn("completed"))
            assert.deepStrictEqual([deliveries, row!.retry_count], [1, 0])
          }),
          { lease: "1 second" }
        ), 15_000)

      it.effect("a worker that has lost its lease settles nothing that somebody else has", () =>
        inQueue(
          Effect.fnUntraced(function*({ execute, lines, live, queue, rows, work }) {
            const go = Latch.makeUnsafe()
            const begun = yield* Deferred.make<void>()
            const { close } = yield* work(() => Effect.andThen(Deferred.succeed(begun, undefined), go.await), {
              gracePeriod: "5 seconds"
            })
            yield* live(jobs("a"))
            yield* Deferred.await(begun)
            // As when its lease ran out, and another worker has taken it.
            yield* execute(`UPDATE ${schema}.job SET retry_count = retry_count + 1 WHERE name = $1`, [queue])
            go.openUnsafe()
            yield* close
            assert.deepStrictEqual((yield* rows).map(({ state }) => state), ["active"])
            assert.isTrue(lines.some((line) => /WARN.*does not hold 1 side effect/.test(line)))
          }),
          { lease: "1 minute" }
        ))

      it.effect("what a worker takes again that it has lost is no longer performed from before", () =>
        inQueue(
          Effect.fnUntraced(function*({ execute, live, queue, until, work }) {
            const begun = yield* Queue.unbounded<number>()
            const interrupted = yield* Deferred.make<void>()
            yield* work((_, { attempt }) =>
              Effect.andThen(
                Queue.offer(begun, attempt),
                attempt > 1
                  ? Effect.void
                  : Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
              )
            )
            yield* live(jobs("a"))
            assert.strictEqual(yield* Queue.take(begun), 1)
            // As when pg-boss has not heard of it for too long.
            yield* execute(
              `UPDATE ${schema}.job SET state = 'retry', start_after = now() WHERE name = $1`,
              [queue]
            )
            yield* Deferred.await(interrupted)
            assert.strictEqual(yield* Queue.take(begun), 2)
            const [row] = yield* until(isIn("completed"))
            assert.strictEqual(row!.retry_count, 1)
          }),
          { lease: "1 minute" }
        ))

      it.effect("what was lost counts as an attempt and a crash, and what failed before counts still", () =>
        inQueue(
          Effect.fnUntraced(function*({ boss, live, queue, until, work }) {
            const attempts: Array<number> = []
            const first = yield* work(() => Effect.fail("first"), { handling: { retry: Schedule.spaced("1 millis") } })
            // The worker is gone after one failure; the next one who takes it dies.
            yield* live(jobs("a"))
            yield* until((rows) => rows[0]!.data["~progress"]?.failures >= 1)
            yield* first.close
            const [failed] = yield* until(isIn("retry"))
            const made = failed!.data["~progress"].attempts
            const [taken] = yield* Effect.promise(() => boss.fetch(queue))
            assert.strictEqual(taken!.id, failed!.id)
            yield* until(isIn("retry"))
            yield* work(
              (_, { attempt }) => Effect.sync(() => attempts.push(attempt)).pipe(Effect.andThen(Effect.fail("x"))),
              {
                handling: { retry: Schedule.spaced("1 hour") }
              }
            )
            const [row] = yield* until((rows) =>
              rows[0]!.state === "retry" && rows[0]!.data["~progress"].failures > failed!.data["~progress"].failures
            )
            assert.deepStrictEqual(attempts, [made + 2])
            const { attempts: all, crashes, failures } = row!.data["~progress"]
            assert.deepStrictEqual({ all, crashes, failures }, { all: made + 2, crashes: 1, failures: made + 1 })
          }),
          { lease: "1 second" }
        ), 20_000)

      it.effect("closing gives back what it has taken and not begun, with no attempt used", () =>
        inQueue(Effect.fnUntraced(function*({ live, until, work }) {
          const begun = yield* Queue.unbounded<number>()
          const hang = (_: unknown, { attempt }: { readonly attempt: number }) =>
            Effect.andThen(Queue.offer(begun, attempt), Effect.never)
          yield* live(jobs("a", "b", "c"))
          const { close } = yield* work(hang, { concurrency: 2 })
          yield* Queue.take(begun)
          yield* close
          const rows = yield* until((rows) => rows.every(({ state }) => state !== "active"))
          assert.isTrue(rows.every(({ data }) => (data["~progress"]?.attempts ?? 0) === 0))
          yield* Queue.clear(begun)
          yield* work(hang)
          assert.deepStrictEqual(yield* Queue.takeN(begun, 3), [1, 1, 1])
        })))

      it.effect("what the database gives only after closing has begun is given back", () =>
        Effect.gen(function*() {
          const { boss } = yield* PgBossSideEffects.Boss
          const asked = yield* Deferred.make<void>()
          const go = Latch.makeUnsafe()
          const run = Effect.runPromiseWith(yield* Effect.context<never>())
          let late = false
          const slow = new Proxy(boss, {
            get: (target, key) => {
              const member = (target as any)[key]
              if (typeof member !== "function") return member
              return key === "fetch"
                ? async (...args: Array<unknown>) => {
                  const found = await member.apply(target, args)
                  if (found.length > 0 && !late) {
                    late = true
                    await run(Effect.andThen(Deferred.succeed(asked, undefined), go.await))
                  }
                  return found
                }
                : member.bind(target)
            }
          })
          yield* inQueue(
            Effect.fnUntraced(function*({ live, rows, work }) {
              const { close } = yield* work(() => Effect.never)
              yield* live(jobs("a"))
              yield* Deferred.await(asked)
              const closing = yield* Effect.forkChild(close)
              // More than the five seconds that it once waited.
              yield* Effect.sleep("5500 millis")
              go.openUnsafe()
              yield* Fiber.join(closing)
              const [row] = yield* rows
              assert.strictEqual(row!.state, "retry")
              assert.strictEqual(row!.data["~progress"].attempts, 0)
            }),
            { lease: "1 minute" }
          ).pipe(
            Effect.updateService(PgBossSideEffects.Boss, (service) => ({ ...service, boss: slow }))
          )
        }), 20_000)

      /** A worker that has taken ahead of two handlers that hang, as those before were quick. */
      const takenAhead = Effect.fnUntraced(function*({ live, until, work }: Stage, begun: Queue.Queue<string>) {
        const handle = ({ id }: { readonly id: string }) =>
          id.startsWith("quick") ? Effect.void : Effect.andThen(Queue.offer(begun, id), Effect.never)
        yield* live(jobs(...Array.from({ length: 300 }, (_, i) => `quick ${i}`)))
        yield* live(jobs(...Array.from({ length: 12 }, (_, i) => `slow ${i}`)))
        const worker = yield* work(handle, { concurrency: 2, batchSize: 8 })
        yield* until((rows) => rows.filter(({ state }) => state === "active").length > 2)
        return { handle, worker }
      })
      const unfinished = (rows: ReadonlyArray<Row>) => rows.filter(({ state }) => state !== "completed")

      it.effect("closing gives back what was taken ahead, too", () =>
        inQueue(
          Effect.fnUntraced(function*(stage) {
            const begun = yield* Queue.unbounded<string>()
            const { worker } = yield* takenAhead(stage, begun)
            yield* Queue.takeN(begun, 2)
            yield* worker.close
            const rows = unfinished(yield* stage.rows)
            assert.isTrue(rows.every(({ state }) => state === "retry" || state === "created"), JSON.stringify(rows))
          }),
          { lease: "1 minute" }
        ))

      it.effect("what was taken ahead of handlers that have become slow is for others to begin", () =>
        inQueue(
          Effect.fnUntraced(function*(stage) {
            const begun = yield* Queue.unbounded<string>()
            const { handle } = yield* takenAhead(stage, begun)
            yield* stage.work(handle, { concurrency: 10 })
            assert.strictEqual(new Set(yield* Queue.takeN(begun, 12)).size, 12)
          }),
          { lease: "2 seconds" }
        ))
    })

    describe("draining", () => {
      it.effect("says when nobody works", () =>
        inQueue(Effect.fnUntraced(function*({ lines, live, queue }) {
          yield* live(Effect.gen(function*() {
            yield* jobs("a", "b")
            yield* Effect.timeoutOption(SideEffects.drain, "7 seconds")
          }))
          assert.deepStrictEqual(lines, [
            `WARN SideEffects.drain waits for 2 side effects that no worker has begun, in queue ${queue} ×2 of pg-boss. Is a ` +
            "worker running that looks there (PgBossSideEffects.layerWorker)?"
          ])
        })), 15_000)
    })

    describe("jobs of others", () => {
      it.effect("a queue is adopted: its jobs are performed, tried again, and read as before", () =>
        inQueue(Effect.fnUntraced(function*({ boss, execute, live, work }) {
          const queue = "adopted"
          yield* Effect.promise(() => boss.createQueue(queue))
          const id = yield* Effect.promise(() => boss.send(queue, { id: "theirs" }))
          const seen = yield* Queue.unbounded<readonly [unknown, number]>()
          yield* work((payload, { attempt }) =>
            Effect.andThen(
              Queue.offer(seen, [payload, attempt]),
              attempt < 5 ? Effect.fail("again") : Effect.void
            ), { adopt: { [queue]: Job }, handling: { retry: Schedule.spaced("1 millis") } })
          yield* live(jobs("ours"))
          const got = yield* Queue.takeN(seen, 10)
          const theirs = got.filter(([payload]) => (payload as any).id === "theirs")
          assert.deepStrictEqual(theirs.map(([, attempt]) => attempt), [1, 2, 3, 4, 5])
          assert.deepStrictEqual(theirs[4]![0], { id: "theirs" })
          const { rows: [row] } = yield* execute(`SELECT data - '~progress' AS data FROM ${schema}.job WHERE id = $1`, [
            id
          ])
          assert.deepStrictEqual(row.data, { id: "theirs" })
        })))

      it.effect("a job without data has the payload null, also when it is tried again", () =>
        inQueue(Effect.fnUntraced(function*({ boss, work }) {
          const queue = "adopted-empty"
          yield* Effect.promise(() => boss.createQueue(queue))
          yield* Effect.promise(() => boss.send(queue))
          const seen = yield* Queue.unbounded<unknown>()
          yield* work(
            (payload, { attempt }) =>
              Effect.andThen(Queue.offer(seen, [payload, attempt]), attempt < 2 ? Effect.fail("again") : Effect.void),
            {
              adopt: { [queue]: Remark },
              handling: { retry: Schedule.spaced("1 millis") }
            }
          )
          assert.deepStrictEqual(yield* Queue.takeN(seen, 2), [[null, 1], [null, 2]])
        })))

      it.effect("what another worker has tried counts", () =>
        inQueue(Effect.fnUntraced(function*({ boss, work }) {
          const queue = "adopted-tried"
          yield* Effect.promise(() => boss.createQueue(queue))
          const id = yield* Effect.promise(() => boss.send(queue, { id: "a" }))
          yield* Effect.promise(() => boss.fetch(queue))
          yield* Effect.promise(() => boss.fail(queue, id!))
          const seen = yield* Deferred.make<number>()
          yield* work((_, { attempt }) => Deferred.succeed(seen, attempt), { adopt: { [queue]: Job } })
          assert.strictEqual(yield* Deferred.await(seen), 2)
        })))
    })

    describe("connecting", () => {
      it.effect("a PgBoss of another schema is not taken for ours", () =>
        Effect.gen(function*() {
          const { boss } = yield* PgBossSideEffects.Boss
          const error = yield* Effect.flip(
            Effect.scoped(Layer.build(PgBossSideEffects.layerBoss(boss, { schema: "not_there" })))
          )
          assert.match(error.message, /no tables of pg-boss in schema not_there.*Give layerBoss the schema/)
        }))

      it.effect("a database that is away is an error of the layer", () =>
        Effect.gen(function*() {
          const connectionString = "postgres://postgres@127.0.0.1:1/test"
          const error = yield* Effect.flip(Effect.scoped(Layer.build(PgBossSideEffects.layer({ connectionString }))))
          assert.strictEqual(error._tag, "PgBossError")
          assert.match(
            error.message,
            /pg-boss could not start: .*ECONNREFUSED.* Is PostgreSQL running at 127.0.0.1:1\/test, .*create the schema pgboss/
          )
        }))

      it.effect("an option that is no duration dies with its name", () =>
        Effect.gen(function*() {
          const { boss } = yield* PgBossSideEffects.Boss
          for (
            const [option, layer] of [
              ["lease", PgBossSideEffects.layerBoss(boss, { schema, lease: "10 secs" as any })],
              ["retention.dead", PgBossSideEffects.layerBoss(boss, { schema, retention: { dead: "10 secs" as any } })],
              ["pollInterval", PgBossSideEffects.layerWorker(Jobs, { pollInterval: "10 secs" as any })]
            ] as const
          ) {
            const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer as Layer.Layer<any>)))
            assert.include(failure(exit), `was given ${option}: "10 secs". It takes a duration`)
          }
        }))

      it.effect(
        "a database that answers no more holds neither boundaries nor the end up",
        () =>
          Effect.gen(function*() {
            const { layer: logger, lines } = logs()
            const { freeze, url } = yield* proxied
            const scope = yield* Scope.make()
            const context = yield* Layer.buildWithScope(
              Layer.merge(
                SideEffects.LiveLayer(Jobs, { dispatcher: PgBossSideEffects.dispatcher() }),
                PgBossSideEffects.layerWorker(Jobs).pipe(
                  Layer.provide(Job.toLayer(() => Effect.void)),
                  Layer.provide(Remark.toLayer(() => Effect.void))
                )
              ).pipe(
                Layer.provide(PgBossSideEffects.layer({ connectionString: url, schema, queryTimeout: "12 seconds" })),
                Layer.provide(logger)
              ),
              scope
            )
            yield* Effect.provide(jobs("a"), context)
            freeze()
            const [boundary] = yield* Effect.timed(
              Effect.exit(Effect.timeout(Effect.provide(jobs("b"), context), "1 second"))
            )
            assert.isBelow(Duration.toSeconds(boundary), 8)
            const [unanswered, exit] = yield* Effect.timed(Effect.exit(Effect.provide(jobs("c"), context)))
            assert.match(failure(exit), /could not accept side effects.*(timeout|timed out)/)
            assert.isBelow(Duration.toSeconds(unanswered), 15)
            const [close] = yield* Effect.timed(Scope.close(scope, Exit.void))
            assert.isBelow(Duration.toSeconds(close), 35)
            // A client of pg is a hundred lines.
            assert.isTrue(lines.every((line) => line.length < 400), lines.join("\n"))
          }),
        90_000
      )

      it.effect("a lease of half a second dies with what it takes", () =>
        Effect.gen(function*() {
          const { boss } = yield* PgBossSideEffects.Boss
          const exit = yield* Effect.exit(
            Effect.scoped(Layer.build(PgBossSideEffects.layerBoss(boss, { schema, lease: "500 millis" })))
          )
          assert.match(failure(exit), /It takes whole seconds, 1 or more/)
        }))
    })
  })
})
