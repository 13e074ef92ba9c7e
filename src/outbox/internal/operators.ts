import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { codecOf } from "../../internal/codec.ts"
import * as describe from "../../internal/describe.ts"
import * as redact from "../../internal/redact.ts"
import type * as SideEffect from "../../SideEffect.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import * as OutboxStore from "../OutboxStore.ts"
import * as doctor from "./doctor.ts"
import { maxPayload, textOf } from "./offer.ts"

/**
 * The outbox has no entry with this id: it never had, or it was removed, as what is done is after its retention.
 *
 * @category errors
 * @since 0.1.0
 */
export class EntryNotFound extends /*#__PURE__*/ Schema.TaggedError<EntryNotFound>()("EntryNotFound", {
  id: Schema.String
}) {
  override get message(): string {
    return `The outbox has no entry ${this.id}. What is past its retention, or was purged, is gone.`
  }
}

/**
 * A payload was not edited, and nothing was changed. `problem` says why, with the message of the schema where that has
 * refused it.
 *
 * @category errors
 * @since 0.1.0
 */
export class EditRefused extends /*#__PURE__*/ Schema.TaggedError<EditRefused>()("EditRefused", {
  id: Schema.String,
  name: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `The payload of "${this.name}" (${this.id}) was not changed: ${this.problem}`
  }
}

/**
 * Something that is wrong with an outbox: what it is, and what to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  /** With an `error`, side effects are not performed. */
  readonly severity: "error" | "warning"
  readonly what: string
  readonly remedy: string
}

/**
 * What operators do: look into the outbox, and put right what went wrong.
 *
 * **When to use**
 *
 * In an admin page or a job of your own. On the command line, `side-effects outbox` does the same.
 *
 * **Details**
 *
 * To look:
 *
 * - `counts`: how many there are, by name, queue and state. `count`: how many match.
 * - `list`: what matches, newest first, without history; `limit` (default 50) and `before`, the id of the last one of the
 *   page before. `show`: one, with the history of its deliveries.
 * - `pauses`, `workers`: as they are in the store.
 * - `doctor`: what is wrong, errors first: the schema is not the one of this release, clocks differ by more than 2 seconds,
 *   leases ran out and nobody took over, no worker knows a name that waits, no worker is there, the backlog grows, a pause
 *   is older than a day, many are dead.
 *
 * To change, with an answer that says how many were changed; what is in another state is left alone:
 *
 * - `retry`: what is `dead` or `scheduled` becomes due at once, with fresh budgets.
 * - `cancel`: what is not `done` or `dead` becomes `dead` as `cancelled`; a handler that runs is interrupted soon.
 * - `replay`: what is `done` or `dead` is offered once more, as a new entry that names the original in `replayOf`.
 * - `purge`: removes what is `done` or `dead`, or what is in the states that the filter names; never what is running.
 * - `edit`: another payload, as the JSON value that the schema of the side effect is encoded to, for one that is not
 *   running and not done. It is decoded and encoded again before it is stored. `unchecked` stores it as it is. The entry
 *   stays in its state: `retry` it after that.
 * - `pause`, `resume`: a name, a pattern or a queue is not performed for the time being. It is still accepted, and what
 *   runs is not interrupted. `resume` answers whether it was paused.
 *
 * Secrets, which are values of `Schema.Redacted` and `Schema.RedactedFromValue`, read `"<redacted>"` in all payloads. Where
 * an edited payload says so, the stored secret stays.
 *
 * **Gotchas**
 *
 * A filter without anything means all. Secrets in an array stay by their index: an edit that changes the length of the array
 * has to name them, and one that only changes the order mixes them up.
 *
 * **Example** (Giving another try to what failed while the mail server was away)
 *
 * ```ts
 * import { MemoryOutboxStore, Outbox } from "effect-side-effects/outbox"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const outbox = yield* Outbox.Outbox
 *   const retried = yield* outbox.retry({ states: ["dead"], names: ["billing:mail:*"], error: "ECONNREFUSED" })
 *   yield* Console.log(`${retried} mails are due again`)
 *   for (const { remedy, severity, what } of yield* outbox.doctor) yield* Console.log(severity, what, remedy)
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Outbox.layer().pipe(Layer.provide(MemoryOutboxStore.layer))))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Outbox extends /*#__PURE__*/ Context.Service<Outbox, {
  readonly counts: Effect.Effect<ReadonlyArray<OutboxStore.Count>, OutboxStore.OutboxError>
  readonly count: (filter?: OutboxStore.Filter) => Effect.Effect<number, OutboxStore.OutboxError>
  readonly list: (filter?: OutboxStore.Filter, page?: {
    readonly limit?: number | undefined
    readonly before?: string | undefined
  }) => Effect.Effect<ReadonlyArray<OutboxStore.Entry>, OutboxStore.OutboxError>
  readonly show: (id: string) => Effect.Effect<OutboxStore.Entry, EntryNotFound | OutboxStore.OutboxError>
  readonly retry: (filter: OutboxStore.Filter) => Effect.Effect<number, OutboxStore.OutboxError>
  readonly cancel: (filter: OutboxStore.Filter, reason?: string) => Effect.Effect<number, OutboxStore.OutboxError>
  readonly replay: (filter: OutboxStore.Filter) => Effect.Effect<number, OutboxStore.OutboxError>
  readonly edit: (id: string, payload: unknown, options?: {
    readonly unchecked?: boolean | undefined
  }) => Effect.Effect<void, EntryNotFound | EditRefused | OutboxStore.OutboxError>
  readonly purge: (filter: OutboxStore.Filter) => Effect.Effect<number, OutboxStore.OutboxError>
  readonly pause: (pause: Pick<OutboxStore.Pause, "kind" | "what">) => Effect.Effect<void, OutboxStore.OutboxError>
  readonly resume: (pause: Pick<OutboxStore.Pause, "kind" | "what">) => Effect.Effect<boolean, OutboxStore.OutboxError>
  readonly pauses: Effect.Effect<ReadonlyArray<OutboxStore.Pause>, OutboxStore.OutboxError>
  readonly workers: Effect.Effect<ReadonlyArray<OutboxStore.Worker>, OutboxStore.OutboxError>
  readonly doctor: Effect.Effect<ReadonlyArray<Finding>, OutboxStore.OutboxError>
}>()("effect-side-effects/outbox/Outbox") {}

