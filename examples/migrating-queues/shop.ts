/** What all steps share: what an order is, the database, and what is shown of each step. */
import { Console, Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import { arrived, clear, start, stop } from "./world.ts"

export interface Order {
  readonly id: string
  readonly customer: string
  readonly sku: string
}

export class OutOfStock extends Error {
  readonly _tag = "OutOfStock"
}

export const schema = [
  "CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT)",
  "CREATE TABLE stock (sku TEXT PRIMARY KEY, left INTEGER)",
  "INSERT INTO stock VALUES ('book', 1000), ('lamp', 0)"
]

const database = new DatabaseSync(":memory:")
for (const statement of schema) database.exec(statement)

export const insertOrder = (order: Order): void => {
  database.prepare("INSERT INTO orders VALUES (?, ?)").run(order.id, order.customer)
}

export const takeStock = ({ sku }: Order): void => {
  const { changes } = database.prepare("UPDATE stock SET left = left - 1 WHERE sku = ? AND left > 0").run(sku)
  if (changes === 0) throw new OutOfStock(`${sku} is out of stock`)
}

export interface Step {
  readonly title: string
  readonly placeOrder: (order: Order) => Promise<unknown>
  /** How many workers of each kind perform what is in the queue. */
  readonly workers: { readonly old?: number; readonly new?: number }
  /** Whether an old worker is killed in the middle. */
  readonly kill?: boolean
  readonly close: () => Promise<unknown>
}

/** What became of the orders of a step. */
export interface Numbers {
  readonly orders: number
  readonly failed: number
  /** Jobs of orders that were placed. */
  readonly produced: number
  readonly performed: number
  readonly duplicates: number
  readonly lost: number
  /** Performed for orders that were not placed. */
  readonly inVain: number
}

const orders = 60

/** Every sixth is for something that is out of stock. */
const orderOf = (n: number): Order => ({
  id: `order-${n}`,
  customer: `customer-${n}@example.org`,
  sku: n % 6 === 5 ? "lamp" : "book"
})

const jobsOf = ({ customer, id, sku }: Order): ReadonlyArray<string> => [
  `receipt of ${id} to ${customer}`,
  `parcel of ${id} with ${sku}`
]

const sleep = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Until all of it has arrived, and then nothing more does. */
const settled = async (expected: ReadonlySet<string>, killed: boolean): Promise<ReadonlyArray<string>> => {
  const until = Date.now() + 40_000
  let all = await arrived()
  let last = Date.now()
  // What a dead worker held comes again, after its lock has run out.
  const quiet = killed ? 5000 : 500
  while (Date.now() < until && (Date.now() - last < quiet || !expected.isSubsetOf(new Set(all)))) {
    await sleep(50)
    const now = await arrived()
    if (now.length > all.length) last = Date.now()
    all = now
  }
  return all
}

/** Places orders while workers work, and counts. */
export const run = async ({ close, kill = false, placeOrder, workers }: Step): Promise<Numbers> => {
  await clear()
  database.exec("DELETE FROM orders")
  const old = await Promise.all(Array.from({ length: workers.old ?? 0 }, () => start("old-worker.ts")))
  const all = [...old, ...(await Promise.all(Array.from({ length: workers.new ?? 0 }, () => start("new-worker.ts"))))]
  try {
    const placed: Array<Order> = []
    const placing = Array.from({ length: orders }, (_, n) => orderOf(n)).map((order) =>
      placeOrder(order).then(() => placed.push(order), () => undefined)
    )
    if (kill) {
      // It is at work then: there is more in the queue than it can do.
      while ((await arrived()).length < orders / 2) await sleep(5)
      await stop(old[0]!, "SIGKILL")
    }
    await Promise.all(placing)
    const produced = new Set(placed.flatMap(jobsOf))
    const came = await settled(produced, kill)
    const performed = new Set(came)
    return {
      orders,
      failed: orders - placed.length,
      produced: produced.size,
      performed: produced.intersection(performed).size,
      duplicates: came.length - performed.size,
      lost: produced.difference(performed).size,
      inVain: performed.difference(produced).size
    }
  } finally {
    await Promise.all(all.map((child) => stop(child)))
    await close()
    await clear()
  }
}

/** Runs a step and prints its numbers. */
export const show = Effect.fn("show")(function*(step: Step) {
  const { duplicates, failed, inVain, lost, orders, performed, produced } = yield* Effect.promise(() => run(step))
  yield* Console.log(`${step.title}: ${orders} orders, of which ${failed} failed`)
  yield* Console.log(
    `  jobs produced ${produced}, performed ${performed}, duplicates ${duplicates}, lost ${lost}`
  )
  yield* Console.log(`  jobs of failed orders performed ${inVain}`)
  return { duplicates, failed, inVain, lost, orders, performed, produced } satisfies Numbers
})
