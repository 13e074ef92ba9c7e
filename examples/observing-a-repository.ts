/**
 * Observing a repository: whoever writes a user, and wherever, what has to follow outside does follow.
 *
 * The model has six events, the repository emits them, and the group says what follows. The code that writes knows
 * nothing of it. As with every side effect, nothing leaves before the unit of work has succeeded.
 */
import { Console, Context, Effect, Layer, Schema } from "effect"
import { ModelEvents, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { expectEmitted, expectEnqueued, expectNotEmitted, expectNothing } from "effect-side-effects/testing"
import { Model } from "effect/schema"

class User extends Model.Class<User>("User")({
  // The database makes it, so it is not there on insert.
  id: Model.Field({ select: Schema.Number, update: Schema.Number, json: Schema.Number }),
  email: Schema.String,
  name: Schema.String
}) {}

// user:creating, user:created, user:updating, user:updated, user:deleting, user:deleted
const UserEvents = ModelEvents.make("user", User)

class SendWelcome extends SideEffect.make("mail:send-welcome", {
  description: "Email a new user a welcome.",
  payload: { to: Schema.String, name: Schema.String }
}) {}

class UpdateSearch extends SideEffect.make("search:update", {
  description: "Put a user into the search index, or take one out.",
  payload: { id: Schema.Number, name: Schema.NullOr(Schema.String) }
}) {}

const Users = SideEffectGroup.make("users")
  .events(...UserEvents.all)
  .on(UserEvents.created, SendWelcome, ({ email, name }) => ({ to: email, name }))
  .on([UserEvents.created, UserEvents.updated], UpdateSearch, ({ id, name }) => ({ id, name }))
  .on(UserEvents.deleted, UpdateSearch, ({ id }) => ({ id, name: null }))

class EmailTaken extends Schema.TaggedError<EmailTaken>()("EmailTaken", { email: Schema.String }) {}

// Rows in memory, so that this file runs by itself. With a database it is this line, and nothing else changes:
//   const makeRepository = SqlModel.makeRepository(User, { tableName: "users", spanPrefix: "users", idColumn: "id" })
const makeRepository = Effect.sync(() => {
  const rows = new Map<number, User>()
  return {
    insert: Effect.fn("users.insert")(function*(user: typeof User.insert.Type) {
      const { email } = user
      if (rows.values().some((row) => row.email === email)) return yield* new EmailTaken({ email })
      const row = new User({ ...user, id: rows.size + 1 })
      rows.set(row.id, row)
      yield* Console.log(`  row ${row.id} inserted`)
      return row
    }),
    update: Effect.fn("users.update")(function*(user: typeof User.update.Type) {
      const row = new User(user)
      rows.set(row.id, row)
      yield* Console.log(`  row ${row.id} updated`)
      return row
    }),
    delete: Effect.fn("users.delete")(function*(id: number) {
      rows.delete(id)
      yield* Console.log(`  row ${id} deleted`)
    })
  }
})

class UserRepository extends Context.Service<UserRepository>()("app/UserRepository", {
  make: Effect.map(makeRepository, (repository) => ModelEvents.observe(repository, UserEvents))
}) {
  static readonly layer = Layer.effect(this, this.make)
}

// The code of the domain. That a mail leaves is in its type, and not in its text.
const signUp = Effect.fn("signUp")(function*(email: string, name: string) {
  const users = yield* UserRepository
  return yield* users.insert({ email, name })
}, SideEffects.boundary({ name: "sign-up" }))

const rename = Effect.fn("rename")(function*(user: User, name: string) {
  const users = yield* UserRepository
  return yield* users.update({ ...user, name })
}, SideEffects.boundary({ name: "rename" }))

const closeAccount = Effect.fn("closeAccount")(function*(user: User) {
  const users = yield* UserRepository
  yield* users.delete(user.id)
}, SideEffects.boundary({ name: "close-account" }))

const Handlers = Users.toLayer({
  "mail:send-welcome": ({ name, to }) => Console.log(`  -> welcome mailed to ${name} at ${to}`),
  "search:update": ({ id, name }) => Console.log(`  -> search index: ${id} is ${name ?? "gone"}`)
})

const live = Effect.gen(function*() {
  yield* Console.log("sign up")
  const ada = yield* signUp("ada@example.org", "Ada")
  yield* Console.log("sign up with an address that is taken")
  yield* Effect.catchTag(signUp("ada@example.org", "Eve"), "EmailTaken", () => Console.log("  refused"))
  yield* Console.log("rename")
  yield* rename(ada, "Ada Lovelace")
  yield* Console.log("close the account")
  yield* closeAccount(ada)
}).pipe(Effect.provide([SideEffects.LiveLayer(Users).pipe(Layer.provide(Handlers)), UserRepository.layer]))

// What a test can ask: what was emitted, with which row, and what would have left because of it.
const test = Effect.gen(function*() {
  yield* Console.log("test: a new user is welcomed once")
  const ada = yield* signUp("ada@example.org", "Ada")
  const [created] = yield* expectEmitted(UserEvents.created, { email: "ada@example.org" }, { times: 1 })
  yield* Console.log(`  emitted ${created!.name} with id ${created!.payload.id}`)
  const [welcome] = yield* expectEnqueued(SendWelcome, { to: ada.email }, { times: 1 })
  yield* Console.log(`  enqueued ${welcome!.name}, because of that: ${welcome!.origin === created}`)

  yield* Console.log("test: a taken address leaves no trace")
  yield* Effect.flip(signUp("ada@example.org", "Eve"))
  // Neither the event after the write, which there was none of, nor the one before it, which went with its boundary.
  yield* expectNotEmitted(UserEvents.created, { name: "Eve" })
  yield* expectNotEmitted(UserEvents.creating, { name: "Eve" })
  yield* Console.log("  ok")
}).pipe(Effect.provide([SideEffects.TestLayerFor(Users), UserRepository.layer]))

const testUnobserved = Effect.gen(function*() {
  yield* Console.log("test: a repository that is not observed emits nothing")
  const { insert } = yield* makeRepository
  yield* SideEffects.boundary(insert({ email: "import@example.org", name: "Import" }))
  yield* expectNothing
  yield* Console.log("  ok")
}).pipe(Effect.provide(SideEffects.TestLayer))

export const program = Effect.andThen(live, Effect.andThen(test, testUnobserved))

if (import.meta.main) Effect.runPromise(program)
