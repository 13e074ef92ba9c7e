import type * as Duration from "effect/Duration"

// How a handler tells the machinery that it did not fail. They travel as defects, so that no error handling of the
// handler's own mistakes them for a failure.

/** The intent is not wanted any more. */
export class Cancel extends Error {
  override readonly name = "Cancel"
  readonly reason: string
  constructor(reason: string) {
    super(`SideEffect.cancel(${JSON.stringify(reason)}) was run outside a handler`)
    this.reason = reason
  }
}

/** Again later, no attempt used. */
export class Snooze extends Error {
  override readonly name = "Snooze"
  readonly duration: Duration.Duration
  constructor(duration: Duration.Duration) {
    super("SideEffect.snooze was run outside a handler")
    this.duration = duration
  }
}
