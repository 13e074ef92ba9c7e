/**
 * Events of a database model: a row is about to be created, was created, and so on.
 *
 * `make` defines six events for a model, `observe` gives a repository whose writes emit them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Event from "./Event.ts"
import { MayBeUnbound } from "./internal/annotations.ts"
import type { PayloadSchema, ToPayloadSchema } from "./internal/definition.ts"
import { checkName } from "./internal/pattern.ts"
import { here } from "./internal/site.ts"
import * as SideEffects from "./SideEffects.ts"

/**
 * What is needed of a model. Those of `effect/schema/Model` have it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model extends PayloadSchema {
  readonly fields: Schema.Struct.Fields
  readonly insert: PayloadSchema
  readonly update: PayloadSchema
}

/**
 * The six events of a model. Made by `make`.
 *
 * **Details**
 *
 * Payloads: `creating` and `updating` have what is to be written, `created` and `updated` the row as it is afterwards,
 * `deleting` and `deleted` the id alone. `all` is for `group.events(...UserEvents.all)`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelEvents<
  Prefix extends string,
  M extends Model,
  Id extends keyof M["fields"] & string = "id" & keyof M["fields"]
> {
  readonly creating: Event.Event<`${Prefix}:creating`, M["insert"]>
  readonly created: Event.Event<`${Prefix}:created`, M>
  readonly updating: Event.Event<`${Prefix}:updating`, M["update"]>
  readonly updated: Event.Event<`${Prefix}:updated`, M>
  readonly deleting: Event.Event<`${Prefix}:deleting`, IdOf<M, Id>>
  readonly deleted: Event.Event<`${Prefix}:deleted`, IdOf<M, Id>>
  readonly all: readonly [
    creating: Event.Event<`${Prefix}:creating`, M["insert"]>,
    created: Event.Event<`${Prefix}:created`, M>,
    updating: Event.Event<`${Prefix}:updating`, M["update"]>,
    updated: Event.Event<`${Prefix}:updated`, M>,
    deleting: Event.Event<`${Prefix}:deleting`, IdOf<M, Id>>,
    deleted: Event.Event<`${Prefix}:deleted`, IdOf<M, Id>>
  ]
  readonly idColumn: Id
}

/**
 * The events of any model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly creating: Event.Any
  readonly created: Event.Any
  readonly updating: Event.Any
  readonly updated: Event.Any
  readonly deleting: Event.Any
  readonly deleted: Event.Any
  readonly all: ReadonlyArray<Event.Any>
  readonly idColumn: string
}

/**
 * The payload of `deleting` and `deleted`: a struct of the id.
 *
 * @category utility types
 * @since 0.1.0
 */
export type IdOf<M extends Model, Id extends keyof M["fields"]> = ToPayloadSchema<
  { readonly [K in Id]: M["fields"][K] }
>

