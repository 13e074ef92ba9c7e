import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Engine from "../../engine/Engine.ts"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import { defaultQueue, type Job } from "../../engine/Job.ts"
import { checkNumber } from "../../internal/check.ts"
import * as describe from "../../internal/describe.ts"
import { enumerate } from "../../internal/lines.ts"
import { toldOf } from "../../Layers.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import type { Claim, Claimed, OutboxError, Outcome } from "../OutboxStore.ts"
import { bodyOf } from "./deliver.ts"
import * as member from "./member.ts"
import { assign, type Share } from "./shares.ts"

/** See `Outbox.RelayOptions`. */
export interface Options extends member.Options {
  readonly batchSize?: number | undefined
  readonly maxAttempts?: number | undefined
}

/** An entry that this relay has claimed and not settled. */
interface Held {
  readonly claimed: Claimed
  /** By the clock of this process: from then on somebody else may have it. */
  until: number
  startedAt: number | undefined
  /** Its lease is gone: nothing is to be said about it any more. */
  lost: boolean
}

/** An entry, as it is handed over. */
interface Parcel {
  readonly one: Held
  readonly job: Job
}

/** One engine, and what is underway to it. */
interface Lane {
  readonly share: Share
  readonly connection: Engine.Connection
  /** Claimed, while the batch before is handed over. */
  ready: ReadonlyArray<Held>
  /** Whether there is room for a batch. */
  readonly room: Latch.Latch
  readonly filled: Latch.Latch
  /** Whether there may be something to claim. */
  readonly awake: Latch.Latch
  /** How many it is handed at once: less than `batchSize` where it is slow. */
  size: number
  /** For how many milliseconds it may think about them. */
  patience: number
  /** For how many batches in a row the engine has accepted nothing; `resting` says that it is left alone just now. */
  away: number
  resting: boolean
  /** How often it has accepted something. */
  accepted: number
  /** What it has refused that was handed over alone, and the value of `accepted` then. */
  readonly tried: Map<number, number>
  /** By the clock of this process: when to look for suspects again. */
  suspicion: number
  /** How often in a row something was due and could not be claimed: somebody else is just taking it. */
  fruitless: number
}

/** How long closing waits for the batch that is underway. */
const gracePeriod: Duration.Input = "10 seconds"

/**
 * For how many milliseconds an engine may think about a batch. Then it counts as away, and gets less at once. What is alone has
 * up to the longest, as it cannot become less.
 */
const patience = 30_000
const longestPatience = 4 * patience

/** How many are tried singly, and for how many milliseconds, to find out whether an engine takes anything at all. */
const samples = 16
const sampling = 1000

/** So many refused in a row, and the engine is asked no more for the time being, whatever it took before. */
const doubt = 12

/** For how many batches at most the end may still have to be written, where claiming goes on. */
const unsettled = 4

const maxPause = 5 * 60_000

