/** The order service's database: orders and stock in tables, and the outbox beside them. */
import { Array, Effect, Layer, Schema } from "effect"
import { SqlSideEffects } from "effect-side-effects/sql"
import { SqlClient, SqlError } from "effect/sql"
import { AlreadyPlaced, OutOfStock, Product, Store, UnknownProduct } from "./Domain.ts"

const decodeProduct = Schema.decodeUnknownEffect(Product)

export const layer = (products: Array.NonEmptyReadonlyArray<Product>) =>
  Layer.effect(
    Store,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE products (sku TEXT PRIMARY KEY, name TEXT, cents INTEGER, site TEXT, stock INTEGER)`
      yield* sql`CREATE TABLE orders (id TEXT PRIMARY KEY, "to" TEXT, invoice_to TEXT)`
      yield* sql`CREATE TABLE lines ("order" TEXT REFERENCES orders, sku TEXT, quantity INTEGER)`
      yield* sql`INSERT INTO products ${sql.insert(Array.map(products, (product) => ({ ...product })))}`

      return Store.of({
        insert: Effect.fnUntraced(function*({ customer, id, invoiceTo = null, lines }) {
          const inserted = yield* sql`
            INSERT INTO orders ${sql.insert({ id, to: customer.email, invoice_to: invoiceTo })}
            ON CONFLICT DO NOTHING RETURNING id`
          if (inserted.length === 0) return yield* new AlreadyPlaced({ order: id })
          yield* sql`INSERT INTO lines ${sql.insert(Array.map(lines, (line) => ({ order: id, ...line })))}`
        }, Effect.catchIf(SqlError.isSqlError, Effect.die)),
        take: Effect.fnUntraced(function*({ quantity, sku }) {
          const found = yield* sql`SELECT * FROM products WHERE sku = ${sku}`
          if (found.length === 0) return yield* new UnknownProduct({ sku })
          const product = yield* Effect.orDie(decodeProduct(found[0]))
          if (product.stock < quantity) return yield* new OutOfStock({ sku, wanted: quantity, left: product.stock })
          yield* sql`UPDATE products SET stock = stock - ${quantity} WHERE sku = ${sku}`
          return product
        }, Effect.catchIf(SqlError.isSqlError, Effect.die)),
        unitOfWork: (self, options) =>
          SqlSideEffects.transaction(self, options).pipe(
            Effect.provideService(SqlClient.SqlClient, sql),
            Effect.catchIf(SqlError.isSqlError, Effect.die)
          )
      })
    })
  )
