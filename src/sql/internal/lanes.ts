import { compilePattern } from "../../internal/pattern.ts"
import type * as OutboxStore from "../../outbox/OutboxStore.ts"
import { anything, type Lane, laneKey, type Nudge } from "./nudges.ts"

/** A place in a lane: entries wait in the order of `at` and, within one moment, of `seq`. */
interface Floor {
  readonly at: number
  readonly seq: number
}

/** A lane, and from where on its entries are worth looking at: those before have been claimed. */
interface Known extends Lane {
  floor: Floor
  /** When it was last told that something was offered. */
  nudged: number
}

/** What a look sees of a lane: the place of its first entry, held or not, and when it was seen. */
export interface LaneRow extends Lane {
  readonly at: number | bigint
  readonly seq: number | bigint
  readonly now: number | bigint
}

export interface PauseRow {
  readonly kind: OutboxStore.Pause["kind"]
  readonly what: string
  readonly since: number | bigint
}

/** Whether a claim is for a lane. */
export const makeIsOpen = (
  { names, queues }: OutboxStore.Claim,
  pauses: ReadonlyArray<PauseRow>
): (lane: Pick<Lane, "name" | "queue">) => boolean => {
  const known = new Set(names)
  const served = queues === undefined ? undefined : new Set(queues)
  const stopped = new Set(pauses.flatMap(({ kind, what }) => kind === "queue" ? [what] : []))
  const stops = pauses.flatMap(({ kind, what }) => kind === "name" ? [compilePattern(what)] : [])
  return ({ name, queue }) =>
    known.has(name) && (served === undefined || served.has(queue)) && !stopped.has(queue) &&
    !stops.some((matches) => matches(name))
}

/** In the order in which lanes are asked: by rank, and the lanes of one rank take turns. */
export const inTurn = <L extends Lane>(lanes: ReadonlyArray<L>, turn: number): ReadonlyArray<L> => {
  if (lanes.length < 2) return lanes
  const ranks = new Map<number, Array<L>>()
  for (const lane of lanes) {
    const others = ranks.get(lane.rank)
    if (others === undefined) ranks.set(lane.rank, [lane])
    else others.push(lane)
  }
  return [...ranks].sort(([left], [right]) => left - right).flatMap(([, lanes]) => {
    const first = turn % lanes.length
    return [...lanes.slice(first), ...lanes.slice(0, first)]
  })
}

// A transaction may commit entries that are a little older than what was claimed meanwhile. What is older still is found
// by the next look, and where it is told of.
const young = 1000
const tolerance = 200

const floorOf = (at: number, seq: number, now: number): Floor =>
  now - at > young ? { at, seq } : { at: at - tolerance, seq: 0 }

const earlier = (left: Floor, right: Floor): Floor =>
  left.at < right.at || (left.at === right.at && left.seq < right.seq) ? left : right

/** The lanes that a store knows of, so that a claim does not walk past all that has been claimed before. */
export class Lanes {
  private readonly lanes = new Map<string, Known>()
  private pauses: ReadonlyArray<PauseRow> = []
  private ticks = 0
  private turn = 0
  private lookedAt = -Infinity
  private pause = 0
  private changed = true

  /** A moment, to tell later whether a nudge came since. */
  now(): number {
    return this.ticks
  }

  tell(nudge: Nudge): void {
    this.ticks++
    if (nudge === anything) this.changed = true
    for (const lane of nudge.lanes) {
      const known = this.lanes.get(laneKey(lane))
      const floor = { at: nudge.at, seq: 0 }
      if (known === undefined) this.lanes.set(laneKey(lane), { ...lane, floor, nudged: this.ticks })
      else {
        known.floor = earlier(known.floor, floor)
        known.nudged = this.ticks
      }
    }
  }

  /** The open lanes, in the order to ask them. */
  open(claim: OutboxStore.Claim): ReadonlyArray<Readonly<Known>> {
    if (this.lanes.size === 0) return []
    return inTurn([...this.lanes.values()].filter(makeIsOpen(claim, this.pauses)), this.turn++)
  }

  /** What was claimed, since the moment `since`: in order of time within a lane. */
  claimed(
    rows: ReadonlyArray<Lane & Record<"seq" | "due" | "now", number | bigint>>,
    since: number
  ): void {
    for (const row of rows) {
      const known = this.lanes.get(laneKey(row))
      if (known === undefined || known.nudged > since) continue
      const floor = floorOf(Number(row.due), Number(row.seq) + 1, Number(row.now))
      if (earlier(known.floor, floor) === known.floor) known.floor = floor
    }
  }

  /** Whether it is time to look at what there is: about once a second, and sooner when that costs nothing. */
  isStale(now: number, drained: boolean): boolean {
    return this.changed || now - this.lookedAt >= (drained ? this.pause : Math.max(this.pause, 1000)) ||
      now < this.lookedAt
  }

  /** A look begins: what is told from here on is newer than what it sees. */
  look(): number {
    this.changed = false
    return this.ticks
  }

  /** What was seen by a look that began at the moment `since`, and what it took of the time. */
  seen(
    lanes: ReadonlyArray<LaneRow>,
    pauses: ReadonlyArray<PauseRow>,
    when: { readonly since: number; readonly from: number; readonly to: number }
  ): void {
    const before = new Map(this.lanes)
    this.lanes.clear()
    for (const { at, name, now, queue, rank, seq } of lanes) {
      const lane = { queue, name, rank }
      const key = laneKey(lane)
      const known = before.get(key)
      // What is due later may become due sooner, though not sooner than now: a worker gives it back.
      const floor = floorOf(Math.min(Number(at), Number(now)), Number(seq), Number(now))
      if (known === undefined || known.nudged <= when.since) this.lanes.set(key, { ...lane, floor, nudged: 0 })
      else {
        this.lanes.set(key, { ...known, floor: earlier(known.floor, floor) })
        before.delete(key)
      }
    }
    for (const [key, lane] of before) if (lane.nudged > when.since) this.lanes.set(key, lane)
    this.pauses = pauses
    this.lookedAt = when.to
    // At most a sixth of the time is for looking, where there is nothing else to do.
    this.pause = Math.min((when.to - when.from) * 5, 1000)
  }
}
