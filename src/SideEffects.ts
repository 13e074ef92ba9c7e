/**
 * The front of the library: enqueue side effects anywhere, open boundaries around units of work, and choose with one
 * layer whether what is released leaves the program, is dropped, is forbidden, or is recorded.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Predicate from "effect/Predicate"
import { BoundaryClosed, type BoundaryState, type Options, type Report } from "./Boundary.ts"
import type * as Dispatcher from "./Dispatcher.ts"
import type * as Event from "./Event.ts"
import type * as Intent from "./Intent.ts"
import * as describe from "./internal/describe.ts"
import { recordingRoot } from "./Layers.ts"
import { isInHandler, Place, placeOf, SideEffects } from "./Place.ts"
import * as Policy from "./Policy.ts"
import * as Recorder from "./Recorder.ts"
import type * as SideEffect from "./SideEffect.ts"

export { BoundaryClosed, InvalidPayload, NoBoundary } from "./Boundary.ts"
export { ConfigLayer } from "./ConfigLayer.ts"
export { DispatchError } from "./Dispatcher.ts"
export {
  AssertNoneLayer,
  DropLayer,
  LiveLayer,
  type LiveOptions,
  type LiveServices,
  TestLayer,
  TestLayerFor
} from "./Layers.ts"
export { SideEffects } from "./Place.ts"
export { PolicyDefect, PolicyViolation } from "./Policy.ts"

/**
 * The arguments of `enqueue` after the definition: a side effect without a payload needs none.
 *
 * @category utility types
 * @since 0.1.0
 */
export type EnqueueArgs<S extends SideEffect.Any> = void extends SideEffect.PayloadInput<S>
  ? [payload?: SideEffect.PayloadInput<S>, options?: Intent.Options]
  : [payload: SideEffect.PayloadInput<S>, options?: Intent.Options]

/**
 * Wishes for a side effect. It is performed when, and only when, the boundary around succeeds and every policy lets it
 * pass.
 *
 * **When to use**
 *
 * Wherever the knowledge that something has to happen outside lives, however deep.
 *
 * **Details**
 *
 * The payload is validated here; one that does not fit dies with `InvalidPayload`. Returns the intent, whose decision
 * can be read with `Decision.of`.
 *
 * **Gotchas**
 *
 * Outside a boundary there is nothing to wait for: `LiveLayer` dispatches at once and logs a warning, unless its option
 * `outsideBoundary` says otherwise. In a boundary that has ended, as from a fiber that outlived it, it dies with
 * `BoundaryClosed`.
 *
 * **Example** (Enqueueing in domain code)
 *
 * ```ts
 * import { SideEffect, SideEffects } from "effect-side-effects"
 * import { Effect, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * // The type of the function names what it can let happen outside.
 * const pay = Effect.fn("pay")(function*(invoice: string) {
 *   yield* SideEffects.enqueue(SendReceipt, { invoice })
 *   return "paid"
 * })
 *
 * await Effect.runPromise(SideEffects.boundary(pay("1042")).pipe(Effect.provide(SideEffects.TestLayer)))
 * ```
 *
 * @category enqueueing
 * @since 0.1.0
 */
export const enqueue = <S extends SideEffect.Any>(
  sideEffect: S,
  ...args: EnqueueArgs<S>
): Effect.Effect<Intent.Intent<S>, never, SideEffects<S["_tag"]>> =>
  Effect.withFiber((fiber) => placeOf(fiber.context).enqueue(sideEffect, args[0], args[1]) as Effect.Effect<any>)

/**
 * The entries of `enqueueAll`, given their definitions: each a definition, its payload, and options.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Entries<S extends ReadonlyArray<SideEffect.Any>> = readonly [
  ...{ readonly [K in keyof S]: readonly [sideEffect: S[K], ...EnqueueArgs<S[K]>] }
]

/**
 * Wishes for several side effects, in order. Returns their intents.
 *
 * @category enqueueing
 * @since 0.1.0
 */
