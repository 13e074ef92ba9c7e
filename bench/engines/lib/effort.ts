export interface Effort {
  readonly quick: boolean
  readonly rounds: number
  /** Of one turn of a side, about. */
  readonly seconds: number
  /** How many handlers may run at once in a process. */
  readonly slots: number
  /** Jobs in a batch. */
  readonly batch: number
  readonly engines: ReadonlyArray<string>
}
