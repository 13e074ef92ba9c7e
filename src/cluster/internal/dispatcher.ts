import * as EntityAddress from "effect/cluster/EntityAddress"
import * as EntityId from "effect/cluster/EntityId"
import * as EntityType from "effect/cluster/EntityType"
import * as Envelope from "effect/cluster/Envelope"
import * as Outgoing from "effect/cluster/Message"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as RpcClient from "effect/rpc/RpcClient"
import * as Engine from "../../engine/Engine.ts"
import type { Job } from "../../engine/Job.ts"
import { checkNumber } from "../../internal/check.ts"
import * as transaction from "../../internal/transaction.ts"
import { defaultEntity, defaultOrderBy, laneOf, Message, type OrderBy, Perform } from "./protocol.ts"

/** Those of whoever sends are no matter of the side effect, and may be secret. */
const noHeaders = RpcClient.CurrentHeaders.defaultValue()

export interface Options {
  readonly entity?: string | undefined
  readonly orderBy?: OrderBy | undefined
  readonly concurrency?: number | undefined
}

export const make = (options: Options = {}): Engine.Engine<never, Sharding.Sharding> => {
  const { concurrency = 8, entity: type = defaultEntity, orderBy = defaultOrderBy } = options
  checkNumber("ClusterSideEffects.dispatcher", "concurrency", concurrency)
  return Engine.dispatcher({
    name: "cluster",
    honours: { delay: true, priority: false, queue: false },
    connect: Effect.gen(function*() {
      const sendOf = sendTo(yield* Sharding.Sharding, yield* Effect.serviceOption(MessageStorage.MessageStorage), type)
      return {
        handOver: (jobs) =>
          Effect.withFiber((fiber): Effect.Effect<void, unknown> => {
            if (inTransaction(fiber.context)) return Effect.fail(new InsideTransaction({ message: insideOf(jobs) }))
            const send = sendOf()
            return Effect.forEach(
              rows(jobs.map((job) => new Message({ job, order: orderBy(job) }))),
              (row) => Effect.forEach(row, send, { discard: true }),
              { concurrency, discard: true }
            )
          })
      }
    })
  })
}

/** How long the first message of a batch that nobody takes notice of is waited for, and how long those after it. */
const patience = /*#__PURE__*/ Duration.seconds(10)
const impatience = /*#__PURE__*/ Duration.seconds(1)

const sendTo = (
  sharding: Sharding.Sharding["Service"],
  storage: Option.Option<MessageStorage.MessageStorage["Service"]>,
  entityType: string
) => {
  const shared = {
    rpc: Perform,
    annotations: Perform.annotations,
    context: Context.empty(),
    lastReceivedReply: Option.none(),
    respond: () => Effect.void
  }
  return () => {
    let tired = false
    return (payload: Message) =>
      Effect.flatMap(sharding.getSnowflake, (requestId) => {
        const { job } = payload
        const entityId = EntityId.make(laneOf(payload))
        const address = new EntityAddress.EntityAddress({
          entityType: EntityType.make(entityType),
          entityId,
          shardId: sharding.getShardId(entityId, "default")
        })
        const envelope = Envelope.makeRequest<typeof Perform>({
          requestId,
          address,
          tag: "Perform",
          payload,
          headers: noHeaders
        })
        // A runner without the entity answers nobody: this one before it has written the message, another one behind that.
        const nobody = Effect.suspend((): Effect.Effect<void, unknown> => {
          const first = !tired
          tired = true
          return Effect.flatMap(
            storage._tag === "None" ?
              Effect.succeedNone :
              storage.value.requestIdForPrimaryKey({ address, tag: "Perform", id: job.id }),
            (kept) => {
              if (kept._tag === "None") return Effect.fail(new NoWorker({ message: noWorkerOf(job, entityType) }))
              return first ? Effect.logWarning(waitsOf(job, entityType)) : Effect.void
            }
          )
        })
        // By hand, as a client does not send a stream without waiting for it.
        return sharding.sendOutgoing(new Outgoing.OutgoingRequest({ ...shared, envelope }), true).pipe(
          // It has been accepted before.
          Effect.catchTag("AlreadyProcessingMessage", () => Effect.void),
          Effect.interruptible,
          Effect.timeoutOrElse({ duration: tired ? impatience : patience, orElse: () => nobody })
        )
      })
  }
}

class NoWorker extends /*#__PURE__*/ Data.TaggedError("NoWorker")<{ readonly message: string }> {}

const noWorkerOf = ({ name }: Job, entityType: string): string =>
  `Side effect "${name}" was not accepted: within 10 seconds the cluster did not answer, most likely as this process owns ` +
  `its shard and has no ClusterSideEffects.layerWorker for entity "${entityType}". Give this process that worker, or make it ` +
  "a client of the cluster (clientOnly)."

const waitsOf = ({ name }: Job, entityType: string): string =>
  `Side effect "${name}" is kept, but the runner it belongs to has not answered within 10 seconds. It waits there, most ` +
  `likely for a ClusterSideEffects.layerWorker for entity "${entityType}": give it to all runners of the cluster.`

class InsideTransaction extends /*#__PURE__*/ Data.TaggedError("InsideTransaction")<{ readonly message: string }> {}

const inTransaction = ({ mapUnsafe }: Context.Context<never>): boolean => {
  for (const key of mapUnsafe.keys()) if (transaction.isKey(key)) return true
  return false
}

const insideOf = ([job]: ReadonlyArray<Job>): string =>
  `Side effect "${
    job!.name
  }" was released inside a transaction, and the cluster knows nothing of that: it would look ` +
  "before the commit, or perform what is rolled back. Hand it over after the commit: " +
  "SqlSideEffects.afterCommit(ClusterSideEffects.dispatcher()), or Outbox.layerRelay where it must not be lost."

/** Those that have the same key stay in order. */
const rows = (messages: ReadonlyArray<Message>): ReadonlyArray<ReadonlyArray<Message>> => {
  const rows: Array<Array<Message>> = []
  const byKey = new Map<string, Array<Message>>()
  for (const message of messages) {
    const row = message.order === undefined ? undefined : byKey.get(message.order)
    if (row !== undefined) {
      row.push(message)
      continue
    }
    const begun = [message]
    rows.push(begun)
    if (message.order !== undefined) byKey.set(message.order, begun)
  }
  return rows
}
