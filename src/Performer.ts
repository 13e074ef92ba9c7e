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
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type { Root } from "./Boundary.ts"
import * as Decision from "./Decision.ts"
import type { Port, Run } from "./Dispatcher.ts"
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

interface RunState extends Run {
  attempts: number
  readonly handler: Handler
  /** Where the attempt that is running stands. */
  place: Place | undefined
  step: Step | undefined
}

/** Where handlers enqueue, and who is told of decisions. */
interface Env {
  readonly root: Root
  readonly observer: Decision.Observer | undefined
}

/** @internal */
export const make = (
  root: Root,
  handlers: ReadonlyMap<string, HandlerEntry>,
  observer: Decision.Observer | undefined
): Pick<Port, "attempt" | "begin" | "perform"> => {
  const known = new Map<string, Handler>()
  for (const [name, entry] of handlers) known.set(name, { entry, contexts: new WeakMap() })
  const begin = (intent: Intent.Any, by: string): RunState => ({
    intent,
    by: `dispatcher ${by}`,
    attempts: 0,
    handler: known.get(intent.name)!,
    place: undefined,
    step: undefined
  })
  return {
    begin,
    attempt: (run) => attempt({ root, observer }, run as RunState),
    perform: (intents, by) => perform({ root, observer }, intents, (intent) => begin(intent, by))
  }
}

const done = Effect.succeed(undefined)

const deliveryOf = ({ attempts, intent }: RunState): SideEffect.Delivery => ({
  intent: intent as any,
  attempt: attempts,
  idempotencyKey: intent.key ?? intent.id
})

/** Begins an attempt. The fiber is in the handler's context until it is put back. */
const start = (
  { root }: Env,
  run: RunState,
  fiber: Fiber.Fiber<unknown, unknown>,
  caller: Context.Context<never>
): Effect.Effect<unknown, unknown, any> => {
  const { handler, intent } = run
  const { entry } = handler
  run.attempts++
  run.place = Place.outside(root, intent.name)
  // By hand, as this is the hot path: what Effect.updateContext does, without its finalizer.
  fiber.setContext(Context.add(contextFor(handler, caller), SideEffects, run.place))
  const effect = entry.handle(intent.payload, deliveryOf(run))
  return entry.timeout === undefined ? effect : Effect.timeout(effect, entry.timeout)
}

/** The handler's own services over those of the fiber that dispatches. */
const contextFor = ({ contexts, entry }: Handler, caller: Context.Context<never>): Context.Context<any> => {
  let context = contexts.get(caller)
  if (context === undefined) {
    context = Context.merge(caller, entry.services)
    contexts.set(caller, context)
  }
  return context
}

/** The attempt went well. Returns what is left to do: the handler may have enqueued, and so got a boundary. */
const succeeded = ({ observer }: Env, { attempts, by, intent, place }: RunState): Effect.Effect<void> | undefined => {
  Decision.settle(observer, { _tag: "Dispatched", intent, by, attempts })
  return place!.boundary === undefined ? undefined : closeOwn(place!, Exit.void)
}

