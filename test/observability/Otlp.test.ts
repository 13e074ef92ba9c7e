import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { Observability } from "effect-side-effects/observability"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as SqlClient from "effect/sql/SqlClient"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { logs } from "../fixtures.ts"
import { collector, type Received } from "./collector.ts"

class Mail extends SideEffect.make("shop:mail", {
  description: "Email the customer.",
  payload: { order: Schema.String, password: Schema.RedactedFromValue(Schema.String) }
}) {}
const Shop = SideEffectGroup.make("shop").add(Mail)

class MailboxFull extends Schema.TaggedError<MailboxFull>()("MailboxFull", {}) {}

const exporter = (baseUrl: string, serviceName: string) =>
  Otlp.layerJson({
    baseUrl,
    resource: { serviceName },
    // Only when they are asked to, and when they are closed.
    tracerExportInterval: "1 hour",
    metricsExportInterval: "1 hour",
    loggerExportInterval: "1 hour"
  }).pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provideMerge(Layer.fresh(Layer.succeed(Metric.MetricRegistry, new Map())))
  )

const flush = Effect.flatMap(OtlpExporter.Flusher, ({ flush }) => flush)

/** The mailbox is full the first time. */
const mailHandler = (done: Deferred.Deferred<void>) =>
  Mail.toLayer(
    (_, { attempt }) =>
      Effect.withSpan("smtp")(attempt === 1 ? Effect.fail(new MailboxFull()) : Deferred.succeed(done, undefined)),
    { retry: Schedule.recurs(1) }
  )

const traceId = "0af7651916cd43dd8448eb211c80319c"
const clientSpan = "b7ad6b7169203331"

const client = (url: string, flags = "01") =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/orders/1042`, {
      method: "POST",
      headers: { traceparent: `00-${traceId}-${clientSpan}-${flags}` }
    })
    return { status: response.status, body: await response.text() }
  })

const order = Effect.as(
  SideEffects.enqueue(Mail, { order: "1042", password: Redacted.make("hunter2") }).pipe(Effect.withSpan("place order")),
  HttpServerResponse.text("thanks")
)

const server = (live: Layer.Layer<SideEffects.SideEffects<"shop:mail">, any, any>) => {
  const { layer } = SideEffectsMiddleware.make(Shop)
  const routes = HttpRouter.add("POST", "/orders/:id", order).pipe(Layer.provide(layer))
  return HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
    Layer.provide(live)
  )
}

const addressOf = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => `http://127.0.0.1:${"port" in address ? address.port : 0}`
)

/** `name` and `status` of all spans below each other, and what they are linked to. */
const treeOf = (spans: ReadonlyArray<Received>): ReadonlyArray<string> => {
  const nameOf = (id: string) => spans.find(({ spanId }) => spanId === id)?.name ?? id
  const below = (span: Received, depth: number): ReadonlyArray<string> => [
    `${"  ".repeat(depth)}${span.name} ${span.status}${
      span.links.map(({ spanId, why }) => ` ~ ${String(why)}: ${nameOf(spanId)}`).join("")
    }`,
    ...spans.filter(({ parentSpanId }) => parentSpanId === span.spanId).sort((a, b) => a.name < b.name ? -1 : 1)
      .flatMap((child) => below(child, depth + 1))
  ]
  return spans.filter(({ parentSpanId }) => !spans.some(({ spanId }) => spanId === parentSpanId))
    .sort((a, b) => (a.parentSpanId ?? "").length < (b.parentSpanId ?? "").length ? 1 : -1)
    .flatMap((span) => below(span, 0))
}

const one = (spans: ReadonlyArray<Received>, name: string, attempt?: number): Received => {
  const found = spans.filter((span) =>
    span.name === name && (attempt === undefined || span.attributes["side_effect.attempt"] === attempt)
  )
  assert.strictEqual(found.length, 1, name)
  return found[0]!
}

