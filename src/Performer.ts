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
import { DispatchError, type Performing, type Port } from "./Dispatcher.ts"
import type * as Intent from "./Intent.ts"
import * as ambient from "./internal/ambient.ts"
import { Cancel, Snooze } from "./internal/control.ts"
import type { HandlerEntry } from "./internal/handler.ts"
import { leave, Place, SideEffects } from "./Place.ts"
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
  intent: Intent.Any
  handler: Handler
  attempts: number
  failures: number
  /** Where the attempt that is running stands. */
  place: Place
  step: Step | undefined
}

const done = /*#__PURE__*/ Effect.succeed(undefined)
const anew: Performing = {}
const never: ReadonlyArray<number> = []

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
  return (intents, by, { failedAt = never, made = 0, wait = waitHere, whole = false } = anew) =>
    Effect.withFiber((fiber) => {
      const caller = fiber.context
      const who = `dispatcher ${by}`
      // The most common end, shared by all that come to it.
      const dispatched: Decision.Shared = { _tag: "Dispatched", by: who, attempts: 1 }
      let index = 0
      let begun = false
      const run: Run = {
        intent: undefined!,
        handler: undefined!,
        attempts: 0,
        failures: 0,
        place: undefined!,
        step: undefined
      }
      /** What the handler before enqueued, on its way out. */
      let left: Effect.Effect<void, any> | undefined
      let succeeded = false
      const next = () => {
        begun = false
        succeeded = false
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
          if (!begun) {
            begun = true
            run.intent = intent
            run.handler = known.get(intent.name)!
            run.attempts = made
            run.failures = failedAt.length
            run.step = undefined
          }
          run.attempts++
          run.place = Place.outside(root, intent.name)
          // By hand, as this is the hot path: what Effect.updateContext does, without its finalizer.
          fiber.setContext(Context.add(contextFor(run.handler, caller), SideEffects, run.place))
          const { handle, timeout } = run.handler.entry
          const effect = handle(intent.payload, deliveryOf(run))
          if (!Effect.isEffect(effect)) return Effect.die(new Error(notEffect(intent.name, effect)))
          const placed = ambient.enter(run.place, effect)
          const attempt = timeout === undefined ? placed : Effect.timeout(placed, timeout)
          return root.instruments === undefined ? attempt : root.instruments.deliver(attempt, deliveryOf(run), by)
        },
        step: () => {
          fiber.setContext(caller)
          if (!begun) return
          const { attempts, intent, place } = run
          if (whole && !succeeded) {
            left = accepted(place)
            succeeded = left !== undefined
            if (succeeded) return
          }
          Decision.settleShared(observer, intent, attempts === 1 ? dispatched : { ...dispatched, attempts })
          if (!succeeded) left = finish(place, Exit.void)
          next()
        }
      })
      const loop: Effect.Effect<void, never, any> = Effect.catchCause(handlers, (cause) => {
        // Of the handler, or of what `left` did; that fails only while there is a run.
        fiber.setContext(caller)
        succeeded = false
        return Effect.flatMap(failed(run, cause, who, observer, root, caller, failedAt), (pause) => {
          if (pause === undefined) {
            next()
            return loop
          }
          return Effect.flatMap(wait(pause, controlOf(cause) instanceof Snooze, cause), (again) => {
            if (!again) next()
            return loop
          })
        })
      })
      // Only in the background, and only when its layer closes. Interruption passes by catchCause.
      return Effect.onInterrupt(loop as Effect.Effect<void>, () => {
        fiber.setContext(caller)
        return (begun ? finish(run.place, Exit.interrupt()) : undefined) ?? Effect.void
      })
    })
}

/** The attempt is over. Closes the boundary that its handler got if it enqueued. */
const finish = (
  place: Place,
  exit: Exit.Exit<unknown, unknown>,
  reason?: string | undefined
): Effect.Effect<void> | undefined => {
  place.over = exit._tag === "Success" ? "released" : "discarded"
  const { boundary } = place
  if (boundary === undefined) return undefined
  const close = () => reason === undefined ? boundary.close(exit) : boundary.discard(exit, reason)
  // The intent has its decision, or gets it from the cause of the handler: what goes wrong here is only told.
  return Effect.uninterruptible(Effect.catchCause(
    Effect.suspend(() => close() ?? Effect.void),
    (cause) => Effect.logError(`What the handler of "${place.handlerOf}" enqueued could not be released`, cause)
  ))
}

