/**
 * A policy: decides for each intent whether it may escape.
 *
 * Policies can only narrow. They are asked one intent after the other, in the order of enqueueing; they cannot add,
 * change or reorder, and they cannot enqueue: their effects require nothing.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Event from "./Event.ts"
import type * as Intent from "./Intent.ts"
import { compilePattern } from "./internal/pattern.ts"
import * as SideEffect from "./SideEffect.ts"
import type * as SideEffectGroup from "./SideEffectGroup.ts"

/**
 * The runtime type of every policy.
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-side-effects/Policy"

/**
 * The type of `TypeId`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-side-effects/Policy"

/**
 * What a policy says about one intent. `by` is set where a policy speaks for another one, as `all` does.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict =
  | { readonly _tag: "Allow" }
  | { readonly _tag: "Drop"; readonly reason: string; readonly by?: string }
  | { readonly _tag: "Duplicate"; readonly of: string; readonly by?: string }

/**
 * Decides for each intent whether it may escape. Made by `make` or by one of the ready-made constructors.
 *
 * **Details**
 *
 * `name` is shown wherever the policy has had a say. `selectors` are what it was told to look for; a live layer uses
 * them to find one that matches nothing in its group. A policy that keeps a state gets a fresh one from `state` for
 * every boundary.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly selectors: ReadonlyArray<Selector>
  readonly state: (() => unknown) | undefined
  readonly onEnqueue: ((intent: Intent.Any, state: any) => Effect.Effect<void> | void) | undefined
  readonly decide: ((intent: Intent.Any, state: any) => Effect.Effect<Verdict> | Verdict) | undefined
  /** Whether its `onEnqueue` need not be asked just now. @internal */
  readonly isSilent?: (() => boolean) | undefined
}

/**
 * Picks intents: the definition of a side effect, an event (it picks what follows from it), a pattern on the names of
 * side effects (`*` is one segment, `**` any number of them, or a `RegExp`), or a predicate.
 *
 * @category models
 * @since 0.1.0
 */
export type Selector = SideEffect.Any | Event.Any | string | RegExp | ((intent: Intent.Any) => boolean)

/**
 * Somebody wished for a side effect where a policy or a layer forbids it. It dies at the call site: it is a mistake in
 * the program, not an outcome the domain should handle.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyViolation extends /*#__PURE__*/ Data.TaggedError("PolicyViolation")<{
  readonly intent: Intent.Any | undefined
  readonly event?: Event.Emitted | undefined
  readonly policy: string
  readonly message: string
}> {}

/**
 * A policy died or threw when it was asked about an intent. The intent does not escape.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyDefect extends /*#__PURE__*/ Data.TaggedError("PolicyDefect")<{
  readonly intent: Intent.Any
  readonly policy: string
  readonly cause: unknown
}> {
  override get message(): string {
    return `Policy ${this.policy} died when it was asked about side effect "${this.intent.name}", so the intent does ` +
      "not escape. A policy has to answer for every intent: mend it, or catch the error inside it."
  }
}

/**
 * Whether a value is a policy.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPolicy = (u: unknown): u is Policy => Predicate.hasProperty(u, TypeId)

/**
 * The verdict that lets an intent pass.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const allow: Extract<Verdict, { readonly _tag: "Allow" }> = { _tag: "Allow" }

/**
 * The verdict that keeps an intent in, for a reason that people will read.
 *
 * @category verdicts
 * @since 0.1.0
 */
export const drop = (reason: string): Verdict => ({ _tag: "Drop", reason })

