import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { CommandError } from "../../cli/Catalog.ts"
import * as Dispatcher from "../../Dispatcher.ts"
import * as Engine from "../../engine/Engine.ts"
import { enumerate } from "../../internal/lines.ts"
import type { OutboxStore } from "../../outbox/OutboxStore.ts"
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
  return { exported: loaded, shown: shown(file) }
})

/** What the modules of the project export, and what their files are named relative to. */
const loadAll = Effect.fnUntraced(function*(modules: ReadonlyArray<string>) {
  const found = yield* project(modules)
  return {
    root: found.root,
    modules: yield* Effect.forEach(found.modules, (file) => loadModule(found.root, found.by, file))
  }
})

/** The groups of all modules, each once. */
export const load = Effect.fnUntraced(function*(modules: ReadonlyArray<string>) {
  const loaded = yield* loadAll(modules)
  const groups = new Set<SideEffectGroup.Any>()
  for (const { exported, shown } of loaded.modules) {
    const found = groupsOf(Object.values(exported))
    if (found.length === 0) {
      return yield* new CommandError({
        message: `${shown} exports no group. Export one, or several, as in: export const Orders = ` +
          "SideEffectGroup.make(\"orders\")"
      })
    }
    for (const group of found) groups.add(group)
  }
  return { ...loaded, groups: [...groups] }
})

/** What one of the modules exports for something that there can be one of: the value of that name, or else the only one. */
const only = <A>(
  found: ReadonlyArray<readonly [name: string, value: A]>,
  name: string,
  say: (names: string) => string
): Effect.Effect<A | undefined, CommandError> => {
  const named = found.filter((one) => one[0] === name)
  const asked = named.length > 0 ? named : found
  const values = new Set(asked.map(([, value]) => value))
  return values.size < 2
    ? Effect.succeed([...values][0])
    : Effect.fail(new CommandError({ message: say(enumerate([...new Set(asked.map(([name]) => name))])) }))
}

/** A record whose values are all engines, as `Outbox.layerRelay` takes it. */
const isRelay = (u: unknown): u is Readonly<Record<string, Engine.Engine<any, any>>> =>
  typeof u === "object" && u !== null && Object.getPrototypeOf(u) === Object.prototype &&
  Object.keys(u).length > 0 && Object.values(u).every(Engine.isEngine)

/**
 * As `load`, and what tells where side effects go: the dispatcher of the live layer and the engines of a relay, where the
 * modules export them.
 */
export const loadRouted = Effect.fnUntraced(function*(modules: ReadonlyArray<string>) {
  const loaded = yield* load(modules)
  const where = enumerate(loaded.modules.map(({ shown }) => shown))
  const exported = loaded.modules.flatMap(({ exported }) => Object.entries(exported))
  const relay = yield* only(
    exported.flatMap(([name, value]) => isRelay(value) ? [[name, value] as const] : []),
    "relay",
    (names) =>
      `${where} exports several records of engines, ${names}, and there is one relay for each catalogue. Call the one that ` +
      "counts relay, or do not export the others."
  )
  // An engine that gets what is in the outbox is not where intents go first.
  const behind = new Set<unknown>(relay === undefined ? [] : Object.values(relay))
  const dispatcher = yield* only(
    exported.flatMap(([name, value]) =>
      Dispatcher.isDispatcher(value) && (name === "dispatcher" || !behind.has(value)) ? [[name, value] as const] : []
    ),
    "dispatcher",
    (names) =>
      `${where} exports several dispatchers, ${names}, and a live layer has one. Call that one dispatcher, or do not export ` +
      "the others."
  )
  return { groups: loaded.groups, root: loaded.root, dispatcher, relay }
})

/** The worker that one of the modules exports. */
export const loadWorker = Effect.fnUntraced(function*(modules: ReadonlyArray<string>, name: string) {
  const loaded = yield* loadAll(modules)
  const found = loaded.modules.find(({ exported }) => Object.hasOwn(exported, name))
  const where = enumerate(loaded.modules.map(({ shown }) => shown), "or")
  if (found === undefined) {
    return yield* new CommandError({
      message: `${where} exports no "${name}". Export the worker, as in: export const ${name} = ` +
        "Outbox.layerWorker(Orders).pipe(Layer.provide(Handlers)), or name another export with --layer."
    })
  }
  const worker = found.exported[name]
  if (!Layer.isLayer(worker)) {
    return yield* new CommandError({
      message: `"${name}" of ${found.shown} is no Layer. It takes a worker with its handlers: ` +
        "Outbox.layerWorker(Orders).pipe(Layer.provide(Handlers))"
    })
  }
  return worker as Layer.Layer<never, unknown, OutboxStore>
})
