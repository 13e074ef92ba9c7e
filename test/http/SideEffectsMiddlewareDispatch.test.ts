import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import { logs } from "../fixtures.ts"
import { tracer } from "../observability/collecting.ts"
import { answer, call, hangUp, ledger, mail, type Names, Orders, orders, serve, serveEffect, until } from "./serving.ts"

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, any, any>
type Options = SideEffectsMiddleware.Options

const done = HttpServerResponse.text("done")
const post = { method: "POST" }

const routed = (handler: Handler, shop: ReturnType<typeof orders>, options?: Options) =>
  HttpRouter.add("*", "/orders/:id", handler).pipe(
    Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, { ...shop.told, ...options })),
    Layer.provide(shop.layer)
  )

/** Handlers that wait for `gate`. */
const gated = (options: Parameters<typeof orders>[0] = {}) => {
  const gate = Latch.makeUnsafe()
  const begun: Array<string> = []
  const shop = orders({
    ...options,
    perform: (what) => Effect.andThen(Effect.sync(() => void begun.push(what)), gate.await)
  })
  return { gate, begun, ...shop }
}

describe("what is not durable", () => {
  for (
    const [name, dispatcher] of [["inline", Dispatcher.inline()], ["background", Dispatcher.background()]] as const
  ) {
    it.live(`is dispatched ${name} when the client has its response`, () =>
      Effect.gen(function*() {
        const shop = gated({ dispatcher })
        const url = yield* serve(routed(Effect.as(mail("7"), done), shop))
        assert.deepStrictEqual(yield* answer(`${url}/orders/7`, post), [200, "done"])
        assert.deepStrictEqual(shop.calls, [])
        assert.deepStrictEqual(shop.ends(0), ["mail: pending"])
        yield* shop.gate.open
        yield* until(() => shop.calls.length === 1)
        assert.deepStrictEqual(shop.ends(0), [`mail: dispatched by dispatcher ${name}`])
      }).pipe(Effect.scoped))
  }

  it.live("keeps no other request of the same connection waiting", () =>
    Effect.gen(function*() {
      const shop = gated()
      const url = yield* serve(routed(Effect.as(mail("7"), done), shop))
      for (let i = 0; i < 3; i++) yield* answer(`${url}/orders/7`, post)
      assert.deepStrictEqual([shop.begun.length, shop.calls.length], [3, 0])
      yield* shop.gate.open
    }).pipe(Effect.scoped))

  it.live("is dispatched before the response with dispatch: \"before-response\"", () =>
    Effect.gen(function*() {
      const shop = gated()
      const url = yield* serve(routed(Effect.as(mail("7"), done), shop, { dispatch: "before-response" }))
      const response = yield* Effect.forkChild(answer(`${url}/orders/7`, post))
      yield* until(() => shop.begun.length === 1)
      assert.isUndefined(response.pollUnsafe())
      yield* shop.gate.open
      yield* until(() => response.pollUnsafe() !== undefined)
      assert.deepStrictEqual(shop.calls, ["mail:7"])
      assert.deepStrictEqual(shop.ends(0), ["mail: dispatched by dispatcher inline"])
    }).pipe(Effect.scoped))

  it.live("does not hold what the request has acquired while it is dispatched", () =>
    Effect.gen(function*() {
      const shop = gated()
      let released = false
      const handler = Effect.acquireRelease(Effect.void, () => Effect.sync(() => void (released = true))).pipe(
        Effect.andThen(mail("7")),
        Effect.as(done)
      )
      const url = yield* serve(routed(handler, shop))
      yield* answer(`${url}/orders/7`, post)
      yield* until(() => shop.begun.length === 1)
      assert.isTrue(released)
      yield* shop.gate.open
    }).pipe(Effect.scoped))

  for (const onDispatchError of [undefined, "die"] as const) {
    it.live(`is logged when it fails after the response, with onDispatchError: ${onDispatchError ?? "log"}`, () =>
      Effect.gen(function*() {
        const log = logs()
        const shop = orders({ onDispatchError, perform: () => Effect.fail("the mail server is gone") })
        const url = yield* Effect.provide(
          Effect.flatMap(Effect.context(), () => serve(routed(Effect.as(mail("7"), done), shop))),
          log.layer
        )
        assert.deepStrictEqual(yield* answer(`${url}/orders/7`, post), [200, "done"])
        yield* until(() => log.lines.length > 0)
        assert.include(log.lines[0]!, "Side effect \"orders:mail:send\"")
        assert.deepStrictEqual(shop.ends(0), ["mail: failed in dispatcher inline"])
      }).pipe(Effect.scoped))
  }

  it.live("that fails before the response fails the request with onDispatchError: die", () =>
    Effect.gen(function*() {
      const shop = orders({ onDispatchError: "die", perform: () => Effect.fail("the mail server is gone") })
      const url = yield* serve(routed(Effect.as(mail("7"), done), shop, { dispatch: "before-response" }))
      assert.deepStrictEqual(yield* answer(`${url}/orders/7`, post), [500, ""])
    }).pipe(Effect.scoped))

  it.live("has the trace and the annotations of the request", () =>
    Effect.gen(function*() {
      const { layer, spans } = tracer()
      const seen = yield* Deferred.make<readonly [string | undefined, unknown]>()
      const shop = orders({
        perform: () =>
          Effect.withFiber((fiber) =>
            Deferred.succeed(seen, [
              fiber.cache.span?.spanId,
              Context.get(fiber.context, References.CurrentLogAnnotations)
            ])
          )
      })
      const annotated = HttpRouter.middleware((handler) => Effect.annotateLogs(handler, { request: "r1" }), {
        global: true
      })
      const url = yield* Effect.provide(
        Effect.flatMap(Effect.context(), () =>
          serve(routed(Effect.as(mail("7"), done), shop).pipe(Layer.provide(annotated)))),
        layer
      )
      yield* answer(`${url}/orders/7`, post)
      const [span, annotations] = yield* Deferred.await(seen)
      assert.strictEqual(
        span,
        spans.find(({ kind }) =>
          kind === "server"
        )!.spanId
      )
      assert.deepStrictEqual(annotations, { request: "r1" })
    }).pipe(Effect.scoped))

  it.live("is waited for by SideEffects.drain", () =>
    Effect.gen(function*() {
      const shop = gated()
      const live = yield* Layer.build(shop.layer as Layer.Layer<SideEffects.SideEffects<Names>>)
      const url = yield* serve(routed(Effect.as(mail("7"), done), { ...shop, layer: Layer.succeedContext(live) }))
      yield* answer(`${url}/orders/7`, post)
      yield* until(() => shop.begun.length === 1)
      const drained = yield* Effect.forkChild(Effect.provide(SideEffects.drain, live))
      yield* Effect.yieldNow
      assert.isUndefined(drained.pollUnsafe())
      yield* shop.gate.open
      yield* until(() => drained.pollUnsafe() !== undefined)
      assert.deepStrictEqual(shop.calls, ["mail:7"])
    }).pipe(Effect.scoped))
})

