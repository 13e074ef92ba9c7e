/** How many letters are to be put in, taken out, replaced or swapped with the next one. */
const distance = (a: string, b: string): number => {
  let before: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/** The few names that somebody may have meant: spelt almost like it, or with it as a part. */
export const nearest = (names: ReadonlyArray<string>, wanted: string): ReadonlyArray<string> => {
  const query = wanted.toLowerCase()
  const score = (name: string): number => {
    const lower = name.toLowerCase()
    const end = lower.slice(lower.lastIndexOf(":") + 1)
    const close = Math.min(distance(query, lower), distance(query, end) + 0.5)
    if (close <= Math.max(2, query.length / 4)) return close
    return query.length > 2 && lower.includes(query) ? 100 : Number.POSITIVE_INFINITY
  }
  const scored = names.map((name) => ({ name, score: score(name) })).filter(({ score }) => Number.isFinite(score))
  const best = Math.min(...scored.map(({ score }) => score))
  return scored.filter(({ score }) => score <= best + 1).sort((a, b) => a.score - b.score).slice(0, 3).map(({ name }) =>
    name
  )
}
