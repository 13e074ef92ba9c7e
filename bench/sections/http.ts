import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { type Effort, measure, median, quartiles, ratios, type Subject } from "../lib/measure.ts"
import { atLeast, heading, number, spread, table } from "../lib/report.ts"

class SendReceipt extends SideEffect.make("orders:mail:send-receipt", {
  description: "Email the customer a receipt.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendReceipt)

const Live = SideEffects.LiveLayer(Orders).pipe(Layer.provide(SendReceipt.toLayer(() => Effect.void)))

const ok = Effect.succeed(HttpServerResponse.text("ok"))
const enqueueing = Effect.as(
  SideEffects.enqueue(SendReceipt, { order: "1042" }),
  HttpServerResponse.text("ok")
)

const { layer: perRoute } = SideEffectsMiddleware.make(Orders)

type App = Layer.Layer<never, never, HttpRouter.HttpRouter>

const apps: Readonly<Record<string, App>> = {
  "without": HttpRouter.add("GET", "/orders/:id", ok),
  "per route": HttpRouter.add("GET", "/orders/:id", ok).pipe(Layer.provide(perRoute), Layer.provide(Live)),
  "global": HttpRouter.add("GET", "/orders/:id", ok).pipe(
    Layer.provide(SideEffectsMiddleware.layerGlobal(Orders)),
    Layer.provide(Live)
  ) as App,
  "and one side effect": HttpRouter.add("GET", "/orders/:id", enqueueing).pipe(
    Layer.provide(perRoute),
    Layer.provide(Live)
  ) as App
}

const connections = 16
const perConnection = 16

/** The least a client can do: it writes the same bytes and waits for the end of the body. */
const overLoopback = async (app: App): Promise<Subject & { readonly close: () => Promise<void> }> => {
  const server = createServer()
  const runtime = ManagedRuntime.make(
    HttpRouter.serve(app, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(NodeHttpServer.layerServer(() => server, { port: 0, host: "127.0.0.1" }))
    )
  )
  await runtime.runPromise(Effect.void)
  const { port } = server.address() as AddressInfo
  const request = Buffer.from("GET /orders/7 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
  const sockets = await Promise.all(Array.from({ length: connections }, async () => {
    const socket = connect(port, "127.0.0.1").setNoDelay()
    await new Promise((resolve) => socket.once("connect", resolve))
    return socket
  }))
  const run = () =>
    Promise.all(sockets.map((socket) =>
      new Promise<void>((resolve) => {
        let left = perConnection
        const answered = (bytes: Buffer) => {
          if (bytes[bytes.length - 1] !== 107 /* k */) return
          if (--left > 0) return void socket.write(request)
          socket.off("data", answered)
          resolve()
        }
        socket.on("data", answered)
        socket.write(request)
      })
    ))
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    await runtime.dispose()
  }
  return { run, units: connections * perConnection, close }
}

const inProcess = async (app: App): Promise<Subject & { readonly close: () => Promise<void> }> => {
  const { dispose, handler } = HttpRouter.toWebHandler(app, { disableLogger: true })
  const run = async () => {
    for (let i = 0; i < 100; i++) await handler(new Request("http://localhost/orders/7"))
  }
  return { run, units: 100, close: dispose }
}

export const http = async (effort: Effort): Promise<void> => {
  heading(
    "The HTTP middleware",
    `Requests per second of a route that answers "ok", with and without a boundary for each request. Over loopback ` +
      `there are ${connections} connections that are kept alive, and the client, which does next to nothing, is in the same ` +
      "process. As a web handler in the same process there is no network that hides anything."
  )
  for (const [name, open] of [["over loopback", overLoopback], ["as a web handler", inProcess]] as const) {
    const opened = Object.fromEntries(
      await Promise.all(Object.entries(apps).map(async ([name, app]) => [name, await open(app)] as const))
    )
    // A turn has to hold some hundred requests.
    const series = await measure(opened, { ...effort, time: 3 * effort.time })
    for (const { close } of Object.values(opened)) await close()
    table(
      [name, "requests per second", "us per request", "ratio", "spread", " "],
      Object.keys(apps).map((app) => {
        const ratio = ratios(series["without"]!, series[app]!)
        const isBarred = open === overLoopback && (app === "per route" || app === "global")
        return [
          app,
          number(1e9 / median(series[app]!)),
          number(median(series[app]!) / 1000, 1),
          number(median(ratio), 2),
          spread(quartiles(ratio)),
          isBarred ? atLeast(`http middleware ${app}, ${name}, to none`, median(ratio), 0.9) : ""
        ]
      })
    )
    console.log()
  }
}
