import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Predicate from "effect/Predicate"
import { type Job, untouched } from "../../engine/Job.ts"
import type { Outcome } from "../../engine/Outcome.ts"
import * as describe from "../../internal/describe.ts"
import { attempt, type Boss } from "./boss.ts"
import { type Fetched, keptOf } from "./data.ts"
import * as statements from "./statements.ts"

/** The end of a delivery. Without `row` it is done. */
export interface Settled {
  readonly queue: string
  readonly id: string
  readonly retryCount: number
  readonly row: statements.Row | undefined
}

export interface Settling {
  readonly add: (settled: Settled) => void
  /** Whether everything is written. */
  readonly isEmpty: () => boolean
  /** Waits until there is something, and writes all there is. To be repeated. */
  readonly turn: Effect.Effect<void>
}

const most = 1000

/** What the database did not take, with an answer that will be the same the next time. */
interface Refused {
  readonly error: unknown
}

/** Classes of SQLSTATE that are about the values of a statement: data, constraints, triggers, limits. */
const aboutValues = /^(21|22|23|44|54|P0)[0-9A-Z]{3}$/

const isRefused = (error: unknown): boolean => {
  for (let one = error, depth = 0; Predicate.isObject(one) && depth < 8; one = one["cause"], depth++) {
    if (typeof one["code"] === "string" && aboutValues.test(one["code"])) return true
  }
  return false
}

/** Writes how deliveries ended, many at a time. Nothing that somebody else has taken since is touched. */
export const makeSettling = (
  { boss, keepDead, schema }: Boss["Service"],
  who: string,
  { patient, returned, settled }: {
    readonly patient: <A, E>(what: string, once: Effect.Effect<A, E>) => Effect.Effect<A>
    /** Everything is written. */
    readonly settled: () => void
    /** Something was given back that is due in so many milliseconds. */
    readonly returned: (delay: number) => void
  }
): Settling => {
  let waiting: Array<Settled> = []
  let writing = 0
  const some = Latch.makeUnsafe()
  const statement = statements.settle(schema)

  const complete = (queue: string, jobs: ReadonlyArray<Settled>) =>
    Effect.map(
      attempt(`complete jobs of queue "${queue}"`, () =>
        boss.complete(queue, jobs.map(({ id, retryCount }) => ({ id, retryCount })))),
      (answer) =>
        (answer as { readonly affected?: number }).affected ?? jobs.length
    )

  const write = Effect.fnUntraced(function*(queue: string, jobs: ReadonlyArray<Settled>) {
    const input = JSON.stringify(jobs.map(({ row }) => row))
    const { rows } = yield* attempt(
      `settle jobs of queue "${queue}"`,
      () => boss.getDb().executeSql(statement, [queue, input, keepDead])
    )
    for (const { row } of jobs) if (row!.delay !== undefined) returned(row!.delay)
    for (const { id, state } of rows) {
      if (state !== "active") continue
      const { retryCount, row } = jobs.find((job) => job.id === id)!
      yield* attempt(`fail job ${id}`, () => boss.fail(queue, [{ id, retryCount }], row!.output as object))
    }
    return rows.length
  })

  /** How many were settled. One that the database does not take keeps no other from it. */
  const settle = (
    queue: string,
    jobs: ReadonlyArray<Settled>,
    one: (queue: string, jobs: ReadonlyArray<Settled>) => Effect.Effect<number, unknown>
  ): Effect.Effect<number> => {
    const once = Effect.uninterruptible(Effect.suspend(() => one(queue, jobs)))
    return patient(
      "settle what it performed",
      once.pipe(
        Effect.catch((error): Effect.Effect<Refused, unknown> =>
          isRefused(error) ? Effect.succeed({ error }) : Effect.fail(error)
        )
      )
    ).pipe(
      Effect.flatMap((answer) => {
        if (typeof answer === "number") return Effect.succeed(answer)
        if (jobs.length > 1) {
          const half = jobs.length >> 1
          return Effect.zipWith(
            settle(queue, jobs.slice(0, half), one),
            settle(queue, jobs.slice(half), one),
            (left, right) => left + right
          )
        }
        const { id, row } = jobs[0]!
        return Effect.as(
          Effect.logError(
            `${who} cannot write how job ${id} of queue "${queue}" ended, and leaves it: it is performed again when its ` +
              `lease has run out. ${describe.error(answer.error)}. It was to be settled with ${
                JSON.stringify(row ?? "success").slice(0, 500)
              }`
          ),
          1
        )
      })
    )
  }

  /** All of one queue, and of one way to settle it. */
  const flush = (
    queue: string,
    jobs: ReadonlyArray<Settled>,
    one: (queue: string, jobs: ReadonlyArray<Settled>) => Effect.Effect<number, unknown>
  ): Effect.Effect<void> => {
    if (jobs.length === 0) return Effect.void
    const batch = jobs.slice(0, most)
    return settle(queue, batch, one).pipe(
      Effect.flatMap((count) =>
        count >= batch.length ? Effect.void : Effect.logWarning(
          `${who} does not hold ${
            describe.plural(batch.length - count, "side effect")
          } of queue "${queue}" any more that ` +
            "it has performed: they were cancelled, or its lease ran out, and then they are or were performed again. Give " +
            "handlers a timeout, or raise lease."
        )
      ),
      Effect.flatMap(() => {
        // Only now, as whoever closes the worker waits for it.
        writing -= batch.length
        if (waiting.length === 0 && writing === 0) settled()
        return jobs.length > most ? flush(queue, jobs.slice(most), one) : Effect.void
      })
    )
  }

  const turn = Effect.gen(function*() {
    yield* some.await
    some.closeUnsafe()
    // What ends in the same moment is settled together; the more there is, the more comes together meanwhile.
    yield* Effect.yieldNow
    const all = waiting
    waiting = []
    writing += all.length
    for (const queue of new Set(all.map(({ queue }) => queue))) {
      const own = all.filter((one) => one.queue === queue)
      yield* flush(queue, own.filter(({ row }) => row === undefined), complete)
      yield* flush(queue, own.filter(({ row }) => row !== undefined), write)
    }
  })

  return {
    add: (one) => {
      waiting.push(one)
      some.openUnsafe()
    },
    isEmpty: () => waiting.length === 0 && writing === 0,
    turn
  }
}

