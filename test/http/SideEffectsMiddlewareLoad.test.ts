import { assert, describe, it } from "@effect/vitest"
import { type Boundary, type Intent, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { Agent, request } from "node:http"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ledger, mail, Orders, orders, serve, until } from "./serving.ts"

setFlagsFromString("--expose-gc")
const gc: () => void = runInNewContext("gc")

/** One request over a connection that is kept alive. */
const post = (agent: Agent, url: string): Promise<number> =>
  new Promise((resolve, reject) => {
    request(url, { method: "POST", agent }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode!))
    }).once("error", reject).end()
  })

/** `n` requests over `connections` connections at once. */
const load = (n: number, connections: number, urlOf: (i: number) => string) =>
  Effect.promise(async () => {
    let next = 0
    await Promise.all(Array.from({ length: connections }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      while (next < n) {
        const i = next++
        const status = await post(agent, urlOf(i))
        if (status !== statusOf(i)) throw new Error(`request ${i} was answered ${status}`)
      }
      agent.destroy()
    }))
  })

/** Every tenth is refused. */
const statusOf = (i: number): number => i % 10 === 9 ? 409 : 201

const handler = Effect.gen(function*() {
  const { id } = yield* HttpRouter.params
  yield* mail(id!)
  // Others have their turn in between.
  const fiber = yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, SideEffects.boundary(ledger(id!))))
  yield* Fiber.join(fiber)
  return HttpServerResponse.empty({ status: statusOf(Number(id)) })
})

const app = (shop: ReturnType<typeof orders>, options: SideEffectsMiddleware.Options) =>
  HttpRouter.add("POST", "/orders/:id", handler).pipe(
    Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, options)),
    Layer.provide(shop.layer)
  )

describe("under load", () => {
  it.live("with 64 connections at once no intent crosses into another request", () =>
    Effect.gen(function*() {
      const n = 1600
      const shop = orders()
      const reports: Array<Boundary.Report> = []
      const url = yield* serve(app(shop, { onClose: (report) => Effect.sync(() => void reports.push(report)) }))
      yield* load(n, 64, (i) => `${url}/orders/${i}`)
      yield* until(() => reports.length === n && reports.every(({ pending }) => pending.length === 0))
      const seen = reports.map(({ intents, outcome }) => {
        const ids = new Set(intents.map(({ payload }) => (payload as { readonly id: string }).id))
        assert.deepStrictEqual([intents.length, ids.size], [2, 1])
        const id = Number([...ids][0])
        assert.strictEqual(outcome, statusOf(id) < 400 ? "released" : "discarded")
        return id
      })
      assert.lengthOf(new Set(seen), n)
      assert.lengthOf(shop.calls, (n * 9 / 10) * 2)
      assert.lengthOf(new Set(shop.calls), shop.calls.length)
      assert.isFalse(shop.calls.some((call) => call.endsWith("9")))
    }).pipe(Effect.scoped), 60_000)

  it.live("10,000 requests on connections that are kept alive leave nothing behind", () =>
    Effect.gen(function*() {
      const shop = orders({ perform: () => Effect.void })
      /** Of a request in a hundred, what must go with it. */
      const kept: Array<WeakRef<object>> = []
      let closed = 0
      const url = yield* serve(app(shop, {
        onClose: (report) =>
          Effect.withFiber((fiber) =>
            Effect.sync(() => {
              if (closed++ % 100 !== 0) return
              kept.push(new WeakRef(report), new WeakRef(fiber))
              for (const intent of report.intents) kept.push(new WeakRef<Intent.Any>(intent))
              for (const value of fiber.context.mapUnsafe.values()) {
                // The request, its scope, its span, and where it stands.
                if (value === null || typeof value !== "object") continue
                if ("originalUrl" in value || "spanId" in value || "boundary" in value) kept.push(new WeakRef(value))
              }
            })
          )
      }))
      const heap = Effect.sync(() => {
        gc()
        gc()
        return process.memoryUsage().heapUsed
      })
      const round = (n: number) =>
        load(n, 8, (i) => `${url}/orders/${i}`).pipe(
          Effect.andThen(until(() => shop.calls.length === n * 9 / 10 * 2)),
          Effect.andThen(Effect.sync(() => void (shop.calls.length = 0)))
        )
      yield* round(2_000)
      const before = yield* heap
      yield* round(10_000)
      const grown = (yield* heap) - before
      assert.strictEqual(closed, 12_000)
      assert.isAtLeast(kept.length, 600)
      assert.isAtMost(kept.filter((ref) => ref.deref() !== undefined).length, 8)
      assert.isBelow(grown / 10_000, 50, "bytes left behind by a request")
    }).pipe(Effect.scoped), 120_000)
})
