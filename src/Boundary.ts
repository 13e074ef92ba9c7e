/**
 * A boundary: a unit of work that buffers intents, releases them when it succeeds and discards them otherwise.
 *
 * `SideEffects.boundary` opens and closes one around an effect, `SideEffects.open` by hand. This module holds what both
 * have in common: the options, the report, the errors, and the life of a boundary.
 *
 * An intent takes one way: `Place.enqueue` validates it, asks the policies' `onEnqueue` and pushes it into the
 * boundary; `BoundaryState.close` lets the policies decide and hands what is left to the parent, or to the layer, which
 * dispatches it. No step asks an earlier one again.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Binding from "./Binding.ts"
import * as Decision from "./Decision.ts"
import { DispatchError } from "./Dispatcher.ts"
import type * as Event from "./Event.ts"
import * as Instruments from "./Instruments.ts"
import type * as Intent from "./Intent.ts"
import * as describe from "./internal/describe.ts"
import type { IntentImpl } from "./internal/intent.ts"
import type { Later } from "./internal/later.ts"
import * as Policy from "./Policy.ts"
import type * as SideEffect from "./SideEffect.ts"

/**
 * How a boundary behaves.
 *
 * **Details**
 *
 * - `name`: shown in reports, decisions and errors.
 * - `origin`: where it comes from, for people: a route, a job. Intents that are told no other have it as their `origin`,
 *   also those of boundaries inside. A function is asked for each intent.
 * - `detached`: a unit of work of its own, also inside another one: for a job that is forked and may outlive it. Neither the
 *   boundaries around nor their policies have a say, only the layer's policy. Default `false`.
 * - `policy`: asked about every intent of the boundary, and of the boundaries inside it, when it is released.
 * - `releaseWhen`: whether the intents are released, given how the effect ended. Default: when it succeeded.
 * - `nested`: what becomes of the intents of a boundary inside this one when it succeeds. `"capture"` (default): they
 *   wait for this boundary. `"release"`: they may leave at once. A function returns those that may leave at once, the
 *   others wait. All boundaries around have to let an intent through before it leaves. An event goes with the first that
 *   follows from it; one that nothing follows from waits, unless it is `"release"`.
 * - `abortOnError`: when a side effect that this boundary dispatched failed, the boundary fails with `DispatchError`.
 *   A boundary inside another one dispatches nothing itself, as long as it is captured; and what a background dispatcher
 *   performs later is not waited for.
 * - `onClose`: gets the report when everything is decided that is decided here.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in A = any, in E = any, Abort extends boolean = boolean> {
  readonly name?: string | undefined
  readonly origin?: string | (() => string) | undefined
  readonly detached?: boolean | undefined
  readonly policy?: Policy.Policy | undefined
  readonly releaseWhen?: ((exit: Exit.Exit<A, E>) => boolean) | undefined
  readonly nested?:
    | "capture"
    | "release"
    | ((intents: ReadonlyArray<Intent.Any>) => ReadonlyArray<Intent.Any>)
    | undefined
  readonly abortOnError?: Abort | undefined
  readonly onClose?: ((report: Report) => Effect.Effect<unknown>) | undefined
}

/**
 * What became of a boundary and of its intents.
 *
 * **Details**
 *
 * `outcome` is `"captured"` when a boundary around this one has taken over what was left. `intents` are those of this
 * boundary and those it captured, in the order of enqueueing; `events` the same of what was emitted. `decisions` holds
 * one for each intent that has its decision when you read it; `pending` are the others: captured, or still with a
 * background dispatcher.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly name: string | undefined
  readonly outcome: "released" | "captured" | "discarded"
  readonly exit: Exit.Exit<unknown, unknown>
  readonly intents: ReadonlyArray<Intent.Any>
  readonly events: ReadonlyArray<Event.Emitted>
  readonly decisions: ReadonlyArray<Decision.Decision>
  readonly pending: ReadonlyArray<Intent.Any>
}

/**
 * Something was asked of a boundary that has ended: most often a fiber that outlived it has enqueued. A defect.
 *
 * @category errors
 * @since 0.1.0
 */
