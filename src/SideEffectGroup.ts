/**
 * A group: the catalogue of one module. Its side effects, its events, which side effects follow from which event, and the
 * exhaustive set of handlers.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import * as Binding from "./Binding.ts"
import * as Event from "./Event.ts"
import { checkName } from "./internal/pattern.ts"
import type { Names as RequiredNames, Without } from "./internal/requirement.ts"
import { here, locate } from "./internal/site.ts"
import * as SideEffect from "./SideEffect.ts"

/**
 * The runtime type of every group.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/SideEffectGroup"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/SideEffectGroup"

/**
 * A catalogue of side effects and events. It is a plain value; every method returns a new one.
 *
 * @category models
 * @since 0.1.0
 */
export interface SideEffectGroup<in out S extends SideEffect.Any, in out E extends Event.Any = never> extends Pipeable {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly sideEffects: ReadonlyMap<string, S>
  readonly eventsByName: ReadonlyMap<string, E>
  readonly bindings: ReadonlyArray<Binding.Binding>
  /** The groups that were merged in. */
  readonly parts: ReadonlyArray<Any>
  readonly annotations: Context.Context<never>

  /** The group with more side effects. Throws when a name is taken already. */
  add<const Added extends ReadonlyArray<SideEffect.Any>>(...sideEffects: Added): SideEffectGroup<S | Added[number], E>

  /** The group with more events. Throws when a name is taken already. */
  events<const Added extends ReadonlyArray<Event.Any>>(...events: Added): SideEffectGroup<S, E | Added[number]>

  /**
   * Binds a side effect to an event, to several, or to all that a pattern selects: whenever one of them is emitted, the
   * side effect is enqueued with the payload that the mapping makes of it. What is not in the group yet is added.
   *
   * A pattern selects among the events that the group has here, so put it after them: in a string, `*` is one segment
   * of a name and `**` any number of them. The compiler works out what they are, and the mapping gets the union of their
   * payloads; with a regular expression it gets `unknown`. An event that an earlier pattern of this group would have
   * selected is refused later on.
   *
   * The mapping can be left out for a side effect without a payload.
   *
   * Throws when the side effect is bound to one of the events already, unless an `id` sets them apart, or the `id` is
   * taken. A pattern may select what is bound already: then the side effect follows twice.
   */
  on<const From extends Binding.Selector, Added extends SideEffect.Any>(
    from: From & Known<E, From>,
    sideEffect: Added,
    ...args: OnArgs<Selected<E, From>, Added>
  ): SideEffectGroup<S | Added, E | Named<From>>

  /**
   * The group with all side effects, events and bindings of other groups. The same definition may come from several of
   * them; two definitions of one name throw. A pattern keeps to the events of the group it was written in, and an
   * annotation to the group it was put on.
   */
  merge<const Groups extends ReadonlyArray<Any>>(
    ...groups: Groups
  ): SideEffectGroup<S | SideEffects<Groups[number]>, E | Events<Groups[number]>>

  /** The group with one more annotation, such as its owner. */
  annotate<I, V>(key: Context.Key<I, V>, value: Types.NoInfer<V>): SideEffectGroup<S, E>

  /**
   * The layer that performs every side effect of the group: one handler for each name, or an effect that makes them
   * when the layer is built. A missing one does not compile. A handler with options comes from the method `handler` of
   * its definition.
   */
  toLayer<H extends HandlersFrom<S>, EB = never, RB = never>(
    build: H | Effect.Effect<H, EB, RB>
  ): Layer.Layer<
    SideEffect.ToHandler<S, RequiredNames<HandlersServices<H>>>,
    EB,
    Without<HandlersServices<H>> | Exclude<RB, Scope.Scope>
  >
}

/**
 * Any group.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly sideEffects: ReadonlyMap<string, SideEffect.Any>
  readonly eventsByName: ReadonlyMap<string, Event.Any>
  readonly bindings: ReadonlyArray<Binding.Binding>
  readonly parts: ReadonlyArray<Any>
  readonly annotations: Context.Context<never>
}

/**
 * The side effects of a group.
 *
 * @category utility types
 * @since 0.1.0
 */
export type SideEffects<G extends Any> = G extends SideEffectGroup<infer S, infer _> ? S : never

