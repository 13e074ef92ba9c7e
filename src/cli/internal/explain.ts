import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Catalog from "../../catalog/Catalog.ts"
import { CommandError } from "./errors.ts"
import { look, print } from "./output.ts"
import { attempt, catalogOf, type Source } from "./source.ts"

/** What `ConfigLayer` would read, had it been built here. */
const environment = Config.all({
  mode: Config.option(Config.String("SIDE_EFFECTS_MODE")),
  block: Config.option(Config.String("SIDE_EFFECTS_BLOCK")),
  allowOnly: Config.option(Config.String("SIDE_EFFECTS_ALLOW_ONLY"))
})

export const explain = <E, R>(source: Source<E, R>) =>
  Command.make(
    "explain",
    { name: Argument.String("name").pipe(Argument.withDescription("An event, a side effect, or a pattern")) },
    Effect.fnUntraced(function*({ name }) {
      const catalog = yield* catalogOf(source)
      const { allowOnly, block, mode } = yield* environment.pipe(
        Effect.mapError((error) => new CommandError({ message: error.message }))
      )
      const options = {
        ...yield* look,
        environment: {
          mode: Option.getOrUndefined(mode),
          block: Option.getOrUndefined(block),
          allowOnly: Option.getOrUndefined(allowOnly)
        }
      }
      yield* print(yield* attempt(() => Catalog.explain(catalog, name, options)))
    })
  ).pipe(
    Command.withDescription("What happens when, and what would keep it from happening."),
    Command.withExamples([
      { command: "side-effects explain orders:order:placed" },
      { command: "side-effects explain \"orders:mail:*\"" }
    ])
  )
