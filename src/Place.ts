/**
 * A place: where a fiber stands in the program, and so what an intent meets that is enqueued there.
 *
 * It is the value of the service `SideEffects`. Every boundary and every `withPolicy` provides a new one to what is
 * inside it; forked fibers inherit it with their context.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Binding from "./Binding.ts"
import { BoundaryClosed, BoundaryState, InvalidPayload, NoBoundary, type Options, type Root } from "./Boundary.ts"
import * as Decision from "./Decision.ts"
import * as Event from "./Event.ts"
import type * as Intent from "./Intent.ts"
import * as ambient from "./internal/ambient.ts"
import { IntentImpl, type Local, type Told } from "./internal/intent.ts"
import type { Requirement } from "./internal/requirement.ts"
import * as Policy from "./Policy.ts"
import type * as SideEffect from "./SideEffect.ts"

/** A policy with an `onEnqueue`, and whose state it gets. */
interface Guard {
  readonly policy: Policy.Policy
  readonly of: BoundaryState | "local" | "layer"
}

const noOptions: Intent.Options = {}
const noBoundary: Options = {}
const succeeded = Exit.void

/** @internal */
export class Place implements ambient.Standing {
  readonly root: Root
  /** `undefined` outside every boundary. */
  boundary: BoundaryState | undefined
  readonly local: Local | undefined
  /** All policies around that want to be asked at the call site, innermost first. */
  readonly guards: ReadonlyArray<Guard>
  /** The handler that is running here, which gets a boundary of its own when it enqueues. */
  readonly handlerOf: string | undefined
  /** Of what is told none, from the innermost boundary that has one. */
  readonly origin: Options["origin"]
  /** Set when that handler has ended. */
  over: "released" | "discarded" | undefined = undefined

  constructor(
    root: Root,
    boundary: BoundaryState | undefined,
    local: Local | undefined,
    guards: ReadonlyArray<Guard>,
    handlerOf: string | undefined,
    origin: Options["origin"]
  ) {
    this.root = root
    this.boundary = boundary
    this.local = local
    this.guards = guards
    this.handlerOf = handlerOf
    this.origin = origin
  }

  /** Where a fiber stands that has this place and the rest of this context. */
  seen(context: Context.Context<never>): Place {
    if (this.boundary !== undefined || this.handlerOf !== undefined) return this
    // Where a service has captured its context when it was built, the fiber stands in a boundary all the same.
    for (let at = Context.getOrUndefined(context, Inside); at !== undefined; at = at.around) {
      if (standIn(at.place.root) === standIn(this.root)) return at.place
    }
    return this
  }

  /** Whether an old function that is called here does what it always did: nothing asks it to wait, or not to. */
  get isOutside(): boolean {
    const { boundary, handlerOf, local, root } = this
    return boundary === undefined && handlerOf === undefined && local === undefined && root.recording !== true
  }

  /** Outside every boundary. */
  static outside(root: Root, handlerOf?: string, origin?: Options["origin"]): Place {
    const layer = root.policy
    return new Place(
      root,
      undefined,
      undefined,
      layer?.onEnqueue === undefined ? noGuards : [{ policy: layer, of: "layer" }],
      handlerOf,
      origin
    )
  }

  /** Where a boundary with these options is opened: here, or outside of everything. */
  standing({ detached }: Options): Place {
    return detached === true ? Place.outside(this.root, undefined, this.origin) : this
  }

  /** The place inside a new boundary. */
  enter(boundary: BoundaryState): Place {
    const { origin, policy } = boundary.options
    const guards = policy?.onEnqueue === undefined ? this.guards : [{ policy, of: boundary }, ...this.guards]
    return new Place(this.root, boundary, this.local, guards, undefined, origin ?? this.origin)
  }

  /** The place inside a `withPolicy`. */
  narrow(policy: Policy.Policy): Place {
    // Once is enough, and one that remembers would count twice.
    if (this.local?.policies.includes(policy) === true) return this
    this.root.checkPolicy?.(policy)
    return new Place(
      this.root,
      this.surrounding(),
      {
        policies: [policy, ...(this.local?.policies ?? [])],
        names: [policy.name, ...(this.local?.names ?? [])]
      },
      policy.onEnqueue === undefined ? this.guards : [{ policy, of: "local" }, ...this.guards],
      undefined,
      this.origin
    )
  }

