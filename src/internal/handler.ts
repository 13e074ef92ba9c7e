import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"

/** What a handler's layer puts into the context under the key of its side effect. */
export interface HandlerEntry {
  readonly handle: (payload: any, delivery: any) => Effect.Effect<unknown, any, any>
  /** The services it was built with. */
  readonly services: Context.Context<any>
  readonly timeout: Duration.Duration | undefined
  readonly schedule: Schedule.Schedule<any, any, never, any> | undefined
  readonly maxAttempts: number | undefined
  readonly concurrency: number | undefined
  readonly retryWhile: ((error: any) => boolean) | undefined
  readonly onExhausted: ((cause: Cause.Cause<any>, delivery: any) => Effect.Effect<unknown, never, any>) | undefined
}
