/**
 * A side effect: a named, typed, described action outside the program, and the handler that performs it.
 *
 * A definition says *what* can happen outside. It is a value that costs nothing, is shared by the code that enqueues,
 * the code that performs and the tests, and needs no service. A handler says *how*, and is a layer.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import type * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type * as Types from "effect/Types"
import type * as Intent from "./Intent.ts"
import * as ambient from "./internal/ambient.ts"
import { checkNumber } from "./internal/check.ts"
import * as control from "./internal/control.ts"
import {
  define,
  type Fields as DefinitionFields,
  fieldsOf,
  type PayloadSchema,
  type ToPayloadSchema
} from "./internal/definition.ts"
import type { HandlerEntry } from "./internal/handler.ts"
import * as legacy from "./internal/legacy.ts"
import type { Names, Without } from "./internal/requirement.ts"
import { here, type Site } from "./internal/site.ts"

/**
 * The runtime type of every definition.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/SideEffect"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/SideEffect"

export type { PayloadSchema, ToPayloadSchema } from "./internal/definition.ts"

/**
 * The definition of a side effect. Made by `make`, usually as the base of a class, so that its type has a name of its
 * own.
 *
 * **Gotchas**
 *
 * The name of the side effect is `_tag`: the `name` of a class is the name of the class.
 *
 * @category models
 * @since 0.1.0
 */
export interface SideEffect<in out Name extends string, in out Payload extends PayloadSchema = Schema.Void>
  extends Pipeable
{
  new(_: never): {}

  readonly "~effect-side-effects/SideEffect": TypeId
  readonly _tag: Name
  /** Where the handler lives in Effect's context. */
  readonly key: string
  readonly description: string
  /** The first line of the description. */
  readonly summary: string
  readonly payloadSchema: Payload
  readonly idempotencyKey: ((payload: Payload["Type"]) => string) | undefined
  readonly defaults: Defaults
  /** Names it had before, under which an outbox may still hold it. */
  readonly aliases: ReadonlyArray<string>
  readonly annotations: Context.Context<never>

  /** The same definition with one more annotation. */
  annotate<I, S>(key: Context.Key<I, S>, value: Types.NoInfer<S>): SideEffect<Name, Payload>

  /** The same definition with more annotations. */
  annotateMerge<I>(annotations: Context.Context<I>): SideEffect<Name, Payload>

  /** A handler together with its options, for `SideEffectGroup.toLayer`. */
  handler<E, R, RX = never, RS = never>(
    handle: (payload: Payload["Type"], delivery: Delivery<SideEffect<Name, Payload>>) => Effect.Effect<unknown, E, R>,
    options?: HandlerOptions<E, RX, RS, SideEffect<Name, Payload>>
  ): HandlerWith<Payload["Type"], Types.NoInfer<E>, Types.NoInfer<R> | Types.NoInfer<RX> | Types.NoInfer<RS>>

  /**
   * The layer that performs this side effect. Takes a function of payload and delivery, or an effect that makes one
   * when the layer is built. A handler that acquires resources wraps itself in `Effect.scoped`.
   */
  toLayer<E, R, RX = never, RS = never, EB = never, RB = never>(
    build:
      | ((payload: Payload["Type"], delivery: Delivery<SideEffect<Name, Payload>>) => Effect.Effect<unknown, E, R>)
      | Effect.Effect<
        (payload: Payload["Type"], delivery: Delivery<SideEffect<Name, Payload>>) => Effect.Effect<unknown, E, R>,
        EB,
        RB
      >,
    options?: HandlerOptions<E, RX, RS, SideEffect<Name, Payload>>
  ): Layer.Layer<
    Handler<Name, Names<R | RX>>,
    EB,
    Without<R | RX | RS> | Exclude<RB, Scope.Scope>
  >
}

