import { type Context, Effect, Exit, Layer, Scope } from "effect"

/** What producers and workers of one process have in common, built for the first of them and closed with the last. */
export const share = <A, E>(layer: Layer.Layer<A, E>) => {
  let users = 0
  let scope: Scope.Closeable
  let context: Promise<Context.Context<A>>
  return {
    acquire: (): Promise<Context.Context<A>> => {
      if (users++ === 0) {
        scope = Scope.makeUnsafe()
        context = Effect.runPromise(Layer.buildWithScope(layer, scope))
      }
      return context
    },
    release: async (): Promise<void> => {
      if (--users === 0) await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}

/** Builds a layer on what is there already. Returns how to close it. */
export const build = async <A, E, R>(layer: Layer.Layer<A, E, R>, context: Context.Context<R>) => {
  const scope = Scope.makeUnsafe()
  const built = await Effect.runPromiseWith(context)(Layer.buildWithScope(layer, scope))
  return { built, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}