const shown = (entry: OutboxStore.Entry): OutboxStore.Entry => {
  const { redacted } = entry
  if (redacted === undefined || redacted.length === 0) return entry
  const json: unknown = JSON.parse(entry.payload)
  const hidden = (text: string | undefined) => text === undefined ? undefined : redact.hideIn(text, json, redacted)
  return {
    ...entry,
    payload: textOf(redact.hide(json, redacted)),
    error: hidden(entry.error),
    history: entry.history.map((attempt) => ({ ...attempt, error: hidden(attempt.error) }))
  }
}

/** What the groups know, by all names that an entry may have. */
const definitionsOf = (groups: ReadonlyArray<SideEffectGroup.Any>): ReadonlyMap<string, SideEffect.Any> => {
  const definitions = new Map<string, SideEffect.Any>()
  const all = groups.flatMap(({ sideEffects }) => [...sideEffects.values()])
  for (const sideEffect of all) for (const alias of sideEffect.aliases) definitions.set(alias, sideEffect)
  for (const sideEffect of all) definitions.set(sideEffect._tag, sideEffect)
  return definitions
}

/** A payload that was checked, as it is stored. */
interface Stored {
  readonly payload: string
  readonly redacted: redact.Paths | undefined
}

const make = (store: OutboxStore.OutboxStore["Service"], groups: ReadonlyArray<SideEffectGroup.Any>) => {
  const definitions = definitionsOf(groups)
  const get = (id: string) =>
    Effect.flatMap(
      store.get(id),
      (entry) => entry === undefined ? Effect.fail(new EntryNotFound({ id })) : Effect.succeed(entry)
    )

  /** The paths that there were, unless they may lead to something else now. */
  const unchecked = (entry: OutboxStore.Entry, json: unknown): Stored => ({
    payload: textOf(json),
    redacted: entry.redacted === undefined || entry.redacted.length === 0
      ? undefined
      : redact.sameShape(json, JSON.parse(entry.payload), entry.redacted)
      ? entry.redacted
      : [[]]
  })

  const checked = (definition: SideEffect.Any, json: unknown): Stored => {
    const codec = codecOf(definition)
    const payload = codec.decode(json)
    const encoded = codec.encode(payload)
    return { payload: textOf(encoded), redacted: redact.redactedPaths(definition, encoded) }
  }

  const edit = Effect.fnUntraced(function*(id: string, edited: unknown, options?: {
    readonly unchecked?: boolean | undefined
  }) {
    const entry = yield* get(id)
    const { name, redacted, state } = entry
    const refuse = (problem: string) => Effect.fail(new EditRefused({ id, name, problem }))
    if (state === "running" || state === "done") {
      return yield* refuse(
        state === "done"
          ? "it is done. Replay it to have it performed once more."
          : "it is running. Cancel it first, or wait for how it ends."
      )
    }
    const definition = definitions.get(name)
    if (definition === undefined && options?.unchecked !== true) {
      return yield* refuse(
        "no group here defines it, so the payload cannot be checked. Give its group, or have it stored unchecked."
      )
    }
    const before: unknown = JSON.parse(entry.payload)
    const restored = redact.unhide(edited, before, redacted)
    if ("moved" in restored) {
      return yield* refuse(
        `an array around ${redact.show(restored.moved)} has another length, so it is not clear which secret is meant ` +
          "there. Give the secret itself."
      )
    }
    const stored = yield* Effect.try({
      try: () =>
        definition === undefined || options?.unchecked === true
          ? unchecked(entry, restored.json)
          : checked(definition, restored.json),
      catch: (error) => {
        const message = error instanceof Error ? error.message : describe.error(error)
        return new EditRefused({ id, name, problem: redact.hideIn(message, before, redacted) })
      }
    })
    const left = redact.leftAt(JSON.parse(stored.payload), stored.redacted)
    if (left !== undefined) {
      return yield* refuse(`there is no stored secret at ${redact.show(left)} to stand for. Give the secret itself.`)
    }
    if (stored.payload.length > maxPayload) {
      return yield* refuse(`it has ${stored.payload.length} characters, and the outbox takes ${maxPayload}.`)
    }
    const changed = yield* store.change({ ids: [id] }, { _tag: "Edit", ...stored })
    if (changed === 0) return yield* refuse("it was begun or removed at this moment. Look again.")
  })

  return Outbox.of({
    counts: store.counts,
    count: (filter = {}) => store.count(filter),
    list: (filter = {}, page) =>
      Effect.map(
        store.find(filter, { limit: page?.limit ?? 50, before: page?.before }),
        (entries) => entries.map(shown)
      ),
    show: (id) => Effect.map(get(id), shown),
    retry: (filter) => store.change(filter, { _tag: "Retry" }),
    cancel: (filter, reason = "An operator cancelled it.") => store.change(filter, { _tag: "Cancel", reason }),
    replay: (filter) => store.change(filter, { _tag: "Replay" }),
    edit,
    purge: (filter) => store.change({ ...filter, states: filter.states ?? ["done", "dead"] }, { _tag: "Purge" }),
    pause: store.pause,
    resume: store.resume,
    pauses: store.pauses,
    workers: store.workers,
    doctor: doctor.examine(store, groups.length === 0 ? undefined : new Set(definitions.keys()))
  })
}

/**
 * The operators' service for the store around it.
 *
 * **Details**
 *
 * `groups` are what `edit` checks payloads against, and what `doctor` judges by whether a name is known.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any> = []
): Layer.Layer<Outbox, never, OutboxStore.OutboxStore> =>
  Layer.effect(
    Outbox,
    Effect.map(OutboxStore.OutboxStore, (store) => make(store, "sideEffects" in groups ? [groups] : groups))
  )
