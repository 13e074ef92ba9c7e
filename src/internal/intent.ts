import type * as Duration from "effect/Duration"
import * as Inspectable from "effect/Inspectable"

/** The runtime type of every intent. */
export const TypeId = "~effect-side-effects/Intent"

/** What the machinery keeps about an intent beside the public part. */
export interface IntentInternal {
  /** Position in the order of enqueueing, over all boundaries of one layer. */
  readonly seq: number
  /** The boundary it was enqueued in; compared, never read. Dropped when the intent has its decision. */
  owner: object | undefined
  /** The policies of the `withPolicy` blocks around the call, innermost first. */
  readonly local: ReadonlyArray<unknown> | undefined
  /** Set once. */
  decision: unknown
  /** Handed to the background: what becomes of it is no matter of the boundary any more. */
  detached: boolean
}

/** @internal */
export class IntentImpl implements IntentInternal {
  readonly [TypeId]: typeof TypeId = TypeId
  readonly id: string
  readonly name: string
  readonly sideEffect: any
  readonly payload: any
  readonly key: string | undefined
  readonly delay: Duration.Duration | undefined
  readonly queue: string | undefined
  readonly priority: number | undefined
  readonly origin: string | undefined
  readonly metadata: Readonly<Record<string, unknown>> | undefined
  readonly policies: ReadonlyArray<string>

  // Private, so that nobody who prints an intent sees the machinery.
  readonly #seq: number
  #owner: object | undefined
  readonly #local: ReadonlyArray<unknown> | undefined
  #decision: unknown = undefined
  #detached = false

  get seq(): number {
    return this.#seq
  }
  get owner(): object | undefined {
    return this.#owner
  }
  set owner(owner: object | undefined) {
    this.#owner = owner
  }
  get local(): ReadonlyArray<unknown> | undefined {
    return this.#local
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

  constructor(
    sideEffect: { readonly _tag: string },
    payload: unknown,
    key: string | undefined,
    delay: Duration.Duration | undefined,
    options: {
      readonly queue?: string | undefined
      readonly priority?: number | undefined
      readonly origin?: string | undefined
      readonly metadata?: Readonly<Record<string, unknown>> | undefined
    },
    policies: ReadonlyArray<string>,
    local: ReadonlyArray<unknown> | undefined,
    seq: number,
    owner: object | undefined,
    id: string = globalThis.crypto.randomUUID()
  ) {
    this.id = id
    this.name = sideEffect._tag
    this.sideEffect = sideEffect
    this.payload = payload
    this.key = key
    this.delay = delay
    this.queue = options.queue
    this.priority = options.priority
    this.origin = options.origin
    this.metadata = options.metadata
    this.policies = policies
    this.#seq = seq
    this.#owner = owner
    this.#local = local
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

/** The same wish, id included, without a decision. */
export const copy = (intent: IntentImpl): IntentImpl =>
  new IntentImpl(
    intent.sideEffect,
    intent.payload,
    intent.key,
    intent.delay,
    intent,
    intent.policies,
    undefined,
    intent.seq,
    undefined,
    intent.id
  )
