import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as SqlClient from "effect/sql/SqlClient"
import type { Db, JobInsert } from "pg-boss"
import * as Engine from "../../engine/Engine.ts"
import { defaultQueue, type Job } from "../../engine/Job.ts"
import * as describe from "../../internal/describe.ts"
import { unbegun, untilIdle } from "../../internal/drain.ts"
import { attempt, Boss, checkQueues, PgBossError, physicalOf, problemOf, type Terms } from "./boss.ts"
import { dataOf } from "./data.ts"
import * as statements from "./statements.ts"

/** `standard`: names in pg-boss of the queue `"default"`, as far as they are known. */
const honoursOf = (standard: ReadonlySet<string>): Engine.Honours => ({
  delay: true,
  priority: true,
  queue: true,
  problem: ({ queue }) => {
    if (queue === undefined || queue === defaultQueue) return undefined
    const problem = standard.has(queue) ? takenName : problemOf(queue)
    return problem === undefined ? undefined : { option: "queue", problem }
  }
})

const toInsert = (job: Job, terms: Terms): JobInsert => ({
  ...terms,
  id: job.id,
  data: dataOf(job),
  // By which a worker can leave alone what it does not know.
  group: { id: job.name },
  ...(job.priority === 0 ? undefined : { priority: job.priority }),
  ...(job.key === undefined ? undefined : { singletonKey: job.key }),
  // Seconds, from the moment of the insert and by the clock of the database.
  ...(job.delay === 0 ? undefined : { startAfter: job.delay / 1000 })
})

/** Hands over through `db`, which may be a transaction of somebody else. */
const handOver = (
  service: Boss["Service"],
  jobs: ReadonlyArray<Job>,
  used: Set<string>,
  db: Db | undefined
): Effect.Effect<void, PgBossError> =>
  db === undefined
    // The queue may be removed, and this process not know it. Those that are there already stay there once.
    ? Effect.retry(insert(service, jobs, used, db), { times: 1, while: isWithoutQueue })
    : Effect.mapError(insert(service, jobs, used, db), (error) =>
      isWithoutQueue(error)
        ? new PgBossError({ operation: error.operation, cause: error.cause, remedy: "Do it once more" })
        : error)

const isWithoutQueue = ({ cause }: PgBossError): boolean =>
  cause instanceof QueueGone || (cause instanceof Error && /^Queue .* does not exist$/.test(cause.message))

class QueueGone extends Error {}

const insert = Effect.fnUntraced(function*(
  service: Boss["Service"],
  jobs: ReadonlyArray<Job>,
  used: Set<string>,
  db: Db | undefined
) {
  const { boss, schema } = service
  const byQueue = new Map<string, Array<Job>>()
  for (const job of jobs) {
    const queue = physicalOf(job.queue, service)
    if (queue === job.queue && queue === service.queue && queue !== defaultQueue) {
      return yield* new PgBossError({
        operation: `accept side effect "${job.name}" in queue "${queue}"`,
        cause: new Error(takenName)
      })
    }
    const others = byQueue.get(queue)
    if (others === undefined) byQueue.set(queue, [job])
    else others.push(job)
  }
  for (const [queue, batch] of byQueue) {
    const { policy, terms } = yield* service.ready(queue)
    if (policy !== "standard") {
      return yield* new PgBossError({
        operation: `accept a side effect in queue "${queue}"`,
        cause: new Error(`its policy is ${policy}, which keeps jobs out`),
        remedy: "Send side effects to a queue with the policy standard"
      })
    }
    used.add(queue)
    const inserted = yield* attempt(
      `accept side effects in queue "${queue}"`,
      () => boss.insert(queue, batch.map((job) => toInsert(job, terms)), { returnId: true, ...(db && { db }) })
    ).pipe(Effect.tapError(() => Effect.sync(() => service.forget(queue))))
    if (inserted?.length === batch.length) continue
    // Nothing is said about those that were not inserted: they may be there, or their queue may not.
    const taken = new Set(inserted)
    const missing = new Set(batch.flatMap(({ id }) => taken.has(id) ? [] : [id]))
    const present = yield* attempt(
      `look for side effects in queue "${queue}"`,
      () => (db ?? boss.getDb()).executeSql(statements.present(schema), [queue, JSON.stringify([...missing])])
    )
    for (const { id } of present.rows) missing.delete(id)
    if (missing.size === 0) continue
    service.forget(queue)
    return yield* new PgBossError({
      operation: `accept ${describe.plural(missing.size, "side effect")} in queue "${queue}"`,
      cause: new QueueGone(
        db === undefined
          ? "the queue was just removed"
          : "the queue was just removed, or is not to be seen by the snapshot of this transaction"
      ),
      remedy: "Do it once more"
    })
  }
})

