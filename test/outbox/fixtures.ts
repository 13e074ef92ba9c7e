import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import type { Intent } from "../../src/index.ts"
import { logs } from "../fixtures.ts"

export class Job extends SideEffect.make("jobs:run", { description: "Run a job.", payload: { id: Schema.String } }) {}
class Note extends SideEffect.make("jobs:note", { description: "Write a note.", payload: { id: Schema.String } }) {}
export const Jobs = SideEffectGroup.make("jobs").add(Job, Note)

export const job = (id: string, options?: Intent.Options) => SideEffects.enqueue(Job, { id }, options)
export const note = (id: string, options?: Intent.Options) => SideEffects.enqueue(Note, { id }, options)
export const jobs = (ids: Iterable<string>, options?: Intent.Options) =>
  SideEffects.boundary(Effect.forEach(ids, (id) => job(id, options)))

export type Handle = (id: string, delivery: SideEffect.Delivery) => Effect.Effect<unknown, unknown, any>

export interface Handling {
  readonly options?: SideEffect.HandlerOptions<any, any, any> | undefined
  readonly note?: Handle | undefined
  readonly noteOptions?: SideEffect.HandlerOptions<any, any, any> | undefined
}

export const handlers = (handle: Handle, handling: Handling = {}): Layer.Layer<any> =>
  Layer.merge(
    Job.toLayer(({ id }, delivery) => handle(id, delivery as any), handling.options),
    Note.toLayer(({ id }, delivery) => (handling.note ?? handle)(id, delivery as any), handling.noteOptions)
  ) as Layer.Layer<any>

/** A worker that begins now. It ends with the scope, or when it is closed. */
export const start = Effect.fnUntraced(function*(
  handle: Handle,
  options: Outbox.WorkerOptions & { readonly handling?: Handling | undefined } = {}
) {
  const scope = yield* Scope.make()
  const close = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => close)
  const { handling, ...rest } = options
  const worker = Outbox.layerWorker(Jobs, { id: "w1", gracePeriod: 0, ...rest })
  yield* Layer.buildWithScope(Layer.provide(worker, handlers(handle, handling)), scope)
  return { close }
})

/** Whoever can run does, as far as it comes without time passing. */
export const quiet = Effect.repeat(Effect.yieldNow, { times: 60 })

/** An outbox in memory that a program can write to, and what is logged. */
export const outbox = <A, E>(
  body: (lines: Array<string>) => Effect.Effect<A, E, any>,
  options?: {
    readonly store?: Layer.Layer<OutboxStore.OutboxStore> | undefined
    readonly uniqueFor?: number | undefined
    readonly live?: Pick<SideEffects.LiveOptions, "onDispatchError" | "outsideBoundary"> | undefined
  }
): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const { layer, lines } = logs()
    const dispatcher = Outbox.dispatcher({ uniqueFor: options?.uniqueFor })
    const writing = SideEffects.LiveLayer(Jobs, { dispatcher, outsideBoundary: "dispatch", ...options?.live })
    return Effect.scoped(body(lines)).pipe(
      Effect.provide(
        Layer.provideMerge(
          writing,
          Layer.provideMerge(options?.store ?? MemoryOutboxStore.layer, layer)
        )
      )
    )
  }) as Effect.Effect<A, E>

/** A store in memory of which some methods are other ones. */
export const storeWith = (
  change: (store: OutboxStore.OutboxStore["Service"]) => Partial<OutboxStore.OutboxStore["Service"]>
): Layer.Layer<OutboxStore.OutboxStore> =>
  Layer.effect(
    OutboxStore.OutboxStore,
    Effect.map(MemoryOutboxStore.make, (store) => ({ ...store, ...change(store) }))
  )

export const away = (operation: string) =>
  new OutboxStore.OutboxError({ operation, cause: new Error("the database is away") })

/** All entries with their history, in the order in which they were offered. */
export const entries = Effect.flatMap(
  OutboxStore.OutboxStore,
  (store) =>
    Effect.flatMap(
      store.find({}, { limit: 1000 }),
      (found) => Effect.forEach(found.toReversed(), ({ id }) => Effect.map(store.get(id), (entry) => entry!))
    )
)

/** `id state` of all entries, with the reason of those that are dead. */
export const states = Effect.map(
  entries,
  (all) =>
    all.map(({ payload, reason, state }) =>
      `${JSON.parse(payload).id} ${state}${reason === undefined ? "" : ` ${reason}`}`
    )
)

/** `attempt outcome` of each delivery of an entry. */
export const historyOf = (entry: OutboxStore.Entry | undefined): ReadonlyArray<string> =>
  entry?.history.map(({ attempt, outcome }) => `${attempt} ${outcome}`) ?? []
