import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Decision from "../../Decision.ts"
import type { Instruments } from "../../Instruments.ts"
import { reasonOf } from "./reason.ts"

const counter = (name: string, description: string) =>
  Metric.counter(name, { description, incremental: true, attributes: { unit: "{side_effect}" } })

/** As OpenTelemetry has them for messaging, and on to minutes, as retries are part of it. */
const seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300]

const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000]

const enqueued = counter("side_effects_enqueued", "Side effects that were enqueued.")

const ends = {
  Dispatched: counter("side_effects_dispatched", "Side effects that were performed, or accepted by who performs them."),
  Dropped: counter("side_effects_dropped", "Side effects that a policy, a layer or a handler kept in."),
  Discarded: counter("side_effects_discarded", "Side effects whose boundary did not release them."),
  Failed: counter("side_effects_failed", "Side effects that were to be performed and failed for good."),
  Deduplicated: counter("side_effects_deduplicated", "Side effects of which another one stands for the same action.")
} satisfies Record<Decision.Decision["_tag"], unknown>

const latency = Metric.histogram("side_effects_dispatch_latency", {
  description: "Seconds from the release of a side effect until it was performed, accepted or failed for good.",
  boundaries: seconds,
  attributes: { unit: "s" }
})

const bufferSize = Metric.histogram("side_effects_buffer_size", {
  description: "Side effects in a boundary when it was released.",
  boundaries: sizes,
  attributes: { unit: "{side_effect}" }
})

const depth = Metric.gauge("side_effects_background_depth", {
  description: "Side effects that are underway in the background.",
  attributes: { unit: "{side_effect}" }
})

export const outboxDepth = Metric.gauge("side_effects_outbox_depth", {
  description: "Side effects in the outbox that are not done.",
  attributes: { unit: "{side_effect}" }
})

/** The same metric with other attributes, made once for each. */
const series = <Input, State>(metric: Metric.Metric<Input, State>) => {
  const known = new Map<string, Map<string, Metric.Metric<Input, State>>>()
  return (name: string, reason?: string | undefined): Metric.Metric<Input, State> => {
    let reasons = known.get(name)
    if (reasons === undefined) known.set(name, reasons = new Map())
    let found = reasons.get(reason ?? "")
    if (found === undefined) {
      found = Metric.withAttributes(metric, reason === undefined ? { name } : { name, reason })
      reasons.set(reason ?? "", found)
    }
    return found
  }
}

/** What a listener counts and measures, in the registry of the context it was built in. */
export const make = (
  context: Context.Context<never>,
  clock: Clock.Clock
): Pick<Instruments, "observer" | "release" | "underway" | "lost"> => {
  const seriesOf = {
    enqueued: series(enqueued),
    latency: series(latency),
    Dispatched: series(ends.Dispatched),
    Dropped: series(ends.Dropped),
    Discarded: series(ends.Discarded),
    Failed: series(ends.Failed),
    Deduplicated: series(ends.Deduplicated)
  }
  const releasedAt = new WeakMap<object, bigint>()
  const depths = new Map<string, Metric.Gauge<number>>()
  const nothing = () => {}
  return {
    observer: {
      enqueued: ({ name }) => seriesOf.enqueued(name).updateUnsafe(1, context),
      decided: (decision) => {
        const { _tag, intent } = decision
        seriesOf[_tag](intent.name, reasonOf(decision)).updateUnsafe(1, context)
        const since = releasedAt.get(intent)
        if (since === undefined || (_tag !== "Dispatched" && _tag !== "Failed")) return
        seriesOf.latency(intent.name).updateUnsafe(Number(clock.currentTimeNanosUnsafe() - since) / 1e9, context)
      },
      emitted: nothing,
      concluded: nothing
    },
    release: (self, _boundary, intents) =>
      Effect.suspend(() => {
        const now = clock.currentTimeNanosUnsafe()
        bufferSize.updateUnsafe(intents.length, context)
        for (const intent of intents) releasedAt.set(intent, now)
        return self
      }),
    underway: (dispatcher, change) => {
      let gauge = depths.get(dispatcher)
      if (gauge === undefined) depths.set(dispatcher, gauge = Metric.withAttributes(depth, { dispatcher }))
      // More than one may bear the name.
      gauge.modifyUnsafe(change, context)
    },
    lost: (name, reason) => seriesOf.Failed(name, reason).updateUnsafe(1, context)
  }
}
