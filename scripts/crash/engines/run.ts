/** The kill tests of the engines, and their table. */
import { inspect } from "node:util"
import { isOver } from "../lib/processes.ts"
import type { Verdict } from "./judge.ts"
import { kill, type Place } from "./scenario.ts"
import { type Target, targets } from "./subjects.ts"

const columns: ReadonlyArray<readonly [head: string, width: number, of: (verdict: Verdict) => number]> = [
  ["kills", 6, ({ kills }) => kills],
  ["units", 6, ({ units }) => units],
  ["fail", 5, ({ failed }) => failed],
  ["unk", 5, ({ unknown }) => unknown],
  ["intents", 8, ({ wishes }) => wishes],
  ["done", 6, ({ performed }) => performed],
  ["again", 6, ({ repeated }) => repeated],
  ["held", 5, ({ held }) => held],
  ["lost", 5, ({ lost }) => lost],
  ["wrong", 6, ({ wrong }) => wrong]
]
const nameWidth = 80 - columns.reduce((sum, [, width]) => sum + width, 0)
const cut = (name: string): string => name.replace("persisted-queue", "pq").slice(0, nameWidth)
const row = (name: string, cells: ReadonlyArray<string | number>): void =>
  console.log(cut(name).padEnd(nameWidth) + cells.map((cell, n) => String(cell).padStart(columns[n]![1])).join(""))

/** In lines of 80 columns, so that it stays beneath its row. */
const indented = (text: string): string =>
  text.split("\n").flatMap((line) => line.match(/.{1,78}(\s|$)|\S{1,78}/g) ?? []).map((line) => `  ${line.trimEnd()}`)
    .join("\n")

const mostProblems = 8

const print = (verdict: Verdict): void => {
  row(verdict.engine, columns.map(([, , of]) => of(verdict)))
  const causes = [...verdict.causes].map(([cause, times]) => `${cause} ${times}`).join(", ")
  if (causes !== "") console.log(indented(`again because: ${causes}`))
  for (const problem of verdict.problems.slice(0, mostProblems)) console.log(indented(`FAILED: ${problem}`))
  const more = verdict.problems.length - mostProblems
  if (more > 0) console.log(`  ... and ${more} more`)
}

/** The targets of these names: `all`, or the name of an engine, or the beginning of several. Nothing when one is unknown. */
export const choose = (names: ReadonlyArray<string>): ReadonlyArray<Target> | undefined => {
  const chosen = names.map((name) =>
    name === "all" ? targets : targets.filter((target) => target.name === name || target.name.startsWith(`${name}-`))
  )
  return chosen.some((some) => some.length === 0) ? undefined : [...new Set(chosen.flat())]
}

export const names: ReadonlyArray<string> = targets.map(({ name }) => name)

/** Kills the processes of these engines. Returns how many failed. */
export const runEngines = async (chosen: ReadonlyArray<Target>, place: Place, lanes: number): Promise<number> => {
  const queue: Array<Target> = []
  for (const target of chosen) {
    const unset = target.needs.filter((name) => process.env[name] === undefined)
    if (unset.length === 0) queue.push(target)
    else console.log(`${target.name} is skipped: ${unset.join(" and ")} ${unset.length === 1 ? "is" : "are"} not set.`)
  }
  if (queue.length === 0) return 0
  console.log(
    "units, fail, unk: units of work, by what their producer was told. again: intents that\n" +
      "were begun once more; held: those that processes held when they were killed.\n"
  )
  row("engine", columns.map(([head]) => head))
  console.log("-".repeat(80))
  let failed = 0
  const verdicts: Array<Verdict> = []
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      try {
        const verdict = await kill(target, place)
        verdicts.push(verdict)
        if (verdict.problems.length > 0) failed++
        print(verdict)
      } catch (error) {
        // Then it ends as soon as everything is taken away.
        if (isOver()) return await new Promise<never>(() => {})
        failed++
        console.log(indented(`${target.name} FAILED: ${inspect(error)}`))
      }
    }
  }))
  console.log("-".repeat(80))
  row("all", columns.map(([, , of]) => verdicts.reduce((sum, verdict) => sum + of(verdict), 0)))
  return failed
}
