import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Catalog, Event, SideEffect, SideEffectGroup } from "effect-side-effects"
import { Shop } from "../cli/fixtures/shop.ts"
import { shop, tips } from "./fixtures.ts"

const catalog = Catalog.make(Shop)

/** A catalogue after a change of some of its entries, as it would be after one of the code. */
const changed = (change: (copy: any) => void): Catalog.Catalog => {
  const copy = JSON.parse(JSON.stringify(catalog))
  change(copy)
  return copy
}

const since = (change: (copy: any) => void) => Catalog.diff(Catalog.lock(catalog), changed(change))

describe("lock", () => {
  it("is JSON, sorted by name, without places and class names, and ends with a newline", () => {
    const text = Catalog.lock(catalog)
    const locked = JSON.parse(text)
    assert.isTrue(text.endsWith("}\n"))
    assert.notInclude(text, "shop.ts")
    assert.notInclude(text, "OrderPlaced")
    for (const list of ["groups", "events", "sideEffects"]) {
      const names = locked[list].map((entry: any) => entry.name)
      assert.deepStrictEqual(names, names.toSorted())
    }
    assert.deepStrictEqual(locked.bindings.map((binding: any) => binding.id), [
      "orders:order:* -> orders:audit:write",
      "orders:order:placed -> orders:mail:send-confirmation",
      "orders:order:placed -> orders:warehouse:notify",
      "ship"
    ])
  })

  it("is the same text however the definitions are ordered", () => {
    class A extends Event.make("a:a", { description: "A.", payload: { x: Schema.String, y: Schema.String } }) {}
    class A2 extends Event.make("a:a", { description: "A.", payload: { y: Schema.String, x: Schema.String } }) {}
    class B extends SideEffect.make("a:b", { description: "B." }) {}
    class C extends SideEffect.make("a:c", { description: "C." }) {}
    const one = SideEffectGroup.make("g").add(B, C).events(A)
    const other = SideEffectGroup.make("g").events(A2).add(C, B)
    assert.strictEqual(Catalog.lock(Catalog.make(one)), Catalog.lock(Catalog.make(other)))
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(Catalog.make(one)), Catalog.make(other)), [])
  })
})

