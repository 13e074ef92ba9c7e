/** One process of a world of an engine: a producer, a relay or a worker. Started by `world.ts`. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { SideEffects } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import { Outbox } from "effect-side-effects/outbox"
import { SqlSideEffects } from "effect-side-effects/sql"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { existsSync } from "node:fs"
import { flushCompileCache } from "node:module"
import { layerClient, layerStore } from "../lib/database.ts"
import { writer } from "../lib/log.ts"
import { makeRandom } from "../lib/random.ts"
import * as faults from "./faults.ts"
import type { Entry } from "./log.ts"
import { BookParcel, type Boundary, type Payload, placeOrder, Refused, SendConfirmation, Shop } from "./shop.ts"
import { subjectOf } from "./subjects.ts"
import { holdMark, type Task } from "./task.ts"

const task: Task = JSON.parse(process.env["CRASH_TASK"]!)
const { engine, name, namespace, ordered, outbox, role } = task
// Nobody outlives the parent, however that ends.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"))

const write = writer<Entry>(task.log, name)
const random = makeRandom(task.seed)
const at = faults.stepper(task, write)

// An engine may believe that a process is lost that only stood still. That has to be seen in the log.
let last = Date.now()
setInterval(() => {
  const took = Date.now() - last - 50
  if (took > 250) write({ is: "stood still", took })
  last = Date.now()
}, 50).unref()

const { layer, subject } = await subjectOf(engine, namespace, { mayRemove: false })
const dispatcher = faults.mortal(subject.dispatcher, at, write)
const delays = outbox !== undefined || !Engine.isEngine(subject.dispatcher) ||
  subject.dispatcher[Engine.TypeId].honours.delay

const ready = Effect.sync(() => {
  // Who is killed does not come to write it in the end.
  flushCompileCache()
  faults.tell("ready")
})

// --- producers ---

const Store = outbox === undefined ? Layer.empty : Layer.provideMerge(layerStore(outbox), layerClient(outbox))

const Live = outbox === undefined
  ? SideEffects.LiveLayer(Shop, { dispatcher }).pipe(Layer.provide(layer))
  : SideEffects.LiveLayer(Shop, { dispatcher: faults.mortal(Outbox.dispatcher(), at, write) }).pipe(
    Layer.provideMerge(Store as Layer.Layer<any, any>)
  )

const boundary = (outbox === undefined ? SideEffects.boundary : SqlSideEffects.transaction) as unknown as Boundary

const placeOrders = (lane: number) => {
  let orders = 0
  return Effect.forever(Effect.gen(function*() {
    while (existsSync(holdMark(task.log))) yield* Effect.sleep(100)
    const unit = `${name}-${lane}-${++orders}`
    write({ is: "tries", unit })
    const endless = random.chance(0.03)
    const placed = placeOrder(unit, boundary, {
      random,
      write,
      work: task.work,
      lane: ordered ? `${name}-${lane}` : undefined,
      delays,
      endless
    })
    const exit = yield* Effect.exit(endless ? Effect.timeout(placed, "300 millis") : placed)
    write(
      Exit.isSuccess(exit)
        ? { is: "succeeded", unit }
        : endless || Cause.squash(exit.cause) instanceof Refused
        ? { is: "failed", unit }
        : { is: "unsure", unit, why: Cause.pretty(exit.cause) },
      true
    )
    yield* Effect.sleep(random.between(0, 120))
  }))
}

const produce = Effect.andThen(ready, Effect.all([placeOrders(1), placeOrders(2)], { concurrency: "unbounded" })).pipe(
  Effect.provide(Live as Layer.Layer<any, any>)
)

// --- workers ---

interface Delivery {
  readonly intent: { readonly id: string }
  readonly attempt: number
  readonly idempotencyKey: string
}

let deliveries = 0

const perform = ({ fails, takes, wish }: Payload, { attempt, idempotencyKey: key, intent: { id } }: Delivery) =>
  Effect.suspend(() => {
    const delivery = `${name}/${++deliveries}`
    write({ is: "begun", delivery, id, wish, attempt, key }, true)
    at("in-handler")
    return Effect.sleep(takes).pipe(
      Effect.andThen(Effect.suspend(() => {
        const is = attempt <= fails ? "not-yet" : "ended"
        write({ is, delivery }, true)
        if (is === "ended") at("after-handler")
        return is === "ended" ? Effect.void : Effect.fail("not yet")
      })),
      Effect.onInterrupt(() => Effect.sync(() => write({ is: "interrupted", delivery })))
    )
  })

const Handlers = Layer.mergeAll(SendConfirmation.toLayer(perform), BookParcel.toLayer(perform))

const Worker = subject.layerWorker(Shop, { concurrency: 8, retry: Schedule.spaced(100), maxCrashes: 1000 }).pipe(
  Layer.provide(Handlers),
  Layer.provide(layer)
) as Layer.Layer<never, any>

// --- relays ---

const Relay = Outbox.layerRelay(Shop, { "**": dispatcher as Engine.Engine<any, any> }, { lease: "2 seconds" }).pipe(
  Layer.provide(Store as Layer.Layer<any, any>),
  Layer.provide(layer)
) as Layer.Layer<never, any>

const serve = (layer: Layer.Layer<never, any>) =>
  Effect.scoped(Effect.andThen(Layer.build(layer), Effect.andThen(ready, Effect.never)))

const roles = { producer: () => produce, worker: () => serve(Worker), relay: () => serve(Relay) }

NodeRuntime.runMain(Effect.asVoid<unknown, unknown, never>(roles[role]()), {
  // The channel to the parent would keep it alive.
  teardown: (exit) => process.exit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0)
})
