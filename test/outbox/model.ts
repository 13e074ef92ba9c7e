import { assert } from "@effect/vitest"
import type { OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

// What an outbox does, in plain arrays. Every duration is none or an hour, so that nothing has to pass: what lasts for
// none is over at once, and what lasts for an hour is not over before the test is.

type Store = OutboxStore.OutboxStore["Service"]

const hour = 3_600_000
const year = 365 * 24 * hour

const names = ["a:x", "a:y", "b:x"] as const
const queues = ["q", "r"] as const

/** Patterns, and what they match. */
const patterns = {
  "a:x": ["a:x"],
  "b:*": ["b:x"],
  "*:x": ["a:x", "b:x"],
  "**": ["a:x", "a:y", "b:x"]
} as const satisfies Record<string, ReadonlyArray<string>>
type Pattern = keyof typeof patterns
const patternNames = Object.keys(patterns) as Array<Pattern>

const matches = (pattern: Pattern, name: string) => (patterns[pattern] as ReadonlyArray<string>).includes(name)

// -- What can happen ----------------------------------------------------------------------------------------------------

/** Points at something that is there when it happens, counted from the newest. */
const Pick = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
/** Points at a delivery: one that still holds its entry, or any. */
const PickDelivery = Schema.Struct({ held: Schema.Literals([true, true, true, false]), pick: Pick })
const Name = Schema.Literals(names)
const Queue = Schema.Literals(queues)
const Worker = Schema.Literals(["v", "w"])
const Names = Schema.Literals(
  [[...names], [...names], [...names], ["a:x"], ["a:y", "b:x"], []].map((some) => some.join())
)

const Offer = Schema.Struct({
  _tag: Schema.tag("Offer"),
  unique: Schema.Boolean,
  offers: Schema.Array(Schema.Struct({
    name: Name,
    queue: Queue,
    priority: Schema.Literals([0, 0, 1, -1]),
    key: Schema.Literals(["none", "none", "k", "l"]),
    later: Schema.Literals([false, false, true])
  })).check(Schema.isMinLength(1), Schema.isMaxLength(6))
})
const Claim = Schema.Struct({
  _tag: Schema.tag("Claim"),
  worker: Worker,
  limit: Schema.Literals([1, 2, 3, 100]),
  long: Schema.Literals([true, false, false]),
  names: Names,
  queue: Schema.Literals(["all", "all", "q"]),
  suspects: Schema.Literals([true, false, false])
})
const Reason = Schema.Literals(["exhausted", "crashed", "cancelled", "undecodable", "unknown"])
const Settle = Schema.Struct({
  _tag: Schema.tag("Settle"),
  settlements: Schema.Array(Schema.Struct({
    delivery: PickDelivery,
    how: Schema.Union([
      Schema.Struct({ _tag: Schema.tag("Done"), keep: Schema.Literals([true, true, false]) }),
      Schema.Struct({ _tag: Schema.tag("Retry"), later: Schema.Boolean }),
      Schema.Struct({ _tag: Schema.tag("Snooze"), later: Schema.Boolean }),
      Schema.Struct({ _tag: Schema.tag("Release") }),
      Schema.Struct({ _tag: Schema.tag("Dead"), reason: Reason, failed: Schema.Boolean })
    ])
  })).check(Schema.isMinLength(1), Schema.isMaxLength(4))
})
const Renew = Schema.Struct({
  _tag: Schema.tag("Renew"),
  deliveries: Schema.Array(PickDelivery).check(Schema.isMaxLength(4)),
  long: Schema.Boolean
})
const Change = Schema.Struct({
  _tag: Schema.tag("Change"),
  change: Schema.Literals(["Retry", "Retry", "Cancel", "Replay", "Replay", "Edit", "Purge"]),
  which: Schema.Union([
    Schema.Struct({ _tag: Schema.tag("all") }),
    Schema.Struct({ _tag: Schema.tag("ids"), picks: Schema.Array(Pick).check(Schema.isMaxLength(3)) }),
    Schema.Struct({ _tag: Schema.tag("ids"), picks: Schema.Array(Pick).check(Schema.isMaxLength(3)) }),
    Schema.Struct({
      _tag: Schema.tag("state"),
      state: Schema.Literals(["pending", "scheduled", "running", "done", "dead"])
    }),
    Schema.Struct({ _tag: Schema.tag("pattern"), pattern: Schema.Literals(patternNames) }),
    Schema.Struct({ _tag: Schema.tag("queue"), queue: Queue }),
    Schema.Struct({ _tag: Schema.tag("reason"), reason: Reason }),
    Schema.Struct({ _tag: Schema.tag("payload"), n: Pick })
  ])
})
const Stop = Schema.Union([
  Schema.Struct({ kind: Schema.tag("name"), what: Schema.Literals(patternNames) }),
  Schema.Struct({ kind: Schema.tag("queue"), what: Queue })
])

export const Step = Schema.Union([
  Offer,
  Offer,
  Offer,
  Claim,
  Claim,
  Claim,
  Claim,
  Claim,
  Settle,
  Settle,
  Settle,
  Settle,
  Renew,
  Change,
  Change,
  Schema.Struct({ _tag: Schema.tag("Pause"), stop: Stop }),
  Schema.Struct({ _tag: Schema.tag("Resume"), stop: Stop, paused: Schema.Literals([true, true, false]) }),
  Schema.Struct({ _tag: Schema.tag("Resume"), stop: Stop, paused: Schema.Literals([true, true, false]) }),
  Schema.Struct({ _tag: Schema.tag("Register"), worker: Worker, names: Names }),
  Schema.Struct({ _tag: Schema.tag("Unregister"), worker: Worker }),
  Schema.Struct({ _tag: Schema.tag("Cleanup"), what: Schema.Literals(["done", "dead", "unknown", "nothing"]) })
])
export type Step = typeof Step.Type

// -- The model ----------------------------------------------------------------------------------------------------------

interface Entry {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly priority: number
  readonly key: string | undefined
  readonly replayOf: string | undefined
  n: number
  end: "done" | "dead" | undefined
  reason: OutboxStore.Reason | undefined
  /** Whether its time, or its lease, has an hour to go. */
  later: boolean
  holder: Delivery | undefined
  attempts: number
  failures: number
  crashes: number
  readonly history: Array<readonly [attempt: number, outcome: string, worker: string]>
  purged: boolean
}

interface Delivery {
  readonly entry: Entry
  readonly claimed: OutboxStore.Claimed
  readonly worker: string
}

interface World {
  /** Those that are there, oldest first. */
  entries: Array<Entry>
  /** Everything that was ever offered with a key. */
  readonly keyed: Array<Entry>
  /** Keys that more than one entry has had, at a time or by a replay: there the contract does not say whose they are. */
  readonly contested: Set<string>
  readonly deliveries: Array<Delivery>
  readonly pauses: Array<typeof Stop.Type>
  readonly workers: Map<string, ReadonlyArray<string>>
  made: number
  readonly meet: (what: string, times?: number) => void
}

const stateOf = (entry: Entry): OutboxStore.State =>
  entry.end ?? (!entry.later ? "pending" : entry.holder === undefined ? "scheduled" : "running")

const isSuspect = (entry: Entry) => entry.crashes + (entry.holder === undefined ? 0 : 1) >= 2

const crash = (world: World, entry: Entry) => {
  if (entry.holder === undefined) return
  world.meet("crashed")
  entry.history.push([entry.attempts, "crashed", entry.holder.worker])
  entry.crashes++
  entry.holder = undefined
}

/** Those for whose sake an offer is a duplicate. */
const holdersOf = ({ keyed }: World, name: string, key: string | undefined) =>
  keyed.filter((entry) =>
    entry.key === key && entry.name === name && (entry.end !== "dead" || entry.reason === "unknown") && !entry.purged
  )

const contest = (world: World, { key, name }: Entry) => {
  if (holdersOf(world, name, key).length > 1) world.contested.add(`${name} ${key}`)
}

const revive = (world: World, entry: Entry) => {
  entry.end = undefined
  entry.reason = undefined
  entry.later = false
  entry.failures = 0
  entry.crashes = 0
  contest(world, entry)
}

const kill = (entry: Entry, reason: OutboxStore.Reason) => {
  entry.end = "dead"
  entry.reason = reason
  entry.holder = undefined
}

const remove = (world: World, entry: Entry) => {
  world.entries = world.entries.filter((other) => other !== entry)
  entry.holder = undefined
}

const newest = <A>(all: ReadonlyArray<A>, pick: number): A | undefined => all[all.length - 1 - pick]

const deliveryAt = ({ deliveries }: World, { held, pick }: typeof PickDelivery.Type) =>
  newest(held ? deliveries.filter((delivery) => delivery.entry.holder === delivery) : deliveries, pick % 5)

const isKnown = (world: World, name: string) => [...world.workers.values()].some((known) => known.includes(name))

const make = (
  world: World,
  parts: Pick<Entry, "id" | "name" | "queue" | "priority" | "key" | "replayOf" | "n" | "later">
) => {
  const entry: Entry = {
    ...parts,
    end: undefined,
    reason: undefined,
    holder: undefined,
    attempts: 0,
    failures: 0,
    crashes: 0,
    history: [],
    purged: false
  }
  world.entries.push(entry)
  if (entry.key !== undefined) {
    world.keyed.push(entry)
    contest(world, entry)
  }
  return entry
}

// -- Steps, in the store and in the model ---------------------------------------------------------------------------------

const take = Effect.fnUntraced(function*(store: Store, world: World, step: typeof Claim.Type) {
  const claim: OutboxStore.Claim = {
    worker: step.worker,
    limit: step.limit,
    lease: hour,
    names: step.names === "" ? [] : step.names.split(","),
    queues: step.queue === "all" ? undefined : [step.queue],
    suspects: step.suspects
  }
  const open = world.entries.filter((entry) =>
    entry.end === undefined && claim.names.includes(entry.name) &&
    (claim.queues === undefined || claim.queues.includes(entry.queue)) && claim.suspects === isSuspect(entry) &&
    !world.pauses.some(({ kind, what }) => kind === "queue" ? what === entry.queue : matches(what, entry.name))
  )
  const due = open.filter((entry) => !entry.later)
  const left = yield* store.nextDueIn(claim)
  if (open.length === 0) assert.strictEqual(left, undefined, "nothing becomes due")
  else if (due.length > 0) assert.strictEqual(left, 0, "something is due")
  else assert.isTrue(left !== undefined && left > hour - 600_000 && left <= hour, `due in an hour, not in ${left}`)

  // The order is that of the times in the store, as two steps may fall into one millisecond.
  const stored = yield* store.find({}, { limit: 10_000 })
  const times = new Map(stored.map(({ id, visibleAt }) => [id, visibleAt]))
  const inOrder = (entries: ReadonlyArray<Entry>) =>
    [...entries].sort((left, right) =>
      right.priority - left.priority || times.get(left.id)! - times.get(right.id)! ||
      world.entries.indexOf(left) - world.entries.indexOf(right)
    )
  const claimed = yield* store.claim(claim)
  if (!step.long) assert.deepStrictEqual(yield* store.renew(claimed, 0), [], "what was just claimed is held")
  const taken = claimed.map(({ id }) => due.find((entry) => entry.id === id))
  assert.isFalse(taken.includes(undefined), "only what is due is claimed")
  const got = taken as Array<Entry>
  assert.strictEqual(new Set(got).size, got.length, "nothing is claimed twice")
  const suspects = got.filter(isSuspect)
  const limit = claim.suspects ? Math.min(1, claim.limit) : claim.limit
  const sound = got.filter((entry) => !isSuspect(entry))
  const expected = inOrder(due.filter((entry) => !isSuspect(entry)))
  assert.strictEqual(got.length, Math.min(limit, due.length), "as many as are due, and one suspect")
  assert.deepStrictEqual(
    sound.map(({ priority }) => priority),
    sound.map(({ priority }) => priority).sort((l, r) => r - l)
  )
  // When a lost entry is due again, by its old time or by the end of its lease, is left to the store.
  const timely = (entries: ReadonlyArray<Entry>) => entries.filter(({ holder }) => holder === undefined)
  assert.deepStrictEqual(timely(sound), inOrder(timely(sound)), "in order")
  for (const skipped of expected.filter((entry) => !sound.includes(entry))) {
    for (const entry of sound) {
      assert.isAtLeast(entry.priority, skipped.priority, "higher priorities first")
      if (
        timely([entry, skipped]).length === 2 && entry.priority === skipped.priority &&
        entry.name === skipped.name && entry.queue === skipped.queue
      ) {
        assert.isBelow(expected.indexOf(entry), expected.indexOf(skipped), "what is due first, first")
      }
    }
  }
  world.meet("claimed", sound.length)
  world.meet("suspects", suspects.length)
  for (const [index, entry] of got.entries()) {
    crash(world, entry)
    entry.attempts++
    entry.later = step.long
    const { attempts, crashes, failedAt, failures, id, key, name, payload, priority, queue, ref, token } =
      claimed[index]!
    assert.deepStrictEqual(
      {
        id,
        name,
        queue,
        priority,
        key,
        attempts,
        failures,
        crashes,
        n: JSON.parse(payload).n,
        failedAt: failedAt.length
      },
      {
        id: entry.id,
        name: entry.name,
        queue: entry.queue,
        priority: entry.priority,
        key: entry.key,
        attempts: entry.attempts,
        failures: entry.failures,
        crashes: entry.crashes,
        n: entry.n,
        failedAt: entry.failures
      }
    )
    for (const other of world.deliveries) {
      assert.strictEqual(other.claimed.ref === ref, other.entry === entry, "a ref is that of one entry")
      assert.isFalse(other.claimed.ref === ref && other.claimed.token === token, "each claim has a new token")
    }
    entry.holder = { entry, claimed: claimed[index]!, worker: step.worker }
    world.deliveries.push(entry.holder)
  }
})

const settle = Effect.fnUntraced(function*(store: Store, world: World, step: typeof Settle.Type) {
  const settlements = new Map<Delivery, OutboxStore.Outcome>()
  for (const { delivery: pick, how } of step.settlements) {
    const delivery = deliveryAt(world, pick)
    if (delivery === undefined || settlements.has(delivery)) continue
    const delay = "later" in how && how.later ? hour : 0
    settlements.set(delivery, { error: "it broke", delay, ...how } as OutboxStore.Outcome)
  }
  const refused = yield* store.settle(Array.from(settlements, ([{ claimed: { ref, token }, worker }, outcome]) => (
    { ref, token, worker, elapsed: 1, outcome }
  )))
  const expected: Array<number> = []
  for (const [delivery, outcome] of settlements) {
    const { claimed: { ref }, entry, worker } = delivery
    if (entry.holder !== delivery) {
      world.meet("refused")
      expected.push(ref)
      continue
    }
    world.meet(outcome._tag)
    entry.holder = undefined
    const remember = (what: string) => entry.history.push([entry.attempts, what, worker])
    switch (outcome._tag) {
      case "Done":
        remember("done")
        entry.end = "done"
        if (!outcome.keep) remove(world, entry)
        break
      case "Retry":
        remember("failed")
        entry.failures++
        entry.later = outcome.delay > 0
        break
      case "Snooze":
        remember("snoozed")
        entry.attempts--
        entry.later = outcome.delay > 0
        break
      case "Release":
        entry.attempts--
        entry.later = false
        break
      case "Dead":
        remember(outcome.reason === "exhausted" || outcome.reason === "unknown" ? "failed" : outcome.reason)
        if (outcome.failed) entry.failures++
        kill(entry, outcome.reason)
    }
  }
  assert.deepStrictEqual([...refused].sort(), expected.sort(), "those that hold no more are refused")
})

const renew = Effect.fnUntraced(function*(store: Store, world: World, step: typeof Renew.Type) {
  const held = new Map<Entry, Delivery>()
  for (const pick of step.deliveries) {
    const delivery = deliveryAt(world, pick)
    if (delivery !== undefined && !held.has(delivery.entry)) held.set(delivery.entry, delivery)
  }
  const lost = yield* store.renew(
    Array.from(held.values(), ({ claimed: { ref, token } }) => ({ ref, token })),
    step.long ? hour : 0
  )
  const expected: Array<number> = []
  for (const [entry, delivery] of held) {
    world.meet(entry.holder === delivery ? "renewed" : "lost")
    if (entry.holder === delivery) entry.later = step.long
    else expected.push(delivery.claimed.ref)
  }
  assert.deepStrictEqual([...lost].sort(), expected.sort(), "those that hold no more are lost")
})

/** Which entries are meant, for the store and for the model. */
const which = (world: World, step: typeof Change.Type): [OutboxStore.Filter, (entry: Entry) => boolean] => {
  const { which } = step
  switch (which._tag) {
    case "all":
      return [{}, () => true]
    case "ids": {
      const ids = which.picks.flatMap((pick) => newest(world.entries, pick)?.id ?? [])
      return [{ ids }, ({ id }) => ids.includes(id)]
    }
    case "state":
      return [{ states: [which.state] }, (entry) => stateOf(entry) === which.state]
    case "pattern":
      return [{ names: [which.pattern] }, ({ name }) => matches(which.pattern, name)]
    case "queue":
      return [{ queues: [which.queue] }, ({ queue }) => queue === which.queue]
    case "reason":
      return [{ reasons: [which.reason] }, ({ reason }) => reason === which.reason]
    case "payload":
      return [{ payload: [{ path: ["n"], equals: `${which.n}` }] }, ({ n }) => n === which.n]
  }
}

const change = Effect.fnUntraced(function*(store: Store, world: World, step: typeof Change.Type) {
  const [filter, isMeant] = which(world, step)
  const meant = world.entries.filter(isMeant)
  const able: Record<typeof step.change, ReadonlyArray<OutboxStore.State>> = {
    Retry: ["dead", "scheduled"],
    Cancel: ["pending", "scheduled", "running"],
    Replay: ["done", "dead"],
    Edit: ["pending", "scheduled", "dead"],
    Purge: ["pending", "scheduled", "done", "dead"]
  }
  const changed = meant.filter((entry) => able[step.change].includes(stateOf(entry)))
  const n = ++world.made
  assert.strictEqual(yield* store.count(filter), meant.length, "`count` counts what matches")
  const count = yield* store.change(
    filter,
    step.change === "Cancel"
      ? { _tag: "Cancel", reason: "stop" }
      : step.change === "Edit"
      ? { _tag: "Edit", payload: `{"n":${n}}`, redacted: undefined }
      : { _tag: step.change }
  )
  assert.strictEqual(count, changed.length, "how many were changed")
  const stored = step.change === "Replay" ? (yield* store.find({}, { limit: 10_000 })).slice(0, count).reverse() : []
  for (const [index, entry] of changed.entries()) {
    world.meet(`by hand: ${step.change}`)
    switch (step.change) {
      case "Retry":
        revive(world, entry)
        break
      case "Cancel":
        if (stateOf(entry) === "running") entry.history.push([entry.attempts, "cancelled", entry.holder!.worker])
        else crash(world, entry)
        kill(entry, "cancelled")
        break
      case "Replay":
        if (entry.key !== undefined) world.contested.add(`${entry.name} ${entry.key}`)
        make(world, { ...entry, id: stored[index]!.id, replayOf: entry.id, later: false })
        break
      case "Edit":
        entry.n = n
        break
      case "Purge":
        entry.purged = true
        remove(world, entry)
    }
  }
})

const offer = Effect.fnUntraced(function*(store: Store, world: World, step: typeof Offer.Type) {
  const offers = step.offers.map(({ key, later, ...rest }): OutboxStore.Offer => ({
    ...rest,
    id: crypto.randomUUID(),
    key: key === "none" ? undefined : key,
    delay: later ? hour : 0,
    payload: `{"n":${++world.made % 13}}`,
    redacted: undefined,
    origin: undefined,
    metadata: undefined,
    trace: undefined
  }))
  const duplicates = yield* store.offerMany(offers, { uniqueFor: step.unique ? hour : 0 })
  const told = new Map(duplicates.map(({ id, of }) => [id, of]))
  assert.strictEqual(told.size, duplicates.length, "each is told once")
  for (const { delay, id, key, name, payload, priority, queue } of offers) {
    const holders = step.unique ? holdersOf(world, name, key) : []
    const isOpen = world.contested.has(`${name} ${key}`)
    if (isOpen ? told.has(id) : holders.length > 0) {
      world.meet("duplicates")
      const known = isOpen ? world.keyed.filter((entry) => entry.key === key && entry.name === name) : holders
      assert.include(known.map(({ id }) => id), told.get(id), "a duplicate is not written")
    } else {
      assert.isFalse(told.has(id), "what is no duplicate is written")
      make(world, {
        id,
        name,
        queue,
        priority,
        key,
        replayOf: undefined,
        n: JSON.parse(payload).n,
        later: delay > 0
      })
    }
  }
})

const register = Effect.fnUntraced(function*(store: Store, world: World, worker: string, known: ReadonlyArray<string>) {
  const orphans = yield* store.register({ id: worker, names: known, queues: undefined })
  world.workers.set(worker, known)
  for (const entry of world.entries) {
    if (entry.reason !== "unknown" || !known.includes(entry.name)) continue
    world.meet("revived")
    revive(world, entry)
  }
  const waiting = world.entries.filter((entry) => ["pending", "scheduled"].includes(stateOf(entry)))
  const expected = names.filter((name) => !isKnown(world, name)).flatMap((name) => {
    const count = waiting.filter((entry) => entry.name === name).length
    return count === 0 ? [] : [{ name, count }]
  })
  const told = orphans.map(({ count, name }) => ({ name, count }))
  assert.deepStrictEqual(told.sort((left, right) => left.name < right.name ? -1 : 1), expected, "orphans")
})

const cleanup = Effect.fnUntraced(function*(store: Store, world: World, what: "done" | "dead" | "unknown" | "nothing") {
  // So that what ended just now is past a retention of none.
  yield* Effect.sleep(3)
  const answer = yield* store.cleanup({ done: year, dead: year, unknown: year, [what]: 0 })
  const removed = world.entries.filter(({ end }) => end === what)
  const unknown = what === "unknown"
    ? world.entries.filter((entry) => stateOf(entry) === "pending" && !isKnown(world, entry.name))
    : []
  world.meet("removed", removed.length)
  world.meet("unknown", unknown.length)
  for (const entry of removed) remove(world, entry)
  for (const entry of unknown) {
    crash(world, entry)
    kill(entry, "unknown")
  }
  assert.deepStrictEqual({ ...answer }, { removed: removed.length, unknown: unknown.length }, "what was cleaned up")
})

const perform = Effect.fnUntraced(function*(store: Store, world: World, step: Step) {
  switch (step._tag) {
    case "Offer":
      return yield* offer(store, world, step)
    case "Claim":
      return yield* take(store, world, step)
    case "Settle":
      return yield* settle(store, world, step)
    case "Renew":
      return yield* renew(store, world, step)
    case "Change":
      return yield* change(store, world, step)
    case "Pause":
    case "Resume": {
      const stop = step._tag === "Resume" && step.paused ? world.pauses.at(-1) ?? step.stop : step.stop
      const { kind, what } = stop
      const index = world.pauses.findIndex((other) => other.kind === kind && other.what === what)
      if (step._tag === "Pause") {
        yield* store.pause({ kind, what })
        if (index === -1) world.pauses.push(stop)
      } else {
        assert.strictEqual(yield* store.resume({ kind, what }), index !== -1, "whether it was paused")
        if (index !== -1) world.pauses.splice(index, 1)
      }
      return
    }
    case "Register":
      return yield* register(store, world, step.worker, step.names === "" ? [] : step.names.split(","))
    case "Unregister":
      yield* store.unregister(step.worker)
      world.workers.delete(step.worker)
      return
    case "Cleanup":
      return yield* cleanup(store, world, step.what)
  }
})

/** Everything the store shows is what the model has. */
const compare = Effect.fnUntraced(function*(store: Store, world: World) {
  const stored = yield* store.find({}, { limit: 10_000 })
  assert.deepStrictEqual(
    stored.map(({ attempts, crashes, failures, id, key, name, payload, priority, queue, reason, replayOf, state }) => ({
      id,
      name,
      queue,
      priority,
      key,
      replayOf,
      n: JSON.parse(payload).n,
      state,
      reason,
      attempts,
      failures,
      crashes
    })),
    world.entries.map((entry) => ({
      id: entry.id,
      name: entry.name,
      queue: entry.queue,
      priority: entry.priority,
      key: entry.key,
      replayOf: entry.replayOf,
      n: entry.n,
      state: stateOf(entry),
      reason: entry.reason,
      attempts: entry.attempts,
      failures: entry.failures,
      crashes: entry.crashes
    })).reverse()
  )
})

/** What is only compared in the end: it takes more questions. */
const compareAll = Effect.fnUntraced(function*(store: Store, world: World) {
  for (const { history, id } of world.entries) {
    const stored = (yield* store.get(id))!.history
    assert.deepStrictEqual(stored.map(({ attempt, outcome, worker }) => [attempt, outcome, worker]), history as any)
  }
  const counts = new Map<string, number>()
  for (const entry of world.entries) {
    const key = `${entry.name} ${entry.queue} ${stateOf(entry)}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const counted = (yield* store.counts).map(({ count, name, queue, state }) => [`${name} ${queue} ${state}`, count])
  assert.deepStrictEqual(Object.fromEntries(counted), Object.fromEntries(counts))
  const pauses = (yield* store.pauses).map(({ kind, what }) => `${kind} ${what}`)
  assert.sameMembers(pauses, world.pauses.map(({ kind, what }) => `${kind} ${what}`))
  const workers = (yield* store.workers).map(({ id, names }) => [id, names.join()])
  assert.deepStrictEqual(
    Object.fromEntries(workers),
    Object.fromEntries([...world.workers].map(([id, names]) => [id, names.join()]))
  )
})

/** What runs count, to see that they are worth it. */
export const makeMet = (): Map<string, number> =>
  new Map([
    "claimed",
    "suspects",
    "crashed",
    "Done",
    "Retry",
    "Snooze",
    "Release",
    "Dead",
    "refused",
    "renewed",
    "lost",
    "duplicates",
    "by hand: Retry",
    "by hand: Cancel",
    "by hand: Replay",
    "by hand: Edit",
    "by hand: Purge",
    "removed",
    "unknown",
    "revived"
  ].map((what) => [what, 0]))

/** Takes the steps in a store, which has to be empty, and in the model. */
export const run = Effect.fnUntraced(function*(store: Store, steps: ReadonlyArray<Step>, met: Map<string, number>) {
  const world: World = {
    entries: [],
    keyed: [],
    contested: new Set(),
    deliveries: [],
    pauses: [],
    workers: new Map(),
    made: 0,
    meet: (what, times = 1) => met.set(what, met.get(what)! + times)
  }
  for (const step of steps) {
    yield* perform(store, world, step)
    yield* compare(store, world)
  }
  yield* compareAll(store, world)
})
