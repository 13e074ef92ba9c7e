import { type Maker, subjects } from "../../../test/engine/subjects/index.ts"
import type { Connect } from "../lib/share.ts"
import type { Kind, Side } from "../lib/side.ts"
import { type Engine, ours } from "./ours.ts"

type Bare = (connect: Connect, namespace: string) => Side

interface Entry {
  /** A subject of the tests: what is made in its place is removed with it. */
  readonly subject: string
  readonly bare: () => Promise<Bare>
  /** About how many jobs a second one process does, so that all are measured for about the same time. */
  readonly pace: number
  /** Where ours is not connected as in the tests. */
  readonly ours?: () => Promise<{ readonly engine: Engine; readonly connect: (namespace: string) => Connect }>
}

const persistedQueue = async () => (await import("./persistedQueue.ts")).bare

const sides: Readonly<Record<string, Entry>> = {
  "persisted-queue-redis": { subject: "persisted-queue-redis", bare: persistedQueue, pace: 2000 },
  "persisted-queue-postgres": { subject: "persisted-queue-postgres", bare: persistedQueue, pace: 600 },
  "bullmq": { subject: "bullmq", bare: async () => (await import("./bullmq.ts")).bare, pace: 4000 },
  "pg-boss": { subject: "pg-boss", bare: async () => (await import("./pgBoss.ts")).bare, pace: 6000 },
  "cluster": {
    subject: "cluster-postgres",
    bare: async () => (await import("./cluster.ts")).bare,
    ours: async () => (await import("./cluster.ts")).ours,
    pace: 500
  },
  "workflow": {
    subject: "workflow-postgres",
    bare: async () => (await import("./workflow.ts")).bare,
    ours: async () => (await import("./workflow.ts")).ours,
    pace: 150
  }
}

const entries: Readonly<Record<string, { readonly needs: string | undefined; readonly make: () => Promise<Maker> }>> =
  subjects as any

/** Those that are measured here. */
export const engines: ReadonlyArray<string> = Object.keys(sides).filter((name) => sides[name]!.subject in entries)

export const paceOf = (engine: string): number => sides[engine]!.pace

/** The variable that is not set and has to be. */
export const missing = (engine: string): string | undefined => {
  const { needs } = entries[sides[engine]!.subject]!
  return needs === undefined || process.env[needs] !== undefined ? undefined : needs
}

export const makerOf = (engine: string): Promise<Maker> => entries[sides[engine]!.subject]!.make()

/** One side of an engine, in a place that the parent removes. */
export const load = async (engine: string, kind: Kind, namespace: string): Promise<Side> => {
  const { layer, subject } = (await makerOf(engine))(namespace, { child: true })
  const own = await sides[engine]!.ours?.()
  const connect: Connect = own === undefined ? () => layer : own.connect(namespace)
  return kind === "bare" ? (await sides[engine]!.bare())(connect, namespace) : ours(own?.engine ?? subject, connect)
}
