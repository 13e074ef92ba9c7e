import * as Schema from "effect/Schema"
import * as Event from "../../../Event.ts"
import * as SideEffect from "../../../SideEffect.ts"
import * as SideEffectGroup from "../../../SideEffectGroup.ts"

// What is performed by the cases of the suite.

const label = { label: Schema.String }

export const task = "suite:task"

export const Task = /*#__PURE__*/ SideEffect.make(task, { description: "Do something.", payload: label })
export const Other = /*#__PURE__*/ SideEffect.make("suite:other", {
  description: "Do something else.",
  payload: label
})
export const Keyed = /*#__PURE__*/ SideEffect.make("suite:keyed", {
  description: "Do something once.",
  payload: label,
  idempotencyKey: ({ label }) => `key of ${label}`
})
export const Happened = /*#__PURE__*/ Event.make("suite:happened", {
  description: "Something has happened.",
  payload: label
})

/** Most cases need no more. */
export const Suite = /*#__PURE__*/ SideEffectGroup.make("suite").add(Task, Other, Keyed).on(
  Happened,
  Other,
  ({ label }) => ({ label })
)

export const Nothing = /*#__PURE__*/ SideEffect.make("suite:nothing", { description: "Take nothing." })
export const Text = /*#__PURE__*/ SideEffect.make("suite:text", {
  description: "Take a text.",
  payload: Schema.String
})
export const List = /*#__PURE__*/ SideEffect.make("suite:list", {
  description: "Take a list.",
  payload: Schema.Array(Schema.NullOr(Schema.Number))
})
export const Transformed = /*#__PURE__*/ SideEffect.make("suite:transformed", {
  description: "Take what JSON cannot hold.",
  payload: { at: Schema.Date, size: Schema.BigInt, note: Schema.optionalKey(Schema.String) }
})
export const Payloads = /*#__PURE__*/ SideEffectGroup.make("suite").add(Nothing, Text, List, Transformed)

export const Old = /*#__PURE__*/ SideEffect.make("suite:old-name", { description: "Do it.", payload: label })
const Renamed = /*#__PURE__*/ SideEffect.make("suite:new-name", {
  description: "Do it, by a new name.",
  payload: label,
  aliases: [Old._tag]
})
/** As it was before, and as it is now. */
export const Before = /*#__PURE__*/ SideEffectGroup.make("suite").add(Old, Task)
export const After = /*#__PURE__*/ SideEffectGroup.make("suite").add(Renamed, Task)

const reshaped = "suite:reshaped"
export const Written = /*#__PURE__*/ SideEffect.make(reshaped, {
  description: "As it is written.",
  payload: { size: Schema.String }
})
/** One name, two schemas. */
export const Writing = /*#__PURE__*/ SideEffectGroup.make("suite").add(Written, Task)
export const Reading = /*#__PURE__*/ SideEffectGroup.make("suite").add(
  Task,
  /*#__PURE__*/ SideEffect.make(reshaped, { description: "As it is read.", payload: { size: Schema.Number } })
)

export const Stranger = /*#__PURE__*/ SideEffect.make("suite:stranger", {
  description: "Do what not everybody can.",
  payload: label
})
export const WithStranger = /*#__PURE__*/ SideEffectGroup.make("suite").add(Task, Stranger)
export const WithoutStranger = /*#__PURE__*/ SideEffectGroup.make("suite").add(Task)

export const queueA = "suite-a"
export const queueB = "suite-b"
export const InA = /*#__PURE__*/ SideEffect.make("suite:in-a", {
  description: "Do it in queue A.",
  payload: label,
  defaults: { queue: queueA }
})
export const InB = /*#__PURE__*/ SideEffect.make("suite:in-b", {
  description: "Do it in queue B.",
  payload: label,
  defaults: { queue: queueB }
})
export const Queued = /*#__PURE__*/ SideEffectGroup.make("suite").add(InA, InB)

export const Urgent = /*#__PURE__*/ SideEffect.make("suite:urgent", {
  description: "Do it first.",
  payload: label,
  defaults: { priority: 7 }
})
export const Prioritised = /*#__PURE__*/ SideEffectGroup.make("suite").add(Task, Urgent)

export const Delayed = /*#__PURE__*/ SideEffectGroup.make("suite").on(Happened, Task, ({ label }) => ({ label }), {
  enqueue: { delay: "500 millis" }
})

/** What a child process performs. The payload says how. */
export const Errand = /*#__PURE__*/ SideEffect.make("suite:errand", {
  description: "Do what the payload says.",
  payload: {
    mode: Schema.Literals(["done", "hang", "fail-then-hang"]),
    ...label,
    /** How long it takes, in milliseconds. */
    millis: Schema.optionalKey(Schema.Number)
  }
})
export const Errands = /*#__PURE__*/ SideEffectGroup.make("suite").add(Errand)
