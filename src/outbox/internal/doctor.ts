import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { counted, plural } from "../../internal/describe.ts"
import { compilePattern } from "../../internal/pattern.ts"
import * as OutboxStore from "../OutboxStore.ts"

/** See `Outbox.Finding`. */
export interface Finding {
  readonly severity: "error" | "warning"
  readonly what: string
  readonly remedy: string
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Over which time offers and deliveries are compared. */
const window = 10 * minute
const tolerableSkew = 2 * second
/** How long an entry may wait after its worker was lost, and how long in a backlog. */
const tolerableWait = minute
/** Below so many entries there is neither a backlog nor a heap of dead ones. */
const many = 100

/** `3 seconds`, `12 minutes`, `5 hours`, `2 days` */
const span = (millis: number): string => {
  const [unit, noun] = millis < 2 * minute
    ? [second, "second"]
    : millis < 120 * minute
    ? [minute, "minute"]
    : millis < 2 * day
    ? [hour, "hour"]
    : [day, "day"] as const
  return plural(Math.round(millis / (unit as number)), noun as string)
}

const error = (what: string, remedy: string): Finding => ({ severity: "error", what, remedy })
const warning = (what: string, remedy: string): Finding => ({ severity: "warning", what, remedy })

const migrate = "Run side-effects outbox migrate, or run the migrations of your own."

const aboutSchema = ({ expected, missing, version }: OutboxStore.Status): ReadonlyArray<Finding> => [
  ...version === 0
    ? [error("The outbox has no tables yet.", migrate)]
    : version < expected
    ? [error(`The schema is at version ${version}, and this release needs version ${expected}.`, migrate)]
    : version > expected
    ? [error(
      `The schema is at version ${version}, and this release knows version ${expected} only.`,
      "Update effect-side-effects to the release that migrated it."
    )]
    : [],
  ...version > 0 && missing.length > 0 ?
    [error(
      `The schema lacks ${missing.join(", ")}.`,
      "Run the SQL of side-effects outbox migrate --print: it makes what is missing, and leaves the rest alone."
    )] :
    []
]

const aboutClocks = (status: OutboxStore.Status, before: number, after: number): ReadonlyArray<Finding> => {
  const ahead = status.now < before ? before - status.now : status.now > after ? after - status.now : 0
  if (Math.abs(ahead) <= tolerableSkew) return []
  return [warning(
    `The clock of this machine is ${span(Math.abs(ahead))} ${ahead > 0 ? "ahead of" : "behind"} that of the database.`,
    "Synchronise both, as with NTP. Leases and delays go by the clock of the database; what logs say goes by the other."
  )]
}

const aboutLeases = ({ expired, longest }: OutboxStore.Status): ReadonlyArray<Finding> =>
  expired > 0 && longest > tolerableWait
    ? [error(
      `${plural(expired, "side effect")} lost the worker, and nobody has taken over for ${span(longest)}.`,
      "Start a worker that knows their names and serves their queues, and look whether they are paused."
    )]
    : []

const waiting = (counts: ReadonlyArray<OutboxStore.Count>) =>
  counts.filter(({ state }) => state === "pending" || state === "scheduled")

const sum = (counts: ReadonlyArray<OutboxStore.Count>): number => counts.reduce((all, { count }) => all + count, 0)

const namesOf = (counts: ReadonlyArray<OutboxStore.Count>): ReadonlyMap<string, number> => {
  const names = new Map<string, number>()
  for (const { count, name } of counts) names.set(name, (names.get(name) ?? 0) + count)
  return names
}

/** The first few of many. */
const some = (names: ReadonlyMap<string, number>): string => {
  const sorted = [...names].sort(([, a], [, b]) => b - a)
  return `${counted(new Map(sorted.slice(0, 5)))}${sorted.length > 5 ? `, and ${sorted.length - 5} more names` : ""}`
}

const aboutWorkers = (
  { now }: OutboxStore.Status,
  counts: ReadonlyArray<OutboxStore.Count>,
  workers: ReadonlyArray<OutboxStore.Worker>,
  names: ReadonlySet<string> | undefined
): ReadonlyArray<Finding> => {
  const alive = workers.filter(({ seenAt }) => now - seenAt <= OutboxStore.aliveFor)
  const pending = sum(counts.filter(({ state }) => state === "pending"))
  const known = new Set(alive.flatMap(({ names }) => names))
  const orphans = namesOf(waiting(counts).filter(({ name }) => !known.has(name)))
  const isStrange = ([name]: readonly [string, number]) => names?.has(name) === false
  const strange = new Map([...orphans].filter(isStrange))
  const unserved = new Map([...orphans].filter((one) => !isStrange(one)))
  return [
    ...pending > 0 && alive.length === 0
      ? [error(
        `${plural(pending, "side effect")} ${pending === 1 ? "is" : "are"} due, and no worker has been seen ${
          workers.length === 0 ? "yet" : `for ${span(now - Math.max(...workers.map(({ seenAt }) => seenAt)))}`
        }.`,
        "Start one: Outbox.layerWorker, or side-effects outbox work."
      )]
      : [],
    ...strange.size > 0
      ? [error(
        `Neither a worker nor a group here knows ${some(strange)}.`,
        "Name the old name in aliases where a side effect was renamed; cancel what is not wanted any more."
      )]
      : [],
    ...alive.length > 0 && unserved.size > 0
      ? [error(
        `No worker knows ${some(unserved)}.`,
        "Start the worker that performs them, or name the old name in aliases where a side effect was renamed."
      )]
      : []
  ]
}

const aboutBacklog = (
  { finished, now, offered }: OutboxStore.Status,
  counts: ReadonlyArray<OutboxStore.Count>
): ReadonlyArray<Finding> => {
  const due = counts.filter(({ state }) => state === "pending")
  const age = now - Math.min(...due.map(({ oldest }) => oldest))
  return sum(due) >= many && offered > finished * 1.2 && offered - finished >= many && age > tolerableWait
    ? [warning(
      `The backlog grows: in ${span(window)}, ${offered} came and ${finished} were finished. ${
        sum(due)
      } are due, the ` +
        `oldest since ${span(age)}.`,
      "Raise the concurrency of the worker or start another one, and look for slow handlers."
    )]
    : []
}

const aboutWaiting = (
  { now }: OutboxStore.Status,
  counts: ReadonlyArray<OutboxStore.Count>,
  pauses: ReadonlyArray<OutboxStore.Pause>
): ReadonlyArray<Finding> => {
  const stopped = pauses.map(({ kind, what }) => ({
    kind,
    matches: kind === "name" ? compilePattern(what) : undefined,
    what
  }))
  const late = counts.filter(({ name, oldest, queue, state }) =>
    state === "pending" && now - oldest > hour &&
    !stopped.some(({ kind, matches, what }) => kind === "queue" ? what === queue : matches!(name))
  )
  return late.length === 0 ? [] : [warning(
    `${plural(sum(late), "side effect")} are due, some since more than an hour ago: ${
      late.map(({ name, queue }) => `${name} (${queue})`).join(", ")
    }.`,
    "Does a worker serve their queue and know their names, and is it not busy with something else?"
  )]
}

const aboutPauses = (
  { now }: OutboxStore.Status,
  pauses: ReadonlyArray<OutboxStore.Pause>
): ReadonlyArray<Finding> =>
  pauses.filter(({ since }) => now - since > day).map(({ kind, since, what }) =>
    warning(
      `${kind === "queue" ? "Queue" : "Name"} "${what}" has been paused for ${span(now - since)}.`,
      `Forgotten? side-effects outbox resume --${kind} "${what}"`
    )
  )

const aboutDead = (counts: ReadonlyArray<OutboxStore.Count>): ReadonlyArray<Finding> => {
  const dead = counts.filter(({ state }) => state === "dead")
  return sum(dead) >= many
    ? [warning(
      `${plural(sum(dead), "side effect")} are dead: ${some(namesOf(dead))}.`,
      "See why with side-effects outbox list --state dead, then retry, edit or purge them."
    )]
    : []
}

/** What is wrong with an outbox, errors first. `names`: those that the groups know, where there are groups. */
export const examine = Effect.fnUntraced(function*(
  store: OutboxStore.OutboxStore["Service"],
  names: ReadonlySet<string> | undefined
) {
  const before = yield* Clock.currentTimeMillis
  const status = yield* store.status(window)
  const after = yield* Clock.currentTimeMillis
  const schema = aboutSchema(status)
  if (schema.length > 0) return schema
  const counts = yield* store.counts
  const findings = [
    ...aboutClocks(status, before, after),
    ...aboutLeases(status),
    ...aboutWorkers(status, counts, yield* store.workers, names),
    ...aboutBacklog(status, counts),
    ...aboutWaiting(status, counts, yield* store.pauses),
    ...aboutPauses(status, yield* store.pauses),
    ...aboutDead(counts)
  ]
  return findings.sort((a, b) => a.severity.localeCompare(b.severity))
})
