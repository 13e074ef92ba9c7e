import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as SideEffects from "../../../SideEffects.ts"
import { ensure, has, same } from "../outbox/check.ts"
import { Other, Task } from "./definitions.ts"
import { type Begun, type Stage, type Test, test } from "./stage.ts"

const performedAll = "what a boundary released is performed"

const labels = (count: number) => Array.from({ length: count }, (_, index) => `${index}`)

/** `count` in one boundary. */
const sendMany = Effect.fnUntraced(function*(stage: Stage, count: number) {
  const { run } = yield* stage.live()
  return yield* run(SideEffects.boundary(
    Effect.forEach(labels(count), (label) => SideEffects.enqueue(Task, { label }))
  ))
})

const running = (stage: Stage): ReadonlyArray<Begun> => stage.begun.filter(({ ended }) => ended === undefined)

const allDone = (stage: Stage, count: number) =>
  stage.until(
    `all ${count} are performed`,
    () => stage.begun.filter(({ ended }) => ended?.exit._tag === "Success").length >= count ? true : undefined
  )

const once = (stage: Stage, count: number) => {
  const wrong = labels(count).flatMap((label) => {
    const times = stage.begun.filter(({ payload }) => payload.label === label).length
    return times === 1 ? [] : [`${label}: ${times} times`]
  })
  return same("each is performed exactly once when nothing is lost", wrong, [])
}

export const working: ReadonlyArray<Test> = [
  test("no more handlers run at once than `concurrency` of the worker allows", function*(stage) {
    const gate = Latch.makeUnsafe()
    yield* stage.work({ handle: () => gate.await, worker: { concurrency: 3 } })
    yield* sendMany(stage, 7)
    yield* stage.until("a worker runs as many as it may", () => running(stage).length === 3 ? true : undefined)
    yield* stage.quiet
    yield* same("no more than `concurrency` run at once", running(stage).length, 3)
    yield* gate.open
    yield* allDone(stage, 7)
    yield* once(stage, 7)
  }),
  test("`concurrency` of a handler is a limit of its own, and holds up no other side effect", function*(stage) {
    const gate = Latch.makeUnsafe()
    yield* stage.work({
      handle: ({ name }) => name === Task._tag ? gate.await : Effect.void,
      task: { concurrency: 2 },
      worker: { concurrency: 8 }
    })
    yield* sendMany(stage, 5)
    yield* stage.until("it runs as often as it may", () => running(stage).length === 2 ? true : undefined)
    const { send } = yield* stage.live()
    yield* stage.performed("the limit of one is not that of another", yield* send(Other, { label: "other" }))
    yield* stage.quiet
    yield* same("no more than its own `concurrency` run at once", running(stage).length, 2)
    yield* gate.open
    yield* allDone(stage, 6)
    yield* same("each is performed once", stage.begun.length, 6)
  }),
  test("many are all performed, exactly once", function*(stage) {
    let most = 0
    yield* stage.work({
      handle: () =>
        Effect.andThen(
          Effect.sync(() => {
            most = Math.max(most, running(stage).length)
          }),
          Effect.yieldNow
        ),
      worker: { concurrency: 32 }
    })
    yield* sendMany(stage, 300)
    yield* allDone(stage, 300)
    yield* stage.quiet
    yield* once(stage, 300)
    yield* ensure("no more than `concurrency` run at once", most <= 32, most)
  }),
  test("two workers share the work, and none of it is performed twice", function*(stage) {
    const seen = new Set<string>()
    const both = Latch.makeUnsafe()
    const handle = ({ worker }: Begun) =>
      Effect.suspend(() => {
        if (seen.add(worker).size === 2) both.openUnsafe()
        return both.await
      })
    yield* stage.work({ as: "first", handle, worker: { concurrency: 4 } })
    yield* stage.work({ as: "second", handle, worker: { concurrency: 4 } })
    yield* sendMany(stage, 60)
    yield* stage.until("a worker leaves to others what it cannot begin", () => seen.size === 2 ? true : undefined)
    yield* allDone(stage, 60)
    yield* stage.quiet
    yield* once(stage, 60)
  }),
  test("what is handed over while nobody works is performed by who comes", function*(stage) {
    yield* sendMany(stage, 5)
    yield* stage.work({})
    yield* allDone(stage, 5)
    yield* stage.quiet
    yield* once(stage, 5)
  }),
  test("closing a worker waits for what runs, and begins nothing more", function*(stage) {
    const gate = Latch.makeUnsafe()
    const first = yield* stage.work({
      as: "first",
      handle: () => gate.await,
      worker: { concurrency: 1, gracePeriod: "8 seconds" }
    })
    const [held] = yield* sendMany(stage, 3)
    const one = yield* stage.until(performedAll, () => stage.begun[0])
    const closing = yield* Effect.forkChild(first.close, { startImmediately: true })
    yield* stage.quiet
    yield* same("closing waits for what runs", closing.pollUnsafe(), undefined)
    yield* gate.open
    yield* Fiber.await(closing)
    yield* has("what ran has ended well", one.ended?.exit, { _tag: "Success" })
    yield* stage.quiet
    yield* same("nothing is begun from then on", stage.begun.length, 1)
    yield* stage.work({ as: "second" })
    yield* allDone(stage, 3)
    yield* stage.quiet
    yield* once(stage, 3)
    yield* same(
      "the next worker performs the rest, as first attempts",
      stage.begun.slice(1).map(({ attempt, worker }) => [worker, attempt] as const),
      [["second", 1], ["second", 1]]
    )
    yield* ensure("all of them are known", held !== undefined, held)
  }),
  test("what is interrupted when a worker is closed is handed back, with its attempt", function*(stage) {
    const first = yield* stage.work({
      as: "first",
      handle: () => Effect.never,
      worker: { concurrency: 2, gracePeriod: "100 millis" }
    })
    const sent = yield* sendMany(stage, 3)
    yield* stage.until(performedAll, () => running(stage).length === 2 ? true : undefined)
    yield* first.close
    yield* same(
      "what runs longer than `gracePeriod` is interrupted, and has ended when the layer is closed",
      running(stage).length,
      0
    )
    yield* stage.work({ as: "second" })
    for (const intent of sent) {
      const one = yield* stage.performed("what was handed back is performed by the next worker", intent)
      yield* has("what was handed back has used no attempt", one, { worker: "second", attempt: 1, key: intent.id })
    }
  })
]
