import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { plural } from "../../../internal/describe.ts"
import { clean, wrap } from "../../../internal/lines.ts"
import type { Finding } from "../../../outbox/Outbox.ts"
import { DoctorFailed } from "../errors.ts"
import { flag } from "../list.ts"
import { type Source, withOutbox } from "./source.ts"
import { canvas, printJson } from "./text.ts"

const render = (findings: ReadonlyArray<Finding>, errors: number, width: number): string => {
  if (findings.length === 0) return "Nothing is wrong with the outbox."
  return [
    ...findings.flatMap(({ remedy, severity, what }) => [
      ...wrap(clean(what), width, `${severity.padEnd(7)}  `),
      ...wrap(clean(remedy), width, " ".repeat(9)),
      ""
    ]),
    `${plural(errors, "error")}, ${plural(findings.length - errors, "warning")}.`
  ].join("\n")
}

export const doctor = <E, R>(source: Source<E, R>) =>
  Command.make(
    "doctor",
    { json: flag("json", "For scripts: { findings: [{ severity, what, remedy }] }") },
    Effect.fnUntraced(function*({ json }) {
      const groups = yield* source.groups(false)
      yield* withOutbox(
        source,
        Effect.fnUntraced(function*(outbox) {
          const findings = yield* outbox.doctor
          const errors = findings.filter(({ severity }) => severity === "error").length
          if (json) yield* printJson({ findings })
          else yield* Console.log(render(findings, errors, (yield* canvas).width))
          if (errors > 0) return yield* new DoctorFailed({ count: errors })
        }),
        groups
      )
    })
  ).pipe(Command.withDescription("What is wrong, and what to do about it. Exits with 1 when there are errors."))
