import type * as BullMQ from "bullmq"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { defaultQueue } from "../../engine/Job.ts"
import { durationOf } from "../../internal/duration.ts"
import { BullMQ as bullmq } from "./peer.ts"

/** See `BullMqSideEffects.Connection`. */
export type Input = string | Redacted.Redacted | BullMQ.ConnectionOptions

/** See `BullMqSideEffects.layer`. */
export interface Options {
  readonly connection: Input
  readonly prefix?: string | undefined
  readonly queue?: string | undefined
  readonly timeout?: Duration.Input | undefined
}

/**
 * Redis has not taken what was handed over, or has not said so.
 *
 * @category errors
 * @since 0.1.0
 */
export class RedisUnavailable extends /*#__PURE__*/ Data.TaggedError("RedisUnavailable")<{
  readonly message: string
  readonly cause: unknown
}> {}

/** What `BullMq` is made of. */
export interface Connected {
  readonly prefix: string
  readonly nameOf: (queue: string) => string
  readonly queue: (queue?: string) => BullMQ.Queue
  readonly opened: () => ReadonlyArray<BullMQ.Queue>
  readonly attempt: <A>(what: () => Promise<A>) => Effect.Effect<A, RedisUnavailable>
  readonly client: Effect.Effect<Client, never, Scope.Scope>
}

/** A connection that waits for Redis for as long as it takes. `isReady` says whether that is there now. */
export interface Client {
  readonly redis: BullMQ.IRedisClient
  readonly report: (who: string) => (error: Error) => void
  readonly isReady: () => boolean
  /** Ends everything that waits, on this connection and on those that were made from it. */
  readonly abandon: () => void
}

interface Overrides {
  readonly [option: string]: unknown
}

const isClient = (u: Exclude<Input, string | Redacted.Redacted>): u is BullMQ.IRedisClient =>
  typeof u.connect === "function" && typeof u.duplicate === "function"

/** The name in BullMQ of the queue `"default"`, unless it is told another. */
export const usual = "side-effects"

export const takenName = "that is where side effects are that were told no queue. Leave it out."

/** Why BullMQ cannot have a queue of that name. */
export const problemOf = (queue: string): string | undefined =>
  queue === "" || queue.includes(":") ? "names of queues of BullMQ are not empty and have no \":\"." : undefined

/** Throws where BullMQ cannot have queues of these names. */
export const checkQueues = (who: string, queues: ReadonlyArray<string> = []): void => {
  for (const queue of queues) {
    const problem = problemOf(queue)
    if (problem !== undefined) throw new Error(`${who} was given queue "${queue}": ${problem}`)
  }
}

/** Throws where ioredis would take a URL of something else for the path of a socket, and nothing for the own machine. */
const checkAddress = (who: string, input: Input): void => {
  const given = Redacted.isRedacted(input)
    ? Redacted.value(input)
    : typeof input === "string" || isClient(input)
    ? input
    : (input as { readonly url?: unknown }).url
  if (typeof given !== "string") return
  const expected = "It takes \"redis://host:6379\", \"rediss://host:6379\", or the path of a socket."
  if (given.trim() === "") throw new Error(`${who} was given a connection that is empty. ${expected}`)
  const scheme = /^[a-z][a-z\d+.-]*:\/\//i.exec(given)?.[0]
  // The rest may hold a password.
  if (scheme !== undefined && !/^rediss?:/i.test(scheme)) {
    throw new Error(`${who} was given a connection that begins with "${scheme}". ${expected}`)
  }
}

/** Where it leads, without its password. */
const addressOf = ({ options }: BullMQ.IRedisClient): string => {
  const { host, path, port } = options
  return typeof path === "string" ? path : typeof host === "string" ? `${host}:${port}` : "the address it was given"
}

/** Seconds at most: BullMQ's own waits up to 20 between two tries. */
const retryStrategy = (times: number): number => Math.min(times * 100, 2000)

const isReady = ({ isCluster, status }: BullMQ.IRedisClient): boolean =>
  status === "ready" || (isCluster && status === "connect")

/** A client of our own, made from what the user has given. `owned` is `false` where that is the user's own. */
const open = (input: Input, overrides: Overrides) => {
  let connection: BullMQ.ConnectionOptions
  let owned = true
  if (typeof input === "string") connection = { url: input, retryStrategy, ...overrides }
  else if (Redacted.isRedacted(input)) connection = { url: Redacted.value(input), retryStrategy, ...overrides }
  else if (!isClient(input)) connection = { retryStrategy, ...input, ...overrides }
  else if (typeof input.defineCommand !== "function") {
    connection = input
    owned = false
  } else if (input.isCluster) {
    connection = input.duplicate([], { redisOptions: { ...input.options["redisOptions"], ...overrides } })
  } else {
    connection = input.duplicate(overrides)
  }
  const options = { blocking: false, skipVersionCheck: true, skipWaitingForReady: true, shared: !owned }
  return Effect.map(
    Effect.promise(() => {
      const made = new bullmq.RedisConnection(connection, options)
      // One without a listener ends the process. The client itself is listened to.
      made.on("error", () => {})
      return made.client
    }),
    (redis) => ({ redis, owned })
  )
}

/** Closes a client for good, whether Redis is there or not. */
const end = (redis: BullMQ.IRedisClient): void => {
  redis.disconnect()
  if (redis.status === "end") return
  // Between two tries ioredis drops its timer and says nothing to those who wait.
  if (redis.status === "reconnecting") {
    redis.status = "end"
    const { flushQueue } = redis as { readonly flushQueue?: (error: Error) => void }
    flushQueue?.(new Error("Connection is closed."))
    redis.emit("end")
  }
}

