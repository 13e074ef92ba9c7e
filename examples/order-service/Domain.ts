/** What an order is, and what can be wrong with one. Nothing here knows of mails or warehouses. */
import { Context, type Effect, Schema } from "effect"
import type { Boundary, SideEffects } from "effect-side-effects"

export const OrderId = Schema.String.check(Schema.isPattern(/^A-\d{4}$/, { message: "Expected an id such as A-1042" }))

export const EmailAddress = Schema.String.check(
  Schema.isPattern(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, { message: "Expected an email address" })
)

const Quantity = Schema.Int.check(Schema.isGreaterThan(0, { message: "Expected 1 or more" }))

export const Line = Schema.Struct({ sku: Schema.String, quantity: Quantity })

export class Order extends Schema.Class<Order>("Order")({
  id: OrderId,
  placedAt: Schema.DateTimeUtcFromString,
  customer: Schema.Struct({ name: Schema.NonEmptyString, email: EmailAddress }),
  /** Companies want the invoice elsewhere than the confirmation. */
  invoiceTo: Schema.optionalKey(EmailAddress),
  lines: Schema.NonEmptyArray(Line)
}) {}

export class Product extends Schema.Class<Product>("Product")({
  sku: Schema.String,
  name: Schema.String,
  cents: Schema.Int,
  /** The warehouse that keeps it. */
  site: Schema.Literals(["Hamburg", "Lyon", "Porto"]),
  stock: Schema.Natural
}) {}

export class AlreadyPlaced extends Schema.TaggedError<AlreadyPlaced>()("AlreadyPlaced", { order: OrderId }) {}

export class UnknownProduct extends Schema.TaggedError<UnknownProduct>()("UnknownProduct", { sku: Schema.String }) {}

export class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", {
  sku: Schema.String,
  wanted: Schema.Int,
  left: Schema.Int
}) {}

/** The service's own database: orders and stock. */
export class Store extends Context.Service<Store, {
  readonly insert: (order: Order) => Effect.Effect<void, AlreadyPlaced>
  readonly take: (line: typeof Line.Type) => Effect.Effect<Product, UnknownProduct | OutOfStock>
  /** All of it, or nothing: a transaction, and a boundary that shares its fate. */
  readonly unitOfWork: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options: Boundary.Options<A, E, false>
  ) => Effect.Effect<A, E, R | SideEffects.SideEffects<never>>
}>()("order-service/Store") {}
