/**
 * The program: reads orders and processes them, each as a unit of work of its own.
 *
 * It runs unchanged in production, as a migration and in a test. It says what should happen outside and never asks
 * whether it does.
 */
import { Effect, Schema, SchemaIssue } from "effect"
import { type Boundary, Policy, SideEffects } from "effect-side-effects"
import { Order, Store } from "./Domain.ts"
import { CallWarehouse, SendConfirmation, SendInvoice } from "./Effects.ts"

const reserve = Effect.fn("reserve")(function*(order: Order) {
  const store = yield* Store
  let cents = 0
  for (const line of order.lines) {
    const product = yield* store.take(line)
    // The call is wished for before the next line may turn out to be out of stock. Nobody has to take it back then.
    yield* SideEffects.enqueue(CallWarehouse, { order: order.id, site: product.site })
    cents += product.cents * line.quantity
  }
  return cents
})

export const placeOrder = Effect.fn("placeOrder")(function*(order: Order) {
  const store = yield* Store
  yield* store.insert(order)
  yield* SideEffects.enqueue(SendConfirmation, {
    order: order.id,
    to: order.customer.email,
    name: order.customer.name
  })
  const cents = yield* reserve(order)
  if (order.invoiceTo !== undefined) {
    yield* SideEffects.enqueue(SendInvoice, { order: order.id, to: order.invoiceTo, cents })
  }
})

export type Outcome =
  | { readonly _tag: "Invalid"; readonly line: number; readonly reason: string }
  | { readonly _tag: "Processed"; readonly order: string }
  | { readonly _tag: "Failed"; readonly order: string; readonly reason: string }

class InvalidLine extends Schema.TaggedError<InvalidLine>()("InvalidLine", { reason: Schema.String }) {}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

/** Which field, and what is wrong with it. */
const explain = ({ issue }: Schema.SchemaError): string => {
  const { message, path = [] } = formatIssue(issue).issues[0]!
  const field = path.map((key) => typeof key === "number" ? "*" : String(key)).join(".")
  // "Expected 1 or more, got -2": the report counts, so what differs from line to line is left out.
  return `${field || "the line"}: ${message.split(",", 1)[0]}`
}

const decode = (json: string): Effect.Effect<Order, InvalidLine> =>
  Schema.decodeEffect(Schema.fromJsonString(Schema.Unknown))(json).pipe(
    Effect.mapError(() => new InvalidLine({ reason: "not JSON" })),
    Effect.flatMap((input) =>
      Effect.mapError(
        Schema.decodeUnknownEffect(Order)(input),
        (error) => new InvalidLine({ reason: explain(error) })
      )
    )
  )

const processLine = Effect.fn("processLine")(
  function*(json: string, onClose: (report: Boundary.Report) => Effect.Effect<void>) {
    const store = yield* Store
    const order = yield* decode(json)
    return yield* store.unitOfWork(placeOrder(order), { name: order.id, policy: Policy.dedupe(), onClose }).pipe(
      Effect.match({
        onSuccess: (): Outcome => ({ _tag: "Processed", order: order.id }),
        onFailure: (error): Outcome => ({ _tag: "Failed", order: order.id, reason: error._tag })
      })
    )
  }
)

/** Whatever is wrong with one line or one order, the others go on. */
export const processOrders = (lines: ReadonlyArray<string>, watch: {
  readonly onClose: (report: Boundary.Report) => Effect.Effect<void>
  readonly onOutcome: (outcome: Outcome, index: number) => Effect.Effect<void>
}) =>
  Effect.forEach(lines, (json, index) =>
    processLine(json, watch.onClose).pipe(
      Effect.catchTag(
        "InvalidLine",
        ({ reason }) => Effect.succeed<Outcome>({ _tag: "Invalid", line: index + 1, reason })
      ),
      Effect.tap((outcome) => watch.onOutcome(outcome, index))
    ))