/**
 * How the events of a model are made.
 *
 * **Details**
 *
 * - `idColumn`: the field that is given to `delete`. Default `"id"`, where the model has one.
 * - `label`: what the descriptions call a row, with its article, such as `"an invoice line"`. By default it is made of
 *   the last segment of the prefix.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<out Id extends PropertyKey = string> {
  readonly idColumn?: Id | undefined
  readonly label?: string | undefined
}

/**
 * Defines the events of a model: `creating`, `created`, `updating`, `updated`, `deleting` and `deleted`.
 *
 * **When to use**
 *
 * Where something outside follows from every change of a row, whoever makes it: a cache, a search index, an audit. For a
 * fact of the domain, such as that a customer has moved, an `Event` that says so is better than `updated`.
 *
 * **Details**
 *
 * The first argument is what their names begin with: one or more `:`-separated segments. Their payloads are the schemas
 * of the model, which must do without services. Throws when the name is malformed or the model has no such `idColumn`.
 *
 * **Gotchas**
 *
 * A row is all of its columns. What only the database should see (`Model.Sensitive`) is in the payloads, too: take in a
 * mapping only what is needed.
 *
 * **Example** (The events of a model, and what follows from them)
 *
 * ```ts
 * import { ModelEvents, SideEffect, SideEffectGroup } from "effect-side-effects"
 * import { Schema } from "effect"
 * import { Model } from "effect/schema"
 *
 * class User extends Model.Class<User>("User")({
 *   id: Model.Field({ select: Schema.Number, update: Schema.Number, json: Schema.Number }),
 *   email: Schema.String
 * }) {}
 *
 * const UserEvents = ModelEvents.make("user", User)
 *
 * class SendWelcome extends SideEffect.make("user:mail:welcome", {
 *   description: "Email a new user a welcome.",
 *   payload: { to: Schema.String }
 * }) {}
 * class Audit extends SideEffect.make("audit:write", {
 *   description: "Tell the audit log.",
 *   payload: { what: Schema.String }
 * }) {}
 *
 * export const Users = SideEffectGroup.make("users")
 *   .events(...UserEvents.all)
 *   .on(UserEvents.created, SendWelcome, ({ email }) => ({ to: email }))
 *   .on("user:*", Audit, (_, { name }) => ({ what: name }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Prefix extends string,
  M extends Model,
  const Id extends keyof M["fields"] & string = "id" & keyof M["fields"]
>(
  prefix: Prefix,
  model: M,
  ...[options]: "id" extends keyof M["fields"] ? [options?: Options<Id>]
    : [options: Options<Id> & { readonly idColumn: Id }]
): ModelEvents<Prefix, M, Id> => {
  const site = here(make)
  checkName("Model events", prefix)
  const { idColumn = "id", label = articled(prefix) } = options ?? {}
  if (!Object.hasOwn(model.fields, idColumn)) {
    throw new Error(
      `Model events "${prefix}": the model has no field "${idColumn}" that could be its id. Give the option idColumn ` +
        `one of: ${Object.keys(model.fields).join(", ")}.`
    )
  }
  const subject = label.charAt(0).toUpperCase() + label.slice(1)
  const event = (name: string, what: string, payload: unknown) =>
    Event.makeAt(site, `${prefix}:${name}`, { description: `${subject} ${what}.`, payload, annotations })
  const annotations = Context.make(MayBeUnbound, true) as Context.Context<any>
  const id = { [idColumn]: model.fields[idColumn] }
  const events = {
    creating: event("creating", "is about to be created", model.insert),
    created: event("created", "was created", model),
    updating: event("updating", "is about to be updated", model.update),
    updated: event("updated", "was updated", model),
    deleting: event("deleting", "is about to be deleted", id),
    deleted: event("deleted", "was deleted", id)
  }
  return { ...events, all: Object.values(events) as any, idColumn: idColumn as Id }
}

const articled = (prefix: string): string => {
  const noun = prefix.split(":").at(-1)!.replace(/[-_.]+/g, " ")
  return `${/^[aeio]/i.test(noun) ? "an" : "a"} ${noun}`
}

/**
 * A repository whose writes emit: it needs a layer that knows the events, and is otherwise as it was.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Observed<R, E extends Any> = {
  [K in keyof R]: K extends "insert" ? Emitting<R[K], E["creating" | "created"]>
    : K extends "update" ? Emitting<R[K], E["updating" | "updated"]>
    : K extends "delete" ? Emitting<R[K], E["deleting" | "deleted"]>
    : K extends "insertVoid" ? WithoutRow<R, "insert", E["creating" | "created"]>
    : K extends "updateVoid" ? WithoutRow<R, "update", E["updating" | "updated"]>
    : R[K]
}

type Emitting<F, E extends Event.Any> = F extends
  (...args: infer Args) => Effect.Effect<infer A, infer Error, infer Services>
  ? (...args: Args) => Effect.Effect<A, Error, Services | SideEffects.SideEffects<E["_tag"]>>
  : F

type WithoutRow<R, By extends "insert" | "update", E extends Event.Any> = R extends
  { readonly [K in By]: (...args: infer Args) => Effect.Effect<any, infer Error, infer Services> }
  ? (...args: Args) => Effect.Effect<void, Error, Services | SideEffects.SideEffects<E["_tag"]>>
  : never

/**
 * Refuses a repository that cannot emit these events, and says why.
 *
 * @category utility types
 * @since 0.1.0
 */