/**
 * The events of a group.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Events<G extends Any> = G extends SideEffectGroup<infer _, infer E> ? E : never

/**
 * The names of the side effects and events of a group: all that a program may enqueue or emit under its layers.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Names<G extends Any> = SideEffects<G>["_tag"] | Events<G>["_tag"]

/**
 * The events that `on` names itself, and adds to the group.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Named<From> = From extends Event.Any ? From
  : From extends ReadonlyArray<infer Each extends Event.Any> ? Each
  : never

/**
 * The events that a side effect is bound to: those named, or those of the group that a pattern matches.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Selected<E extends Event.Any, From> = From extends string ? Event.Matching<E, From>
  : From extends RegExp ? Event.Any
  : Named<From>

/**
 * Refuses a pattern, or a name, that no event of the group matches.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Known<E extends Event.Any, From> = From extends string
  ? [Event.Matching<E, From>] extends [never] ? NoEventSoFarMatches<From> : unknown
  : unknown

/**
 * What the compiler shows where no event that the group has so far matches a pattern or a name: it is misspelt, or stands
 * before its events.
 *
 * @category utility types
 * @since 0.1.0
 */
export interface NoEventSoFarMatches<Pattern extends string> {
  readonly "~effect-side-effects/NoEventSoFarMatches": Pattern
}

/**
 * The arguments of `on` after the side effect: the mapping, and options.
 *
 * @category utility types
 * @since 0.1.0
 */
export type OnArgs<E extends Event.Any, S extends SideEffect.Any> = IsVoid<SideEffect.PayloadInput<S>> extends true
  ? [mapping?: undefined, options?: Binding.Options<Event.Payload<E>, Event.EmittedOf<E>>]
  : [
    mapping: Mapping<E, S> | MappingOf<E["_tag"], S["_tag"]>,
    options?: Binding.Options<Event.Payload<E>, Event.EmittedOf<E>>
  ]

/** `any` is no void. */
type IsVoid<P> = 0 extends 1 & P ? false : [P] extends [void] ? true : false

/**
 * Makes the payload of a side effect of an event and its payload.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Mapping<E extends Event.Any, S extends SideEffect.Any> = (
  payload: Event.Payload<E>,
  event: Event.EmittedOf<E>
) => SideEffect.PayloadInput<S>

/**
 * Nothing is one. With it in the union, the compiler speaks of a mapping that does not fit as a whole, and by the names of
 * event and side effect.
 *
 * @category utility types
 * @since 0.1.0
 */
export interface MappingOf<EventName extends string, SideEffectName extends string> {
  readonly "~effect-side-effects/MappingOf": [EventName, SideEffectName, never]
}

/**
 * The handlers that perform a group, by name.
 *
 * @category utility types
 * @since 0.1.0
 */
export type HandlersFrom<S extends SideEffect.Any> = {
  readonly [Current in S as Current["_tag"]]:
    | ((
      payload: SideEffect.Payload<Current>,
      delivery: SideEffect.Delivery<Current>
    ) => Effect.Effect<unknown, any, any>)
    | SideEffect.HandlerWith<SideEffect.Payload<Current>, any, any>
}

/**
 * The services that a set of handlers needs.
 *
 * @category utility types
 * @since 0.1.0
 */
export type HandlersServices<H> = {
  readonly [K in keyof H]: H[K] extends (...args: any) => Effect.Effect<any, any, infer R> ? R
    : H[K] extends SideEffect.HandlerWith<any, any, infer R> ? R
    : never
}[keyof H]

