import { load } from "../contenders/index.ts"
import { audit } from "./audit.ts"
import { now, sleep } from "./contender.ts"
import { settle } from "./database.ts"
import { type Child, start } from "./processes.ts"

export interface Drain {
  readonly contender: string
  readonly processes: number
  readonly slots: number
  readonly pause: number
  /** How many seconds it should take about. */
  readonly seconds: number
  /** Jobs that wait. By default as many as last. */
  readonly jobs?: number | undefined
  /** How many of them to do, when not all. */
  readonly upTo?: number | undefined
}

const total = (children: ReadonlyArray<Child>): number => children.reduce((sum, { handled }) => sum + handled, 0)

/** As many jobs as the contender is believed to do in so many seconds. */
const estimate = (pace: number, { pause, processes, seconds, slots }: Drain): number => {
  const possible = pause === 0 ? pace : Math.min(pace, (slots / pause) * 1000)
  // More than all of them can hold at once; but not of one that would take minutes for that.
  const least = (pace < 1000 ? 4 : 3 * slots) * processes
  return Math.max(least, Math.round(possible * seconds * Math.min(2, Math.sqrt(processes))))
}

/**
 * Jobs per second, claimed, done and settled by fresh processes from a table that was filled before. The first fifth is
 * for warming up, and is not counted.
 */
export const drain = async (what: string, options: Drain): Promise<number> => {
  const contender = await load(options.contender)
  await contender.reset()
  const jobs = options.jobs ?? estimate(contender.pace, options)
  await fill(options.contender, jobs)
  await settle()
  const goal = options.upTo ?? jobs
  const warm = Math.max(options.processes, Math.floor(goal / 5))
  const children = await Promise.all(Array.from({ length: options.processes }, () => start(options.contender)))
  const started = now()
  await Promise.all(
    children.map((child) => child.ask({ _tag: "Work", slots: options.slots, pause: options.pause, timed: false }))
  )
  let from: { readonly count: number; readonly at: number } | undefined
  let to = { count: 0, at: started }
  // What takes ten times as long as believed is stopped.
  const deadline = started + options.seconds * 10_000 + 10_000
  while (to.count < goal && to.at < deadline) {
    await sleep(2)
    const count = total(children)
    if (count === to.count) continue
    to = { count, at: now() }
    if (from === undefined && count >= warm) from = to
  }
  const reports = await Promise.all(children.map((child) => child.stop()))
  await audit(what, contender, jobs, reports.map(({ indexes }) => indexes))
  if (from === undefined || to.count === from.count) return 0
  return ((to.count - from.count) / (to.at - from.at)) * 1000
}

/** Adds jobs from a process of its own. */
export const fill = async (contender: string, jobs: number, size = 500): Promise<void> => {
  const child = await start(contender)
  await child.ask({ _tag: "Add", from: 0, to: jobs, size })
  await child.stop()
}
