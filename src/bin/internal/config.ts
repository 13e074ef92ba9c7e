import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { CommandError } from "../../cli/Catalog.ts"

const example = "\"side-effects\": \"./src/side-effects.ts\""

const wrong = (message: string) => new CommandError({ message })

/** The nearest `package.json`, from here upwards. */
const nearestPackage = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let directory = path.resolve(".")
  while (true) {
    const file = path.join(directory, "package.json")
    if (yield* Effect.orElseSucceed(fs.exists(file), () => false)) return file
    const parent = path.dirname(directory)
    if (parent === directory) return undefined
    directory = parent
  }
})

const keyOf = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(file), () => wrong(`Cannot read ${file}.`))
  return yield* Effect.try({
    try: (): unknown => JSON.parse(text)?.["side-effects"],
    catch: (error) => wrong(`${file} is not JSON: ${(error as Error).message}`)
  })
})

/** Whether the project names modules at all. */
export const isConfigured = Effect.gen(function*() {
  const file = yield* nearestPackage
  return file !== undefined && (yield* keyOf(file)) !== undefined
})

/**
 * Where the modules with the groups are: `--module`, relative to here, or what the package says, relative to it. `root` is
 * what their files are named relative to, `by` what has named the modules.
 */
export const project = Effect.fnUntraced(function*(modules: ReadonlyArray<string>) {
  const path = yield* Path.Path
  const file = yield* nearestPackage
  const root = file === undefined ? path.resolve(".") : path.dirname(file)
  if (modules.length > 0) {
    return { root, by: "--module", modules: modules.map((module) => path.resolve(module)) }
  }
  if (file === undefined) {
    return yield* wrong(
      `No module is configured: there is no package.json here or above. Say --module <path>, or make one with ${example}.`
    )
  }
  const key = yield* keyOf(file)
  const listed = typeof key === "string" ? [key] : key
  if (listed === undefined || (Array.isArray(listed) && listed.length === 0)) {
    return yield* wrong(
      `No module is configured: say --module <path>, or add ${example} to ${file}; that module exports the groups.`
    )
  }
  if (!Array.isArray(listed) || !listed.every((module) => typeof module === "string")) {
    return yield* wrong(
      `"side-effects" in ${file} is ${JSON.stringify(key)}. It takes a path or a list of paths, as in ${example}.`
    )
  }
  return {
    root,
    by: "\"side-effects\" in package.json",
    modules: [...new Set(listed.map((module) => path.resolve(root, module)))]
  }
})
