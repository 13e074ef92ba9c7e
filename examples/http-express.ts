/**
 * Express 5: each request is a unit of work.
 *
 * `unit` is all that is needed. A handler is an effect that says what to answer: below 400 it releases; anything else, a
 * failure, a bug, or a client that hangs up discards.
 */
import { Console, Context, Effect, Exit, Layer, ManagedRuntime, Option, Schema } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Headers, HttpTraceContext } from "effect/http"
import express, { type Request, type RequestHandler } from "express"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"

class SendConfirmation extends SideEffect.make("orders:mail:confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { order: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(SendConfirmation)

export class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { order: Schema.String }) {}

export class Warehouse extends Context.Service<Warehouse, {
  readonly reserve: (order: string) => Effect.Effect<void, SoldOut>
}>()("orders/Warehouse") {}

export class Mailer extends Context.Service<Mailer, {
  readonly send: (mail: { order: string; because: string; trace: string | undefined }) => Effect.Effect<void>
}>()("orders/Mailer") {}

const placeOrder = Effect.fn("placeOrder")(function*(order: string) {
  yield* SideEffects.enqueue(SendConfirmation, { order })
  const warehouse = yield* Warehouse
  yield* warehouse.reserve(order)
})

// In the background, so that a slow mail server does not slow the response.
const Live = SideEffects.LiveLayer(Orders, { dispatcher: Dispatcher.background() }).pipe(
  Layer.provide(SendConfirmation.toLayer(
    Effect.fnUntraced(function*({ order }, { intent }) {
      const mailer = yield* Mailer
      yield* mailer.send({ order, because: String(intent.origin), trace: intent.traceparent })
    })
  ))
)

type Services = SideEffects.SideEffects<SideEffectGroup.Names<typeof Orders>> | Warehouse

interface Answer {
  readonly status: number
  readonly body: unknown
}

// The adapter.
const unitsOf =
  (runtime: ManagedRuntime.ManagedRuntime<Services, never>) =>
  (handler: (req: Request) => Effect.Effect<Answer, unknown, Services>): RequestHandler =>
  async (req, res) => {
    const name = `${req.method} ${req.baseUrl}${req.route.path}`
    const hangUp = new AbortController()
    res.once("close", () => hangUp.abort())
    // It may have hung up before.
    if (res.closed) hangUp.abort()
    const exit = await runtime.runPromiseExit(
      Effect.suspend(() => handler(req)).pipe(
        SideEffects.boundary({
          name,
          origin: name,
          releaseWhen: (exit) => Exit.isSuccess(exit) && exit.value.status < 400
        }),
        Effect.withSpan(name, {
          kind: "server",
          parent: Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromInput(req.headers)))
        }),
        Effect.tapCause((cause) => Effect.logError(`${name} failed`, cause))
      ),
      { signal: hangUp.signal }
    )
    if (res.closed) return
    const { body, status } = Exit.isSuccess(exit) ? exit.value : { status: 500, body: { error: "internal" } }
    res.status(status).json(body)
  }

const routes = (runtime: ManagedRuntime.ManagedRuntime<Services, never>) => {
  const unit = unitsOf(runtime)
  return express().post(
    "/orders/:id",
    unit((req) =>
      placeOrder(String(req.params.id)).pipe(
        Effect.map(() => ({ status: 201, body: { placed: req.params.id } })),
        Effect.catchTag("SoldOut", ({ order }) => Effect.succeed({ status: 422, body: { soldOut: order } }))
      )
    )
  )
}

export const server = (services: Layer.Layer<Warehouse | Mailer>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const runtime = ManagedRuntime.make(Live.pipe(Layer.provideMerge(services)))
      const app = routes(runtime)
      const http = await new Promise<Server>((resolve) => {
        const http = app.listen(0, "127.0.0.1", () => resolve(http))
      })
      return { http, runtime, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` }
    }),
    // First the requests that are underway, then what is in the background.
    ({ http, runtime }) =>
      Effect.promise(async () => {
        await new Promise((resolve) => http.close(resolve))
        await runtime.dispose()
      })
  )

export const program = Effect.gen(function*() {
  const mails: Array<string> = []
  const services = Layer.mergeAll(
    Layer.succeed(Mailer, {
      send: ({ because, order }) => Effect.sync(() => void mails.push(`mailed ${order}, because of ${because}`))
    }),
    Layer.succeed(Warehouse, {
      reserve: (order) =>
        order === "coffee" ? new SoldOut({ order }) : order === "bug" ? Effect.die("a bug") : Effect.void
    })
  )
  yield* Effect.scoped(Effect.gen(function*() {
    const { url } = yield* server(services)
    for (const order of ["tea", "coffee", "bug", "cocoa"]) {
      const { status } = yield* Effect.promise(() => fetch(`${url}/orders/${order}`, { method: "POST" }))
      yield* Console.log(`${order}: ${status}`)
    }
  }))
  yield* Effect.forEach(mails, (mail) => Console.log(mail))
})

if (import.meta.main) Effect.runPromise(program)
