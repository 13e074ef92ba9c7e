import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import type { Job } from "../../engine/Job.ts"
import type { Dead, Outcome } from "../../engine/Outcome.ts"
import { checkNumber } from "../../internal/check.ts"
import { millisOf } from "../../internal/duration.ts"
import * as patience from "../../internal/patience.ts"
import type * as SideEffect from "../../SideEffect.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import { attempt, Boss, checkQueues, physicalOf } from "./boss.ts"
import * as data from "./data.ts"
import * as dispatcher from "./dispatcher.ts"
import { makeSettling, settledOf } from "./settling.ts"

/** See `PgBossSideEffects.WorkerOptions`. */
export interface Options extends EngineWorker.Options {
  readonly batchSize?: number | undefined
  readonly pollInterval?: Duration.Input | undefined
  readonly adopt?: Readonly<Record<string, SideEffect.Any>> | undefined
}

/** A queue that is looked into. */
interface Lane {
  /** As intents are told it. */
  readonly queue: string
  /** In pg-boss. */
  readonly name: string
  readonly adopted: string | undefined
  /** Whether there may be something in it. */
  due: boolean
  /** Names that this worker does not know, and until when they are left to others. */
  readonly strange: Map<string, number>
}

/** A job that this worker has taken and not settled. */
interface Held {
  readonly lane: Lane
  readonly job: Job
  readonly fetched: data.Fetched
  /** For how long it is this worker's own, in milliseconds. */
  readonly lease: number
  /** Whether a sign of life makes that longer. */
  readonly beats: boolean
  /** By the clock of this process: from then on somebody else may have it. */
  until: number
  begun: boolean
  /** Somebody else has it: nothing is to be said about it any more. */
  lost: boolean
}

/** How far ahead, and how exactly, it is remembered when something comes back. In milliseconds. */
const farthest = 60_000
const step = 10

