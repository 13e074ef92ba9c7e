import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"

export class Mail extends SideEffect.make("orders:mail:send", {
  description: "Email the customer.\nUses the template of the shop.",
  payload: { id: Schema.String },
  idempotencyKey: ({ id }) => id
}) {}

export class Push extends SideEffect.make("orders:push:notify", {
  description: "Notify the customer's phone.",
  payload: { id: Schema.String, urgent: Schema.optionalKey(Schema.Boolean) }
}) {}

export class Ping extends SideEffect.make("monitor:ping", { description: "Ping the monitoring service." }) {}

export const Shop = SideEffectGroup.make("shop").add(Mail, Push, Ping)

export class Broken extends Schema.TaggedError<Broken>()("Broken", { id: Schema.String }) {}

/**
 * A live layer whose handlers write down what they perform: `mail:1`, `push:1`, `ping`. A mail whose id begins with
 * `bad` fails, one that begins with `bug` dies.
 */
export const shop = <Performs extends boolean = true, E = never, R = never>(
  options?: SideEffects.LiveOptions<Performs, E, R>
): {
  readonly calls: Array<string>
  readonly layer: Layer.Layer<SideEffects.SideEffects<SideEffectGroup.Names<typeof Shop>>, E, R>
} => {
  const calls: Array<string> = []
  const handlers = Shop.toLayer({
    "orders:mail:send": ({ id }) =>
      Effect.suspend((): Effect.Effect<void, Broken> => {
        calls.push(`mail:${id}`)
        if (id.startsWith("bug")) throw new Error(`bug in mail ${id}`)
        return id.startsWith("bad") ? Effect.fail(new Broken({ id })) : Effect.void
      }),
    "orders:push:notify": ({ id }) => Effect.sync(() => void calls.push(`push:${id}`)),
    "monitor:ping": () => Effect.sync(() => void calls.push("ping"))
  })
  return { calls, layer: SideEffects.LiveLayer(Shop, options).pipe(Layer.provide(handlers)) as any }
}

export const mail = (id: string) => SideEffects.enqueue(Mail, { id })
export const push = (id: string) => SideEffects.enqueue(Push, { id })

/** Collects what is logged, as `LEVEL message`. */
export const logs = () => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    const text = Array.isArray(message) ? message.filter((part) => typeof part === "string").join(" ") : String(message)
    lines.push(`${logLevel.toUpperCase()} ${text}`)
  })
  return { lines, layer: Logger.layer([logger]) }
}
