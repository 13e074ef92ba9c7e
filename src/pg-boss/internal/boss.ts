import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as SqlError from "effect/sql/SqlError"
import type * as Boss_ from "pg-boss"
import { defaultQueue } from "../../engine/Job.ts"
import * as describe from "../../internal/describe.ts"
import { durationOf } from "../../internal/duration.ts"
import { PgBoss } from "./peer.ts"
import * as statements from "./statements.ts"

/**
 * pg-boss could not do what it was asked: the database is away, or refuses. `operation` says what, `cause` what it failed
 * with, `remedy` what to do about it, where that is known.
 *
 * @category errors
 * @since 0.1.0
 */
export class PgBossError extends /*#__PURE__*/ Schema.TaggedError<PgBossError>()("PgBossError", {
  operation: Schema.String,
  cause: Schema.Defect(),
  remedy: Schema.optional(Schema.UndefinedOr(Schema.String))
}) {
  override get message(): string {
    const problem = `pg-boss could not ${this.operation}: ${describe.error(driverErrorOf(this.cause))}`
    return this.remedy === undefined ? problem : `${problem}. ${this.remedy}`
  }
}

/**
 * How side effects use pg-boss. All programs on one installation should agree on it.
 *
 * **Details**
 *
 * - `queue` (default `"side-effects"`): the name in pg-boss of the queue `"default"`. Other queues keep their name.
 * - `lease` (default 10 seconds): a worker says at least every third of it that it lives. Once it has not for that long,
 *   pg-boss takes back what it held. Whole seconds.
 * - `retention`: how long what is over is kept: `done` (default 7 days), `dead` (default 90 days). Whole seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly queue?: string | undefined
  readonly lease?: Duration.Input | undefined
  readonly retention?: {
    readonly done?: Duration.Input | undefined
    readonly dead?: Duration.Input | undefined
  } | undefined
}

/** What the database said, where an `SqlError` only says that something has failed. */
const driverErrorOf = (cause: unknown): unknown =>
  SqlError.isSqlError(cause) ? (cause.reason as { readonly cause?: unknown }).cause ?? cause : cause

/** What pg-boss emits is no `Error` where it comes from one of its own workers. */
const messageOf = (error: unknown): string =>
  !(error instanceof Error) && Predicate.hasProperty(error, "message") && typeof error.message === "string"
    ? error.message.split("\n", 1)[0]!
    : describe.error(error)

/** The options of `layer`. */
export interface LayerOptions extends Boss_.ConstructorOptions, Settings {
  readonly queryTimeout?: Duration.Input | undefined
}

/** How a job has to be told what its queue does not say. */
export type Terms = Pick<
  Boss_.JobInsert,
  | "retryLimit"
  | "retryDelay"
  | "retryBackoff"
  | "expireInSeconds"
  | "retentionSeconds"
  | "deleteAfterSeconds"
  | "heartbeatSeconds"
>

/**
 * A PgBoss that is started, and how side effects use it. `schema` is where its tables are, `queue` the name in pg-boss of
 * the queue `"default"`, `lease` is in milliseconds.
 *
 * @category services
 * @since 0.1.0
 */
