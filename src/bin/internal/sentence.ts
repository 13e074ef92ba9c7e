import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { enumerate } from "../../internal/lines.ts"

const say = (error: CliError.CliError): string => {
  const message = error.message.split("\n", 1)[0]!.trim()
  const near = "suggestions" in error && error.suggestions.length > 0
    ? ` Did you mean ${enumerate(error.suggestions, "or")}?`
    : ""
  return `${/[.?!]$/.test(message) ? message : `${message}.`}${near}`
}

/** The command line was wrong, and that has been said. */
export class WrongUsage extends Schema.TaggedError<WrongUsage>("effect-side-effects/bin/WrongUsage")("WrongUsage", {}) {
  override readonly [Runtime.errorExitCode] = 2
  override readonly [Runtime.errorReported] = false
}

/** Help is for those who ask for it; a mistake gets one sentence. */
export const layer: Layer.Layer<never> = Layer.mergeAll(
  CliOutput.layerPresenter({
    present: (event) =>
      event._tag === "InvalidInvocation"
        ? Effect.forEach(
          event.errors,
          (error) => Console.error(`${say(error)} More with: ${event.commandPath.join(" ")} --help`),
          { discard: true }
        )
        : CliOutput.defaultPresenter.present(event)
  }),
  Layer.effect(
    CliOutput.Formatter,
    Effect.map(TerminalCapabilities.TerminalCapabilities, ({ canColor }) => ({
      ...CliOutput.defaultFormatter({ colors: canColor }),
      formatError: (error: CliError.CliError) => error.message
    }))
  )
)
