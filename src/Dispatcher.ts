/**
 * A dispatcher: performs released intents, in this process or by handing them on.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Predicate from "effect/Predicate"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import * as Decision from "./Decision.ts"
import type { Instruments } from "./Instruments.ts"
import * as Intent from "./Intent.ts"
import { checkNumber } from "./internal/check.ts"
import * as describe from "./internal/describe.ts"
import type { IntentInternal } from "./internal/intent.ts"
import { compilePattern } from "./internal/pattern.ts"
import * as transaction from "./internal/transaction.ts"

/**
 * The runtime type of every dispatcher.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/Dispatcher"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/Dispatcher"

/**
 * Performs released intents. A live layer opens it once, when the layer is built.
 *
 * **Details**
 *
 * `Performs` is `true` for a dispatcher that runs handlers in this process, and the live layer then requires them; one
 * that hands intents on needs none. `E` and `R` are those of opening it.
 *
 * What a `durable` one accepts will happen. Where it cannot accept, the boundary that released dies with `DispatchError`,
 * whatever the layer says: the transaction around must not be committed without it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dispatcher<out Performs extends boolean = boolean, out E = never, out R = never> {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly performs: Performs
  readonly durable: boolean
  /** Patterns it was told to look for. */
  readonly patterns: ReadonlyArray<string | RegExp>
  /** Where it sends intents of a side effect, when that is not just here. */
  readonly destinations?: ((name: string) => ReadonlyArray<Destination>) | undefined
  readonly open: (port: Port) => Effect.Effect<Opened, E, R | Scope.Scope>
}

/**
 * What a live layer gives to a dispatcher.
 *
 * **Details**
 *
 * - `names`: of the side effects of the group. `told`: what definitions and bindings tell each of their intents.
 * - `routed`: whether an intent comes here because of its queue, so that the route has honoured that.
 * - `perform` runs the handlers of the intents, one after the other, with all their attempts; `by` is the name of the
 *   dispatcher. It never fails.
 * - `settle` records the decision on an intent; the first one counts.
 * - `underway` says that an intent has been handed to the background: what becomes of it is no matter of the boundary any
 *   more, and the dispatcher has to see to its decision.
 *
 * @category models
 * @since 0.1.0
 */
export interface Port {
  readonly names: ReadonlySet<string>
  readonly told: ReadonlyArray<Told>
  readonly routed?: ((told: Pick<Told, "name" | "queue">) => boolean) | undefined
  readonly perform: (intents: ReadonlyArray<Intent.Any>, by: string, options?: Performing) => Effect.Effect<void>
  readonly settle: (decision: Decision.Decision) => void
  readonly underway: (intent: Intent.Any) => void
  /** Those of the layer, which may come later than the layer. @internal */
  readonly instruments?: (() => Instruments | undefined) | undefined
  /** What the deployer says instead of the code. Whoever asks has it. @internal */
  readonly setting?: (<K extends keyof Settings>(name: K) => Settings[K]) | undefined
}

/**
 * What is told about intents of a side effect where they are defined or bound. `by` says where.
 *
 * @category models
 * @since 0.1.0
 */
export interface Told {
  readonly name: string
  readonly by?: string | undefined
  readonly delay?: Duration.Input | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
}

/**
 * Where intents of a side effect go: to which dispatcher, and of which queue where that decides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Destination {
  readonly dispatcher: string
  readonly queue: string | undefined
}

/**
 * What a deployer can turn in a dispatcher.
 *
 * @internal
 */
export interface Settings {
  readonly concurrency: number | undefined
  readonly capacity: number | undefined
  readonly gracePeriod: Duration.Duration | undefined
}

/**
 * How intents are performed.
 *
 * **Details**
 *
 * - `wait` lets the time until the next attempt pass, after one that ended with `cause`; when it returns `false`, the
 *   intent is left without a decision. By default it sleeps.
 * - `made`: how many attempts there were elsewhere; `failedAt`: when those of them that failed were, in epoch
 *   milliseconds. Numbers of attempts and the schedule go on from there.
 * - `whole`: an attempt has succeeded only when what its handler enqueued was accepted, too.
 *
 * @category models
 * @since 0.1.0
 */
