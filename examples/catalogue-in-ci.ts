/**
 * The catalogue in CI: what leads to what is committed as a file, so that a review sees every change of it, and CI refuses
 * one that was not meant.
 *
 * In a project, the command line does what this file does by hand. In package.json:
 *
 *     "side-effects": "./src/side-effects.ts",
 *     "scripts": {
 *       "catalogue": "side-effects check --lock catalogue.json --write",
 *       "check:catalogue": "side-effects check --strict --lock catalogue.json",
 *       "docs": "side-effects list --out docs/side-effects.html"
 *     }
 *
 * `side-effects` names the module that exports the groups. `check --strict` exits with the number of findings, and `--lock`
 * adds one when the catalogue is not the one in the file; `npm run catalogue` renews it after a change that is meant.
 * Run this one with `npm run example examples/catalogue-in-ci.ts`.
 */
import { Console, Effect, Schema } from "effect"
import { Catalog, Event, SideEffect, SideEffectGroup } from "effect-side-effects"

class InvoicePaid extends Event.make("billing:invoice:paid", {
  description: "A customer paid an invoice.",
  payload: { invoice: Schema.String, email: Schema.String }
}) {}

class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
  description: "Email the customer a receipt.",
  payload: { invoice: Schema.String, to: Schema.String },
  defaults: { timeout: "10 seconds" }
}) {}

class BookPayment extends SideEffect.make("billing:ledger:book", {
  description: "Book the payment in the ledger.",
  payload: { invoice: Schema.String }
}) {}

class CloseYear extends SideEffect.make("billing:ledger:close-year", {
  description: "TODO"
}) {}

export const Billing = SideEffectGroup.make("billing")
  .on(InvoicePaid, SendReceipt, ({ email, invoice }) => ({ invoice, to: email }))
  .annotate(Catalog.Owner, "team-billing")

// What somebody proposes: the payment is booked, too, before the receipt is sent. And there is something half done.
export const Proposed = SideEffectGroup.make("billing")
  .on(InvoicePaid, SendReceipt, ({ email, invoice }) => ({ invoice, to: email }), {
    when: ({ email }) => email !== ""
  })
  .on(InvoicePaid, BookPayment, ({ invoice }) => ({ invoice }), { priority: 1 })
  .add(CloseYear)
  .annotate(Catalog.Owner, "team-billing")

export const program = Effect.gen(function*() {
  const catalog = Catalog.make(Billing)
  yield* Console.log(`the catalogue:\n\n${Catalog.toText(catalog)}`)

  // The text that is committed. It has no places and is sorted, so it changes only when the catalogue does.
  const committed = Catalog.lock(catalog)
  yield* Console.log(`findings: ${Catalog.check(catalog).length}, changes: ${Catalog.diff(committed, catalog).length}`)

  // In the branch of the proposal, against the same committed text:
  const proposed = Catalog.make(Proposed)
  yield* Console.log(`\nwhat the proposal changes:\n\n${Catalog.diff(committed, proposed).join("\n")}`)

  const findings = Catalog.check(proposed)
  yield* Console.log(`\nwhat it is better without:\n`)
  for (const { kind, subject } of findings) yield* Console.log(`${subject}: ${kind}`)
})

if (import.meta.main) Effect.runPromise(program)