/**
 * Whether a value is a group.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSideEffectGroup = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * Makes an empty group. Its name follows the grammar of the names of side effects and appears in catalogues and
 * messages; it is not a prefix of anything.
 *
 * **Example** (A group and its handlers)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup } from "effect-side-effects"
 * import { Console, Schema } from "effect"
 *
 * class SendConfirmation extends SideEffect.make("orders:mail:send-confirmation", {
 *   description: "Email the customer a confirmation of the order.",
 *   payload: { orderId: Schema.String }
 * }) {}
 *
 * class NotifyWarehouse extends SideEffect.make("orders:warehouse:notify", {
 *   description: "Tell the warehouse to pack the order.",
 *   payload: { orderId: Schema.String }
 * }) {}
 *
 * const Orders = SideEffectGroup.make("orders").add(SendConfirmation, NotifyWarehouse)
 *
 * const OrderHandlers = Orders.toLayer({
 *   "orders:mail:send-confirmation": ({ orderId }) => Console.log(`mail for ${orderId}`),
 *   "orders:warehouse:notify": NotifyWarehouse.handler(({ orderId }) => Console.log(`pack ${orderId}`), {
 *     timeout: "5 seconds"
 *   })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (name: string): SideEffectGroup<never> =>
  makeProto({
    name: checkName("Group", name),
    sideEffects: new Map(),
    eventsByName: new Map(),
    bindings: [],
    parts: [],
    annotations: Context.empty()
  })

interface Fields {
  readonly name: string
  readonly sideEffects: ReadonlyMap<string, any>
  readonly eventsByName: ReadonlyMap<string, any>
  readonly bindings: ReadonlyArray<Binding.Binding>
  readonly parts: ReadonlyArray<Any>
  readonly annotations: Context.Context<never>
}

type Kind = "side effect" | "event"
type Definition = SideEffect.Any | Event.Any

const article = (kind: Kind): string => kind === "event" ? "an event" : "a side effect"

const duplicate = (group: string, kind: Kind, known: Definition, other: Definition): Error =>
  new Error(
    `Group "${group}" already has ${
      article(kind)
    } named "${known._tag}". A name stands for one ${kind}: give the second ` +
      `one another name, or remove it if it is the same.${places(known, other)}`
  )

const clash = (group: string, name: string): Error =>
  new Error(
    `Group "${group}" has both a side effect and an event named "${name}". A name stands for one of them: name the ` +
      "event after what has happened and the side effect after what is to be done."
  )

const places = (...definitions: ReadonlyArray<Definition>): string => {
  const sites = definitions.map(locate)
  const [first, second] = sites.map((site) => site && `${site.file}:${site.line}`)
  return first === undefined || second === undefined || first === second
    ? ""
    : ` They are defined at ${first} and ${second}.`
}

/** The definitions with one more. Throws when its name stands for something else. */
const added = (
  group: string,
  kind: Kind,
  into: ReadonlyMap<string, any>,
  others: ReadonlyMap<string, any>,
  definitions: Iterable<Definition>,
  twice: boolean
): ReadonlyMap<string, any> => {
  let all: Map<string, any> | undefined
  for (const definition of definitions) {
    if (kind === "event" ? !Event.isEvent(definition) : !SideEffect.isSideEffect(definition)) {
      throw new Error(`Group "${group}" was given something else where the definition of ${article(kind)} belongs.`)
    }
    const name = definition._tag
    const known = (all ?? into).get(name)
    if (known !== undefined && !(twice && known === definition)) throw duplicate(group, kind, known, definition)
    if (others.has(name)) throw clash(group, name)
    if (known === undefined) (all ??= new Map(into)).set(name, definition)
  }
  return all ?? into
}

/** A pattern has chosen already, and its mapping was compiled for what it chose. */
const checkLate = ({ bindings, eventsByName, name }: Fields, events: ReadonlyArray<Event.Any>): void => {
  for (const binding of bindings) {
    if (binding.group !== name || binding.selects === undefined) continue
    const late = events.find(({ _tag }) => !eventsByName.has(_tag) && binding.selects!(_tag))
    if (late === undefined) continue
    throw new Error(
      `Group "${name}" gets event "${late._tag}" after the binding "${binding.id}", whose pattern matches it: a pattern ` +
        "selects among the events that the group has by then. Move the binding behind the event."
    )
  }
}

const takenId = (group: string, id: string): Error =>
  new Error(
    `Group "${group}" already has a binding with the id "${id}". Remove one of them; if the side effect is to be ` +
      "performed twice, give the second one an id of its own."
  )

/** What only an `id` can tell from a slip. */
const checkTwice = (
  name: string,
  bindings: Iterable<Binding.Binding>,
  { events, id, selects, sideEffect }: Binding.Binding
): void => {
  if (selects !== undefined) return
  for (const other of bindings) {
    if (other.selects !== undefined || other.sideEffect !== sideEffect) continue
    const event = [...events].find((event) => other.events.has(event))
    if (event === undefined) continue
    throw new Error(
      `Group "${name}" binds side effect "${sideEffect._tag}" to event "${event}" twice: by "${other.id}" and by ` +
        `"${id}". Remove one of them; if it is to be performed twice, give the second one an id.`
    )
  }
}

