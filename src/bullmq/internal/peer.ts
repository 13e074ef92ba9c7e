import type { DelayedError, Queue, RedisConnection, UnrecoverableError, WaitingError, Worker } from "bullmq"
import * as peer from "../../internal/peer.ts"

/** What of it is used here as a value. */
interface Used {
  readonly DelayedError: typeof DelayedError
  readonly Queue: typeof Queue
  readonly RedisConnection: typeof RedisConnection
  readonly UnrecoverableError: typeof UnrecoverableError
  readonly WaitingError: typeof WaitingError
  readonly Worker: typeof Worker
}

export const BullMQ: Used = await peer.load("bullmq", "bullmq ioredis", import("bullmq"))
