import * as Duration from "effect/Duration"
import { defaultQueue, encode, isPriority, metadataOf, originOf } from "../../engine/Job.ts"
import type * as Intent from "../../Intent.ts"
import { redactedPaths } from "../../internal/redact.ts"
import type { Offer } from "../OutboxStore.ts"

/** In characters: what databases and their drivers take together, in whichever way these are encoded. */
export const maxPayload = 3_000_000
const maxMetadata = 200_000
const maxWord = 500

/** It must not be accepted if a worker could not read it, or no index hold it. */
const atMost = (name: string, what: string, text: string | undefined, most: number, advice: string): void => {
  if (text === undefined || text.length <= most) return
  throw new Error(
    `Side effect "${name}" was enqueued with ${what} of ${text.length} characters, and the outbox takes ${most}. ${advice}`
  )
}

/** An intent, as it is written. Throws where something of it cannot be stored. */
export const offerOf = (intent: Intent.Any): Offer => {
  const { sideEffect } = intent
  const json = encode(intent)
  const payload = textOf(json)
  const { delay, key, name, priority = 0, queue = defaultQueue } = intent
  const origin = originOf(intent)
  if (!isPriority(priority)) {
    throw new Error(
      `Side effect "${name}" was enqueued with priority ${priority}. The outbox takes whole numbers up to a million.`
    )
  }
  atMost(name, "a payload", payload, maxPayload, "Keep it elsewhere, and enqueue where it is.")
  const metadata = metadataOf(intent)
  atMost(name, "metadata", metadata, maxMetadata, "Enqueue less of it.")
  atMost(name, "an origin", origin, maxMetadata, "Say it shorter.")
  atMost(name, "a key", key, maxWord, "Make a digest of it.")
  atMost(name, "a queue", queue, maxWord, "Give it a shorter name.")
  return {
    id: intent.id,
    name,
    queue,
    priority,
    payload,
    redacted: redactedPaths(sideEffect as any, json),
    key,
    delay: delay === undefined ? 0 : Math.round(Duration.toMillis(delay)),
    origin,
    metadata,
    trace: intent.traceparent
  }
}

/** A payload without a value is stored as `null`. */
export const textOf = (json: unknown): string => JSON.stringify(json) ?? "null"