describe("when the server shuts down", () => {
  const ways = {
    "a router": (shop: ReturnType<typeof orders>) => serve(routed(Effect.as(mail("7"), done), shop)),
    "a handler without a router": (shop: ReturnType<typeof orders>) =>
      serveEffect(SideEffectsMiddleware.boundary(Effect.as(mail("7"), done)), shop.layer)
  }
  for (const [name, served] of Object.entries(ways)) {
    it.live(`what ${name} dispatches after the response is waited for`, () =>
      Effect.gen(function*() {
        let closed = false
        const shop = gated()
        const service = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => void (closed = true))))
        const scope = yield* Scope.make()
        const url = yield* Scope.provide(served({ ...shop, layer: Layer.provide(shop.layer, service) }), scope)
        yield* Effect.promise(() =>
          fetch(`${url}/orders/7`, { ...post, headers: { connection: "close" } }).then((response) => response.text())
        )
        yield* until(() => shop.begun.length === 1)
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* Effect.sleep("20 millis")
        assert.isUndefined(closing.pollUnsafe())
        assert.isFalse(closed)
        yield* shop.gate.open
        yield* until(() => closing.pollUnsafe() !== undefined)
        assert.isTrue(closed)
        assert.deepStrictEqual(shop.calls, ["mail:7"])
      }))
  }

  it.live("requests that are not done in time are interrupted, and discard", () =>
    Effect.gen(function*() {
      const shop = orders()
      const waiting = Latch.makeUnsafe()
      const scope = yield* Scope.make()
      const handler = mail("7").pipe(Effect.andThen(waiting.open), Effect.andThen(Effect.never))
      const url = yield* Scope.provide(serve(routed(handler, shop)), scope)
      hangUp(`${url}/orders/7`)
      yield* waiting.await
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(shop.ends(0), ["mail: discarded: boundary \"POST /orders/:id\" was interrupted"])
      assert.deepStrictEqual(shop.calls, [])
    }))

  it.live("dispose of a web handler waits for it, too", () =>
    Effect.gen(function*() {
      const shop = gated()
      const { dispose, handler } = HttpRouter.toWebHandler(
        routed(Effect.as(mail("7"), done), shop) as Layer.Layer<never, never, HttpRouter.HttpRouter>,
        { disableLogger: true }
      )
      const response = yield* Effect.promise(() => handler(new Request("http://localhost/orders/7", post)))
      yield* Effect.promise(() => response.text())
      yield* until(() => shop.begun.length === 1)
      const disposing = yield* Effect.forkChild(Effect.promise(dispose))
      yield* Effect.yieldNow
      assert.isUndefined(disposing.pollUnsafe())
      yield* shop.gate.open
      yield* until(() => disposing.pollUnsafe() !== undefined)
      assert.deepStrictEqual(shop.calls, ["mail:7"])
    }))
})