export interface Performing {
  readonly wait?:
    | ((pause: Duration.Duration, snoozed: boolean, cause: Cause.Cause<unknown>) => Effect.Effect<boolean>)
    | undefined
  readonly made?: number | undefined
  readonly failedAt?: ReadonlyArray<number> | undefined
  readonly whole?: boolean | undefined
}

/**
 * A dispatcher at work.
 *
 * **Details**
 *
 * `dispatch` gets what one boundary released, in order. When it ends, each of the intents has its decision, or it is
 * underway. What has neither fails: with the cause of `dispatch` when that failed or died. `drain` waits until nothing is
 * underway. `check` throws where it cannot do what an intent asks for: `enqueue` dies with that. `noticed` is told of each
 * intent when it is enqueued, in the fiber that enqueues it. `isDurable` is for a dispatcher that is durable for some
 * intents only.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened {
  readonly dispatch: (intents: ReadonlyArray<Intent.Any>) => Effect.Effect<void, unknown>
  readonly drain: Effect.Effect<void>
  readonly check?: ((intent: Intent.Any) => void) | undefined
  readonly noticed?: ((intent: Intent.Any) => void) | undefined
  readonly isDurable?: ((intent: Intent.Any) => boolean) | undefined
  /**
   * Whether it waits for the commit of the transaction that is open here: it has to get the intent while that is open.
   *
   * @internal
   */
  readonly isBound?: ((intent: Intent.Any) => boolean) | undefined
  /**
   * Everything goes to other dispatchers, which are listened to themselves.
   *
   * @internal
   */
  readonly passesOn?: boolean | undefined
}

const IntentSchema = /*#__PURE__*/ Schema.declare(Intent.isIntent, { identifier: "Intent" })
const CauseSchema = /*#__PURE__*/ Schema.declare((u): u is Cause.Cause<unknown> => Cause.isCause(u), {
  identifier: "Cause"
})

/**
 * Side effects that were to be performed and failed. `failures` lists each failed intent with its cause, `dispatched`
 * counts those that went well.
 *
 * @category errors
 * @since 0.1.0
 */
export class DispatchError extends /*#__PURE__*/ Schema.TaggedError<DispatchError>()("DispatchError", {
  boundary: Schema.UndefinedOr(Schema.String),
  failures: Schema.Array(Schema.Struct({ intent: IntentSchema, cause: CauseSchema })),
  dispatched: Schema.Number
}) {
  override get message(): string {
    const of = this.boundary === undefined ? "" : ` of boundary "${this.boundary}"`
    const lines = this.failures.map(({ cause, intent }) =>
      `- ${intent.name} (intent ${intent.id}): ${describe.cause(cause)}`
    )
    return `${this.failures.length} of ${this.failures.length + this.dispatched} side effects${of} failed:\n${
      lines.join("\n")
    }`
  }
}

/**
 * Whether a value is a dispatcher.
 *
 * @category guards
 * @since 0.1.0
 */
export const isDispatcher = (u: unknown): u is Dispatcher<boolean, unknown, unknown> => Predicate.hasProperty(u, TypeId)

/**
 * A dispatcher that sees to the decisions itself.
 *
 * @internal
 */
export const proto = <Performs extends boolean, E = never, R = never>(options: {
  readonly name: string
  readonly performs: Performs
  readonly durable?: boolean | undefined
  readonly patterns?: ReadonlyArray<string | RegExp> | undefined
  readonly destinations?: Dispatcher["destinations"]
  readonly open: (port: Port) => Effect.Effect<Opened, E, R>
}): Dispatcher<
  Performs,
  E,
  Exclude<R, Scope.Scope>
> => ({ [TypeId]: TypeId, durable: false, patterns: [], ...options } as any)

