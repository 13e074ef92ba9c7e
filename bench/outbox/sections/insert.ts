import { heading, number, table, times } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { atLeast } from "../lib/bars.ts"
import type { Effort } from "../lib/effort.ts"
import { measureInserts, ratioToBest, turnsOf } from "../lib/insert.ts"
import { median } from "../lib/statistics.ts"

const byHand = ["by-hand/json", "by-hand/unnest"]

const ours = ["outbox/default", "outbox/store"]

const contenders = [
  ...ours,
  ...byHand,
  "persisted-queue/default",
  "pg-boss/default",
  "graphile-worker/default",
  "bullmq/default",
  "bullmq/postgres"
]

const sizes = [1, 5, 50, 500]

export const insert = async (effort: Effort): Promise<void> => {
  heading(
    "Insert",
    `Jobs per second, so many in a transaction, one transaction after the other. Medians of ${
      turnsOf(effort.rounds)
    } ` +
      "turns. By hand is one statement on the same client, into tables like those of the outbox. BullMQ has no part in " +
      "a transaction."
  )
  const ids = contenders.filter(effort.only)
  const figures = await measureInserts(ids, sizes, effort)
  const rows = await Promise.all(ids.map(async (id) => [
    (await load(id)).name,
    ...sizes.map((size) => number(median(figures[size]![id]!)))
  ]))
  table(["in a transaction", ...sizes.map(String)], rows)
  const hands = ids.filter((id) => byHand.includes(id))
  if (hands.length === 0) return
  console.log()
  const ratios = await Promise.all(ids.map(async (id) => [
    (await load(id)).name,
    ...sizes.map((size) => times(ratioToBest(figures, id, hands, size)))
  ]))
  table(["of the best by hand", ...sizes.map(String)], ratios)
  console.log()
  for (const id of ours.filter((id) => ids.includes(id))) {
    atLeast(`insert of 500, ${(await load(id)).name}, of the best by hand`, ratioToBest(figures, id, hands, 500), 0.75)
  }
}
