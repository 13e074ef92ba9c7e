import { assert, describe, it } from "@effect/vitest"
import { mermaid } from "../../src/catalog/internal/mermaid.ts"
import { catalog, empty, event, shop, sideEffect, tips } from "./fixtures.ts"

const bind = (from: string, to: string, group = "g") => ({
  id: `${from} -> ${to}`,
  group,
  from,
  events: [from],
  sideEffect: to
})

describe("mermaid", () => {
  it("draws events on the left, side effects on the right, an arrow for each binding", () => {
    const one = catalog(
      [event("g", "order:placed", "Placed."), event("g", "order:lost", "Lost.")],
      [sideEffect("g", "mail:send", "Send."), sideEffect("g", "crm:update", "Update.")],
      [bind("order:placed", "crm:update"), { ...bind("order:placed", "mail:send"), conditional: true }]
    )
    assert.strictEqual(
      mermaid(one),
      `flowchart LR
  n0("order:placed")
  n1("order:lost")
  n2["mail:send"]
  n3["crm:update"]
  n0 --> n3
  n0 -. when .-> n2
`
    )
  })

  it("has the id of a binding that was given one", () => {
    assert.deepStrictEqual(mermaid(tips).split("\n").slice(4), [
      "  n0 --> n1",
      "  n0 -->|\"tips-after-a-day\"| n1",
      "  n0 -.->|\"when: offer:#32;#40;if#32;any#41;\"| n1",
      "  n0 --> n2",
      ""
    ])
  })

  it("has a subgraph for each of several groups", () => {
    const two = catalog(
      [event("a", "a:happened", "A.")],
      [sideEffect("b", "b:do", "B."), { ...sideEffect("a", "nowhere", "C."), groups: [] }],
      [bind("a:happened", "b:do", "a")]
    )
    assert.strictEqual(
      mermaid(two),
      `flowchart LR
  subgraph g0["a"]
    n0("a:happened")
  end
  subgraph g1["b"]
    n1["b:do"]
  end
  n2["nowhere"]
  n0 --> n1
`
    )
    assert.strictEqual(mermaid(shop).match(/^ {2}subgraph /gm)?.length, 3)
  })

  it("leaves nothing in a name for Mermaid to understand as Markdown", () => {
    const labels = (names: ReadonlyArray<string>) =>
      mermaid(catalog(names.map((name) => event("g", name, "")), [], [])).match(/"[^"]*"/g)
    assert.deepStrictEqual(
      labels(["a_b.c-d:e", "_a_:b", "1.", "---", "www.example.org", "end", "__proto__"]),
      [
        "\"a_b.c-d:e\"",
        "\"#95;a#95;:b\"",
        "\"1#46;\"",
        "\"#45;#45;#45;\"",
        "\"www#46;example.org\"",
        "\"end\"",
        "\"#95;#95;proto#95;#95;\""
      ]
    )
  })

  it("is empty for an empty catalogue", () => {
    assert.strictEqual(mermaid(empty), "flowchart LR\n")
  })
})
