/** Jobs are numbered, so that one that is lost or done twice is found. */
export interface Payload {
  readonly index: number
  readonly orderId: string
  readonly to: string
}

export const payloadOf = (index: number): Payload => ({ index, orderId: `order-${index}`, to: "ada@example.com" })

export interface Producer {
  /** Hands the jobs over, and is done when the engine has them. */
  readonly add: (indexes: ReadonlyArray<number>) => Promise<unknown>
  readonly close: () => Promise<unknown>
}

export interface Worker {
  /** Lets what runs end, and settles it. */
  readonly stop: () => Promise<unknown>
}

/** An engine used by one process, with us or without. */
export interface Side {
  readonly producer: () => Promise<Producer>
  /** `latency`: what matters is how soon one job is performed, and not how many are. */
  readonly work: (
    slots: number,
    onJob: (index: number) => void,
    what: { readonly latency: boolean }
  ) => Promise<Worker>
}

export type Kind = "bare" | "ours"

export const kinds: ReadonlyArray<Kind> = ["bare", "ours"]

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)))

export const range = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, i) => from + i)

/** Milliseconds of the machine's steady clock, the same in all processes. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6
