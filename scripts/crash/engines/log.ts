import type { LineOf, WriteOf } from "../lib/log.ts"
import type { Step } from "./task.ts"

/** What a unit of work wishes for. */
export interface Wish {
  readonly id: string
  readonly key: string | undefined
  /** In milliseconds, by the real clock. */
  readonly notBefore: number
  /** In a part of the unit that fails. */
  readonly inVain: boolean
}

/** What a process did, in the order in which it did it. */
export type Entry =
  | { readonly is: "tries"; readonly unit: string }
  | ({ readonly is: "wishes"; readonly unit: string } & Wish)
  | { readonly is: "succeeded" | "failed"; readonly unit: string }
  | { readonly is: "unsure"; readonly unit: string; readonly why: string }
  | { readonly is: "handed"; readonly ids: ReadonlyArray<string> }
  | {
    readonly is: "begun"
    readonly delivery: string
    readonly id: string
    readonly wish: string
    readonly attempt: number
    readonly key: string
  }
  | { readonly is: "ended" | "not-yet" | "interrupted"; readonly delivery: string }
  /** Why an engine may believe that this process is lost. */
  | { readonly is: "stood still"; readonly took: number }
  | { readonly is: "dies"; readonly step: Step }

export type Line = LineOf<Entry>

export type Write = WriteOf<Entry>
