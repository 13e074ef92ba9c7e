/** How wide text is where nobody says otherwise. */
export const columns = 80

/** How text is set off, where a terminal shows it. */
export interface Ink {
  readonly strong: (text: string) => string
  readonly soft: (text: string) => string
}

const same = (text: string): string => text
const escape = String.fromCharCode(27)

export const inkOf = (colors: boolean | undefined): Ink =>
  colors === true
    ? {
      strong: (text) => text === "" ? "" : `${escape}[1m${text}${escape}[0m`,
      // Each word for itself, so that no line ends in the middle.
      soft: (text) => text.replace(/[^ ]+/g, (word) => `${escape}[2m${word}${escape}[0m`)
    }
    : { strong: same, soft: same }

/** In one line, and with nothing that a terminal would obey. */
export const clean = (text: string): string =>
  text.replace(/\s+/g, " ").trim().replace(
    // What joins characters is part of what they show.
    /(?!\u200d)[\p{Cc}\p{Cf}]/gu,
    (char) => `\\x${char.codePointAt(0)!.toString(16).padStart(2, "0")}`
  )

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** How many columns a text takes. */
const widthOf = (text: string): number => {
  let width = 0
  for (const char of text.replace(/\p{Cc}\[\d*m/gu, "")) width += /\p{Mark}/u.test(char) ? 0 : wide.test(char) ? 2 : 1
  return width
}

/**
 * Lines that are broken between words, so that none is wider than `width`; a word that is wider by itself stays whole, as
 * half a name is none. `first` begins the first line, `hang` is how far the others are indented.
 */
export const wrap = (text: string, width: number, first = "", hang: number = first.length): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = first
  let taken = widthOf(first)
  let isEmpty = true
  for (const [, space, word] of text.matchAll(/( *)([^ ]+)/g)) {
    const more = widthOf(word!)
    const gap = isEmpty ? "" : space!
    if (!isEmpty && taken + gap.length + more > width) {
      lines.push(line)
      line = " ".repeat(hang) + word!
      taken = hang + more
    } else {
      line += gap + word!
      taken += gap.length + more
    }
    isEmpty = false
  }
  return [...lines, line.trimEnd()]
}

/** `a`, `a and b`, `a, b and c` */
export const enumerate = (all: ReadonlyArray<string>, conjunction = "and"): string =>
  all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} ${conjunction} ${all.at(-1)}`
