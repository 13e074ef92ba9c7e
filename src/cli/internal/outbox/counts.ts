import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { type Count, type State, states } from "../../../outbox/OutboxStore.ts"
import { flag } from "../list.ts"
import { type Source, withOutbox } from "./source.ts"
import { age, canvas, iso, printJson, table } from "./text.ts"

/** A name in a queue, with its entries by state. */
interface Line {
  readonly name: string
  readonly queue: string
  readonly by: Map<State, number>
  oldest: number | undefined
}

const linesOf = (counts: ReadonlyArray<Count>): ReadonlyArray<Line> => {
  const lines = new Map<string, Line>()
  for (const { count, name, oldest, queue, state } of counts) {
    const key = `${name} ${queue}`
    let line = lines.get(key)
    if (line === undefined) lines.set(key, line = { name, queue, by: new Map(), oldest: undefined })
    line.by.set(state, count)
    if (state === "pending") line.oldest = oldest
  }
  return [...lines.values()].sort((a, b) => a.name.localeCompare(b.name) || a.queue.localeCompare(b.queue))
}

const render = (counts: ReadonlyArray<Count>, { ink, now, width }: Effect.Success<typeof canvas>): string => {
  const lines = linesOf(counts)
  const number = (n: number | undefined) => n === undefined || n === 0 ? "-" : String(n)
  const total = (state: State) => counts.reduce((sum, count) => sum + (count.state === state ? count.count : 0), 0)
  const oldest = lines.flatMap(({ oldest }) => oldest ?? [])
  const row = (
    name: string,
    count: (state: State) => number | undefined,
    oldest: number | undefined
  ): ReadonlyArray<string> => [
    ...states.map((state) => number(count(state))),
    oldest === undefined ? "-" : age(now - oldest),
    name
  ]
  const head = ["PENDING", "SCHED", "RUNNING", "DONE", "DEAD", "OLDEST", "NAME (QUEUE)"]
  const rows = lines.map(({ by, name, oldest, queue }) =>
    row(queue === "default" ? name : `${name} (${queue})`, (state) => by.get(state), oldest)
  )
  const sum = lines.length < 2
    ? []
    : [row("total", total, oldest.length === 0 ? undefined : Math.min(...oldest))]
  return table(head, [...rows, ...sum], width, ink.strong, [0, 1, 2, 3, 4, 5])
}

export const counts = <E, R>(source: Source<E, R>) =>
  Command.make(
    "counts",
    { json: flag("json", "For scripts: { counts: [{ name, queue, state, count, oldest }] }") },
    ({ json }) =>
      withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          const counts = yield* outbox.counts
          if (json) {
            return yield* printJson({ counts: counts.map((count) => ({ ...count, oldest: iso(count.oldest) })) })
          }
          yield* Console.log(counts.length === 0 ? "The outbox is empty." : render(counts, yield* canvas))
        })
      )
  ).pipe(Command.withDescription("How many there are, by name and state; OLDEST is of what is due."))
