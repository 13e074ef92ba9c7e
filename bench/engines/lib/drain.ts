import { audit } from "./audit.ts"
import { place, remove } from "./places.ts"
import { type Child, start } from "./processes.ts"
import { type Kind, now, sleep } from "./side.ts"

export interface Drain {
  readonly engine: string
  readonly kind: Kind
  readonly processes: number
  readonly slots: number
  readonly batch: number
  readonly jobs: number
  /** Whether jobs are added while they are performed. Otherwise they wait already. */
  readonly endToEnd: boolean
}

const total = (children: ReadonlyArray<Child>): number => children.reduce((sum, { handled }) => sum + handled, 0)

/**
 * Jobs per second, performed by fresh processes. The first fifth is for warming up, and is not counted.
 */
export const drain = async ({ batch, endToEnd, engine, jobs, kind, processes, slots }: Drain): Promise<number> => {
  const namespace = place(engine, kind)
  const producer = await start(engine, kind, namespace)
  const add = () => producer.ask({ _tag: "Add", from: 0, to: jobs, size: batch })
  await producer.ask({ _tag: "Connect" })
  if (!endToEnd) {
    await add()
    await producer.stop()
  }
  const children = await Promise.all(Array.from({ length: processes }, () => start(engine, kind, namespace)))
  await Promise.all(children.map((child) => child.ask({ _tag: "Work", slots, latency: false })))
  const added = endToEnd ? add() : undefined
  const warm = Math.max(processes, Math.floor(jobs / 5))
  let from: { readonly count: number; readonly at: number } | undefined
  let to = { count: 0, at: now() }
  // A side that hangs is not waited for.
  const deadline = now() + 120_000
  while (to.count < jobs && now() < deadline) {
    await sleep(2)
    const count = total(children)
    if (count === to.count) continue
    to = { count, at: Math.max(...children.map(({ at }) => at)) }
    if (from === undefined && count >= warm) from = to
  }
  if (added !== undefined) {
    await added
    await producer.stop()
  }
  const handled = await Promise.all(children.map((child) => child.stop()))
  audit(`${engine}, ${kind}, ${processes} x ${slots}`, jobs, handled)
  await remove(engine, namespace)
  if (from === undefined || to.count === from.count) return 0
  return ((to.count - from.count) / (to.at - from.at)) * 1000
}
