/** Refuses an option that has to be a whole number, 1 or more. `what` says whose option it is. */
export const checkNumber = (what: string, option: string, n: number | "unbounded" | undefined): void => {
  if (n !== undefined && n !== "unbounded" && (!Number.isInteger(n) || n < 1)) {
    throw new Error(`${what} was given ${option}: ${n}. It takes a whole number, 1 or more.`)
  }
}