export const enqueueAll = <const S extends ReadonlyArray<SideEffect.Any>>(
  entries: Entries<S>
): Effect.Effect<{ readonly [K in keyof S]: Intent.Intent<S[K]> }, never, SideEffects<S[number]["_tag"]>> =>
  Effect.withFiber((fiber) => {
    const place = placeOf(fiber.context)
    return Effect.forEach(
      entries as ReadonlyArray<readonly [SideEffect.Any, unknown?, Intent.Options?]>,
      ([sideEffect, payload, options]) => Effect.suspend(() => place.enqueue(sideEffect, payload, options))
    ) as Effect.Effect<any>
  })

/**
 * The arguments of `emit` after the definition: an event without a payload needs none.
 *
 * @category utility types
 * @since 0.1.0
 */
export type EmitArgs<E extends Event.Any> = void extends Event.PayloadInput<E> ? [payload?: Event.PayloadInput<E>]
  : [payload: Event.PayloadInput<E>]

/**
 * Says that something has happened: records the event and enqueues every side effect that the group binds to it.
 *
 * **When to use**
 *
 * Where the code knows the fact, and what follows from it is better said in one place for all.
 *
 * **Details**
 *
 * The side effects are enqueued into the current boundary, one intent for each binding, in the order of their priority
 * and then of their binding. Their `origin` is the event that this returns. All of them are made before the first is
 * enqueued: a mapping that throws dies with an error that names event and binding, and one that makes an invalid payload
 * with `InvalidPayload`; nothing is enqueued then.
 *
 * The bindings are those of the group of the layer. `TestLayer` and `DropLayer` have none and record the event alone.
 *
 * **Gotchas**
 *
 * Outside a boundary and in one that has ended it is as `enqueue`.
 *
 * **Example** (An event with two consequences)
 *
 * ```ts
 * import { Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { Effect, Schema } from "effect"
 *
 * class AccountClosed extends Event.make("accounts:account:closed", {
 *   description: "A customer closed the account.",
 *   payload: { email: Schema.String }
 * }) {}
 * class SendGoodbye extends SideEffect.make("accounts:mail:goodbye", {
 *   description: "Send confirmation email to user.",
 *   payload: { to: Schema.String }
 * }) {}
 * class NotifySupport extends SideEffect.make("support:notify", { description: "Notify customer service." }) {}
 *
 * const Accounts = SideEffectGroup.make("accounts")
 *   .on(AccountClosed, SendGoodbye, ({ email }) => ({ to: email }))
 *   .on(AccountClosed, NotifySupport)
 *
 * const close = SideEffects.boundary(SideEffects.emit(AccountClosed, { email: "ada@example.org" }))
 *
 * const { events, intents } = await Effect.runPromise(
 *   Effect.provide(SideEffects.plan(close), SideEffects.TestLayerFor(Accounts))
 * )
 * console.log(events.length, intents.map(({ name }) => name)) // 1 [ "accounts:mail:goodbye", "support:notify" ]
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const emit = <E extends Event.Any>(
  event: E,
  ...args: EmitArgs<E>
): Effect.Effect<Event.Emitted<E>, never, SideEffects<E["_tag"]>> =>
  Effect.withFiber((fiber) => placeOf(fiber.context).emit(event, args[0]) as Effect.Effect<any>)

/**
 * Emits an event after an effect has succeeded, with a payload made of its result and, in `Effect.fn`, of the arguments
 * of the function.
 *
 * **When to use**
 *
 * To say at the head of a function what may follow from it, and keep that out of its body.
 *
 * **Details**
 *
 * `when` decides by the result whether the event is emitted. By default it is not when the result is an HTTP response (a web
 * `Response`, or a `HttpServerResponse` of Effect) with a status of 400 or above, as then the function has not
 * done what the event would say. A plain object with a `status` is no response: give it a `when`.
 *
 * **Gotchas**
 *
 * In `Effect.fn`, put it before `SideEffects.boundary()`, so that it happens inside.
 *
 * **Example** (A function that says what follows from it)
 *
 * ```ts
 * import { Event, SideEffects } from "effect-side-effects"
 * import { Effect, Schema } from "effect"
 *
 * class ProfileUpdated extends Event.make("accounts:profile:updated", {
 *   description: "A customer changed the profile.",
 *   payload: { userId: Schema.String, version: Schema.Number }
 * }) {}
 *
 * const updateProfile = Effect.fn("updateProfile")(
 *   function*(userId: string) {
 *     return { version: userId.length }
 *   },
 *   SideEffects.emits(ProfileUpdated, ({ version }, [userId]) => ({ userId, version })),
 *   SideEffects.boundary()
 * )
 *
 * await Effect.runPromise(Effect.provide(updateProfile("ada"), SideEffects.TestLayer))
 * ```
 *
 * @category events
 * @since 0.1.0
 */