  /** Runs an effect here. */
  provide<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.updateContext(
      ambient.enter(this, self),
      (context: Context.Context<R>) => this.within(context)
    ) as Effect.Effect<A, E, R>
  }

  /**
   * The same, and closes what is here when it has ended. By hand, as this is the hot path: one finalizer does for both.
   */
  enclose<A, E, R, E2>(
    self: Effect.Effect<A, E, R>,
    fiber: Fiber.Fiber<any, any>,
    close: (exit: Exit.Exit<A, E>) => Effect.Effect<unknown, E2> | undefined
  ): Effect.Effect<A, E | E2, R> {
    const { context } = fiber
    return Effect.onExitPrimitive(
      Effect.suspend(() => {
        fiber.setContext(this.within(context))
        return ambient.enter(this, self)
      }),
      (exit) => {
        fiber.setContext(context)
        return close(exit)
      }
    )
  }

  /** What stands here, given all else that is around. */
  private within<R>(context: Context.Context<R>): Context.Context<R | SideEffects<never>> {
    const here = Context.add(context, SideEffects, this)
    if (this.boundary === undefined && this.root.standsFor === undefined) return here
    const before = Context.getOrUndefined(context, Inside)
    return Context.add(here, Inside, {
      place: this,
      around: before !== undefined && standIn(before.place.root) === standIn(this.root) ? before.around : before
    })
  }

  private whence(): string | undefined {
    return typeof this.origin === "function" ? this.origin() : this.origin
  }

  /** The boundary here. A handler's own is opened when it is first needed. */
  surrounding(): BoundaryState | undefined {
    if (this.boundary === undefined && this.handlerOf !== undefined) {
      this.boundary = new BoundaryState(this.root, undefined, { name: `handler of ${this.handlerOf}` })
      this.boundary.ofHandler = true
      this.boundary.closed = this.over
    }
    return this.boundary
  }

  open(options: Options): BoundaryState {
    return new BoundaryState(this.root, this.surrounding(), options)
  }

  enqueue(
    sideEffect: SideEffect.Any,
    payload: unknown,
    options: Intent.Options = noOptions
  ): Effect.Effect<IntentImpl> {
    const around = this.surrounding()
    // Outside, each intent is a unit of work of its own.
    const boundary = around ?? new BoundaryState(this.root, undefined, noBoundary)
    const intent = this.intend(boundary, sideEffect, payload, options)
    if (boundary.closed !== undefined) return this.late(boundary, intent)
    if (around === undefined && this.root.outsideBoundary === "reject") {
      return Effect.die(new NoBoundary({ intent: intent as any }))
    }
    if (around !== undefined && this.isUnguarded()) return this.push(boundary, intent, around)
    return Effect.andThen(
      this.ask(boundary, intent as any),
      this.atOnce(around, () => this.push(boundary, intent, around))
    )
  }

  /** Records the event and enqueues what follows from it: all of that, or nothing. */
  emit(event: Event.Any, payload: unknown): Effect.Effect<Event.EmittedImpl> {
    const around = this.surrounding()
    const boundary = around ?? new BoundaryState(this.root, undefined, noBoundary)
    const emitted = new Event.EmittedImpl(event, this.root.admitEvent(event, payload), this.whence())
    if (boundary.closed !== undefined) return this.lateEvent(boundary, emitted)
    if (around === undefined && this.root.outsideBoundary === "reject") {
      return Effect.die(new NoBoundary({ intent: undefined, event: emitted as any }))
    }
    const wishes = Binding.follow(this.root.bindings(emitted.name), emitted as any)
    const intents = wishes.map((wish) => this.fulfil(boundary, wish))
    if (around !== undefined && this.isUnguarded()) return this.record(boundary, emitted, intents, around)
    return Effect.andThen(
      Effect.forEach(intents, (intent) => this.ask(boundary, intent as any), { discard: true }),
      this.atOnce(around, () => this.record(boundary, emitted, intents, around))
    )
  }

  /** Outside a boundary, what is recorded is released: no interruption comes between the two. */
  private atOnce<A>(around: BoundaryState | undefined, effect: () => Effect.Effect<A>): Effect.Effect<A> {
    return around === undefined ? Effect.uninterruptible(Effect.suspend(effect)) : Effect.suspend(effect)
  }

  private intend(
    boundary: BoundaryState,
    sideEffect: SideEffect.Any,
    payload: unknown,
    options: Intent.Options
  ): IntentImpl {
    const admitted = this.root.admit(sideEffect, payload)
    const intent = new IntentImpl(
      sideEffect,
      admitted,
      options.key ?? (sideEffect.idempotencyKey === undefined ? undefined : keyOf(sideEffect, admitted)),
      this.told(sideEffect, options),
      this.local,
      boundary,
      Fiber.getCurrent()?.cache.span
    )
    this.root.check?.(intent as any)
    return intent
  }

  private told(sideEffect: SideEffect.Any, options: Intent.Options): Told {
    const delay = options.delay === undefined ? undefined : delayOf(sideEffect, options.delay)
    if (this.origin !== undefined && options.origin === undefined) return { ...options, delay, origin: this.whence() }
    return delay === undefined ? options as Told : { ...options, delay }
  }

  private fulfil(boundary: BoundaryState, { binding, options, payload }: Binding.Wish): IntentImpl {
    try {
      return this.intend(boundary, binding.sideEffect, payload, options)
    } catch (error) {
      const event = (options.origin as Event.Emitted).name
      throw error instanceof InvalidPayload
        ? new InvalidPayload({ sideEffect: error.sideEffect, binding: binding.id, event, problem: error.problem })
        : Binding.died(event, binding, error)
    }
  }

  private isUnguarded(): boolean {
    return this.guards.length === 0 || this.guards.every(({ policy }) => policy.isSilent?.() === true)
  }

  /** At the call site, innermost first. */
  private ask(boundary: BoundaryState, intent: Intent.Any): Effect.Effect<void> {
    return Effect.forEach(this.guards, ({ of, policy }) => {
      const { state } = of === "local"
        ? boundary.ask(policy, policy)
        : of === "layer"
        ? boundary.outermost.ask(policy, of)
        : of.ask(policy, "own")
      return Effect.catchDefect(
        Effect.suspend(() => policy.onEnqueue!(intent, state) ?? Effect.void),
        (cause) =>
          Effect.die(
            cause instanceof Policy.PolicyViolation
              ? cause
              : new Policy.PolicyDefect({ intent, policy: policy.name, cause })
          )
      )
    }, { discard: true })
  }

  private push(
    boundary: BoundaryState,
    intent: IntentImpl,
    around: BoundaryState | undefined
  ): Effect.Effect<IntentImpl> {
    // Once more: a policy may have taken its time.
    if (boundary.closed !== undefined) return this.late(boundary, intent)
    this.add(boundary, intent)
    return around === undefined
      ? this.releaseAlone(boundary, intent, outsideMessage(intent))
      : Effect.succeed(intent)
  }

  private record(
    boundary: BoundaryState,
    emitted: Event.EmittedImpl,
    intents: ReadonlyArray<IntentImpl>,
    around: BoundaryState | undefined
  ): Effect.Effect<Event.EmittedImpl> {
    if (boundary.closed !== undefined) return this.lateEvent(boundary, emitted)
    emitted.seq = this.root.seq++
    this.root.observer?.emitted(emitted)
    boundary.emit(emitted)
    for (const intent of intents) this.add(boundary, intent)
    return around === undefined
      ? this.releaseAlone(boundary, emitted, outsideEventMessage(emitted, intents.length))
      : Effect.succeed(emitted)
  }

  private add(boundary: BoundaryState, intent: IntentImpl): void {
    intent.seq = this.root.seq++
    this.root.observer?.enqueued(intent as any)
    this.root.noticed?.(intent as any)
    boundary.push(intent)
  }

  /** Outside every boundary there is nothing to wait for. Called where nothing interrupts. */
  private releaseAlone<A>(boundary: BoundaryState, value: A, message: string): Effect.Effect<A> {
    const release = Effect.suspend(() => boundary.close(succeeded) ?? Effect.void) as Effect.Effect<void>
    return Effect.as(
      this.root.outsideBoundary === "warn" && boundary.entries.length > 0
        ? Effect.andThen(Effect.logWarning(message), release)
        : release,
      value
    )
  }

  private lateEvent(
    { closed, label, options: { name } }: BoundaryState,
    event: Event.EmittedImpl
  ): Effect.Effect<never> {
    const message = `Event "${event.name}" was emitted after ${label} had ended (${closed}). ${outlived}`
    this.root.observer?.emitted(event)
    Decision.conclude(this.root.observer, event, {
      _tag: "Discarded",
      by: label,
      reason: `had ended (${closed}) when it was emitted`
    })
    return Effect.andThen(
      Effect.logError(message),
      Effect.die(new BoundaryClosed({ boundary: name, intent: undefined, event: event as any, message }))
    )
  }

  /** Dies, and says so: nobody may be waiting for the fiber that enqueued. */
  private late({ closed, label, options: { name } }: BoundaryState, impl: IntentImpl): Effect.Effect<never> {
    const intent = impl as unknown as Intent.Any
    const message = `Side effect "${intent.name}" was enqueued after ${label} had ended (${closed}). ${outlived}`
    this.root.observer?.enqueued(intent)
    Decision.settle(this.root.observer, {
      _tag: "Discarded",
      intent,
      by: label,
      reason: `had ended (${closed}) when it was enqueued`,
      cause: undefined
    })
    return Effect.andThen(Effect.logError(message), Effect.die(new BoundaryClosed({ boundary: name, intent, message })))
  }
}

