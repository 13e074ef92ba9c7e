import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Heap from "../../../src/outbox/internal/heap.ts"

interface Item extends Heap.Item {
  readonly value: number
}

const Steps = Schema.Array(Schema.Struct({
  add: Schema.Literals([true, true, false]),
  value: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))
}))

describe("heap", () => {
  it.prop("has the least of what is in it first, whatever was taken out", [Steps], ([steps]) => {
    const heap = Heap.make<Item>((left, right) => left.value < right.value)
    const items: Array<Item> = []
    for (const { add, value } of steps) {
      if (add) {
        const item = { index: 0, value }
        items.push(item)
        Heap.add(heap, item)
      } else if (items.length > 0) {
        const [item] = items.splice(value % items.length, 1)
        Heap.remove(heap, item!)
      }
      assert.strictEqual(heap.items[0]?.value, items.length === 0 ? undefined : Math.min(...items.map((i) => i.value)))
      assert.isTrue(heap.items.every((item, index) => item.index === index))
      assert.sameMembers(heap.items, items)
    }
  }, { arbitrary: { runs: 500, size: 60 } })
})
