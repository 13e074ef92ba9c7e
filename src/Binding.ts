/**
 * A binding: which side effect follows from which event, and with what payload.
 *
 * Bindings are made by the method `on` of a `SideEffectGroup`.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Event from "./Event.ts"
import type * as Intent from "./Intent.ts"
import * as describe from "./internal/describe.ts"
import { checkText, compilePattern } from "./internal/pattern.ts"
import type { Site, Sited } from "./internal/site.ts"
import * as SideEffect from "./SideEffect.ts"

/**
 * The runtime type of every binding.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/Binding"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/Binding"

/**
 * What a side effect can be bound to: an event, several, or a pattern that selects among the events that a group has.
 *
 * @category models
 * @since 0.1.0
 */
export type Selector = Event.Any | ReadonlyArray<Event.Any> | string | RegExp

/**
 * One binding.
 *
 * **Details**
 *
 * - `id`: given, or `event -> side effect`.
 * - `from`: what was bound to, as it was written: a name, names separated by `, `, a pattern, or a regular expression.
 * - `events`: the names of the events it stands for. A pattern stands for those that its group had where it was bound.
 * - `priority`: of the side effects of one event, higher ones come first. Equal ones come in the order of their binding.
 * - `group`: the name of the group it was bound in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Binding {
  readonly [TypeId]: TypeId
  readonly id: string
  readonly group: string
  readonly from: string
  readonly kind: "event" | "events" | "pattern" | "regexp"
  readonly events: ReadonlySet<string>
  /** The test on names of a pattern. */
  readonly selects: ((name: string) => boolean) | undefined
  readonly sideEffect: SideEffect.Any
  readonly mapping: ((payload: any, event: any) => unknown) | undefined
  readonly when: ((payload: any, event: any) => boolean) | undefined
  readonly enqueue: Intent.Options | ((payload: any, event: any) => Intent.Options) | undefined
  readonly priority: number
}

/**
 * How a side effect is bound.
 *
 * **Details**
 *
 * - `id`: names the binding in the catalogue and in messages. Needed to bind a side effect to one event twice.
 * - `priority`: of the side effects of one event, higher ones come first. Default 0.
 * - `when`: the side effect follows only if it returns `true`.
 * - `enqueue`: the options of `SideEffects.enqueue`, or a function that computes them, such as a delay.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in Payload = any, in Emitted = any> {
  readonly id?: string | undefined
  readonly priority?: number | undefined
  readonly when?: ((payload: Payload, event: Emitted) => boolean) | undefined
  readonly enqueue?:
    | Omit<Intent.Options, "origin">
    | ((payload: Payload, event: Emitted) => Omit<Intent.Options, "origin">)
    | undefined
}

/**
 * Whether a value is a binding.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBinding = (u: unknown): u is Binding => Predicate.hasProperty(u, TypeId)

/**
 * Binds, given the events that the group has by now.
 *
 * @internal
 */
export const make = (
  group: string,
  known: ReadonlyMap<string, Event.Any>,
  from: Selector,
  sideEffect: SideEffect.Any,
  mapping: Binding["mapping"],
  options: Options,
  site: Site
): Binding => {
  const text = written(from)
  const id = defaultId(text, sideEffect._tag)
  if (options.priority !== undefined && !Number.isFinite(options.priority)) {
    throw new Error(`Binding "${id}" was given priority: ${options.priority}. It takes a number.`)
  }
  const selects = typeof from === "string" || from instanceof RegExp ? compilePattern(from) : undefined
  const binding: Binding & Sited = {
    [TypeId]: TypeId,
    id: options.id === undefined ? id : checkText("Binding id", options.id),
    group,
    from: text,
    kind: Event.isEvent(from)
      ? "event"
      : Array.isArray(from)
      ? "events"
      : from instanceof RegExp
      ? "regexp"
      : "pattern",
    events: new Set(selects === undefined ? namedBy(from).map(({ _tag }) => _tag) : [...known.keys()].filter(selects)),
    selects,
    sideEffect,
    mapping,
    when: options.when,
    enqueue: options.enqueue,
    priority: options.priority ?? 0,
    "~effect-side-effects/site": site
  }
  return binding
}

