/**
 * Isolation: finds what leaves a program while an SQL transaction is open, for tests.
 *
 * A transaction that has sent a mail can still be rolled back, and one that waits for another system holds its locks and
 * its connection for as long. Wrap a test in `check`, and it fails where a handler is performed or an HTTP request is
 * made inside a transaction, and says where.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as References from "effect/References"
import * as Instruments from "../Instruments.ts"
import type * as Intent from "../Intent.ts"
import { plural } from "../internal/describe.ts"
import { here, locate } from "../internal/site.ts"
import * as transaction from "../internal/transaction.ts"
import { SideEffects } from "../Place.ts"

/**
 * Something that left while a transaction was open.
 *
 * **Details**
 *
 * - `kind`: a `"handler"` that was performed, a request of an `HttpClient`, or a direct call of `fetch`.
 * - `what`: the name of the side effect, or method and URL without the query.
 * - `intent`: of a handler, the one that was performed.
 * - `stack`: the functions made by `Effect.fn`, the spans and, of a `fetch`, the calls that led there, innermost first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly kind: "handler" | "HttpClient" | "fetch"
  readonly what: string
  readonly intent: Intent.Any | undefined
  readonly stack: ReadonlyArray<string>
}

/**
 * What `check` and `observe` are told.
 *
 * **Details**
 *
 * `allow` is asked about each report: what it returns `true` for may happen inside a transaction, such as a handler that
 * only writes to the same database, or a request to a server of the test itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly allow?: ((report: Report) => boolean) | undefined
}

/**
 * Something left while a transaction was open. Its message says what, where, and what to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotIsolated
  extends /*#__PURE__*/ Data.TaggedError("NotIsolated")<{ readonly reports: ReadonlyArray<Report> }>
{
  override get message(): string {
    const { reports } = this
    const entries = reports.map((report, i) =>
      [`${i + 1}. ${titleOf(report)}`, ...report.stack, `   ${remedies[report.kind]}`].join("\n")
    )
    return `${
      plural(reports.length, "call")
    } left the program while an SQL transaction was open. It may still be rolled ` +
      `back, and until the answer is there it holds its locks and its connection.\n${entries.join("\n")}`
  }
}

const titleOf = ({ intent, kind, what }: Report): string => {
  if (intent === undefined) return `${kind} ${what}`
  const site = locate(intent.sideEffect as object as any)
  const where = site === undefined ? "" : `, defined at ${site.file}:${site.line}:${site.column}`
  return `the handler of side effect "${what}"${where}`
}

const request = "Make it a side effect and enqueue it, or move it out of the transaction."

const remedies: Readonly<Record<Report["kind"], string>> = {
  handler: "Put the boundary around the transaction, or use SqlSideEffects.transaction with Outbox.dispatcher() or " +
    "SqlSideEffects.afterCommit(dispatcher).",
  HttpClient: request,
  fetch: request
}

/** Who listens in a fiber. */
interface Listener {
  readonly base: Context.Context<never>
  readonly reports: Array<Report>
  readonly allow: (report: Report) => boolean
  /** What came of asking it. */
  broken: Error | undefined
  /** Whom it is inside: that has its own transactions to look for. */
  readonly around: Listener | undefined
}

const Listening = /*#__PURE__*/ Context.Reference<Listener | undefined>("effect-side-effects/testing/Isolation", {
  defaultValue: () => undefined
})

/** Whether a transaction is open here that was not when the listener began, as one that only cleans up after a test. */
const isOpen = (context: Context.Context<never>, { base }: Listener): boolean => {
  for (const [key, level] of context.mapUnsafe) {
    if (transaction.isKey(key) && base.mapUnsafe.get(key) !== level) return true
  }
  return false
}

const isAllowed = (listener: Listener, report: Report): boolean => {
  try {
    return listener.allow(report)
  } catch (cause) {
    listener.broken ??= new Error(`allow of Isolation died when it was asked about ${titleOf(report)}`, { cause })
    return false
  }
}