/**
 * Performs released intents in the fiber that closes the boundary; the boundary ends when they are done.
 *
 * **When to use**
 *
 * The default: scripts, jobs, tests, and services whose side effects are quick and may be lost when the process dies.
 *
 * **Details**
 *
 * Intents run one after the other in the order of enqueueing, or `concurrency` at a time. A handler's pauses (`retry`,
 * `SideEffect.snooze`) and an intent's `delay` hold up the boundary; intents with a delay run after those without. With
 * `failFast`, what has not begun when a handler fails is dropped.
 *
 * Under `ConfigLayer`, `SIDE_EFFECTS_CONCURRENCY` takes the place of the number in the code, but not of `concurrency: 1`:
 * who writes that wants the order.
 *
 * Once the release has begun it is not interrupted, so that no intent ends half decided: give handlers a `timeout`.
 *
 * **Gotchas**
 *
 * At most once: what is in memory when the process dies is lost.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const inline = (options?: {
  readonly concurrency?: number | "unbounded" | undefined
  readonly failFast?: boolean | undefined
}): Dispatcher<true> => {
  checkNumber("Dispatcher.inline", "concurrency", options?.concurrency)
  return proto({
    name: "inline",
    performs: true,
    open: (port) => {
      // Where the code says 1, the order matters to it, and nobody else turns that.
      const turned = options?.concurrency === 1 ? undefined : port.setting?.("concurrency")
      const forEach = { concurrency: turned ?? options?.concurrency ?? 1, discard: true } as const
      const one = options?.failFast === true
        ? failingFast(port)
        : () => (intent: Intent.Any) => port.perform([intent], "inline")
      return Effect.succeed({
        drain: Effect.void,
        dispatch: (intents) =>
          intents.some((intent) => intent.delay !== undefined)
            ? Effect.flatMap(Clock.currentTimeMillis, (start) =>
              Effect.forEach(byDelay(intents), onTime(one(), start), forEach))
            : forEach.concurrency === 1 && options?.failFast !== true
            ? port.perform(intents, "inline")
            : Effect.forEach(intents, one(), forEach)
      })
    }
  })
}

const failingFast = (port: Port) => () => {
  let failed: Intent.Any | undefined
  return (intent: Intent.Any): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (failed === undefined) {
        return Effect.map(port.perform([intent], "inline"), () => {
          if (Decision.of(intent)?._tag === "Failed") failed ??= intent
        })
      }
      const reason =
        `side effect "${failed.name}" (intent ${failed.id}) failed before it, and the dispatcher fails fast`
      port.settle({ _tag: "Dropped", intent, by: "dispatcher inline", reason })
      return Effect.void
    })
}

const delayOf = (intent: Intent.Any): number => intent.delay === undefined ? 0 : Duration.toMillis(intent.delay)

const byDelay = (intents: ReadonlyArray<Intent.Any>): ReadonlyArray<Intent.Any> =>
  intents.toSorted((a, b) => delayOf(a) - delayOf(b))

const onTime = (perform: (intent: Intent.Any) => Effect.Effect<void>, start: number) => (intent: Intent.Any) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const pause = start + delayOf(intent) - now
    return pause > 0 ? Effect.delay(perform(intent), Duration.millis(pause)) : perform(intent)
  })

// Set in the fibers of a background dispatcher: what their handlers enqueue must not wait for a place that only they
// can free.
const InBackground = /*#__PURE__*/ Context.Reference<boolean>("effect-side-effects/Dispatcher/InBackground", {
  defaultValue: () => false
})

const inBackground = (context: Context.Context<never>): Context.Context<never> =>
  Context.add(transaction.leave(context), InBackground, true)

