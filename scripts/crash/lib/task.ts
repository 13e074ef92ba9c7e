/** Where everything is kept. The tables of a world on PostgreSQL are in a schema of its own. */
export type Database =
  | { readonly kind: "pg"; readonly url: string; readonly schema: string; readonly application: string }
  | { readonly kind: "sqlite"; readonly filename: string }

/** Where a process of each role can be made to die, or to stand still, by itself. */
export const steps = {
  producer: ["during-offer", "before-commit", "during-commit", "after-commit"],
  worker: ["during-claim", "after-claim", "in-handler", "after-handler", "during-settle", "after-settle"],
  stopping: ["stop-in-handler", "stop-before-settle"],
  migrator: ["in-migration"],
  operator: ["in-replay"]
} as const

export type Step = typeof steps[keyof typeof steps][number]

export type Role = "producer" | "worker" | "migrator" | "operator"

/** What a process is told, in the variable `CRASH_TASK`. */
export interface Task {
  readonly role: Role
  readonly name: string
  readonly database: Database
  readonly log: string
  readonly seed: number
  /** It dies when it comes there for the `nth` time. */
  readonly step?: Step | undefined
  readonly nth: number
  readonly lease: number
  readonly maxCrashes: number
  /** How long handlers take, at most. */
  readonly work: number
  /** Milliseconds that its clock is wrong by; it jumps from one to the next every second. */
  readonly skews?: ReadonlyArray<number> | undefined
  /** One in so many orders wishes for what kills whoever performs it, as often as `poisons` says. */
  readonly poisons: number
  /** Whether a mark beside the database says that there is no space left. */
  readonly limited: boolean
}
