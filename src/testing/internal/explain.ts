import * as Formatter from "effect/Formatter"
import * as TextDiff from "effect/TextDiff"
import { distance, matches, project } from "./match.ts"

// How a failed expectation explains itself. The words are part of what the test kit promises, and tested.

/** An intent or an event. */
interface Subject {
  readonly name: string
  readonly payload: unknown
}

/** What a recorder has seen of one kind. */
export interface Seen<S extends Subject = Subject> {
  readonly words: Words
  /** What would have escaped, in the order of release. */
  readonly escaped: ReadonlyArray<S>
  /** Everything that was enqueued or emitted. */
  readonly all: ReadonlyArray<S>
  /** What became of one: `undefined` while that is open, `"escaped"`, or why it did not. */
  readonly fateOf: (subject: S) => string | undefined
  /** What else may be wrong. */
  readonly hint: string
}

interface Words {
  readonly noun: string
  readonly done: string
  readonly out: string
  readonly wouldHave: string
  readonly kept: string
}

/** How one speaks of intents, and of events. */
export const words = {
  intents: {
    noun: "side effect",
    done: "enqueued",
    out: "escaped",
    wouldHave: "would have escaped",
    kept: "did not escape"
  },
  events: { noun: "event", done: "emitted", out: "was released", wouldHave: "were released", kept: "was not released" }
} as const

/** What was looked for. */
export interface Wanted {
  readonly name: string
  /** A partial payload, a predicate, or `undefined` for any payload. */
  readonly payload: unknown
}

export const accepts = ({ name, payload }: Wanted) => (subject: Subject): boolean =>
  subject.name === name && (
    payload === undefined
      ? true
      : typeof payload === "function"
      ? payload(subject.payload, subject) === true
      : matches(subject.payload, payload)
  )

const format = (value: unknown): string => Formatter.format(value)

const indent = (text: string): string => text.split("\n").map((line) => `  ${line}`).join("\n")

const times = (n: number): string => n === 1 ? "1 time" : `${n} times`

const title = ({ name, payload }: Wanted, { words: { noun } }: Seen<any>, what: string): string =>
  payload === undefined
    ? `Expected ${noun} "${name}" ${what}`
    : typeof payload === "function"
    ? `Expected ${noun} "${name}" ${what} with a payload that satisfies the predicate`
    : `Expected ${noun} "${name}" ${what} with\n${indent(format(payload))}`

const list = (subjects: ReadonlyArray<Subject>): string =>
  indent(subjects.slice(0, shown).map(({ name, payload }) => `${name} ${format(payload)}`).join("\n")) +
  (subjects.length > shown ? `\n  and ${subjects.length - shown} more` : "")

const shown = 20

/** Those that did not get out, and why. */
const kept = <S extends Subject>({ all, fateOf }: Seen<S>, which: (subject: S) => boolean, what: string): string => {
  const reasons = all.filter(which).flatMap((subject) => {
    const fate = fateOf(subject) ?? "still waits: its boundary has not ended"
    return fate === "escaped" ? [] : [`${format(subject.payload)}\n  ${fate}`]
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

/**
 * A recorder without a group knows nothing of bindings, so what a test waits for may never come.
 */
export const unbound = (events: ReadonlyArray<Subject>): string => {
  const names = [...new Set(events.map(({ name }) => name))].slice(0, 5).join(", ")
  return `\nEmitted: ${names}. Nothing follows from an event here: a recorder knows what a group binds to it only if it ` +
    "is that of TestLayerFor(group), or of capture with { group }."
}

/** Nothing that escaped was right. */
export const missing = <S extends Subject>(wanted: Wanted, seen: Seen<S>): string => {
  const { done, kept: keptIn, out, wouldHave } = seen.words
  const head = title(wanted, seen, `to be ${done}`)
  const why = kept(seen, accepts(wanted), `It was ${done}, but ${keptIn}`)
  if (seen.escaped.length === 0) {
    if (why !== "") return `${head}\nbut nothing ${out}.${why}`
    if (seen.all.length === 0) return `${head}\nbut nothing was ${done}.`
    return `${head}\nbut nothing ${out}.${kept(seen, () => true, `These were ${done}, but ${keptIn}`)}`
  }
  const same = seen.escaped.filter(({ name }) => name === wanted.name)
  if (same.length === 0) {
    return `${head}\nbut nothing of that kind ${out}. These ${wouldHave}:\n${list(seen.escaped)}${why}`
  }
  if (wanted.payload === undefined || typeof wanted.payload === "function") {
    return `${head}\nbut none of these does:\n${list(same)}${why}`
  }
  const nearest = same.reduce((best, next) =>
    distance(next.payload, wanted.payload) < distance(best.payload, wanted.payload) ? next : best
  )
  const of = same.length === 1 ? "The only one of that kind" : `The nearest of ${same.length} of that kind`
  return `${head}\nbut none that ${out} matches. ${of} (- expected, + ${done}):\n` +
    `${diff(wanted.payload, nearest.payload)}${why}`
}

/** Right ones escaped, but not as many as expected. */
export const miscounted = <S extends Subject>(
  wanted: Wanted,
  seen: Seen<S>,
  expected: number,
  found: ReadonlyArray<S>
): string => {
  const { done, kept: keptIn } = seen.words
  return `${title(wanted, seen, `to be ${done} ${times(expected)}`)}\nbut it ${once(seen)} ${times(found.length)}` +
    (found.length === 0 ? "." : `:\n${list(found)}`) +
    kept(seen, accepts(wanted), `It was also ${done}, but ${keptIn}`)
}

/** Something escaped that should not have. */
export const unexpected = <S extends Subject>(wanted: Wanted, seen: Seen<S>, found: ReadonlyArray<S>): string =>
  `${title(wanted, seen, `not to be ${seen.words.done}`)}\nbut it ${once(seen)} ${times(found.length)}:\n${list(found)}`

const once = ({ words: { wouldHave } }: Seen<any>): string => wouldHave.replace("were", "was")

/** Anything escaped at all. */
export const notNothing = ({ escaped }: Seen<any>): string =>
  `Expected no side effects, but ${escaped.length} would have escaped:\n${list(escaped)}`

/** The order was another one. */
export const misordered = (names: ReadonlyArray<string>, at: number, { escaped }: Seen<any>): string =>
  `Expected side effects to escape in this order:\n${indent(names.join("\n"))}\n` +
  `but there is no "${names[at]}"${at === 0 ? "" : ` after "${names[at - 1]}"`}. ` +
  (escaped.length === 0
    ? "Nothing would have escaped."
    : `They would have escaped in this order:\n${indent(escaped.slice(0, shown).map(({ name }) => name).join("\n"))}`)
