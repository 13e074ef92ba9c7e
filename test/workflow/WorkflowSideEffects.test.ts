import { assert, describe, it } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { WorkflowSideEffects } from "effect-side-effects/workflow"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type * as Tracer from "effect/Tracer"
import * as Activity from "effect/workflow/Activity"
import * as DurableClock from "effect/workflow/DurableClock"
import * as DurableDeferred from "effect/workflow/DurableDeferred"
import * as Workflow from "effect/workflow/Workflow"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import { makePostgres, makeSqlite } from "../engine/subjects/workflow.ts"
import { logs } from "../fixtures.ts"

class Send extends SideEffect.make("flow:send", {
  description: "Send something.",
  payload: { id: Schema.String }
}) {}

class Note extends SideEffect.make("flow:note", {
  description: "Note something.",
  payload: { id: Schema.String }
}) {}

const Flow = SideEffectGroup.make("flow").add(Send, Note)

interface Call {
  readonly id: string
  readonly attempt: number
  readonly key: string
}

type Then = (call: Call) => Effect.Effect<unknown, string>

/** What the handlers did, in order, and what each of them ends with. */
const script = Effect.fnUntraced(function*(then: Then) {
  const calls = yield* Queue.make<Call>()
  const handlers = (options: SideEffect.HandlerOptions<string> = {}) =>
    Layer.merge(
      Send.toLayer(({ id }, { attempt, idempotencyKey }) => {
        const call = { id, attempt, key: idempotencyKey }
        return Effect.andThen(Queue.offer(calls, call), Effect.suspend(() => then(call)))
      }, options),
      Note.toLayer(({ id }) => Queue.offer(calls, { id: `note ${id}`, attempt: 1, key: "" }))
    )
  return { calls, handlers }
})

const Writing = SideEffects.LiveLayer(Flow, { dispatcher: WorkflowSideEffects.dispatcher() })

const send = (id: string, options?: { readonly delay?: string }) =>
  SideEffects.boundary(SideEffects.enqueue(Send, { id }, options as any))

const { interrupt, poll } = WorkflowSideEffects

/** Polls: a workflow engine tells nobody when an execution comes to rest. */
const until = (id: string, tag: "Complete" | "Suspended") =>
  Effect.gen(function*() {
    while (true) {
      const result = yield* poll(id)
      if (result._tag === "Some" && result.value._tag === tag) return result.value as any
      yield* Effect.yieldNow
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
  })

const inMemory = <A, E>(
  layer: Layer.Layer<A, E, WorkflowEngine.WorkflowEngine>
): Layer.Layer<A | WorkflowEngine.WorkflowEngine, E> =>
  layer.pipe(Layer.provideMerge(Layer.fresh(WorkflowEngine.layerMemory)), Layer.provide(logs().layer)) as any

const open = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.build(Layer.fresh(layer)).pipe(Scope.provide(scope))
    return { context, close: Scope.close(scope, Exit.void) }
  })

