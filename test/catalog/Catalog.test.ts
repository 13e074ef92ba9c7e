import { assert, describe, it } from "@effect/vitest"
import { type Binding, Catalog, Event, ModelEvents, SideEffect, SideEffectGroup } from "effect-side-effects"
import * as Context from "effect/Context"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Model } from "effect/schema"
import { readFileSync } from "node:fs"

class Placed extends Event.make("orders:order:placed", {
  description: "A customer placed an order.\nIt is not paid yet.",
  payload: { orderId: Schema.String, at: Schema.Date, note: Schema.optionalKey(Schema.String) }
}) {}

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: Schema.Struct({ orderId: Schema.String }),
  idempotencyKey: ({ orderId }) => orderId,
  defaults: { timeout: "10 seconds", maxAttempts: 5, concurrency: 2, queue: "mail", priority: 2 }
}) {}

class Ping extends SideEffect.make("monitor:ping", { description: "Ping." }) {}

class Runbook extends Context.Service<Runbook, string>()("test/Runbook") {}

const Orders = SideEffectGroup.make("orders")
  .events(Placed)
  .on(Placed, Mail, ({ orderId }) => ({ orderId }))
  .on("orders:**", Ping, undefined, { priority: 1, when: () => true })

const thisFile = "test/catalog/Catalog.test.ts"
const root = import.meta.dirname.slice(0, -"/test/catalog".length)

