import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Case, hour, offer, put, same, test, violated } from "./check.ts"

/** What a waiter says, and no later than this. */
const soon = (waiter: Effect.Effect<void>) =>
  Effect.timeoutOrElse(waiter, {
    duration: "5 seconds",
    orElse: () =>
      violated("`wake` waits until something was offered since it was last waited for", "it returns", "still waiting")
  })

export const waking: ReadonlyArray<Case> = [
  test("an offer wakes who waits", function*(store) {
    const wait = yield* store.wake
    const fiber = yield* Effect.forkChild(soon(wait), { startImmediately: true })
    yield* put(store, [offer()])
    yield* Fiber.join(fiber)
  }),
  test("an offer wakes all who wait", function*(store) {
    const waits = yield* Effect.all([store.wake, store.wake, store.wake])
    const fibers = yield* Effect.forEach(waits, (wait) => Effect.forkChild(soon(wait), { startImmediately: true }))
    yield* put(store, [offer()])
    yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
  }),
  test("who comes later is woken by what was offered before", function*(store) {
    const wait = yield* store.wake
    yield* put(store, [offer()])
    yield* soon(wait)
  }),
  test("who was woken is woken by the next offer, too", function*(store) {
    const wait = yield* store.wake
    for (let i = 0; i < 3; i++) {
      yield* put(store, [offer()])
      yield* soon(wait)
    }
    const fiber = yield* Effect.forkChild(soon(wait), { startImmediately: true })
    yield* put(store, [offer()])
    yield* Fiber.join(fiber)
  }),
  test("an offer with a key wakes, too", function*(store) {
    const wait = yield* store.wake
    yield* store.offerMany([offer({ key: "order-1" })], { uniqueFor: hour })
    yield* soon(wait)
  }),
  test("who stopped waiting misses nothing", function*(store) {
    const wait = yield* store.wake
    const fiber = yield* Effect.forkChild(wait, { startImmediately: true })
    yield* Fiber.interrupt(fiber)
    yield* put(store, [offer()])
    yield* soon(wait)
  }),
  test("listening ends with its scope", function*(store) {
    for (let i = 0; i < 50; i++) yield* Effect.scoped(Effect.asVoid(store.wake))
    yield* put(store, [offer()])
    yield* same("what was offered is there", yield* store.count({}), 1)
  })
]