describe("dispatcher and layerWorker, in memory", () => {
  it.effect("keep an intent for days, and make each attempt once although the workflow runs again for it", () =>
    Effect.gen(function*() {
      const { calls, handlers } = yield* script(({ attempt }) => attempt < 4 ? Effect.fail("not yet") : Effect.void)
      const Performing = WorkflowSideEffects.layerWorker(Flow).pipe(
        Layer.provide(handlers({ retry: Schedule.spaced("2 days") }))
      )
      yield* Effect.gen(function*() {
        const intent = yield* send("a", { delay: "3 days" })
        yield* until(intent.id, "Suspended")
        yield* TestClock.adjust("71 hours")
        assert.strictEqual(Queue.sizeUnsafe(calls), 0)
        yield* TestClock.adjust("1 hours")
        assert.deepStrictEqual(yield* Queue.take(calls), { id: "a", attempt: 1, key: intent.id })
        for (const attempt of [2, 3, 4]) {
          yield* until(intent.id, "Suspended")
          yield* TestClock.adjust("47 hours")
          assert.strictEqual(Queue.sizeUnsafe(calls), 0)
          yield* TestClock.adjust("1 hours")
          assert.deepStrictEqual(yield* Queue.take(calls), { id: "a", attempt, key: intent.id })
        }
        const { exit } = yield* until(intent.id, "Complete")
        assert.isTrue(Exit.isSuccess(exit))
        assert.strictEqual(Queue.sizeUnsafe(calls), 0)
      }).pipe(Effect.provide(inMemory(Layer.merge(Writing, Performing))))
    }))

  it.live("fail the workflow with the reason when it is dead, after onExhausted has run once", () =>
    Effect.gen(function*() {
      const { handlers } = yield* script(() => Effect.fail("no"))
      const exhausted: Array<number> = []
      const Performing = WorkflowSideEffects.layerWorker(Flow, { inMemoryThreshold: 0 }).pipe(
        Layer.provide(handlers({
          retry: Schedule.spaced("5 millis"),
          maxAttempts: 3,
          onExhausted: (_, { attempt }) => Effect.sync(() => exhausted.push(attempt))
        }))
      )
      yield* Effect.gen(function*() {
        const intent = yield* send("a")
        const { exit } = yield* until(intent.id, "Complete")
        const error = exit.cause.reasons[0].error
        assert.instanceOf(error, WorkflowSideEffects.SideEffectDead)
        assert.strictEqual(error.reason, "exhausted")
        assert.match(error.message, /^Side effect "flow:send" is dead as exhausted: .*no/s)
        assert.deepStrictEqual(exhausted, [3])
      }).pipe(Effect.provide(inMemory(Layer.merge(Writing, Performing))))
    }))

  it.live("let an operator take back what waits, by the id of the intent", () =>
    Effect.gen(function*() {
      const { calls, handlers } = yield* script(() => Effect.void)
      const Performing = WorkflowSideEffects.layerWorker(Flow).pipe(Layer.provide(handlers()))
      yield* Effect.gen(function*() {
        const intent = yield* send("a", { delay: "1 hour" })
        yield* until(intent.id, "Suspended")
        yield* interrupt(intent.id)
        assert.isTrue(Exit.isFailure((yield* until(intent.id, "Complete")).exit))
        assert.strictEqual(Queue.sizeUnsafe(calls), 0)
      }).pipe(Effect.provide(inMemory(Layer.merge(Writing, Performing))))
    }))

  it.live("let an operator take back what was handed over before there is a worker", () =>
    Effect.gen(function*() {
      const { calls, handlers } = yield* script(() => Effect.void)
      yield* Effect.gen(function*() {
        const taken = yield* send("taken back")
        yield* send("left")
        yield* interrupt(taken.id)
        const worker = yield* open(WorkflowSideEffects.layerWorker(Flow).pipe(Layer.provide(handlers())))
        assert.strictEqual((yield* Queue.take(calls)).id, "left")
        assert.strictEqual(Queue.sizeUnsafe(calls), 0)
        assert.strictEqual((yield* poll(taken.id))._tag, "None")
        yield* worker.close
      }).pipe(Effect.provide(inMemory(Writing)))
    }))

  it.live("are no child of the workflow that enqueued: they go on when that is interrupted", () =>
    Effect.gen(function*() {
      const { handlers } = yield* script(() => Effect.void)
      // The body runs again for the interruption, and enqueues again.
      const sent: Array<string> = []
      const Parent = Workflow.make("Parent", { payload: {}, idempotencyKey: () => "parent" })
      const Body = Parent.toLayer(() =>
        send("a", { delay: "1 hour" }).pipe(
          Effect.tap(({ id }) => Effect.sync(() => sent.push(id))),
          Effect.andThen(DurableClock.sleep({ name: "long", duration: "1 day" }))
        )
      )
      const Performing = WorkflowSideEffects.layerWorker(Flow).pipe(Layer.provide(handlers()))
      yield* Effect.gen(function*() {
        const id = yield* Parent.execute({}, { discard: true })
        const rests = (tag: string) =>
          Effect.repeat(Effect.delay(Parent.poll(id), "1 millis"), {
            until: (result) => result._tag === "Some" && result.value._tag === tag
          })
        yield* rests("Suspended")
        yield* Parent.interrupt(id)
        yield* rests("Complete")
        assert.strictEqual(sent.length, 2)
        for (const child of sent) yield* until(child, "Suspended")
      }).pipe(
        Effect.timeout("5 seconds"),
        Effect.provide(inMemory(Body.pipe(Layer.provideMerge(Layer.merge(Writing, Performing)))))
      )
    }))

  it.live("give each worker of a process what it knows", () =>
    Effect.gen(function*() {
      const seen = yield* Queue.make<string>()
      const one = SideEffectGroup.make("one").add(Send)
      const two = SideEffectGroup.make("two").add(Note)
      const Performing = Layer.merge(
        WorkflowSideEffects.layerWorker(one).pipe(
          Layer.provide(Send.toLayer(({ id }) => Queue.offer(seen, `one ${id}`)))
        ),
        WorkflowSideEffects.layerWorker(two).pipe(
          Layer.provide(Note.toLayer(({ id }) => Queue.offer(seen, `two ${id}`)))
        )
      )
      yield* SideEffects.boundary(Effect.gen(function*() {
        for (const id of ["a", "b", "c"]) {
          yield* SideEffects.enqueue(Send, { id })
          yield* SideEffects.enqueue(Note, { id })
        }
      })).pipe(
        Effect.andThen(Queue.takeN(seen, 6)),
        Effect.map((all) =>
          assert.deepStrictEqual(all.toSorted(), ["one a", "one b", "one c", "two a", "two b", "two c"])
        ),
        Effect.provide(inMemory(Layer.merge(Writing, Performing)))
      )
    }))
})

