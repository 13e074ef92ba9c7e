import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"

/** What a child process is told. `Offer` adds transactions of any of the sizes, no further ahead than `Demand` says. */
export type Order =
  | { readonly _tag: "Connect" }
  | { readonly _tag: "Insert"; readonly from: number; readonly size: number; readonly milliseconds: number }
  | { readonly _tag: "Add"; readonly from: number; readonly to: number; readonly size: number }
  | { readonly _tag: "Pace"; readonly from: number; readonly jobs: number; readonly every: number }
  | { readonly _tag: "Offer"; readonly sizes: ReadonlyArray<number> }
  | { readonly _tag: "Demand"; readonly total: number }
  | { readonly _tag: "StopOffering" }
  | { readonly _tag: "Work"; readonly slots: number; readonly pause: number; readonly timed: boolean }
  | { readonly _tag: "Stop" }

/** What a child process answers. `Progress` and `Offered` come unasked. */
export type Report =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Progress"; readonly handled: number; readonly at: number }
  | { readonly _tag: "Offered"; readonly total: number; readonly at: number }
  | { readonly _tag: "Inserted"; readonly jobs: number; readonly elapsed: number }
  | { readonly _tag: "Times"; readonly times: ReadonlyArray<readonly [begun: number, committed: number]> }
  | { readonly _tag: "Handled"; readonly indexes: ReadonlyArray<number>; readonly at: ReadonlyArray<number> }

export interface Child {
  /** Handled so far. */
  handled: number
  /** Added so far, of what it was told to `Offer`. */
  offered: number
  readonly ask: (order: Order) => Promise<Report>
  readonly tell: (order: Order) => void
  readonly stop: () => Promise<Extract<Report, { _tag: "Handled" }>>
}

/** Where every child process leaves a CPU profile. */
const profiles = process.env["BENCH_PROFILES"]

const running = new Set<ChildProcess>()

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Starts a process of a contender, and waits until it has loaded its modules. */
export const start = async (contender: string): Promise<Child> => {
  const child = fork(join(import.meta.dirname, "../child.ts"), [contender], {
    serialization: "advanced",
    execArgv: profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`]
  })
  running.add(child)
  let waiting: { readonly resolve: (report: Report) => void; readonly reject: (error: Error) => void } | undefined
  const answer = (): Promise<Report> => new Promise((resolve, reject) => waiting = { resolve, reject })
  const exited = new Promise<void>((resolve) =>
    child.on("exit", (code) => {
      running.delete(child)
      waiting?.reject(new Error(`A process of ${contender} ended with ${code} before it had answered`))
      resolve()
    })
  )
  child.on("message", (report: Report) => {
    if (report._tag === "Progress") self.handled = report.handled
    else if (report._tag === "Offered") self.offered = report.total
    else waiting?.resolve(report)
  })
  const tell = (order: Order): void => void child.send(order)
  const ask = (order: Order): Promise<Report> => {
    const answered = answer()
    tell(order)
    return answered
  }
  const self: Child = {
    handled: 0,
    offered: 0,
    tell,
    ask,
    stop: async () => {
      const report = await ask({ _tag: "Stop" })
      // Some contenders leave timers behind.
      const timer = setTimeout(() => child.kill("SIGKILL"), 2000)
      await exited
      clearTimeout(timer)
      return report as Extract<Report, { _tag: "Handled" }>
    }
  }
  await answer()
  return self
}
