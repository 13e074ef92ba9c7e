import { OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as SqlClient from "effect/sql/SqlClient"
import { type ChildProcess, execFileSync, fork } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { createDomain, layerClient, layerStore, readDomain } from "./database.ts"
import * as log from "./log.ts"
import { makeRandom, type Random } from "./random.ts"
import type { Database, Message, Role, Step, Task } from "./task.ts"

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

const children = new Set<ChildProcess>()
const worlds = new Set<World>()
let over = false

/** Whether somebody has asked this process to end. */
export const isOver = (): boolean => over

const killAll = (): void => {
  for (const child of children) child.kill("SIGKILL")
}

/** Whatever ends this process ends its children first, and takes away what they made. */
process.on("exit", killAll)
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  process.on(signal, () => {
    over = true
    killAll()
    const disposed = Promise.allSettled(Array.from(worlds, (world) => world.dispose()))
    void Promise.race([disposed, sleep(5000)]).then(() => process.exit(code))
  })
}

export interface Process {
  readonly name: string
  readonly role: Role
  readonly ready: Promise<unknown>
  readonly ended: Promise<void>
  /** Since when it does what it is there for. */
  readySince: number
  isEnded: boolean
  isStopped: boolean
  readonly kill: () => Promise<void>
  /** Stands still for so long. */
  readonly stop: (milliseconds: number) => Promise<void>
  /** Asks it to end, and waits. */
  readonly close: () => Promise<void>
}

/** When a process was killed, or terminated, or stood still. */
export interface Death {
  readonly at: number
  readonly step: Step | undefined
}
export interface Stop {
  readonly by: string
  readonly from: number
  readonly to: number
}

export interface Settings {
  readonly directory: string
  readonly database: Database
  readonly seed: number
  readonly lease?: number | undefined
  readonly maxCrashes?: number | undefined
  readonly work?: number | undefined
  /** Whether a process may end with an error, as its database goes away. */
  readonly mayFail?: boolean | undefined
  readonly limited?: boolean | undefined
}

export type Start = Partial<Pick<Task, "step" | "nth" | "skews" | "poisons" | "limited">>

const script = join(import.meta.dirname, "../child.ts")

/** A database, the processes that work on it, and what was done to them. */
export class World {
  readonly random: Random
  readonly processes = new Set<Process>()
  readonly deaths = new Map<string, Death>()
  readonly stops: Array<Stop> = []
  readonly terminations: Array<number> = []
  readonly problems: Array<string> = []
  readonly logs: string
  readonly lease: number
  readonly settings: Settings
  /** As this process sees it: its connections are not those that are ended. */
  private readonly database: Database
  private started = 0
  /** How many processes ended by themselves that should not. */
  unexpected = 0
  private readonly runtime: ManagedRuntime.ManagedRuntime<SqlClient.SqlClient, unknown>
  private closing = false

  constructor(settings: Settings) {
    this.settings = settings
    this.random = makeRandom(settings.seed)
    this.lease = settings.lease ?? 1500
    this.logs = join(settings.directory, "logs")
    this.database = settings.database.kind === "pg"
      ? { ...settings.database, application: "crash" }
      : settings.database
    this.runtime = ManagedRuntime.make(layerClient(this.database))
    mkdirSync(this.logs, { recursive: true })
  }

  get kills(): number {
    return this.deaths.size
  }