describe("over OTLP, as an OpenTelemetry collector receives it", () => {
  for (
    const [name, dispatcher] of [["inline", Dispatcher.inline()], ["background", Dispatcher.background()]] as const
  ) {
    it.live(`a mail leads back to the request of the client, its retry is linked to it: ${name}`, () =>
      Effect.gen(function*() {
        const { metrics, raw, spans, url } = yield* collector
        const done = yield* Deferred.make<void>()
        const live = SideEffects.LiveLayer(Shop, { dispatcher }).pipe(
          Layer.provide(mailHandler(done)),
          Layer.provide(Observability.layer())
        )
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* client(yield* addressOf), { status: 200, body: "thanks" })
          yield* Deferred.await(done)
        }).pipe(
          Effect.provide(server(live)),
          // The server is closed, and with it everything has ended.
          Effect.andThen(flush),
          Effect.provide(Layer.provideMerge(exporter(url, "shop"), logs().layer))
        )
        assert.deepStrictEqual(treeOf(spans), [
          "POST ok",
          "  SideEffects.dispatch ok",
          "  SideEffects.release ok",
          "  place order ok",
          "    deliver shop:mail error ~ dispatched: SideEffects.dispatch",
          "      smtp error",
          "deliver shop:mail ok ~ enqueued: place order ~ dispatched: SideEffects.dispatch",
          "  smtp ok"
        ])
        const request = one(spans, "POST")
        assert.deepStrictEqual([request.traceId, request.parentSpanId], [traceId, clientSpan])
        const first = one(spans, "deliver shop:mail", 1)
        assert.deepStrictEqual([first.traceId, first.kind], [traceId, 5])
        assert.strictEqual(first.attributes["side_effect.origin"], "POST /orders/:id")
        assert.strictEqual(first.attributes["error.type"], "MailboxFull")
        const second = one(spans, "deliver shop:mail", 2)
        assert.notStrictEqual(second.traceId, traceId)
        assert.isUndefined(second.parentSpanId)
        assert.strictEqual(second.links[0]!.traceId, traceId)
        assert.deepStrictEqual(
          metrics().filter((line) => !line.includes("buffer") && !line.includes("latency")).toSorted(),
          [
            ...(name === "background"
              ? ["side_effects_background_depth [{side_effect}] {dispatcher=background} 0"]
              : []),
            `side_effects_dispatched [{side_effect}] {name=shop:mail,reason=${name}} 1`,
            "side_effects_enqueued [{side_effect}] {name=shop:mail} 1"
          ]
        )
        assert.include(metrics(), "side_effects_dispatch_latency [s] {name=shop:mail} 1")
        assert.include(metrics(), "side_effects_buffer_size [{side_effect}] {} 1")
        assert.deepStrictEqual(raw.filter((text) => text.includes("hunter2")), [])
      }).pipe(Effect.scoped))
  }

  it.live("what the client does not sample is not sampled, retries included", () =>
    Effect.gen(function*() {
      const { metrics, spans, url } = yield* collector
      const done = yield* Deferred.make<void>()
      const live = SideEffects.LiveLayer(Shop).pipe(
        Layer.provide(mailHandler(done)),
        Layer.provide(Observability.layer())
      )
      yield* Effect.gen(function*() {
        yield* client(yield* addressOf, "00")
        yield* Deferred.await(done)
      }).pipe(
        Effect.provide(server(live)),
        Effect.andThen(flush),
        Effect.provide(Layer.provideMerge(exporter(url, "shop"), logs().layer))
      )
      assert.deepStrictEqual(treeOf(spans), [])
      assert.include(metrics(), "side_effects_enqueued [{side_effect}] {name=shop:mail} 1")
    }).pipe(Effect.scoped))

  const temporary = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "observability-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
  )
  const url = process.env["POSTGRES_URL"]
  const databases: ReadonlyArray<{
    readonly name: string
    readonly skip: boolean
    readonly client: (directory: string) => Layer.Layer<SqlClient.SqlClient, any>
    readonly table: string
  }> = [
    {
      name: "SQLite",
      skip: false,
      table: "outbox",
      client: (directory) => SqliteClient.layer({ filename: join(directory, "shop.db"), synchronous: "OFF" })
    },
    {
      name: url === undefined ? "PostgreSQL (skipped: set POSTGRES_URL)" : "PostgreSQL",
      skip: url === undefined,
      table: "traced_outbox",
      client: () => PgClient.layer({ url: Redacted.make(url!) })
    }
  ]

  for (const { client: sqlClient, name, skip, table } of databases) {
    it.live.skipIf(skip)(`through the outbox, with a worker in another runtime: ${name}`, () =>
      Effect.gen(function*() {
        const shop = yield* collector
        const mailer = yield* collector
        const directory = yield* temporary
        const store = () => SqlOutboxStore.layer({ table }).pipe(Layer.provideMerge(Layer.fresh(sqlClient(directory))))

        // A process that answers requests, and ends.
        const writing = SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }).pipe(
          Layer.provide(Observability.layer()),
          Layer.provideMerge(Layer.fresh(store()))
        )
        const inTransaction = SqlSideEffects.transaction(order)
        const routes = HttpRouter.add("POST", "/orders/:id", inTransaction).pipe(
          Layer.provide(SideEffectsMiddleware.make(Shop).layer)
        )
        yield* Effect.gen(function*() {
          assert.strictEqual((yield* client(yield* addressOf)).status, 200)
        }).pipe(
          Effect.provide(
            HttpRouter.serve(routes, { disableListenLog: true, disableLogger: true }).pipe(
              Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
              Layer.provide(writing)
            )
          ),
          Effect.andThen(flush),
          Effect.provide(Layer.provideMerge(exporter(shop.url, "shop"), logs().layer))
        )

        // Another one, that performs what is in the database.
        const done = yield* Deferred.make<void>()
        const worker = Outbox.layerWorker(Shop, { pollInterval: "20 millis", retry: Schedule.spaced("1 millis") }).pipe(
          Layer.provide(mailHandler(done)),
          Layer.provide(Observability.layer()),
          Layer.provide(Layer.fresh(store()))
        )
        yield* Deferred.await(done).pipe(
          Effect.provide(worker),
          Effect.andThen(flush),
          Effect.provide(Layer.provideMerge(exporter(mailer.url, "mailer"), logs().layer))
        )

        // Without the statements of the database.
        const ours = (spans: ReadonlyArray<Received>) =>
          spans.filter(({ kind, name }) => kind !== 3 && !name.startsWith("sql."))
        assert.deepStrictEqual(treeOf(ours(mailer.spans)), [
          "deliver shop:mail error",
          "  smtp error",
          `deliver shop:mail ok ~ enqueued: ${one(shop.spans, "place order").spanId}`,
          "  smtp ok"
        ])
        const first = one(mailer.spans, "deliver shop:mail", 1)
        assert.strictEqual(first.service, "mailer")
        assert.strictEqual(first.traceId, traceId)
        assert.strictEqual(first.parentSpanId, one(shop.spans, "place order").spanId)
        assert.strictEqual(first.attributes["side_effect.origin"], "POST /orders/:id")
        const second = one(mailer.spans, "deliver shop:mail", 2)
        assert.notStrictEqual(second.traceId, traceId)
        assert.strictEqual(second.links[0]!.traceId, traceId)
        assert.deepStrictEqual([...shop.metrics()].filter((line) => line.includes("dispatched")), [
          "side_effects_dispatched [{side_effect}] {name=shop:mail,reason=outbox} 1"
        ])
        assert.deepStrictEqual([...mailer.metrics()], [
          "side_effects_dispatched [{side_effect}] {name=shop:mail,reason=outbox worker} 1"
        ])
        assert.deepStrictEqual([...shop.raw, ...mailer.raw].filter((text) => text.includes("hunter2")), [])
      }).pipe(Effect.scoped))
  }
})
