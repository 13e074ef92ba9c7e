import * as Formatter from "effect/Formatter"
import * as Decision from "../../../Decision.ts"
import * as Event from "../../../Event.ts"
import type * as Intent from "../../../Intent.ts"
import * as describe from "../../../internal/describe.ts"
import { clean, type Ink, wrap } from "../../../internal/lines.ts"

/** All that a dry run has seen. */
export interface Seen {
  readonly decisions: ReadonlyArray<Decision.Decision>
  readonly emitted: ReadonlyArray<Event.Emitted>
}

interface Canvas {
  readonly ink: Ink
  readonly width: number
  /** How many lines there are at most below one of them. */
  readonly limit: number
  /** The origin that need not be said. */
  readonly origin: string
}

/** In as many columns as there are. */
const cut = (text: string, width: number): string =>
  // Not in the middle of a character.
  text.length <= width ? text : `${text.slice(0, Math.max(width - 3, 1)).replace(/[\ud800-\udbff]$/, "")}...`

const indent = 9

const originOf = (origin: string | Event.Emitted | undefined): string | undefined =>
  Event.isEmitted(origin) ? `event ${origin.name}` : origin

/** What cannot be shown costs nobody the rest of the table. */
const shown = (payload: unknown): string => {
  try {
    return Formatter.formatJson(payload) ?? ""
  } catch {
    return "<it cannot be shown>"
  }
}

/** A payload in one line. What is `Redacted` says so itself. */
const payloadLine = (intent: Intent.Any, { ink, origin, width }: Canvas): string | undefined => {
  const from = originOf(intent.origin)
  const whence = from === undefined || from === origin ? "" : cut(`  from ${clean(from)}`, (width - indent) / 2)
  if (intent.payload === undefined) return whence === "" ? undefined : ink.soft(whence.trimStart())
  const payload = cut(clean(shown(intent.payload)), width - indent - whence.length)
  return `${payload}${ink.soft(whence)}`
}

/** A name, how often, and what there is to say about it. */
interface Row {
  count: number
  readonly name: string
  readonly lines: Array<string>
}

const rows = <A>(
  all: Iterable<A>,
  nameOf: (a: A) => string,
  lineOf: (a: A) => string | undefined,
  limit: number
): ReadonlyArray<Row> => {
  const found = new Map<string, Row>()
  for (const a of all) {
    const name = nameOf(a)
    let row = found.get(name)
    if (row === undefined) found.set(name, row = { count: 0, name, lines: [] })
    row.count++
    // No more than what is shown is made.
    if (row.lines.length < limit) {
      const line = lineOf(a)
      if (line !== undefined) row.lines.push(line)
    }
  }
  return [...found.values()]
}

const section = (title: string, rows: ReadonlyArray<Row>, { ink, limit, width }: Canvas): ReadonlyArray<string> =>
  rows.length === 0 ? [] : [
    "",
    ink.strong(`COUNT  ${title}`),
    ...rows.flatMap(({ count, lines, name }) => [
      ...wrap(name, width, `${String(count).padStart(5)}  `),
      ...lines.map((line) => " ".repeat(indent) + line),
      ...(lines.length === limit && count > limit ? [`${" ".repeat(indent)}... and ${count - limit} more`] : [])
    ])
  ]

/** Why it stays in. Which other one a duplicate is a duplicate of would make each a line of its own. */
const reasonOf = (decision: Decision.Decision): string =>
  decision._tag === "Deduplicated" ? `deduplicated by ${decision.by}` : Decision.format(decision)

const isDispatched = ({ _tag }: Decision.Decision): boolean => _tag === "Dispatched"

/** The same reason is said once, with how often. */
const reasons = (
  kept: ReadonlyArray<{ readonly name: string; readonly reason: string }>,
  { limit, width }: Canvas
): ReadonlyArray<Row> => {
  const byName = new Map<string, Map<string, number>>()
  for (const { name, reason } of kept) {
    let counts = byName.get(name)
    if (counts === undefined) byName.set(name, counts = new Map())
    describe.tally(counts, reason)
  }
  return [...byName].map(([name, counts]) => {
    const shown = [...counts].slice(0, limit)
    const rest = [...counts.values()].slice(limit).reduce((sum, n) => sum + n, 0)
    const all = [...counts.values()].reduce((sum, n) => sum + n, 0)
    return {
      name,
      count: all,
      lines: [
        ...shown.flatMap(([reason, n]) =>
          wrap(`${clean(reason)}${n > 1 && counts.size > 1 ? ` (${n} times)` : ""}`, width - indent, "", 2)
        ),
        ...(rest === 0 ? [] : [`... and ${rest} more`])
      ]
    }
  })
}

/**
 * What a dry run prints: what would have left with its payloads, what would not have and why, and the events. `failure`
 * is why the command failed, where it did.
 */
export const plan = (
  { decisions, emitted }: Seen,
  command: string,
  failure: string | undefined,
  foot: ReadonlyArray<string>,
  canvas: Canvas
): string => {
  const { limit, width } = canvas
  const leaving = decisions.filter(isDispatched).map(({ intent }) => intent)
  const released = emitted.filter((event) => (event as any as Event.EmittedImpl).fate?._tag === "Released")
  const kept = [
    ...decisions.filter((decision) => !isDispatched(decision)).map((decision) => ({
      name: decision.intent.name,
      reason: reasonOf(decision)
    })),
    ...emitted.flatMap((event) => {
      const { fate } = event as any as Event.EmittedImpl
      return fate?._tag === "Discarded"
        ? [{ name: `event ${event.name}`, reason: `discarded: ${fate.by} ${fate.reason}` }]
        : []
    })
  ]
  const head = failure === undefined
    ? `Dry run of ${command}: ${
      leaving.length === 0
        ? "no side effect would have left."
        : `${describe.plural(leaving.length, "side effect")} would have left. None did.`
    }`
    : `Dry run of ${command}: it ${failure}, so ${
      leaving.length === 0
        ? "nothing would have left."
        : `of what it enqueued only ${describe.plural(leaving.length, "side effect")} would have left. None did.`
    }`
  return [
    ...wrap(clean(head), width),
    ...section("SIDE EFFECT", rows(leaving, ({ name }) => name, (a) => payloadLine(a, canvas), limit), canvas),
    ...section("KEPT IN", reasons(kept, canvas), { ...canvas, limit: Infinity }),
    ...section("EVENT", rows(released, ({ name }) => name, () => undefined, 0), canvas),
    ...(foot.length === 0 ? [] : [""]),
    ...foot.flatMap((line) => wrap(line, width))
  ].join("\n")
}