export class BoundaryClosed extends /*#__PURE__*/ Data.TaggedError("BoundaryClosed")<{
  readonly boundary: string | undefined
  readonly intent: Intent.Any | undefined
  readonly event?: Event.Emitted | undefined
  readonly message: string
}> {}

/**
 * A side effect was enqueued, or an event emitted, outside a boundary, and the layer rejects that. A defect.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoBoundary extends /*#__PURE__*/ Data.TaggedError("NoBoundary")<{
  readonly intent: Intent.Any | undefined
  readonly event?: Event.Emitted | undefined
}> {
  override get message(): string {
    const what = this.event === undefined
      ? `Side effect "${this.intent?.name}" was enqueued`
      : `Event "${this.event.name}" was emitted`
    return `${what} outside a boundary, and the layer says outsideBoundary: "reject". Wrap the unit of work in ` +
      "SideEffects.boundary."
  }
}

/**
 * A payload does not fit the schema of its side effect or event. A defect, at the call site.
 *
 * **Details**
 *
 * `sideEffect` or `event` is its name. Where a binding has made the payload of a side effect, `binding` is its id and
 * `event` the name of the event it follows from.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPayload extends /*#__PURE__*/ Data.TaggedError("InvalidPayload")<{
  readonly sideEffect?: string | undefined
  readonly event?: string | undefined
  readonly binding?: string | undefined
  readonly problem: string
}> {
  override get message(): string {
    const { binding, event, problem, sideEffect } = this
    const what = sideEffect === undefined ? `event "${event}"` : `side effect "${sideEffect}"`
    const by = binding === undefined ? "" : `, made by binding "${binding}" of event "${event}"`
    return `Invalid payload for ${what}${by}: ${problem}`
  }
}

/**
 * What the machinery needs of a layer.
 *
 * @internal
 */
export interface Root {
  readonly policy: Policy.Policy | undefined
  readonly outsideBoundary: "warn" | "dispatch" | "reject"
  readonly onDispatchError: "log" | "die"
  /** Validates what is enqueued; throws a defect. */
  readonly admit: (sideEffect: SideEffect.Any, payload: unknown) => unknown
  /** The same for what is emitted. */
  readonly admitEvent: (event: Event.Any, payload: unknown) => unknown
  /** What follows from an event, by its name. */
  readonly bindings: (event: string) => ReadonlyArray<Binding.Binding>
  /** Throws when a policy looks for something that the layer does not know. */
  readonly checkPolicy: ((policy: Policy.Policy) => void) | undefined
  /** Whether what is accepted will happen, so that a transaction or a response may rely on it. */
  readonly isDurable: (intent: Intent.Any) => boolean
  /** Whether the transaction that is open here decides on it, so that it has to be handed over while that is open. */
  readonly isBound: (intent: Intent.Any) => boolean
  /** Performs or hands on; everything has its decision, or is pending in the background, when it is done. */
  readonly dispatch: (intents: ReadonlyArray<Intent.Any>) => Effect.Effect<void>
  readonly drain: Effect.Effect<void>
  readonly observer: Decision.Observer | undefined
  readonly instruments: Instruments.Instruments | undefined
  /** Throws where the dispatcher cannot do what an intent asks for. */
  readonly check?: ((intent: Intent.Any) => void) | undefined
  /** The dispatcher wants to know where intents are enqueued. */
  readonly noticed?: ((intent: Intent.Any) => void) | undefined
  /** Nothing leaves through it, whatever is enqueued. */
  readonly recording?: boolean | undefined
  /** The layer that this records for: what has captured that is led here. */
  readonly standsFor?: Root | undefined
  readonly later: Later
  seq: number
}

/** A policy, and what it remembers in one boundary. */
interface Asked {
  readonly policy: Policy.Policy
  readonly state: unknown
}

type Entries = Array<IntentImpl | Entries>
type Closing<E = never> = Effect.Effect<void, E> | undefined
type Outcome = Report["outcome"]

/**
 * The life of one boundary.
 *
 * @internal
 */
