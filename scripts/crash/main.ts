/**
 * The crash suite: real processes that are killed, stopped and cut off, and a comparison of what was committed with what
 * was performed.
 *
 *     npm run crash                              at least 200 kills for each database, about ten minutes
 *     npm run crash -- --small                   everything once, about a minute
 *     npm run crash -- --store sqlite            one database: pg or sqlite
 *     npm run crash -- --workers 4 --kills 500   more of it
 *     npm run crash -- --step after-claim        one of the forced steps
 *     npm run crash -- --only poison,random      some of the scenarios
 *     npm run crash -- --seed 42                 the same choices again; the moments differ
 *     npm run crash -- --engine all              the engines only, 60 kills each; or some: bullmq,cluster,relay
 *
 * An order and its wishes are rows of one transaction, as are the intents. After the damage workers run until nothing is
 * left. Then each wish that is there must have been performed (none is lost), none that is not there may have been (no
 * ghosts), and each that was performed again needs a kill, a stop or a lost connection between its begin and its
 * settlement. Exits with 1 otherwise. PostgreSQL is that of POSTGRES_URL, in schemas of its own.
 *
 * The engines come after the outbox, unless some of the outbox was asked for. Where there is no transaction, a unit of work
 * counts from when its boundary has ended: what it wished for then must be performed (none is lost). What failed must not be,
 * ids and keys stay what they were, nothing dies, and each repetition needs a kill (none is wrong). Redis is that of
 * REDIS_URL.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect, parseArgs } from "node:util"
import { choose, names, runEngines } from "./engines/run.ts"
import { isBrief } from "./engines/subjects.ts"
import type { Verdict } from "./lib/judge.ts"
import { isOver } from "./lib/processes.ts"
import { type Step, steps } from "./lib/task.ts"
import * as scenarios from "./scenarios.ts"

const { values } = parseArgs({
  options: {
    small: { type: "boolean", default: false },
    store: { type: "string" },
    workers: { type: "string" },
    kills: { type: "string" },
    engine: { type: "string" },
    lanes: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 100_000) },
    step: { type: "string" },
    only: { type: "string" },
    keep: { type: "boolean", default: false }
  }
})

const allSteps: ReadonlyArray<string> = Object.values(steps).flat()
if (values.step !== undefined && !allSteps.includes(values.step)) {
  console.error(`There is no step ${values.step}. There are: ${allSteps.join(", ")}.`)
  process.exit(2)
}
const engines = choose((values.engine ?? "all").split(","))
if (engines === undefined) {
  console.error(`There is no engine ${values.engine}. There are: all, ${names.join(", ")}.`)
  process.exit(2)
}
const url = process.env["POSTGRES_URL"]
const ofOutbox = values.engine === undefined
/** Whether only a part of the outbox was asked for. */
const isPart = [values.store, values.step, values.only, values.workers].some((value) => value !== undefined)
const wanted = values.store === undefined ? ["pg", "sqlite"] as const : [values.store as "pg" | "sqlite"]
const stores = wanted.filter((store) => store === "sqlite" || url !== undefined)
const workerCounts = values.workers === undefined ? [1, 4] : [Number(values.workers)]
const { small } = values
const kills = Number(values.kills ?? 200)
const directory = mkdtempSync(join(tmpdir(), "crash-"))
process.on("exit", () => {
  if (!values.keep) rmSync(directory, { recursive: true, force: true })
})

type Run = readonly [name: string, run: (place: scenarios.Place) => Promise<Verdict>]

/** One step only: in the scenario that has it. */
const stepRuns = (step: Step): ReadonlyArray<Run> =>
  workerCounts.map((workers): Run =>
    step === "in-migration"
      ? ["migration", (place) => scenarios.migration(place, workers, small ? 2 : 8)]
      : step === "in-replay"
      ? ["replay", (place) => scenarios.replay(place, workers, small ? 1 : 6)]
      : (steps.stopping as ReadonlyArray<Step>).includes(step)
      ? ["stopped", (place) => scenarios.stopped(place, Math.max(2, workers), small ? 2 : 8)]
      : ["forced", (place) => scenarios.forced(place, workers, small ? 2 : 10, [step])]
  )

const smallRuns = (store: "pg" | "sqlite"): ReadonlyArray<Run> => [
  ["forced", (place) => scenarios.forced(place, 1, 1, undefined)],
  ["random", (place) => scenarios.random(place, 4, 4)],
  ["migration", (place) => scenarios.migration(place, 1, 2)],
  ["replay", (place) => scenarios.replay(place, 1, 1)],
  ...(store === "pg"
    ? [["disconnected", (place) => scenarios.disconnected(place, 1, 4)] satisfies Run]
    : [["full-disk", (place) => scenarios.fullDisk(place, 1, 1)] satisfies Run]),
  ["stopped", (place) => scenarios.stopped(place, 1, 2)],
  ["poison", (place) => scenarios.poison(place, 1, 1)],
  ["skewed", (place) => scenarios.skewed(place, 2)]
]

