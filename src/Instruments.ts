/**
 * Instruments: what listens to a live layer, to measure it or to watch over it.
 *
 * The layer of an entrance that listens provides them, and `LiveLayer`, `ConfigLayer`, `DropLayer` and the worker of the
 * outbox read them when they are built. Where there are none, nothing is done for them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Decision from "./Decision.ts"
import type * as Intent from "./Intent.ts"
import type * as SideEffect from "./SideEffect.ts"

/**
 * Listens to a live layer.
 *
 * @internal
 */
export interface Instruments {
  readonly observer: Decision.Observer
  /** Around deciding on and dispatching what a boundary holds that no other one waits for. */
  readonly release: <A, E>(
    self: Effect.Effect<A, E>,
    boundary: Boundary,
    intents: ReadonlyArray<Intent.Any>
  ) => Effect.Effect<A, E>
  /** Around what a dispatcher does with a batch. */
  readonly dispatch: <A, E>(
    self: Effect.Effect<A, E>,
    dispatcher: string,
    intents: ReadonlyArray<Intent.Any>
  ) => Effect.Effect<A, E>
  /** Around one attempt of a handler. */
  readonly deliver: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    delivery: SideEffect.Delivery<any>,
    dispatcher: string
  ) => Effect.Effect<A, E, R>
  /** One intent more is with a dispatcher of the background, or one less. */
  readonly underway: (dispatcher: string, change: 1 | -1) => void
  /** An entry of the outbox is dead, and there never was an intent to decide on. */
  readonly lost: (name: string, reason: string) => void
  /** Those it passes everything on to. */
  readonly parts?: ReadonlyArray<Instruments> | undefined
}

/** What they hear of a boundary. That of a handler is released when the handler has ended, in the fiber that dispatches. */
interface Boundary {
  readonly options: { readonly name?: string | undefined }
  readonly ofHandler: boolean
}

/**
 * Those that a layer is built with.
 *
 * @internal
 */
export const Current: Context.Reference<Instruments | undefined> = /*#__PURE__*/ Context.Reference<
  Instruments | undefined
>("effect-side-effects/Instruments", { defaultValue: () => undefined })

/**
 * Those that are there, and that no layer has been built with so far: somebody has put them beside it.
 *
 * @internal
 */
export const unheard: Set<Instruments> = /*#__PURE__*/ new Set()

/**
 * For a layer that is being built.
 *
 * @internal
 */
export const taken: Effect.Effect<Instruments | undefined> = /*#__PURE__*/ Effect.map(Current, (instruments) => {
  take(instruments)
  return instruments
})

const take = (instruments: Instruments | undefined): void => {
  if (instruments === undefined) return
  unheard.delete(instruments)
  instruments.parts?.forEach(take)
}

/**
 * One that leaves everything as it is, to add to.
 *
 * @internal
 */
export const silent: Instruments = {
  observer: { enqueued: () => {}, decided: () => {}, emitted: () => {}, concluded: () => {} },
  release: (self) => self,
  dispatch: (self) => self,
  deliver: (self) => self,
  underway: () => {},
  lost: () => {}
}

/**
 * Two that are told the same, one after the other.
 *
 * @internal
 */
export const alongside = (a: Decision.Observer, b: Decision.Observer): Decision.Observer => ({
  enqueued: (intent) => {
    a.enqueued(intent)
    b.enqueued(intent)
  },
  decided: (decision) => {
    a.decided(decision)
    b.decided(decision)
  },
  emitted: (event) => {
    a.emitted(event)
    b.emitted(event)
  },
  concluded: (event) => {
    a.concluded(event)
    b.concluded(event)
  }
})

/**
 * Two that listen side by side, the first one outermost.
 *
 * @internal
 */
export const both = (a: Instruments, b: Instruments): Instruments => ({
  parts: [a, b],
  observer: alongside(a.observer, b.observer),
  release: (self, boundary, intents) => a.release(b.release(self, boundary, intents), boundary, intents),
  dispatch: (self, dispatcher, intents) => a.dispatch(b.dispatch(self, dispatcher, intents), dispatcher, intents),
  deliver: (self, delivery, dispatcher) => a.deliver(b.deliver(self, delivery, dispatcher), delivery, dispatcher),
  underway: (dispatcher, change) => {
    a.underway(dispatcher, change)
    b.underway(dispatcher, change)
  },
  lost: (name, reason) => {
    a.lost(name, reason)
    b.lost(name, reason)
  }
})
