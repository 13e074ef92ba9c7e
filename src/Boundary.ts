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
import * as Decision from "./Decision.ts"
import type * as Intent from "./Intent.ts"
import { DispatchError } from "./Dispatcher.ts"
import * as describe from "./internal/describe.ts"
import type { IntentImpl } from "./internal/intent.ts"
import * as Policy from "./Policy.ts"
import type * as SideEffect from "./SideEffect.ts"

/**
 * How a boundary behaves.
 *
 * **Details**
 *
 * - `name`: shown in reports, decisions and errors.
 * - `policy`: asked about every intent of the boundary, and of the boundaries inside it, when it is released.
 * - `releaseWhen`: whether the intents are released, given how the effect ended. Default: when it succeeded.
 * - `nested`: what becomes of the intents of a boundary inside this one when it succeeds. `"capture"` (default): they
 *   wait for this boundary. `"release"`: they may leave at once. A function returns those that may leave at once, the
 *   others wait. All boundaries around have to let an intent through before it leaves.
 * - `abortOnError`: when a side effect that this boundary dispatched failed, the boundary fails with `DispatchError`.
 *   A boundary inside another one dispatches nothing itself, as long as it is captured.
 * - `onClose`: gets the report when everything is decided that is decided here.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in A = any, in E = any, Abort extends boolean = boolean> {
  readonly name?: string | undefined
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
 * boundary and those it captured, in the order of enqueueing. `decisions` holds one for each intent that has its
 * decision when you read it; `pending` are the others: captured, or still with a background dispatcher.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly name: string | undefined
  readonly outcome: "released" | "captured" | "discarded"
  readonly exit: Exit.Exit<unknown, unknown>
  readonly intents: ReadonlyArray<Intent.Any>
  readonly decisions: ReadonlyArray<Decision.Decision>
  readonly pending: ReadonlyArray<Intent.Any>
}

/**
 * Something was asked of a boundary that has ended: most often a fiber that outlived it has enqueued. A defect.
 *
 * @category errors
 * @since 0.1.0
 */
export class BoundaryClosed extends Data.TaggedError("BoundaryClosed")<{
  readonly boundary: string | undefined
  readonly intent: Intent.Any | undefined
  readonly message: string
}> {}

/**
 * A side effect was enqueued outside a boundary, and the layer rejects that. A defect.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoBoundary extends Data.TaggedError("NoBoundary")<{ readonly intent: Intent.Any }> {
  override get message(): string {
    return `Side effect "${this.intent.name}" was enqueued outside a boundary, and the layer says ` +
      "outsideBoundary: \"reject\". Wrap the unit of work in SideEffects.boundary."
  }
}

/**
 * A payload does not fit the schema of its side effect. A defect, at the call site.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPayload extends Data.TaggedError("InvalidPayload")<{
  readonly sideEffect: string
  readonly problem: string
}> {
  override get message(): string {
    return `Invalid payload for side effect "${this.sideEffect}": ${this.problem}`
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
  /** Asked before all policies, where a layer has an opinion of its own. */
  readonly onEnqueue: ((intent: Intent.Any) => Effect.Effect<void> | void) | undefined
  /** Throws when a policy looks for something that the layer does not know. */
  readonly checkPolicy: ((policy: Policy.Policy) => void) | undefined
  /** Performs or hands on; everything has its decision, or is pending in the background, when it is done. */
  readonly dispatch: (intents: ReadonlyArray<IntentImpl>) => Effect.Effect<void>
  readonly drain: Effect.Effect<void>
  readonly observer: Decision.Observer | undefined
  seq: number
}

interface Asked {
  readonly policy: Policy.Policy
  readonly state: unknown
}

type Entries = Array<IntentImpl | Entries>

const none: ReadonlyArray<never> = []

/**
 * The life of one boundary.
 *
 * @internal
 */
export class BoundaryState {
  readonly root: Root
  readonly parent: BoundaryState | undefined
  readonly options: Options
  /** Own intents, and for each boundary inside that handed over, its entries: in order unless fibers ran side by side. */
  entries: Entries = []
  nested = false
  local = false
  closed: "released" | "captured" | "discarded" | undefined = undefined
  private asked: Asked | undefined = undefined
  private askedLocal: Map<Policy.Policy, Asked> | undefined = undefined
  private askedLayer: Asked | undefined = undefined

  constructor(root: Root, parent: BoundaryState | undefined, options: Options) {
    this.root = root
    this.parent = parent
    this.options = options
    if (options.policy !== undefined) root.checkPolicy?.(options.policy)
  }

  get label(): string {
    return this.options.name === undefined ? "its boundary" : `boundary "${this.options.name}"`
  }

  // Policies with a state start fresh in each boundary: their states live here.