/**
 * Makes a policy of your own.
 *
 * **Details**
 *
 * - `onEnqueue` is asked where the intent is enqueued, after its payload was validated. It can observe, or die to
 *   refuse the call.
 * - `decide` is asked when the boundary is released. Both may return a plain value or an effect. The effect can neither
 *   fail nor require anything, so a policy that enqueues does not compile.
 * - `state` makes what the policy remembers within one boundary; both functions get it.
 *
 * **Gotchas**
 *
 * A policy that dies in `decide` has not allowed anything: the intent fails with a `PolicyDefect`, the others go on.
 *
 * **Example** (Only the first mail to each address)
 *
 * ```ts
 * import { Policy } from "effect-side-effects"
 *
 * const oneMailEach = Policy.make({
 *   name: "one mail each",
 *   state: () => new Set<string>(),
 *   decide: (intent, seen) => {
 *     const { to } = intent.payload as { to: string }
 *     if (seen.has(to)) return Policy.drop(`${to} gets a mail already`)
 *     seen.add(to)
 *     return Policy.allow
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <State = undefined>(options: {
  readonly name: string
  readonly state?: (() => State) | undefined
  readonly onEnqueue?: ((intent: Intent.Any, state: State) => Effect.Effect<void> | void) | undefined
  readonly decide?: ((intent: Intent.Any, state: State) => Effect.Effect<Verdict> | Verdict) | undefined
  readonly selectors?: ReadonlyArray<Selector> | undefined
}): Policy => ({
  [TypeId]: TypeId,
  name: options.name,
  selectors: options.selectors ?? [],
  state: options.state,
  onEnqueue: options.onEnqueue,
  decide: options.decide
})

/**
 * Lets everything pass.
 *
 * @category policies
 * @since 0.1.0
 */
export const allowAll: Policy = /*#__PURE__*/ make({ name: "allowAll" })

const dropped = /*#__PURE__*/ drop("nothing may leave here")

/**
 * Lets nothing pass.
 *
 * @category policies
 * @since 0.1.0
 */
export const dropAll: Policy = /*#__PURE__*/ make({ name: "dropAll", decide: () => dropped })

/**
 * Refuses every intent at the call site with a `PolicyViolation`.
 *
 * **When to use**
 *
 * For one boundary that must be pure. For a whole program or test there is `SideEffects.AssertNoneLayer`, which also
 * finds a violation that was caught.
 *
 * @category policies
 * @since 0.1.0
 */
export const assertNone: Policy = /*#__PURE__*/ make({
  name: "assertNone",
  onEnqueue: (intent) =>
    Effect.die(
      new PolicyViolation({
        intent,
        policy: "assertNone",
        message: `Side effect "${intent.name}" was enqueued where the policy assertNone allows none. Remove the call ` +
          "from this code path, or take the policy off the boundary."
      })
    )
})

/**
 * Keeps in what one of the selectors picks.
 *
 * @category policies
 * @since 0.1.0
 */
export const block = (...selectors: ReadonlyArray<Selector>): Policy => {
  const name = describe("block", selectors)
  const picks = compile("Policy.block", selectors)
  const verdict = drop("it is blocked")
  return make({ name, selectors, decide: (intent) => picks(intent) ? verdict : allow })
}

/**
 * Lets pass only what one of the selectors picks.
 *
 * @category policies
 * @since 0.1.0
 */
export const allowOnly = (...selectors: ReadonlyArray<Selector>): Policy => {
  const picks = compile("Policy.allowOnly", selectors)
  const verdict = drop("it is not among the allowed")
  return make({
    name: describe("allowOnly", selectors),
    selectors,
    decide: (intent) => picks(intent) ? allow : verdict
  })
}

/**
 * Refuses at the call site, with a `PolicyViolation`, what one of the selectors picks.
 *
 * @category policies
 * @since 0.1.0
 */
export const reject = (...selectors: ReadonlyArray<Selector>): Policy => {
  const policy = describe("reject", selectors)
  const picks = compile("Policy.reject", selectors)
  return make({
    name: policy,
    selectors,
    onEnqueue: (intent) => {
      if (!picks(intent)) return
      return Effect.die(
        new PolicyViolation({
          intent,
          policy,
          message: `Side effect "${intent.name}" was enqueued where the policy ${policy} rejects it. Remove the call ` +
            "from this code path, or narrow the policy."
        })
      )
    }
  })
}

/**
 * Lets pass the first `n` intents of each boundary.
 *
 * @category policies
 * @since 0.1.0
 */