/**
 * The definition of any side effect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Pipeable {
  readonly "~effect-side-effects/SideEffect": TypeId
  readonly _tag: string
  readonly key: string
  readonly description: string
  readonly summary: string
  readonly payloadSchema: PayloadSchema
  readonly idempotencyKey: ((payload: any) => string) | undefined
  readonly defaults: Defaults
  readonly aliases: ReadonlyArray<string>
  readonly annotations: Context.Context<never>
}

/**
 * The service that a handler's layer provides and a live layer asks for: the ability to perform `Name`.
 *
 * **Details**
 *
 * `Needs` are the names of the side effects that the handler enqueues itself. A live layer accepts the handler only if
 * its group has all of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<in out Name extends string, in Needs extends string = never> {
  readonly "~effect-side-effects/Handler": Types.Contravariant<Needs>
  readonly _tag: Name
}

/**
 * One attempt to perform an intent: what a handler gets beside the payload.
 *
 * **Details**
 *
 * - `attempt`: 1 for the first one.
 * - `idempotencyKey`: the key of the intent, or its id where it has none. It is the same for every attempt, so give it
 *   to the outside system where that accepts one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery<out S extends Intent.Target = Any> {
  readonly intent: Intent.Intent<S>
  readonly attempt: number
  readonly idempotencyKey: string
}

/**
 * When to try again after an attempt that failed.
 *
 * **Details**
 *
 * The schedule gives the pauses and the end. `while` is asked before each retry: an error for which it returns `false`
 * is final. Typed errors and timeouts can be retried; a defect is a bug in the handler and is final.
 *
 * @category models
 * @since 0.1.0
 */
export type Retry<E, RS = never> =
  | Schedule.Schedule<any, E, never, RS>
  | {
    readonly schedule: Schedule.Schedule<any, E, never, RS>
    readonly while?: ((error: E) => boolean) | undefined
  }

/**
 * How a handler is run.
 *
 * **Details**
 *
 * - `timeout`: the limit of each single attempt. One that takes longer is interrupted and fails with
 *   `Cause.TimeoutError`.
 * - `retry`: when to try again. Without it there is one attempt; a worker of the outbox has a schedule of its own for that.
 * - `maxAttempts`: no more than so many attempts, whatever `retry` says. Those that were snoozed do not count.
 * - `concurrency`: how many a worker of the outbox performs at once. The dispatchers of this process have limits of their
 *   own and leave it alone.
 * - `onExhausted`: runs once after the last attempt has failed, for an alert or a compensation. It is not asked for an
 *   intent that the handler cancelled.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerOptions<E, R = never, RS = never, S extends Intent.Target = Any> {
  readonly timeout?: Duration.Input | undefined
  readonly retry?: Retry<Types.NoInfer<E> | Cause.TimeoutError, RS> | undefined
  readonly maxAttempts?: number | undefined
  readonly concurrency?: number | undefined
  readonly onExhausted?:
    | ((
      cause: Cause.Cause<Types.NoInfer<E> | Cause.TimeoutError>,
      delivery: Delivery<S>
    ) => Effect.Effect<unknown, never, R>)
    | undefined
}

/**
 * How a side effect is performed unless somebody says otherwise.
 *
 * **When to use**
 *
 * For what belongs to the action itself and is to be seen in the catalogue.
 *
 * **Details**
 *
 * - `timeout`, `retry`, `maxAttempts`, `concurrency`: as in the options of a handler, which win.
 * - `queue`, `priority`: as in the options of `enqueue`, which win.
 *
 * @category models
 * @since 0.1.0
 */
export interface Defaults {
  readonly timeout?: Duration.Input | undefined
  readonly retry?: Retry<unknown> | undefined
  readonly maxAttempts?: number | undefined
  readonly concurrency?: number | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
}

/**
 * A handler with options, as made by the method `handler` of a definition.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerWith<in Payload, out E, out R> {
  readonly handle: (payload: Payload, delivery: Delivery<any>) => Effect.Effect<unknown, E, R>
  readonly options: HandlerOptions<any, any, any> | undefined
}

/**
 * The name of a side effect.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Name<S extends Any> = S["_tag"]

/**
 * The payload of a side effect, as its handler gets it.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Payload<S extends Any> = S["payloadSchema"]["Type"]

/**
 * The payload of a side effect, as `enqueue` takes it: fields with a constructor default may be left out.
 *
 * @category utility types
 * @since 0.1.0
 */
