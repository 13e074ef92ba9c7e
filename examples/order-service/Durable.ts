/**
 * The same program once more, with an outbox: orders and what they wished for are committed together, in a SQLite file,
 * and another process performs it. That process is killed in the middle of a mail, and started again.
 */
import { Effect, FileSystem, Layer, Path, Schema, Stream } from "effect"
import { type Boundary, SideEffects } from "effect-side-effects"
import { Outbox } from "effect-side-effects/outbox"
import { SqlOutboxStore } from "effect-side-effects/sql"
import { SqliteClient } from "effect-side-effects/sqlite"
import { ChildProcess } from "effect/process"
import { SqlClient } from "effect/sql"
import { Orders } from "./Effects.ts"
import { readData } from "./Fixtures/Data.ts"
import { MailServer, WarehouseServer, World } from "./Fixtures/World.ts"
import { processOrders } from "./Process.ts"
import * as Report from "./Report.ts"
import { layer as sqlStore } from "./SqlStore.ts"

/** The mail that the mail server takes and does not answer, as the worker is killed. */
const fatalMail = 40

const unfinished = { states: ["pending", "scheduled", "running"] } as const

const isMail = (name: string) => name.startsWith("orders:mail:")

class WorkerEnded extends Schema.TaggedError<WorkerEnded>()("WorkerEnded", { output: Schema.String }) {
  override get message() {
    return `The worker ended by itself: ${this.output}`
  }
}

class Wrong extends Schema.TaggedError<Wrong>()("Wrong", {}) {
  override get message() {
    return "The accounts do not agree: see what is not ok above."
  }
}

/** They write and look. None of them performs anything, so no handler is here. */
const services = (filename: string, products: Parameters<typeof sqlStore>[0]) =>
  Layer.mergeAll(
    SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() }),
    Outbox.layer(Orders),
    sqlStore(products)
  ).pipe(
    Layer.provide(SqlOutboxStore.layer()),
    Layer.provideMerge(SqliteClient.layer({ filename }))
  )

const startWorker = Effect.fnUntraced(function*(filename: string) {
  const path = yield* Path.Path
  const mail = yield* MailServer
  const warehouse = yield* WarehouseServer
  const worker = yield* ChildProcess.make(process.execPath, [path.join(import.meta.dirname, "worker.ts")], {
    env: {
      DATABASE: filename,
      MAIL_HOST: mail.host,
      MAIL_PORT: String(mail.port),
      WAREHOUSE_URL: warehouse.url
    },
    extendEnv: true,
    forceKillAfter: "2 seconds"
  })
  const ended = Stream.mkString(Stream.decodeText(worker.all)).pipe(
    Effect.flatMap((output) => Effect.fail(new WorkerEnded({ output })))
  )
  return { worker, whileItRuns: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.raceFirst(self, ended) }
})

/** What the tables say is owed, without a look at the outbox. */
const owed = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const orders = yield* sql<{ id: string; invoice_to: string | null }>`SELECT id, invoice_to FROM orders`
  const calls = yield* sql<{ key: string }>`
    SELECT DISTINCT "order" || '@' || site AS key FROM lines JOIN products USING (sku)`
  return {
    mails: orders.flatMap(({ id, invoice_to }) => [
      `confirmation-${id}`,
      ...(invoice_to === null ? [] : [`invoice-${id}`])
    ]),
    calls: calls.map(({ key }) => key)
  }
})

export const durable = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { lines, products } = yield* readData
  const filename = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "order-service-" }), "orders.db")
  const mailServer = yield* MailServer
  const warehouse = yield* WarehouseServer

  yield* Effect.gen(function*() {
    const outbox = yield* Outbox.Outbox

    const reports: Array<Boundary.Report> = []
    const placing = yield* Report.progress("orders", lines.length)
    const outcomes = yield* processOrders(lines, {
      onClose: (report) => Effect.sync(() => reports.push(report)),
      onOutcome: (_, index) => placing(index + 1)
    })
    const decisions = reports.flatMap(({ decisions }) => decisions)
    yield* Report.printWritten({
      title: "durable",
      explanation: "Outbox on SQLite: orders and their side effects are committed together. Another\n" +
        "process, the worker, performs them at least once: what it could not tick off\n" +
        "before it was killed comes again, and its Message-ID or key tells the receiver.",
      released: "written",
      outcomes,
      decisions
    })

    const happened = yield* Report.timeline
    const written = yield* outbox.count(unfinished)
    const first = yield* startWorker(filename)
    yield* happened(`worker ${first.worker.pid} starts: ${written} side effects are in the outbox`)
    yield* first.whileItRuns(mailServer.hangAt(fatalMail))
    yield* first.worker.kill({ killSignal: "SIGKILL" })
    const { length: arrived } = yield* mailServer.mails
    const { length: called } = yield* warehouse.calls
    const held = yield* outbox.count({ states: ["running"] })
    yield* happened(
      `worker ${first.worker.pid} is killed with SIGKILL:`,
      `${arrived} mails and ${called} calls have arrived, the last mail was not answered,`,
      `and ${held} side effects were in its hands`
    )

    const second = yield* startWorker(filename)
    yield* happened(`worker ${second.worker.pid} starts`)
    const performing = yield* Report.progress("performed", written)
    yield* second.whileItRuns(
      outbox.count(unfinished).pipe(
        Effect.tap((left) => performing(written - left)),
        Effect.delay("50 millis"),
        Effect.repeat({ while: (left) => left > 0 })
      )
    )
    yield* happened("the outbox is drained: nothing waits and nothing runs")

    const { calls, mails } = yield* owed
    const dead = yield* outbox.list({ states: ["dead"] }, { limit: 1000 })
    const undone = decisions.flatMap(({ _tag, intent }) => _tag === "Discarded" ? [intent.name] : [])
    const agreed = yield* Report.printAccounts([
      {
        what: "mails",
        mark: "Message-ID",
        owed: mails,
        arrived: (yield* mailServer.mails).map(({ id }) => id.slice(1, id.indexOf("@"))),
        dead: dead.flatMap(({ key, name }) => isMail(name) ? [`${name.split(":")[2]}-${key}`] : []),
        undone: undone.filter(isMail).length
      },
      {
        what: "calls",
        mark: "idempotency-key",
        owed: calls,
        arrived: (yield* warehouse.calls).filter(({ status }) => status < 500).map(({ key }) => key),
        dead: dead.flatMap(({ key, name }) => isMail(name) ? [] : [String(key)]),
        undone: undone.filter((name) => !isMail(name)).length
      }
    ])
    if (!agreed) return yield* new Wrong()
  }).pipe(Effect.timeout("1 minute"), Effect.provide(services(filename, products)))
}).pipe(Effect.scoped, Effect.provide(World))
