import type * as BullMQ from "bullmq"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import { untouched } from "../../engine/Job.ts"
import type * as Outcome from "../../engine/Outcome.ts"
import { millisOf } from "../../internal/duration.ts"
import type * as SideEffect from "../../SideEffect.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import { checkQueues, type Client, type Connected } from "./connection.ts"
import * as data from "./data.ts"
import * as dispatcher from "./dispatcher.ts"
import { BullMQ as bullmq } from "./peer.ts"

/** See `BullMqSideEffects.WorkerOptions`. */
export interface Options extends EngineWorker.Options {
  readonly lockDuration?: Duration.Input | undefined
  readonly stalledInterval?: Duration.Input | undefined
  readonly retention?: {
    readonly done?: Duration.Input | undefined
    readonly dead?: Duration.Input | undefined
  } | undefined
  readonly priorities?: boolean | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly name?: string | undefined
}

const who = "BullMqSideEffects.layerWorker"

/** How long it is kept, in the words of BullMQ. */
const kept = (option: string, input: Duration.Input): BullMQ.KeepJobs => {
  const age = Math.ceil(millisOf(who, option, input) / 1000)
  return age === 0 ? { count: 0 } : { age }
}

/** A delivery of a job. `lost` says that somebody else has it, or will: nothing is to be said about it any more. */
interface Held {
  lost: boolean
}

/** What these say, BullMQ takes as said to itself. */
const signals = new Set([
  "DelayedError",
  "WaitingError",
  "WaitingChildrenError",
  "RateLimitError",
  "UnrecoverableError"
])

/** What the handler failed with, as BullMQ shows it. */
const errorOf = (cause: Cause.Cause<unknown>): Error => {
  const error = Cause.prettyErrors(cause)[0] ?? new Error("It failed without a reason.")
  if (error.message === "") error.message = error.name
  if (!signals.has(error.name)) return error
  // `RateLimitError` is known by its message.
  const other = new Error(`${error.name}: ${error.message}`, { cause: error })
  if (error.stack !== undefined) other.stack = error.stack
  return other
}

const deadOf = ({ cause, error, failed }: Outcome.Dead): Error => {
  const real = failed && cause !== undefined ? errorOf(cause) : undefined
  const dead = new bullmq.UnrecoverableError(real?.message ?? error)
  // Ours says nothing about why.
  dead.stack = real?.stack ?? ""
  return dead
}

const namesOf = (group: SideEffectGroup.Any): ReadonlyMap<string, SideEffect.Any> => {
  const names = new Map(group.sideEffects)
  for (const sideEffect of group.sideEffects.values()) {
    for (const alias of sideEffect.aliases) names.set(alias, sideEffect)
  }
  return names
}

