/**
 * The kill switch: whoever runs the program decides what leaves it, without a release.
 *
 * `SideEffects.ConfigLayer` is `LiveLayer` that reads its settings when it is built, by default from the environment:
 *
 * - `SIDE_EFFECTS_MODE`: `live`, `drop`, `assert-none` or `record`
 * - `SIDE_EFFECTS_BLOCK`: comma-separated patterns of what must not leave, while all the rest does
 * - `SIDE_EFFECTS_ALLOW_ONLY`: the other way round; and some numbers, see configuration.ts
 *
 * This file runs the same program with your environment and with several settings. Try
 * `SIDE_EFFECTS_MODE=drop npm run example examples/kill-switch.ts`.
 */
import { Cause, ConfigProvider, Console, Effect, Layer, Logger, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"

class SendInvoice extends SideEffect.make("billing:mail:send-invoice", {
  description: "Email a customer the invoice of the month.",
  payload: { customer: Schema.String }
}) {}

class ChargeCard extends SideEffect.make("billing:card:charge", {
  description: "Charge the customer's card.",
  payload: { customer: Schema.String, cents: Schema.Int }
}) {}

const Billing = SideEffectGroup.make("billing").add(SendInvoice, ChargeCard)

const bill = Effect.fn("bill")(function*(customer: string, cents: number) {
  yield* SideEffects.enqueue(ChargeCard, { customer, cents })
  yield* SideEffects.enqueue(SendInvoice, { customer })
}, SideEffects.boundary())

// Nothing here knows of the switch: the layer is the only place that does.
const endOfMonth = Effect.gen(function*() {
  yield* bill("ada", 1250)
  yield* bill("grace", 900)
  yield* Console.log("  billed 2 customers")
})

const Handlers = Billing.toLayer({
  "billing:mail:send-invoice": ({ customer }) => Console.log(`  -> invoice mailed to ${customer}`),
  "billing:card:charge": ({ cents, customer }) => Console.log(`  -> card of ${customer} charged ${cents} cents`)
})

const Live = SideEffects.ConfigLayer(Billing).pipe(Layer.provide(Handlers))

const report = (cause: Cause.Cause<unknown>) => Console.log(wrap(`  ! ${(Cause.squash(cause) as Error).message}`))

// A wrong setting is a ConfigError, what `assert-none` forbids is a defect. In your program both would end it.
const run = (title: string) =>
  Console.log(title).pipe(
    Effect.andThen(Effect.provide(endOfMonth, Live)),
    Effect.catchCause(report)
  )

const runWith = (env: Record<string, string>) =>
  run(Object.entries(env).map(([key, value]) => `${key}=${value}`).join(" ")).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )

// For the terminal: lines of at most 78 characters.
const wrap = (text: string) => text.replace(/(.{1,74})( |$)/g, "$1\n    ").trimEnd()
const PlainLog = Logger.layer([Logger.withConsoleLog(Logger.make(({ message }) => wrap(`  log: ${message}`)))])

export const program = Effect.gen(function*() {
  yield* run("the environment of this process")
  yield* runWith({ SIDE_EFFECTS_BLOCK: "billing:mail:*" })
  yield* runWith({ SIDE_EFFECTS_MODE: "drop" })
  yield* runWith({ SIDE_EFFECTS_MODE: "record" })
  yield* runWith({ SIDE_EFFECTS_MODE: "assert-none" })
  yield* runWith({ SIDE_EFFECTS_MODE: "of" })
  yield* runWith({ SIDE_EFFECTS_BLOCK: "billing:sms:*" })
}).pipe(Effect.provide(PlainLog))

if (import.meta.main) Effect.runPromise(program)
