import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

// Where a promise stands. Code that knows nothing of Effect is asked for its boundary, also behind an `await`, where no
// fiber is running any more. Nobody pays for that who has no function of the old kind: nothing is done until `arm`.

/** What a place is to those below it. */
export interface Standing {
  readonly root: object
  /** Nothing here keeps a call from leaving at once. */
  readonly isOutside: boolean
  /** The place that counts for a fiber with this context. */
  readonly seen: (context: Context.Context<never>) => Standing
  readonly enqueue: (sideEffect: any, payload: unknown) => Effect.Effect<unknown>
}

export interface Ambient {
  readonly place: Standing
  readonly context: Context.Context<never>
  /** The side effect whose old function is running here. */
  readonly performing: string | undefined
}

interface Storage {
  readonly getStore: () => Ambient | undefined
  readonly run: <A>(ambient: Ambient | undefined, f: () => A) => A
  readonly enterWith: (ambient: Ambient | undefined) => void
}

/** What of Node, Bun and Deno is used. It is not imported, so that the core runs where it is not. */
declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

const makeStorage = (): Storage | undefined => {
  const node = typeof process === "undefined" ? undefined : process
  const hooks = node?.getBuiltinModule?.("node:async_hooks") as { AsyncLocalStorage?: new() => Storage } | undefined
  return hooks?.AsyncLocalStorage === undefined ? undefined : new hooks.AsyncLocalStorage()
}

let armed = false
let storage: Storage | undefined
/** Where there is no storage, what holds until the next `await`. */
let current: Ambient | undefined

/** From here on every place is told to the promises inside it. */
export const arm = (): void => {
  if (armed) return
  armed = true
  storage = makeStorage()
}

/** The service key of `Place`, which stands above. */
const key = "effect-side-effects/SideEffects"

/** Where the caller stands: the fiber that runs it, or the place it was started in. */
export const here = (): Ambient | undefined => {
  const entered = storage === undefined ? current : storage.getStore()
  const context = Fiber.getCurrent()?.context
  const service = context?.mapUnsafe.get(key) as Standing | undefined
  if (context === undefined || service === undefined) return entered
  const place = service.seen(context)
  // A fiber that a promise has started anew does not lead out of where that was started.
  if (entered !== undefined && (entered.place === place || (place.isOutside && entered.place.root === place.root))) {
    return entered.place === place ? { ...entered, context } : entered
  }
  return { place, context, performing: undefined }
}

/** Calls a function that belongs to a place. */
export const run = <A>(ambient: Ambient, f: () => A): A => {
  if (storage !== undefined) return storage.run(ambient, f)
  const before = current
  current = ambient
  try {
    return f()
  } finally {
    current = before
  }
}

/** Fibers that have a copy of the storage of their own, which those who started them do not see. */
const confined = new WeakSet<Fiber.Fiber<any, any>>()

/**
 * Tells a place to the promises that an effect waits for.
 *
 * Effect carries what is in the storage from each pause of a fiber to the next and into the fibers it forks, but what
 * runs until the first pause shares it with the caller of `runFork`. So each fiber pauses before it enters for the first
 * time.
 */
export const enter = <A, E, R>(place: Standing, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  if (!armed) return self
  const kept = storage
  if (kept === undefined) return Effect.andThen(warnOnce, self)
  return Effect.withFiber((fiber) => {
    const inside = Effect.suspend(() => {
      const before = kept.getStore()
      kept.enterWith({ place, context: fiber.context, performing: undefined })
      return Effect.onExitPrimitive(self, () => {
        kept.enterWith(before)
        return undefined
      })
    })
    if (confined.has(fiber)) return inside
    confined.add(fiber)
    return Effect.andThen(Effect.yieldNow, inside)
  })
}

let warned = false

const warnOnce: Effect.Effect<void> = /*#__PURE__*/ Effect.suspend(() => {
  if (warned) return Effect.void
  warned = true
  return Effect.logWarning(
    "SideEffect.fromFunction finds no AsyncLocalStorage here, so a function that is called behind an await does not " +
      "know its boundary and is performed at once. Node, Bun and Deno have it; elsewhere turn on the compatibility " +
      "with Node, or call it before the first await."
  )
})
