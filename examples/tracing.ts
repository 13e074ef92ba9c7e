/**
 * Tracing: a mail leads back to the request that wanted it.
 *
 * `Observability.layer` makes spans for the release of a boundary, for each dispatch and for each delivery, with whatever
 * tracer the program has. A real one sends them to a collector: `Otlp.layerJson` of `effect/observability`. This one keeps
 * them, so that the guide can print them.
 */
import { Console, Effect, Layer, Option, Schedule, Schema, Tracer } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"

class SendMail extends SideEffect.make("shop:mail", {
  description: "Email a customer.",
  payload: { to: Schema.String }
}) {}

class TellWarehouse extends SideEffect.make("shop:warehouse", {
  description: "Tell the warehouse to pack an order.",
  payload: { order: Schema.String }
}) {}

const Shop = SideEffectGroup.make("shop").add(SendMail, TellWarehouse)

class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", { to: Schema.String }) {}

const Handlers = Layer.merge(
  SendMail.toLayer(
    // The spans of a handler are below its delivery.
    ({ to }, { attempt }) =>
      Effect.withSpan(attempt === 1 ? Effect.fail(new MailboxFull({ to })) : Effect.void, "smtp"),
    { retry: Schedule.recurs(2) }
  ),
  TellWarehouse.toLayer(() => Effect.void)
)

// Below the live layer, not beside it: layers are listened to that are built with it.
const Live = SideEffects.LiveLayer(Shop, { dispatcher: Dispatcher.background() }).pipe(
  Layer.provide(Handlers),
  Layer.provide(Observability.layer())
)

const placeOrder = Effect.fn("placeOrder")(function*(order: string, to: string) {
  yield* SideEffects.enqueue(SendMail, { to })
  yield* SideEffects.enqueue(TellWarehouse, { order })
})

// With `effect-side-effects/http` a request has a span and a boundary anyway, and its boundary is named after the route.
const request = placeOrder("1042", "ada@example.org").pipe(
  SideEffects.boundary({ name: "POST /orders" }),
  Effect.withSpan("POST /orders", { kind: "server" })
)

const spans: Array<Tracer.NativeSpan> = []

const Keeping = Layer.succeed(
  Tracer.Tracer,
  Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
)

const show = (span: Tracer.NativeSpan, depth: number): ReadonlyArray<string> => {
  const told = span.attributes.get("side_effect.attempt")
  const failed = span.status._tag === "Ended" && span.status.exit._tag === "Failure" ? ", failed" : ""
  const links = span.links.map(({ span }) => span._tag === "Span" ? span.name : span.spanId)
  const children = spans.filter((child) => Option.getOrUndefined(child.parent) === span)
  return [
    `${"  ".repeat(depth)}${span.name}${told === undefined ? "" : `, attempt ${told}`}${failed}`,
    ...(links.length === 0 ? [] : [`${"  ".repeat(depth)}    linked to ${links.join(" and ")}`]),
    ...children.flatMap((child) => show(child, depth + 1))
  ]
}

export const program = Effect.gen(function*() {
  spans.length = 0
  yield* request
  // The request has been answered. What is in the background ends when it likes.
  yield* SideEffects.drain
  for (const span of spans.filter(({ parent }) => Option.isNone(parent))) {
    yield* Console.log("trace")
    for (const line of show(span, 1)) yield* Console.log(line)
  }
}).pipe(Effect.provide(Layer.provideMerge(Live, Keeping)))

if (import.meta.main) Effect.runPromise(program)
