export interface Effort {
  readonly quick: boolean
  readonly rounds: number
  /** Of one turn of a contender. */
  readonly seconds: number
  /** How many handlers may run at once in a process of `drain`. */
  readonly slots: number
  /** Of `growth`. */
  readonly minutes: number
  /** Whether a contender takes part. */
  readonly only: (id: string) => boolean
}
