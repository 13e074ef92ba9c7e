import { assert, describe, it } from "@effect/vitest"
import { SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { logs } from "../fixtures.ts"
import { tracer } from "../observability/collecting.ts"
import { answer, call, hangUp, mail, type Names, Orders, orders, Placed, serve, serveEffect, until } from "./serving.ts"

class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { id: Schema.String }) {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.text(`no ${this.id}`, { status: 404 }))
  }
}

const empty = (status: number) => HttpServerResponse.empty({ status })
const mailed = (id: string, response: HttpServerResponse.HttpServerResponse = empty(200)) =>
  Effect.as(mail(id), response)

type Shop = ReturnType<typeof orders>
type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, any, any>

/** The ways to have a boundary around a handler, each served over a socket. */
const ways: Readonly<
  Record<
    string,
    (handler: Handler, shop: Shop, options?: SideEffectsMiddleware.Options) => Effect.Effect<string, any, any>
  >
> = {
  "the whole router": (handler, shop, options) =>
    serve(
      HttpRouter.add("POST", "/orders/:id", handler).pipe(
        Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, { ...shop.told, ...options })),
        Layer.provide(shop.layer)
      )
    ),
  "a route": (handler, shop, options) =>
    serve(
      HttpRouter.add("POST", "/orders/:id", handler).pipe(
        Layer.provide(SideEffectsMiddleware.make(Orders, { ...shop.told, ...options }).layer),
        Layer.provide(shop.layer)
      )
    ),
  "a handler without a router": (handler, shop, options) =>
    serveEffect(SideEffectsMiddleware.boundary(handler, { ...shop.told, ...options }), shop.layer)
}

