import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { SideEffect, SideEffectGroup } from "effect-side-effects"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { TestClock } from "effect/testing"
import { codecOf } from "../../src/internal/codec.ts"
import { redactedPaths } from "../../src/internal/redact.ts"

class Mail extends SideEffect.make("orders:mail", {
  description: "Email the customer.",
  payload: {
    order: Schema.NumberFromString,
    to: Schema.NonEmptyString,
    token: Schema.RedactedFromValue(Schema.String.check(Schema.isMinLength(6))),
    backups: Schema.optionalKey(Schema.Array(Schema.Struct({ code: Schema.Redacted(Schema.String) })))
  },
  aliases: ["orders:letter"]
}) {}

class Push extends SideEffect.make("orders:push", { description: "Notify the phone.", payload: { n: Schema.Int } }) {}

const Orders = SideEffectGroup.make("orders").add(Mail, Push)

const services = Outbox.layer(Orders).pipe(Layer.provideMerge(MemoryOutboxStore.layer))

const worker = "worker-1"

interface Given {
  readonly id: string
  readonly name?: string
  readonly payload?: unknown
  readonly redacted?: ReadonlyArray<ReadonlyArray<string>>
  readonly delay?: number
  readonly queue?: string
}

const offer = Effect.fnUntraced(function*(...all: ReadonlyArray<Given>) {
  const store = yield* OutboxStore.OutboxStore
  yield* store.offerMany(
    all.map(({ delay = 0, id, name = "orders:push", payload = { n: 1 }, queue = "default", redacted }) => ({
      id,
      name,
      queue,
      priority: 0,
      payload: JSON.stringify(payload),
      redacted,
      key: undefined,
      delay,
      origin: undefined,
      metadata: undefined,
      trace: undefined
    })),
    { uniqueFor: 0 }
  )
})

const claim = Effect.fnUntraced(function*(limit: number, names = ["orders:mail", "orders:push"]) {
  const store = yield* OutboxStore.OutboxStore
  return yield* store.claim({ worker, limit, lease: 30_000, names, queues: undefined, suspects: false })
})

const settle = Effect.fnUntraced(function*(limit: number, outcome: OutboxStore.Outcome) {
  const store = yield* OutboxStore.OutboxStore
  const claimed = yield* claim(limit)
  yield* store.settle(claimed.map(({ ref, token }) => ({ ref, token, worker, elapsed: 5, outcome })))
})

const dead = (error: string): OutboxStore.Outcome => ({ _tag: "Dead", reason: "exhausted", error, failed: true })
const done: OutboxStore.Outcome = { _tag: "Done", keep: true }

const mail = {
  id: "m1",
  name: "orders:mail",
  payload: { order: "7", to: "ann@example.com", token: "s3cret-7", backups: [{ code: "aaaa" }, { code: "bbbb" }] },
  redacted: [["token"], ["backups", "0", "code"], ["backups", "1", "code"]]
}

const stored = Effect.fnUntraced(function*(id: string) {
  const store = yield* OutboxStore.OutboxStore
  const entry = yield* store.get(id)
  return { payload: JSON.parse(entry!.payload), redacted: entry!.redacted }
})

describe("redactedPaths", () => {
  const pathsOf = <S extends SideEffect.PayloadSchema>(payload: S, value: S["Type"]) => {
    const definition: any = SideEffect.make("a:b", { description: "Do it.", payload })
    const json = codecOf(definition).encode(value)
    return { json, paths: redactedPaths(definition, json) }
  }
  const secret = Redacted.make("s3cret")

  it("finds secrets in structs, arrays, records, unions, classes and types that contain themselves", () => {
    class Login
      extends Schema.Class<Login>("Login")({ user: Schema.String, password: Schema.Redacted(Schema.String) })
    {}
    interface Tree {
      readonly code?: Redacted.Redacted<string>
      readonly children: ReadonlyArray<Tree>
    }
    const Tree = Schema.Struct({
      code: Schema.optionalKey(Schema.Redacted(Schema.String)),
      children: Schema.Array(Schema.suspend((): Schema.Codec<Tree, any> => Tree as any))
    })
    const All = Schema.Struct({
      id: Schema.Int,
      login: Login,
      byName: Schema.Record(Schema.String, Schema.RedactedFromValue(Schema.String)),
      maybe: Schema.NullOr(Schema.Redacted(Schema.String)),
      pair: Schema.Tuple([Schema.String, Schema.Redacted(Schema.Int)]),
      tree: Tree
    })
    const { json, paths } = pathsOf(All, {
      id: 1,
      login: new Login({ user: "ann", password: secret }),
      byName: { a: secret, "b.c": secret },
      maybe: null,
      pair: ["x", Redacted.make(42)],
      tree: { children: [{ code: secret, children: [] }] }
    })
    assert.deepStrictEqual((json as any).login, { user: "ann", password: "s3cret" })
    assert.deepStrictEqual(paths, [
      ["login", "password"],
      ["byName", "a"],
      ["byName", "b.c"],
      ["pair", "1"],
      ["tree", "children", "0", "code"]
    ])
  })

  it("takes all of what a transformation hides the secret in", () => {
    const renamed = Schema.Struct({ token: Schema.RedactedFromValue(Schema.String), n: Schema.Int })
      .pipe(Schema.encodeKeys({ token: "t" }))
    assert.deepStrictEqual(pathsOf(renamed, { token: secret, n: 1 }), { json: { t: "s3cret", n: 1 }, paths: [[]] })
    assert.deepStrictEqual(pathsOf(Schema.Struct({ inner: renamed }), { inner: { token: secret, n: 1 } }).paths, [[
      "inner"
    ]])
    assert.deepStrictEqual(pathsOf(Schema.Redacted(Schema.String), secret).paths, [[]])
    const text = Schema.Struct({
      in: Schema.fromJsonString(Schema.Struct({ a: Schema.RedactedFromValue(Schema.String) }))
    })
    assert.deepStrictEqual(pathsOf(text, { in: { a: secret } }).paths, [["in"]])
  })

  it("says nothing of payloads without secrets", () => {
    assert.isUndefined(pathsOf(Schema.Struct({ a: Schema.String, d: Schema.Date }), { a: "x", d: new Date(0) }).paths)
    assert.isUndefined(pathsOf(Schema.Void, undefined).paths)
  })
})