export const make = Effect.fnUntraced(function*(
  group: SideEffectGroup.Any,
  engines: Readonly<Record<string, Engine.Engine<any, any>>>,
  options: Options = {}
): Effect.fn.Return<{ readonly id: string }, unknown, any> {
  const named = "Outbox.layerRelay"
  const { batchSize = 500, maxAttempts = 100, queues } = options
  checkNumber(named, "batchSize", batchSize)
  checkNumber(named, "maxAttempts", maxAttempts)
  const { left, shares } = assign(named, group, engines)
  const told = toldOf(group)
  const checks = new Map(shares.map((share) => [share, checkOf(share, told, queues)]))
  const self = yield* member.make("relay", options)
  const { atMost, fork, forkLoop, id, lease, patient, pollInterval, retention, store, who } = self
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()

  const held = new Map<number, Held>()
  const closed = Latch.makeUnsafe()
  const settled = Latch.makeUnsafe()
  let closing = false

  const lanes: Array<Lane> = []
  for (const share of shares) {
    lanes.push({
      share,
      connection: yield* share.engine[Engine.TypeId].connect as Effect.Effect<Engine.Connection, unknown, Scope.Scope>,
      ready: [],
      room: Latch.makeUnsafe(true),
      filled: Latch.makeUnsafe(),
      awake: Latch.makeUnsafe(),
      size: batchSize,
      patience,
      away: 0,
      resting: false,
      accepted: 0,
      tried: new Map(),
      suspicion: -Infinity,
      fruitless: 0
    })
  }

  // --- the end of an entry ---

  const outcomes = member.settler(self, {
    onSettled: (batch) => {
      settled.openUnsafe()
      // The claiming fibers may sleep for longer than that.
      if (!batch.some(({ outcome }) => "delay" in outcome && outcome.delay < pollInterval)) return
      for (const { awake } of lanes) awake.openUnsafe()
    },
    lost: "so they are or were handed over again. Raise lease, or lower batchSize."
  })

  const conclude = (one: Held, outcome: Outcome): void => {
    const { claimed: { ref, token }, startedAt } = one
    if (held.get(ref) === one) held.delete(ref)
    if (one.lost) return
    const elapsed = startedAt === undefined ? 0 : Math.max(0, Math.round(now() - startedAt))
    outcomes.add({ ref, token, worker: id, elapsed, outcome })
    outcomes.settleSoon()
  }

  const release = (some: ReadonlyArray<Held>): void => {
    for (const one of some) conclude(one, { _tag: "Release" })
  }

  const done: Outcome = { _tag: "Done", keep: retention.done > 0 }

  const refused = ({ one }: Parcel, cause: Cause.Cause<unknown>, engine: string): void => {
    const { failures } = one.claimed
    const error = `${engine} did not take it. ${EngineWorker.textOfCause(cause)}`
    conclude(
      one,
      failures + 1 < maxAttempts
        ? { _tag: "Retry", delay: Math.min(1000 * 2 ** Math.min(failures, 20), maxPause), error }
        : { _tag: "Dead", reason: "exhausted", error, failed: true }
    )
  }

  // --- handing over ---

  /** An entry as a job, or its end where it cannot become one. */
  const parcelOf = (
    one: Held,
    { engine }: Share,
    check: ReturnType<typeof checkOf>,
    createdAt: number
  ): Parcel | Outcome => {
    const { id, key, name, origin, queue, trace } = one.claimed
    const priority = engine[Engine.TypeId].honours.priority ? one.claimed.priority : 0
    const dead = (reason: "exhausted" | "undecodable", error: string): Outcome => ({
      _tag: "Dead",
      reason,
      error,
      failed: reason === "exhausted"
    })
    let body
    try {
      // As it was written: a relay of another release must not take away what its schema does not know.
      body = bodyOf(one.claimed)
    } catch {
      return dead("undecodable", `The payload of "${name}", or its metadata, is no JSON. Edit it, then retry it.`)
    }
    try {
      check({ name, queue: queue === defaultQueue ? undefined : queue, priority }, "was enqueued with")
    } catch (error) {
      return dead("exhausted", describe.error(error))
    }
    return {
      one,
      job: {
        id,
        name,
        queue,
        priority,
        payload: body.payload,
        metadata: body.metadata,
        delay: 0,
        // For how long a worker puts up with a name that it does not know begins now, however long this has waited.
        createdAt,
        key,
        origin,
        trace
      }
    }
  }

  /** It has answered, and gets twice as much next time where it would answer that long before its time is over. */
  const grow = (lane: Lane, n: number, elapsed: number): void => {
    lane.patience = patience
    if (4 * lane.size * elapsed <= n * patience) lane.size = Math.min(2 * lane.size, batchSize)
  }

  /** Where it is slow and not away, it comes to an end with less. */
  const shrink = (lane: Lane, n: number): void => {
    if (n === 1) lane.patience = Math.min(2 * lane.patience, longestPatience)
    lane.size = Math.min(lane.size, Math.ceil(n / 2))
  }

  /** Hands over, and answers with what it failed with; `"silent"` when there was no answer. */
  const attempt = (
    lane: Lane,
    parcels: ReadonlyArray<Parcel>
  ): Effect.Effect<Cause.Cause<unknown> | "silent" | undefined> =>
    Effect.suspend(() => {
      const { connection } = lane
      const began = now()
      const fiber = fork(Effect.withTracerEnabled(
        Effect.suspend(() => connection.handOver(parcels.map(({ job }) => job))),
        false
      ))
      const answer = Effect.map(Fiber.await(fiber), (exit) => {
        grow(lane, parcels.length, now() - began)
        if (Exit.isFailure(exit)) return exit.cause
        lane.accepted++
        for (const { one } of parcels) {
          lane.tried.delete(one.claimed.ref)
          conclude(one, done)
        }
        return undefined
      })
      return Effect.timeoutOrElse(answer, {
        duration: lane.patience,
        orElse: () =>
          Effect.sync((): "silent" => {
            shrink(lane, parcels.length)
            fork(Fiber.interrupt(fiber))
            return "silent"
          })
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => void fork(Fiber.interrupt(fiber)))))
    })

  const back = (lane: Lane): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (lane.away === 0) return Effect.void
      lane.away = 0
      return Effect.logInfo(`${who} hands over to ${lane.share.engine.name} again.`)
    })

  /** What an engine was to get is for others to try, and it is left alone for a while. */
  const rest = Effect.fnUntraced(function*(lane: Lane, parcels: ReadonlyArray<Parcel>, rounds: number) {
    const { ready } = lane
    lane.ready = []
    release([...parcels.map(({ one }) => one), ...ready])
    if (closing) return
    lane.resting = true
    lane.room.closeUnsafe()
    const jitter = 0.8 + 0.4 * (yield* Random.next)
    const pause = Math.min(100 * 2 ** Math.min(rounds, 10), 5000) * jitter
    yield* Effect.raceFirst(Effect.sleep(pause), closed.await)
    lane.resting = false
    lane.room.openUnsafe()
  })

  /** The engine takes nothing. */
  const away = Effect.fnUntraced(function*(
    lane: Lane,
    parcels: ReadonlyArray<Parcel>,
    cause: Cause.Cause<unknown> | "silent"
  ) {
    const rounds = lane.away++
    if (rounds === 0 && !closing) {
      yield* Effect.logError(
        `${who} cannot hand over to ${lane.share.engine.name}, and tries again: ${
          cause === "silent" ? "it does not answer" : describe.cause(cause).replace(/\.$/, "")
        }. What is for it waits in the outbox.`
      )
    }
    yield* rest(lane, parcels, rounds)
  })

  /** Some that can tell of the engine, from all over the batch: of what it has refused the least. */
  const samplesOf = (lane: Lane, parcels: ReadonlyArray<Parcel>): Effect.Effect<ReadonlyArray<Parcel>> =>
    Effect.map(Random.next, (random) => {
      const doubtful = ({ one: { claimed } }: Parcel) =>
        (claimed.failures > 0 ? 2 : 0) + (lane.tried.get(claimed.ref) === lane.accepted ? 1 : 0)
      const least = Math.min(...parcels.map(doubtful))
      const best = parcels.filter((parcel) => doubtful(parcel) === least)
      const length = Math.min(best.length, samples)
      return Array.from({ length }, (_, index) => best[Math.floor((index + random) * best.length / length)]!)
    })

  /**
   * A batch was refused: either the engine takes nothing, or there is something in it that it does not take. That is found by
   * halving, in the order of the batch. An attempt is used only of what is refused although the engine accepts something: in
   * the same batch, or since it has refused the same one before.
   */
  const sortOut = Effect.fnUntraced(function*(
    lane: Lane,
    parcels: ReadonlyArray<Parcel>,
    whole: Cause.Cause<unknown> | "silent"
  ) {
    const { share: { engine }, tried } = lane
    if (whole === "silent") return yield* away(lane, parcels, whole)
    if (parcels.length === 1) {
      const [parcel] = parcels
      const before = tried.get(parcel!.one.claimed.ref) ?? lane.accepted
      tried.set(parcel!.one.claimed.ref, lane.accepted)
      if (before === lane.accepted) return yield* away(lane, parcels, whole)
      return refused(parcel!, whole, engine.name)
    }
    const others = new Set(parcels)
    const failed = new Map<Parcel, Cause.Cause<unknown>>()
    const { accepted } = lane
    const began = now()
    for (const parcel of yield* samplesOf(lane, parcels)) {
      if (closing || now() - began > sampling) break
      const answer = yield* attempt(lane, [parcel])
      if (answer === "silent") break
      if (answer === undefined) {
        others.delete(parcel)
        break
      }
      failed.set(parcel, answer)
      tried.set(parcel.one.claimed.ref, lane.accepted)
    }
    if (lane.accepted === accepted) return yield* away(lane, parcels, whole)
    yield* back(lane)
    for (const [parcel, cause] of failed) {
      others.delete(parcel)
      refused(parcel, cause, engine.name)
    }
    const parts = [[...others]].filter(({ length }) => length > 0)
    let inARow = 0
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      const answer = closing ? "silent" : yield* attempt(lane, part)
      if (answer === undefined) {
        inARow = 0
        continue
      }
      if (answer === "silent") return yield* away(lane, [part, ...parts].flat(), answer)
      if (part.length > 1) {
        const middle = part.length >> 1
        parts.push(part.slice(middle), part.slice(0, middle))
        continue
      }
      tried.set(part[0]!.one.claimed.ref, lane.accepted)
      refused(part[0]!, answer, engine.name)
      if (++inARow >= doubt && parts.length > 0) return yield* rest(lane, parts.flat(), 0)
    }
  })

  const handOver = Effect.fnUntraced(function*(lane: Lane, batch: ReadonlyArray<Held>) {
    const check = checks.get(lane.share)!
    const parcels: Array<Parcel> = []
    const startedAt = now()
    for (const one of batch) {
      // After a long pause of this process somebody else has it.
      if (one.lost || startedAt >= one.until) {
        one.lost = true
        held.delete(one.claimed.ref)
        continue
      }
      one.startedAt = startedAt
      const parcel = parcelOf(one, lane.share, check, startedAt)
      if ("job" in parcel) parcels.push(parcel)
      else conclude(one, parcel)
    }
    if (parcels.length === 0) return
    const answer = yield* attempt(lane, parcels)
    if (answer === undefined) return yield* back(lane)
    yield* sortOut(lane, parcels, answer)
    const { accepted, tried } = lane
    // Others may have got rid of them meanwhile.
    if (tried.size > 10_000) tried.clear()
    for (const { one: { claimed: { ref } } } of parcels) if (tried.has(ref)) tried.set(ref, accepted)
  })

  const handing = (lane: Lane): Effect.Effect<void> =>
    Effect.gen(function*() {
      while (true) {
        yield* lane.filled.await
        lane.filled.closeUnsafe()
        const batch = lane.ready
        lane.ready = []
        if (closing) return release(batch)
        lane.room.openUnsafe()
        yield* handOver(lane, batch)
      }
    })

  // --- claiming ---

  const accept = (lane: Lane, claimed: ReadonlyArray<Claimed>, until: number): void => {
    if (claimed.length === 0) return
    const batch = claimed.map((one): Held => ({ claimed: one, until, startedAt: undefined, lost: false }))
    for (const one of batch) held.set(one.claimed.ref, one)
    // The database took its time, and nobody waits for this any more.
    if (closing || lane.resting) return release(batch)
    lane.ready = [...lane.ready, ...batch]
    lane.room.closeUnsafe()
    lane.filled.openUnsafe()
  }

  const takeBy = (lane: Lane, claim: Claim): Effect.Effect<number, OutboxError> =>
    Effect.suspend(() => {
      const asked = now()
      return Effect.map(store.claim(claim), (claimed) => {
        accept(lane, claimed, asked + lease)
        return claimed.length
      })
    })

  const claimOf = ({ share: { names }, size }: Lane): Claim => ({
    worker: id,
    limit: size,
    lease,
    names,
    queues,
    suspects: false
  })

  /** What others may have died of is as harmless as the rest: nothing of it runs here. */
  const takeSuspects = Effect.fnUntraced(function*(lane: Lane) {
    const claim = { ...claimOf(lane), limit: 1, suspects: true }
    lane.suspicion = now() + pollInterval
    let more = (yield* store.nextDueIn(claim)) === 0
    while (more && !lane.resting && lane.ready.length < lane.size) {
      more = (yield* Effect.uninterruptible(takeBy(lane, claim))) > 0
    }
  })

  const claiming = Effect.fnUntraced(function*(lane: Lane) {
    yield* lane.room.await
    // What is handed over and not settled is handed over again after a crash: that must not become much.
    if (outcomes.size() >= unsettled * batchSize) {
      settled.closeUnsafe()
      return yield* settled.await
    }
    lane.awake.closeUnsafe()
    if (now() >= lane.suspicion) yield* takeSuspects(lane)
    if (lane.resting || lane.ready.length > 0) return
    const claim = claimOf(lane)
    const took = yield* Effect.uninterruptible(takeBy(lane, claim))
    if (took === claim.limit) return
    const due = yield* store.nextDueIn(claim)
    lane.fruitless = due !== undefined && due <= 0 && took === 0 ? lane.fruitless + 1 : 0
    const pause = due === undefined ? pollInterval : Math.max(due, Math.min(lane.fruitless * 5, 100))
    const untilSuspicion = Math.max(0, lane.suspicion - now())
    yield* Effect.raceFirst(lane.awake.await, Effect.sleep(Math.min(pause, pollInterval, untilSuspicion)))
  })

  const renewing = Effect.gen(function*() {
    const all = [...held.values()]
    if (all.length === 0) return
    const asked = now()
    const gone = new Set(yield* store.renew(all.map(({ claimed: { ref, token } }) => ({ ref, token })), lease))
    for (const one of all) {
      if (!gone.has(one.claimed.ref)) one.until = asked + lease
      else if (held.get(one.claimed.ref) === one) one.lost = true
    }
  })

  // --- the life of the relay ---

  if (left.length > 0) {
    yield* Effect.logInfo(`${who} leaves ${enumerate(left)} to workers: no pattern matches.`)
  }
  const names = shares.flatMap((share) => share.names)
  yield* self.enter(names)
  const wake = yield* store.wake
  const waking = Effect.map(wake, () => {
    for (const { awake } of lanes) awake.openUnsafe()
  })

  // What is forked here is ended by the finalizer, and by nothing else.
  yield* Effect.uninterruptible(Effect.gen(function*() {
    const loops = [
      yield* forkLoop(waking),
      yield* forkLoop(outcomes.settling),
      ...yield* self.forkRoutine(names, renewing)
    ]
    const handers: Array<Fiber.Fiber<unknown, unknown>> = []
    const claimers: Array<Fiber.Fiber<unknown, unknown>> = []
    for (const lane of lanes) {
      handers.push(yield* Effect.forkDetach(Effect.withTracerEnabled(handing(lane), false)))
      claimers.push(yield* forkLoop(patient("claim", claiming(lane))))
    }

    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closing = true
        closed.openUnsafe()
        for (const { filled } of lanes) filled.openUnsafe()
        yield* atMost("5 seconds", Fiber.interruptAll(claimers))
        yield* atMost(gracePeriod, Fiber.awaitAll(handers))
        yield* atMost("5 seconds", Fiber.interruptAll(handers))
        const rest = [...held.values()]
        release(rest)
        if (rest.length > 0) {
          yield* Effect.logInfo(`${who} was closed and hands back ${describe.plural(rest.length, "side effect")}`)
        }
        yield* atMost("5 seconds", Fiber.interruptAll(loops))
        yield* atMost("10 seconds", outcomes.flush)
        yield* atMost("5 seconds", store.unregister(id))
      })
    )
  }))

  return { id }
})

/**
 * Checks what the group tells about what an engine gets from here, and answers with the check of a single entry. Throws
 * `UnsupportedOption`. The outbox honours delays itself, and priorities by the order in which it hands over.
 */
const checkOf = (
  { engine, sideEffects }: Share,
  told: ReturnType<typeof toldOf>,
  queues: ReadonlyArray<string> | undefined
) => {
  const { priority: priorities } = engine[Engine.TypeId].honours
  const here = told
    .filter(({ name, queue = defaultQueue }) =>
      sideEffects.has(name) && (queues === undefined || queues.includes(queue))
    )
    .map((one) => ({ ...one, delay: undefined, priority: priorities ? one.priority : undefined }))
  const check = Engine.check(engine, { told: here, queues })
  for (const one of here) check(one, `is told by ${one.by} to have`)
  return check
}
