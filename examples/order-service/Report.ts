/** What the demo prints: a table for each run, a progress bar, colours. Everything fits 80 columns. */
import { Cause, Clock, Console, Effect, Terminal } from "effect"
import type { Decision, Intent } from "effect-side-effects"
import { TerminalCapabilities } from "effect/cli"
import { Orders } from "./Effects.ts"
import type { Call, Mail } from "./Fixtures/World.ts"
import type { Outcome } from "./Process.ts"

const columns = 80

/** What is known of one run when the orders are processed. */
export interface Written {
  readonly title: string
  readonly explanation: string
  /** What it means here that an intent was let through. */
  readonly released: string
  readonly outcomes: ReadonlyArray<Outcome>
  readonly decisions: ReadonlyArray<Decision.Decision>
}

/** Everything that is known of one run when it is over. */
export interface Run extends Written {
  readonly mails: ReadonlyArray<Mail>
  readonly calls: ReadonlyArray<Call>
  /** Filled by a layer that records. */
  readonly recorded: ReadonlyArray<Intent.Any>
  readonly checks: ReadonlyArray<string>
  readonly log: ReadonlyArray<{ readonly level: string; readonly message: string }>
}

const paint = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const plain = (text: string) => text

const Style = Effect.map(TerminalCapabilities.TerminalCapabilities, ({ canAnimate, canColor }) => {
  // A pipe gets no colours, not even when FORCE_COLOR asks for them.
  const color = canColor && canAnimate
  return {
    title: color ? paint(1) : plain,
    dim: color ? paint(2) : plain,
    good: color ? paint(32) : plain,
    bad: color ? paint(31) : plain
  }
})

type Style = Effect.Success<typeof Style>

const noStyle: Style = { title: plain, dim: plain, good: plain, bad: plain }

/** How often each key occurs, most often first. */
const countBy = <A>(items: ReadonlyArray<A>, key: (item: A) => string): ReadonlyArray<readonly [string, Array<A>]> =>
  [...Map.groupBy(items, key)].sort(([, a], [, b]) => b.length - a.length)

/** The items, comma by comma, as many as fit behind `used` characters. */
const fit = (items: ReadonlyArray<string>, used: number): string => {
  const rest = (shown: number) => shown === items.length ? "" : `, and ${items.length - shown} more`
  let shown = items.length
  while (shown > 1 && items.slice(0, shown).join(", ").length + rest(shown).length > columns - used) shown--
  return items.slice(0, shown).join(", ") + rest(shown)
}

/** Breaks a text into lines that begin with an indentation. */
const wrap = (text: string, indent: number): string =>
  text.replaceAll(new RegExp(`(.{1,${columns - indent}})( |$)`, "g"), `${" ".repeat(indent)}$1\n`).trimEnd()

const rowOf =
  (indent: number) =>
  (count: number, name: string, examples: ReadonlyArray<string> = [], { dim }: Style = noStyle): string => {
    const text = `${" ".repeat(indent)}${String(count).padStart(5)}  ${name}`
    return examples.length === 0 ? text : `${text}${dim(`: ${fit(examples, text.length + 2)}`)}`
  }

/** A count, what it counts, and examples as far as they fit. */
const row = rowOf(2)

/** A part of the row above. */
const part = rowOf(7)

const heading = (text: string, { title }: Style) => `\n${title(text)}`

const orderRows = (outcomes: ReadonlyArray<Outcome>, style: Style): ReadonlyArray<string> => {
  const by = <T extends Outcome["_tag"]>(tag: T) =>
    outcomes.filter((outcome): outcome is Extract<Outcome, { _tag: T }> => outcome._tag === tag)
  const invalid = by("Invalid")
  const failed = by("Failed")
  return [
    heading("orders", style),
    row(outcomes.length, "read"),
    style.good(row(by("Processed").length, "processed")),
    row(failed.length, "failed"),
    ...countBy(failed, ({ reason }) => reason).map(([reason, of]) =>
      part(of.length, reason, of.map(({ order }) => order), style)
    ),
    row(invalid.length, "invalid"),
    ...countBy(invalid, ({ reason }) => reason).map(([reason, of]) =>
      part(of.length, reason, of.map(({ line }, i) => i === 0 ? `lines ${line}` : `${line}`), style)
    )
  ]
}

const tags = ["Dispatched", "Failed", "Dropped", "Deduplicated", "Discarded"] as const

