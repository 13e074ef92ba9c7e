import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { columns } from "../../internal/lines.ts"
import { CommandError } from "./errors.ts"

/** How text is to look where it goes. A file or a pipe gets 80 columns and no colors, so that it is the same everywhere. */
export const look = Effect.gen(function*() {
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdoutIsTerminal)) return { colors: canColor, width: columns }
  const terminal = yield* Terminal.Terminal
  // 0 is what a terminal says that does not know. Longer lines than 100 are hard to read.
  const width = (yield* terminal.columns) || columns
  return { colors: canColor, width: Math.min(Math.max(width, 40), 100) }
})

export const print = (text: string): Effect.Effect<void> =>
  text === "" ? Effect.void : Console.log(text.replace(/\n$/, ""))

const reasons: Readonly<Record<string, string>> = {
  NotFound: "it does not exist",
  PermissionDenied: "that is not permitted",
  AlreadyExists: "it exists already",
  BadResource: "it is a directory, or nothing that can be used so",
  WriteZero: "there is no space left"
}

/** Why something cannot be done with a file, in a few words. */
export const why = ({ reason }: PlatformError.PlatformError): string => {
  const { description } = reason as { readonly description?: string | undefined }
  return reasons[reason._tag] ?? description ?? reason.message
}

/** A file as one would name it here. */
export const named = (file: string): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => {
    const relative = path.relative(path.resolve("."), file)
    return relative === "" || relative.startsWith("..") || path.isAbsolute(relative) ? file : relative
  })

/** Writes a file, and the directories it is to be in. With `exclusive` it must not be there yet. */
export const write = Effect.fnUntraced(function*(file: string, text: string, exclusive = false) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const shown = yield* named(file)
  return yield* fs.makeDirectory(path.dirname(file), { recursive: true }).pipe(
    Effect.andThen(fs.writeFileString(file, text, { flag: exclusive ? "wx" : "w" })),
    Effect.mapError((error) =>
      new CommandError({
        message: exclusive && error.reason._tag === "AlreadyExists"
          ? `${shown} exists already, and nothing was written. Name another file with --out, or remove it.`
          : `Cannot write ${shown}: ${why(error)}.`
      })
    )
  )
})

/** `812 bytes`, `12 kB` */
export const size = (text: string): string => {
  const bytes = new TextEncoder().encode(text).length
  return bytes < 1000 ? `${bytes} bytes` : `${Math.round(bytes / 1000)} kB`
}
