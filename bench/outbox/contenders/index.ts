import type { Contender } from "../lib/contender.ts"

const families = {
  "outbox": async () => (await import("./outbox.ts")).contenders,
  "by-hand": async () => (await import("./byHand.ts")).contenders,
  "sqlite": async () => (await import("./sqlite.ts")).contenders,
  "persisted-queue": async () => (await import("./persistedQueue.ts")).contenders,
  "pg-boss": async () => (await import("./pgBoss.ts")).contenders,
  "graphile-worker": async () => (await import("./graphileWorker.ts")).contenders,
  "bullmq": async () => (await import("./bullmq.ts")).contenders
}

const used = new Set<string>()

/** A contender is named `<family>/<variant>`. Only its own modules are loaded. */
export const load = async (id: string): Promise<Contender> => {
  const [family, variant] = id.split("/")
  used.add(family!)
  const contender = (await families[family as keyof typeof families]?.())?.[variant!]
  if (contender === undefined) throw new Error(`There is no contender ${id}`)
  return contender
}

/** Takes away what is not in the database of the run. */
export const cleanUp = async (): Promise<void> => {
  if (used.has("bullmq")) await (await load("bullmq/default")).reset()
  if (used.has("sqlite")) (await import("./sqlite.ts")).removeAllFiles()
}
