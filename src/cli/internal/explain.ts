import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Catalog from "../../catalog/Catalog.ts"
import { Settings } from "../../internal/settings.ts"
import { CommandError } from "./errors.ts"
import { look, print } from "./output.ts"
import { attempt, catalogOf, type Source } from "./source.ts"

/** What `ConfigLayer` would read, had it been built here. */
const environment = /*#__PURE__*/ Effect.gen(function*() {
  const settings = new Settings()
  const mode = yield* settings.one("MODE", "one of live, drop, assert-none, record", (text) => text)
  const block = yield* settings.patterns("BLOCK")
  const allowOnly = yield* settings.patterns("ALLOW_ONLY")
  const [problem] = settings.problems
  if (problem !== undefined) return yield* new CommandError({ message: problem })
  return { mode, block: block.join(","), allowOnly: allowOnly.join(",") }
}).pipe(Effect.catchTag("ConfigError", ({ message }) => Effect.fail(new CommandError({ message }))))

export const explain = <E, R>(source: Source<E, R>) =>
  Command.make(
    "explain",
    { name: Argument.String("name").pipe(Argument.withDescription("An event, a side effect, or a pattern")) },
    Effect.fnUntraced(function*({ name }) {
      const catalog = yield* catalogOf(source)
      const options = { ...yield* look, environment: yield* environment }
      yield* print(yield* attempt(() => Catalog.explain(catalog, name, options)))
    })
  ).pipe(
    Command.withDescription("What happens when, and what would keep it from happening."),
    Command.withExamples([
      { command: "side-effects explain orders:order:placed" },
      { command: "side-effects explain \"orders:mail:*\"" }
    ])
  )
