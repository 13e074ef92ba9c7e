/**
 * Commands of `effect/cli` whose side effects leave when the command has succeeded, or not at all: one wrapper gives a
 * command a boundary for each run, the layer, and the flags `--dry-run` and `--side-effects`.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Layer from "effect/Layer"
import type * as Event from "../Event.ts"
import type * as Policy from "../Policy.ts"
import type * as SideEffect from "../SideEffect.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import type * as SideEffects from "../SideEffects.ts"
import type * as flags from "./internal/command/flags.ts"
import { run } from "./internal/command/run.ts"
import { wrap } from "./internal/command/wrap.ts"
import type { CommandError, Violated } from "./internal/errors.ts"

export { CommandError, Violated } from "./internal/errors.ts"

/**
 * What becomes of the side effects of a command: what `--side-effects` and `SIDE_EFFECTS_MODE` take.
 *
 * **Details**
 *
 * | mode | meaning |
 * | --- | --- |
 * | `live` | they leave when the command has succeeded |
 * | `drop` | none leaves; how many were dropped is printed, by name |
 * | `assert-none` | the first one ends the command, with one sentence and exit code 1 |
 * | `record` | as `drop`, but what would have left counts as dispatched |
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = flags.Mode

/**
 * Stands for the errors and the requirements of a command where `around` is given its run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  readonly "~effect-side-effects/cli/Run": never
}

/**
 * How a command is run.
 *
 * **Details**
 *
 * - `default`: the mode where neither a flag nor `SIDE_EFFECTS_MODE` says one. `"live"` is the default of it;
 *   `"dry-run"` is for what must not be run by mistake.
 * - `policy`: of the boundary of each run, in every mode.
 * - `abortOnError`: the command fails with `DispatchError`, and so with exit code 1, when a side effect failed. Also when
 *   that was in the background: its layer is closed, and so all is done, before the command ends.
 * - `around`: what is put around a dry run, and only around that: a transaction that is rolled back, most often.
 * - `limit`: how many payloads a dry run prints of each side effect; 10 by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Abort extends boolean = boolean, AE = never, AR = never> {
  readonly default?: Mode | "dry-run" | undefined
  readonly policy?: Policy.Policy | undefined
  readonly abortOnError?: Abort | undefined
  readonly around?: ((self: Effect.Effect<void, Run, Run>) => Effect.Effect<void, AE, AR>) | undefined
  readonly limit?: number | undefined
}

/**
 * Gives a command the service `SideEffects`, a boundary for each run, and the flags `--dry-run` and `--side-effects`.
 *
 * **When to use**
 *
 * For commands that write and then tell somebody: backfills, migrations, imports, jobs that a scheduler starts.
 *
 * **Details**
 *
 * The run of a command is one unit of work: what it enqueues is released when its handler succeeds, and discarded when it
 * fails, dies or is interrupted. Name and origin of the boundary are `command <name>`, with the names of the
 * commands above it. Before the command ends the layer is closed, so a background dispatcher is done by then.
 *
 * `--side-effects` wins over `SIDE_EFFECTS_MODE`, and that over the option `default`. `--dry-run` wins over
 * `SIDE_EFFECTS_MODE`, too; beside `--side-effects` it is an error. What `SIDE_EFFECTS_BLOCK` and the other settings of
 * `ConfigLayer` let not pass does not leave in any mode.
 *
 * A dry run really runs the command, with a layer that knows the group and performs nothing. It prints what would
 * have left, with payloads in which what is `Redacted` stays hidden, and what would not have and why. Its
 * exit code is 0 when the command succeeds. A command that fails in it fails as it would have, after the same is printed.
 *
 * `live` is only built in the mode `live`: a dry run needs no credentials and no mail server.
 *
 * Interruption, as by Ctrl-C or SIGTERM with `NodeRuntime.runMain`: what waits is discarded, and how much that was is said
 * on stderr; the exit code is 130. Once side effects are being performed that is finished first, and said so. A second
 * signal changes nothing.
 *
 * **Gotchas**
 *
 * - It comes behind `Command.withSubcommands`, and holds for all subcommands. One that is added behind it dies when it
 *   is called.
 * - What `live` needs is a requirement of the command, and is provided, and so built, in every mode. Provide to `live`
 *   itself what only it needs.
 * - A dry run holds back side effects, not what the command does itself. Give it `around` for that.
 * - A command that has subcommands and does nothing by itself shows its help when it is called without one, in the mode
 *   `live` only after `live` was built.
 *
 * **Example** (A backfill)
 *
 * ```ts no-run
 * import { NodeRuntime, NodeServices } from "@effect/platform-node"
 * import { Console, Effect, Layer, Schema } from "effect"
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { SideEffectsCommand } from "effect-side-effects/cli"
 * import { Command, Flag } from "effect/cli"
 *
 * class SendInvoice extends SideEffect.make("billing:send-invoice", {
 *   description: "Email a customer the invoice.",
 *   payload: { customer: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendInvoice)
 *
 * const Live = SideEffects.LiveLayer(Billing).pipe(
 *   Layer.provide(SendInvoice.toLayer(({ customer }) => Console.log(`mailed ${customer}`)))
 * )
 *
 * // backfill --since 2026-01-01 --dry-run
 * const backfill = Command.make("backfill", { since: Flag.String("since") }, ({ since }) =>
 *   SideEffects.enqueue(SendInvoice, { customer: `all since ${since}` })
 * ).pipe(SideEffectsCommand.provide(Billing, Live))
 *
 * Command.run(backfill, { version: "1.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
 * ```
 *
 * @category commands
 * @since 0.1.0
 */