const tell = (
  fiber: Fiber.Fiber<any, any>,
  make: () => Omit<Report, "stack">,
  stack: () => ReadonlyArray<string> = () => []
): void => {
  let report: Report | undefined
  for (let at = fiber.getRef(Listening); at !== undefined; at = at.around) {
    if (!isOpen(fiber.context, at)) continue
    report ??= { ...make(), stack: [...stack(), ...framesOf(fiber)] }
    if (!isAllowed(at, report)) at.reports.push(report)
  }
}

/** What Effect knows of the way here: functions made by `Effect.fn`, and spans. */
const framesOf = (fiber: Fiber.Fiber<any, any>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (let frame = fiber.getRef(References.CurrentStackFrame); frame !== undefined; frame = frame.parent) {
    const at = frame.stack()?.split("\n").map((line) => line.trim().replace(/^at /, "")).find((line) => line !== "")
    lines.push(`     at ${frame.name}${at === undefined ? "" : ` (${at.replace(/^.*\((.*)\)$/, "$1")})`}`)
  }
  return lines
}

/** The calls that led to a function, without those of libraries. */
const callsOf = (stack: string | undefined): ReadonlyArray<string> =>
  (stack ?? "").split("\n").slice(1)
    .filter((line) => line.trimStart().startsWith("at ") && !/node_modules|node:internal/.test(line))
    .map((line) => `     ${line.trim()}`)

const shortUrl = (url: string): string => url.replace(/[?#].*$/s, "")

// ---------------------------------------------------------------------------------------------------------------------
// What it hears
// ---------------------------------------------------------------------------------------------------------------------

const tellHandler = (fiber: Fiber.Fiber<any, any>, intent: Intent.Any): void =>
  tell(fiber, () => ({ kind: "handler", what: intent.name, intent }))

/** One for all: who listens is found in the fiber. */
const ears: Instruments.Instruments = {
  ...Instruments.silent,
  dispatch: (self, dispatcher, intents) =>
    dispatcher === "background"
      // It performs them outside of the transaction that it does not wait for.
      ? Effect.withFiber((fiber) => {
        for (const intent of intents) tellHandler(fiber, intent)
        return self
      })
      : self,
  deliver: (self, { intent }) =>
    Effect.withFiber((fiber) => {
      tellHandler(fiber, intent)
      return self
    })
}

const withEars = new WeakSet<Instruments.Instruments>([ears])

const hearing = (instruments: Instruments.Instruments | undefined): Instruments.Instruments => {
  if (instruments === undefined) return ears
  if (withEars.has(instruments)) return instruments
  const all = Instruments.both(instruments, ears)
  withEars.add(all)
  return all
}

/** Every client asks it before each request, whoever has made the client. */
const asking =
  (before: typeof HttpClient.TracerDisabledWhen.Service): typeof HttpClient.TracerDisabledWhen.Service => (request) => {
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined) {
      tell(fiber, () => ({
        kind: "HttpClient",
        what: `${request.method} ${shortUrl(request.url)}`,
        intent: undefined
      }))
    }
    return before(request)
  }

type Fetch = typeof globalThis.fetch

/** How many listen, and what was there before the first of them. */
const fetching: { listeners: number; before: Fetch | undefined; heard: Fetch | undefined } = {
  listeners: 0,
  before: undefined,
  heard: undefined
}

/** A client of Effect that uses `fetch` has been reported as what it is. */
const isOfClient = (stack: string | undefined): boolean => /FetchHttpClient/.test(stack ?? "")

const listenToFetch = /*#__PURE__*/ Effect.acquireRelease(
  Effect.sync(() => {
    if (fetching.listeners++ > 0) return
    const before = globalThis.fetch
    fetching.before = before
    const heard: Fetch = (input, init) => {
      const fiber = Fiber.getCurrent()
      if (fiber !== undefined && fiber.getRef(Listening) !== undefined) {
        const { stack } = here(heard)
        if (!isOfClient(stack)) tell(fiber, () => fetched(input, init), () => callsOf(stack))
      }
      return before(input, init)
    }
    globalThis.fetch = fetching.heard = heard
  }),
  () =>
    Effect.sync(() => {
      // Somebody else may have replaced it meanwhile.
      if (--fetching.listeners === 0 && globalThis.fetch === fetching.heard) globalThis.fetch = fetching.before!
    })
)

const fetched = (input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): Omit<Report, "stack"> => {
  const isRequest = typeof input === "object" && "url" in input
  const method = init?.method ?? (isRequest ? input.method : "GET")
  return { kind: "fetch", what: `${method} ${shortUrl(isRequest ? input.url : String(input))}`, intent: undefined }
}

// ---------------------------------------------------------------------------------------------------------------------
// What tests call
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Runs an effect and returns how it ended, and what left it while a transaction was open.
 *
 * @category inspection
 * @since 0.1.0
 */
export const observe = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  options?: Options
): Effect.Effect<{ readonly exit: Exit.Exit<A, E>; readonly reports: ReadonlyArray<Report> }, never, R> =>
  Effect.scoped(Effect.withFiber((fiber) => {
    const { context } = fiber
    const reports: Array<Report> = []
    const listener: Listener = {
      base: context,
      reports,
      allow: options?.allow ?? (() => false),
      broken: undefined,
      around: fiber.getRef(Listening)
    }
    // The layer may have been built before: what it has been built with is heard, too.
    const root = Context.getOrUndefined(context, SideEffects)?.root
    if (root !== undefined) (root as { instruments: typeof root.instruments }).instruments = hearing(root.instruments)
    return listenToFetch.pipe(
      Effect.andThen(Effect.exit(self)),
      Effect.flatMap((exit) =>
        listener.broken === undefined ? Effect.succeed({ exit, reports }) : Effect.die(listener.broken)
      ),
      Effect.provideService(Listening, listener),
      Effect.provideService(Instruments.Current, hearing(fiber.getRef(Instruments.Current))),
      Effect.provideService(HttpClient.TracerDisabledWhen, asking(fiber.getRef(HttpClient.TracerDisabledWhen)))
    )
  })) as any

