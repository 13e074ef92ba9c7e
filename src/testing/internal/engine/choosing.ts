import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Engine from "../../../engine/Engine.ts"
import type * as Intent from "../../../Intent.ts"
import type * as SideEffectGroup from "../../../SideEffectGroup.ts"
import * as SideEffects from "../../../SideEffects.ts"
import { ensure, has, same, violated } from "../outbox/check.ts"
import { Delayed, Happened, InA, InB, Prioritised, queueA, queueB, Queued, Task, Urgent } from "./definitions.ts"
import { honours, isEngine, type Stage, type Subject, type Test, test } from "./stage.ts"

const rounding = 2
const performedAll = "what a boundary released is performed"

const refuses = (option: Engine.Option) => (subject: Subject): boolean => !honours(option)(subject)

const refused = (exit: Exit.Exit<unknown, unknown>, stage: Stage, option: Engine.Option, name: string) => {
  const contract = `an option that an engine does not honour is refused with UnsupportedOption: ${option}`
  const defects = Exit.isFailure(exit) ? exit.cause.reasons.filter(Cause.isDieReason).map(({ defect }) => defect) : []
  const error = defects.find((defect) => defect instanceof Engine.UnsupportedOption)
  const expected = { sideEffect: name, option, engine: stage.subject.dispatcher.name }
  return error === undefined
    ? violated(contract, expected, exit)
    : has(contract, error, expected)
}

const atTheCall = Effect.fnUntraced(function*(stage: Stage, option: Engine.Option, options: Intent.Options) {
  const { run } = yield* stage.live()
  let after = false
  const exit = yield* Effect.exit(run(SideEffects.boundary(
    SideEffects.enqueue(Task, { label: "refused" }, options).pipe(
      Effect.andThen(Effect.sync(() => {
        after = true
      }))
    )
  )))
  yield* refused(exit, stage, option, Task._tag)
  yield* same("it is `enqueue` that dies", after, false)
})

const atTheBuild = Effect.fnUntraced(function*(
  stage: Stage,
  option: Engine.Option,
  group: SideEffectGroup.Any,
  name: string
) {
  yield* refused(yield* Effect.exit(stage.buildLive(group)), stage, option, name)
})