const effectRows = ({ decisions, released }: Written, style: Style): ReadonlyArray<string> => {
  const names = ["enqueued", released, "failed", "dropped", "duplicate", "discarded"]
  const cells = (of: ReadonlyArray<Decision.Decision>) => [
    of.length,
    ...tags.map((tag) => of.filter(({ _tag }) => _tag === tag).length)
  ]
  const line = (name: string, values: ReadonlyArray<number | string>) =>
    `  ${name.padEnd(24)}${values.map((value, i) => String(value).padStart([8, 11, 7, 8, 10, 10][i]!)).join("")}`
  return [
    heading("side effects", style),
    style.dim(line("", names)),
    ...[...Orders.sideEffects.keys()].map((name) =>
      line(name, cells(decisions.filter(({ intent }) => intent.name === name)))
    ),
    line("all", cells(decisions))
  ]
}

/** What became of an intent and why, without what is different for each order. */
const why = (decision: Decision.Decision): string => {
  switch (decision._tag) {
    case "Dispatched":
      return `dispatched at attempt ${decision.attempts}, after failures`
    case "Failed":
      return `failed after ${decision.attempts} attempts, ${(Cause.squash(decision.cause) as Error).message}`
    case "Dropped":
      return `dropped by ${decision.by}: ${decision.reason}`
    case "Deduplicated":
      return `deduplicated by ${decision.by}`
    case "Discarded":
      return decision.cause === undefined
        ? `discarded: ${decision.reason}`
        : `discarded: the order failed with ${(Cause.squash(decision.cause) as { _tag: string })._tag}`
  }
}

const whyRows = ({ decisions }: Written, style: Style): ReadonlyArray<string> => {
  const others = decisions.filter((decision) => decision._tag !== "Dispatched" || decision.attempts > 1)
  return others.length === 0 ? [] : [
    heading("why", style),
    ...countBy(others, why).map(([reason, of]) => {
      if (of[0]!._tag !== "Failed") return row(of.length, reason)
      const orders = [...new Set(of.map(({ intent }) => intent.payload.order as string))]
      return style.bad(row(of.length, reason, orders))
    })
  ]
}

const outsideRows = ({ calls, mails }: Run, style: Style): ReadonlyArray<string> => {
  const refused = calls.filter(({ status }) => status >= 500).length
  return [
    heading("outside", style),
    row(
      mails.length,
      "mails received by the mail server",
      mails.slice(0, 1).map(({ subject }) => `"${subject}", ...`),
      style
    ),
    row(
      calls.length,
      "calls received by the warehouse",
      refused === 0 ? [] : [`${refused} were answered with 500`],
      style
    )
  ]
}

/** The receiver: a site of the warehouse, or a mail domain. */
const kindOf = ({ payload }: Intent.Any): string => payload.site ?? `@${payload.to.split("@")[1]}`

const recordedRows = ({ recorded }: Run, style: Style): ReadonlyArray<string> =>
  recorded.length === 0 ? [] : [
    heading("what would have left", style),
    ...countBy(recorded, ({ name }) => name).flatMap(([name, of]) => [
      row(of.length, name),
      ...countBy(of, kindOf).map(([kind, { length }]) => style.dim(part(length, kind)))
    ])
  ]

const logRows = ({ log }: Run, style: Style): ReadonlyArray<string> => {
  const errors = log.filter(({ level }) => level === "Error").length
  const lines = [
    ...log.filter(({ level }) => level !== "Error").map(({ level, message }) => `${level}: ${message}`),
    ...(errors === 0 ? [] : [`Error: ${errors} lines, one for each side effect that failed`])
  ]
  return lines.length === 0 ? [] : [heading("log", style), ...lines.map((line) => style.dim(wrap(line, 2)))]
}

const writtenRows = (run: Written, style: Style): ReadonlyArray<string> => [
  style.title(`=== ${run.title} `.padEnd(columns, "=")),
  run.explanation,
  ...orderRows(run.outcomes, style),
  ...effectRows(run, style),
  ...whyRows(run, style)
]

const printRows = (rows: ReadonlyArray<string>) => Console.log(rows.map((line) => line.trimEnd()).join("\n"))

export const print = Effect.fnUntraced(function*(run: Run) {
  const style = yield* Style
  yield* printRows(
    [
      ...writtenRows(run, style),
      ...outsideRows(run, style),
      ...recordedRows(run, style),
      ...(run.checks.length === 0 ? [] : [heading("checked", style), ...run.checks.map((check) => `  ok  ${check}`)]),
      ...logRows(run, style),
      ""
    ]
  )
})

