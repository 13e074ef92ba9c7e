const width = 80

interface Bar {
  readonly what: string
  readonly value: number
  readonly limit: number
  readonly unit: string
  /** The more the better. */
  readonly least?: boolean
}

const bars: Array<Bar> = []

const met = ({ least, limit, value }: Bar): boolean => least === true ? value >= limit : value <= limit

const sign = ({ least }: Bar): string => least === true ? ">=" : "<="

/** Sets a bar, and returns what a table says about it. */
export const bar = (what: string, value: number, limit: number, unit = "x"): string =>
  setBar({ what, value, limit, unit })

/** One that has to be reached. */
export const atLeast = (what: string, value: number, limit: number, unit = "x"): string =>
  setBar({ what, value, limit, unit, least: true })

const setBar = (set: Bar): string => {
  bars.push(set)
  return `${met(set) ? "pass" : "MISS"} ${sign(set)} ${set.limit}${set.unit}`
}

export const number = (n: number, digits = 0): string =>
  n.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

export const times = (n: number): string => `${n.toFixed(2)}x`

export const spread = ([low, high]: readonly [number, number]): string => `${low.toFixed(2)}-${high.toFixed(2)}`

export const heading = (title: string, note: string): void => {
  console.log(`\n${title}\n${"-".repeat(title.length)}`)
  print(note)
  console.log()
}

/** A paragraph. */
const print = (text: string): void => {
  let line = ""
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      console.log(line)
      line = ""
    }
    line += line === "" ? word : ` ${word}`
  }
  console.log(line)
}

/** The first column is text, the others are figures, and are right-aligned. A column without a heading is text, too. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)))
  for (const row of all) {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? ""
      return column === 0 || head[column] === "" ? cell.padEnd(width) : cell.padStart(width)
    })
    console.log(cells.join("  ").trimEnd())
  }
}

/** All bars of the run once more. Returns how many were missed. */
export const summary = (): number => {
  if (bars.length === 0) return 0
  const missed = bars.filter((bar) => !met(bar))
  heading("Bars", `${bars.length - missed.length} of ${bars.length} are met.`)
  table(
    ["", "measured", "bar", ""],
    bars.map((bar) => [
      bar.what,
      number(bar.value, 2) + bar.unit,
      `${sign(bar)} ${number(bar.limit, 2)}${bar.unit}`,
      met(bar) ? "pass" : "MISS"
    ])
  )
  return missed.length
}
