/**
 * The phantom behind `SideEffects.SideEffects`: the definitions have to recognise the requirement without importing the
 * service that satisfies it.
 *
 * It holds the name itself, as a literal: the compiler tells two of them apart by it at once, where it would have to
 * compare each with each in the union of all that a program needs.
 */
export interface Requirement<out Name extends string> {
  readonly "~effect-side-effects/SideEffects": Name
}

/** The names of the side effects that an `R` can enqueue. */
export type Names<R> = R extends Requirement<infer Name> ? Name : never

/** An `R` without the requirement to be able to enqueue. */
export type Without<R> = Exclude<R, Requirement<any>>
