/**
 * A kill switch that is flipped while the program runs, in all processes.
 *
 * `Policy.dynamic(ref)` is whatever policy the `SubscriptionRef` holds. Here the switch is a row of a table that every
 * process looks at; an admin route, a signal or a message of your broker would set the same ref.
 */
import { Console, Context, Data, Effect, Layer, Schedule, Schema, Stream, SubscriptionRef } from "effect"
import { Decision, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SqliteClient } from "effect-side-effects/sqlite"
import { SqlClient } from "effect/sql"

class SendMail extends SideEffect.make("shop:mail:send", {
  description: "Email a customer.",
  payload: { to: Schema.String }
}) {}

class CallWarehouse extends SideEffect.make("shop:warehouse:call", {
  description: "Tell the warehouse what to pack.",
  payload: { order: Schema.String }
}) {}

const Shop = SideEffectGroup.make("shop").add(SendMail, CallWarehouse)

// -- what is stored, and what it means --

class BadSwitch extends Data.TaggedError("BadSwitch")<{ readonly cause: unknown }> {
  override get message(): string {
    return (this.cause as Error).message
  }
}

/** `mail:**, sms:**` as a policy. A pattern that matches nothing is refused: such a switch would stop nothing. */
const policyOf = (blocked: string) =>
  Effect.try({
    try: () => {
      const patterns = blocked.split(",").map((pattern) => pattern.trim()).filter((pattern) => pattern !== "")
      const policy = patterns.length === 0 ? Policy.allowAll : Policy.block(...patterns)
      Policy.check(policy, Shop)
      return policy
    },
    catch: (cause) => new BadSwitch({ cause })
  })

/** What the admin route does. */
const flip = Effect.fn("flip")(function*(blocked: string) {
  yield* policyOf(blocked)
  const sql = yield* SqlClient.SqlClient
  yield* sql`UPDATE kill_switch SET blocked = ${blocked}`
})

// -- in every process --

class KillSwitch extends Context.Service<KillSwitch, SubscriptionRef.SubscriptionRef<Policy.Policy>>()("KillSwitch") {
  /** Looks at the table for as long as the layer lives. */
  static readonly layer = Layer.effect(
    KillSwitch,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const stored = Effect.flatMap(
        sql<{ readonly blocked: string }>`SELECT blocked FROM kill_switch`,
        ([row]) => policyOf(row?.blocked ?? "")
      )
      // A process that cannot read the switch does not start; once it runs, it goes on with what it knows.
      const ref = yield* SubscriptionRef.make(yield* stored)
      const look = Effect.tap(stored, (policy) =>
        // Only a change is one, so that a policy that counts goes on counting.
        policy.name === SubscriptionRef.getUnsafe(ref).name ? Effect.void : SubscriptionRef.set(ref, policy))
      yield* look.pipe(
        Effect.catchCause((cause) => Effect.logError("The kill switch cannot be read", cause)),
        Effect.repeat(Schedule.spaced("20 millis")),
        Effect.forkScoped
      )
      return ref
    })
  )
}

const Live = Layer.unwrap(
  Effect.map(KillSwitch, (ref) => SideEffects.LiveLayer(Shop, { policy: Policy.dynamic(ref) }))
).pipe(
  Layer.provide(Shop.toLayer({
    "shop:mail:send": () => Effect.void,
    "shop:warehouse:call": () => Effect.void
  })),
  Layer.provideMerge(KillSwitch.layer)
)

// -- the program --

const checkout = Effect.fn("checkout")(function*(process: string) {
  const intents = yield* SideEffects.boundary(SideEffects.enqueueAll([
    [CallWarehouse, { order: "A-1" }],
    [SendMail, { to: "ada@example.org" }]
  ]))
  yield* Console.log(`  ${process}`)
  for (const intent of intents) {
    const what = intent.name.split(":")[1]
    yield* Console.log(`    ${what}: ${Decision.format(Decision.of(intent)!)}`)
  }
})

/** Until this process has heard of it. */
const heard = (what: string) =>
  Effect.flatMap(
    KillSwitch,
    (ref) => SubscriptionRef.changes(ref).pipe(Stream.takeUntil((policy) => policy.name === what), Stream.runDrain)
  )

export const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE kill_switch (blocked TEXT NOT NULL)`
  yield* sql`INSERT INTO kill_switch (blocked) VALUES ('')`

  // Two processes: each has layers of its own.
  const one = yield* Layer.build(Layer.fresh(Live))
  const two = yield* Layer.build(Layer.fresh(Live))
  const inBoth = (effect: (process: string) => Effect.Effect<void, never, Layer.Success<typeof Live>>) =>
    Effect.andThen(
      Effect.provideContext(effect("process 1"), one),
      Effect.provideContext(effect("process 2"), two)
    )

  yield* Console.log("everything leaves:")
  yield* inBoth(checkout)

  yield* Console.log("somebody mistypes:")
  yield* flip("shop:mial:**").pipe(
    Effect.catch(({ message }) => Console.log(`  ${message.replace(/(\.| in) /g, "$1\n  ")}`))
  )

  yield* Console.log("the mail provider is in trouble, so mails are blocked:")
  yield* flip("shop:mail:**")
  yield* inBoth(() => heard("block(\"shop:mail:**\")"))
  yield* inBoth(checkout)

  yield* Console.log("back to normal:")
  yield* flip("")
  yield* inBoth(() => heard("allowAll"))
  yield* inBoth(checkout)
}).pipe(Effect.scoped, Effect.provide(SqliteClient.layer({ filename: ":memory:" })))

if (import.meta.main) Effect.runPromise(program)