const url = process.env["POSTGRES_URL"]

const clusters = [
  { name: "on SQLite", skip: false, make: makeSqlite },
  {
    name: url === undefined ? "on PostgreSQL (skipped: set POSTGRES_URL)" : "on PostgreSQL",
    skip: url === undefined,
    make: makePostgres
  }
]

for (const { make, name, skip } of clusters) {
  describe.skipIf(skip)(`in a cluster ${name}`, () => {
    it.live(
      "an attempt counts on when its runner goes away in the middle of a durable pause",
      () =>
        Effect.gen(function*() {
          const { layer, subject } = make(`workflow_restart_${process.pid}`)
          const { calls, handlers } = yield* script(({ attempt }) => attempt < 3 ? Effect.fail("not yet") : Effect.void)
          const worker = (subject.layerWorker as typeof WorkflowSideEffects.layerWorker)(Flow, {
            inMemoryThreshold: 0
          }).pipe(Layer.provide(handlers({ retry: Schedule.spaced("700 millis") })), Layer.provide(logs().layer))
          yield* Effect.gen(function*() {
            const first = yield* open(worker)
            const intent = yield* send("a")
            assert.deepStrictEqual(yield* Queue.take(calls), { id: "a", attempt: 1, key: intent.id })
            yield* until(intent.id, "Suspended")
            yield* first.close
            const second = yield* open(worker)
            assert.deepStrictEqual(yield* Queue.take(calls), { id: "a", attempt: 2, key: intent.id })
            assert.deepStrictEqual(yield* Queue.take(calls), { id: "a", attempt: 3, key: intent.id })
            const { exit } = yield* until(intent.id, "Complete")
            assert.isTrue(Exit.isSuccess(exit))
            yield* second.close
            assert.strictEqual(Queue.sizeUnsafe(calls), 0)
          }).pipe(Effect.scoped, Effect.provide(Writing.pipe(Layer.provideMerge(layer))))
        }),
      30_000
    )

    it.live(
      "a pause that is slept in memory goes on elsewhere when the runner is closed",
      () =>
        Effect.gen(function*() {
          const { layer, subject } = make(`workflow_pause_${process.pid}`)
          const { calls, handlers } = yield* script(({ attempt }) => attempt < 2 ? Effect.fail("not yet") : Effect.void)
          const worker = subject.layerWorker(Flow).pipe(
            Layer.provide(handlers({ retry: Schedule.spaced("6 seconds") })),
            Layer.provide(logs().layer)
          )
          yield* Effect.gen(function*() {
            const first = yield* open(worker)
            const intent = yield* send("a")
            yield* Queue.take(calls)
            const [closing] = yield* Effect.timed(first.close)
            // The cluster would wait 5 seconds for what sleeps.
            assert.isBelow(Duration.toMillis(closing), 4500)
            assert.strictEqual(Queue.sizeUnsafe(calls), 0)
            yield* open(worker)
            assert.deepStrictEqual(yield* Queue.take(calls), { id: "a", attempt: 2, key: intent.id })
          }).pipe(Effect.scoped, Effect.provide(Writing.pipe(Layer.provideMerge(layer))))
        }),
      30_000
    )
  })
}