export const make = Effect.fnUntraced(function*(group: SideEffectGroup.Any, options: Options = {}) {
  const who = "PgBossSideEffects.layerWorker"
  const { adopt = {}, batchSize = 500 } = options
  checkNumber(who, "batchSize", batchSize)
  checkQueues(who, options.queues)
  const pollInterval = millisOf(who, "pollInterval", options.pollInterval ?? "1 second")
  const service = yield* Boss
  const { boss, lease } = service
  const clock = yield* Clock.Clock
  const worker = yield* EngineWorker.make(
    who,
    dispatcher.make(options.queues === undefined ? {} : { queues: options.queues }, who),
    group,
    options
  )
  const { concurrency } = worker
  const lanes = yield* openLanes(who, service, worker, adopt)
  const context = Context.omit(Scheduler.Scheduler, Scope.Scope, Tracer.ParentSpan)(yield* Effect.context<never>())
  const fork = Effect.runForkWith(context)

  const held = new Map<string, Held>()
  let waiting: Array<Held> = []
  let next = 0
  let running = 0
  let closing = false
  /** Whether the fetching fiber waits for room. */
  let full = false
  /** How many more than can run at once are taken, so that those who are done find the next. */
  let ahead = 0
  let lastFull = -Infinity
  /** The longest pause between two signs of life. */
  let beat = lease
  /** When something is due that this worker has given back. */
  const returns = new Set<number>()
  const roomier = Latch.makeUnsafe()
  const woken = Latch.makeUnsafe()
  const quicker = Latch.makeUnsafe()
  const idle = Latch.makeUnsafe()

  const patient = patience.make(who)

  const settling = makeSettling(service, who, {
    patient,
    settled: () => {
      if (isIdle()) idle.openUnsafe()
    },
    returned: (delay) => {
      // The poll finds what comes later.
      if (delay > farthest) return
      returns.add(Math.ceil((clock.currentTimeMillisUnsafe() + delay + 1) / step) * step)
      woken.openUnsafe()
    }
  })

  /** Nothing is held, and of nothing the end is still to be written. */
  const isIdle = (): boolean => held.size === 0 && settling.isEmpty()

  // --- from a job to its outcome ---

  const forget = (one: Held): void => {
    if (held.get(one.job.id) === one) held.delete(one.job.id)
    if (full && isRoomy()) roomier.openUnsafe()
    if (isIdle()) idle.openUnsafe()
  }

  /** It could not be settled any more: what still runs of it only delays the delivery that counts. */
  const lose = (one: Held): void => {
    one.lost = true
    if (one.begun) fork(worker.release(one.job.id))
    else forget(one)
  }

  const isRoomy = (): boolean => ahead === 0 ? held.size < concurrency : held.size <= (concurrency + ahead) >> 1

  const conclude = (one: Held, outcome: Outcome): void => {
    if (!one.lost) {
      const { fetched, job, lane: { adopted, name } } = one
      settling.add(settledOf(name, fetched, job, adopted !== undefined, leftToOthers(one, outcome) ?? outcome))
    }
    forget(one)
  }

  /** Whoever knows the name can have it at once, as this worker does not look at it for a while. */
  const leftToOthers = ({ fetched, job, lane }: Held, outcome: Outcome): Outcome | undefined => {
    if (outcome._tag !== "Snooze" || fetched.groupId !== job.name || worker.names.has(job.name)) return undefined
    lane.strange.set(job.name, clock.currentTimeMillisUnsafe() + outcome.delay)
    return { _tag: "Release" }
  }

  const strangeTo = ({ strange }: Lane, now: number): Array<string> => {
    for (const [name, until] of strange) if (until <= now) strange.delete(name)
    return [...strange.keys()]
  }

  const start = (one: Held): void => {
    running++
    one.begun = true
    const fiber = fork(worker.perform(one.job))
    fiber.addObserver((exit: Exit.Exit<Outcome>) => {
      running--
      conclude(one, exit._tag === "Success" ? exit.value : { _tag: "Release" })
      startWaiting()
    })
  }

  let starting = false
  const canStart = () => !closing && running < concurrency && next < waiting.length
  const startWaiting = (): void => {
    // A handler that ends at once comes back to here: the loop that started it goes on.
    if (starting) return
    starting = true
    try {
      while (canStart()) {
        const one = waiting[next++]!
        // After a long pause of this process somebody else has it: nothing is begun that cannot be settled.
        if (one.lost || clock.currentTimeMillisUnsafe() >= one.until) {
          one.lost = true
          forget(one)
        } else {
          start(one)
        }
      }
      if (next === waiting.length) {
        waiting = []
        next = 0
      }
    } finally {
      starting = false
    }
  }

  const stranger: Dead = {
    _tag: "Dead",
    reason: "undecodable",
    error: "its data is no side effect. Keep other jobs in queues of their own, or say with adopt what they are.",
    cause: undefined,
    failed: false
  }

  const accept = (
    lane: Lane,
    jobs: ReadonlyArray<data.Fetched & { heartbeatSeconds: number | null; expireInSeconds: number }>,
    asked: number
  ) => {
    let overtakes = false
    for (const fetched of jobs) {
      const job = data.jobOf(fetched, lane, asked)
      if (job === undefined) {
        fork(
          Effect.logError(
            `Job ${fetched.id} in queue "${lane.name}" of pg-boss is dead as undecodable: ${stranger.error}`
          )
        )
        settling.add(settledOf(lane.name, fetched, undefined, true, stranger))
        continue
      }
      const seconds = fetched.heartbeatSeconds
      const lasts = 1000 * (seconds ?? fetched.expireInSeconds)
      const one: Held = {
        lane,
        job,
        fetched: {
          id: fetched.id,
          retryCount: fetched.retryCount,
          groupId: fetched.groupId,
          seen: data.seenOf(fetched, job),
          data: undefined
        },
        lease: lasts,
        beats: seconds !== null,
        until: asked + lasts,
        begun: false,
        lost: false
      }
      if (seconds !== null && lasts < beat) {
        beat = lasts
        quicker.openUnsafe()
      }
      const before = held.get(job.id)
      if (before !== undefined) lose(before)
      held.set(job.id, one)
      overtakes ||= next < waiting.length && waiting.at(-1)!.job.priority < job.priority
      waiting.push(one)
    }
    if (overtakes) {
      waiting = waiting.slice(next)
      next = 0
      waiting.sort((left, right) => right.job.priority - left.job.priority)
    }
    // The answer to what was asked before the worker was closed may come late.
    if (closing) releaseWaiting()
    else startWaiting()
  }

  const releaseWaiting = (): void => {
    const rest = waiting.slice(next)
    waiting = []
    next = 0
    for (const one of rest) conclude(one, { _tag: "Release" })
  }

  // --- fetching ---

  let turn = 0

  /** Takes what there is room for. */
  const takeAll = Effect.fnUntraced(function*() {
    const began = clock.currentTimeMillisUnsafe()
    // Each comes first in its turn, so that none takes all the room for ever.
    turn++
    for (let i = 0; i < lanes.length; i++) {
      const lane = lanes[(turn + i) % lanes.length]!
      const room = Math.min(concurrency + ahead - held.size, batchSize)
      if (!lane.due || room <= 0) continue
      lane.due = false
      const asked = clock.currentTimeMillisUnsafe()
      const ignoreGroups = strangeTo(lane, asked)
      const jobs = yield* Effect.onError(
        attempt(`fetch from queue "${lane.name}"`, () => boss.fetch(lane.name, { batchSize: room, ignoreGroups })),
        () => Effect.sync(() => void (lane.due = true))
      )
      accept(lane, jobs, asked)
      if (jobs.length < room) continue
      lane.due = true
      // A batch should last for some time, and not for long.
      const lasted = began - lastFull
      if (lasted < 100) ahead = Math.min(Math.max(ahead * 2, concurrency), batchSize)
      else if (lasted > 1000) ahead = 0
      lastFull = began
    }
  })

  const fetching = Effect.gen(function*() {
    roomier.closeUnsafe()
    full = !isRoomy()
    if (full) return yield* roomier.await
    woken.closeUnsafe()
    yield* Effect.uninterruptible(takeAll())
    if (lanes.some(({ due }) => due)) return
    const began = clock.currentTimeMillisUnsafe()
    const soonest = Math.min(began + pollInterval, ...returns)
    yield* Effect.raceFirst(woken.await, Effect.sleep(Math.max(0, soonest - began)))
    // Who wakes it up says where there is something. After a pause, that may be anywhere.
    const now = clock.currentTimeMillisUnsafe()
    if (now < soonest) return
    for (const lane of lanes) lane.due = true
    for (const at of returns) if (at <= now) returns.delete(at)
  })

  // --- the lease ---

  /** What was taken ahead of quick handlers that have become slow since is for others to begin. */
  const handBackAhead = (): void => {
    if (clock.currentTimeMillisUnsafe() - lastFull < Math.min(beat / 3, 1000)) return
    ahead = 0
    releaseWaiting()
  }

  const beating = Effect.gen(function*() {
    handBackAhead()
    const asked = clock.currentTimeMillisUnsafe()
    for (const { name } of lanes) {
      const all = [...held.values()].filter(({ beats, lane, lost }) => beats && !lost && lane.name === name)
      if (all.length === 0) continue
      const answer = yield* attempt(
        `renew its leases in queue "${name}"`,
        () => boss.touch(name, all.map(({ fetched }) => fetched))
      )
      const touched = settledIds(answer)
      for (const one of all) {
        if (touched === undefined || touched.has(one.job.id)) {
          one.until = asked + one.lease
        } else if (held.get(one.job.id) === one) {
          lose(one)
        }
      }
    }
  })

  const beats = Effect.gen(function*() {
    quicker.closeUnsafe()
    yield* Effect.raceFirst(quicker.await, Effect.sleep(beat / 3))
    yield* patient("renew its leases", beating)
  })

  // --- the life of the worker ---

  const atMost = (patience: Duration.Input, effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown> =>
    Effect.timeoutOption(Effect.interruptible(Fiber.await(fork(effect))), patience)

  const waitUntilIdle: Effect.Effect<void> = Effect.suspend(() => {
    if (isIdle()) return Effect.void
    idle.closeUnsafe()
    return idle.await
  })

  yield* service.listen((queue) => {
    for (const lane of lanes) {
      if (queue !== undefined && queue !== lane.name) continue
      lane.due = true
      woken.openUnsafe()
    }
  })

  // What the worker does all the time belongs to no trace.
  const forkLoop = (turn: Effect.Effect<unknown>) =>
    Effect.forkDetach(Effect.withTracerEnabled(Effect.forever(turn), false))
  // What is forked here is ended by the finalizer, and by nothing else.
  yield* Effect.uninterruptible(Effect.gen(function*() {
    const loops = [yield* forkLoop(settling.turn), yield* forkLoop(beats)]
    const fetcher = yield* forkLoop(patient("fetch", fetching))
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closing = true
        releaseWaiting()
        const fetched = fork(Fiber.interrupt(fetcher))
        yield* worker.close
        // What it takes until then is given back, too.
        yield* atMost("10 seconds", Fiber.await(fetched))
        yield* atMost("10 seconds", waitUntilIdle)
        yield* atMost("1 second", Fiber.interruptAll(loops))
      })
    )
  }))
})

