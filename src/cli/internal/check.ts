import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Catalog from "../../catalog/Catalog.ts"
import { plural } from "../../internal/describe.ts"
import { clean, wrap } from "../../internal/lines.ts"
import { CheckFailed, CommandError } from "./errors.ts"
import { flag } from "./list.ts"
import { look, named, print, why, write } from "./output.ts"
import { catalogOf, messageOf, type Source } from "./source.ts"

const config = {
  strict: flag("strict", "Exit with the number of findings, 255 at most"),
  lock: Flag.Path("lock").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Fail when the catalogue is not the one in this file"),
    Flag.optional
  ),
  write: flag("write", "Write the file of --lock anew")
}

const report = (catalog: Catalog.Catalog, findings: ReadonlyArray<Catalog.Finding>, width: number): string => {
  const { bindings, events, sideEffects } = catalog
  const seen = `${plural(events.length, "event")}, ${plural(sideEffects.length, "side effect")} and ${
    plural(bindings.length, "binding")
  }`
  if (findings.length === 0) return `Nothing to mend in ${seen}.`
  return [
    ...findings.flatMap(({ message, source }) => [
      ...source === undefined ? [] : [`${source.file}:${source.line}`],
      ...wrap(clean(message), width, "  "),
      ""
    ]),
    `${plural(findings.length, "finding")} in ${seen}.`
  ].join("\n")
}

/** Says it better than `Flag.File` would. */
const notDirectory = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const info = yield* Effect.option(fs.stat(file))
  if (Option.isNone(info) || info.value.type !== "Directory") return
  const shown = yield* named(file)
  return yield* new CommandError({
    message: `${shown} is a directory: --lock takes the file to compare with, such as ${
      path.join(shown, "catalogue.json")
    }.`
  })
})

/** What is committed, or `undefined` where there is nothing yet. */
const committed = Effect.fnUntraced(function*(file: string) {
  const shown = yield* named(file)
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFileString(file).pipe(
    Effect.map((text): string | undefined => text),
    Effect.catchIf(({ reason }) => reason._tag === "NotFound", () => Effect.undefined),
    Effect.mapError((error) => new CommandError({ message: `Cannot read ${shown}: ${why(error)}.` }))
  )
})

const renew = Effect.fnUntraced(function*(file: string, catalog: Catalog.Catalog) {
  const shown = yield* named(file)
  const text = Catalog.lock(catalog)
  if ((yield* committed(file)) === text) return yield* Console.log(`${shown} is up to date.`)
  yield* write(file, text)
  yield* Console.log(`Wrote ${shown}. Commit it.`)
})

const drift = Effect.fnUntraced(function*(file: string, catalog: Catalog.Catalog) {
  const shown = yield* named(file)
  const locked = yield* committed(file)
  if (locked === undefined) {
    return yield* new CommandError({ message: `${shown} does not exist. Make it with --write, and commit it.` })
  }
  return yield* Effect.try({
    try: () => Catalog.diff(locked, catalog),
    catch: (error) =>
      new CommandError({ message: `Cannot compare with ${shown}. ${messageOf(error)} For that, run it with --write.` })
  })
})

export const check = <E, R>(source: Source<E, R>) =>
  Command.make(
    "check",
    config,
    Effect.fnUntraced(function*({ lock, strict, write }) {
      if (write && Option.isNone(lock)) {
        return yield* new CommandError({
          message: "--write writes the file of --lock: name it, as in --lock catalogue.json."
        })
      }
      if (Option.isSome(lock)) yield* notDirectory(lock.value)
      const catalog = yield* catalogOf(source)
      const changes = Option.isSome(lock) && !write ? yield* drift(lock.value, catalog) : []
      const findings = Catalog.check(catalog)
      yield* print(report(catalog, findings, (yield* look).width))
      if (Option.isSome(lock)) {
        const file = yield* named(lock.value)
        if (write) yield* renew(lock.value, catalog)
        else if (changes.length === 0) yield* Console.log(`${file} is up to date.`)
        else {
          yield* Console.log(
            `\n${file} is not what the code says any more (- committed, + now):\n\n${changes.join("\n")}\n\n` +
              "If that is meant, run it again with --write, and commit the file."
          )
        }
      }
      const failures = (strict ? findings.length : 0) + (changes.length > 0 ? 1 : 0)
      if (failures > 0) return yield* new CheckFailed({ count: failures })
    })
  ).pipe(
    Command.withDescription(
      "What the catalogue is better without, and whether it is the one that was committed."
    ),
    Command.withExamples([
      { command: "side-effects check --strict", description: "In CI: exits with the number of findings" },
      { command: "side-effects check --lock catalogue.json", description: "In CI: 1 when the catalogue has changed" },
      { command: "side-effects check --lock catalogue.json --write", description: "After a change that is meant" }
    ])
  )
