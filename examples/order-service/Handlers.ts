/** How the side effects are performed: mails over SMTP, calls over HTTP. The only place that knows of the outside. */
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { createTransport } from "nodemailer"
import { CallWarehouse, SendConfirmation, SendInvoice } from "./Effects.ts"

export class MailError extends Schema.TaggedError<MailError>()("MailError", { cause: Schema.Defect() }) {
  override get message() {
    return "the mail server did not take the mail"
  }
}

export class Mailer extends Context.Service<Mailer, {
  readonly send: (mail: {
    readonly id: string
    readonly to: string
    readonly subject: string
    readonly text: string
  }) => Effect.Effect<void, MailError>
}>()("order-service/Mailer") {
  static readonly layer = (server: { readonly host: string; readonly port: number }) =>
    Layer.effect(
      Mailer,
      Effect.gen(function*() {
        const transport = yield* Effect.acquireRelease(
          Effect.sync(() => createTransport({ ...server, ignoreTLS: true, pool: true, maxConnections: 1 })),
          (transport) => Effect.sync(() => transport.close())
        )
        return Mailer.of({
          send: ({ id, ...mail }) =>
            Effect.asVoid(Effect.tryPromise({
              try: () =>
                transport.sendMail({ ...mail, from: "orders@shop.example", messageId: `<${id}@shop.example>` }),
              catch: (cause) => new MailError({ cause })
            }))
        })
      })
    )
}

export class WarehouseError extends Schema.TaggedError<WarehouseError>()("WarehouseError", {
  status: Schema.Int
}) {
  override get message() {
    return `the warehouse answered ${this.status}`
  }
}

export class Warehouse extends Context.Service<Warehouse, {
  readonly pack: (call: {
    readonly key: string
    readonly order: string
    readonly site: string
  }) => Effect.Effect<void, WarehouseError>
}>()("order-service/Warehouse") {
  static readonly layer = (url: string) =>
    Layer.effect(
      Warehouse,
      Effect.gen(function*() {
        const client = yield* HttpClient.HttpClient
        return Warehouse.of({
          pack: ({ key, ...call }) =>
            HttpClientRequest.post(`${url}/packing-orders`).pipe(
              HttpClientRequest.setHeader("idempotency-key", key),
              HttpClientRequest.bodyJsonUnsafe(call),
              client.execute,
              Effect.flatMap(HttpClientResponse.filterStatusOk),
              Effect.mapError((error) => new WarehouseError({ status: error.response?.status ?? 503 })),
              Effect.asVoid
            )
        })
      })
    )
}

// Each attempt has a limit, and there are three of them. What fails for good fails alone: neither the order nor its
// other side effects hear of it, and the report says so.
const delivery = {
  timeout: "5 seconds",
  retry: Schedule.exponential("5 millis").pipe(Schedule.upTo({ times: 2 }))
} as const

const Confirmation = SendConfirmation.toLayer(
  Effect.fnUntraced(function*({ name, order, to }, { idempotencyKey }) {
    const mailer = yield* Mailer
    yield* mailer.send({
      id: `confirmation-${idempotencyKey}`,
      to,
      subject: `Your order ${order}`,
      text: `Dear ${name},\n\nthank you. We pack your order ${order} today.\n`
    })
  }),
  delivery
)

const Invoice = SendInvoice.toLayer(
  Effect.fnUntraced(function*({ cents, order, to }, { idempotencyKey }) {
    const mailer = yield* Mailer
    yield* mailer.send({
      id: `invoice-${idempotencyKey}`,
      to,
      subject: `Invoice for order ${order}`,
      text: `Please pay ${(cents / 100).toFixed(2)} EUR within 30 days.\n`
    })
  }),
  delivery
)

const Call = CallWarehouse.toLayer(
  Effect.fnUntraced(function*({ order, site }, { idempotencyKey }) {
    const warehouse = yield* Warehouse
    yield* warehouse.pack({ key: idempotencyKey, order, site })
  }),
  {
    ...delivery,
    // Only a server in trouble may do better next time.
    retry: { schedule: delivery.retry, while: (error) => error._tag === "TimeoutError" || error.status >= 500 }
  }
)

export const Handlers = Layer.mergeAll(Confirmation, Invoice, Call)