const openLanes = Effect.fnUntraced(function*(
  who: string,
  service: Boss["Service"],
  { names, queues }: EngineWorker.EngineWorker,
  adopt: Readonly<Record<string, SideEffect.Any>>
) {
  const lanes = new Map<string, Lane>()
  dispatcher.checkTaken(who, service, queues)
  for (const queue of queues) {
    const name = physicalOf(queue, service)
    lanes.set(name, { queue, name, adopted: undefined, due: true, strange: new Map() })
  }
  for (const [name, { _tag }] of Object.entries(adopt)) {
    if (!names.has(_tag)) {
      return yield* Effect.die(
        new Error(`${who} is to adopt queue "${name}" for side effect "${_tag}", which its group does not have.`)
      )
    }
    lanes.set(name, { queue: lanes.get(name)?.queue ?? name, name, adopted: _tag, due: true, strange: new Map() })
  }
  for (const { name } of lanes.values()) {
    const { policy } = yield* service.ready(name)
    if (policy === "stately") {
      return yield* Effect.die(
        new Error(
          `${who} cannot work on queue "${name}", as its policy is stately: there can be no second job that waits for its ` +
            "next attempt. Move its jobs to a queue of another policy."
        )
      )
    }
  }
  return [...lanes.values()]
})

/** The ids that a command has touched. */
const settledIds = (answer: object): ReadonlySet<string> | undefined => {
  const ids = (answer as { readonly settled?: unknown }).settled
  return Array.isArray(ids) ? new Set(ids) : undefined
}
