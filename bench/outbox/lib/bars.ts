import { heading, number, table } from "../../lib/report.ts"

interface Bar {
  readonly what: string
  readonly value: number
  readonly limit: number
  readonly at: "least" | "most"
  readonly unit: string
}

const bars: Array<Bar> = []

const met = ({ at, limit, value }: Bar): boolean => at === "least" ? value >= limit : value <= limit

const set = (bar: Bar): void => {
  bars.push(bar)
  const said = `${bar.what}: ${number(bar.value, 2)}${bar.unit}, at ${bar.at} ${bar.limit}${bar.unit}`
  console.log(`${met(bar) ? "pass" : "MISS"}  ${said}`)
}

export const atLeast = (what: string, value: number, limit: number, unit = "x"): void =>
  set({ what, value, limit, unit, at: "least" })

export const atMost = (what: string, value: number, limit: number, unit = "x"): void =>
  set({ what, value, limit, unit, at: "most" })

/** All bars of the run once more. Returns how many were missed. */
export const summary = (): number => {
  if (bars.length === 0) return 0
  const missed = bars.filter((bar) => !met(bar)).length
  heading("Bars", `${bars.length - missed} of ${bars.length} are met.`)
  table(
    ["", "measured", "bar", " "],
    bars.map((bar) => [
      bar.what,
      number(bar.value, 2) + bar.unit,
      `${bar.at === "least" ? ">=" : "<="} ${bar.limit}${bar.unit}`,
      met(bar) ? "pass" : "MISS"
    ])
  )
  return missed
}