/** One line for each run, to compare them. */
export const compare = Effect.fnUntraced(function*(runs: ReadonlyArray<Run>) {
  const style = yield* Style
  const cell = (value: number | string) => String(value).padStart(16)
  const line = (name: string, values: ReadonlyArray<number | string>) =>
    `  ${name.padEnd(14)}${values.map(cell).join("")}`
  yield* Console.log([
    style.title("=== the same program, three layers ".padEnd(columns, "=")),
    style.dim(line("", ["processed", "enqueued", "mails received", "calls received"])),
    ...runs.map(({ calls, decisions, mails, outcomes, title }) =>
      line(title, [
        outcomes.filter(({ _tag }) => _tag === "Processed").length,
        decisions.length,
        mails.length,
        calls.length
      ])
    ),
    "",
    style.dim("See also: npm run demo -- --policy durable, which kills a worker half-way.")
  ].join("\n"))
})

/** Shows how far a run is, on terminals; nothing elsewhere. */
export const progress = (title: string, total: number) =>
  Effect.map(
    Effect.all([TerminalCapabilities.TerminalCapabilities, Terminal.Terminal]),
    ([{ canAnimate }, terminal]) => {
      let shown = -1
      const width = 40
      return (done: number): Effect.Effect<void> => {
        const percent = Math.floor(100 * done / total)
        if (!canAnimate || percent === shown) return Effect.void
        shown = percent
        const bar = "#".repeat(Math.round(width * done / total)).padEnd(width, ".")
        // The last one wipes the line: the table follows.
        const text = done === total ? "\r\u001b[K" : `\r${title.padEnd(12)} ${bar} ${String(percent).padStart(3)} %`
        return Effect.ignore(terminal.display(text))
      }
    }
  )

// ---------------------------------------------------------------------------------------------------------------------
// The run with the outbox
// ---------------------------------------------------------------------------------------------------------------------

export const printWritten = Effect.fnUntraced(function*(run: Written) {
  yield* printRows(writtenRows(run, yield* Style))
})

/** Says what happens, and when. */
export const timeline = Effect.gen(function*() {
  const start = yield* Clock.currentTimeMillis
  yield* printRows([heading("what happens", yield* Style)])
  return (text: string, ...more: ReadonlyArray<string>) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      printRows([
        `  ${((now - start) / 1000).toFixed(1).padStart(5)} s  ${text}`,
        ...more.map((line) => `${" ".repeat(11)}${line}`)
      ]))
})

/** What was owed, beside what came of it. */
export interface Account {
  readonly what: string
  /** Once for each, by what identifies it. */
  readonly owed: ReadonlyArray<string>
  readonly arrived: ReadonlyArray<string>
  /** How the receiver tells that something has come before. */
  readonly mark: string
  readonly dead: ReadonlyArray<string>
  /** How many were wished for by orders that were rolled back. */
  readonly undone: number
}

/** Prints the accounts, and answers whether they agree. */
export const printAccounts = Effect.fnUntraced(function*(accounts: ReadonlyArray<Account>) {
  const style = yield* Style
  let ok = true
  const check = (holds: boolean, text: string) => {
    ok &&= holds
    return holds ? style.good(`  ok  ${text}`) : style.bad(`  NOT OK  ${text}`)
  }
  const checks: Array<string> = []
  for (const { arrived, dead, mark, owed, undone, what } of accounts) {
    const times = Map.groupBy(arrived, (id) => id)
    const again = [...times].filter(([, { length }]) => length > 1).map(([id]) => id)
    const lost = owed.filter((id) => !times.has(id) && !dead.includes(id))
    const strays = [...times.keys()].filter((id) => !owed.includes(id))
    yield* printRows([
      heading(what, style),
      row(owed.length, "are owed to the orders that are in the database"),
      row(times.size - strays.length, "of them arrived"),
      row(again.length, `of those came again, with the same ${mark}`, again, style),
      ...(dead.length === 0
        ? []
        : [row(dead.length, "are dead letters, kept with the reason", dead, style)]),
      row(lost.length, "lost", lost, style),
      row(strays.length, `arrived of the ${undone} that rolled-back orders had wished for`, strays, style)
    ])
    checks.push(
      check(lost.length === 0, `no ${what.slice(0, -1)} of a committed order was lost`),
      check(strays.length === 0, `no ${what.slice(0, -1)} of a rolled-back order arrived`)
    )
  }
  yield* printRows([heading("checked", style), ...checks])
  return ok
})
