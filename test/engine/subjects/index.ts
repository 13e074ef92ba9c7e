import type * as EngineSuite from "effect-side-effects/engine/testing"
import type * as Layer from "effect/Layer"

/** An engine on a connection of its own. */
export interface Made {
  readonly subject: EngineSuite.Subject<any, any>
  /** The connection, on what nobody else uses and is empty. It is removed when this is closed, but not in a child process. */
  readonly layer: Layer.Layer<any, any>
}

/** `child`: this process is one that a test has started, on the connection of that test. */
export type Maker = (namespace: string, options?: { readonly child?: boolean | undefined }) => Made

export interface Entry {
  readonly make: Maker
  /** The variable that names the service that it needs. */
  readonly needs?: "POSTGRES_URL" | "REDIS_URL" | undefined
}

const load = (needs: Entry["needs"], make: () => Promise<Maker>) => ({ needs, make })

/**
 * All engines that are proven here, by the name that a child process is given. Each is loaded when it is asked for, so that
 * the child of one engine does not load the others.
 */
export const subjects = {
  "bullmq": load("REDIS_URL", async () => (await import("./bullmq.ts")).make),
  "pg-boss": load("POSTGRES_URL", async () => (await import("./pgBoss.ts")).make),
  "cluster-postgres": load("POSTGRES_URL", async () => (await import("./cluster.ts")).makePostgres),
  "cluster-sqlite": load(undefined, async () => (await import("./cluster.ts")).makeSqlite),
  "own": load(undefined, async () => (await import("./own.ts")).make),
  "outbox-memory": load(undefined, async () => (await import("./outbox.ts")).makeMemory),
  "outbox-sqlite": load(undefined, async () => (await import("./outbox.ts")).makeSqlite),
  "outbox-postgres": load("POSTGRES_URL", async () => (await import("./outbox.ts")).makePostgres),
  "persisted-queue-memory": load(undefined, async () => (await import("./persistedQueue.ts")).makeMemory),
  "persisted-queue-redis": load("REDIS_URL", async () => (await import("./persistedQueue.ts")).makeRedis),
  "persisted-queue-postgres": load("POSTGRES_URL", async () => (await import("./persistedQueue.ts")).makePostgres),
  "persisted-queue-sqlite": load(undefined, async () => (await import("./persistedQueue.ts")).makeSqlite),
  "workflow-memory": load(undefined, async () => (await import("./workflow.ts")).makeMemory),
  "workflow-postgres": load("POSTGRES_URL", async () => (await import("./workflow.ts")).makePostgres),
  "workflow-sqlite": load(undefined, async () => (await import("./workflow.ts")).makeSqlite)
} as const satisfies Record<string, ReturnType<typeof load>>