const Proto = {
  [TypeId]: TypeId,
  add(this: Fields, ...sideEffects: ReadonlyArray<SideEffect.Any>) {
    return makeProto({
      ...this,
      sideEffects: added(this.name, "side effect", this.sideEffects, this.eventsByName, sideEffects, false)
    })
  },
  events(this: Fields, ...events: ReadonlyArray<Event.Any>) {
    checkLate(this, events)
    return makeProto({
      ...this,
      eventsByName: added(this.name, "event", this.eventsByName, this.sideEffects, events, false)
    })
  },
  on(
    this: Fields,
    from: Binding.Selector,
    sideEffect: SideEffect.Any,
    mapping?: Binding.Binding["mapping"],
    options: Binding.Options = {}
  ) {
    const chosen = (typeof from === "string" ? this.eventsByName.get(from) : undefined) ?? from
    Binding.check(this.name, chosen, sideEffect, mapping)
    const named = Binding.namedBy(chosen)
    checkLate(this, named)
    const eventsByName = added(this.name, "event", this.eventsByName, this.sideEffects, named, true)
    const sideEffects = added(this.name, "side effect", this.sideEffects, eventsByName, [sideEffect], true)
    const binding = Binding.make(this.name, eventsByName, chosen, sideEffect, mapping, options, here(Proto.on))
    if (this.bindings.some(({ id }) => id === binding.id)) throw takenId(this.name, binding.id)
    if (options.id === undefined) checkTwice(this.name, this.bindings, binding)
    return makeProto({ ...this, sideEffects, eventsByName, bindings: [...this.bindings, binding] })
  },
  merge(this: Fields, ...groups: ReadonlyArray<Any>) {
    let { eventsByName, sideEffects } = this
    const bindings = new Map(this.bindings.map((binding) => [binding.id, binding]))
    for (const group of groups) {
      eventsByName = added(this.name, "event", eventsByName, sideEffects, group.eventsByName.values(), true)
      sideEffects = added(this.name, "side effect", sideEffects, eventsByName, group.sideEffects.values(), true)
      for (const binding of group.bindings) {
        const taken = bindings.get(binding.id)
        if (taken !== undefined && taken !== binding) throw takenId(this.name, binding.id)
        if (taken === undefined && !Binding.hasOwnId(binding)) checkTwice(this.name, bindings.values(), binding)
        bindings.set(binding.id, binding)
      }
    }
    const parts = [...this.parts, ...groups]
    return makeProto({ ...this, bindings: [...bindings.values()], eventsByName, parts, sideEffects })
  },
  annotate(this: Fields, key: Context.Key<any, any>, value: any) {
    return makeProto({ ...this, annotations: Context.add(this.annotations, key, value) })
  },
  toLayer(this: Fields, build: Record<string, any> | Effect.Effect<Record<string, any>, any, any>) {
    return SideEffect.layerHandlers(
      Effect.map(
        Effect.isEffect(build) ? build : Effect.succeed(build),
        (handlers) => pair(this, handlers as Record<string, any>)
      )
    )
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const pair = (group: Fields, handlers: Record<string, any>): Array<readonly [SideEffect.Any, any]> => {
  const unknown = Object.keys(handlers).find((name) => !group.sideEffects.has(name))
  if (unknown !== undefined) {
    throw new Error(
      `Group "${group.name}" has no side effect named "${unknown}", but it was given a handler for it. It has: ` +
        `${[...group.sideEffects.keys()].join(", ")}.`
    )
  }
  return [...group.sideEffects].map(([name, sideEffect]) => {
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
    if (handler === undefined) {
      throw new Error(`Group "${group.name}" was given no handler for its side effect "${name}".`)
    }
    return [sideEffect, typeof handler === "function" ? { handle: handler, options: undefined } : handler]
  })
}

const makeProto = (fields: Fields): any =>
  Object.assign(Object.create(Proto), {
    name: fields.name,
    sideEffects: fields.sideEffects,
    eventsByName: fields.eventsByName,
    bindings: fields.bindings,
    parts: fields.parts,
    annotations: fields.annotations
  })
