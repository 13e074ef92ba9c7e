/** One process of a world: a producer, a worker, or somebody who migrates or replays. Started by `lib/world.ts`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { SideEffects } from "effect-side-effects"
import { Outbox, OutboxStore } from "effect-side-effects/outbox"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { layerClient, layerStore, obeyMark } from "./lib/database.ts"
import * as faults from "./lib/faults.ts"
import { writer } from "./lib/log.ts"
import { makeRandom } from "./lib/random.ts"
import { BookParcel, placeOrder, PrintLabel, Refused, SendConfirmation, Shop } from "./lib/shop.ts"
import type { Task } from "./lib/task.ts"

const task: Task = JSON.parse(process.env["CRASH_TASK"]!)
const { database, lease, name, role } = task
// Nobody outlives the parent, however that ends.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))

const write = writer(task.log, name)
const random = makeRandom(task.seed)
const at = faults.stepper(task, write)
/** The token of the claim that an entry is performed under, in this process. */
const held = new Map<string, number>()
let armed = role === "migrator"

// A lease may also be lost because the machine is busy with other things. That has to be seen in the log.
let last = Date.now()
setInterval(() => {
  const took = Date.now() - last - 50
  if (took > lease / 4) write({ is: "trouble", what: "stood still", took })
  last = Date.now()
}, 50).unref()

const skews = task.skews ?? [0]
const real = Clock.Clock.defaultValue()
const millis = () => real.currentTimeMillisUnsafe() + skews[Math.floor(Date.now() / 1000) % skews.length]!
const nanos = () => BigInt(millis()) * 1_000_000n
const wrongClock: Clock.Clock = {
  currentTimeMillisUnsafe: millis,
  currentTimeMillis: Effect.sync(millis),
  currentTimeNanosUnsafe: nanos,
  currentTimeNanos: Effect.sync(nanos),
  monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: real.monotonicTimeNanos,
  sleep: (duration) => real.sleep(duration)
}

const Client = faults.layerClient(task, at, () => armed).pipe(Layer.provide(layerClient(database)))
const Limit = database.kind === "sqlite" && task.limited
  ? Layer.effectDiscard(Effect.forkScoped(obeyMark(database.filename)))
  : Layer.empty
const Store = faults.layerStore(task, at, write, held).pipe(
  Layer.provide(layerStore(database)),
  Layer.provideMerge(Layer.provideMerge(Limit, Client))
)

// --- producers ---

const placeOrders = Effect.gen(function*() {
  armed = true
  faults.tell("ready")
  let orders = 0
  const one = Effect.gen(function*() {
    const order = `${name}-${++orders}`
    const poison = task.poisons > 0 && orders % 10 === 3 && orders < task.poisons * 10
    write({ is: "tries", order })
    const interrupted = !poison && random.chance(0.03)
    const placed = placeOrder(order, { random, work: task.work, poison, endless: interrupted })
    const exit = yield* Effect.exit(interrupted ? Effect.timeout(placed, "300 millis") : placed)
    write(
      Exit.isSuccess(exit)
        ? { is: "committed", order }
        : interrupted || Cause.squash(exit.cause) instanceof Refused
        ? { is: "rolled-back", order }
        : { is: "unsure", order, why: Cause.pretty(exit.cause) }
    )
    yield* Effect.sleep(random.between(0, 120))
  })
  yield* Effect.all([Effect.forever(one), Effect.forever(one)], { concurrency: "unbounded" })
}).pipe(
  Effect.provide(SideEffects.LiveLayer(Shop, { dispatcher: Outbox.dispatcher() }).pipe(Layer.provideMerge(Store)))
)

// --- workers ---

interface Payload {
  readonly wish: string
  readonly takes: number
  readonly fails: number
}

interface Delivery {
  readonly intent: { readonly id: string }
  readonly attempt: number
  readonly idempotencyKey: string
}

const perform = (poison: boolean) => ({ fails, takes, wish }: Payload, delivery: Delivery) =>
  Effect.suspend(() => {
    const { attempt, idempotencyKey: key, intent: { id } } = delivery
    const token = held.get(id)!
    write({ is: "begun", id, token, wish, attempt, key }, true)
    at("in-handler")
    at("stop-in-handler")
    if (poison) process.kill(process.pid, "SIGKILL")
    return Effect.sleep(takes).pipe(
      Effect.andThen(Effect.suspend(() => {
        const is = attempt <= fails ? "failed" : "ended"
        write({ is, token }, true)
        return is === "failed" ? Effect.fail("not yet") : Effect.void
      })),
      Effect.onInterrupt(() => Effect.sync(() => write({ is: "interrupted", token })))
    )
  })

const Handlers = Layer.mergeAll(
  SendConfirmation.toLayer(perform(false)),
  BookParcel.toLayer(perform(false)),
  PrintLabel.toLayer(perform(true))
)

const Worker = Outbox.layerWorker(Shop, {
  id: name,
  concurrency: 8,
  batchSize: 16,
  lease,
  pollInterval: 200,
  retry: Schedule.spaced(100),
  maxCrashes: task.maxCrashes,
  cleanupInterval: 2000
}).pipe(Layer.provide(Handlers), Layer.provide(Store))

const work = Effect.scoped(
  Layer.build(Worker).pipe(Effect.andThen(Effect.sync(() => faults.tell("ready"))), Effect.andThen(Effect.never))
)

// --- operators ---

/** Repeats everything that is done and was not repeated yet. */
const replay = Effect.gen(function*() {
  const store = yield* OutboxStore.OutboxStore
  const entries = yield* store.find({ names: [BookParcel._tag] }, { limit: 10_000 })
  const repeated = new Set(entries.map(({ replayOf }) => replayOf))
  const ids = entries
    .filter(({ id, replayOf, state }) => state === "done" && replayOf === undefined && !repeated.has(id))
    .map(({ id }) => id)
  armed = true
  faults.tell("ready")
  yield* store.change({ ids }, { _tag: "Replay" })
  at("in-replay")
}).pipe(Effect.provide(Store))

const roles = { producer: placeOrders, worker: work, migrator: Effect.scoped(Layer.build(Store)), operator: replay }

NodeRuntime.runMain(
  Effect.provideService(Effect.asVoid<unknown, unknown, never>(roles[role]), Clock.Clock, wrongClock),
  {
    // The channel to the parent would keep it alive.
    teardown: (exit) => process.exit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0)
  }
)
