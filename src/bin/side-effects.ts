#!/usr/bin/env node
/**
 * The bin `side-effects`: the commands of `effect-side-effects/cli` for the groups that a module of the project exports, and
 * for the database of an outbox.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Runtime from "effect/Runtime"
import * as Catalog from "../cli/Catalog.ts"
import { loadRouted } from "./internal/load.ts"
import { exit, interrupted, sayAndExit } from "./internal/node.ts"
import { commandFor } from "./internal/outbox.ts"
import * as Sentence from "./internal/sentence.ts"

const shared = {
  module: Flag.Path("module").pipe(
    Flag.withMetavar("path"),
    Flag.withDescription("Exports the groups; may come several times"),
    Flag.atLeast(0)
  )
}

/** The flags before and after a subcommand, by the name of the command. */
const flags = Command.make("side-effects").pipe(Command.withSharedFlags(shared))

const modules = Effect.map(flags, ({ module }) => module)

const command = Command.make("side-effects").pipe(
  Command.withDescription("What happens when: the catalogue of events and side effects, and the outbox."),
  Command.withSubcommands([...Catalog.verbs(Effect.flatMap(modules, loadRouted)), commandFor(modules)]),
  Command.withSharedFlags(shared)
)

const version = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = yield* path.fromFileUrl(new URL("../../package.json", import.meta.url))
  return String(JSON.parse(yield* fs.readFileString(file)).version)
})

const program = Effect.orDie(version).pipe(
  Effect.flatMap((version) => Command.run(command, { version })),
  Effect.catchTag("ShowHelp", (error) => error.errors.length === 0 ? Effect.void : new Sentence.WrongUsage()),
  Effect.provide(Sentence.layer)
)

// What is not installed by itself must not be asked for before it can be said what to do.
const platform = await Effect.runPromiseExit(
  Effect.promise(() =>
    Promise.all([import("@effect/platform-node/NodeRuntime"), import("@effect/platform-node/NodeServices")])
  )
)

if (Exit.isSuccess(platform)) {
  const [NodeRuntime, NodeServices] = platform.value
  NodeRuntime.runMain(Effect.provide(program, NodeServices.layer), {
    teardown: (result) => Runtime.defaultTeardown(result, (code) => exit(code === 130 ? interrupted.code : code))
  })
} else {
  const { message } = Cause.squash(platform.cause) as Error
  sayAndExit(
    message.startsWith("Cannot find package '@effect/platform-node'")
      ? "side-effects needs the package @effect/platform-node: npm install --save-dev @effect/platform-node"
      : `side-effects cannot load @effect/platform-node: ${message}`
  )
}