export class BoundaryState {
  readonly root: Root
  readonly parent: BoundaryState | undefined
  readonly options: Options
  /** Own intents, and the entries of each boundary inside that handed over: in order unless fibers ran side by side. */
  entries: Entries = []
  /** What was emitted here, and in the boundaries inside that handed over. */
  events: Array<Event.EmittedImpl> | undefined = undefined
  closed: Outcome | undefined = undefined
  /** Whether an own intent remembers a policy. */
  local = false
  /** Whether it is that which a handler got when it first enqueued. */
  ofHandler = false
  /**
   * Takes what need not be done before this boundary ends: dispatching what is not durable. It gets that only when all
   * that is durable has been accepted.
   */
  defer: ((dispatch: Effect.Effect<void>) => Effect.Effect<void>) | undefined = undefined
  private asked: Map<unknown, Asked> | undefined = undefined

  constructor(root: Root, parent: BoundaryState | undefined, options: Options) {
    this.root = root
    this.parent = parent
    this.options = options
    if (options.policy !== undefined) root.checkPolicy?.(options.policy)
  }

  get label(): string {
    return this.options.name === undefined ? "its boundary" : `boundary "${this.options.name}"`
  }

  get outermost(): BoundaryState {
    let outermost: BoundaryState = this
    while (outermost.parent !== undefined) outermost = outermost.parent
    return outermost
  }

  /** The policy with its state in this boundary. The same policy may stand in it more than once, as what `as` says. */
  ask(policy: Policy.Policy, as: unknown): Asked {
    const all = this.asked ??= new Map()
    let asked = all.get(as)
    if (asked === undefined) all.set(as, asked = { policy, state: policy.state?.() })
    return asked
  }

  push(intent: IntentImpl): void {
    this.local ||= intent.local !== undefined
    this.entries.push(intent)
  }

  emit(event: Event.EmittedImpl): void {
    ;(this.events ??= []).push(event)
  }

  /** All events, in the order of emission. */
  emitted(): ReadonlyArray<Event.EmittedImpl> {
    return this.events?.toSorted((a, b) => a.seq - b.seq) ?? []
  }

  /** All intents, in the order of enqueueing. */
  all(): ReadonlyArray<IntentImpl> {
    return flatten(this.entries)
  }

  /** Those that were enqueued here. */
  own(): ReadonlyArray<IntentImpl> {
    return this.entries.filter((entry) => !Array.isArray(entry)) as Array<IntentImpl>
  }

  /** Those that boundaries inside handed over. */
  captured(): ReadonlyArray<IntentImpl> {
    return flatten(this.entries.filter((entry) => Array.isArray(entry)))
  }

  close(exit: Exit.Exit<unknown, unknown>): Closing<DispatchError> {
    let release: boolean
    try {
      release = this.options.releaseWhen === undefined ? exit._tag === "Success" : this.options.releaseWhen(exit)
    } catch (defect) {
      const reason = `was not released: releaseWhen died with ${describe.error(defect)}`
      const error = new Error(`releaseWhen of ${this.label} died, so nothing is released`, { cause: defect })
      return Effect.andThen(this.discard(exit, reason) ?? Effect.void, Effect.die(error))
    }
    return release ? this.release(exit) : this.discard(exit, describe.exit(exit))
  }

  discard(exit: Exit.Exit<unknown, unknown>, reason: string): Closing {
    const intents = this.all()
    const cause = exit._tag === "Failure" ? exit.cause : undefined
    for (const intent of intents as ReadonlyArray<any>) {
      Decision.settle(this.root.observer, { _tag: "Discarded", intent, by: this.label, reason, cause })
    }
    for (const event of this.events ?? []) {
      Decision.conclude(this.root.observer, event, { _tag: "Discarded", by: this.label, reason })
    }
    return this.end("discarded", exit, intents)
  }

