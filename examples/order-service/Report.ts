/** What the demo prints: a table for each run, a progress bar, colours. Everything fits 80 columns. */
import { Cause, Console, Effect, Terminal } from "effect"
import type { Decision, Intent } from "effect-side-effects"
import { TerminalCapabilities } from "effect/cli"
import { Orders } from "./Effects.ts"
import type { Call, Mail } from "./Fixtures/World.ts"
import type { Outcome } from "./Process.ts"

const columns = 80

/** Everything that is known of one run when it is over. */
export interface Run {
  readonly title: string
  readonly explanation: string
  /** What it means here that an intent was let through. */
  readonly released: string
  readonly outcomes: ReadonlyArray<Outcome>
  readonly decisions: ReadonlyArray<Decision.Decision>
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

const effectRows = ({ decisions, released }: Run, style: Style): ReadonlyArray<string> => {
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

const whyRows = ({ decisions }: Run, style: Style): ReadonlyArray<string> => {
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

export const print = Effect.fnUntraced(function*(run: Run) {
  const style = yield* Style
  yield* Console.log(
    [
      `${style.title(`=== ${run.title} `.padEnd(columns, "="))}`,
      run.explanation,
      ...orderRows(run.outcomes, style),
      ...effectRows(run, style),
      ...whyRows(run, style),
      ...outsideRows(run, style),
      ...recordedRows(run, style),
      ...(run.checks.length === 0 ? [] : [heading("checked", style), ...run.checks.map((check) => `  ok  ${check}`)]),
      ...logRows(run, style),
      ""
    ].map((line) => line.trimEnd()).join("\n")
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
    )
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
