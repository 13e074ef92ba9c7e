import { assert, describe, it } from "@effect/vitest"
import { compilePattern } from "../../src/internal/pattern.ts"

describe("compilePattern", () => {
  const cases: ReadonlyArray<
    readonly [pattern: string | RegExp, yes: ReadonlyArray<string>, no: ReadonlyArray<string>]
  > = [
    ["a:b", ["a:b"], ["a", "a:b:c", "b:a", "a:bb"]],
    ["a:*", ["a:b", "a:c"], ["a", "a:b:c", "b:a"]],
    ["*", ["a"], ["a:b"]],
    ["**", ["a", "a:b", "a:b:c"], []],
    ["a:**", ["a", "a:b", "a:b:c"], ["b", "ab"]],
    ["**:c", ["c", "b:c", "a:b:c"], ["c:a", "abc"]],
    ["a:**:c", ["a:c", "a:b:c", "a:b:b:c"], ["a", "c", "a:b"]],
    ["**:b:**", ["b", "a:b", "b:c", "a:b:c"], ["a", "a:c", "bb"]],
    ["*:**:*", ["a:b", "a:b:c"], ["a"]],
    ["a.b-c_1", ["a.b-c_1"], ["axb-c_1"]],
    [/^a:(b|c)$/g, ["a:b", "a:c", "a:b"], ["a:d"]],
    [/A/iy, ["xa", "a"], ["b"]]
  ]
  for (const [pattern, yes, no] of cases) {
    it(String(pattern), () => {
      const matches = compilePattern(pattern)
      // Twice, as it remembers.
      for (const name of [...yes, ...yes]) assert.isTrue(matches(name), name)
      for (const name of [...no, ...no]) assert.isFalse(matches(name), name)
    })
  }

  it("refuses what is no pattern", () => {
    for (const pattern of ["", "a::b", ":a", "a:", "a:b*", "a b", "***"]) {
      assert.throws(() => compilePattern(pattern), /^Pattern ".*" (is empty|has an (empty|invalid) segment)/)
    }
  })

  it("takes many wildcards without taking ages", () => {
    const matches = compilePattern(Array.from({ length: 12 }, () => "**").join(":") + ":x")
    assert.isFalse(matches(Array.from({ length: 12 }, () => "a").join(":")))
  })
})
