import { Client } from "pg"
import { heading, number, table, times } from "../../lib/report.ts"
import { load } from "../contenders/index.ts"
import { audit } from "../lib/audit.ts"
import { atLeast } from "../lib/bars.ts"
import { now, sleep } from "../lib/contender.ts"
import { settle, url } from "../lib/database.ts"
import type { Effort } from "../lib/effort.ts"
import { start } from "../lib/processes.ts"
import { inTurns, median } from "../lib/statistics.ts"

const contenders = ["outbox/tuned", "pg-boss/batch", "graphile-worker/tuned", "persisted-queue/tuned"]

/** How many jobs wait at most. */
const ahead = 5000

/** Keeps a snapshot open, as a report or a backup does. */
const openSnapshot = async (): Promise<() => Promise<void>> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
  await client.query("SELECT count(*) FROM pg_class")
  return () => client.end()
}

/** Jobs per second in the second half of the time, offered by one process and done by another. */
const steady = async (id: string, slots: number, seconds: number, open: boolean): Promise<number> => {
  const contender = await load(id)
  await contender.reset()
  await settle()
  const close = open ? await openSnapshot() : undefined
  const producer = await start(id)
  const worker = await start(id)
  await worker.ask({ _tag: "Work", slots, pause: 0, timed: false })
  await producer.ask({ _tag: "Offer", sizes: [500] })
  const begun = now()
  let half: { readonly handled: number; readonly at: number } | undefined
  while (now() - begun < seconds * 1000) {
    producer.tell({ _tag: "Demand", total: worker.handled + ahead })
    await sleep(5)
    if (half === undefined && now() - begun > seconds * 500) half = { handled: worker.handled, at: now() }
  }
  const rate = ((worker.handled - half!.handled) / (now() - half!.at)) * 1000
  await producer.ask({ _tag: "StopOffering" })
  const { offered } = producer
  await producer.stop()
  const { indexes } = await worker.stop()
  await close?.()
  await audit(`long transaction ${open ? "open" : "not open"}`, contender, offered, [indexes])
  return rate
}

export const longTransaction = async ({ only, quick, rounds, slots }: Effort): Promise<void> => {
  const seconds = quick ? 10 : 45
  const turns = Math.ceil(rounds / 3)
  heading(
    "A long transaction",
    `Jobs per second, offered by one process in transactions of 500 and done by another, in the second half of ` +
      `${seconds} seconds, without and with a REPEATABLE READ snapshot open all the time. Medians of ${turns}.`
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const id of contenders.filter(only)) {
    const { closed, open } = await inTurns(
      ["closed", "open"],
      turns,
      (which) => steady(id, slots, seconds, which === "open")
    )
    const ratio = median(open.map((value, round) => value / closed[round]!))
    rows.push([(await load(id)).name, number(median(closed)), number(median(open)), times(ratio)])
    if (id === "outbox/tuned") atLeast("with a long transaction, of without", ratio, 0.8)
  }
  table(["", "without", "with", "ratio"], rows)
}
