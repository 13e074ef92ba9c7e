import { read } from "../lib/log.ts"
import type { Entry, Line, Wish } from "./log.ts"
import type { World } from "./world.ts"

/** What became of a world. */
export interface Verdict {
  readonly engine: string
  readonly kills: number
  readonly units: number
  readonly failed: number
  readonly unknown: number
  /** That had to be performed. */
  readonly wishes: number
  readonly performed: number
  readonly lost: number
  readonly wrong: number
  /** Begun again, although it may have been performed. */
  readonly repeated: number
  /** What processes held when they were killed. */
  readonly held: number
  /** What must not be. */
  readonly problems: ReadonlyArray<string>
  readonly causes: ReadonlyMap<string, number>
}

interface Delivery {
  readonly delivery: string
  readonly id: string
  readonly wish: string
  readonly key: string
  readonly by: string
  readonly begun: number
  ended: { readonly as: "ended" | "not-yet" | "interrupted"; readonly at: number } | undefined
}

export interface Story {
  /** How many units of work. */
  readonly succeeded: number
  readonly units: ReadonlyMap<string, "tries" | "succeeded" | "failed" | "unsure">
  readonly wishes: ReadonlyMap<string, Wish & { readonly unit: string }>
  readonly deliveries: ReadonlyArray<Delivery>
  readonly lines: ReadonlyArray<Line>
}

/** What all processes have written so far. */
export const storyOf = (logs: string): Story => {
  const lines = read<Entry>(logs)
  const units = new Map<string, "tries" | "succeeded" | "failed" | "unsure">()
  const wishes = new Map<string, Wish & { readonly unit: string }>()
  const deliveries = new Map<string, Delivery>()
  for (const line of lines) {
    if (line.is === "begun") deliveries.set(line.delivery, { ...line, begun: line.at, ended: undefined })
  }
  for (const line of lines) {
    switch (line.is) {
      case "tries":
      case "succeeded":
      case "failed":
      case "unsure":
        // The lines of one process are in order.
        units.set(line.unit, line.is)
        break
      case "wishes":
        wishes.set(line.id, line)
        break
      case "ended":
      case "not-yet":
      case "interrupted":
        deliveries.get(line.delivery)!.ended = { as: line.is, at: line.at }
    }
  }
  const succeeded = [...units.values()].filter((verdict) => verdict === "succeeded").length
  return { succeeded, units, wishes, deliveries: [...deliveries.values()], lines }
}

/** What has to be performed, and was not. */
export const missing = ({ deliveries, units, wishes }: Story): ReadonlyArray<string> => {
  const performed = new Set(deliveries.flatMap(({ ended, wish }) => ended?.as === "ended" ? [wish] : []))
  return [...wishes.values()].flatMap(({ id, inVain, unit }) =>
    units.get(unit) === "succeeded" && !inVain && !performed.has(id) ? [id] : []
  )
}

/** How long settling may take after the handler has ended, on a machine that is busy. */
const settling = 1000

/** How late its death may be noticed here, by when it has shown no sign of life for long. */
const noticing = 5000

/** For how long something may be held before it is begun: as long as the lock that somebody who stands still loses. */
const holding = 3000

