/**
 * The command line around the outbox: what `side-effects outbox` does, to mount in a CLI of one's own.
 *
 * **Example** (In a CLI of one's own)
 *
 * ```ts
 * import { NodeRuntime, NodeServices } from "@effect/platform-node"
 * import { Effect } from "effect"
 * import { SideEffectGroup } from "effect-side-effects"
 * import { Outbox } from "effect-side-effects/cli"
 * import { MemoryOutboxStore } from "effect-side-effects/outbox"
 * import { Command } from "effect/cli"
 *
 * const Orders = SideEffectGroup.make("orders")
 *
 * // shop outbox counts, shop outbox retry --state dead, ...
 * const shop = Command.make("shop").pipe(
 *   Command.withSubcommands([Outbox.command(Orders, { store: MemoryOutboxStore.layer })])
 * )
 *
 * Command.run(shop, { version: "1.0.0" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
 * ```
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { OutboxStore } from "../outbox/OutboxStore.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { CommandError } from "./internal/errors.ts"
import { cancel } from "./internal/outbox/cancel.ts"
import { counts } from "./internal/outbox/counts.ts"
import { doctor } from "./internal/outbox/doctor.ts"
import { edit } from "./internal/outbox/edit.ts"
import { list } from "./internal/outbox/list.ts"
import { migrate } from "./internal/outbox/migrate.ts"
import { pause } from "./internal/outbox/pause.ts"
import { purge } from "./internal/outbox/purge.ts"
import { replay } from "./internal/outbox/replay.ts"
import { resume } from "./internal/outbox/resume.ts"
import { retry } from "./internal/outbox/retry.ts"
import { show } from "./internal/outbox/show.ts"
import type { Source } from "./internal/outbox/source.ts"
import { work } from "./internal/outbox/work.ts"

export { CommandError, DoctorFailed, NotFound } from "./internal/errors.ts"

/** @internal */
export * as OutboxProblem from "./internal/outbox/problem.ts"

const given = <E, R>(
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>,
  store: Layer.Layer<OutboxStore, E, R>,
  worker: Layer.Layer<never, unknown, OutboxStore> | undefined
): Source<E | CommandError, R> => ({
  store,
  migrate: Effect.void,
  sql: Effect.fail(
    new CommandError({
      message: "The SQL of this store is not known here. See SqlOutboxStore.sqlFor, or the bin side-effects."
    })
  ),
  groups: () => Effect.succeed("sideEffects" in groups ? [groups] : groups),
  worker: () =>
    worker === undefined
      ? Effect.fail(new CommandError({ message: "No worker is given here: Outbox.command(groups, { worker })." }))
      : Effect.succeed(worker)
})

/**
 * The command `outbox` with its subcommands `migrate`, `counts`, `list`, `show`, `retry`, `cancel`, `replay`, `edit`,
 * `purge`, `pause`, `resume`, `work` and `doctor`.
 *
 * **Details**
 *
 * - `groups` are what `edit` checks payloads against, and what `doctor` judges by whether a name is known.
 * - `store` is where the entries are; left out, it is taken from the context. `SqlOutboxStore.layer()` migrates when it
 *   is built, so `migrate` has only to build it.
 * - `worker` is what `work` runs: `Outbox.layerWorker(group)` with its handlers.
 *
 * `retry`, `cancel`, `replay` and `purge` take ids, or a filter: then they count first and ask, or need `--yes` where
 * nobody can answer. An id may be cut short as long as it stays unambiguous. Every verb that prints has `--json`, whose
 * shape its help shows; times are in ISO 8601.
 *
 * What fails with `CommandError` was not carried out, and has the exit code 2. It is 1 for `NotFound`, where there is no
 * such id, and for `DoctorFailed`, where `doctor` has found errors.
 *
 * @category commands
 * @since 0.1.0
 */
export const command: {
  <E, R>(groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any> | undefined, options: {
    readonly store: Layer.Layer<OutboxStore, E, R>
    readonly worker?: Layer.Layer<never, unknown, OutboxStore> | undefined
  }): ReturnType<typeof commandFrom<E | CommandError, R>>
  (groups?: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>, options?: {
    readonly worker?: Layer.Layer<never, unknown, OutboxStore> | undefined
  }): ReturnType<typeof commandFrom<CommandError, OutboxStore>>
} = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any> = [],
  options?: {
    readonly store?: Layer.Layer<OutboxStore, any, any> | undefined
    readonly worker?: Layer.Layer<never, unknown, OutboxStore> | undefined
  }
): any => commandFrom(given(groups, options?.store ?? Layer.effect(OutboxStore, OutboxStore), options?.worker))

/**
 * As `command`, for what is only known when a subcommand asks for it.
 *
 * @internal
 */
export const commandFrom = <E, R>(source: Source<E, R>) =>
  Command.make("outbox").pipe(
    Command.withDescription("What waits, runs, is done and is dead in the outbox, and what to do about it."),
    Command.withSubcommands([
      counts(source),
      list(source),
      show(source),
      retry(source),
      cancel(source),
      replay(source),
      edit(source),
      purge(source),
      pause(source),
      resume(source),
      work(source),
      migrate(source),
      doctor(source)
    ])
  )
