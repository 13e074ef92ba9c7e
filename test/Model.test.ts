import { assert, describe, it } from "@effect/vitest"
import { Decision, Dispatcher, Event, type Intent, Policy, SideEffectGroup, SideEffects } from "effect-side-effects"
import { Recorder } from "effect-side-effects/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import { Mail, mail, Push, push, shop } from "./fixtures.ts"

// Random trees of boundaries, policies, failures, interruptions and concurrent fibers, run for real and in a model.

const End = Schema.Literals(["succeed", "succeed", "succeed", "fail", "die", "interrupt"])
const PolicyName = Schema.Literals(["none", "none", "no push", "at most 2"])

type Tree =
  | { readonly _tag: "Enqueue"; readonly kind: "mail" | "push" }
  | { readonly _tag: "Yield" }
  | {
    readonly _tag: "Boundary"
    readonly end: typeof End.Type
    readonly policy: typeof PolicyName.Type
    readonly nested: "capture" | "release"
    readonly inside: ReadonlyArray<Tree>
  }
  | { readonly _tag: "Local"; readonly policy: typeof PolicyName.Type; readonly inside: ReadonlyArray<Tree> }
  | { readonly _tag: "Fork"; readonly inside: ReadonlyArray<Tree> }

const Inside = Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
const Enqueue = Schema.Struct({ _tag: Schema.tag("Enqueue"), kind: Schema.Literals(["mail", "push"]) })
const Boundary = Schema.Struct({
  _tag: Schema.tag("Boundary"),
  end: End,
  policy: PolicyName,
  nested: Schema.Literals(["capture", "release"]),
  inside: Inside
})
const Tree: Schema.Codec<Tree> = Schema.Union([
  Enqueue,
  Schema.Struct({ _tag: Schema.tag("Yield") }),
  Boundary,
  Schema.Struct({ _tag: Schema.tag("Local"), policy: PolicyName, inside: Inside }),
  Schema.Struct({ _tag: Schema.tag("Fork"), inside: Inside })
])

// One value a name, as a local policy counts per boundary and value.
const policies = { "none": Policy.allowAll, "no push": Policy.block("**:push:**"), "at most 2": Policy.limit(2) }

/** What the run tells the model: which intents each node enqueued, in which order it all happened, and when it ended. */
interface Trace {
  readonly intents: Map<Tree, Intent.Any>
  readonly order: Array<Intent.Any>
  readonly ends: Array<Tree>
}

type Enqueueing = Effect.Effect<Intent.Any, never, SideEffects.SideEffects<any>>

const enqueued = { mail: mail("m") as Enqueueing, push: push("p") as Enqueueing }

const run = (
  tree: Tree,
  trace: Trace,
  enqueue: Readonly<Record<"mail" | "push", Enqueueing>> = enqueued
): Effect.Effect<unknown, never, SideEffects.SideEffects<any>> => {
  const runAll = (trees: ReadonlyArray<Tree>) =>
    Effect.forEach(trees, (child) => run(child, trace, enqueue), { discard: true })
  switch (tree._tag) {
    case "Enqueue":
      return Effect.map(
        enqueue[tree.kind],
        (intent) => {
          trace.intents.set(tree, intent)
          trace.order.push(intent)
        }
      )
    case "Yield":
      return Effect.yieldNow
    case "Local":
      return SideEffects.withPolicy(runAll(tree.inside), policies[tree.policy])
    case "Fork":
      return Effect.forEach(tree.inside, (child) => run(child, trace, enqueue), { concurrency: "unbounded" })
    case "Boundary":
      return Effect.gen(function*() {
        const done = yield* Latch.make()
        const ended = Effect.sync(() => trace.ends.push(tree))
        const end = {
          succeed: Effect.void,
          fail: Effect.fail("failed"),
          die: Effect.die("died"),
          interrupt: Effect.andThen(done.open, Effect.never)
        }[tree.end]
        const unit = SideEffects.boundary(
          Effect.andThen(runAll(tree.inside), Effect.andThen(ended, end)),
          { policy: policies[tree.policy], nested: tree.nested }
        )
        const fiber = yield* Effect.forkChild(unit, { startImmediately: true })
        if (tree.end === "interrupt") {
          yield* done.await
          yield* Fiber.interrupt(fiber)
        }
        yield* Fiber.await(fiber)
      })
  }
}

