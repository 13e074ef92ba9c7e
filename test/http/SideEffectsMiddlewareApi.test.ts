import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import type { SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as Etag from "effect/http/Etag"
import * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { answer, mail, Orders, orders, serve, until } from "./serving.ts"

class Gone extends Schema.TaggedError<Gone>()("Gone", { id: Schema.String }, { httpApiStatus: 410 }) {}
class Away extends Schema.TaggedError<Away>()("Away", {}) {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.empty({ status: 503 }))
  }
}

class Unit extends HttpApiMiddleware.Service<Unit, {
  provides: SideEffectsMiddleware.Provides<typeof Orders>
}>()("test/Unit") {}

const params = { id: Schema.String }
const group = HttpApiGroup.make("orders").add(
  HttpApiEndpoint.post("place", "/orders/:id", { params, success: Schema.String, error: Gone }),
  HttpApiEndpoint.post("undeclared", "/undeclared/:id", { params, success: Schema.String })
)
class Api extends HttpApi.make("shop").add(group) {}
class ApiWithUnit extends HttpApi.make("shop").add(group.middleware(Unit)) {}

const place = ({ params: { id } }: { readonly params: { readonly id: string } }) =>
  Effect.gen(function*() {
    yield* mail(id)
    if (id === "gone") return yield* new Gone({ id })
    if (id === "bug") return yield* Effect.die("a bug")
    return `placed ${id}`
  })
const undeclared = ({ params: { id } }: { readonly params: { readonly id: string } }) =>
  Effect.andThen(mail(id), Effect.die(new Away()))

const platform = Layer.mergeAll(Etag.layer, HttpPlatform.layer).pipe(Layer.provideMerge(NodeServices.layer))

type Shop = ReturnType<typeof orders>

const plain = () =>
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(
        Api,
        "orders",
        (handlers) => handlers.handle("place", place).handle("undeclared", undeclared)
      )
    )
  )

const ways: Readonly<
  Record<string, (shop: Shop, options?: SideEffectsMiddleware.Options) => Layer.Layer<any, any, any>>
> = {
  "for the whole router": (shop, options) =>
    plain().pipe(
      Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, { ...shop.told, ...options })),
      Layer.provide(shop.layer)
    ) as any,
  "for the routes of the api": (shop, options) =>
    plain().pipe(
      Layer.provide(SideEffectsMiddleware.make(Orders, { ...shop.told, ...options }).layer),
      Layer.provide(shop.layer)
    ) as any,
  "for a group that names it": (shop, options) =>
    HttpApiBuilder.layer(ApiWithUnit).pipe(
      Layer.provide(HttpApiBuilder.group(ApiWithUnit, "orders", (handlers) =>
        handlers.handle("place", place).handle("undeclared", undeclared))),
      Layer.provide(SideEffectsMiddleware.layerApi(Unit, Orders, { ...shop.told, ...options })),
      Layer.provide(shop.layer)
    ) as any
}

for (const [way, app] of Object.entries(ways)) {
  describe(`HttpApi, ${way}`, () => {
    const served = (shop: Shop, options?: SideEffectsMiddleware.Options) =>
      serve(app(shop, options).pipe(Layer.provide(platform)) as any)

    it.live("success releases; declared errors, defects and what does not fit discard", () =>
      Effect.gen(function*() {
        const shop = orders()
        const url = yield* served(shop)
        const post = (path: string) => answer(`${url}${path}`, { method: "POST" })
        assert.deepStrictEqual(yield* post("/orders/7"), [200, "\"placed 7\""])
        assert.deepStrictEqual(yield* post("/orders/gone"), [410, "{\"_tag\":\"Gone\",\"id\":\"gone\"}"])
        assert.strictEqual((yield* post("/orders/bug"))[0], 500)
        yield* until(() => shop.reports.length === 3 && shop.reports[0]!.pending.length === 0)
        assert.deepStrictEqual(shop.calls, ["mail:7"])
        assert.deepStrictEqual(shop.reports.map(({ name, outcome }) => [name, outcome]), [
          ["POST /orders/:id", "released"],
          ["POST /orders/:id", "discarded"],
          ["POST /orders/:id", "discarded"]
        ])
      }).pipe(Effect.scoped))

    it.live("shouldRelease knows the status of a declared error, of one that responds, and of a defect", () =>
      Effect.gen(function*() {
        const shop = orders()
        const asked: Array<number> = []
        const url = yield* served(shop, {
          shouldRelease: (_, { status }) => {
            asked.push(status)
            return status === 410
          }
        })
        for (const path of ["orders/gone", "undeclared/7", "orders/bug", "orders/7"]) {
          yield* answer(`${url}/${path}`, { method: "POST" })
        }
        assert.deepStrictEqual(asked, [410, 503, 500, 200])
        yield* until(() => shop.calls.length === 1)
        assert.deepStrictEqual(shop.calls, ["mail:gone"])
      }).pipe(Effect.scoped))

    it.live("handlers that were built with the live layer are inside all the same", () =>
      Effect.gen(function*() {
        const shop = orders()
        const live = yield* Layer.build(shop.layer as Layer.Layer<SideEffects.SideEffects<any>>)
        const url = yield* serve(
          app({ ...shop, layer: Layer.succeedContext(live) }).pipe(
            Layer.provide(Layer.succeedContext(live)),
            Layer.provide(platform)
          ) as any,
          { services: live }
        )
        assert.strictEqual((yield* answer(`${url}/orders/gone`, { method: "POST" }))[0], 410)
        assert.strictEqual((yield* answer(`${url}/orders/7`, { method: "POST" }))[0], 200)
        yield* until(() => shop.calls.length === 1)
        assert.deepStrictEqual(shop.calls, ["mail:7"])
      }).pipe(Effect.scoped))
  })
}

it.live("HttpApi with all of them is still one unit of work", () =>
  Effect.gen(function*() {
    const shop = orders()
    const url = yield* serve(
      ways["for a group that names it"]!(shop).pipe(
        Layer.provide(SideEffectsMiddleware.make(Orders, shop.told).layer),
        Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
        Layer.provide(shop.layer),
        Layer.provide(platform)
      ) as any
    )
    assert.strictEqual((yield* answer(`${url}/orders/7`, { method: "POST" }))[0], 200)
    yield* until(() => shop.calls.length > 0)
    assert.deepStrictEqual(shop.calls, ["mail:7"])
    assert.deepStrictEqual(shop.reports.map(({ outcome }) => outcome).at(-1), "released")
  }).pipe(Effect.scoped))
