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

/** With the moment and the process. */
export type LineOf<E> = E & { readonly at: number; readonly by: string }

export type Line = LineOf<Entry>

export type WriteOf<E> = (entry: E, durable?: boolean) => void

export type Write = WriteOf<Entry>

/** Appends to a file; what is `durable` is on the disk when this returns. */
export const writer = <E extends object = Entry>(directory: string, by: string): WriteOf<E> => {
  const file = openSync(join(directory, `${by}.jsonl`), "a")
  process.on("exit", () => closeSync(file))
  return (entry, durable = false) => {
    writeSync(file, `${JSON.stringify({ ...entry, at: Date.now(), by })}\n`)
    if (durable) fsyncSync(file)
  }
}

/** What all processes wrote, by time. Of a process that was killed the last line may be half-written. */
export const read = <E extends object = Entry>(directory: string): ReadonlyArray<LineOf<E>> =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".jsonl"))
    .flatMap((name) => readFileSync(join(directory, name), "utf8").split("\n").slice(0, -1))
    .map((line): LineOf<E> => JSON.parse(line))
    .sort((left, right) => left.at - right.at)
