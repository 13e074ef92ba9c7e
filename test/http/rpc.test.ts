import { NodeHttpServer, NodeSocket, NodeSocketServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { type Boundary, Dispatcher, Policy, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as RpcTest from "effect/rpc/RpcTest"
import * as Schema from "effect/Schema"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import { createServer } from "node:http"
import * as guide from "../../examples/rpc.ts"
import { printed } from "../examples/helpers.ts"
import { mail, push, Shop } from "../fixtures.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { id: Schema.String }) {}

class Unit extends RpcMiddleware.Service<Unit, { provides: SideEffectsMiddleware.Provides<typeof Shop> }>()(
  "test/Unit"
) {}

class Twice extends RpcMiddleware.Service<Twice, { provides: SideEffectsMiddleware.Provides<typeof Shop> }>()(
  "test/Twice"
) {}

class Again extends RpcMiddleware.Service<Again>()("test/Again") {}

const End = Schema.Literals(["succeed", "fail", "fail once", "die", "wait"])

class Api extends RpcGroup.make(
  Rpc.make("Send", { payload: { id: Schema.String, end: End }, success: Schema.String, error: Refused }),
  Rpc.make("Items", { payload: { id: Schema.String, end: End }, success: Schema.Number, error: Refused, stream: true }),
  Rpc.make("Each", { payload: { id: Schema.String }, success: Schema.Number, error: Refused, stream: true }),
  Rpc.make("Later", { payload: { id: Schema.String }, success: Schema.String })
).middleware(Unit) {}

/** What the server under test is asked about. */
class Probe extends Context.Service<Probe, {
  readonly calls: Array<string>
  readonly origins: Array<unknown>
  readonly reports: Array<Boundary.Report>
  readonly waiting: Latch.Latch
  readonly answer: Deferred.Deferred<string>
  readonly ended: (n: number) => Effect.Effect<void>
  readonly onClose: (report: Boundary.Report) => Effect.Effect<void>
}>()("test/Probe") {}

const probe = Layer.sync(Probe, () => {
  const reports: Array<Boundary.Report> = []
  const changed: Array<() => void> = []
  return {
    calls: [],
    origins: [],
    reports,
    waiting: Latch.makeUnsafe(),
    answer: Deferred.makeUnsafe<string>(),
    ended: (n) =>
      Effect.callback<void>((resume) => {
        const look = () => reports.length >= n && resume(Effect.void)
        changed.push(look)
        look()
      }),
    onClose: (report) =>
      Effect.sync(() => {
        reports.push(report)
        for (const look of changed) look()
      })
  }
})

const ending = Effect.fnUntraced(function*(id: string, end: typeof End.Type) {
  const { waiting } = yield* Probe
  if (end === "fail") return yield* new Refused({ id })
  if (end === "fail once" && (yield* waiting.open)) return yield* new Refused({ id })
  if (end === "die") return yield* Effect.die(new Error(`bug in ${id}`))
  if (end === "wait") return yield* Effect.andThen(waiting.open, Effect.never)
})

const Handlers = Api.toLayer({
  Send: Effect.fnUntraced(function*({ end, id }) {
    yield* mail(id)
    yield* Effect.yieldNow
    yield* push(id)
    yield* ending(id, end)
    return id
  }),
  Items: ({ end, id }) =>
    Stream.make(1, 2).pipe(
      Stream.rechunk(1),
      Stream.tap((n) => mail(`${id}.${n}`)),
      Stream.concat(Stream.drain(Stream.fromEffect(ending(id, end))))
    ),
  Each: ({ id }) =>
    Stream.make(1, 2).pipe(
      Stream.tap((n) => mail(`${id}.${n}`).pipe(SideEffects.boundary({ detached: true }))),
      Stream.concat(Stream.fail(new Refused({ id })))
    ),
  Later: Effect.fnUntraced(function*({ id }) {
    yield* mail(id)
    const { answer } = yield* Probe
    return answer
  })
})

const performed = Layer.unwrap(Effect.map(Probe, ({ calls, origins }) => {
  const called = (what: string) => ({ id }: { readonly id: string }, { intent }: { readonly intent: any }) =>
    Effect.sync(() => {
      calls.push(`${what}:${id}`)
      origins.push(intent.origin)
    })
  return Shop.toLayer({
    "orders:mail:send": called("mail"),
    "orders:push:notify": called("push"),
    "monitor:ping": () => Effect.void
  })
}))

const live = SideEffects.LiveLayer(Shop).pipe(Layer.provide(performed))

const unit = (dispatch?: "before-response" | "after-response") =>
  Layer.unwrap(Effect.map(Probe, ({ onClose }) => SideEffectsMiddleware.layerRpc(Unit, Shop, { dispatch, onClose })))

const served = (unitLayer = unit("before-response")) => Layer.mergeAll(Handlers, unitLayer.pipe(Layer.provide(live)))

interface Transport {
  readonly serialization?: Layer.Layer<RpcSerialization.RpcSerialization>
  readonly protocol?: "http" | "websocket"
  readonly procedures?: Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Api>> | Unit, never, Probe>
  readonly middleware?: Layer.Layer<any, never, HttpRouter.HttpRouter | Probe>
  readonly batch?: { readonly window: "20 millis" }
}

const http = (
  { batch, middleware, procedures = served(), protocol = "http", serialization = RpcSerialization.layerNdjson }:
    Transport = {}
) => {
  const routes = RpcServer.layerHttp({ group: Api, path: "/rpc", protocol, disableFatalDefects: true }).pipe(
    Layer.provide(procedures)
  )
  const server = HttpRouter.serve(
    middleware === undefined
      ? routes
      : Layer.merge(routes, middleware as Layer.Layer<never, never, HttpRouter.HttpRouter | Probe>),
    { disableLogger: true, disableListenLog: true }
  ).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })))
  const client = Layer.unwrap(HttpServer.addressFormattedWith((address) =>
    Effect.succeed(
      protocol === "http"
        ? RpcClient.layerProtocolHttp({ url: `${address}/rpc`, ...(batch && { batch }) }).pipe(
          Layer.provide(FetchHttpClient.layer)
        )
        : RpcClient.layerProtocolSocket().pipe(
          Layer.provide(NodeSocket.layerWebSocket(`${address.replace("http", "ws")}/rpc`))
        )
    )
  ))
  return client.pipe(Layer.provide(server), Layer.provide(serialization), Layer.provideMerge(probe), Layer.orDie)
}

