/**
 * Side effects through a cluster of Effect: messages of entities, performed by whichever runner has the shard.
 *
 * @since 0.1.0
 */
import type * as MessageStorage from "effect/cluster/MessageStorage"
import type * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Layer from "effect/Layer"
import type * as Engine from "../engine/Engine.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Job from "../engine/Job.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as internalDispatcher from "./internal/dispatcher.ts"
import * as worker from "./internal/worker.ts"

export interface DispatcherOptions {
  readonly entity?: string | undefined
  readonly orderBy?: ((job: Job.Job) => string | undefined) | undefined
  readonly concurrency?: number | undefined
}
export const dispatcher: (options?: DispatcherOptions) => Engine.Engine<never, Sharding.Sharding> =
  internalDispatcher.make

export interface WorkerOptions extends Omit<EngineWorker.Options, "queues"> {
  readonly entity?: string | undefined
  readonly orderBy?: ((job: Job.Job) => string | undefined) | undefined
  readonly mailboxCapacity?: number | undefined
}
export const layerWorker = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: WorkerOptions
): Layer.Layer<
  never,
  never,
  EngineWorker.Services<S, Ev, Sharding.Sharding | MessageStorage.MessageStorage>
> => Layer.effectDiscard(worker.make(group, options)) as any

type Settings = ShardingConfig.ShardingConfig["Service"]

export const shardingConfig = (options?: Partial<Settings>): Partial<Settings> => ({
  shardLockExpiration: "6 seconds",
  shardLockRefreshInterval: "2 seconds",
  refreshAssignmentsInterval: "1 second",
  runnerHealthCheckInterval: "1 second",
  entityMessagePollInterval: "1 second",
  ...options
})

export const layerShardingConfig = (options?: Partial<Settings>): Layer.Layer<ShardingConfig.ShardingConfig> =>
  ShardingConfig.layer(shardingConfig(options))
