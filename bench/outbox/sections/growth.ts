import { heading, number, table } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { audit } from "../lib/audit.ts"
import { now, sleep } from "../lib/contender.ts"
import { query, settle } from "../lib/database.ts"
import type { Effort } from "../lib/effort.ts"
import { start } from "../lib/processes.ts"

const id = "outbox/mixed"
const ahead = 5000
const rows = 15

const sizes = `
  SELECT sum(pg_table_size(c.oid))::bigint AS tables, sum(pg_indexes_size(c.oid))::bigint AS indexes,
    sum(s.n_dead_tup)::bigint AS dead, sum(s.n_live_tup)::bigint AS live
  FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
  WHERE c.relname LIKE 'side_effects_outbox%'`

const megabytes = (bytes: unknown): string => number(Number(bytes) / 1048576, 1)

export const growth = async ({ minutes, only, slots }: Effort): Promise<void> => {
  if (!only(id)) return
  heading(
    "Growth",
    `${minutes} minutes of mixed load: one process offers transactions of 1, 5, 50 and 500, one in twenty delayed; one ` +
      "works, one in fifty fails at first; what is done is kept for 10 seconds. Sizes in MB, of all tables of the outbox."
  )
  const contender = await load(id)
  await contender.reset()
  await settle()
  const producer = await start(id)
  const worker = await start(id)
  await worker.ask({ _tag: "Work", slots, pause: 0, timed: false })
  await producer.ask({ _tag: "Offer", sizes: [1, 5, 50, 500] })
  const begun = now()
  const step = (minutes * 60_000) / rows
  const series: Array<ReadonlyArray<string>> = []
  const rates: Array<number> = []
  let last = { handled: 0, at: begun }
  for (let row = 1; row <= rows; row++) {
    while (now() - begun < row * step) {
      producer.tell({ _tag: "Demand", total: worker.handled + ahead })
      await sleep(5)
    }
    const here = { handled: worker.handled, at: now() }
    const rate = ((here.handled - last.handled) / (here.at - last.at)) * 1000
    last = here
    rates.push(rate)
    const [size] = await query(sizes)
    series.push([
      number((row * step) / 60_000, 1),
      number(rate),
      number(here.handled),
      number(producer.offered - here.handled),
      megabytes(size.tables),
      megabytes(size.indexes),
      number(Number(size.live)),
      number(Number(size.dead))
    ])
  }
  await producer.ask({ _tag: "StopOffering" })
  const { offered } = producer
  await producer.stop()
  const { indexes } = await worker.stop()
  table(["minute", "per second", "done", "open", "tables", "indexes", "live rows", "dead rows"], series)
  await audit("growth", contender, offered, [indexes])
  const third = Math.floor(rows / 3)
  const mean = (values: ReadonlyArray<number>): number => values.reduce((a, b) => a + b, 0) / values.length
  console.log(
    `\nThe last third is ${(mean(rates.slice(-third)) / mean(rates.slice(0, third))).toFixed(2)}x as fast as the first.`
  )
}
