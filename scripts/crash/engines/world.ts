import { OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { layerClient, layerStore } from "../lib/database.ts"
import { type Process, Processes, sleep } from "../lib/processes.ts"
import type { Database } from "../lib/task.ts"
import { missing, storyOf } from "./judge.ts"
import { subjectOf } from "./subjects.ts"
import { holdMark, type Role, type Step, type Task } from "./task.ts"

export interface Settings {
  /** As it is called in the table. */
  readonly name: string
  readonly engine: string
  readonly namespace: string
  readonly outbox: Database | undefined
  readonly ordered: boolean
  readonly directory: string
  readonly seed: number
}

const script = join(import.meta.dirname, "child.ts")

/** An engine, and the processes that work with it. */
export class World extends Processes<Role> {
  readonly settings: Settings
  /** For how long a process stands still that is told to; none is. */
  readonly lease = 0

  constructor(settings: Settings) {
    super(settings)
    this.settings = settings
  }

  async create(): Promise<void> {
    this.begin()
    const { outbox } = this.settings
    if (outbox === undefined) return
    if (outbox.kind === "pg") {
      await this.runSql(Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE SCHEMA ${sql(outbox.schema)}`))
    }
  }

  private runSql<A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient>): Promise<A> {
    return Effect.runPromise(Effect.provide(effect, layerClient(this.settings.outbox!)))
  }

  /** What the processes used goes away with the layer of the one that may remove it. */
  protected async takeAway(): Promise<void> {
    const { engine, namespace, outbox } = this.settings
    const { layer } = await subjectOf(engine, namespace, { mayRemove: true })
    await Effect.runPromise(Effect.scoped(Layer.build(layer)))
    if (outbox?.kind === "pg") {
      await this.runSql(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql`DROP SCHEMA IF EXISTS ${sql(outbox.schema)} CASCADE`)
      )
    }
  }

  start(role: Role, options: { readonly step?: Step; readonly nth?: number } = {}): Process<Role> {
    const { engine, namespace, ordered, outbox } = this.settings
    return this.launch({
      role,
      script,
      step: options.step,
      task: (name): Task => ({
        role,
        name,
        engine,
        namespace,
        outbox,
        ordered,
        log: this.logs,
        seed: this.random.between(0, 2 ** 31),
        nth: 1,
        work: 150,
        ...options
      })
    })
  }

  /** Whether producers wait. */
  hold(on: boolean): void {
    if (on) writeFileSync(holdMark(this.logs), "")
    else rmSync(holdMark(this.logs), { force: true })
  }

  /** Until everything was performed that has to be, and then nothing has happened for a while. */
  async drain(wanted: Readonly<Partial<Record<Role, number>>>, patience: number): Promise<void> {
    const until = Date.now() + patience
    const performed = async () => {
      let quiet = 0
      while (quiet < 1500 && Date.now() < until) {
        await sleep(250)
        const story = storyOf(this.logs)
        const last = Math.max(...story.lines.map(({ at }) => at))
        quiet = missing(story).length === 0 ? Date.now() - last : 0
      }
    }
    await this.keep(wanted, (role) => this.start(role), performed())
  }

  /** What is dead that should not be, and what is left in the outbox. */
  async inspect(): Promise<void> {
    const { engine, namespace, outbox } = this.settings
    const { layer, subject } = await subjectOf(engine, namespace, { mayRemove: false })
    const dead = await Effect.runPromise(Effect.provide(subject.dead, layer))
    for (const { error, id } of dead.slice(0, 3)) this.problems.push(`${id} is dead: ${error.split("\n")[0]}`)
    if (outbox === undefined) return
    const count = (states: ReadonlyArray<OutboxStore.State>) =>
      this.runSql(
        Effect.flatMap(OutboxStore.OutboxStore, (store) => store.count({ states })).pipe(
          Effect.provide(layerStore(outbox)),
          Effect.scoped
        )
      )
    const waiting = await count(["pending", "scheduled", "running"])
    if (waiting > 0) this.problems.push(`${waiting} entries still wait in the outbox`)
    const buried = await count(["dead"])
    if (buried > 0) this.problems.push(`${buried} entries of the outbox are dead`)
  }
}
