import type * as BullMQ from "bullmq"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Engine from "../../engine/Engine.ts"
import { defaultQueue, type Job } from "../../engine/Job.ts"
import { unbegun, untilIdle } from "../../internal/drain.ts"
import { millisOf } from "../../internal/duration.ts"
import { checkQueues, type Connected, problemOf, RedisUnavailable, takenName, usual } from "./connection.ts"
import * as data from "./data.ts"

/** See `BullMqSideEffects.DispatcherOptions`. */
export interface Options {
  readonly queues?: ReadonlyArray<string> | undefined
  readonly priorities?: boolean | undefined
  readonly uniqueFor?: Duration.Input | undefined
  readonly job?: JobOptions | undefined
}

/** See `BullMqSideEffects.JobOptions`. */
type JobOptions = Pick<
  BullMQ.JobsOptions,
  "attempts" | "backoff" | "keepLogs" | "removeOnComplete" | "removeOnFail" | "sizeLimit" | "stackTraceLimit"
>

/** Redis does other things in between. */
const chunkSize = 1000

const honours = (priorities: boolean): Engine.Honours => ({
  delay: true,
  priority: true,
  queue: true,
  problem: ({ priority = 0, queue }) => {
    const problem = queue === undefined
      ? undefined
      : queue === usual
      ? takenName
      : problemOf(queue)
    if (problem !== undefined) return { option: "queue", problem }
    if (priority > 0 && !priorities) {
      return {
        option: "priority",
        problem: "jobs without a priority come first in BullMQ. To give one to all jobs, say priorities: true to the " +
          "dispatcher, in every program that writes to the queue."
      }
    }
    return undefined
  }
})

export const make = <R>(
  connected: Effect.Effect<Connected, never, R>,
  options: Options = {},
  who = "BullMqSideEffects.dispatcher"
): Engine.Engine<never, R> => {
  const { job, priorities = false, queues } = options
  const uniqueFor = options.uniqueFor === undefined
    ? 0
    : Math.ceil(millisOf(who, "uniqueFor", options.uniqueFor))
  checkQueues(who, queues)
  const added = (one: Job, now: number) => {
    const priority = data.priorityOf(one.priority, priorities)
    const opts: BullMQ.BulkJobOptions = { ...job, jobId: one.id }
    if (one.delay > 0) opts.delay = one.delay
    if (priority !== undefined) opts.priority = priority
    // No name of a side effect has a slash.
    if (uniqueFor > 0 && one.key !== undefined) {
      opts.deduplication = { id: `${one.name}/${one.key}`, ttl: uniqueFor }
    }
    return { name: one.name, data: data.dataOf(one, now), opts }
  }
  const connectionOf = (bull: Connected): Engine.Connection => ({
    handOver: Effect.fnUntraced(function*(jobs: ReadonlyArray<Job>) {
      const now = yield* Clock.currentTimeMillis
      const duplicates: Array<Engine.Duplicate> = []
      for (const [queue, all] of byQueue(jobs)) {
        for (let from = 0; from < all.length; from += chunkSize) {
          const part = all.slice(from, from + chunkSize)
          const bulk = part.map((one) => added(one, now))
          const taken = yield* bull.attempt(() => bull.queue(queue).addBulk(bulk))
          taken.forEach(({ id }, i) => {
            if (id !== undefined && id !== part[i]!.id) duplicates.push({ id: part[i]!.id, of: id })
          })
        }
      }
      return duplicates
    }),
    drain: drain(bull, queues)
  })
  const engine = (open: (bull: Connected) => Engine.Connection) =>
    Engine.dispatcher({
      name: "bullmq",
      honours: honours(priorities),
      queues,
      connect: Effect.map(connected, open)
    })
  // What connects to it otherwise is the relay, which needs no such advice.
  const { open } = engine((bull) => {
    const connection = connectionOf(bull)
    return { ...connection, handOver: (jobs) => Effect.mapError(connection.handOver(jobs), advised) }
  })
  return { ...engine(connectionOf), open }
}

const advised = (error: unknown): unknown =>
  error instanceof RedisUnavailable
    ? new RedisUnavailable({
      cause: error.cause,
      message: `${error.message} Where that must not fail, hand over from an outbox: Outbox.layerRelay.`
    })
    : error

const byQueue = (jobs: ReadonlyArray<Job>): ReadonlyMap<string, ReadonlyArray<Job>> => {
  const queues = new Map<string, Array<Job>>()
  for (const job of jobs) {
    const queue = queues.get(job.queue)
    if (queue === undefined) queues.set(job.queue, [job])
    else queue.push(job)
  }
  return queues
}

const drain = (bull: Connected, queues: ReadonlyArray<string> = []): Effect.Effect<void> => {
  const look = Effect.suspend(() => {
    const all = new Set([...bull.opened(), ...[defaultQueue, ...queues].map((queue) => bull.queue(queue))])
    return bull.attempt(() => Promise.all([...all].map(countsOf)))
  })
  return untilIdle({
    isBusy: look.pipe(
      Effect.map((all) => all.some(({ active, waiting }) => active + waiting > 0)),
      Effect.catchTag("RedisUnavailable", (error) => Effect.as(Effect.logWarning(error.message), true))
    ),
    problem: look.pipe(
      Effect.map((all) =>
        all.some(({ active }) => active > 0)
          ? undefined
          : unbegun(
            new Map(all.map(({ queue, waiting }) => [queue, waiting])),
            "BullMQ",
            "BullMqSideEffects.layerWorker"
          )
      ),
      Effect.catchTag("RedisUnavailable", () => Effect.undefined)
    ),
    longest: 500
  })
}

/** What has to wait in a queue that is paused is not waited for. */
const countsOf = (queue: BullMQ.Queue) =>
  Promise.all([queue.isPaused(), queue.getJobCounts("active", "waiting", "prioritized")]).then(
    ([paused, { active = 0, prioritized = 0, waiting = 0 }]) => ({
      queue: queue.name,
      active,
      waiting: paused ? 0 : waiting + prioritized
    })
  )
