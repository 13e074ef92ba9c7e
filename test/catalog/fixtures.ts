import type * as JsonSchema from "effect/JsonSchema"
import type { BindingEntry, Catalog, EventEntry, SideEffectEntry } from "../../src/catalog/internal/model.ts"

export const empty: Catalog = { groups: [], events: [], sideEffects: [], bindings: [] }

interface About {
  readonly exportName?: string
  readonly payload?: JsonSchema.JsonSchema
  readonly owner?: string
  readonly tags?: ReadonlyArray<string>
  readonly annotations?: Readonly<Record<string, unknown>>
  readonly line?: number
}

const entry = (group: string, name: string, description: string, about: About) => ({
  name,
  exportName: about.exportName,
  groups: [group],
  summary: description.split("\n", 1)[0]!,
  description,
  payload: about.payload,
  owner: about.owner,
  tags: about.tags ?? [],
  annotations: about.annotations ?? {},
  source: about.line === undefined ? undefined : { file: `src/${group}/definitions.ts`, line: about.line, column: 14 }
})

export const event = (group: string, name: string, description: string, about: About = {}) => ({
  ...entry(group, name, description, about),
  mayBeUnbound: false
})

export const sideEffect = (
  group: string,
  name: string,
  description: string,
  about: About & Partial<Pick<SideEffectEntry, "defaults" | "enqueuedBy" | "hasIdempotencyKey">> = {}
) => ({
  ...entry(group, name, description, about),
  hasIdempotencyKey: about.hasIdempotencyKey ?? false,
  defaults: about.defaults ?? {},
  enqueuedBy: about.enqueuedBy ?? []
})

type Bind = Pick<BindingEntry, "group" | "from" | "events" | "sideEffect"> & Partial<BindingEntry>

/** A catalogue whose lists know each other, as those of a real one do. */
export const catalog = (
  events: ReadonlyArray<Omit<EventEntry, "bindings">>,
  sideEffects: ReadonlyArray<Omit<SideEffectEntry, "bindings">>,
  binds: ReadonlyArray<Bind>,
  owners: Readonly<Record<string, string>> = {}
): Catalog => {
  const bindings = binds.map((bind, index): BindingEntry => ({
    id: `b${index}`,
    kind: "event",
    priority: 0,
    conditional: false,
    enqueue: {},
    source: { file: `src/${bind.group}/bindings.ts`, line: 10 + index, column: 3 },
    ...bind
  }))
  const groups = [...new Set([...events, ...sideEffects].flatMap(({ groups }) => groups))]
  const ids = (has: (binding: BindingEntry) => boolean) => bindings.filter(has).map(({ id }) => id)
  const names = (entries: ReadonlyArray<Pick<EventEntry, "name" | "groups">>, group: string) =>
    entries.filter(({ groups }) => groups.includes(group)).map(({ name }) => name)
  return {
    groups: groups.map((name) => ({
      name,
      owner: owners[name],
      tags: [],
      annotations: {},
      sideEffects: names(sideEffects, name),
      events: names(events, name),
      bindings: ids((binding) => binding.group === name)
    })),
    events: events.map((each) => ({
      ...each,
      bindings: bindings.filter((binding) => binding.events.includes(each.name))
        .sort((a, b) => b.priority - a.priority).map(({ id }) => id)
    })),
    sideEffects: sideEffects.map((each) => ({ ...each, bindings: ids(({ sideEffect }) => sideEffect === each.name) })),
    bindings
  }
}

const object = (
  properties: Readonly<Record<string, JsonSchema.JsonSchema>>,
  optional: ReadonlyArray<string> = []
): JsonSchema.JsonSchema => ({
  type: "object",
  properties,
  required: Object.keys(properties).filter((key) => !optional.includes(key)),
  additionalProperties: true
})

const string: JsonSchema.JsonSchema = { type: "string" }
const number: JsonSchema.JsonSchema = {
  anyOf: [{ type: "number" }, { type: "string", enum: ["Infinity", "-Infinity", "NaN"] }]
}
const orderId: JsonSchema.JsonSchema = { type: "string", description: "Number of the order, e.g. `2026-001042`" }

