import { type Context, Effect, Exit, Layer, Scope } from "effect"

/** How a process is connected: as one that only adds, or as one that performs. */
export type Connect = (performs: boolean) => Layer.Layer<any, any>

/**
 * What producers and workers of one process have in common, built for the first of them and closed with the last. The
 * worker comes first where there are both.
 */
export const share = (connect: Connect) => {
  let users = 0
  let scope: Scope.Closeable
  let context: Promise<Context.Context<any>>
  const release = async (): Promise<void> => {
    if (--users === 0) await Effect.runPromise(Scope.close(scope, Exit.void))
  }
  const acquire = (performs: boolean): Promise<Context.Context<any>> => {
    if (users++ === 0) {
      scope = Scope.makeUnsafe()
      context = Effect.runPromise(Layer.buildWithScope(connect(performs), scope))
    }
    return context
  }
  /** Builds a layer on that. */
  const build = async <A>(layer: Layer.Layer<A, any, any>, performs: boolean) => {
    const services = await acquire(performs)
    const scope = Scope.makeUnsafe()
    const context = await Effect.runPromiseWith(services)(Layer.buildWithScope(layer, scope))
    const close = async (): Promise<void> => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await release()
    }
    return { context, close }
  }
  return { acquire, release, build }
}
