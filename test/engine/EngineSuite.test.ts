import { assert, describe, it } from "@effect/vitest"
import type { EngineWorker } from "effect-side-effects/engine"
import * as EngineSuite from "effect-side-effects/engine/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { logs } from "../fixtures.ts"
import { dispatcher, layerWorker, Queue, type Row } from "./subjects/own.ts"

// That the suite finds what is wrong: each of these engines breaks the contract in one way, and the cases of that have to
// fail. conformance.test.ts shows that the same engine passes when nothing is broken.

interface Broken {
  /** What becomes of a row when it is written. */
  readonly write?: ((row: Row, again: boolean) => ReadonlyArray<Row>) | undefined
  readonly forgetful?: boolean | undefined
  readonly silent?: boolean | undefined
  readonly options?: EngineWorker.Options | undefined
  /** Parts of the names of the cases that have to fail. */
  readonly finds: ReadonlyArray<string>
}

const job =
  (change: (row: Row) => Partial<Row["job"]>) => (row: Row) => [{ ...row, job: { ...row.job, ...change(row) } }]

const engines: Readonly<Record<string, Broken>> = {
  "that begins what is not due": {
    write: (row) => [{ ...row, due: 0 }],
    finds: [
      "`delay` is waited for",
      "`delay` of a binding",
      "snoozes comes back not earlier",
      "pauses between attempts"
    ]
  },
  "that forgets its progress": {
    write: job(() => ({ progress: undefined })),
    finds: [
      "attempts that count up",
      "after the last attempt of `retry`",
      "`maxAttempts` ends it",
      "`onExhausted` runs once"
    ]
  },
  "that counts what was snoozed or handed back": {
    write: (row, again) =>
      again && row.job.progress === undefined
        ? job(() => ({ progress: { attempts: 1, failures: 0, failedAt: [], crashes: 0 } }))(row)
        : [row],
    finds: ["is snoozed at first", "handed back, with its attempt"]
  },
  "that drops what comes back": {
    write: (row, again) => again ? [] : [row],
    finds: [
      "attempts that count up",
      "snoozes comes back",
      "handed back, with its attempt",
      "is performed when one does"
    ]
  },
  "that forgets keys": {
    write: job(() => ({ key: undefined })),
    finds: ["as it was enqueued", "has the idempotency key", "same idempotency key"]
  },
  "that forgets keys when it tries again": {
    write: (row, again) => again ? job(() => ({ key: undefined }))(row) : [row],
    finds: ["all deliveries have the same idempotency key", "attempts that count up"]
  },
  "that has ids of its own": {
    write: job(({ job: { id } }) => ({ id: `own ${id}` })),
    finds: ["as it was enqueued", "has the idempotency key", "`onDead` is told"]
  },
  "that forgets the trace": { write: job(() => ({ trace: undefined })), finds: ["the trace of the span"] },
  "that forgets the trace when it tries again": {
    write: (row, again) => again ? job(() => ({ trace: undefined }))(row) : [row],
    finds: ["the trace of the span"]
  },
  "that forgets the metadata": { write: job(() => ({ metadata: undefined })), finds: ["as it was enqueued"] },
  "that forgets the origin": {
    write: job(() => ({ origin: undefined })),
    finds: ["as it was enqueued", "event has it as its origin"]
  },
  "that takes an empty payload for none": {
    write: job(({ job: { payload } }) => ({ payload: payload === "" ? null : payload })),
    finds: ["payloads of every shape"]
  },
  "that keeps the first thousand characters": {
    write: job(({ job: { payload } }) => ({ payload: typeof payload === "string" ? payload.slice(0, 1000) : payload })),
    finds: ["payloads of every shape"]
  },
  "that does everything twice": {
    write: (row) => [row, row],
    finds: ["many are all performed", "two workers share", "as it was enqueued", "at once than `concurrency`"]
  },
  "that performs in the order in which it was told": {
    write: job(() => ({ priority: 0 })),
    finds: ["ones of higher `priority` come first"]
  },
  "that cannot tell jobs apart by their id": { forgetful: true, finds: ["handed over twice with one id"] },
  "that throws away what is dead": {
    silent: true,
    finds: [
      "`retry` it is dead",
      "a defect is final",
      "cancels is dead",
      "schema of the worker is dead",
      "knows for long is dead"
    ]
  },
  "that has no limit": {
    options: { concurrency: 100 },
    finds: ["at once than `concurrency`"]
  },
  "that does not wait when it is closed": {
    options: { gracePeriod: 0 },
    finds: ["closing a worker waits for what runs"]
  },
  "that waits for ever when it is closed": {
    options: { gracePeriod: "1 hour" },
    finds: ["handed back, with its attempt"]
  },
  "that keeps unknown names": { options: { unknown: "1 hour" }, finds: ["knows for long is dead"] },
  "that does not tell who asked": { options: { onDead: undefined }, finds: ["`onDead` is told"] }
}

