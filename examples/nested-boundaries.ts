/**
 * Boundaries inside boundaries: the outermost one is in control.
 *
 * A function that is a unit of work by itself keeps its boundary when a larger unit of work calls it. When it succeeds,
 * what it wished for is handed to the boundary around it; when it fails, only its own wishes are gone.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { type Boundary, Decision, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"

class SendReceipt extends SideEffect.make("shop:mail:send-receipt", {
  description: "Email the customer a receipt.",
  payload: { order: Schema.String }
}) {}

class ShipParcel extends SideEffect.make("shop:warehouse:ship-parcel", {
  description: "Tell the warehouse to ship the parcel.",
  payload: { order: Schema.String }
}) {}

class WarnFraudTeam extends SideEffect.make("shop:fraud:warn-team", {
  description: "Page the fraud team about a suspicious card.",
  payload: { order: Schema.String }
}) {}

const Shop = SideEffectGroup.make("shop").add(SendReceipt, ShipParcel, WarnFraudTeam)

class NoCarrier extends Schema.TaggedError<NoCarrier>()("NoCarrier", { order: Schema.String }) {}
class CardDeclined extends Schema.TaggedError<CardDeclined>()("CardDeclined", { order: Schema.String }) {}

// Says what became of a boundary: its outcome, and what it decided about each of its intents.
const tell = ({ decisions, name, outcome, pending }: Boundary.Report) =>
  Effect.gen(function*() {
    yield* Console.log(`  "${name}" ended: ${outcome}`)
    for (const intent of pending) yield* Console.log(`    ${intent.name}: waits for the boundary around`)
    for (const decision of decisions) {
      yield* Console.log(`    ${decision.intent.name}: ${Decision.format(decision)}`)
    }
  })

const pay = Effect.fn("pay")(function*(order: string) {
  yield* SideEffects.enqueue(SendReceipt, { order })
}, SideEffects.boundary({ name: "pay", onClose: tell }))

const ship = Effect.fn("ship")(function*(order: string) {
  yield* SideEffects.enqueue(ShipParcel, { order })
  return yield* new NoCarrier({ order })
}, SideEffects.boundary({ name: "ship", onClose: tell }))

// 1. "pay" succeeds and hands its receipt on. "ship" fails and takes its parcel with it, and since the failure is
//    caught, the checkout succeeds: the receipt leaves now, when the outermost boundary ends.
const checkout = Effect.fn("checkout")(function*(order: string) {
  yield* pay(order)
  yield* Effect.catchTag(ship(order), "NoCarrier", () => Console.log("  no carrier: the order is shipped later"))
  yield* Console.log("  the checkout is done")
}, SideEffects.boundary({ name: "checkout", onClose: tell }))

const screen = Effect.fn("screen")(function*(order: string) {
  yield* SideEffects.enqueue(WarnFraudTeam, { order })
}, SideEffects.boundary({ name: "screen", onClose: tell }))

// 2. The payment is declined, so the receipt must not leave. The fraud team has to hear of it all the same: `nested`
//    picks what boundaries inside may let go at once, and only what they let go themselves.
const declined = Effect.fn("declined")(
  function*(order: string) {
    yield* pay(order)
    yield* screen(order)
    return yield* new CardDeclined({ order })
  },
  SideEffects.boundary({
    name: "declined",
    nested: (intents) => intents.filter((intent) => intent.name.startsWith("shop:fraud:")),
    onClose: tell
  }),
  Effect.catchTag("CardDeclined", () => Console.log("  the card was declined"))
)

const Handlers = Shop.toLayer({
  "shop:mail:send-receipt": ({ order }) => Console.log(`  -> receipt for ${order} sent`),
  "shop:warehouse:ship-parcel": ({ order }) => Console.log(`  -> parcel of ${order} shipped`),
  "shop:fraud:warn-team": ({ order }) => Console.log(`  -> fraud team paged about ${order}`)
})

export const program = Effect.gen(function*() {
  yield* Console.log("An inner boundary fails, the outer one succeeds:")
  yield* checkout("order 1")
  yield* Console.log("\nThe outer boundary fails, but lets a warning through:")
  yield* declined("order 2")
}).pipe(Effect.provide(SideEffects.LiveLayer(Shop).pipe(Layer.provide(Handlers))))

if (import.meta.main) Effect.runPromise(program)
