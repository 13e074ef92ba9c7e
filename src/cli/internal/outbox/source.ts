import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { clean } from "../../../internal/lines.ts"
import type * as Outbox from "../../../outbox/Outbox.ts"
import type { OutboxError, OutboxStore } from "../../../outbox/OutboxStore.ts"
import type * as SideEffectGroup from "../../../SideEffectGroup.ts"
import { CommandError, NotFound } from "../errors.ts"
import { said } from "./problem.ts"

/** What the verbs work on, where it is only known when they run. */
export interface Source<E, R> {
  readonly store: Layer.Layer<OutboxStore, E, R>
  /** Creates or upgrades what the store needs. */
  readonly migrate: Effect.Effect<void, E, R>
  /** The same as plain SQL. */
  readonly sql: Effect.Effect<string, E, R>
  /** The groups. Those that can do without ask for what there is. */
  readonly groups: (required: boolean) => Effect.Effect<ReadonlyArray<SideEffectGroup.Any>, E, R>
  /** The worker to run, by the name of an export where it has one. */
  readonly worker: (name: Option.Option<string>) => Effect.Effect<Layer.Layer<never, unknown, OutboxStore>, E, R>
}

/** What a verb failed with, as it is told. */
type Told<E> = Exclude<E, OutboxError | Outbox.EditRefused | Outbox.EntryNotFound> | CommandError | NotFound

export const told = <E>(error: E): Told<E> => {
  if (Predicate.isTagged(error, "OutboxError")) return said(error as any)
  if (Predicate.isTagged(error, "EditRefused")) return new CommandError({ message: clean((error as any).message) })
  if (Predicate.isTagged(error, "EntryNotFound")) return new NotFound({ message: clean((error as any).message) })
  return error as any
}

/**
 * Gives a verb the outbox. What it takes is only loaded now, so that a command line that has this beside other commands
 * starts as fast as without.
 */
export const withOutbox = Effect.fnUntraced(function*<E, R, A, E2, R2>(
  source: Source<E, R>,
  verb: (outbox: Outbox.Outbox["Service"]) => Effect.Effect<A, E2, R2>,
  groups: ReadonlyArray<SideEffectGroup.Any> = []
): Effect.fn.Return<A, E | Told<E2>, R | R2> {
  const Outbox = yield* Effect.promise(() => import("../../../outbox/Outbox.ts"))
  return yield* Effect.flatMap(Outbox.Outbox, verb).pipe(
    Effect.provide(Layer.provide(Outbox.layer(groups), source.store)),
    Effect.mapError(told)
  ) as any
})
