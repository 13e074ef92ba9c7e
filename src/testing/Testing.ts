/**
 * The test kit: says what would have left a program, and when that is not what a test expects, why.
 *
 * Provide `SideEffects.TestLayer`, run the program, and ask. Every expectation is an effect that fails the test with an
 * explanation: nothing was enqueued; nothing of that kind was, but these were; or these are the nearest, with a
 * difference. It also names what was enqueued and did not escape, and the reason.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Binding from "../Binding.ts"
import * as Decision from "../Decision.ts"
import { DispatchError } from "../Dispatcher.ts"
import type * as Event from "../Event.ts"
import type * as Intent from "../Intent.ts"
import type { HandlerEntry } from "../internal/handler.ts"
import type { IntentImpl } from "../internal/intent.ts"
import { here, type Site } from "../internal/site.ts"
import { recordingRoot } from "../Layers.ts"
import * as Performer from "../Performer.ts"
import { Place, SideEffects } from "../Place.ts"
import { make as makeRecorder, Recorder } from "../Recorder.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import * as explain from "./internal/explain.ts"

export { Recorder } from "../Recorder.ts"
export * as Isolation from "./Isolation.ts"

/**
 * An expectation was not met. Its message explains why.
 *
 * @category errors
 * @since 0.1.0
 */
export class ExpectationFailed
  extends /*#__PURE__*/ Data.TaggedError("ExpectationFailed")<{ readonly message: string }>
{}

/**
 * A part of a payload: of an object some fields, of an array all elements, each in part.
 *
 * @category models
 * @since 0.1.0
 */
export type Partially<A> = A extends ReadonlyArray<infer Item> ? ReadonlyArray<Partially<Item>>
  : A extends string | number | bigint | boolean | symbol | null | undefined | ((...args: any) => any) ? A
  : { readonly [K in keyof A]?: Partially<A[K]> }

/**
 * What a payload has to be: a part of it, or a predicate.
 *
 * @category models
 * @since 0.1.0
 */
export type Matcher<S extends SideEffect.Any> =
  | Partially<SideEffect.Payload<S>>
  | ((payload: SideEffect.Payload<S>, intent: Intent.Intent<S>) => boolean)

const seeIntents: Effect.Effect<explain.Seen<Intent.Any>, never, Recorder> = /*#__PURE__*/ Effect.flatMap(
  Recorder,
  (recorder) =>
    Effect.map(Effect.all([recorder.intents, recorder.enqueued, recorder.emitted]), ([escaped, all, emitted]) => ({
      words: explain.words.intents,
      escaped,
      all,
      hint: emitted.length > 0 && !all.some(({ origin }) => typeof origin === "object") ? explain.unbound(emitted) : "",
      fateOf: (intent) => {
        const decision = Decision.of(intent)
        return decision?._tag === "Dispatched" ? "escaped" : decision && Decision.format(decision)
      }
    }))
)

const seeEvents: Effect.Effect<explain.Seen<Event.Emitted>, never, Recorder> = /*#__PURE__*/ Effect.flatMap(
  Recorder,
  (recorder) =>
    Effect.map(Effect.zip(recorder.events, recorder.emitted), ([escaped, all]) => ({
      words: explain.words.events,
      escaped,
      all,
      hint: "",
      fateOf: (event) => {
        const { fate } = event as unknown as Event.EmittedImpl
        return fate?._tag === "Released" ? "escaped" : fate && `discarded: ${fate.by} ${fate.reason}`
      }
    }))
)

/** Those that are wanted, at least once or exactly as often as that. */
const expectSeen = <S extends { readonly name: string; readonly payload: unknown }>(
  see: Effect.Effect<explain.Seen<S>, never, Recorder>,
  wanted: explain.Wanted,
  times: number | undefined,
  site: Site
): Effect.Effect<ReadonlyArray<any>, ExpectationFailed, Recorder> =>
  Effect.flatMap(see, (seen): Effect.Effect<ReadonlyArray<S>, ExpectationFailed> => {
    const found = seen.escaped.filter(explain.accepts(wanted))
    if (times === undefined ? found.length > 0 : found.length === times) return Effect.succeed(found)
    const why = found.length === 0 || times === undefined
      ? explain.missing(wanted, seen)
      : explain.miscounted(wanted, seen, times, found)
    return fail(why + seen.hint, site)
  })

