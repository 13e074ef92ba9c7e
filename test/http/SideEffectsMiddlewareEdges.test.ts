import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { SqlClient } from "effect/sql/SqlClient"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { call, hangUp, ledger, mail, Orders, orders, serve, serveEffect, until } from "./serving.ts"

setFlagsFromString("--expose-gc")
const gc: () => void = runInNewContext("gc")

type Shop = ReturnType<typeof orders>
type Options = SideEffectsMiddleware.Options
type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, any, any>
interface Web {
  readonly post: (path?: string) => Effect.Effect<Response>
  readonly dispose: Effect.Effect<void>
}

const done = HttpServerResponse.text("done")
const post = { method: "POST" }

const web = (
  { dispose, handler }: {
    readonly handler: (request: Request) => Promise<Response>
    readonly dispose: () => Promise<void>
  }
): Web => ({
  post: (path = "/orders/7") => Effect.promise(() => handler(new Request(`http://localhost${path}`, post))),
  dispose: Effect.promise(dispose)
})

/** A web handler of a router. */
const router = (app: Layer.Layer<never, any, any>) =>
  web(HttpRouter.toWebHandler(app as Layer.Layer<never, never, HttpRouter.HttpRouter>, { disableLogger: true }))

/** A web handler without one. */
const plain = (handler: Handler, live: Layer.Layer<never, any, any>) =>
  web(HttpEffect.toWebHandlerLayer(handler, live as Layer.Layer<never>) as any)

const routed = (handler: Handler, shop: Shop, options?: Options) =>
  HttpRouter.add("*", "/orders/:id", handler).pipe(
    Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, { ...shop.told, ...options })),
    Layer.provide(shop.layer)
  )

/** A service that the handlers of side effects stand on, so it has to be closed after them. */
const beneath = (shop: Shop, onClose: () => void) =>
  Layer.provide(shop.layer, Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(onClose))))

describe("a transaction around the middleware", () => {
  const Database = Layer.fresh(
    SqlOutboxStore.layer().pipe(
      Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))
    )
  )

  const database = Effect.gen(function*() {
    const context = yield* Layer.build(Database)
    const sql = Context.get(context, SqlClient)
    yield* sql`CREATE TABLE orders (id TEXT)`
    const rows = (table: string) =>
      Effect.map(sql<{ readonly n: number }>`SELECT count(*) AS n FROM ${sql(table)}`, ([row]) => row!.n)
    return { context, sql, insert: sql`INSERT INTO orders (id) VALUES ('7')`, rows }
  })
  type Database = Effect.Success<typeof database>

  /** `end` is the last thing in the transaction, after the boundary has released. */
  const ways: Record<string, (db: Database, handler: Handler, shop: Shop, end: Effect.Effect<void, string>) => Web> = {
    "a handler without a router": ({ context, sql }, handler, shop, end) =>
      plain(
        sql.withTransaction(Effect.tap(SideEffectsMiddleware.boundary(handler, shop.told), () => end)),
        Layer.provide(shop.layer, Layer.succeedContext(context))
      ),
    "a router": ({ context, sql }, handler, shop, end) =>
      router(
        routed(handler, shop).pipe(
          Layer.provide(HttpRouter.middleware(
            (handler) => Effect.orDie(sql.withTransaction(Effect.tap(handler, () => end))) as any,
            { global: true }
          )),
          Layer.provide(Layer.succeedContext(context))
        )
      )
  }

  for (const [way, served] of Object.entries(ways)) {
    it.live(`of ${way} decides on what waits for its commit`, () =>
      Effect.gen(function*() {
        const waiting = SqlSideEffects.afterCommit(Dispatcher.inline())
        const dispatchers = [waiting, Dispatcher.route([["**", waiting]])]
        for (const [commits, dispatcher] of [false, true].flatMap((_) => dispatchers.map((d) => [_, d] as const))) {
          const db = yield* database
          const shop = orders({ dispatcher })
          const handler = Effect.andThen(db.insert, Effect.as(mail("7"), done))
          const { dispose, post } = served(db, handler, shop, commits ? Effect.void : Effect.fail("constraint"))
          assert.strictEqual((yield* post()).status, commits ? 200 : 500)
          // It waits for all that is still to be dispatched.
          yield* dispose
          assert.strictEqual(yield* db.rows("orders"), commits ? 1 : 0)
          assert.deepStrictEqual(shop.calls, commits ? ["mail:7"] : [])
          assert.strictEqual(shop.reports[0]!.outcome, "released")
        }
      }).pipe(Effect.scoped))

    it.live(`of ${way} commits what is durable once, and the rest is dispatched after it`, () =>
      Effect.gen(function*() {
        for (const commits of [false, true]) {
          const db = yield* database
          const offered: Array<string> = []
          const store = Context.get(db.context, OutboxStore.OutboxStore)
          const counting = Context.add(
            db.context,
            OutboxStore.OutboxStore,
            {
              ...store,
              offerMany: (entries, ...rest) =>
                Effect.suspend(() => {
                  offered.push(...entries.map(({ name }) => name))
                  return store.offerMany(entries, ...rest)
                })
            } as typeof store
          )
          const shop = orders({
            dispatcher: Dispatcher.route([["orders:ledger:*", Outbox.dispatcher()], ["**", Dispatcher.inline()]])
          })
          const handler = Effect.andThen(mail("7"), Effect.as(ledger("7"), done))
          const end = Effect.suspend(() => {
            assert.deepStrictEqual(shop.calls, [])
            return commits ? Effect.void : Effect.fail("constraint")
          })
          const { dispose, post } = served({ ...db, context: counting }, handler, shop, end)
          assert.strictEqual((yield* post()).status, commits ? 200 : 500)
          yield* dispose
          assert.deepStrictEqual(offered, ["orders:ledger:write"])
          assert.strictEqual(yield* db.rows("side_effects_outbox"), commits ? 1 : 0)
          // It does not wait for a commit, and the boundary has released it.
          assert.deepStrictEqual(shop.calls, ["mail:7"])
        }
      }).pipe(Effect.scoped))
  }
})

