/**
 * The recorder: what `SideEffects.TestLayer` has seen, for tests to read.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Decision from "./Decision.ts"
import type * as Event from "./Event.ts"
import type * as Intent from "./Intent.ts"

/**
 * Reads what a recording layer has seen.
 *
 * **Details**
 *
 * - `intents`: what would have escaped, in the order of release.
 * - `enqueued`: everything that was enqueued, in order, whatever became of it.
 * - `decisions`: the ends that intents came to, in the order they came to them. What is in no decision yet waits in a
 *   boundary that is still open.
 * - `events`: the events that were emitted in units of work that succeeded, in the order of release.
 * - `emitted`: everything that was emitted, in order, whatever became of it.
 * - `clear`: forgets everything.
 *
 * All of them are snapshots.
 *
 * @category services
 * @since 0.1.0
 */
export class Recorder extends /*#__PURE__*/ Context.Service<Recorder, {
  readonly intents: Effect.Effect<ReadonlyArray<Intent.Any>>
  readonly enqueued: Effect.Effect<ReadonlyArray<Intent.Any>>
  readonly decisions: Effect.Effect<ReadonlyArray<Decision.Decision>>
  readonly events: Effect.Effect<ReadonlyArray<Event.Emitted>>
  readonly emitted: Effect.Effect<ReadonlyArray<Event.Emitted>>
  readonly clear: Effect.Effect<void>
}>()("effect-side-effects/Recorder") {}

/**
 * A recorder, and the observer that feeds it.
 *
 * @internal
 */
export const make = (): { readonly recorder: Recorder["Service"]; readonly observer: Decision.Observer } => {
  let enqueued: Array<Intent.Any> = []
  let decisions: Array<Decision.Decision> = []
  let emitted: Array<any> = []
  let events: Array<any> = []
  return {
    recorder: Recorder.of({
      intents: Effect.sync(() => decisions.filter(({ _tag }) => _tag === "Dispatched").map(({ intent }) => intent)),
      enqueued: Effect.sync(() => enqueued.slice()),
      decisions: Effect.sync(() => decisions.slice()),
      events: Effect.sync(() => events.slice()),
      emitted: Effect.sync(() => emitted.slice()),
      clear: Effect.sync(() => {
        enqueued = []
        decisions = []
        emitted = []
        events = []
      })
    }),
    observer: {
      enqueued: (intent) => {
        enqueued.push(intent)
      },
      decided: (decision) => {
        decisions.push(decision)
      },
      emitted: (event) => {
        emitted.push(event)
      },
      concluded: (event) => {
        if (event.fate?._tag === "Released") events.push(event)
      }
    }
  }
}
