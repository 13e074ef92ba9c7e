/**
 * An event: a named, typed, described fact of the domain. Groups bind side effects to it.
 *
 * A definition says that something can happen. `SideEffects.emit` says that it has, and enqueues every side effect that
 * is bound to it.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Inspectable from "effect/Inspectable"
import type { Pipeable } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import { define, fieldsOf, type PayloadSchema, type ToPayloadSchema } from "./internal/definition.ts"
import { here, type Site } from "./internal/site.ts"

/**
 * The runtime type of every definition of an event.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/Event"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/Event"

/**
 * The runtime type of every emitted event.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const EmittedTypeId: EmittedTypeId = "~effect-side-effects/Event/Emitted"

/**
 * The type of `EmittedTypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type EmittedTypeId = "~effect-side-effects/Event/Emitted"

/**
 * The definition of an event. Made by `make`, usually as the base of a class, so that its type has a name of its own.
 *
 * **Gotchas**
 *
 * The name of the event is `_tag`: the `name` of a class is the name of the class.
 *
 * @category models
 * @since 0.1.0
 */
export interface Event<in out Name extends string, in out Payload extends PayloadSchema = Schema.Void>
  extends Pipeable
{
  new(_: never): {}

  readonly "~effect-side-effects/Event": TypeId
  readonly _tag: Name
  readonly description: string
  /** The first line of the description. */
  readonly summary: string
  readonly payloadSchema: Payload
  readonly annotations: Context.Context<never>

  /** The same definition with one more annotation. */
  annotate<I, S>(key: Context.Key<I, S>, value: Types.NoInfer<S>): Event<Name, Payload>

  /** The same definition with more annotations. */
  annotateMerge<I>(annotations: Context.Context<I>): Event<Name, Payload>
}

/**
 * The definition of any event.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Pipeable {
  readonly "~effect-side-effects/Event": TypeId
  readonly _tag: string
  readonly description: string
  readonly summary: string
  readonly payloadSchema: PayloadSchema
  readonly annotations: Context.Context<never>
}

/**
 * One event that was emitted: the fact itself. It is the `origin` of the intents that follow from it.
 *
 * **Details**
 *
 * `origin` is that of the boundary it was emitted in, where that has one: a route, a job.
 *
 * @category models
 * @since 0.1.0
 */
export interface Emitted<out E extends Any = Any> {
  readonly [EmittedTypeId]: EmittedTypeId
  readonly name: E["_tag"]
  readonly event: E
  readonly payload: E["payloadSchema"]["Type"]
  readonly origin: string | undefined
}

/**
 * One event of several, told apart by `name`.
 *
 * @category utility types
 * @since 0.1.0
 */
export type EmittedOf<E extends Any> = E extends Any ? Emitted<E> : never

/**
 * The name of an event.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Name<E extends Any> = E["_tag"]

/**
 * The payload of an event, as bindings get it.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Payload<E extends Any> = E["payloadSchema"]["Type"]

/**
 * The payload of an event, as `emit` takes it: fields with a constructor default may be left out.
 *
 * @category utility types
 * @since 0.1.0
 */
export type PayloadInput<E extends Any> = E["payloadSchema"]["~type.make.in"]

/**
 * Those of several events whose names a pattern matches. `*` is one segment, `**` any number of them, none included.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Matching<E extends Any, Pattern extends string> = E extends Any
  ? Matches<E["_tag"], Pattern> extends true ? E : never
  : never

/**
 * Whether a name is matched by a pattern. A name or pattern that the compiler does not know letter by letter may be.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Matches<Name extends string, Pattern extends string> = IsLiteral<Name> extends false ? true
  : IsLiteral<Pattern> extends false ? true
  : Pattern extends Name ? true
  : Pattern extends "**" ? true
  : Pattern extends `**:${infer Rest}`
    ? Matches<Name, Rest> extends true ? true : Name extends `${string}:${infer Tail}` ? Matches<Tail, Pattern> : false
  : Pattern extends `${infer Head}:${infer Rest}`
    ? Name extends `${infer First}:${infer Tail}` ? Head extends "*" | First ? Matches<Tail, Rest> : false
    : OnlyAny<Rest> extends true ? Head extends "*" | Name ? true : false
    : false
  : Pattern extends "*" ? Name extends `${string}:${string}` ? false : true
  : false

/** Whether the compiler knows it letter by letter: `string` and template literals make an index signature. */
type IsLiteral<Text extends string> = {} extends Record<Text, 1> ? false : true