  release(exit: Exit.Exit<unknown, unknown>): Closing<DispatchError> {
    // From here on nothing can be enqueued, and nothing interrupts.
    this.closed = "released"
    const { parent, root } = this
    if (this.entries.length === 0 && this.events === undefined) return this.end("released", exit, [])
    if (!this.local && this.options.policy?.decide === undefined) {
      // The short ways, where nobody has to be asked.
      if (parent !== undefined && parent.closed === undefined && isCapturing(parent)) {
        if (this.entries.length > 0) parent.entries.push(this.entries)
        for (const event of this.events ?? []) parent.emit(event)
        return this.end("captured", exit)
      }
      if (parent === undefined && root.policy?.decide === undefined) {
        if (this.events !== undefined) this.releaseEvents(this.emitted())
        if (this.entries.length === 0) return this.end("released", exit, [])
        const intents = this.all()
        // The transaction of a boundary inside may have settled some.
        const left = intents.every(isPending) ? intents : intents.filter(isPending)
        return this.observed(this.hand(left, "released", exit, intents), intents)
      }
    }
    // One inside another is only told of what it dispatches itself.
    return parent === undefined ? this.observed(releaseAsking(this, exit), this.all()) : releaseAsking(this, exit)
  }

  observed<A, E>(self: Effect.Effect<A, E>, intents: ReadonlyArray<IntentImpl>): Effect.Effect<A, E> {
    const { instruments, recording } = this.root
    if (intents.length === 0) return self
    if (instruments !== undefined) return instruments.release(self, this, intents as any)
    if (Instruments.unheard.size === 0 || recording === true) return self
    Instruments.unheard.clear()
    return Effect.andThen(Effect.logWarning(beside), self)
  }

  /** Dispatches what is left of all intents, and concludes. */
  hand(
    left: ReadonlyArray<IntentImpl>,
    outcome: Outcome,
    exit: Exit.Exit<unknown, unknown>,
    all: ReadonlyArray<IntentImpl>
  ): Effect.Effect<void, DispatchError> {
    const { defer, root } = this
    const intents = left as ReadonlyArray<any> as ReadonlyArray<Intent.Any>
    const isDue = (intent: Intent.Any) => root.isDurable(intent) || root.isBound(intent)
    const now = defer === undefined ? intents : intents.filter(isDue)
    const due = new Set(now)
    const conclude = () => this.conclude(outcome, exit, all)
    if (now.length === intents.length) {
      return now.length === 0 ? Effect.suspend(conclude) : Effect.flatMap(root.dispatch(now), conclude)
    }
    return Effect.flatMap(now.length === 0 ? Effect.void : root.dispatch(now), () => {
      const rest = intents.filter((intent) => !due.has(intent))
      const lost = now.find((intent) => Decision.of(intent)?._tag === "Failed")
      if (lost === undefined) {
        const dispatch = Effect.flatMap(root.dispatch(rest), () => Decision.logFailures(rest))
        return Effect.flatMap(defer!(dispatch), conclude)
      }
      const reason = `was not released: "${lost.name}" could not be kept`
      for (const intent of rest) {
        Decision.settle(root.observer, { _tag: "Discarded", intent, by: this.label, reason, cause: undefined })
      }
      return conclude()
    })
  }

  /** The parent ended first. Its fate is decided, so what this boundary holds can neither join nor overtake it. */
  orphaned(exit: Exit.Exit<unknown, unknown>, around: BoundaryState): Effect.Effect<never> {
    const reason = `succeeded only after ${around.label} around it had ended`
    const intent = this.all().find((intent) => intent.decision === undefined) as Intent.Any | undefined
    const event = this.emitted()[0] as Event.Emitted | undefined
    const what = intent === undefined ? `event "${event?.name}"` : `side effect "${intent.name}"`
    const message = `A boundary with ${what} ${reason}, so it is discarded with all that it holds. A ` +
      "fiber has outlived the unit of work it was forked in: wait for it there, or make it a unit of work of its own with { detached: true }."
    return Effect.andThen(
      this.discard(exit, reason) ?? Effect.void,
      Effect.die(new BoundaryClosed({ boundary: around.options.name, intent, event, message }))
    )
  }

