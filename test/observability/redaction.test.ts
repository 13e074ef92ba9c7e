/** The secret "hunter2" goes through everything that prints something, and must not be seen in any of it. */
import { assert, describe, it } from "@effect/vitest"
import {
  Catalog,
  Decision,
  Dispatcher,
  Event,
  Policy,
  SideEffect,
  SideEffectGroup,
  SideEffects
} from "effect-side-effects"
import { Observability } from "effect-side-effects/observability"
import { MemoryOutboxStore, Outbox, OutboxStore } from "effect-side-effects/outbox"
import { capture, expectEmitted, expectEnqueued, expectNothing, expectOrder } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import { collector } from "./collector.ts"

const secret = "hunter2"
const password = Redacted.make(secret)

/** A message of somebody who did not think of it. */
const strong = Schema.makeFilter((text: string) => text.length > 5 || `"${text}" is too short`)

const Password = Schema.RedactedFromValue(Schema.String.check(strong))

class Login extends SideEffect.make("auth:login", {
  description: "Log in at the partner.",
  payload: {
    user: Schema.NonEmptyString,
    password: Password,
    spare: Schema.optionalKey(Schema.Array(Schema.Struct({ code: Schema.Redacted(Schema.String) })))
  }
}) {}

const Card = Schema.Struct({ kind: Schema.tag("card"), number: Schema.Redacted(Schema.String) })
const Bank = Schema.Struct({ kind: Schema.tag("bank"), iban: Schema.Redacted(Schema.String), bic: Schema.String })

class Pay extends SideEffect.make("billing:pay", {
  description: "Collect the money.",
  payload: Schema.Union([Card, Bank])
}) {}

class Reset extends SideEffect.make("auth:reset", {
  description: "Send the new password.",
  payload: { password: Schema.Redacted(Schema.String, { disallowJsonEncode: true }) }
}) {}

class SignedUp extends Event.make("auth:signed-up", {
  description: "Somebody has signed up.",
  payload: { user: Schema.NonEmptyString, password: Password }
}) {}

const Auth = SideEffectGroup.make("auth").add(Login, Pay, Reset).events(SignedUp)
  .on(SignedUp, Login, ({ password, user }) => ({ user, password }))

const payload = { user: "ada", password, spare: [{ code: Redacted.make(secret) }] }

const login = SideEffects.enqueue(Login, payload)

/** Everything that a person or a program would do to look at a value. */
const printed = (value: unknown): string => {
  const all: Array<string> = [inspect(value, { depth: 20, showHidden: true }), String(value)]
  try {
    all.push(JSON.stringify(value) ?? "")
  } catch {
    // What has cycles cannot be printed so.
  }
  if (value instanceof Error) all.push(value.message, value.stack ?? "", inspect(value.cause, { depth: 20 }))
  if (Cause.isCause(value)) all.push(Cause.pretty(value), ...Cause.prettyErrors(value).map(printed))
  return all.join("\n")
}

const hidden = (...values: ReadonlyArray<unknown>) => {
  assert.isAbove(values.length, 0)
  for (const value of values) {
    const text = printed(value)
    // A test that looks at nothing cannot fail.
    assert.isAbove(text.length, 10)
    assert.notInclude(text, secret)
  }
}

/** All ways in which Effect writes a log. */
const logged = () => {
  const lines: Array<unknown> = []
  const keep = (line: unknown) => void lines.push(line)
  const loggers = [
    Logger.map(Logger.formatSimple, keep),
    Logger.map(Logger.formatLogFmt, keep),
    Logger.map(Logger.formatJson, keep),
    Logger.map(Logger.formatStructured, keep)
  ]
  return { lines, layer: Logger.layer(loggers) }
}

const live = (handle: (payload: any) => Effect.Effect<unknown, unknown, any>, options?: any) =>
  SideEffects.LiveLayer(Auth, options).pipe(
    Layer.provide(
      Auth.toLayer({ "auth:login": handle, "billing:pay": handle, "auth:reset": handle } as any) as Layer.Layer<any>
    ),
    Layer.provide(Observability.layer())
  ) as Layer.Layer<SideEffects.SideEffects<any>>

/** How it ends, and what was logged meanwhile. */
const ending = <A, E>(self: Effect.Effect<A, E, any>, layer: Layer.Layer<any, any> = live(() => Effect.void)) => {
  const { layer: logs, lines } = logged()
  return Effect.map(
    Effect.exit(Effect.provide(self, Layer.provideMerge(layer, logs))) as Effect.Effect<any>,
    (exit) => ({ exit, lines, defect: exit._tag === "Failure" ? Cause.squash(exit.cause) as Error : undefined })
  )
}

