import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as SideEffect from "../../../SideEffect.ts"
import { ensure, has, same } from "../outbox/check.ts"
import { Keyed, Other, Task } from "./definitions.ts"
import { type Begun, type Stage, type Test, test } from "./stage.ts"

/** Clocks are rounded to milliseconds, and there are two. */
const rounding = 2

class Refused extends /*#__PURE__*/ Data.TaggedError("Refused")<{ readonly message: string }> {}

const refuse = (message: string) => Effect.fail(new Refused({ message }))

const attemptsOf = (deliveries: ReadonlyArray<Begun>) => deliveries.map(({ attempt }) => attempt)

/** From the end of each delivery to the begin of the next. */
const pausesOf = (deliveries: ReadonlyArray<Begun>) =>
  deliveries.slice(1).map(({ at }, index) => at - (deliveries[index]!.ended?.at ?? Infinity))

const noMore = Effect.fnUntraced(
  function*(stage: Stage, contract: string, intent: { readonly id: string }, expected: ReadonlyArray<number>) {
    yield* stage.quiet
    yield* same(contract, attemptsOf(stage.deliveriesOf(intent)), expected)
  }
)

export const ending: ReadonlyArray<Test> = [
  test("a failure is tried again as `retry` says, with attempts that count up", function*(stage) {
    yield* stage.work({
      handle: ({ attempt }) => attempt <= 2 ? refuse(`attempt ${attempt}`) : Effect.void,
      task: { retry: Schedule.spaced("10 millis") }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" }, { key: "k", metadata: { a: 1 }, origin: "o" })
    yield* stage.performed("what failed is tried again until it succeeds", sent)
    const all = stage.deliveriesOf(sent)
    yield* same("attempts are counted from 1", attemptsOf(all), [1, 2, 3])
    for (const one of all) {
      yield* has("each delivery is of the same intent", one, {
        key: "k",
        payload: { label: "one" },
        intent: { id: sent.id, key: "k", metadata: { a: 1 }, origin: "o", traceparent: sent.traceparent }
      })
    }
  }),
  test("pauses between attempts are not shorter than the schedule", function*(stage) {
    yield* stage.work({
      handle: ({ attempt }) => attempt <= 2 ? refuse(`attempt ${attempt}`) : Effect.void,
      task: { retry: Schedule.exponential("250 millis") }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.performed("what failed is tried again until it succeeds", sent)
    const pauses = pausesOf(stage.deliveriesOf(sent))
    yield* ensure(
      "the schedule goes on from attempt to attempt: 250 ms, then 500 ms",
      pauses[0]! >= 250 - rounding && pauses[1]! >= 500 - rounding,
      pauses
    )
  }),
  test("after the last attempt of `retry` it is dead, with the error", function*(stage) {
    yield* stage.work({
      handle: ({ attempt }) => refuse(`the mail server said no ${attempt} times`),
      task: { retry: { schedule: Schedule.upTo(Schedule.spaced("10 millis"), { times: 2 }) } }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    const error = yield* stage.dead("it is dead when its attempts are used up", sent)
    yield* ensure("the dead tell the last error", error.includes("the mail server said no 3 times"), error)
    yield* noMore(stage, "no attempt after the last", sent, [1, 2, 3])
  }),
  test("`maxAttempts` ends it whatever `retry` says", function*(stage) {
    yield* stage.work({ handle: () => refuse("no"), task: { retry: Schedule.spaced("10 millis"), maxAttempts: 2 } })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.dead("it is dead when its attempts are used up", sent)
    yield* noMore(stage, "no more than `maxAttempts` attempts", sent, [1, 2])
  }),
  test("an error that `retry.while` refuses is final", function*(stage) {
    yield* stage.work({
      handle: ({ payload }) => refuse(payload.label),
      task: {
        maxAttempts: 2,
        retry: { schedule: Schedule.spaced("10 millis"), while: ({ message }: any) => message !== "final" }
      }
    })
    const { send } = yield* stage.live()
    const final = yield* send(Task, { label: "final" })
    const other = yield* send(Task, { label: "other" })
    yield* stage.dead("it is dead at once", final)
    yield* stage.dead("it is dead when its attempts are used up", other)
    yield* noMore(stage, "`while` is asked before each retry", final, [1])
    yield* noMore(stage, "`while` is asked before each retry", other, [1, 2])
  }),
  test("a side effect that says nothing about retries has those of the worker", function*(stage) {
    yield* stage.work({
      handle: () => refuse("no"),
      worker: { retry: Schedule.upTo(Schedule.spaced("10 millis"), { times: 1 }) }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.dead("it is dead when `retry` of the worker has ended", sent)
    yield* noMore(stage, "`retry` of the worker says how often", sent, [1, 2])
  }),
  test("a defect is final, and the dead tell it", function*(stage) {
    yield* stage.work({
      handle: ({ name }) => name === Task._tag ? Effect.die(new Error("a bug in the handler")) : Effect.void,
      task: { retry: Schedule.spaced("10 millis") }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    const error = yield* stage.dead("a defect is final", sent)
    yield* ensure("the dead tell the defect", error.includes("a bug in the handler"), error)
    yield* stage.performed("the rest goes on", yield* send(Other, { label: "two" }))
    yield* noMore(stage, "a defect is not tried again", sent, [1])
  }),
  test("what its handler cancels is dead with the reason, and never tried again", function*(stage) {
    const exhausted: Array<unknown> = []
    yield* stage.work({
      handle: () => SideEffect.cancel("the order is gone"),
      task: {
        retry: Schedule.spaced("10 millis"),
        onExhausted: (cause) => Effect.sync(() => exhausted.push(cause))
      }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    const error = yield* stage.dead("what was cancelled is dead", sent)
    yield* ensure("the dead tell the reason", error.includes("the order is gone"), error)
    yield* noMore(stage, "what was cancelled is not tried again", sent, [1])
    yield* same("`onExhausted` is not asked for what was cancelled", exhausted.length, 0)
  }),
  test("what its handler snoozes comes back not earlier, and no attempt was used", function*(stage) {
    let snoozed = false
    yield* stage.work({
      handle: ({ attempt }) => {
        if (attempt === 1) return refuse("first")
        if (snoozed) return attempt === 2 ? refuse("second") : Effect.void
        snoozed = true
        return SideEffect.snooze("400 millis")
      },
      task: { retry: Schedule.spaced("10 millis"), maxAttempts: 3 }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.performed("what was snoozed comes back", sent)
    const all = stage.deliveriesOf(sent)
    yield* same("a snooze takes the attempt back", attemptsOf(all), [1, 2, 2, 3])
    const pause = pausesOf(all)[1]!
    yield* ensure("it comes back after 400 ms, and not earlier", pause >= 400 - rounding, pause)
  }),
  test("what is snoozed at first comes back as its first attempt", function*(stage) {
    let count = 0
    yield* stage.work({
      handle: () => ++count <= 3 ? SideEffect.snooze("20 millis") : Effect.void,
      task: { maxAttempts: 1 }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" })
    yield* stage.performed("what was snoozed comes back", sent)
    yield* same("a snooze takes the attempt back", attemptsOf(stage.deliveriesOf(sent)), [1, 1, 1, 1])
  }),
  test("`onExhausted` runs once, after the last attempt, with its cause", function*(stage) {
    const seen: Array<
      { readonly cause: string; readonly attempt: number; readonly key: string; readonly after: number }
    > = []
    yield* stage.work({
      handle: ({ attempt }) => refuse(`attempt ${attempt}`),
      task: {
        retry: Schedule.spaced("10 millis"),
        maxAttempts: 3,
        onExhausted: (cause, { attempt, idempotencyKey }) =>
          Effect.sync(() =>
            seen.push({ cause: Cause.pretty(cause), attempt, key: idempotencyKey, after: stage.begun.length })
          )
      }
    })
    const { send } = yield* stage.live()
    const sent = yield* send(Task, { label: "one" }, { key: "k" })
    yield* stage.dead("it is dead when its attempts are used up", sent)
    yield* stage.quiet
    yield* same("`onExhausted` runs once", seen.length, 1)
    yield* has("it is told of the last attempt", seen[0], { attempt: 3, key: "k", after: 3 })
    yield* ensure("it gets the cause of the last attempt", seen[0]!.cause.includes("attempt 3"), seen[0])
  }),
  test("an attempt that takes longer than `timeout` is interrupted and tried again", function*(stage) {
    yield* stage.work({
      handle: ({ attempt, payload }) => attempt === 1 || payload.label === "always" ? Effect.never : Effect.void,
      task: { timeout: "100 millis", retry: Schedule.spaced("10 millis"), maxAttempts: 2 }
    })
    const { send } = yield* stage.live()
    const once = yield* send(Task, { label: "once" })
    const always = yield* send(Task, { label: "always" })
    yield* stage.performed("an attempt that took too long is tried again", once)
    const [first, second] = stage.deliveriesOf(once)
    yield* ensure("it has its time", first!.ended!.at - first!.at >= 100 - rounding, first)
    yield* ensure("it has ended when the next begins", first!.ended!.at <= second!.at, { first, second })
    const error = yield* stage.dead("it is dead when its attempts are used up", always)
    yield* ensure("the dead tell that it took too long", /time/i.test(error), error)
    yield* same("a timeout uses an attempt", attemptsOf(stage.deliveriesOf(always)), [1, 2])
  }),
  test("all deliveries have the same idempotency key", function*(stage) {
    yield* stage.work({
      handle: ({ attempt }) => attempt <= 2 ? refuse("no") : Effect.void,
      worker: { retry: Schedule.spaced("10 millis") }
    })
    const { send } = yield* stage.live()
    const plain = yield* send(Task, { label: "a" })
    const keyed = yield* send(Keyed, { label: "b" })
    yield* stage.performed("what failed is tried again", plain)
    yield* stage.performed("what failed is tried again", keyed)
    const keys = (intent: { readonly id: string }) => stage.deliveriesOf(intent).map(({ key }) => key)
    yield* same("the id stands for a key", keys(plain), [plain.id, plain.id, plain.id])
    yield* same("the key stays", keys(keyed), ["key of b", "key of b", "key of b"])
  }),
  test("one that fails holds up no other", function*(stage) {
    yield* stage.work({
      handle: ({ attempt, payload }) => payload.label === "bad" && attempt < 4 ? refuse("no") : Effect.void,
      task: { retry: Schedule.spaced("200 millis") },
      worker: { concurrency: 1 }
    })
    const { send } = yield* stage.live()
    const bad = yield* send(Task, { label: "bad" })
    yield* stage.delivered("it is performed", bad)
    const good = yield* send(Task, { label: "good" })
    yield* stage.performed("what waits for its next attempt holds up no other", good)
    yield* ensure("it was performed in the meantime", stage.deliveriesOf(bad).length < 4, stage.history())
    yield* stage.performed("what failed is tried again", bad)
  })
]
