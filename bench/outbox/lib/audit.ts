import type { Contender } from "./contender.ts"

const problems: Array<string> = []

/** Says so when a contender has lost a job or done one twice. `added` is how many there were. */
export const audit = async (
  what: string,
  contender: Contender,
  added: number,
  handled: ReadonlyArray<ReadonlyArray<number>>
): Promise<void> => {
  const times = new Uint16Array(added)
  for (const indexes of handled) for (const index of indexes) times[index]!++
  let once = 0
  let twice = 0
  for (const n of times) {
    if (n > 0) once++
    if (n > 1) twice++
  }
  const left = await contender.unsettled()
  const report = (problem: string): void => {
    const text = `${what}, ${contender.name}: ${problem}`
    problems.push(text)
    console.log(`!! ${text}`)
  }
  if (twice > 0) report(`${twice} of ${added} jobs were done more than once`)
  if (once + left < added) report(`${added - once - left} of ${added} jobs were lost`)
  if (once + left > added) report(`${once + left - added} jobs were done and are still in the store as not done`)
}

export const auditProblems = (): ReadonlyArray<string> => problems
