import { type Boundary, Dispatcher, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox, type OutboxStore } from "effect-side-effects/outbox"
import { SqlSideEffects } from "effect-side-effects/sql"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { describe, expect, test } from "tstyche"

class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.",
  payload: { id: Schema.String },
  aliases: ["mail:send"]
}) {}
class Push extends SideEffect.make("orders:push:notify", { description: "Notify the phone." }) {}
class Ping extends SideEffect.make("monitor:ping", { description: "Ping." }) {}

const Orders = SideEffectGroup.make("orders").add(Mail, Push)

class Mailer extends Context.Service<Mailer, { readonly send: Effect.Effect<void> }>()("Mailer") {}

const MailLive = Mail.toLayer(() => Effect.flatMap(Mailer, ({ send }) => send))
const PushLive = Push.toLayer(() => Effect.void)
const mail = SideEffects.enqueue(Mail, { id: "1" })

type Names = "orders:mail:send" | "orders:push:notify"

describe("Outbox", () => {
  test("whoever writes needs a store and no handlers", () => {
    const live = SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() })
    expect(live).type.toBe<Layer.Layer<SideEffects.SideEffects<Names>, never, OutboxStore.OutboxStore>>()
    expect(Layer.provide(live, MemoryOutboxStore.layer)).type.toBe<Layer.Layer<SideEffects.SideEffects<Names>>>()
  })

  test("beside a dispatcher that performs, a route needs both", () => {
    const dispatcher = Dispatcher.route([["orders:mail:*", Outbox.dispatcher()], ["**", Dispatcher.inline()]])
    expect(dispatcher).type.toBe<Dispatcher.Dispatcher<true, never, OutboxStore.OutboxStore>>()
  })

  test("a worker needs all handlers of the group, and what they need", () => {
    expect(Outbox.layerWorker(Orders)).type.toBe<
      Layer.Layer<
        never,
        OutboxStore.OutboxError,
        | OutboxStore.OutboxStore
        | SideEffect.Handler<"orders:mail:send", Names>
        | SideEffect.Handler<"orders:push:notify", Names>
      >
    >()
    expect(Layer.provide(Outbox.layerWorker(Orders), Layer.mergeAll(MailLive, PushLive))).type.toBe<
      Layer.Layer<never, OutboxStore.OutboxError, OutboxStore.OutboxStore | Mailer>
    >()
    expect(Layer.provide(Outbox.layerWorker(Orders), MailLive)).type.toBe<
      Layer.Layer<
        never,
        OutboxStore.OutboxError,
        OutboxStore.OutboxStore | Mailer | SideEffect.Handler<"orders:push:notify", Names>
      >
    >()
  })

  test("a worker that the deployer turns needs the same, and can fail with what is wrong there", () => {
    expect(Layer.provide(Outbox.layerWorkerConfig(Orders, { lease: "1 minute" }), MailLive)).type.toBe<
      Layer.Layer<
        never,
        OutboxStore.OutboxError | Config.ConfigError,
        OutboxStore.OutboxStore | Mailer | SideEffect.Handler<"orders:push:notify", Names>
      >
    >()
  })

  test("a handler that enqueues what the group lacks does not compile", () => {
    const pinging = Push.toLayer(() => SideEffects.enqueue(Ping))
    expect(Layer.provide(Outbox.layerWorker(Orders), Layer.mergeAll(MailLive, pinging))).type.not.toBe<
      Layer.Layer<never, OutboxStore.OutboxError, OutboxStore.OutboxStore | Mailer>
    >()
    const mailing = Push.toLayer(() => mail)
    expect(Layer.provide(Outbox.layerWorker(Orders), Layer.mergeAll(MailLive, mailing))).type.toBe<
      Layer.Layer<never, OutboxStore.OutboxError, OutboxStore.OutboxStore | Mailer>
    >()
  })

  test("drain needs the same, and says what it did", () => {
    const drain = Outbox.drain(Orders, { scheduled: true, limit: 10 })
    expect(drain).type.toBe<
      Effect.Effect<
        Outbox.Drained,
        OutboxStore.OutboxError,
        | OutboxStore.OutboxStore
        | SideEffect.Handler<"orders:mail:send", Names>
        | SideEffect.Handler<"orders:push:notify", Names>
      >
    >()
    expect(Effect.provide(drain, Layer.mergeAll(MailLive, PushLive))).type.toBe<
      Effect.Effect<Outbox.Drained, OutboxStore.OutboxError, OutboxStore.OutboxStore | Mailer>
    >()
    expect<Parameters<typeof Outbox.drain>[1] & {}>().type.not.toBeAssignableFrom<{ readonly concurrency: number }>()
  })
})

describe("SqlSideEffects", () => {
  test("a unit of work needs a client, and can fail as one", () => {
    expect(SqlSideEffects.transaction(mail)).type.toBe<
      Effect.Effect<
        Effect.Success<typeof mail>,
        SqlError,
        SideEffects.SideEffects<"orders:mail:send"> | SideEffects.SideEffects<never> | SqlClient
      >
    >()
    expect(Effect.fail("no").pipe(SqlSideEffects.transaction({ name: "orders", abortOnError: true }))).type.toBe<
      Effect.Effect<
        never,
        string | SideEffects.DispatchError | SqlError,
        SideEffects.SideEffects<never> | SqlClient
      >
    >()
  })

  test("in Effect.fn", () => {
    const place = Effect.fnUntraced(function*(id: string) {
      yield* SideEffects.enqueue(Mail, { id })
      return 1
    }, SqlSideEffects.transaction())
    expect(place).type.toBe<
      (id: string) => Effect.Effect<
        number,
        SqlError,
        SideEffects.SideEffects<"orders:mail:send"> | SideEffects.SideEffects<never> | SqlClient
      >
    >()
  })

  test("the options see the types of the effect", () => {
    SqlSideEffects.transaction(Effect.succeed(1), {
      releaseWhen: (exit) => {
        expect(exit._tag === "Success" && exit.value).type.toBe<number | false>()
        return true
      },
      onClose: (report) => {
        expect(report).type.toBe<Boundary.Report>()
        return Effect.void
      }
    })
  })

  test("afterCommit performs where its dispatcher does, and needs a client besides", () => {
    expect(SqlSideEffects.afterCommit(Dispatcher.inline())).type.toBe<Dispatcher.Dispatcher<true, never, SqlClient>>()
    expect(SqlSideEffects.afterCommit(Outbox.dispatcher())).type.toBe<
      Dispatcher.Dispatcher<false, never, OutboxStore.OutboxStore | SqlClient>
    >()
  })

  test("withSimulatedCommit needs a client", () => {
    expect(SqlSideEffects.withSimulatedCommit(Effect.fail("no"))).type.toBe<
      Effect.Effect<never, string | SqlError, SqlClient>
    >()
  })
})