describe("in a cluster whose shards are spread anew", () => {
  it.live(
    "a handler that runs longer than entities may take to end is waited for, and not made again elsewhere",
    () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make()
        const { calls, handlers } = yield* script(({ id }) => id.startsWith("held") ? gate.await : Effect.void)
        const namespace = `workflow_shards_${process.pid}`
        const runner = ({ layer, subject }: ReturnType<typeof makeSqlite>) =>
          subject.layerWorker(Flow).pipe(
            Layer.provide(handlers()),
            Layer.provideMerge(layer),
            Layer.provide(logs().layer)
          )
        const ids = ["0", "1", "2", "3", "4", "5", "6", "7"].map((id) => `held ${id}`)
        yield* Effect.gen(function*() {
          const intents = yield* SideEffects.boundary(
            Effect.forEach(ids, (id) => SideEffects.enqueue(Send, { id }))
          )
          assert.deepStrictEqual((yield* Queue.takeN(calls, 8)).map(({ id }) => id).toSorted(), ids)
          yield* open(runner(makeSqlite(namespace, { child: true })))
          // `entityTerminationTimeout`, and what it takes until the other one has the shards.
          yield* Effect.sleep("8 seconds")
          assert.strictEqual(Queue.sizeUnsafe(calls), 0)
          yield* gate.open
          for (const { id } of intents) assert.isTrue(Exit.isSuccess((yield* until(id, "Complete")).exit))
          assert.strictEqual(Queue.sizeUnsafe(calls), 0)
        }).pipe(Effect.scoped, Effect.provide(Writing.pipe(Layer.provideMerge(runner(makeSqlite(namespace))))))
      }),
    40_000
  )
})

// ---------------------------------------------------------------------------------------------------------------------

const Approval = DurableDeferred.make("Approval", { success: Schema.String })

const Fulfil = Workflow.make("Fulfil", {
  payload: { order: Schema.String, key: Schema.String },
  idempotencyKey: ({ order }) => order,
  success: Schema.String
})

const Orders = SideEffectGroup.make("orders").add(Send)

