import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")
const page = read("docs/observability.md")
const metrics = read("src/observability/internal/metrics.ts")
const spans = read("src/observability/internal/spans.ts")
const reasons = read("src/observability/internal/reason.ts")

const all = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map(([, found]) => found!))].sort()
/** The first cells of all tables. */
const rows = all(page, /^\| (`.*?) \|/gm)

describe("docs/observability.md", () => {
  it("names the metrics that are made, and no others", () => {
    const made = all(metrics, /"(side_effects_\w+)"/g)
    assert.isAtLeast(made.length, 10)
    assert.deepStrictEqual(rows.flatMap((row) => all(row, /`(side_effects_\w+)`/g)), made)
    assert.deepStrictEqual(all(page, /(side_effects_\w+)/g), made)
  })

  it("names the spans that are made, and no others", () => {
    const made = all(spans, /useSpan\(\s*["`]([\w.]+)/g)
    assert.deepStrictEqual(made, ["SideEffects.dispatch", "SideEffects.release", "deliver"])
    assert.deepStrictEqual(all(page, /^\| `((?:SideEffects\.|deliver)\w*)/gm), made)
  })

  it("names the attributes of spans, and no others", () => {
    const made = all(spans, /"((?:side_effects?|messaging|error)\.[\w.]+)"/g)
    assert.deepStrictEqual(all(page, /`((?:side_effects?|messaging|error)\.[\w.]+)`/g), made)
  })

  it("names the reasons that are not names of something else", () => {
    const words = all(reasons, /(?:return|\?|:) "([a-z][a-z ]+)"/g)
    assert.isAtLeast(words.length, 10)
    for (const word of words) assert.include(page, `\`${word}\``)
  })
})
