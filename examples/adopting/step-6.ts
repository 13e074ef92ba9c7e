/** Step 6: what the tests look like now, and a backfill that places 400 old orders and tells nobody. */
import { Cause, Console, Effect, Layer } from "effect"
import { SideEffects } from "effect-side-effects"
import { SqliteClient } from "effect-side-effects/sqlite"
import { expectEmitted, expectEnqueued, expectNothing, expectOrder, Isolation } from "effect-side-effects/testing"
import { CallWarehouse, SendMail } from "./effects.ts"
import { OrderPlaced, Shop } from "./events.ts"
import { migrate, placeOrder } from "./step-5.ts"
import { arrived } from "./world.ts"

const order = { id: "1", customer: "ada@example.org", sku: "book", quantity: 2 }

const tellsTheCustomer = Effect.gen(function*() {
  yield* placeOrder(order)
  yield* expectEmitted(OrderPlaced, { id: "1", total: 40 }, { times: 1 })
  yield* expectEnqueued(SendMail, { to: "ada@example.org" }, { times: 1 })
  yield* expectOrder([SendMail, CallWarehouse])
})

const tellsNobodyWhenOutOfStock = Effect.gen(function*() {
  yield* Effect.exit(placeOrder({ ...order, sku: "lamp" }))
  yield* expectNothing
})

const leavesOnlyAfterTheCommit = Isolation.check(placeOrder(order))

const tests = [
  ["tells the customer", tellsTheCustomer],
  ["tells nobody when out of stock", tellsNobodyWhenOutOfStock],
  ["leaves only after the commit", Effect.asVoid(leavesOnlyAfterTheCommit)]
] as const

const Database = Layer.effectDiscard(migrate).pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))

// The same use case, and not one line of it knows of the layer.
const backfill = Effect.gen(function*() {
  for (let i = 1; i <= 400; i++) yield* placeOrder({ ...order, id: `old ${i}` })
}).pipe(Effect.provide(SideEffects.DropLayer))

const run = Effect.fnUntraced(function*<E, R>(name: string, test: Effect.Effect<void, E, R>) {
  const exit = yield* Effect.exit(test)
  yield* Console.log(exit._tag === "Success" ? `ok      ${name}` : `FAILED  ${name}\n${Cause.pretty(exit.cause)}`)
})

export const program = Effect.gen(function*() {
  for (const [name, test] of tests) {
    // A database and a recorder of its own, for each test.
    yield* run<unknown, Effect.Services<typeof test>>(name, test).pipe(
      Effect.provide([SideEffects.TestLayerFor(Shop), Database])
    )
  }
  arrived.length = 0
  yield* Effect.provide(backfill, Database)
  yield* Console.log(`400 old orders are placed, and ${arrived.length} calls have left`)
})

if (import.meta.main) Effect.runPromise(program)
