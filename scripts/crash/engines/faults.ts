import type { Dispatcher } from "effect-side-effects"
import { Engine } from "effect-side-effects/engine"
import * as Effect from "effect/Effect"
import type { Message } from "../lib/processes.ts"
import type { Write } from "./log.ts"
import type { Step, Task } from "./task.ts"

export const tell = (message: Message): void => void process.send?.(message)

/** Ends this process when it comes to the step of its task for the n-th time. */
export const stepper = ({ nth, step }: Pick<Task, "nth" | "step">, write: Write) => {
  let times = 0
  return (here: Step): void => {
    if (here !== step || ++times !== nth) return
    write({ is: "dies", step: here })
    // A little later, from outside.
    if (here.startsWith("during-")) return tell("kill me")
    process.kill(process.pid, "SIGKILL")
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  }
}

type At = ReturnType<typeof stepper>

const around = <A, E, R>(handOver: Effect.Effect<A, E, R>, ids: ReadonlyArray<string>, at: At, write: Write) =>
  Effect.suspend(() => {
    at("before-hand-over")
    write({ is: "handed", ids })
    at("during-hand-over")
    return Effect.map(handOver, (result) => {
      at("after-hand-over")
      return result
    })
  })

/** The dispatcher, which dies around handing over: by whatever way it gets what it hands over. */
export const mortal = <E, R>(
  dispatcher: Dispatcher.Dispatcher<false, E, R>,
  at: At,
  write: Write
): Dispatcher.Dispatcher<false, E, R> => ({
  ...dispatcher,
  open: (port) =>
    Effect.map(dispatcher.open(port), (opened) => ({
      ...opened,
      dispatch: (intents) => around(opened.dispatch(intents), intents.map(({ id }) => id), at, write)
    })),
  ...(Engine.isEngine(dispatcher) ? { [Engine.TypeId]: mortalEngine(dispatcher[Engine.TypeId] as any, at, write) } : {})
})

type Inside<E, R> = Engine.Engine<E, R>[typeof Engine.TypeId]

const mortalEngine = <E, R>(engine: Inside<E, R>, at: At, write: Write): Inside<E, R> => ({
  ...engine,
  connect: Effect.map(engine.connect, (connection) => ({
    ...connection,
    handOver: (jobs) => around(connection.handOver(jobs), jobs.map(({ id }) => id), at, write)
  }))
})
