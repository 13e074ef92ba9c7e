/** What a project that has just installed the package writes first. See check-consumer.ts. */
import { Catalog, Event, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Testing from "effect-side-effects/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as assert from "node:assert"

export class SendConfirmation extends SideEffect.make("orders:send-confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload: { orderId: Schema.String }
}) {}

export class OrderPlaced extends Event.make("orders:placed", {
  description: "A customer placed an order.",
  payload: { id: Schema.String }
}) {}

export const Orders = SideEffectGroup.make("orders").events(OrderPlaced)
  .on("orders:*", SendConfirmation, ({ id }) => ({ orderId: id }))

const placeOrder = SideEffects.boundary(SideEffects.emit(OrderPlaced, { id: "42" }))

const sent: Array<string> = []
const SendConfirmationLive = SendConfirmation.toLayer(({ orderId }) => Effect.sync(() => void sent.push(orderId)))
const Live = SideEffects.LiveLayer(Orders).pipe(Layer.provide(SendConfirmationLive))

await Effect.runPromise(placeOrder.pipe(Effect.provide(Live)))
assert.deepEqual(sent, ["42"])

await Effect.runPromise(placeOrder.pipe(SideEffects.withPolicy(Policy.dropAll), Effect.provide(Live)))
assert.deepEqual(sent, ["42"])

const test = Effect.gen(function*() {
  yield* placeOrder
  yield* Testing.expectEmitted(OrderPlaced, { id: "42" })
  yield* Testing.expectEnqueued(SendConfirmation, { orderId: "42" }, { times: 1 })
})
await Effect.runPromise(test.pipe(Effect.provide(SideEffects.TestLayerFor(Orders))))
assert.deepEqual(sent, ["42"])

assert.deepEqual(Catalog.check(Catalog.make(Orders)), [])
