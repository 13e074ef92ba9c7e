import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { checkNumber } from "../../internal/check.ts"
import * as describe from "../../internal/describe.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import type { Claim, Claimed, OutboxError, Outcome } from "../OutboxStore.ts"
import * as deliver from "./deliver.ts"
import * as member from "./member.ts"

/** See `Outbox.WorkerOptions`. */
export interface Options extends deliver.Options, member.Options {
  readonly concurrency?: number | undefined
  readonly batchSize?: number | undefined
  readonly gracePeriod?: Duration.Input | undefined
  /** Side effects that it knows and does not begin. */
  readonly holdsBack?: ((name: string) => boolean) | undefined
}

/** An entry that this worker has claimed and not settled. */
interface Held {
  readonly claimed: Claimed
  /** By the clock of this process: from then on somebody else may have it. */
  until: number
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  startedAt: number | undefined
  /** Its lease is gone: nothing is to be said about it any more. */
  lost: boolean
}

/** How many of a side effect are held that has a limit of its own. */
interface Limit {
  readonly limit: number
  held: number
  full: boolean
}

/** How long a suspect waits for the others, and the others for a suspect. */
const quarantinePatience = "10 seconds"

export const make = Effect.fnUntraced(function*(group: SideEffectGroup.Any, options: Options = {}) {
  const who = "Outbox.layerWorker"
  const { batchSize = 500, concurrency = 32, queues } = options
  checkNumber(who, "concurrency", concurrency)
  checkNumber(who, "batchSize", batchSize)
  const gracePeriod = Duration.fromInputUnsafe(options.gracePeriod ?? "10 seconds")
  const self = yield* member.make("worker", options)
  const { atMost, fork, forkLoop, id, lease, patient, pollInterval, retention, store, who: named } = self
  const clock = yield* Clock.Clock
  const { deliver: deliverOne, handlers, names } = yield* deliver.make(group, who, {
    ...options,
    keepDone: retention.done > 0
  })

  const held = new Map<number, Held>()
  const waiting: Array<Held> = []
  const limited = new Map<string, Limit>()
  for (const [name, { concurrency }] of handlers) {
    if (concurrency !== undefined) limited.set(name, { limit: concurrency, held: 0, full: false })
  }
  const limitOf = ({ name }: Claimed) => limited.get(names.get(name)!._tag)
  const { holdsBack = () => false } = options
  const begun = [...names].filter(([, { _tag }]) => !holdsBack(_tag))
  const unlimitedNames = begun.flatMap(([name, { _tag }]) => limited.has(_tag) ? [] : [name])
  /** Whether the claiming fiber waits for room. */
  let full = false
  let running = 0
  let suspects = 0
  let closing = false
  /** How many more than can run at once are claimed, so that those who are done find the next. */
  let ahead = Math.min(concurrency, batchSize)
  const roomier = Latch.makeUnsafe()
  const idle = Latch.makeUnsafe()

  // --- from a claimed entry to its outcome ---

  /** Nothing is held, and of nothing the end is still to be written. */
  const isIdle = (): boolean => held.size === 0 && outcomes.isEmpty()

  const outcomes = member.settler(self, {
    onSettled: (batch) => {
      if (isIdle()) idle.openUnsafe()
      // The claiming fiber may sleep for longer than that.
      if (batch.some(({ outcome }) => "delay" in outcome && outcome.delay < pollInterval)) roomier.openUnsafe()
    },
    lost: "so they are or were performed again. Give handlers a timeout, or raise lease."
  })

  const forget = (one: Held): void => {
    const { claimed } = one
    if (held.get(claimed.ref) !== one) return
    held.delete(claimed.ref)
    const limit = limitOf(claimed)
    if (limit !== undefined) limit.held--
    if (claimed.crashes >= 2) suspects--
    if (limit?.full === true || (full && held.size <= (concurrency + ahead) >> 1)) roomier.openUnsafe()
    if (isIdle()) idle.openUnsafe()
  }

  const conclude = (one: Held, outcome: Outcome): void => {
    if (!one.lost) {
      const { claimed: { ref, token }, startedAt } = one
      const elapsed = startedAt === undefined ? 0 : Math.max(0, Math.round(clock.currentTimeMillisUnsafe() - startedAt))
      outcomes.add({ ref, token, worker: id, elapsed, outcome })
    }
    // Only now, as it wakes those who wait until everything has its outcome.
    forget(one)
    if (!one.lost) outcomes.settleSoon()
  }

  /** By the worker when it closes; else by somebody inside of the handler, which may end differently another time. */
  const interrupted = (claimed: Claimed, cause: Cause.Cause<unknown>): Outcome =>
    closing
      ? { _tag: "Release" }
      : deliver.outcomeOf(
        deliver.interrupted(deliver.progressOf(claimed), cause, clock.currentTimeMillisUnsafe()),
        true
      )

  const start = (one: Held): void => {
    running++
    one.startedAt = clock.currentTimeMillisUnsafe()
    const fiber = one.fiber = fork(Effect.suspend(() => deliverOne(one.claimed)))
    fiber.addObserver((exit: Exit.Exit<Outcome>) => {
      running--
      conclude(one, exit._tag === "Success" ? exit.value : interrupted(one.claimed, exit.cause))
      startWaiting()
    })
  }

  let next = 0
  let starting = false
  const canStart = () => !closing && running < concurrency && next < waiting.length
  const startWaiting = (): void => {
    // A handler that ends at once comes back to here: the loop that started it goes on.
    if (starting) return
    starting = true
    try {
      while (canStart()) {
        const one = waiting[next++]!
        if (one.lost) continue
        // After a long pause of this process somebody else has it: nothing is begun that cannot be settled.
        if (clock.currentTimeMillisUnsafe() >= one.until) {
          one.lost = true
          forget(one)
        } else {
          start(one)
        }
      }
      if (next === waiting.length) {
        waiting.length = 0
        next = 0
      }
    } finally {
      starting = false
    }
  }

  const accept = (claimed: ReadonlyArray<Claimed>, until: number): void => {
    let overtakes = false
    for (const one of claimed) {
      const limit = limitOf(one)
      if (limit !== undefined) limit.held++
      if (one.crashes >= 2) suspects++
      const entry: Held = { claimed: one, until, fiber: undefined, startedAt: undefined, lost: false }
      held.set(one.ref, entry)
      overtakes ||= next < waiting.length && waiting.at(-1)!.claimed.priority < one.priority
      waiting.push(entry)
    }
    if (overtakes) {
      waiting.splice(0, next)
      next = 0
      waiting.sort((left, right) => right.claimed.priority - left.claimed.priority)
    }
    startWaiting()
  }

  // --- claiming ---

  const claimOf = (names: ReadonlyArray<string>, limit: number): Claim => ({
    worker: id,
    limit,
    lease,
    names,
    queues,
    suspects: false
  })

  const freeNames = (): ReadonlyArray<string> => {
    if (limited.size === 0) return unlimitedNames
    return begun.flatMap(([name, { _tag }]) => {
      const limit = limited.get(_tag)
      return limit === undefined || limit.held < limit.limit ? [name] : []
    })
  }

  const giveBack = (claimed: ReadonlyArray<Claimed>) =>
    store.settle(
      claimed.map(({ ref, token }) => ({ ref, token, worker: id, elapsed: 0, outcome: { _tag: "Release" } }))
    )

  const takeBy = (claim: Claim): Effect.Effect<number, OutboxError> =>
    Effect.suspend(() => {
      const asked = clock.currentTimeMillisUnsafe()
      return Effect.flatMap(store.claim(claim), (claimed) => {
        // The database took its time, and nobody waits for this any more.
        if (closing) return Effect.as(giveBack(claimed), 0)
        accept(claimed, asked + lease)
        return Effect.succeed(claimed.length)
      })
    })

  const take = (names: ReadonlyArray<string>, limit: number): Effect.Effect<number, OutboxError> =>
    names.length === 0 || limit <= 0 ? Effect.succeed(0) : takeBy(claimOf(names, limit))

  /** What is claimed together: all that have no limit of their own, and each that has, under all its names. */
  const shares: ReadonlyArray<{ readonly names: ReadonlyArray<string>; readonly limit: Limit | undefined }> = [
    { names: unlimitedNames, limit: undefined },
    ...Array.from(limited, ([tag, limit]) => ({
      names: begun.flatMap(([name, { _tag }]) => _tag === tag ? [name] : []),
      limit
    }))
  ]
  let turn = 0
  let lastFull = 0

  /** Takes what there is room for. Answers whether there may be more. */
  const takeAll = Effect.fnUntraced(function*() {
    const began = clock.currentTimeMillisUnsafe()
    let more = false
    // Each comes first in its turn, so that none takes all the room for ever.
    turn++
    for (let i = 0; i < shares.length; i++) {
      const { limit, names } = shares[(turn + i) % shares.length]!
      const room = concurrency + ahead - held.size
      const free = limit === undefined ? room : Math.min(room, limit.limit - limit.held)
      const took = yield* take(names, free)
      if (limit !== undefined) limit.full = limit.held >= limit.limit
      if (names.length === 0 || took < free || limit?.full === true) continue
      more = true
      if (limit !== undefined || free <= 0) continue
      // A batch should last for some time, and not for long.
      const lasted = began - lastFull
      if (lasted < 100) ahead = Math.min(ahead * 2, batchSize)
      else if (lasted > 1000) ahead = Math.max(ahead >> 1, Math.min(concurrency, batchSize))
      lastFull = began
    }
    return more
  })

  /** How often in a row something was due and could not be claimed: somebody else is just taking it. */
  let fruitless = 0

  /** Whether something was still held, or not settled, after that time. */
  const waitUntilIdle = (patience: Duration.Input): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (isIdle()) return Effect.succeed(false)
      idle.closeUnsafe()
      return Effect.map(Effect.timeoutOption(Effect.interruptible(idle.await), patience), ({ _tag }) => _tag === "None")
    })

  /** By the clock of this process: when to look for suspects again. */
  let suspicion = -Infinity

  /**
   * Performs a suspect, if there is one. It runs alone, so that whatever it does to the process is charged to nobody else;
   * but what takes long is not waited for, neither before nor after.
   */
  const quarantine = Effect.fnUntraced(function*() {
    const began = clock.currentTimeMillisUnsafe()
    const claim = { ...claimOf(freeNames(), 1), suspects: true }
    suspicion = began + pollInterval
    if (suspects > 0 || (yield* store.nextDueIn(claim)) !== 0) return
    yield* waitUntilIdle(quarantinePatience)
    if ((yield* Effect.uninterruptible(takeBy(claim))) === 0) return
    yield* waitUntilIdle(quarantinePatience)
    // The others have their turn for as long.
    const now = clock.currentTimeMillisUnsafe()
    suspicion = now + (now - began)
  })

  const claiming = Effect.fnUntraced(function*(wake: Effect.Effect<void>) {
    if (clock.currentTimeMillisUnsafe() >= suspicion) yield* quarantine()
    roomier.closeUnsafe()
    full = held.size > (concurrency + ahead) >> 1
    if (full) return yield* roomier.await
    const before = held.size
    if (yield* Effect.uninterruptible(takeAll())) return
    const due = yield* store.nextDueIn(claimOf(freeNames(), 1))
    fruitless = due !== undefined && due <= 0 && held.size <= before ? fruitless + 1 : 0
    const pause = due === undefined ? pollInterval : Math.max(due, Math.min(fruitless * 5, 100))
    const untilSuspicion = Math.max(0, suspicion - clock.currentTimeMillisUnsafe())
    yield* Effect.raceAllFirst([wake, roomier.await, Effect.sleep(Math.min(pause, pollInterval, untilSuspicion))])
  })

  // --- renewing ---

  /** What was claimed ahead of quick handlers that have become slow since is for others to begin. */
  const handBackAhead = (): void => {
    if (clock.currentTimeMillisUnsafe() - lastFull < lease / 3) return
    ahead = Math.min(concurrency, batchSize)
    for (const one of waiting.splice(next + ahead)) conclude(one, { _tag: "Release" })
  }

  const renewing = Effect.gen(function*() {
    handBackAhead()
    const all = [...held.values()]
    if (all.length === 0) return
    const asked = clock.currentTimeMillisUnsafe()
    const gone = new Set(yield* store.renew(all.map(({ claimed: { ref, token } }) => ({ ref, token })), lease))
    for (const one of all) {
      if (!gone.has(one.claimed.ref)) {
        one.until = asked + lease
      } else if (held.get(one.claimed.ref) === one) {
        one.lost = true
        if (one.fiber === undefined) forget(one)
        else fork(Fiber.interrupt(one.fiber))
      }
    }
  })

  // --- the life of the worker ---

  const all = [...names.keys()]
  yield* self.enter(all)

  const handBack = Effect.gen(function*() {
    const rest = [...held.values()]
    if (rest.length === 0) return
    for (const one of rest) {
      if (one.fiber === undefined) conclude(one, { _tag: "Release" })
      else fork(Fiber.interrupt(one.fiber))
    }
    const stubborn = yield* waitUntilIdle("5 seconds")
    yield* Effect.logInfo(
      `${named} was closed and hands back ${describe.plural(rest.length, "side effect")}` +
        (stubborn ? ", of which some cannot be interrupted; they are claimed again when their lease has run out" : "")
    )
  })

  const wake = yield* store.wake
  // What is forked here is ended by the finalizer, and by nothing else.
  yield* Effect.uninterruptible(Effect.gen(function*() {
    const loops = [yield* forkLoop(outcomes.settling), ...yield* self.forkRoutine(all, renewing)]
    const claimer = yield* forkLoop(patient("claim", claiming(wake)))

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closing = true
        yield* atMost("5 seconds", Fiber.interrupt(claimer))
        for (const one of held.values()) if (one.fiber === undefined) conclude(one, { _tag: "Release" })
        waiting.length = 0
        next = 0
        if (yield* waitUntilIdle(gracePeriod)) yield* handBack
        yield* atMost("5 seconds", Fiber.interruptAll(loops))
        yield* atMost("10 seconds", outcomes.flush)
        yield* atMost("5 seconds", store.unregister(id))
      })
    )
  }))

  return { id }
})
