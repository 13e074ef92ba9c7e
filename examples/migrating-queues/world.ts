/** Redis, what arrives outside, and the processes of the workers. Each run has its own keys, and removes them. */
import { Redis } from "ioredis"
import { type ChildProcess, fork } from "node:child_process"
import { randomUUID } from "node:crypto"
import { join } from "node:path"

const url = process.env["REDIS_URL"]

if (!url) {
  console.error("Set REDIS_URL, for example REDIS_URL=redis://127.0.0.1:6379")
  process.exit(1)
}

/** Of the keys of BullMQ. */
export const prefix = process.env["SHOP_PREFIX"] ?? `shop-${randomUUID().slice(0, 8)}`

/** The queue that has always been there. */
export const queueName = "shop"

export const connection = { url, maxRetriesPerRequest: null }

const redis = new Redis(url, { lazyConnect: true })
const sent = `${prefix}:sent`

/** What customers and the warehouse get, once a line. */
export const arrive = (what: string): Promise<unknown> => redis.rpush(sent, what)

export const arrived = (): Promise<ReadonlyArray<string>> => redis.lrange(sent, 0, -1)

/** From one step to the next nothing is left. */
export const clear = async (): Promise<void> => {
  const keys = await redis.keys(`${prefix}:*`)
  if (keys.length > 0) await redis.del(...keys)
}

export const disconnect = (): void => redis.disconnect()

/** The workers of a deployment are processes of their own. */
export const start = async (file: "old-worker.ts" | "new-worker.ts"): Promise<ChildProcess> => {
  const child = fork(join(import.meta.dirname, file), { env: { ...process.env, SHOP_PREFIX: prefix } })
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve())
    child.once("exit", (code) => reject(new Error(`${file} ended with ${code}`)))
  })
  return child
}

export const stop = async (child: ChildProcess, signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill(signal)
  await ended
}
