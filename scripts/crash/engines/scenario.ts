/** What is done to the processes of an engine. */
import { randomUUID } from "node:crypto"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { sleep } from "../lib/processes.ts"
import type { Database } from "../lib/task.ts"
import { judge, missing, storyOf, type Verdict } from "./judge.ts"
import type { Target } from "./subjects.ts"
import { type Role, type Step, steps } from "./task.ts"
import { World } from "./world.ts"

/** Where it runs, and how much of everything. */
export interface Place {
  readonly postgres: string | undefined
  readonly directory: string
  readonly seed: number
  readonly small: boolean
  readonly kills: number
}

/** How many intents may wait before producers do. */
const mostWaiting = 150

/**
 * Some die by themselves at each of the steps, the others at random moments. Whoever died is replaced. In the end workers
 * run until everything was performed.
 */
export const kill = async (target: Target, { directory, kills, postgres, seed, small }: Place): Promise<Verdict> => {
  const id = randomUUID().slice(0, 8)
  const home = join(directory, `${target.name}-${id}`)
  mkdirSync(home, { recursive: true })
  const outbox: Database | undefined = target.outbox === undefined
    ? undefined
    : target.outbox === "pg"
    ? { kind: "pg", url: postgres!, schema: `crash_${id}`, application: `crash_${id}` }
    : { kind: "sqlite", filename: join(home, "outbox.db") }
  const world = new World({
    name: target.name,
    engine: target.engine,
    namespace: `crash_${id}`,
    outbox,
    ordered: target.engine.startsWith("cluster"),
    directory: home,
    seed
  })
  const roles: ReadonlyArray<Role> = outbox === undefined ? ["producer", "worker"] : ["producer", "relay", "worker"]
  const workers = small ? 2 : 3
  const wanted = { producer: small ? 1 : 2, worker: workers, ...(outbox === undefined ? {} : { relay: 1 }) }
  const start = (role: Role) => world.start(role)

  /** One after the other; what they die of is made and taken by those that stay. */
  const forced = async (rounds: number): Promise<void> => {
    await Promise.all(roles.map(async (role) => {
      // The last one is that of which most could be lost, or done twice.
      const all: ReadonlyArray<Step> = small ? steps[role].slice(-1) : steps[role]
      for (const step of Array.from({ length: rounds }, () => all).flat()) {
        if (world.kills >= kills) return
        const one = world.start(role, { step, nth: world.random.between(1, 3) })
        await one.ended
      }
    }))
  }
  const hurt = async (): Promise<void> => {
    await forced(small ? 1 : Math.max(1, Math.floor(kills / 2 / (3 + 2 + (outbox === undefined ? 0 : 3)))))
    await world.killSome(Math.max(small ? 2 : 0, kills - world.kills), roles)
    // Kills that hit nothing prove nothing.
    while (storyOf(world.logs).succeeded < (small ? 15 : 100)) await sleep(250)
  }
  /** An engine that is slower than those who produce would never come to what they wished for last. */
  const hurting = new AbortController()
  const holdBack = async (): Promise<void> => {
    while (!hurting.signal.aborted) {
      await sleep(1000)
      world.hold(missing(storyOf(world.logs)).length > mostWaiting)
    }
  }
  const patience = small ? 120_000 : 20_000 * kills
  const tooLong = async (): Promise<void> => {
    await sleep(patience)
    throw new Error(`only ${world.kills} processes died within ${patience / 1000} s`)
  }
  try {
    await world.create()
    const heldBack = holdBack()
    await world.keep(wanted, start, Promise.race([hurt(), tooLong()]))
    hurting.abort()
    await heldBack
    world.hold(false)
    await world.close("producer")
    await world.drain({ ...wanted, producer: 0 }, small ? 60_000 : 120_000)
    await world.close()
    await world.inspect()
    return judge(world)
  } finally {
    hurting.abort()
    await world.dispose()
  }
}
