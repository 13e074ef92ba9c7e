import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as DurableClock from "effect/workflow/DurableClock"
import * as Workflow from "effect/workflow/Workflow"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import type { EngineWorker } from "../../engine/EngineWorker.ts"
import type { Job } from "../../engine/Job.ts"
import type { Outcome } from "../../engine/Outcome.ts"
import { executionIdOf, PerformSideEffect } from "./definition.ts"

/** A worker layer of this process. */
export interface Worker extends Pick<EngineWorker, "names" | "perform"> {
  free: number
  readonly inMemoryThreshold: number
}

type Run = (payload: typeof PerformSideEffect.payloadSchema.Type, executionId: string) => Effect.Effect<void, any, any>

interface Waiter {
  readonly name: string
  readonly give: (worker: Worker | undefined) => void
}

/**
 * What the dispatchers and workers of one workflow engine in this process share. An engine takes a workflow once, so all
 * workers stand behind one registration.
 */
export class Hub {
  readonly engine: WorkflowEngine.WorkflowEngine["Service"]
  readonly running = new Map<string, Fiber.Fiber<Outcome>>()
  /** Open while there is no worker. */
  readonly deserted = Latch.makeUnsafe(true)
  private desertedAt = 0
  private readonly workers = new Set<Worker>()
  private readonly waiting = new Set<Waiter>()
  /** Executions that found no worker. */
  private readonly parked = new Set<string>()
  /** What an engine refused that takes nothing before a worker is there, as the one in memory. */
  private readonly early = new Map<string, typeof PerformSideEffect.payloadSchema.Type>()
  private readonly idle = Latch.makeUnsafe(true)
  private bodies = 0
  private users = 0
  private clocks = 0
  private registration: Scope.Closeable | undefined

  constructor(engine: WorkflowEngine.WorkflowEngine["Service"]) {
    this.engine = engine
  }