describe("what is dispatched after the response", () => {
  it.live("may need what the request gives back", () =>
    Effect.gen(function*() {
      const desk = Semaphore.makeUnsafe(1)
      const handler = Effect.acquireRelease(desk.take(1), () => desk.release(1)).pipe(
        Effect.andThen(mail("7")),
        Effect.as(done)
      )
      const shop = orders({ perform: () => desk.withPermits(1)(Effect.void) })
      const url = yield* serveEffect(SideEffectsMiddleware.boundary(handler), shop.layer)
      for (const n of [1, 2]) {
        // A connection of its own, so that no request waits for another one to be through with it.
        const { status } = yield* call(`${url}/orders/7`, { ...post, headers: { connection: "close" } })
        assert.strictEqual(status, 200)
        yield* until(() => shop.calls.length === n)
      }
    }).pipe(Effect.scoped))

  it.live("does not keep a layer open that has waited for its grace period", () =>
    Effect.gen(function*() {
      const shop = orders({
        dispatcher: Dispatcher.background({ capacity: 1, gracePeriod: 50 }),
        perform: () => Effect.never
      })
      const { dispose, post } = router(routed(Effect.as(mail("7"), done), shop))
      const responses = yield* Effect.all([post(), post(), post()], { concurrency: "unbounded" })
      assert.deepStrictEqual(responses.map(({ status }) => status), [200, 200, 200])
      yield* dispose
      assert.deepStrictEqual(
        [0, 1, 2].flatMap(shop.ends),
        Array(3).fill("mail: discarded: dispatcher background was still underway when its dispatcher was closed")
      )
    }))

  it.live("is waited for by dispose of a web handler without a router, with all that it needs", () =>
    Effect.gen(function*() {
      const begun = Latch.makeUnsafe()
      const gate = Latch.makeUnsafe()
      const shop = orders({ perform: () => Effect.andThen(begun.open, gate.await) })
      let performed: ReadonlyArray<string> | undefined
      const live = beneath(shop, () => void (performed = [...shop.calls]))
      const { dispose, post } = plain(SideEffectsMiddleware.boundary(Effect.as(mail("7"), done)), live)
      assert.strictEqual((yield* post()).status, 200)
      yield* begun.await
      const disposing = yield* Effect.forkChild(dispose)
      // It has had its turn, and more.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      assert.isUndefined(disposing.pollUnsafe())
      assert.isUndefined(performed)
      yield* gate.open
      yield* until(() => disposing.pollUnsafe() !== undefined)
      assert.deepStrictEqual(performed, ["mail:7"])
    }))

  for (
    const [name, dispatcher] of [["inline", Dispatcher.inline()], ["background", Dispatcher.background()]] as const
  ) {
    it.live(`is performed ${name} before a live layer is closed that lives as long as the request`, () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const shop = orders({
          dispatcher,
          perform: () => Effect.andThen(Effect.yieldNow, Effect.sync(() => void log.push("performed")))
        })
        const handler = Effect.as(mail("7"), done).pipe(
          SideEffectsMiddleware.boundary(shop.told),
          Effect.provide(beneath(shop, () => void log.push("closed")))
        )
        const { post } = plain(handler as Handler, Layer.empty)
        assert.strictEqual((yield* post()).status, 200)
        yield* until(() => log.includes("closed"))
        assert.deepStrictEqual(log, ["performed", "closed"])
        assert.deepStrictEqual(shop.ends(0), [`mail: dispatched by dispatcher ${name}`])
      }))
  }

  it.live("does not wait for itself where its handler calls SideEffects.drain", () =>
    Effect.gen(function*() {
      let live: Context.Context<any> | undefined
      const gate = Latch.makeUnsafe()
      const log: Array<string> = []
      const shop = orders({
        perform: (what) =>
          Effect.gen(function*() {
            if (what === "mail:7") yield* Effect.provideContext(SideEffects.drain, live!)
            else yield* gate.await
            log.push(what)
          })
      })
      live = yield* Layer.build(shop.layer)
      const { dispose, post } = router(
        HttpRouter.add("*", "/orders/:id", Effect.flatMap(HttpRouter.params, ({ id }) => Effect.as(mail(id!), done)))
          .pipe(
            Layer.provide(SideEffectsMiddleware.layerGlobal(Orders)),
            Layer.provide(Layer.succeedContext(live))
          )
      )
      yield* post("/orders/8")
      yield* post("/orders/7")
      yield* until(() => log.length === 1)
      yield* gate.open
      yield* until(() => log.length === 2)
      assert.deepStrictEqual(log, ["mail:7", "mail:8"])
      yield* dispose
    }).pipe(Effect.scoped))

  it.live("is not more than 1,024 at a time: the next request waits for its own", () =>
    Effect.gen(function*() {
      const gate = Latch.makeUnsafe()
      const last = Latch.makeUnsafe()
      const begun: Array<string> = []
      const shop = orders({
        perform: (what) =>
          Effect.suspend(() => {
            begun.push(what)
            return what === "mail:1025" ? last.await : gate.await
          })
      })
      const handler = Effect.gen(function*() {
        const { id } = yield* HttpRouter.params
        if (id !== "none") yield* mail(id!)
        return done
      })
      const live = yield* Layer.build(shop.layer)
      const { dispose, post } = router(routed(handler, { ...shop, layer: Layer.succeedContext(live) }))
      for (let i = 1; i <= 1024; i++) assert.strictEqual((yield* post(`/orders/${i}`)).status, 200)
      yield* until(() => begun.length === 1024)
      const next = yield* Effect.forkChild(post("/orders/1025"))
      yield* until(() => begun.length === 1025)
      // Who leaves nothing is not concerned.
      assert.strictEqual((yield* post("/orders/none")).status, 200)
      assert.isUndefined(next.pollUnsafe())
      yield* last.open
      yield* until(() => next.pollUnsafe() !== undefined)
      assert.deepStrictEqual(shop.calls, ["mail:1025"])
      yield* gate.open
      yield* Effect.provideContext(SideEffects.drain, live)
      assert.lengthOf(shop.calls, 1025)
      // There is room again.
      yield* last.close
      assert.strictEqual((yield* post("/orders/1025")).status, 200)
      yield* last.open
      yield* Effect.provideContext(SideEffects.drain, live)
      assert.lengthOf(shop.calls, 1026)
      yield* dispose
    }).pipe(Effect.scoped))

  it.live("keeps nothing of the request, however long its delay", () =>
    Effect.gen(function*() {
      const shop = orders({ dispatcher: Dispatcher.background({ gracePeriod: 10 }) })
      const requests: Array<WeakRef<object>> = []
      const sendMail = Orders.sideEffects.get("orders:mail:send")!
      const handler = Effect.gen(function*() {
        const { source } = yield* HttpServerRequest.HttpServerRequest
        requests.push(new WeakRef(source))
        yield* SideEffects.enqueue(sendMail, { id: "7" }, { delay: "1 hour" })
        return done
      })
      const { dispose, post } = router(routed(handler, shop, { onClose: () => Effect.void }))
      for (let i = 0; i < 20; i++) assert.strictEqual((yield* post()).status, 200)
      const kept = () => {
        gc()
        return requests.filter((request) => request.deref() !== undefined).length
      }
      yield* until(() => kept() === 0)
      assert.lengthOf(requests, 20)
      yield* dispose
      assert.deepStrictEqual(shop.calls, [])
    }))
})

