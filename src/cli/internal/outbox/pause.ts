import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { compilePattern } from "../../../internal/pattern.ts"
import type { Outbox } from "../../../outbox/Outbox.ts"
import type { Pause } from "../../../outbox/OutboxStore.ts"
import { flag } from "../list.ts"
import { attempt } from "../source.ts"
import { type Source, withOutbox } from "./source.ts"
import { age, canvas, iso, printJson, table } from "./text.ts"

export type What = Pick<Pause, "kind" | "what">

export const whatFlags = {
  name: Flag.String("name").pipe(
    Flag.withMetavar("pattern"),
    Flag.withDescription("A side effect, or a pattern; may come several times"),
    Flag.atLeast(0)
  ),
  queue: Flag.String("queue").pipe(
    Flag.withMetavar("queue"),
    Flag.withDescription("A queue; may come several times"),
    Flag.atLeast(0)
  )
}

/** What the flags name. */
export const whatOf = Effect.fnUntraced(function*({ name, queue }: Command.Command.Config.Infer<typeof whatFlags>) {
  for (const pattern of name) yield* attempt(() => compilePattern(pattern))
  return [
    ...name.map((what): What => ({ kind: "name", what })),
    ...queue.map((what): What => ({ kind: "queue", what }))
  ]
})

export const printPauses = Effect.fnUntraced(function*(outbox: Outbox["Service"], json: boolean) {
  const pauses = yield* outbox.pauses
  if (json) return yield* printJson({ pauses: pauses.map((pause) => ({ ...pause, since: iso(pause.since) })) })
  if (pauses.length === 0) return yield* Console.log("Nothing is paused.")
  const { ink, now, width } = yield* canvas
  const rows = pauses.map(({ kind, since, what }) => [kind, age(now - since), what])
  yield* Console.log(table(["PAUSED", "FOR", "WHAT"], rows, width, ink.strong, [1]))
})

export const pause = <E, R>(source: Source<E, R>) =>
  Command.make(
    "pause",
    { ...whatFlags, json: flag("json", "For scripts: { pauses: [{ kind, what, since }] }, all of them") },
    Effect.fnUntraced(function*({ json, ...flags }) {
      const all = yield* whatOf(flags)
      yield* withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          for (const what of all) yield* outbox.pause(what)
          yield* printPauses(outbox, json)
        })
      )
    })
  ).pipe(
    Command.withDescription(
      "Stops a name, a pattern or a queue from being performed; it is still accepted. Without one, lists what is paused."
    ),
    Command.withExamples([{ command: "side-effects outbox pause --name \"orders:mail:*\"" }])
  )
