import * as Equal from "effect/Equal"
import * as Predicate from "effect/Predicate"

const isPlain = (u: unknown): u is Record<string, unknown> =>
  Predicate.isObject(u) && (Object.getPrototypeOf(u) === Object.prototype || Object.getPrototypeOf(u) === null)

/**
 * Whether a value has everything that a partial one asks for: the fields of objects are compared one by one, arrays
 * element by element, and everything else by `Equal`.
 */
export const matches = (actual: unknown, partial: unknown): boolean => {
  if (isPlain(partial)) {
    return Predicate.isObject(actual) &&
      Object.keys(partial).every((key) => key in actual && matches((actual as any)[key], partial[key]))
  }
  if (Array.isArray(partial)) {
    return Array.isArray(actual) && actual.length === partial.length &&
      partial.every((item, index) => matches(actual[index], item))
  }
  return Equal.equals(actual, partial)
}

/** The part of a value that a partial one speaks of. */
export const project = (actual: unknown, partial: unknown): unknown => {
  if (isPlain(partial) && Predicate.isObject(actual)) {
    const projected: Record<string, unknown> = {}
    for (const key of Object.keys(partial)) {
      if (key in actual) projected[key] = project((actual as any)[key], partial[key])
    }
    return projected
  }
  if (Array.isArray(partial) && Array.isArray(actual)) return actual.map((item, index) => project(item, partial[index]))
  return actual
}

/** How much of a partial value another one does not have. The nearest has the least. */
export const distance = (actual: unknown, partial: unknown): number => {
  if (isPlain(partial)) {
    if (!Predicate.isObject(actual)) return 1 + Object.keys(partial).length
    return Object.keys(partial).reduce(
      (sum, key) => sum + (key in actual ? distance((actual as any)[key], partial[key]) : 1),
      0
    )
  }
  if (Array.isArray(partial) && Array.isArray(actual)) {
    return partial.reduce(
      (sum: number, item, index) => sum + distance(actual[index], item),
      Math.abs(actual.length - partial.length)
    )
  }
  return Equal.equals(actual, partial) ? 0 : 1
}