/** The same after a success that is none when what was enqueued is not accepted. */
const accepted = (place: Place): Effect.Effect<void, any> | undefined => {
  place.over = "released"
  const { boundary } = place
  return boundary && Effect.uninterruptible(Effect.catchDefect(
    Effect.suspend(() => boundary.close(Exit.void) ?? Effect.void),
    (defect) =>
      defect instanceof DispatchError
        ? Effect.failCause(defect.failures.map(({ cause }) => cause).reduce(Cause.combine))
        : Effect.die(defect)
  ))
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
    context = Context.merge(leave(caller), entry.services)
    contexts.set(caller, context)
  }
  return context
}

const controlOf = (cause: Cause.Cause<unknown>): unknown => cause.reasons.find(Cause.isDieReason)?.defect

/**
 * The attempt failed. Returns the pause until the next one, or `undefined` when the intent has its decision. Whatever
 * an option of the handler throws is the end of this intent and of no other.
 */
const failed = (
  run: Run,
  cause: Cause.Cause<unknown>,
  by: string,
  observer: Decision.Observer | undefined,
  root: Root,
  caller: Context.Context<never>,
  failedAt: ReadonlyArray<number>
): Effect.Effect<Duration.Duration | undefined, never, any> => {
  const { attempts, handler, intent } = run
  const control = controlOf(cause)
  const delivery = deliveryOf(run)
  const reason = control instanceof Cancel
    ? `was cancelled: ${control.reason}`
    : control instanceof Snooze
    ? "snoozed"
    : undefined
  const fail = (cause: Cause.Cause<unknown>) =>
    Decision.settle(observer, { _tag: "Failed", intent, by, attempts, cause })
  return Effect.andThen(
    finish(run.place, Exit.failCause(cause), reason) ?? Effect.void,
    Effect.suspend(() => pauseOf(run, cause, failedAt))
  ).pipe(
    Effect.catchCause((died) => {
      fail(Cause.combine(cause, died))
      return done
    }),
    Effect.tap((pause) => {
      if (pause !== undefined || Decision.of(intent) !== undefined) return Effect.void
      if (control instanceof Cancel) {
        const reason = `cancelled: ${control.reason}`
        Decision.settle(observer, { _tag: "Dropped", intent, by: `handler of ${intent.name}`, reason })
        return Effect.void
      }
      fail(cause)
      const { onExhausted } = handler.entry
      if (onExhausted === undefined) return Effect.void
      // A unit of work of its own, as an attempt is.
      const place = Place.outside(root, intent.name)
      return place.provide(Effect.suspend(() => onExhausted(cause, delivery))).pipe(
        Effect.onExit((exit) => finish(place, exit) ?? Effect.void),
        Effect.catchCause((died) => Effect.logError(`onExhausted of side effect "${intent.name}" died`, died))
      )
    }),
    Effect.updateContext(() => contextFor(handler, caller))
  )
}

/** The time until the next attempt, or `undefined` when there is none. */
const pauseOf = /*#__PURE__*/ Effect.fnUntraced(function*(
  run: Run,
  cause: Cause.Cause<unknown>,
  failedAt: ReadonlyArray<number>
): Effect.fn.Return<Duration.Duration | undefined, never, any> {
  const control = controlOf(cause)
  if (control instanceof Snooze) {
    run.attempts--
    return control.duration
  }
  const { maxAttempts, retryWhile, schedule } = run.handler.entry
  run.failures++
  const error = cause.reasons.find(Cause.isFailReason)
  if (schedule === undefined || error === undefined || control !== undefined) return undefined
  if (maxAttempts !== undefined && run.failures >= maxAttempts) return undefined
  if (retryWhile !== undefined && !retryWhile(error.error)) return undefined
  if (run.step === undefined) {
    run.step = yield* Schedule.toStep(schedule)
    // Where it was taken up from elsewhere, the schedule goes through what it has seen there.
    for (const at of failedAt) {
      const ended = yield* Pull.matchEffect(run.step(at, error.error), {
        onSuccess: () => Effect.succeed(false),
        onFailure: Effect.failCause,
        onDone: () => Effect.succeed(true)
      })
      if (ended) return undefined
    }
  }
  return yield* Pull.matchEffect(run.step(yield* Clock.currentTimeMillis, error.error), {
    onSuccess: ([, duration]) => Effect.succeed(duration),
    onFailure: Effect.failCause,
    onDone: () => done
  })
})
