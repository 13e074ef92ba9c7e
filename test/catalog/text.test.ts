import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Catalog, Event, SideEffect, SideEffectGroup } from "effect-side-effects"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { stripVTControlCharacters } from "node:util"
import { Shop } from "../cli/fixtures/shop.ts"
import { shop, tips } from "./fixtures.ts"

const root = dirname(fileURLToPath(new URL("../cli/fixtures/shop.ts", import.meta.url)))
const catalog = Catalog.make(Shop, { root })

const widerThan = (width: number, text: string) => text.split("\n").filter((line) => line.length > width)

describe("toText", () => {
  it("has what follows from each event, in order, then what no event leads to", () => {
    assert.strictEqual(
      Catalog.toText(catalog),
      `orders:order:placed  A customer placed an order.
  1. orders:mail:send-confirmation  Email the customer a confirmation of the
       order.
  2. orders:warehouse:notify  Tell the warehouse to pack the order, which it
       does within the hour on working days. (only when its condition holds)
  3. orders:audit:write  Write an entry to the audit log.

orders:order:paid  The money for an order has arrived.
  1. orders:warehouse:ship (ship)  Have the parcel picked up.
  2. orders:audit:write  Write an entry to the audit log.

accounts:account:closed  A customer closed the account.
  nothing follows

Enqueued by code:
  orders:report:nightly  Mail the figures of the day to the management. (by
      nightlyReport)

Nothing is known to trigger:
  orders:fax:send  TODO: say in one sentence what happens outside when it is
      performed.
`
    )
  })

  it("tells bindings of one side effect apart, and what they enqueue with", () => {
    assert.strictEqual(
      Catalog.toText(tips),
      `accounts:account:opened  Somebody has opened an account.
  1. accounts:mail:send  Email the customer.
  2. accounts:mail:send (tips-after-a-day)  Email the customer. (after 1d, queue
       slow)
  3. accounts:mail:send (offer: (if any))  Email the customer. (only when its
       condition holds) (options computed for each event)
  4. accounts:crm:update  Write it into the CRM. (key <k>, priority 3)
`
    )
    assert.include(
      Catalog.toText(tips, { verbose: true }),
      `    2. accounts:mail:send
       enqueued with delay 1d
       enqueued with queue slow
       binding "tips-after-a-day"
`
    )
    assert.strictEqual(stripVTControlCharacters(Catalog.toText(tips, { colors: true })), Catalog.toText(tips))
  })

  it("has everything under verbose", () => {
    assert.strictEqual(
      Catalog.toText(catalog, { verbose: true }),
      `EVENTS

orders:order:placed  A customer placed an order.
  It is neither paid nor checked for fraud.
  payload      orderId: string
               email: string
               total: number
               note?: string
  owner        team-checkout
  groups       orders
  class        OrderPlaced
  source       shop.ts:4
  then         in this order
    1. orders:mail:send-confirmation
       binding "orders:order:placed -> orders:mail:send-confirmation"
       at shop.ts:59
    2. orders:warehouse:notify
       only when the condition of its binding holds
       binding "orders:order:placed -> orders:warehouse:notify"
       at shop.ts:60
    3. orders:audit:write
       bound as orders:order:*
       binding "orders:order:* -> orders:audit:write"
       at shop.ts:62

orders:order:paid  The money for an order has arrived.
  payload      orderId: string
  owner        team-checkout
  groups       orders
  class        OrderPaid
  source       shop.ts:14
  then         in this order
    1. orders:warehouse:ship
       priority 5
       binding "ship"
       at shop.ts:61
    2. orders:audit:write
       bound as orders:order:*
       binding "orders:order:* -> orders:audit:write"
       at shop.ts:62

accounts:account:closed  A customer closed the account.
  payload      none
  owner        team-checkout
  groups       orders
  class        AccountClosed
  source       shop.ts:19
  then         nothing follows

SIDE EFFECTS

orders:mail:send-confirmation  Email the customer a confirmation of the order.
  Without it, support gets a call for every tenth order.
  payload      orderId: string
               to: string
  owner        team-checkout
  groups       orders
  class        SendConfirmation
  source       shop.ts:23
  timeout      10s
  retry        up to 3 times: after 1s, 2s, 4s
  queue        mail
  idempotency  has a key of its own
  follows from orders:order:placed (number 1)

orders:warehouse:notify  Tell the warehouse to pack the order, which it does
    within the hour on working days.
  payload      orderId: string
  owner        team-checkout
  groups       orders
  class        NotifyWarehouse
  source       shop.ts:35
  follows from orders:order:placed (number 2)

orders:warehouse:ship  Have the parcel picked up.
  payload      orderId: string
  owner        team-checkout
  groups       orders
  class        ShipParcel
  source       shop.ts:40
  follows from orders:order:paid (number 1)

orders:audit:write  Write an entry to the audit log.
  payload      none
  owner        team-checkout
  groups       orders
  class        Audit
  source       shop.ts:50
  follows from orders:order:placed (number 3)
               orders:order:paid (number 2)

orders:report:nightly  Mail the figures of the day to the management.
  payload      none
  owner        team-checkout
  groups       orders
  class        Report
  source       shop.ts:45
  enqueued by  nightlyReport

orders:fax:send  TODO: say in one sentence what happens outside when it is
    performed.
  payload      none
  owner        team-checkout
  groups       orders
  class        Forgotten
  source       shop.ts:54
  follows from nothing
`
    )
  })

  it("has a line of tabs for each side effect of an event under raw", () => {
    assert.deepStrictEqual(Catalog.toText(catalog, { raw: true }).split("\n").map((line) => line.split("\t")), [
      [
        "orders:order:placed",
        "orders:mail:send-confirmation",
        "orders:order:placed -> orders:mail:send-confirmation"
      ],
      ["orders:order:placed", "orders:warehouse:notify", "orders:order:placed -> orders:warehouse:notify"],
      ["orders:order:placed", "orders:audit:write", "orders:order:* -> orders:audit:write"],
      ["orders:order:paid", "orders:warehouse:ship", "ship"],
      ["orders:order:paid", "orders:audit:write", "orders:order:* -> orders:audit:write"],
      [""]
    ])
  })

  it("says that a pattern matches nothing, and that nothing is there", () => {
    class Ping extends SideEffect.make("a:ping", { description: "Ping." }) {}
    const dead = SideEffectGroup.make("a").on(/^never$/, Ping)
    assert.strictEqual(
      Catalog.toText(Catalog.make(dead)),
      "Nothing is known to trigger:\n  a:ping  Ping. (bound to /^never$/, which matches no event)\n"
    )
    const nothing = Catalog.make(SideEffectGroup.make("empty"))
    assert.strictEqual(
      Catalog.toText(nothing),
      "There is nothing in this catalogue yet: no event and no side effect.\n"
    )
    assert.strictEqual(Catalog.toText(nothing, { raw: true }), "")
  })

  it("keeps to the width, and cuts nothing", () => {
    for (const each of [catalog, shop]) {
      for (const width of [50, 80, 100]) {
        for (const verbose of [false, true]) {
          const text = Catalog.toText(each, { verbose, width })
          // A name stays whole, where the line is too short for it.
          const words = widerThan(width, text).map((line) => Math.max(...line.split(" ").map((word) => word.length)))
          assert.deepStrictEqual(words.filter((word) => word < width - 20), [])
          assert.strictEqual(
            text.replace(/\s+/g, " "),
            Catalog.toText(each, { verbose, width: 10_000 }).replace(/\s+/g, " ")
          )
        }
      }
    }
  })

  it("has colors only when asked, and the same text under them", () => {
    const colored = Catalog.toText(catalog, { colors: true })
    assert.include(colored, "\u001b[1morders:order:placed\u001b[0m")
    assert.strictEqual(stripVTControlCharacters(colored), Catalog.toText(catalog))
    assert.strictEqual(stripVTControlCharacters(Catalog.toText(catalog)), Catalog.toText(catalog))
  })

  it("shows what a terminal would obey", () => {
    class Evil extends Event.make("a:evil", {
      description: "Red \u001b[31malert\u0007, 注文 and\ttabs.",
      payload: { a: Schema.String }
    }) {}
    const text = Catalog.toText(Catalog.make(SideEffectGroup.make("a").events(Evil)))
    assert.strictEqual(text, "a:evil  Red \\x1b[31malert\\x07, 注文 and tabs.\n  nothing follows\n")
  })

  it("counts wide characters as two columns", () => {
    const order = "注文 ".repeat(40).trim()
    class Wide extends Event.make("a:wide", { description: order }) {}
    const text = Catalog.toText(Catalog.make(SideEffectGroup.make("a").events(Wide)))
    assert.isTrue(text.split("\n").every((line) => line.replace(/[注文]/g, "xx").length <= 80))
  })
})

describe("toJson", () => {
  it("is the catalogue", () => {
    assert.deepStrictEqual(JSON.parse(Catalog.toJson(catalog)), JSON.parse(JSON.stringify(catalog)))
    assert.isTrue(Catalog.toJson(catalog).endsWith("}\n"))
  })
})