describe("Outbox", () => {
  it.effect("list and show never give a secret away, in the payload or in an error", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer(mail, { id: "all", name: "orders:mail", payload: { token: "whole-secret" }, redacted: [[]] })
      yield* settle(2, dead("Error: s3cret-7 was refused, and whole-secret too"))
      const entries = yield* outbox.list()
      const shown = yield* outbox.show("m1")
      assert.deepStrictEqual(JSON.parse(shown.payload), {
        order: "7",
        to: "ann@example.com",
        token: "<redacted>",
        backups: [{ code: "<redacted>" }, { code: "<redacted>" }]
      })
      assert.strictEqual((yield* outbox.show("all")).payload, "\"<redacted>\"")
      assert.strictEqual(shown.history[0]?.error, "Error: <redacted> was refused, and whole-secret too")
      for (const text of [JSON.stringify(entries.find(({ id }) => id === "m1")), JSON.stringify(shown)]) {
        assert.notInclude(text, "s3cret-7")
        assert.notInclude(text, "aaaa")
      }
      assert.strictEqual((yield* stored("m1")).payload.token, "s3cret-7")
    }).pipe(Effect.provide(services)))

  it.effect("list gives pages, newest first, of what matches", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer({ id: "a" }, { id: "b", queue: "slow" }, { id: "c" }, { id: "d" })
      const ids = (entries: ReadonlyArray<OutboxStore.Entry>) => entries.map(({ id }) => id)
      assert.deepStrictEqual(ids(yield* outbox.list()), ["d", "c", "b", "a"])
      assert.deepStrictEqual(ids(yield* outbox.list({}, { limit: 2 })), ["d", "c"])
      assert.deepStrictEqual(ids(yield* outbox.list({ queues: ["default"] }, { limit: 2, before: "c" })), ["a"])
      assert.strictEqual(yield* outbox.count({ queues: ["slow"] }), 1)
      assert.strictEqual((yield* outbox.counts).reduce((sum, { count }) => sum + count, 0), 4)
    }).pipe(Effect.provide(services)))

  it.effect("show and edit fail with EntryNotFound", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      const shown = yield* Effect.flip(outbox.show("nope"))
      const edited = yield* Effect.flip(outbox.edit("nope", {}))
      assert.deepStrictEqual([shown._tag, edited._tag], ["EntryNotFound", "EntryNotFound"])
      assert.include(shown.message, "nope")
    }).pipe(Effect.provide(services)))

  it.effect("retry, cancel, replay and purge answer with counts", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer({ id: "a" }, { id: "b" }, { id: "c", delay: 60_000 })
      yield* settle(1, done)
      yield* settle(1, dead("Error: ECONNREFUSED"))
      assert.strictEqual(yield* outbox.retry({ error: "econnrefused" }), 1)
      assert.strictEqual((yield* outbox.show("b")).state, "pending")
      assert.strictEqual(yield* outbox.cancel({}, "Not wanted."), 2)
      const cancelled = yield* outbox.show("c")
      assert.deepStrictEqual([cancelled.state, cancelled.reason, cancelled.error], ["dead", "cancelled", "Not wanted."])
      assert.strictEqual(yield* outbox.replay({ states: ["done"] }), 1)
      const [replayed] = yield* outbox.list({ states: ["pending"] })
      assert.strictEqual(replayed?.replayOf, "a")
    }).pipe(Effect.provide(services)))

  it.effect("purge without states leaves what is still to be performed", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer({ id: "a" }, { id: "b" }, { id: "c" }, { id: "d", delay: 60_000 })
      yield* settle(1, done)
      yield* settle(1, dead("Error"))
      assert.strictEqual(yield* outbox.purge({}), 2)
      assert.deepStrictEqual((yield* outbox.list()).map(({ id }) => id), ["d", "c"])
      assert.strictEqual(yield* outbox.purge({ states: ["scheduled"] }), 1)
    }).pipe(Effect.provide(services)))

  it.effect("edit stores what the schema makes of a payload, and keeps secrets in their places", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer(mail)
      const shown = JSON.parse((yield* outbox.show("m1")).payload)
      yield* outbox.edit("m1", { ...shown, order: "0x8", to: "bob@example.com", extra: 1 })
      assert.deepStrictEqual(yield* stored("m1"), {
        payload: { ...mail.payload, order: "8", to: "bob@example.com" },
        redacted: mail.redacted
      })
      yield* outbox.edit("m1", { order: "9", to: "c@example.com", token: "another" })
      assert.deepStrictEqual(yield* stored("m1"), {
        payload: { order: "9", to: "c@example.com", token: "another" },
        redacted: [["token"]]
      })
    }).pipe(Effect.provide(services)))

  it.effect("edit refuses what does not fit, without giving secrets away, and changes nothing", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      const short = { ...mail, id: "m2", payload: { ...mail.payload, token: "short" } }
      yield* offer(mail, short, { id: "letter", name: "orders:letter", payload: {} }, { id: "old", name: "gone:name" })
      const shown = JSON.parse((yield* outbox.show("m1")).payload)
      const refusals = [
        [outbox.edit("m1", { ...shown, to: "" }), /length|at least|non-empty|character/i],
        [outbox.edit("m1", "text"), /Expected object/],
        // The stored one does not fit itself, and the schema quotes what does not fit.
        [outbox.edit("m2", shown), /token/],
        [outbox.edit("m1", { ...shown, backups: [{ code: "<redacted>" }] }), /another length/],
        [
          outbox.edit("m1", {
            ...shown,
            backups: [...shown.backups.slice(0, 1), { code: "x" }, { code: "<redacted>" }]
          }),
          /another length/
        ],
        [outbox.edit("letter", { order: "1", to: "a@b.c", token: "<redacted>" }), /no stored secret at token/],
        [outbox.edit("old", { n: 2 }), /no group here defines it/]
      ] as const
      for (const [edit, problem] of refusals) {
        const error = yield* Effect.flip(edit)
        assert.strictEqual(error._tag, "EditRefused")
        assert.match(error.message, problem)
        assert.notMatch(error.message, /s3cret-7|"short"|aaaa/)
      }
      assert.deepStrictEqual((yield* stored("m1")).payload, mail.payload)
      yield* outbox.edit("old", { n: 2 }, { unchecked: true })
      assert.deepStrictEqual(yield* stored("old"), { payload: { n: 2 }, redacted: undefined })
    }).pipe(Effect.provide(services)))

  it.effect("edit without a check keeps hidden what may be a secret", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer(mail)
      const shown = JSON.parse((yield* outbox.show("m1")).payload)
      yield* outbox.edit("m1", { ...shown, to: 5 }, { unchecked: true })
      assert.deepStrictEqual(yield* stored("m1"), { payload: { ...mail.payload, to: 5 }, redacted: mail.redacted })
      yield* outbox.edit("m1", { secret: "moved elsewhere" }, { unchecked: true })
      assert.strictEqual((yield* outbox.show("m1")).payload, "\"<redacted>\"")
    }).pipe(Effect.provide(services)))

  it.effect("edit refuses what is running or done", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* offer({ id: "a" }, { id: "b" })
      yield* settle(1, done)
      yield* claim(1)
      assert.match((yield* Effect.flip(outbox.edit("a", { n: 2 }))).message, /is done\. Replay/)
      assert.match((yield* Effect.flip(outbox.edit("b", { n: 2 }))).message, /is running\. Cancel/)
    }).pipe(Effect.provide(services)))
})