/** The failure points to where a test wrote its expectation and not into the machinery. */
const fail = (
  message: string,
  { stack }: Site = {}
): Effect.Effect<never, ExpectationFailed> => {
  const error = new ExpectationFailed({ message })
  if (stack !== undefined) error.stack = `ExpectationFailed: ${message}${stack.slice(stack.indexOf("\n"))}`
  return Effect.fail(error)
}

/**
 * Expects that a side effect would have escaped: at least once, or exactly `times` times. Returns the intents that
 * match.
 *
 * **Example** (Testing domain code)
 *
 * ```ts
 * import { SideEffect, SideEffects } from "effect-side-effects"
 * import { expectEnqueued } from "effect-side-effects/testing"
 * import { Effect, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String, to: Schema.String }
 * }) {}
 *
 * const pay = SideEffects.boundary(SideEffects.enqueue(SendReceipt, { invoice: "1042", to: "ada@example.org" }))
 *
 * const test = Effect.gen(function*() {
 *   yield* pay
 *   yield* expectEnqueued(SendReceipt, { invoice: "1042" }, { times: 1 })
 * })
 *
 * await Effect.runPromise(Effect.provide(test, SideEffects.TestLayer))
 * ```
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectEnqueued = <S extends SideEffect.Any>(
  sideEffect: S,
  payload?: Matcher<S>,
  options?: { readonly times?: number | undefined }
): Effect.Effect<ReadonlyArray<Intent.Intent<S>>, ExpectationFailed, Recorder> =>
  expectSeen(seeIntents, { name: sideEffect._tag, payload }, options?.times, here(expectEnqueued))

/**
 * What the payload of an event has to be: a part of it, or a predicate.
 *
 * @category models
 * @since 0.1.0
 */
export type EventMatcher<E extends Event.Any> =
  | Partially<Event.Payload<E>>
  | ((payload: Event.Payload<E>, event: Event.Emitted<E>) => boolean)

/**
 * Expects that an event was emitted in a unit of work that succeeded: at least once, or exactly `times` times. Returns
 * the events that match.
 *
 * **Example** (Testing that something has happened)
 *
 * ```ts
 * import { Event, SideEffects } from "effect-side-effects"
 * import { expectEmitted } from "effect-side-effects/testing"
 * import { Effect, Schema } from "effect"
 *
 * class OrderPlaced extends Event.make("orders:order:placed", {
 *   description: "A customer placed an order.",
 *   payload: { orderId: Schema.String, total: Schema.Number }
 * }) {}
 *
 * const placeOrder = SideEffects.boundary(SideEffects.emit(OrderPlaced, { orderId: "1042", total: 12 }))
 *
 * const test = Effect.gen(function*() {
 *   yield* placeOrder
 *   yield* expectEmitted(OrderPlaced, { orderId: "1042" }, { times: 1 })
 * })
 *
 * await Effect.runPromise(Effect.provide(test, SideEffects.TestLayer))
 * ```
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectEmitted = <E extends Event.Any>(
  event: E,
  payload?: EventMatcher<E>,
  options?: { readonly times?: number | undefined }
): Effect.Effect<ReadonlyArray<Event.Emitted<E>>, ExpectationFailed, Recorder> =>
  expectSeen(seeEvents, { name: event._tag, payload }, options?.times, here(expectEmitted))

/**
 * Expects that no such event was emitted in a unit of work that succeeded.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectNotEmitted = <E extends Event.Any>(
  event: E,
  payload?: EventMatcher<E>
): Effect.Effect<void, ExpectationFailed, Recorder> =>
  expectUnseen(seeEvents, { name: event._tag, payload }, here(expectNotEmitted))

/**
 * Expects that no such side effect would have escaped. One that was enqueued and kept in does not count.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectNotEnqueued = <S extends SideEffect.Any>(
  sideEffect: S,
  payload?: Matcher<S>
): Effect.Effect<void, ExpectationFailed, Recorder> =>
  expectUnseen(seeIntents, { name: sideEffect._tag, payload }, here(expectNotEnqueued))

const expectUnseen = <S extends { readonly name: string; readonly payload: unknown }>(
  see: Effect.Effect<explain.Seen<S>, never, Recorder>,
  wanted: explain.Wanted,
  site: Site
): Effect.Effect<void, ExpectationFailed, Recorder> =>
  Effect.flatMap(see, (seen) => {
    const found = seen.escaped.filter(explain.accepts(wanted))
    return found.length === 0 ? Effect.void : fail(explain.unexpected(wanted, seen, found), site)
  })

/**
 * Expects that nothing at all would have escaped.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectNothing: Effect.Effect<void, ExpectationFailed, Recorder> = /*#__PURE__*/ Effect.flatMap(
  seeIntents,
  (seen) => seen.escaped.length === 0 ? Effect.void : fail(explain.notNothing(seen))
)

