import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { beforeEach, onTestFinished } from "vitest"
import type { Order, Step } from "../../examples/adopting/shop.ts"
import * as step0 from "../../examples/adopting/step-0.ts"
import * as step1 from "../../examples/adopting/step-1.ts"
import * as step2 from "../../examples/adopting/step-2.ts"
import * as step3 from "../../examples/adopting/step-3.ts"
import * as step4 from "../../examples/adopting/step-4.ts"
import * as step5 from "../../examples/adopting/step-5.ts"
import * as step6 from "../../examples/adopting/step-6.ts"
import * as world from "../../examples/adopting/world.ts"
import * as fromFunction from "../../examples/from-function.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const root = join(import.meta.dirname, "..", "..")
const folder = join(root, "examples", "adopting")

/** What a guide prints, and what is logged meanwhile. */
const split = (all: string) => {
  const lines = all.split("\n")
  return {
    output: lines.filter((line) => !/^\[\d/.test(line)).join("\n"),
    logged: lines.filter((line) => /^\[\d/.test(line))
  }
}

beforeEach(() => {
  world.arrived.length = 0
  world.down.clear()
})

describe("from-function.ts", () => {
  it.live("waits for the boundary, with the old callers as they were", () =>
    Effect.gen(function*() {
      const { logged, output } = split(yield* printed(fromFunction.program))
      assert.strictEqual(logged.length, 1)
      assert.match(logged[0]!, /WARN .*"accounts:mail:welcome" was called as a function at .*from-function\.ts:\d+:\d+/)
      assert.include(logged[0], "yield* SideEffects.enqueue(SendWelcome, { to })")
      assert.strictEqual(
        output,
        `outside a boundary:
  -> welcome to ada@example.org
  signed up: message 1
inside a boundary:
  signed up: enqueued
  -> welcome to bob@example.org
inside a boundary that fails:
  Error: the address of eve is taken
`
      )
      assert.deepStrictEqual(widerThan(columns, output), [])
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// From step to step
// ---------------------------------------------------------------------------------------------------------------------

const ofMemory = () => {
  const opened = step5.open({ filename: ":memory:", worker: true })
  return { ...opened, close: opened.close }
}

const steps: ReadonlyArray<
  { readonly n: number; readonly open: () => Step & { readonly close?: () => Promise<void> } }
> = [
  { n: 0, open: () => step0.step },
  { n: 1, open: () => step1.step },
  { n: 2, open: () => step2.step },
  { n: 3, open: () => step3.step },
  { n: 4, open: () => step4.step },
  { n: 5, open: ofMemory }
]

let ids = 0
const orderOf = (order: Partial<Order> = {}): Order => ({
  id: `test ${++ids}`,
  customer: "ada@example.org",
  sku: "book",
  quantity: 2,
  ...order
})

const arriving = ({ customer, id, quantity, sku }: Order) => [
  `analytics: order placed {"order":"${id}","total":${quantity * 20}}`,
  `crm: ${customer} spent ${quantity * 20}`,
  `mail: "Your order ${id}" to ${customer}`,
  `search: order ${id} of ${customer}`,
  `warehouse: ship ${quantity} ${sku} for order ${id}`
]

const rejection = (promise: Promise<unknown>) => promise.then(() => assert.fail("it did not reject"), (error) => error)

/** What differs, and what the table of the guide says of it. */
const promises: Record<string, (n: number) => boolean> = {
  leavesThoughItFailed: (n) => n < 2,
  staysThoughItFailed: (n) => n < 4,
  arrivesWhenItIsBack: (n) => n >= 5
}

for (const { n, open } of steps) {
  describe(`step ${n}`, () => {
    const opened = () => {
      const step = open()
      if (step.close !== undefined) onTestFinished(step.close)
      return step
    }

    it("places an order, and five systems hear of it", async () => {
      const { placeOrder, settled, storedOrders } = opened()
      const order = orderOf()
      assert.deepStrictEqual(await placeOrder(order), { order: order.id, total: 40 })
      await settled()
      assert.deepStrictEqual(world.arrived.toSorted(), arriving(order))
      assert.include(await storedOrders(), order.id)
    })

    it("refuses what is no order, and nobody hears of it", async () => {
      const { placeOrder, settled, storedOrders } = opened()
      const order = orderOf({ quantity: 0 })
      assert.strictEqual((await rejection(placeOrder(order)))._tag, "NoOrder")
      await settled()
      assert.deepStrictEqual(world.arrived, [])
      assert.notInclude(await storedOrders(), order.id)
    })

    it(`an order that fails in the end: what leaves, and what stays`, async () => {
      const { placeOrder, settled, storedOrders } = opened()
      const order = orderOf({ sku: "lamp" })
      assert.strictEqual((await rejection(placeOrder(order)))._tag, "OutOfStock")
      await settled()
      assert.strictEqual(world.arrived.length > 0, promises["leavesThoughItFailed"]!(n))
      assert.strictEqual((await storedOrders()).includes(order.id), n < 5)
    })

    it("a system that is down does not fail the order", async () => {
      const { placeOrder, settled } = opened()
      const order = orderOf()
      world.down.add("crm")
      assert.deepStrictEqual(await placeOrder(order), { order: order.id, total: 40 })
      world.down.clear()
      await settled()
      assert.deepStrictEqual(
        world.arrived.toSorted(),
        arriving(order).filter((line) => !line.startsWith("crm") || promises["arrivesWhenItIsBack"]!(n))
      )
    })

    it("two hundred orders at once do not mix", async () => {
      const { placeOrder, settled } = opened()
      const orders = Array.from(
        { length: 200 },
        (_, i) => i % 2 === 0 ? orderOf({ customer: `${i}`, quantity: 1 }) : orderOf({ customer: `${i}`, quantity: 0 })
      )
      await Promise.all(orders.map((order) => placeOrder(order).catch(() => undefined)))
      await settled()
      const expected = orders.filter(({ quantity }) => quantity > 0).flatMap(arriving)
      assert.deepStrictEqual(world.arrived.toSorted(), expected.toSorted())
    })
  })
}

describe("step 5", () => {
  it("what is committed is performed by another process of the same database", async () => {
    const directory = mkdtempSync(join(tmpdir(), "adopting-"))
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    const filename = join(directory, "shop.db")
    const order = orderOf()
    const writing = step5.open({ filename, worker: false })
    await writing.placeOrder(order)
    await writing.close()
    assert.deepStrictEqual(world.arrived, [])
    const performing = step5.open({ filename, worker: true })
    onTestFinished(performing.close)
    await performing.settled()
    assert.deepStrictEqual(world.arrived.toSorted(), arriving(order))
  })
})

describe("the guides", () => {
  const outputs = {
    0: { failing: 5, crm: 0 },
    1: { failing: 5, crm: 0 },
    2: { failing: 0, crm: 0 },
    3: { failing: 0, crm: 0 },
    4: { failing: 0, crm: 0 },
    5: { failing: 0, crm: 1 }
  } as const
  const programs = [step0, step1, step2, step3, step4, step5]
  for (const [n, { crm, failing }] of Object.entries(outputs)) {
    it.live(`step-${n}.ts shows what arrives`, () =>
      Effect.gen(function*() {
        const output = yield* printed(programs[Number(n)]!.program)
        const [first, second, third] = output.split(/^an order[^:]*: /m).slice(1)
        assert.match(first!, /^placed for 40\n/)
        assert.strictEqual(first!.match(/->/g)?.length, 5)
        assert.match(second!, /^failed: lamp is out of stock\n/)
        assert.strictEqual(second!.match(/->/g)?.length ?? 0, failing)
        assert.match(third!, /^placed for 20\n/)
        assert.strictEqual(third!.match(/->/g)?.length, 4 + crm)
        assert.deepStrictEqual(widerThan(columns, output), [])
      }))
  }

  it.live("step-6.ts tests, and fills in", () =>
    Effect.gen(function*() {
      const { logged, output } = split(yield* printed(step6.program))
      assert.strictEqual(logged.length, 1)
      assert.include(logged[0], "400 events: shop:order:placed")
      assert.strictEqual(
        output,
        `ok      tells the customer
ok      tells nobody when out of stock
ok      leaves only after the commit
400 old orders are placed, and 0 calls have left
`
      )
    }))

  it("no file is left out", () => {
    assert.deepStrictEqual(readdirSync(folder).filter((file) => file.startsWith("step-")).length, steps.length + 1)
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// The table of docs/adopting.md, measured
// ---------------------------------------------------------------------------------------------------------------------

const isSideEffect = /\b(sendMail|callWarehouse|updateCrm|indexOrder|track)\(|SideEffects\.enqueue|SideEffects\.emit\b/

/** The lines between the braces of `placeOrder`. */
const bodyOf = (n: number): ReadonlyArray<string> => {
  const lines = readFileSync(join(folder, `step-${n}.ts`), "utf8").split("\n")
  const from = lines.findIndex((line) => line.startsWith("export const placeOrder"))
  const begin = lines.findIndex((line, i) => i >= from && /(=>|\)) \{$/.test(line))
  const indent = /^ */.exec(lines[begin]!)![0]
  const end = lines.findIndex((line, i) => i > begin && line.startsWith(`${indent}}`))
  return lines.slice(begin + 1, end)
}

/** Whole statements: of a `try` with a side effect in it, each line counts. */
const measure = (n: number) => {
  const body = bodyOf(n)
  let sideEffects = 0
  let depth = 0
  let statement: Array<string> = []
  body.forEach((line, i) => {
    statement.push(line)
    depth += (line.match(/[({[]/g)?.length ?? 0) - (line.match(/[)}\]]/g)?.length ?? 0)
    const goesOn = depth > 0 || /^\s*(catch|finally|else)/.test(body[i + 1] ?? "")
    if (goesOn) return
    if (isSideEffect.test(statement.join("\n"))) sideEffects += statement.length
    statement = []
  })
  return { sideEffects, all: body.length, percent: Math.round(100 * sideEffects / body.length) }
}

describe("docs/adopting.md", () => {
  const guide = readFileSync(join(root, "docs", "adopting.md"), "utf8")
  const rows = [...guide.matchAll(/^\| (\d) +\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$/gm)].map((cells) =>
    cells.slice(1).map((cell) => cell.trim())
  )

  it("has a row for each step", () => {
    assert.deepStrictEqual(rows.map(([n]) => Number(n)), steps.map(({ n }) => n))
  })

  for (const { n } of steps) {
    it(`says of step ${n} what is so`, () => {
      const { all, percent, sideEffects } = measure(n)
      const [, , lines, fails, row, back] = rows[n]!
      assert.strictEqual(lines, `${sideEffects} of ${all} (${percent}%)`)
      assert.strictEqual(fails, promises["leavesThoughItFailed"]!(n) ? "leaves" : "does not leave")
      assert.strictEqual(row, n < 5 ? "stays" : "is rolled back")
      assert.strictEqual(back, promises["arrivesWhenItIsBack"]!(n) ? "is tried again" : "is logged")
    })
  }

  it("begins at four lines in five, and ends at none", () => {
    assert.isAtLeast(measure(0).percent, 80)
    assert.strictEqual(measure(5).sideEffects, 0)
  })

  it("steps 0 to 2 have the same old code", () => {
    assert.deepStrictEqual(bodyOf(1), bodyOf(0))
    assert.deepStrictEqual(bodyOf(2), bodyOf(0))
  })

  it("shows the files as they are", () => {
    const shown = [...guide.matchAll(/^<!-- from (\S+) -->\n\n```text\n([^]*?)^```$/gm)]
    assert.strictEqual(shown.length, guide.match(/^<!-- from \S+ -->$/gm)?.length)
    assert.isAbove(shown.length, 3)
    for (const [, file, text] of shown) assert.include(readFileSync(join(root, file!), "utf8"), text!.trim(), file)
  })

  it("shows what changes as it changes", () => {
    const shown = [...guide.matchAll(/^<!-- from (\S+) to (\S+) -->\n\n```diff\n([^]*?)^```$/gm)]
    assert.strictEqual(shown.length, guide.match(/^<!-- from \S+ to \S+ -->$/gm)?.length)
    assert.isAbove(shown.length, 2)
    for (const [, before, after, diff] of shown) {
      const lines = diff!.trimEnd().split("\n")
      const side = (sign: string) =>
        lines.filter((line) => /^ |^$/.test(line) || line.startsWith(sign)).map((line) => line.slice(1)).join("\n")
      assert.include(readFileSync(join(root, before!), "utf8"), side("-"), before)
      assert.include(readFileSync(join(root, after!), "utf8"), side("+"), after)
    }
  })
})
