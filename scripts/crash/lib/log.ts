import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs"
import { join } from "node:path"

/** What a process did, in the order in which it did it. Deliveries are known by the token of their claim. */
type Entry =
  | { readonly is: "tries" | "committed" | "rolled-back"; readonly order: string }
  | { readonly is: "unsure"; readonly order: string; readonly why: string }
  | { readonly is: "claimed"; readonly id: string; readonly token: number; readonly attempt: number }
  | {
    readonly is: "begun"
    readonly id: string
    readonly token: number
    readonly wish: string
    readonly attempt: number
    readonly key: string
  }
  | { readonly is: "ended" | "failed" | "interrupted"; readonly token: number }
  | { readonly is: "settled"; readonly token: number; readonly as: string; readonly asked: number }
  | { readonly is: "refused" | "lost"; readonly token: number }
  /** Why a lease may be lost: the store refused, or it, or this process, took long. */
  | { readonly is: "trouble"; readonly what: string; readonly took: number }
  | { readonly is: "dies"; readonly step: string }

export type Line = Entry & { readonly at: number; readonly by: string }

export type Write = (entry: Entry, durable?: boolean) => void

/** Appends to a file; what is `durable` is on the disk when this returns. */
export const writer = (directory: string, by: string): Write => {
  const file = openSync(join(directory, `${by}.jsonl`), "a")
  process.on("exit", () => closeSync(file))
  return (entry, durable = false) => {
    writeSync(file, `${JSON.stringify({ ...entry, at: Date.now(), by })}\n`)
    if (durable) fsyncSync(file)
  }
}

/** What all processes wrote, by time. Of a process that was killed the last line may be half-written. */
export const read = (directory: string): ReadonlyArray<Line> =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(directory, name), "utf8").split("\n").slice(0, -1))
    .map((line): Line => JSON.parse(line))
    .sort((left, right) => left.at - right.at)
