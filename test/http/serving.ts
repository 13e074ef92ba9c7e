import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import {
  type Boundary,
  Decision,
  type Dispatcher,
  Event,
  SideEffect,
  SideEffectGroup,
  SideEffects
} from "effect-side-effects"
import type { SideEffectsMiddleware } from "effect-side-effects/http"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { type ClientRequest, createServer, request as nodeRequest } from "node:http"
import type { AddressInfo } from "node:net"

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: { id: Schema.String }
}) {}

class Ledger extends SideEffect.make("orders:ledger:write", {
  description: "Write it into the ledger of the accountants.",
  payload: { id: Schema.String }
}) {}

export class Placed extends Event.make("orders:order:placed", {
  description: "A customer placed an order.",
  payload: { id: Schema.String }
}) {}

export const Orders = SideEffectGroup.make("orders").add(Mail, Ledger).events(Placed)

export type Names = SideEffectGroup.Names<typeof Orders> | "orders:order:placed"

export const mail = (id: string) => SideEffects.enqueue(Mail, { id })
export const ledger = (id: string) => SideEffects.enqueue(Ledger, { id })

/** A live layer that writes down what it has performed, and a report of every boundary that tells `onClose`. */
export const orders = (options: {
  readonly dispatcher?: Dispatcher.Dispatcher<boolean, any, any> | undefined
  readonly onDispatchError?: "die" | undefined
  readonly perform?: ((what: string) => Effect.Effect<unknown, unknown>) | undefined
} = {}) => {
  const calls: Array<string> = []
  const reports: Array<Boundary.Report> = []
  const handle = (name: string) => ({ id }: { readonly id: string }) =>
    Effect.andThen(
      options.perform?.(`${name}:${id}`) ?? Effect.void,
      Effect.sync(() => void calls.push(`${name}:${id}`))
    )
  const layer: Layer.Layer<SideEffects.SideEffects<Names>, never, any> = SideEffects.LiveLayer(Orders, {
    ...options.dispatcher && { dispatcher: options.dispatcher },
    ...options.onDispatchError && { onDispatchError: options.onDispatchError }
  } as SideEffects.LiveOptions<true, never, never>).pipe(
    Layer.provide(
      Orders.toLayer({ "orders:mail:send": handle("mail"), "orders:ledger:write": handle("ledger") } as any)
    )
  ) as any
  /** As options of a middleware. */
  const told: SideEffectsMiddleware.Options = { onClose: (report) => Effect.sync(() => void reports.push(report)) }
  /** What became of everything in the nth boundary that closed. */
  const ends = (n: number): ReadonlyArray<string> => endsOf(reports[n]!)
  return { calls, reports, layer, told, ends }
}

/** `mail: dispatched by dispatcher inline` for each intent of a report, or `mail: pending`. */
const endsOf = ({ intents }: Boundary.Report): ReadonlyArray<string> =>
  intents.map((intent) => {
    const decision = Decision.of(intent)
    return `${intent.name.split(":")[1]}: ${decision === undefined ? "pending" : Decision.format(decision)}`
  })

/** Waits until it holds. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.andThen(Effect.sleep("1 millis"), until(holds)))

const listening = <A, E, R>(serving: (server: Layer.Layer<HttpServer.HttpServer>) => Layer.Layer<A, E, R>) => {
  const node = createServer()
  const server = NodeHttpServer.layerServer(() => node, {
    port: 0,
    host: "127.0.0.1",
    gracefulShutdownTimeout: "10 millis"
  })
  return Effect.map(
    Layer.build(serving(Layer.orDie(server)) as any as Layer.Layer<A, E>),
    () => `http://127.0.0.1:${(node.address() as AddressInfo).port}`
  )
}

/** Serves a router on a port of its own until the scope closes. */
export const serve = <A, E, R>(
  app: Layer.Layer<A, E, R>,
  options?: {
    readonly middleware?: any
    readonly logged?: boolean
    /** What handlers need that no middleware provides. */
    readonly services?: Context.Context<any>
  }
) =>
  listening((server) =>
    HttpRouter.serve(app as any as Layer.Layer<never>, {
      disableListenLog: true,
      disableLogger: options?.logged !== true,
      middleware: options?.middleware
    }).pipe(Layer.provide(server), Layer.provide(Layer.succeedContext(options?.services ?? Context.empty())))
  )

/** The same for a handler without a router. */
export const serveEffect = <E, R, A>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  live: Layer.Layer<A, any, any>,
  middleware?: any
) =>
  listening((server) =>
    HttpServer.serve(handler as any as Effect.Effect<HttpServerResponse.HttpServerResponse>, middleware).pipe(
      Layer.provide(live as any as Layer.Layer<never>),
      Layer.provide(server)
    )
  )

export const call = (url: string, init?: RequestInit) =>
  Effect.promise(() => fetch(url, { redirect: "manual", ...init }))

/** Status and body. */
export const answer = (url: string, init?: RequestInit) =>
  Effect.promise(async () => {
    const response = await fetch(url, { redirect: "manual", ...init })
    return [response.status, await response.text()] as const
  })

/** A request that the client can break off, over a socket of its own. */
export const hangUp = (url: string, method = "POST"): { readonly abort: () => void; readonly sent: ClientRequest } => {
  const sent = nodeRequest(url, { method, agent: false })
  sent.on("error", () => {})
  sent.end()
  return { abort: () => void sent.destroy(), sent }
}