  run<A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient>): Promise<A> {
    return this.runtime.runPromise(effect)
  }

  async create(): Promise<void> {
    if (over) throw new Error("The run is over.")
    worlds.add(this)
    const { database } = this.settings
    if (database.kind === "pg") {
      await this.run(Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE SCHEMA ${sql(database.schema)}`))
    }
    await this.run(createDomain)
  }

  private disposed: Promise<void> | undefined

  dispose(): Promise<void> {
    return this.disposed ??= this.takeAway()
  }

  private async takeAway(): Promise<void> {
    worlds.delete(this)
    const { database } = this.settings
    await Promise.all([...this.processes].map((process) => process.kill()))
    if (database.kind === "pg") {
      await this.run(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP SCHEMA IF EXISTS ${sql(database.schema)} CASCADE`)
      )
    }
    await this.runtime.dispose()
  }

  start(role: Role, options: Start = {}): Process {
    if (over) throw new Error("The run is over.")
    const { settings: { database, directory, maxCrashes = 1000, mayFail = false, work = 30 }, lease, logs } = this
    const name = `${role}-${++this.started}`
    const task: Task = {
      role,
      name,
      database,
      log: logs,
      seed: this.random.between(0, 2 ** 31),
      nth: 1,
      lease,
      maxCrashes,
      work,
      poisons: 0,
      limited: this.settings.limited ?? false,
      ...options
    }
    const output = join(directory, `${name}.txt`)
    const file = openSync(output, "a")
    const child = fork(script, {
      env: { ...process.env, CRASH_TASK: JSON.stringify(task) },
      stdio: ["ignore", file, file, "ipc"]
    })
    closeSync(file)
    children.add(child)
    const ready = Promise.withResolvers<void>()
    const stop = async (milliseconds: number, byItself = false): Promise<void> => {
      self.isStopped = true
      const from = Date.now()
      if (!byItself) child.kill("SIGSTOP")
      await sleep(milliseconds)
      this.stops.push({ by: name, from, to: Date.now() })
      child.kill("SIGCONT")
      self.isStopped = false
    }
    child.on("message", (message: Message) => {
      if (message === "ready") {
        self.readySince = Date.now()
        ready.resolve()
      } else if (message === "kill me") {
        child.kill("SIGKILL")
      } else {
        void stop(lease * 2, true)
      }
    })
    const ended = new Promise<void>((resolve) =>
      child.on("exit", (code, signal) => {
        children.delete(child)
        this.processes.delete(self)
        self.isEnded = true
        ready.resolve()
        if (signal === "SIGKILL") this.deaths.set(name, { at: Date.now(), step: options.step })
        else if (code !== 0 && !mayFail && !this.closing) {
          this.unexpected++
          this.problems.push(`${name} ended by itself with ${signal ?? code}: ${tail(output)}`)
        }
        resolve()
      })
    )
    const self: Process = {
      name,
      role,
      ready: ready.promise,
      ended,
      readySince: Infinity,
      isEnded: false,
      isStopped: false,
      kill: () => {
        child.kill("SIGKILL")
        return ended
      },
      stop,
      close: async () => {
        child.kill("SIGTERM")
        const timer = setTimeout(() => {
          this.problems.push(`${name} did not end when it was asked to: ${tail(output)}`)
          child.kill("SIGKILL")
        }, 20_000)
        await ended
        clearTimeout(timer)
      }
    }
    this.processes.add(self)
    return self
  }

  alive(role: Role): ReadonlyArray<Process> {
    return [...this.processes].filter((process) => process.role === role)
  }

  /** How many entries are to be performed. */
  waiting(): Promise<number> {
    return this.run(this.withStore((store) => store.count({ states: ["pending", "scheduled", "running"] })))
  }

  withStore<A, E>(use: (store: OutboxStore.OutboxStore["Service"]) => Effect.Effect<A, E>) {
    return Effect.flatMap(OutboxStore.OutboxStore, use).pipe(
      Effect.provide(layerStore(this.database)),
      Effect.scoped
    )
  }

  /** Until everything was performed; workers that die meanwhile are replaced. */
  async drain(workers: number, patience: number): Promise<void> {
    const until = Date.now() + patience
    let waiting = await this.waiting()
    while (waiting > 0 && Date.now() < until && this.unexpected < 5) {
      while (this.alive("worker").length < workers) this.start("worker")
      await sleep(150)
      waiting = await this.waiting()
    }
    if (waiting > 0) this.problems.push(`${waiting} entries still wait after ${patience / 1000} s`)
  }

  async close(role?: Role): Promise<void> {
    this.closing = true
    const some = role === undefined ? [...this.processes] : this.alive(role)
    await Promise.all(some.map(async (process) => {
      await process.ready
      await process.close()
    }))
    this.closing = false
  }

  /** Ends connections of the children, as an administrator or a failing network does. */
  async terminate(count: number): Promise<void> {
    const { database } = this.settings
    if (database.kind !== "pg") return
    const ended = await this.run(
      Effect.flatMap(SqlClient.SqlClient, (sql) =>
        sql`SELECT pg_terminate_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity WHERE application_name = ${database.application} AND pid <> pg_backend_pid()
        ORDER BY random() LIMIT ${count}
      ) AS chosen`)
    )
    const at = Date.now()
    this.terminations.push(...ended.map(() => at))
  }

  async read() {
    const domain = await this.run(readDomain)
    const entries = await this.run(this.withStore(Effect.fnUntraced(function*(store) {
      const found: Array<OutboxStore.Entry> = []
      while (true) {
        const page = yield* store.find({}, { limit: 1000, before: found.at(-1)?.id })
        found.push(...page)
        if (page.length < 1000) return found
      }
    })))
    return { ...domain, entries, lines: log.read(this.logs) }
  }
}

const tail = (file: string): string => readFileSync(file, "utf8").trim().slice(-600) || "it printed nothing"

/** A small file system of its own, where this machine allows it. */
export const mountSmall = (directory: string, megabytes: number): boolean => {
  try {
    mkdirSync(directory, { recursive: true })
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", directory], { stdio: "ignore" })
    process.prependListener("exit", () => unmount(directory))
    return true
  } catch {
    return false
  }
}

export const unmount = (directory: string): void => {
  try {
    execFileSync("umount", [directory], { stdio: "ignore" })
  } catch {
    // It is gone already.
  }
}