/** A list that does something else with what is written to it. */
const listOf = (write: NonNullable<Broken["write"]>): Array<Row> => {
  const rows: Array<Row> = []
  const known = new Set<string>()
  rows.push = (row: Row) => {
    const again = known.has(row.job.id)
    const written = write(row, again)
    for (const { job: { id } } of [row, ...written]) known.add(id)
    for (const one of written) rows[rows.length] = one
    return rows.length
  }
  return rows
}

const subjectOf = ({ options }: Broken): EngineSuite.Subject<never, Queue> => ({
  name: "a broken engine",
  dispatcher,
  layerWorker: (group, asked) => layerWorker(group, { ...asked, ...options }),
  dead: Effect.map(Queue, ({ dead }) => dead),
  patience: "1 second",
  deduplicates: true,
  crash: undefined
})

const queueOf = ({ forgetful, silent, write }: Broken) =>
  Layer.sync(Queue, () => {
    const dead: Array<EngineSuite.DeadJob> = []
    if (silent === true) dead.push = () => 0
    const known = new Set<string>()
    if (forgetful === true) known.has = () => false
    return { rows: write === undefined ? [] : listOf(write), known, dead }
  })

describe("the log of a case", () => {
  const run = (broken: Broken, part: string) =>
    Effect.gen(function*() {
      const { layer, lines } = logs()
      const one = EngineSuite.cases(subjectOf(broken) as EngineSuite.Subject<never, Queue> & { crash: undefined })
        .find(({ name }) => name.includes(part))!
      yield* Effect.exit(Effect.provide(one.run, Layer.mergeAll(Layer.fresh(queueOf(broken)), layer)))
      return lines
    })
  const name = "cancels is dead"

  it.live("is kept from a log in which nobody looks for it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run({ finds: [] }, name), [])
    }))

  it.live("is there where the case fails", () =>
    Effect.gen(function*() {
      const [line, ...others] = yield* run({ finds: [], silent: true }, name)
      assert.match(line!, /^INFO Log of case ".*cancels is dead.*":\n(.|\n)*is dead as cancelled/)
      assert.deepStrictEqual(others, [])
    }), 40_000)
})

describe.concurrent("the suite finds an engine", () => {
  for (const [name, broken] of Object.entries(engines)) {
    const cases = EngineSuite.cases(subjectOf(broken) as EngineSuite.Subject<never, Queue> & { crash: undefined })
    for (const part of broken.finds) {
      it.live(`${name}: ${part}`, () =>
        Effect.gen(function*() {
          const found = cases.filter((one) => one.name.includes(part))
          assert.isAbove(found.length, 0, `no case has "${part}" in its name`)
          for (const { run } of found) {
            const error = yield* Effect.flip(Effect.provide(run, Layer.fresh(queueOf(broken))))
            assert.instanceOf(error, EngineSuite.Violation)
          }
        }), 40_000)
    }
  }
})
