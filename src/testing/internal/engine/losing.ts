import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as ChildProcess from "effect/process/ChildProcess"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Stream from "effect/Stream"
import * as Engine from "../../../engine/Engine.ts"
import type * as Job from "../../../engine/Job.ts"
import { ensure, has, same, violated, type Violation } from "../outbox/check.ts"
import { Errand, Errands, Task } from "./definitions.ts"
import { parse, type Report } from "./runner.ts"
import { isEngine, type Stage, type Subject, type Test, test } from "./stage.ts"

const crashes = ({ crash }: Subject): boolean => crash !== undefined

/** Starting a process takes its time, on a machine that is busy above all. */
const startup = "20 seconds"

/** A process that performs errands. What it says is seen by `stage.until`. */
const spawn = Effect.fnUntraced(function*(stage: Stage) {
  const command: ChildProcess.Command = yield* stage.subject.crash!.command
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const handle = yield* spawner.spawn(command)
  const reports: Array<Report> = []
  yield* Effect.forkScoped(Stream.runForEach(
    Stream.splitLines(Stream.decodeText(handle.stdout)),
    (line) =>
      Effect.sync(() => {
        const report = parse(line)
        if (report !== undefined) reports.push(report)
        stage.pulse()
      })
  ))
  return {
    reports,
    begins: (id: string, nth = 1): Effect.Effect<Report, Violation> =>
      stage.until(
        "a process that runs `runWorker` performs what is in the engine",
        () => reports.filter((report) => report.suite === "begin" && report.id === id)[nth - 1],
        startup
      ),
    /** As the kernel does it where memory has run out. */
    kill: Effect.andThen(handle.kill({ killSignal: "SIGKILL" }), Effect.exit(handle.exitCode))
  }
})

const withinRecovery = ({ patience, subject }: Stage) =>
  Duration.sum(Duration.fromInputUnsafe(subject.crash!.recovery), patience)

export const losing: ReadonlyArray<Test> = [
  test("what a lost process held is performed by another, with the same id, key and attempts", function*(stage) {
    const { keepsProgress } = stage.subject.crash!
    const { send } = yield* stage.live(Errands)
    const child = yield* spawn(stage)
    const failing = yield* send(Errand, { mode: "fail-then-hang", label: "failed before" }, { key: "key of failing" })
    const hanging = yield* Effect.forEach(
      ["a", "b", "c"],
      (label) => send(Errand, { mode: "hang", label }, { key: `key of ${label}`, origin: "suite", metadata: { label } })
    )
    yield* child.begins(failing.id, 2)
    for (const { id } of hanging) yield* child.begins(id)
    yield* child.kill
    const killed = yield* Clock.currentTimeMillis
    yield* stage.work({ group: Errands })
    const fresh = yield* send(Errand, { mode: "done", label: "fresh" })
    yield* stage.performed("what a lost process held holds up nobody", fresh)
    const contract = "what a lost process held is performed by another within `recovery`"
    for (const intent of hanging) {
      const one = yield* stage.performed(contract, intent, withinRecovery(stage))
      yield* has("it is the same intent", one, {
        key: intent.key,
        payload: { mode: "hang", label: intent.payload.label },
        intent: { id: intent.id, key: intent.key, origin: "suite", metadata: intent.metadata }
      })
      if (keepsProgress) yield* same("a delivery that was lost has used an attempt", one.attempt, 2)
    }
    const one = yield* stage.performed(contract, failing, withinRecovery(stage))
    yield* same("the key stays", one.key, "key of failing")
    if (keepsProgress) yield* same("attempts that were made before count", one.attempt, 3)
    const took = Math.max(...stage.begun.map(({ at }) => at)) - killed
    yield* ensure(contract, took <= Duration.toMillis(withinRecovery(stage)), took)
    yield* stage.quiet
    yield* same("each is performed once", stage.begun.length, 5)
  }, crashes),
  test("what has lost its process `maxCrashes` times is dead as crashed", function*(stage) {
    const { send } = yield* stage.live(Errands)
    const child = yield* spawn(stage)
    const deadly = yield* send(Errand, { mode: "hang", label: "deadly" })
    yield* child.begins(deadly.id)
    yield* child.kill
    yield* stage.work({ group: Errands, worker: { maxCrashes: 1 } })
    const error = yield* stage.dead("after `maxCrashes` it is dead", deadly, withinRecovery(stage))
    yield* ensure("the reason says that a process died", /died|crash|stall|lost/i.test(error), error)
    yield* stage.performed("the rest goes on", yield* send(Errand, { mode: "done", label: "fresh" }))
    yield* same("no handler has begun with it", stage.deliveriesOf(deadly).length, 0)
  }, ({ crash }) => crash?.keepsProgress === true),
  test("what is handed over twice with one id is there once, or has the same idempotency key", function*(stage) {
    const connect: Effect.Effect<Engine.Connection, unknown, any> = stage.engine![Engine.TypeId].connect
    const { handOver } = yield* connect
    const createdAt = yield* Clock.currentTimeMillis
    const job = (label: string, key?: string): Job.Job => ({
      id: globalThis.crypto.randomUUID(),
      name: Task._tag,
      queue: "default",
      priority: 0,
      payload: { label },
      delay: 0,
      createdAt,
      key
    })
    const [one, two, three] = [job("one"), job("two", "key of two"), job("three")]
    yield* handOver([one, two])
    // As after a crash of who handed over: the batch comes again, and more with it.
    yield* handOver([two, one, three])
    yield* stage.work({ worker: { concurrency: 1 } })
    const contract = "a job is performed when its batch comes again"
    for (const { id } of [one, two, three]) yield* stage.performed(contract, { id })
    yield* handOver([one])
    yield* stage.quiet
    yield* stage.quiet
    const times = [one, two, three].map(({ id }) => stage.deliveriesOf({ id }).length)
    if (stage.subject.deduplicates) {
      yield* same(
        "a job that is handed over twice is performed once, also when it has been performed meanwhile",
        times,
        [
          1,
          1,
          1
        ]
      )
    } else if (times[0]! < 2) {
      return yield* violated("the subject says that it does not tell jobs apart by their id", "several times", times)
    }
    yield* same(
      "whichever time it is: its idempotency key is the same",
      [...new Set(stage.begun.map(({ key }) => key))].toSorted(),
      [one.id, "key of two", three.id].toSorted()
    )
  }, isEngine)
]