const placed: JsonSchema.JsonSchema = {
  ...object({
    orderId,
    to: { type: "string", format: "email", description: "Where the confirmation goes | as the customer wrote it" },
    total: number,
    currency: { type: "string", enum: ["EUR", "SEK", "USD"] },
    address: { $ref: "#/$defs/Address" },
    items: { type: "array", items: object({ sku: string, quantity: { type: "integer", minimum: 1 } }) },
    coupon: { anyOf: [{ type: "string" }, { type: "null" }], description: "<none> when there is none" },
    note: string
  }, ["note"]),
  $defs: { Address: object({ street: string, city: string, zip: { type: "string", pattern: "^\\d{5}$" } }) }
}

const toOrder = object({ orderId })
const mail = { queue: "mail", timeout: "10s", retry: "up to 3 times: after 1s, 2s, 4s" }

/** What nobody should write, and somebody will. */
export const nasty =
  "Tell sales about <script>alert(\"big\")</script> & co. | `rm -rf` *now* _or_ ~~never~~ [x](javascript:1)\n" +
  "# not a heading\n- not a list\n1. nor this\n\n    not code\n```\nnot a fence\n```\n</script><!-- <b>not</b> HTML $x$ -->\n===\n\u2028end"

const ordersEvents = ["orders:order:placed", "orders:order:paid", "orders:order:shipped", "orders:order:cancelled"]

