import { assert, describe, it } from "@effect/vitest"
import { Catalog, Dispatcher, Event, SideEffect, SideEffectGroup } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import { Outbox } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"

class Placed extends Event.make("shop:order:placed", { description: "A customer placed an order." }) {}
class Mail extends SideEffect.make("shop:mail:send", { description: "Email the customer." }) {}
class Push extends SideEffect.make("shop:push:notify", { description: "Notify the phone." }) {}
const Shop = SideEffectGroup.make("shop").on(Placed, Mail).on(Placed, Push)

const engine = (name: string) =>
  Engine.dispatcher({
    name,
    honours: { delay: true, priority: true, queue: true },
    connect: Effect.succeed({ handOver: () => Effect.void })
  })

const [bullmq, boss] = [engine("bullmq"), engine("pg-boss")]
const routes = Dispatcher.route([
  [{ queue: "slow" }, boss],
  ["**:mail:**", bullmq],
  ["**", Outbox.dispatcher()]
])
const plain = Catalog.make(Shop)
const routed = Catalog.make(Shop, { dispatcher: routes, relay: { "**:push:**": boss } })
const of = (catalog: Catalog.Catalog) => catalog.sideEffects.map(({ destinations }) => destinations)

describe("what is routed where", () => {
  it("is in the catalogue: the dispatcher, the queue, and the engine behind a relay", () => {
    assert.deepStrictEqual(of(routed), [
      [{ dispatcher: "pg-boss", queue: "slow" }, { dispatcher: "bullmq" }],
      [{ dispatcher: "pg-boss", queue: "slow" }, { dispatcher: "outbox", engine: "pg-boss" }]
    ])
    assert.deepStrictEqual(of(Catalog.make(Shop, { dispatcher: Dispatcher.inline() })), [
      [{ dispatcher: "inline" }],
      [{ dispatcher: "inline" }]
    ])
  })

  it("a relay alone tells of an outbox, and the first pattern of it counts", () => {
    assert.deepStrictEqual(of(Catalog.make(Shop, { relay: { "**:mail:**": bullmq } })), [
      [{ dispatcher: "outbox", engine: "bullmq" }],
      undefined
    ])
    assert.deepStrictEqual(
      of(Catalog.make(Shop, { dispatcher: Outbox.dispatcher(), relay: { "**:mail:**": bullmq, "**": boss } })),
      [[{ dispatcher: "outbox", engine: "bullmq" }], [{ dispatcher: "outbox", engine: "pg-boss" }]]
    )
    // What does not go through an outbox is none of its business.
    assert.deepStrictEqual(of(Catalog.make(Shop, { dispatcher: Dispatcher.inline(), relay: { "**": boss } }))[0], [
      { dispatcher: "inline" }
    ])
  })

  it("is not there where nobody has told", () => {
    assert.notProperty(plain.sideEffects[0], "destinations")
    assert.notInclude(Catalog.lock(plain), "destinations")
    for (
      const text of [
        Catalog.toText(plain, { verbose: true }),
        Catalog.toMarkdown(plain),
        Catalog.explain(plain, "Mail")
      ]
    ) {
      assert.notMatch(text, /goes (to|in|through)/i)
    }
  })

  it("stays in a part of the catalogue, and in JSON", () => {
    const part = Catalog.filter(routed, { contains: "push" })
    assert.deepStrictEqual(of(part), [of(routed)[1]])
    assert.deepStrictEqual(JSON.parse(Catalog.toJson(routed)).sideEffects[0].destinations, of(routed)[0])
  })

  it("list --verbose says it", () => {
    assert.include(
      Catalog.toText(routed, { verbose: true }),
      `  goes to      through the outbox to pg-boss
               in queue slow: pg-boss
`
    )
    assert.notInclude(Catalog.toText(routed), "goes to")
  })

  it("explain says it of a side effect, and of what follows from an event", () => {
    assert.include(Catalog.explain(routed, "shop:mail:send"), "  goes to bullmq; in queue slow: pg-boss\n")
    assert.include(
      Catalog.explain(routed, "shop:push:notify"),
      "  goes through the outbox to pg-boss; in queue slow: pg-boss\n"
    )
    assert.include(
      Catalog.explain(routed, "shop:order:placed"),
      `  2. shop:push:notify  Notify the phone.
     goes through the outbox to pg-boss; in queue slow: pg-boss
`
    )
  })

  it("Markdown says it", () => {
    assert.include(Catalog.toMarkdown(routed), "- Goes to: bullmq; in queue slow: pg-boss\n")
  })

  it("the page says it", () => {
    const html = Catalog.toHtml(routed)
    const data = JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)![1]!)
    assert.strictEqual(data.sideEffects[0].destinations, "bullmq; in queue slow: pg-boss")
    assert.include(html, "[\"Goes to\", entry.destinations]")
  })

  it("a change of it shows in a review", () => {
    const committed = Catalog.lock(routed)
    assert.deepStrictEqual(Catalog.diff(committed, routed), [])
    const other = Catalog.make(Shop, {
      dispatcher: Dispatcher.route([["**:mail:**", boss], ["**", Outbox.dispatcher()]]),
      relay: { "**:push:**": boss }
    })
    assert.deepStrictEqual(Catalog.diff(committed, other), [
      "~ side effect shop:mail:send",
      "    - goes to: bullmq",
      "    - goes to: in queue slow: pg-boss",
      "    + goes to: pg-boss",
      "~ side effect shop:push:notify",
      "    - goes to: in queue slow: pg-boss"
    ])
    assert.include(Catalog.diff(Catalog.lock(plain), routed), "    + goes to: bullmq")
  })
})
