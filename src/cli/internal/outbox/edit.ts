import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { clean } from "../../../internal/lines.ts"
import { CommandError } from "../errors.ts"
import { flag } from "../list.ts"
import { why } from "../output.ts"
import { messageOf } from "../source.ts"
import { idArgument, idsOf } from "./filter.ts"
import { type Source, withOutbox } from "./source.ts"
import { printJson } from "./text.ts"

/** What is piped in. Where somebody sits there instead, nothing is waited for. */
const piped = Effect.gen(function*() {
  const stdio = yield* Stdio.Stdio
  if (yield* stdio.stdinIsTerminal) {
    return yield* new CommandError({
      message: "edit takes the payload by --payload '{ ... }', or piped into --payload -."
    })
  }
  return yield* stdio.stdin.pipe(
    Stream.decodeText(),
    Stream.mkString,
    Effect.mapError((error) => new CommandError({ message: `Cannot read the payload from stdin: ${why(error)}.` }))
  )
})

const parse = (text: string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: (error) => new CommandError({ message: `The payload is no JSON: ${clean(messageOf(error))}` })
  })

export const edit = <E, R>(source: Source<E, R>) =>
  Command.make(
    "edit",
    {
      payload: Flag.String("payload").pipe(
        Flag.withMetavar("json"),
        Flag.withDescription("The new payload; - or nothing reads it from stdin"),
        Flag.optional
      ),
      unchecked: flag("unchecked", "Store it as it is, without asking its schema"),
      json: flag("json", "For scripts: { id, edited }"),
      id: idArgument
    },
    Effect.fnUntraced(function*({ id, json, payload, unchecked }) {
      const given = Option.filter(payload, (text) => text !== "-")
      const value = yield* parse(Option.isSome(given) ? given.value : yield* piped)
      const groups = unchecked ? [] : yield* source.groups(true)
      yield* withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          const [whole] = yield* idsOf(outbox, [id])
          yield* outbox.edit(whole!, value, { unchecked })
          if (json) return yield* printJson({ id: whole, edited: true })
          const { state } = yield* outbox.show(whole!)
          yield* Console.log(
            `Changed the payload of ${whole}.${
              state === "dead" ? `\nIt is dead: side-effects outbox retry ${whole}` : ""
            }`
          )
        }),
        groups
      )
    })
  ).pipe(
    Command.withDescription(
      "Gives one another payload, once its schema agrees. \"<redacted>\" keeps the secret there."
    ),
    Command.withExamples([
      { command: "side-effects outbox edit 3f2a81c4 --payload '{\"to\":\"ann@example.com\"}'" },
      { command: "side-effects outbox show 3f2a81c4 --json | jq .payload > p.json" },
      { command: "side-effects outbox edit 3f2a81c4 < p.json" }
    ])
  )