/**
 * Performs released intents in fibers of the layer; the boundary ends as soon as they are handed over.
 *
 * **When to use**
 *
 * When callers must not wait for slow side effects, and what is in memory may be lost when the process dies.
 *
 * **Details**
 *
 * - `concurrency` (default 16): how many handlers run at once. An intent that waits for its delay or for its next
 *   attempt does not count.
 * - `capacity` (default 1,024): how many intents may be underway. When it is reached, a boundary that releases waits.
 * - `gracePeriod` (default 30 seconds): how long closing the layer waits for what is underway. What is not done by then
 *   is interrupted, discarded, and logged by name.
 *
 * Handlers are started in the order of release; nothing is said about the order in which they end. A failure is logged.
 * A handler is outside of the transaction that its boundary may be in, and does not wait for its commit:
 * `SqlSideEffects.afterCommit` does.
 * `SideEffects.drain` waits until nothing is underway.
 *
 * Under `ConfigLayer`, `SIDE_EFFECTS_CONCURRENCY`, `SIDE_EFFECTS_CAPACITY` and `SIDE_EFFECTS_GRACE_PERIOD` take the place
 * of what the code says.
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const background = (options?: {
  readonly concurrency?: number | undefined
  readonly capacity?: number | undefined
  readonly gracePeriod?: Duration.Input | undefined
}): Dispatcher<true> => {
  const standard = {
    concurrency: options?.concurrency ?? 16,
    capacity: options?.capacity ?? 1024,
    gracePeriod: Duration.fromInputUnsafe(options?.gracePeriod ?? "30 seconds")
  }
  checkNumber("Dispatcher.background", "concurrency", standard.concurrency)
  checkNumber("Dispatcher.background", "capacity", standard.capacity)
  return proto({
    name: "background",
    performs: true,
    open: Effect.fnUntraced(function*(port) {
      const fibers = yield* FiberSet.make<void>()
      const { setting } = port
      const gracePeriod = setting?.("gracePeriod") ?? standard.gracePeriod
      const slots = Semaphore.makeUnsafe(setting?.("concurrency") ?? standard.concurrency)
      const places = Semaphore.makeUnsafe(setting?.("capacity") ?? standard.capacity)
      const underway = new Set<Intent.Any>()
      const changed = (by: 1 | -1) => port.instruments?.()?.underway("background", by)
      let closing = false

      const drain = Effect.suspend(() => FiberSet.awaitEmpty(fibers))

      yield* Effect.addFinalizer(() =>
        Effect.gen(function*() {
          closing = true
          yield* Effect.timeoutOption(Effect.interruptible(drain), gracePeriod)
          if (underway.size === 0) return
          const left = underway.size
          const counts = new Map<string, number>()
          for (const { name } of underway) describe.tally(counts, name)
          yield* FiberSet.clear(fibers)
          yield* Effect.logError(
            `Dispatcher.background was closed before it could perform ${left} side effects: ${
              describe.counted(counts)
            }. ` +
              "Raise gracePeriod, give handlers a timeout, or hand on what is delayed for long: delays are kept in memory."
          )
        })
      )

      const perform = (intent: Intent.Any): Effect.Effect<void> => {
        const step = slots.withPermits(1)(port.perform([intent], "background", {
          // Whoever waits gives way.
          wait: (pause) =>
            slots.release(1).pipe(
              Effect.andThen(Effect.sleep(pause)),
              Effect.andThen(slots.take(1)),
              Effect.as(true)
            )
        }))
        const all = intent.delay === undefined ? step : Effect.delay(step, intent.delay)
        return Effect.flatMap(all, () => {
          const decision = Decision.of(intent)
          return decision?._tag === "Failed" ? Decision.logFailure(decision) : Effect.void
        })
      }

      const start = (intent: Intent.Any, taken: number): Effect.Effect<unknown> => {
        if (closing) {
          discard(port, intent, "was released after its dispatcher had been closed")
          return Effect.andThen(
            places.release(taken),
            Effect.logError(`Dispatcher.background is closed and could not perform "${intent.name}".`)
          )
        }
        port.underway(intent)
        underway.add(intent)
        changed(1)
        return FiberSet.run(
          fibers,
          Effect.onExit(Effect.updateContext(perform(intent), inBackground), () => {
            underway.delete(intent)
            changed(-1)
            // Nothing where it has its decision.
            discard(port, intent, "was still underway when its dispatcher was closed")
            return places.release(taken)
          })
        )
      }

      return {
        drain,
        dispatch: (intents) =>
          Effect.flatMap(InBackground, (inside) => {
            let patient = !inside
            return Effect.forEach(intents, (intent) =>
              patient
                // Whoever is interrupted while it waits for places hands over the rest at once: all of it has been
                // released, and none of it may be lost.
                ? Effect.flatMap(Effect.exit(Effect.interruptible(places.take(1))), (exit) => {
                  patient = exit._tag === "Success"
                  return start(intent, patient ? 1 : 0)
                })
                : start(intent, 0), { discard: true })
          })
      }
    })
  })
}

const discard = (port: Port, intent: Intent.Any, reason: string): void =>
  port.settle({ _tag: "Discarded", intent, by: "dispatcher background", reason, cause: undefined })

/**
 * What a route is for: side effects by a pattern of their names, intents by their queue, or both.
 *
 * @category models
 * @since 0.1.0
 */
