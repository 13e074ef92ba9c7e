/** What all steps share: what an order is, the old repository, and what is shown of each step. */
import { Console, Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { arrived, down } from "./world.ts"

export interface Order {
  readonly id: string
  readonly customer: string
  readonly sku: string
  readonly quantity: number
}

export interface Receipt {
  readonly order: string
  readonly total: number
}

export class NoOrder extends Error {
  readonly _tag = "NoOrder"
}

export class OutOfStock extends Error {
  readonly _tag = "OutOfStock"
}

/** How the rest of the program sees each step: as it always has. */
export interface Step {
  readonly placeOrder: (order: Order) => Promise<Receipt>
  readonly storedOrders: () => Promise<ReadonlyArray<string>>
  /** Waits until nothing is underway. */
  readonly settled: () => Promise<void>
}

export const schema = [
  "CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT, total INTEGER)",
  "CREATE TABLE stock (sku TEXT PRIMARY KEY, price INTEGER, left INTEGER)",
  "INSERT INTO stock VALUES ('book', 20, 1000), ('lamp', 50, 0)"
]

const database = new DatabaseSync(":memory:")
for (const statement of schema) database.exec(statement)

export const priceOf = (order: Order): number => {
  const row = database.prepare("SELECT price FROM stock WHERE sku = ?").get(order.sku)
  return Number(row?.["price"]) * order.quantity
}

export const insertOrder = (order: Order, total: number): void => {
  database.prepare("INSERT INTO orders VALUES (?, ?, ?)").run(order.id, order.customer, total)
}

export const takeStock = (order: Order): void => {
  const { changes } = database.prepare("UPDATE stock SET left = left - ? WHERE sku = ? AND left >= ?")
    .run(order.quantity, order.sku, order.quantity)
  if (changes === 0) throw new OutOfStock(`${order.sku} is out of stock`)
}

export const storedOrders = async (): Promise<ReadonlyArray<string>> =>
  database.prepare("SELECT id FROM orders ORDER BY id").all().map(({ id }) => String(id))

/** Places three orders and prints what arrives outside. */
export const show = Effect.fn("show")(function*({ placeOrder, settled }: Step) {
  database.exec("DELETE FROM orders")
  const place = Effect.fnUntraced(function*(title: string, order: Order) {
    arrived.length = 0
    const result = yield* Effect.promise(() =>
      placeOrder(order).then(({ total }) => `placed for ${total}`, (error) => `failed: ${error.message}`)
    )
    down.clear()
    yield* Effect.promise(settled)
    yield* Console.log(`${title}: ${result}`)
    for (const line of arrived.toSorted()) yield* Console.log(`  -> ${line}`)
  })
  yield* place("an order", { id: "1", customer: "ada@example.org", sku: "book", quantity: 2 })
  yield* place("an order that fails", { id: "2", customer: "bob@example.org", sku: "lamp", quantity: 1 })
  down.add("crm")
  yield* place("an order while the CRM is down", { id: "3", customer: "cy@example.org", sku: "book", quantity: 1 })
})