export type Fits<R, E extends Any> = [keyof R & Write] extends [never] ?
  "This has none of the methods insert, insertVoid, update, updateVoid and delete"
  : { readonly [K in keyof R & Write]: Unfit<R, E, K> }

type Write = "insert" | "insertVoid" | "update" | "updateVoid" | "delete"

type Unfit<R, E extends Any, K extends keyof R & Write> = K extends "insertVoid"
  ? "insert" extends keyof R ? unknown : "insertVoid returns no row for the event: the repository needs insert, too"
  : K extends "updateVoid"
    ? "update" extends keyof R ? unknown : "updateVoid returns no row for the event: the repository needs update, too"
  : K extends "insert" ? UnfitWrite<R[K], E["creating"], E["created"]>
  : K extends "update" ? UnfitWrite<R[K], E["updating"], E["updated"]>
  : R[K] extends (id: infer Id, ...rest: any) => Effect.Effect<any, any, any>
    ? [Id] extends [IdIn<Event.Payload<E["deleting"]>>] ? unknown : `The id is not that of ${Name<E["deleting"]>}`
  : "This is no function that returns an effect"

// What is written has to be all of the payload: a default would be made once for the event and once more for the row.
type UnfitWrite<F, Ing extends Event.Any, Ed extends Event.Any> = F extends
  (input: infer Input, ...rest: any) => Effect.Effect<infer Row, any, any>
  ? [Input] extends [Event.Payload<Ing>] ? [Row] extends [Event.Payload<Ed> | Event.PayloadInput<Ed>] ? unknown
    : `What it returns is no payload of ${Name<Ed>}`
  : `What it takes is no payload of ${Name<Ing>}`
  : "This is no function that returns an effect"

type IdIn<Payload> = Payload[keyof Payload]

type Name<E extends Event.Any> = E["_tag"]

/**
 * Gives a repository whose writes emit the events of its model.
 *
 * **When to use**
 *
 * Around a repository of `SqlModel.makeRepository`, or any object that has some of its methods `insert`, `insertVoid`,
 * `update`, `updateVoid` and `delete`.
 *
 * **Details**
 *
 * - The `-ing` event is emitted before the write and the `-ed` event after it, by the fiber that writes: in its boundary
 *   and in its transaction. A write that fails emits no `-ed` event.
 * - `insertVoid` and `updateVoid` return no row, so they are done by `insert` and `update`.
 * - Everything else is passed through and emits nothing, also if it writes: a method sees the repository as it was. That
 *   repository stays as it was and emits nothing.
 * - A soft delete is a delete: it emits `deleting` and `deleted`.
 *
 * Throws when there is nothing to observe, or a `Void` method without the one that returns the row.
 *
 * **Gotchas**
 *
 * - Put the boundary around the transaction. One inside it that is the outermost lets its side effects go before the
 *   commit, which may still fail.
 * - Outside every boundary, what is bound to an `-ing` event is performed before the write.
 * - An event belongs to the boundary, not to the write. If a write fails and the boundary succeeds nevertheless, its
 *   `-ing` event stays and what is bound to it is performed; after a transaction that was rolled back and recovered from,
 *   so do the `-ed` events. A boundary around what may fail takes them with it.
 * - `deleted` says that `delete` succeeded. It is emitted for a row that was not there, too, unless the repository fails
 *   then; the one of `SqlModel` does not.
 * - `updateVoid` of a row that is not there dies, as `update` of `SqlModel` does.
 * - An invalid payload, or a mapping that throws, makes the write die: a transaction around is rolled back.
 *
 * **Example** (A repository in memory)
 *
 * ```ts
 * import { ModelEvents, SideEffects } from "effect-side-effects"
 * import { Effect, Schema } from "effect"
 * import { Model } from "effect/schema"
 *
 * class User extends Model.Class<User>("User")({
 *   id: Model.Field({ select: Schema.Number, update: Schema.Number, json: Schema.Number }),
 *   email: Schema.String
 * }) {}
 * const UserEvents = ModelEvents.make("user", User)
 *
 * // With a database: yield* SqlModel.makeRepository(User, { tableName: "users", spanPrefix: "users", idColumn: "id" })
 * const repository = {
 *   insert: (user: typeof User.insert.Type) => Effect.succeed(new User({ id: 1, ...user })),
 *   delete: (_: number) => Effect.void
 * }
 * const users = ModelEvents.observe(repository, UserEvents)
 *
 * const { events } = await Effect.runPromise(
 *   SideEffects.plan(SideEffects.boundary(users.insert({ email: "ada@example.org" })))
 * )
 * console.log(events.map(({ name }) => name)) // [ "user:creating", "user:created" ]
 * ```
 *
 * @category observing
 * @since 0.1.0
 */
