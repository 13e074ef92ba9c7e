import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Formatter from "effect/Formatter"
import type * as Scope from "effect/Scope"
import * as OutboxStore from "../../../outbox/OutboxStore.ts"
import { matches, project } from "../match.ts"

// What the cases of the suite are made of.

export type Store = OutboxStore.OutboxStore["Service"]

export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, OutboxStore.OutboxStore>
}

/** A store does not do what the contract says. */
export class Violation extends /*#__PURE__*/ Data.TaggedError("Violation")<{ readonly message: string }> {}

/** A case: what it proves, as a sentence, and how. */
export const test = (
  name: string,
  body: (store: Store) => Generator<Effect.Effect<any, unknown, Scope.Scope>, void, never>
): Case => ({
  name,
  run: Effect.scoped(Effect.flatMap(OutboxStore.OutboxStore, (store) => Effect.gen(() => body(store))))
})

const shorten = (text: string) => text.length > 2_000 ? `${text.slice(0, 2_000)}… (${text.length} characters)` : text

const show = (value: unknown) => shorten(Formatter.format(value, { space: 2 }))

/** `contract`: a sentence that says how it should be. */
export const violated = (contract: string, expected: unknown, seen: unknown): Effect.Effect<never, Violation> =>
  Effect.fail(
    new Violation({ message: `The contract: ${contract}.\nExpected: ${show(expected)}\nSeen: ${show(seen)}` })
  )

export const same = <A>(contract: string, seen: A, expected: A): Effect.Effect<void, Violation> =>
  Equal.equals(seen, expected) ? Effect.void : violated(contract, expected, seen)

/** Like `same`, for a part of what is seen. */
export const has = (contract: string, seen: unknown, expected: unknown): Effect.Effect<void, Violation> =>
  matches(seen, expected) ? Effect.void : violated(contract, expected, project(seen, expected))

export const ensure = (contract: string, holds: boolean, seen: unknown): Effect.Effect<void, Violation> =>
  holds ? Effect.void : Effect.fail(new Violation({ message: `The contract: ${contract}.\nSeen: ${show(seen)}` }))

export const hour = 3_600_000
export const year = 365 * 24 * hour

export const mail = "orders:mail"
export const push = "orders:push"

export const newId = (): string => globalThis.crypto.randomUUID()

export const offer = (parts: Partial<OutboxStore.Offer> = {}): OutboxStore.Offer => ({
  id: newId(),
  name: mail,
  queue: "default",
  priority: 0,
  payload: "{}",
  redacted: undefined,
  key: undefined,
  delay: 0,
  origin: undefined,
  metadata: undefined,
  trace: undefined,
  ...parts
})

/** `count` offers, told apart by their ids. */
export const offers = (
  count: number,
  parts: (index: number) => Partial<OutboxStore.Offer> = () => ({})
): Array<OutboxStore.Offer> => Array.from({ length: count }, (_, index) => offer(parts(index)))

export const put = (
  store: Store,
  batch: ReadonlyArray<OutboxStore.Offer>
): Effect.Effect<void, OutboxStore.OutboxError | Violation> =>
  Effect.flatMap(
    store.offerMany(batch, { uniqueFor: 0 }),
    (duplicates) => same("`uniqueFor: 0` writes everything", duplicates, [])
  )

/** Writes one offer. */
export const putOne = (store: Store, parts: Partial<OutboxStore.Offer> = {}) => {
  const one = offer(parts)
  return Effect.as(put(store, [one]), one)
}

export const asking = (parts: Partial<OutboxStore.Claim> = {}): OutboxStore.Claim => ({
  worker: "worker-1",
  limit: 100,
  lease: hour,
  names: [mail, push],
  queues: undefined,
  suspects: false,
  ...parts
})

export const claim = (store: Store, parts?: Partial<OutboxStore.Claim>) => store.claim(asking(parts))

