/**
 * Metrics: how many side effects were enqueued, and what became of them.
 *
 * `Observability.layer` counts in Effect's registry of metrics. What reads that has them: `PrometheusMetrics.layerHttp` for
 * a scraper, `Otlp.layerJson` for a collector. Here they are printed as Prometheus reads them.
 */
import { Console, Effect, Layer, Logger, Metric, Schedule, Schema } from "effect"
import { Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"
import { PrometheusMetrics } from "effect/observability"

class SendMail extends SideEffect.make("shop:mail", {
  description: "Email a customer.",
  payload: { to: Schema.String },
  idempotencyKey: ({ to }) => to
}) {}

class SendSms extends SideEffect.make("shop:sms", { description: "Text a customer." }) {}

const Shop = SideEffectGroup.make("shop").add(SendMail, SendSms)

class Bounced extends Schema.TaggedError<Bounced>()("Bounced", { to: Schema.String }) {}

const Handlers = Layer.merge(
  SendMail.toLayer(({ to }) => to === "nobody" ? Effect.fail(new Bounced({ to })) : Effect.void, {
    retry: Schedule.recurs(2)
  }),
  SendSms.toLayer(() => Effect.void)
)

const Live = SideEffects.LiveLayer(Shop, { policy: Policy.all(Policy.block("shop:sms"), Policy.dedupe()) }).pipe(
  Layer.provide(Handlers),
  Layer.provide(Observability.layer())
)

const mail = (to: string) => SideEffects.enqueue(SendMail, { to })

const work = Effect.gen(function*() {
  yield* SideEffects.boundary(Effect.all([mail("ada"), mail("grace"), mail("ada"), SideEffects.enqueue(SendSms)]))
  // Three attempts, and one that failed.
  yield* SideEffects.boundary(mail("nobody"))
  yield* Effect.exit(SideEffects.boundary(Effect.andThen(mail("edsger"), Effect.fail("the card was refused"))))
})

export const program = Effect.gen(function*() {
  yield* work
  const lines = (yield* PrometheusMetrics.format()).split("\n")
  // The rest are the buckets of two histograms.
  yield* Effect.forEach(
    lines.filter((line) => /^side_effects_[a-z]+\{/.test(line)),
    (line) => Console.log(line.replace("{", "\n  {"))
  )
}).pipe(
  Effect.provide(Live),
  // A registry of its own, so that nothing else is printed. A program leaves this out.
  Effect.provideService(Metric.MetricRegistry, new Map()),
  Effect.provide(Logger.layer([]))
)

if (import.meta.main) Effect.runPromise(program)
