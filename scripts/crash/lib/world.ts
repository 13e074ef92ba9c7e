import { OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as SqlClient from "effect/sql/SqlClient"
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { createDomain, layerClient, layerStore, readDomain } from "./database.ts"
import * as log from "./log.ts"
import { type Process, Processes, sleep } from "./processes.ts"
import type { Database, Role, Task } from "./task.ts"

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
export class World extends Processes<Role> {
  readonly terminations: Array<number> = []
  readonly lease: number
  readonly settings: Settings
  /** As this process sees it: its connections are not those that are ended. */
  private readonly database: Database
  private readonly runtime: ManagedRuntime.ManagedRuntime<SqlClient.SqlClient, unknown>

  constructor(settings: Settings) {
    super(settings)
    this.settings = settings
    this.lease = settings.lease ?? 1500
    this.database = settings.database.kind === "pg"
      ? { ...settings.database, application: "crash" }
      : settings.database
    this.runtime = ManagedRuntime.make(layerClient(this.database))
  }

  run<A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient>): Promise<A> {
    return this.runtime.runPromise(effect)
  }

  async create(): Promise<void> {
    this.begin()
    const { database } = this.settings
    if (database.kind === "pg") {
      await this.run(Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE SCHEMA ${sql(database.schema)}`))
    }
    await this.run(createDomain)
  }

  protected async takeAway(): Promise<void> {
    const { database } = this.settings
    if (database.kind === "pg") {
      await this.run(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP SCHEMA IF EXISTS ${sql(database.schema)} CASCADE`)
      )
    }
    await this.runtime.dispose()
  }

  start(role: Role, options: Start = {}): Process<Role> {
    const { settings: { database, limited = false, maxCrashes = 1000, mayFail, work = 30 }, lease, logs } = this
    return this.launch({
      role,
      script,
      mayFail,
      step: options.step,
      task: (name): Task => ({
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
        limited,
        ...options
      })
    })
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