/**
 * Fails a test in which something leaves while an SQL transaction is open.
 *
 * **When to use**
 *
 * Around the body of tests that run domain code on a real database.
 *
 * **Details**
 *
 * Found are, with a transaction of any `SqlClient` of Effect open in the fiber:
 *
 * - the handlers of a live layer that the effect has in its context or builds itself,
 * - requests of every `HttpClient` of Effect, unless the code provides `HttpClient.TracerDisabledWhen` itself,
 * - direct calls of `globalThis.fetch`, up to the first `await` of the promise code that calls it.
 *
 * A transaction that is already open where `check` begins does not count: a test that is rolled back as a whole puts
 * `check` inside it, and so does one that uses `SqlSideEffects.withSimulatedCommit`. Neither does what runs after the
 * commit, or in a worker of the outbox.
 *
 * When the effect fails as well, both are in the cause.
 *
 * **Example** (A mail inside a transaction)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SqliteClient } from "effect-side-effects/sqlite"
 * import { Isolation } from "effect-side-effects/testing"
 * import { Effect, Layer } from "effect"
 * import { SqlClient } from "effect/sql"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", { description: "Email a receipt." }) {}
 *
 * const pay = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   // The wrong way round: the boundary ends, and the mail leaves, before the commit.
 *   yield* sql.withTransaction(SideEffects.boundary(SideEffects.enqueue(SendReceipt)))
 * })
 *
 * const Live = SideEffects.LiveLayer(SideEffectGroup.make("billing").add(SendReceipt)).pipe(
 *   Layer.provide(SendReceipt.toLayer(() => Effect.void))
 * )
 *
 * const error = await Effect.runPromise(
 *   Isolation.check(pay).pipe(Effect.flip, Effect.provide([Live, SqliteClient.layer({ filename: ":memory:" })]))
 * )
 * if (!error.message.includes("billing:mail:send-receipt")) throw error
 * ```
 *
 * @category expectations
 * @since 0.1.0
 */
export const check = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  options?: Options
): Effect.Effect<A, E | NotIsolated, R> =>
  Effect.flatMap(observe(self, options), ({ exit, reports }): Exit.Exit<A, E | NotIsolated> => {
    if (reports.length === 0) return exit
    const found = Cause.fail(new NotIsolated({ reports }))
    return Exit.failCause(Exit.isFailure(exit) ? Cause.combine(exit.cause, found) : found)
  })