describe("Catalog.make", () => {
  const catalog = Catalog.make(Orders, { root })

  it("holds what JSON can hold", () => {
    assert.deepStrictEqual(JSON.parse(JSON.stringify(catalog)), JSON.parse(JSON.stringify(catalog)))
    assert.strictEqual(JSON.stringify(Catalog.make([Orders], { root })), JSON.stringify(catalog))
  })

  it("lists events, with their bindings in the order in which they are enqueued", () => {
    assert.strictEqual(catalog.events.length, 1)
    const { payload, source, ...event } = catalog.events[0]!
    assert.deepStrictEqual(event, {
      name: "orders:order:placed",
      exportName: "Placed",
      groups: ["orders"],
      summary: "A customer placed an order.",
      description: "A customer placed an order.\nIt is not paid yet.",
      owner: undefined,
      tags: [],
      annotations: {},
      bindings: ["orders:** -> monitor:ping", "orders:order:placed -> orders:mail:send"],
      mayBeUnbound: false
    })
    assert.deepStrictEqual(payload?.["required"], ["orderId", "at"])
    assert.deepStrictEqual(Object.keys(payload?.["properties"] as object), ["orderId", "at", "note"])
  })

  it("lists side effects, with their defaults", () => {
    const [mail, ping] = catalog.sideEffects
    assert.strictEqual(mail?.hasIdempotencyKey, true)
    assert.deepStrictEqual(mail?.defaults, {
      timeout: "10s",
      attempts: "at most 5",
      concurrency: "2 in each worker",
      queue: "mail",
      priority: "2"
    })
    assert.strictEqual(ping?.payload, undefined)
    assert.deepStrictEqual(ping?.bindings, ["orders:** -> monitor:ping"])
  })

  it("lists bindings", () => {
    const { source, ...binding } = catalog.bindings[1]!
    assert.deepStrictEqual(binding, {
      id: "orders:** -> monitor:ping",
      group: "orders",
      from: "orders:**",
      kind: "pattern",
      events: ["orders:order:placed"],
      sideEffect: "monitor:ping",
      priority: 1,
      conditional: true,
      enqueue: {}
    })
    assert.strictEqual(source?.file, thisFile)
  })

  it("tells what a binding enqueues with", () => {
    const enqueue = (options: Binding.Options["enqueue"]) =>
      Catalog.make(SideEffectGroup.make("g").on(Placed, Ping, undefined, { enqueue: options })).bindings[0]?.enqueue
    assert.deepStrictEqual(enqueue({ delay: "36 hours", key: "k", queue: "slow", priority: 0, metadata: { a: 1 } }), {
      delay: "1d 12h",
      key: "k",
      queue: "slow",
      priority: "0"
    })
    assert.deepStrictEqual(enqueue({ delay: 1500 }), { delay: "1s 500ms" })
    assert.deepStrictEqual(enqueue({ delay: "soon" as never }), { delay: "soon" })
    assert.deepStrictEqual(enqueue(() => ({ delay: "1 day" })), { options: "computed for each event" })
    assert.deepStrictEqual(enqueue({}), {})
    assert.deepStrictEqual(enqueue(undefined), {})
  })

  it("knows where each was defined", () => {
    const lines = readFileSync(import.meta.filename, "utf8").split("\n")
    const found = [...catalog.events, ...catalog.sideEffects].map(({ source }) =>
      `${source?.file} ${lines[source!.line - 1]?.slice(0, source!.column)}`
    )
    assert.deepStrictEqual(found, [
      `${thisFile} class Placed extends Event.m`,
      `${thisFile} class Mail extends SideEffect.m`,
      `${thisFile} class Ping extends SideEffect.m`
    ])
  })

  it("a definition without a class has no export name", () => {
    const Anonymous = SideEffect.make("anonymous", { description: "Anonymous." })
    assert.isUndefined(Catalog.make(SideEffectGroup.make("g").add(Anonymous)).sideEffects[0]?.exportName)
  })

  it("shows owner, tags and other annotations; those of a group hold for what is in it", () => {
    const Own = Ping.annotate(Catalog.Owner, "ops").annotate(Catalog.Tags, ["page"]).annotate(
      Runbook,
      "https://wiki/ping"
    )
    const group = SideEffectGroup.make("g").add(Own, Mail).annotate(Catalog.Owner, "shop").annotate(Catalog.Tags, [
      "v1"
    ])
    const { groups, sideEffects: [ping, mail] } = Catalog.make(group)
    assert.deepStrictEqual([ping?.owner, ping?.tags, ping?.annotations], [
      "ops",
      ["page"],
      { "test/Runbook": "https://wiki/ping" }
    ])
    assert.deepStrictEqual([mail?.owner, mail?.tags], ["shop", []])
    assert.deepStrictEqual([groups[0]?.owner, groups[0]?.tags], ["shop", ["v1"]])
  })

  it("the owner of a group holds for what is in it, also when it is merged into another one", () => {
    const orders = Orders.annotate(Catalog.Owner, "team orders")
    const pings = SideEffectGroup.make("pings").add(SideEffect.make("pings:other", { description: "Other." }))
    const all = SideEffectGroup.make("all").merge(orders, pings).annotate(Catalog.Owner, "everybody")
    for (const groups of [[all], [all, orders], [SideEffectGroup.make("more").merge(all)]]) {
      const { events, sideEffects } = Catalog.make(groups)
      assert.deepStrictEqual([...events, ...sideEffects].map(({ name, owner }) => [name, owner]), [
        ["orders:order:placed", "team orders"],
        ["orders:mail:send", "team orders"],
        ["monitor:ping", "team orders"],
        ["pings:other", "everybody"]
      ])
    }
  })

  it("tells what a retry schedule comes to, the same every time", () => {
    const retry = (retry: SideEffect.Retry<unknown>) => {
      const definition = SideEffect.make("s", { description: "S.", defaults: { retry } })
      return Catalog.make(SideEffectGroup.make("g").add(definition)).sideEffects[0]?.defaults.retry
    }
    const backoff = Schedule.exponential("1 second")
    assert.strictEqual(retry(Schedule.upTo(backoff, { times: 3 })), "up to 3 times: after 1s, 2s, 4s")
    assert.strictEqual(retry(Schedule.recurs(1)), "once: after 0")
    assert.strictEqual(retry(Schedule.recurs(0)), "by a schedule")
    const byError = Schedule.while(backoff, ({ input }) => (input as { status: number }).status >= 500)
    assert.strictEqual(retry(byError), "by a schedule")
    assert.strictEqual(
      retry({ schedule: Schedule.jittered(Schedule.spaced("1 minute")), while: () => true }),
      "without end: after 1m, 1m, 1m, 1m, 1m and so on, if the error allows it"
    )
  })

  it("takes several groups, and lists what they share once", () => {
    const all = SideEffectGroup.make("all").merge(Orders)
    const { bindings, events, groups, sideEffects } = Catalog.make([Orders, all])
    assert.deepStrictEqual(groups.map(({ name }) => name), ["orders", "all"])
    assert.deepStrictEqual([events.length, sideEffects.length, bindings.length], [1, 2, 2])
    assert.deepStrictEqual(events[0]?.groups, ["orders", "all"])
  })

  it("refuses two definitions of one name", () => {
    const Twin = SideEffect.make("monitor:ping", { description: "Another ping." })
    assert.throws(
      () => Catalog.make([Orders, SideEffectGroup.make("other").add(Twin)]),
      "Groups \"orders\" and \"other\" have different side effects named \"monitor:ping\""
    )
    const Clash = Event.make("monitor:ping", { description: "Pinged." })
    assert.throws(
      () => Catalog.make([Orders, SideEffectGroup.make("other").events(Clash)]),
      "\"monitor:ping\" names both a side effect and an event"
    )
  })
})

