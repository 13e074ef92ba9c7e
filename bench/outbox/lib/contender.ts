/** Jobs are numbered, so that one that is lost or done twice is found. */
export interface Payload {
  readonly index: number
  readonly orderId: string
  readonly to: string
}

export const payloadOf = (index: number): Payload => ({ index, orderId: `order-${index}`, to: "ada@example.com" })

export interface Producer {
  /** Adds the jobs in one transaction of the database, and is done when that has committed. */
  readonly add: (indexes: ReadonlyArray<number>) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export interface Work {
  /** How many handlers may run at once, where the contender lets one say. */
  readonly slots: number
  /** How many milliseconds a handler waits. */
  readonly pause: number
  /** To be called by the handler, after the pause. */
  readonly onJob: (index: number) => void
}

export interface Worker {
  /** Lets what runs end, and settles it. */
  readonly stop: () => Promise<unknown>
}

export interface Contender {
  readonly name: string
  readonly database: "PostgreSQL" | "Redis" | "SQLite"
  /** In short, what is not its default. */
  readonly settings: string
  /** About how many jobs a second one process does, so that all are measured for about the same time. */
  readonly pace: number
  /** Makes its tables, or empties them. */
  readonly reset: () => Promise<unknown>
  readonly producer: () => Promise<Producer>
  readonly work: (work: Work) => Promise<Worker>
  /** How many jobs are still to be done, or not known to be done. */
  readonly unsettled: () => Promise<number>
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)))

export const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, i) => from + i)

/** Milliseconds of the machine's steady clock, the same in all processes. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6