for (const [way, served] of Object.entries(ways)) {
  describe(`a boundary around ${way}`, () => {
    const once = (handler: Handler, options?: SideEffectsMiddleware.Options) =>
      Effect.gen(function*() {
        const shop = orders()
        const url = yield* served(handler, shop, options)
        const [status, body] = yield* answer(`${url}/orders/7`, { method: "POST" })
        yield* until(() => shop.reports.length === 1 && shop.reports[0]!.pending.length === 0)
        return { status, body, ends: shop.ends(0), calls: shop.calls, report: shop.reports[0]! }
      }).pipe(Effect.scoped)

    for (
      const response of [empty(200), empty(204), HttpServerResponse.redirect("/orders", { status: 303 }), empty(399)]
    ) {
      it.live(`releases where the response is ${response.status}`, () =>
        Effect.gen(function*() {
          const { calls, ends, report, status } = yield* once(mailed("7", response))
          assert.strictEqual(status, response.status)
          assert.deepStrictEqual(ends, ["mail: dispatched by dispatcher inline"])
          assert.deepStrictEqual(calls, ["mail:7"])
          assert.strictEqual(report.outcome, "released")
        }))
    }

    const route = way === "a handler without a router" ? "POST /orders/7" : "POST /orders/:id"
    const discarded = (reason: string) => [`mail: discarded: boundary "${route}" ${reason}`]

    for (const status of [400, 404, 500]) {
      it.live(`discards where the response is ${status}`, () =>
        Effect.gen(function*() {
          const result = yield* once(mailed("7", empty(status)))
          assert.strictEqual(result.status, status)
          assert.deepStrictEqual(result.ends, discarded(`was not released: it answered ${status}`))
          assert.deepStrictEqual(result.calls, [])
        }))
    }

    it.live("discards where the handler fails, with a response or without", () =>
      Effect.gen(function*() {
        const respondable = yield* once(Effect.andThen(mail("7"), new NotFound({ id: "7" })))
        assert.deepStrictEqual([respondable.status, respondable.body], [404, "no 7"])
        assert.deepStrictEqual(respondable.ends, discarded("failed with NotFound"))
        const plain = yield* once(Effect.andThen(mail("7"), Effect.fail("no")))
        assert.strictEqual(plain.status, 500)
        assert.deepStrictEqual(plain.ends, discarded("failed with \"no\""))
        // Also where it fails with a response that would have released.
        const shortcut = yield* once(Effect.andThen(mail("7"), Effect.fail(empty(202))))
        assert.strictEqual(shortcut.status, 202)
        assert.match(shortcut.ends[0]!, /^mail: discarded: boundary "POST .*" failed with/)
        assert.deepStrictEqual([...respondable.calls, ...plain.calls, ...shortcut.calls], [])
      }))

    it.live("discards where the handler dies", () =>
      Effect.gen(function*() {
        const { calls, ends, status } = yield* once(Effect.andThen(mail("7"), Effect.die(new Error("a bug"))))
        assert.strictEqual(status, 500)
        assert.deepStrictEqual(ends, discarded("died with Error: a bug"))
        assert.deepStrictEqual(calls, [])
      }))

    it.live("discards where the client hangs up", () =>
      Effect.gen(function*() {
        const shop = orders()
        const waiting = Latch.makeUnsafe()
        const url = yield* served(
          mail("7").pipe(Effect.andThen(waiting.open), Effect.andThen(Effect.never)),
          shop
        )
        const { abort } = hangUp(`${url}/orders/7`)
        yield* waiting.await
        abort()
        yield* until(() => shop.reports.length === 1)
        assert.deepStrictEqual(shop.ends(0), discarded("was interrupted"))
        assert.deepStrictEqual(shop.calls, [])
      }).pipe(Effect.scoped))

    it.live("asks shouldRelease, which knows the request and the response, also of a failure and a defect", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const options: SideEffectsMiddleware.Options = {
          shouldRelease: (request, response) => {
            asked.push(`${request.method} ${request.headers["host"] !== undefined} ${response.status}`)
            return response.status === 404
          }
        }
        const found = yield* once(mailed("7"), options)
        assert.deepStrictEqual(found.ends, discarded("was not released: it answered 200"))
        const lost = yield* once(mailed("7", empty(404)), options)
        assert.deepStrictEqual(lost.calls, ["mail:7"])
        const failed = yield* once(Effect.andThen(mail("8"), new NotFound({ id: "8" })), options)
        assert.strictEqual(failed.status, 404)
        assert.deepStrictEqual(failed.calls, ["mail:8"])
        const died = yield* once(Effect.andThen(mail("9"), Effect.die("a bug")), options)
        assert.deepStrictEqual(died.ends, discarded("died with \"a bug\""))
        assert.deepStrictEqual(asked, ["POST true 200", "POST true 404", "POST true 404", "POST true 500"])
      }))

    it.live("does not ask shouldRelease when the client has hung up", () =>
      Effect.gen(function*() {
        const shop = orders()
        const waiting = Latch.makeUnsafe()
        const handler = mail("7").pipe(Effect.andThen(waiting.open), Effect.andThen(Effect.never))
        const url = yield* served(handler, shop, { shouldRelease: () => true })
        const { abort } = hangUp(`${url}/orders/7`)
        yield* waiting.await
        abort()
        yield* until(() => shop.reports.length === 1)
        assert.deepStrictEqual(shop.ends(0), discarded("was interrupted"))
      }).pipe(Effect.scoped))

    it.live("answers 500 and discards where shouldRelease throws", () =>
      Effect.gen(function*() {
        const options: SideEffectsMiddleware.Options = {
          shouldRelease: () => {
            throw new Error("typo")
          }
        }
        const { ends, status } = yield* once(mailed("7"), options)
        assert.strictEqual(status, 500)
        assert.deepStrictEqual(ends, discarded("was not released: shouldRelease died with Error: typo"))
        const failed = yield* once(Effect.andThen(mail("8"), new NotFound({ id: "8" })), options)
        assert.strictEqual(failed.status, 500)
        assert.deepStrictEqual(failed.calls, [])
      }))

    it.live("tells intents and events where they come from, and which trace they belong to", () =>
      Effect.gen(function*() {
        const { layer, spans } = tracer()
        const shop = orders()
        const handler = Effect.andThen(SideEffects.emit(Placed, { id: "7" }), mailed("7"))
        const url = yield* Effect.provide(Effect.flatMap(Effect.context(), () => served(handler, shop)), layer)
        yield* answer(`${url}/orders/7?secret=1`, {
          method: "POST",
          headers: { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }
        })
        yield* until(() => shop.calls.length === 1)
        const { events, intents, name } = shop.reports[0]!
        assert.strictEqual(name, route)
        assert.deepStrictEqual([intents[0]!.origin, events[0]!.origin], [route, route])
        const server = spans.find(({ kind }) => kind === "server")!
        assert.strictEqual(server.traceId, "0af7651916cd43dd8448eb211c80319c")
        assert.strictEqual(intents[0]!.traceparent, `00-${server.traceId}-${server.spanId}-01`)
      }).pipe(Effect.scoped))

    it.live("logs and dies with BoundaryClosed where a fiber outlives the request and enqueues", () =>
      Effect.gen(function*() {
        const shop = orders()
        const log = logs()
        const answered = Latch.makeUnsafe()
        const died = yield* Deferred.make<Cause.Cause<unknown>>()
        const handler = answered.await.pipe(
          Effect.andThen(mail("late")),
          Effect.catchCause((cause) => Deferred.succeed(died, cause)),
          Effect.forkDetach,
          Effect.as(empty(200))
        )
        const url = yield* Effect.provide(Effect.flatMap(Effect.context(), () => served(handler, shop)), log.layer)
        yield* answer(`${url}/orders/7`, { method: "POST" })
        yield* answered.open
        const defect = Cause.squash(yield* Deferred.await(died)) as SideEffects.BoundaryClosed
        assert.instanceOf(defect, SideEffects.BoundaryClosed)
        assert.strictEqual(defect.boundary, route)
        assert.lengthOf(log.lines.filter((line) => line.startsWith("ERROR")), 1)
        assert.include(
          log.lines.join("\n"),
          `Side effect "orders:mail:send" was enqueued after boundary "${route}" had ended (released).`
        )
      }).pipe(Effect.scoped))
  })
}