const tcp = () => {
  const server = RpcServer.layer(Api, { disableFatalDefects: true }).pipe(
    Layer.provide(served()),
    Layer.provide(RpcServer.layerProtocolSocketServer),
    Layer.provideMerge(NodeSocketServer.layer({ host: "127.0.0.1", port: 0 }))
  )
  const client = Layer.unwrap(
    Effect.map(SocketServer.SocketServer, ({ address }) =>
      RpcClient.layerProtocolSocket().pipe(
        Layer.provide(NodeSocket.layerNet({ host: "127.0.0.1", port: (address as any).port }))
      ))
  )
  return client.pipe(
    Layer.provide(server),
    Layer.provide(RpcSerialization.layerNdjson),
    Layer.provideMerge(probe),
    Layer.orDie
  )
}

const protocols = {
  "HTTP with JSON": () => http({ serialization: RpcSerialization.layerJson }),
  "HTTP with NDJSON": () => http(),
  "a websocket": () => http({ protocol: "websocket" }),
  "a TCP socket": tcp
}

const outcomes = (reports: ReadonlyArray<Boundary.Report>) => reports.map(({ name, outcome }) => `${name} ${outcome}`)

for (const [name, layer] of Object.entries(protocols)) {
  describe(`procedures over ${name}`, () => {
    it.live("release when they succeed, and discard when they fail or die", () =>
      Effect.gen(function*() {
        const { calls, origins, reports } = yield* Probe
        const client = yield* RpcClient.make(Api)
        assert.strictEqual(yield* client.Send({ id: "1", end: "succeed" }), "1")
        assert.deepStrictEqual(calls, ["mail:1", "push:1"])
        assert.deepStrictEqual(origins, ["rpc Send", "rpc Send"])
        const failed = yield* Effect.flip(client.Send({ id: "2", end: "fail" }))
        assert.strictEqual(failed._tag, "Refused")
        assert.isTrue(Exit.hasDies(yield* Effect.exit(client.Send({ id: "3", end: "die" }))))
        assert.deepStrictEqual(calls, ["mail:1", "push:1"])
        assert.deepStrictEqual(outcomes(reports), ["rpc Send released", "rpc Send discarded", "rpc Send discarded"])
      }).pipe(Effect.scoped, Effect.provide(layer())))

    it.live("discard when the client interrupts them", () =>
      Effect.gen(function*() {
        const { calls, ended, reports, waiting } = yield* Probe
        const client = yield* RpcClient.make(Api)
        const fiber = yield* Effect.forkChild(client.Send({ id: "1", end: "wait" }))
        yield* waiting.await
        yield* Fiber.interrupt(fiber)
        yield* ended(1)
        assert.deepStrictEqual(outcomes(reports), ["rpc Send discarded"])
        assert.strictEqual(reports[0]!.intents.length, 2)
        yield* client.Send({ id: "2", end: "succeed" })
        assert.deepStrictEqual(calls, ["mail:2", "push:2"])
      }).pipe(Effect.scoped, Effect.provide(layer())))

    it.live("are one unit of work each: 500 of them, 64 at once", () =>
      Effect.gen(function*() {
        const { calls, reports } = yield* Probe
        const client = yield* RpcClient.make(Api)
        const n = 500
        yield* Effect.forEach(
          Array.from({ length: n }, (_, i) => i),
          (i) => Effect.exit(client.Send({ id: `${i}`, end: i % 3 === 0 ? "fail" : "succeed" })),
          { concurrency: 64 }
        )
        const expected = Array.from({ length: n }, (_, i) => i % 3 === 0 ? [] : [`mail:${i}`, `push:${i}`]).flat()
        assert.deepStrictEqual(calls.toSorted(), expected.toSorted())
        assert.strictEqual(reports.length, n)
        for (const { intents } of reports) {
          assert.deepStrictEqual(intents.map(({ name }) => name), ["orders:mail:send", "orders:push:notify"])
          assert.strictEqual((intents[0]!.payload as any).id, (intents[1]!.payload as any).id)
        }
      }).pipe(Effect.scoped, Effect.provide(layer())))

    it.live("that stream release when the stream has ended, and discard when it fails", () =>
      Effect.gen(function*() {
        const { calls, reports } = yield* Probe
        const client = yield* RpcClient.make(Api)
        assert.deepStrictEqual(yield* Stream.runCollect(client.Items({ id: "a", end: "succeed" })), [1, 2])
        assert.deepStrictEqual(calls, ["mail:a.1", "mail:a.2"])
        yield* Effect.flip(Stream.runDrain(client.Items({ id: "b", end: "fail" })))
        assert.deepStrictEqual(calls, ["mail:a.1", "mail:a.2"])
        assert.deepStrictEqual(outcomes(reports), ["rpc Items released", "rpc Items discarded"])
      }).pipe(Effect.scoped, Effect.provide(layer())))

    if (name !== "HTTP with JSON") {
      it.live("that stream discard when the client stops reading", () =>
        Effect.gen(function*() {
          const { calls, ended, reports } = yield* Probe
          const client = yield* RpcClient.make(Api)
          yield* Stream.runDrain(Stream.take(client.Items({ id: "a", end: "wait" }), 2))
          yield* ended(1)
          assert.deepStrictEqual(outcomes(reports), ["rpc Items discarded"])
          assert.deepStrictEqual(calls, [])
        }).pipe(Effect.scoped, Effect.provide(layer())))
    }
  })
}