export const emits = <Ev extends Event.Any, A, Args extends ReadonlyArray<any>>(
  event: Ev,
  ...[payload, options]: EmitsArgs<Ev, A, Args>
): <E, R>(
  self: Effect.Effect<A, E, R>,
  ...args: Args
) => Effect.Effect<A, E, R | SideEffects<Ev["_tag"]>> =>
(self, ...args) =>
  Effect.tap(self, (result) => {
    const when = options?.when ?? isNoHttpError
    if (guarded(event, "when", () => when(result)) !== true) return Effect.void
    const made = payload === undefined ? undefined : guarded(event, "mapping", () => payload(result, args))
    return emit(event, ...[made] as any)
  })

const guarded = <A>(event: Event.Any, what: string, f: () => A): A => {
  try {
    return f()
  } catch (cause) {
    const message = `Event "${event._tag}": the ${what} given to SideEffects.emits died with ${describe.error(cause)}`
    throw new Error(message, { cause })
  }
}

/**
 * The arguments of `emits` after the definition: an event without a payload needs no mapping.
 *
 * @category utility types
 * @since 0.1.0
 */
export type EmitsArgs<E extends Event.Any, A, Args extends ReadonlyArray<any>> = void extends Event.PayloadInput<E>
  ? [payload?: ((result: A, args: Args) => Event.PayloadInput<E>) | undefined, options?: EmitsOptions<A>]
  : [payload: (result: A, args: Args) => Event.PayloadInput<E>, options?: EmitsOptions<A>]

/**
 * When `emits` emits: by default unless the result is an HTTP response with a status of 400 or above.
 *
 * @category models
 * @since 0.1.0
 */
export interface EmitsOptions<in A> {
  readonly when?: ((result: A) => boolean) | undefined
}

/** Neither a web `Response`, of whichever realm or library, nor Effect's own, with a status of 400 or above. */
const isNoHttpError = (result: unknown): boolean =>
  !(
    (Object.prototype.toString.call(result) === "[object Response]" ||
      Predicate.hasProperty(result, "~effect/http/HttpServerResponse")) &&
    (result as { readonly status: number }).status >= 400
  )

/**
 * Runs an effect as a unit of work: what is enqueued inside waits until it has succeeded, and is discarded when it
 * fails, dies or is interrupted.
 *
 * **Details**
 *
 * Inside another boundary, a boundary that succeeds hands its intents to the one around it, and the outermost one
 * dispatches them. See `Boundary.Options` for the options; `abortOnError: true` adds `DispatchError` to the errors.
 *
 * Interruption: until the effect has ended it discards; once the release has begun it waits until that is done.
 *
 * **Gotchas**
 *
 * In a pipe and in `Effect.fn` it is called: `boundary()`, also without options.
 *
 * **Example** (A unit of work with a name)
 *
 * ```ts
 * import { SideEffects } from "effect-side-effects"
 * import { Effect } from "effect"
 *
 * const checkout = Effect.fn("checkout")(
 *   function*(cart: string) {
 *     return `order for ${cart}`
 *   },
 *   SideEffects.boundary({ name: "checkout" })
 * )
 * ```
 *
 * @category boundaries
 * @since 0.1.0
 */
