import * as Schema from "effect/Schema"
import * as Workflow from "effect/workflow/Workflow"
import * as Job from "../../engine/Job.ts"
import * as Outcome from "../../engine/Outcome.ts"

/**
 * A side effect that is not tried again: what the workflow that performed it fails with.
 *
 * **Details**
 *
 * `reason` is one of `Outcome.Reason`; `error` says for people why.
 *
 * @category errors
 * @since 0.1.0
 */
export class SideEffectDead extends /*#__PURE__*/ Schema.TaggedError<SideEffectDead>()("SideEffectDead", {
  name: Schema.String,
  reason: Schema.Literals(Outcome.reasons),
  error: Schema.String
}) {
  override get message(): string {
    return `Side effect "${this.name}" is dead as ${this.reason}: ${this.error}`
  }
}

/** The workflow that performs one side effect. `due` is when the first attempt may begin, in epoch milliseconds. */
export const PerformSideEffect = /*#__PURE__*/ Workflow.make("effect-side-effects", {
  payload: { job: Job.Job, due: Schema.Number },
  idempotencyKey: ({ job }) => job.id,
  error: SideEffectDead
})

/**
 * The id of the execution that performs an intent. The id of the intent itself is left to the workflow that `start` starts: an
 * engine in memory keeps executions of all workflows by their id alone.
 */
export const executionIdOf = (intent: string): string => `perform/${intent}`