export const limit = (n: number): Policy => {
  checkCount("Policy.limit", n)
  const verdict = drop(`more than ${n} in one boundary`)
  return make({
    name: `limit(${n})`,
    state: () => ({ count: 0 }),
    decide: (_, state) => state.count++ < n ? allow : verdict
  })
}

/**
 * Lets pass the first `n` intents of each boundary for every value of the key. One without a key (`undefined`) passes.
 *
 * **Example** (At most three mails to one address)
 *
 * ```ts
 * import { Policy } from "effect-side-effects"
 *
 * const policy = Policy.limitBy((intent) => intent.payload?.to, 3)
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const limitBy = (key: (intent: Intent.Any) => unknown, n: number): Policy => {
  checkCount("Policy.limitBy", n)
  return make({
    name: `limitBy(${n})`,
    state: () => new Map<unknown, number>(),
    decide: (intent, counts) => {
      const value = key(intent)
      if (value === undefined) return allow
      const count = counts.get(value) ?? 0
      if (count >= n) return drop(`more than ${n} for ${String(value)} in one boundary`)
      counts.set(value, count + 1)
      return allow
    }
  })
}

/**
 * Lets pass the first of several intents that stand for the same action; the others are `Deduplicated`.
 *
 * **Details**
 *
 * By default two intents are the same when they have the same name and the same idempotency key; one without a key is
 * never a duplicate. `by` computes another key, `undefined` for "never a duplicate". It is decided at release and never
 * when enqueueing, so an intent that was discarded makes no other one a duplicate.
 *
 * @category policies
 * @since 0.1.0
 */
export const dedupe = (by?: ((intent: Intent.Any) => string | undefined) | undefined): Policy =>
  make({
    name: "dedupe",
    state: () => new Map<string, string>(),
    decide: (intent, seen) => {
      const own = by === undefined ? intent.key : by(intent)
      if (own === undefined) return allow
      const key = by === undefined ? `${intent.name}\n${own}` : own
      const first = seen.get(key)
      if (first !== undefined) return { _tag: "Duplicate", of: first }
      seen.set(key, intent.id)
      return allow
    }
  })

/**
 * Lets everything pass and logs each intent, by name and id, when it does. What another policy or a boundary around then
 * makes of it is not known here.
 *
 * @category policies
 * @since 0.1.0
 */
export const log: Policy = /*#__PURE__*/ make({
  name: "log",
  decide: (intent) => Effect.as(Effect.logInfo(`Side effect "${intent.name}" passes (intent ${intent.id})`), allow)
})

/**
 * Lets everything pass and shows each intent to a function when it is released.
 *
 * @category policies
 * @since 0.1.0
 */
export const tap = (f: (intent: Intent.Any) => Effect.Effect<unknown> | void): Policy =>
  make({
    name: "tap",
    decide: (intent) => {
      const effect = f(intent)
      return effect === undefined ? allow : Effect.as(effect, allow)
    }
  })

/**
 * Lets pass what all of the policies let pass. They are asked in order, and the first that keeps an intent in is the
 * last one asked about it. The decision names it.
 *
 * **Gotchas**
 *
 * A policy that remembers (`limit`, `limitBy`, `dedupe`) counts what those before it let pass, and does not hear what those
 * after it keep in: put it last.
 *
 * @category combinators
 * @since 0.1.0
 */
export const all = (...policies: ReadonlyArray<Policy>): Policy =>
  make<Array<unknown>>({
    name: `all(${policies.map((policy) => policy.name).join(", ")})`,
    selectors: policies.flatMap((policy) => policy.selectors),
    state: () => policies.map((policy) => policy.state?.()),
    onEnqueue: policies.some((policy) => policy.onEnqueue) ?
      Effect.fnUntraced(function*(intent, states) {
        for (const [i, policy] of policies.entries()) yield* policy.onEnqueue?.(intent, states[i]) ?? Effect.void
      }) :
      undefined,
    decide: policies.some((policy) => policy.decide) ?
      Effect.fnUntraced(function*(intent, states) {
        for (const [i, policy] of policies.entries()) {
          const verdict = yield* toEffect(policy.decide?.(intent, states[i]) ?? allow)
          if (verdict._tag !== "Allow") return { by: policy.name, ...verdict }
        }
        return allow
      }) :
      undefined
  })

