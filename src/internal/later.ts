import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** How much may be left for later at a time. Who comes then has to wait for its own. */
const most = 1024

/** What boundaries that have ended have left for later: dispatching what is not durable. */
export class Later {
  private readonly waiting = new Set<Effect.Effect<void>>()
  private readonly running = new Set<Fiber.Fiber<void>>()

  get isFull(): boolean {
    return this.waiting.size + this.running.size >= most
  }

  /** Returns what begins it, once, in a fiber of its own that nothing interrupts. */
  add(dispatch: Effect.Effect<void>): Effect.Effect<void> {
    const begin: Effect.Effect<void> = Effect.suspend(() =>
      this.waiting.delete(begin)
        ? Effect.map(Effect.forkDetach(dispatch, { uninterruptible: true }), (fiber) => {
          this.running.add(fiber)
          fiber.addObserver(() => this.running.delete(fiber))
        })
        : Effect.void
    )
    this.waiting.add(begin)
    return begin
  }

  /** Waits until nothing is running. */
  readonly drain: Effect.Effect<void> = Effect.suspend(() =>
    this.running.size === 0 ? Effect.void : Effect.andThen(Fiber.awaitAll([...this.running]), this.drain)
  )

  /**
   * Begins what has not begun, and waits for what is there now. Those who wait for a place of a dispatcher that is full give
   * up waiting, and hand over at once.
   */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Effect.forEach([...this.waiting], (begin) => begin, { discard: true }),
      Effect.suspend(() => Fiber.interruptAll([...this.running]))
    )
  )
}
