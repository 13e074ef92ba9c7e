import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import { enumerate } from "../../../internal/lines.ts"
import { Settings } from "../../../internal/settings.ts"
import { CommandError } from "../errors.ts"
import { flag } from "../list.ts"

/** What `--side-effects` and `SIDE_EFFECTS_MODE` take. */
const modes = ["live", "drop", "assert-none", "record"] as const

export type Mode = typeof modes[number]

/** What becomes of the side effects of a run, and who said so, where it was not `--dry-run`. */
export interface Chosen {
  readonly mode: Mode | "dry-run"
  readonly by: string
  readonly byDefault: boolean
}

const dryRun = GlobalFlag.Setting("dry-run")({
  flag: flag("dry-run", "Let no side effect leave, and print what would have left")
})

const sideEffects = GlobalFlag.Setting("side-effects")({
  flag: Flag.ChoiceWithValue("side-effects", modes.map((mode) => [mode, mode] as const)).pipe(
    Flag.withMetavar("<mode>"),
    Flag.withDescription("What becomes of side effects; default: SIDE_EFFECTS_MODE"),
    Flag.optional
  )
})

/** The same for all commands, so that a flag that several of them have is one flag. */
export const flags = [dryRun, sideEffects] as const

export const names: ReadonlyArray<string> = ["dry-run", "side-effects"]

/** The flag wins over the environment, and that over what the author of the command has said. */
export const choose = Effect.fnUntraced(function*(fallback: Mode | "dry-run"): Effect.fn.Return<
  Chosen,
  CommandError,
  GlobalFlag.Setting.Identifier<"dry-run" | "side-effects">
> {
  const isDry = yield* dryRun
  const told = yield* sideEffects
  if (told._tag === "Some") {
    if (!isDry) return { mode: told.value, by: `--side-effects ${told.value}`, byDefault: false }
    return yield* new CommandError({
      message: `--dry-run lets no side effect leave, so --side-effects ${told.value} cannot be said besides. ` +
        "Leave one of them out."
    })
  }
  if (isDry) return { mode: "dry-run", by: "--dry-run", byDefault: false }
  const settings = new Settings()
  const mode = yield* settings.one(
    "MODE",
    `${enumerate(modes, "or")}; left out, it is ${fallback} for this command`,
    (text) => modes.find((mode) => mode === text.replaceAll("_", "-"))
  ).pipe(Effect.mapError(({ message }) => new CommandError({ message })))
  const [problem] = settings.problems
  if (problem !== undefined) return yield* new CommandError({ message: problem })
  return mode === undefined
    ? { mode: fallback, by: `the default, ${fallback},`, byDefault: true }
    : { mode, by: `SIDE_EFFECTS_MODE=${mode}`, byDefault: false }
})