describe("start", () => {
  it.effect("starts a workflow of one's own with the id of the intent, once, that waits and sleeps", () =>
    Effect.gen(function*() {
      const steps: Array<string> = []
      const step = (name: string) => Activity.make({ name, execute: Effect.sync(() => void steps.push(name)) })
      const Body = Fulfil.toLayer(Effect.fnUntraced(function*({ key, order }, executionId) {
        yield* step("reserve")
        const by = yield* DurableDeferred.await(Approval)
        yield* DurableClock.sleep({ name: "cooling off", duration: "3 days" })
        yield* step("pay")
        return `${order} ${key === executionId} ${by}`
      }))
      const Live = SideEffects.LiveLayer(Orders, { dispatcher: WorkflowSideEffects.dispatcher() }).pipe(
        Layer.provideMerge(WorkflowSideEffects.layerWorker(Orders)),
        Layer.provide(WorkflowSideEffects.start(Send, Fulfil, ({ id }, { idempotencyKey }) => ({
          order: id,
          key: idempotencyKey
        }))),
        Layer.provideMerge(Body)
      )
      yield* Effect.gen(function*() {
        const intent = yield* send("a")
        yield* until(intent.id, "Complete")
        while (steps.length < 1) yield* Effect.yieldNow
        const token = DurableDeferred.tokenFromExecutionId(Approval, { workflow: Fulfil, executionId: intent.id })
        assert.deepStrictEqual(steps, ["reserve"])
        yield* DurableDeferred.succeed(Approval, { token, value: "Ann" })
        while ((yield* Fulfil.poll(intent.id))._tag === "None") yield* Effect.yieldNow
        yield* TestClock.adjust("71 hours")
        assert.deepStrictEqual(steps, ["reserve"])
        yield* TestClock.adjust("1 hours")
        while (steps.length < 2) yield* Effect.yieldNow
        const result = yield* Fulfil.poll(intent.id)
        assert.deepStrictEqual(steps, ["reserve", "pay"])
        assert.deepStrictEqual((result as any).value.exit, Exit.succeed("a true Ann"))
      }).pipe(Effect.provide(inMemory(Live)))
    }))

  it.live("does not start it again when the side effect is delivered twice", () =>
    Effect.gen(function*() {
      const runs: Array<string> = []
      const ran = yield* Latch.make()
      const done = yield* Latch.make()
      const Body = Fulfil.toLayer(({ order }) =>
        Effect.sync(() => {
          runs.push(order)
          return order
        }).pipe(Effect.tap(ran.open))
      )
      let deliveries = 0
      const Starting = WorkflowSideEffects.start(Send, Fulfil, ({ id }) => ({ order: id, key: "" }))
      // As when the process is lost behind it.
      const Twice = Layer.effect(
        Context.Service<any>(Send.key) as any,
        Effect.map(Context.Service<any>(Send.key) as any, (entry: any) => ({
          ...entry,
          handle: (payload: any, delivery: any) =>
            Effect.andThen(
              entry.handle(payload, delivery),
              Effect.suspend(() => ++deliveries < 2 ? SideEffect.snooze("1 millis") : done.open)
            )
        }))
      ).pipe(Layer.provide(Starting as any)) as typeof Starting
      const Live = SideEffects.LiveLayer(Orders, { dispatcher: WorkflowSideEffects.dispatcher() }).pipe(
        Layer.provideMerge(WorkflowSideEffects.layerWorker(Orders)),
        Layer.provide(Twice),
        Layer.provideMerge(Body)
      )
      yield* send("a").pipe(Effect.andThen(done.await), Effect.andThen(ran.await), Effect.provide(inMemory(Live)))
      assert.strictEqual(deliveries, 2)
      assert.deepStrictEqual(runs, ["a"])
    }))

  it.live("runs the workflow outside of the unit of work that started it, and in its trace", () =>
    Effect.gen(function*() {
      const noted = yield* Deferred.make<string>()
      const traced = yield* Deferred.make<string>()
      const gate = yield* Latch.make()
      const Body = Fulfil.toLayer(({ order }) =>
        Effect.gen(function*() {
          yield* Deferred.succeed(traced, (yield* Effect.orDie(Effect.currentSpan)).traceId)
          yield* gate.await
          yield* SideEffects.boundary(SideEffects.enqueue(Note, { id: order }))
          return order
        })
      )
      const Live = Body.pipe(
        Layer.provideMerge(SideEffects.LiveLayer(Flow)),
        Layer.provide(Note.toLayer(({ id }) => Deferred.succeed(noted, id))),
        Layer.provide(WorkflowSideEffects.start(Send, Fulfil, ({ id }) => ({ order: id, key: "" })))
      )
      yield* Effect.gen(function*() {
        const trace = yield* send("a").pipe(
          Effect.andThen(Effect.map(Effect.orDie(Effect.currentSpan), (span: Tracer.Span) => span.traceId)),
          Effect.withSpan("request")
        )
        // The handler and its boundary have ended.
        yield* gate.open
        assert.strictEqual(yield* Deferred.await(noted), "a")
        assert.strictEqual(yield* Deferred.await(traced), trace)
      }).pipe(Effect.provide(inMemory(Live)))
    }))

  it("checks what it makes of the payload", () => {
    // @ts-expect-error: the workflow has no `id`
    WorkflowSideEffects.start(Send, Fulfil, ({ id }) => ({ id }))
    // @ts-expect-error: the side effect has no `order`
    WorkflowSideEffects.start(Send, Fulfil, ({ order }) => ({ order, key: "" }))
  })
})