const largeRuns = (store: "pg" | "sqlite"): ReadonlyArray<Run> => {
  const share = (part: number) => Math.max(1, Math.ceil(kills * part / workerCounts.length))
  return workerCounts.flatMap((workers): ReadonlyArray<Run> => [
    ["random", (place) => scenarios.random(place, workers, share(0.55))],
    ["forced", (place) => scenarios.forced(place, workers, Math.ceil(share(0.3) / 10), undefined)],
    ["migration", (place) => scenarios.migration(place, workers, share(0.07))],
    ["replay", (place) => scenarios.replay(place, workers, share(0.06))],
    ...(store === "pg"
      ? [["disconnected", (place) => scenarios.disconnected(place, workers, share(0.3))] satisfies Run]
      : [["full-disk", (place) => scenarios.fullDisk(place, workers, share(0.03))] satisfies Run]),
    ["stopped", (place) => scenarios.stopped(place, workers, share(0.05))],
    ["poison", (place) => scenarios.poison(place, workers, workers === 1 ? 1 : 3)],
    ["skewed", (place) => scenarios.skewed(place, workers)]
  ])
}

// --- the report ---

const columns: ReadonlyArray<readonly [head: string, width: number, of: (verdict: Verdict) => string | number]> = [
  ["kills", 6, ({ kills }) => kills],
  ["commit", 7, ({ committed }) => committed],
  ["back", 5, ({ rolledBack }) => rolledBack],
  ["unk", 5, ({ unknown }) => unknown],
  ["wishes", 7, ({ wishes }) => wishes],
  ["done", 6, ({ performed }) => performed],
  ["lost", 5, ({ lost }) => lost],
  ["ghost", 6, ({ ghosts }) => ghosts],
  ["dup", 4, ({ duplicates }) => duplicates],
  ["expl", 5, ({ explained }) => explained]
]
const nameWidth = 80 - columns.reduce((sum, [, width]) => sum + width, 0)
const row = (name: string, cells: ReadonlyArray<string | number>): void =>
  console.log(name.padEnd(nameWidth) + cells.map((cell, n) => String(cell).padStart(columns[n]![1])).join(""))

const line = "-".repeat(80)
const mostProblems = 8

/** In lines of 80 columns, so that it stays beneath its row. */
const indented = (text: string): string =>
  text.split("\n").flatMap((line) => line.match(/.{1,78}(\s|$)|\S{1,78}/g) ?? []).map((line) => `  ${line.trimEnd()}`)
    .join("\n")

const print = (store: string, verdict: Verdict): void => {
  row(`${store.padEnd(7)}${verdict.name}`, columns.map(([, , of]) => of(verdict)))
  const causes = [...verdict.causes].map(([cause, times]) => `${cause} ${times}`).join(", ")
  for (const note of [...verdict.notes, ...(causes === "" ? [] : [`again because: ${causes}`])]) {
    console.log(indented(note))
  }
  for (const problem of verdict.problems.slice(0, mostProblems)) console.log(indented(`FAILED: ${problem}`))
  const more = verdict.problems.length - mostProblems
  if (more > 0) console.log(`  ... and ${more} more`)
}

// --- the run ---

const only = values.only?.split(",")

/** Both databases at once, as most of the time is spent on waiting for leases. */
const runAll = async (store: "pg" | "sqlite"): Promise<Verdicts> => {
  const place = { kind: store, url: url ?? "", directory, seed: Number(values.seed) }
  const all = values.step !== undefined ? stepRuns(values.step as Step) : small ? smallRuns(store) : largeRuns(store)
  const verdicts: Array<Verdict> = []
  let failed = 0
  for (const [name, run] of all) {
    if (only !== undefined && !only.includes(name)) continue
    try {
      const verdict = await run(place)
      verdicts.push(verdict)
      if (verdict.problems.length > 0) failed++
      print(store, verdict)
    } catch (error) {
      // Then it ends as soon as everything is taken away.
      if (isOver()) return await new Promise<never>(() => {})
      failed++
      console.log(indented(`${store} ${name} FAILED: ${inspect(error)}`))
    }
  }
  return { store, verdicts, failed }
}

interface Verdicts {
  readonly store: string
  readonly verdicts: ReadonlyArray<Verdict>
  readonly failed: number
}

const runOutbox = async (): Promise<number> => {
  console.log(`Seed ${values.seed}. commit, back, unk: orders, by what their producer was told.`)
  if (wanted.some((store) => store === "pg") && url === undefined) {
    console.log("PostgreSQL is skipped: POSTGRES_URL is not set.")
  }
  console.log("")
  row("scenario, workers", columns.map(([head]) => head))
  console.log(line)
  const results = await Promise.all(stores.map(runAll))
  console.log(line)
  for (const { store, verdicts } of results) {
    row(
      `${store.padEnd(7)}all`,
      columns.map(([, , of]) => verdicts.reduce((sum, verdict) => sum + Number(of(verdict)), 0))
    )
  }
  return results.reduce((sum, { failed }) => sum + failed, 0)
}

const killEngines = (): Promise<number> => {
  console.log(`${ofOutbox ? "\nEngines. " : ""}Seed ${values.seed}.`)
  return runEngines(small && (values.engine ?? "all") === "all" ? engines.filter(isBrief) : engines, {
    postgres: url,
    directory,
    seed: Number(values.seed),
    small,
    kills: small ? 4 : Number(values.kills ?? 60)
  }, Number(values.lanes ?? (small ? 4 : 1)))
}

let failed = 0
if (ofOutbox) failed += await runOutbox()
if (!ofOutbox || !isPart) failed += await killEngines()
if (failed > 0) {
  console.error(
    `\n${failed} of the scenarios failed. Seed ${values.seed}. ` +
      (values.keep ? `Logs: ${directory}` : "Add --keep for the logs.")
  )
}
process.exit(failed > 0 ? 1 : 0)
