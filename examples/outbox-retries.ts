/**
 * Retries and dead letters: what becomes of a side effect that does not go well, and how it is put right.
 *
 * The store is in memory, so that this file runs by itself. On a database nothing is different.
 */
import { Console, Context, Duration, Effect, Layer, Ref, Schedule, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { MemoryOutboxStore, Outbox } from "effect-side-effects/outbox"

class TellPartner extends SideEffect.make("orders:partner:tell", {
  description: "Tell a partner about an order.",
  payload: { order: Schema.String, partner: Schema.String }
}) {}

const Orders = SideEffectGroup.make("orders").add(TellPartner)

// --- the outside, which has four ways to answer ---

class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", { partner: Schema.String }) {
  override get message() {
    return `${this.partner} does not answer`
  }
}
class AtLunch extends Schema.TaggedError<AtLunch>()("AtLunch", { back: Schema.DurationFromMillis }) {}
class ClosedDown extends Schema.TaggedError<ClosedDown>()("ClosedDown", {}) {}

type Answer = NoAnswer | AtLunch | ClosedDown

/** How each partner answers next. When there is nothing left, it takes the order. */
class Partners extends Context.Service<Partners, Ref.Ref<ReadonlyArray<Answer>>>()("example/Partners") {
  static readonly layer = Layer.effect(Partners, Ref.make<ReadonlyArray<Answer>>([]))
}

const answer = Effect.flatMap(Partners, Ref.modify(([next, ...rest]) => [next, rest]))

// --- the handler ---

const Handler = TellPartner.toLayer(
  Effect.fnUntraced(
    function*({ order, partner }, { attempt }) {
      const refusal = yield* answer
      yield* Console.log(`  attempt ${attempt}: ${refusal === undefined ? `${partner} takes ${order}` : refusal._tag}`)
      if (refusal !== undefined) return yield* refusal
    },
    // What is no use to try again is cancelled, and what has its time is snoozed, which costs no attempt.
    Effect.catchTags({
      ClosedDown: () => SideEffect.cancel("the partner has closed down"),
      AtLunch: ({ back }) => SideEffect.snooze(back)
    })
  ),
  {
    timeout: "1 second",
    retry: Schedule.exponential("10 millis"),
    maxAttempts: 3,
    onExhausted: (_, { intent }) =>
      Console.log(`  alert: ${intent.payload.partner} knows nothing of ${intent.payload.order}`)
  }
)

const Services = Layer.mergeAll(
  SideEffects.LiveLayer(Orders, { dispatcher: Outbox.dispatcher() }),
  Outbox.layerWorker(Orders).pipe(Layer.provide(Handler)),
  Outbox.layer(Orders)
).pipe(Layer.provide(MemoryOutboxStore.layer), Layer.provideMerge(Partners.layer))

// --- what an operator sees ---

/** Waits until nothing is due, running or waiting for its time. */
const settled = Outbox.Outbox.use((outbox) => outbox.count({ states: ["pending", "scheduled", "running"] })).pipe(
  Effect.delay("5 millis"),
  Effect.repeat({ while: (left) => left > 0 })
)

const tell = Effect.fn("tell")(function*(partner: string, answers: ReadonlyArray<Answer>) {
  yield* Console.log(`${partner}:`)
  yield* Ref.set(yield* Partners, answers)
  const { id } = yield* SideEffects.boundary(SideEffects.enqueue(TellPartner, { order: "A-1", partner }))
  yield* settled
  const outbox = yield* Outbox.Outbox
  const { attempts, error, reason, state } = yield* outbox.show(id)
  yield* Console.log(
    `  ${state} after attempt ${attempts}${state === "dead" ? `: ${reason}, ${error?.split("\n", 1)}` : ""}`
  )
  return id
})

export const program = Effect.gen(function*() {
  const outbox = yield* Outbox.Outbox
  yield* tell("acme", [new NoAnswer({ partner: "acme" }), new NoAnswer({ partner: "acme" })])
  yield* tell("bistro", [new AtLunch({ back: Duration.millis(20) })])
  yield* tell("closed", [new ClosedDown()])
  const id = yield* tell("down", Array.from({ length: 3 }, () => new NoAnswer({ partner: "down" })))

  yield* Console.log("the dead letters, and every delivery of one of them:")
  for (const { payload, reason } of yield* outbox.list({ states: ["dead"] })) {
    yield* Console.log(`  ${reason}: ${payload}`)
  }
  for (const { attempt, outcome } of (yield* outbox.show(id)).history) yield* Console.log(`    ${attempt} ${outcome}`)

  yield* Console.log("down is up again, so what it did not hear gets another try:")
  yield* Console.log(
    `  ${yield* outbox.retry({ states: ["dead"], reasons: ["exhausted"], error: "down does not answer" })} retried`
  )
  yield* settled
}).pipe(Effect.provide(Services))

if (import.meta.main) Effect.runPromise(program)
