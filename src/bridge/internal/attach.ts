import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import type { Report } from "../../Boundary.ts"
import { plural } from "../../internal/describe.ts"
import * as SideEffects from "../../SideEffects.ts"

// What all bridges have in common: concurrency, failures and closing. A bridge opens a source, and this runs it.

/** What the bridge asks of a source. */
export interface Source<out A, out E, out R> {
  /** The next message that was accepted, or `Done`. */
  readonly next: Effect.Effect<A, E | Cause.Done, R>
  /** Accepts no more. What has been accepted still comes out of `next`. */
  readonly detach: Effect.Effect<void>
}

/** What a source may tell the bridge. */
export interface Sink {
  /** The bridge in messages. */
  readonly bridge: string
  /** Every message that is accepted is counted, so that at the end none is missing silently. */
  readonly accept: (count: number) => void
  /** Messages that could not be accepted. */
  readonly miss: (count: number) => void
  /** Interrupts `next` where it waits, now or the next time. */
  readonly stop: Effect.Effect<void>
}

// For a source that is done with its messages and does not close; the grace period belongs to the messages.
const patience = "5 seconds"
const pause = "10 seconds"

export interface Attachment<A, E, R, E2, R2> {
  readonly name: string
  readonly concurrency: number
  readonly grace: Duration.Duration
  readonly noRoom?: string | undefined
  readonly receive: (message: A) => Effect.Effect<unknown, E2, R2> | undefined
  readonly open: (sink: Sink) => Effect.Effect<Source<A, E, R>, never, R | Scope.Scope>
}

type Attached<R> = Effect.Effect<void, never, R | Scope.Scope | SideEffects.SideEffects<never>>

export const attach = <A, E, R, E2, R2>(options: Attachment<A, E, R, E2, R2>): Attached<R | R2> => {
  type All = R | R2 | Scope.Scope | SideEffects.SideEffects<never>
  // What belongs to the moment of attaching, not to the messages.
  const lasting = Context.omit(Scheduler.Scheduler, Tracer.ParentSpan) as (all: Context.Context<All>) => typeof all
  return Effect.uninterruptible(Effect.updateContext(attachHere(options), lasting))
}