export type PayloadInput<S extends Any> = S["payloadSchema"]["~type.make.in"]

/**
 * The service that performs a side effect.
 *
 * @category utility types
 * @since 0.1.0
 */
export type ToHandler<S extends Any, Needs extends string = never> = S extends Any ? Handler<S["_tag"], Needs> : never

/**
 * Whether a value is the definition of a side effect.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSideEffect = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * Defines a side effect.
 *
 * **When to use**
 *
 * Once for every kind of thing that leaves the program: a mail, a webhook, an update of a search index.
 *
 * **Details**
 *
 * - The name is one or more `:`-separated segments of letters, digits, `-`, `_` and `.`; by convention
 *   `<module>:<context>:<action>`. It is what policies select, logs show and queues store.
 * - `description` is required. Its first line is the summary.
 * - `payload` is a schema or the fields of a struct; left out, there is none.
 * - `idempotencyKey` computes from the payload what makes two intents the same action.
 * - `defaults` say how it is performed unless its handler or the call site says otherwise.
 * - `aliases` are names it had before: what an outbox holds under one of them is still performed.
 *
 * Throws when the name is malformed or the description is empty.
 *
 * **Example** (Defining a side effect)
 *
 * ```ts
 * import { SideEffect } from "effect-side-effects"
 * import { Schema } from "effect"
 *
 * export class SendConfirmation extends SideEffect.make("orders:mail:send-confirmation", {
 *   description: "Email the customer a confirmation of the order.",
 *   payload: { orderId: Schema.String, to: Schema.String },
 *   idempotencyKey: ({ orderId }) => orderId
 * }) {}
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Name extends string,
  P extends PayloadSchema | Schema.Struct.Fields = Schema.Void
>(name: Name, options: {
  readonly description: string
  readonly payload?: P | undefined
  readonly idempotencyKey?:
    | ((payload: ToPayloadSchema<P>["Type"]) => string)
    | undefined
  readonly defaults?: Defaults | undefined
  readonly aliases?: ReadonlyArray<string> | undefined
  readonly annotations?: Context.Context<never> | undefined
}): SideEffect<Name, ToPayloadSchema<P>> => makeAt(here(make), name, options)

const makeAt = (site: Site, name: string, options: {
  readonly description: string
  readonly payload?: unknown
  readonly idempotencyKey?: ((payload: any) => string) | undefined
  readonly defaults?: Defaults | undefined
  readonly aliases?: ReadonlyArray<string> | undefined
  readonly annotations?: Context.Context<never> | undefined
}): any =>
  define<Fields>(Proto, {
    ...fieldsOf("Side effect", name, site, options),
    key: `effect-side-effects/SideEffect/Handler/${name}`,
    idempotencyKey: options.idempotencyKey,
    defaults: options.defaults ?? {},
    aliases: options.aliases ?? []
  })

/**
 * What `fromFunction` makes of a function.
 *
 * **Details**
 *
 * - `definition`: for groups and policies, and for `SideEffects.enqueue` with the arguments as an array.
 * - `layer`: the handler. It performs the function.
 * - `call`: what takes the place of the function. It resolves to `undefined` where it has enqueued.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromFunction<
  in out Name extends string,
  in out Payload extends PayloadSchema,
  in out Args extends ReadonlyArray<any>,
  out A
> {
  readonly definition: SideEffect<Name, Payload>
  readonly layer: Layer.Layer<Handler<Name>>
  readonly call: (...args: Args) => Promise<A | undefined>
}

/**
 * The schema of the arguments of a function that were given none: JSON values, in an array.
 *
 * @category models
 * @since 0.1.0
 */
export interface Arguments<in out Args extends ReadonlyArray<any>>
  extends Schema.Codec<Readonly<Args>, ReadonlyArray<Schema.Json>>
{
  readonly "~type.make.in": Readonly<Args>
}