export type Route = string | RegExp | {
  readonly name?: string | RegExp | undefined
  readonly queue: string | ReadonlyArray<string>
}

/**
 * Sends each intent to the dispatcher of the first route that it fits: by its name, by its queue, or by both.
 *
 * **Details**
 *
 * A live layer refuses to be built when one of its side effects has no route whatever its queue is, or a pattern matches
 * none of them: end the list with `["**", Dispatcher.inline()]` for the rest. Each dispatcher gets its intents in order; the
 * dispatchers are served one after the other, in the order of the list. A dispatcher that stands in it twice is opened once.
 *
 * **Example** (Mails in the background, the rest at once)
 *
 * ```ts
 * import { Dispatcher } from "effect-side-effects"
 *
 * const dispatcher = Dispatcher.route([
 *   [{ queue: "slow" }, Dispatcher.background({ concurrency: 1 })],
 *   ["*:mail:**", Dispatcher.background({ concurrency: 4 })],
 *   ["**", Dispatcher.inline()]
 * ])
 * ```
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const route = <
  const Routes extends ReadonlyArray<readonly [route: Route, dispatcher: Dispatcher<boolean, any, any>]>
>(routes: Routes): Dispatcher<
  true extends PerformsOf<Routes[number][1]> ? true : false,
  ErrorOf<Routes[number][1]>,
  ServicesOf<Routes[number][1]>
> => {
  const compiled = routes.map(([route, dispatcher]) => compileRoute(route, dispatcher))
  /** Those that an intent of that name can take: none behind one that takes all of them. */
  const ways = (name: string): ReadonlyArray<Way> => {
    const matching = compiled.filter(({ matches }) => matches(name))
    const all = matching.findIndex(({ queues }) => queues === undefined)
    return all < 0 ? matching : matching.slice(0, all + 1)
  }
  return proto<any, any, any>({
    name: `route(${compiled.map(({ dispatcher, text }) => `${text} -> ${dispatcher.name}`).join(", ")})`,
    performs: routes.some(([, dispatcher]) => dispatcher.performs),
    patterns: compiled.flatMap(({ pattern }) => pattern === undefined ? [] : [pattern]),
    destinations: (name) => {
      // The first that takes what is in a queue takes all of it, also where it stands inside of another route.
      const found = new Map<string | undefined, Destination>()
      for (const { dispatcher, queues = [undefined] } of ways(name)) {
        const within = destinationsOf(dispatcher, name)
        const fitting = queues.flatMap((queue) =>
          queue === undefined
            ? within
            : within.filter((to) => (to.queue ?? queue) === queue).slice(0, 1).map((to) => ({ ...to, queue }))
        )
        for (const to of fitting) if (!found.has(to.queue)) found.set(to.queue, to)
      }
      return [...found.values()]
    },
    open: Effect.fnUntraced(function*(port: Port) {
      // Each name is matched once, here.
      const waysOf = new Map<string, ReadonlyArray<Way>>()
      for (const name of port.names) {
        const found = ways(name)
        if (found.at(-1)?.queues !== undefined || found.length === 0) {
          return yield* Effect.die(
            new Error(
              `Dispatcher.route has no pattern for side effect "${name}"${
                found.length === 0 ? "" : " outside of some queues"
              }. Add one, or end the list with ["**", dispatcher] for everything else.`
            )
          )
        }
        waysOf.set(name, found)
      }
      const wayOf = ({ name, queue = "default" }: Pick<Told, "name" | "queue">): Way =>
        waysOf.get(name)!.find(({ queues }) => queues === undefined || queues.includes(queue))!
      const opened = new Map<Dispatcher<boolean, any, any>, Guarded>()
      const of = (intent: Intent.Any) => opened.get(wayOf(intent).dispatcher)!
      for (const { dispatcher } of compiled) {
        if (opened.has(dispatcher)) continue
        const isOwn = (way: Way) => way.dispatcher === dispatcher
        const own: Port = {
          ...port,
          names: new Set([...port.names].filter((name) => waysOf.get(name)!.some(isOwn))),
          told: port.told.filter((told) => isOwn(wayOf(told))),
          routed: (told) => wayOf(told).queues !== undefined || port.routed?.(told) === true
        }
        opened.set(dispatcher, guard(dispatcher, own, yield* dispatcher.open(own)))
      }
      const all = [...opened.values()]
      return {
        passesOn: true,
        // Nobody asks it where nobody wants to know.
        check: all.some(({ check }) => check !== undefined) ? (intent) => of(intent).check?.(intent) : undefined,
        noticed: all.some(({ noticed }) => noticed !== undefined)
          ? (intent) => of(intent).noticed?.(intent)
          : undefined,
        isDurable: (intent) => of(intent).isDurable(intent),
        isBound: (intent) => of(intent).isBound(intent),
        drain: Effect.forEach(all, ({ drain }) => drain, { discard: true, concurrency: "unbounded" }),
        dispatch: (intents) => {
          const batches = new Map<Guarded, Array<Intent.Any>>()
          for (const one of all) batches.set(one, [])
          for (const intent of intents) batches.get(of(intent))!.push(intent)
          return Effect.forEach(
            batches,
            ([{ dispatch }, batch]) => batch.length === 0 ? Effect.void : dispatch(batch),
            { discard: true }
          )
        }
      }
    })
  })
}

