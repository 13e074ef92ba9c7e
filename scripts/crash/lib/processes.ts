import { type ChildProcess, fork } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { makeRandom, type Random } from "./random.ts"

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

const children = new Set<ChildProcess>()
/** What has to be taken away, whatever ends this process. */
const worlds = new Set<Processes<string>>()
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

export interface Process<Role extends string = string> {
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
  readonly step: string | undefined
}
export interface Stop {
  readonly by: string
  readonly from: number
  readonly to: number
}

/** What a process tells its parent. */
export type Message = "ready" | "kill me" | "stopped"

/** What a process is to do: `task` goes to it in the variable `CRASH_TASK`. */
export interface Launch<Role extends string> {
  readonly role: Role
  readonly script: string
  readonly step?: string | undefined
  /** Whether it may end with an error, as its database goes away. */
  readonly mayFail?: boolean | undefined
  readonly task: (name: string) => object
}

/** Processes that are started, killed, stopped and closed, and what was done to them. */
export abstract class Processes<Role extends string> {
  readonly random: Random
  readonly processes = new Set<Process<Role>>()
  readonly deaths = new Map<string, Death>()
  readonly stops: Array<Stop> = []
  readonly problems: Array<string> = []
  readonly logs: string
  abstract readonly lease: number
  private readonly directory: string
  private started = 0
  private closing = false
  /** How many processes ended by themselves that should not. */
  unexpected = 0

  constructor({ directory, seed }: { readonly directory: string; readonly seed: number }) {
    this.directory = directory
    this.random = makeRandom(seed)
    this.logs = join(directory, "logs")
    mkdirSync(this.logs, { recursive: true })
  }

  get kills(): number {
    return this.deaths.size
  }

  /** From now on there is something to take away. */
  protected begin(): void {
    if (over) throw new Error("The run is over.")
    worlds.add(this)
  }

  protected abstract takeAway(): Promise<void>

  private disposed: Promise<void> | undefined

  dispose(): Promise<void> {
    return this.disposed ??= this.end()
  }

  private async end(): Promise<void> {
    worlds.delete(this)
    await Promise.all([...this.processes].map((process) => process.kill()))
    await this.takeAway()
  }

  protected launch({ mayFail = false, role, script, step, task }: Launch<Role>): Process<Role> {
    if (over) throw new Error("The run is over.")
    const name = `${role}-${++this.started}`
    const output = join(this.directory, `${name}.txt`)
    const file = openSync(output, "a")
    const child = fork(script, {
      env: {
        // Most of the time of a process that is killed soon is spent on compiling.
        NODE_COMPILE_CACHE: join(this.directory, "../compiled"),
        ...process.env,
        CRASH_TASK: JSON.stringify(task(name))
      },
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
        void stop(this.lease * 2, true)
      }
    })
    const ended = new Promise<void>((resolve) =>
      child.on("exit", (code, signal) => {
        children.delete(child)
        this.processes.delete(self)
        self.isEnded = true
        ready.resolve()
        if (signal === "SIGKILL") this.deaths.set(name, { at: Date.now(), step })
        else if (code !== 0 && !mayFail && !this.closing) {
          this.unexpected++
          this.problems.push(`${name} ended by itself with ${signal ?? code}: ${tail(output)}`)
        }
        resolve()
      })
    )
    const self: Process<Role> = {
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

  alive(role: Role): ReadonlyArray<Process<Role>> {
    return [...this.processes].filter((process) => process.role === role)
  }

  /** Those that have worked for so long. */
  working(since = 0): ReadonlyArray<Process<Role>> {
    const before = Date.now() - since
    return [...this.processes].filter(({ isStopped, readySince }) => !isStopped && readySince <= before)
  }

  /** Keeps so many processes of each role alive until `task` has ended. */
  async keep(
    wanted: Readonly<Partial<Record<Role, number>>>,
    start: (role: Role) => unknown,
    task: Promise<unknown>
  ): Promise<void> {
    const ended = task.then(() => true)
    // Where it is given up, nobody waits for the task.
    ended.catch(() => undefined)
    do {
      if (this.unexpected >= 5) throw new Error(this.problems.join("\n"))
      for (const role of Object.keys(wanted) as Array<Role>) {
        while (this.alive(role).length < (wanted[role] ?? 0)) start(role)
      }
    } while (!(await Promise.race([ended, sleep(50).then(() => false)])))
  }

  /** Until `kills` more have died of random kills, while somebody of each of these roles works. */
  async killSome(kills: number, while_: ReadonlyArray<Role>): Promise<void> {
    const until = this.kills + kills
    while (this.kills < until) {
      await sleep(this.random.between(0, 400))
      // Now and then also one that is just starting.
      const victims = this.random.chance(0.05)
        ? [...this.processes]
        : this.working(this.random.between(100, 1500))
      if (while_.every((role) => victims.some((process) => process.role === role))) {
        await this.random.pick(victims).kill()
      }
    }
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
}

const tail = (file: string): string => readFileSync(file, "utf8").trim().slice(-600) || "it printed nothing"
