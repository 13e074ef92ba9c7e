/**
 * The catalogue, and the command line around it: what the bin `side-effects` does, to mount in a CLI of one's own.
 *
 * **Example** (In a CLI of one's own)
 *
 * ```ts
 * import { NodeRuntime, NodeServices } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { SideEffectGroup } from "effect-side-effects"
 * import { Catalog } from "effect-side-effects/cli"
 * import { Command } from "effect/cli"
 *
 * const Orders = SideEffectGroup.make("orders")
 *
 * // shop side-effects list, shop side-effects check --strict, ...
 * const shop = Command.make("shop").pipe(Command.withSubcommands([Catalog.command(Orders)]))
 *
 * Command.run(shop, { version: "1.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
 * ```
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import type * as Dispatcher from "../Dispatcher.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { check as checkCommand } from "./internal/check.ts"
import { explain as explainCommand } from "./internal/explain.ts"
import { list } from "./internal/list.ts"
import { make as newCommand } from "./internal/new.ts"
import { given, type Source } from "./internal/source.ts"

export * from "../catalog/Catalog.ts"
export { CheckFailed, CommandError } from "./internal/errors.ts"

/**
 * The command `side-effects` with its subcommands `list`, `explain`, `check` and `new`.
 *
 * **Details**
 *
 * `root` is the directory that files are named relative to; by default the one the command runs in. With `dispatcher`, that
 * of the live layer, and `relay`, the engines of `Outbox.layerRelay`, it tells which side effect goes where.
 *
 * What fails with `CommandError` was not carried out, and has the exit code 2. `check` fails with `CheckFailed` when there
 * is something to mend: under `--strict` the exit code is the number of findings, `--lock` adds one for a catalogue that is
 * not the committed one, and it is 255 at most.
 *
 * @category commands
 * @since 0.1.0
 */
export const command = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>,
  options?: {
    readonly root?: string | undefined
    readonly dispatcher?: Dispatcher.Dispatcher<boolean, any, any> | undefined
    readonly relay?: Readonly<Record<string, Dispatcher.Dispatcher<false, any, any>>> | undefined
  }
) => commandFrom(given(groups, options))

const commandFrom = <E, R>(source: Source<E, R>) =>
  Command.make("side-effects").pipe(
    Command.withDescription("What happens when: the catalogue of events and side effects."),
    Command.withSubcommands(verbs(source))
  )

/**
 * The subcommands, for groups that are only known when one of them asks for them.
 *
 * @internal
 */
export const verbs = <E, R>(source: Source<E, R>) =>
  [list(source), explainCommand(source), checkCommand(source), newCommand] as const
