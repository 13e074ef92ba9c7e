import type * as JsonSchema from "effect/JsonSchema"

/**
 * Where something was written: the file as the runtime names it (a path, also where it was loaded from a `file:` URL),
 * line and column counted from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  readonly file: string
  readonly line: number
  readonly column: number
}

/**
 * What all entries have in common.
 *
 * **Details**
 *
 * - `exportName`: the name of the class or `undefined` where it has none of its own.
 * - `groups`: names of the groups it is in.
 * - `summary`: the first line of `description`.
 * - `payload`: the JSON Schema (draft 2020-12, self-contained) of the payload as a queue stores it; `undefined` when there is
 *   no payload.
 * - `owner`, `tags`: from the annotations `Owner` and `Tags`. `annotations`: all others that JSON can show, by key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly name: string
  readonly exportName: string | undefined
  readonly groups: ReadonlyArray<string>
  readonly summary: string
  readonly description: string
  readonly payload: JsonSchema.JsonSchema | undefined
  readonly owner: string | undefined
  readonly tags: ReadonlyArray<string>
  readonly annotations: Readonly<Record<string, unknown>>
  readonly source: Source | undefined
}

/**
 * An event. `bindings` are the ids of its bindings, in the order in which their side effects are enqueued;
 * `mayBeUnbound` says that it is all right when there are none, from the annotation `MayBeUnbound`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventEntry extends Entry {
  readonly bindings: ReadonlyArray<string>
  readonly mayBeUnbound: boolean
}

/**
 * Where intents of a side effect go: to which dispatcher, and of which queue where that decides. `engine` is the one that a
 * relay hands them to.
 *
 * @category models
 * @since 0.1.0
 */
export interface DestinationEntry {
  readonly dispatcher: string
  readonly queue?: string
  readonly engine?: string
}

/**
 * A side effect.
 *
 * **Details**
 *
 * - `hasIdempotencyKey`: whether its definition computes one.
 * - `defaults`: for people, e.g. `{ timeout: "10s", retry: "up to 3 times: after 1s, 2s, 4s", queue: "mail" }`.
 * - `bindings`: the ids of the bindings that lead to it. `enqueuedBy`: the code that enqueues it itself, from the annotation
 *   `EnqueuedBy`.
 * - `destinations`: where it goes, in the order in which routes are asked. Only where the catalogue was told.
 *
 * @category models
 * @since 0.1.0
 */
export interface SideEffectEntry extends Entry {
  readonly hasIdempotencyKey: boolean
  readonly defaults: {
    readonly timeout?: string
    readonly retry?: string
    readonly attempts?: string
    readonly concurrency?: string
    readonly queue?: string
    readonly priority?: string
  }
  readonly bindings: ReadonlyArray<string>
  readonly enqueuedBy: ReadonlyArray<string>
  readonly destinations?: ReadonlyArray<DestinationEntry> | undefined
}

/**
 * A binding of events to a side effect.
 *
 * **Details**
 *
 * - `from`: as it was written: the name of an event, names separated by `, `, a pattern, or a regular expression.
 * - `events`: the names of the events it stands for. Empty when a pattern matches nothing.
 * - `priority`: higher ones come first; 0 unless it was given. `conditional`: whether it has a `when`.
 * - `enqueue`: the options that it enqueues with, for people, e.g. `{ delay: "1d", queue: "slow" }`, or
 *   `{ options: "computed for each event" }`.
 *
 * @category models
 * @since 0.1.0
 */
export interface BindingEntry {
  readonly id: string
  readonly group: string
  readonly from: string
  readonly kind: "event" | "events" | "pattern" | "regexp"
  readonly events: ReadonlyArray<string>
  readonly sideEffect: string
  readonly priority: number
  readonly conditional: boolean
  readonly enqueue: Readonly<Record<string, string>>
  readonly source: Source | undefined
}

/**
 * A group. `sideEffects`, `events` and `bindings` are names and ids.
 *
 * @category models
 * @since 0.1.0
 */
export interface GroupEntry {
  readonly name: string
  readonly owner: string | undefined
  readonly tags: ReadonlyArray<string>
  readonly annotations: Readonly<Record<string, unknown>>
  readonly sideEffects: ReadonlyArray<string>
  readonly events: ReadonlyArray<string>
  readonly bindings: ReadonlyArray<string>
}

/**
 * What can happen, and what it leads to: a plain value that JSON can hold. Entries are in the order of their definition;
 * every name and id is unique in its list.
 *
 * @category models
 * @since 0.1.0
 */
export interface Catalog {
  readonly groups: ReadonlyArray<GroupEntry>
  readonly events: ReadonlyArray<EventEntry>
  readonly sideEffects: ReadonlyArray<SideEffectEntry>
  readonly bindings: ReadonlyArray<BindingEntry>
}