export const make = Effect.fnUntraced(function*<R>(
  connected: Effect.Effect<Connected, never, R>,
  group: SideEffectGroup.Any,
  options: Options = {}
) {
  const { name, priorities, queues, retention, uniqueFor } = options
  checkQueues(who, queues)
  const lockDuration = Math.ceil(millisOf(who, "lockDuration", options.lockDuration ?? "10 seconds"))
  // Redis takes whole numbers.
  const stalledInterval = Math.ceil(
    options.stalledInterval === undefined ? lockDuration / 3 : millisOf(who, "stalledInterval", options.stalledInterval)
  )
  const keep = {
    done: kept("retention.done", retention?.done ?? "1 hour"),
    dead: kept("retention.dead", retention?.dead ?? "90 days")
  }
  const bull = yield* connected
  const client = yield* bull.client
  const worker = yield* EngineWorker.make(
    who,
    dispatcher.make(connected, { queues, priorities, uniqueFor }, who),
    group,
    options
  )
  const clock = yield* Clock.Clock
  const isVoid = data.voids(namesOf(group))
  const run = Effect.runPromiseWith(yield* Effect.context<never>())
  const places = new Map(worker.queues.map((queue) => [bull.nameOf(queue), queue]))
  // Each has its own number of jobs in BullMQ; together they have no more than one worker may.
  const slots = places.size === 1 ? undefined : Semaphore.makeUnsafe(worker.concurrency)
  let closing = false

  /** What BullMQ has to hear of it, if anything. */
  const settle = (
    job: BullMQ.Job,
    token: string | undefined,
    { progress }: data.Taken,
    outcome: Outcome.Outcome
  ): Effect.Effect<Error | undefined> => {
    switch (outcome._tag) {
      case "Done":
        return Effect.undefined
      case "Retry": {
        const next = { ...outcome.progress, made: job.attemptsMade + 1, stalled: job.stalledCounter }
        return Effect.map(note(job, next), () => {
          // Of this copy only: how often and when is decided here, whatever the job was added with.
          job.opts.attempts = job.attemptsMade + 2
          job.opts.backoff = { type: "fixed", delay: outcome.delay }
          return errorOf(outcome.cause)
        })
      }
      case "Snooze": {
        const at = clock.currentTimeMillisUnsafe() + outcome.delay
        return Effect.as(Effect.promise(() => job.moveToDelayed(at, token)), new bullmq.DelayedError())
      }
      case "Release":
        return Effect.as(Effect.promise(() => job.moveToWait(token!)), new bullmq.WaitingError())
      case "Dead": {
        const free = job.deduplicationId === undefined
          ? Effect.void
          : Effect.promise(() => job.removeDeduplicationKey())
        // Whoever retries it by hand may lose as many processes again.
        const fresh = progress.crashes === 0
          ? Effect.void
          : note(job, { ...untouched, made: job.attemptsMade + 1, stalled: job.stalledCounter })
        return Effect.andThen(Effect.andThen(free, fresh), Effect.succeed(deadOf(outcome)))
      }
    }
  }

  /** It could not be settled any more: what still runs of it only delays the delivery that counts. */
  const lose = (held: ReadonlyMap<string, Held>, id: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const one = held.get(id)
      if (one === undefined || one.lost) return Effect.void
      one.lost = true
      return worker.release(id)
    })

  const processed = (
    job: BullMQ.Job,
    token: string | undefined,
    queue: string,
    one: Held
  ): Effect.Effect<Error | undefined> => {
    const taken = data.take(job, queue, bull.nameOf(queue), isVoid)
    if (taken === undefined) return Effect.succeed(new bullmq.UnrecoverableError(data.foreign(job)))
    const performing = Effect.suspend(() =>
      one.lost ? Effect.succeed<Outcome.Outcome>({ _tag: "Release" }) : worker.perform(taken.job)
    )
    const performed = Effect.flatMap(
      slots === undefined || closing ? performing : slots.withPermit(performing),
      // BullMQ takes it that it was moved, and says nothing about it either.
      (outcome) => one.lost ? Effect.succeed(new bullmq.WaitingError()) : settle(job, token, taken, outcome)
    )
    return taken.moved ? Effect.andThen(note(job, taken.progress), performed) : performed
  }

  const start = ([physical, queue]: readonly [string, string]): BullMQ.Worker => {
    const held = new Map<string, Held>()
    const process = (job: BullMQ.Job, token: string | undefined) => {
      const id = job.id!
      const one: Held = { lost: false }
      return lose(held, id).pipe(
        Effect.andThen(Effect.suspend(() => {
          held.set(id, one)
          return processed(job, token, queue, one)
        })),
        Effect.ensuring(Effect.sync(() => {
          if (held.get(id) === one) held.delete(id)
        }))
      )
    }
    const one = new bullmq.Worker(
      physical,
      (job, token) =>
        run(process(job, token)).then((error) => {
          if (error === undefined) return
          throw error
        }),
      {
        connection: client.redis,
        prefix: bull.prefix,
        concurrency: worker.concurrency,
        lockDuration,
        stalledInterval,
        // Crashes are counted, and end at `maxCrashes`.
        maxStalledCount: Number.MAX_SAFE_INTEGER,
        runRetryDelay: 1000,
        removeOnComplete: keep.done,
        removeOnFail: keep.dead,
        ...(name === undefined ? undefined : { name })
      }
    )
    // One without a listener ends the process.
    one.on("error", client.report(`${who}, queue "${physical}"`))
    one.on("lockRenewalFailed", (ids) => {
      for (const id of ids) void run(lose(held, id))
    })
    return one
  }

  yield* Effect.acquireRelease(
    Effect.sync(() => [...places].map(start)),
    Effect.fnUntraced(function*(workers) {
      closing = true
      // It stops fetching at once, and ends when the last job is settled.
      const closed = Promise.all(workers.map((one) => one.close()))
      yield* worker.close
      const settled = Effect.as(Effect.promise(() => closed), true)
      if (yield* Effect.interruptible(Effect.raceFirst(settled, Effect.as(hopeless(client), false)))) return
      client.abandon()
      yield* Effect.logWarning(
        `${who} was closed without Redis: what could not be settled comes back when its lock has run out.`
      )
    })
  )
})

/** Ends when there is no point in waiting for Redis any more. */
const hopeless = (client: Client): Effect.Effect<unknown> =>
  Effect.sync(client.isReady).pipe(
    Effect.delay("200 millis"),
    Effect.repeat({ while: (isReady) => isReady }),
    Effect.timeoutOption("5 seconds")
  )

const note = (job: BullMQ.Job, progress: data.Progress): Effect.Effect<void> =>
  Effect.promise(() => job.updateData(data.withProgress(job.data, progress)))
