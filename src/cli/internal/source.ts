import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import * as Catalog from "../../catalog/Catalog.ts"
import type * as Dispatcher from "../../Dispatcher.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import { CommandError } from "./errors.ts"

/** The groups, the directory that their files are named relative to, and what tells where side effects go. */
interface Loaded extends Routing {
  readonly groups: ReadonlyArray<SideEffectGroup.Any>
  readonly root: string
}

/** See `Catalog.make`. */
export interface Routing {
  readonly dispatcher?: Dispatcher.Dispatcher<boolean, any, any> | undefined
  readonly relay?: Readonly<Record<string, Dispatcher.Dispatcher<false, any, any>>> | undefined
}

/** Where the groups come from. Every verb that needs them asks it, and no other does. */
export type Source<E, R> = Effect.Effect<Loaded, E, R>

export const given = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>,
  { root, ...routing }: Routing & { readonly root?: string | undefined } = {}
): Source<never, Path.Path> =>
  Effect.map(Path.Path, (path) => ({
    ...routing,
    groups: Array.isArray(groups) ? groups : [groups],
    root: root ?? path.resolve(".")
  }))

export const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** What a function of the catalogue has thrown is told as it is. */
export const attempt = <A>(run: () => A): Effect.Effect<A, CommandError> =>
  Effect.try({ try: run, catch: (error) => new CommandError({ message: messageOf(error) }) })

export const catalogOf = <E, R>(source: Source<E, R>): Effect.Effect<Catalog.Catalog, E | CommandError, R> =>
  Effect.flatMap(source, ({ groups, ...options }) => attempt(() => Catalog.make(groups, options)))
