import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { CommandError } from "../../cli/Catalog.ts"
import * as SideEffectGroup from "../../SideEffectGroup.ts"
import { project } from "./config.ts"
import { watch } from "./node.ts"
import { problem } from "./problem.ts"

const patience = "30 seconds"
const afterWhich = "5 seconds"

/** All groups that a module exports, also in arrays. */
const groupsOf = (exported: unknown): ReadonlyArray<SideEffectGroup.Any> =>
  Array.isArray(exported)
    ? exported.flatMap(groupsOf)
    : SideEffectGroup.isSideEffectGroup(exported)
    ? [exported]
    : []

/** Loads a module, and fails with whatever comes of it. */
const evaluate = (href: string, onExit: string): Effect.Effect<Record<string, unknown>, unknown> =>
  Effect.suspend(() => {
    let release = () => {}
    return Effect.ensuring(
      Effect.callback<Record<string, unknown>, unknown>((resume) => {
        const onThrown = (error: unknown) => resume(Effect.fail(error))
        release = watch({ onThrown, onExit })
        import(href).then((module) => resume(Effect.succeed(module)), onThrown)
      }),
      Effect.sync(() => release())
    )
  })

const loadModule = Effect.fnUntraced(function*(root: string, by: string, file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const shown = (file: string): string => {
    const relative = path.relative(root, file)
    return relative === "" || relative.startsWith("..") || path.isAbsolute(relative) ? file : relative
  }
  const info = yield* Effect.option(fs.stat(file))
  if (info._tag === "Some" && info.value.type === "Directory") {
    return yield* new CommandError({
      message: `${shown(file)} is a directory: ${by} takes the file that exports the groups, such as ${
        path.join(shown(file), "groups.ts")
      }.`
    })
  }
  if (info._tag === "None" || info.value.type !== "File") {
    const what = info._tag === "None" ? "does not exist" : "is no file"
    return yield* new CommandError({
      message: `The module ${shown(file)} ${what}. It is named by --module, or by "side-effects" in package.json.`
    })
  }
  const here = yield* Effect.orDie(path.fromFileUrl(new URL("../..", import.meta.url)))
  const isOwn = (frame: string): boolean =>
    shown(frame) !== frame && !/[\\/]node_modules[\\/]/.test(frame) && !frame.startsWith(here)
  const url = yield* Effect.orDie(path.toFileUrl(file))
  const loaded = yield* evaluate(url.href, `${shown(file)} ended the process while it was loaded.`).pipe(
    Effect.raceFirst(
      Console.error(`Still loading ${shown(file)}: does it wait for something at its top level?`).pipe(
        Effect.delay(afterWhich),
        Effect.andThen(Effect.never)
      )
    ),
    Effect.mapError((error) => new CommandError({ message: problem(error, { file, shown, isOwn }) })),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(
          new CommandError({
            message: `${shown(file)} is still loading after ${patience}. The module with the groups must not run the ` +
              "program: move what it awaits into another one."
          })
        )
    })
  )
  const groups = groupsOf(Object.values(loaded))
  if (groups.length === 0) {
    return yield* new CommandError({
      message: `${shown(file)} exports no group. Export one, or several, as in: export const Orders = ` +
        "SideEffectGroup.make(\"orders\")"
    })
  }
  return groups
})

/** The groups of all modules, each once. */
export const load = Effect.fnUntraced(function*(modules: ReadonlyArray<string>) {
  const found = yield* project(modules)
  const groups = yield* Effect.forEach(found.modules, (file) => loadModule(found.root, found.by, file))
  return { root: found.root, groups: [...new Set(groups.flat())] }
})
