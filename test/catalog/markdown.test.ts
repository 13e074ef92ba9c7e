import { assert, describe, it } from "@effect/vitest"
import { markdown } from "../../src/catalog/internal/markdown.ts"
import { mermaid } from "../../src/catalog/internal/mermaid.ts"
import { fields } from "../../src/catalog/internal/payload.ts"
import { big, catalog, empty, event, nasty, shop, sideEffect, tips } from "./fixtures.ts"

const page = markdown(shop)
const withoutFences = (text: string) => text.replace(/^(`{3,}).*?^\1$/gms, "")
const sectionOf = (name: string, text = page) =>
  text.split(/^(?=##+ )/m).find((part) => part.startsWith(`### \`${name}\``)) ?? ""

describe("markdown", () => {
  it("begins with what happens when", () => {
    const overview = page.split(/^## /m)[1]!
    assert.include(
      overview,
      `- [\`orders:order:placed\`](#ordersorderplaced): A customer has placed an order.
  1. [\`orders:warehouse:reserve\`](#orderswarehousereserve)
  2. [\`orders:mail:send-confirmation\`](#ordersmailsend-confirmation)
  3. [\`orders:sales:announce-big-order\`](#orderssalesannounce-big-order), **when** its condition holds
  4. [\`orders:crm:update\`](#orderscrmupdate), bound as \`orders:**\`
`
    )
    assert.match(overview, /-programme\): Nobody cares\.\n {2}- nothing/)
  })

  it("tells what bindings enqueue with", () => {
    const mail = "[`accounts:mail:send`](#accountsmailsend)"
    assert.include(
      markdown(tips),
      `  1. ${mail}
  2. ${mail}, after 1d, queue slow
  3. ${mail}, **when** its condition holds, options computed for each event
  4. [\`accounts:crm:update\`](#accountscrmupdate), key \\<k\\>, priority 3
`
    )
    assert.include(
      sectionOf("accounts:mail:send", markdown(tips)),
      "- [`accounts:account:opened`](#accountsaccountopened), after 1d, queue slow\n"
    )
  })

  it("has the picture", () => {
    assert.include(page, `\`\`\`mermaid\n${mermaid(shop)}\`\`\``)
    assert.notInclude(markdown(big(300)), "```mermaid")
    assert.include(markdown(big(300)), "It has 900 arrows: more than Mermaid draws.")
  })

  it("links only to headings that are there", () => {
    const both = catalog(
      [event("g", "a:b", "Event."), event("g", "events", "Named as a heading."), event("g", "a.b", "Same anchor.")],
      [sideEffect("g", "a:b", "Side effect."), sideEffect("g", "ab-1", "Takes the anchor of another.")],
      [{ group: "g", from: "a:b, events", kind: "events", events: ["a:b", "events", "a.b"], sideEffect: "ab-1" }]
    )
    for (const text of [page, markdown(both)]) {
      const taken = new Set<string>()
      for (const [, heading] of withoutFences(text).matchAll(/^#+ (.*)$/gm)) {
        const slug = heading!.toLowerCase().replace(/[^\w -]/g, "").replaceAll(" ", "-")
        let anchor = slug
        for (let n = 1; taken.has(anchor); n++) anchor = `${slug}-${n}`
        taken.add(anchor)
      }
      const links = [...withoutFences(text).matchAll(/\]\(#([^)]*)\)/g)].map((match) => match[1]!)
      assert.isAbove(links.length, 4)
      assert.deepStrictEqual(links.filter((anchor) => !taken.has(anchor)), [])
    }
  })

  it("tells all about an event", () => {
    assert.strictEqual(
      sectionOf("orders:order:shipped"),
      `### \`orders:order:shipped\`

The warehouse has handed the parcel over to the carrier.

What happens, in this order:

1. [\`orders:crm:update\`](#orderscrmupdate), bound as \`orders:**\`
2. [\`orders:mail:send-tracking\`](#ordersmailsend-tracking)

| payload | type | required | description |
| --- | --- | --- | --- |
| \`orderId\` | \`string\` | yes | Number of the order, e.g. \\\`2026-001042\\\` |
| \`carrier\` | \`string\` | yes |  |
| \`tracking\` | \`string\` | no |  |

- Owner: team-fulfilment
- Groups: \`orders\`
- Class: \`OrderShipped\`
- Source: \`src/orders/definitions.ts:44\`

`
    )
  })

  it("tells all about a side effect", () => {
    const capture = sectionOf("payments:bank:capture")
    for (
      const text of [
        "Triggered by:\n\n- [`orders:order:paid`](#ordersorderpaid)\n",
        "- Timeout: 1m\n- Retry: up to 10 times: after 1s, 2s, 4s, ...\n- Queue: `bank`\n",
        "- Idempotency key: computed from the payload\n- Owner: team-payments\n"
      ]
    ) assert.include(capture, text)
    assert.include(sectionOf("orders:crm:update"), "Enqueued by:\n\n- `importLegacyOrders`\n- `CrmSync.run`\n")
    assert.include(
      sectionOf("accounts:search:reindex"),
      "- `/^accounts:customer:(deleted|merged)$/`, which matches no event"
    )
    assert.include(sectionOf("accounts:search:reindex"), "No payload.")
  })

  it("shows a payload that is no object as JSON Schema", () => {
    assert.match(sectionOf("payments:ledger:book"), /Payload:\n\n```json\n\{\n {2}"anyOf": \[/)
    const fenced = sideEffect("g", "a", "A.", { payload: { type: "string", pattern: "^```$" } })
    assert.match(markdown(catalog([], [fenced], [])), /^````json\n[^]*\^```\$[^]*\n````$/m)
  })

  it("takes no text for Markdown or HTML", () => {
    const section = sectionOf("orders:sales:announce-big-order")
    assert.include(
      section,
      "Tell sales about \\<script\\>alert(\"big\")\\</script\\> \\& co. \\| \\`rm -rf\\` \\*now\\* \\_or\\_ \\~\\~never\\~\\~ \\[x\\](javascript:1)"
    )
    assert.include(
      section,
      "\n\\# not a heading\\\n\\- not a list\\\n1\\. nor this\n\nnot code\\\n\\`\\`\\`\\\nnot a fence\\\n"
    )
    assert.include(section, "- Owner: team-sales \\<sales@example.org\\>")
    assert.notMatch(withoutFences(page), /(?<!\\)</)
    const cells = sectionOf("orders:order:placed").split("\n").filter((line) => line.startsWith("|"))
    assert.include(cells, "| `currency` | `\"EUR\" \\| \"SEK\" \\| \"USD\"` | yes |  |")
    for (const cell of cells) assert.strictEqual(cell.split(/(?<!\\)\|/).length, 6, cell)
    const ticks = sideEffect("g", "a", "A.", { tags: ["`"], enqueuedBy: ["a``b`"], annotations: { [nasty]: nasty } })
    assert.include(markdown(catalog([], [ticks], [])), "- ``` a``b` ```\n")
    assert.notMatch(
      withoutFences(markdown(catalog([], [ticks], []))).replace(/(`+)(?!`).*?[^`]\1(?!`)/g, ""),
      /(?<!\\)</
    )
  })

  it("is the same for the same catalogue, and says so when there is nothing", () => {
    assert.strictEqual(markdown(structuredClone(shop)), page)
    assert.strictEqual(
      markdown(empty),
      "# Side effects\n\nThere is nothing in this catalogue yet: no event and no side effect.\n"
    )
  })
})

describe("fields", () => {
  const types = (properties: Record<string, object>, more: object = {}) =>
    Object.fromEntries((fields({ type: "object", properties, ...more }) ?? []).map(({ name, type }) => [name, type]))

  it("names types as TypeScript does", () => {
    assert.deepStrictEqual(
      types({
        number: { anyOf: [{ type: "number" }, { type: "string", enum: ["NaN", "Infinity", "-Infinity"] }] },
        either: { anyOf: [{ type: "string" }, { type: "null" }] },
        list: { type: "array", items: { enum: ["a", 1] } },
        pair: { type: "array", prefixItems: [{ type: "string" }, { type: "integer" }] },
        more: { type: "array", prefixItems: [{ type: "string" }], items: { type: "boolean" } },
        record: { type: "object", additionalProperties: { type: "number" } },
        constant: { const: "on" },
        date: { type: "string", format: "date-time" },
        many: { type: ["string", "null"] },
        tagged: {
          anyOf: [
            { type: "object", properties: { _tag: { type: "string", enum: ["Some"] }, value: { type: "string" } } },
            { type: "object", properties: { _tag: { type: "string", enum: ["None"] } } }
          ]
        },
        anything: {}
      }),
      {
        number: "number",
        either: "string | null",
        list: "(\"a\" | 1)[]",
        pair: "[string, integer]",
        more: "[string, ...boolean[]]",
        record: "Record<string, number>",
        constant: "\"on\"",
        date: "string (date-time)",
        many: "string | null",
        tagged: "{ _tag: \"Some\", ... } | { _tag: \"None\", ... }",
        anything: "unknown"
      }
    )
  })

  it("follows references, and comes to an end", () => {
    const $defs = {
      Node: { type: "object", properties: { value: { type: "string" }, next: { $ref: "#/$defs/Node" } } },
      "The Node/1": { $ref: "#/$defs/Node" },
      Loop: { $ref: "#/$defs/Loop" },
      Tree: { type: "array", items: { $ref: "#/$defs/Tree" } }
    }
    assert.deepStrictEqual(types({ first: { $ref: "#/$defs/Node" } }, { $defs }), {
      "first": "object",
      "first.value": "string",
      "first.next": "object"
    })
    assert.deepStrictEqual(types({ a: { $ref: "#/$defs/Loop" }, b: { $ref: "#/$defs/None" } }, { $defs }), {
      a: "unknown",
      b: "unknown"
    })
    assert.deepStrictEqual(types({ a: { $ref: "#/$defs/The%20Node~11" }, b: { $ref: "#/$defs/100%" } }, { $defs }), {
      "a": "object",
      "a.value": "string",
      "a.next": "object",
      "b": "unknown"
    })
    assert.deepStrictEqual(types({ tree: { $ref: "#/$defs/Tree" } }, { $defs }), { tree: "...[][][][][]" })
    assert.deepStrictEqual(fields({ $ref: "#/$defs/Node", $defs })?.length, 2)
  })

  it("has none for what is no object", () => {
    assert.isUndefined(fields({ type: "string" }))
    assert.isUndefined(fields({ type: "object", additionalProperties: { type: "string" } }))
    assert.deepStrictEqual(fields({ type: "object", properties: {} }), [])
  })
})