/**
 * Makes a side effect of a function that was written without Effect, for the time in which old callers and new ones live
 * side by side.
 *
 * **When to use**
 *
 * To get the promise functions of a program behind boundaries before each of their callers is rewritten: export `call`
 * under the old name, add `definition` to a group, provide `layer`, and open boundaries.
 *
 * **Details**
 *
 * `call` finds out by itself where it stands, in a fiber as well as behind an `await` that a fiber waits for.
 *
 * - Inside a boundary it enqueues, resolves to `undefined`, and logs a warning once per call site with `deprecation`: the
 *   line to write instead. `false` says nothing.
 * - Outside every boundary it calls the function, and returns what that returns.
 * - Inside a handler it enqueues as well. The function that `layer` performs may call its own `call`: that performs it.
 * - Under a layer that lets nothing leave (`TestLayer`, `DropLayer`, `AssertNoneLayer`) it is enqueued without a boundary,
 *   too, as long as no `await` lies before it. In `plan` it is, wherever it lies.
 * - It rejects with the defect where `enqueue` would die: `BoundaryClosed`, `PolicyViolation`, `InvalidPayload`.
 *
 * The payload is the array of arguments, copied when they are passed. Without `payload` they have to be JSON values, and
 * what is not rejects with a `TypeError` that says where it is. With a schema of the tuple they can be whatever that
 * encodes. What the function rejects with is a typed failure, so `defaults.retry` applies to it. The catalogue shows
 * the tag `from-function`.
 *
 * **Gotchas**
 *
 * - What a caller did with the result it now has to do without: the type of `call` says so.
 * - A method is passed bound: `mailer.send.bind(mailer)`.
 * - Behind an `await`, a boundary is known through `AsyncLocalStorage`, which Node, Bun and Deno have. Elsewhere a warning says
 *   that such a call is performed at once.
 * - What an emitter or a pool calls later stands where the emitter or pool was started. If that was in a boundary, the
 *   call is too late and rejects with `BoundaryClosed`.
 * - A rejection that nobody handles ends a Node process, as with any promise.
 * - Behind an `await` it has the context of where the boundary was entered: its `traceparent` is the span of that, and a
 *   transaction that was begun inside is not seen.
 * - Code that another runtime runs inside a boundary is outside of it in its fibers, and inside behind their `await`s.
 * - From the first `fromFunction` on, a fiber pauses once before its first boundary, as after `Effect.yieldNow`.
 *
 * **Example** (Old code inside a boundary)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { Effect, Layer } from "effect"
 *
 * const sent: Array<string> = []
 *
 * const mail = SideEffect.fromFunction(
 *   "orders:mail:send",
 *   async (to: string, subject: string) => {
 *     sent.push(`${subject} to ${to}`)
 *   },
 *   {
 *     description: "Email a customer.",
 *     deprecation: "yield* SideEffects.enqueue(mail.definition, [to, subject])"
 *   }
 * )
 * const sendMail = mail.call
 *
 * // Nothing has changed here.
 * const placeOrder = async (customer: string) => {
 *   await sendMail(customer, "Your order")
 *   if (customer === "") throw new Error("Who is it for?")
 * }
 *
 * const program = SideEffects.boundary(Effect.tryPromise(() => placeOrder("")))
 *
 * const Live = SideEffects.LiveLayer(SideEffectGroup.make("orders").add(mail.definition)).pipe(
 *   Layer.provide(mail.layer)
 * )
 * await Effect.runPromise(program.pipe(Effect.ignore, Effect.provide(Live)))
 *
 * if (sent.length !== 0) throw new Error("The order has failed, so no mail may be sent")
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFunction = <
  const Name extends string,
  Args extends ReadonlyArray<any>,
  A,
  P extends PayloadSchema & { readonly Type: Readonly<Args> } = Arguments<Args>
>(name: Name, f: (...args: Args) => A, options: {
  readonly description: string
  readonly deprecation?: string | false | undefined
  readonly payload?: P | undefined
  readonly idempotencyKey?: ((args: P["Type"]) => string) | undefined
  readonly defaults?: Defaults | undefined
  readonly aliases?: ReadonlyArray<string> | undefined
  readonly annotations?: Context.Context<never> | undefined
}): FromFunction<Name, P, Args, Awaited<A>> => {
  ambient.arm()
  const definition = makeAt(here(fromFunction), name, {
    ...options,
    payload: options.payload ?? legacy.Arguments,
    annotations: legacy.annotations(f.name, options.annotations)
  }) as SideEffect<Name, any>
  const replacement = options.deprecation ??
    `yield* SideEffects.enqueue(definition, [...]) with the definition of "${name}".`
  return {
    definition,
    layer: definition.toLayer(legacy.perform(name, f)) as Layer.Layer<Handler<Name>>,
    call: legacy.dropIn(definition, f, replacement)
  }
}

/**
 * Ends the handler and the intent: it is not tried again, and `onExhausted` is not run. The decision is `Dropped`, by
 * the handler, for this reason.
 *
 * **When to use**
 *
 * When the handler finds that the action is no longer wanted, such as a reminder for an order that was paid meanwhile.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const cancel = (reason: string): Effect.Effect<never> => Effect.die(new control.Cancel(reason))

/**
 * Ends the attempt and asks for another one after the duration. It does not count as an attempt.
 *
 * **When to use**
 *
 * When the outside system asks to come back later, such as on HTTP 429 with `Retry-After`.
 *
 * **Gotchas**
 *
 * `Dispatcher.inline` waits, and the boundary with it.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const snooze = (duration: Duration.Input): Effect.Effect<never> =>
  Effect.suspend(() => Effect.die(new control.Snooze(Duration.fromInputUnsafe(duration))))

interface Fields extends DefinitionFields {
  readonly key: string
  readonly idempotencyKey: ((payload: any) => string) | undefined
  readonly defaults: Defaults
  readonly aliases: ReadonlyArray<string>
}

const Proto = {
  [TypeId]: TypeId,
  handler(handle: unknown, options: unknown) {
    return { handle, options }
  },
  toLayer(this: Any, build: unknown, options: HandlerOptions<any, any, any> | undefined) {
    return layerHandlers(
      Effect.isEffect(build)
        ? Effect.map(build as Effect.Effect<any>, (handle) => [[this, { handle, options }]])
        : Effect.succeed([[this, { handle: build as any, options }]])
    )
  }
}

/**
 * The one way from handlers to a layer: remembers the services they were built with.
 *
 * @internal
 */