export class Boss extends Context.Service<Boss, {
  readonly boss: Boss_.PgBoss
  readonly schema: string
  readonly queue: string
  readonly lease: number
  /** @internal */
  readonly keepDead: number
  /** @internal Creates a queue that is not there, and says what its jobs have to be told. */
  readonly ready: (queue: string) => Effect.Effect<QueueReady, PgBossError>
  /** @internal What was known of a queue may be no more. */
  readonly forget: (queue: string) => void
  /** @internal Calls back with each queue that gets a job, and with `undefined` when some may have been missed. */
  readonly listen: (heard: (queue: string | undefined) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("effect-side-effects/pg-boss/Boss") {}

interface QueueReady {
  readonly terms: Terms
  readonly policy: string
}

/** The shortest time after which pg-boss lets a queue miss a heartbeat. A single job may have a shorter one. */
const shortestHeartbeat = 10

const wholeSeconds = (option: string, input: Duration.Input): number => {
  const seconds = Duration.toSeconds(durationOf("PgBossSideEffects", option, input))
  if (!Number.isInteger(seconds) || seconds < 1) {
    throw new Error(`PgBossSideEffects was given ${option}: ${seconds} seconds. It takes whole seconds, 1 or more.`)
  }
  return seconds
}

/** The name in pg-boss of a queue, and the other way round. */
export const physicalOf = (queue: string, { queue: standard }: Pick<Boss["Service"], "queue">): string =>
  queue === defaultQueue ? standard : queue

/** Why pg-boss cannot have a queue of that name. */
export const problemOf = (queue: string): string | undefined =>
  /^[\w.\-/]+$/.test(queue)
    ? undefined
    : "the name of a queue is made of letters, digits, underscores, hyphens, periods and slashes."

/** Throws where pg-boss cannot have queues of these names. */
export const checkQueues = (who: string, queues: ReadonlyArray<string> = []): void => {
  for (const queue of queues) {
    const problem = problemOf(queue)
    if (problem !== undefined) throw new Error(`${who} was given queue "${queue}": ${problem}`)
  }
}

export const attempt = <A>(operation: string, run: () => Promise<A>, remedy?: string): Effect.Effect<A, PgBossError> =>
  Effect.tryPromise({ try: run, catch: (cause) => new PgBossError({ operation, cause, remedy }) })

/** What is done at the end: a database that does not answer keeps nobody from ending. */
const atLast = (operation: string, patience: Duration.Input, run: () => Promise<unknown>): Effect.Effect<void> =>
  attempt(operation, run).pipe(
    Effect.interruptible,
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        new PgBossError({
          operation,
          cause: new Error(
            `the database did not answer within ${Duration.format(Duration.fromInputUnsafe(patience))}`
          )
        })
    }),
    Effect.catch((error) => Effect.logWarning(error.message)),
    Effect.asVoid
  )

