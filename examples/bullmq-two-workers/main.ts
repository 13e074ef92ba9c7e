/**
 * BullMQ with two workers, on one machine: a program enqueues some thousands of side effects, two others perform them,
 * and one of these is killed in the middle.
 *
 * `REDIS_URL=redis://127.0.0.1:6379 npm run example examples/bullmq-two-workers/main.ts`. What it makes there begins with
 * `bullmq-two-workers-`, and is removed in the end.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Clock, ConfigProvider, Console, Effect, Layer, Path, Schema } from "effect"
import { SideEffects } from "effect-side-effects"
import { BullMqSideEffects } from "effect-side-effects/bullmq"
import { ChildProcess } from "effect/process"
import { BullMq, Prefix, Provider, SendReceipt, Shop } from "./receipts.ts"

const orders = 2000
const together = 50

class WorkerEnded extends Schema.TaggedError<WorkerEnded>()("WorkerEnded", { name: Schema.String }) {
  override get message() {
    return `The ${this.name} worker has ended by itself.`
  }
}

const start = Effect.fnUntraced(function*(name: string) {
  const path = yield* Path.Path
  const args = [...process.execArgv, path.join(import.meta.dirname, "worker.ts")]
  const worker = yield* ChildProcess.make(process.execPath, args, {
    env: { WORKER: name, PREFIX: yield* Prefix },
    extendEnv: true,
    stdout: "inherit",
    stderr: "inherit",
    forceKillAfter: "2 seconds"
  })
  let killed = false
  const ended = Effect.exit(worker.exitCode).pipe(
    Effect.flatMap(() => killed ? Effect.never : Effect.fail(new WorkerEnded({ name })))
  )
  return {
    name,
    whileItRuns: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.raceFirst(self, ended),
    kill: Effect.suspend(() => {
      killed = true
      return worker.kill({ killSignal: "SIGKILL" })
    })
  }
})

const number = (n: number) => n.toLocaleString("en-US").padStart(7)

const run = Effect.gen(function*() {
  const provider = yield* Provider
  const [first, second] = [yield* start("first"), yield* start("second")]
  const running = <A, E, R>(self: Effect.Effect<A, E, R>) => first.whileItRuns(second.whileItRuns(self))

  const { queue } = yield* BullMqSideEffects.BullMq
  const workers = Effect.promise(() => queue().getWorkersCount())
  yield* running(Effect.repeat(Effect.delay(workers, "20 millis"), { until: (count) => count === 2 }))

  // A unit of work for each fifty orders, as a service has one for each request. The name of a handler is nowhere here.
  const enqueueing = Effect.forEach(
    Array.from({ length: orders / together }, (_, unit) => unit),
    (unit) =>
      SideEffects.boundary(SideEffects.enqueueAll(
        Array.from({ length: together }, (_, i) => [SendReceipt, { order: unit * together + i + 1 }] as const)
      )),
    { discard: true }
  )
  const began = yield* Clock.currentTimeMillis
  const seconds = Effect.map(Clock.currentTimeMillis, (now) => `${((now - began) / 1000).toFixed(1).padStart(5)} s `)

  const killing = Effect.gen(function*() {
    yield* Effect.repeat(Effect.delay(provider.sent, "20 millis"), { until: (sent) => sent >= orders / 3 })
    yield* second.kill
    const { of } = yield* provider.books
    const { begun, done } = of("second")
    yield* Console.log(`${yield* seconds} the second worker is killed with SIGKILL; it was performing ${begun - done}`)
  })
  const enqueued = Effect.gen(function*() {
    yield* enqueueing
    yield* Console.log(`${yield* seconds} all ${orders.toLocaleString("en-US")} are enqueued`)
  })
  yield* running(Effect.all([enqueued, killing], { concurrency: "unbounded" }))

  // Nothing waits and nothing runs: the locks of the second worker have run out, and what it held was performed.
  yield* running(SideEffects.drain)
  yield* Console.log(`${yield* seconds} nothing waits and nothing runs`)

  const { deduplicated, deliveries, of } = yield* provider.books
  const sent = yield* provider.sent
  const again = [...deliveries.values()].filter((times) => times > 1).length
  const inHandler = of("second").begun - of("second").done
  const failed = yield* Effect.promise(() => queue().getFailedCount())
  const row = ({ name }: { readonly name: string }) => {
    const { begun, done } = of(name)
    return `${name.padEnd(8)}${number(begun)}${number(done)}`
  }
  yield* Console.log(`
worker    begun   done
${row(first)}
${row(second)}  (killed)

${number(again)} begun twice: ${inHandler} in a handler at the kill, ${again - inHandler} done and not settled
${number(deduplicated)} of these the provider knew by their key, and did not send again
${number(sent)} receipts sent, of ${orders.toLocaleString("en-US")}
${number(orders - sent)} lost
${number(failed)} failed`)
})

// As many programs, as many connections. This one has no handlers: it does not perform.
const Enqueueing = SideEffects.LiveLayer(Shop, { dispatcher: BullMqSideEffects.dispatcher() }).pipe(
  Layer.provideMerge(BullMq)
)

const cleared = Effect.acquireRelease(Provider, ({ clear }) => clear)

const Settings = ConfigProvider.layer(ConfigProvider.orElse(
  ConfigProvider.fromUnknown({ PREFIX: `bullmq-two-workers-${process.pid}` }),
  ConfigProvider.fromEnv()
))

export const program = Effect.andThen(cleared, run).pipe(
  Effect.scoped,
  Effect.provide(Layer.mergeAll(Enqueueing, Provider.layer, NodeServices.layer).pipe(Layer.provideMerge(Settings)))
)

if (import.meta.main) {
  if (process.env["REDIS_URL"]) NodeRuntime.runMain(program)
  else {
    console.error("Set REDIS_URL, for example REDIS_URL=redis://127.0.0.1:6379")
    process.exitCode = 1
  }
}