/**
 * A policy that can be flipped while the program runs: whatever the ref holds.
 *
 * **When to use**
 *
 * As the policy of a live layer, for a kill switch that needs no restart. What sets the ref is up to you: an admin route, a
 * signal, a table that is polled, a message that all processes hear.
 *
 * **Details**
 *
 * The ref is looked at when each intent is enqueued and once more when it is decided on, so a flip also counts in boundaries
 * that are open already. A policy that remembers (`limit`, `dedupe`) keeps what it remembers per boundary and per value of
 * the ref; when the same value comes back, it goes on from there. Decisions name the policy that was asked:
 * `dropped by policy dynamic(block("mail:**"))`.
 *
 * **Gotchas**
 *
 * What has been released is not called back: neither what is underway in the background nor what was written to the outbox,
 * for which there is `Outbox.pause`. A live layer that looks for patterns that match nothing sees only those that the ref
 * held at first: ask `Policy.check` before you set it.
 *
 * **Example** (A kill switch)
 *
 * ```ts
 * import { Policy, SideEffect, SideEffects } from "effect-side-effects"
 * import { Effect, SubscriptionRef } from "effect"
 *
 * class SendMail extends SideEffect.make("docs:mail:send", { description: "Send a mail." }) {}
 *
 * const program = Effect.gen(function*() {
 *   const ref = yield* SubscriptionRef.make(Policy.allowAll)
 *   const work = SideEffects.boundary(SideEffects.enqueue(SendMail), { policy: Policy.dynamic(ref) })
 *   yield* work // leaves
 *   yield* SubscriptionRef.set(ref, Policy.block("docs:mail:*"))
 *   yield* work // stays in
 * })
 *
 * await Effect.runPromise(Effect.provide(program, SideEffects.TestLayer))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const dynamic = (ref: SubscriptionRef.SubscriptionRef<Policy>): Policy => {
  // Whoever makes it where it is used asks, counts and checks as one.
  let policy = dynamics.get(ref)
  if (policy === undefined) dynamics.set(ref, policy = makeDynamic(ref))
  return policy
}

const dynamics = /*#__PURE__*/ new WeakMap<SubscriptionRef.SubscriptionRef<Policy>, Policy>()

const makeDynamic = (ref: SubscriptionRef.SubscriptionRef<Policy>): Policy => {
  const nameOf = (policy: Policy, by = policy.name): string => `dynamic(${by})`
  const speakFor = (policy: Policy, verdict: Verdict): Verdict =>
    verdict?._tag === "Drop" || verdict?._tag === "Duplicate"
      ? { ...verdict, by: nameOf(policy, verdict.by) }
      : verdict
  const stateOf = (policy: Policy, states: Map<Policy, unknown>): unknown => {
    if (policy.state === undefined) return undefined
    if (!states.has(policy)) states.set(policy, policy.state())
    return states.get(policy)
  }
  return {
    [TypeId]: TypeId,
    get name() {
      return nameOf(SubscriptionRef.getUnsafe(ref))
    },
    selectors: SubscriptionRef.getUnsafe(ref).selectors,
    state: () => new Map<Policy, unknown>(),
    isSilent: () => SubscriptionRef.getUnsafe(ref).onEnqueue === undefined,
    onEnqueue: (intent, states) => {
      const policy = SubscriptionRef.getUnsafe(ref)
      return policy.onEnqueue?.(intent, stateOf(policy, states))
    },
    decide: (intent, states) => {
      const policy = SubscriptionRef.getUnsafe(ref)
      const answer = policy.decide?.(intent, stateOf(policy, states)) ?? allow
      if (answer === allow) return allow
      return Effect.isEffect(answer)
        ? Effect.map(answer, (verdict) => speakFor(policy, verdict))
        : speakFor(policy, answer)
    }
  }
}

