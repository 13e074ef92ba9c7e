import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import type { Kind } from "./side.ts"

/** What a process is told to do. */
export type Order =
  | { readonly _tag: "Connect" }
  /** Adds so many jobs in batches. */
  | { readonly _tag: "Add"; readonly from: number; readonly to: number; readonly size: number }
  /** The same for so long. */
  | { readonly _tag: "AddFor"; readonly from: number; readonly milliseconds: number; readonly size: number }
  | { readonly _tag: "Work"; readonly slots: number; readonly latency: boolean }
  /** One job at a time, of which each is waited for. */
  | { readonly _tag: "Ping"; readonly jobs: number; readonly every: number }
  | { readonly _tag: "Stop" }

export type Report =
  | { readonly _tag: "Done" }
  | { readonly _tag: "Added"; readonly jobs: number; readonly elapsed: number }
  | { readonly _tag: "Progress"; readonly handled: number; readonly at: number }
  | { readonly _tag: "Pinged"; readonly begun: ReadonlyArray<number>; readonly accepted: ReadonlyArray<number> }
  | { readonly _tag: "Handled"; readonly indexes: ReadonlyArray<number> }

export interface Child {
  handled: number
  /** When it had handled so many. */
  at: number
  readonly ask: (order: Order) => Promise<Report>
  readonly stop: () => Promise<ReadonlyArray<number>>
}

const running = new Set<ChildProcess>()

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Starts a process of one side of an engine, and waits until it has loaded its modules. */
export const start = async (engine: string, kind: Kind, namespace: string): Promise<Child> => {
  const child = fork(join(import.meta.dirname, "../child.ts"), [engine, kind, namespace], { serialization: "advanced" })
  running.add(child)
  let waiting: PromiseWithResolvers<Report> | undefined
  const answer = (): Promise<Report> => (waiting = Promise.withResolvers<Report>()).promise
  const exited = new Promise<void>((resolve) =>
    child.on("exit", (code) => {
      running.delete(child)
      waiting?.reject(new Error(`A process of ${engine}, ${kind}, ended with ${code} before it had answered`))
      resolve()
    })
  )
  child.on("message", (report: Report) => {
    if (report._tag !== "Progress") return waiting?.resolve(report)
    self.handled = report.handled
    self.at = report.at
  })
  const ask = (order: Order): Promise<Report> => {
    const answered = answer()
    child.send(order)
    return answered
  }
  const self: Child = {
    handled: 0,
    at: 0,
    ask,
    stop: async () => {
      const report = await ask({ _tag: "Stop" })
      // Some engines leave timers behind.
      const timer = setTimeout(() => child.kill("SIGKILL"), 2000)
      await exited
      clearTimeout(timer)
      return report._tag === "Handled" ? report.indexes : []
    }
  }
  await answer()
  return self
}