/** The model: who has an intent, who lets it pass, and what it comes to. */
const model = (root: Tree, trace: Trace): Map<Intent.Any, Decision.Decision["_tag"]> => {
  const decided = new Map<Intent.Any, Decision.Decision["_tag"]>()
  const inOrder = (intents: ReadonlyArray<Intent.Any>) => trace.order.filter((intent) => intents.includes(intent))
  const passes = (name: keyof typeof policies, state: { count: number }, intent: Intent.Any) =>
    name === "none" || (name === "no push" ? intent.name !== "orders:push:notify" : state.count++ < 2)
  // Everything a boundary holds, and what stands between it and the outside.
  const held = new Map<Tree, Array<Intent.Any>>()
  const around = new Map<Tree, Tree | undefined>()
  const locals = new Map<Intent.Any, Array<keyof typeof policies>>()
  const states = new Map<Tree, { count: number }>()
  const place = (tree: Tree, boundary: Tree | undefined, local: Array<keyof typeof policies>): void => {
    if (tree._tag === "Enqueue") {
      const intent = trace.intents.get(tree)!
      held.get(boundary!)!.push(intent)
      locals.set(intent, local)
    } else if (tree._tag === "Boundary") {
      held.set(tree, [])
      states.set(tree, { count: 0 })
      around.set(tree, boundary)
      for (const child of tree.inside) place(child, tree, local)
    } else if (tree._tag !== "Yield") {
      for (const child of tree.inside) {
        place(child, boundary, tree._tag === "Local" && !local.includes(tree.policy) ? [tree.policy, ...local] : local)
      }
    }
  }
  place(root, undefined, [])
  const narrow = (boundary: Tree & { _tag: "Boundary" }, intents: ReadonlyArray<Intent.Any>, own: boolean) => {
    const localStates = new Map<string, { count: number }>()
    return inOrder(intents).filter((intent) => {
      const local = own && locals.has(intent) ? locals.get(intent)! : []
      if (own) locals.delete(intent)
      const pass = local.every((name) => {
        if (!localStates.has(name)) localStates.set(name, { count: 0 })
        return passes(name, localStates.get(name)!, intent)
      }) && passes(boundary.policy, states.get(boundary)!, intent)
      if (!pass) decided.set(intent, "Dropped")
      return pass
    })
  }
  for (const tree of trace.ends) {
    const boundary = tree as Tree & { _tag: "Boundary" }
    const intents = held.get(boundary)!
    if (boundary.end !== "succeed") {
      for (const intent of intents) decided.set(intent, "Discarded")
      continue
    }
    let left = narrow(boundary, intents, true)
    let parent = around.get(boundary) as (Tree & { _tag: "Boundary" }) | undefined
    while (parent !== undefined && left.length > 0) {
      if (parent.nested === "capture") {
        held.get(parent)!.push(...left)
        left = []
      } else {
        left = narrow(parent, left, false)
      }
      parent = around.get(parent) as (Tree & { _tag: "Boundary" }) | undefined
    }
    for (const intent of left) decided.set(intent, "Dispatched")
  }
  return decided
}