describe("as a web handler", () => {
  const request = (init?: RequestInit) => new Request("http://localhost/orders/7?a=b", { method: "POST", ...init })

  const web = (handler: Handler, shop: Shop) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        HttpRouter.toWebHandler(
          HttpRouter.add("POST", "/orders/:id", handler).pipe(
            Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
            Layer.provide(shop.layer)
          ) as Layer.Layer<never, never, HttpRouter.HttpRouter>,
          { disableLogger: true }
        )
      ),
      ({ dispose }) => Effect.promise(dispose)
    )

  it.live("a router releases, discards, and knows the route", () =>
    Effect.gen(function*() {
      const shop = orders()
      const { handler } = yield* web(
        Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          ({ headers }) => mailed("7", empty(Number(headers["want"])))
        ),
        shop
      )
      const ok = yield* Effect.promise(() => handler(request({ headers: { want: "201" } })))
      const bad = yield* Effect.promise(() => handler(request({ headers: { want: "422" } })))
      assert.deepStrictEqual([ok.status, bad.status], [201, 422])
      yield* until(() => shop.calls.length === 1)
      assert.deepStrictEqual(shop.reports.map(({ name, outcome }) => [name, outcome]), [
        ["POST /orders/:id", "released"],
        ["POST /orders/:id", "discarded"]
      ])
    }).pipe(Effect.scoped))

  it.live("discards where the signal of the request is aborted", () =>
    Effect.gen(function*() {
      const shop = orders()
      const waiting = Latch.makeUnsafe()
      const { handler } = yield* web(
        mail("7").pipe(Effect.andThen(waiting.open), Effect.andThen(Effect.never)),
        shop
      )
      const abort = new AbortController()
      const answered = handler(request({ signal: abort.signal }))
      yield* waiting.await
      abort.abort()
      assert.strictEqual((yield* Effect.promise(() => answered)).status, 499)
      assert.deepStrictEqual(shop.ends(0), ["mail: discarded: boundary \"POST /orders/:id\" was interrupted"])
    }).pipe(Effect.scoped))

  it.live("a handler without a router has the path without the query as its origin", () =>
    Effect.gen(function*() {
      const shop = orders()
      const { handler } = yield* Effect.acquireRelease(
        Effect.sync(() =>
          HttpEffect.toWebHandlerLayer(
            SideEffectsMiddleware.boundary(mailed("7"), shop.told),
            shop.layer as Layer.Layer<SideEffects.SideEffects<Names>>
          )
        ),
        ({ dispose }) => Effect.promise(dispose)
      )
      assert.strictEqual((yield* Effect.promise(() => handler(request()))).status, 200)
      yield* until(() => shop.calls.length === 1)
      assert.strictEqual(shop.reports[0]!.intents[0]!.origin, "POST /orders/7")
    }).pipe(Effect.scoped))
})

