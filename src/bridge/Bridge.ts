/**
 * Bridges from what a program already has (event emitters, event targets, PubSubs, streams, async iterables) into units
 * of work: each message becomes a boundary of its own.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as PubSub from "effect/PubSub"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { checkNumber } from "../internal/check.ts"
import type * as SideEffects from "../SideEffects.ts"
import { attach, nameOf, type Sink, type Source } from "./internal/attach.ts"

/**
 * How a bridge behaves.
 *
 * **Details**
 *
 * - `name`: of the bridge in the log, and of the boundary around each message. Default: the name of the event, or the
 *   kind of the source.
 * - `concurrency` (default 1): how many messages are worked on at once. With 1 they are handled in order, one after the
 *   other; with more they begin in order.
 * - `grace` (default 30 seconds): how long closing the scope waits for the messages that were accepted. What is not
 *   done by then is interrupted or dropped, and the log says how many messages that were. What cannot be interrupted,
 *   such as a release that has begun, is waited for all the same: give handlers a `timeout`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly name?: string | undefined
  readonly concurrency?: number | "unbounded" | undefined
  readonly grace?: Duration.Input | undefined
}

/**
 * How a bridge behaves whose source cannot be slowed down.
 *
 * **Details**
 *
 * - `capacity` (default: no bound): how many messages may wait, besides those that are worked on. One that finds no room
 *   is dropped; a burst that is emitted in one go has to fit. The log says how many were, at once and then at most every
 *   ten seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushOptions extends Options {
  readonly capacity?: number | undefined
}

/**
 * What `fromEventEmitter` needs of an emitter: Node's `EventEmitter` has it, and so have most others.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventEmitterLike<in Name, out Args extends ReadonlyArray<any>> {
  readonly on: (eventName: Name, listener: (...args: Args) => void) => unknown
  readonly off: (eventName: Name, listener: (...args: Args) => void) => unknown
}

/**
 * Makes a unit of work of every event of an emitter, such as Node's `EventEmitter`.
 *
 * **When to use**
 *
 * When modules tell each other what happens through an emitter, and its listeners do things outside. The emitter and
 * whoever emits stay as they are; what the listeners do becomes side effects.
 *
 * **Details**
 *
 * `receive` gets the arguments of the listener and says what they mean: it returns an effect, which is run in a boundary
 * of its own, or `undefined` to ignore the event. Its parameters are checked against the emitter where that is typed;
 * write their types down. (The name of the event is not checked; Node's own types do not, either.) It is run after `emit`
 * has returned, so that nothing it does can slow down or break the emitter.
 *
 * The listener is there when the effect returns, and is removed when the scope closes. Services, context and the layer
 * of side effects are those of where the bridge is attached. Inside a boundary it is no part of it, and a `withPolicy`
 * around has no say.
 *
 * Events are handled in the order of emission. Each counts for itself: one that fails, dies, is interrupted, or makes
 * `receive` throw is logged as an error, loses its own side effects and no other's, and is not tried again. When the
 * scope closes, the listener is removed first, and what was accepted is finished within `grace`.
 *
 * **Gotchas**
 *
 * At most once: events wait in memory, and are lost when the process dies. An object that is changed after it was
 * emitted has changed for `receive`, too.
 *
 * A bridge on `"error"` keeps Node from throwing, as every listener does, until the scope closes.
 *
 * A message may close the scope of its own bridge: those that were accepted are finished before that returns. It must do
 * so itself; when it waits for a fiber that does, the two wait for each other.
 *
 * **Example** (Mails for orders that are emitted)
 *
 * ```ts
 * import { Bridge, SideEffect, SideEffects } from "effect-side-effects"
 * import { expectEnqueued } from "effect-side-effects/testing"
 * import { Effect, Schema } from "effect"
 * import { EventEmitter } from "node:events"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * interface Order {
 *   readonly id: string
 *   readonly paid: boolean
 * }
 * const orders = new EventEmitter<{ placed: [order: Order] }>()
 *
 * const program = Effect.gen(function*() {
 *   yield* Effect.scoped(Effect.gen(function*() {
 *     yield* Bridge.fromEventEmitter(orders, "placed", (order: Order) =>
 *       order.paid ? SideEffects.enqueue(SendReceipt, { invoice: order.id }) : undefined)
 *     orders.emit("placed", { id: "1042", paid: true })
 *     orders.emit("placed", { id: "1043", paid: false })
 *   }))
 *   yield* expectEnqueued(SendReceipt, { invoice: "1042" }, { times: 1 })
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category bridges
 * @since 0.1.0
 */
