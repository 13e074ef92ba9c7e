/**
 * A group: the catalogue of the side effects of one module, and the exhaustive set of handlers for it.
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
import { checkName } from "./internal/pattern.ts"
import type { Names as RequiredNames, Without } from "./internal/requirement.ts"
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
 * A catalogue of side effects. It is a plain value; every method returns a new one.
 *
 * @category models
 * @since 0.1.0
 */
export interface SideEffectGroup<out S extends SideEffect.Any> extends Pipeable {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly sideEffects: ReadonlyMap<string, S>
  readonly annotations: Context.Context<never>

  /** The group with more side effects. Throws when a name is taken already. */
  add<const Added extends ReadonlyArray<SideEffect.Any>>(...sideEffects: Added): SideEffectGroup<S | Added[number]>

  /**
   * The group with all side effects of other groups. The same definition may come from several of them; two
   * definitions of one name throw. Annotations of the others are merged in, later ones win.
   */
  merge<const Groups extends ReadonlyArray<Any>>(...groups: Groups): SideEffectGroup<S | SideEffects<Groups[number]>>

  /** The group with one more annotation, such as its owner. */
  annotate<I, V>(key: Context.Key<I, V>, value: Types.NoInfer<V>): SideEffectGroup<S>

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
  readonly annotations: Context.Context<never>
}

/**
 * The side effects of a group.
 *
 * @category utility types
 * @since 0.1.0
 */
export type SideEffects<G extends Any> = G extends SideEffectGroup<infer S> ? S : never

/**
 * The names of the side effects of a group.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Names<G extends Any> = SideEffects<G>["_tag"]

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
  makeProto({ name: checkName("Group", name), sideEffects: new Map(), annotations: Context.empty() })

interface Fields {
  readonly name: string
  readonly sideEffects: ReadonlyMap<string, any>
  readonly annotations: Context.Context<never>
}

const duplicate = (group: string, name: string): Error =>
  new Error(
    `Group "${group}" already has a side effect named "${name}". A name stands for one side effect: give the second ` +
      "one another name, or remove it if it is the same."
  )

const Proto = {
  [TypeId]: TypeId,
  add(this: Fields, ...added: ReadonlyArray<SideEffect.Any>) {
    const sideEffects = new Map(this.sideEffects)
    for (const sideEffect of added) {
      if (sideEffects.has(sideEffect._tag)) throw duplicate(this.name, sideEffect._tag)
      sideEffects.set(sideEffect._tag, sideEffect)
    }
    return makeProto({ ...this, sideEffects })
  },
  merge(this: Fields, ...groups: ReadonlyArray<Any>) {
    const sideEffects = new Map(this.sideEffects)
    let annotations = this.annotations
    for (const group of groups) {
      for (const [name, sideEffect] of group.sideEffects) {
        if (sideEffects.has(name) && sideEffects.get(name) !== sideEffect) throw duplicate(this.name, name)
        sideEffects.set(name, sideEffect)
      }
      annotations = Context.merge(annotations, group.annotations)
    }
    return makeProto({ ...this, sideEffects, annotations })
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
    const handler = handlers[name]
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
    annotations: fields.annotations
  })
