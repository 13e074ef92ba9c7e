import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import { type Claim, type Claimed, OutboxStore, type Reason } from "../OutboxStore.ts"
import * as deliver from "./deliver.ts"

interface Options extends deliver.Options {
  readonly queues?: ReadonlyArray<string> | undefined
  readonly lease?: Duration.Input | undefined
  readonly scheduled?: boolean | undefined
  readonly limit?: number | undefined
}

const worker = "drain"

/** One entry after the other, until nothing is due. */
export const drain = Effect.fnUntraced(function*(group: SideEffectGroup.Any, options: Options = {}) {
  const store = yield* OutboxStore
  const { deliver: deliverOne, names: known } = yield* deliver.make(group, "Outbox.drain", options)
  const { limit = 10_000, queues } = options
  const lease = Duration.toMillis(Duration.fromInputUnsafe(options.lease ?? "30 seconds"))
  const names = [...known.keys()]
  const claim: Claim = { worker, limit: 1, lease, names, queues, suspects: false }
  const claimOne = Effect.fnUntraced(function*() {
    const [sound] = yield* store.claim(claim)
    return sound ?? (yield* store.claim({ ...claim, suspects: true }))[0]
  })
  if (options.scheduled === true) yield* store.change({ names, queues, states: ["scheduled"] }, { _tag: "Retry" })
  const drained = {
    done: 0,
    retried: 0,
    snoozed: 0,
    dead: { exhausted: 0, crashed: 0, cancelled: 0, undecodable: 0, unknown: 0 } satisfies Record<Reason, number>,
    ids: [] as Array<string>
  }
  const handBack = ({ ref, token }: Claimed) =>
    store.settle([{ ref, token, worker, elapsed: 0, outcome: { _tag: "Release" } }])

  /** Performs one entry. Whoever interrupts that hands it back, so that nobody has to wait for the end of the lease. */
  const one = Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    let claimed = yield* claimOne()
    // A store that remembers where things are may not know yet of what a transaction has just written.
    if (claimed === undefined && (yield* store.nextDueIn(claim)) === 0) claimed = yield* claimOne()
    if (claimed === undefined) return false
    if (drained.ids.length >= limit) {
      yield* handBack(claimed)
      return yield* Effect.die(
        new Error(
          `Outbox.drain has performed ${limit} side effects and there are more, such as "${claimed.name}". Does a ` +
            "handler go on enqueueing? Raise limit if that is right."
        )
      )
    }
    const [elapsed, outcome] = yield* restore(Effect.timed(deliverOne(claimed))).pipe(
      Effect.onError(() => Effect.ignore(handBack(claimed)))
    )
    yield* store.settle([
      { ref: claimed.ref, token: claimed.token, worker, elapsed: Math.round(Duration.toMillis(elapsed)), outcome }
    ])
    drained.ids.push(claimed.id)
    switch (outcome._tag) {
      case "Done":
        drained.done++
        break
      case "Retry":
        drained.retried++
        break
      case "Snooze":
        drained.snoozed++
        break
      case "Dead":
        drained.dead[outcome.reason]++
    }
    return true
  }))
  while (yield* one);
  return drained
})
