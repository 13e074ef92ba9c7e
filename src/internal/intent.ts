import type * as Duration from "effect/Duration"
import * as Inspectable from "effect/Inspectable"
import type * as Tracer from "effect/Tracer"
import { traceparentOf } from "./trace.ts"

/** The runtime type of every intent. */
export const TypeId = "~effect-side-effects/Intent"

/** What the machinery keeps about an intent beside the public part. */
export interface IntentInternal {
  /** Position in the order of enqueueing, over all boundaries of one layer. */
  seq: number
  /** The boundary it was enqueued in; compared, never read. Dropped when the intent has its decision. */
  owner: object | undefined
  readonly local: Local | undefined
  /** Set once. */
  decision: unknown
  /** Handed to the background: what becomes of it is no matter of the boundary any more. */
  detached: boolean
  /** What the dispatcher has noticed of where it was enqueued. */
  noticed: unknown
  /** The span it was enqueued in; where that was in another process, its `traceparent`. */
  readonly trace: Trace | undefined
}

export type Trace = Tracer.AnySpan | string

/** What an intent was told beside its payload. */
export interface Told {
  readonly delay?: Duration.Duration | undefined
  readonly queue?: string | undefined
  readonly priority?: number | undefined
  /** A text, or the event it follows from. */
  readonly origin?: unknown
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

/** The policies of the `withPolicy` blocks around a call, innermost first. */
export interface Local {
  readonly policies: ReadonlyArray<unknown>
  readonly names: ReadonlyArray<string>
}

const noNames: ReadonlyArray<string> = []

/**
 * Small, as a boundary may hold a hundred thousand: what is rarely told takes one slot together. What is private nobody
 * sees who prints an intent.
 *
 * @internal
 */
export class IntentImpl implements IntentInternal {
  declare readonly [TypeId]: typeof TypeId
  readonly id: string
  readonly name: string
  readonly sideEffect: any
  readonly payload: any
  readonly key: string | undefined
  readonly #told: Told
  readonly #local: Local | undefined
  readonly #trace: Trace | undefined
  #seq = -1
  #owner: object | undefined
  #decision: unknown = undefined
  #detached = false
  #noticed: unknown = undefined

  constructor(
    sideEffect: { readonly _tag: string },
    payload: unknown,
    key: string | undefined,
    told: Told,
    local: Local | undefined,
    owner: object | undefined,
    trace: Trace | undefined,
    id: string = globalThis.crypto.randomUUID()
  ) {
    this.id = id
    this.name = sideEffect._tag
    this.sideEffect = sideEffect
    this.payload = payload
    this.key = key
    this.#told = told
    this.#local = local
    this.#owner = owner
    this.#trace = trace
  }

  get delay(): Duration.Duration | undefined {
    return this.#told.delay
  }
  get queue(): string | undefined {
    return this.#told.queue ?? this.sideEffect.defaults.queue
  }
  get priority(): number | undefined {
    return this.#told.priority ?? this.sideEffect.defaults.priority
  }
  get origin(): unknown {
    return this.#told.origin
  }
  get metadata(): Readonly<Record<string, unknown>> | undefined {
    return this.#told.metadata
  }
  get traceparent(): string | undefined {
    return typeof this.#trace === "object" ? traceparentOf(this.#trace) : this.#trace
  }
  get policies(): ReadonlyArray<string> {
    return this.#local === undefined ? noNames : this.#local.names
  }

  get trace(): Trace | undefined {
    return this.#trace
  }
  get local(): Local | undefined {
    return this.#local
  }
  get seq(): number {
    return this.#seq
  }
  set seq(seq: number) {
    this.#seq = seq
  }
  get owner(): object | undefined {
    return this.#owner
  }
  set owner(owner: object | undefined) {
    this.#owner = owner
  }
  get decision(): unknown {
    return this.#decision
  }
  set decision(decision: unknown) {
    this.#decision = decision
  }
  get detached(): boolean {
    return this.#detached
  }
  set detached(detached: boolean) {
    this.#detached = detached
  }
  get noticed(): unknown {
    return this.#noticed
  }
  set noticed(noticed: unknown) {
    this.#noticed = noticed
  }

  /** The same wish, id included, without a decision. */
  copy(): IntentImpl {
    return new IntentImpl(
      this.sideEffect,
      this.payload,
      this.key,
      this.#told,
      this.#local,
      undefined,
      this.#trace,
      this.id
    )
  }

  toJSON(): Record<string, unknown> {
    const json: Record<string, unknown> = { _id: "Intent", id: this.id, name: this.name, payload: this.payload }
    for (const key of ["key", "delay", "queue", "priority", "origin", "metadata"] as const) {
      if (this[key] !== undefined) json[key] = this[key]
    }
    if (this.policies.length > 0) json["policies"] = this.policies
    return json
  }

  toString(): string {
    return `Intent(${this.name}, ${this.id})`
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

Object.defineProperty(IntentImpl.prototype, TypeId, { value: TypeId })