export const boundary: {
  <A, E, R, Abort extends boolean = false>(
    self: Effect.Effect<A, E, R>,
    options?: Options<A, E, Abort>
  ): Effect.Effect<A, E | AbortError<Abort>, R | SideEffects<never>>
  <A = any, E = any, Abort extends boolean = false>(
    options?: Options<A, E, Abort>
  ): <A2 extends A, E2 extends E, R>(
    self: Effect.Effect<A2, E2, R>
  ) => Effect.Effect<A2, E2 | AbortError<Abort>, R | SideEffects<never>>
} = /*#__PURE__*/ dual((args) => Effect.isEffect(args[0]), <A, E, R>(
  self: Effect.Effect<A, E, R>,
  options: Options = noOptions
): Effect.Effect<A, E | Dispatcher.DispatchError, R | SideEffects<never>> =>
  Effect.withFiber((fiber) => {
    const place = placeOf(fiber.context).standing(options)
    const state = place.open(options)
    return place.enter(state).enclose(self, fiber, (exit) => state.close(exit))
  }))

const noOptions: Options = {}

/**
 * The error that `abortOnError` adds.
 *
 * @category utility types
 * @since 0.1.0
 */
export type AbortError<Abort extends boolean> = true extends Abort ? Dispatcher.DispatchError : never

/**
 * Puts a policy on everything that is enqueued inside, without a boundary of its own: each intent remembers it, and the
 * policy is asked when the boundary is released.
 *
 * **Details**
 *
 * A policy with a state, such as `Policy.limit`, counts per boundary.
 *
 * @category boundaries
 * @since 0.1.0
 */
export const withPolicy: {
  (policy: Policy.Policy): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | SideEffects<never>>
  <A, E, R>(self: Effect.Effect<A, E, R>, policy: Policy.Policy): Effect.Effect<A, E, R | SideEffects<never>>
} = /*#__PURE__*/ dual((args) => Effect.isEffect(args[0]), <A, E, R>(
  self: Effect.Effect<A, E, R>,
  policy: Policy.Policy
): Effect.Effect<A, E, R | SideEffects<never>> =>
  Effect.withFiber((fiber) => placeOf(fiber.context).narrow(policy).provide(self)))

