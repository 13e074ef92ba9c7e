import { assert, describe, it } from "@effect/vitest"
import {
  Catalog,
  Decision,
  Dispatcher,
  Policy,
  Recorder,
  SideEffect,
  SideEffectGroup,
  SideEffects
} from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { capture, expectEnqueued } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setImmediate, setTimeout } from "node:timers/promises"
import { logs } from "./fixtures.ts"

/** A program of promises, as it was: a function that sends, and what is called around it. */
const oldProgram = () => {
  const sent: Array<string> = []
  const mail = SideEffect.fromFunction(
    "orders:mail:send",
    async (to: string, subject: string = "hello") => {
      await setImmediate()
      sent.push(`${subject} to ${to}`)
      return `id of ${to}`
    },
    { description: "Email a customer.", deprecation: "yield* SideEffects.enqueue(SendMail, [to, subject])" }
  )
  const group = SideEffectGroup.make("orders").add(mail.definition)
  const live = SideEffects.LiveLayer(group).pipe(Layer.provide(mail.layer))
  return { sent, mail, sendMail: mail.call, group, live }
}

const promise = <A>(f: () => Promise<A>) => Effect.promise(f)

/** Awaits of all kinds: microtasks, immediates, timers, a callback. */
const awaits = async () => {
  await undefined
  await setImmediate()
  await setTimeout(1)
  await new Promise<void>((resolve) => process.nextTick(resolve))
}

/** A runtime that knows nothing of the one around. */
const runAnew = <A, E>(self: Effect.Effect<A, E>) => Effect.runPromise(self)

const rejection = (f: () => Promise<unknown>) =>
  Effect.promise(() => f().then(() => assert.fail("it did not reject"), (error) => error as any))

