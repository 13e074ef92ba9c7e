import type * as Types from "effect/Types"

/**
 * The phantom behind `SideEffects.SideEffects`: the definitions have to recognise the requirement without importing the
 * service that satisfies it.
 */
export interface Requirement<out Name extends string> {
  readonly "~effect-side-effects/SideEffects": Types.Covariant<Name>
}

/** The names of the side effects that an `R` can enqueue. */
export type Names<R> = R extends Requirement<infer Name> ? Name : never

/** An `R` without the requirement to be able to enqueue. */
export type Without<R> = Exclude<R, Requirement<any>>