/** @internal */
export const toEffect = (answer: Effect.Effect<Verdict> | Verdict): Effect.Effect<Verdict> =>
  Effect.isEffect(answer) ? answer : answer?._tag === undefined
    ? Effect.die(new Error(`It answered ${String(answer)} instead of Policy.allow or Policy.drop(reason).`))
    : Effect.succeed(answer)

const checkCount = (what: string, n: number): void => {
  if (!Number.isInteger(n) || n < 0) {
    throw new Error(`${what} was given ${n}. It takes the number of intents that may pass: a whole number, 0 or more.`)
  }
}

const describe = (what: string, selectors: ReadonlyArray<Selector>): string =>
  `${what}(${selectors.map(describeSelector).join(", ")})`

/**
 * How a selector is shown to people.
 *
 * @category formatting
 * @since 0.1.0
 */
export const describeSelector = (selector: Selector): string =>
  SideEffect.isSideEffect(selector) || Event.isEvent(selector)
    ? JSON.stringify(selector._tag)
    : typeof selector === "function"
    ? selector.name === "" ? "a predicate" : selector.name
    : typeof selector === "string"
    ? JSON.stringify(selector)
    : String(selector)

/**
 * The test on names that a selector stands for, or `undefined` where it looks at more than the name. Throws when a
 * pattern is malformed.
 *
 * @category selectors
 * @since 0.1.0
 */
export const selectsName = (selector: Selector): ((name: string) => boolean) | undefined => {
  if (SideEffect.isSideEffect(selector)) return (name) => name === selector._tag
  return typeof selector === "string" || selector instanceof RegExp ? compilePattern(selector) : undefined
}

/**
 * Throws when a policy looks for something that a group does not have, as a live layer does when it is built or when a
 * boundary with that policy is opened.
 *
 * **When to use**
 *
 * Before a policy is put into the ref of `dynamic`: a kill switch for `"mial:**"` stops nothing.
 *
 * @category selectors
 * @since 0.1.0
 */
export const check = (policy: Policy, group: SideEffectGroup.Any): void => {
  for (const selector of policy.selectors) checkSelector(group, `policy ${policy.name}`, selector)
}

/** @internal */
export const checkSelector = (group: SideEffectGroup.Any, who: string, selector: Selector): void => {
  const problem = unmatched(group, who, selector)
  if (problem !== undefined) throw new Error(problem)
}

/** @internal */
export const unmatched = (group: SideEffectGroup.Any, who: string, selector: Selector): string | undefined => {
  if (Event.isEvent(selector)) {
    return group.eventsByName.get(selector._tag) === selector
      ? undefined
      : nothing(selector, who, `is no event of group "${group.name}"`, group.eventsByName.keys())
  }
  const selects = selectsName(selector)
  return selects === undefined || [...group.sideEffects.keys()].some(selects)
    ? undefined
    : nothing(selector, who, `matches no side effect of group "${group.name}"`, group.sideEffects.keys())
}

const nothing = (selector: Selector, who: string, what: string, names: Iterable<string>): string =>
  `${describeSelector(selector)} in ${who} ${what}. Correct it, or remove it. The group has: ${
    [...names].join(", ") || "none"
  }.`

const compile = (what: string, selectors: ReadonlyArray<Selector>): (intent: Intent.Any) => boolean => {
  if (selectors.length === 0) {
    throw new Error(`${what} was given no selector. Name a definition, a pattern such as "mail:**", or a predicate.`)
  }
  const tests = selectors.map((selector) => {
    if (Event.isEvent(selector)) {
      return ({ origin }: Intent.Any) => Event.isEmitted(origin) && origin.name === selector._tag
    }
    const selects = selectsName(selector)
    return selects === undefined
      ? selector as (intent: Intent.Any) => boolean
      : (intent: Intent.Any) => selects(intent.name)
  })
  return tests.length === 1 ? tests[0]! : (intent) => tests.some((test) => test(intent))
}
