import * as Effect from "effect/Effect"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

interface Proxy {
  readonly url: string
  /** Whoever is connected is thrown out, and nobody gets in. */
  readonly cut: Effect.Effect<void>
  /** Whoever is connected hears nothing any more. */
  readonly freeze: Effect.Effect<void>
  readonly heal: Effect.Effect<void>
}

/** Stands between a client and Redis, and can take it away. */
export const make = (url: string) =>
  Effect.gen(function*() {
    const { hostname, port } = new URL(url)
    const sockets = new Set<Socket>()
    let mode: "on" | "frozen" | "off" = "on"
    const server = createServer((client) => {
      if (mode === "off") return void client.destroy()
      const redis = connect(Number(port || 6379), hostname)
      for (const [from, to] of [[client, redis], [redis, client]] as const) {
        sockets.add(from)
        from.on("data", (data) => mode === "on" && to.write(data))
        from.on("error", () => {})
        from.on("close", () => {
          sockets.delete(from)
          to.destroy()
        })
      }
    })
    const dropAll = () => sockets.forEach((socket) => socket.destroy())
    const address = yield* Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<AddressInfo>((resolve) =>
          server.listen(0, "127.0.0.1", () => resolve(server.address() as AddressInfo))
        )
      ),
      () =>
        Effect.sync(() => {
          dropAll()
          server.close()
        })
    )
    const set = (next: typeof mode) =>
      Effect.sync(() => {
        mode = next
        if (next !== "frozen") dropAll()
      })
    return {
      url: `redis://127.0.0.1:${address.port}`,
      cut: set("off"),
      freeze: set("frozen"),
      heal: set("on")
    } satisfies Proxy
  })