const drain = (
  { boss, schema }: Boss["Service"],
  used: Set<string>
): Effect.Effect<void> => {
  const look = attempt(
    "look whether it is idle",
    () => boss.getDb().executeSql(statements.busy(schema), [JSON.stringify([...used])])
  )
  const count = attempt(
    "count what is left",
    () => boss.getDb().executeSql(statements.left(schema), [JSON.stringify([...used])])
  )
  return Effect.orDie(untilIdle({
    isBusy: Effect.map(look, ({ rows }) => rows.length > 0),
    problem: Effect.map(count, ({ rows }) =>
      rows.some(({ running }) => running > 0) ? undefined : unbegun(
        new Map(rows.map(({ due, name }) => [name, due])),
        "pg-boss",
        "PgBossSideEffects.layerWorker"
      ))
  }))
}

/** The options of `dispatcher`. */
export interface Options {
  readonly queues?: ReadonlyArray<string> | undefined
}

export const make = (
  { queues = [] }: Options = {},
  who = "PgBossSideEffects.dispatcher"
): Engine.Engine<PgBossError, Boss> => {
  checkQueues(who, queues)
  const standard = new Set<string>()
  return Engine.dispatcher({
    name: "pg-boss",
    honours: honoursOf(standard),
    queues,
    connect: Effect.gen(function*() {
      const service = yield* Boss
      const used = yield* openQueues(who, service, queues)
      yield* knowing(standard, service)
      return {
        handOver: (jobs) => hastily(handOver(service, jobs, used, undefined)),
        drain: drain(service, used)
      }
    })
  })
}

export const makeInTransaction = (
  { queues = [] }: Options = {}
): Engine.Engine<PgBossError, Boss | SqlClient.SqlClient> => {
  const who = "PgBossSideEffects.dispatcherInTransaction"
  checkQueues(who, queues)
  const standard = new Set<string>()
  return Engine.dispatcher({
    name: "pg-boss",
    honours: honoursOf(standard),
    queues,
    connect: Effect.gen(function*() {
      const service = yield* Boss
      const sql = yield* SqlClient.SqlClient
      const used = yield* openQueues(who, service, queues)
      yield* knowing(standard, service)
      const isOpen = (context: Context.Context<never>) =>
        Context.getOrUndefined(context, sql.transactionService) !== undefined
      return {
        // Not interrupted: the statement would go on in a transaction that is rolled back already.
        handOver: (jobs) =>
          Effect.uninterruptible(
            Effect.contextWith((context: Context.Context<never>) => handOver(service, jobs, used, within(sql, context)))
          ),
        drain: Effect.contextWith((context: Context.Context<never>) =>
          isOpen(context)
            ? Effect.die(
              new Error(
                "SideEffects.drain waits for workers, and they cannot see what this transaction has written. Wait after " +
                  "it has ended."
              )
            )
            : drain(service, used)
        ),
        transaction: { isOpen, afterCommit: sql.afterCommit }
      }
    })
  })
}

/** For as long as it is connected. */
const knowing = (standard: Set<string>, { queue }: Boss["Service"]) =>
  Effect.acquireRelease(Effect.sync(() => standard.add(queue)), () => Effect.sync(() => standard.delete(queue)))

/**
 * Interruption waits for what is underway, as a unit of work that has succeeded should not lose what it wished for. Not for
 * ever, as the database may not answer.
 */
const hastily = (self: Effect.Effect<void, PgBossError>): Effect.Effect<void, PgBossError> =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDetach(self), (fiber) =>
    Effect.flatMap(
      Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), "5 seconds"),
      ({ _tag }) =>
        _tag === "Some"
          ? Fiber.join(fiber)
          : Effect.onInterrupt(Effect.interruptible(Fiber.join(fiber)), () => Fiber.interrupt(fiber))
    )))

/** Throws where `queues` has the name that the queue `"default"` has in pg-boss. */
export const checkTaken = (
  who: string,
  { queue }: Pick<Boss["Service"], "queue">,
  queues: ReadonlyArray<string>
): void => {
  if (queue !== defaultQueue && queues.includes(queue)) {
    throw new Error(`${who} was given queue "${queue}": ${takenName}`)
  }
}

const takenName = "that is where side effects are that were told no queue. Leave it out."

const openQueues = (who: string, service: Boss["Service"], queues: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    checkTaken(who, service, queues)
    const used = new Set([defaultQueue, ...queues].map((queue) => physicalOf(queue, service)))
    for (const queue of used) yield* service.ready(queue)
    return used
  })

/** What pg-boss runs its statements with, on the connection of the transaction that is open in this context. */
const within = (sql: SqlClient.SqlClient, context: Context.Context<never>): Db => {
  const run = Effect.runPromiseWith(context)
  return {
    executeSql: (text, values) =>
      run(Effect.map(sql.unsafe(text, values).withoutTransform, (rows) => ({ rows: rows as Array<any> })))
  }
}
