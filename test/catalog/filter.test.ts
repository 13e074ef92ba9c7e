import { assert, describe, it } from "@effect/vitest"
import { Catalog } from "effect-side-effects"
import { Shop } from "../cli/fixtures/shop.ts"
import { shop } from "./fixtures.ts"

const catalog = Catalog.make(Shop)
const names = (entries: ReadonlyArray<{ readonly name: string }>) => entries.map(({ name }) => name)

/** What a part has to be, as the whole is: every name and id that is mentioned is there, and both ends agree. */
const assertConsistent = (part: Catalog.Catalog) => {
  const events = new Map(part.events.map((event) => [event.name, event]))
  const sideEffects = new Map(part.sideEffects.map((sideEffect) => [sideEffect.name, sideEffect]))
  const bindings = new Map(part.bindings.map((binding) => [binding.id, binding]))
  for (const event of part.events) {
    for (const id of event.bindings) assert.include(bindings.get(id)?.events ?? [], event.name)
  }
  for (const sideEffect of part.sideEffects) {
    for (const id of sideEffect.bindings) assert.strictEqual(bindings.get(id)?.sideEffect, sideEffect.name)
  }
  for (const binding of part.bindings) {
    assert.include(sideEffects.get(binding.sideEffect)?.bindings ?? [], binding.id)
    for (const event of binding.events) assert.include(events.get(event)?.bindings ?? [], binding.id)
  }
  for (const group of part.groups) {
    assert.isTrue(group.events.every((name) => events.has(name)))
    assert.isTrue(group.sideEffects.every((name) => sideEffects.has(name)))
    assert.isTrue(group.bindings.every((id) => bindings.has(id)))
  }
}

describe("filter", () => {
  it("an event comes with all that follows from it, and nothing else", () => {
    const part = Catalog.filter(catalog, { label: "orders:order:paid" })
    assert.deepStrictEqual(names(part.events), ["orders:order:paid"])
    assert.deepStrictEqual(names(part.sideEffects), ["orders:warehouse:ship", "orders:audit:write"])
    assert.deepStrictEqual(part.bindings.map(({ events, id }) => [id, events]), [
      ["ship", ["orders:order:paid"]],
      ["orders:order:* -> orders:audit:write", ["orders:order:paid"]]
    ])
    assertConsistent(part)
  })

  it("a side effect comes with the events that lead to it, and these with nothing else", () => {
    const part = Catalog.filter(catalog, { label: "orders:audit:write" })
    assert.deepStrictEqual(names(part.events), ["orders:order:placed", "orders:order:paid"])
    assert.deepStrictEqual(names(part.sideEffects), ["orders:audit:write"])
    assertConsistent(part)
    assert.strictEqual(
      Catalog.toText(part, { within: catalog }),
      `orders:order:placed  A customer placed an order.
  3. orders:audit:write  Write an entry to the audit log.

orders:order:paid  The money for an order has arrived.
  2. orders:audit:write  Write an entry to the audit log.
`
    )
  })

  it("takes the exact name, or a part of it", () => {
    assert.deepStrictEqual(names(Catalog.filter(catalog, { label: "orders" }).events), [])
    assert.deepStrictEqual(names(Catalog.filter(catalog, { contains: "warehouse" }).sideEffects), [
      "orders:warehouse:notify",
      "orders:warehouse:ship"
    ])
    assert.deepStrictEqual(Catalog.filter(catalog, { contains: "warehouse", label: "orders:fax:send" }).events, [])
  })

  it("sorts by name, and leaves alone what means something", () => {
    const sorted = Catalog.filter(catalog, { sorted: true })
    assert.deepStrictEqual(names(sorted.events), names(catalog.events).toSorted())
    assert.deepStrictEqual(names(sorted.sideEffects), names(catalog.sideEffects).toSorted())
    for (const event of sorted.events) {
      assert.deepStrictEqual(event.bindings, catalog.events.find(({ name }) => name === event.name)!.bindings)
    }
    assertConsistent(sorted)
  })

  it("every part of a catalogue is one, and none of it is all of it", () => {
    for (const whole of [catalog, shop]) {
      for (const { name } of [...whole.events, ...whole.sideEffects]) {
        assertConsistent(Catalog.filter(whole, { label: name }))
        assertConsistent(Catalog.filter(whole, { contains: name.split(":").at(-1)!, sorted: true }))
      }
      assert.strictEqual(Catalog.filter(whole, {}), whole)
    }
  })
})