describe("doctor", () => {
  const minutes = (n: number) => TestClock.adjust(`${n} minutes`)
  const findings = Effect.flatMap(Outbox.Outbox, ({ doctor }) => doctor)
  const register = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
    const store = yield* OutboxStore.OutboxStore
    yield* store.register({ id: worker, names, queues: undefined })
  })

  /** The findings that a store with this status would give. */
  const withStatus = (status: Partial<OutboxStore.Status>) =>
    Effect.gen(function*() {
      const store = yield* MemoryOutboxStore.make
      const real = yield* store.status(0)
      const layer = Layer.succeed(OutboxStore.OutboxStore, {
        ...store,
        status: () => Effect.succeed({ ...real, ...status })
      })
      return yield* Effect.provide(findings, Outbox.layer(Orders).pipe(Layer.provide(layer)))
    })

  it.effect("finds nothing where nothing is wrong", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* findings, [])
      yield* register(["orders:mail", "orders:push"])
      yield* offer({ id: "a" }, { id: "b", delay: 60_000 })
      assert.deepStrictEqual(yield* findings, [])
    }).pipe(Effect.provide(services)))

  it.effect("says when no worker is there, or none knows a name", () =>
    Effect.gen(function*() {
      yield* offer({ id: "a" }, { id: "b", name: "orders:letter" }, { id: "c", name: "orders:gone", delay: 60_000 })
      assert.deepStrictEqual((yield* findings).map(({ severity, what }) => [severity, what]), [
        ["error", "2 side effects are due, and no worker has been seen yet."],
        ["error", "Neither a worker nor a group here knows orders:gone ×1."]
      ])
      yield* register(["orders:push"])
      assert.deepStrictEqual((yield* findings).map(({ what }) => what), [
        "Neither a worker nor a group here knows orders:gone ×1.",
        "No worker knows orders:letter ×1."
      ])
      yield* minutes(5)
      assert.include((yield* findings)[0]?.what, "no worker has been seen for 5 minutes")
    }).pipe(Effect.provide(services)))

  it.effect("says when a lease ran out and nobody took over", () =>
    Effect.gen(function*() {
      yield* offer({ id: "a" })
      yield* claim(1)
      yield* minutes(3)
      yield* register(["orders:push"])
      const [finding] = yield* findings
      assert.strictEqual(finding?.severity, "error")
      assert.match(
        finding!.what,
        /^1 side effect lost the worker, and nobody has taken over for \d+ (seconds|minutes)\.$/
      )
    }).pipe(Effect.provide(services)))

  it.effect("says when the backlog grows, and when many are dead", () =>
    Effect.gen(function*() {
      yield* register(["orders:push"])
      yield* offer(...Array.from({ length: 300 }, (_, i) => ({ id: `n${i}` })))
      yield* settle(100, dead("Error"))
      yield* minutes(1.5)
      assert.deepStrictEqual((yield* findings).map(({ severity, what }) => [severity, what]), [
        [
          "warning",
          "The backlog grows: in 10 minutes, 300 came and 100 were finished. 200 are due, the oldest since 90 seconds."
        ],
        ["warning", "100 side effects are dead: orders:push ×100."]
      ])
    }).pipe(Effect.provide(services)))

  it.effect("says which pauses are older than a day", () =>
    Effect.gen(function*() {
      const outbox = yield* Outbox.Outbox
      yield* outbox.pause({ kind: "name", what: "orders:*" })
      yield* TestClock.adjust("1 day")
      yield* outbox.pause({ kind: "queue", what: "slow" })
      assert.deepStrictEqual(yield* findings, [])
      yield* TestClock.adjust("1 hour")
      const found = yield* findings
      assert.deepStrictEqual(found.map(({ what }) => what), ["Name \"orders:*\" has been paused for 25 hours."])
      assert.include(found[0]!.remedy, "side-effects outbox resume --name \"orders:*\"")
      assert.isTrue(yield* outbox.resume({ kind: "name", what: "orders:*" }))
      assert.isFalse(yield* outbox.resume({ kind: "name", what: "orders:*" }))
    }).pipe(Effect.provide(services)))

  it.effect("says when the schema is not that of this release, and asks nothing else then", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [Partial<OutboxStore.Status>, string]> = [
        [{ version: 0, missing: ["table x"] }, "The outbox has no tables yet."],
        [{ version: 1, expected: 2 }, "The schema is at version 1, and this release needs version 2."],
        [{ version: 2, expected: 1 }, "The schema is at version 2, and this release knows version 1 only."],
        [{ missing: ["index a", "index b"] }, "The schema lacks index a, index b."]
      ]
      for (const [status, what] of cases) {
        const found = yield* withStatus(status)
        assert.deepStrictEqual(found.map((finding) => [finding.severity, finding.what]), [["error", what]])
      }
    }))

  it.effect("says when the clocks differ by more than 2 seconds", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* withStatus({ now: 2000 }), [])
      const [behind] = yield* withStatus({ now: 2001 })
      const [ahead] = yield* withStatus({ now: -60_000 })
      assert.match(behind!.what, /is 2 seconds behind that of the database/)
      assert.match(ahead!.what, /is 60 seconds ahead of that of the database/)
    }))
})
