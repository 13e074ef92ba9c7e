import * as EntityId from "effect/cluster/EntityId"
import * as Envelope from "effect/cluster/Envelope"
import * as Message from "effect/cluster/Message"
import type * as MessageStorage from "effect/cluster/MessageStorage"
import * as Reply from "effect/cluster/Reply"
import type * as Sharding from "effect/cluster/Sharding"
import * as Snowflake from "effect/cluster/Snowflake"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Progress, untouched } from "../../engine/Job.ts"
import { Journal, lanes, Perform, type Request } from "./protocol.ts"

/**
 * What is written beside a message while it is handled: so another runner goes on where this one was lost.
 *
 * `due` is when the next delivery is, in epoch milliseconds. `begin` is told of each delivery, `retry` and `stay` of how it
 * ended where it was not the last one.
 */
interface Journals {
  readonly progress: Progress
  readonly due: number
  readonly begin: (progress: Progress) => Effect.Effect<void>
  readonly retry: (progress: Progress, due: number) => Effect.Effect<void>
  readonly stay: (progress: Progress) => Effect.Effect<void>
}

export interface Book {
  readonly of: (request: Request) => Journals
  /** Looks every now and then which shards there are. */
  readonly watch: Effect.Effect<never>
}

export const make = (
  sharding: Sharding.Sharding["Service"],
  storage: MessageStorage.MessageStorage["Service"],
  now: () => number
): Book => {
  const shards = new Map(
    Array.from({ length: lanes }, (_, lane) => sharding.getShardId(EntityId.make(`${lane}`), "default"))
      .map((shard) => [shard.toString(), shard])
  )
  /** From when on a shard is known to be here. What is older may have been begun by the runner before. */
  const since = new Map<string, number>()

  const look = () => {
    for (const [name, shard] of shards) {
      if (!sharding.hasShardId(shard)) since.delete(name)
      else if (!since.has(name)) since.set(name, now())
    }
  }

  const isSuspect = ({ address, requestId }: Request): boolean => {
    const shard = address.shardId.toString()
    let first = since.get(shard)
    if (first === undefined) since.set(shard, first = now())
    return Snowflake.timestamp(requestId) <= first
  }

  const of = (request: Request): Journals => {
    const last = Option.getOrUndefined(request.lastSentChunkValue)
    const suspect = last !== undefined || isSuspect(request)
    let sequence = request.nextSequence
    let marked = false

    const write = (journal: Journal): Effect.Effect<void> =>
      Effect.gen(function*() {
        const { address, requestId } = request
        const id = yield* sharding.getSnowflake
        const chunk = new Reply.Chunk<typeof Perform>({ requestId, id, sequence: sequence++, values: [journal] })
        const acknowledged = new Envelope.AckChunk({
          id: yield* sharding.getSnowflake,
          address,
          requestId,
          replyId: id
        })
        // Together: a message with a chunk that nobody has acknowledged is not read again.
        yield* storage.withTransaction(Effect.andThen(
          storage.saveReply(new Reply.ReplyWithContext({ reply: chunk, rpc: Perform, context: Context.empty() })),
          storage.saveEnvelope(new Message.OutgoingEnvelope({ envelope: acknowledged, rpc: Perform as any }))
        ))
        marked = journal.begun
      }).pipe(
        // Another runner then knows less of it, and that is all.
        Effect.catchCause((cause) =>
          Effect.logWarning(
            `What has happened to side effect "${request.payload.job.name}" so far could not be kept`,
            cause
          )
        )
      )

    return {
      progress: last === undefined ? request.payload.job.progress ?? untouched : lost(last),
      due: last === undefined || last.begun ? 0 : last.due,
      begin: (progress) => suspect ? write(new Journal({ progress, due: 0, begun: true })) : Effect.void,
      retry: (progress, due) => write(new Journal({ progress, due, begun: false })),
      stay: (progress) => marked ? write(new Journal({ progress, due: 0, begun: false })) : Effect.void
    }
  }

  return { of, watch: Effect.forever(Effect.delay(Effect.sync(look), "250 millis")) }
}

/** A delivery that had begun, and whose end nobody has seen. */
const lost = ({ begun, progress }: Journal): Progress =>
  begun ? { ...progress, attempts: progress.attempts + 1, crashes: progress.crashes + 1 } : progress