describe("an error that makes its own response", () => {
  const failing = (toResponse: () => Effect.Effect<any, any>) =>
    Effect.gen(function*() {
      const asked: Array<number> = []
      const shop = orders()
      const handler = Effect.andThen(
        mail("7"),
        Effect.fail({ _tag: "NoTemplate", [HttpServerRespondable.symbol]: toResponse })
      )
      const shouldRelease = (_: unknown, { status }: { readonly status: number }) => {
        asked.push(status)
        return true
      }
      const { dispose, post } = router(routed(handler, shop, { shouldRelease }))
      // Effect does not answer at all where making it throws.
      const posting = yield* Effect.forkChild(post())
      yield* until(() => shop.reports.length === 1)
      yield* dispose
      posting.interruptUnsafe()
      return { asked, calls: shop.calls, ends: shop.ends(0) }
    })

  it.live("discards where that throws, and there is nothing to ask shouldRelease about", () =>
    Effect.gen(function*() {
      const { asked, calls, ends } = yield* failing(() => {
        throw new Error("no template")
      })
      assert.deepStrictEqual(ends, ["mail: discarded: boundary \"POST /orders/:id\" failed with NoTemplate"])
      assert.deepStrictEqual([calls, asked], [[], []])
    }))

  it.live("is answered 500 where that dies or fails, and shouldRelease is asked about it", () =>
    Effect.gen(function*() {
      for (const broken of [Effect.die("no template"), Effect.fail("no template")]) {
        const { asked, calls } = yield* failing(() => broken)
        assert.deepStrictEqual([calls, asked], [["mail:7"], [500]])
      }
    }))
})