describe("what is durable", () => {
  /** Writes slowly, or not at all. */
  const store = (log: Array<string>, refuses = false) =>
    Layer.effect(
      OutboxStore.OutboxStore,
      Effect.map(OutboxStore.OutboxStore, (store) => ({
        ...store,
        offerMany: (...args: Parameters<typeof store.offerMany>) =>
          refuses
            ? Effect.fail(new OutboxStore.OutboxError({ operation: "offer", cause: new Error("disk full") } as any))
            : Effect.sleep("20 millis").pipe(
              Effect.andThen(store.offerMany(...args)),
              Effect.tap(() => Effect.sync(() => void log.push("written")))
            )
      }))
    ).pipe(Layer.provideMerge(MemoryOutboxStore.layer))

  const mixed = Dispatcher.route([["orders:ledger:*", Outbox.dispatcher()], ["**", Dispatcher.inline()]])
  const both = Effect.andThen(mail("7"), Effect.as(ledger("7"), done))

  it.live("is written before the client has the response, and the rest is dispatched after it", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const gate = Latch.makeUnsafe()
      const shop = orders({
        dispatcher: mixed,
        perform: (what) => Effect.andThen(gate.await, Effect.sync(() => void log.push(what)))
      })
      const url = yield* serve(routed(both, shop).pipe(Layer.provide(store(log))))
      yield* answer(`${url}/orders/7`, post)
      log.push("answered")
      assert.deepStrictEqual(shop.ends(0), ["mail: pending", "ledger: dispatched by dispatcher outbox"])
      yield* gate.open
      yield* until(() => shop.calls.length === 1)
      assert.deepStrictEqual(log, ["written", "answered", "mail:7"])
    }).pipe(Effect.scoped))

  it.live("that cannot be written fails the request, and nothing else is dispatched", () =>
    Effect.gen(function*() {
      const shop = orders({ dispatcher: mixed })
      const url = yield* serve(routed(both, shop).pipe(Layer.provide(store([], true))))
      assert.deepStrictEqual(yield* answer(`${url}/orders/7`, post), [500, ""])
      yield* until(() => shop.reports.length === 1)
      assert.deepStrictEqual(shop.ends(0), [
        "mail: discarded: boundary \"POST /orders/:id\" was not released: \"orders:ledger:write\" could not be kept",
        "ledger: failed in dispatcher outbox"
      ])
      assert.deepStrictEqual(shop.calls, [])
    }).pipe(Effect.scoped))

  describe("in a transaction", () => {
    const Database = SqlOutboxStore.layer().pipe(
      Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))
    )
    const count = SqlClient.use((sql) => sql<{ readonly n: number }>`SELECT count(*) AS n FROM side_effects_outbox`)
      .pipe(Effect.map((rows) => rows[0]!.n))

    it.live("is committed with it: a request that ends badly after that takes back only the rest", () =>
      Effect.gen(function*() {
        const database = yield* Layer.build(Layer.fresh(Database))
        const shop = orders({ dispatcher: mixed })
        const log = logs()
        const waiting = Latch.makeUnsafe()
        const placed = Effect.all([mail("in"), ledger("in")]).pipe(SqlSideEffects.transaction())
        const after: Record<string, Handler> = {
          abort: Effect.andThen(waiting.open, Effect.never),
          fail: Effect.fail("no"),
          refuse: Effect.succeed(HttpServerResponse.empty({ status: 422 }))
        }
        const handler = Effect.gen(function*() {
          const { id } = yield* HttpRouter.params
          yield* mail("before")
          yield* placed
          assert.strictEqual(yield* count, Object.keys(after).indexOf(id!) + 1)
          return yield* after[id!]!
        })
        const url = yield* serve(
          routed(handler, shop).pipe(Layer.provide(Layer.succeedContext(database))),
          { services: Context.merge(database, yield* Layer.build(log.layer)) }
        )
        const { abort } = hangUp(`${url}/orders/abort`)
        yield* waiting.await
        abort()
        yield* until(() => shop.reports.length === 1)
        assert.strictEqual((yield* call(`${url}/orders/fail`, post)).status, 500)
        assert.strictEqual((yield* call(`${url}/orders/refuse`, post)).status, 422)
        const boundary = "boundary \"POST /orders/:id\""
        assert.deepStrictEqual([0, 1, 2].map(shop.ends), [
          [`mail: discarded: ${boundary} was interrupted`, `mail: discarded: ${boundary} was interrupted`],
          [`mail: discarded: ${boundary} failed with "no"`, `mail: discarded: ${boundary} failed with "no"`],
          [
            `mail: discarded: ${boundary} was not released: it answered 422`,
            `mail: discarded: ${boundary} was not released: it answered 422`
          ]
        ])
        // A worker delivers what was committed, and there is nothing to warn of.
        yield* until(() => shop.calls.length === 3).pipe(Effect.provide(
          Outbox.layerWorker(Orders).pipe(
            Layer.provide(Orders.toLayer({
              "orders:mail:send": () => Effect.die("never written"),
              "orders:ledger:write": ({ id }) => Effect.sync(() => void shop.calls.push(id))
            })),
            Layer.provide(Layer.succeedContext(database))
          )
        ))
        assert.deepStrictEqual(shop.calls, ["in", "in", "in"])
        assert.deepStrictEqual(log.lines.filter((line) => line.startsWith("WARN")), [])
      }).pipe(Effect.scoped))

    it.live("is gone where that is rolled back, also when the request succeeds", () =>
      Effect.gen(function*() {
        const database = yield* Layer.build(Layer.fresh(Database))
        const shop = orders({ dispatcher: mixed })
        const handler = Effect.all([mail("in"), ledger("in")]).pipe(
          Effect.andThen(Effect.fail("no")),
          SqlSideEffects.transaction(),
          Effect.ignore,
          Effect.andThen(mail("after")),
          Effect.as(done)
        )
        const url = yield* serve(routed(handler, shop).pipe(Layer.provide(Layer.succeedContext(database))), {
          services: database
        })
        assert.strictEqual((yield* call(`${url}/orders/7`, post)).status, 200)
        yield* until(() => shop.calls.length === 1)
        assert.deepStrictEqual(shop.calls, ["mail:after"])
        assert.strictEqual(yield* Effect.provide(count, database), 0)
      }).pipe(Effect.scoped))

    it.live("around the middleware waits for the request, as everything does", () =>
      Effect.gen(function*() {
        const database = yield* Layer.build(Layer.fresh(Database))
        const inTransaction: Array<boolean> = []
        const shop = orders({
          dispatcher: mixed,
          perform: () =>
            Effect.withFiber(({ context }) =>
              Effect.sync(() =>
                inTransaction.push([...context.mapUnsafe.keys()].some((key) => key.includes("TransactionConnection")))
              )
            )
        })
        const transactional = HttpRouter.middleware(
          Effect.map(SqlClient, (sql) => (handler) => Effect.orDie(sql.withTransaction(handler)) as typeof handler),
          { global: true }
        )
        const handler = Effect.all([mail("in"), ledger("in")]).pipe(
          SqlSideEffects.transaction(),
          Effect.andThen(HttpRouter.params),
          Effect.map(({ id }) => HttpServerResponse.empty({ status: Number(id) }))
        )
        const url = yield* serve(
          routed(handler, shop).pipe(
            Layer.provide(transactional),
            Layer.provide(Layer.succeedContext(database))
          ),
          { services: database }
        )
        assert.strictEqual((yield* call(`${url}/orders/422`, post)).status, 422)
        yield* until(() => shop.reports.length === 1)
        assert.lengthOf(shop.ends(0), 2)
        assert.strictEqual(yield* Effect.provide(count, database), 0)
        assert.strictEqual((yield* call(`${url}/orders/200`, post)).status, 200)
        yield* until(() => shop.calls.length === 1)
        assert.strictEqual(yield* Effect.provide(count, database), 1)
        // What comes after the response comes after the commit.
        assert.deepStrictEqual(inTransaction, [false])
      }).pipe(Effect.scoped))

    it.live("in a boundary around a transaction is as late as anywhere, and that is said", () =>
      Effect.gen(function*() {
        const database = yield* Layer.build(Layer.fresh(Database))
        const shop = orders({ dispatcher: mixed })
        const log = logs()
        const handler = SqlClient.use((sql) => sql.withTransaction(ledger("in"))).pipe(
          SideEffects.boundary(),
          Effect.andThen(count),
          Effect.map((n) => HttpServerResponse.text(String(n)))
        )
        const url = yield* serve(
          routed(handler, shop).pipe(Layer.provide(Layer.succeedContext(database))),
          { services: Context.merge(database, yield* Layer.build(log.layer)) }
        )
        assert.deepStrictEqual(yield* answer(`${url}/orders/7`, post), [200, "0"])
        assert.strictEqual(yield* Effect.provide(count, database), 1)
        assert.include(log.lines.join("\n"), "is written to the outbox after that has ended")
      }).pipe(Effect.scoped))
  })
})

