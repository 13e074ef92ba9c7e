import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { flags, names } from "./flags.ts"

/**
 * What effect/cli keeps in a command. Its types do not tell, and it has no function that changes how a handler runs: to
 * provide a layer is all it can.
 */
interface Inner extends Command.Command.Any {
  readonly handle: (input: unknown, path: ReadonlyArray<string>) => Effect.Effect<void, any, any>
  readonly config: { readonly flags: ReadonlyArray<unknown> }
  readonly globalFlags: ReadonlyArray<unknown>
}

/** The names of a flag, which may be wrapped in what its value is mapped by. */
const namesOf = (param: unknown): ReadonlyArray<string> => {
  if (!Predicate.isObject(param)) return []
  const { aliases = [], alternatives = [], name, param: inner } = param as any
  return [
    ...(typeof name === "string" ? [name, ...aliases] : []),
    ...[inner, ...alternatives.map((alternative: () => unknown) => alternative())].flatMap(namesOf)
  ]
}

/** Throws where the flags would not be what they say. */
const check = (command: Inner, path: ReadonlyArray<string>): void => {
  const shown = path.join(" ")
  if (command.globalFlags.some((flag) => flags.includes(flag as any))) {
    throw new Error(
      `Command "${shown}" has been given its side effects already, so SideEffectsCommand.provide would do it twice. ` +
        "Use it once, behind Command.withSubcommands; for several groups, merge them."
    )
  }
  const own = [...command.config.flags, ...command.globalFlags.map((flag: any) => flag.flag)].flatMap(namesOf)
  const taken = names.find((name) => own.includes(name))
  if (taken !== undefined) {
    throw new Error(
      `Command "${shown}" has a flag --${taken} of its own, and SideEffectsCommand.provide adds one of that name. ` +
        "Rename the command's, or remove it."
    )
  }
  for (const { commands } of command.subcommands) {
    for (const subcommand of commands) check(subcommand as Inner, [...path, subcommand.name])
  }
}

/** The name of the command with that of the subcommand that was chosen, as far as effect/cli tells. */
const whole = (input: unknown, path: ReadonlyArray<string>): ReadonlyArray<string> => {
  const key = Predicate.isObject(input)
    ? Object.getOwnPropertySymbols(input).find(({ description }) => description === "effect/cli/SubcommandState")
    : undefined
  const chosen = key === undefined ? undefined : (input as any)[key]
  return typeof chosen?.name === "string" ? whole(chosen.result, [...path, chosen.name]) : path
}

/**
 * The command with the flags, and with something around what it and its subcommands do. `path` are the names it was
 * called by.
 */
export const wrap = (
  command: Command.Command.Any,
  around: (handler: Effect.Effect<void, any, any>, path: ReadonlyArray<string>) => Effect.Effect<void, any, any>
): Command.Command.Any => {
  const inner = command as Inner
  if (typeof inner.handle !== "function" || !Array.isArray(inner.config?.flags)) {
    throw new Error(
      "SideEffectsCommand.provide does not know the commands of this version of effect. It was made for effect 4.1."
    )
  }
  check(inner, [inner.name])
  // Asked by a `withSubcommands` behind this only, whose subcommands would take the flags and not obey them.
  const parseContext = () =>
    Effect.die(
      new Error(
        `Command "${inner.name}" was given subcommands behind SideEffectsCommand.provide, which does not know them: ` +
          "--dry-run would let their side effects leave. Put Command.withSubcommands before it."
      )
    )
  const guarded = Object.assign(Object.create(Object.getPrototypeOf(inner)), inner, { parseContext })
  const handled = Command.withHandler(
    guarded,
    ((input: unknown, path: ReadonlyArray<string> = [inner.name]) =>
      around(inner.handle(input, path), whole(input, path))) as (input: unknown) => Effect.Effect<void, any, any>
  )
  return Command.withGlobalFlags(handled as Command.Command<string, unknown, unknown, any, any>, flags)
}
