/** Step 5: one transaction for the order and for what follows from it, and a worker that performs what was committed. */
import { Effect, Layer, ManagedRuntime, Schedule } from "effect"
import { SideEffects } from "effect-side-effects"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore, SqlSideEffects } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { SqlClient } from "effect/sql"
import { Handlers } from "./effects.ts"
import { OrderPlaced, Shop } from "./events.ts"
import { NoOrder, type Order, OutOfStock, schema, show, type Step } from "./shop.ts"

const priceOf = Effect.fnUntraced(function*(order: Order) {
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<{ price: number }>`SELECT price FROM stock WHERE sku = ${order.sku}`
  return Number(row?.price) * order.quantity
})

const insertOrder = Effect.fnUntraced(function*(order: Order, total: number) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO orders ${sql.insert({ id: order.id, customer: order.customer, total })}`
})

const takeStock = Effect.fnUntraced(function*({ quantity, sku }: Order) {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql`
    UPDATE stock SET left = left - ${quantity} WHERE sku = ${sku} AND left >= ${quantity} RETURNING sku`
  if (rows.length === 0) return yield* Effect.fail(new OutOfStock(`${sku} is out of stock`))
})

export const placeOrder = Effect.fn("placeOrder")(
  function*(order: Order) {
    if (order.quantity < 1) return yield* Effect.fail(new NoOrder(`An order of ${order.quantity} is none`))
    const total = yield* priceOf(order)
    yield* insertOrder(order, total)
    yield* takeStock(order)
    return { order: order.id, total }
  },
  SideEffects.emits(OrderPlaced, ({ total }, [order]) => ({ ...order, total })),
  SqlSideEffects.transaction({ name: "place-order" })
)

/** The tables of the shop, where they are not there yet. */
export const migrate = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  if ((yield* sql`SELECT 1 FROM sqlite_schema WHERE name = 'orders'`).length > 0) return
  for (const statement of schema) yield* sql.unsafe(statement)
})

/** With a worker in this process, or without: then somebody else performs. */
export const open = (options: { readonly filename: string; readonly worker: boolean }) => {
  const Database = Layer.effectDiscard(migrate).pipe(
    Layer.provideMerge(SqlOutboxStore.layer()),
    Layer.provideMerge(SqliteClient.layer({ filename: options.filename }))
  )
  const Worker = options.worker
    ? Outbox.layerWorker(Shop, { retry: Schedule.spaced("100 millis") }).pipe(Layer.provide(Handlers))
    : Layer.empty
  const runtime = ManagedRuntime.make(
    Layer.mergeAll(SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }), Worker).pipe(
      Layer.provideMerge(Database)
    )
  )
  const step: Step = {
    placeOrder: (order) => runtime.runPromise(placeOrder(order)),
    storedOrders: () =>
      runtime.runPromise(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        return (yield* sql<{ id: string }>`SELECT id FROM orders ORDER BY id`).map(({ id }) => id)
      })),
    settled: () => runtime.runPromise(SideEffects.drain)
  }
  return { ...step, close: () => runtime.dispose() }
}

export const program = Effect.acquireUseRelease(
  Effect.sync(() => open({ filename: ":memory:", worker: true })),
  show,
  ({ close }) => Effect.promise(close)
)

if (import.meta.main) Effect.runPromise(program)
