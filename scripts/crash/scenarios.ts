/** What is done to the processes of a world. Each scenario makes a world, hurts it, lets it recover, and is judged. */
import { randomUUID } from "node:crypto"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fullMark } from "./lib/database.ts"
import { judge, type Verdict } from "./lib/judge.ts"
import { sleep } from "./lib/processes.ts"
import { type Database, type Step, steps } from "./lib/task.ts"
import { mountSmall, type Settings, type Start, unmount, World } from "./lib/world.ts"

/** Where scenarios run, and how much of everything. */
export interface Place {
  readonly kind: Database["kind"]
  readonly url: string
  readonly directory: string
  readonly seed: number
}

type Options = Omit<Settings, "directory" | "database" | "seed">

const hour = 3_600_000

interface Scene {
  readonly name: string
  readonly workers: number
  readonly options?: Options
  /** A directory for the database; a new one when left out. */
  readonly at?: string
}

const play = async (
  { directory, kind, seed, url }: Place,
  { at, name, options, workers }: Scene,
  hurt: (world: World) => Promise<ReadonlyArray<string> | void>
): Promise<Verdict> => {
  const id = randomUUID().slice(0, 8)
  const home = join(directory, `${name.replaceAll(/\W+/g, "-")}-${id}`)
  mkdirSync(home, { recursive: true })
  const database: Database = kind === "pg"
    ? { kind, url, schema: `crash_${id}`, application: `crash_${id}` }
    : { kind, filename: join(at ?? home, "shop.db") }
  const world = new World({ directory: home, database, seed, ...options })
  try {
    await world.create()
    const notes = await hurt(world)
    await world.close("producer")
    await world.drain(workers, 60_000)
    await world.close()
    return await judge(`${name}, ${workers}`, world, notes ?? [])
  } finally {
    await world.dispose()
  }
}

/** Keeps so many processes of a role alive until `task` has ended. */
const keeping = (
  world: World,
  wanted: Readonly<Partial<Record<"producer" | "worker", number>>>,
  task: Promise<unknown>,
  options: Start = {}
): Promise<void> => world.keep(wanted, (role) => world.start(role, options), task)

/** At random moments. */
export const random = (place: Place, workers: number, kills: number): Promise<Verdict> =>
  play(
    place,
    { name: "random", workers, options: { work: 150 } },
    (world) => keeping(world, { producer: 2, worker: workers }, world.killSome(kills, ["producer", "worker"]))
  )

/** Producers and workers that die by themselves at each of the steps. */
export const forced = (
  place: Place,
  workers: number,
  rounds: number,
  only: ReadonlyArray<Step> | undefined
): Promise<Verdict> =>
  play(place, { name: "forced steps", workers, options: { lease: 1000 } }, async (world) => {
    const wanted = (role: "producer" | "worker") =>
      Array.from({ length: rounds }, () => steps[role]).flat().filter((step) =>
        only === undefined || only.includes(step)
      )
    const run = async (role: "producer" | "worker", lanes: number) => {
      const queue = wanted(role)
      await Promise.all(Array.from({ length: lanes }, async () => {
        for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
          await world.start(role, { step, nth: world.random.between(1, 5) }).ended
        }
      }))
    }
    // Somebody has to place the orders that workers die of, and the other way round.
    const all = Promise.all([run("producer", 1), run("worker", Math.min(workers, 2))])
    await keeping(world, { producer: 2, worker: workers }, all)
    const died = Map.groupBy([...world.deaths.values()], ({ step }) => step)
    return [[...died].flatMap(([step, all]) => step === undefined ? [] : [`${step} ${all.length}`]).join(", ")]
  })

/** Several that make the tables, each killed a little later; then the world begins where the last one died. */
export const migration = (place: Place, workers: number, kills: number): Promise<Verdict> =>
  play(place, { name: "migration", workers }, async (world) => {
    // Two at once, as in a deployment.
    for (let n = 0; n < kills; n += 2) {
      const some = [n, n + 1].filter((n) => n < kills).map((n) =>
        world.start("migrator", { step: "in-migration", nth: 1 + Math.round(n * 9 / Math.max(1, kills - 1)) })
      )
      await Promise.all(some.map(({ ended }) => ended))
    }
    await keeping(world, { producer: 1, worker: workers }, enough(world, 15))
  })

/** Until so many entries were written by this world. */
const enough = async (world: World, entries: number): Promise<void> => {
  while (true) {
    await sleep(150)
    if (world.working().length === 0) continue
    if (await world.run(world.withStore((store) => store.count({}))) >= entries) return
  }
}

/** Operators that repeat what was done, and die while they do. What they began is all there, or nothing of it. */
export const replay = (place: Place, workers: number, kills: number): Promise<Verdict> =>
  play(place, { name: "replay", workers }, async (world) => {
    await keeping(world, { producer: 1, worker: workers }, enough(world, 30))
    const replayed = async () => {
      const entries = (await world.read()).entries
      return entries.filter(({ replayOf }) => replayOf !== undefined).length
    }
    let whole = 0
    for (let n = 0; n < kills; n++) {
      const before = await replayed()
      await keeping(
        world,
        { producer: 1, worker: workers },
        world.start("operator", { step: "in-replay", nth: 1 + n % 3 }).ended
      )
      if (await replayed() > before) whole++
    }
    await keeping(world, { worker: workers }, world.start("operator").ended)
    const after = await replayed()
    if (after === 0) world.problems.push("nothing was replayed")
    return [`replays: ${after}; ${whole} of ${kills} operators died after their commit`]
  })