/** What is to be written of the end of a delivery. */
export const settledOf = (
  queue: string,
  fetched: Fetched,
  job: Job | undefined,
  foreign: boolean,
  outcome: Outcome
): Settled => {
  const { id, retryCount } = fetched
  if (outcome._tag === "Done") return { queue, id, retryCount, row: undefined }
  const progress = outcome._tag === "Dead"
    // Whoever tries it again by hand gives it another chance, with all attempts.
    ? untouched
    : outcome._tag === "Retry"
    ? outcome.progress
    : job?.progress ?? untouched
  return {
    queue,
    id,
    retryCount,
    row: {
      id,
      attempt: retryCount,
      delay: outcome._tag === "Dead" ? undefined : "delay" in outcome ? outcome.delay : 0,
      output: outcome._tag === "Dead" || outcome._tag === "Retry" ? outputOf(outcome) : undefined,
      progress: keptOf(progress, fetched),
      name: job?.name ?? "",
      room: foreign ? 3 : 100
    }
  }
}

/** As pg-boss keeps errors, so that its dashboards show them. */
const outputOf = (outcome: Extract<Outcome, { readonly error: string }>): Record<string, string> => {
  const text = storable(outcome.error)
  const message = outcome.cause === undefined ? text : text.split("\n", 1)[0]!
  return {
    ...(outcome._tag === "Dead" ? { reason: outcome.reason } : undefined),
    message,
    ...(outcome.cause === undefined ? undefined : { stack: text })
  }
}

/** Without what PostgreSQL does not keep in JSON: U+0000, and halves of a character. */
const storable = (text: string): string => text.replaceAll("\u0000", "\ufffd").replace(/\p{Surrogate}/gu, "\ufffd")