export const layerHandlers = (
  build: Effect.Effect<ReadonlyArray<readonly [Any, HandlerWith<any, any, any>]>, any, any>
): Layer.Layer<any, any, any> =>
  Layer.effectContext(Effect.flatMap(build, (handlers) =>
    Effect.contextWith((context: Context.Context<any>) => {
      // What belongs to the moment of building, not to the handlers.
      const services = Context.omit(Scheduler.Scheduler, Scope.Scope, Tracer.ParentSpan)(context)
      const entries = new Map<string, HandlerEntry>()
      for (const [sideEffect, { handle, options }] of handlers) {
        const retry = options?.retry ?? sideEffect.defaults.retry
        const timeout = options?.timeout ?? sideEffect.defaults.timeout
        const maxAttempts = options?.maxAttempts ?? sideEffect.defaults.maxAttempts
        const concurrency = options?.concurrency ?? sideEffect.defaults.concurrency
        checkNumber(`The handler of "${sideEffect._tag}"`, "maxAttempts", maxAttempts)
        checkNumber(`The handler of "${sideEffect._tag}"`, "concurrency", concurrency)
        entries.set(sideEffect.key, {
          handle,
          services,
          timeout: timeout === undefined ? undefined : Duration.fromInputUnsafe(timeout),
          schedule: retry === undefined ? undefined : Schedule.isSchedule(retry) ? retry : retry.schedule,
          maxAttempts,
          concurrency,
          retryWhile: retry === undefined || Schedule.isSchedule(retry) ? undefined : retry.while,
          onExhausted: options?.onExhausted
        })
      }
      return Effect.succeed(Context.makeUnsafe<any>(entries))
    })))
