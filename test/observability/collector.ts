import * as Effect from "effect/Effect"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"

/** A span as it was received. */
export interface Received {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly name: string
  readonly kind: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string; readonly why: unknown }>
  readonly status: "unset" | "ok" | "error"
}

const read = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

const attributesOf = (list: ReadonlyArray<{ readonly key: string; readonly value: any }> = []) =>
  Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]))

const isHex = (id: unknown, length: number) => typeof id === "string" && new RegExp(`^[0-9a-f]{${length}}$`).test(id)

const statuses = ["unset", "ok", "error"] as const

const spansOf = (body: any): ReadonlyArray<Received> =>
  body.resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    scopeSpans.flatMap(({ spans }: any) =>
      spans.map((span: any): Received => {
        if (!isHex(span.traceId, 32) || !isHex(span.spanId, 16)) throw new Error(`no ids: ${JSON.stringify(span)}`)
        return {
          service: attributesOf(resource.attributes)["service.name"] as string,
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentSpanId,
          name: span.name,
          kind: span.kind,
          attributes: attributesOf(span.attributes),
          links: span.links.map((link: any) => ({
            traceId: link.traceId,
            spanId: link.spanId,
            why: attributesOf(link.attributes)["side_effect.link"]
          })),
          status: statuses[span.status.code as 0 | 1 | 2]
        }
      })
    )
  )

/** What the last report says of each series of ours: `name{a=b} value`, for histograms the count. */
const metricsOf = (body: any): ReadonlyArray<string> =>
  body.resourceMetrics.flatMap(({ scopeMetrics }: any) =>
    scopeMetrics.flatMap(({ metrics }: any) =>
      metrics.filter(({ name }: any) => name.startsWith("side_effects_")).flatMap((metric: any) =>
        (metric.sum ?? metric.gauge ?? metric.histogram).dataPoints.map((point: any) => {
          const { unit: _, ...attributes } = attributesOf(point.attributes)
          const labels = Object.entries(attributes).map(([key, value]) => `${key}=${String(value)}`).join(",")
          return `${metric.name} [${metric.unit}] {${labels}} ${point.asDouble ?? point.asInt ?? point.count}`
        })
      )
    )
  )

/** Receives OTLP over HTTP, as an OpenTelemetry collector does, and keeps it. */
export const collector = Effect.acquireRelease(
  Effect.callback<
    {
      readonly url: string
      readonly spans: Array<Received>
      readonly metrics: () => ReadonlyArray<string>
      readonly raw: Array<string>
      readonly close: () => void
    }
  >((resume) => {
    const spans: Array<Received> = []
    const raw: Array<string> = []
    let metrics: ReadonlyArray<string> = []
    const server = createServer(async (request, response) => {
      const text = await read(request)
      raw.push(text)
      const ok = request.method === "POST" && request.headers["content-type"] === "application/json"
      const body = JSON.parse(text)
      if (request.url === "/v1/traces") spans.push(...spansOf(body))
      if (request.url === "/v1/metrics") metrics = metricsOf(body)
      response.writeHead(ok ? 200 : 415, { "content-type": "application/json" }).end("{}")
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      resume(Effect.succeed({
        url: `http://127.0.0.1:${port}`,
        spans,
        raw,
        metrics: () => metrics,
        close: () => {
          server.close()
          server.closeAllConnections()
        }
      }))
    })
  }),
  ({ close }) => Effect.sync(close)
)