describe("a procedure with a boundary", () => {
  it.live("has it also where its handler has captured the live layer", () =>
    Effect.gen(function*() {
      const { calls } = yield* Probe
      const client = yield* RpcClient.make(Api)
      yield* Effect.flip(client.Send({ id: "1", end: "fail" }))
      yield* client.Send({ id: "2", end: "succeed" })
      assert.deepStrictEqual(calls, ["mail:2", "push:2"])
    }).pipe(
      Effect.scoped,
      Effect.provide(http({ procedures: Layer.mergeAll(Handlers, unit()).pipe(Layer.provide(live)) }))
    ))

  for (const serialization of [RpcSerialization.layerJson, RpcSerialization.layerNdjson]) {
    it.live("is its own unit of work inside that of an HTTP request, which is answered with 200 in any case", () =>
      Effect.gen(function*() {
        const { calls, ended, reports } = yield* Probe
        const client = yield* RpcClient.make(Api)
        const exits = yield* Effect.all([
          Effect.exit(client.Send({ id: "1", end: "fail" })),
          Effect.exit(client.Send({ id: "2", end: "succeed" })),
          Effect.exit(client.Send({ id: "3", end: "die" }))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(exits.map((exit) => exit._tag), ["Failure", "Success", "Failure"])
        yield* ended(4)
        assert.deepStrictEqual(calls, ["mail:2", "push:2"])
        assert.deepStrictEqual(outcomes(reports).toSorted(), [
          "POST /rpc released",
          "rpc Send discarded",
          "rpc Send discarded",
          "rpc Send released"
        ])
        const request = reports.find(({ name }) => name === "POST /rpc")!
        assert.strictEqual((request.exit as any).value.status, 200)
        assert.deepStrictEqual(request.intents, [])
      }).pipe(
        Effect.scoped,
        Effect.provide(http({
          serialization,
          batch: { window: "20 millis" },
          middleware: Layer.unwrap(
            Effect.map(Probe, ({ onClose }) => SideEffectsMiddleware.layerGlobal(Shop, { onClose }))
          ).pipe(Layer.provide(live))
        }))
      ))
  }

  it.live("is its own unit of work inside that of a caller in the same process", () =>
    Effect.gen(function*() {
      const { calls } = yield* Probe
      const client = yield* RpcTest.makeClient(Api)
      const exit = yield* Effect.exit(SideEffects.boundary(
        Effect.andThen(client.Send({ id: "1", end: "succeed" }), Effect.fail("the caller fails"))
      ))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(calls, ["mail:1", "push:1"])
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.mergeAll(served(), live).pipe(Layer.provideMerge(probe)))
    ))

  it.live("has one, though two middlewares open one: they are nested", () =>
    Effect.gen(function*() {
      const { calls, ended, reports } = yield* Probe
      const client = yield* RpcTest.makeClient(Api.middleware(Twice))
      yield* client.Send({ id: "1", end: "succeed" })
      yield* Effect.flip(client.Send({ id: "2", end: "fail" }))
      yield* ended(4)
      assert.deepStrictEqual(calls, ["mail:1", "push:1"])
      assert.deepStrictEqual(outcomes(reports), [
        "rpc Send captured",
        "rpc Send released",
        "rpc Send discarded",
        "rpc Send discarded"
      ])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(
          served(),
          Layer.unwrap(Effect.map(Probe, ({ onClose }) =>
            SideEffectsMiddleware.layerRpc(Twice, Shop, { dispatch: "before-response", onClose }))).pipe(
              Layer.provide(live)
            )
        ).pipe(Layer.provideMerge(probe))
      )
    ))

  it.live("is its own unit of work also where the layer was built inside another one", () =>
    Effect.gen(function*() {
      const { calls } = yield* Probe
      const call = Effect.gen(function*() {
        const client = yield* RpcTest.makeClient(Api)
        yield* client.Send({ id: "1", end: "succeed" })
        assert.deepStrictEqual(calls, ["mail:1", "push:1"])
      })
      yield* Effect.scoped(call).pipe(
        Effect.provide(Layer.merge(Handlers, unit("before-response"))),
        SideEffects.boundary()
      )
    }).pipe(Effect.provide(live.pipe(Layer.provideMerge(probe)))))

  it.live("has one for each try, where a middleware around it tries again", () =>
    Effect.gen(function*() {
      const { calls, reports } = yield* Probe
      const client = yield* RpcTest.makeClient(Api.middleware(Again))
      assert.strictEqual(yield* client.Send({ id: "1", end: "fail once" }), "1")
      assert.deepStrictEqual(calls, ["mail:1", "push:1"])
      assert.deepStrictEqual(outcomes(reports), ["rpc Send discarded", "rpc Send released"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          served(),
          Layer.succeed(Again, (self) => Effect.catchCause(self, () => self))
        ).pipe(Layer.provideMerge(probe))
      )
    ))

  it.live("leaves items of a stream alone that have one of their own", () =>
    Effect.gen(function*() {
      const { calls, reports } = yield* Probe
      const client = yield* RpcTest.makeClient(Api)
      yield* Effect.flip(Stream.runDrain(client.Each({ id: "a" })))
      assert.deepStrictEqual(calls, ["mail:a.1", "mail:a.2"])
      assert.deepStrictEqual(outcomes(reports), ["rpc Each discarded"])
    }).pipe(Effect.scoped, Effect.provide(served().pipe(Layer.provideMerge(probe)))))

  it.live("has ended when its handler returns a Deferred, before that is done", () =>
    Effect.gen(function*() {
      const { answer, calls, ended } = yield* Probe
      const client = yield* RpcTest.makeClient(Api)
      const call = yield* Effect.forkChild(client.Later({ id: "1" }))
      yield* ended(1)
      assert.deepStrictEqual(calls, ["mail:1"])
      assert.isUndefined(call.pollUnsafe())
      yield* Deferred.succeed(answer, "late")
      assert.strictEqual(yield* Fiber.join(call), "late")
    }).pipe(Effect.scoped, Effect.provide(served().pipe(Layer.provideMerge(probe)))))

  it.live("has the policy that it is told", () =>
    Effect.gen(function*() {
      const { calls } = yield* Probe
      const client = yield* RpcTest.makeClient(Api)
      yield* client.Send({ id: "1", end: "succeed" })
      assert.deepStrictEqual(calls, ["mail:1"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          Handlers,
          SideEffectsMiddleware.layerRpc(Unit, Shop, {
            dispatch: "before-response",
            policy: Policy.block("orders:push:*")
          }).pipe(Layer.provide(live))
        ).pipe(Layer.provideMerge(probe))
      )
    ))
})

describe("the answer of a procedure", () => {
  /** Mails go to an outbox that nobody works on, and a push waits until somebody opens the gate. */
  const waiting = Effect.gen(function*() {
    const gate = yield* Latch.make()
    const { calls } = yield* Probe
    const store = MemoryOutboxStore.layer
    const dispatching = SideEffects.LiveLayer(Shop, {
      dispatcher: Dispatcher.route([["orders:mail:*", Outbox.dispatcher()], ["**", Dispatcher.inline()]])
    }).pipe(
      Layer.provide(Shop.toLayer({
        "orders:mail:send": () => Effect.void,
        "orders:push:notify": ({ id }) => Effect.andThen(gate.await, Effect.sync(() => void calls.push(`push:${id}`))),
        "monitor:ping": () => Effect.void
      })),
      Layer.provideMerge(store)
    )
    return { calls, dispatching, gate }
  })

  const kept = Effect.orDie(Effect.flatMap(OutboxStore.OutboxStore, ({ counts }) => counts)).pipe(
    Effect.map((counts) => counts.map(({ count, name, state }) => `${count} ${state} ${name}`))
  )

  it.live("waits for what is durable, and for nothing else; closing the layer does", () =>
    Effect.gen(function*() {
      const { calls, dispatching, gate } = yield* waiting
      yield* Effect.gen(function*() {
        const client = yield* RpcTest.makeClient(Api)
        yield* client.Send({ id: "1", end: "succeed" })
        assert.deepStrictEqual(yield* kept, ["1 pending orders:mail:send"])
        assert.deepStrictEqual(calls, [])
        yield* Effect.forkDetach(Effect.andThen(Effect.yieldNow, gate.open))
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(Handlers, unit()).pipe(Layer.provideMerge(dispatching))))
      assert.deepStrictEqual(calls, ["push:1"])
    }).pipe(Effect.provide(probe)))

  it.live("waits for everything with dispatch: before-response", () =>
    Effect.gen(function*() {
      const { calls, dispatching, gate } = yield* waiting
      yield* Effect.gen(function*() {
        const client = yield* RpcTest.makeClient(Api)
        const answer = yield* Effect.forkChild(client.Send({ id: "1", end: "succeed" }))
        while ((yield* kept).length === 0) yield* Effect.yieldNow
        assert.isUndefined(answer.pollUnsafe())
        yield* gate.open
        yield* Fiber.join(answer)
        assert.deepStrictEqual(calls, ["push:1"])
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.merge(Handlers, unit("before-response")).pipe(Layer.provideMerge(dispatching)))
      )
    }).pipe(Effect.provide(probe)))
})

describe("examples/rpc.ts", () => {
  it.live("confirms what was placed, and nothing that was refused", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* printed(guide.program),
        `order 1 is placed
order 2 is refused
orders 3 and 4 are imported
orders 5 and 6 are refused
confirmed:
  order 1, because of rpc Place
  order 3, because of rpc Import
  order 4, because of rpc Import
`
      )
    }))
})

describe("a transaction inside a call", () => {
  it.live("what is durable is committed with it, although the call fails after that", () =>
    Effect.gen(function*() {
      const outcomes: Array<string> = []
      const handlers = Api.toLayer({
        Send: Effect.fnUntraced(function*({ id }) {
          yield* Effect.orDie(SqlSideEffects.transaction(mail(id)))
          yield* mail(`${id} too late`)
          return yield* new Refused({ id })
        }),
        Items: () => Stream.empty,
        Each: () => Stream.empty,
        Later: () => Effect.die("not called")
      })
      const outbox = SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() })
      const database = Layer.provideMerge(
        SqlOutboxStore.layer(),
        SqliteClient.layer({ filename: ":memory:", synchronous: "OFF" })
      )
      yield* Effect.gen(function*() {
        const client = yield* RpcTest.makeClient(Api)
        const exit = yield* Effect.exit(client.Send({ id: "1", end: "fail" }))
        outcomes.push(exit._tag)
        const store = yield* OutboxStore.OutboxStore
        outcomes.push(String(yield* store.count({})))
      }).pipe(Effect.provide(
        Layer.mergeAll(handlers, SideEffectsMiddleware.layerRpc(Unit, Shop)).pipe(
          Layer.provide(outbox),
          Layer.provideMerge(database)
        )
      ))
      assert.deepStrictEqual(outcomes, ["Failure", "1"])
    }).pipe(Effect.scoped))
})