/** An online shop. */
export const shop: Catalog = catalog(
  [
    event("orders", ordersEvents[0]!, "A customer has placed an order.\nIt is neither paid nor checked for fraud.", {
      exportName: "OrderPlaced",
      payload: placed,
      owner: "team-checkout",
      tags: ["customer-facing", "revenue"],
      annotations: { since: "2024-02", slo: { "p99": "2s" } },
      line: 12
    }),
    event("orders", ordersEvents[1]!, "The money for an order has arrived.", {
      exportName: "OrderPaid",
      payload: object({ orderId, amount: number }),
      owner: "team-checkout",
      tags: ["revenue"],
      line: 31
    }),
    event("orders", ordersEvents[2]!, "The warehouse has handed the parcel over to the carrier.", {
      exportName: "OrderShipped",
      payload: object({ orderId, carrier: string, tracking: string }, ["tracking"]),
      owner: "team-fulfilment",
      line: 44
    }),
    event("orders", ordersEvents[3]!, "The customer or the shop has cancelled the order.", {
      exportName: "OrderCancelled",
      payload: toOrder,
      owner: "team-checkout",
      line: 57
    }),
    event("payments", "payments:charge:failed", "The bank has refused a charge.", {
      exportName: "ChargeFailed",
      payload: object({ orderId, reason: { type: "string", enum: ["funds", "fraud", "expired"] } }),
      owner: "team-payments",
      tags: ["revenue"],
      line: 9
    }),
    event("payments", "payments:refund:issued", "Money went back to the customer.", {
      payload: object({ orderId, amount: number }),
      owner: "team-payments",
      line: 22
    }),
    event("accounts", "accounts:customer:registered", "Somebody has made an account.", {
      exportName: "CustomerRegistered",
      payload: object({ customerId: string, email: string }),
      owner: "team-identity",
      tags: ["pii"],
      line: 7
    }),
    event(
      "accounts",
      "accounts:customer:looked-at-the-terms-and-conditions-of-the-loyalty-programme",
      "Nobody cares.",
      {
        owner: "team-identity",
        line: 80
      }
    )
  ],
  [
    sideEffect(
      "orders",
      "orders:mail:send-confirmation",
      "Email the customer a confirmation of the order.\n\nUses the template `order-confirmation`, in the language of the customer.\nAttaches the invoice when there is one.",
      {
        exportName: "SendConfirmation",
        payload: object({ orderId, to: { type: "string", format: "email" } }),
        owner: "team-checkout",
        tags: ["mail", "customer-facing"],
        defaults: mail,
        hasIdempotencyKey: true,
        line: 70
      }
    ),
    sideEffect("orders", "orders:mail:send-tracking", "Email the customer where the parcel is.", {
      exportName: "SendTracking",
      payload: object({ orderId, tracking: string }),
      owner: "team-fulfilment",
      tags: ["mail", "customer-facing"],
      defaults: mail,
      line: 84
    }),
    sideEffect("orders", "orders:mail:send-cancellation", "Email the customer that there will be no parcel.", {
      payload: toOrder,
      tags: ["mail"],
      defaults: mail,
      line: 97
    }),
    sideEffect("orders", "orders:warehouse:reserve", "Reserve the items in the warehouse.", {
      exportName: "ReserveItems",
      payload: toOrder,
      owner: "team-fulfilment",
      tags: ["warehouse"],
      defaults: { timeout: "30s", queue: "warehouse", priority: "10" },
      hasIdempotencyKey: true,
      line: 110
    }),
    sideEffect("orders", "orders:warehouse:release", "Put the items back on the shelf.", {
      payload: toOrder,
      owner: "team-fulfilment",
      tags: ["warehouse"],
      line: 123
    }),
    sideEffect("orders", "orders:crm:update", "Write it into the CRM.", {
      payload: object({ orderId, what: string }),
      owner: "team-sales",
      tags: ["crm"],
      enqueuedBy: ["importLegacyOrders", "CrmSync.run"],
      line: 131
    }),
    sideEffect("orders", "orders:sales:announce-big-order", nasty, {
      payload: object({ orderId, total: number }),
      owner: "team-sales <sales@example.org>",
      tags: ["chat"],
      line: 140
    }),
    sideEffect("payments", "payments:bank:capture", "Capture the authorised amount.", {
      exportName: "Capture",
      payload: object({ orderId, amount: number }),
      owner: "team-payments",
      defaults: { timeout: "1m", retry: "up to 10 times: after 1s, 2s, 4s, ...", queue: "bank" },
      hasIdempotencyKey: true,
      line: 40
    }),
    sideEffect("payments", "payments:bank:refund", "Send the money back.", {
      payload: object({ orderId, amount: number }),
      owner: "team-payments",
      hasIdempotencyKey: true,
      line: 52
    }),
    sideEffect("payments", "payments:mail:ask-for-another-card", "Ask the customer for another card.", {
      payload: toOrder,
      tags: ["mail", "customer-facing"],
      defaults: mail,
      line: 61
    }),
    sideEffect("payments", "payments:ledger:book", "Book it in the ledger.", {
      payload: { anyOf: [object({ debit: number }), object({ credit: number })] },
      owner: "team-finance",
      tags: ["audit"],
      line: 74
    }),
    sideEffect("accounts", "accounts:mail:send-welcome", "Email a new customer a welcome.", {
      exportName: "SendWelcome",
      payload: object({ to: string }),
      owner: "team-identity",
      tags: ["mail", "pii"],
      defaults: mail,
      line: 90
    }),
    sideEffect("accounts", "accounts:newsletter:subscribe", "Subscribe the customer to the newsletter.", {
      payload: object({ email: string }),
      owner: "team-growth",
      tags: ["pii"],
      line: 99
    }),
    sideEffect("accounts", "accounts:search:reindex", "Rebuild the search index of the customers.", {
      owner: "team-identity",
      line: 108
    })
  ],
  [
    {
      group: "orders",
      from: ordersEvents[0]!,
      events: [ordersEvents[0]!],
      sideEffect: "orders:mail:send-confirmation"
    },
    {
      group: "orders",
      from: ordersEvents[0]!,
      events: [ordersEvents[0]!],
      sideEffect: "orders:warehouse:reserve",
      priority: 10
    },
    {
      group: "orders",
      from: ordersEvents[0]!,
      events: [ordersEvents[0]!],
      sideEffect: "orders:sales:announce-big-order",
      conditional: true
    },
    { group: "orders", from: "orders:**", kind: "pattern", events: ordersEvents, sideEffect: "orders:crm:update" },
    { group: "orders", from: ordersEvents[1]!, events: [ordersEvents[1]!], sideEffect: "payments:bank:capture" },
    { group: "orders", from: ordersEvents[2]!, events: [ordersEvents[2]!], sideEffect: "orders:mail:send-tracking" },
    { group: "orders", from: ordersEvents[3]!, events: [ordersEvents[3]!], sideEffect: "orders:warehouse:release" },
    {
      group: "orders",
      from: ordersEvents[3]!,
      events: [ordersEvents[3]!],
      sideEffect: "orders:mail:send-cancellation"
    },
    {
      group: "payments",
      from: ordersEvents[3]!,
      events: [ordersEvents[3]!],
      sideEffect: "payments:bank:refund",
      conditional: true
    },
    {
      group: "payments",
      from: "payments:charge:failed",
      events: ["payments:charge:failed"],
      sideEffect: "payments:mail:ask-for-another-card"
    },
    {
      group: "payments",
      from: "orders:order:paid, payments:refund:issued",
      kind: "events",
      events: ["orders:order:paid", "payments:refund:issued"],
      sideEffect: "payments:ledger:book"
    },
    {
      group: "accounts",
      from: "accounts:customer:registered",
      events: ["accounts:customer:registered"],
      sideEffect: "accounts:mail:send-welcome"
    },
    {
      group: "accounts",
      from: "accounts:customer:registered",
      events: ["accounts:customer:registered"],
      sideEffect: "accounts:newsletter:subscribe",
      conditional: true
    },
    {
      group: "accounts",
      from: "/^accounts:customer:(deleted|merged)$/",
      kind: "regexp",
      events: [],
      sideEffect: "accounts:search:reindex"
    }
  ],
  { orders: "team-checkout", payments: "team-payments" }
)