  ofBoundary(): Asked | undefined {
    const policy = this.options.policy
    return policy === undefined ? undefined : this.asked ??= { policy, state: policy.state?.() }
  }

  ofLocal(policy: Policy.Policy): Asked {
    const all = this.askedLocal ??= new Map()
    let asked = all.get(policy)
    if (asked === undefined) {
      asked = { policy, state: policy.state?.() }
      all.set(policy, asked)
    }
    return asked
  }

  ofLayer(): Asked | undefined {
    let outermost: BoundaryState = this
    while (outermost.parent !== undefined) outermost = outermost.parent
    const policy = this.root.policy
    return policy === undefined ? undefined : outermost.askedLayer ??= { policy, state: policy.state?.() }
  }

  push(intent: IntentImpl): void {
    if (intent.local !== undefined) this.local = true
    this.entries.push(intent)
  }

  /** All intents, in the order of enqueueing. */
  all(): ReadonlyArray<IntentImpl> {
    return this.nested ? flatten(this.entries) : this.entries as Array<IntentImpl>
  }

  /** Those that were enqueued here. */
  own(): ReadonlyArray<IntentImpl> {
    return this.entries.filter((entry) => !Array.isArray(entry)) as Array<IntentImpl>
  }

  /** Those that boundaries inside handed over. */
  captured(): ReadonlyArray<IntentImpl> {
    return flatten(this.entries.filter((entry) => Array.isArray(entry)))
  }