export const fromEventEmitter = <const Name extends string | symbol, Args extends Array<any>, E = never, R = never>(
  emitter: EventEmitterLike<NoInfer<Name>, Args>,
  eventName: Name,
  receive: (...args: Args) => Effect.Effect<unknown, E, R> | undefined,
  options?: PushOptions
): Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>> => {
  const what = "Bridge.fromEventEmitter"
  checkMethods(what, "an emitter", emitter, ["on", "off"], "For an EventTarget there is Bridge.fromEventTarget.")
  const name = typeof eventName === "symbol" ? eventName.description ?? "symbol" : String(eventName)
  if (typeof receive !== "function") throw wrong(what, hook, receive)
  return attachPush(what, name, (args: Args) => receive(...args), options, (push) => {
    const listener = (...args: Args) => push(args)
    return {
      on: () => emitter.on(eventName, listener),
      off: () => emitter.off(eventName, listener)
    }
  })
}

/**
 * Makes a unit of work of every event of an `EventTarget`: a DOM node, a `WebSocket`, an `AbortSignal`, a worker.
 *
 * **Details**
 *
 * As `fromEventEmitter`; write down the type of the event where it is more than an `Event`.
 *
 * **Gotchas**
 *
 * `receive` is run after the event has been dispatched: `preventDefault` comes too late, and `currentTarget` is gone. Add
 * a listener of your own for these. At most once: events wait in memory, and are lost when the process dies.
 *
 * **Example** (Telling the shop that a form was sent)
 *
 * ```ts
 * import { Bridge, SideEffect, SideEffects } from "effect-side-effects"
 * import { expectEnqueued } from "effect-side-effects/testing"
 * import { Effect, Schema } from "effect"
 *
 * class TrackPurchase extends SideEffect.make("shop:analytics:track-purchase", {
 *   description: "Tell the analytics service about a purchase.",
 *   payload: { cents: Schema.Number }
 * }) {}
 *
 * const page = new EventTarget()
 *
 * const program = Effect.gen(function*() {
 *   yield* Effect.scoped(Effect.gen(function*() {
 *     yield* Bridge.fromEventTarget(page, "purchase", (event: CustomEvent<number>) =>
 *       SideEffects.enqueue(TrackPurchase, { cents: event.detail }))
 *     page.dispatchEvent(new CustomEvent("purchase", { detail: 1250 }))
 *   }))
 *   yield* expectEnqueued(TrackPurchase, { cents: 1250 }, { times: 1 })
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category bridges
 * @since 0.1.0
 */
export const fromEventTarget = <Ev extends Event = Event, E = never, R = never>(
  target: EventTarget,
  type: string,
  receive: (event: Ev) => Effect.Effect<unknown, E, R> | undefined,
  options?: PushOptions
): Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>> => {
  const what = "Bridge.fromEventTarget"
  const methods = ["addEventListener", "removeEventListener"] as const
  checkMethods(what, "an EventTarget", target, methods, "For an EventEmitter there is Bridge.fromEventEmitter.")
  return attachPush(what, type, receive, options, (push) => {
    const listener = (event: Event) => push(event as Ev)
    return {
      on: () => target.addEventListener(type, listener),
      off: () => target.removeEventListener(type, listener)
    }
  })
}

