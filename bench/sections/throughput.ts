import { Effect } from "effect"
import { Policy, SideEffects } from "effect-side-effects"
import { measure, median, quartiles, ratios, type Effort, type Subject } from "../lib/measure.ts"
import { bar, heading, number, spread, table, times } from "../lib/report.ts"
import { byHand, live, ours, repeat, takePerformed } from "../lib/subjects.ts"

/** A run is one fiber, and as many units of work in it as make 100 intents. */
const unitsOfWork = (n: number, unit: (n: number) => Effect.Effect<unknown, never, any>): Subject => {
  const runs = Math.max(1, Math.round(100 / n))
  const program = runs === 1 ? Effect.suspend(() => unit(n)) : repeat(runs, () => unit(n))
  const run = () => Effect.runSyncWith(live)(program)
  takePerformed()
  run()
  const expected = runs * n
  if (takePerformed() !== expected) throw new Error(`A run of ${expected} intents did not perform all of them`)
  return { run, units: expected }
}

const withLibrary = (n: number) => unitsOfWork(n, (n) => ours.boundary(repeat(n, ours.enqueue)))

const withHands = (n: number) => unitsOfWork(n, (n) => byHand.boundary(repeat(n, byHand.enqueue)))

const sizes = [1, 10, 100, 10_000, 100_000] as const

const limits: Readonly<Record<number, number>> = { 1: 2, 100: 1.5, 10_000: 1.5, 100_000: 1.5 }

// What noise can do to a quotient of quotients.
const growthTolerance = 1.1

export const perIntent = async (effort: Effort): Promise<void> => {
  heading(
    "Enqueue, release and inline dispatch",
    "Nanoseconds per intent: validated, given a UUID, kept until the unit of work has succeeded, performed. The ratio " +
      "is the median of the rounds, the spread their middle half."
  )
  const series = await measure(
    Object.fromEntries(sizes.flatMap((n) => [[`ours ${n}`, withLibrary(n)], [`hand ${n}`, withHands(n)]])),
    effort
  )
  const of = (who: "ours" | "hand", n: number) => series[`${who} ${n}`]!
  table(
    ["intents a boundary", "ours", "by hand", "ratio", "spread", ""],
    sizes.map((n) => {
      const ratio = ratios(of("ours", n), of("hand", n))
      const limit = limits[n]
      return [
        number(n),
        number(median(of("ours", n))),
        number(median(of("hand", n))),
        times(median(ratio)),
        spread(quartiles(ratio)),
        limit === undefined ? "" : bar(`per intent, at ${number(n)} a boundary`, median(ratio), limit)
      ]
    })
  )
  const growth = (who: "ours" | "hand") => ratios(of(who, 100_000), of(who, 100))
  const steeper = ratios(growth("ours"), growth("hand"))
  console.log()
  table(["growth from 100 to 100,000", "ours", "by hand", "ratio", "spread", ""], [[
    "of the time per intent",
    times(median(growth("ours"))),
    times(median(growth("hand"))),
    times(median(steeper)),
    spread(quartiles(steeper)),
    bar("growth from 100 to 100,000, to that by hand", median(steeper), growthTolerance)
  ]])
}

export const policies = async (effort: Effort): Promise<void> => {
  heading(
    "With policies",
    "The same, all intents allowed; the one by hand has no policies. Nanoseconds per intent."
  )
  const block = Policy.block("orders:*:send-reminder")
  const dedupe = Policy.dedupe((intent) => `${intent.payload.orderId} ${intent.payload.amount}`)
  const variants: Readonly<Record<string, (n: number) => Effect.Effect<unknown, never, any>>> = {
    "none": (n) => ours.boundary(repeat(n, ours.enqueue)),
    "boundary: block(pattern)": (n) => ours.boundary(repeat(n, ours.enqueue), block),
    "boundary: dedupe(by)": (n) => ours.boundary(repeat(n, ours.enqueue), dedupe),
    "withPolicy: block(pattern)": (n) => ours.boundary(SideEffects.withPolicy(repeat(n, ours.enqueue), block))
  }
  const rows: Array<ReadonlyArray<string>> = []
  for (const n of [1, 100, 10_000]) {
    const { byHand, ...series } = await measure<string>(
      {
        byHand: withHands(n),
        ...Object.fromEntries(Object.entries(variants).map(([name, unit]) => [name, unitsOfWork(n, unit)]))
      },
      effort
    )
    for (const [name, values] of Object.entries(series)) {
      const ratio = ratios(values, byHand!)
      rows.push([
        name,
        number(n),
        number(median(values)),
        number(median(byHand!)),
        times(median(ratio)),
        spread(quartiles(ratio))
      ])
    }
  }
  table(["policy", "intents", "ours", "by hand", "ratio", "spread"], rows)
}

type Unit = Effect.Effect<unknown, never, any>

/** `depth` units of work inside each other, 60 intents in all, each level's own ones before those inside it. */
const nest = (
  depth: number,
  enqueue: (i: number) => Unit,
  inner: (self: Unit) => Unit,
  outermost: (self: Unit) => Unit
): Unit => {
  let unit: Unit = Effect.void
  for (let level = depth; level > 0; level--) {
    const own = repeat(60 / depth, enqueue)
    const all: Unit = level === depth ? own : Effect.andThen(own, unit)
    unit = level === 1 ? outermost(all) : inner(all)
  }
  return unit
}

export const nesting = async (effort: Effort): Promise<void> => {
  heading(
    "Nested, and side by side",
    "60 intents in boundaries inside each other, all captured by the outermost; 1,000 boundaries at once that enqueue, " +
      "yield, and enqueue. Nanoseconds per intent."
  )
  const rows: Array<ReadonlyArray<string>> = []
  const row = async (name: string, subjects: Readonly<Record<"ours" | "byHand", Subject>>): Promise<void> => {
    const series = await measure(subjects, effort)
    const ratio = ratios(series.ours, series.byHand)
    rows.push([
      name,
      number(median(series.ours)),
      number(median(series.byHand)),
      times(median(ratio)),
      spread(quartiles(ratio))
    ])
  }
  for (const depth of [1, 3, 10]) {
    await row(`${depth} deep`, {
      ours: unitsOfWork(60, () => nest(depth, ours.enqueue, ours.boundary, ours.boundary)),
      byHand: unitsOfWork(60, () => nest(depth, byHand.enqueue, byHand.nested, byHand.boundary))
    })
  }
  const concurrent = (enqueue: (i: number) => Unit, boundary: (self: Unit) => Unit): Subject => {
    const unit = (i: number) => boundary(Effect.andThen(Effect.andThen(enqueue(i), Effect.yieldNow), enqueue(i)))
    const program = Effect.forEach(Array.from({ length: 1000 }, (_, i) => i), unit, {
      concurrency: "unbounded",
      discard: true
    })
    return { run: () => Effect.runPromiseWith(live)(program), units: 2000 }
  }
  await row("1,000 at once", {
    ours: concurrent(ours.enqueue, ours.boundary),
    byHand: concurrent(byHand.enqueue, byHand.boundary)
  })
  table(["boundaries", "ours", "by hand", "ratio", "spread"], rows)
}