describe("a body that streams", () => {
  const bytes = (text: string) => new TextEncoder().encode(text)
  const open = (latch: Latch.Latch, ...parts: ReadonlyArray<string>) =>
    Stream.concat(
      Stream.fromIterable(parts.map(bytes)),
      Stream.drain(Stream.fromEffect(latch.await))
    )
  const streaming = (latch: Latch.Latch) =>
    HttpServerResponse.stream(open(latch, "data: 1\n\n"), { contentType: "text/event-stream" })

  const firstOf = (response: Response) =>
    Effect.promise(async () => {
      const reader = response.body!.getReader()
      return { text: new TextDecoder().decode((await reader.read()).value), reader }
    })

  const bodies: Readonly<Record<string, (latch: Latch.Latch) => HttpServerResponse.HttpServerResponse>> = {
    "a stream": streaming,
    "a stream of Node": (latch) =>
      HttpServerResponse.raw(
        Readable.from((async function*() {
          yield bytes("data: 1\n\n")
          await Effect.runPromise(latch.await)
        })())
      )
  }
  for (const [name, body] of Object.entries(bodies)) {
    it.live(`of ${name} is no reason to wait: the headers decide, and dispatching begins when it begins`, () =>
      Effect.gen(function*() {
        const shop = orders()
        const end = Latch.makeUnsafe()
        const url = yield* serve(routed(Effect.as(mail("7"), body(end)), shop))
        const response = yield* call(`${url}/orders/7`)
        const { reader, text } = yield* firstOf(response)
        assert.strictEqual(text, "data: 1\n\n")
        yield* until(() => shop.calls.length === 1)
        assert.strictEqual(shop.reports[0]!.outcome, "released")
        yield* end.open
        assert.isTrue((yield* Effect.promise(() => reader.read())).done)
        assert.deepStrictEqual(shop.calls, ["mail:7"])
      }).pipe(Effect.scoped))
  }

  it.live("keeps its headers", () =>
    Effect.gen(function*() {
      const shop = orders()
      const body = HttpServerResponse.stream(Stream.make(bytes("abc")), {
        contentType: "text/plain",
        contentLength: 3,
        headers: { "x-a": "b" },
        status: 201
      })
      const url = yield* serve(
        routed(Effect.as(mail("7"), HttpServerResponse.setHeader(body, "content-type", "x/y")), shop)
      )
      const response = yield* call(`${url}/orders/7`)
      assert.strictEqual(response.status, 201)
      assert.strictEqual(yield* Effect.promise(() => response.text()), "abc")
      assert.deepStrictEqual(
        ["content-type", "content-length", "x-a"].map((name) => response.headers.get(name)),
        ["x/y", "3", "b"]
      )
    }).pipe(Effect.scoped))

  it.live("is dispatched once for HEAD, and once when the client hangs up amid the body", () =>
    Effect.gen(function*() {
      const shop = orders()
      const end = Latch.makeUnsafe()
      const url = yield* serve(routed(Effect.as(mail("7"), streaming(end)), shop))
      yield* answer(`${url}/orders/7`, { method: "HEAD" })
      yield* until(() => shop.calls.length === 1)
      const { abort, sent } = hangUp(`${url}/orders/7`, "GET")
      yield* Effect.promise(() =>
        new Promise((resolve) => sent.on("response", (message) => message.once("data", resolve)))
      )
      abort()
      yield* until(() => shop.calls.length === 2)
      yield* end.open
      yield* answer(`${url}/orders/7`)
      yield* until(() => shop.calls.length === 3)
      assert.deepStrictEqual(shop.reports.map(({ outcome }) => outcome), ["released", "released", "released"])
      assert.deepStrictEqual(shop.calls, ["mail:7", "mail:7", "mail:7"])
    }).pipe(Effect.scoped))

  it.live("does the same as a web handler, whose body may be cancelled or never read", () =>
    Effect.gen(function*() {
      const shop = orders()
      const end = Latch.makeUnsafe()
      const { handler } = yield* Effect.acquireRelease(
        Effect.sync(() =>
          HttpRouter.toWebHandler(
            routed(Effect.as(mail("7"), streaming(end)), shop) as Layer.Layer<never, never, HttpRouter.HttpRouter>,
            { disableLogger: true }
          )
        ),
        ({ dispose }) => Effect.promise(dispose)
      )
      const abort = new AbortController()
      const request = (init?: RequestInit) => new Request("http://localhost/orders/7", init)
      const read = yield* Effect.promise(() => handler(request()))
      const { reader } = yield* firstOf(read)
      yield* until(() => shop.calls.length === 1)
      yield* Effect.promise(() => reader.cancel())
      yield* Effect.promise(() => handler(request({ method: "HEAD" })))
      yield* until(() => shop.calls.length === 2)
      // Nobody reads this one.
      yield* Effect.promise(() => handler(request({ signal: abort.signal })))
      abort.abort()
      yield* until(() => shop.calls.length === 3)
      assert.lengthOf(shop.calls, 3)
    }).pipe(Effect.scoped))

  it.live("that enqueues dies with BoundaryClosed, which names the route", () =>
    Effect.gen(function*() {
      const shop = orders()
      const died = yield* Deferred.make<Cause.Cause<unknown>>()
      const handler = Effect.map(Effect.context<SideEffects.SideEffects<"orders:mail:send">>(), (here) =>
        HttpServerResponse.stream(
          Stream.fromEffect(
            mail("late").pipe(
              Effect.as(bytes("never")),
              Effect.tapCause((cause) =>
                Deferred.succeed(died, cause)
              ),
              Effect.provideContext(here)
            )
          )
        ))
      const url = yield* serve(routed(handler, shop))
      const { abort } = hangUp(`${url}/orders/7`)
      const defect = Cause.squash(yield* Deferred.await(died)) as SideEffects.BoundaryClosed
      abort()
      assert.instanceOf(defect, SideEffects.BoundaryClosed)
      assert.strictEqual(defect.boundary, "POST /orders/:id")
      assert.strictEqual(Decision.of(defect.intent!)!._tag, "Discarded")
    }).pipe(Effect.scoped, Effect.provide(logs().layer)))
})

it.live("a websocket is one request: what each message does is a unit of work of its own when it is detached", () =>
  Effect.gen(function*() {
    const shop = orders()
    const handler = Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const socket = yield* Effect.orDie(request.upgrade)
      yield* mail("connection")
      yield* Socket.toStream(socket).pipe(
        Stream.runForEach((message) =>
          SideEffects.boundary(mail(new TextDecoder().decode(message)), { detached: true })
        ),
        Effect.ignore
      )
      return HttpServerResponse.empty()
    })
    const url = yield* serve(routed(handler, shop))
    const socket = new WebSocket(`${url.replace("http", "ws")}/orders/7`)
    yield* Effect.promise(() => new Promise((resolve) => socket.addEventListener("open", resolve)))
    socket.send("first")
    yield* until(() => shop.calls.length === 1)
    assert.deepStrictEqual(shop.calls, ["mail:first"])
    socket.close()
    yield* until(() => shop.reports.length === 1)
    assert.strictEqual(shop.reports[0]!.outcome, "released")
    yield* until(() => shop.calls.length === 2)
    assert.deepStrictEqual(shop.calls, ["mail:first", "mail:connection"])
  }).pipe(Effect.scoped))