/** One line in the log for each thing that goes wrong, however often it does, until Redis is back. */
const reporter = (redis: BullMQ.IRedisClient, log: (message: string, error: unknown) => void) => {
  const said = new Set<string>()
  redis.on("ready", () => said.clear())
  return (who: string) => (error: Error): void => {
    const message = error.message === "" ? error.name : error.message
    if (said.has(message)) return
    said.add(message)
    log(`${who}: ${message}`, error)
  }
}

const logger = Effect.map(Effect.context<never>(), (context) => {
  const fork = Effect.runForkWith(context)
  return (message: string, error: unknown): void =>
    void fork(Effect.logWarning(message).pipe(Effect.annotateLogs("error", String(error))))
})

export const make = Effect.fnUntraced(function*(options: Options) {
  const { connection, prefix = "bull", queue: standard = usual } = options
  const named = "BullMqSideEffects.layer"
  checkQueues(named, [standard])
  checkAddress(named, connection)
  const patience = durationOf(named, "timeout", options.timeout ?? "5 seconds")
  const scope = yield* Effect.scope
  const log = yield* logger
  const { owned, redis } = yield* open(connection, {
    lazyConnect: false,
    // What cannot be sent now has failed: nobody waits for it any more when Redis is back.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: Duration.toMillis(patience)
  })
  const report = reporter(redis, log)("BullMqSideEffects.layer, Redis")
  let last: Error | undefined
  const ready = Latch.makeUnsafe(isReady(redis))
  const opened = () => void ready.openUnsafe()
  const closed = () => void ready.closeUnsafe()
  const failed = (error: Error) => {
    last = error
    report(error)
  }
  redis.on("ready", opened)
  if (redis.isCluster) redis.on("connect", opened)
  redis.on("close", closed)
  redis.on("end", closed)
  redis.on("error", failed)

  const nameOf = (queue: string): string => {
    if (queue === standard && queue !== defaultQueue) throw new Error(`Queue "${queue}" of BullMQ: ${takenName}`)
    return queue === defaultQueue ? standard : queue
  }
  const queues = new Map<string, BullMQ.Queue>()
  const queue = (queue: string = defaultQueue): BullMQ.Queue => {
    const name = nameOf(queue)
    let one = queues.get(name)
    if (one === undefined) {
      one = new bullmq.Queue(name, { connection: redis, prefix, skipVersionCheck: true })
      // One without a listener ends the process.
      one.on("error", failed)
      queues.set(name, one)
    }
    return one
  }

  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => {
      const closing = Promise.all([...queues.values()].map((queue) => queue.close()))
      return Effect.promise(() => closing).pipe(
        Effect.interruptible,
        Effect.timeoutOption(isReady(redis) ? "1 second" : "10 millis"),
        Effect.catchCause(() => Effect.void),
        Effect.andThen(Effect.sync(() => {
          redis.off("ready", opened)
          redis.off("connect", opened)
          redis.off("close", closed)
          redis.off("end", closed)
          if (owned) end(redis)
          else redis.off("error", failed)
        }))
      )
    })
  )

  const away = (): RedisUnavailable =>
    new RedisUnavailable({
      cause: last,
      message: `Redis at ${addressOf(redis)} could not be reached within ${Duration.format(patience)}` +
        `${
          last === undefined ? "" : ` (${last.message || last.name})`
        }, and nothing was handed over. Start it, or see ` +
        "whether the address is right."
    })

  const unsure = (cause: unknown): RedisUnavailable =>
    new RedisUnavailable({
      cause,
      message: `Redis at ${addressOf(redis)} has not said that it took what was handed over: ` +
        `${cause instanceof Error ? cause.message : String(cause)}. Some of it may be there. What is handed over ` +
        "again with the same id is there once."
    })

  const attempt = <A>(what: () => Promise<A>): Effect.Effect<A, RedisUnavailable> =>
    Effect.suspend(() =>
      isReady(redis)
        ? Effect.void
        : Effect.timeoutOrElse(Effect.interruptible(ready.await), {
          duration: patience,
          orElse: () => Effect.fail(away())
        })
    ).pipe(
      Effect.andThen(
        Effect.tryPromise({ try: what, catch: unsure }).pipe(
          Effect.interruptible,
          // Of the client, where it is ioredis; this is for the others.
          Effect.timeoutOrElse({
            duration: Duration.sum(patience, Duration.seconds(1)),
            orElse: () => Effect.fail(unsure(new Cause.TimeoutError("it took too long")))
          })
        )
      )
    )

  const client = Effect.gen(function*() {
    const { owned, redis } = yield* Effect.acquireRelease(
      open(connection, { lazyConnect: false, enableOfflineQueue: true, maxRetriesPerRequest: null }),
      ({ owned, redis }) => Effect.sync(() => owned && end(redis))
    )
    const log = yield* logger
    const reports = reporter(redis, log)
    const failed = reports("BullMqSideEffects.layerWorker, Redis")
    redis.on("error", failed)
    if (!owned) yield* Effect.addFinalizer(() => Effect.sync(() => redis.off("error", failed)))
    const copies: Array<BullMQ.IRedisClient> = []
    const duplicate = redis.duplicate
    redis.duplicate = (...args) => {
      const copy = duplicate(...args)
      copies.push(copy)
      return copy
    }
    return {
      redis,
      report: reports,
      isReady: () => isReady(redis),
      abandon: () => {
        for (const copy of copies) end(copy)
        if (owned) end(redis)
      }
    } satisfies Client
  })

  return { prefix, nameOf, queue, opened: () => [...queues.values()], attempt, client } satisfies Connected
})
