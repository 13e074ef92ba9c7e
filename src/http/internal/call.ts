import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { Place, SideEffects } from "../../Place.ts"
import { committed } from "./committed.ts"
import type { UnitOptions as Options } from "./unit.ts"

/** What a middleware is told about a call; one object for all middlewares of the call. */
interface Call {
  readonly rpc: { readonly _tag: string }
}

/** Where the handler of a call stands, as seen by a further middleware of the same call. */
const standing = new WeakMap<Call, Place>()

/**
 * One call, one boundary. It stands in that of another middleware of the call, but never in one around the server: a
 * call has an answer of its own, and may outlive the request that brought it.
 */
export const unitOfCall = (
  options: Pick<Options, "dispatch" | "policy" | "onClose">
): Effect.Effect<
  <A, E, R>(self: Effect.Effect<A, E, R>, call: Call) => Effect.Effect<A, E, R | Scope.Scope>,
  never,
  SideEffects<never> | Scope.Scope
> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<SideEffects<never> | Scope.Scope>()
    const { root } = Context.get(context, SideEffects)
    const built = Place.outside(root)
    const server = Context.omit(Tracer.ParentSpan)(context)

    /** Not with the context of the call: an entity may hold a transaction open in it, which has ended by then. */
    const dispatchLater = (dispatch: Effect.Effect<void>, span: Tracer.AnySpan | undefined): Effect.Effect<void> => {
      const here: Context.Context<never> = span === undefined ? server : Context.add(server, Tracer.ParentSpan, span)
      return root.later.add(Effect.setContext(dispatch, here))
    }

    return (self, call) =>
      Effect.withFiber((fiber) => {
        const outer = standing.get(call)
        const place = outer?.root === root ? outer : built
        const name = `rpc ${call.rpc._tag}`
        const { context } = fiber
        const { onClose, policy } = options
        const state = place.open({ name, origin: name, policy, onClose, nested: committed(root, context) })
        if (options.dispatch !== "before-response" && !root.later.isFull) {
          // It is closed when the answer has been given to the protocol.
          const scope = Context.getUnsafe(context, Scope.Scope)
          const span = Context.getOrUndefined(context, Tracer.ParentSpan)
          state.defer = (dispatch) => Scope.addFinalizer(scope, dispatchLater(dispatch, span))
        }
        const inside = place.enter(state)
        standing.set(call, inside)
        return inside.enclose(self, fiber, (exit) => {
          if (outer === undefined) standing.delete(call)
          else standing.set(call, outer)
          // Not abortOnError: there is no DispatchError.
          return state.close(exit) as Effect.Effect<void> | undefined
        })
      })
  })
