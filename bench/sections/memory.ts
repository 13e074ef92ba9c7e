import { Effect } from "effect"
import { gc, median } from "../lib/measure.ts"
import { bar, heading, number, table } from "../lib/report.ts"
import { byHand, live, ours, repeat } from "../lib/subjects.ts"

const intents = 100_000

const heap = (): number => {
  gc()
  gc()
  return process.memoryUsage().heapUsed
}

/** Bytes per intent: buffered in an open boundary, and left behind when it has been released. */
const retained = (
  enqueue: (i: number) => Effect.Effect<unknown, never, any>,
  boundary: (self: Effect.Effect<unknown, never, any>) => Effect.Effect<unknown, never, any>
): readonly [buffered: number, left: number] => {
  const before = heap()
  let buffered = 0
  const look = Effect.sync(() => {
    buffered = heap() - before
  })
  Effect.runSyncWith(live)(boundary(Effect.andThen(repeat(intents, enqueue), look)))
  return [buffered / intents, (heap() - before) / intents]
}

export const memory = (runs: number): void => {
  heading(
    "Memory",
    `Bytes per intent on the heap, after garbage collection, with ${
      number(intents)
    } intents in one boundary; payload ` +
      "and UUID included."
  )
  const subjects = { "ours": ours, "by hand": byHand }
  const rows = Object.entries(subjects).map(([name, { boundary, enqueue }]) => {
    // What is compiled and cached in the first run belongs to no intent.
    retained(enqueue, boundary)
    const figures = Array.from({ length: runs }, () => retained(enqueue, boundary))
    const buffered = median(figures.map(([buffered]) => buffered))
    const left = median(figures.map(([, left]) => left))
    const given = name === "ours" ? bar("bytes left behind per released intent", Math.max(0, left), 1, " B") : ""
    return [name, number(buffered), number(left, 2), given]
  })
  table(["", "while buffered", "after release", ""], rows)
}
