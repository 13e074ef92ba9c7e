/**
 * The grammar of names and of the patterns that select them.
 *
 * A name is one or more `:`-separated segments. In a pattern, `*` stands for exactly one segment and `**` for any
 * number of them, none included.
 */

const segment = /^[A-Za-z0-9_.-]+$/

const expected = "Expected segments of letters, digits, \"-\", \"_\" or \".\", separated by \":\", such as " +
  "\"orders:mail:send-confirmation\"."

const show = (value: unknown): string => typeof value === "string" ? JSON.stringify(value) : String(value)

const problem = (segments: ReadonlyArray<string>, isSegment: (part: string) => boolean): string | undefined => {
  if (segments.length === 1 && segments[0] === "") return "is empty"
  const index = segments.findIndex((part) => !isSegment(part))
  if (index === -1) return undefined
  return segments[index] === ""
    ? `has an empty segment at position ${index + 1}`
    : `has an invalid segment ${show(segments[index])}`
}

/** Returns the name, or throws an error that shows the culprit. `what` says what is named, e.g. `Side effect`. */
export const checkName = <Name extends string>(what: string, name: Name): Name => {
  const found = typeof name === "string" ? problem(name.split(":"), (part) => segment.test(part)) : "is not a string"
  if (found !== undefined) throw new Error(`${what} name ${show(name)} ${found}. ${expected}`)
  return name
}

/** Returns the text, or throws when there is nothing in it. */
export const checkText = (what: string, text: string): string => {
  if (typeof text !== "string" || text.trim() === "") throw new Error(`${what} ${show(text)} is empty. Give it a text.`)
  return text
}

/** Returns the description, or throws when there is nothing in it. */
export const checkDescription = (what: string, name: string, description: string): string => {
  if (typeof description !== "string" || description.trim() === "") {
    throw new Error(
      `${what} ${show(name)} has no description. Say in one sentence what ` +
        `${what === "Event" ? "has happened when it is emitted" : "happens outside when it is performed"}; the first ` +
        "line becomes its summary."
    )
  }
  return description
}

const matchSegments = (pattern: ReadonlyArray<string>, p: number, name: ReadonlyArray<string>, n: number): boolean => {
  for (; p < pattern.length; p++, n++) {
    const part = pattern[p]
    if (part === "**") {
      for (let rest = n; rest <= name.length; rest++) {
        if (matchSegments(pattern, p + 1, name, rest)) return true
      }
      return false
    }
    if (n >= name.length || (part !== "*" && part !== name[n])) return false
  }
  return n === name.length
}

/**
 * Compiles a pattern to a test of names that remembers its answers, so that a name is matched once however often it is
 * asked for. Throws when the pattern is malformed.
 */
export const compilePattern = (pattern: string | RegExp): (name: string) => boolean => {
  const answers = new Map<string, boolean>()
  const test = typeof pattern === "string" ? compileString(pattern) : compileRegExp(pattern)
  return (name) => {
    let answer = answers.get(name)
    if (answer === undefined) {
      answer = test(name)
      answers.set(name, answer)
    }
    return answer
  }
}

const compileString = (pattern: string): (name: string) => boolean => {
  const parts = pattern.split(":")
  const found = problem(parts, (part) => part === "*" || part === "**" || segment.test(part))
  if (found !== undefined) {
    throw new Error(
      `Pattern ${show(pattern)} ${found}. ${expected} In a pattern, a whole segment may be "*" (exactly one segment) ` +
        "or \"**\" (any number)."
    )
  }
  return (name) => matchSegments(parts, 0, name.split(":"), 0)
}

// A fresh copy without the flags that make `test` remember where it stopped.
const compileRegExp = (pattern: RegExp): (name: string) => boolean => {
  const stateless = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""))
  return (name) => stateless.test(name)
}
