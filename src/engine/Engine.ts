/**
 * An engine: somebody else's queue, cluster or workflow engine that does the work. This is what a dispatcher of one is made
 * of; `EngineWorker` is the other half.
 *
 * **When to use**
 *
 * To make an engine of your own. `bullmq`, `pg-boss`, `persisted-queue`, `cluster` and `workflow` of this library are made
 * with it. The suite in `effect-side-effects/engine/testing` proves that one keeps the contract.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Dispatcher from "../Dispatcher.ts"
import type * as Intent from "../Intent.ts"
import { enumerate } from "../internal/lines.ts"
import * as transactions from "../internal/transaction.ts"
import * as Job from "./Job.ts"

/**
 * The runtime type of every engine.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/Engine"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/Engine"

/**
 * What an intent can be told that not every engine honours.
 *
 * @category models
 * @since 0.1.0
 */
export type Option = "delay" | "priority" | "queue"

/**
 * Which options of an intent an engine honours. One that it does not honour is refused, never ignored.
 *
 * **Details**
 *
 * - `delay`, `priority`: whether there is such a thing.
 * - `queue`: whether it has queues. One that has none takes what is routed to it by queue, as then the route has honoured it.
 * - `problem`: what it cannot take of an option that it honours otherwise, as a sentence, such as a name that it does not
 *   allow for a queue.
 *
 * @category models
 * @since 0.1.0
 */
export interface Honours {
  readonly delay: boolean
  readonly priority: boolean
  readonly queue: boolean
  readonly problem?:
    | ((told: Dispatcher.Told) => { readonly option: Option; readonly problem: string } | undefined)
    | undefined
}

/**
 * A job that was not taken, as another one stands for the same action: `of` is the id of that one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Duplicate {
  readonly id: string
  readonly of: string
}

/**
 * An engine that is connected.
 *
 * **Details**
 *
 * - `handOver` hands a batch over, in order. Its success means that all of it was accepted and will happen, except for the
 *   duplicates it answers with. What it fails with is the failure of every job of the batch; those that were accepted all
 *   the same must not be there twice when the batch comes again, where the engine can tell by the id.
 * - `drain` waits until nothing is due and nothing is running. Default: does not wait.
 * - `transaction`: for an engine that writes in the transaction of the caller. `isOpen` tells it from the context of a
 *   fiber; `afterCommit` runs an effect when that has committed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  readonly handOver: (jobs: ReadonlyArray<Job.Job>) => Effect.Effect<ReadonlyArray<Duplicate> | void, unknown>
  readonly drain?: Effect.Effect<void> | undefined
  readonly transaction?: {
    readonly isOpen: (context: Context.Context<never>) => boolean
    readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  } | undefined
}

/**
 * The dispatcher of an engine: what `LiveLayer`, `Dispatcher.route`, `SqlSideEffects.afterCommit` and `Outbox.layerRelay` take.
 *
 * @category models
 * @since 0.1.0
 */
export interface Engine<out E = never, out R = never> extends Dispatcher.Dispatcher<false, E, R> {
  readonly [TypeId]: {
    readonly honours: Honours
    /** The queues it is told to take besides those that definitions name. */
    readonly queues: ReadonlyArray<string>
    readonly connect: Effect.Effect<Connection, E, R | Scope.Scope>
  }
}

/**
 * An option was given that the engine cannot honour. It dies at the call site, or when the layer is built: it is a mistake in
 * the program.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedOption extends /*#__PURE__*/ Data.TaggedError("UnsupportedOption")<{
  readonly sideEffect: string
  readonly option: Option
  readonly engine: string
  readonly message: string
}> {}

/**
 * Whether a value is the dispatcher of an engine.
 *
 * @category guards
 * @since 0.1.0
 */
export const isEngine = (u: unknown): u is Engine<unknown, unknown> => Predicate.hasProperty(u, TypeId)