describe("with other middlewares", () => {
  const authenticate = HttpRouter.middleware((handler) =>
    Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => headers["authorization"] === "let me in" ? handler : Effect.succeed(empty(401))
    )
  )
  const allowed = { method: "POST", headers: { authorization: "let me in" } }

  it.live("one that refuses outside has no boundary, one that refuses inside has one that is discarded", () =>
    Effect.gen(function*() {
      const shop = orders()
      const { layer: inner } = SideEffectsMiddleware.make(Orders, shop.told).combine(authenticate)
      const { layer: outer } = authenticate.combine(SideEffectsMiddleware.make(Orders, shop.told))
      for (const [name, layer] of [["inner", inner], ["outer", outer]] as const) {
        const url = yield* serve(
          HttpRouter.add("POST", `/${name}`, mailed(name)).pipe(Layer.provide(layer), Layer.provide(shop.layer))
        )
        assert.strictEqual((yield* call(`${url}/${name}`, { method: "POST" })).status, 401)
        assert.strictEqual((yield* call(`${url}/${name}`, allowed)).status, 200)
      }
      yield* until(() => shop.calls.length === 2)
      assert.deepStrictEqual(
        shop.reports.map(({ name, outcome }) => [name, outcome]),
        [["POST /inner", "released"], ["POST /outer", "discarded"], ["POST /outer", "released"]]
      )
    }).pipe(Effect.scoped))

  it.live("a preflight of CORS meets no boundary where CORS is outside, and an empty one where it is inside", () =>
    Effect.gen(function*() {
      const headers = { origin: "https://shop.example", "access-control-request-method": "POST" }
      const cors = HttpRouter.cors({ allowedOrigins: ["https://shop.example"] })
      const apps = {
        outside: (shop: Shop) =>
          HttpRouter.add("POST", "/orders", mailed("7")).pipe(
            Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
            Layer.provide(cors)
          ),
        inside: (shop: Shop) =>
          HttpRouter.add("POST", "/orders", mailed("7")).pipe(
            Layer.provide(cors),
            Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told))
          )
      }
      for (const where of ["outside", "inside"] as const) {
        const shop = orders()
        const url = yield* serve(apps[where](shop).pipe(Layer.provide(shop.layer)))
        const preflight = yield* call(`${url}/orders`, { method: "OPTIONS", headers })
        assert.strictEqual(preflight.status, 204)
        assert.strictEqual(preflight.headers.get("access-control-allow-origin"), "https://shop.example")
        const response = yield* call(`${url}/orders`, { method: "POST", headers })
        assert.strictEqual(response.headers.get("access-control-allow-origin"), "https://shop.example")
        yield* until(() => shop.calls.length === 1)
        assert.deepStrictEqual(
          shop.reports.map(({ intents, outcome }) => [intents.length, outcome]),
          where === "outside" ? [[1, "released"]] : [[0, "released"], [1, "released"]]
        )
      }
    }).pipe(Effect.scoped))

  it.live("what says that it is not interrupted goes on when the client hangs up, and is released", () =>
    Effect.gen(function*() {
      for (const way of ["route", "plain"]) {
        const shop = orders()
        const waiting = Latch.makeUnsafe()
        const goOn = Latch.makeUnsafe()
        const hung = Latch.makeUnsafe()
        const handler = mail("7").pipe(
          Effect.andThen(waiting.open),
          Effect.andThen(goOn.await),
          Effect.as(empty(200))
        )
        const url = way === "route"
          ? yield* serve(
            HttpRouter.add("POST", "/orders/:id", handler, { uninterruptible: true }).pipe(
              Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
              Layer.provide(shop.layer)
            )
          )
          : yield* serveEffect(
            SideEffectsMiddleware.boundary(Effect.uninterruptible(handler), shop.told),
            shop.layer
          )
        const { abort, sent } = hangUp(`${url}/orders/7`)
        sent.once("close", () => hung.openUnsafe())
        yield* waiting.await
        abort()
        yield* hung.await
        yield* goOn.open
        yield* until(() => shop.calls.length === 1)
        assert.strictEqual(shop.reports[0]!.outcome, "released")
      }
    }).pipe(Effect.scoped))

  it.live("two by mistake are one inside the other: nothing is doubled", () =>
    Effect.gen(function*() {
      const shop = orders()
      const once = SideEffectsMiddleware.make(Orders, shop.told)
      const url = yield* serve(
        HttpRouter.add("POST", "/orders/:id", SideEffectsMiddleware.boundary(mailed("7"), shop.told)).pipe(
          Layer.provide(once.combine(SideEffectsMiddleware.make(Orders, shop.told)).layer),
          Layer.provide(once.layer),
          Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
          Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
          Layer.provide(shop.layer)
        )
      )
      assert.strictEqual((yield* call(`${url}/orders/7`, { method: "POST" })).status, 200)
      yield* until(() => shop.calls.length > 0)
      const outcomes = shop.reports.map(({ outcome }) => outcome)
      assert.isAtLeast(outcomes.length, 4)
      assert.deepStrictEqual(outcomes, [...outcomes.slice(1).map(() => "captured" as const), "released"])
      assert.lengthOf(new Set(shop.reports.flatMap(({ intents }) => intents)), 1)
      assert.deepStrictEqual(shop.calls, ["mail:7"])
      assert.deepStrictEqual(new Set(shop.reports.map(({ name }) => name)), new Set(["POST /orders/:id"]))
    }).pipe(Effect.scoped))

  it.live("one further out does not stand in the boundary when the handler has ended", () =>
    Effect.gen(function*() {
      const shop = orders()
      const after: Array<boolean> = []
      const looking = HttpRouter.middleware((handler) =>
        Effect.tap(handler, () =>
          Effect.withFiber(({ context }) =>
            Effect.sync(() =>
              after.push(context.mapUnsafe.has(SideEffects.SideEffects.key))
            )
          )), {
        global: true
      })
      const url = yield* serve(
        HttpRouter.add("POST", "/orders", mailed("7")).pipe(
          Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
          Layer.provide(looking),
          Layer.provide(shop.layer)
        )
      )
      yield* call(`${url}/orders`, { method: "POST" })
      assert.deepStrictEqual(after, [false])
    }).pipe(Effect.scoped))

  it.live("one that changes the status further out is not seen", () =>
    Effect.gen(function*() {
      const shop = orders()
      const teapot = HttpRouter.middleware((handler) => Effect.map(handler, () => empty(418)), { global: true })
      const url = yield* serve(
        HttpRouter.add("POST", "/orders", mailed("7")).pipe(
          Layer.provide(SideEffectsMiddleware.make(Orders, shop.told).layer),
          Layer.provide(teapot),
          Layer.provide(shop.layer)
        )
      )
      assert.strictEqual((yield* call(`${url}/orders`, { method: "POST" })).status, 418)
      yield* until(() => shop.calls.length === 1)
      assert.strictEqual(shop.reports[0]!.outcome, "released")
    }).pipe(Effect.scoped))

  it.live("a response that is replaced before it is sent is not seen", () =>
    Effect.gen(function*() {
      const shop = orders()
      const replace = HttpEffect.appendPreResponseHandler(() => Effect.succeed(empty(418)))
      const url = yield* ways["the whole router"]!(Effect.andThen(replace, mailed("7")), shop)
      assert.strictEqual((yield* call(`${url}/orders/7`, { method: "POST" })).status, 418)
      yield* until(() => shop.calls.length === 1)
      assert.strictEqual(shop.reports[0]!.outcome, "released")
    }).pipe(Effect.scoped))

  it.live("the logger of the server, and routes below a prefix", () =>
    Effect.gen(function*() {
      const shop = orders()
      const url = yield* serve(
        HttpRouter.use((router) => router.prefixed("/v1").add("POST", "/orders/:id", mailed("7") as any)).pipe(
          Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
          Layer.provide(shop.layer)
        ),
        { logged: true }
      )
      assert.strictEqual((yield* call(`${url}/v1/orders/7`, { method: "POST" })).status, 200)
      yield* until(() => shop.calls.length === 1)
      assert.strictEqual(shop.reports[0]!.name, "POST /v1/orders/:id")
      assert.strictEqual(shop.reports[0]!.intents[0]!.origin, "POST /v1/orders/:id")
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))

  it.live("a route that does not exist is an empty boundary", () =>
    Effect.gen(function*() {
      const shop = orders()
      const url = yield* ways["the whole router"]!(mailed("7"), shop)
      assert.strictEqual((yield* call(`${url}/nowhere?x=1`)).status, 404)
      assert.deepStrictEqual(shop.reports.map(({ name, outcome }) => [name, outcome]), [["GET /nowhere", "discarded"]])
    }).pipe(Effect.scoped))

  it.live("the combinator as the server's own middleware says that it is too late", () =>
    Effect.gen(function*() {
      const shop = orders()
      const log = logs()
      const url = yield* serve(HttpRouter.add("POST", "/orders", HttpServerResponse.empty()), {
        middleware: SideEffectsMiddleware.boundary(shop.told)
      }).pipe(
        (building) =>
          Effect.flatMap(Layer.build(shop.layer as Layer.Layer<SideEffects.SideEffects<any>>), (live) =>
            Effect.provide(building, live)),
        Effect.provide(log.layer)
      )
      assert.strictEqual((yield* call(`${url}/orders`, { method: "POST" })).status, 204)
      yield* until(() =>
        log.lines.length > 0
      )
      assert.match(log.lines[0]!, /^ERROR SideEffectsMiddleware.boundary runs around the sending of responses/)
    }).pipe(Effect.scoped))
})