/**
 * The events that a selector names itself.
 *
 * @internal
 */
export const namedBy = (from: Selector): ReadonlyArray<Event.Any> =>
  Event.isEvent(from) ? [from] : Array.isArray(from) ? [...new Set(from as ReadonlyArray<Event.Any>)] : []

/**
 * The id of a binding that was given none.
 *
 * @internal
 */
export const defaultId = (from: string, sideEffect: string): string => `${from} -> ${sideEffect}`

/**
 * Whether a binding was given an id of its own.
 *
 * @internal
 */
export const hasOwnId = ({ from, id, sideEffect }: Binding): boolean => id !== defaultId(from, sideEffect._tag)

/**
 * Refuses what cannot be bound, where the compiler has not seen it.
 *
 * @internal
 */
export const check = (group: string, from: unknown, sideEffect: unknown, mapping: unknown): void => {
  const fail = (what: string): never => {
    throw new Error(`Group "${group}": on ${what}.`)
  }
  const isNames = Array.isArray(from) && from.length > 0 && from.every(Event.isEvent)
  if (!isNames && !Event.isEvent(from) && typeof from !== "string" && !(from instanceof RegExp)) {
    fail("takes an event, an array of events, a pattern or a RegExp first")
  }
  if (!SideEffect.isSideEffect(sideEffect)) fail("takes the definition of a side effect second")
  if (mapping !== undefined && typeof mapping !== "function") fail("takes a function that makes the payload third")
}

const written = (from: Selector): string =>
  typeof from === "string" || from instanceof RegExp ? String(from) : namedBy(from).map(({ _tag }) => _tag).join(", ")

const sorted = new WeakMap<ReadonlyArray<Binding>, (event: string) => ReadonlyArray<Binding>>()
const none: ReadonlyArray<Binding> = []

/**
 * The bindings of an event among those of a group, in the order in which their side effects are enqueued. Sorted out
 * once for a group.
 *
 * @internal
 */
export const byEvent = (bindings: ReadonlyArray<Binding>): (event: string) => ReadonlyArray<Binding> => {
  let find = sorted.get(bindings)
  if (find === undefined) {
    const all = new Map<string, Array<Binding>>()
    for (const binding of bindings) {
      for (const event of binding.events) {
        const those = all.get(event)
        if (those === undefined) all.set(event, [binding])
        else those.push(binding)
      }
    }
    for (const those of all.values()) those.sort((a, b) => b.priority - a.priority)
    find = (event) => all.get(event) ?? none
    sorted.set(bindings, find)
  }
  return find
}

/**
 * One wish that follows from an event.
 *
 * @internal
 */
export interface Wish {
  readonly binding: Binding
  readonly payload: unknown
  readonly options: Intent.Options
}

/**
 * What follows from an event, in order. A `when`, mapping or `enqueue` that throws is a defect that names event and
 * binding.
 *
 * @internal
 */
export const follow = (bindings: ReadonlyArray<Binding>, emitted: Event.Emitted): ReadonlyArray<Wish> => {
  const wishes: Array<Wish> = []
  for (const binding of bindings) {
    const { enqueue, mapping, when } = binding
    let what = "when"
    try {
      if (when !== undefined && when(emitted.payload, emitted) !== true) continue
      what = "mapping"
      const payload = mapping === undefined ? undefined : mapping(emitted.payload, emitted)
      what = "enqueue"
      const told = typeof enqueue === "function" ? enqueue(emitted.payload, emitted) : enqueue
      wishes.push({
        binding,
        payload,
        options: told === undefined ? { origin: emitted } : { ...told, origin: emitted }
      })
    } catch (cause) {
      throw died(emitted.name, binding, cause, `the ${what} of `)
    }
  }
  return wishes
}

/**
 * Names event and binding where something of the binding died.
 *
 * @internal
 */
export const died = (event: string, { id }: Binding, cause: unknown, what = ""): Error =>
  new Error(
    `Event "${event}": ${what}binding "${id}" died with ${describe.error(cause)}. Nothing was enqueued for this event.`,
    {
      cause
    }
  )
