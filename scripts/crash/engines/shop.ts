import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Random } from "../lib/random.ts"
import type { Write } from "./log.ts"

const payload = {
  wish: Schema.String,
  /** How long the handler takes, and how often it fails at first. */
  takes: Schema.Number,
  fails: Schema.Number
}

export type Payload = { readonly wish: string; readonly takes: number; readonly fails: number }

export class SendConfirmation extends SideEffect.make("shop:mail:send-confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload
}) {}

export class BookParcel extends SideEffect.make("shop:parcels:book", {
  description: "Book a parcel with the carrier.",
  payload
}) {}

export const Shop = SideEffectGroup.make("shop").add(SendConfirmation, BookParcel)

/** A unit of work that was meant to fail. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

export interface Mix {
  readonly random: Random
  readonly write: Write
  readonly work: number
  /** The keys of the lane that this unit is in, where intents with one key are performed in order. */
  readonly lane: string | undefined
  /** Whether the engine takes delays. */
  readonly delays: boolean
  /** Whether it is interrupted before it ends. */
  readonly endless: boolean
}

/** A boundary, and a transaction where there is one. */
export type Boundary = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const makeWish = Effect.fnUntraced(
  function*(id: string, unit: string, { delays, lane, random, work, write }: Mix, inVain: boolean) {
    // A definition has its own sequence where there is an order: keys are those of one side effect.
    const key = lane !== undefined
      ? `${lane}-${random.between(1, 2)}`
      : random.chance(0.3)
      ? `key of ${id}`
      : undefined
    const delay = delays && lane === undefined && random.chance(0.15) ? random.between(100, 800) : 0
    const fails = lane === undefined && random.chance(0.05) ? 1 : 0
    const definition = lane !== undefined || random.chance(0.5) ? SendConfirmation : BookParcel
    write({ is: "wishes", unit, id, key, notBefore: Date.now() + delay, inVain })
    yield* SideEffects.enqueue(
      definition,
      { wish: id, takes: random.between(0, work), fails },
      { key, ...(delay > 0 ? { delay } : {}) }
    )
  }
)

/** One to four wishes, of which some are in a boundary of their own that fails; sometimes all of it does. */
export const placeOrder = (unit: string, boundary: Boundary, mix: Mix) =>
  boundary(Effect.gen(function*() {
    const { random } = mix
    const fate = random.next()
    for (let n = random.between(1, 3); n > 0; n--) yield* makeWish(`${unit}/${n}`, unit, mix, false)
    if (random.chance(0.3)) {
      const inVain = random.chance(0.5)
      const part = makeWish(`${unit}/nested`, unit, mix, inVain)
      yield* inVain ? Effect.ignore(boundary(Effect.andThen(part, new Refused()))) : boundary(part)
    }
    if (fate < 0.1) return yield* new Refused()
    if (fate < 0.13) return yield* Effect.die(new Refused())
    if (mix.endless) return yield* Effect.never
  }))
