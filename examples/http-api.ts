/**
 * An `HttpApi`: the definition says which endpoints are a unit of work.
 *
 * `Unit` is a middleware of the API. It provides `SideEffects` to the handlers of the endpoints that name it; a handler of
 * any other endpoint that enqueues does not compile. Declared errors discard.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { SideEffectsMiddleware } from "effect-side-effects/http"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"

class SendWelcome extends SideEffect.make("accounts:mail:welcome", {
  description: "Welcome a new customer.",
  payload: { name: Schema.String }
}) {}

const Accounts = SideEffectGroup.make("accounts").add(SendWelcome)

class NameTaken extends Schema.TaggedError<NameTaken>()("NameTaken", { name: Schema.String }, { httpApiStatus: 409 }) {}

class Unit extends HttpApiMiddleware.Service<Unit, {
  provides: SideEffectsMiddleware.Provides<typeof Accounts>
}>()("Unit") {}

class Api extends HttpApi.make("accounts").add(
  HttpApiGroup.make("accounts").add(
    HttpApiEndpoint.get("list", "/accounts", { success: Schema.Array(Schema.String) }),
    HttpApiEndpoint.post("open", "/accounts/:name", {
      params: { name: Schema.String },
      success: Schema.String,
      error: NameTaken
    }).middleware(Unit)
  )
) {}

const Handlers = HttpApiBuilder.group(Api, "accounts", (handlers) => {
  const names = new Set<string>()
  return handlers
    .handle("list", () => Effect.succeed([...names]))
    .handle("open", ({ params: { name } }) =>
      Effect.gen(function*() {
        yield* SideEffects.enqueue(SendWelcome, { name })
        if (names.has(name)) return yield* new NameTaken({ name })
        names.add(name)
        return `${name} is welcome`
      }))
})

const UnitLive = SideEffectsMiddleware.layerApi(Unit, Accounts, {
  dispatch: "before-response",
  onClose: ({ name, outcome }) => Console.log(`  ${name} is ${outcome}`)
}).pipe(
  Layer.provide(SideEffects.LiveLayer(Accounts)),
  Layer.provide(SendWelcome.toLayer(({ name }) => Console.log(`  -> mailed a welcome to ${name}`)))
)

const Server = HttpRouter.serve(
  HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers), Layer.provide(UnitLive)),
  { disableListenLog: true, disableLogger: true }
).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

const ask = (method: "GET" | "POST", path: string) =>
  Effect.gen(function*() {
    yield* Console.log(`${method} ${path}`)
    const response = yield* HttpClient.execute(HttpClientRequest.make(method)(path))
    yield* Console.log(`  ${response.status} ${yield* response.text}`)
  })

export const program = Effect.gen(function*() {
  yield* ask("POST", "/accounts/ada")
  yield* ask("POST", "/accounts/ada")
  yield* ask("GET", "/accounts")
}).pipe(Effect.provide(Server))

if (import.meta.main) Effect.runPromise(program)
