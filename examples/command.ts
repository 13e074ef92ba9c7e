/**
 * Commands: a backfill that marks purchases as invoiced in a database, and mails the invoices when all of that went well.
 *
 * `SideEffectsCommand.provide` gives it the flags `--dry-run` and `--side-effects`, and makes each run one unit of work.
 * A dry run runs inside a transaction that is rolled back, so it can be repeated as often as you like.
 *
 * Without arguments this file gives a tour. With arguments it is the command: try
 * `npm run example examples/command.ts -- --since 2026-02-01 --dry-run`, and `--help`.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Data, Effect, Layer, Redacted, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsCommand } from "effect-side-effects/cli"
import { SqliteClient } from "effect-side-effects/sqlite"
import { Command, Flag } from "effect/cli"
import { SqlClient } from "effect/sql"

class SendInvoice extends SideEffect.make("billing:mail:send-invoice", {
  description: "Email a customer an invoice.",
  payload: { to: Schema.String, cents: Schema.Int, accessKey: Schema.Redacted(Schema.String) }
}) {}

class RefreshReport extends SideEffect.make("billing:report:refresh", {
  description: "Have the report of the month made again."
}) {}

const Billing = SideEffectGroup.make("billing").add(SendInvoice, RefreshReport)

// This is built in the mode live alone: a dry run needs no mail server.
const Live = SideEffects.LiveLayer(Billing).pipe(
  Layer.provide(Billing.toLayer({
    "billing:mail:send-invoice": ({ cents, to }) => Console.log(`  -> ${to} gets an invoice of ${cents} cents`),
    "billing:report:refresh": () => Console.log("  -> the report is made again")
  })),
  Layer.provide(Layer.effectDiscard(Console.log("  (connected to the mail server)")))
)

class NegativeAmount extends Data.TaggedError("NegativeAmount")<{ readonly message: string }> {}

interface Purchase {
  readonly id: number
  readonly email: string
  readonly cents: number
}

/** Whatever it does to the database is undone, however it ends. */
const rolledBack = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.exit(self).pipe(
      Effect.flatMap((exit) => Effect.fail({ exit })),
      sql.withTransaction,
      Effect.catchIf((error) => "exit" in error, ({ exit }) => exit)
    ))

export const backfill = Command.make(
  "backfill",
  {
    since: Flag.String("since").pipe(
      Flag.withMetavar("<day>"),
      Flag.withDescription("The first day, as 2026-01-31"),
      Flag.withDefault("2026-01-01")
    )
  },
  Effect.fnUntraced(function*({ since }) {
    const sql = yield* SqlClient.SqlClient
    const due = yield* sql<Purchase>`SELECT * FROM purchases WHERE invoiced = 0 AND day >= ${since} ORDER BY id`
    for (const { cents, email, id } of due) {
      if (cents < 0) return yield* new NegativeAmount({ message: `purchase ${id} has ${cents} cents` })
      yield* sql`UPDATE purchases SET invoiced = 1 WHERE id = ${id}`
      yield* SideEffects.enqueue(SendInvoice, { to: email, cents, accessKey: Redacted.make(`key-${id}`) })
    }
    yield* SideEffects.enqueue(RefreshReport)
    yield* Console.log(`purchases invoiced: ${due.length}`)
  })
).pipe(
  Command.withDescription("Invoices the purchases that nobody has invoiced yet."),
  SideEffectsCommand.provide(Billing, Live, { around: rolledBack })
)

const Database = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE purchases (id INTEGER PRIMARY KEY, email TEXT, cents INTEGER, day TEXT, invoiced INTEGER)`
  yield* sql`INSERT INTO purchases VALUES
    (1, 'ada@example.org', 1250, '2026-01-04', 0),
    (2, 'grace@example.org', 900, '2026-02-11', 0),
    (3, 'alan@example.org', 300, '2025-12-24', 0),
    (4, 'tony@example.org', -5, '2025-12-24', 0)`
})).pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" })))

const runWith = Command.runWith(backfill, { version: "1.0.0" })

const show = (line: string) =>
  Effect.gen(function*() {
    yield* Console.log(`$ backfill ${line}`.trim())
    const exit = yield* Effect.exit(runWith(line.split(" ").filter((word) => word !== "")))
    yield* Console.log(exit._tag === "Success" ? "" : "(it failed)\n")
  })

export const program = Effect.gen(function*() {
  yield* show("--dry-run")
  // Nothing was marked as invoiced, so it finds the same again.
  yield* show("--dry-run --since 2026-02-01")
  // Grace has her invoice on paper: it is marked, and nothing is mailed.
  yield* show("--side-effects drop --since 2026-02-01")
  yield* show("")
  yield* show("--dry-run --since 2025-01-01")
}).pipe(Effect.provide([Database, NodeServices.layer]))

const command = Command.run(backfill, { version: "1.0.0" }).pipe(Effect.provide([Database, NodeServices.layer]))

if (import.meta.main) NodeRuntime.runMain(process.argv.length > 2 ? command : program)
