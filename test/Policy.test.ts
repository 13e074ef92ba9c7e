import { assert, describe, it } from "@effect/vitest"
import { Decision, type Intent, Policy, SideEffects } from "effect-side-effects"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { logs, Mail, mail, Ping, Push, push, shop } from "./fixtures.ts"

/** What is left of mail 1, push 1, mail 2, push 2, mail 1 again and a ping. */
const left = Effect.fnUntraced(function*(policy: Policy.Policy) {
  const { calls, layer } = shop()
  yield* Effect.all([mail("1"), push("1"), mail("2"), push("2"), mail("1"), SideEffects.enqueue(Ping)]).pipe(
    SideEffects.boundary({ policy }),
    Effect.provide(layer)
  )
  return calls.join(" ")
})

const violation = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isDieReason)?.defect : undefined

describe("Policy", () => {
  const everything = "mail:1 push:1 mail:2 push:2 mail:1 ping"
  const cases: ReadonlyArray<readonly [string, Policy.Policy, string]> = [
    ["allowAll", Policy.allowAll, everything],
    ["dropAll", Policy.dropAll, ""],
    ["block by definition", Policy.block(Mail, Ping), "push:1 push:2"],
    ["block by name", Policy.block("orders:mail:send"), "push:1 push:2 ping"],
    ["block by pattern", Policy.block("orders:*:send", "monitor:**"), "push:1 push:2"],
    ["block by RegExp", Policy.block(/mail/g), "push:1 push:2 ping"],
    ["block by predicate", Policy.block(({ payload }) => payload?.id === "1"), "mail:2 push:2 ping"],
    ["allowOnly", Policy.allowOnly(Push), "push:1 push:2"],
    ["limit", Policy.limit(2), "mail:1 push:1"],
    ["limit of none", Policy.limit(0), ""],
    ["limitBy", Policy.limitBy(({ name }) => name, 1), "mail:1 push:1 ping"],
    ["limitBy without a key", Policy.limitBy(({ payload }) => payload?.id, 1), "mail:1 mail:2 ping"],
    ["dedupe", Policy.dedupe(), "mail:1 push:1 mail:2 push:2 ping"],
    ["dedupe by a key of its own", Policy.dedupe(({ payload }) => payload?.id), "mail:1 mail:2 ping"],
    ["all", Policy.all(Policy.block(Ping), Policy.limit(3)), "mail:1 push:1 mail:2"],
    ["all of none", Policy.all(), everything],
    [
      "make, with an effect",
      Policy.make({
        name: "own",
        decide: ({ name }) => Effect.succeed(name === Mail._tag ? Policy.allow : Policy.drop("no"))
      }),
      "mail:1 mail:2 mail:1"
    ],
    [
      "make, with a state",
      Policy.make({
        name: "odd",
        state: () => ({ n: 0 }),
        decide: (_, state) => state.n++ % 2 ? Policy.drop("even") : Policy.allow
      }),
      "mail:1 mail:2 mail:1"
    ]
  ]
  for (const [name, policy, expected] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* left(policy), expected)
        assert.strictEqual(yield* left(policy), expected, "a state starts fresh in each boundary")
      }))
  }

  it.effect("all: the decision names the one that kept it in", () =>
    Effect.gen(function*() {
      const { layer } = shop({ policy: Policy.all(Policy.limit(9), Policy.all(Policy.block(Mail), Policy.dedupe())) })
      const [dropped, , duplicate] = yield* Effect.all([
        mail("1"),
        SideEffects.enqueue(Push, { id: "1" }, { key: "k" }),
        SideEffects.enqueue(Push, { id: "1" }, { key: "k" })
      ]).pipe(SideEffects.boundary(), Effect.provide(layer))
      assert.match(
        Decision.format(Decision.of(dropped)!),
        /^dropped by policy block\("orders:mail:send"\): it is blocked$/
      )
      assert.match(Decision.format(Decision.of(duplicate)!), /^deduplicated by policy dedupe: the same as intent/)
    }))

  it.effect("all: what an earlier policy drops does not count for a later one", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* left(Policy.all(Policy.block(Mail), Policy.limit(2))), "push:1 push:2")
    }))

  it.effect("all: goes on after an effect", () =>
    Effect.gen(function*() {
      const slow = Policy.make({ name: "slow", decide: () => Effect.as(Effect.yieldNow, Policy.allow) })
      assert.strictEqual(yield* left(Policy.all(slow, Policy.block(Mail), slow, Policy.limit(1))), "push:1")
    }))

  it.effect("tap and log let everything pass", () =>
    Effect.gen(function*() {
      const { layer, lines } = logs()
      const seen: Array<string> = []
      const policy = Policy.all(
        Policy.tap(({ name }) => void seen.push(name)),
        Policy.tap(({ name }) => Effect.sync(() => seen.push(name))),
        Policy.log
      )
      assert.strictEqual(yield* Effect.provide(left(policy), layer), everything)
      assert.strictEqual(seen.length, 12)
      assert.strictEqual(lines.length, 6)
      assert.match(lines[0]!, /^INFO Side effect "orders:mail:send" passes \(intent [0-9a-f-]{36}\)$/)
    }))

  it.effect("assertNone and reject die at the call site", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      const attempt = (policy: Policy.Policy) =>
        push("1").pipe(Effect.andThen(mail("1")), SideEffects.boundary({ policy }), Effect.exit, Effect.provide(layer))
      const none = violation(yield* attempt(Policy.assertNone))
      assert.instanceOf(none, SideEffects.PolicyViolation)
      assert.strictEqual(
        none.message,
        "Side effect \"orders:push:notify\" was enqueued where the policy assertNone allows none. Remove the call from " +
          "this code path, or take the policy off the boundary."
      )
      const rejected = violation(yield* attempt(Policy.reject("**:send")))
      assert.instanceOf(rejected, SideEffects.PolicyViolation)
      assert.strictEqual(rejected.intent?.name, "orders:mail:send")
      assert.strictEqual(
        rejected.message,
        "Side effect \"orders:mail:send\" was enqueued where the policy reject(\"**:send\") rejects it. Remove the call " +
          "from this code path, or narrow the policy."
      )
      assert.deepStrictEqual(calls, [])
    }))

  it.effect("is decided at release, so a discarded intent makes no other one a duplicate", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      yield* Effect.gen(function*() {
        yield* mail("1").pipe(Effect.andThen(Effect.fail("no")), SideEffects.boundary(), Effect.exit)
        yield* mail("1")
      }).pipe(SideEffects.boundary({ policy: Policy.dedupe() }), Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1"])
    }))

  it.effect("withPolicy inside withPolicy counts one policy once", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      const twice = (policy: Policy.Policy) =>
        SideEffects.withPolicy(SideEffects.withPolicy(Effect.andThen(mail("1"), mail("2")), policy), policy)
      yield* Effect.andThen(twice(Policy.limit(2)), twice(Policy.dedupe())).pipe(
        SideEffects.boundary(),
        Effect.provide(layer)
      )
      assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:1", "mail:2"])
    }))

  it.effect("onEnqueue has the state of its boundary, its layer, or its member of all", () =>
    Effect.gen(function*() {
      const counts: Array<string> = []
      const count = (name: string) =>
        Policy.make({
          name,
          state: () => ({ n: 0 }),
          onEnqueue: (_, state) => void counts.push(`${name} ${++state.n}`)
        })
      const { layer } = shop({ policy: count("layer") })
      const unit = SideEffects.boundary(
        Effect.andThen(mail("1"), SideEffects.boundary(SideEffects.withPolicy(mail("2"), count("local")))),
        { policy: Policy.all(count("first"), count("second")) }
      )
      yield* Effect.andThen(unit, unit).pipe(Effect.provide(layer))
      const once = ["first 1", "second 1", "layer 1", "local 1", "first 2", "second 2", "layer 2"]
      assert.deepStrictEqual(counts, [...once, ...once])
    }))

  it.effect("withPolicy counts per boundary, and does not touch what is outside it", () =>
    Effect.gen(function*() {
      const { calls, layer } = shop()
      const intent = yield* Effect.gen(function*() {
        yield* push("1")
        const intent = yield* SideEffects.withPolicy(
          Effect.andThen(mail("1"), mail("2")),
          Policy.limit(1)
        )
        yield* mail("3")
        return intent
      }).pipe(SideEffects.boundary(), Effect.provide(layer))
      assert.deepStrictEqual(calls, ["push:1", "mail:1", "mail:3"])
      assert.deepStrictEqual(intent.policies, ["limit(1)"])
      assert.strictEqual(
        Decision.format(Decision.of(intent)!),
        "dropped by policy limit(1): more than 1 in one boundary"
      )
    }))

  describe("defects", () => {
    const bugs = {
      "that is thrown": () => {
        throw new Error("bug")
      },
      "in an effect": () => Effect.die(new Error("bug"))
    }
    for (const [name, bug] of Object.entries(bugs)) {
      it.effect(`in decide ${name}: the intent fails, named, and the others go on`, () =>
        Effect.gen(function*() {
          const { calls, layer } = shop()
          const { layer: logger, lines } = logs()
          const policy = Policy.make({
            name: "buggy",
            decide: (intent) => intent.payload.id === "1" ? bug() : Policy.allow
          })
          const intent = yield* Effect.tap(mail("1"), () => mail("2")).pipe(
            SideEffects.boundary({ policy }),
            Effect.provide(Layer.provideMerge(layer, logger))
          )
          assert.deepStrictEqual(calls, ["mail:2"])
          const decision = Decision.of(intent)
          assert.strictEqual(decision?._tag, "Failed")
          const error = Cause.squash((decision as Decision.Failed).cause)
          assert.instanceOf(error, SideEffects.PolicyDefect)
          assert.strictEqual(
            error.message,
            "Policy buggy died when it was asked about side effect \"orders:mail:send\", so the intent does not escape. A " +
              "policy has to answer for every intent: mend it, or catch the error inside it."
          )
          assert.strictEqual((error.cause as Error).message, "bug")
          assert.match(lines.join("\n"), /^ERROR Side effect "orders:mail:send" failed in policy buggy/)
        }))

      it.effect(`in onEnqueue ${name}: dies at the call site, named`, () =>
        Effect.gen(function*() {
          const { layer } = shop()
          const policy = Policy.make({ name: "buggy", onEnqueue: bug })
          const exit = yield* mail("1").pipe(SideEffects.boundary({ policy }), Effect.exit, Effect.provide(layer))
          const error = violation(exit)
          assert.instanceOf(error, SideEffects.PolicyDefect)
          assert.strictEqual(error.policy, "buggy")
        }))
    }

    it.effect("with abortOnError the boundary fails with it", () =>
      Effect.gen(function*() {
        const { layer } = shop()
        const policy = Policy.make({ name: "buggy", decide: () => Effect.die("bug") })
        const error = yield* mail("1").pipe(
          SideEffects.boundary({ policy, abortOnError: true }),
          Effect.flip,
          Effect.provide(layer)
        )
        assert.match(
          error.message,
          /^1 of 1 side effects failed:\n- orders:mail:send \(intent .+\): PolicyDefect: Policy buggy died/
        )
      }))
  })

  describe("bad input", () => {
    const wrong: ReadonlyArray<readonly [string, () => unknown, string]> = [
      [
        "no selector",
        () => Policy.block(),
        "Policy.block was given no selector. Name a definition, a pattern such as \"mail:**\", or a predicate."
      ],
      [
        "a malformed pattern",
        () => Policy.allowOnly("orders::x"),
        "Pattern \"orders::x\" has an empty segment at position 2. Expected segments of letters, digits, \"-\", \"_\" or " +
        "\".\", separated by \":\", such as \"orders:mail:send-confirmation\". In a pattern, a whole segment may be \"*\" " +
        "(exactly one segment) or \"**\" (any number)."
      ],
      [
        "a negative limit",
        () => Policy.limit(-1),
        "Policy.limit was given -1. It takes the number of intents that may pass: a whole number, 0 or more."
      ],
      [
        "a limit that is no number",
        () => Policy.limitBy(() => 1, 1.5),
        "Policy.limitBy was given 1.5. It takes the number of intents that may pass: a whole number, 0 or more."
      ]
    ]
    for (const [name, make, message] of wrong) it(name, () => assert.throws(make, message))

    it.effect("a pattern that matches nothing in the group, in a boundary", () =>
      Effect.gen(function*() {
        const { layer } = shop()
        const exit = yield* SideEffects.boundary(Effect.void, { policy: Policy.block("order:**") }).pipe(
          Effect.exit,
          Effect.provide(layer)
        )
        assert.strictEqual(
          (violation(exit) as Error).message,
          "\"order:**\" in policy block(\"order:**\") matches no side effect of group \"shop\". Correct it, or remove it. " +
            "The group has: orders:mail:send, orders:push:notify, monitor:ping."
        )
      }))
  })

  it("selectors are described in the name", () => {
    const named = function mailsOnly(intent: Intent.Any) {
      return intent.name.includes("mail")
    }
    assert.strictEqual(
      Policy.block(Mail, "a:**", /x/, named, () => true).name,
      "block(\"orders:mail:send\", \"a:**\", /x/, mailsOnly, a predicate)"
    )
    assert.isTrue(Policy.isPolicy(Policy.allowAll))
    assert.isFalse(Policy.isPolicy({}))
  })
})