/**
 * Expects these side effects to escape one after the other. Others may lie between them.
 *
 * @category expectations
 * @since 0.1.0
 */
export const expectOrder = (
  sideEffects: ReadonlyArray<SideEffect.Any>
): Effect.Effect<void, ExpectationFailed, Recorder> => {
  const site = here(expectOrder)
  return Effect.flatMap(seeIntents, (seen) => {
    const names = sideEffects.map(({ _tag }) => _tag)
    let next = 0
    for (const { name } of seen.escaped) if (name === names[next]) next++
    return next === names.length ? Effect.void : fail(explain.misordered(names, next, seen), site)
  })
}

/**
 * The payloads of the side effects of one kind that would have escaped, in the order of release.
 *
 * @category inspection
 * @since 0.1.0
 */
export const enqueued = <S extends SideEffect.Any>(
  sideEffect: S
): Effect.Effect<ReadonlyArray<SideEffect.Payload<S>>, never, Recorder> =>
  Effect.map(
    seeIntents,
    ({ escaped }) => escaped.filter(({ name }) => name === sideEffect._tag).map(({ payload }) => payload)
  )

/**
 * What became of the side effects of an effect.
 *
 * **Details**
 *
 * `events` were emitted in units of work that succeeded. `released` would have escaped, `dropped` was kept in by a policy (or was a duplicate), `discarded` by a boundary that
 * did not succeed, and of `failed` a policy died.
 *
 * @category models
 * @since 0.1.0
 */
export interface Captured<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly released: ReadonlyArray<Intent.Any>
  readonly dropped: ReadonlyArray<Intent.Any>
  readonly discarded: ReadonlyArray<Intent.Any>
  readonly failed: ReadonlyArray<Intent.Any>
  readonly events: ReadonlyArray<Event.Emitted>
}

/**
 * Runs an effect with a recorder of its own and returns how it ended and what became of its side effects. Needs no
 * layer, and sees nothing of what is around; what follows from an event it knows only if it is given the `group`.
 *
 * @category inspection
 * @since 0.1.0
 */
export const capture = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  options?: { readonly group?: SideEffectGroup.Any | undefined }
): Effect.Effect<Captured<A, E>, never, Exclude<R, SideEffects<any> | Recorder>> =>
  Effect.withFiber((fiber) => {
    const { observer, recorder } = makeRecorder()
    const bindings = options?.group && Binding.byEvent(options.group.bindings)
    const around = Context.getOrUndefined(fiber.context, SideEffects)?.root
    const place = Place.outside({
      ...recordingRoot({ by: "capture", observer, bindings, roundTrip: true }),
      standsFor: around?.standsFor ?? around
    })
    return Effect.flatMap(
      Effect.exit(place.provide(Effect.provideService(self, Recorder, recorder))),
      (exit) =>
        Effect.map(Effect.zip(recorder.decisions, recorder.events), ([decisions, events]): Captured<A, E> => {
          const of = (...tags: ReadonlyArray<Decision.Decision["_tag"]>) =>
            decisions.filter(({ _tag }) => tags.includes(_tag)).map(({ intent }) => intent)
          return {
            exit,
            released: of("Dispatched"),
            dropped: of("Dropped", "Deduplicated"),
            discarded: of("Discarded"),
            failed: of("Failed"),
            events
          }
        })
    )
  }) as any

