/**
 * The conformance suite of engines: what every engine promises, as cases that any test runner can run.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as ChildProcess from "effect/process/ChildProcess"
import type * as Dispatcher from "../Dispatcher.ts"
import type * as EngineWorker from "../engine/EngineWorker.ts"
import type * as Event from "../Event.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"

/**
 * A job that is dead, as the engine holds it. `error` is the text of why.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadJob {
  readonly id: string
  readonly error: string
}

/**
 * An engine that is put to the proof.
 *
 * **Details**
 *
 * - `dispatcher`, `layerWorker`: the engine. `R` are the services of its connection; each case gets new and empty ones.
 * - `dead`: what the engine holds as dead.
 * - `patience` (default 10 seconds): how long what has to happen may take, redelivery after a lost process excepted.
 * - `crash`: what becomes of jobs whose process is lost. `command` starts a process that runs `runWorker` on the same
 *   connection; `recovery` is how long it may take until another worker has what the lost one held; `keepsProgress` says
 *   whether the attempts that were made before count. `undefined` where an engine lives in one process and dies with it.
 * - `deduplicates`: whether a job that is handed over twice, with one id, is there once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<E, R> {
  readonly name: string
  readonly dispatcher: Dispatcher.Dispatcher<false, E, R>
  readonly layerWorker: <S extends SideEffect.Any, Ev extends Event.Any>(
    group: SideEffectGroup.SideEffectGroup<S, Ev>,
    options?: EngineWorker.Options
  ) => Layer.Layer<never, E, EngineWorker.Services<S, Ev, R>>
  readonly dead: Effect.Effect<ReadonlyArray<DeadJob>, unknown, R>
  readonly patience?: Duration.Input | undefined
  readonly deduplicates: boolean
  readonly crash: {
    readonly command: Effect.Effect<ChildProcess.Command, unknown, R>
    readonly recovery: Duration.Input
    readonly keepsProgress: boolean
  } | undefined
}