  /** Says what failed: to the log, to the caller, or as a defect. */
  conclude(
    outcome: Outcome,
    exit: Exit.Exit<unknown, unknown>,
    intents: ReadonlyArray<IntentImpl>
  ): Effect.Effect<void, DispatchError> {
    const failures: Array<Decision.Failed> = []
    let dispatched = 0
    for (const intent of intents) {
      const decision = intent.decision as Decision.Decision | undefined
      if (decision?._tag === "Dispatched") dispatched++
      else if (decision?._tag === "Failed" && !intent.detached) failures.push(decision)
    }
    const ending = this.end(outcome, exit, intents) ?? Effect.void
    if (failures.length === 0) return ending
    const { abortOnError, name } = this.options
    const error = () => new DispatchError({ boundary: name, failures, dispatched })
    return Effect.andThen(
      ending,
      abortOnError === true
        ? Effect.suspend(() => Effect.fail(error()))
        : this.root.onDispatchError === "die" || failures.some(({ durable }) => durable === true)
        ? Effect.suspend(() => Effect.die(error()))
        : Effect.forEach(failures, Decision.logFailure, { discard: true })
    )
  }

  /** Nothing around holds them any more. */
  releaseEvents(events: ReadonlyArray<Event.EmittedImpl>): void {
    for (const event of events) Decision.conclude(this.root.observer, event, { _tag: "Released" })
  }

  private end(outcome: Outcome, exit: Exit.Exit<unknown, unknown>, intents?: ReadonlyArray<IntentImpl>): Closing {
    const { name, onClose } = this.options
    this.closed = outcome
    const report = onClose === undefined
      ? undefined
      : makeReport(name, outcome, exit, intents ?? this.all(), this.emitted())
    this.entries = []
    this.events = undefined
    return report && Effect.catchCause(
      Effect.suspend(() => onClose!(report)),
      (cause) => Effect.logError(`onClose of ${this.label} died. The boundary was ${outcome} all the same.`, cause)
    ) as Effect.Effect<void>
  }
}

const beside =
  "Observability.layer() stands beside the layer of the side effects, so nothing is measured. Provide it " +
  "to that layer instead: Live.pipe(Layer.provide(Observability.layer())). This is said once."

const makeReport = (
  name: string | undefined,
  outcome: Outcome,
  exit: Exit.Exit<unknown, unknown>,
  impls: ReadonlyArray<IntentImpl>,
  events: ReadonlyArray<any>
): Report => {
  const intents = impls as ReadonlyArray<any> as ReadonlyArray<Intent.Any>
  return {
    name,
    outcome,
    exit,
    intents,
    events,
    get decisions() {
      return intents.flatMap((intent) => Decision.of(intent) ?? [])
    },
    get pending() {
      return intents.filter((intent) => Decision.of(intent) === undefined)
    }
  }
}

/** Iterative: a thousand boundaries inside each other are a thousand levels of arrays. */
const flatten = (entries: Entries): ReadonlyArray<IntentImpl> => {
  if (!entries.some((entry) => Array.isArray(entry))) return entries as Array<IntentImpl>
  const intents: Array<IntentImpl> = []
  const rest: Entries = [entries]
  let ordered = true
  while (rest.length > 0) {
    const entry = rest.pop()!
    if (Array.isArray(entry)) {
      for (let i = entry.length - 1; i >= 0; i--) rest.push(entry[i]!)
    } else {
      ordered &&= intents.length === 0 || intents[intents.length - 1]!.seq < entry.seq
      intents.push(entry)
    }
  }
  // Only where fibers worked side by side has anybody overtaken.
  return ordered ? intents : intents.sort((a, b) => a.seq - b.seq)
}

const isPending = ({ decision }: IntentImpl): boolean => decision === undefined

const isCapturing = ({ options: { nested } }: BoundaryState): boolean => nested === undefined || nested === "capture"

/** Those that a boundary lets pass before it has ended itself. */
const passing = (
  around: BoundaryState,
  intents: ReadonlyArray<IntentImpl>
): Effect.Effect<ReadonlySet<unknown>> => {
  const { nested } = around.options
  return Effect.catchCause(
    Effect.sync(() =>
      new Set<unknown>(
        typeof nested === "function" && intents.length > 0 ? nested(intents as ReadonlyArray<any>) : []
      )
    ),
    (cause) =>
      Effect.as(
        Effect.logError(`nested of ${around.label} died. What the boundary inside handed over waits for it.`, cause),
        new Set<unknown>()
      )
  )
}