const opened = { group: "accounts", from: "accounts:account:opened", events: ["accounts:account:opened"] }
const toOpened = (sideEffect: string) => ({ ...opened, id: `${opened.from} -> ${sideEffect}`, sideEffect })

/** Bindings of one side effect that only their ids and options tell apart. */
export const tips: Catalog = catalog(
  [event("accounts", opened.from, "Somebody has opened an account.", {
    exportName: "AccountOpened",
    owner: "team-identity",
    tags: ["pii", "growth"]
  })],
  [
    sideEffect("accounts", "accounts:mail:send", "Email the customer.", {
      exportName: "SendMail",
      owner: "team-mail",
      defaults: {
        timeout: "10s",
        retry: "once: after 1s",
        attempts: "at most 5",
        concurrency: "2 in each worker",
        queue: "mail",
        priority: "2"
      }
    }),
    sideEffect("accounts", "accounts:crm:update", "Write it into the CRM.")
  ],
  [
    toOpened("accounts:mail:send"),
    { ...toOpened("accounts:mail:send"), id: "tips-after-a-day", enqueue: { delay: "1d", queue: "slow" } },
    {
      ...toOpened("accounts:mail:send"),
      id: "offer: (if any)",
      conditional: true,
      enqueue: { options: "computed for each event" }
    },
    { ...toOpened("accounts:crm:update"), enqueue: { key: "<k>", priority: "3" } },
    {
      ...opened,
      id: "nowhere",
      from: "/^never$/",
      kind: "regexp",
      events: [],
      sideEffect: "accounts:crm:update"
    }
  ]
)

const areas = [
  "orders",
  "payments",
  "accounts",
  "catalogue",
  "search",
  "shipping",
  "returns",
  "support",
  "loyalty",
  "fraud"
]

/** `size` events, as many side effects, three bindings for each event. Most stay in their area. */
export const big = (size: number): Catalog => {
  const per = Math.ceil(size / areas.length)
  const at = (index: number) => `${areas[Math.floor(index / per)]}`
  const eventName = (index: number) => `${at(index)}:thing-${index % 37}:happened-${index}`
  const sideEffectName = (index: number) => `${at(index)}:service-${index % 23}:do-${index}`
  const indexes = Array.from({ length: size }, (_, index) => index)
  const near = (index: number, step: number) => {
    const area = Math.floor(index / per) * per
    return step === 2 && index % 10 === 0
      ? (index * 7919) % size
      : area + ((index - area) * 31 + step * 17) % Math.min(per, size - area)
  }
  return catalog(
    indexes.map((index) =>
      event(at(index), eventName(index), `Thing ${index % 37} has happened in ${at(index)}.`, {
        payload: placed,
        owner: `team-${index % 12}`,
        tags: [`tag-${index % 7}`],
        line: index + 1
      })
    ),
    indexes.map((index) =>
      sideEffect(at(index), sideEffectName(index), `Tell service ${index % 23} about it.`, {
        payload: toOrder,
        owner: `team-${index % 12}`,
        tags: [`tag-${index % 5}`],
        defaults: mail,
        line: index + 1
      })
    ),
    indexes.flatMap((index) =>
      [0, 1, 2].map((step): Bind => ({
        group: at(index),
        from: eventName(index),
        events: [eventName(index)],
        sideEffect: sideEffectName(near(index, step)),
        conditional: step === 2
      }))
    )
  )
}
