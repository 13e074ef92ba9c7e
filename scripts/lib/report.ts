/** Ends a check: what it found on stderr and exit code 1, or one line of good news. */
export const fail = (message: string): never => {
  console.error(message)
  process.exit(1)
}

export const pass = (message: string): void => console.log(message)