describe("the model", () => {
  it.effect.prop(
    "decides as the real thing does",
    [Boundary],
    ([root]) =>
      Effect.gen(function*() {
        const { calls, layer } = shop()
        const trace: Trace = { intents: new Map(), order: [], ends: [] }
        yield* Effect.provide(run(root, trace), layer)
        const expected = model(root, trace)
        assert.strictEqual(expected.size, trace.order.length, "the model decides each intent")
        for (const intent of trace.order) {
          assert.strictEqual(Decision.of(intent)?._tag, expected.get(intent), intent.toString())
        }
        const performed = trace.order.filter((intent) => Decision.of(intent)?._tag === "Dispatched")
        assert.strictEqual(calls.length, performed.length)
      }),
    { arbitrary: { runs: 1000, size: 60 }, timeout: 60_000 }
  )

  it.effect.prop(
    "emitting comes to the same as enqueueing what is bound, and an event to what its boundaries come to",
    [Boundary],
    ([root]) =>
      Effect.gen(function*() {
        const decisionsOf = Effect.fnUntraced(function*(enqueue: Readonly<Record<"mail" | "push", Enqueueing>>) {
          const trace: Trace = { intents: new Map(), order: [], ends: [] }
          yield* run(root, trace, enqueue)
          const events = yield* (yield* Recorder).events
          return { trace, events, decisions: trace.order.map((intent) => Decision.of(intent)?._tag) }
        }, Effect.provide(SideEffects.TestLayerFor(Wanted)))
        const byHand = yield* decisionsOf(enqueued)
        const { decisions, events, trace } = yield* decisionsOf({
          mail: wanting(MailWanted),
          push: wanting(PushWanted)
        })
        assert.deepStrictEqual(decisions, byHand.decisions)
        const released = eventsReleased(root, trace)
        assert.deepStrictEqual(new Set(events), released)
        assert.strictEqual(events.length, released.size)
      }),
    { arbitrary: { runs: 500, size: 60 }, timeout: 60_000 }
  )

  it.effect.prop(
    "an interruption at any moment releases all of a unit of work or none",
    { yields: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })), concurrency: Schema.Literals([1, 3]) },
    ({ concurrency, yields }) =>
      Effect.gen(function*() {
        const { calls, layer } = shop({ dispatcher: slowly(concurrency) })
        const intents: Array<Intent.Any> = []
        const unit = SideEffects.boundary(
          Effect.forEach(["1", "2", "3", "4", "5"], (id) =>
            Effect.tap(mail(id), (intent) => {
              intents.push(intent)
              return Effect.yieldNow
            })),
          { policy: Policy.make({ name: "slow", decide: () => Effect.as(Effect.yieldNow, Policy.allow) }) }
        )
        const fiber = yield* Effect.forkChild(Effect.provide(unit, layer), { startImmediately: true })
        for (let i = 0; i < yields; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        const tags = new Set(intents.map((intent) => Decision.of(intent)?._tag))
        if (tags.has("Dispatched")) {
          assert.deepStrictEqual([tags.size, intents.length, calls.length], [1, 5, 5])
        } else {
          assert.deepStrictEqual([[...tags].filter((tag) => tag !== "Discarded"), calls.length], [[], 0])
        }
        ;(tags.has("Dispatched") ? outcomes.released : outcomes.discarded).add(yields)
      }),
    { arbitrary: { runs: 300 }, timeout: 60_000 }
  )

  it("the test before has met both outcomes", () => {
    assert.isAbove(outcomes.released.size, 3)
    assert.isAbove(outcomes.discarded.size, 3)
  })
})

class MailWanted extends Event.make("wanted:mail", { description: "A mail was wanted." }) {}
class PushWanted extends Event.make("wanted:push", { description: "A push was wanted." }) {}

const Wanted = SideEffectGroup.make("wanted")
  .on(MailWanted, Mail, () => ({ id: "m" }))
  .on(PushWanted, Push, () => ({ id: "p" }))

/** Emits, and returns the intent that follows. */
const wanting = (event: typeof MailWanted | typeof PushWanted): Enqueueing =>
  Effect.gen(function*() {
    const emitted = yield* SideEffects.emit(event)
    return (yield* SideEffects.ownIntents).find(({ origin }) => origin === emitted)!
  })

/** Those whose boundary succeeded, and every one around that captured it and did not let it pass at once. */
const eventsReleased = (root: Tree, { intents }: Trace): Set<Intent.Any["origin"]> => {
  const released = new Set<Intent.Any["origin"]>()
  const leaves = (around: ReadonlyArray<Tree & { _tag: "Boundary" }>): boolean => {
    const [boundary, ...others] = around
    if (boundary === undefined) return true
    if (boundary.end !== "succeed") return false
    const capturing = others.findIndex(({ nested }) => nested === "capture")
    return capturing === -1 || leaves(others.slice(capturing))
  }
  const visit = (tree: Tree, around: ReadonlyArray<Tree & { _tag: "Boundary" }>): void => {
    if (tree._tag === "Enqueue") {
      if (leaves(around)) released.add(intents.get(tree)!.origin)
    } else if (tree._tag !== "Yield") {
      for (const child of tree.inside) visit(child, tree._tag === "Boundary" ? [tree, ...around] : around)
    }
  }
  visit(root, [])
  return released
}

const outcomes = { released: new Set<number>(), discarded: new Set<number>() }

/** Gives an interruption every chance to come between two side effects. */
const slowly = (concurrency: number) =>
  Dispatcher.make({
    name: "slowly",
    performs: true,
    dispatch: (intents, perform) =>
      Effect.forEach(intents, (intent) => Effect.andThen(Effect.yieldNow, perform(intent)), { concurrency })
  })
