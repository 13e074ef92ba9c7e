import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { html } from "../../src/catalog/internal/html.ts"
import { script, scriptHash, style, styleHash } from "../../src/catalog/internal/page.ts"
import { big, catalog, empty, event, nasty, shop, sideEffect, tips } from "./fixtures.ts"

const page = html(shop)
const dataOf = (text: string) =>
  JSON.parse(/<script type="application\/json" id="data">(.*?)<\/script>/s.exec(text)![1]!)
const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0

describe("html", () => {
  it("allows its own style and script, nothing else", () => {
    const sha = (text: string) => `sha256-${createHash("sha256").update(text).digest("base64")}`
    assert.strictEqual(styleHash, sha(style), "the style sheet has changed: this is its new hash")
    assert.strictEqual(scriptHash, sha(script), "the script has changed: this is its new hash")
    assert.include(page, `default-src 'none'; style-src '${styleHash}'; script-src '${scriptHash}'`)
    assert.include(page, `<style>${style}</style>`)
    assert.include(page, `<script>${script}</script>`)
    assert.notMatch(page, / style="| on[a-z]+="/)
  })

  it("needs nothing from anywhere", () => {
    for (const text of [page, html(empty)]) {
      assert.notMatch(text, /https?:|url\(|@import|import\(|fetch\(|<(img|iframe|object|embed)\b/)
      assert.deepStrictEqual(text.match(/(href|src)="[^"]*"/g), ["href=\"data:,\""])
    }
  })

  it("has one row for each entry and one arrow for each pair of event and binding", () => {
    assert.strictEqual(count(page, /<li class="row/g), 22)
    assert.strictEqual(count(page, /<path /g), 17)
    assert.strictEqual(count(page, /<path [^>]*class="when"/g), 3)
    assert.notMatch(page, / d="[^"]*[^MC\d. "]/)
  })

  it("tells what bindings enqueue with", () => {
    const text = html(tips)
    assert.deepStrictEqual(dataOf(text).arrows.map(({ enqueue }: any) => enqueue), [
      undefined,
      "after 1d, queue slow",
      "options computed for each event",
      "key <k>, priority 3"
    ])
    assert.deepStrictEqual([...text.matchAll(/<i>(.*?)<\/i>/g)].map((match) => match[1]), [
      "after 1d, queue slow",
      "when, options computed for each event",
      "key &lt;k&gt;, priority 3"
    ])
  })

  it("takes no text for HTML, and no JSON for the end of the script", () => {
    const evil = `</script><!--<script>"'&\u2028${nasty}`
    const text = html(
      catalog(
        [event(evil, "a", evil, { owner: evil, tags: [evil], annotations: { [evil]: evil } })],
        [sideEffect("g", "b", evil)],
        []
      ),
      { title: evil }
    )
    assert.strictEqual(count(text, /<script\b/g), 2)
    assert.strictEqual(count(text, /<\/script>/g), 2)
    assert.notInclude(text, "<!--")
    assert.strictEqual(dataOf(text).events[0].owner, evil)
    assert.match(text, /<title>&lt;\/script&gt;&lt;!--&lt;script&gt;&quot;&#39;&amp;/)
    assert.notMatch(text, /<b>not/)
  })

  it("knows the title, the groups and where one segment groups as well", () => {
    assert.include(page, "<title>What happens when</title>")
    assert.include(html(shop, { title: "The shop" }), "<h1>The shop</h1>")
    const titles = (text: string) => [...text.matchAll(/<h3>(.*?)<\/h3>/g)].map((match) => match[1])
    assert.deepStrictEqual(titles(page), ["orders", "payments", "accounts"])
    const one = catalog(
      [event("g", "orders:placed", ""), event("g", "users:left", "")],
      [sideEffect("g", "mail:send", ""), sideEffect("g", "orders:check", "")],
      []
    )
    assert.deepStrictEqual(titles(html(one)), ["orders", "users", "mail"])
    assert.deepStrictEqual(titles(html(catalog([event("g", "a", "")], [sideEffect("g", "b", "")], []))), [])
  })

  it("orders side effects by the events that lead to them", () => {
    const names = ["a", "b", "c"]
    const crossed = catalog(
      names.map((name) => event("g", name, "")),
      names.map((name) => sideEffect("g", `to-${name}`, "")).reverse(),
      names.map((name) => ({ group: "g", from: name, events: [name], sideEffect: `to-${name}` }))
    )
    const rows = [...html(crossed).matchAll(/class="node" title="([^"]*)"/g)].map((match) => match[1])
    assert.deepStrictEqual(rows, ["a", "b", "c", "to-a", "to-b", "to-c"])
    assert.deepStrictEqual([...html(crossed).matchAll(/ d="M0 (\d+)C50 \d+ 50 (\d+)/g)].map((m) => [m[1], m[2]]), [
      ["25", "25"],
      ["75", "75"],
      ["125", "125"]
    ])
  })

  it("is the same for the same catalogue, and kind when there is nothing", () => {
    assert.strictEqual(html(structuredClone(shop)), page)
    assert.include(html(empty), "Nothing here yet")
    assert.notInclude(html(empty), "<script")
  })

  it("takes a thousand events", () => {
    const text = html(big(1000))
    assert.strictEqual(count(text, /<li class="row/g), 2000)
    assert.strictEqual(count(text, /<path /g), 3000)
  })
})
