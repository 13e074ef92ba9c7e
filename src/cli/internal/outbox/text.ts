import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { clean, inkOf, wrap } from "../../../internal/lines.ts"
import type { Entry } from "../../../outbox/OutboxStore.ts"
import { look } from "../output.ts"

const units: ReadonlyArray<readonly [millis: number, unit: string]> = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1000, "s"]
]

/** `12s`, `5m`, `3h`, `40d` */
export const age = (millis: number): string => {
  const [size, unit] = units.find(([size]) => Math.abs(millis) >= size * 2) ?? [1000, "s"] as const
  return `${Math.max(0, Math.floor(Math.abs(millis) / size))}${unit}`
}

export const iso = (millis: number): string => new Date(millis).toISOString()

const isoOrNull = (millis: number | undefined): string | null => millis === undefined ? null : iso(millis)

/** `2026-11-21 09:46:29Z (5m ago)` */
export const moment = (millis: number, now: number): string =>
  `${iso(millis).replace("T", " ").replace(/\.\d+/, "")} (${
    millis > now ? `in ${age(millis - now)}` : `${age(now - millis)} ago`
  })`

/** How a terminal, a width and a time concern a text. */
export const canvas = Effect.gen(function*() {
  const { colors, width } = yield* look
  return { ink: inkOf(colors), width, now: yield* Clock.currentTimeMillis }
})

/** JSON that a terminal does not obey. */
export const printJson = (value: unknown): Effect.Effect<void> => Console.log(safe(JSON.stringify(value, null, 2)))

/** JSON escapes what lies below the space, and leaves the other control characters. */
const safe = (json: string): string =>
  json.replace(/[\u007f-\u009f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** A text of several lines, indented, each within the width. */
export const block = (text: string, width: number, indent = "  "): ReadonlyArray<string> =>
  text.trimEnd().split("\n").flatMap((line) => {
    const inner = `${indent}${/^ */.exec(line)![0]}`
    return line.trim() === "" ? [""] : wrap(clean(line), width, inner, inner.length)
  })

/** A JSON value in as many lines as it takes. */
export const jsonBlock = (value: unknown, width: number): ReadonlyArray<string> =>
  safe(JSON.stringify(value, null, 2)).split("\n").flatMap((line) => {
    const inner = `  ${/^ */.exec(line)![0]}`
    return wrap(line.trimStart(), width, inner, inner.length + 2)
  })

/** Columns of text, two spaces apart. Those of numbers stand to the right; the last may go on in the next line. */
export const table = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  width: number,
  strong: (text: string) => string,
  right: ReadonlyArray<number> = []
): string => {
  const cleaned = rows.map((row) => row.map(clean))
  const widths = head.map((title, column) => Math.max(title.length, ...cleaned.map((row) => row[column]!.length)))
  const last = head.length - 1
  const before = (row: ReadonlyArray<string>) =>
    row.slice(0, last).map((text, column) =>
      `${right.includes(column) ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)}  `
    ).join("")
  const lines = cleaned.flatMap((row) => {
    const first = before(row)
    const word = Math.max(...row[last]!.split(" ").map(({ length }) => length))
    // What is too long for its column has a line to itself.
    return first.length + word <= width ? wrap(row[last]!, width, first) : [first.trimEnd(), `    ${row[last]!}`]
  })
  return [strong(`${before(head)}${head[last]}`), ...lines].join("\n")
}

const shortest = 8

/** The first characters of ids, as many as tell them apart. */
const shortIds = (ids: ReadonlyArray<string>): (id: string) => string => {
  const sorted = [...new Set(ids)].sort()
  let length = shortest
  for (const [index, id] of sorted.entries()) {
    const next = sorted[index + 1] ?? ""
    while (length < id.length && id.slice(0, length) === next.slice(0, length)) length++
  }
  return (id) => id.slice(0, length)
}

/** `dead/exhausted`, `pending` */
export const stateText = ({ reason, state }: Entry): string => reason === undefined ? state : `${state}/${reason}`

/** A page of entries, as a table. */
export const entriesTable = (
  entries: ReadonlyArray<Entry>,
  { ink, now, width }: Effect.Success<typeof canvas>
): string => {
  const short = shortIds(entries.map(({ id }) => id))
  return table(
    ["ID", "AGE", "STATE", "TRIES", "NAME"],
    entries.map((entry) => [
      short(entry.id),
      age(now - entry.createdAt),
      stateText(entry),
      String(entry.attempts),
      entry.name
    ]),
    width,
    ink.strong,
    [1, 3]
  )
}

/** An entry, as `--json` gives it: times in ISO 8601, payload and metadata as values. */
export const entryJson = (entry: Entry) => ({
  id: entry.id,
  name: entry.name,
  queue: entry.queue,
  priority: entry.priority,
  key: entry.key ?? null,
  state: entry.state,
  reason: entry.reason ?? null,
  payload: JSON.parse(entry.payload) as unknown,
  redacted: entry.redacted ?? [],
  metadata: entry.metadata === undefined ? null : JSON.parse(entry.metadata) as unknown,
  origin: entry.origin ?? null,
  trace: entry.trace ?? null,
  replayOf: entry.replayOf ?? null,
  attempts: entry.attempts,
  failures: entry.failures,
  crashes: entry.crashes,
  createdAt: iso(entry.createdAt),
  visibleAt: isoOrNull(entry.finishedAt === undefined ? entry.visibleAt : undefined),
  startedAt: isoOrNull(entry.startedAt),
  finishedAt: isoOrNull(entry.finishedAt),
  worker: entry.worker ?? null,
  error: entry.error ?? null
})
