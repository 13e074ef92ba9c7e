import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { execFile, execFileSync, spawn } from "node:child_process"
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { beforeAll, onTestFinished } from "vitest"
import * as backgroundDispatch from "../../examples/background-dispatch.ts"
import * as catalogueInCi from "../../examples/catalogue-in-ci.ts"
import { generate } from "../../examples/data/generate.ts"
import * as eventEmitter from "../../examples/event-emitter.ts"
import * as eventsAndBindings from "../../examples/events-and-bindings.ts"
import * as killSwitch from "../../examples/kill-switch.ts"
import * as nestedBoundaries from "../../examples/nested-boundaries.ts"
import * as observingARepository from "../../examples/observing-a-repository.ts"
import * as policies from "../../examples/policies.ts"
import * as quickStart from "../../examples/quick-start.ts"
import * as testing from "../../examples/testing.ts"
import { columns, printed, widerThan } from "./helpers.ts"

const root = join(import.meta.dirname, "..", "..")

// ---------------------------------------------------------------------------------------------------------------------
// The guides
// ---------------------------------------------------------------------------------------------------------------------

describe("the guides", () => {
  it("the quick start has at most 25 lines of code", () => {
    const lines = readFileSync(join(root, "examples", "quick-start.ts"), "utf8").split("\n")
    const code = lines.filter((line) => line.trim() !== "" && !/^\s*(\/\/|\/\*)/.test(line))
    assert.isAtMost(code.length, 25)
  })

  it.effect("quick-start.ts sends the mail after the account is stored", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* printed(quickStart.program),
        `stored the account of ada@example.org
mailed a welcome to ada@example.org
`
      )
    }))

  it.effect("nested-boundaries.ts shows that the outermost boundary is in control", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* printed(nestedBoundaries.program),
        `An inner boundary fails, the outer one succeeds:
  "pay" ended: captured
    shop:mail:send-receipt: waits for the boundary around
  "ship" ended: discarded
    shop:warehouse:ship-parcel: discarded: boundary "ship" failed with NoCarrier
  no carrier: the order is shipped later
  the checkout is done
  -> receipt for order 1 sent
  "checkout" ended: released
    shop:mail:send-receipt: dispatched by dispatcher inline

The outer boundary fails, but lets a warning through:
  "pay" ended: captured
    shop:mail:send-receipt: waits for the boundary around
  -> fraud team paged about order 2
  "screen" ended: released
    shop:fraud:warn-team: dispatched by dispatcher inline
  "declined" ended: discarded
    shop:mail:send-receipt: discarded: boundary "declined" failed with CardDeclined
  the card was declined
`
      )
    }))

  it.effect("events-and-bindings.ts shows what follows from what", () =>
    Effect.gen(function*() {
      const output = yield* printed(eventsAndBindings.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(
        output,
        `Ada closes her account, with money on it:
  refund 12 to ada
  mail "goodbye" to ada@example.org
  CRM: ada: accounts:account:closed
Grace closes hers, without:
  mail "goodbye" to grace@example.org
  CRM: grace: accounts:account:closed
Linus mistypes his new address, so nothing has happened:
A policy can keep in what follows from one event, and only that:
What would follow, without doing it:
  accounts:account:closed
    accounts:bank:refund
    accounts:mail:send
    crm:contact:update
`
      )
    }))

  it.effect("observing-a-repository.ts lets follow from a write what the group says", () =>
    Effect.gen(function*() {
      const output = yield* printed(observingARepository.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(
        output,
        `sign up
  row 1 inserted
  -> welcome mailed to Ada at ada@example.org
  -> search index: 1 is Ada
sign up with an address that is taken
  refused
rename
  row 1 updated
  -> search index: 1 is Ada Lovelace
close the account
  row 1 deleted
  -> search index: 1 is gone
test: a new user is welcomed once
  row 1 inserted
  emitted user:created with id 1
  enqueued mail:send-welcome, because of that: true
test: a taken address leaves no trace
  ok
test: a repository that is not observed emits nothing
  row 1 inserted
  ok
`
      )
    }))

  it.effect("event-emitter.ts moves off an emitter in two steps", () =>
    Effect.gen(function*() {
      const output = yield* printed(eventEmitter.program)
      assert.strictEqual(
        output,
        `before: listeners send mails
  -> mail to ada@example.org
  -> warehouse packs order 1
  ! mail server refuses "no address"
  -> mail to grace@example.org
  -> warehouse packs order 3
  ! order 3 is out of stock
bridged: each event is a unit of work
  ! order 3 is out of stock
  -> warehouse packs order 1
  -> mail to ada@example.org
  log: Bridge "orders" failed on a message, which is not tried again
  -> warehouse packs order 3
  -> mail to grace@example.org
bridged, in a migration: the same code, nothing leaves
  ! order 3 is out of stock
  log: DropLayer dropped 0 side effects, and whatever follows from 3 events: shop:order:placed ×3
replaced: each order is a unit of work
  -> warehouse packs order 1
  -> mail to ada@example.org
  ! order 2 has no valid address
  ! order 3 is out of stock
`
      )
    }))

  it.effect("catalogue-in-ci.ts shows what a proposal changes, and what it is better without", () =>
    Effect.gen(function*() {
      const output = yield* printed(catalogueInCi.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(
        output,
        `the catalogue:

billing:invoice:paid  A customer paid an invoice.
  1. billing:mail:send-receipt  Email the customer a receipt.

findings: 0, changes: 0

what the proposal changes:

~ event billing:invoice:paid
    what follows, in order:
    - 1. billing:invoice:paid -> billing:mail:send-receipt
    + 1. billing:invoice:paid -> billing:ledger:book
    + 2. billing:invoice:paid -> billing:mail:send-receipt
+ side effect billing:ledger:book  Book the payment in the ledger.
+ side effect billing:ledger:close-year  TODO
+ binding billing:invoice:paid -> billing:ledger:book, priority 1
~ binding billing:invoice:paid -> billing:mail:send-receipt
    - conditional: no
    + conditional: yes

what it is better without:

billing:ledger:close-year: no-description
billing:ledger:close-year: untriggered-side-effect
`
      )
    }))

  it.effect("policies.ts shows who kept what in", () =>
    Effect.gen(function*() {
      const output = yield* printed(policies.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      const scenarios = output.trimEnd().split("\n\n").map((scenario) => scenario.split("\n"))
      assert.deepStrictEqual(Object.fromEntries(scenarios.map(([title, ...rest]) => [title!.split(":")[0], rest])), {
        block: [
          "  dropped by policy block(\"crm:mail:*\"): it is blocked",
          "    mail ada@crm.test, mail ada@crm.test, mail grace@example.com",
          "  dispatched by dispatcher inline",
          "    text 555-0199, search ada"
        ],
        allowOnly: [
          "  dropped by policy allowOnly(\"crm:search:update\"): it is not among the allowed",
          "    mail ada@crm.test, mail ada@crm.test, mail grace@example.com, text 555-0199",
          "  dispatched by dispatcher inline",
          "    search ada"
        ],
        dedupe: [
          "  dispatched by dispatcher inline",
          "    mail ada@crm.test, mail grace@example.com, text 555-0199, search ada",
          "  deduplicated by policy dedupe",
          "    mail ada@crm.test"
        ],
        limitBy: [
          "  dispatched by dispatcher inline",
          "    mail ada@crm.test, mail grace@example.com, text 555-0199, search ada",
          "  dropped by policy limitBy(1): more than 1 for ada@crm.test in one boundary",
          "    mail ada@crm.test"
        ],
        make: [
          "  dispatched by dispatcher inline",
          "    mail ada@crm.test, mail ada@crm.test, text 555-0199, search ada",
          "  dropped by policy ownDomain: grace@example.com is not ours",
          "    mail grace@example.com"
        ],
        "withPolicy and a boundary with two policies": [
          "  dispatched by dispatcher inline",
          "    mail ada@crm.test, search ada",
          "  deduplicated by policy dedupe",
          "    mail ada@crm.test",
          "  dropped by policy ownDomain: grace@example.com is not ours",
          "    mail grace@example.com",
          "  dropped by policy block(\"crm:text:send\"): it is blocked",
          "    text 555-0199"
        ],
        "the layer's policy, beneath a boundary that allows everything": [
          "  dropped by policy allowOnly(\"crm:search:*\"): it is not among the allowed",
          "    mail ada@crm.test, mail ada@crm.test, mail grace@example.com, text 555-0199",
          "  dispatched by dispatcher inline",
          "    search ada"
        ]
      })
    }))

  it.effect("testing.ts passes four tests, and explains the two that are wrong", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* printed(testing.program),
        `ok      sends one welcome
ok      sends nothing when the address is taken
ok      tells apart what happened
ok      the handlers work

FAILED  (wrong on purpose) the welcome is in Portuguese
Expected side effect "accounts:mail:send-welcome" to be enqueued with
  {"to":"ada@example.org","language":"pt"}
but none that escaped matches. The only one of that kind (- expected, + enqueued):
    {
      "to": "ada@example.org",
  -   "language": "pt"
  +   "language": "en"
    }

FAILED  (wrong on purpose) a taken address gets a welcome
Expected side effect "accounts:mail:send-welcome" to be enqueued
but nothing escaped.
It was enqueued, but did not escape:
  {"to":"taken@example.org","language":"en"}
    discarded: boundary "sign-up" failed with AddressTaken
`
      )
    }))

  it.effect("kill-switch.ts runs one program with seven settings", () =>
    Effect.gen(function*() {
      const output = yield* printed(killSwitch.program)
      assert.deepStrictEqual(widerThan(columns, output), [])
      assert.strictEqual(
        output,
        `the environment of this process
  -> card of ada charged 1250 cents
  -> invoice mailed to ada
  -> card of grace charged 900 cents
  -> invoice mailed to grace
  billed 2 customers
SIDE_EFFECTS_BLOCK=billing:mail:*
  log: Configuration of group "billing": SIDE_EFFECTS_BLOCK=billing:mail:*
    keeps in 1 of 2 side effects
  -> card of ada charged 1250 cents
  -> card of grace charged 900 cents
  billed 2 customers
SIDE_EFFECTS_MODE=drop
  log: Configuration of group "billing": SIDE_EFFECTS_MODE=drop
  billed 2 customers
  log: DropLayer dropped 4 side effects: billing:card:charge ×2,
    billing:mail:send-invoice ×2
SIDE_EFFECTS_MODE=record
  log: Configuration of group "billing": SIDE_EFFECTS_MODE=record
  billed 2 customers
  log: SIDE_EFFECTS_MODE=record held back 4 side effects:
    billing:card:charge ×2, billing:mail:send-invoice ×2
SIDE_EFFECTS_MODE=assert-none
  log: Configuration of group "billing": SIDE_EFFECTS_MODE=assert-none
  ! Side effect "billing:card:charge" was enqueued under AssertNoneLayer,
    which allows none. Remove the call from this code path, or run it with
    another layer.
SIDE_EFFECTS_MODE=of
  ! SourceError: Configuration of group "billing": SIDE_EFFECTS_MODE is
    "of". It takes one of live, drop, assert-none, record; left out, it is
    live.
SIDE_EFFECTS_BLOCK=billing:sms:*
  ! SourceError: Configuration of group "billing": "billing:sms:*" in
    SIDE_EFFECTS_BLOCK matches no side effect of group "billing". Correct it,
    or remove it. The group has: billing:mail:send-invoice,
    billing:card:charge.
`
      )
    }))

  it.effect("background-dispatch.ts does not let the customer wait, and loses nothing", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(printed(backgroundDispatch.program))
      // Once until everything is drained, once until the layer is closed.
      yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(
        yield* Fiber.join(fiber),
        `  warehouse called for order 1
  warehouse called for order 2
  warehouse called for order 3
3 customers thanked
  mail to ada@example.org sent, attempt 1
  mail to grace@example.org sent, attempt 1
  log: Side effect "shop:mail" failed in dispatcher background after 3 attempts
everything is done
  warehouse called for order 4
closing the layer, with a mail underway
  mail to edsger@example.org sent, attempt 1
closed: nothing was lost
`
      )
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// The demo
// ---------------------------------------------------------------------------------------------------------------------

const data = (name: string) => readFileSync(join(root, "examples", "data", name), "utf8")

/** What the demo has to come to, counted from the data without any of its code. */
const count = () => {
  const products: ReadonlyArray<{ sku: string; site: string; stock: number }> = JSON.parse(data("products.json"))
  const siteOf = new Map(products.map(({ site, sku }) => [sku, site]))
  let stock = new Map(products.map(({ sku, stock }) => [sku, stock]))
  const seen = new Set<string>()

  const n = {
    read: 0,
    invalid: { json: 0, missing: 0, email: 0, quantity: 0 },
    failed: { AlreadyPlaced: 0, UnknownProduct: 0, OutOfStock: 0 },
    processed: 0,
    confirmations: { enqueued: 0, released: 0 },
    invoices: { enqueued: 0, released: 0 },
    calls: { enqueued: 0, released: 0, duplicate: 0, refused: 0, recovered: 0 },
    discarded: { UnknownProduct: 0, OutOfStock: 0 }
  }
  for (const line of data("orders.jsonl").trimEnd().split("\n")) {
    n.read++
    let order
    try {
      order = JSON.parse(line)
    } catch {
      n.invalid.json++
      continue
    }
    if (order.customer.email === undefined) n.invalid.missing++
    else if (!order.customer.email.includes("@")) n.invalid.email++
    else if (order.lines.some((line: any) => line.quantity <= 0)) n.invalid.quantity++
    else if (seen.has(order.id)) n.failed.AlreadyPlaced++
    else {
      n.confirmations.enqueued++
      const left = new Map(stock)
      const sites: Array<string> = []
      let failure: "UnknownProduct" | "OutOfStock" | undefined
      for (const { quantity, sku } of order.lines) {
        if (!left.has(sku)) failure = "UnknownProduct"
        else if (left.get(sku)! < quantity) failure = "OutOfStock"
        if (failure !== undefined) break
        left.set(sku, left.get(sku)! - quantity)
        sites.push(siteOf.get(sku)!)
      }
      n.calls.enqueued += sites.length
      if (failure !== undefined) {
        n.failed[failure]++
        n.discarded[failure] += 1 + sites.length
        continue
      }
      stock = left
      seen.add(order.id)
      n.processed++
      n.confirmations.released++
      if (order.invoiceTo !== undefined) {
        n.invoices.enqueued++
        n.invoices.released++
      }
      const distinct = new Set(sites).size
      n.calls.released += distinct
      n.calls.duplicate += sites.length - distinct
      const number = Number(order.id.slice(2))
      if (number % 40 === 0) n.calls.refused += distinct
      else if (number % 15 === 0) n.calls.recovered += distinct
    }
  }
  return n
}

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const demo = (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  new Promise<Ended>((resolve) => {
    const main = join(root, "examples", "order-service", "main.ts")
    execFile(process.execPath, [main, ...args], { cwd: root, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }))
  })

/** The demo runs the built package. `npm test` has built it; here it is made good where somebody has not. */
const ensureBuilt = () => {
  const built = join(root, "dist", "index.js")
  const newest = Math.max(...globSync(join(root, "src", "**", "*.ts")).map((file) => statSync(file).mtimeMs))
  if (existsSync(built) && statSync(built).mtimeMs > newest) return
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
  execFileSync(process.execPath, [tsc, "--project", join(root, "config", "tsconfig.build.json")], { cwd: root })
}

/** The number in front of a row of the report. */
const row = (output: string, name: string): number | undefined => {
  const found = output.split("\n").find((line) => new RegExp(`^ +\\d+  ${RegExp.escape(name)}($|:)`).test(line))
  return found === undefined ? undefined : Number.parseInt(found.trim())
}

/** The numbers of a line of the table: enqueued, dispatched or recorded, failed, dropped, duplicate, discarded. */
const cells = (output: string, name: string) =>
  output.split("\n").find((line) => line.startsWith(`  ${name} `))?.slice(2 + name.length).trim().split(/ +/).map(
    Number
  )

describe("the demo", () => {
  const n = count()
  const invalid = n.invalid.json + n.invalid.missing + n.invalid.email + n.invalid.quantity
  const failed = n.failed.AlreadyPlaced + n.failed.UnknownProduct + n.failed.OutOfStock
  const discarded = n.discarded.UnknownProduct + n.discarded.OutOfStock
  const enqueued = n.confirmations.enqueued + n.invoices.enqueued + n.calls.enqueued
  const mails = n.confirmations.released + n.invoices.released
  const released = mails + n.calls.released
  // A refused call is tried three times, one that recovers twice.
  const errors = 3 * n.calls.refused + n.calls.recovered
  const requests = n.calls.released + 2 * n.calls.refused + n.calls.recovered

  let all: Ended, production: Ended, migration: Ended, test: Ended, noMail: Ended, unknown: Ended, misspelt: Ended

  beforeAll(async () => {
    ensureBuilt()
    ;[all, production, migration, test, noMail, unknown, misspelt] = await Promise.all([
      demo([]),
      demo(["--policy", "production"], { FORCE_COLOR: "1" }),
      demo(["--policy", "migration"]),
      demo(["--policy", "test"]),
      demo(["--policy", "no-mail"]),
      demo(["--policy", "staging"]),
      demo(["--polcy", "test"])
    ])
  }, 60_000)

  /** What does not depend on the layer. */
  const sameForAll = ({ code, stderr, stdout }: Ended) => {
    assert.strictEqual(stderr, "")
    assert.strictEqual(code, 0)
    assert.strictEqual(stripVTControlCharacters(stdout), stdout)
    assert.deepStrictEqual(widerThan(columns, stdout), [])
    assert.deepStrictEqual(
      {
        read: row(stdout, "read"),
        processed: row(stdout, "processed"),
        failed: row(stdout, "failed"),
        OutOfStock: row(stdout, "OutOfStock"),
        AlreadyPlaced: row(stdout, "AlreadyPlaced"),
        UnknownProduct: row(stdout, "UnknownProduct"),
        invalid: row(stdout, "invalid"),
        json: row(stdout, "not JSON"),
        missing: row(stdout, "customer.email: Missing key"),
        email: row(stdout, "customer.email: Expected an email address"),
        quantity: row(stdout, "lines.*.quantity: Expected 1 or more"),
        discardedOutOfStock: row(stdout, "discarded: the order failed with OutOfStock"),
        discardedUnknownProduct: row(stdout, "discarded: the order failed with UnknownProduct"),
        deduplicated: row(stdout, "deduplicated by policy dedupe")
      },
      {
        read: n.read,
        processed: n.processed,
        failed,
        ...n.failed,
        invalid,
        ...n.invalid,
        discardedOutOfStock: n.discarded.OutOfStock,
        discardedUnknownProduct: n.discarded.UnknownProduct,
        deduplicated: n.calls.duplicate
      }
    )
  }

  const outside = ({ stdout }: Ended) => ({
    mails: row(stdout, "mails received by the mail server"),
    calls: row(stdout, "calls received by the warehouse")
  })

  it("has data in which everything happens, about 5 % of it invalid", () => {
    assert.strictEqual(n.read, 300)
    assert.isTrue(Object.values(n.invalid).every((count) => count >= 3) && invalid === 15)
    assert.isTrue(Object.values(n.failed).every((count) => count >= 3))
    assert.isTrue([n.calls.duplicate, n.calls.refused, n.calls.recovered, discarded].every((count) => count >= 10))
  })

  it.effect("has data that its generator makes again", () =>
    Effect.gen(function*() {
      const files = yield* generate
      assert.strictEqual(files["orders.jsonl"], data("orders.jsonl"))
      assert.strictEqual(files["products.json"], data("products.json"))
    }))

  it("production: mails and calls arrive, and what the warehouse refuses harms no other order", () => {
    sameForAll(production)
    assert.deepStrictEqual(outside(production), { mails, calls: requests })
    assert.include(production.stdout, `calls received by the warehouse: ${errors} were answered with 500`)
    assert.strictEqual(row(production.stdout, "dispatched at attempt 2, after failures"), n.calls.recovered)
    assert.strictEqual(
      row(production.stdout, "failed after 3 attempts, the warehouse answered 500"),
      n.calls.refused
    )
    const performed = released - n.calls.refused
    assert.deepStrictEqual(cells(production.stdout, "all"), [
      enqueued,
      performed,
      n.calls.refused,
      0,
      n.calls.duplicate,
      discarded
    ])
    assert.deepStrictEqual(cells(production.stdout, "orders:mail:confirmation"), [
      n.confirmations.enqueued,
      n.confirmations.released,
      0,
      0,
      0,
      failed - n.failed.AlreadyPlaced
    ])
    assert.deepStrictEqual(cells(production.stdout, "orders:mail:invoice"), [
      n.invoices.enqueued,
      n.invoices.released,
      0,
      0,
      0,
      0
    ])
  })

  it("migration: nothing arrives, and the log says what was dropped", () => {
    sameForAll(migration)
    assert.deepStrictEqual(outside(migration), { mails: 0, calls: 0 })
    assert.strictEqual(row(migration.stdout, "dropped by DropLayer: nothing may leave here"), released)
    assert.deepStrictEqual(cells(migration.stdout, "all"), [enqueued, 0, 0, released, n.calls.duplicate, discarded])
    assert.include(migration.stdout, `Info: DropLayer dropped ${released} side effects`)
  })

  it("test: nothing arrives, and what would have left is listed and checked", () => {
    sameForAll(test)
    assert.deepStrictEqual(outside(test), { mails: 0, calls: 0 })
    assert.deepStrictEqual(cells(test.stdout, "all"), [enqueued, released, 0, 0, n.calls.duplicate, discarded])
    const list = test.stdout.slice(test.stdout.indexOf("what would have left"))
    assert.strictEqual(row(list, "orders:mail:confirmation"), n.confirmations.released)
    assert.strictEqual(row(list, "orders:mail:invoice"), n.invoices.released)
    assert.strictEqual(row(list, "orders:warehouse:call"), n.calls.released)
    assert.strictEqual(
      row(list, "Hamburg")! + row(list, "Lyon")! + row(list, "Porto")!,
      n.calls.released
    )
    assert.include(list, `ok  a confirmation for each of the ${n.processed} processed orders, and no other`)
  })

  it("no-mail: the calls arrive, the mails are blocked by policy", () => {
    sameForAll(noMail)
    assert.deepStrictEqual(outside(noMail), { mails: 0, calls: requests })
    assert.strictEqual(row(noMail.stdout, "dropped by policy block(\"orders:mail:*\"): it is blocked"), mails)
    assert.deepStrictEqual(cells(noMail.stdout, "all"), [
      enqueued,
      n.calls.released - n.calls.refused,
      n.calls.refused,
      mails,
      n.calls.duplicate,
      discarded
    ])
  })

  it("without a policy: the same three runs one after the other, and a comparison", () => {
    assert.strictEqual(all.code, 0)
    const [first, compared = ""] = all.stdout.split("=== the same program")
    assert.strictEqual(first, production.stdout + migration.stdout + test.stdout)
    const lines = (name: string) => cells(compared, name)
    assert.deepStrictEqual(lines("production"), [n.processed, enqueued, mails, requests])
    assert.deepStrictEqual(lines("migration"), [n.processed, enqueued, 0, 0])
    assert.deepStrictEqual(lines("test"), [n.processed, enqueued, 0, 0])
  })

  it("an unknown policy gets one sentence that lists the right ones", () => {
    assert.deepStrictEqual(unknown, {
      code: 2,
      stdout: "",
      stderr: "There is no policy \"staging\": choose one of production, migration, test, no-mail, durable.\n"
    })
  })

  it("a misspelt flag is named, with the right one", () => {
    assert.strictEqual(misspelt.code, 2)
    assert.strictEqual(misspelt.stdout, "")
    assert.include(misspelt.stderr, "--polcy")
    assert.include(misspelt.stderr, "--policy")
    assert.notInclude(misspelt.stderr, "    at ")
  })
})

describe("the demo with an outbox", () => {
  const n = count()
  const temporary = () => {
    const directory = mkdtempSync(join(tmpdir(), "demo-"))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    return directory
  }
  const pidsIn = (output: string) => [...output.matchAll(/worker (\d+) starts/g)].map(([, pid]) => Number(pid))
  const isAlive = (pid: number) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }

  beforeAll(ensureBuilt, 60_000)

  it("durable: a worker is killed in the middle, and every mail of a committed order arrives", async () => {
    const directory = temporary()
    const { code, stderr, stdout } = await demo(["--policy", "durable"], { TMPDIR: directory })
    assert.strictEqual(stderr, "")
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(widerThan(columns, stdout), [])

    const written = n.confirmations.released + n.invoices.released + n.calls.released
    const [orders = "", happened = ""] = stdout.split("what happens")
    assert.strictEqual(row(orders, "processed"), n.processed)
    assert.strictEqual(cells(orders, "all")?.[1], written)
    const [first, second] = pidsIn(happened)
    assert.include(happened, `worker ${first} starts: ${written} side effects are in the outbox`)
    assert.match(
      happened,
      new RegExp(`worker ${first} is killed with SIGKILL:\n +40 mails and \\d+ calls have arrived`)
    )
    assert.include(happened, "the outbox is drained: nothing waits and nothing runs")

    const [mails = "", calls = ""] = happened.slice(happened.indexOf("\nmails\n")).split("\ncalls\n")
    const discarded = n.discarded.OutOfStock + n.discarded.UnknownProduct
    const rolledBack = n.failed.OutOfStock + n.failed.UnknownProduct
    const owed = n.confirmations.released + n.invoices.released
    assert.strictEqual(row(mails, "are owed to the orders that are in the database"), owed)
    assert.strictEqual(row(mails, "of them arrived"), owed)
    // The mail that was taken and not answered is delivered again, and known by its Message-ID.
    assert.isAtLeast(row(mails, "of those came again, with the same Message-ID")!, 1)
    assert.strictEqual(row(mails, `arrived of the ${rolledBack} that rolled-back orders had wished for`), 0)
    assert.strictEqual(row(calls, "are owed to the orders that are in the database"), n.calls.released)
    assert.strictEqual(row(calls, "of them arrived"), n.calls.released - n.calls.refused)
    assert.strictEqual(row(calls, "are dead letters, kept with the reason"), n.calls.refused)
    assert.strictEqual(row(calls, `arrived of the ${discarded - rolledBack} that rolled-back orders had wished for`), 0)
    assert.strictEqual(stdout.match(/^ {2}ok {2}/gm)?.length, 4)
    assert.notInclude(stdout, "NOT OK")

    assert.deepStrictEqual(readdirSync(directory), [])
    assert.deepStrictEqual([first, second].filter((pid) => isAlive(pid!)), [])
  }, 60_000)

  it("durable: Ctrl-C leaves no process and no file behind", async () => {
    const directory = temporary()
    const main = join(root, "examples", "order-service", "main.ts")
    const child = spawn(process.execPath, [main, "--policy", "durable"], { cwd: root, env: { TMPDIR: directory } })
    let output = ""
    const ended = new Promise((resolve) => child.on("close", resolve))
    await new Promise<void>((resolve) =>
      child.stdout.setEncoding("utf8").on("data", (chunk) => {
        output += chunk
        if (pidsIn(output).length > 0) resolve()
      })
    )
    assert.isNotEmpty(readdirSync(directory))
    child.kill("SIGINT")
    await ended
    assert.deepStrictEqual(readdirSync(directory), [])
    assert.deepStrictEqual(pidsIn(output).filter(isAlive), [])
  }, 60_000)
})