export const judge = (world: World): Verdict => {
  const story = storyOf(world.logs)
  const { deliveries, lines, units, wishes } = story
  const problems = [...world.problems]
  const some = (what: string, ids: ReadonlyArray<string>): number => {
    if (ids.length > 0) problems.push(`${ids.length} ${what}, such as ${ids.slice(0, 3).join(", ")}`)
    return ids.length
  }

  const byWish = Map.groupBy(deliveries, ({ wish }) => wish)
  const byId = Map.groupBy(deliveries, ({ id }) => id)
  const lost = some("lost", missing(story))
  let wrong = some(
    "performed of what has failed",
    [...byWish.keys()].filter((id) => {
      const wish = wishes.get(id)
      return wish === undefined || wish.inVain || units.get(wish.unit) === "failed"
    })
  )
  wrong += some(
    "there twice, with another id or key",
    [...byWish].flatMap(([wish, all]) =>
      new Set(all.map(({ id, key }) => `${id} ${key}`)).size > 1 ||
        (wishes.get(wish)?.key ?? all[0]!.id) !== all[0]!.key
        ? [wish]
        : []
    )
  )
  wrong += some(
    "performed too early",
    deliveries.flatMap(({ begun, wish }) => begun < (wishes.get(wish)?.notBefore ?? 0) - 2 ? [wish] : [])
  )
  if (world.settings.ordered) wrong += some("out of order", outOfOrder(story, byWish))

  // --- again, and why ---

  const handed = new Map<string, number>()
  for (const line of lines) {
    if (line.is === "handed" && line.by.startsWith("relay")) {
      for (const id of line.ids) handed.set(id, (handed.get(id) ?? 0) + 1)
    }
  }
  const stills = lines.filter((line) => line.is === "stood still")
  // Lines are by time.
  const lastSign = new Map(lines.map(({ at, by }) => [by, at]))
  const isHeld = ({ begun, by, ended }: Delivery): boolean => {
    const death = world.deaths.get(by)
    if (death === undefined || death.at < begun) return false
    return ended === undefined || death.at <= ended.at + settling ||
      (lastSign.get(by)! <= ended.at + settling && death.at <= ended.at + noticing)
  }
  const whyAgain = (one: Delivery, all: ReadonlyArray<Delivery>): string | undefined =>
    // Also an attempt that failed: it is put back and settled, and both may be there when that was cut short.
    all.some((other) => other.begun <= one.begun && isHeld(other))
      ? "killed"
      : one.ended?.as === "interrupted"
      ? "handed back"
      : (handed.get(one.id) ?? 0) > 1
      ? "relayed again"
      : stills.some(({ at, by }) =>
          by === one.by && at >= one.begun - holding && at <= (one.ended?.at ?? Infinity) + settling
        )
      ? "stood still"
      : undefined
  const causes = new Map<string, number>()
  let repeated = 0
  const unexplained: Array<string> = []
  for (const all of byId.values()) {
    const real = all.filter(({ ended }) => ended?.as !== "not-yet").toSorted((left, right) => left.begun - right.begun)
    for (const one of real.slice(0, -1)) {
      repeated++
      const why = whyAgain(one, all)
      if (why === undefined) {
        unexplained.push(`${one.wish} of ${one.by}, ${one.ended?.as ?? "begun"}`)
      } else {
        causes.set(why, (causes.get(why) ?? 0) + 1)
      }
    }
  }
  wrong += some("repeated without a reason", unexplained)

  const wanted = [...wishes.values()].filter(({ inVain, unit }) => units.get(unit) === "succeeded" && !inVain)
  const told = (is: "tries" | "failed" | "unsure") => [...units.values()].filter((verdict) => verdict === is).length
  return {
    engine: world.settings.name,
    kills: world.kills,
    units: story.succeeded,
    failed: told("failed"),
    unknown: told("tries") + told("unsure"),
    wishes: wanted.length,
    performed: wanted.length - lost,
    lost,
    wrong,
    repeated,
    held: deliveries.filter((delivery) => isHeld(delivery) && delivery.ended?.as !== "not-yet").length,
    problems,
    causes
  }
}

/** Wishes with one key are begun in the order of their units, and only when the one before has ended. */
const outOfOrder = ({ wishes }: Story, byWish: ReadonlyMap<string, ReadonlyArray<Delivery>>): ReadonlyArray<string> =>
  [...Map.groupBy(wishes.values(), ({ key }) => key).values()].flatMap((sameKey) => {
    // Wishes are in the order in which they were made.
    const performed = sameKey.flatMap(({ id }) => {
      const all = byWish.get(id)
      return all === undefined ? [] : [{
        id,
        begun: Math.min(...all.map(({ begun }) => begun)),
        ended: Math.min(...all.map(({ ended }) => ended?.as === "ended" ? ended.at : Infinity))
      }]
    })
    return performed.flatMap(({ begun, id }, n) => n > 0 && begun < performed[n - 1]!.ended ? [id] : [])
  })
