import { Effect, ManagedRuntime } from "effect"
import { SideEffects } from "effect-side-effects"
import { type Effort, measure, median, quartiles } from "../lib/measure.ts"
import { heading, number, spread, table } from "../lib/report.ts"
import { live, LiveInBackground, ours, repeat } from "../lib/subjects.ts"

const intents = 10_000

export const background = async (effort: Effort): Promise<void> => {
  heading(
    "The background dispatcher",
    `${
      number(intents)
    } intents in units of work of 100, until all of them are performed. In the background each intent ` +
      "has a fiber of its own."
  )
  const program = Effect.andThen(
    repeat(intents / 100, () => ours.boundary(repeat(100, ours.enqueue))),
    SideEffects.drain
  )
  const runtime = ManagedRuntime.make(LiveInBackground)
  const series = await measure({
    inline: { run: () => Effect.runPromiseWith(live)(program), units: intents },
    background: { run: () => runtime.runPromise(program), units: intents }
  }, effort)
  await runtime.dispose()
  table(
    ["dispatcher", "intents per second", "us per intent", "spread"],
    Object.entries(series).map(([name, values]) => {
      const microseconds = values.map((ns) => ns / 1000)
      return [
        name,
        number(1e6 / median(microseconds)),
        number(median(microseconds), 2),
        spread(quartiles(microseconds))
      ]
    })
  )
}