/** The intent has its decision, so what goes wrong with those of its handler is only told. */
const closeOwn = (place: Place, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
  Effect.catchCause(
    Effect.suspend(() => place.boundary!.close(exit) ?? Effect.void),
    (cause) => Effect.logError(`What the handler of "${place.handlerOf}" enqueued could not be released`, cause)
  )

/**
 * The attempt failed. Returns the pause until the next one, or `undefined` when the intent has its decision. Whatever
 * an option of the handler throws is the end of this intent and of no other.
 */
const failed = (
  env: Env,
  run: RunState,
  cause: Cause.Cause<unknown>
): Effect.Effect<Duration.Duration | undefined, never, any> => {
  const { attempts, by, intent, place } = run
  const own = place?.boundary === undefined ? Effect.void : closeOwn(place, Exit.failCause(cause))
  return Effect.andThen(own, conclude(env, run, cause)).pipe(
    Effect.catchCause((died) => {
      const both = Cause.combine(cause, died)
      Decision.settle(env.observer, { _tag: "Failed", intent, by, attempts, cause: both })
      return done
    })
  )
}

const conclude = (
  { observer }: Env,
  run: RunState,
  cause: Cause.Cause<unknown>
): Effect.Effect<Duration.Duration | undefined, never, any> => {
  const { attempts, by, handler: { entry }, intent } = run
  const control = cause.reasons.find(Cause.isDieReason)?.defect
  if (control instanceof Cancel) {
    const reason = `cancelled: ${control.reason}`
    Decision.settle(observer, { _tag: "Dropped", intent, by: `handler of ${intent.name}`, reason })
    return done
  }
  if (control instanceof Snooze) {
    run.attempts--
    return Effect.succeed(control.duration)
  }
  return Effect.flatMap(pause(run, cause), (duration) => {
    if (duration !== undefined) return Effect.succeed(duration)
    Decision.settle(observer, { _tag: "Failed", intent, by, attempts, cause })
    return entry.onExhausted === undefined ? done : Effect.matchCauseEffect(
      Effect.suspend(() => entry.onExhausted!(cause, deliveryOf(run))),
      {
        onSuccess: () => done,
        onFailure: (died) => Effect.as(Effect.logError(`onExhausted of side effect "${intent.name}" died`, died), undefined)
      }
    )
  })
}

/** The time until the next attempt, or `undefined` when there is none. */
const pause = Effect.fnUntraced(function*(
  run: RunState,
  cause: Cause.Cause<unknown>
): Effect.fn.Return<Duration.Duration | undefined, never, any> {
  const { retryWhile, schedule } = run.handler.entry
  const error = cause.reasons.find(Cause.isFailReason)
  if (schedule === undefined || error === undefined || Cause.hasDies(cause)) return undefined
  if (retryWhile !== undefined && !retryWhile(error.error)) return undefined
  run.step ??= yield* Schedule.toStep(schedule)
  const now = yield* Clock.currentTimeMillis
  return yield* Pull.matchEffect(run.step(now, error.error), {
    onSuccess: ([, duration]) => Effect.succeed(duration),
    onFailure: (died) => Effect.failCause(died),
    onDone: () => done
  })
})

/** One attempt, on its own. */
const attempt = (env: Env, run: RunState): Effect.Effect<Duration.Duration | undefined> =>
  Effect.withFiber((fiber) => {
    const caller = fiber.context
    const back = <A>(a: A): A => {
      fiber.setContext(caller)
      return a
    }
    return Effect.matchCauseEffect(Effect.suspend(() => start(env, run, fiber, caller)), {
      onSuccess: () => Effect.map(succeeded(env, run) ?? Effect.void, () => back(undefined)),
      onFailure: (cause) => Effect.map(failed(env, run, cause), back)
    }) as Effect.Effect<Duration.Duration | undefined>
  })

/**
 * All attempts of all intents, one after the other. A batch of handlers that succeed costs nothing around each of them:
 * a failure leaves the loop, is dealt with, and the loop is entered again behind it.
 */
const perform = (
  env: Env,
  intents: ReadonlyArray<Intent.Any>,
  begin: (intent: Intent.Any) => RunState
): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const caller = fiber.context
    let index = 0
    let run: RunState | undefined
    let left: Effect.Effect<void> | undefined
    let inHandler = false
    const handlers = Effect.whileLoop({
      while: () => left !== undefined || index < intents.length,
      body: () => {
        if (left !== undefined) {
          const effect = left
          left = undefined
          return effect
        }
        run ??= begin(intents[index]!)
        inHandler = true
        return start(env, run, fiber, caller)
      },
      step: () => {
        fiber.setContext(caller)
        if (!inHandler) return
        inHandler = false
        left = succeeded(env, run!)
        run = undefined
        index++
      }
    })
    const loop: Effect.Effect<void> = Effect.catchCause(handlers, (cause) =>
      Effect.flatMap(failed(env, run!, cause), (pause) => {
        fiber.setContext(caller)
        inHandler = false
        if (pause !== undefined) return Effect.flatMap(Effect.sleep(pause), () => loop)
        run = undefined
        index++
        return loop
      })) as Effect.Effect<void>
    return loop
  })
