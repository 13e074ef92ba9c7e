import { load } from "../contenders/index.ts"
import { audit } from "./audit.ts"
import { settle } from "./database.ts"
import type { Effort } from "./effort.ts"
import { type Child, start } from "./processes.ts"
import { inTurns, median } from "./statistics.ts"

/** Jobs per second of each contender, turn by turn, for each number of them in a transaction. */
export type Inserted = Readonly<Record<number, Readonly<Record<string, ReadonlyArray<number>>>>>

/** Each in a process of its own that stays for all turns of a size, on tables that are new for each size. */
export const measureInserts = async (
  ids: ReadonlyArray<string>,
  sizes: ReadonlyArray<number>,
  { quick, rounds }: Effort
): Promise<Inserted> => {
  const figures: Record<number, Readonly<Record<string, ReadonlyArray<number>>>> = {}
  for (const size of sizes) {
    const children: Record<string, Child> = {}
    const added: Record<string, number> = {}
    for (const id of ids) {
      await (await load(id)).reset()
      children[id] = await start(id)
      await children[id].ask({ _tag: "Connect" })
      added[id] = 0
    }
    await settle()
    const turn = async (id: string, milliseconds: number): Promise<number> => {
      const report = await children[id]!.ask({ _tag: "Insert", from: added[id]!, size, milliseconds })
      if (report._tag !== "Inserted") throw new Error(`${id} answered ${report._tag}`)
      added[id]! += report.jobs
      return (report.jobs / report.elapsed) * 1000
    }
    for (const id of ids) await turn(id, 500)
    figures[size] = await inTurns(ids, turnsOf(rounds), (id) => turn(id, quick ? 300 : 500))
    for (const id of ids) {
      await children[id]!.stop()
      await audit(`insert of ${size}`, await load(id), added[id]!, [])
    }
  }
  return figures
}

export const turnsOf = (rounds: number): number => rounds * 3

/** To that of the best of others at the size, in the middle of the turns. */
export const ratioToBest = (figures: Inserted, id: string, others: ReadonlyArray<string>, size: number): number => {
  const all = figures[size]!
  const best = others.toSorted((a, b) => median(all[b]!) - median(all[a]!))[0]!
  return median(all[id]!.map((value, turn) => value / all[best]![turn]!))
}
