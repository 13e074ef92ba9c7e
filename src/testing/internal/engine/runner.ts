import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as EngineWorker from "../../../engine/EngineWorker.ts"
import { Errand, Errands } from "./definitions.ts"

/** What a child process says, a line each. */
export interface Report {
  readonly suite: "ready" | "begin" | "end"
  readonly id?: string | undefined
  readonly key?: string | undefined
  readonly label?: string | undefined
  readonly attempt?: number | undefined
  readonly at: number
}

const prefix = "{\"suite\":"

/** Among the lines of a child process are those of its log. */
export const parse = (line: string): Report | undefined => line.startsWith(prefix) ? JSON.parse(line) : undefined

const report = (what: Omit<Report, "at">): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (at) => Console.log(JSON.stringify({ ...what, at })))

class NotYet extends /*#__PURE__*/ Data.TaggedError("NotYet")<{ readonly message: string }> {}

const handler = Errand.toLayer(
  ({ label, millis = 0, mode }, { attempt, idempotencyKey: key, intent: { id } }) =>
    Effect.gen(function*() {
      yield* report({ suite: "begin", id, key, label, attempt })
      if (millis > 0) yield* Effect.sleep(millis)
      if (mode === "fail-then-hang" && attempt === 1) {
        return yield* Effect.fail(new NotYet({ message: "It fails the first time." }))
      }
      if (mode !== "done") return yield* Effect.never
      yield* report({ suite: "end", id, key, label, attempt })
    }),
  { retry: Schedule.spaced("10 millis") }
)

export const runWorker = <E, R>(
  layerWorker: (group: typeof Errands, options?: EngineWorker.Options) => Layer.Layer<never, E, R>,
  options?: EngineWorker.Options
): Effect.Effect<never, E, R> =>
  Effect.scoped(Effect.andThen(
    Layer.build(Layer.provide(layerWorker(Errands, { concurrency: 8, gracePeriod: 0, ...options }), handler)),
    Effect.andThen(report({ suite: "ready" }), Effect.never)
  )) as any
