import * as Duration from "effect/Duration"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Dispatcher from "../../Dispatcher.ts"
import type * as Engine from "../../engine/Engine.ts"
import * as Job from "../../engine/Job.ts"
import type { Outcome } from "../../engine/Outcome.ts"
import * as describe from "../../internal/describe.ts"

type Offer = Parameters<PersistedQueue.PersistedQueueStore["Service"]["offer"]>[0]

/** What is to be delivered again. */
export type Again = Extract<Outcome, { readonly _tag: "Retry" | "Snooze" }>

/** What a store holds under an id. */
export interface Item {
  readonly id: string
  readonly attempts: number
  readonly element: unknown
}

// The lists that the store on Redis keeps beside a queue, and its locks, have such names.
const taken = /:(pending|failed|delayed|attempts|ids|owners)$|^lock:/
const longest = 255

const problemOf = (queue: string, physical: string | undefined): string | undefined =>
  queue === physical
    ? "that is where side effects are that were told no queue. Leave it out."
    : queue.length > longest
    ? `the name of a queue has up to ${longest} characters.`
    : taken.test(queue)
    ? `the store on Redis has lists of its own under such names. Give the queue another one.`
    : undefined

/** By the name in the store of what was told no queue. */
export const problem = (physical: string): Engine.Honours["problem"] => ({ delay, queue }: Dispatcher.Told) => {
  if (delay !== undefined && !Duration.isFinite(Duration.fromInputUnsafe(delay))) {
    return { option: "delay", problem: "nothing waits for ever. Give it an end, or do not enqueue it." }
  }
  const wrong = queue === undefined || queue === Job.defaultQueue ? undefined : problemOf(queue, physical)
  return wrong === undefined ? undefined : { option: "queue", problem: wrong }
}

/** Throws where the store cannot have queues of these names. */
export const checkQueues = (who: string, physical: string, queues: ReadonlyArray<string> = []): void => {
  const check = (queue: string, wrong: string | undefined) => {
    if (wrong !== undefined) throw new Error(`${who} was given queue "${queue}": ${wrong}`)
  }
  check(physical, problemOf(physical, undefined))
  for (const queue of queues) check(queue, queue === Job.defaultQueue ? undefined : problemOf(queue, physical))
}

/** The name that a queue has in the store. */
export const nameOf = (queue: string, physical: string): string => queue === Job.defaultQueue ? physical : queue

const offer = (name: string, id: string, element: unknown, delay: number): Offer => ({
  name,
  id,
  element,
  isCustomId: true,
  delay: delay > 0 ? Duration.millis(delay) : undefined
})

export const first = (job: Job.Job, physical: string): Offer =>
  offer(nameOf(job.queue, physical), job.id, job, job.delay)

/**
 * What comes after an element that is to be delivered again. An element cannot be changed, so what has happened goes into a
 * new one. Its id follows from that of the one before: it is there once, however often it is offered.
 */
export const next = (name: string, { id }: Item, job: Job.Job, outcome: Again): Offer => {
  const [, of, turn] = /^(.*)#(\d+)$/s.exec(id) ?? [id, id, "0"]
  const { delay } = outcome
  return offer(
    name,
    `${of}#${Number(turn) + 1}`,
    outcome._tag === "Retry"
      // For who looks at what is in the store.
      ? { ...job, delay, progress: outcome.progress, error: outcome.error }
      : { ...job, delay },
    delay
  )
}

const decode = Schema.decodeUnknownResult(Job.Job)

/**
 * The job of an element. The store counts claims: each but this one ended with its process, as those that ended otherwise
 * were settled, or handed back, which is not counted.
 */
export const jobOf = ({ attempts, element }: Item): Result.Result<Job.Job, string> => {
  const decoded = decode(element)
  if (Result.isFailure(decoded)) return Result.fail(describe.error(decoded.failure))
  const job = decoded.success
  const lost = attempts - 1
  if (lost <= 0) return Result.succeed(job)
  const progress = job.progress ?? Job.untouched
  return Result.succeed({
    ...job,
    progress: { ...progress, attempts: progress.attempts + lost, crashes: progress.crashes + lost }
  })
}
