/**
 * Performs intents through their handlers.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type { Root } from "./Boundary.ts"
import * as Decision from "./Decision.ts"
import type { Port } from "./Dispatcher.ts"
import type * as Intent from "./Intent.ts"
import { Cancel, Snooze } from "./internal/control.ts"
import type { HandlerEntry } from "./internal/handler.ts"
import { Place, SideEffects } from "./Place.ts"
import type * as SideEffect from "./SideEffect.ts"

/** A handler and the services it runs with. */
interface Handler {
  readonly entry: HandlerEntry
  /** By the context of the fiber that dispatches: a batch is dispatched in one. */
  readonly contexts: WeakMap<Context.Context<never>, Context.Context<any>>
}

type Step = (now: number, input: unknown) => Pull.Pull<[unknown, Duration.Duration], never, unknown, any>

/** An intent on its way through its attempts. */
interface Run {
  readonly intent: Intent.Any
  readonly handler: Handler
  attempts: number
  /** Where the attempt that is running stands. */
  place: Place
  step: Step | undefined
}

const done = /*#__PURE__*/ Effect.succeed(undefined)

/**
 * Makes all attempts of all intents, one intent after the other.
 *
 * Handlers that succeed cost next to nothing around each of them: a failure leaves the loop, is dealt with, and the loop
 * is entered again behind it.
 *
 * @internal
 */
export const make = (
  root: Root,
  handlers: ReadonlyMap<string, HandlerEntry>,
  observer: Decision.Observer | undefined
): Port["perform"] => {
  const known = new Map<string, Handler>()
  for (const [name, entry] of handlers) known.set(name, { entry, contexts: new WeakMap() })
  return (intents, by, wait = waitHere) =>
    Effect.withFiber((fiber) => {
      const caller = fiber.context
      const who = `dispatcher ${by}`
      let index = 0
      let run: Run | undefined
      /** What the handler before enqueued, on its way out. */
      let left: Effect.Effect<void> | undefined
      const next = () => {
        run = undefined
        index++
      }
      const handlers = Effect.whileLoop({
        while: () => left !== undefined || index < intents.length,
        body: (): Effect.Effect<unknown, unknown, any> => {
          if (left !== undefined) {
            const effect = left
            left = undefined
            return effect
          }
          const intent = intents[index]!
          run ??= { intent, handler: known.get(intent.name)!, attempts: 0, place: undefined as any, step: undefined }
          run.attempts++
          run.place = Place.outside(root, intent.name)
          // By hand, as this is the hot path: what Effect.updateContext does, without its finalizer.
          fiber.setContext(Context.add(contextFor(run.handler, caller), SideEffects, run.place))
          const { handle, timeout } = run.handler.entry
          const effect = handle(intent.payload, deliveryOf(run))
          if (!Effect.isEffect(effect)) return Effect.die(new Error(notEffect(intent.name, effect)))
          return timeout === undefined ? effect : Effect.timeout(effect, timeout)
        },
        step: () => {
          fiber.setContext(caller)
          if (run === undefined) return
          const { attempts, intent, place } = run
          Decision.settle(observer, { _tag: "Dispatched", intent, by: who, attempts })
          if (place.boundary !== undefined) left = closeOwn(place, Exit.void)
          next()
        }
      })
      const loop: Effect.Effect<void, never, any> = Effect.catchCause(handlers, (cause) =>
        Effect.flatMap(failed(run!, cause, who, observer), (pause) => {
          fiber.setContext(caller)
          if (pause === undefined) {
            next()
            return loop
          }
          return Effect.flatMap(wait(pause, isSnoozed(cause)), (again) => {
            if (!again) {
              next()
            }
            return loop
          })
        }))
      return loop as Effect.Effect<void>
    })
}

const notEffect = (name: string, returned: unknown): string =>
  `The handler of "${name}" returned ${String(returned)} instead of an Effect. Wrap it: Effect.sync for a value, ` +
  "Effect.tryPromise for a promise."

const waitHere = (pause: Duration.Duration): Effect.Effect<boolean> => Effect.as(Effect.sleep(pause), true)

const deliveryOf = ({ attempts, intent }: Run): SideEffect.Delivery => ({
  intent: intent as any,
  attempt: attempts,
  idempotencyKey: intent.key ?? intent.id
})

/** The handler's own services over those of the fiber that dispatches. */
const contextFor = ({ contexts, entry }: Handler, caller: Context.Context<never>): Context.Context<any> => {
  let context = contexts.get(caller)
  if (context === undefined) {
    context = Context.merge(caller, entry.services)
    contexts.set(caller, context)
  }
  return context
}

/** Ends the boundary of a handler that enqueued. The intent has its decision, so what goes wrong here is only told. */
const closeOwn = (place: Place, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.catchCause(
    Effect.suspend(() => place.boundary?.close(exit) ?? Effect.void),
    (cause) => Effect.logError(`What the handler of "${place.handlerOf}" enqueued could not be released`, cause)
  )

const controlOf = (cause: Cause.Cause<unknown>): unknown => cause.reasons.find(Cause.isDieReason)?.defect

const isSnoozed = (cause: Cause.Cause<unknown>): boolean => controlOf(cause) instanceof Snooze

/**
 * The attempt failed. Returns the pause until the next one, or `undefined` when the intent has its decision. Whatever
 * an option of the handler throws is the end of this intent and of no other.
 */
const failed = (
  run: Run,
  cause: Cause.Cause<unknown>,
  by: string,
  observer: Decision.Observer | undefined
): Effect.Effect<Duration.Duration | undefined, never, any> => {
  const { attempts, handler: { entry: { onExhausted } }, intent, place } = run
  const fail = (cause: Cause.Cause<unknown>) =>
    Decision.settle(observer, { _tag: "Failed", intent, by, attempts, cause })
  return closeOwn(place, Exit.failCause(cause)).pipe(
    Effect.andThen(Effect.suspend(() => pauseOf(run, cause))),
    Effect.catchCause((died) => {
      fail(Cause.combine(cause, died))
      return done
    }),
    Effect.tap((pause) => {
      if (pause !== undefined || Decision.of(intent) !== undefined) return Effect.void
      const control = controlOf(cause)
      if (control instanceof Cancel) {
        const reason = `cancelled: ${control.reason}`
        Decision.settle(observer, { _tag: "Dropped", intent, by: `handler of ${intent.name}`, reason })
        return Effect.void
      }
      fail(cause)
      return onExhausted === undefined ? Effect.void : Effect.catchCause(
        Effect.suspend(() => onExhausted(cause, deliveryOf(run))),
        (died) => Effect.logError(`onExhausted of side effect "${intent.name}" died`, died)
      )
    })
  )
}

/** The time until the next attempt, or `undefined` when there is none. */
const pauseOf = /*#__PURE__*/ Effect.fnUntraced(function*(
  run: Run,
  cause: Cause.Cause<unknown>
): Effect.fn.Return<Duration.Duration | undefined, never, any> {
  const control = controlOf(cause)
  if (control instanceof Snooze) {
    run.attempts--
    return control.duration
  }
  const { retryWhile, schedule } = run.handler.entry
  const error = cause.reasons.find(Cause.isFailReason)
  if (schedule === undefined || error === undefined || control !== undefined) return undefined
  if (retryWhile !== undefined && !retryWhile(error.error)) return undefined
  run.step ??= yield* Schedule.toStep(schedule)
  return yield* Pull.matchEffect(run.step(yield* Clock.currentTimeMillis, error.error), {
    onSuccess: ([, duration]) => Effect.succeed(duration),
    onFailure: Effect.failCause,
    onDone: () => done
  })
})
