import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as DeliverAt from "effect/cluster/DeliverAt"
import * as Entity from "effect/cluster/Entity"
import * as DateTime from "effect/DateTime"
import * as Hash from "effect/Hash"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import { Job, Progress } from "../../engine/Job.ts"
import { reasons } from "../../engine/Outcome.ts"

/**
 * How many entities there are. It decides in which one a key is, so changing it breaks the order of what is on its way.
 */
export const lanes = 1024

export const defaultEntity = "SideEffects"

/** A job, and the key of those that run one after another with it. */
export class Message extends Schema.Class<Message>("effect-side-effects/cluster/Message")({
  job: Job,
  order: /*#__PURE__*/ Schema.optional(Schema.String)
}) {
  [PrimaryKey.symbol](): string {
    return this.job.id
  }

  [DeliverAt.symbol](): DateTime.DateTime {
    const { createdAt, delay } = this.job
    // Whatever the clocks of two machines say, what has no delay is due.
    return DateTime.makeUnsafe(delay > 0 ? createdAt + delay : 0)
  }
}

/** What has happened to a job that was handled before, and whether a delivery of it had begun. */
export class Journal extends Schema.Class<Journal>("effect-side-effects/cluster/Journal")({
  progress: Progress,
  due: Schema.Number,
  begun: Schema.Boolean
}) {}

export class Buried extends Schema.TaggedError<Buried>()("SideEffectDead", {
  reason: Schema.Literals(reasons),
  error: Schema.String
}) {}

/**
 * A stream only for its chunks, which are kept with the message and come back with it: none is ever sent.
 */
export const Perform =
  /*#__PURE__*/ (() =>
    Rpc.make("Perform", { payload: Message, success: Journal, error: Buried, stream: true })
      .annotate(ClusterSchema.Persisted, true)
      .annotate(ClusterSchema.InterruptOnTermination, true))()

export type Request = Entity.Request<typeof Perform>

export const entity = (type: string) => Entity.make(type, [Perform]).annotate(ClusterSchema.ClientTracingEnabled, false)

export type OrderBy = (job: Job) => string | undefined

export const defaultOrderBy: OrderBy = ({ key, name }) => key === undefined ? undefined : `${name} ${key}`

export const laneOf = ({ job, order }: Message): string => `${Math.abs(Hash.string(order ?? job.id)) % lanes}`