  close(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, DispatchError> | undefined {
    let release: boolean
    try {
      release = this.options.releaseWhen === undefined ? exit._tag === "Success" : this.options.releaseWhen(exit)
    } catch (defect) {
      const reason = `was not released: releaseWhen died with ${describe.error(defect)}`
      return Effect.andThen(this.discard(exit, reason) ?? Effect.void, Effect.die(defect))
    }
    return release ? this.release(exit) : this.discard(exit, describe.exit(exit))
  }

  discard(exit: Exit.Exit<unknown, unknown>, reason: string): Effect.Effect<void> | undefined {
    const intents = this.all()
    const cause = exit._tag === "Failure" ? exit.cause : undefined
    for (const intent of intents) {
      Decision.settle(this.root.observer, { _tag: "Discarded", intent: intent as any, by: this.label, reason, cause })
    }
    return this.end("discarded", exit, intents)
  }

  release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, DispatchError> | undefined {
    // From here on nothing can be enqueued, and nothing can interrupt.
    this.closed = "released"
    if (this.entries.length === 0) return this.end("released", exit, none)
    const own = this.ofBoundary()
    if (!this.local && own?.policy.decide === undefined) return this.handOver(exit, this.entries)
    const perLocal = new Map<ReadonlyArray<unknown> | undefined, ReadonlyArray<Asked>>()
    return chain(
      narrow(this.root, this.all(), (intent) => {
        // What a boundary inside handed over has answered to its local policies there.
        const local = intent.owner === this ? intent.local as ReadonlyArray<Policy.Policy> | undefined : undefined
        let asked = perLocal.get(local)
        if (asked === undefined) {
          asked = [...(local ?? none).map((policy) => this.ofLocal(policy)), ...(own === undefined ? none : [own])]
          perLocal.set(local, asked)
        }
        return asked
      }),
      (left) => this.handOver(exit, left as Entries)
    )
  }

  private handOver(exit: Exit.Exit<unknown, unknown>, left: Entries): Effect.Effect<void, DispatchError> | undefined {
    if (this.parent === undefined) return this.leave(exit, left)
    if (left.length === 0) return this.end("released", exit, this.all())
    if (this.parent.options.nested === undefined || this.parent.options.nested === "capture") {
      return this.parent.closed === undefined
        ? (this.parent.capture(left), this.end("captured", exit, undefined))
        : this.orphaned(exit)
    }
    return chain(this.passThrough(this.parent, flatten(left)), (through) =>
      through === undefined
        ? this.orphaned(exit)
        : through.length === 0
        ? this.end("captured", exit, undefined)
        : this.leave(exit, through as Entries))
  }

  private capture(entries: Entries): void {
    this.nested = true
    this.entries.push(entries)
  }

  /** Asks this boundary and all around it what may leave before them; captures the rest. */
  private passThrough(
    around: BoundaryState | undefined,
    intents: ReadonlyArray<IntentImpl>
  ): Result<ReadonlyArray<IntentImpl> | undefined> {
    if (around === undefined || intents.length === 0) return intents
    if (around.closed !== undefined) return undefined
    const nested = around.options.nested
    let through: ReadonlyArray<IntentImpl> = none
    if (nested === "release") {
      through = intents
    } else if (typeof nested === "function") {
      let chosen: ReadonlySet<unknown>
      try {
        chosen = new Set<unknown>(nested(intents as ReadonlyArray<any>))
      } catch (defect) {
        around.capture(intents as Entries)
        const message = `nested of ${around.label} died. What the boundary inside handed over waits for it.`
        return Effect.as(Effect.logError(message, Cause.die(defect)), none)
      }
      through = intents.filter((intent) => chosen.has(intent))
      const rest = intents.filter((intent) => !chosen.has(intent))
      if (rest.length > 0) around.capture(rest as Entries)
    } else {
      around.capture(intents as Entries)
    }
    const own = around.ofBoundary()
    const asked = own === undefined ? none : [own]
    return chain(narrow(this.root, through, () => asked), (left) => this.passThrough(around.parent, left))
  }

  /** The parent ended first. Its fate is decided, so what this boundary holds can neither join nor overtake it. */
  private orphaned(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, DispatchError> {
    const parent = this.parent!
    const reason = `succeeded only after ${parent.label} around it had ended`
    const first = this.all().find((intent) => intent.decision === undefined) as Intent.Any | undefined
    return Effect.andThen(
      this.discard(exit, reason) ?? Effect.void,
      Effect.die(
        new BoundaryClosed({
          boundary: parent.options.name,
          intent: first,
          message: `A boundary with side effect "${first?.name}" ${reason}, so its side effects are discarded. A fiber ` +
            "has outlived the unit of work it was forked in: wait for it there, or fork it outside."
        })
      )
    )
  }

  /** Nothing is around any more: the layer's policy, then the dispatcher. */
  private leave(exit: Exit.Exit<unknown, unknown>, entries: Entries): Effect.Effect<void, DispatchError> | undefined {
    const layer = this.ofLayer()
    const intents = entries === this.entries ? this.all() : entries as ReadonlyArray<IntentImpl>
    const asked = layer === undefined ? none : [layer]
    return chain(
      layer?.policy.decide === undefined ? intents : narrow(this.root, intents, () => asked),
      (left) =>
        left.length === 0
          ? this.conclude(exit)
          : Effect.flatMap(this.root.dispatch(left), () => this.conclude(exit) ?? Effect.void)
    )
  }

  /** Says what failed: to the log, to the caller, or as a defect. */
  private conclude(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, DispatchError> | undefined {
    const intents = this.all()
    const failed = intents.filter(({ decision, detached }) =>
      !detached && (decision as Decision.Decision | undefined)?._tag === "Failed"
    )
    const ending = this.end("released", exit, intents)
    if (failed.length === 0) return ending
    const decisions = failed.map((intent) => intent.decision as Decision.Failed)
    let outcome: Effect.Effect<void, DispatchError>
    if (this.options.abortOnError === true || this.root.onDispatchError === "die") {
      const error = new DispatchError({
        boundary: this.options.name,
        failures: decisions.map(({ cause, intent }) => ({ intent, cause })),
        dispatched: intents.filter((intent) => (intent.decision as Decision.Decision)?._tag === "Dispatched").length
      })
      outcome = this.options.abortOnError === true ? Effect.fail(error) : Effect.die(error)
    } else {
      outcome = Effect.forEach(decisions, Decision.logFailure, { discard: true })
    }
    return ending === undefined ? outcome : Effect.andThen(ending, outcome)
  }

  private end(
    outcome: Report["outcome"],
    exit: Exit.Exit<unknown, unknown>,
    intents: ReadonlyArray<IntentImpl> | undefined
  ): Effect.Effect<void> | undefined {
    this.closed = outcome
    const all = this.options.onClose === undefined ? none : intents ?? this.all()
    const report = this.options.onClose === undefined
      ? undefined
      : new ReportImpl(this.options.name, outcome, exit, all as ReadonlyArray<any>)
    this.entries = []
    this.nested = false
    if (report === undefined) return undefined
    return Effect.catchCause(
      Effect.suspend(() => this.options.onClose!(report)),
      (cause) =>
        Effect.logError(`onClose of ${this.label} died. The boundary was ${outcome} all the same.`, cause)
    ) as Effect.Effect<void>
  }
}

class ReportImpl implements Report {
  readonly name: string | undefined
  readonly outcome: Report["outcome"]
  readonly exit: Exit.Exit<unknown, unknown>
  readonly intents: ReadonlyArray<Intent.Any>
  constructor(
    name: string | undefined,
    outcome: Report["outcome"],
    exit: Exit.Exit<unknown, unknown>,
    intents: ReadonlyArray<Intent.Any>
  ) {
    this.name = name
    this.outcome = outcome
    this.exit = exit
    this.intents = intents
  }
  get decisions(): ReadonlyArray<Decision.Decision> {
    return this.intents.map(Decision.of).filter((decision) => decision !== undefined)
  }
  get pending(): ReadonlyArray<Intent.Any> {
    return this.intents.filter((intent) => Decision.of(intent) === undefined)
  }
}

/** Iterative: a thousand boundaries inside each other are a thousand levels of arrays. */
const flatten = (entries: Entries): ReadonlyArray<IntentImpl> => {
  const intents: Array<IntentImpl> = []
  const stack: Array<{ readonly entries: Entries; next: number }> = [{ entries, next: 0 }]
  let ordered = true
  while (stack.length > 0) {
    const top = stack[stack.length - 1]!
    if (top.next === top.entries.length) {
      stack.pop()
      continue
    }
    const entry = top.entries[top.next++]!
    if (Array.isArray(entry)) {
      stack.push({ entries: entry, next: 0 })
    } else {
      ordered &&= intents.length === 0 || intents[intents.length - 1]!.seq < entry.seq
      intents.push(entry)
    }
  }
  // Only where fibers worked side by side has anybody overtaken.
  return ordered ? intents : intents.sort((a, b) => a.seq - b.seq)
}

type Result<A> = A | Effect.Effect<A>

/** Continues at once where there is nothing to wait for. */
const chain = <A, B>(self: Result<A>, next: (a: A) => B): B | Effect.Effect<any> =>
  Effect.isEffect(self) ? Effect.flatMap(self as Effect.Effect<A>, (a) => lift(next(a))) : next(self as A)

const lift = (result: unknown): Effect.Effect<any> =>
  Effect.isEffect(result) ? result as Effect.Effect<any> : Effect.succeed(result)

interface Died {
  readonly _tag: "Died"
  readonly cause: Cause.Cause<unknown>
}

const died = (policy: Policy.Policy, intent: Intent.Any, cause: unknown): Died => ({
  _tag: "Died",
  cause: Cause.die(new Policy.PolicyDefect({ intent, policy: policy.name, cause }))
})

/** The first answer that keeps the intent in, or `Policy.allow`. */
const ask = (
  asked: ReadonlyArray<Asked>,
  from: number,
  intent: Intent.Any
): Result<readonly [Policy.Verdict | Died, Policy.Policy | undefined]> => {
  for (let i = from; i < asked.length; i++) {
    const { policy, state } = asked[i]!
    if (policy.decide === undefined) continue
    let answer: Effect.Effect<Policy.Verdict> | Policy.Verdict | Died
    try {
      answer = policy.decide(intent, state)
    } catch (defect) {
      answer = died(policy, intent, defect)
    }
    if (answer === Policy.allow) continue
    if (Effect.isEffect(answer)) {
      return Effect.flatMap(
        Effect.catchCause(answer, (cause) => Effect.succeed(died(policy, intent, Cause.squash(cause)))),
        (verdict): Effect.Effect<any> =>
          verdict._tag === "Allow" ? lift(ask(asked, i + 1, intent)) : Effect.succeed([verdict, policy])
      )
    }
    if (answer._tag !== "Allow") return [answer, policy]
  }
  return passed
}

const passed = [Policy.allow, undefined] as const

/** Asks the policies about one intent after the other and settles those that are kept in. */
const narrow = (
  root: Root,
  intents: ReadonlyArray<IntentImpl>,
  askedFor: (intent: IntentImpl) => ReadonlyArray<Asked>
): Result<ReadonlyArray<IntentImpl>> => {
  const left: Array<IntentImpl> = []
  const note = (impl: IntentImpl, [verdict, policy]: readonly [Policy.Verdict | Died, Policy.Policy | undefined]) => {
    const intent = impl as unknown as Intent.Any
    const by = `policy ${policy?.name}`
    switch (verdict._tag) {
      case "Allow":
        left.push(impl)
        return
      case "Drop":
        return Decision.settle(root.observer, { _tag: "Dropped", intent, by, reason: verdict.reason })
      case "Duplicate":
        return Decision.settle(root.observer, { _tag: "Deduplicated", intent, by, of: verdict.of })
      case "Died":
        return Decision.settle(root.observer, { _tag: "Failed", intent, by, attempts: 0, cause: verdict.cause })
    }
  }
  const from = (start: number): Result<ReadonlyArray<IntentImpl>> => {
    for (let i = start; i < intents.length; i++) {
      const intent = intents[i]!
      // A boundary inside may have settled it already.
      if (intent.decision !== undefined) continue
      const answer = ask(askedFor(intent), 0, intent as unknown as Intent.Any)
      if (Effect.isEffect(answer)) {
        return Effect.flatMap(answer, (verdict) => {
          note(intent, verdict)
          return lift(from(i + 1))
        })
      }
      note(intent, answer)
    }
    return left
  }
  return from(0)
}