/** Where the database is, without its password. */
const addressOf = ({ connectionString, database, db, host, port }: Boss_.ConstructorOptions): string => {
  if (db !== undefined) return "behind the db that it was given"
  if (connectionString !== undefined) {
    const [, found] = /^\w+:\/\/(?:.*@)?([^?#]*)/s.exec(connectionString) ?? []
    return found === undefined ? "where connectionString says" : `at ${found}`
  }
  return `at ${host ?? "localhost"}:${port ?? 5432}${database === undefined ? "" : `/${database}`}`
}

const make = Effect.fnUntraced(function*(
  boss: Boss_.PgBoss,
  schema: string,
  { lease: leaseInput = "10 seconds", queue = "side-effects", retention }: Settings
) {
  checkQueues("PgBossSideEffects", [queue])
  const lease = wholeSeconds("lease", leaseInput)
  const terms = {
    // Retries are ours. It goes up with each, and holds off a job that nobody settles.
    retryLimit: 100,
    retryDelay: 0,
    retryBackoff: false,
    expireInSeconds: 86_400,
    // What was accepted is never removed before it is over: ten years.
    retentionSeconds: 315_360_000,
    deleteAfterSeconds: wholeSeconds("retention.done", retention?.done ?? "7 days"),
    heartbeatSeconds: lease
  } satisfies Terms
  const known = new Map<string, QueueReady>()

  const lookUp = Effect.fnUntraced(function*(name: string) {
    const look = attempt(`read queue "${name}"`, () => boss.getQueue(name))
    let found = yield* look
    if (found === null) {
      yield* attempt(`create queue "${name}"`, () =>
        boss.createQueue(name, {
          ...terms,
          heartbeatSeconds: Math.max(lease, shortestHeartbeat),
          notify: true
        }))
      found = yield* look
    }
    if (found === null) {
      return yield* new PgBossError({ operation: `create queue "${name}"`, cause: new Error("it is not there") })
    }
    const own: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(terms)) {
      if (found[key as keyof Terms] !== value) own[key] = value
    }
    const ready: QueueReady = { terms: own as Terms, policy: found.policy ?? "standard" }
    known.set(name, ready)
    return ready
  })

  // One connection for all workers of this process.
  const heard = new Set<(queue: string | undefined) => void>()
  const tell = (queue: string | undefined) => heard.forEach((listener) => listener(queue))
  const scope = yield* Scope.Scope
  const listening = yield* Effect.cached(Effect.gen(function*() {
    const db = boss.getDb()
    if (db.listen === undefined) return
    yield* Effect.acquireRelease(
      attempt(
        "listen for jobs",
        () =>
          db.executeSql(statements.channel, [statements.channelNameOf(schema)]).then(({ rows }) =>
            db.listen!(rows[0].channel, tell, () => tell(undefined))
          )
      ),
      (handle) => atLast("stop listening", "2 seconds", () => handle.close())
    ).pipe(
      Scope.provide(scope),
      Effect.catch((error) =>
        Effect.logWarning(
          `${error.message}. Workers look for side effects every pollInterval instead. PgBouncer in transaction mode ` +
            "cannot listen: give pg-boss a connection that goes round it."
        )
      )
    )
  }))

  return Boss.of({
    boss,
    schema,
    queue,
    lease: lease * 1000,
    keepDead: wholeSeconds("retention.dead", retention?.dead ?? "90 days"),
    ready: (name) =>
      Effect.suspend(() => {
        const ready = known.get(name)
        return ready === undefined ? lookUp(name) : Effect.succeed(ready)
      }),
    forget: (name) => void known.delete(name),
    listen: (listener) =>
      Effect.andThen(
        Effect.acquireRelease(Effect.sync(() => heard.add(listener)), () => Effect.sync(() => heard.delete(listener))),
        listening
      )
  })
})

export const layer = (options: LayerOptions): Layer.Layer<Boss, PgBossError> =>
  Layer.effect(
    Boss,
    Effect.gen(function*() {
      const { lease, queryTimeout = "1 minute", queue, retention, ...own } = options
      const patience = Duration.toMillis(Duration.fromInputUnsafe(queryTimeout))
      const log = Effect.runForkWith(yield* Effect.context<never>())
      const boss = yield* Effect.try({
        // Every minute otherwise, which is how long what a dead process held would wait.
        try: () =>
          new PgBoss({
            superviseIntervalSeconds: 10,
            monitorIntervalSeconds: 10,
            // Of `pg`, to which pg-boss gives all it was given.
            ...(Number.isFinite(patience) ? { query_timeout: patience } : undefined),
            ...own
          }),
        catch: (cause) => new PgBossError({ operation: "be set up", cause })
      })
      // Not the error itself: those of `pg` hold its clients.
      boss.on("error", (error) => log(Effect.logError(`pg-boss: ${messageOf(error)}`)))
      boss.on("warning", ({ data, message }) => log(Effect.logWarning(`pg-boss: ${message}`, data)))
      yield* Effect.acquireRelease(
        attempt(
          "start",
          () => boss.start(),
          `Is PostgreSQL running ${addressOf(own)}, are user and password right, and may that user create the schema ` +
            `${own.schema ?? "pgboss"} where it is not there yet?`
        ),
        () => atLast("stop", "12 seconds", () => boss.stop({ timeout: 10_000 }))
      )
      return yield* make(boss, own.schema ?? "pgboss", { lease, queue, retention })
    })
  )

export const layerBoss = (
  boss: Boss_.PgBoss,
  { schema = "pgboss", ...settings }: Settings & { readonly schema?: string | undefined } = {}
): Layer.Layer<Boss, PgBossError> =>
  Layer.effect(
    Boss,
    Effect.gen(function*() {
      const installed = yield* attempt("be asked for its tables", () =>
        boss.getDb().executeSql(statements.installed, [statements.nameOf(schema)]))
      if (installed.rows.length === 0) {
        return yield* new PgBossError({
          operation: "be found",
          cause: new Error(`there are no tables of pg-boss in schema ${schema}`),
          remedy: "Give layerBoss the schema that this PgBoss was made with, and start it before."
        })
      }
      return yield* make(boss, schema, settings)
    })
  )
