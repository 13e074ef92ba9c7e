import * as Formatter from "effect/Formatter"
import * as TextDiff from "effect/TextDiff"
import * as Decision from "../../Decision.ts"
import type * as Intent from "../../Intent.ts"
import { distance, matches, project } from "./match.ts"

// How a failed expectation explains itself. The words are part of what the test kit promises, and tested.

/** What a recorder has seen. */
export interface Seen {
  /** What would have escaped, in the order of release. */
  readonly escaped: ReadonlyArray<Intent.Any>
  /** Everything that was enqueued. */
  readonly enqueued: ReadonlyArray<Intent.Any>
}

/** What was looked for. */
export interface Wanted {
  readonly name: string
  /** A partial payload, a predicate, or `undefined` for any payload. */
  readonly payload: unknown
}

export const accepts = ({ name, payload }: Wanted) => (intent: Intent.Any): boolean =>
  intent.name === name && (
    payload === undefined
      ? true
      : typeof payload === "function"
      ? payload(intent.payload, intent) === true
      : matches(intent.payload, payload)
  )

const format = (value: unknown): string => Formatter.format(value)

const indent = (text: string): string => text.split("\n").map((line) => `  ${line}`).join("\n")

const times = (n: number): string => n === 1 ? "1 time" : `${n} times`

const title = ({ name, payload }: Wanted, what: string): string =>
  payload === undefined
    ? `Expected side effect "${name}" ${what}`
    : typeof payload === "function"
    ? `Expected side effect "${name}" ${what} with a payload that satisfies the predicate`
    : `Expected side effect "${name}" ${what} with\n${indent(format(payload))}`

const list = (intents: ReadonlyArray<Intent.Any>): string =>
  indent(intents.slice(0, shown).map(({ name, payload }) => `${name} ${format(payload)}`).join("\n")) +
  (intents.length > shown ? `\n  and ${intents.length - shown} more` : "")

const shown = 20

/** Those that were enqueued and did not get out, and why. */
const kept = ({ enqueued }: Seen, which: (intent: Intent.Any) => boolean, what: string): string => {
  const reasons = enqueued.filter(which).flatMap((intent) => {
    const decision = Decision.of(intent)
    if (decision === undefined) return [`${format(intent.payload)}\n  still waits: its boundary has not ended`]
    return decision._tag === "Dispatched" ? [] : [`${format(intent.payload)}\n  ${Decision.format(decision)}`]
  })
  if (reasons.length === 0) return ""
  return `\n${what}:\n${indent(reasons.slice(0, shown).join("\n"))}` +
    (reasons.length > shown ? `\n  and ${reasons.length - shown} more` : "")
}

const marks = { Equal: " ", Delete: "-", Insert: "+" } as const

const diff = (partial: unknown, actual: unknown): string => {
  const text = (value: unknown) => Formatter.format(value, { space: 2 }) + "\n"
  return TextDiff.lines(text(partial), text(project(actual, partial)))
    .flatMap(({ _tag, items }) => items.map((line) => `  ${marks[_tag]} ${line.trimEnd()}`))
    .join("\n")
}

/** Nothing that escaped was right. */
export const missing = (wanted: Wanted, seen: Seen): string => {
  const head = title(wanted, "to be enqueued")
  const why = kept(seen, accepts(wanted), "It was enqueued, but did not escape")
  if (seen.escaped.length === 0) {
    if (why !== "") return `${head}\nbut nothing escaped.${why}`
    if (seen.enqueued.length === 0) return `${head}\nbut nothing was enqueued.`
    return `${head}\nbut nothing escaped.${kept(seen, () => true, "These were enqueued, but did not escape")}`
  }
  const same = seen.escaped.filter(({ name }) => name === wanted.name)
  if (same.length === 0) {
    return `${head}\nbut nothing of that kind escaped. These would have escaped:\n${list(seen.escaped)}${why}`
  }
  if (wanted.payload === undefined || typeof wanted.payload === "function") {
    return `${head}\nbut none of these does:\n${list(same)}${why}`
  }
  const nearest = same.reduce((best, next) =>
    distance(next.payload, wanted.payload) < distance(best.payload, wanted.payload) ? next : best
  )
  const of = same.length === 1 ? "The only one of that kind" : `The nearest of ${same.length} of that kind`
  return `${head}\nbut none that escaped matches. ${of} (- expected, + enqueued):\n` +
    `${diff(wanted.payload, nearest.payload)}${why}`
}

/** Right ones escaped, but not as many as expected. */
export const miscounted = (wanted: Wanted, seen: Seen, expected: number, found: ReadonlyArray<Intent.Any>): string =>
  `${title(wanted, `to be enqueued ${times(expected)}`)}\nbut it would have escaped ${times(found.length)}` +
  (found.length === 0 ? "." : `:\n${list(found)}`) +
  kept(seen, accepts(wanted), "It was also enqueued, but did not escape")

/** Something escaped that should not have. */
export const unexpected = (wanted: Wanted, found: ReadonlyArray<Intent.Any>): string =>
  `${title(wanted, "not to be enqueued")}\nbut it would have escaped ${times(found.length)}:\n${list(found)}`

/** Anything escaped at all. */
export const notNothing = ({ escaped }: Seen): string =>
  `Expected no side effects, but ${escaped.length} would have escaped:\n${list(escaped)}`

/** The order was another one. */
export const misordered = (names: ReadonlyArray<string>, at: number, { escaped }: Seen): string =>
  `Expected side effects to escape in this order:\n${indent(names.join("\n"))}\n` +
  `but there is no "${names[at]}"${at === 0 ? "" : ` after "${names[at - 1]}"`}. ` +
  (escaped.length === 0
    ? "Nothing would have escaped."
    : `They would have escaped in this order:\n${indent(escaped.slice(0, shown).map(({ name }) => name).join("\n"))}`)