  /** The registration lasts as long as anybody here uses the engine. */
  readonly use: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => void this.users++),
    () =>
      Effect.suspend(() => {
        if (--this.users > 0 || this.registration === undefined) return Effect.void
        const scope = this.registration
        this.registration = undefined
        return Scope.close(scope, Exit.void)
      })
  )

  readonly handOver = (jobs: ReadonlyArray<Job>): Effect.Effect<void> =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        Effect.forEach(jobs, (job) => this.start({ job, due: now + job.delay }), { concurrency: 16, discard: true })
    )

  private start(payload: typeof PerformSideEffect.payloadSchema.Type): Effect.Effect<void> {
    const executionId = executionIdOf(payload.job.id)
    return this.engine.execute(PerformSideEffect, { executionId, payload, discard: true }).pipe(
      // It does not wait for the workflow, so there is no error of it.
      Effect.orDie,
      Effect.asVoid,
      // A side effect of a workflow is no part of it, and goes on when that is interrupted.
      Effect.updateContext((context: Context.Context<never>) =>
        Context.omit(WorkflowEngine.WorkflowInstance)(context as any)
      ),
      Effect.catchDefect((defect) => {
        if (this.registration !== undefined || !String(defect).endsWith("is not registered")) return Effect.die(defect)
        this.early.set(executionId, payload)
        return Effect.void
      })
    )
  }

  /** What has not been started yet is nothing that the engine could interrupt. */
  readonly interrupt = (executionId: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.early.delete(executionId)
      return this.engine.interrupt(PerformSideEffect, executionId)
    })

  readonly join = (worker: Worker, run: Run): Effect.Effect<void> =>
    Effect.gen({ self: this }, function*() {
      this.workers.add(worker)
      this.deserted.closeUnsafe()
      if (this.registration === undefined) {
        this.registration = Scope.makeUnsafe()
        yield* this.engine.register(PerformSideEffect, run).pipe(
          Scope.provide(this.registration),
          Effect.provideService(WorkflowEngine.WorkflowEngine, this.engine),
          Effect.updateContext(Context.omit(Scheduler.Scheduler, Tracer.ParentSpan) as any)
        ) as Effect.Effect<void>
      }
      this.assign()
      for (const [id, payload] of this.early) {
        this.early.delete(id)
        yield* this.start(payload)
      }
      const parked = [...this.parked]
      this.parked.clear()
      yield* Effect.forEach(parked, (id) => this.engine.resume(PerformSideEffect, id), {
        concurrency: 16,
        discard: true
      })
    })

  /** Nothing is begun in it any more. */
  readonly leave = (worker: Worker): Effect.Effect<void> =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      this.workers.delete(worker)
      if (this.workers.size > 0) return this.assign()
      this.desertedAt = now
      this.deserted.openUnsafe()
      this.assign()
    })

  /** Until all executions are where a process without a worker can leave them. */
  readonly settled: Effect.Effect<void> = Effect.suspend(() =>
    this.workers.size > 0 ? Effect.void : Effect.asVoid(Effect.timeoutOption(this.idle.await, "15 seconds"))
  )

  get inMemoryThreshold(): number {
    let threshold = Infinity
    for (const worker of this.workers) threshold = Math.min(threshold, worker.inMemoryThreshold)
    return threshold
  }

  readonly enter = (executionId: string): void => {
    this.parked.delete(executionId)
    this.bodies++
    this.idle.closeUnsafe()
  }

  readonly exit = (): void => {
    if (--this.bodies === 0) this.idle.openUnsafe()
  }

  /** The first that waits for a worker with room gets it. A name that nobody here knows goes to anybody. */
  private readonly assign = (): void => {
    for (const waiter of this.waiting) {
      const worker = this.workerFor(waiter.name)
      if (worker === "busy") continue
      this.waiting.delete(waiter)
      if (worker !== undefined) worker.free--
      waiter.give(worker)
    }
  }

  private workerFor(name: string): Worker | "busy" | undefined {
    let known = false
    let best: Worker | undefined
    for (const worker of this.workers) {
      const knows = worker.names.has(name)
      if (knows && !known) {
        known = true
        best = undefined
      }
      if (knows === known && worker.free > 0 && (best === undefined || worker.free > best.free)) best = worker
    }
    return best ?? (this.workers.size === 0 ? undefined : "busy")
  }

  readonly give = (worker: Worker): void => {
    worker.free++
    this.assign()
  }

  /** Waits for room in a worker, and says whether there is any worker at all. */
  readonly take = (lease: Lease): Effect.Effect<boolean> =>
    Effect.callback((resume) => {
      const waiter: Waiter = {
        name: lease.name,
        give: (worker) => {
          lease.worker = worker
          resume(Effect.succeed(worker !== undefined))
        }
      }
      this.waiting.add(waiter)
      this.assign()
      return Effect.sync(() => void this.waiting.delete(waiter))
    })

  /**
   * Ends this run of an execution, which goes on where there is a worker. A clock wakes it: nobody else would, where this
   * process does not.
   */
  readonly park: Effect.Effect<never, never, WorkflowEngine.WorkflowInstance> = Effect.gen({ self: this }, function*() {
    const instance = yield* WorkflowEngine.WorkflowInstance
    const now = yield* Clock.currentTimeMillis
    this.parked.add(instance.executionId)
    yield* this.engine.scheduleClock(instance.workflow, {
      executionId: instance.executionId,
      clock: DurableClock.make({
        name: `worker/${now}-${this.clocks++}`,
        duration: Math.min(Math.max(now - this.desertedAt, 1000), 60_000)
      })
    })
    return yield* Workflow.suspend(instance)
  })
}

/** The room of one execution in a worker. */
export class Lease {
  readonly name: string
  worker: Worker | undefined
  private readonly hub: Hub

  constructor(hub: Hub, name: string) {
    this.hub = hub
    this.name = name
  }

  readonly release = (): void => {
    const { worker } = this
    this.worker = undefined
    if (worker !== undefined) this.hub.give(worker)
  }

  /** The handler goes on when the execution does not wait for it any more. */
  readonly perform = (job: Job): Effect.Effect<Fiber.Fiber<Outcome>> =>
    Effect.suspend(() => {
      const { hub, worker } = this
      this.worker = undefined
      return Effect.map(
        Effect.forkDetach(Effect.ensuring(
          worker!.perform(job),
          Effect.sync(() => {
            hub.running.delete(job.id)
            hub.give(worker!)
          })
        )),
        (fiber) => {
          hub.running.set(job.id, fiber)
          return fiber
        }
      )
    })
}

const hubs = new WeakMap<WorkflowEngine.WorkflowEngine["Service"], Hub>()

export const hubOf = (engine: WorkflowEngine.WorkflowEngine["Service"]): Hub => {
  let hub = hubs.get(engine)
  if (hub === undefined) {
    hub = new Hub(engine)
    hubs.set(engine, hub)
  }
  return hub
}