/**
 * Makes a unit of work of every message of a `PubSub`.
 *
 * **Details**
 *
 * As `fromEventEmitter`, but a message is taken out of the subscription only when there is a place to work on it, so a
 * bounded `PubSub` slows its publishers down. The subscription is made when the effect returns. When the scope closes,
 * what has been published is accepted and finished within `grace`. The message of `PubSub.end` is handled like the
 * others, and the bridge ends after it.
 *
 * **Gotchas**
 *
 * A message that publishes to its own bounded `PubSub` waits for a place that only the bridge can free: raise
 * `concurrency`, or use an unbounded one. `PubSub.shutdown` throws away what subscribers have not taken; where that may
 * have been something, an error is logged. At most once: messages wait in memory, and are lost when the process dies.
 *
 * **Example** (Mails for published orders)
 *
 * ```ts
 * import { Bridge, SideEffect, SideEffects } from "effect-side-effects"
 * import { expectEnqueued } from "effect-side-effects/testing"
 * import { Effect, PubSub, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const invoices = yield* PubSub.bounded<string>(16)
 *   yield* Effect.scoped(Effect.gen(function*() {
 *     yield* Bridge.fromPubSub(invoices, (invoice) => SideEffects.enqueue(SendReceipt, { invoice }))
 *     yield* PubSub.publish(invoices, "1042")
 *   }))
 *   yield* expectEnqueued(SendReceipt, { invoice: "1042" }, { times: 1 })
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category bridges
 * @since 0.1.0
 */
export const fromPubSub = <A, E = never, R = never>(
  pubsub: PubSub.PubSub<A>,
  receive: (message: A) => Effect.Effect<unknown, E, R> | undefined,
  options?: Options
): Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>> => {
  const what = "Bridge.fromPubSub"
  if (!PubSub.isPubSub<A>(pubsub)) throw wrong(what, "a PubSub", pubsub)
  return attach<A, never, never, E, R>({
    ...checked(what, "PubSub", receive, options),
    open: Effect.fnUntraced(function*({ accept, bridge }: Sink) {
      const scope = Scope.makeUnsafe()
      const subscription = yield* Scope.provide(PubSub.subscribe(pubsub), scope)
      // What was still in the subscription when the bridge was detached.
      let rest: Iterator<A> | undefined
      let last = false

      const next: Source<A, never, never>["next"] = Effect.suspend(() => {
        if (rest !== undefined) return nextOf(rest) ?? Cause.done()
        if (last) return Cause.done()
        if (PubSub.isShutdownUnsafe(pubsub)) {
          return Effect.andThen(
            Effect.logError(
              `The PubSub of ${bridge} was shut down while the bridge was at work. Messages that were waiting in it ` +
                "are lost. Close the bridge first, or use PubSub.end."
            ),
            Cause.done()
          )
        }
        const waits = isEmpty(subscription)
        return Effect.matchCauseEffect(PubSub.take(subscription), {
          onSuccess: (message) => {
            accept(1)
            // It would be given again and again.
            last = waits && isEmpty(subscription) && Option.contains(pubsub.ended.current, message)
            return Effect.succeed(message)
          },
          // Detached, or shut down; either way nothing was waiting.
          onFailure: () => Cause.done()
        })
      })

      const detach = Effect.suspend(() => {
        // Shut down before: `next` says what that means.
        if (Option.isNone(PubSub.remainingUnsafe(subscription))) return Scope.close(scope, Exit.void)
        // `PubSub.takeUpTo` would let in publishers that are waiting for room, who are not accepted yet.
        const left = subscription.replayWindow.takeAll().concat(subscription.subscription.pollUpTo(Infinity))
        if (!last && Option.isSome(pubsub.ended.current)) left.push(pubsub.ended.current.value)
        accept(left.length)
        rest = left.values()
        return Scope.close(scope, Exit.void)
      })
      // In one go: what was published in between would be lost.
      return { next, detach: Effect.provideService(detach, Scheduler.PreventSchedulerYield, true) }
    })
  })
}

const isEmpty = (subscription: PubSub.Subscription<unknown>): boolean =>
  Option.contains(PubSub.remainingUnsafe(subscription), 0)