export const choosing: ReadonlyArray<Test> = [
  test("`delay` is waited for, and holds up nobody else", function*(stage) {
    yield* stage.work({ worker: { concurrency: 1 } })
    const { run } = yield* stage.live()
    const released = yield* Clock.currentTimeMillis
    const [later, now] = yield* run(SideEffects.boundary(SideEffects.enqueueAll([
      [Task, { label: "later" }, { delay: "800 millis" }],
      [Task, { label: "now" }]
    ])))
    const first = yield* stage.performed(performedAll, now)
    const second = yield* stage.performed("what was delayed is performed when its time has come", later)
    yield* ensure("it is not performed before", second.at - released >= 800 - rounding, second.at - released)
    yield* ensure("what is not delayed does not wait for it", first.at < second.at, stage.history())
    yield* same("it is performed once, as the first attempt", stage.begun.map(({ attempt }) => attempt), [1, 1])
  }, honours("delay")),
  test("`delay` of a binding is waited for", function*(stage) {
    yield* stage.work({ group: Delayed })
    const { run } = yield* stage.live(Delayed)
    const released = yield* Clock.currentTimeMillis
    yield* run(SideEffects.boundary(SideEffects.emit(Happened, { label: "later" })))
    const one = yield* stage.until("what was delayed is performed when its time has come", () => stage.begun[0])
    yield* ensure("it is not performed before", one.at - released >= 500 - rounding, one.at - released)
  }, honours("delay")),
  test("`delay` is refused at the call", function*(stage) {
    yield* atTheCall(stage, "delay", { delay: "1 second" })
  }, refuses("delay")),
  test("`delay` of a binding is refused when the layer is built", function*(stage) {
    yield* atTheBuild(stage, "delay", Delayed, Task._tag)
  }, refuses("delay")),
  test("of those that wait, the ones of higher `priority` come first", function*(stage) {
    const { send } = yield* stage.live(Prioritised)
    const takes = (priority: number) =>
      stage.engine?.[Engine.TypeId].honours.problem?.({ name: Task._tag, priority }) === undefined
    const priorities = [0, 5, 1000, 1, ...takes(-3) ? [-3] : []]
    const sent = yield* Effect.forEach(
      priorities,
      (priority) => send(Task, { label: `${priority}` }, priority === 0 ? {} : { priority })
    )
    sent.push(yield* send(Urgent, { label: "7" }) as any)
    yield* stage.work({ group: Prioritised, worker: { concurrency: 1 } })
    for (const intent of sent) yield* stage.performed(performedAll, intent)
    yield* same(
      "a worker that performs one at a time begins with the highest `priority`; 0 where nothing was told",
      stage.begun.map(({ payload }) => Number(payload.label)),
      [...priorities, 7].toSorted((left, right) => right - left)
    )
  }, honours("priority")),
  test("`priority` is refused at the call", function*(stage) {
    yield* atTheCall(stage, "priority", { priority: 5 })
  }, refuses("priority")),
  test("`priority` of a definition is refused when the layer is built", function*(stage) {
    yield* atTheBuild(stage, "priority", Prioritised, Urgent._tag)
  }, refuses("priority")),
  test("a worker performs what is in its queues, and nothing else", function*(stage) {
    const { send } = yield* stage.live(Queued)
    const inB = yield* send(InB, { label: "b" })
    const moved = yield* send(InA, { label: "from a to b" }, { queue: queueB })
    yield* stage.work({ group: Queued, as: "of a", worker: { queues: [queueA] } })
    const inA = yield* send(InA, { label: "a" })
    yield* stage.performed(performedAll, inA)
    yield* stage.quiet
    yield* same("what is in other queues stays there", stage.begun.map(({ payload }) => payload.label), ["a"])
    yield* stage.work({ group: Queued, as: "of b", worker: { queues: [queueB] } })
    yield* has("it is for the worker of its queue", yield* stage.performed(performedAll, inB), { worker: "of b" })
    yield* has(
      "`queue` of the call wins over that of the definition",
      yield* stage.performed(performedAll, moved),
      { worker: "of b", attempt: 1, intent: { queue: queueB } }
    )
  }, honours("queue")),
  test("a worker performs what is in several queues, by default in all that the group names", function*(stage) {
    const { send } = yield* stage.live(Queued)
    const both = yield* stage.work({ group: Queued, as: "of both", worker: { queues: [queueA, queueB] } })
    const contract = "a worker looks into all queues that it is told"
    yield* stage.performed(contract, yield* send(InA, { label: "a" }))
    yield* stage.performed(contract, yield* send(InB, { label: "b" }))
    yield* both.close
    yield* stage.work({ group: Queued, as: "of all" })
    const standard = "a worker that is told no queues looks into those that the group names, and \"default\""
    yield* stage.performed(standard, yield* send(InA, { label: "a" }))
    yield* stage.performed(standard, yield* send(InB, { label: "b" }))
    yield* stage.performed(standard, yield* send(InB, { label: "c" }, { queue: "default" }))
  }, honours("queue")),
  test("one queue that is stuck does not hold up another", function*(stage) {
    const gate = Latch.makeUnsafe()
    yield* stage.work({
      group: Queued,
      handle: ({ name }) => name === InA._tag ? gate.await : Effect.void,
      worker: { concurrency: 2 }
    })
    const { send } = yield* stage.live(Queued)
    const stuck = yield* send(InA, { label: "a" })
    yield* stage.delivered(performedAll, stuck)
    yield* stage.performed("a queue is not held up by another", yield* send(InB, { label: "b" }))
    yield* gate.open
    yield* stage.performed(performedAll, stuck)
  }, honours("queue")),
  test("a queue that nobody looks into is refused at the call", function*(stage) {
    yield* atTheCall(stage, "queue", { queue: "suite-nowhere" })
  }, isEngine),
  test("`queue` of a definition is refused when the layer is built", function*(stage) {
    yield* atTheBuild(stage, "queue", Queued, InA._tag)
  }, refuses("queue"))
]
