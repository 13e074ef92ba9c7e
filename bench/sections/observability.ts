import { Context, Effect, Layer, Tracer } from "effect"
import { Dispatcher } from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"
import { type Effort, measure, median, quartiles, ratios, type Subject } from "../lib/measure.ts"
import { bar, heading, number, spread, table, times } from "../lib/report.ts"
import { layer, ours, repeat } from "../lib/subjects.ts"

const request = Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) })

/** Makes spans and throws them away, as an exporter does after it has sent them. */
const collecting = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })

const built = (live: ReturnType<typeof layer>) => Effect.runPromise(Effect.scoped(Layer.build(live)))

export const observability = async (effort: Effort): Promise<void> => {
  heading(
    "Observability",
    "Nanoseconds per intent, from enqueueing to the end of the handler, in units of work of 1, 10 and 1,000. Where " +
      "nobody listens, an intent only notes the span it is in; with the layer, spans and metrics are made for each."
  )
  const live = layer(Dispatcher.inline())
  const without = await built(live)
  const inSpan = Context.add(without, Tracer.ParentSpan, request) as typeof without
  const metrics = await built(Layer.provide(live, Observability.layer({ spans: false })))
  const both = await built(Layer.provide(live, Observability.layer()))
  const traced = Context.add(both, Tracer.Tracer, collecting)
  const rows: Array<ReadonlyArray<string>> = []
  for (const n of [1, 10, 1000]) {
    const units = Math.max(1, 100 / n)
    const subject = (context: typeof without): Subject => {
      const program = repeat(units, () => ours.boundary(repeat(n, ours.enqueue)))
      return { run: () => Effect.runSyncWith(context)(program), units: units * n }
    }
    const series = await measure({
      without: subject(without),
      inSpan: subject(inSpan),
      metrics: subject(metrics),
      both: subject(both),
      traced: subject(traced)
    }, effort)
    for (const name of ["inSpan", "metrics", "both", "traced"] as const) {
      const ratio = ratios(series[name], series.without)
      rows.push([
        `${number(n)}: ${labels[name]}`,
        number(median(series[name])),
        times(median(ratio)),
        spread(quartiles(ratio)),
        name === "inSpan" ? bar(`nobody listens, ${n} a boundary, to without a span`, median(ratio), 1.15) : ""
      ])
    }
  }
  table(["intents a boundary", "ns", "to without", "spread", " "], rows)
}

const labels = {
  inSpan: "in a span, nobody listens",
  metrics: "metrics",
  both: "metrics and spans",
  traced: "the same, with a tracer of its own"
}
