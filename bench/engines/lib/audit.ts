const problems: Array<string> = []

/** Says so when a side has lost a job or done one twice. `added` is how many there were. */
export const audit = (what: string, added: number, handled: ReadonlyArray<ReadonlyArray<number>>): void => {
  const times = new Uint16Array(added)
  for (const indexes of handled) for (const index of indexes) times[index]!++
  const lost = times.filter((n) => n === 0).length
  const twice = times.filter((n) => n > 1).length
  const report = (problem: string): void => {
    problems.push(`${what}: ${problem}`)
    console.log(`!! ${what}: ${problem}`)
  }
  if (twice > 0) report(`${twice} of ${added} jobs were done more than once`)
  if (lost > 0) report(`${lost} of ${added} jobs were lost`)
}

export const auditProblems = (): ReadonlyArray<string> => problems
