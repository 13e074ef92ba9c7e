import { join } from "node:path"
import type { Database } from "../lib/task.ts"

/** As long as this file is there, producers wait. */
export const holdMark = (logs: string): string => join(logs, "hold")

/** Where a process of each role can be made to die by itself. */
export const steps = {
  producer: ["before-hand-over", "during-hand-over", "after-hand-over"],
  relay: ["before-hand-over", "during-hand-over", "after-hand-over"],
  worker: ["in-handler", "after-handler"]
} as const

export type Step = typeof steps[keyof typeof steps][number]

export type Role = keyof typeof steps

/** What a process is told, in the variable `CRASH_TASK`. */
export interface Task {
  readonly role: Role
  readonly name: string
  /** A subject of `test/engine/subjects`, and the place that this world has in it. */
  readonly engine: string
  readonly namespace: string
  /** Where the outbox is that is relayed from. */
  readonly outbox: Database | undefined
  /** Intents with one key are performed one after the other. */
  readonly ordered: boolean
  readonly log: string
  readonly seed: number
  /** It dies when it comes there for the `nth` time. */
  readonly step?: Step | undefined
  readonly nth: number
  /** How long handlers take, at most. */
  readonly work: number
}