describe("a secret is in nothing that is printed", () => {
  it("is seen where nobody hides it", () => assert.include(printed({ payload: { password: secret } }), secret))

  it.effect("intents, events and decisions", () =>
    Effect.gen(function*() {
      const { exit } = yield* ending(SideEffects.boundary(Effect.all([login, SideEffects.emit(SignedUp, payload)])))
      const [intent, event] = exit.value
      hidden(intent, event, Decision.of(intent), Decision.format(Decision.of(intent)!), exit)
    }))

  it.effect("what a failed handler leaves: logs, causes, DispatchError", () =>
    Effect.gen(function*() {
      for (
        const fail of [Effect.fail, Effect.die, (value: any) => Effect.fail(Object.assign(new Error("no"), value))]
      ) {
        const { defect, exit, lines } = yield* ending(
          SideEffects.boundary(login, { abortOnError: true }),
          live((payload) => fail(payload))
        )
        hidden(exit.cause, defect, ...lines)
        assert.strictEqual(defect!.name, "DispatchError")
        const background = yield* ending(
          Effect.andThen(SideEffects.boundary(login), SideEffects.drain),
          live((payload) => fail(payload), { dispatcher: Dispatcher.background() })
        )
        hidden(...background.lines)
      }
    }))

  const invalid: ReadonlyArray<readonly [what: string, enqueue: Effect.Effect<unknown, never, any>]> = [
    ["another field is wrong", SideEffects.enqueue(Login, { ...payload, user: "" })],
    ["another field is missing", SideEffects.enqueue(Login, { password } as any)],
    ["it is not redacted", SideEffects.enqueue(Login, { user: "ada", password: secret } as any)],
    ["it does not satisfy its check", SideEffects.enqueue(Login, { user: "ada", password: Redacted.make("hunt") })],
    ["it holds something else", SideEffects.enqueue(Login, { user: "ada", password: Redacted.make([secret]) } as any)],
    ["one in an array is wrong", SideEffects.enqueue(Login, { ...payload, spare: [{ code: secret }] } as any)],
    ["it is the whole payload", SideEffects.enqueue(Login, secret as any)],
    ["it is in a member of a union", SideEffects.enqueue(Pay, { kind: "bank", iban: secret } as any)],
    ["no member of a union fits", SideEffects.enqueue(Pay, { kind: "cash", amount: secret } as any)],
    ["an event", SideEffects.emit(SignedUp, { user: "", password: secret } as any)]
  ]
  for (const [what, enqueue] of invalid) {
    it.effect(`InvalidPayload: ${what}`, () =>
      Effect.gen(function*() {
        for (const layer of [undefined, SideEffects.TestLayer, SideEffects.DropLayer]) {
          const { defect, exit, lines } = yield* ending(SideEffects.boundary(enqueue), layer)
          assert.strictEqual(defect?.name, "InvalidPayload")
          hidden(defect, exit, ...lines)
          assert.notInclude(printed(defect), "\"hunt\"")
        }
      }))
  }

  it.effect("BoundaryClosed, NoBoundary and what dies at the call site", () =>
    Effect.gen(function*() {
      const late = (self: Effect.Effect<unknown, any, any>) =>
        Effect.flatten(
          SideEffects.boundary(
            Effect.contextWith((context) => Effect.succeed(Effect.provideContext(self, context as any)))
          )
        )
      const emitted = SideEffects.emit(SignedUp, payload)
      for (
        const [name, program, layer] of [
          ["BoundaryClosed", late(login), undefined],
          ["BoundaryClosed", late(emitted), undefined],
          ["NoBoundary", login, live(() => Effect.void, { outsideBoundary: "reject" })],
          ["NoBoundary", emitted, live(() => Effect.void, { outsideBoundary: "reject" })],
          ["PolicyViolation", login, live(() => Effect.void, { policy: Policy.reject("auth:login") })],
          ["PolicyViolation", login, SideEffects.AssertNoneLayer],
          ["PolicyViolation", emitted, SideEffects.AssertNoneLayer],
          // What is not valid is refused before anybody looks at it.
          ["PolicyViolation", SideEffects.enqueue(Login, { password: secret } as any), SideEffects.AssertNoneLayer],
          ["PolicyViolation", SideEffects.emit(SignedUp, { password: secret } as any), SideEffects.AssertNoneLayer],
          ["PolicyViolation", SideEffects.enqueue(Login, secret as any), SideEffects.AssertNoneLayer]
        ] as const
      ) {
        const { defect, exit, lines } = yield* ending(program, layer)
        assert.strictEqual(defect?.name, name)
        hidden(defect, exit, ...lines)
      }
    }))

  it.effect("a policy that logs, one that dies, and what was discarded", () =>
    Effect.gen(function*() {
      const dies = Policy.make({
        name: "dies",
        decide: (intent) => {
          throw Object.assign(new Error("no"), { intent })
        }
      })
      for (const policy of [Policy.log, dies]) {
        const { exit, lines } = yield* ending(SideEffects.boundary(login, { policy }))
        hidden(exit.value, Decision.of(exit.value), ...lines)
        assert.isNotEmpty(lines)
      }
      let report: unknown
      yield* ending(
        SideEffects.boundary(Effect.andThen(login, (intent) => Effect.fail(intent)), {
          onClose: (closed) => Effect.sync(() => void (report = closed))
        })
      )
      hidden(report)
    }))

  it.effect("a plan, and what the test kit says", () =>
    Effect.gen(function*() {
      const program: Effect.Effect<unknown, never, any> = SideEffects.boundary(
        Effect.all([login, SideEffects.emit(SignedUp, payload)])
      )
      hidden(yield* SideEffects.plan(program) as Effect.Effect<unknown>)
      hidden(yield* capture(program) as Effect.Effect<unknown>)
      const failing = [
        expectNothing,
        expectEnqueued(Login, { password: Redacted.make("other") }),
        expectEnqueued(Login, { user: "bob" }),
        expectEnqueued(Login, payload, { times: 7 }),
        expectEmitted(SignedUp, { user: "bob" }),
        expectOrder([Pay, Login])
      ]
      yield* Effect.andThen(
        program,
        Effect.forEach(failing, (expectation) =>
          Effect.map(
            Effect.flip(expectation as Effect.Effect<unknown, Error, any>),
            (error) => hidden(error)
          ))
      ).pipe(Effect.provide(SideEffects.TestLayer)) as Effect.Effect<unknown>
    }))

  it("a catalogue", () => {
    const catalog = Catalog.make([Auth])
    hidden(
      Catalog.toText(catalog),
      Catalog.toJson(catalog),
      Catalog.toMarkdown(catalog),
      Catalog.toHtml(catalog),
      Catalog.lock(catalog)
    )
  })

  it.live("spans, metrics and logs over OTLP", () =>
    Effect.gen(function*() {
      const { raw, url } = yield* collector
      const exporter = Otlp.layerJson({ baseUrl: url, resource: { serviceName: "auth" } }).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
      yield* Effect.gen(function*() {
        const all = Effect.all([login, SideEffects.emit(SignedUp, payload)])
        yield* Effect.exit(SideEffects.boundary(all).pipe(Effect.withSpan("request")))
        yield* Effect.exit(SideEffects.boundary(SideEffects.enqueue(Login, { password: secret } as any)))
        yield* Effect.flatMap(OtlpExporter.Flusher, ({ flush }) => flush)
      }).pipe(
        Effect.provide(Layer.provideMerge(
          live((payload) => Effect.andThen(Effect.logError("no", payload), Effect.fail(payload))),
          exporter
        ))
      )
      assert.isAbove(raw.join("").length, 1000)
      assert.include(raw.join(""), "deliver auth:login")
      assert.notInclude(raw.join(""), secret)
    }).pipe(Effect.scoped))

  it.effect("the outbox: what operators see, and what workers write down and log", () =>
    Effect.gen(function*() {
      const { layer, lines } = logged()
      const handlers = Auth.toLayer({
        "auth:login": (payload: any) => Effect.fail(payload),
        "billing:pay": () => Effect.void,
        "auth:reset": () => Effect.void
      } as any) as Layer.Layer<any>
      const offer = {
        name: "auth:login",
        queue: "default",
        priority: 0,
        redacted: undefined,
        key: undefined,
        delay: 0,
        origin: undefined,
        metadata: undefined,
        trace: undefined
      }
      yield* Effect.gen(function*() {
        const store = yield* OutboxStore.OutboxStore
        const outbox = yield* Outbox.Outbox
        const { id } = yield* SideEffects.boundary(login)
        const refused = yield* Effect.exit(SideEffects.boundary(SideEffects.enqueue(Reset, { password })))
        hidden(refused)
        yield* store.offerMany([
          // Written by an older release, or by hand.
          { ...offer, id: "no JSON", payload: `${secret} is no JSON` },
          { ...offer, id: "cut off", payload: `{"user":"ada","password":"${secret}` },
          { ...offer, id: "another field", payload: `{"user":"","password":"${secret}"}` },
          { ...offer, id: "too short", payload: `{"user":"ada","password":"hunt"}` },
          { ...offer, id: "not its type", payload: `{"user":"ada","password":["${secret}"]}` },
          { ...offer, id: "a union", name: "billing:pay", payload: `{"kind":"cash","number":"${secret}"}` }
        ], { uniqueFor: 0 })
        const drained = yield* Outbox.drain(Auth, { retry: Schedule.recurs(0) })
        assert.deepStrictEqual([drained.dead.undecodable, drained.dead.exhausted], [6, 1])
        const { entries } = yield* Effect.map(
          store.find({}, { limit: 20, before: undefined }),
          (entries) => ({ entries })
        )
        // Payloads are in the database. Nothing else is.
        for (const { error } of entries) {
          hidden(error)
          assert.notInclude(error, "\"hunt\"")
        }
        hidden(yield* outbox.show(id), (yield* outbox.list({ names: ["auth:login"] })).find((entry) => entry.id === id))
        for (const edited of [{ user: "", password: secret }, { user: "ada", password: [secret] }, secret]) {
          hidden(yield* Effect.flip(outbox.edit(id, edited) as Effect.Effect<void, Error>))
        }
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Layer.mergeAll(SideEffects.LiveLayer(Auth, { dispatcher: Outbox.dispatcher() }), Outbox.layer(Auth)),
            Layer.provideMerge(Layer.mergeAll(handlers, MemoryOutboxStore.layer), layer)
          )
        )
      ) as Effect.Effect<void>
      hidden(lines)
    }))
})
