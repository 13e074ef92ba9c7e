import { Engine, type Job } from "effect-side-effects/engine"
import { Outbox, type OutboxStore } from "effect-side-effects/outbox"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Jobs } from "./fixtures.ts"

type Taken = Job.Job

class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}

export const everything: Engine.Honours = { delay: true, priority: true, queue: true }
export const nothing: Engine.Honours = { delay: false, priority: false, queue: false }

/** An engine that keeps what it takes in an array, and takes what it is told to. */
export const recording = (options: {
  readonly name?: string
  readonly honours?: Engine.Honours
  readonly queues?: ReadonlyArray<string>
  readonly deduplicates?: boolean
} = {}) => {
  const { name = "array" } = options
  const jobs: Array<Taken> = []
  /** What was to be handed over at once, whatever became of it. */
  const batches: Array<ReadonlyArray<string>> = []
  const idOf = ({ payload }: Taken) => String((payload as { readonly id?: string } | null)?.id)
  const state = {
    down: false,
    refuses: (_id: string): boolean => false,
    /** Before it takes a batch. */
    before: Effect.void as Effect.Effect<unknown>
  }
  const engine = Engine.dispatcher({
    name,
    honours: options.honours ?? everything,
    queues: options.queues,
    connect: Effect.succeed({
      handOver: (batch) =>
        Effect.andThen(
          Effect.suspend(() => {
            batches.push(batch.map(idOf))
            return state.before
          }),
          Effect.suspend(() => {
            if (state.down) return Effect.fail(new Refused({ message: `${name} is away` }))
            const bad = batch.find((job) => state.refuses(idOf(job)))
            if (bad !== undefined) return Effect.fail(new Refused({ message: `${name} does not like ${idOf(bad)}` }))
            if (options.deduplicates !== true) {
              jobs.push(...batch)
              return Effect.void
            }
            const known = new Set(jobs.map(({ id }) => id))
            const fresh = batch.filter(({ id }) => !known.has(id))
            jobs.push(...fresh)
            return Effect.succeed(batch.filter(({ id }) => known.has(id)).map(({ id }) => ({ id, of: id })))
          })
        )
    })
  })
  return { engine, jobs, batches, state, taken: () => jobs.map(idOf) }
}

/** A relay that begins now. It ends with the scope, or when it is closed. */
export const relay = Effect.fnUntraced(function*(engines: Outbox.Engines, options: Outbox.RelayOptions = {}) {
  const scope = yield* Scope.make()
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  yield* Layer.buildWithScope(Outbox.layerRelay(Jobs, engines, { id: "r1", ...options }), scope)
  return { close }
})

/** An offer as a dispatcher writes it. */
export const offer = (id: string, change: Partial<OutboxStore.Offer> = {}): OutboxStore.Offer => ({
  id,
  name: "jobs:run",
  queue: "default",
  priority: 0,
  payload: JSON.stringify({ id }),
  redacted: undefined,
  key: undefined,
  delay: 0,
  origin: undefined,
  metadata: undefined,
  trace: undefined,
  ...change
})