interface Way {
  readonly text: string
  readonly pattern: string | RegExp | undefined
  readonly matches: (name: string) => boolean
  /** All where there are none. */
  readonly queues: ReadonlyArray<string> | undefined
  readonly dispatcher: Dispatcher<boolean, any, any>
}

const compileRoute = (route: Route, dispatcher: Way["dispatcher"]): Way => {
  const { name: pattern, queue } = typeof route === "string" || route instanceof RegExp
    ? { name: route, queue: undefined }
    : route
  const queues = queue === undefined ? undefined : typeof queue === "string" ? [queue] : queue
  if (queues?.length === 0) {
    throw new Error(
      "Dispatcher.route was given a route for no queue. Name one, as in { queue: \"slow\" }, or leave queue out: a pattern " +
        "alone takes all of them."
    )
  }
  const text = pattern === undefined ? "" : String(pattern)
  return {
    text: queues === undefined ? text : `${text === "" ? "" : `${text} in `}queue ${queues.join("|")}`,
    pattern,
    matches: pattern === undefined ? () => true : compilePattern(pattern),
    queues,
    dispatcher
  }
}

/**
 * Where a dispatcher sends the intents of a side effect.
 *
 * @internal
 */
export const destinationsOf = (
  { destinations, name: dispatcher }: Dispatcher<boolean, any, any>,
  name: string
): ReadonlyArray<Destination> => destinations?.(name) ?? [{ dispatcher, queue: undefined }]

type PerformsOf<D> = D extends Dispatcher<infer P, any, any> ? P : never
type ErrorOf<D> = D extends Dispatcher<boolean, infer E, any> ? E : never
// Of an engine, the scope that it is opened in would be among them.
type ServicesOf<D> = D extends Dispatcher<boolean, any, infer R> ? Exclude<R, Scope.Scope> : never

/**
 * Makes a dispatcher of your own.
 *
 * **Details**
 *
 * Without `performs`, `dispatch` hands the intents on, and its success means that all of them were accepted. With
 * `performs: true` it also gets a function that performs one intent in this process, retries included, and the live
 * layer requires the handlers; what it has not performed when it ends has failed. Either way, when `dispatch` fails or
 * dies, the intents without a decision fail with that cause. The services it needs are required by the live layer.
 *
 * With `durable: true`, what it has accepted will happen: its failure is that of the boundary, whatever the layer says, and
 * an HTTP request is answered only when it has accepted.
 *
 * **Example** (Handing intents on)
 *
 * ```ts
 * import { Dispatcher } from "effect-side-effects"
 * import { Console, Effect } from "effect"
 *
 * const printer = Dispatcher.make({
 *   name: "printer",
 *   dispatch: (intents) => Effect.forEach(intents, (intent) => Console.log(intent.name), { discard: true })
 * })
 * ```
 *
 * @category dispatchers
 * @since 0.1.0
 */