/** The database ends connections. */
export const disconnected = (place: Place, workers: number, times: number): Promise<Verdict> =>
  play(place, { name: "disconnected", workers, options: { mayFail: true } }, async (world) => {
    const ending = async () => {
      while (world.working().length < workers + 2) await sleep(50)
      for (let n = 0; n < times; n++) {
        await sleep(world.random.between(50, 400))
        await world.terminate(world.random.between(1, 4))
      }
    }
    await keeping(world, { producer: 2, worker: workers }, ending())
    return [`connections ended: ${world.terminations.length}`]
  })

/** Workers that stand still for longer than their lease, and go on. */
export const stopped = (place: Place, workers: number, times: number): Promise<Verdict> =>
  play(place, { name: "stopped", workers, options: { work: 200, lease: 1000 } }, async (world) => {
    const stopping = async () => {
      while (world.working().length < workers) await sleep(50)
      for (let n = 0; n < times; n++) {
        // By itself in a handler or before it settles, and at a random moment.
        const step = steps.stopping[n % 2]!
        const before = world.stops.length
        const own = world.start("worker", { step, nth: world.random.between(1, 4) })
        await own.ready
        while (world.stops.length === before) await sleep(50)
        const other = world.alive("worker").find((worker) =>
          worker !== own && worker.readySince < Infinity && !worker.isStopped
        )
        await other?.stop(world.lease * 1.5)
        await sleep(world.lease)
        await own.close()
      }
    }
    await keeping(world, { producer: 1, worker: workers }, stopping())
    return [`stopped: ${world.stops.length}`]
  })

/** No space left, several times, with a kill while there is none. */
export const fullDisk = async (place: Place, workers: number, times: number): Promise<Verdict> => {
  const disk = join(place.directory, `disk-${randomUUID().slice(0, 8)}`)
  const limited = !mountSmall(disk, 12)
  const ballast = limited ? fullMark(join(disk, "shop.db")) : join(disk, "ballast")
  const fill = (): void => {
    if (limited) return writeFileSync(ballast, "")
    for (let size = 1 << 20; size >= 4096; size >>= 1) {
      while (fits(ballast, size));
    }
  }
  try {
    return await play(
      place,
      { name: "full disk", workers, at: disk, options: { limited, mayFail: true } },
      async (world) => {
        const filling = async () => {
          while (world.working().length < workers + 2) await sleep(50)
          for (let n = 0; n < times; n++) {
            await sleep(300)
            fill()
            await sleep(world.random.between(500, 1200))
            await world.random.pick(world.working()).kill()
            await sleep(world.random.between(0, 500))
            rmSync(ballast)
          }
        }
        await keeping(world, { producer: 2, worker: workers }, filling())
        const { lines } = await world.read()
        const full = lines.filter((line) => line.is === "unsure" && /full|disk/i.test(line.why)).length
        if (full === 0) world.problems.push("no order was refused because the disk was full")
        const what = limited ? "PRAGMA max_page_count, as nobody may mount a tmpfs here" : "a tmpfs"
        return [`full ${times} ${times === 1 ? "time" : "times"}: ${what}; orders refused by it: ${full}`]
      }
    )
  } finally {
    if (!limited) unmount(disk)
  }
}

/** Whether the file could grow by so much. */
const fits = (file: string, size: number): boolean => {
  try {
    writeFileSync(file, Buffer.alloc(size, 1), { flag: "a" })
    return true
  } catch {
    return false
  }
}

/** Entries that kill whoever performs them, until they are given up. */
export const poison = (place: Place, workers: number, poisons: number): Promise<Verdict> =>
  play(place, { name: "poison", workers, options: { maxCrashes: 3, lease: 1000 } }, async (world) => {
    world.start("producer", { poisons })
    await keeping(world, { worker: workers }, enough(world, 25 * poisons))
    await world.close("producer")
    await world.drain(workers, 60_000)
    if (world.kills < 3) world.problems.push(`only ${world.kills} processes were killed by ${poisons} poisons`)
    return [`poisons: ${poisons}`]
  })

/** Clocks that are wrong by an hour, in both directions, and one that jumps. */
export const skewed = (place: Place, workers: number): Promise<Verdict> =>
  play(place, { name: "wrong clocks", workers }, async (world) => {
    const skews = [[hour], [-hour], [0, hour, -hour]]
    for (const skew of skews) world.start("producer", { skews: skew })
    for (let n = 0; n < workers; n++) world.start("worker", { skews: skews[(n + 2) % 3]! })
    await enough(world, 60)
    await world.close("producer")
    // Those with the wrong clocks perform the rest, too.
    await world.drain(workers, 30_000)
    return []
  })
