/**
 * Policies: who may decide that a side effect stays in.
 *
 * They come from three places: a layer (the deployment), a boundary (the unit of work) and `withPolicy` (a piece of
 * code). They can only narrow: an intent leaves when all of them let it pass, and the order never changes.
 */
import { Console, Effect, Layer, Schema } from "effect"
import { Decision, type Intent, Policy, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"

class SendMail extends SideEffect.make("crm:mail:send", {
  description: "Email a customer.",
  payload: { to: Schema.String, subject: Schema.String },
  idempotencyKey: ({ subject, to }) => `${to} ${subject}`
}) {}

class SendText extends SideEffect.make("crm:text:send", {
  description: "Send a customer a text message.",
  payload: { to: Schema.String, text: Schema.String }
}) {}

class UpdateSearch extends SideEffect.make("crm:search:update", {
  description: "Tell the search index that a customer has changed.",
  payload: { customer: Schema.String }
}) {}

const Crm = SideEffectGroup.make("crm").add(SendMail, SendText, UpdateSearch)

const Handlers = Crm.toLayer({
  "crm:mail:send": () => Effect.void,
  "crm:text:send": () => Effect.void,
  "crm:search:update": () => Effect.void
})

// The same code in every scenario below: two mails to Ada that say the same, one to Grace, a text, the search index.
const campaign = SideEffects.enqueueAll([
  [SendMail, { to: "ada@crm.test", subject: "Spring sale" }],
  [SendMail, { to: "ada@crm.test", subject: "Spring sale" }],
  [SendMail, { to: "grace@example.com", subject: "Spring sale" }],
  [SendText, { to: "555-0199", text: "Spring sale" }],
  [UpdateSearch, { customer: "ada" }]
])

const label = ({ name, payload }: Intent.Any) => `${name.split(":")[1]} ${payload.to ?? payload.customer}`

// Every intent has exactly one decision, and it can be read: who decided what, and why.
const show = (title: string, intents: ReadonlyArray<Intent.Any>) => {
  const groups = Map.groupBy(intents, (intent) => {
    const decision = Decision.of(intent)!
    return decision._tag === "Deduplicated" ? `deduplicated by ${decision.by}` : Decision.format(decision)
  })
  const lines = [...groups].map(([why, group]) => `  ${why}\n    ${group.map(label).join(", ")}`)
  return Console.log(`${title}\n${lines.join("\n")}\n`)
}

/** Runs the campaign as a unit of work and shows what was decided. */
const run = (title: string, policy: Policy.Policy) =>
  Effect.flatMap(SideEffects.boundary(campaign, { policy }), (intents) => show(title, intents))

// A policy of your own says `allow`, or `drop` with a reason that people will read. It cannot enqueue: its type says so.
const ownDomain = Policy.make({
  name: "ownDomain",
  decide: ({ name, payload }) =>
    name === SendMail._tag && !payload.to.endsWith("@crm.test")
      ? Policy.drop(`${payload.to} is not ours`)
      : Policy.allow
})

const scenarios = Effect.gen(function*() {
  yield* run("block: a pattern on names (`*` is one segment, `**` any number)", Policy.block("crm:mail:*"))
  yield* run("allowOnly: a definition instead of a pattern", Policy.allowOnly(UpdateSearch))
  yield* run("dedupe: the same name and idempotency key only once", Policy.dedupe())
  yield* run("limitBy: one message to each address", Policy.limitBy((intent) => intent.payload.to, 1))
  yield* run("make: one of your own", ownDomain)

  // Only what is enqueued inside `withPolicy` is narrowed by it. The boundary around it asks both.
  const inner = SideEffects.withPolicy(campaign, Policy.block(SendText))
  const intents = yield* SideEffects.boundary(inner, { policy: Policy.all(ownDomain, Policy.dedupe()) })
  yield* show("withPolicy and a boundary with two policies: all have to agree", intents)
})

export const program = Effect.gen(function*() {
  yield* scenarios.pipe(Effect.provide(SideEffects.LiveLayer(Crm).pipe(Layer.provide(Handlers))))

  // The deployment narrows further, and neither the campaign nor the boundary knows.
  const Staging = SideEffects.LiveLayer(Crm, { policy: Policy.allowOnly("crm:search:*") })
  yield* run("the layer's policy, beneath a boundary that allows everything", Policy.allowAll).pipe(
    Effect.provide(Staging.pipe(Layer.provide(Handlers)))
  )
})

if (import.meta.main) Effect.runPromise(program)
