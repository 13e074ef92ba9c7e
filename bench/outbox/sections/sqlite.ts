import { heading, number, table, times } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { drain } from "../lib/drain.ts"
import type { Effort } from "../lib/effort.ts"
import { measureInserts, ratioToBest } from "../lib/insert.ts"
import { inTurns, median, quantile } from "../lib/statistics.ts"
import { measureLatency } from "./latency.ts"

const byHand = "sqlite/by-hand"

const inserting = ["sqlite/default", "sqlite/store", byHand]
const draining = ["sqlite/default", "sqlite/tuned", byHand]
const sizes = [1, 500]

export const sqlite = async (effort: Effort): Promise<void> => {
  const { only, quick, rounds, seconds, slots } = effort
  if (!only(byHand)) return
  heading(
    "SQLite",
    "On a file with WAL and synchronous=FULL, beside node:sqlite by hand on a copy of the table. Jobs per second, so many " +
      "in a transaction; claimed, performed and settled by 1 and 4 processes; milliseconds from the commit to the handler."
  )
  const inserted = await measureInserts(inserting, sizes, effort)
  table(
    ["in a transaction", ...sizes.map(String), ...sizes.map((size) => `${size}, of by hand`)],
    await Promise.all(inserting.map(async (id) => [
      (await load(id)).name,
      ...sizes.map((size) => number(median(inserted[size]![id]!))),
      ...sizes.map((size) => times(ratioToBest(inserted, id, [byHand], size)))
    ]))
  )
  console.log()
  const drained: Record<number, Readonly<Record<string, ReadonlyArray<number>>>> = {}
  for (const processes of [1, 4]) {
    drained[processes] = await inTurns(
      draining,
      rounds,
      (contender) => drain("sqlite drain", { contender, processes, slots, pause: 0, seconds })
    )
  }
  table(
    ["drain", "1 process", "4 processes"],
    await Promise.all(draining.map(async (id) => [
      (await load(id)).name,
      number(median(drained[1]![id]!)),
      number(median(drained[4]![id]!))
    ]))
  )
  console.log()
  const rows: Array<ReadonlyArray<string>> = []
  for (const sameProcess of [true, false]) {
    const { begun, committed } = await measureLatency("sqlite/default", sameProcess, quick ? 60 : 400)
    rows.push([
      sameProcess ? "same process" : "other process",
      number(median(committed), 1),
      number(quantile(committed, 0.99), 1),
      number(median(begun), 1)
    ])
  }
  table(["latency", "p50", "p99", "whole"], rows)
}
