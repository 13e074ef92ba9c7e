import { assert, describe, it } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"
import { MemoryOutboxStore, Outbox, type OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { logs } from "../fixtures.ts"
import { tracer } from "./collecting.ts"

class Mail extends SideEffect.make("shop:mail", { description: "Email.", payload: { to: Schema.String } }) {}
class Push extends SideEffect.make("shop:push", { description: "Notify." }) {}
const Shop = SideEffectGroup.make("shop").add(Mail, Push)

const request = Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) })
const traceparent = `00-${request.traceId}-${request.spanId}-01`

const stores: ReadonlyArray<readonly [name: string, store: Layer.Layer<OutboxStore.OutboxStore, any>]> = [
  ["in memory", MemoryOutboxStore.layer],
  ["on SQLite", SqlOutboxStore.layer().pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" })))]
]

describe.each(stores)("the trace of an entry of the outbox, %s", (_, store) => {
  const run = (self: Effect.Effect<void, any, any>) => {
    const tracing = tracer()
    const handlers = Layer.merge(
      Mail.toLayer(({ to }) => to === "nobody" ? Effect.fail("nobody") : SideEffects.enqueue(Push)),
      Push.toLayer(() => Effect.void)
    ) as Layer.Layer<any>
    const layer = Layer.mergeAll(
      SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }),
      Outbox.layer(Shop)
    ).pipe(
      Layer.provideMerge(Observability.layer()),
      Layer.provideMerge(Layer.mergeAll(handlers, store, tracing.layer, logs().layer))
    )
    const deliveries = () =>
      tracing.spans.filter(({ kind }) => kind === "consumer").map((span) => ({
        name: span.name,
        attempt: span.attributes.get("side_effect.attempt"),
        trace: span.traceId === request.traceId,
        parent: Option.getOrUndefined(span.parent)?.spanId === request.spanId,
        links: span.links.map(({ span }) => span.spanId)
      }))
    return Effect.as(Effect.provide(self, layer), deliveries) as Effect.Effect<typeof deliveries>
  }

  const enqueue = (to: string) =>
    Effect.withParentSpan(SideEffects.boundary(SideEffects.enqueue(Mail, { to })), request)

  const drain = Outbox.drain(Shop, { retry: Schedule.recurs(0) })

  it.live("survives edit, retry and replay", () =>
    Effect.gen(function*() {
      const deliveries = yield* run(Effect.gen(function*() {
        const outbox = yield* Outbox.Outbox
        const { id, traceparent: noted } = yield* enqueue("nobody")
        assert.strictEqual(noted, traceparent)
        yield* drain
        yield* outbox.edit(id, { to: "ada" })
        yield* outbox.retry({ names: ["shop:mail"] })
        yield* drain
        yield* outbox.replay({ names: ["shop:mail"] })
        const entries = yield* outbox.list({ names: ["shop:mail"] })
        assert.deepStrictEqual(entries.map(({ trace }) => trace), [traceparent, traceparent])
        yield* drain
      }))
      assert.deepStrictEqual(deliveries().filter(({ name }) => name === "deliver shop:mail"), [
        { name: "deliver shop:mail", attempt: 1, trace: true, parent: true, links: [] },
        // A retry, whoever wanted it.
        { name: "deliver shop:mail", attempt: 2, trace: false, parent: false, links: [request.spanId] },
        // A wish of its own.
        { name: "deliver shop:mail", attempt: 1, trace: true, parent: true, links: [] }
      ])
    }))

  it.live("goes on in what a handler enqueues", () =>
    Effect.gen(function*() {
      const deliveries = yield* run(Effect.andThen(enqueue("ada"), drain))
      assert.deepStrictEqual(deliveries().map(({ name, trace }) => [name, trace]), [
        ["deliver shop:mail", true],
        ["deliver shop:push", true]
      ])
    }))
})
