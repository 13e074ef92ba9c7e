import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Instruments } from "../../Instruments.ts"
import type * as Intent from "../../Intent.ts"
import { Cancel, Snooze } from "../../internal/control.ts"
import type { IntentInternal } from "../../internal/intent.ts"
import { spanOf, visible } from "../../internal/trace.ts"
import { errorType } from "./reason.ts"

/** The dispatch around a handler, also where the handler runs in the trace of somebody else. */
class Dispatch extends Context.Service<Dispatch, Tracer.Span>()("effect-side-effects/observability/Dispatch") {}

const enqueuedIn = (intent: Intent.Any): Tracer.AnySpan | undefined =>
  spanOf((intent as unknown as IntentInternal).trace)

const within = <A, E, R>(self: Effect.Effect<A, E, R>, span: Tracer.Span): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Tracer.ParentSpan, span) as Effect.Effect<A, E, R>

const originOf = ({ origin }: Intent.Any): string | undefined => typeof origin === "object" ? origin.name : origin

const release: Instruments["release"] = (self, { ofHandler, options: { name } }, intents) =>
  Effect.withFiber((fiber) => {
    // Where there is no span around the boundary, and where the handler that enqueued has ended.
    const wanted = ofHandler || visible(fiber.cache.span) === undefined ? enqueuedIn(intents[0]!) : undefined
    return Effect.useSpan("SideEffects.release", {
      parent: wanted,
      attributes: name === undefined
        ? { "side_effects.count": intents.length }
        : { "side_effects.boundary": name, "side_effects.count": intents.length }
    }, (span) => within(self, span))
  })

const dispatch: Instruments["dispatch"] = (self, dispatcher, intents) =>
  Effect.useSpan("SideEffects.dispatch", {
    attributes: { "side_effects.dispatcher": dispatcher, "side_effects.count": intents.length }
  }, (span) => within(Effect.provideService(self, Dispatch, span), span))

/** What a handler ends with that is no error, though the attempt is over. */
class Ended {
  readonly cause: Cause.Cause<any>
  constructor(cause: Cause.Cause<any>) {
    this.cause = cause
  }
}

const deliver: Instruments["deliver"] = (self, { attempt, intent }, dispatcher) =>
  Effect.withFiber((fiber) => {
    const from = enqueuedIn(intent)
    const by = Context.getOrUndefined(fiber.context, Dispatch)
    const again = attempt > 1
    const links: Array<Tracer.SpanLink> = []
    if (again && from !== undefined) links.push({ span: from, attributes: { "side_effect.link": "enqueued" } })
    if (by !== undefined && (again || from !== undefined)) {
      links.push({ span: by, attributes: { "side_effect.link": "dispatched" } })
    }
    const { id, name } = intent
    const origin = originOf(intent)
    const delivery = Effect.useSpan(`deliver ${name}`, {
      kind: "consumer",
      links,
      parent: again ? undefined : from,
      root: again,
      // A retry of what was not to be traced is not traced either.
      sampled: again && (from ?? by)?.sampled === false ? false : undefined,
      attributes: {
        "side_effect.name": name,
        "side_effect.intent_id": id,
        "side_effect.attempt": attempt,
        "side_effect.dispatcher": dispatcher,
        "messaging.system": "effect-side-effects",
        "messaging.operation.name": "deliver",
        "messaging.operation.type": "process",
        "messaging.destination.name": name,
        "messaging.message.id": id
      }
    }, (span) => {
      if (origin !== undefined) span.attribute("side_effect.origin", origin)
      return Effect.matchCauseEffect(within(self, span), {
        onFailure: (cause) => {
          const control = cause.reasons.find(Cause.isDieReason)?.defect
          const outcome = control instanceof Cancel ? "cancelled" : control instanceof Snooze ? "snoozed" : undefined
          span.attribute("side_effect.outcome", outcome ?? "failed")
          if (outcome !== undefined) return Effect.succeed(new Ended(cause))
          span.attribute("error.type", errorType(cause))
          return Effect.failCause(cause)
        },
        onSuccess: (value) => {
          span.attribute("side_effect.outcome", "succeeded")
          return Effect.succeed(value)
        }
      })
    })
    return Effect.flatMap(
      delivery,
      (value) => value instanceof Ended ? Effect.failCause(value.cause) : Effect.succeed(value)
    )
  }) as any

export const spans: Pick<Instruments, "release" | "dispatch" | "deliver"> = { release, dispatch, deliver }
