/**
 * The same job twice: with the library, and with the least that a person could write by hand who knows Effect well. Both
 * validate the payload with the same schema, give each intent a UUID, keep it until the unit of work has succeeded, and
 * then run the same handler for one intent after the other.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { Dispatcher, type Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { randomUUID } from "node:crypto"

const PayloadSchema = Schema.Struct({ orderId: Schema.String, to: Schema.String, amount: Schema.Number })

type Payload = typeof PayloadSchema.Type

const orderIds = Array.from({ length: 1000 }, (_, i) => `order-${i}`)

/** A new object each time, as in a program. */
const payloadOf = (i: number): Payload => ({ orderId: orderIds[i % 1000]!, to: "ada@example.com", amount: i })

let performed = 0

const perform = ({ amount }: Payload): Effect.Effect<void> =>
  Effect.sync(() => {
    if (amount >= 0) performed++
  })

/** How many handlers have run since the last time. */
export const takePerformed = (): number => {
  const taken = performed
  performed = 0
  return taken
}

/** `body` once for each of `n` numbers, with nothing around it where it is one. */
export const repeat = <A, E, R>(n: number, body: (i: number) => Effect.Effect<A, E, R>): Effect.Effect<unknown, E, R> =>
  n === 1 ? body(0) : Effect.forEach(numbers(n), body, { discard: true })

const lists = new Map<number, ReadonlyArray<number>>()

const numbers = (n: number): ReadonlyArray<number> => {
  let list = lists.get(n)
  if (list === undefined) lists.set(n, list = Array.from({ length: n }, (_, i) => i))
  return list
}

// --- with the library

class SendReceipt extends SideEffect.make("orders:mail:send-receipt", {
  description: "Email the customer a receipt.",
  payload: PayloadSchema
}) {}

class SendReminder extends SideEffect.make("orders:mail:send-reminder", {
  description: "Remind the customer to pay.",
  payload: PayloadSchema
}) {}

const Orders = SideEffectGroup.make("orders").add(SendReceipt, SendReminder)

const handlers = Orders.toLayer({ "orders:mail:send-receipt": perform, "orders:mail:send-reminder": perform })

export const layer = (dispatcher: Dispatcher.Dispatcher<true>) =>
  SideEffects.LiveLayer(Orders, { dispatcher }).pipe(Layer.provide(handlers))

/** Both are run in it, so that neither has the smaller context. */
export const live = await Effect.runPromise(Effect.scoped(Layer.build(layer(Dispatcher.inline()))))

export const LiveInBackground = layer(Dispatcher.background())

export const ours = {
  enqueue: (i: number) => SideEffects.enqueue(SendReceipt, payloadOf(i)),
  boundary: <A, E, R>(self: Effect.Effect<A, E, R>, policy?: Policy.Policy) =>
    SideEffects.boundary(self, policy === undefined ? undefined : { policy })
}

// --- by hand

interface Intent {
  readonly id: string
  readonly name: string
  readonly payload: any
}

class Outgoing extends Context.Service<Outgoing, Array<Intent>>()("bench/Outgoing") {}

const performers: Readonly<Record<string, (payload: any) => Effect.Effect<void>>> = {
  "orders:mail:send-receipt": perform,
  "orders:mail:send-reminder": perform
}

const enqueueByHand = (name: string, schema: typeof PayloadSchema, payload: Payload) =>
  Outgoing.useSync((outgoing) => {
    const intent: Intent = { id: randomUUID(), name, payload: schema.make(payload) }
    outgoing.push(intent)
    return intent
  })

export const byHand = {
  enqueue: (i: number) => enqueueByHand("orders:mail:send-receipt", PayloadSchema, payloadOf(i)),

  boundary: <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Outgoing>> =>
    Effect.suspend(() => {
      const outgoing: Array<Intent> = []
      return Effect.tap(
        Effect.provideService(self, Outgoing, outgoing),
        () => Effect.forEach(outgoing, ({ name, payload }) => performers[name]!(payload), { discard: true })
      )
    }),

  /** Inside another one: hands over instead of performing. */
  nested: <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Outgoing> =>
    Outgoing.use((around) =>
      Effect.suspend(() => {
        const outgoing: Array<Intent> = []
        return Effect.tap(Effect.provideService(self, Outgoing, outgoing), () =>
          Effect.sync(() => {
            for (const intent of outgoing) around.push(intent)
          }))
      })
    )
}
