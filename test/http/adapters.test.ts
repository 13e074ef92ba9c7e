import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { Agent, request as httpRequest } from "node:http"
import * as express from "../../examples/http-express.ts"
import * as fastify from "../../examples/http-fastify.ts"
import * as hono from "../../examples/http-hono.ts"
import { printed } from "../examples/helpers.ts"
import { logs } from "../fixtures.ts"

interface Sent {
  readonly order: string
  readonly because: string
  readonly trace: string | undefined
}

/** A warehouse where `sold-out` and `bug` are what they say, and `slow` takes for ever. */
const shop = () => {
  const sent: Array<Sent> = []
  const reserving = Latch.makeUnsafe()
  const interrupted = Latch.makeUnsafe()
  const { layer: log, lines } = logs()
  return {
    log,
    lines,
    sent,
    reserving,
    interrupted,
    mailer: { send: (mail: Sent) => Effect.sync(() => void sent.push(mail)) },
    reserve: <E>(order: string, soldOut: (order: string) => E): Effect.Effect<void, E> => {
      if (order.startsWith("sold-out")) return Effect.fail(soldOut(order))
      if (order.startsWith("bug")) return Effect.die(new Error("bug"))
      if (order.startsWith("pause")) return Effect.andThen(Effect.yieldNow, Effect.sleep("1 millis"))
      return order.startsWith("slow")
        ? Effect.onInterrupt(Effect.andThen(reserving.open, Effect.never), () => interrupted.open)
        : Effect.void
    }
  }
}

type Shop = ReturnType<typeof shop>

const servers = {
  Hono: {
    program: hono.program,
    server: ({ log, mailer, reserve }: Shop) =>
      hono.server(Layer.mergeAll(
        log,
        Layer.succeed(hono.Mailer, mailer),
        Layer.succeed(hono.Warehouse, { reserve: (order) => reserve(order, (order) => new hono.SoldOut({ order })) })
      ))
  },
  Express: {
    program: express.program,
    server: ({ log, mailer, reserve }: Shop) =>
      express.server(Layer.mergeAll(
        log,
        Layer.succeed(express.Mailer, mailer),
        Layer.succeed(express.Warehouse, {
          reserve: (order) => reserve(order, (order) => new express.SoldOut({ order }))
        })
      ))
  },
  Fastify: {
    program: fastify.program,
    server: ({ log, mailer, reserve }: Shop) =>
      fastify.server(Layer.mergeAll(
        log,
        Layer.succeed(fastify.Mailer, mailer),
        Layer.succeed(fastify.Warehouse, {
          reserve: (order) => reserve(order, (order) => new fastify.SoldOut({ order }))
        })
      ))
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 })

const post = (url: string, headers: Record<string, string> = {}): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const request = httpRequest(url, { agent, method: "POST", headers }, (response) => {
      response.resume().on("end", () => resume(Effect.succeed(response.statusCode!)))
    })
    request.on("error", (error) => resume(Effect.die(error))).end()
    return Effect.sync(() => request.destroy())
  })

const because = "POST /orders/:id"

for (const [name, { program, server }] of Object.entries(servers)) {
  describe(`a request to ${name}`, () => {
    it.live("releases when it answers below 400, and discards otherwise", () =>
      Effect.gen(function*() {
        const known = shop()
        yield* Effect.scoped(Effect.gen(function*() {
          const { url } = yield* server(known)
          assert.strictEqual(yield* post(`${url}/orders/tea`), 201)
          assert.strictEqual(yield* post(`${url}/orders/sold-out`), 422)
          assert.strictEqual(yield* post(`${url}/orders/bug`), 500)
          assert.strictEqual(yield* post(`${url}/orders/cocoa`), 201)
        }))
        assert.deepStrictEqual(known.sent.map(({ because, order }) => [order, because]), [
          ["tea", because],
          ["cocoa", because]
        ])
        assert.deepStrictEqual(known.lines, [`ERROR ${because} failed`])
      }))

    it.live("discards when the client hangs up", () =>
      Effect.gen(function*() {
        const known = shop()
        yield* Effect.scoped(Effect.gen(function*() {
          const { url } = yield* server(known)
          yield* Effect.raceFirst(post(`${url}/orders/slow`), known.reserving.await)
          yield* known.interrupted.await
          assert.strictEqual(yield* post(`${url}/orders/tea`), 201)
        }))
        assert.deepStrictEqual(known.sent.map(({ order }) => order), ["tea"])
        assert.deepStrictEqual(known.lines, [])
      }))

    it.live("continues the trace of the caller", () =>
      Effect.gen(function*() {
        const known = shop()
        const trace = "0af7651916cd43dd8448eb211c80319c"
        yield* Effect.scoped(Effect.gen(function*() {
          const { url } = yield* server(known)
          yield* post(`${url}/orders/tea`, { traceparent: `00-${trace}-b7ad6b7169203331-01` })
        }))
        assert.include(known.sent[0]!.trace!, `00-${trace}-`)
        assert.notInclude(known.sent[0]!.trace!, "b7ad6b7169203331")
      }))

    it.live("keeps its intents to itself, with 64 connections and 3,000 requests", () =>
      Effect.gen(function*() {
        const known = shop()
        const kinds = ["tea", "sold-out", "pause", "pause"]
        const orders = Array.from({ length: 3000 }, (_, i) => `${kinds[i % kinds.length]}-${i}`)
        const placed: Array<string> = []
        const traces = new Map<string, string>()
        yield* Effect.scoped(Effect.gen(function*() {
          const { url } = yield* server(known)
          yield* Effect.forEach(orders, (order, i) => {
            const trace = (i + 1).toString(16).padStart(32, "0")
            traces.set(order, trace)
            return Effect.map(
              post(`${url}/orders/${order}`, { traceparent: `00-${trace}-b7ad6b7169203331-01` }),
              (status) => {
                assert.strictEqual(status, order.startsWith("sold-out") ? 422 : 201)
                if (status === 201) placed.push(order)
              }
            )
          }, { concurrency: 64, discard: true })
        }))
        assert.deepStrictEqual(known.sent.map(({ order }) => order).toSorted(), placed.toSorted())
        assert.strictEqual(placed.length, 2250)
        for (const { because: origin, order, trace } of known.sent) {
          assert.strictEqual(origin, because)
          assert.include(trace!, `00-${traces.get(order)}-`)
        }
      }))

    it.live("is what the guide shows", () =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* printed(Effect.provide(program, logs().layer)),
          `tea: 201
coffee: 422
bug: 500
cocoa: 201
mailed tea, because of POST /orders/:id
mailed cocoa, because of POST /orders/:id
`
        )
      }))
  })
}