const noGuards: ReadonlyArray<Guard> = []

const outlived = "A fiber or a promise has outlived the unit of work it was started in: wait for it there, or " +
  "make it one of its own with SideEffects.boundary(..., { detached: true })."

const keyOf = (sideEffect: SideEffect.Any, payload: unknown): string => {
  try {
    return sideEffect.idempotencyKey!(payload)
  } catch (cause) {
    throw new Error(`idempotencyKey of side effect "${sideEffect._tag}" died`, { cause })
  }
}

const delayOf = (sideEffect: SideEffect.Any, delay: Duration.Input): Duration.Duration => {
  try {
    return Duration.fromInputUnsafe(delay)
  } catch (cause) {
    throw new Error(`Side effect "${sideEffect._tag}" was enqueued with a delay that is no duration`, { cause })
  }
}

const outsideMessage = ({ name }: IntentImpl): string => outside(`Side effect "${name}" was enqueued`, "it is", "")

const outsideEventMessage = ({ name }: Event.EmittedImpl, n: number): string =>
  outside(
    `Event "${name}" was emitted`,
    n === 1 ? "the side effect bound to it is" : `the ${n} side effects bound to it are`,
    " (in Effect.fn, put it behind SideEffects.emits)"
  )

const outside = (what: string, they: string, how: string): string =>
  `${what} outside a boundary, so ${they} dispatched at once, whatever happens next. Wrap the unit of work in ` +
  `SideEffects.boundary${how}, or say outsideBoundary: "dispatch" or "reject" in the layer.`

