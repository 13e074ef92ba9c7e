import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Formatter from "effect/Formatter"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type * as Dispatcher from "../../../Dispatcher.ts"
import * as Engine from "../../../engine/Engine.ts"
import type * as EngineWorker from "../../../engine/EngineWorker.ts"
import type * as Intent from "../../../Intent.ts"
import type * as Policy from "../../../Policy.ts"
import type * as SideEffect from "../../../SideEffect.ts"
import type * as SideEffectGroup from "../../../SideEffectGroup.ts"
import * as SideEffects from "../../../SideEffects.ts"
import { violated, Violation } from "../outbox/check.ts"
import { Suite, task } from "./definitions.ts"

// What the cases of the suite are made of.

export interface Subject {
  readonly name: string
  readonly dispatcher: Dispatcher.Dispatcher<false, any, any>
  readonly layerWorker: (
    group: SideEffectGroup.SideEffectGroup<any, any>,
    options?: EngineWorker.Options
  ) => Layer.Layer<never, any, any>
  readonly dead: Effect.Effect<ReadonlyArray<{ readonly id: string; readonly error: string }>, unknown, any>
  readonly patience?: Duration.Input | undefined
  readonly deduplicates: boolean
  readonly crash: {
    readonly command: Effect.Effect<any, unknown, any>
    readonly recovery: Duration.Input
    readonly keepsProgress: boolean
  } | undefined
}

interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, any>
}

export { Violation }

/** A case of the subjects that it is for. */
export interface Test {
  readonly isFor: (subject: Subject) => boolean
  readonly on: (subject: Subject) => Case
}

/** A delivery that has begun. */
export interface Begun {
  /** Of the worker in which it is. */
  readonly worker: string
  readonly name: string
  readonly payload: any
  readonly attempt: number
  readonly key: string
  readonly intent: Intent.Any
  /** Epoch milliseconds. */
  readonly at: number
  ended: { readonly at: number; readonly exit: Exit.Exit<unknown, unknown> } | undefined
}

interface Working {
  readonly group?: SideEffectGroup.Any | undefined
  readonly as?: string | undefined
  readonly handle?: ((one: Begun) => Effect.Effect<unknown, unknown, any>) | undefined
  /** The options of the handler of `suite:task`. */
  readonly task?: SideEffect.HandlerOptions<any, any, any> | undefined
  readonly worker?: EngineWorker.Options | undefined
}

const dones = (one: Begun): boolean => one.ended?.exit._tag === "Success"

export type Stage = Effect.Success<ReturnType<typeof make>>