/**
 * Makes the dispatcher of an engine.
 *
 * **Details**
 *
 * It is durable: what the engine has accepted will happen, and where it cannot accept, the boundary that released dies with
 * `DispatchError`.
 *
 * What definitions and bindings tell (`queue`, `priority`, `delay`) is checked when the layer is built, what a call of
 * `enqueue` tells at that call: both die with `UnsupportedOption` where the engine does not honour it. A queue that neither a
 * definition or binding nor `queues` names is refused, too: no worker would look there.
 *
 * **Gotchas**
 *
 * An engine knows nothing of the transaction that a boundary is in, unless it has `transaction`: hand over with
 * `SqlSideEffects.afterCommit`, or through the outbox with `Outbox.layerRelay`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dispatcher = <E = never, R = never>(options: {
  readonly name: string
  readonly honours: Honours
  readonly queues?: ReadonlyArray<string> | undefined
  readonly connect: Effect.Effect<Connection, E, R>
}): Engine<E, Exclude<R, Scope.Scope>> => {
  const { honours, name, queues = [] } = options
  const engine = { honours, queues, connect: options.connect }
  return {
    ...Dispatcher.proto({
      name,
      performs: false,
      durable: true,
      open: (port) => {
        const check = checkOf(name, engine, port)
        for (const told of port.told) check(told, `is told by ${told.by} to have`)
        return Effect.map(options.connect, (connection) => opened(name, connection, port, check))
      }
    }),
    [TypeId]: engine
  } as any
}

const opened = (
  name: string,
  { drain = Effect.void, handOver, transaction }: Connection,
  port: Dispatcher.Port,
  check: Check
): Dispatcher.Opened => {
  const by = `dispatcher ${name}`
  const accepted = (intents: ReadonlyArray<Intent.Any>) =>
    Effect.sync(() => {
      for (const intent of intents) port.settle({ _tag: "Dispatched", intent, by, attempts: 0 })
    })
  let warned = false
  return {
    drain,
    check: (intent) => check(intent, "was enqueued with"),
    dispatch: (intents) =>
      Effect.withFiber((fiber) => {
        const inside = transaction?.isOpen(fiber.context) === true
        const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        const handing = Effect.suspend(() => handOver(intents.map((intent) => Job.fromIntent(intent, now))))
        const early = !warned && !inside && transactions.isOpen(fiber.context)
        warned ||= early
        return Effect.flatMap(
          early ? Effect.andThen(Effect.logWarning(earlyMessage(name, intents[0]!)), handing) : handing,
          (duplicates) => {
            const taken = duplicates === undefined || duplicates.length === 0
              ? intents
              : without(intents, duplicates, port, by)
            if (!inside) return accepted(taken)
            // Whether it was accepted shows when the transaction ends.
            for (const intent of taken) port.underway(intent)
            return transaction!.afterCommit(accepted(taken))
          }
        )
      })
  }
}

const earlyMessage = (engine: string, { name }: Intent.Any): string =>
  `Side effect "${name}" is handed over to ${engine} while a transaction is open: if that is rolled back, it is performed ` +
  "all the same. Hand over after the commit with SqlSideEffects.afterCommit(dispatcher), or through the outbox with " +
  "Outbox.layerRelay. This is said once."

const without = (
  intents: ReadonlyArray<Intent.Any>,
  duplicates: ReadonlyArray<Duplicate>,
  port: Dispatcher.Port,
  by: string
): ReadonlyArray<Intent.Any> => {
  const known = new Map(duplicates.map(({ id, of }) => [id, of]))
  return intents.filter((intent) => {
    const of = known.get(intent.id)
    if (of !== undefined) port.settle({ _tag: "Deduplicated", intent, by, of })
    return of === undefined
  })
}

interface Told extends Pick<Dispatcher.Port, "routed" | "told"> {
  /** Whatever tells them besides. */
  readonly queues?: ReadonlyArray<string> | undefined
}

type Check = (told: Dispatcher.Told, how: string) => void

/** Throws where an engine cannot honour what a side effect was told. */
const checkOf = (
  engine: string,
  { honours, queues }: { readonly honours: Honours; readonly queues: ReadonlyArray<string> },
  { queues: others = [], routed, told }: Told
): Check => {
  // What definitions name counts only where there are queues, what a route has honoured only where there are none.
  const known = new Set([Job.defaultQueue, ...queues, ...others, ...(honours.queue ? queuesOf(told) : [])])
  const isKnown = (told: Dispatcher.Told, queue: string) =>
    known.has(queue) || (!honours.queue && routed?.(told) === true)
  return (told, how) => {
    const { delay, name, priority, queue } = told
    const refuse = (option: Option, value: string, problem: string) => {
      const message = `Side effect "${name}" ${how} ${value}, and ${problem}`
      throw new UnsupportedOption({ sideEffect: name, option, engine, message })
    }
    // What it cannot take at all is not to be named in queues.
    const problem = honours.problem?.(told)
    if (problem !== undefined) {
      refuse(
        problem.option,
        `${problem.option} ${problem.option === "queue" ? `"${queue}"` : String(told[problem.option])}`,
        `${engine} cannot take that: ${problem.problem}`
      )
    }
    const elsewhere = `Leave it out, or route it to an engine that has: Dispatcher.route.`
    if (delay !== undefined && !honours.delay) refuse("delay", "a delay", `${engine} has none. ${elsewhere}`)
    if (delay !== undefined && !(Duration.toMillis(Duration.fromInputUnsafe(delay)) <= Job.longest)) {
      refuse("delay", "a delay of more than 10 years", "queues hold no such times. Give it a shorter one.")
    }
    if (priority !== undefined && priority !== 0 && !honours.priority) {
      refuse("priority", `priority ${priority}`, `${engine} has no priorities. ${elsewhere}`)
    }
    if (priority !== undefined && !Job.isPriority(priority)) {
      refuse("priority", `priority ${priority}`, "queues take whole numbers up to a million.")
    }
    if (queue !== undefined && !isKnown(told, queue)) {
      const quoted = enumerate([...known].map((one) => `"${one}"`))
      refuse(
        "queue",
        `queue "${queue}"`,
        honours.queue
          ? `no worker of ${engine} would look there: it knows ${quoted}. Name it in queues, of the dispatcher and of the worker.`
          : `${engine} has no queues. Leave it out, or route it by queue: Dispatcher.route([[{ queue: "${queue}" }, ...]]).`
      )
    }
  }
}

/**
 * Checks what a group tells about side effects that go to an engine by another way than a live layer: throws
 * `UnsupportedOption`.
 *
 * @internal
 */
export const check = (engine: Engine<any, any>, port: Told): Check => checkOf(engine.name, engine[TypeId], port)

/**
 * The queues that are told, each once.
 *
 * @internal
 */
export const queuesOf = (told: ReadonlyArray<Dispatcher.Told>): ReadonlyArray<string> => [
  ...new Set(told.flatMap(({ queue }) => queue === undefined ? [] : [queue]))
]