/**
 * The requirement of a program that enqueues side effects and emits events: `Name` is the union of their names.
 *
 * **Details**
 *
 * `Name` is covariant, so a layer that covers more names satisfies a program that needs fewer: `SideEffects<"a" | "b">`
 * provides `SideEffects<"a">`, every layer provides `SideEffects<never>`, and `SideEffects<any>` provides all.
 *
 * @category models
 * @since 0.1.0
 */
export interface SideEffects<out Name extends string> extends Requirement<Name> {}

/**
 * The key of the service in Effect's context. Its value is the place where a fiber stands; programs use the functions
 * of the module `SideEffects` instead of the value.
 *
 * @category services
 * @since 0.1.0
 */
export const SideEffects: Context.Service<SideEffects<never>, Place> = /*#__PURE__*/ Context.Service(
  "effect-side-effects/SideEffects"
)

/**
 * The innermost boundary, beside the service: what was built with the layer and provides its own context again does not
 * lead out of it.
 */
class Inside extends /*#__PURE__*/ Context.Service<Inside, Standing>()("effect-side-effects/Place/Inside") {}

interface Standing {
  readonly place: Place
  /** Those of other layers. */
  readonly around: Standing | undefined
}

const standIn = (root: Root): Root => root.standsFor ?? root

/** A handler is running here, however many boundaries further out. */
class InHandler extends /*#__PURE__*/ Context.Service<InHandler, true>()("effect-side-effects/Place/InHandler") {}

/** @internal */
export const isInHandler = (context: Context.Context<never>): boolean =>
  Context.getOrUndefined(context, InHandler) === true

/**
 * What a handler gets: it is in none of the boundaries of the fiber that dispatches.
 *
 * @internal
 */
export const leave = (context: Context.Context<never>): Context.Context<never> =>
  Context.add(Context.omit(Inside)(context), InHandler, true)

/**
 * Where a fiber with this context stands. Domain code calls nothing else of this module: as a function of its own it does
 * not take the class into bundles that build no layer.
 *
 * @internal
 */
export const placeOf = (context: Context.Context<never>): Place => Context.getUnsafe(context, SideEffects).seen(context)
