/**
 * Traces and metrics of what leaves a program, for whichever tracer and registry of metrics Effect has.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import * as Instruments from "../Instruments.ts"
import * as OutboxStore from "../outbox/OutboxStore.ts"
import * as metrics from "./internal/metrics.ts"
import { spans } from "./internal/spans.ts"

/**
 * What is made: `spans` and `metrics`, both by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly spans?: boolean | undefined
  readonly metrics?: boolean | undefined
}

/**
 * Traces and measures the live layers, drop layers and workers of an outbox that it is provided to.
 *
 * **When to use**
 *
 * In production, below the layer of the side effects. Spans go to the tracer of the fiber and metrics to Effect's registry,
 * so whatever exports those exports these: `Otlp` or `PrometheusMetrics` of `effect/observability`, or a tracer of your own.
 *
 * **Details**
 *
 * Spans, where a boundary that releases something ends:
 *
 * - `SideEffects.release`: its policies decide, and what is left is dispatched.
 * - `SideEffects.dispatch`: a dispatcher gets a batch.
 * - `deliver <name>`: one attempt of a handler. The first one is a child of the span in which the side effect was enqueued,
 *   also in the worker of an outbox in another process; each retry is the root of a new trace with a link to that span.
 *   Both have a link to the dispatch, where that is in the same process.
 *
 * Metrics: `side_effects_enqueued`, `side_effects_dispatched`, `side_effects_dropped`, `side_effects_discarded`,
 * `side_effects_failed`, `side_effects_deduplicated`, `side_effects_dispatch_latency`, `side_effects_buffer_size` and
 * `side_effects_background_depth`.
 *
 * Neither has anything of a payload, nor a key made of one.
 *
 * **Gotchas**
 *
 * Layers are listened to that are built with it: `Live.pipe(Layer.provide(Observability.layer()))`. Where it is merged beside
 * a live layer, nothing is measured, and the first boundary that releases says so in the log.
 *
 * **Example** (Counting what was dispatched)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { Observability } from "effect-side-effects/observability"
 * import { Console, Effect, Layer } from "effect"
 * import { PrometheusMetrics } from "effect/observability"
 *
 * class SendMail extends SideEffect.make("orders:mail", { description: "Email the customer." }) {}
 *
 * const Live = SideEffects.LiveLayer(SideEffectGroup.make("orders").add(SendMail)).pipe(
 *   Layer.provide(SendMail.toLayer(() => Console.log("mailed"))),
 *   Layer.provide(Observability.layer())
 * )
 *
 * const program = Effect.gen(function*() {
 *   yield* SideEffects.boundary(SideEffects.enqueue(SendMail))
 *   // side_effects_dispatched{name="orders:mail",reason="inline"} 1, among others
 *   yield* Console.log(yield* PrometheusMetrics.format())
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> => Layer.effect(Instruments.Current, make(options))

/** Those that measure, and those that trace. Whoever provides one of them twice has it once. */
const meters = new WeakSet<Instruments.Instruments>()
const tracers = new WeakSet<Instruments.Instruments>()

const isAmong = (kind: WeakSet<Instruments.Instruments>, all: Instruments.Instruments | undefined): boolean =>
  all !== undefined && (kind.has(all) || all.parts?.some((part) => isAmong(kind, part)) === true)

const make = Effect.fnUntraced(function*({ metrics: measured = true, spans: traced = true }: Options = {}) {
  const around = yield* Instruments.Current
  const own: Array<Instruments.Instruments> = []
  if (measured && !isAmong(meters, around)) {
    const meter = { ...Instruments.silent, ...metrics.make(yield* Effect.context<never>(), yield* Clock.Clock) }
    meters.add(meter)
    own.push(meter)
  }
  if (traced && !isAmong(tracers, around)) {
    const tracer = { ...Instruments.silent, ...spans }
    tracers.add(tracer)
    own.push(tracer)
  }
  if (own.length === 0) return around
  const all = [...around === undefined ? [] : [around], ...own].reduce(Instruments.both)
  yield* Effect.acquireRelease(
    Effect.sync(() => Instruments.unheard.add(all)),
    () => Effect.sync(() => Instruments.unheard.delete(all))
  )
  return all
})

/**
 * Asks an outbox from time to time how many of each side effect it holds, for the metric `side_effects_outbox_depth` with
 * the attributes `name` and `state`.
 *
 * **When to use**
 *
 * In one process, such as the worker: all of them would tell the same.
 *
 * **Details**
 *
 * States are `pending`, `scheduled`, `running` and `dead`. `interval` is 30 seconds by default. A store that does not answer
 * is logged as a warning and asked again.
 *
 * **Gotchas**
 *
 * It counts the table, which takes a database with millions of entries its time. What is `done` is counted with it, so keep
 * the worker's `retention` short there, or the interval long.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOutboxDepth = (options?: {
  readonly interval?: Duration.Input | undefined
}): Layer.Layer<never, never, OutboxStore.OutboxStore> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const interval = Duration.fromInputUnsafe(options?.interval ?? "30 seconds")
    const store = yield* OutboxStore.OutboxStore
    const context = yield* Effect.context<never>()
    const known = new Map<string, Metric.Gauge<number>>()
    const look = Effect.map(store.counts, (counts) => {
      const depths = new Map<string, number>()
      // What has gone is none, and not what it was.
      for (const key of known.keys()) depths.set(key, 0)
      for (const { count, name, state } of counts) {
        if (state === "done") continue
        const key = `${state} ${name}`
        if (!known.has(key)) known.set(key, Metric.withAttributes(metrics.outboxDepth, { name, state }))
        depths.set(key, (depths.get(key) ?? 0) + count)
      }
      for (const [key, depth] of depths) known.get(key)!.updateUnsafe(depth, context)
    })
    yield* look.pipe(
      Effect.catchCause((cause) => Effect.logWarning("The outbox could not be counted for its metric", cause)),
      Effect.withTracerEnabled(false),
      Effect.repeat(Schedule.spaced(interval)),
      Effect.forkScoped
    )
  }))
