import { Effect } from "effect"
import { Policy, SideEffects } from "effect-side-effects"
import { type Effort, measure, median, quartiles, ratios, type Series, type Subject } from "../lib/measure.ts"
import { bar, heading, number, spread, table, times } from "../lib/report.ts"
import { byHand, live, ours, repeat, takePerformed } from "../lib/subjects.ts"

type Unit = Effect.Effect<unknown, never, any>

/** A run is one fiber, with as many units of work in it as make 100 intents. */
const unitsOfWork = (intents: number, unit: () => Unit): Subject => {
  const runs = Math.max(1, Math.round(100 / intents))
  const program = repeat(runs, unit)
  const run = (): unknown => Effect.runSyncWith(live)(program)
  const units = runs * intents
  takePerformed()
  run()
  const performed = takePerformed()
  if (performed !== units) throw new Error(`A run performed ${performed} of ${units} intents`)
  return { run, units }
}

const isHeavy = (intents: number): boolean => intents >= 10_000

/** Both in turns: what the rows of all tables are made of. */
const compare = async (subjects: Readonly<Record<"ours" | "hand", Subject>>, effort: Effort, heavy = false) => {
  const { hand, ours } = await measure(subjects, effort, heavy)
  return comparison(ours, hand)
}

const comparison = (ours: Series, hand: Series) => {
  const ratio = ratios(ours, hand)
  return {
    ours: median(ours),
    hand: median(hand),
    ratio: median(ratio),
    cells: [number(median(ours)), number(median(hand)), times(median(ratio)), spread(quartiles(ratio))]
  }
}

const sizes = [1, 10, 100, 10_000, 100_000]

const limits: Readonly<Record<number, number>> = { 1: 2, 100: 1.5, 10_000: 1.5, 100_000: 1.5 }

// For the noise in a quotient of quotients.
const growthLimit = 1.1

export const perIntent = async (effort: Effort): Promise<void> => {
  heading(
    "Enqueue, release and inline dispatch",
    "Nanoseconds per intent: validated, given a UUID, kept until the unit of work has succeeded, performed. The ratio " +
      "is the median of all rounds, the spread their middle half."
  )
  const rows: Array<ReadonlyArray<string>> = []
  const figures = new Map<number, Awaited<ReturnType<typeof compare>>>()
  for (const n of sizes) {
    const compared = await compare(
      {
        ours: unitsOfWork(n, () => ours.boundary(repeat(n, ours.enqueue))),
        hand: unitsOfWork(n, () => byHand.boundary(repeat(n, byHand.enqueue)))
      },
      effort,
      isHeavy(n)
    )
    figures.set(n, compared)
    const limit = limits[n]
    const given = limit === undefined ? "" : bar(`per intent, ${number(n)} a boundary`, compared.ratio, limit)
    rows.push([number(n), ...compared.cells, given])
  }
  table(["intents a boundary", "ours", "by hand", "ratio", "spread", ""], rows)

  const small = figures.get(100)!
  const large = figures.get(100_000)!
  const steeper = large.ratio / small.ratio
  console.log()
  table(["growth", "ours", "by hand", "ratio", ""], [[
    "100,000 to 100",
    times(large.ours / small.ours),
    times(large.hand / small.hand),
    times(steeper),
    bar("growth from 100 to 100,000, to that by hand", steeper, growthLimit)
  ]])
}

export const policies = async (effort: Effort): Promise<void> => {
  heading("With policies", "The same, all intents allowed. The one by hand has no policies.")
  const block = Policy.block("orders:*:send-reminder")
  const dedupe = Policy.dedupe((intent) => `${intent.payload.orderId} ${intent.payload.amount}`)
  const variants: ReadonlyArray<readonly [name: string, unit: (n: number) => Unit]> = [
    ["none", (n) => ours.boundary(repeat(n, ours.enqueue))],
    ["boundary: block(pattern)", (n) => ours.boundary(repeat(n, ours.enqueue), block)],
    ["boundary: dedupe(by)", (n) => ours.boundary(repeat(n, ours.enqueue), dedupe)],
    ["withPolicy: block(pattern)", (n) => ours.boundary(SideEffects.withPolicy(repeat(n, ours.enqueue), block))]
  ]
  const rows: Array<ReadonlyArray<string>> = []
  for (const n of [1, 100, 10_000]) {
    const subjects: Record<string, Subject> = { hand: unitsOfWork(n, () => byHand.boundary(repeat(n, byHand.enqueue))) }
    for (const [name, unit] of variants) subjects[name] = unitsOfWork(n, () => unit(n))
    const series = await measure(subjects, effort, isHeavy(n))
    for (const [name] of variants) rows.push([name, number(n), ...comparison(series[name]!, series["hand"]!).cells])
  }
  table(["policy", "intents", "ours", "by hand", "ratio", "spread"], rows)
}

const nestedIntents = 60

/** Units of work inside each other; the intents of each come before those of the one inside it. */
const nest = (
  depth: number,
  enqueue: (i: number) => Unit,
  inner: (self: Unit) => Unit,
  outermost: (self: Unit) => Unit
): Unit => {
  const own = () => repeat(nestedIntents / depth, enqueue)
  if (depth === 1) return outermost(own())
  let unit = inner(own())
  for (let level = depth - 1; level > 1; level--) unit = inner(Effect.andThen(own(), unit))
  return outermost(Effect.andThen(own(), unit))
}

const sideBySide = 1000

/** Each enqueues, lets the others go first, and enqueues again. */
const concurrent = (enqueue: (i: number) => Unit, boundary: (self: Unit) => Unit): Subject => {
  const unit = (i: number) => boundary(enqueue(i).pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(enqueue(i))))
  const all = Effect.forEach(Array.from({ length: sideBySide }, (_, i) => i), unit, {
    concurrency: "unbounded",
    discard: true
  })
  return { run: () => Effect.runPromiseWith(live)(all), units: 2 * sideBySide }
}

export const nesting = async (effort: Effort): Promise<void> => {
  heading(
    "Nested, and side by side",
    `${nestedIntents} intents in boundaries inside each other, all captured by the outermost; ${number(sideBySide)} ` +
      "boundaries at once, each in a fiber that enqueues, yields, and enqueues. Nanoseconds per intent."
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const depth of [1, 3, 10]) {
    const compared = await compare({
      ours: unitsOfWork(nestedIntents, () => nest(depth, ours.enqueue, ours.boundary, ours.boundary)),
      hand: unitsOfWork(nestedIntents, () => nest(depth, byHand.enqueue, byHand.nested, byHand.boundary))
    }, effort)
    rows.push([`${depth} deep`, ...compared.cells])
  }
  const compared = await compare({
    ours: concurrent(ours.enqueue, ours.boundary),
    hand: concurrent(byHand.enqueue, byHand.boundary)
  }, effort)
  rows.push([`${number(sideBySide)} side by side`, ...compared.cells])
  table(["boundaries", "ours", "by hand", "ratio", "spread"], rows)
}
