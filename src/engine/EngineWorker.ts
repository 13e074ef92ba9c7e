/**
 * The worker of an engine: everything that is the same whichever engine it is. It knows the handlers of a group, and performs
 * a job that the engine has given; the engine settles it with the outcome.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import type * as Dispatcher from "../Dispatcher.ts"
import type * as Event from "../Event.ts"
import { checkNumber } from "../internal/check.ts"
import * as describe from "../internal/describe.ts"
import { enumerate } from "../internal/lines.ts"
import * as Layers from "../Layers.ts"
import type * as Policy from "../Policy.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as Engine from "./Engine.ts"
import * as deliver from "./internal/deliver.ts"
import { defaultQueue, type Job, untouched } from "./Job.ts"
import type { Dead, Outcome } from "./Outcome.ts"

/**
 * What the worker of every engine can be told.
 *
 * **Details**
 *
 * - `concurrency` (default 32): how many handlers run at once in this worker. A side effect may have a lower limit of its own,
 *   in the options of its handler.
 * - `queues`: where it looks, for engines that have queues. Default: `"default"`, and what definitions and bindings of the
 *   group name. What it names here comes in their place.
 * - `gracePeriod` (default 10 seconds): how long closing the layer waits for handlers that run. The rest is interrupted and
 *   handed back, with its attempt restored.
 * - `retry`: for side effects that say nothing about retries. Default: exponential from 2 seconds to an hour, jittered,
 *   20 attempts.
 * - `maxCrashes` (default 3): a job is dead when its process was lost so often while it held it.
 * - `unknown` (default 1 hour): for how long a job whose name this worker does not know is put back for others, as in a rolling
 *   release, counted from when this worker saw it first or somebody attempted it last. Then it is dead.
 * - `policy`, `dispatcher`: for what handlers enqueue themselves, as in `LiveLayer`. Default: it goes to this engine. Where the
 *   program has a route, or knows more queues than this worker looks into, give its dispatcher here, too.
 * - `onDead`: runs for each job that died, beside the error in the log.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  readonly concurrency?: number | undefined
  readonly queues?: ReadonlyArray<string> | undefined
  readonly gracePeriod?: Duration.Input | undefined
  readonly retry?: Schedule.Schedule<any, unknown> | undefined
  readonly maxCrashes?: number | undefined
  readonly unknown?: Duration.Input | undefined
  readonly policy?: Policy.Policy | undefined
  readonly dispatcher?: Dispatcher.Dispatcher<false, E, R> | undefined
  readonly onDead?: ((job: Job, dead: Dead) => Effect.Effect<void>) | undefined
}

/**
 * The part of a worker that does not know the engine.
 *
 * **Details**
 *
 * - `names`: all names it can perform, aliases included. `queues`, `concurrency`: what the engine has to be asked for.
 * - `perform` makes one delivery of a job. It never fails, and interrupting it does not interrupt the handler: only `close`
 *   does. A job whose name it does not know is snoozed, then dead.
 * - `release` interrupts the delivery of a job that runs, for an engine that has to give it to another worker: `perform` then
 *   answers with `Release`.
 * - `close` is to be run when the layer is closed, before the engine is disconnected: from then on `perform` answers with
 *   `Release`. It waits `gracePeriod` for the handlers that run, and interrupts the rest.
 *
 * @category models
 * @since 0.1.0
 */
export interface EngineWorker {
  readonly names: ReadonlySet<string>
  readonly queues: ReadonlyArray<string>
  readonly concurrency: number
  readonly perform: (job: Job) => Effect.Effect<Outcome>
  readonly release: (id: string) => Effect.Effect<void>
  readonly close: Effect.Effect<void>
}

/**
 * The services that the worker layer of an engine needs: those of the engine and every handler of the group.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Services<S extends SideEffect.Any, Ev extends Event.Any, R> = Layers.LiveServices<S, true, R, Ev>

/**
 * What performs one job after the other, whoever settles them.
 *
 * @internal
 */
export const deliverer: typeof deliver.make = deliver.make

/**
 * The side effects of a group by all names that a job may have. Throws where two have one name.
 *
 * @internal
 */
export const namesOf: typeof deliver.namesOf = deliver.namesOf

/**
 * What something has failed with, as it is kept.
 *
 * @internal
 */
