import * as CliError from "effect/cli/CliError"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"

/**
 * The command could not be carried out: its flags contradict each other, nothing has the name, a file cannot be read or
 * written. `message` is one sentence that says so, and what to do. The exit code is 2.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandError
  extends Schema.TaggedError<CommandError>("effect-side-effects/cli/CommandError")("CommandError", {
    message: Schema.String
  })
{
  override readonly [Runtime.errorExitCode] = 2

  /** Has effect/cli print it, so that nobody else has to. */
  override get [CliError.userMessage](): string {
    return this.message
  }
}

/**
 * `check` did its work, and there is something to mend. It has been printed. The exit code is `count`: one for each finding
 * under `--strict`, and one for a catalogue that is not what is locked; 255 at most, as an exit code is a byte.
 *
 * @category errors
 * @since 0.1.0
 */
export class CheckFailed extends Schema.TaggedError<CheckFailed>("effect-side-effects/cli/CheckFailed")("CheckFailed", {
  count: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = Math.min(this.count, 255)
  override readonly [Runtime.errorReported] = false

  override get message(): string {
    return `check found ${this.count} to mend`
  }
}

/**
 * What was asked for by its id is not there. The exit code is 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotFound extends Schema.TaggedError<NotFound>("effect-side-effects/cli/NotFound")("NotFound", {
  message: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 1

  override get [CliError.userMessage](): string {
    return this.message
  }
}

/**
 * `doctor` did its work, and has found errors, `count` of them. They have been printed. The exit code is 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class DoctorFailed
  extends Schema.TaggedError<DoctorFailed>("effect-side-effects/cli/DoctorFailed")("DoctorFailed", {
    count: Schema.Int
  })
{
  override readonly [Runtime.errorExitCode] = 1
  override readonly [Runtime.errorReported] = false

  override get message(): string {
    return `doctor found ${this.count} to mend`
  }
}

/**
 * The command enqueued a side effect or emitted an event, and the mode `assert-none` allows none. `message` is one
 * sentence that says which. The exit code is 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class Violated extends Schema.TaggedError<Violated>("effect-side-effects/cli/Violated")("Violated", {
  message: Schema.String
}) {
  override readonly [Runtime.errorExitCode] = 1

  override get [CliError.userMessage](): string {
    return this.message
  }
}
