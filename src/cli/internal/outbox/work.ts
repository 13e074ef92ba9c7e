import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CommandError } from "../errors.ts"
import { reasonOf } from "./problem.ts"
import { type Source, told } from "./source.ts"

export const work = <E, R>(source: Source<E, R>) =>
  Command.make(
    "work",
    {
      layer: Flag.String("layer").pipe(
        Flag.withMetavar("export"),
        Flag.withDescription("The export of the module that is the worker; default: worker"),
        Flag.optional
      )
    },
    Effect.fnUntraced(function*({ layer }) {
      const worker = yield* source.worker(layer)
      return yield* Layer.build(Layer.provide(worker, source.store)).pipe(
        Effect.mapError(told),
        // It may fail with whatever its layers fail with, and dies where a handler is missing.
        Effect.catchDefect(Effect.fail),
        Effect.mapError((error) =>
          error instanceof CommandError
            ? error
            : new CommandError({ message: `The worker cannot run: ${reasonOf(error)}.` })
        ),
        Effect.andThen(Console.error("The worker runs. Ctrl-C, or SIGTERM, ends it in good order.")),
        Effect.andThen(Effect.never),
        Effect.scoped
      )
    })
  ).pipe(
    Command.withDescription(
      "Performs what is in the outbox, with the worker that a module exports: Outbox.layerWorker(group) and its handlers."
    ),
    Command.withExamples([{ command: "side-effects outbox work --module src/worker.ts" }])
  )