export const textOfCause: typeof deliver.textOfCause = deliver.textOfCause

/**
 * How a delivery ended that was interrupted from inside.
 *
 * @internal
 */
export const interrupted: typeof deliver.interrupted = deliver.interrupted

/** How long a job waits at a time for somebody who knows its name, in milliseconds: at first, and at most. */
const pauses = { first: 100, longest: 30_000 }

/** Of how many jobs with unknown names a worker remembers since when it knows of them. */
const mostStrangers = 10_000

const quote = (text: string): string => `"${text}"`

interface Running {
  readonly id: string
  released: boolean
  fiber: Fiber.Fiber<Outcome> | undefined
  begun: boolean
  /** How it ended: that stands, also where it is interrupted while onDead is told of it. */
  outcome: Outcome | undefined
}

/**
 * Makes the part of a worker that does not know the engine. `dispatcher` gets what handlers enqueue themselves: an attempt has
 * succeeded only when that was accepted, too. `who` names the layer in messages.
 *
 * Dies when the group has a side effect without a handler.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*<E, R, E2 = never, R2 = never>(
  who: string,
  dispatcher: Dispatcher.Dispatcher<boolean, E, R>,
  group: SideEffectGroup.Any,
  options: Options<E2, R2> = {}
) {
  const { concurrency = 32, maxCrashes, onDead, policy, retry } = options
  checkNumber(who, "concurrency", concurrency)
  checkNumber(who, "maxCrashes", maxCrashes)
  const gracePeriod = Duration.fromInputUnsafe(options.gracePeriod ?? "10 seconds")
  const unknown = Duration.toMillis(Duration.fromInputUnsafe(options.unknown ?? "1 hour"))
  const clock = yield* Clock.Clock
  const { deliver: deliverOne, handlers, names } = yield* deliver.make(group, who, {
    name: dispatcher.name,
    dispatcher: (options.dispatcher ?? dispatcher) as Dispatcher.Dispatcher<boolean, E | E2, R | R2>,
    retry,
    maxCrashes,
    policy
  })
  const limits = new Map<string, Semaphore.Semaphore>()
  for (const [name, { concurrency }] of handlers) {
    if (concurrency !== undefined) limits.set(name, Semaphore.makeUnsafe(concurrency))
  }
  const context = Context.omit(Scheduler.Scheduler, Scope.Scope, Tracer.ParentSpan)(yield* Effect.context<never>())
  const fork = Effect.runForkWith(context)
  const running = new Set<Running>()
  const idle = Latch.makeUnsafe()
  let closing = false

  const buried = (job: Job, dead: Dead): Effect.Effect<Outcome> =>
    Effect.logError(
      `Side effect "${job.name}" (intent ${job.id}) is dead as ${dead.reason}: ${dead.error}`
    ).pipe(
      Effect.andThen(
        onDead === undefined ? Effect.void : Effect.catchCause(
          Effect.suspend(() => onDead(job, dead)),
          (cause) => Effect.logError(`onDead died with side effect "${job.name}"`, cause)
        )
      ),
      Effect.as(dead)
    )

  const told = new Set<string>()
  /** Said once for each name, and for no more names than anybody reads. */
  const tell = (name: string): Effect.Effect<void> => {
    if (told.has(name) || told.size >= 100) return Effect.void
    told.add(name)
    return Effect.logWarning(
      `${who} of group "${group.name}" was given side effect "${name}", which is not in the group. It is put back for a ` +
        `worker that has it, and is dead after ${
          Duration.format(Duration.millis(unknown))
        } of that. Start that worker, ` +
        "add the side effect to the group, or name the old name in aliases where it was renamed."
    )
  }

  const strangers = new Map<string, { readonly since: number; readonly attempts: number; seen: number }>()

  /** Whoever knows it may be on its way, as in a rolling release, or be busy. */
  const stranger = (job: Job): Effect.Effect<Outcome> => {
    const now = clock.currentTimeMillisUnsafe()
    const attempts = job.progress?.attempts ?? 0
    let known = strangers.get(job.id)
    // Where it was attempted meanwhile there is somebody who knows it.
    if (known === undefined || known.attempts !== attempts) {
      known = { since: now, attempts, seen: 0 }
      strangers.delete(job.id)
      strangers.set(job.id, known)
      if (strangers.size > mostStrangers) strangers.delete(strangers.keys().next().value!)
    }
    const left = known.since + unknown - now
    if (left > 0) {
      const delay = Math.ceil(Math.min(left, pauses.longest, pauses.first * 2 ** Math.min(known.seen++, 20)))
      return Effect.as(tell(job.name), { _tag: "Snooze", delay })
    }
    strangers.delete(job.id)
    return buried(job, {
      _tag: "Dead",
      reason: "unknown",
      error:
        `no worker knows a side effect of that name. Name the old name in aliases where it was renamed, or start the ` +
        "worker that performs it; then retry it.",
      cause: undefined,
      failed: false
    })
  }

  const delivery = (job: Job, one: Running): Effect.Effect<Outcome> => {
    const begun = Effect.suspend(() => {
      one.begun = true
      return deliverOne(job, () => job)
    })
    const limit = limits.get(names.get(job.name)!._tag)
    const delivered = limit === undefined ? begun : limit.withPermits(1)(begun)
    return Effect.flatMap(delivered, (outcome) => {
      one.outcome = outcome
      return outcome._tag === "Dead" ? buried(job, outcome) : Effect.succeed(outcome)
    })
  }

  const interrupted = (job: Job, cause: Cause.Cause<unknown>, released: boolean): Outcome =>
    closing || released
      ? { _tag: "Release" }
      : deliver.interrupted(job.progress ?? untouched, cause, clock.currentTimeMillisUnsafe())

  const perform = (job: Job): Effect.Effect<Outcome> =>
    Effect.suspend(() => {
      if (closing) return Effect.succeed({ _tag: "Release" })
      if (!names.has(job.name)) return stranger(job)
      const one: Running = { id: job.id, released: false, fiber: undefined, begun: false, outcome: undefined }
      running.add(one)
      return Effect.uninterruptible(Effect.callback<Outcome>((resume) => {
        one.fiber = fork(delivery(job, one))
        one.fiber.addObserver((exit: Exit.Exit<Outcome>) => {
          running.delete(one)
          if (running.size === 0) idle.openUnsafe()
          const outcome = exit._tag === "Success"
            ? exit.value
            : one.outcome ?? interrupted(job, exit.cause, one.released)
          resume(Effect.succeed(outcome))
        })
      }))
    })

  /** Whether something is still running after that time. */
  const waitUntilIdle = (patience: Duration.Input): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (running.size === 0) return Effect.succeed(false)
      idle.closeUnsafe()
      return Effect.map(Effect.timeoutOption(Effect.interruptible(idle.await), patience), ({ _tag }) => _tag === "None")
    })

  const interrupt = (which: (one: Running) => boolean): number => {
    const all = [...running].filter(which)
    for (const { fiber } of all) if (fiber !== undefined) fork(Fiber.interrupt(fiber))
    return all.length
  }

  const release = (id: string) =>
    Effect.sync(() => {
      interrupt((one) => {
        if (one.id === id) one.released = true
        return one.id === id
      })
    })

  const close = Effect.gen(function*() {
    closing = true
    interrupt(({ begun }) => !begun)
    if (!(yield* waitUntilIdle(gracePeriod))) return
    const count = interrupt(() => true)
    const stubborn = yield* waitUntilIdle("5 seconds")
    yield* Effect.logInfo(
      `${who} was closed and hands back ${describe.plural(count, "side effect")}` +
        (stubborn ? ", of which some cannot be interrupted; they come back when the engine misses this worker" : "")
    )
  })

  const named = [...new Set([defaultQueue, ...Engine.queuesOf(Layers.toldOf(group))])]
  const queues = options.queues ?? named
  const strange = queues.filter((queue) => !named.includes(queue))
  const missed = named.filter((queue) => queue !== defaultQueue && !queues.includes(queue))
  // Either alone may be meant: a queue that only calls of enqueue name, and a worker elsewhere. Both look like a typo.
  if (strange.length > 0 && missed.length > 0) {
    yield* Effect.logWarning(
      `${who} of group "${group.name}" looks into ${
        enumerate(strange.map(quote))
      }, which no definition or binding names, and ` +
        `not into ${
          enumerate(missed.map(quote))
        }, which they do. Is a name mistyped, or does another worker look there?`
    )
  }
  return { names: new Set(names.keys()), queues, concurrency, perform, release, close } satisfies EngineWorker
})