describe("fromFunction", () => {
  describe("outside a boundary", () => {
    it("does what it did before, without a layer and without a fiber", async () => {
      const { sendMail, sent } = oldProgram()
      assert.strictEqual(await sendMail("ada"), "id of ada")
      assert.deepStrictEqual(sent, ["hello to ada"])
    })

    it.effect("does what it did before, and nothing is logged", () => {
      const { live, sendMail, sent } = oldProgram()
      const { layer, lines } = logs()
      return Effect.gen(function*() {
        assert.strictEqual(yield* promise(() => sendMail("ada")), "id of ada")
        assert.strictEqual(
          yield* promise(async () => {
            await awaits()
            return sendMail("bob")
          }),
          "id of bob"
        )
        assert.deepStrictEqual(sent, ["hello to ada", "hello to bob"])
        assert.deepStrictEqual(lines, [])
      }).pipe(Effect.provide([live, layer]))
    })

    it("returns the very promise, and throws what is thrown", async () => {
      const returned = Promise.resolve(1)
      const same = SideEffect.fromFunction("a:same", () => returned, { description: "Same." })
      assert.strictEqual(same.call(), returned as Promise<number | undefined>)
      const throwing = SideEffect.fromFunction("a:throwing", () => {
        throw new RangeError("at once")
      }, { description: "Throws." })
      assert.throws(() => throwing.call(), RangeError)
      const plain = SideEffect.fromFunction("a:plain", (n: number) => n + 1, { description: "Plain." })
      assert.strictEqual(await plain.call(1), 2)
    })

    it.effect("after a boundary in the same fiber it is outside again", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* SideEffects.boundary(promise(awaits))
        const id = yield* promise(async () => {
          await awaits()
          return sendMail("ada")
        })
        assert.strictEqual(id, "id of ada")
        assert.deepStrictEqual(sent, ["hello to ada"])
      }).pipe(Effect.provide(live))
    })

    it.live("who started the fiber stays outside", () => {
      const { live, sendMail, sent } = oldProgram()
      const runtime = ManagedRuntime.make(live)
      return Effect.promise(async () => {
        await runtime.context()
        const closed = Promise.withResolvers<void>()
        const running = runtime.runPromise(SideEffects.boundary(Effect.promise(() => closed.promise)))
        // Synchronously after it, and behind an await.
        assert.strictEqual(await sendMail("ada"), "id of ada")
        assert.strictEqual(await sendMail("bob"), "id of bob")
        closed.resolve()
        await running
        assert.strictEqual(await sendMail("cy"), "id of cy")
        assert.strictEqual(sent.length, 3)
        await runtime.dispose()
      })
    })
  })

  describe("inside a boundary", () => {
    it.effect("waits for the boundary to succeed, and resolves to undefined", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const seen = yield* SideEffects.boundary(promise(async () => {
          const results = [await sendMail("ada", "1")]
          await awaits()
          results.push(await sendMail("bob", "2"))
          await awaits()
          return { results, sent: [...sent] }
        }))
        assert.deepStrictEqual(seen, { results: [undefined, undefined], sent: [] })
        assert.deepStrictEqual(sent, ["1 to ada", "2 to bob"])
      }).pipe(Effect.provide(live))
    })

    it.effect("is discarded when the old code fails, before and behind an await", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const exit = yield* Effect.exit(SideEffects.boundary(promise(async () => {
          await sendMail("ada")
          await awaits()
          await sendMail("bob")
          throw new Error("no stock")
        })))
        assert.isTrue(Exit.isFailure(exit))
        yield* promise(awaits)
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(live))
    })

    it.effect("calls that nobody waits for keep their order", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* SideEffects.boundary(promise(async () => {
          void sendMail("1")
          void sendMail("2")
          await Promise.all(["3", "4"].map((to) => sendMail(to)))
        }))
        assert.deepStrictEqual(sent.map((mail) => mail.at(-1)), ["1", "2", "3", "4"])
      }).pipe(Effect.provide(live))
    })

    it.effect("with fibers, streams, timers and races in between", () => {
      const { mail, sendMail, sent } = oldProgram()
      const later = (to: string) =>
        promise(async () => {
          await awaits()
          await sendMail(to)
        })
      return Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.gen(function*() {
          yield* Effect.all([later("all 1"), later("all 2")], { concurrency: "unbounded" })
          yield* Fiber.join(yield* Effect.forkChild(later("child")))
          yield* Fiber.join(yield* Effect.forkChild(later("at once"), { startImmediately: true }))
          yield* Fiber.join(yield* Effect.forkDetach(later("detached")))
          yield* Stream.fromIterable(["stream 1", "stream 2"]).pipe(
            Stream.mapEffect(later, { concurrency: 2 }),
            Stream.runDrain
          )
          yield* Effect.timeout(later("timeout"), "1 minute")
          yield* Effect.race(later("race"), Effect.never)
          yield* Effect.callback<void>((resume) => {
            globalThis.setTimeout(() => void sendMail("timer").then(() => resume(Effect.void)), 1)
          })
          // A runtime of its own, started by the old code.
          yield* promise(() => runAnew(Effect.andThen(Effect.promise(awaits), later("another runtime"))))
        }))
        assert.deepStrictEqual(sent, [])
        const enqueued = yield* expectEnqueued(mail.definition, undefined, { times: 11 })
        assert.deepStrictEqual(
          enqueued.map(({ payload }) => payload[0]).toSorted(),
          [
            "all 1",
            "all 2",
            "another runtime",
            "at once",
            "child",
            "detached",
            "race",
            "stream 1",
            "stream 2",
            "timeout",
            "timer"
          ]
        )
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })

    it.effect("a fiber of the same layer that old code starts anew does not lead out", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const context = yield* Effect.context<SideEffects.SideEffects<never>>()
        yield* SideEffects.boundary(promise(async () => {
          await awaits()
          await Effect.runPromiseWith(context)(promise(() => sendMail("sync")))
          await Effect.runPromiseWith(context)(promise(async () => {
            await awaits()
            await sendMail("behind")
          }))
          assert.deepStrictEqual(sent, [])
        }))
        assert.deepStrictEqual(sent, ["hello to sync", "hello to behind"])
      }).pipe(Effect.provide(live))
    })

    it.effect("a fiber of another layer has its own", () => {
      const { mail, sendMail, sent } = oldProgram()
      const other = ManagedRuntime.make(oldProgram().live)
      return Effect.gen(function*() {
        yield* SideEffects.boundary(promise(() => other.runPromise(promise(() => sendMail("ada")))))
        assert.deepStrictEqual(sent, ["hello to ada"])
        yield* expectEnqueued(mail.definition, undefined, { times: 0 })
        yield* promise(() => other.dispose())
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })

    it.effect("the intent leads to the span of the call, or of the boundary where there is no fiber", () => {
      const { mail, sendMail } = oldProgram()
      return Effect.gen(function*() {
        const spans = yield* SideEffects.boundary(Effect.gen(function*() {
          const inside = yield* Effect.withSpan(
            Effect.andThen(promise(() => sendMail("a")), Effect.currentSpan),
            "inside"
          )
          yield* Effect.withSpan(promise(() => awaits().then(() => sendMail("b"))), "behind")
          return [inside.spanId, (yield* Effect.currentSpan).spanId]
        })).pipe(Effect.withSpan("outside"))
        const intents = yield* expectEnqueued(mail.definition, undefined, { times: 2 })
        assert.deepStrictEqual(intents.map(({ traceparent }) => traceparent?.split("-")[2]), spans)
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })

    it.effect("runSync works as well", () => {
      const { mail, sendMail } = oldProgram()
      return Effect.gen(function*() {
        const context = yield* Effect.context<Recorder.Recorder | SideEffects.SideEffects<never>>()
        Effect.runSyncWith(context)(SideEffects.boundary(Effect.sync(() => void sendMail("ada"))))
        yield* expectEnqueued(mail.definition, ["ada"], { times: 1 })
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })

    it.effect("a boundary inside that fails discards its own", () => {
      const { live, sendMail, sent } = oldProgram()
      const behind = (to: string) => async () => {
        await awaits()
        await sendMail(to)
      }
      return Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.gen(function*() {
          yield* promise(behind("before"))
          yield* Effect.exit(SideEffects.boundary(Effect.andThen(promise(behind("inside")), Effect.fail("no"))))
          yield* SideEffects.boundary(promise(behind("captured")))
          yield* promise(behind("after"))
          assert.deepStrictEqual(sent, [])
        }))
        assert.deepStrictEqual(sent, ["hello to before", "hello to captured", "hello to after"])
      }).pipe(Effect.provide(live))
    })

    it.effect("a boundary that is opened by hand", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const boundary = yield* SideEffects.open()
        yield* boundary.run(promise(async () => {
          await awaits()
          await sendMail("ada")
        }))
        yield* boundary.discard()
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(live))
    })

    it.effect("a policy of withPolicy holds behind an await", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* SideEffects.boundary(
          promise(async () => {
            await awaits()
            await sendMail("ada")
          }).pipe(SideEffects.withPolicy(Policy.dropAll))
        )
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(live))
    })

    it.effect("a policy of withPolicy holds outside a boundary, too", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* promise(async () => {
          await awaits()
          await sendMail("ada")
        }).pipe(SideEffects.withPolicy(Policy.dropAll))
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(live))
    })

    it.effect("old callers and new ones work side by side", () => {
      const { live, mail, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.gen(function*() {
          yield* promise(() => sendMail("old"))
          yield* SideEffects.enqueue(mail.definition, ["new"])
          yield* promise(() => sendMail("older"))
        }))
        assert.deepStrictEqual(sent, ["hello to old", "hello to new", "hello to older"])
      }).pipe(Effect.provide(live))
    })

    it.effect("a call that comes too late rejects with BoundaryClosed, and that is logged", () => {
      const { live, sendMail, sent } = oldProgram()
      const { layer, lines } = logs()
      return Effect.gen(function*() {
        const ended = yield* Deferred.make<void>()
        let stray: Promise<unknown> | undefined
        yield* SideEffects.boundary(
          Effect.sync(() => {
            stray = runAnew(Deferred.await(ended)).then(() => sendMail("ada"))
            stray.catch(() => {})
          }),
          { name: "checkout" }
        )
        yield* Deferred.succeed(ended, undefined)
        const error = yield* rejection(() => stray!)
        assert.instanceOf(error, SideEffects.BoundaryClosed)
        assert.include(error.message, "boundary \"checkout\" had ended (released)")
        assert.isTrue(lines.some((line) => line.startsWith("ERROR") && line.includes("orders:mail:send")))
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide([live, layer]))
    })

    it.effect("1,000 interleaved units of work never see each other's calls", () => {
      const mail = SideEffect.fromFunction("a:mail", async (_unit: number, _step: number) => {}, {
        description: "Mail.",
        deprecation: false
      })
      const unit = (i: number) =>
        SideEffects.boundary(
          Effect.andThen(
            promise(async () => {
              for (let step = 0; step < 3; step++) {
                await setImmediate()
                if ((i + step) % 3 === 0) await undefined
                await mail.call(i, step)
              }
            }),
            i % 2 === 0 ? Effect.void : Effect.fail("odd")
          ),
          {
            onClose: ({ intents, outcome }) =>
              Effect.sync(() => {
                assert.deepStrictEqual(intents.map(({ payload }) => payload), [[i, 0], [i, 1], [i, 2]])
                assert.strictEqual(outcome, i % 2 === 0 ? "released" : "discarded")
                checked++
              })
          }
        )
      let checked = 0
      return Effect.gen(function*() {
        yield* Effect.forEach(Array.from({ length: 1000 }, (_, i) => i), (i) => Effect.exit(unit(i)), {
          concurrency: "unbounded",
          discard: true
        })
        assert.strictEqual(checked, 1000)
        yield* expectEnqueued(mail.definition, undefined, { times: 1500 })
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })

    it.live("requests of a server of promises stay apart", () => {
      const { live, mail, sent } = oldProgram()
      const runtime = ManagedRuntime.make(live)
      const server = createServer((request, response) => {
        const to = request.url!.slice(1)
        const handled = async () => {
          await awaits()
          await mail.call(to)
          await awaits()
          if (to.startsWith("bad")) throw new Error("no")
        }
        runtime.runPromise(SideEffects.boundary(Effect.promise(handled))).then(
          () => response.end("ok"),
          () => response.writeHead(500).end()
        )
      })
      return Effect.promise(async () => {
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        const names = Array.from({ length: 60 }, (_, i) => `${i % 3 === 0 ? "bad" : "good"}${i}`)
        const answers = await Promise.all(names.map(async (name) => (await fetch(`${url}/${name}`)).status))
        assert.strictEqual(answers.filter((status) => status === 200).length, 40)
        assert.deepStrictEqual(
          sent.toSorted(),
          names.filter((name) => name.startsWith("good")).map((name) => `hello to ${name}`).toSorted()
        )
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
        await runtime.dispose()
      })
    })
  })

  it.live("the HTTP middleware opens the boundary for old code, too", () => {
    const { live, sendMail, sent } = oldProgram()
    const handler = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
      Effect.as(
        promise(async () => {
          await awaits()
          await sendMail(url.slice(1))
        }),
        HttpServerResponse.empty({ status: url.startsWith("/bad") ? 422 : 204 })
      ))
    return Effect.promise(async () => {
      const unit = SideEffectsMiddleware.boundary(handler, { dispatch: "before-response" })
      const { dispose, handler: answer } = HttpEffect.toWebHandlerLayer(unit, live)
      const statuses = await Promise.all(
        ["bad", "ada", "bob"].map(async (name) => (await answer(new Request(`http://localhost/${name}`))).status)
      )
      await dispose()
      assert.deepStrictEqual(statuses, [422, 204, 204])
      assert.deepStrictEqual(sent.toSorted(), ["hello to ada", "hello to bob"])
    })
  })

  describe("under layers that let nothing leave", () => {
    it.effect("plan shows it", () => {
      const { live, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const plan = yield* SideEffects.plan(promise(async () => {
          await awaits()
          await sendMail("ada")
        }))
        assert.deepStrictEqual(plan.intents.map(({ payload }) => payload), [["ada"]])
        assert.deepStrictEqual(sent, [])
      }).pipe(Effect.provide(live))
    })

    it.effect("capture returns it, without a boundary, too", () => {
      const { sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const { released } = yield* capture(promise(async () => {
          await awaits()
          await sendMail("ada")
        }))
        assert.deepStrictEqual(released.map(({ payload }) => payload), [["ada"]])
        assert.deepStrictEqual(sent, [])
      })
    })

    it.effect("AssertNoneLayer refuses it, and the violation cannot be swallowed", () => {
      const { sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
          const context = yield* Layer.build(SideEffects.AssertNoneLayer)
          const error = yield* Effect.provide(
            SideEffects.boundary(rejection(async () => {
              await awaits()
              await sendMail("ada")
            })),
            context
          )
          assert.instanceOf(error, SideEffects.PolicyViolation)
        })))
        assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) instanceof SideEffects.PolicyViolation)
        assert.deepStrictEqual(sent, [])
      })
    })

    it.effect("also where there is no boundary", () => {
      const { mail, sendMail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* promise(() => sendMail("ada"))
        yield* expectEnqueued(mail.definition, ["ada"], { times: 1 })
        yield* Effect.provide(promise(() => sendMail("bob")), SideEffects.DropLayer)
        assert.deepStrictEqual(sent, [])
        // Behind an await nothing says where it stands: the guide says to open a boundary.
        yield* promise(() => awaits().then(() => sendMail("cy")))
        assert.deepStrictEqual(sent, ["hello to cy"])
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })
  })

  describe("the warning", () => {
    it.effect("comes once per call site, with the place and the line to write instead", () => {
      const { live, sendMail } = oldProgram()
      const { layer, lines } = logs()
      const here = () => sendMail("ada")
      const there = () => sendMail("bob")
      return Effect.gen(function*() {
        yield* SideEffects.boundary(promise(async () => {
          for (let i = 0; i < 3; i++) await here()
          await awaits()
          await there()
          await there()
        }))
        yield* SideEffects.boundary(promise(here))
        const warnings = lines.filter((line) => line.startsWith("WARN"))
        assert.strictEqual(warnings.length, 2)
        for (const warning of warnings) {
          assert.match(warning, /Legacy\.test\.ts:\d+:\d+ inside a boundary/)
          assert.include(warning, "Side effect \"orders:mail:send\"")
          assert.include(warning, "yield* SideEffects.enqueue(SendMail, [to, subject])")
        }
        assert.notStrictEqual(warnings[0], warnings[1])
      }).pipe(Effect.provide([live, layer]))
    })

    it.effect("names the definition where nothing is said, and false says nothing", () => {
      const silent = SideEffect.fromFunction("a:silent", async () => {}, { description: "S.", deprecation: false })
      const plain = SideEffect.fromFunction("a:plain", async () => {}, { description: "P." })
      const { layer, lines } = logs()
      return Effect.gen(function*() {
        yield* SideEffects.boundary(promise(async () => {
          await silent.call()
          await plain.call()
        }))
        assert.strictEqual(lines.length, 1)
        assert.include(lines[0], "SideEffects.enqueue(definition, [...]) with the definition of \"a:plain\"")
      }).pipe(Effect.provide([SideEffects.TestLayer, layer]))
    })

    it.effect("leaves the limit of stacks alone", () => {
      const { sendMail } = oldProgram()
      return Effect.gen(function*() {
        const before = Error.stackTraceLimit
        Error.stackTraceLimit = 7
        yield* SideEffects.boundary(promise(() => sendMail("ada")))
        assert.strictEqual(Error.stackTraceLimit, 7)
        Error.stackTraceLimit = before
      }).pipe(Effect.provide(SideEffects.TestLayer))
    })
  })

  describe("arguments", () => {
    const keep = SideEffect.fromFunction("a:keep", async (..._: ReadonlyArray<any>) => {}, {
      description: "Keep.",
      deprecation: false
    })

    it.effect("are copied, so what the caller changes afterwards is not sent", () =>
      Effect.gen(function*() {
        yield* SideEffects.boundary(promise(async () => {
          const order: any = { lines: [{ sku: "a" }], note: undefined }
          await keep.call(order, undefined, undefined)
          order.lines[0].sku = "b"
          order.lines.push({ sku: "c" })
        }))
        const [intent] = yield* expectEnqueued(keep.definition, undefined, { times: 1 })
        assert.deepStrictEqual(intent!.payload, [{ lines: [{ sku: "a" }] }])
      }).pipe(Effect.provide(SideEffects.TestLayer)))

    const circular: any = {}
    circular.self = circular
    class Money {
      readonly amount = 1
    }
    for (
      const [what, arg, path] of [
        ["an instance of Date", { at: new Date(0) }, "argument 2.at"],
        ["an instance of Money", [{ price: new Money() }], "argument 2[0].price"],
        ["an instance of Map", new Map(), "argument 2"],
        ["an instance of Buffer", { content: Buffer.from("x") }, "argument 2.content"],
        ["a function", () => {}, "argument 2"],
        ["a bigint", 1n, "argument 2"],
        ["NaN", [0, Number.NaN], "argument 2[1]"],
        ["undefined", [undefined], "argument 2[0]"],
        ["an object that holds itself", circular, "argument 2.self"]
      ] as const
    ) {
      it.effect(`${what} is refused at the call, and says how to keep it`, () =>
        Effect.gen(function*() {
          const error = yield* SideEffects.boundary(rejection(() => keep.call("x", arg)))
          assert.instanceOf(error, TypeError)
          assert.include(error.message, `Side effect "a:keep" was called with ${path} being ${what}`)
          assert.include(error.message, "Schema.Tuple")
          yield* Effect.flatMap(Recorder.Recorder, ({ intents }) => Effect.map(intents, (all) => assert.isEmpty(all)))
        }).pipe(Effect.provide(SideEffects.TestLayer)))
    }

    it.effect("whatever a schema encodes can be passed", () => {
      const got: Array<unknown> = []
      const remind = SideEffect.fromFunction("a:remind", async (to: string, at: Date) => void got.push([to, at]), {
        description: "Remind.",
        deprecation: false,
        payload: Schema.Tuple([Schema.NonEmptyString, Schema.Date]),
        idempotencyKey: ([to, at]) => `${to}@${at.getTime()}`
      })
      const group = SideEffectGroup.make("a").add(remind.definition)
      const live = SideEffects.LiveLayer(group).pipe(Layer.provide(remind.layer))
      return Effect.gen(function*() {
        const at = new Date(0)
        const key = yield* SideEffects.boundary(Effect.gen(function*() {
          yield* promise(() => remind.call("ada", at))
          at.setTime(1)
          return (yield* SideEffects.intents)[0]!.key
        }))
        assert.strictEqual(key, "ada@0")
        assert.deepStrictEqual(got, [["ada", new Date(0)]])
        const error = yield* SideEffects.boundary(rejection(() => remind.call("", at)))
        assert.instanceOf(error, TypeError)
        assert.include(error.message, "Side effect \"a:remind\" was called with arguments that do not fit")
      }).pipe(Effect.provide(live))
    })
  })

  describe("the handler", () => {
    it.effect("performs the function for those who enqueue the definition", () => {
      const { live, mail, sent } = oldProgram()
      return Effect.gen(function*() {
        yield* SideEffects.boundary(SideEffects.enqueue(mail.definition, ["ada", "new code"]))
        assert.deepStrictEqual(sent, ["new code to ada"])
      }).pipe(Effect.provide(live))
    })

    it.effect("what rejects is a failure that is tried again", () => {
      let attempts = 0
      const flaky = SideEffect.fromFunction("a:flaky", async () => {
        await setImmediate()
        if (++attempts < 3) throw new Error("busy")
      }, { description: "Flaky.", defaults: { retry: Schedule.recurs(5) } })
      const live = SideEffects.LiveLayer(SideEffectGroup.make("a").add(flaky.definition)).pipe(
        Layer.provide(flaky.layer)
      )
      return Effect.gen(function*() {
        const intent = yield* SideEffects.boundary(SideEffects.enqueue(flaky.definition, []))
        assert.strictEqual(attempts, 3)
        assert.include(Decision.of(intent), { _tag: "Dispatched", attempts: 3 })
      }).pipe(Effect.provide(live))
    })

    for (const dispatcher of [Dispatcher.inline(), Dispatcher.background()]) {
      it.effect(`a function that calls others enqueues them in its own boundary (${dispatcher.name})`, () => {
        const log: Array<string> = []
        const inner = SideEffect.fromFunction("a:inner", async (n: number) => void log.push(`inner ${n}`), {
          description: "Inner.",
          deprecation: false
        })
        const outer = SideEffect.fromFunction("a:outer", async (fails: boolean) => {
          await inner.call(1)
          await awaits()
          await inner.call(2)
          log.push("outer")
          if (fails) throw new Error("no")
        }, { description: "Outer.", deprecation: false })
        const byHand = SideEffect.make("a:by-hand", { description: "An Effect that calls old code." })
        const live = SideEffects.LiveLayer(
          SideEffectGroup.make("a").add(inner.definition, outer.definition, byHand),
          { dispatcher }
        ).pipe(Layer.provide([
          inner.layer,
          outer.layer,
          byHand.toLayer(() =>
            promise(async () => {
              await awaits()
              await inner.call(3)
              log.push("by hand")
            })
          )
        ]))
        return Effect.gen(function*() {
          yield* SideEffects.boundary(promise(() => outer.call(false)))
          yield* SideEffects.drain
          assert.deepStrictEqual(log.splice(0), ["outer", "inner 1", "inner 2"])
          yield* SideEffects.boundary(promise(() => outer.call(true)))
          yield* SideEffects.drain
          assert.deepStrictEqual(log.splice(0), ["outer"])
          yield* SideEffects.boundary(SideEffects.enqueue(byHand))
          yield* SideEffects.drain
          assert.deepStrictEqual(log.splice(0), ["by hand", "inner 3"])
        }).pipe(Effect.provide(live))
      })
    }

    it.effect("onExhausted stands in a boundary of its own", () => {
      const { mail, sendMail, sent } = oldProgram()
      const failing = SideEffect.make("a:failing", { description: "Fails." })
      const live = SideEffects.LiveLayer(SideEffectGroup.make("a").add(mail.definition, failing)).pipe(
        Layer.provide([
          mail.layer,
          failing.toLayer(() => Effect.fail("no"), {
            onExhausted: () =>
              promise(async () => {
                await awaits()
                assert.strictEqual(await sendMail("ada"), undefined)
              })
          })
        ])
      )
      return Effect.gen(function*() {
        yield* SideEffects.boundary(SideEffects.enqueue(failing))
        assert.deepStrictEqual(sent, ["hello to ada"])
      }).pipe(Effect.provide(live))
    })

    it.effect("a handler that runs inside a boundary that is still open stands in its own", () => {
      const { mail, sendMail, sent } = oldProgram()
      const report = SideEffect.make("a:report", { description: "Report." })
      const live = SideEffects.LiveLayer(SideEffectGroup.make("a").add(mail.definition, report)).pipe(
        Layer.provide([
          mail.layer,
          report.toLayer(() =>
            promise(async () => {
              await awaits()
              await sendMail("ada")
            })
          )
        ])
      )
      return Effect.gen(function*() {
        yield* Effect.exit(SideEffects.boundary(
          Effect.gen(function*() {
            yield* SideEffects.boundary(SideEffects.enqueue(report))
            assert.deepStrictEqual(sent, ["hello to ada"])
            return yield* Effect.fail("no")
          }),
          { nested: "release" }
        ))
        assert.deepStrictEqual(sent, ["hello to ada"])
      }).pipe(Effect.provide(live))
    })

    it.effect("a function that calls itself never loops", () => {
      const log: Array<number> = []
      const count: SideEffect.FromFunction<"a:count", any, [number], void> = SideEffect.fromFunction(
        "a:count",
        async (n: number): Promise<void> => {
          log.push(n)
          await awaits()
          if (n > 0) await count.call(n - 1)
          log.push(10 + n)
        },
        { description: "Count.", deprecation: false }
      ) as any
      const live = SideEffects.LiveLayer(SideEffectGroup.make("a").add(count.definition)).pipe(
        Layer.provide(count.layer)
      )
      return Effect.gen(function*() {
        const { intents } = yield* SideEffects.boundary(
          Effect.andThen(promise(() => count.call(2)), Effect.map(SideEffects.intents, (intents) => ({ intents })))
        )
        assert.strictEqual(intents.length, 1)
        assert.deepStrictEqual(log, [2, 1, 0, 10, 11, 12])
      }).pipe(Effect.provide(live))
    })
  })

  it.effect("a tracer of the user's own sees its context and its spans, and one inside changes nothing", () => {
    const { mail, sendMail } = oldProgram()
    const spans: Array<string> = []
    let primitives = 0
    const tracer = Tracer.make({
      span(options) {
        spans.push(options.name)
        return new Tracer.NativeSpan(options)
      },
      context(primitive, fiber) {
        primitives++
        return primitive["~effect/Effect/evaluate"](fiber)
      }
    })
    const behind = (to: string) =>
      promise(async () => {
        await awaits()
        await sendMail(to)
      })
    return Effect.gen(function*() {
      yield* SideEffects.boundary(Effect.withSpan(behind("outside"), "first")).pipe(Effect.withTracer(tracer))
      yield* SideEffects.boundary(Effect.withTracer(Effect.withSpan(behind("inside"), "second"), tracer))
      // A service that was built elsewhere provides its own context again.
      yield* SideEffects.boundary(
        Effect.provideContext(behind("context"), Context.make(Tracer.Tracer, tracer) as Context.Context<any>)
      )
      assert.deepStrictEqual(spans, ["first", "second"])
      assert.isAbove(primitives, 5)
      yield* expectEnqueued(mail.definition, undefined, { times: 3 })
    }).pipe(Effect.provide(SideEffects.TestLayer))
  })

  it("the catalogue says where it comes from", () => {
    const { group } = oldProgram()
    const text = Catalog.toMarkdown(Catalog.make(group))
    assert.include(text, "from-function")
    // Its callers enqueue it: it is not one that nothing can trigger.
    assert.deepStrictEqual(Catalog.check(Catalog.make(group)), [])
  })
})