/** All policies inside out, and all boundaries around, have to let an intent pass. */
const releaseAsking = /*#__PURE__*/ Effect.fnUntraced(function*(
  self: BoundaryState,
  exit: Exit.Exit<unknown, unknown>
): Effect.fn.Return<void, DispatchError> {
  const { options: { policy }, root } = self
  const own = policy === undefined ? [] : [self.ask(policy, "own")]
  const intents = self.all()
  // What a boundary inside handed over has answered to its local policies there.
  let left = yield* narrow(root, intents, (intent) =>
    intent.owner === self && intent.local !== undefined
      ? [...(intent.local.policies as ReadonlyArray<Policy.Policy>).map((policy) => self.ask(policy, policy)), ...own]
      : own)
  let events = self.emitted()
  let outcome: Outcome = "released"
  for (let around = self.parent; around !== undefined && left.length + events.length > 0; around = around.parent) {
    if (around.closed !== undefined) return yield* self.orphaned(exit, around)
    if (around.options.nested !== "release") {
      const through = yield* passing(around, left)
      if (around.closed !== undefined) return yield* self.orphaned(exit, around)
      const rest = left.filter((intent) => !through.has(intent))
      if (rest.length > 0) around.entries.push(rest)
      left = left.filter((intent) => through.has(intent))
      // An event goes with what follows from it.
      const going = new Set(left.map(({ origin }) => origin))
      const staying = events.filter((event) => !going.has(event))
      for (const event of staying) around.emit(event)
      if (rest.length + staying.length > 0) outcome = "captured"
      events = events.filter((event) => going.has(event))
    }
    if (around.options.policy !== undefined) {
      const asked = [around.ask(around.options.policy, "own")]
      left = yield* narrow(root, left, () => asked)
    }
  }
  if (root.policy !== undefined && left.length > 0) {
    const asked = [self.outermost.ask(root.policy, "layer")]
    left = yield* narrow(root, left, () => asked)
  }
  self.releaseEvents(events)
  const handing = self.hand(left, outcome, exit, intents)
  return yield* self.parent === undefined ? handing : self.observed(handing, left)
})

/** Asks the policies about one intent after the other and settles those that are kept in. */
const narrow = /*#__PURE__*/ Effect.fnUntraced(function*(
  { observer }: Root,
  intents: ReadonlyArray<IntentImpl>,
  askedFor: (intent: IntentImpl) => ReadonlyArray<Asked>
): Effect.fn.Return<ReadonlyArray<IntentImpl>> {
  const left: Array<IntentImpl> = []
  next: for (const impl of intents) {
    // A boundary inside may have settled it already.
    if (impl.decision !== undefined) continue
    const intent = impl as unknown as Intent.Any
    for (const { policy: { decide, name }, state } of askedFor(impl)) {
      if (decide === undefined) continue
      const answer = answerOf(decide, intent, state)
      if (answer === Policy.allow) continue
      const exit = yield* Effect.exit(Policy.toEffect(answer))
      if (exit._tag === "Success" && exit.value._tag === "Allow") continue
      Decision.settle(observer, decisionOf(intent, name, exit))
      continue next
    }
    left.push(impl)
  }
  return left
})

/** Plain answers are the rule, and most of them are `allow`: no effect is made for those. */
const answerOf = (
  decide: NonNullable<Policy.Policy["decide"]>,
  intent: Intent.Any,
  state: unknown
): Policy.Verdict | Effect.Effect<Policy.Verdict> => {
  try {
    return decide(intent, state)
  } catch (defect) {
    return Effect.die(defect)
  }
}

const decisionOf = (intent: Intent.Any, policy: string, exit: Exit.Exit<Policy.Verdict>): Decision.Decision => {
  if (exit._tag === "Failure") {
    const defect = new Policy.PolicyDefect({ intent, policy, cause: Cause.squash(exit.cause) })
    return { _tag: "Failed", intent, by: `policy ${policy}`, attempts: 0, cause: Cause.die(defect) }
  }
  const verdict = exit.value as Exclude<Policy.Verdict, typeof Policy.allow>
  const by = `policy ${verdict.by ?? policy}`
  return verdict._tag === "Duplicate"
    ? { _tag: "Deduplicated", intent, by, of: verdict.of }
    : { _tag: "Dropped", intent, by, reason: verdict.reason }
}