/**
 * Makes a unit of work of every element of a stream.
 *
 * **When to use**
 *
 * For consumers of queues and topics, schedules, and whatever else there is a `Stream` of.
 *
 * **Details**
 *
 * As `fromEventEmitter`, but the stream is pulled only when there is a place to work on what it gives. It begins to run
 * when the effect has returned. When it ends, the bridge ends quietly; when it fails, an error is logged with its cause,
 * and what had been pulled is finished. Elements that the stream gives in one chunk are pulled at once.
 *
 * When the scope closes, the stream is not pulled any more, what was pulled is finished within `grace`, and then the
 * stream is closed, so that messages can be acknowledged until then. It gets five seconds more to close when the grace
 * period is over.
 *
 * **Gotchas**
 *
 * At most once: a message that fails is not given back to the stream. Do that in the effect that `receive` returns.
 *
 * **Example** (A unit of work for each line)
 *
 * ```ts
 * import { Bridge, SideEffect, SideEffects } from "effect-side-effects"
 * import { expectOrder } from "effect-side-effects/testing"
 * import { Deferred, Effect, Schema, Stream } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const done = yield* Deferred.make<void>()
 *   yield* Effect.scoped(Effect.gen(function*() {
 *     const invoices = Stream.make("1042", "1043").pipe(Stream.ensuring(Deferred.succeed(done, undefined)))
 *     yield* Bridge.fromStream(invoices, (invoice) => SideEffects.enqueue(SendReceipt, { invoice }))
 *     yield* Deferred.await(done)
 *   }))
 *   yield* expectOrder([SendReceipt, SendReceipt])
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category bridges
 * @since 0.1.0
 */
export const fromStream = <A, E, R, E2 = never, R2 = never>(
  stream: Stream.Stream<A, E, R>,
  receive: (message: A) => Effect.Effect<unknown, E2, R2> | undefined,
  options?: Options
): Effect.Effect<void, never, R | R2 | Scope.Scope | SideEffects.SideEffects<never>> => {
  const what = "Bridge.fromStream"
  if (!Stream.isStream(stream)) throw wrong(what, "a Stream", stream)
  return attach<A, E, R, E2, R2>({
    ...checked(what, "stream", receive, options),
    open: (sink) => pulling(stream, sink)
  })
}

/**
 * Makes a unit of work of everything that an async iterable yields: an async generator, a Node stream, the messages of a
 * client library.
 *
 * **Details**
 *
 * As `fromStream`. `return()` of the iterator is called when the scope closes while it is iterated, and waited for unless
 * a `next()` is underway. What such a `next()` gives after that is dropped, and an error is logged.
 *
 * **Gotchas**
 *
 * At most once: what has been taken out of the iterable is lost when the process dies.
 *
 * **Example** (An async generator)
 *
 * ```ts
 * import { Bridge, SideEffect, SideEffects } from "effect-side-effects"
 * import { expectEnqueued } from "effect-side-effects/testing"
 * import { Deferred, Effect, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const done = yield* Deferred.make<void>()
 *   async function* invoices() {
 *     yield "1042"
 *     Deferred.doneUnsafe(done, Effect.void)
 *   }
 *   yield* Effect.scoped(Effect.gen(function*() {
 *     yield* Bridge.fromAsyncIterable(invoices(), (invoice) => SideEffects.enqueue(SendReceipt, { invoice }))
 *     yield* Deferred.await(done)
 *   }))
 *   yield* expectEnqueued(SendReceipt, { invoice: "1042" }, { times: 1 })
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category bridges
 * @since 0.1.0
 */
export const fromAsyncIterable = <A, E = never, R = never>(
  iterable: AsyncIterable<A>,
  receive: (message: A) => Effect.Effect<unknown, E, R> | undefined,
  options?: Options
): Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>> => {
  const what = "Bridge.fromAsyncIterable"
  if (!Predicate.hasProperty(iterable, Symbol.asyncIterator)) throw wrong(what, "an async iterable", iterable)
  return attach<A, unknown, never, E, R>({
    ...checked(what, "async iterable", receive, options),
    open: ({ accept, miss, ...sink }) => {
      // What the iterable has given away and the bridge has not accepted. That can be something only when it is stopped.
      let given = 0
      let stopped = false
      const counted: AsyncIterable<A> = {
        [Symbol.asyncIterator]: () => {
          const iterator = iterable[Symbol.asyncIterator]()
          const next = () =>
            iterator.next().then((result) => {
              if (result.done === true) return result
              if (stopped) miss(1)
              else given++
              return result
            })
          // It is called without a guard.
          return iterator.return === undefined
            ? { next }
            : { next, return: () => new Promise((resolve) => resolve(iterator.return!())) }
        }
      }
      const pulled = pulling(Stream.fromAsyncIterable(counted, identity), {
        ...sink,
        miss,
        accept: (count) => {
          given -= count
          accept(count)
        }
      })
      const stop = Effect.sync(() => {
        stopped = true
        miss(given)
      })
      return Effect.map(pulled, ({ detach, next }) => ({ detach, next: Effect.onInterrupt(next, () => stop) }))
    }
  })
}