it.live("a route that is uninterruptible stays so behind a middleware of all routes", () =>
  Effect.gen(function*() {
    const shop = orders()
    const waiting = Latch.makeUnsafe()
    const gate = Latch.makeUnsafe()
    let interrupted = false
    const handler = waiting.open.pipe(
      Effect.andThen(gate.await),
      Effect.onInterrupt(() => Effect.sync(() => void (interrupted = true))),
      Effect.andThen(mail("7")),
      Effect.as(done)
    )
    const hungUp = Latch.makeUnsafe()
    const url = yield* serve(
      HttpRouter.add("POST", "/orders/:id", handler, { uninterruptible: true }).pipe(
        Layer.provide(SideEffectsMiddleware.layerGlobal(Orders, shop.told)),
        // An interruptible one beside it says when the server knows that the client has gone.
        Layer.merge(HttpRouter.add(
          "POST",
          "/beside",
          Effect.andThen(waiting.open, Effect.never).pipe(Effect.onInterrupt(() => hungUp.open))
        )),
        Layer.provide(shop.layer)
      )
    )
    // Also where this fails, or the server would wait for it.
    yield* Effect.addFinalizer(() => gate.open)
    const first = hangUp(`${url}/orders/7`)
    yield* waiting.await
    yield* waiting.close
    const second = hangUp(`${url}/beside`)
    yield* waiting.await
    first.abort()
    second.abort()
    yield* hungUp.await
    yield* gate.open
    yield* until(() => shop.reports.length === 2)
    assert.isFalse(interrupted)
    assert.deepStrictEqual(shop.reports.map(({ name, outcome }) => [name, outcome]), [
      ["POST /beside", "discarded"],
      ["POST /orders/:id", "released"]
    ])
    yield* until(() => shop.calls.length === 1)
  }).pipe(Effect.scoped))

for (const same of [false, true]) {
  it.live(`a request ${same ? "joins a boundary around it" : "does not join a boundary of another layer"}`, () =>
    Effect.gen(function*() {
      const shop = orders()
      const other = orders()
      const around = HttpRouter.middleware(
        Effect.map(
          SideEffects.SideEffects,
          (place) => (handler) =>
            SideEffects.boundary(handler, { name: "around", releaseWhen: () => false, ...other.told }).pipe(
              Effect.provideService(SideEffects.SideEffects, place)
            ) as any
        ),
        { global: true }
      ) as Layer.Layer<never, never, any>
      const live = yield* Layer.build(shop.layer)
      const app = HttpRouter.add("*", "/orders/:id", Effect.as(mail("7"), done)).pipe(
        Layer.provide(
          SideEffectsMiddleware.layerGlobal(Orders, shop.told).pipe(
            Layer.provide(Layer.succeedContext(live))
          )
        ),
        Layer.provide(around.pipe(Layer.provide(same ? Layer.succeedContext(live) : other.layer)))
      )
      const { dispose, post } = router(app)
      assert.strictEqual((yield* post()).status, 200)
      yield* dispose
      assert.strictEqual(shop.reports[0]!.outcome, same ? "captured" : "released")
      assert.lengthOf(other.reports[0]!.intents, same ? 1 : 0)
      yield* until(() => shop.reports[0]!.pending.length === 0)
      assert.deepStrictEqual(shop.calls, same ? [] : ["mail:7"])
    }).pipe(Effect.scoped))
}
