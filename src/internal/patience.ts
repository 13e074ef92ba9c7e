import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as describe from "./describe.ts"

/** After an error of the store: soon again, then less often. */
const patiently = /*#__PURE__*/ Schedule.jittered(
  /*#__PURE__*/ Schedule.min([
    /*#__PURE__*/ Schedule.exponential("100 millis"),
    /*#__PURE__*/ Schedule.spaced("5 seconds")
  ])
)

/** Tries until it succeeds, and says in the log, for `who`, what could not be done. */
export const make = (who: string) => <A, E>(what: string, once: Effect.Effect<A, E>): Effect.Effect<A> =>
  once.pipe(
    Effect.sandbox,
    Effect.tapError((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Effect.logError(`${who} could not ${what}, and tries again: ${describe.cause(cause)}`)
    ),
    Effect.retry(patiently),
    Effect.orDie
  )