export const provide: {
  <
    S extends SideEffect.Any,
    Ev extends Event.Any,
    LE,
    LR,
    Abort extends boolean = false,
    AE = never,
    AR = never
  >(
    group: SideEffectGroup.SideEffectGroup<S, Ev>,
    live: Layer.Layer<SideEffects.SideEffects<S["_tag"] | Ev["_tag"]>, LE, LR>,
    options?: Options<Abort, AE, AR> | undefined
  ): <Name extends string, Input, ContextInput, E, R>(
    self: Command.Command<Name, Input, ContextInput, E, R>
  ) => Command.Command<
    Name,
    Input,
    ContextInput,
    E | LE | Exclude<AE, Run> | SideEffects.AbortError<Abort> | CommandError | Violated,
    Exclude<R, SideEffects.SideEffects<S["_tag"] | Ev["_tag"]>> | LR | Exclude<AR, Run>
  >
  <
    Name extends string,
    Input,
    ContextInput,
    E,
    R,
    S extends SideEffect.Any,
    Ev extends Event.Any,
    LE,
    LR,
    Abort extends boolean = false,
    AE = never,
    AR = never
  >(
    self: Command.Command<Name, Input, ContextInput, E, R>,
    group: SideEffectGroup.SideEffectGroup<S, Ev>,
    live: Layer.Layer<SideEffects.SideEffects<S["_tag"] | Ev["_tag"]>, LE, LR>,
    options?: Options<Abort, AE, AR> | undefined
  ): Command.Command<
    Name,
    Input,
    ContextInput,
    E | LE | Exclude<AE, Run> | SideEffects.AbortError<Abort> | CommandError | Violated,
    Exclude<R, SideEffects.SideEffects<S["_tag"] | Ev["_tag"]>> | LR | Exclude<AR, Run>
  >
} = dual(
  (args) => Command.isCommand(args[0]),
  (
    self: Command.Command.Any,
    group: SideEffectGroup.Any,
    live: Layer.Layer<any, any, any>,
    options?: Options<boolean, any, any> | undefined
  ): any => wrap(self, (handler, path) => run({ ...options, group, live } as any, handler, path))
)
