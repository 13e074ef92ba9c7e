import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Schedule from "effect/Schedule"
import * as Decision from "../../../Decision.ts"
import * as Policy from "../../../Policy.ts"
import * as SideEffects from "../../../SideEffects.ts"
import { ensure, has, same } from "../outbox/check.ts"
import {
  After,
  Before,
  Happened,
  Keyed,
  List,
  Nothing,
  Old,
  Other,
  Payloads,
  Reading,
  Stranger,
  Task,
  Text,
  Transformed,
  WithoutStranger,
  WithStranger,
  Writing,
  Written
} from "./definitions.ts"
import { isEngine, type Test, test } from "./stage.ts"

const performedAll = "what a boundary released is performed"
const decided = ({ decision }: { readonly decision: Decision.Decision | undefined }) => decision?._tag

export const handing: ReadonlyArray<Test> = [
  test("what a boundary releases reaches its handler as it was enqueued", function*(stage) {
    yield* stage.work({})
    const { send } = yield* stage.live()
    const metadata = { tenant: "acme", tags: ["a", null, { deep: 1.5 }], empty: {} }
    const sent = yield* send(Task, { label: "one" }, { key: "the key", origin: "POST /orders", metadata })
    const one = yield* stage.performed(performedAll, sent)
    yield* has("a handler gets the payload, the attempt and the idempotency key", one, {
      name: Task._tag,
      payload: { label: "one" },
      attempt: 1,
      key: "the key"
    })
    yield* has("the intent of a delivery is the one that was enqueued", one.intent, {
      id: sent.id,
      name: Task._tag,
      key: "the key",
      origin: "POST /orders",
      metadata
    })
    yield* stage.quiet
    yield* same("it is performed once", stage.begun.length, 1)
  }),
  test("what an engine has accepted is dispatched", function*(stage) {
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* has("the decision is that of the dispatcher of the engine", Decision.of(sent), {
      _tag: "Dispatched",
      by: `dispatcher ${stage.subject.dispatcher.name}`
    })
  }),
  test("what a failed boundary has enqueued is never performed", function*(stage) {
    yield* stage.work({})
    const { run, send } = yield* stage.live()
    const kept: Array<any> = []
    const failing = SideEffects.enqueue(Task, { label: "never" }).pipe(
      Effect.tap((intent) => Effect.sync(() => kept.push(intent))),
      Effect.andThen(Effect.fail("the unit of work"))
    )
    yield* Effect.exit(run(SideEffects.boundary(failing)))
    yield* same("it is discarded", decided({ decision: Decision.of(kept[0]) }), "Discarded")
    yield* stage.performed(performedAll, yield* send(Task, { label: "one" }))
    yield* stage.quiet
    yield* same("nothing of it is performed", stage.begun.map(({ payload }) => payload.label), ["one"])
  }),
  test("nothing is handed over before the boundary has succeeded", function*(stage) {
    yield* stage.work({})
    const { run } = yield* stage.live()
    yield* run(SideEffects.boundary(Effect.gen(function*() {
      yield* SideEffects.enqueue(Task, { label: "one" })
      yield* stage.quiet
      yield* same("nothing is performed while the boundary is open", stage.begun.length, 0)
    })))
    yield* stage.until(performedAll, () => stage.begun[0])
  }),
  test("what a policy drops is not handed over", function*(stage) {
    yield* stage.work({})
    const { run } = yield* stage.live(undefined, { policy: Policy.block(Other) })
    const [dropped, released] = yield* run(
      SideEffects.boundary(SideEffects.enqueueAll([[Other, { label: "no" }], [Task, { label: "yes" }]]))
    )
    yield* same("the policy decides", decided({ decision: Decision.of(dropped) }), "Dropped")
    yield* stage.performed(performedAll, released)
    yield* stage.quiet
    yield* same("what was dropped is not performed", stage.begun.map(({ name }) => name), [Task._tag])
  }),
  test("what follows from an event has it as its origin", function*(stage) {
    yield* stage.work({})
    const { run } = yield* stage.live()
    yield* run(SideEffects.boundary(SideEffects.emit(Happened, { label: "one" })))
    const one = yield* stage.until(performedAll, () => stage.begun[0])
    yield* same("the origin is the name of the event", [one.name, one.intent.origin], [Other._tag, Happened._tag])
  }),
  test("payloads of every shape arrive as they were", function*(stage) {
    yield* stage.work({ group: Payloads })
    const { run } = yield* stage.live(Payloads)
    const text = `ä "quoted" \\ 'single' 🚀 \n\t $1 :name {} %s <>& \u2028 ${"long ".repeat(5000)}`
    const list = [1, -0.5, null, 9007199254740991]
    const transformed = { at: new Date("2026-02-28T23:59:59.999Z"), size: 123456789012345678901234567890n }
    const sent = yield* run(SideEffects.boundary(SideEffects.enqueueAll([
      [Nothing],
      [Text, text],
      [Text, ""],
      [List, list],
      [List, []],
      [Transformed, transformed],
      [Transformed, { ...transformed, note: "null" }]
    ])))
    for (const intent of sent) {
      const one = yield* stage.performed(performedAll, intent)
      yield* same(`the payload of ${intent.name} is what was enqueued`, one.payload as unknown, intent.payload)
    }
  }),
  test("what does not fit the schema of the worker is dead as that, and the rest goes on", function*(stage) {
    yield* stage.work({ group: Reading, worker: { concurrency: 1 } })
    const { run } = yield* stage.live(Writing)
    const [first, second, third] = yield* run(SideEffects.boundary(SideEffects.enqueueAll([
      [Written, { size: "large" }],
      [Task, { label: "one" }],
      [Written, { size: "larger" }]
    ])))
    yield* stage.performed("what cannot be decoded stops nothing else", second)
    for (const intent of [first, third]) {
      const error = yield* stage.dead("what cannot be decoded is dead", intent)
      yield* ensure(
        "the reason says that it does not fit the schema, and where",
        error.includes("does not fit the schema") && error.includes("size"),
        error
      )
    }
    yield* same("no handler has begun with it", stage.begun.map(({ name }) => name), [Task._tag])
  }),
  test("a name that no worker knows blocks nobody, and is performed when one does", function*(stage) {
    const options = { concurrency: 1, unknown: "20 seconds" } as const
    const old = yield* stage.work({ group: WithoutStranger, as: "old", worker: options })
    const { run } = yield* stage.live(WithStranger)
    const [stranger, known] = yield* run(SideEffects.boundary(SideEffects.enqueueAll([
      [Stranger, { label: "unknown" }],
      [Task, { label: "known" }]
    ])))
    yield* stage.performed("a name that no worker knows blocks nobody", known)
    yield* old.close
    yield* stage.work({ group: WithStranger, as: "new", worker: options })
    const one = yield* stage.performed("a name that no worker knows waits for one that does", stranger, "20 seconds")
    yield* has("it has used no attempt", one, { worker: "new", attempt: 1 })
  }),
  test("a name that no worker knows for long is dead", function*(stage) {
    yield* stage.work({ group: WithoutStranger, worker: { unknown: "500 millis" } })
    const { run } = yield* stage.live(WithStranger)
    const [stranger] = yield* run(
      SideEffects.boundary(SideEffects.enqueueAll([[Stranger, { label: "unknown" }], [Task, { label: "known" }]]))
    )
    const error = yield* stage.dead("a name that no worker knows is dead after `unknown`", stranger)
    yield* ensure("the reason says that no worker knows it", /no worker knows/i.test(error), error)
  }),
  test("an alias is performed by the handler of the new name", function*(stage) {
    yield* stage.work({ group: After })
    const { send } = yield* stage.live(Before)
    const sent = yield* send(Old, { label: "one" })
    yield* has("it is performed", yield* stage.performed(performedAll, sent), { payload: { label: "one" }, attempt: 1 })
  }),
  test("each delivery has the idempotency key, or the id where there is none", function*(stage) {
    yield* stage.work({})
    const { send } = yield* stage.live()
    const contract = "`idempotencyKey` is the key of the intent, or its id"
    const plain = yield* send(Task, { label: "a" })
    const keyed = yield* send(Keyed, { label: "b" })
    const told = yield* send(Keyed, { label: "c" }, { key: "told" })
    const keys = [
      (yield* stage.performed(performedAll, plain)).key,
      (yield* stage.performed(performedAll, keyed)).key,
      (yield* stage.performed(performedAll, told)).key
    ]
    yield* same(contract, keys, [plain.id, "key of b", "told"])
  }),
  test("the trace of the span in which it was enqueued is carried to every delivery", function*(stage) {
    yield* stage.work({
      handle: ({ attempt }) => attempt === 1 ? Effect.fail("again") : Effect.void,
      task: { retry: Schedule.spaced("10 millis") }
    })
    const { send } = yield* stage.live()
    const [sent, span] = yield* Effect.withSpan(
      Effect.all([send(Task, { label: "one" }), Effect.currentSpan]),
      "unit of work"
    )
    const traces = [
      (yield* stage.delivered(performedAll, sent, 1)).intent.traceparent,
      (yield* stage.delivered("what failed is tried again", sent, 2)).intent.traceparent
    ]
    yield* ensure(
      "`traceparent` of each delivery is of the trace in which it was enqueued",
      traces.every((trace) => trace === sent.traceparent && trace?.includes(span.traceId)),
      { traces, traceId: span.traceId }
    )
  }),
  test("what a handler enqueues is handed over when it has succeeded, and not before", function*(stage) {
    const gate = Latch.makeUnsafe()
    yield* stage.work({
      handle: ({ attempt, name }) =>
        name !== Task._tag ? Effect.void : SideEffects.enqueue(Other, { label: `attempt ${attempt}` }).pipe(
          Effect.andThen(attempt === 1 ? Effect.fail("again") : gate.await)
        ),
      task: { retry: Schedule.spaced("10 millis") }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.delivered("what failed is tried again", sent, 2)
    yield* stage.quiet
    const others = () => stage.begun.filter(({ name }) => name === Other._tag)
    yield* same("nothing of an attempt that failed or still runs is performed", others().length, 0)
    yield* gate.open
    yield* stage.until("what a handler has enqueued is performed when it has succeeded", () => others()[0])
    yield* stage.quiet
    yield* same("only that of the attempt that succeeded", others().map(({ payload }) => payload.label), ["attempt 2"])
  }),
  test("what cannot be encoded dies at the unit of work and is not handed over in part", function*(stage) {
    yield* stage.work({})
    const { run, send } = yield* stage.live()
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    const exit = yield* Effect.exit(run(SideEffects.boundary(Effect.andThen(
      SideEffects.enqueue(Task, { label: "before" }),
      SideEffects.enqueue(Task, { label: "bad" }, { metadata: circular })
    ))))
    yield* ensure(
      "a boundary dies where the engine cannot accept what it releases",
      Exit.isFailure(exit) && Cause.hasDies(exit.cause),
      exit
    )
    yield* stage.performed(performedAll, yield* send(Task, { label: "after" }))
    yield* stage.quiet
    yield* same("a batch is handed over as a whole", stage.begun.map(({ payload }) => payload.label), ["after"])
  }),
  test("`onDead` is told of each job that died", function*(stage) {
    const told: Array<readonly [string, string]> = []
    yield* stage.work({
      handle: () => SideEffects.enqueue(Other, { label: "x" }).pipe(Effect.andThen(Effect.die(new Error("bug")))),
      worker: { onDead: (job, { reason }) => Effect.sync(() => told.push([job.id, reason])) }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.dead("a defect is final", sent)
    yield* same("`onDead` is told once, with the reason", told, [[sent.id, "exhausted"] as const])
  }, isEngine)
]