describe("Catalog.check", () => {
  const kinds = (group: SideEffectGroup.Any) =>
    Catalog.check(Catalog.make(group)).map(({ kind, subject }) => `${kind} ${subject}`)

  it("finds nothing in a good one", () => {
    assert.deepStrictEqual(kinds(Orders), [])
  })

  it("finds placeholders for descriptions", () => {
    const Todo = SideEffect.make("a:todo", { description: "TODO: say what happens." }).annotate(Catalog.EnqueuedBy, [
      "x"
    ])
    const Named = Event.make("a:named", { description: "a:named" })
    const described = ["Todo list was completed.", "Заказ оформлен.", "注文が作成された", "Ping."].map((
      description,
      i
    ) => SideEffect.make(`a:n${i}`, { description }).annotate(Catalog.EnqueuedBy, ["x"]))
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").add(...described)), [])
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").on(Named, Ping).add(Todo)), [
      "no-description a:named",
      "no-description a:todo"
    ])
  })

  it("finds events that nothing is bound to", () => {
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").events(Placed)), ["unbound-event orders:order:placed"])
  })

  it("takes events of models, and others that say so, as they are", () => {
    const Own = Placed.annotate(Catalog.MayBeUnbound, true)
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").events(Own)), [])
    class User extends Model.Class<User>("User")({ id: Schema.Number, name: Schema.String }) {}
    const { created, all } = ModelEvents.make("user", User)
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").events(...all).on(created, Ping)), [])
  })

  it("finds side effects that nothing can trigger, unless code says that it does", () => {
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").add(Ping)), ["untriggered-side-effect monitor:ping"])
    const Direct = Ping.annotate(Catalog.EnqueuedBy, ["monitor"])
    assert.deepStrictEqual(kinds(SideEffectGroup.make("g").add(Direct)), [])
    const [finding] = Catalog.check(Catalog.make(SideEffectGroup.make("g").add(Ping), { root }))
    assert.match(finding!.message, /^Side effect "monitor:ping" can be triggered by nothing.*Catalog.EnqueuedBy/s)
    assert.strictEqual(finding!.source?.file, thisFile)
  })

  it("finds patterns without a match", () => {
    const group = Orders.on(/invoices/, Ping, undefined, { id: "invoices" })
    assert.deepStrictEqual(kinds(group), ["unmatched-pattern invoices"])
  })

  it("finds side effects with the same summary", () => {
    const Other = SideEffect.make("other:mail", { description: "email the customer" })
    assert.deepStrictEqual(kinds(Orders.on(Placed, Other)), ["same-summary orders:mail:send"])
  })
})