const look = (
  see: (boundary: BoundaryState) => ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<Intent.Any>, never, SideEffects<never>> =>
  Effect.withFiber((fiber) => {
    const boundary = placeOf(fiber.context).boundary
    return Effect.succeed(boundary === undefined ? [] : see(boundary).slice() as ReadonlyArray<Intent.Any>)
  })

/**
 * The intents that wait in the current boundary, its own and those it captured, in the order of enqueueing. A snapshot;
 * empty outside a boundary.
 *
 * @category inspection
 * @since 0.1.0
 */
export const intents: Effect.Effect<ReadonlyArray<Intent.Any>, never, SideEffects<never>> = /*#__PURE__*/ look((
  boundary
) => boundary.all())

/**
 * The intents that were enqueued in the current boundary itself. A snapshot; empty outside a boundary.
 *
 * @category inspection
 * @since 0.1.0
 */
export const ownIntents: Effect.Effect<ReadonlyArray<Intent.Any>, never, SideEffects<never>> = /*#__PURE__*/ look((
  boundary
) => boundary.own())

/**
 * The intents that boundaries inside the current one have handed to it. A snapshot; empty outside a boundary.
 *
 * @category inspection
 * @since 0.1.0
 */
export const capturedIntents: Effect.Effect<ReadonlyArray<Intent.Any>, never, SideEffects<never>> = /*#__PURE__*/ look((
  boundary
) => boundary.captured())

/**
 * The events that were emitted in the current boundary, and in those inside it that have succeeded, in the order of
 * emission. A snapshot; empty outside a boundary.
 *
 * @category inspection
 * @since 0.1.0
 */
export const events: Effect.Effect<ReadonlyArray<Event.Emitted>, never, SideEffects<never>> = /*#__PURE__*/ Effect
  .withFiber((fiber) => {
    const boundary = placeOf(fiber.context).boundary
    return Effect.succeed((boundary?.emitted() ?? []) as ReadonlyArray<any>)
  })

/**
 * A boundary that is closed by hand, for integrations whose units of work are not effects.
 *
 * **Details**
 *
 * - `run` runs an effect inside it, any number of times, also at the same time.
 * - `release` and `discard` end it with a report; `close` does the one or the other as `boundary` would, given an exit.
 *   Asking twice dies with `BoundaryClosed`.
 * - `intents`, `ownIntents`, `capturedIntents` and `events` are snapshots; they are empty once it has ended.
 *
 * **Gotchas**
 *
 * Nobody closes it for you. What is never released never leaves.
 *
 * @category models
 * @since 0.1.0
 */
export interface ManualBoundary<Abort extends boolean = boolean> {
  readonly run: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly release: Effect.Effect<Report, AbortError<Abort>>
  readonly discard: (reason?: string) => Effect.Effect<Report>
  readonly close: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<Report, AbortError<Abort>>
  readonly isOpen: Effect.Effect<boolean>
  readonly intents: Effect.Effect<ReadonlyArray<Intent.Any>>
  readonly ownIntents: Effect.Effect<ReadonlyArray<Intent.Any>>
  readonly capturedIntents: Effect.Effect<ReadonlyArray<Intent.Any>>
  readonly events: Effect.Effect<ReadonlyArray<Event.Emitted>>
}

/**
 * Opens a boundary that you close by hand. It is inside the boundary that is current where it is opened.
 *
 * **Example** (A unit of work between two callbacks)
 *
 * ```ts
 * import { SideEffect, SideEffects } from "effect-side-effects"
 * import { Effect } from "effect"
 *
 * class Ping extends SideEffect.make("docs:ping", { description: "Ping the monitoring service." }) {}
 *
 * const program = Effect.gen(function*() {
 *   const unit = yield* SideEffects.open({ name: "callback" })
 *   yield* unit.run(SideEffects.enqueue(Ping))
 *   const report = yield* unit.release
 *   console.log(report.outcome) // released
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category boundaries
 * @since 0.1.0
 */
export const open = <Abort extends boolean = false>(
  options?: Options<unknown, unknown, Abort>
): Effect.Effect<ManualBoundary<Abort>, never, SideEffects<never>> =>
  Effect.withFiber((fiber) => {
    const place = placeOf(fiber.context).standing(options ?? noOptions)
    let report: Report | undefined
    const state = place.open({
      ...options,
      onClose: (closed) => {
        report = closed
        return options?.onClose?.(closed) ?? Effect.void
      }
    })
    const inside = place.enter(state)
    const end = (
      how: () => Effect.Effect<void, Dispatcher.DispatchError> | undefined
    ): Effect.Effect<Report, AbortError<Abort>> =>
      Effect.uninterruptible(Effect.suspend(() => {
        if (state.closed !== undefined) return Effect.die(closedTwice(state))
        return Effect.map(how() ?? Effect.void, () => report!)
      })) as Effect.Effect<Report, AbortError<Abort>>
    const see = (f: () => ReadonlyArray<unknown>) => Effect.sync(() => f().slice() as ReadonlyArray<Intent.Any>)
    return Effect.succeed<ManualBoundary<Abort>>({
      run: (self) => inside.provide(self),
      release: end(() => state.release(Exit.void)),
      discard: (reason = "was discarded by hand") =>
        end(() => state.discard(Exit.void, reason)) as Effect.Effect<Report>,
      close: (exit) => end(() => state.close(exit)),
      isOpen: Effect.sync(() => state.closed === undefined),
      intents: see(() => state.all()),
      ownIntents: see(() => state.own()),
      capturedIntents: see(() => state.captured()),
      events: Effect.sync(() => state.emitted() as ReadonlyArray<any>)
    })
  })

const closedTwice = (state: BoundaryState): BoundaryClosed =>
  new BoundaryClosed({
    boundary: state.options.name,
    intent: undefined,
    message: `${state.label} has ended already (${state.closed}). A boundary is released or discarded once.`
  })

/**
 * What a program would let escape.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly intents: ReadonlyArray<Intent.Any>
  readonly events: ReadonlyArray<Event.Emitted>
}

/**
 * Runs a program and performs none of its side effects: a dry run. Returns how the program ended and what would have
 * escaped, in the order of release, and which events would have been emitted.
 *
 * **Details**
 *
 * What follows from an event is known from the group of the layer around, where there is one, and what that layer would
 * refuse is refused. The program itself really runs, its database writes included. Boundaries and policies are obeyed, also those around
 * the plan and the layer's, where there are any.
 *
 * @category boundaries
 * @since 0.1.0
 */
export const plan = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<Plan<A, E>, never, Exclude<R, SideEffects<any>>> =>
  Effect.withFiber((fiber) => {
    const around = Context.getOrUndefined(fiber.context, SideEffects)?.seen(fiber.context)
    const { observer, recorder } = Recorder.make()
    const recording = recordingRoot({
      by: "plan",
      observer,
      policy: around?.root.policy,
      bindings: around?.root.bindings,
      roundTrip: false
    })
    // What the layer around would refuse is refused here, too.
    const root = around === undefined
      ? recording
      : {
        ...recording,
        standsFor: around.root.standsFor ?? around.root,
        admit: around.root.admit,
        admitEvent: around.root.admitEvent
      }
    const outside = Place.outside(root)
    // Inside a unit of work it is part of that, so its policies count over all of the plan.
    const state = around?.boundary === undefined
      ? undefined
      : outside.open({ policy: Policy.all(...policiesAround(around)), releaseWhen: () => true })
    const place = state === undefined
      ? policiesAround(around).reduceRight((place, policy) => place.narrow(policy), outside)
      : outside.enter(state)
    return Effect.onExitPrimitive(place.provide(self), (exit) => state?.close(exit) as Effect.Effect<void> | undefined)
      .pipe(
        Effect.exit,
        Effect.flatMap((exit) =>
          Effect.map(
            Effect.zip(recorder.intents, recorder.events),
            ([intents, events]): Plan<A, E> => ({ exit, intents, events })
          )
        )
      ) as Effect.Effect<Plan<A, E>, never, Exclude<R, SideEffects<any>>>
  })

/** Innermost first. */
const policiesAround = (place: Place | undefined): ReadonlyArray<Policy.Policy> => {
  const policies = [...(place?.local?.policies ?? []) as ReadonlyArray<Policy.Policy>]
  for (let boundary = place?.boundary; boundary !== undefined; boundary = boundary.parent) {
    if (boundary.options.policy !== undefined) policies.push(boundary.options.policy)
  }
  return policies
}

/**
 * Waits until everything that was handed to a background dispatcher is done, retries and delays included, and before
 * that for what an HTTP middleware is dispatching after the response.
 *
 * **Gotchas**
 *
 * Inside a handler it does not wait: that would be for the handler itself.
 *
 * @category inspection
 * @since 0.1.0
 */
export const drain: Effect.Effect<void, never, SideEffects<never>> = /*#__PURE__*/ Effect.withFiber((fiber) => {
  if (isInHandler(fiber.context)) return Effect.void
  const { root } = placeOf(fiber.context)
  return Effect.andThen(root.later.drain, root.drain)
})