const attachHere = Effect.fnUntraced(function*<A, E, R, E2, R2>(
  options: Attachment<A, E, R, E2, R2>
): Effect.fn.Return<void, never, R | R2 | Scope.Scope | SideEffects.SideEffects<never>> {
  const { concurrency, grace, open, receive } = options
  const bridge = `Bridge "${options.name}"`
  const context = yield* Effect.context<R | R2 | Scope.Scope | SideEffects.SideEffects<never>>()
  const inner = Scope.makeUnsafe()
  // No FiberSet, which knows a fiber only after its first step: a message that closes the bridge is told apart by it.
  const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  const slots = Semaphore.makeUnsafe(concurrency)
  const ended = Latch.makeUnsafe()
  let closing = false
  let expired = false
  let accepted = 0
  let missed = 0
  let telling = false
  let main: Fiber.Fiber<void> | undefined

  const tell = Effect.suspend(() => {
    if (missed === 0) return Effect.void
    const count = plural(missed, "message")
    missed = 0
    return Effect.logError(
      closing || options.noRoom === undefined
        ? `${bridge} was given ${count} when its scope was closed already, and dropped what it was given.`
        : `${bridge} has dropped ${count}: ${options.noRoom}`
    )
  })

  // A flood is one line now, and one at a time as long as it lasts.
  const tellAll = Effect.yieldNow.pipe(
    Effect.andThen(Effect.whileLoop({
      while: () => missed > 0,
      body: () => Effect.andThen(tell, Effect.timeoutOption(ended.await, pause)),
      step: constVoid
    })),
    Effect.andThen(Effect.sync(() => telling = false))
  )

  const miss = (count: number) => {
    missed += count
    if (telling || missed === 0) return
    telling = true
    Effect.runForkWith(context)(tellAll)
  }

  const source = yield* Scope.provide(
    open({
      bridge,
      miss,
      accept: (count) => void (accepted += count),
      stop: Effect.sync(() => main?.interruptUnsafe())
    }),
    inner
  )

  const perform = (message: A): Effect.Effect<unknown, never, R2 | SideEffects.SideEffects<never>> => {
    let report: Report | undefined
    const unit = SideEffects.boundary(Effect.scoped(Effect.suspend(() => asEffect(receive(message)))), {
      name: options.name,
      detached: true,
      onClose: (closed) => Effect.sync(() => void (report = closed))
    })
    return Effect.withFiber((fiber): Effect.Effect<unknown, never, R2 | SideEffects.SideEffects<never>> => {
      if (expired) return slots.release(1)
      fibers.add(fiber)
      return Effect.flatMap(Effect.exit(Effect.interruptible(unit)), (exit) => {
        const released = report?.outcome === "released"
        // What was cut off when the grace period was over stays counted.
        const lost = expired && !released && exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)
        if (!lost) accepted--
        const end = Effect.suspend(() => {
          fibers.delete(fiber)
          return slots.release(1)
        })
        // After the release an interruption does no harm.
        if (exit._tag === "Success" || lost || (released && Cause.hasInterruptsOnly(exit.cause))) return end
        const fate = released ? "had been released before" : "are discarded"
        return Effect.ensuring(
          Effect.logError(
            `${bridge} failed on a message, which is not tried again. Its side effects ${fate}; the bridge goes on ` +
              "with the next message.",
            exit.cause
          ),
          end
        )
      })
    })
  }

  const pump = Effect.gen(function*() {
    while (true) {
      yield* slots.take(1)
      if (expired) return
      const exit = yield* Effect.exit(source.next)
      if (exit._tag === "Success") {
        yield* Effect.forkDetach(perform(exit.value), { startImmediately: true, uninterruptible: true })
        continue
      }
      if (Pull.isDoneCause(exit.cause) || (closing && Cause.hasInterruptsOnly(exit.cause))) return
      return yield* Effect.logError(
        `${bridge} has ended, as its source failed. The messages it had accepted are finished.`,
        exit.cause
      )
    }
  })

  const running = main = yield* pump.pipe(
    // One slot is held by the pump; the others are free when no message is worked on.
    Effect.andThen(slots.take(concurrency - 1)),
    Effect.andThen(Scope.close(inner, Exit.void)),
    Effect.catchCause((cause) => Effect.logError(`${bridge} could not close its source.`, cause)),
    Effect.forkDetach({ uninterruptible: true })
  )

  const close = Effect.withFiber((self) =>
    Effect.gen(function*() {
      yield* tell
      closing = true
      const isOwn = fibers.has(self)
      // A message that closes the bridge gives way to those that are still waiting.
      if (isOwn) yield* slots.release(1)
      yield* Effect.catchCause(
        source.detach,
        (cause) => Effect.logError(`${bridge} could not detach from its source.`, cause)
      )
      const finished = Effect.interruptible(Fiber.await(running))
      if (Option.isNone(yield* Effect.timeoutOption(finished, grace))) {
        expired = true
        yield* Fiber.interruptAll(Array.from(fibers).filter((fiber) => fiber !== self))
        if (Option.isNone(yield* Effect.timeoutOption(finished, patience))) {
          yield* Effect.logError(`${bridge} has stopped waiting for its source, which does not close.`)
        }
      }
      const lost = isOwn ? accepted - 1 : accepted
      if (lost > 0) {
        yield* Effect.logError(
          `${bridge} was closed before it could finish ${
            plural(lost, "message")
          }, which are lost; their side effects are ` +
            "discarded. Raise grace or concurrency, or give what the messages do a timeout."
        )
      }
      yield* tell
      yield* ended.open
    })
  )

  yield* Scope.addFinalizer(Context.get(context, Scope.Scope), Effect.provideContext(close, context))
})

const asEffect = <E, R>(effect: Effect.Effect<unknown, E, R> | undefined): Effect.Effect<unknown, E, R> => {
  if (effect === undefined) return Effect.void
  if (Effect.isEffect(effect)) return effect
  throw new Error(
    `The hook of the bridge returned ${nameOf(effect)}. It has to return an effect, or undefined to ignore the message.`
  )
}

/** What somebody gave instead of what was wanted. */
export const nameOf = (u: unknown): string => {
  if (u === null || u === undefined) return String(u)
  const name: unknown = typeof u === "object" ? u.constructor?.name : undefined
  return typeof name === "string" && name !== "" ? `a value of ${name}` : `a ${typeof u}`
}