/** All that is needed to see what an engine does. It ends with the scope. */
const make = Effect.fnUntraced(function*(subject: Subject) {
  const scope = yield* Effect.scope
  const start = yield* Clock.currentTimeMillis
  const patience = Duration.fromInputUnsafe(subject.patience ?? "10 seconds")
  // The longest `gracePeriod` of all cases, and the time that a handler has which cannot be interrupted.
  const closingPatience = Duration.sum(patience, Duration.seconds(8))
  const begun: Array<Begun> = []
  const changed = Latch.makeUnsafe()
  const engine: Engine.Engine<any, any> | undefined = Engine.isEngine(subject.dispatcher)
    ? subject.dispatcher as any
    : undefined

  /** What has happened, for people. */
  const history = () =>
    begun.length === 0 ?
      ["no handler has begun"] :
      begun.map(({ at, attempt, ended, name, payload, worker }) =>
        `+${at - start} ms, ${worker}: ${name} ${Formatter.format(payload).slice(0, 200)}, attempt ${attempt}, ${
          ended === undefined
            ? "running"
            : `${Exit.isSuccess(ended.exit) ? "done" : endOf(ended.exit.cause)} after ${ended.at - at} ms`
        }`
      )

  /** Waits until what `look` looks for is there. */
  const until = <A>(
    contract: string,
    look: () => A | undefined,
    within: Duration.Input = patience
  ): Effect.Effect<A, Violation> => {
    const loop: Effect.Effect<A> = Effect.suspend(() => {
      changed.closeUnsafe()
      const found = look()
      return found === undefined ? Effect.andThen(changed.await, loop) : Effect.succeed(found)
    })
    return Effect.flatMap(
      Effect.timeoutOption(loop, within),
      (found) =>
        found._tag === "Some"
          ? Effect.succeed(found.value)
          : violated(contract, `within ${Duration.format(Duration.fromInputUnsafe(within))}`, history())
    )
  }

  const deliveriesOf = ({ id }: { readonly id: string }): ReadonlyArray<Begun> =>
    begun.filter(({ intent }) => intent.id === id)

  /** The delivery of an intent that is the `nth` here. */
  const delivered = (
    contract: string,
    intent: { readonly id: string },
    nth = 1,
    within?: Duration.Input
  ): Effect.Effect<Begun, Violation> => until(contract, () => deliveriesOf(intent)[nth - 1], within)

  /** The delivery in which it was performed. */
  const performed = (
    contract: string,
    intent: { readonly id: string },
    within?: Duration.Input
  ): Effect.Effect<Begun, Violation> => until(contract, () => deliveriesOf(intent).find(dones), within)

  const work = Effect.fnUntraced(function*({ as = "worker", group = Suite, handle, task: options, worker }: Working) {
    const own = yield* Scope.make()
    // In a fiber of its own: what never ends is not waited for.
    const close = Effect.flatMap(
      Effect.forkDetach(Scope.close(own, Exit.void), { startImmediately: true }),
      (closing) =>
        Effect.flatMap(Effect.timeoutOption(Fiber.await(closing), closingPatience), ({ _tag }) =>
          _tag === "Some"
            ? Effect.void
            : violated("closing a worker ends", `within ${Duration.format(closingPatience)}`, history()))
    )
    yield* Effect.addFinalizer(() => Effect.ignore(close))
    const handler = (sideEffect: SideEffect.Any) =>
      (sideEffect as SideEffect.SideEffect<string, any>).toLayer(
        (payload, delivery) =>
          Effect.flatMap(Clock.currentTimeMillis, (at) => {
            const { attempt, idempotencyKey: key, intent } = delivery
            const one: Begun = {
              worker: as,
              name: intent.name,
              payload,
              attempt,
              key,
              intent: intent as any,
              at,
              ended: undefined
            }
            begun.push(one)
            changed.openUnsafe()
            return Effect.onExit(Effect.suspend(() => handle?.(one) ?? Effect.void), (exit) =>
              Effect.map(Clock.currentTimeMillis, (at) => {
                one.ended = { at, exit }
                changed.openUnsafe()
              }))
          }),
        sideEffect._tag === task ? options : undefined
      )
    const handlers = Array.from(group.sideEffects.values(), handler) as [Layer.Layer<any>, ...Array<Layer.Layer<any>>]
    const layer = subject.layerWorker(group as any, { gracePeriod: "1 second", ...worker })
    yield* Layer.buildWithScope(Layer.fresh(Layer.provide(layer, Layer.mergeAll(...handlers))), own)
    return { close }
  })

  const buildLive = (group: SideEffectGroup.Any = Suite, options?: { readonly policy?: Policy.Policy }) =>
    Layer.buildWithScope(
      Layer.fresh(
        SideEffects.LiveLayer(group as any, {
          dispatcher: subject.dispatcher,
          outsideBoundary: "dispatch",
          ...options
        })
      ),
      scope
    )

  /** What programs use to enqueue. */
  const live = Effect.fnUntraced(function*(...args: Parameters<typeof buildLive>) {
    const context = yield* buildLive(...args)
    const run = <A, E>(effect: Effect.Effect<A, E, any>): Effect.Effect<A, E> =>
      Effect.provideContext(effect, context) as Effect.Effect<A, E>
    return {
      run,
      /** In a boundary of its own. */
      send: <S extends SideEffect.Any>(
        sideEffect: S,
        payload: SideEffect.Payload<S>,
        options?: Intent.Options
      ): Effect.Effect<Intent.Intent<S>> =>
        run(SideEffects.boundary(SideEffects.enqueue(sideEffect, ...[payload, options] as any))) as any
    }
  })

  /** Waits until the engine holds an intent as dead. */
  const dead = (contract: string, { id }: { readonly id: string }, within: Duration.Input = patience) => {
    let seen: unknown
    const look: Effect.Effect<string, unknown, any> = Effect.flatMap(subject.dead, (all) => {
      seen = all
      const found = all.find((one) => one.id === id)
      return found === undefined
        ? Effect.andThen(Effect.sleep("20 millis"), look)
        : Effect.succeed(found.error)
    })
    return Effect.flatMap(Effect.timeoutOption(look, within), (found) =>
      found._tag === "Some"
        ? Effect.succeed(found.value)
        : violated(contract, `intent ${id} among the dead`, { dead: seen, history: history() }))
  }

  return {
    subject,
    engine,
    patience,
    begun: begun as ReadonlyArray<Begun>,
    /** Long enough for something to begin that must not. */
    quiet: Effect.sleep("150 millis"),
    history,
    /** Something has changed that `until` may look for. */
    pulse: () => changed.openUnsafe(),
    until,
    deliveriesOf,
    delivered,
    performed,
    work,
    buildLive,
    live,
    dead
  }
})

const endOf = (cause: Cause.Cause<unknown>): string => {
  const [reason] = cause.reasons
  return Cause.hasInterruptsOnly(cause)
    ? "interrupted"
    : reason?._tag === "Fail"
    ? "failed"
    : `died with ${String((reason as any)?.defect)}`
}

/** A case: what it proves, as a sentence, and how. */
export const test = (
  name: string,
  body: (stage: Stage) => Generator<Effect.Effect<any, unknown, any>, void, never>,
  isFor: (subject: Subject) => boolean = () => true
): Test => ({
  isFor,
  on: (subject) => ({
    name,
    run: Effect.suspend(() => {
      const lines: Array<string> = []
      const keeping = Logger.map(Logger.formatLogFmt, (line) => void lines.push(line))
      return Effect.scoped(Effect.flatMap(make(subject), (stage) => Effect.gen(() => body(stage)))).pipe(
        Effect.provide(Logger.layer([keeping])),
        // Most cases let something fail: what is said of that matters only where the case does.
        Effect.tapCause(() =>
          lines.length === 0 ? Effect.void : Effect.logInfo(`Log of case "${name}":\n${lines.join("\n")}`)
        )
      )
    })
  })
})

/** Whether an engine honours an option. A dispatcher that is no `Engine` honours all. */
export const honours = (option: Engine.Option) => ({ dispatcher }: Subject): boolean =>
  !Engine.isEngine(dispatcher) || dispatcher[Engine.TypeId].honours[option]

export const isEngine = ({ dispatcher }: Subject): boolean => Engine.isEngine(dispatcher)
