import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { plural } from "../../../internal/describe.ts"
import { clean, wrap } from "../../../internal/lines.ts"
import type { Attempt, Entry } from "../../../outbox/OutboxStore.ts"
import { flag } from "../list.ts"
import { idArgument, idsOf } from "./filter.ts"
import { type Source, withOutbox } from "./source.ts"
import { block, canvas, entryJson, iso, jsonBlock, moment, printJson, stateText } from "./text.ts"

type Canvas = Effect.Success<typeof canvas>

/** What an error and its causes say, without the stacks, and without the braces around a cause. */
const gist = (error: string): string => {
  const lines = error.split("\n").filter((line) => !/^\s+at /.test(line))
  return lines.some((line) => /^\s*\[cause\]: /.test(line))
    ? lines.filter((line) => line.trim() !== "}").map((line) => line.replace(/ \{$/, "")).join("\n")
    : lines.join("\n")
}

/** What of the payload is where, in one line. */
const fieldsOf = (entry: Entry, now: number): ReadonlyArray<readonly [string, string | undefined]> => {
  const at = (time: number | undefined) => time === undefined ? undefined : moment(time, now)
  const ended = entry.state === "done" || entry.state === "dead"
  return [
    ["id", entry.id],
    ["state", stateText(entry)],
    ["queue", `${entry.queue}, priority ${entry.priority}`],
    ["key", entry.key],
    ["offered", at(entry.createdAt)],
    [entry.state === "running" ? "lease until" : "due", ended ? undefined : at(entry.visibleAt)],
    ["begun", at(entry.startedAt)],
    ["ended", at(entry.finishedAt)],
    ["worker", entry.worker],
    [
      "attempts",
      `${entry.attempts}, with ${plural(entry.failures, "failure")} and ${entry.crashes} ${
        entry.crashes === 1 ? "crash" : "crashes"
      }`
    ],
    ["origin", entry.origin],
    ["trace", entry.trace],
    ["replay of", entry.replayOf]
  ]
}

const historyOf = (history: ReadonlyArray<Attempt>, width: number): ReadonlyArray<string> =>
  history.flatMap(({ attempt, elapsed, error, outcome, startedAt, worker }) => [
    ...wrap(
      `${iso(startedAt).replace("T", " ")} ${outcome}${elapsed === undefined ? "" : ` after ${elapsed} ms`}, by ${
        clean(worker)
      }`,
      width,
      `  ${String(attempt).padStart(2)}  `
    ),
    // The stack of the last one is shown in full; what the others say is enough.
    ...error === undefined ? [] : block(gist(error), width, "      ")
  ])

const render = (entry: Entry, { ink, now, width }: Canvas): string => {
  const part = (title: string, lines: ReadonlyArray<string>) =>
    lines.length === 0 ? [] : ["", ink.strong(title), ...lines]
  return [
    ink.strong(clean(entry.name)),
    ...fieldsOf(entry, now).flatMap(([name, value]) =>
      value === undefined ? [] : wrap(clean(value), width, `  ${name.padEnd(11)}  `)
    ),
    ...part("payload", jsonBlock(JSON.parse(entry.payload), width)),
    ...part("metadata", entry.metadata === undefined ? [] : jsonBlock(JSON.parse(entry.metadata), width)),
    ...part("error", entry.error === undefined ? [] : block(entry.error, width)),
    ...part("history", historyOf(entry.history, width))
  ].join("\n")
}

const historyJson = (attempt: Attempt) => ({
  attempt: attempt.attempt,
  outcome: attempt.outcome,
  startedAt: iso(attempt.startedAt),
  elapsed: attempt.elapsed ?? null,
  worker: attempt.worker,
  error: attempt.error ?? null
})

export const show = <E, R>(source: Source<E, R>) =>
  Command.make(
    "show",
    { json: flag("json", "For scripts: as in list, with the history"), id: idArgument },
    ({ id, json }) =>
      withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          const [whole] = yield* idsOf(outbox, [id])
          const entry = yield* outbox.show(whole!)
          if (json) return yield* printJson({ ...entryJson(entry), history: entry.history.map(historyJson) })
          yield* Console.log(render(entry, yield* canvas))
        })
      )
  ).pipe(
    Command.withDescription("All that is known of one: payload, error, and the history of its deliveries."),
    Command.withExamples([{ command: "side-effects outbox show 3f2a81c4" }])
  )
