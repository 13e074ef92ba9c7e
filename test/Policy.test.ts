import { assert, describe, it } from "@effect/vitest"
import { Decision, type Intent, Policy, SideEffects } from "effect-side-effects"
import { expectEnqueued } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { logs, Mail, mail, Ping, Push, push, Shop, shop } from "./fixtures.ts"

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

describe("Policy.dynamic", () => {
  const decisions = (intents: ReadonlyArray<Intent.Any>) =>
    intents.map((intent) => Decision.format(Decision.of(intent)!))
  const decided = (decision: string) => decision.split(" ")[0]

  it.effect("is what the ref holds when an intent is decided on, also in boundaries that are open already", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make(Policy.allowAll)
      const { calls, layer } = shop({ policy: Policy.dynamic(ref) })
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(mail("1"))
        const open = yield* SideEffects.boundary(
          Effect.tap(mail("2"), () => SubscriptionRef.set(ref, Policy.block(Mail)))
        )
        assert.strictEqual(
          Decision.format(Decision.of(open)!),
          "dropped by policy dynamic(block(\"orders:mail:send\")): it is blocked"
        )
        yield* SideEffects.boundary(push("3"))
        yield* SubscriptionRef.set(ref, Policy.dropAll)
        yield* SideEffects.boundary(push("4"))
        yield* SubscriptionRef.set(ref, Policy.allowAll)
        yield* SideEffects.boundary(mail("5"))
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1", "push:3", "mail:5"])
    }))

  it.effect("a flip in the middle of a release counts for the rest of it", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make(Policy.allowAll)
      const flip = Policy.tap((intent) =>
        intent.payload?.id === "1" ? SubscriptionRef.set(ref, Policy.dropAll) : undefined
      )
      const { calls, layer } = shop({ policy: Policy.all(Policy.dynamic(ref), flip) })
      yield* SideEffects.boundary(Effect.all([mail("1"), mail("2")])).pipe(Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:1"])
    }))

  it.effect("refuses at the call site as long as the ref says so", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make<Policy.Policy>(Policy.assertNone)
      const { layer } = shop()
      yield* Effect.gen(function*() {
        const refused = yield* Effect.exit(mail("1"))
        assert.strictEqual((violation(refused) as any)._tag, "PolicyViolation")
        yield* SubscriptionRef.set(ref, Policy.reject(Push))
        yield* mail("2")
        assert.strictEqual((violation(yield* Effect.exit(push("3"))) as any)._tag, "PolicyViolation")
        yield* SubscriptionRef.set(ref, Policy.allowAll)
        yield* push("4")
      }).pipe(SideEffects.boundary({ policy: Policy.dynamic(ref) }), Effect.provide(layer))
    }))

  it.effect("one that remembers does so per boundary and per value of the ref", () =>
    Effect.gen(function*() {
      const [two, one] = [Policy.limit(2), Policy.limit(1)]
      const ref = yield* SubscriptionRef.make<Policy.Policy>(two)
      const policy = Policy.dynamic(ref)
      const flips: Record<string, Policy.Policy> = { "1": one, "3": two }
      const flip = Policy.tap(({ payload }) => {
        const next = flips[payload.id]
        return next && SubscriptionRef.set(ref, next)
      })
      const { calls, layer } = shop()
      const work = Effect.forEach(["1", "2", "3", "4", "5"], mail)
      // The first of two, the first of one, none of one (which flips back), the second of two, and no more.
      const intents = yield* SideEffects.boundary(work, { policy: Policy.all(policy, flip) }).pipe(
        Effect.provide(layer)
      )
      assert.deepStrictEqual(calls, ["mail:1", "mail:2"])
      assert.deepStrictEqual(
        decisions(intents).slice(2),
        Array.from("345", () => "dropped by policy dynamic(limit(1)): more than 1 in one boundary")
      )
      calls.length = 0
      yield* SubscriptionRef.set(ref, two)
      yield* SideEffects.boundary(Effect.forEach(["6", "7", "8"], mail), { policy }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(calls, ["mail:6", "mail:7"])
    }))

  it.effect("goes on from what it remembers when the same value comes back", () =>
    Effect.gen(function*() {
      const two = Policy.limit(2)
      const ref = yield* SubscriptionRef.make<Policy.Policy>(two)
      const { calls, layer } = shop()
      const flip = Policy.tap(({ payload: { id } }) =>
        id === "1" ? SubscriptionRef.set(ref, Policy.allowAll) : id === "2" ? SubscriptionRef.set(ref, two) : undefined
      )
      yield* Effect.forEach(["1", "2", "3", "4"], mail).pipe(
        SideEffects.boundary({ policy: Policy.all(Policy.dynamic(ref), flip) }),
        Effect.provide(layer)
      )
      assert.deepStrictEqual(calls, ["mail:1", "mail:2", "mail:3"])
    }))

  it.effect("composes: withPolicy, a boundary, the layer, and all; in a plan, too", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make<Policy.Policy>(Policy.all(Policy.block(Push), Policy.dedupe()))
      const policy = Policy.dynamic(ref)
      const program = Effect.all([mail("1"), mail("1"), push("2"), SideEffects.enqueue(Ping)])
      const expected = ["dispatched", "deduplicated", "dropped", "dispatched"]
      const named = "dropped by policy dynamic(block(\"orders:push:notify\")): it is blocked"
      const { layer: inLayer } = shop({ policy })
      const { layer } = shop()
      const ways = [
        program.pipe(SideEffects.withPolicy(policy), SideEffects.boundary(), Effect.provide(layer)),
        program.pipe(SideEffects.boundary({ policy }), Effect.provide(layer)),
        program.pipe(SideEffects.boundary({ policy: Policy.all(Policy.log, policy) }), Effect.provide(layer)),
        program.pipe(SideEffects.boundary(), Effect.provide(inLayer)),
        Effect.map(SideEffects.plan(Effect.asVoid(SideEffects.boundary(program))), ({ intents }) => intents).pipe(
          Effect.provide(inLayer)
        )
      ]
      for (const [i, way] of ways.entries()) {
        const intents: ReadonlyArray<Intent.Any> = yield* Effect.provide(way, logs().layer)
        if (i === 4) {
          assert.deepStrictEqual(intents.map(({ name }) => name), [Mail._tag, Ping._tag])
        } else {
          assert.deepStrictEqual(decisions(intents).map(decided), expected)
          assert.strictEqual(decisions(intents)[2], named)
        }
      }
    }))

  it.effect("a policy that dies is named with what it was, and nothing escapes", () =>
    Effect.gen(function*() {
      const bad = Policy.make({ name: "bad", decide: () => Effect.die("bug") })
      const ref = yield* SubscriptionRef.make<Policy.Policy>(bad)
      const { calls, layer } = shop({ policy: Policy.dynamic(ref) })
      const exit = yield* Effect.exit(SideEffects.boundary(mail("1"))).pipe(Effect.provide(layer))
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(calls, [])
      assert.strictEqual(
        Decision.format(Decision.of((exit as Exit.Success<Intent.Any>).value)!),
        "failed in policy dynamic(bad)"
      )
    }).pipe(Effect.provide(logs().layer)))

  it.effect("the test kit says which policy it was", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make<Policy.Policy>(Policy.block(Mail))
      yield* SideEffects.boundary(mail("1"), { policy: Policy.dynamic(ref) })
      const exit = yield* Effect.exit(expectEnqueued(Mail, { id: "1" }))
      assert.include(
        (Exit.isFailure(exit) && Cause.squash(exit.cause) as Error || new Error()).message,
        "dropped by policy dynamic(block(\"orders:mail:send\")): it is blocked"
      )
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("the same ref is the same policy, so that made in two places it counts once", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make<Policy.Policy>(Policy.limit(2))
      const { calls, layer } = shop()
      yield* Effect.forEach(["1", "2", "3"], mail).pipe(
        SideEffects.withPolicy(Policy.dynamic(ref)),
        SideEffects.withPolicy(Policy.dynamic(ref)),
        SideEffects.boundary(),
        Effect.provide(layer)
      )
      assert.deepStrictEqual(calls, ["mail:1", "mail:2"])
    }))

  it.effect("what the ref holds at first is checked against the group, and what comes later by Policy.check", () =>
    Effect.gen(function*() {
      const ref = yield* SubscriptionRef.make<Policy.Policy>(Policy.block("order:**"))
      const { layer } = shop({ policy: Policy.dynamic(ref) })
      const exit = yield* Effect.exit(Effect.provide(SideEffects.boundary(Effect.void), layer))
      assert.include(
        (violation(exit) as Error).message,
        "\"order:**\" in policy dynamic(block(\"order:**\")) matches no side effect"
      )
      assert.throws(
        () => Policy.check(Policy.all(Policy.dedupe(), Policy.block(Mail, "mial:**")), Shop),
        "\"mial:**\" in policy all(dedupe, block(\"orders:mail:send\", \"mial:**\")) matches no side effect of group \"shop\". " +
          "Correct it, or remove it. The group has: orders:mail:send, orders:push:notify, monitor:ping."
      )
      Policy.check(Policy.block("**:mail:**", Ping), Shop)
      // A flip in a running program never makes a boundary die.
      const late = yield* SubscriptionRef.make(Policy.allowAll)
      const other = shop({ policy: Policy.dynamic(late) })
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(Effect.void, { policy: Policy.dynamic(late) })
        yield* SubscriptionRef.set(late, Policy.block("mial:**"))
        yield* SideEffects.boundary(mail("1"), { policy: Policy.dynamic(late) })
      }).pipe(Effect.provide(other.layer))
      assert.deepStrictEqual(other.calls, ["mail:1"])
    }))
})