export const idsOf = (entries: ReadonlyArray<{ readonly id: string }>): Array<string> => entries.map(({ id }) => id)

/** Claims the one entry that is due. */
export const claimOne = (store: Store, parts?: Partial<OutboxStore.Claim>) =>
  Effect.flatMap(claim(store, parts), (claimed) =>
    claimed.length === 1
      ? Effect.succeed(claimed[0]!)
      : violated("`claim` gives what is due", "1 entry", claimed))

/** Claims what is due, and lets the leases run out. */
export const claimLost = (store: Store, parts?: Partial<OutboxStore.Claim>) =>
  Effect.tap(claim(store, parts), (claimed) => store.renew(claimed, 0))

/** The delivery of the one entry that is due is lost. */
export const crash = (store: Store, parts?: Partial<OutboxStore.Claim>) =>
  Effect.tap(claimOne(store, parts), (claimed) => store.renew([claimed], 0))

export const settlement = (
  { ref, token }: OutboxStore.Claimed,
  outcome: OutboxStore.Outcome,
  worker = "worker-1"
): OutboxStore.Settlement => ({ ref, token, worker, elapsed: 7, outcome })

/** Settles what the worker holds. */
export const settle = (
  store: Store,
  held: ReadonlyArray<OutboxStore.Claimed> | OutboxStore.Claimed,
  outcome: OutboxStore.Outcome
) =>
  Effect.flatMap(
    store.settle((Array.isArray(held) ? held : [held]).map((claimed) => settlement(claimed, outcome))),
    (refused) => same("`settle` is open to the holder of the current token", refused, [])
  )

export const done: OutboxStore.Outcome = { _tag: "Done", keep: true }
export const retry = (delay: number, error = "it broke"): OutboxStore.Outcome => ({ _tag: "Retry", delay, error })
export const dead = (reason: OutboxStore.Reason = "exhausted", failed = false): OutboxStore.Outcome => ({
  _tag: "Dead",
  reason,
  error: `because of ${reason}`,
  failed
})

export const entry = (store: Store, id: string) =>
  Effect.flatMap(store.get(id), (found) =>
    found === undefined
      ? violated("`get` gives the entry with this id", id, found)
      : Effect.succeed(found))

export const stateOf = (store: Store, id: string) => Effect.map(entry(store, id), ({ state }) => state)

/** One entry in each state. */
export const inEveryState = Effect.fnUntraced(function*(store: Store) {
  const ids: Record<OutboxStore.State, string> = {
    done: (yield* putOne(store)).id,
    dead: (yield* putOne(store)).id,
    running: (yield* putOne(store)).id,
    pending: newId(),
    scheduled: newId()
  }
  const held = yield* claim(store)
  const holding = (id: string) => held.filter((claimed) => claimed.id === id)
  yield* settle(store, holding(ids.done), done)
  yield* settle(store, holding(ids.dead), dead())
  yield* put(store, [offer({ id: ids.pending }), offer({ id: ids.scheduled, delay: hour })])
  const states = yield* statesOf(store, ids)
  yield* same("an entry is in the state that its deliveries have brought it to", states, {
    done: "done",
    dead: "dead",
    running: "running",
    pending: "pending",
    scheduled: "scheduled"
  })
  return { ids, running: holding(ids.running)[0]! }
})

/** What became of each of them. */
export const statesOf = (store: Store, ids: Readonly<Record<OutboxStore.State, string>>) =>
  Effect.all({
    done: stateIfAny(store, ids.done),
    dead: stateIfAny(store, ids.dead),
    running: stateIfAny(store, ids.running),
    pending: stateIfAny(store, ids.pending),
    scheduled: stateIfAny(store, ids.scheduled)
  })

const stateIfAny = (
  store: Store,
  id: string
): Effect.Effect<OutboxStore.State | "removed", OutboxStore.OutboxError> =>
  Effect.map(store.get(id), (found) => found?.state ?? "removed")