const pulling = Effect.fnUntraced(function*<A, E, R>(
  stream: Stream.Stream<A, E, R>,
  { accept, stop }: Sink
): Effect.fn.Return<Source<A, E, R>, never, R | Scope.Scope> {
  const scope = yield* Effect.scope
  let pull: Pull.Pull<ReadonlyArray<A>, E, void, R> | undefined
  let chunk: Iterator<A> | undefined
  // To begin with a stream can take long, so that belongs to the first pull.
  const begin = Effect.suspend(() =>
    pull === undefined
      ? Effect.map(Scope.provide(Stream.toPull(stream), scope), (opened) => pull = opened)
      : Effect.succeed(pull)
  )
  const next: Source<A, E, R>["next"] = Effect.suspend(() =>
    (chunk && nextOf(chunk)) ?? Effect.flatMap(Effect.interruptible(Effect.flatten(begin)), (elements) => {
      accept(elements.length)
      chunk = elements.values()
      return next
    })
  )
  return { next, detach: stop }
})

const nextOf = <A>(iterator: Iterator<A>): Effect.Effect<A> | undefined => {
  const result = iterator.next()
  return result.done === true ? undefined : Effect.succeed(result.value)
}

const attachPush = <A, E, R>(
  what: string,
  name: string,
  receive: (message: A) => Effect.Effect<unknown, E, R> | undefined,
  options: PushOptions | undefined,
  connect: (push: (message: A) => void) => { readonly on: () => unknown; readonly off: () => unknown }
): Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>> => {
  const capacity = options?.capacity
  checkNumber(what, "capacity", capacity)
  return attach<A, never, never, E, R>({
    ...checked(what, name, receive, options),
    noRoom: `${capacity} were waiting already. Raise capacity or concurrency.`,
    open: Effect.fnUntraced(function*({ accept, miss }: Sink) {
      const queue = yield* Queue.make<A, Cause.Done>({ capacity, strategy: "dropping" })
      const { off, on } = connect((message) => Queue.offerUnsafe(queue, message) ? accept(1) : miss(1))
      on()
      return {
        next: Queue.take(queue),
        detach: Effect.sync(() => {
          // First, as `off` is not ours. An emitter that is emitting calls its listeners to the end all the same.
          Queue.endUnsafe(queue)
          off()
        })
      }
    })
  })
}

const hook = "a function as its hook, which returns an effect or undefined"

const checked = <A>(what: string, name: string, receive: A, options: Options | undefined) => {
  if (typeof receive !== "function") throw wrong(what, hook, receive)
  const concurrency = options?.concurrency ?? 1
  checkNumber(what, "concurrency", concurrency)
  return {
    name: options?.name ?? name,
    receive,
    concurrency: concurrency === "unbounded" ? Number.MAX_SAFE_INTEGER : concurrency,
    grace: Duration.fromInputUnsafe(options?.grace ?? "30 seconds")
  }
}

const checkMethods = (
  what: string,
  wanted: string,
  source: unknown,
  methods: readonly [string, string],
  hint: string
): void => {
  if (methods.some((method) => !Predicate.hasProperty(source, method) || typeof source[method] !== "function")) {
    throw wrong(what, `${wanted}, with the methods ${methods.join(" and ")}`, source, ` ${hint}`)
  }
}

const wrong = (what: string, wanted: string, given: unknown, hint = ""): Error =>
  new Error(`${what} was given ${nameOf(given)}. It takes ${wanted}.${hint}`)