export const observe = <R extends object, E extends Any>(
  repository: R & Fits<R, E>,
  events: E
): Observed<R, E> => {
  const original = repository as any
  const { created, creating, deleted, deleting, idColumn, updated, updating } = events
  checkWrites(original, creating._tag)

  const emitting = (
    method: string,
    before: Event.Any,
    after: Event.Any,
    payloadOf: (input: unknown) => unknown,
    payloadAfter: (payload: unknown, row: unknown) => unknown
  ) =>
  (...args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown, any> =>
    Effect.suspend(() => {
      const payload = payloadOf(args[0])
      return Effect.andThen(
        emit(before, payload),
        Effect.tap(
          Effect.suspend(() => original[method](...args) as Effect.Effect<unknown>),
          (row) => emit(after, payloadAfter(payload, row))
        )
      )
    })
  const itself = (payload: unknown) => payload
  const theRow = (_: unknown, row: unknown) => row
  const insert = emitting("insert", creating, created, itself, theRow)
  const update = emitting("update", updating, updated, itself, theRow)
  const writes: Record<Write, (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, unknown, any>> = {
    insert,
    insertVoid: (...args) => Effect.asVoid(insert(...args)),
    update,
    updateVoid: (...args) => Effect.asVoid(update(...args)),
    delete: emitting("delete", deleting, deleted, (id) => ({ [idColumn]: id }), itself)
  }
  return around(original, writes)
}

const emit = SideEffects.emit as (event: Event.Any, payload: unknown) => Effect.Effect<unknown, never, any>

const checkWrites = (repository: any, creating: string): void => {
  const has = (name: Write) => typeof repository[name] === "function"
  const who = `The repository to be observed with "${creating}" and its like`
  const all = ["insert", "insertVoid", "update", "updateVoid", "delete"] as const
  if (!all.some(has)) throw new Error(`${who} has none of the methods ${all.join(", ")}, so it would never emit.`)
  for (const row of ["insert", "update"] as const) {
    if (!has(`${row}Void`) || has(row)) continue
    throw new Error(
      `${who} has ${row}Void, which returns no row for the event, and no ${row} that would. Give it the method ${row}.`
    )
  }
}

/** The object with other methods in place of those it has. */
const around = (original: any, writes: Readonly<Record<string, unknown>>): any => {
  const observed = Object.create(Object.getPrototypeOf(original))
  const functions = new WeakMap<object, unknown>()
  // What is private can only be reached on the original. And the type says that such a method emits nothing, so it must
  // not find the methods that do on its `this`.
  const passed = (value: unknown): unknown => {
    if (typeof value !== "function" || isClass(value)) return value
    if (!functions.has(value)) {
      const apply = (method: any, self: unknown, args: ReadonlyArray<unknown>) =>
        Reflect.apply(method, self === observed ? original : self, args)
      functions.set(value, new Proxy(value, { apply }))
    }
    return functions.get(value)
  }
  for (let from = original; from !== null && from !== Object.prototype; from = Object.getPrototypeOf(from)) {
    for (const key of Reflect.ownKeys(from)) {
      if (key === "constructor" || Object.hasOwn(observed, key)) continue
      const enumerable = Object.prototype.propertyIsEnumerable.call(from, key)
      const write = typeof key === "string" && Object.hasOwn(writes, key) && typeof original[key] === "function"
      Object.defineProperty(
        observed,
        key,
        write ? { configurable: true, enumerable, value: writes[key as string], writable: true } : {
          configurable: true,
          enumerable,
          get: () => passed(original[key]),
          set: (value) => {
            original[key] = value
          }
        }
      )
    }
  }
  return observed
}

const isClass = (value: object): boolean => Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false
