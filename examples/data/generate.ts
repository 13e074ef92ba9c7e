/**
 * Makes `orders.jsonl` and `products.json` beside this file, always the same ones: `node examples/data/generate.ts`.
 *
 * Most orders are fine. Some lines are wrong on purpose, each in one of four ways; some orders ask for a product that
 * does not exist or that others have bought up; some are placed twice.
 */
import { NodeServices } from "@effect/platform-node"
import { DateTime, Effect, FileSystem, Path, Random } from "effect"

const seed = "effect-side-effects"
const count = 300

// The n-th line is wrong in this way. Everything else comes from the seed.
const wrong: Readonly<Record<number, "bad JSON" | "missing field" | "negative quantity" | "bad email">> = {
  12: "bad email",
  27: "missing field",
  48: "bad JSON",
  61: "negative quantity",
  83: "missing field",
  102: "bad JSON",
  118: "bad email",
  139: "negative quantity",
  144: "bad JSON",
  177: "bad email",
  190: "missing field",
  203: "negative quantity",
  236: "bad JSON",
  251: "bad email",
  288: "negative quantity"
}

const placedTwice = [34, 95, 96, 170, 222, 279]
const ofUnknownProduct = [57, 133, 214]

const products = [
  { sku: "TEA-ASSAM-250", name: "Assam, 250 g", cents: 990, site: "Hamburg", stock: 400 },
  { sku: "TEA-EARL-GREY-100", name: "Earl Grey, 100 g", cents: 690, site: "Hamburg", stock: 160 },
  { sku: "TEA-DARJEELING-100", name: "Darjeeling First Flush, 100 g", cents: 1450, site: "Hamburg", stock: 90 },
  { sku: "TEA-ROOIBOS-250", name: "Rooibos, 250 g", cents: 850, site: "Hamburg", stock: 400 },
  { sku: "TEA-GENMAICHA-100", name: "Genmaicha, 100 g", cents: 920, site: "Hamburg", stock: 400 },
  { sku: "COFFEE-SIDAMO-500", name: "Sidamo beans, 500 g", cents: 1690, site: "Porto", stock: 400 },
  { sku: "COFFEE-HUILA-500", name: "Huila beans, 500 g", cents: 1590, site: "Porto", stock: 400 },
  { sku: "COFFEE-DECAF-250", name: "Decaf, ground, 250 g", cents: 890, site: "Porto", stock: 150 },
  { sku: "FILTER-V60-100", name: "Paper filters, 100 pieces", cents: 590, site: "Porto", stock: 400 },
  { sku: "KETTLE-GOOSENECK", name: "Gooseneck kettle, 0.9 l", cents: 6900, site: "Lyon", stock: 125 },
  { sku: "GRINDER-HAND", name: "Hand grinder", cents: 8900, site: "Lyon", stock: 400 },
  { sku: "TEAPOT-CAST-IRON", name: "Cast iron teapot, 0.6 l", cents: 5400, site: "Lyon", stock: 135 },
  { sku: "CUP-PORCELAIN-4", name: "Porcelain cups, set of 4", cents: 3200, site: "Lyon", stock: 400 },
  { sku: "BISCUIT-BUTTER-300", name: "Butter biscuits, 300 g", cents: 640, site: "Lyon", stock: 400 }
]

const firstNames =
  "Ada Alan Amina Barbara Chen Edsger Fatima Grace Hana Ines João Katherine Linus Margaret Noor Olu Paweł Radia Søren Tove"
    .split(" ")
const lastNames =
  "Abdi Andersen Borg Costa Dubois Evans Ferreira Fischer Hopper Ito Kovač Lovelace Müller Novak Okafor Perlman Rossi Silva Weber Zhang"
    .split(" ")
const companies = ["north-mill", "harbour-office", "studio-lumen", "hotel-aurora", "cafe-central"]

const ascii = (text: string) =>
  text.normalize("NFD").replaceAll(/\p{M}/gu, "").replaceAll("ø", "o").replaceAll("ł", "l").toLowerCase()

const start = DateTime.makeUnsafe("2026-03-02T07:30:00Z")

const makeOrder = Effect.fnUntraced(function*(n: number) {
  const [first, last] = [yield* Random.choice(firstNames), yield* Random.choice(lastNames)]
  const domain = yield* Random.choice(["example.org", "example.com", "example.net"])
  const isCompany = (yield* Random.next) < 0.25
  const wanted = (yield* Random.shuffle(products)).slice(0, yield* Random.nextIntBetween(1, 5, { halfOpen: true }))
  const lines = yield* Effect.forEach(wanted, ({ sku }) =>
    Effect.map(Random.nextIntBetween(1, 4, { halfOpen: true }), (quantity) => ({ sku, quantity })))
  const seconds = yield* Random.nextIntBetween(0, 60)
  return {
    id: `A-${1000 + n}`,
    placedAt: DateTime.formatIso(DateTime.add(start, { minutes: 7 * n, seconds })),
    customer: { name: `${first} ${last}`, email: `${ascii(first)}.${ascii(last)}@${domain}` },
    ...(isCompany ? { invoiceTo: `accounts@${yield* Random.choice(companies)}.example` } : {}),
    lines
  }
})

type Draft = Effect.Success<ReturnType<typeof makeOrder>>

const spoil = (order: Draft, how: (typeof wrong)[number] | undefined): string => {
  const { customer, lines: [line, ...lines] } = order
  switch (how) {
    case "bad JSON":
      // What a writer leaves behind that was killed.
      return JSON.stringify(order).slice(0, 90)
    case "missing field":
      return JSON.stringify({ ...order, customer: { name: customer.name } })
    case "negative quantity":
      return JSON.stringify({ ...order, lines: [{ ...line, quantity: -line!.quantity }, ...lines] })
    case "bad email":
      return JSON.stringify({ ...order, customer: { ...customer, email: customer.email.replace("@", " at ") } })
    default:
      return JSON.stringify(order)
  }
}

/** The two files, as text. */
export const generate = Effect.gen(function*() {
  const lines: Array<string> = []
  let last: Draft | undefined
  for (let n = 1; n <= count; n++) {
    let order: Draft = yield* makeOrder(n)
    if (placedTwice.includes(n)) order = last!
    if (ofUnknownProduct.includes(n)) order = { ...order, lines: [...order.lines, { sku: "TEA-MOON-50", quantity: 1 }] }
    lines.push(spoil(order, wrong[n]))
    last = order
  }
  const rows = products.map((product) => `  ${JSON.stringify(product)}`)
  return { "orders.jsonl": `${lines.join("\n")}\n`, "products.json": `[\n${rows.join(",\n")}\n]\n` }
}).pipe(Random.withSeed(seed))

export const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (const [name, text] of Object.entries(yield* generate)) {
    yield* fs.writeFileString(path.join(import.meta.dirname, name), text)
  }
}).pipe(Effect.provide(NodeServices.layer))

if (import.meta.main) Effect.runPromise(program)
