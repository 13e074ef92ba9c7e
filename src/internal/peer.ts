/**
 * Loads a package that an entrance needs and that its user installs.
 *
 * @internal
 */
export const load = <A>(entrance: string, packages: string, loading: Promise<A>): Promise<A> =>
  loading.catch((cause: unknown) => {
    throw new Error(
      `effect-side-effects/${entrance} needs ${packages}, and that could not be loaded. Install it: npm install ${packages}`,
      { cause }
    )
  })