/**
 * What `drain` has done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Drained {
  readonly performed: ReadonlyArray<Intent.Any>
  readonly failed: ReadonlyArray<Decision.Failed>
  readonly cancelled: ReadonlyArray<Decision.Dropped>
  readonly snoozed: ReadonlyArray<Intent.Any>
}

const drained = new WeakSet<Intent.Any>()

/**
 * Performs what was recorded, in order, through the handlers in the context. Each intent is performed once, however
 * often you drain.
 *
 * **Details**
 *
 * - `recursive`: also performs what the handlers enqueue, until nothing is left. Default `false`.
 * - `until`: leaves alone what is delayed for longer than this. By default everything is performed, and no delay waited
 *   for.
 * - `rethrow`: dies with `DispatchError` when a handler failed. By default failures are returned.
 *
 * Retries are made at once, without the pauses of their schedule. An intent whose handler snoozes is left for the next
 * time.
 *
 * **Gotchas**
 *
 * The handlers have to be provided beside `TestLayer`; which ones depends on what was recorded, so the type does not say.
 *
 * @category inspection
 * @since 0.1.0
 */
export const drain = (options?: {
  readonly recursive?: boolean | undefined
  readonly until?: Duration.Input | undefined
  readonly rethrow?: boolean | undefined
}): Effect.Effect<Drained, never, SideEffects<never> | Recorder> =>
  Effect.gen(function*() {
    const recorder = yield* Recorder
    const context = yield* Effect.context<never>()
    const root = Context.getUnsafe(context, SideEffects).root
    const until = options?.until === undefined ? Infinity : Duration.toMillis(options.until)
    const performed: Array<Intent.Any> = []
    const failed: Array<Decision.Failed> = []
    const cancelled: Array<Decision.Dropped> = []
    const snoozed: Array<Intent.Any> = []
    let more = true
    while (more) {
      more = false
      for (const intent of yield* recorder.intents) {
        const late = intent.delay !== undefined && Duration.toMillis(intent.delay) > until
        if (late || drained.has(intent) || snoozed.includes(intent)) continue
        const decision = yield* performOnce(root, context, intent)
        if (decision === undefined) {
          snoozed.push(intent)
          continue
        }
        drained.add(intent)
        more = options?.recursive === true
        if (decision._tag === "Failed") failed.push({ ...decision, intent })
        else if (decision._tag === "Dropped") cancelled.push({ ...decision, intent })
        else performed.push(intent)
      }
    }
    if (options?.rethrow === true && failed.length > 0) {
      const failures = failed.map(({ cause, intent }) => ({ intent, cause }))
      return yield* Effect.die(new DispatchError({ boundary: undefined, failures, dispatched: performed.length }))
    }
    return { performed, failed, cancelled, snoozed }
  })

const performOnce = /*#__PURE__*/ Effect.fnUntraced(function*(
  root: Place["root"],
  context: Context.Context<never>,
  recorded: Intent.Any
) {
  const entry = context.mapUnsafe.get((recorded.sideEffect as SideEffect.Any).key) as HandlerEntry | undefined
  if (entry === undefined) {
    return yield* Effect.die(
      new ExpectationFailed({
        message: `drain has no handler for side effect "${recorded.name}". Provide the layer made by its toLayer ` +
          "beside TestLayer."
      })
    )
  }
  // The recorded intent has its decision already; what the handler makes of it is decided on a copy.
  const intent = (recorded as unknown as IntentImpl).copy() as unknown as Intent.Any
  const perform = Performer.make(root, new Map([[intent.name, entry]]), undefined)
  yield* perform([intent], "drain", { wait: (_, snoozed) => Effect.succeed(!snoozed) })
  return Decision.of(intent)
})