describe("diff", () => {
  it("is empty when nothing has changed that matters", () => {
    for (const each of [catalog, shop]) assert.deepStrictEqual(Catalog.diff(Catalog.lock(each), each), [])
    const moved = since((copy) => {
      copy.events[0].source.line = 99
      copy.events[0].exportName = "Other"
      copy.events.reverse()
      copy.sideEffects.reverse()
      copy.bindings.reverse()
    })
    assert.deepStrictEqual(moved, [])
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(catalog).replaceAll("\n", "\r\n"), catalog), [])
  })

  it("shows what was added and removed", () => {
    class Refund extends SideEffect.make("orders:mail:refund", {
      description: "Email the customer that the money is on its way, and when it will be there at the latest."
    }) {}
    class OrderPaid extends Event.make("orders:order:paid", { description: "Paid." }) {}
    const before = Catalog.make(SideEffectGroup.make("orders").events(OrderPaid))
    const after = Catalog.make(SideEffectGroup.make("orders").on(OrderPaid, Refund))
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(before), after), [
      "+ side effect orders:mail:refund  Email the customer that the money is on its",
      "      way, and when it will be there at the latest.",
      "+ binding orders:order:paid -> orders:mail:refund"
    ])
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(after), before), [
      "- side effect orders:mail:refund  Email the customer that the money is on its",
      "      way, and when it will be there at the latest.",
      "- binding orders:order:paid -> orders:mail:refund"
    ])
    assert.deepStrictEqual(
      Catalog.diff(Catalog.lock(before), Catalog.make(SideEffectGroup.make("other"))),
      ["- group orders", "+ group other", "- event orders:order:paid  Paid."]
    )
  })

  it("shows what has changed, old and new", () => {
    const lines = since((copy) => {
      const [mail, warehouse] = copy.sideEffects
      copy.events[0].description = "Someone placed an order."
      copy.events[0].payload.properties.total = { type: "string" }
      copy.groups[0].owner = undefined
      mail.defaults.timeout = "30s"
      delete mail.defaults.queue
      mail.hasIdempotencyKey = false
      warehouse.enqueuedBy = ["backfill"]
      warehouse.annotations = { since: "2025" }
      copy.bindings[1].conditional = false
    })
    assert.deepStrictEqual(lines, [
      "~ group orders",
      "    - owner: team-checkout",
      "~ event orders:order:placed",
      "    - description: A customer placed an order. It is neither paid nor checked",
      "        for fraud.",
      "    + description: Someone placed an order.",
      "    - payload: total: number",
      "    + payload: total: string",
      "~ side effect orders:mail:send-confirmation",
      "    - queue: mail",
      "    - timeout: 10s",
      "    + timeout: 30s",
      "    - idempotency key: yes",
      "    + idempotency key: no",
      "~ side effect orders:warehouse:notify",
      "    + annotation since: \"2025\"",
      "    + enqueued by: backfill",
      "~ binding orders:order:placed -> orders:warehouse:notify",
      "    - conditional: yes",
      "    + conditional: no"
    ])
  })

  it("shows what a binding enqueues with", () => {
    const without = { ...tips, bindings: tips.bindings.map((binding) => ({ ...binding, enqueue: {} })) }
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(without), tips), [
      "~ binding accounts:account:opened -> accounts:crm:update",
      "    + enqueue key: <k>",
      "    + enqueue priority: 3",
      "~ binding offer: (if any)",
      "    + enqueue options: computed for each event",
      "~ binding tips-after-a-day",
      "    + enqueue delay: 1d",
      "    + enqueue queue: slow"
    ])
    const later = tips.bindings.map((binding) =>
      binding.id === "tips-after-a-day" ? { ...binding, enqueue: { delay: "2d", queue: "slow" } } : binding
    )
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(tips), { ...tips, bindings: later }), [
      "~ binding tips-after-a-day",
      "    - enqueue delay: 1d",
      "    + enqueue delay: 2d"
    ])
    const fewer = { ...tips, bindings: tips.bindings.filter(({ id }) => id !== "tips-after-a-day") }
    assert.deepStrictEqual(Catalog.diff(Catalog.lock(fewer), tips), [
      "+ binding tips-after-a-day, after 1d, queue slow"
    ])
    // A text of before there was such a thing.
    const old = JSON.parse(Catalog.lock(catalog))
    for (const binding of old.bindings) delete binding.enqueue
    assert.deepStrictEqual(Catalog.diff(JSON.stringify(old), catalog), [])
    delete old.bindings[0].priority
    assert.isNotEmpty(Catalog.diff(JSON.stringify({ ...old, bindings: [...old.bindings, { id: "gone" }] }), catalog))
  })

  it("shows a change of a payload that its table does not", () => {
    const lines = since((copy) => {
      copy.sideEffects[0].payload.properties.to.minLength = 3
    })
    assert.deepStrictEqual(lines, [
      "~ side effect orders:mail:send-confirmation",
      "    + payload.properties.to.minLength: 3"
    ])
  })

  it("the order of what follows from an event counts", () => {
    const lines = since((copy) => {
      copy.events[0].bindings.reverse()
    })
    assert.deepStrictEqual(lines, [
      "~ event orders:order:placed",
      "    what follows, in order:",
      "    - 1. orders:order:placed -> orders:mail:send-confirmation",
      "    - 2. orders:order:placed -> orders:warehouse:notify",
      "    - 3. orders:order:* -> orders:audit:write",
      "    + 1. orders:order:* -> orders:audit:write",
      "    + 2. orders:order:placed -> orders:warehouse:notify",
      "    + 3. orders:order:placed -> orders:mail:send-confirmation"
    ])
  })

  it("refuses what lock has not made", () => {
    for (
      const [text, problem] of [
        ["", "Unexpected end of JSON input"],
        ["<<<<<<< HEAD\n{}", "Unexpected token"],
        ["{}", "it has no list \"groups\""],
        ["[]", "it has no list \"groups\""],
        ["null", "it has no list \"groups\""],
        ["{\"groups\":[{}]}", "an entry of \"groups\" has no name"]
      ] as const
    ) {
      assert.throws(
        () => Catalog.diff(text, catalog),
        new RegExp(`^This is no catalogue that Catalog.lock has made: ${problem}`)
      )
    }
  })
})
