import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SqlSideEffects } from "effect-side-effects/sql"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { Random } from "./random.ts"

const payload = {
  wish: Schema.String,
  /** How long the handler takes, and how often it fails at first. */
  takes: Schema.Number,
  fails: Schema.Number
}

export class SendConfirmation extends SideEffect.make("shop:mail:send-confirmation", {
  description: "Email the customer a confirmation of the order.",
  payload
}) {}

export class BookParcel extends SideEffect.make("shop:parcels:book", {
  description: "Book a parcel with the carrier.",
  payload
}) {}

export class PrintLabel extends SideEffect.make("shop:labels:print", {
  description: "Print a label. The printer kills the process.",
  payload
}) {}

export const Shop = SideEffectGroup.make("shop").add(SendConfirmation).add(BookParcel).add(PrintLabel)

/** An order that was meant to be rolled back. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

export interface Mix {
  readonly random: Random
  readonly work: number
  /** Whether this order has what kills the process that performs it. */
  readonly poison: boolean
  /** Whether it is interrupted before it ends. */
  readonly endless: boolean
}

const makeWish = Effect.fnUntraced(function*(id: string, order: string, { random, work }: Mix, poison: boolean) {
  const sql = yield* SqlClient.SqlClient
  // Orders of all processes meet on a few keys for half a second, then on others.
  const key = !poison && random.chance(0.15) ? `${Math.floor(Date.now() / 500)}-${random.between(1, 3)}` : undefined
  const delay = random.chance(0.15) ? random.between(100, 800) : 0
  yield* sql`INSERT INTO wishes (id, order_id, key, not_before, poison)
    VALUES (${id}, ${order}, ${key ?? null}, ${Date.now() + delay}, ${Number(poison)})`
  const fails = random.chance(0.05) ? 1 : 0
  yield* SideEffects.enqueue(
    poison ? PrintLabel : key !== undefined || random.chance(0.5) ? SendConfirmation : BookParcel,
    { wish: id, takes: random.between(0, work), fails },
    { key, delay, priority: random.chance(0.2) ? random.between(-1, 2) : undefined }
  )
})

/** One to four wishes, of which some are in a savepoint that is rolled back; sometimes all of it is. */
export const placeOrder = Effect.fnUntraced(function*(order: string, mix: Mix) {
  const { random } = mix
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO orders (id) VALUES (${order})`
  const wishes = random.between(1, 3)
  for (let n = 1; n <= wishes; n++) yield* makeWish(`${order}/${n}`, order, mix, false)
  if (mix.poison) yield* makeWish(`${order}/poison`, order, mix, true)
  if (random.chance(0.3)) {
    const part = makeWish(`${order}/nested`, order, mix, false)
    yield* random.chance(0.5)
      ? SqlSideEffects.transaction(part)
      : Effect.ignore(SqlSideEffects.transaction(Effect.andThen(part, new Refused())))
  }
  if (mix.poison) return
  if (random.chance(0.1)) return yield* new Refused()
  if (random.chance(0.03)) return yield* Effect.die(new Refused())
  if (mix.endless) return yield* Effect.never
}, SqlSideEffects.transaction())
