import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, SideEffects } from "effect-side-effects"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { Isolation } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { FetchHttpClient, HttpClient } from "effect/http"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { mail, push, shop } from "../fixtures.ts"

const Sqlite = SqliteClient.layer({ filename: ":memory:" })

const inTransaction = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.withTransaction(self))

/** A real server on this machine, and how often it was asked. */
class World extends Context.Service<World, { readonly url: string; readonly asked: ReadonlyArray<string> }>()(
  "test/World"
) {}

const WorldLive = Layer.effect(
  World,
  Effect.gen(function*() {
    const asked: Array<string> = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.end("ok")
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    )
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
  })
)

const found = <A, E, R>(self: Effect.Effect<A, E, R>, options?: Isolation.Options) =>
  Effect.map(Isolation.observe(self, options), ({ reports }) => reports.map(({ kind, what }) => `${kind} ${what}`))

describe("Isolation", () => {
  describe("handlers", () => {
    it.effect("one that is performed inside a transaction fails the test, which says what, where and what to do", () => {
      const { calls, layer } = shop()
      const checkout = Effect.fn("checkout")(function*(id: string) {
        yield* SideEffects.boundary(mail(id))
      })
      return Effect.gen(function*() {
        const error = yield* Effect.flip(Isolation.check(inTransaction(checkout("1"))))
        assert.instanceOf(error, Isolation.NotIsolated)
        assert.include(error.message, "1 call left the program while an SQL transaction was open")
        assert.match(
          error.message,
          /1\. the handler of side effect "orders:mail:send", defined at .*fixtures\.ts:\d+:\d+/
        )
        assert.match(error.message, /at checkout \(.*Isolation\.test\.ts:\d+:\d+\)/)
        assert.include(error.message, "Put the boundary around the transaction")
        assert.deepStrictEqual(calls, ["mail:1"])
      }).pipe(Effect.provide([layer, Sqlite]))
    })

    it.effect("the boundary around the transaction is how it should be", () => {
      const { calls, layer } = shop()
      return Effect.gen(function*() {
        yield* Isolation.check(SideEffects.boundary(inTransaction(mail("1"))))
        assert.deepStrictEqual(calls, ["mail:1"])
      }).pipe(Effect.provide([layer, Sqlite]))
    })

    it.effect("SqlSideEffects.transaction performs too early without a dispatcher that waits for the commit", () => {
      const { layer } = shop()
      const waiting = shop({ dispatcher: SqlSideEffects.afterCommit(Dispatcher.inline()) })
      const program = SqlSideEffects.transaction(mail("1"))
      return Effect.gen(function*() {
        assert.deepStrictEqual(yield* found(program).pipe(Effect.provide(layer)), ["handler orders:mail:send"])
        assert.deepStrictEqual(yield* found(program).pipe(Effect.provide(waiting.layer)), [])
        assert.deepStrictEqual(waiting.calls, ["mail:1"])
      }).pipe(Effect.provide(Sqlite))
    })

    it.effect("the background does not wait for the commit either", () => {
      const { calls, layer } = shop({ dispatcher: Dispatcher.background() })
      return Effect.gen(function*() {
        const unit = SideEffects.boundary(mail("1"))
        assert.deepStrictEqual(yield* found(Effect.andThen(inTransaction(unit), SideEffects.drain)), [
          "handler orders:mail:send"
        ])
        assert.deepStrictEqual(
          yield* found(Effect.andThen(SideEffects.boundary(inTransaction(mail("2"))), SideEffects.drain)),
          []
        )
        assert.deepStrictEqual(calls, ["mail:1", "mail:2"])
      }).pipe(Effect.provide([layer, Sqlite]))
    })

    it.effect("a layer that is built inside is heard as one that was there before, each once", () => {
      const { layer } = shop()
      const program = inTransaction(SideEffects.boundary(Effect.andThen(mail("1"), push("2"))))
      const both = ["handler orders:mail:send", "handler orders:push:notify"]
      return Effect.gen(function*() {
        assert.deepStrictEqual(yield* found(Effect.provide(program, layer)), both)
        assert.deepStrictEqual(
          yield* Effect.provide(
            Effect.gen(function*() {
              assert.deepStrictEqual(yield* found(program), both)
              assert.deepStrictEqual(yield* found(program), both)
            }),
            layer
          ),
          undefined
        )
      }).pipe(Effect.provide(Sqlite))
    })

    it.effect("nobody else's test is told", () => {
      const { layer } = shop()
      const program = inTransaction(SideEffects.boundary(mail("1")))
      return Effect.gen(function*() {
        assert.deepStrictEqual(yield* found(Effect.void), [])
        yield* program
        const [inside, beside] = yield* Effect.all([
          found(program),
          found(SideEffects.boundary(inTransaction(mail("2"))))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(inside, ["handler orders:mail:send"])
        assert.deepStrictEqual(beside, [])
      }).pipe(Effect.provide([layer, Sqlite]))
    })

    it.effect("inside a test that is rolled back, only the transactions of the program count", () => {
      const { layer } = shop()
      return Effect.gen(function*() {
        const right = SideEffects.boundary(inTransaction(mail("1")))
        const wrong = inTransaction(SideEffects.boundary(mail("1")))
        const rolledBack = <E, R>(self: Effect.Effect<ReadonlyArray<string>, E, R>) =>
          inTransaction(Effect.flatMap(self, Effect.fail)).pipe(Effect.flip)
        assert.deepStrictEqual(yield* rolledBack(found(right)), [])
        assert.deepStrictEqual(yield* rolledBack(found(wrong)), ["handler orders:mail:send"])
        const simulated = <A, E, R>(self: Effect.Effect<ReadonlyArray<A>, E, R>) =>
          rolledBack(SqlSideEffects.withSimulatedCommit(self) as Effect.Effect<ReadonlyArray<any>, any, R>)
        assert.deepStrictEqual(yield* simulated(found(right)), [])
        assert.deepStrictEqual(yield* simulated(found(wrong)), ["handler orders:mail:send"])
      }).pipe(Effect.provide([layer, Sqlite]))
    })
  })

  describe("requests", () => {
    for (
      const [name, client] of [
        ["FetchHttpClient", FetchHttpClient.layer],
        ["NodeHttpClient", NodeHttpClient.layerNodeHttp],
        ["Undici", NodeHttpClient.layerUndici]
      ] as const
    ) {
      it.live(`of an HttpClient are found once (${name})`, () =>
        Effect.gen(function*() {
          const { asked, url } = yield* World
          const http = yield* HttpClient.HttpClient
          assert.deepStrictEqual(yield* found(http.post(`${url}/hook?secret=1`)), [])
          assert.deepStrictEqual(yield* found(inTransaction(http.post(`${url}/hook?secret=1`))), [
            `HttpClient POST ${url}/hook`
          ])
          assert.deepStrictEqual(asked, ["POST /hook?secret=1", "POST /hook?secret=1"])
        }).pipe(Effect.provide([WorldLive, client, Sqlite])))
    }

    it.live("say where they were made", () => {
      const notify = Effect.fn("notify")(function*(url: string) {
        yield* HttpClient.get(url)
      })
      return Effect.gen(function*() {
        const { url } = yield* World
        const error = yield* Effect.flip(Isolation.check(inTransaction(notify(url))))
        assert.instanceOf(error, Isolation.NotIsolated)
        assert.match((error as Error).message, /at notify \(.*Isolation\.test\.ts:\d+:\d+\)/)
        assert.include((error as Error).message, "Make it a side effect and enqueue it")
      }).pipe(Effect.provide([WorldLive, FetchHttpClient.layer, Sqlite]))
    })

    it.live("of fetch are found, with the calls that led there", () =>
      Effect.gen(function*() {
        const { url } = yield* World
        const before = globalThis.fetch
        const callOldCode = () => fetch(`${url}/old`, { method: "PUT" })
        const { reports } = yield* Isolation.observe(inTransaction(Effect.promise(callOldCode)))
        assert.deepStrictEqual(reports.map(({ what }) => what), [`PUT ${url}/old`])
        assert.isTrue(
          reports[0]!.stack.some((line) => /callOldCode .*Isolation\.test\.ts/.test(line)),
          reports[0]!.stack.join("\n")
        )
        assert.strictEqual(globalThis.fetch, before)
        assert.deepStrictEqual(yield* found(Effect.promise(callOldCode)), [])
        const request = new Request(`${url}/request`, { method: "DELETE" })
        assert.deepStrictEqual(yield* found(inTransaction(Effect.promise(() => fetch(request)))), [
          `fetch DELETE ${url}/request`
        ])
      }).pipe(Effect.provide([WorldLive, Sqlite])))

    it.live("are traced as before", () =>
      Effect.gen(function*() {
        const { url } = yield* World
        const asked: Array<string> = []
        const disabled = ({ url }: { readonly url: string }) => {
          asked.push(url)
          return true
        }
        yield* Isolation.check(HttpClient.get(url)).pipe(Effect.provideService(HttpClient.TracerDisabledWhen, disabled))
        assert.deepStrictEqual(asked, [url])
      }).pipe(Effect.provide([WorldLive, FetchHttpClient.layer])))

    it.live("that are allowed are not reported", () =>
      Effect.gen(function*() {
        const { url } = yield* World
        const program = inTransaction(HttpClient.get(url))
        yield* Isolation.check(program, { allow: ({ what }) => what.startsWith(`GET ${url}`) })
        assert.lengthOf(yield* found(program, { allow: ({ kind }) => kind === "handler" }), 1)
      }).pipe(Effect.provide([WorldLive, FetchHttpClient.layer, Sqlite])))
  })

  it.effect("how the program ends is left alone; when it fails as well, both are told", () => {
    const { layer } = shop()
    return Effect.gen(function*() {
      assert.strictEqual(yield* Isolation.check(Effect.succeed(1)), 1)
      assert.strictEqual(yield* Effect.flip(Isolation.check(Effect.fail("no"))), "no")
      const exit = yield* Effect.exit(
        Isolation.check(inTransaction(Effect.andThen(SideEffects.boundary(mail("1")), Effect.fail("no"))))
      )
      assert.isTrue(Exit.isFailure(exit))
      const errors = exit._tag === "Failure"
        ? exit.cause.reasons.filter(Cause.isFailReason).map(({ error }) => error)
        : []
      assert.strictEqual(errors[0], "no")
      assert.instanceOf(errors[1], Isolation.NotIsolated)
    }).pipe(Effect.provide([layer, Sqlite]))
  })

  it.effect("an allow that dies lets nothing through, and is told of", () => {
    const { layer } = shop()
    const program = inTransaction(SideEffects.boundary(mail("1")))
    const allow = () => {
      throw new Error("broken")
    }
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Isolation.check(program, { allow }))
      const died = exit._tag === "Failure" ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined
      assert.match(
        (died as Error).message,
        /^allow of Isolation died when it was asked about the handler of side effect/
      )
    }).pipe(Effect.provide([layer, Sqlite]))
  })

  it.effect("fetch is given back when the last one has ended, and not over what somebody else has put there", () =>
    Effect.gen(function*() {
      const before = globalThis.fetch
      const gate = Latch.makeUnsafe()
      const first = yield* Effect.forkChild(Isolation.observe(gate.await))
      yield* Effect.yieldNow
      yield* Isolation.observe(Effect.void)
      yield* gate.open
      yield* Fiber.join(first)
      assert.strictEqual(globalThis.fetch, before)
      const stub = () => Promise.resolve(new Response())
      yield* Isolation.observe(Effect.sync(() => void (globalThis.fetch = stub)))
      const after = globalThis.fetch
      globalThis.fetch = before
      assert.strictEqual(after, stub)
    }))

  it.effect("an inner check that allows does not silence the outer one", () => {
    const { layer } = shop()
    const program = inTransaction(SideEffects.boundary(mail("1")))
    return Effect.gen(function*() {
      const outer = yield* Isolation.observe(Isolation.check(program, { allow: () => true }))
      assert.lengthOf(outer.reports, 1)
    }).pipe(Effect.provide([layer, Sqlite]))
  })

  it.effect("a check inside a check: both are told", () => {
    const { layer } = shop()
    const program = inTransaction(SideEffects.boundary(mail("1")))
    return Effect.gen(function*() {
      const outer = yield* Isolation.observe(Isolation.observe(program))
      assert.lengthOf(outer.reports, 1)
      assert.lengthOf(outer.exit._tag === "Success" ? outer.exit.value.reports : [], 1)
    }).pipe(Effect.provide([layer, Sqlite]))
  })
})
