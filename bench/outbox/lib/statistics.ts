export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const position = (sorted.length - 1) * q
  const low = sorted[Math.floor(position)]!
  return low + (sorted[Math.ceil(position)]! - low) * (position % 1)
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** In each round each has its turn, in one from the first to the last and in the next one back. */
export const inTurns = async <Id extends string>(
  ids: ReadonlyArray<Id>,
  rounds: number,
  measure: (id: Id, round: number) => Promise<number>
): Promise<Readonly<Record<Id, ReadonlyArray<number>>>> => {
  const series = Object.fromEntries(ids.map((id) => [id, []])) as unknown as Record<Id, Array<number>>
  for (let round = 0; round < rounds; round++) {
    for (const id of round % 2 === 0 ? ids : ids.toReversed()) series[id].push(await measure(id, round))
  }
  return series
}
