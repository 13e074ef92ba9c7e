import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** A tracer that keeps all spans, and the layer that makes it that of the program. */
export const tracer = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const layer = Layer.succeed(
    Tracer.Tracer,
    Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
  )
  const named = (name: string) => spans.filter((span) => span.name === name)
  const one = (name: string): Tracer.NativeSpan => {
    const found = named(name)
    if (found.length !== 1) throw new Error(`${found.length} spans are named ${name}: ${tree(spans)}`)
    return found[0]!
  }
  return { spans, layer, named, one }
}

const parentOf = (span: Tracer.NativeSpan) => Option.getOrUndefined(span.parent)

const statusOf = ({ status }: Tracer.NativeSpan): string =>
  status._tag === "Started" ? " (not ended)" : status.exit._tag === "Failure" ? " (failed)" : ""

/** All spans below each other, in the order they began. A link is shown as `~> name of the span`. */
export const tree = (spans: ReadonlyArray<Tracer.NativeSpan>): ReadonlyArray<string> => {
  const nameOf = (span: Tracer.AnySpan) => span._tag === "Span" ? span.name : "elsewhere"
  const below = (span: Tracer.NativeSpan, depth: number): ReadonlyArray<string> => [
    `${"  ".repeat(depth)}${span.name}${statusOf(span)}${span.links.map(({ span }) => ` ~> ${nameOf(span)}`).join("")}`,
    ...spans.filter((child) => parentOf(child) === span).flatMap((child) => below(child, depth + 1))
  ]
  return spans.filter((span) => !spans.includes(parentOf(span) as any)).flatMap((span) => below(span, 0))
}

/** A registry of metrics that nobody else writes to. */
export const registry = () => {
  const metrics = Layer.succeed(Metric.MetricRegistry, new Map())
  /** `name{a=b,c=d} value` for each that is ours. */
  const read = Effect.map(
    Metric.snapshot,
    (snapshot) =>
      snapshot.filter(({ id }) => id.startsWith("side_effects_")).map((metric) => {
        const { unit: _, ...attributes } = metric.attributes ?? {}
        const labels = Object.entries(attributes).map(([key, value]) => `${key}=${value}`).join(",")
        const { state } = metric as any
        return `${metric.id.replace("side_effects_", "")}{${labels}} ${state.count ?? state.value}`
      }).sort()
  )
  return { layer: metrics, read }
}
