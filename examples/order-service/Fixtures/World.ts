/**
 * The world outside, small enough for a demo and real enough to count: a mail server that receives and reads what it is
 * sent, and the warehouse's HTTP server, which has bad days. Both listen on free ports of this machine only.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Latch, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { SMTPServer } from "smtp-server"

export interface Mail {
  /** Its Message-ID, by which a receiver tells a mail that comes twice. */
  readonly id: string
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface Call {
  readonly order: string
  readonly site: string
  readonly key: string
  readonly status: number
}

/** From what was sent to what it says. */
const parseMail = (to: string, raw: string): Mail => {
  const [head = "", ...body] = raw.split("\r\n\r\n")
  const header = (name: string) =>
    head.replaceAll(/\r\n[ \t]+/g, " ").split("\r\n").find((line) => line.toLowerCase().startsWith(`${name}: `))
      ?.slice(name.length + 2) ?? ""
  return { id: header("message-id"), to, subject: header("subject"), text: body.join("\n\n").replaceAll("\r\n", "\n") }
}

export class MailServer extends Context.Service<MailServer, {
  readonly host: string
  readonly port: number
  readonly mails: Effect.Effect<ReadonlyArray<Mail>>
  /** Waits for that many mails. The last of them is received, and its sender never hears so. */
  readonly hangAt: (count: number) => Effect.Effect<void>
}>()("order-service/MailServer") {
  static readonly layer = Layer.effect(
    MailServer,
    Effect.gen(function*() {
      const mails: Array<Mail> = []
      const hung = Latch.makeUnsafe()
      let last = 0
      const server = yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<SMTPServer>((resolve, reject) => {
            const server = new SMTPServer({
              authOptional: true,
              disabledCommands: ["STARTTLS"],
              disableReverseLookup: true,
              closeTimeout: 100,
              onData: (stream, { envelope }, accept) => {
                const keep = (raw: string) => {
                  for (const { address } of envelope.rcptTo) mails.push(parseMail(address, raw))
                  if (mails.length === last) hung.openUnsafe()
                  else accept()
                }
                text(stream).then(keep, accept)
              }
            })
            server.on("error", reject)
            server.listen(0, "127.0.0.1", () => resolve(server))
          })
        ),
        (server) => Effect.promise(() => new Promise<void>((resolve) => server.close(resolve)))
      )
      const { address, port } = server.server.address() as AddressInfo
      return MailServer.of({
        host: address,
        port,
        mails: Effect.sync(() => mails.slice()),
        hangAt: (count) =>
          Effect.suspend(() => {
            last = count
            return hung.await
          })
      })
    })
  )
}

/** Some orders it never takes, some only when asked again. */
const isRefused = (order: string) => numberOf(order) % 40 === 0
const isRefusedOnce = (order: string) => numberOf(order) % 15 === 0
const numberOf = (order: string) => Number(order.slice("A-".length))

export class WarehouseServer extends Context.Service<WarehouseServer, {
  readonly url: string
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
}>()("order-service/WarehouseServer") {
  static readonly layer = Layer.unwrap(Effect.sync(() => {
    const calls: Array<Call> = []
    const Body = Schema.Struct({ order: Schema.String, site: Schema.String })

    const pack = Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { order, site } = yield* HttpServerRequest.schemaBodyJson(Body)
      const key = request.headers["idempotency-key"] ?? ""
      const isFirst = !calls.some((call) => call.key === key)
      const status = isRefused(order) || (isFirst && isRefusedOnce(order)) ? 500 : 201
      calls.push({ order, site, key, status })
      return HttpServerResponse.empty({ status })
    })

    const Server = NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })
    const Routes = HttpRouter.serve(HttpRouter.add("POST", "/packing-orders", pack), {
      disableListenLog: true,
      disableLogger: true
    })
    const Service = Layer.effect(
      WarehouseServer,
      HttpServer.addressFormattedWith((url) =>
        Effect.succeed(WarehouseServer.of({ url, calls: Effect.sync(() => calls.slice()) }))
      )
    )
    return Layer.merge(Routes, Service).pipe(Layer.provide(Server))
  }))
}

export const World = Layer.merge(MailServer.layer, WarehouseServer.layer)