/** What the rest of a pattern has to be when the name has ended. */
type OnlyAny<Pattern extends string> = Pattern extends "**" ? true
  : Pattern extends `**:${infer Rest}` ? OnlyAny<Rest>
  : false

/**
 * Whether a value is the definition of an event.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEvent = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * Whether a value is an event that was emitted.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEmitted = (u: unknown): u is Emitted => Predicate.hasProperty(u, EmittedTypeId)

/**
 * Defines an event.
 *
 * **When to use**
 *
 * Once for every fact that something outside may follow from: an order was placed, an account was closed. What follows is
 * not its matter; a `SideEffectGroup` binds that.
 *
 * **Details**
 *
 * - The name is one or more `:`-separated segments of letters, digits, `-`, `_` and `.`; by convention
 *   `<module>:<context>:<what happened>`.
 * - `description` is required. Its first line is the summary.
 * - `payload` is a schema or the fields of a struct; left out, there is none.
 *
 * Throws when the name is malformed or the description is empty.
 *
 * **Example** (An event and what follows from it)
 *
 * ```ts
 * import { Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { Schema } from "effect"
 *
 * class OrderPlaced extends Event.make("orders:order:placed", {
 *   description: "A customer placed an order.",
 *   payload: { orderId: Schema.String, email: Schema.String }
 * }) {}
 *
 * class SendConfirmation extends SideEffect.make("orders:mail:send-confirmation", {
 *   description: "Email the customer a confirmation of the order.",
 *   payload: { orderId: Schema.String, to: Schema.String }
 * }) {}
 *
 * export const Orders = SideEffectGroup.make("orders")
 *   .on(OrderPlaced, SendConfirmation, ({ email, orderId }) => ({ orderId, to: email }))
 *
 * export const placeOrder = SideEffects.emit(OrderPlaced, { orderId: "1042", email: "ada@example.org" })
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
  readonly annotations?: Context.Context<never> | undefined
}): Event<Name, ToPayloadSchema<P>> => makeAt(here(make), name, options)

/**
 * As `make`, for code that makes events on behalf of its caller: the event was written there.
 *
 * @internal
 */
export const makeAt = (
  site: Site,
  name: string,
  options: Parameters<typeof fieldsOf>[3]
): any => define({ [TypeId]: TypeId }, fieldsOf("Event", name, site, options))

/**
 * What became of an emitted event, as its boundary decides.
 *
 * @internal
 */
export type Fate = { readonly _tag: "Released" } | {
  readonly _tag: "Discarded"
  readonly by: string
  readonly reason: string
}

/** @internal */
export class EmittedImpl {
  declare readonly [EmittedTypeId]: EmittedTypeId
  readonly name: string
  readonly event: any
  readonly payload: any
  readonly origin: string | undefined
  /** Position in the order of all that was emitted and enqueued. Not for people, so not to be seen. */
  #seq = -1
  #fate: Fate | undefined = undefined

  constructor(event: Any, payload: unknown, origin: string | undefined) {
    this.name = event._tag
    this.event = event
    this.payload = payload
    this.origin = origin
  }

  get seq(): number {
    return this.#seq
  }
  set seq(seq: number) {
    this.#seq = seq
  }
  get fate(): Fate | undefined {
    return this.#fate
  }
  set fate(fate: Fate | undefined) {
    this.#fate = fate
  }

  toJSON(): unknown {
    const json = { _id: "Event", name: this.name, payload: this.payload }
    return this.origin === undefined ? json : { ...json, origin: this.origin }
  }

  toString(): string {
    return `Event(${this.name})`
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

Object.defineProperty(EmittedImpl.prototype, EmittedTypeId, { value: EmittedTypeId })
