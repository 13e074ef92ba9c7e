/**
 * Fastify: each request is a unit of work.
 *
 * `unit` is all that is needed. A handler is an effect that says what to answer: below 400 it releases; anything else, a
 * failure, a bug, or a client that hangs up discards.
 */
import { Console, Context, Effect, Exit, Layer, ManagedRuntime, Option, Schema } from "effect"
import { Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Headers, HttpTraceContext } from "effect/http"
import Fastify, { type FastifyReply, type FastifyRequest } from "fastify"
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
  <Request extends FastifyRequest<any>>(handler: (request: Request) => Effect.Effect<Answer, unknown, Services>) =>
  async (request: Request, reply: FastifyReply<any>) => {
    const name = `${request.method} ${request.routeOptions.url}`
    const hangUp = new AbortController()
    reply.raw.once("close", () => hangUp.abort())
    // It may have hung up before.
    if (reply.raw.closed) hangUp.abort()
    const exit = await runtime.runPromiseExit(
      Effect.suspend(() => handler(request)).pipe(
        SideEffects.boundary({
          name,
          origin: name,
          releaseWhen: (exit) => Exit.isSuccess(exit) && exit.value.status < 400
        }),
        Effect.withSpan(name, {
          kind: "server",
          parent: Option.getOrUndefined(HttpTraceContext.fromHeaders(Headers.fromInput(request.headers)))
        }),
        Effect.tapCause((cause) => Effect.logError(`${name} failed`, cause))
      ),
      { signal: hangUp.signal }
    )
    const { body, status } = Exit.isSuccess(exit) ? exit.value : { status: 500, body: { error: "internal" } }
    return reply.code(status).send(body)
  }

const routes = (runtime: ManagedRuntime.ManagedRuntime<Services, never>) => {
  const unit = unitsOf(runtime)
  const app = Fastify()
  app.post<{ Params: { id: string } }>(
    "/orders/:id",
    unit((request) =>
      placeOrder(request.params.id).pipe(
        Effect.map(() => ({ status: 201, body: { placed: request.params.id } })),
        Effect.catchTag("SoldOut", ({ order }) => Effect.succeed({ status: 422, body: { soldOut: order } }))
      )
    )
  )
  // First the requests that are underway, then what is in the background.
  app.addHook("onClose", () => runtime.dispose())
  return app
}

export const server = (services: Layer.Layer<Warehouse | Mailer>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const app = routes(ManagedRuntime.make(Live.pipe(Layer.provideMerge(services))))
      await app.listen({ host: "127.0.0.1", port: 0 })
      return { app, url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` }
    }),
    ({ app }) => Effect.promise(() => app.close())
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