export const make: {
  <R = never>(options: {
    readonly name: string
    readonly performs?: false | undefined
    readonly durable?: boolean | undefined
    readonly dispatch: (intents: ReadonlyArray<Intent.Any>) => Effect.Effect<unknown, unknown, R>
    readonly drain?: Effect.Effect<unknown, never, R> | undefined
  }): Dispatcher<false, never, Exclude<R, Scope.Scope>>
  <R = never>(options: {
    readonly name: string
    readonly performs: true
    readonly dispatch: (
      intents: ReadonlyArray<Intent.Any>,
      perform: (intent: Intent.Any) => Effect.Effect<void>
    ) => Effect.Effect<unknown, unknown, R>
    readonly drain?: Effect.Effect<unknown, never, R> | undefined
  }): Dispatcher<true, never, Exclude<R, Scope.Scope>>
} = (options: {
  readonly name: string
  readonly performs?: boolean | undefined
  readonly durable?: boolean | undefined
  readonly dispatch: (intents: ReadonlyArray<Intent.Any>, perform: any) => Effect.Effect<unknown, unknown, any>
  readonly drain?: Effect.Effect<unknown, never, any> | undefined
}): Dispatcher<any, never, any> =>
  proto({
    name: options.name,
    performs: options.performs === true,
    durable: options.durable === true,
    open: (port) =>
      Effect.contextWith((built: Context.Context<any>) => {
        // What belongs to the moment of building, not to the dispatcher.
        const context = Context.omit(Scheduler.Scheduler, Scope.Scope, Tracer.ParentSpan)(built)
        const by = `dispatcher ${options.name}`
        return Effect.succeed({
          drain: Effect.asVoid(Effect.provideContext(options.drain ?? Effect.void, context)),
          dispatch: (intents) =>
            Effect.map(
              Effect.provideContext(
                options.dispatch(intents, (intent: Intent.Any) => port.perform([intent], options.name)),
                context
              ),
              () => {
                if (options.performs === true) return
                for (const intent of intents) port.settle({ _tag: "Dispatched", intent, by, attempts: 0 })
              }
            )
        })
      })
  })

/** @internal */
export interface Guarded extends Opened {
  readonly dispatch: (intents: ReadonlyArray<Intent.Any>) => Effect.Effect<void>
  readonly isDurable: (intent: Intent.Any) => boolean
  readonly isBound: (intent: Intent.Any) => boolean
}

/**
 * What a live layer and `route` put around every dispatcher: whatever it does, each intent has its decision or is
 * underway.
 *
 * @internal
 */
export const guard = (
  dispatcher: Dispatcher<boolean, any, any>,
  port: Port,
  opened: Opened
): Guarded => ({
  drain: opened.drain,
  check: opened.check,
  noticed: opened.noticed,
  isDurable: opened.isDurable ?? (() => dispatcher.durable),
  isBound: opened.isBound ?? (() => false),
  dispatch: (intents) =>
    Effect.matchCause(observed(dispatcher, port, opened, intents), {
      onSuccess: () => {
        for (const intent of intents) {
          if ((intent as unknown as IntentInternal).decision === undefined) forgotten(port, dispatcher, intent)
        }
      },
      onFailure: (cause) => {
        const by = `dispatcher ${dispatcher.name}`
        const { durable } = dispatcher
        for (const intent of intents) port.settle({ _tag: "Failed", intent, by, attempts: 0, cause, durable })
      }
    })
})

const observed = (
  { name }: Dispatcher<boolean, any, any>,
  port: Port,
  opened: Opened,
  intents: ReadonlyArray<Intent.Any>
): Effect.Effect<void, unknown> => {
  const dispatch = Effect.suspend(() => opened.dispatch(intents))
  const instruments = port.instruments?.()
  return instruments === undefined || opened.passesOn === true
    ? dispatch
    : instruments.dispatch(dispatch, name, intents)
}

const forgotten = (port: Port, { name }: Dispatcher<boolean, any, any>, intent: Intent.Any): void => {
  if ((intent as unknown as IntentInternal).detached) return
  const error = new Error(`Dispatcher ${name} ended without performing side effect "${intent.name}".`)
  port.settle({ _tag: "Failed", intent, by: `dispatcher ${name}`, attempts: 0, cause: Cause.die(error) })
}
