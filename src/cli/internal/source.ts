import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Catalog from "../../catalog/Catalog.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import { CommandError } from "./errors.ts"

/** The groups, and the directory that their files are named relative to. */
interface Loaded {
  readonly groups: ReadonlyArray<SideEffectGroup.Any>
  readonly root: string
}

/** Where the groups come from. Every verb that needs them asks it, and no other does. */
export type Source<E, R> = Effect.Effect<Loaded, E, R>

export const given = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>,
  root: string | undefined
): Source<never, Path.Path> =>
  Effect.map(Path.Path, (path) => ({
    groups: Array.isArray(groups) ? groups : [groups],
    root: root ?? path.resolve(".")
  }))

export const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** What a function of the catalogue has thrown is told as it is. */
export const attempt = <A>(run: () => A): Effect.Effect<A, CommandError> =>
  Effect.try({ try: run, catch: (error) => new CommandError({ message: messageOf(error) }) })

export const catalogOf = <E, R>(source: Source<E, R>): Effect.Effect<Catalog.Catalog, E | CommandError, R> =>
  Effect.flatMap(source, ({ groups, root }) => attempt(() => Catalog.make(groups, { root })))
