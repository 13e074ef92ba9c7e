import { assert, describe, it } from "@effect/vitest"
import { Catalog } from "effect-side-effects"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { Shop } from "../cli/fixtures/shop.ts"
import { shop, tips } from "./fixtures.ts"

const root = dirname(fileURLToPath(new URL("../cli/fixtures/shop.ts", import.meta.url)))
const catalog = Catalog.make(Shop, { root })

const message = (query: string, of: Catalog.Catalog = catalog): string => {
  try {
    return `explained: ${Catalog.explain(of, query)}`
  } catch (error) {
    return (error as Error).message
  }
}

describe("explain", () => {
  it("an event: what follows, in order, and what would keep it in", () => {
    assert.strictEqual(
      Catalog.explain(catalog, "orders:order:placed", { environment: { block: "orders:mail:*" } }),
      `orders:order:placed  A customer placed an order.
  at shop.ts:4
  owner team-checkout

What happens, in this order, once the unit of work around has succeeded:

  1. orders:mail:send-confirmation  Email the customer a confirmation of the
       order.
     timeout 10s, unless its handler says otherwise
     retry up to 3 times: after 1s, 2s, 4s, unless its handler says otherwise
     queue mail, unless the call says otherwise
     idempotency key of its own
     binding "orders:order:placed -> orders:mail:send-confirmation"
     at shop.ts:59

  2. orders:warehouse:notify  Tell the warehouse to pack the order, which it
       does within the hour on working days.
     only when the condition of its binding holds
     binding "orders:order:placed -> orders:warehouse:notify"
     at shop.ts:60

  3. orders:audit:write  Write an entry to the audit log.
     bound as orders:order:*
     binding "orders:order:* -> orders:audit:write"
     at shop.ts:62

What would keep it from happening:
  - The unit of work around it fails, dies or is interrupted: all of it is
    discarded.
  - The condition of a binding says no: that concerns orders:warehouse:notify.
  - A condition, mapping or option of a binding throws: the emit dies, and
    nothing at all follows from the event.
  - A policy on the way (of a piece of code, a boundary or the layer) keeps it
    in: block, allowOnly, reject, limit, limitBy, dropAll, assertNone or one of
    your own. Policy.dedupe() lets only the first of those with the same
    idempotency key pass: that concerns orders:mail:send-confirmation.
  - The layer is another one than LiveLayer: DropLayer performs nothing, under
    AssertNoneLayer the attempt dies, and TestLayer only records; what follows
    from an event is known to TestLayerFor(group) alone.
  - In this environment, for programs that use ConfigLayer: SIDE_EFFECTS_BLOCK
    is orders:mail:*, which stops orders:mail:send-confirmation. It does not
    stop orders:warehouse:notify and orders:audit:write. SIDE_EFFECTS_MODE is
    not set, which means live.
`
    )
  })

  it("a side effect: what leads to it, at which place", () => {
    assert.strictEqual(
      Catalog.explain(catalog, "orders:audit:write"),
      `orders:audit:write  Write an entry to the audit log.
  at shop.ts:50
  owner team-checkout

What leads to it:
  orders:order:placed, as number 3 of 3  A customer placed an order.
    bound as orders:order:*
    binding "orders:order:* -> orders:audit:write"
    at shop.ts:62
  orders:order:paid, as number 2 of 2  The money for an order has arrived.
    bound as orders:order:*
    binding "orders:order:* -> orders:audit:write"
    at shop.ts:62

What would keep it from happening:
  - The unit of work around it fails, dies or is interrupted: it is discarded.
  - A condition, mapping or option of a binding throws: the emit dies, and
    nothing at all follows from the event.
  - A policy on the way (of a piece of code, a boundary or the layer) keeps it
    in: block, allowOnly, reject, limit, limitBy, dropAll, assertNone or one of
    your own. None of this has an idempotency key of its own, so Policy.dedupe()
    lets it pass.
  - The layer is another one than LiveLayer: DropLayer performs nothing, under
    AssertNoneLayer the attempt dies, and TestLayer only records; what follows
    from an event is known to TestLayerFor(group) alone.
  - In this environment, for programs that use ConfigLayer: nothing keeps it in.
    SIDE_EFFECTS_MODE is not set, which means live, and SIDE_EFFECTS_BLOCK is
    not set.
`
    )
  })

  it("a pattern: all that match, shortly", () => {
    assert.strictEqual(
      Catalog.explain(catalog, "orders:*:*", { environment: { mode: "drop" } }),
      `orders:order:placed  A customer placed an order.
  1. orders:mail:send-confirmation  Email the customer a confirmation of the
       order.
  2. orders:warehouse:notify  Tell the warehouse to pack the order, which it
       does within the hour on working days. (only when its condition holds)
  3. orders:audit:write  Write an entry to the audit log.

orders:order:paid  The money for an order has arrived.
  1. orders:warehouse:ship (ship)  Have the parcel picked up.
  2. orders:audit:write  Write an entry to the audit log.

orders:mail:send-confirmation  Email the customer a confirmation of the order.
  from orders:order:placed

orders:warehouse:notify  Tell the warehouse to pack the order, which it does
    within the hour on working days.
  from orders:order:placed

orders:warehouse:ship  Have the parcel picked up.
  from orders:order:paid

orders:audit:write  Write an entry to the audit log.
  from orders:order:placed, orders:order:paid

orders:report:nightly  Mail the figures of the day to the management.
  from nightlyReport

orders:fax:send  TODO: say in one sentence what happens outside when it is
    performed.
  nothing leads to it

  - In this environment, for programs that use ConfigLayer: SIDE_EFFECTS_MODE is
    drop, so nothing leaves.
`
    )
  })

  it("whose it is, what a binding enqueues with, and who may say otherwise", () => {
    const event = Catalog.explain(tips, "accounts:account:opened")
    assert.include(
      event,
      "  Somebody has opened an account.\n  owner team-identity\n  tags pii, growth\n\nWhat happens"
    )
    assert.include(
      event,
      `
  2. accounts:mail:send  Email the customer.
     timeout 10s, unless its handler says otherwise
     retry once: after 1s, unless its handler says otherwise
     attempts at most 5, unless its handler says otherwise
     concurrency 2 in each worker, unless its handler says otherwise
     queue mail, unless the call says otherwise
     priority 2, unless the call says otherwise
     enqueued with delay 1d
     enqueued with queue slow
     binding "tips-after-a-day"
     at src/accounts/bindings.ts:11
`
    )
    assert.include(
      Catalog.explain(tips, "accounts:mail:send"),
      `
  accounts:account:opened, as number 3 of 4  Somebody has opened an account.
    only when the condition of its binding holds
    enqueued with options computed for each event
    binding "offer: (if any)"
`
    )
  })

  it("a group and a binding are known, and have no explanation of their own", () => {
    assert.strictEqual(
      message("accounts", tips),
      "\"accounts\" is a group: it has 1 event and 2 side effects. Explain one of them, such as accounts:account:opened."
    )
    const only = { ...tips, groups: [{ ...tips.groups[0]!, events: [] }] }
    assert.strictEqual(
      message("accounts", only),
      "\"accounts\" is a group: it has 2 side effects. Explain one of them, such as accounts:mail:send."
    )
    assert.strictEqual(
      message("new", { ...tips, groups: [{ ...tips.groups[0]!, name: "new", events: [], sideEffects: [] }] }),
      "\"new\" is a group: it has no event and no side effect yet."
    )
    assert.strictEqual(
      message("tips-after-a-day", tips),
      "\"tips-after-a-day\" is a binding of accounts:account:opened; explain that."
    )
    assert.strictEqual(
      message("nowhere", tips),
      "\"nowhere\" is a binding of /^never$/, which matches no event; explain accounts:crm:update."
    )
    assert.strictEqual(
      message("orders:order:* -> orders:audit:write"),
      "\"orders:order:* -> orders:audit:write\" is a binding of orders:order:placed and orders:order:paid; explain one " +
        "of them."
    )
  })

  it("what code enqueues, and what nothing leads to", () => {
    assert.include(
      Catalog.explain(catalog, "orders:report:nightly"),
      "What leads to it:\n  nightlyReport, which enqueues it itself\n"
    )
    assert.include(Catalog.explain(catalog, "orders:fax:send"), "Nothing leads to it: no event is bound to it")
    assert.include(
      Catalog.explain(catalog, "accounts:account:closed"),
      "Nothing follows: no side effect is bound to it."
    )
  })

  it("knows classes by their names", () => {
    assert.strictEqual(Catalog.explain(catalog, "OrderPaid"), Catalog.explain(catalog, "orders:order:paid"))
  })

  it("a name that nothing has: the nearest ones", () => {
    const nothing = (query: string) => `There is no event and no side effect "${query}". `
    assert.strictEqual(
      message("orders:order:plcaed"),
      `${nothing("orders:order:plcaed")}Did you mean "orders:order:placed"?`
    )
    assert.strictEqual(message("send"), `${nothing("send")}Did you mean "orders:fax:send"?`)
    assert.strictEqual(
      message("warehouse"),
      `${nothing("warehouse")}Did you mean "orders:warehouse:notify" or ` +
        "\"orders:warehouse:ship\"?"
    )
    assert.strictEqual(message("Orderplaced"), `${nothing("Orderplaced")}Did you mean "OrderPlaced"?`)
    assert.strictEqual(message("sendmial", tips), `${nothing("sendmial")}Did you mean "SendMail"?`)
    assert.strictEqual(message("zzz"), `${nothing("zzz")}List all with: side-effects list`)
    assert.strictEqual(
      message("a", { groups: [], events: [], sideEffects: [], bindings: [] }),
      `${nothing("a")}The catalogue is empty.`
    )
    assert.strictEqual(
      message("billing:**"),
      "No event and no side effect matches \"billing:**\": \"*\" is one segment, \"**\" any number."
    )
    assert.include(message("a::*"), "Pattern \"a::*\" has an empty segment at position 2.")
  })

  const now = (environment: { readonly mode?: string; readonly block?: string; readonly allowOnly?: string }) => {
    const text = Catalog.explain(catalog, "orders:order:placed", { environment }).replace(/\s+/g, " ")
    return text.slice(text.indexOf("In this environment, for programs that use ConfigLayer: ") + 56).trim()
  }

  it("what the environment does, as ConfigLayer would", () => {
    assert.strictEqual(
      now({}),
      "nothing keeps it in. SIDE_EFFECTS_MODE is not set, which means live, and SIDE_EFFECTS_BLOCK is not set."
    )
    assert.strictEqual(now({ mode: "drop" }), "SIDE_EFFECTS_MODE is drop, so nothing leaves.")
    assert.strictEqual(
      now({ mode: "record" }),
      "SIDE_EFFECTS_MODE is record, so nothing leaves, and what would have is logged."
    )
    assert.strictEqual(now({ mode: "assert-none" }), "SIDE_EFFECTS_MODE is assert-none, so the attempt dies.")
    assert.strictEqual(
      now({ mode: "of" }),
      "they do not start, as SIDE_EFFECTS_MODE is \"of\" and not one of live, drop, assert-none and record."
    )
    assert.strictEqual(
      now({ mode: "live", block: "orders:fax:*" }),
      "nothing keeps it in. SIDE_EFFECTS_MODE is live, and SIDE_EFFECTS_BLOCK is orders:fax:*, which stops none of this."
    )
    assert.strictEqual(
      now({ block: " orders:audit:** , orders:mail:*," }),
      "SIDE_EFFECTS_BLOCK is orders:audit:**, orders:mail:*, which stops orders:mail:send-confirmation and " +
        "orders:audit:write. It does not stop orders:warehouse:notify. SIDE_EFFECTS_MODE is not set, which means live."
    )
    assert.strictEqual(
      now({ block: "billing:*" }),
      "they do not start, as \"billing:*\" in SIDE_EFFECTS_BLOCK matches no side effect."
    )
    assert.strictEqual(
      now({ allowOnly: "orders:mail:*", block: "orders:fax:*", mode: " LIVE " }),
      "SIDE_EFFECTS_BLOCK is orders:fax:* and SIDE_EFFECTS_ALLOW_ONLY is orders:mail:*, which stops " +
        "orders:warehouse:notify and orders:audit:write. It does not stop orders:mail:send-confirmation. " +
        "SIDE_EFFECTS_MODE is live."
    )
    assert.strictEqual(
      now({ allowOnly: "billing:*" }),
      "they do not start, as \"billing:*\" in SIDE_EFFECTS_ALLOW_ONLY matches no side effect."
    )
    assert.strictEqual(now({ mode: "Assert_None" }), "SIDE_EFFECTS_MODE is assert-none, so the attempt dies.")
    assert.include(
      now({ block: "a::b" }),
      "they do not start. SIDE_EFFECTS_BLOCK: Pattern \"a::b\" has an empty segment"
    )
  })

  it("keeps to the width", () => {
    for (const each of [catalog, shop]) {
      for (const { name } of [...each.events, ...each.sideEffects]) {
        const wide = Catalog.explain(each, name).split("\n").filter((line) => line.length > 80)
        assert.deepStrictEqual(wide.filter((line) => line.trim().includes(" ")), [])
      }
    }
  })
})
