import { type Event, ModelEvents, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import type * as Cause from "effect/Cause"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Model } from "effect/schema"
import type { SqlError } from "effect/sql/SqlError"
import * as SqlModel from "effect/sql/SqlModel"
import { describe, expect, test } from "tstyche"

const UserId = Schema.Number.pipe(Schema.brand("UserId"))
type UserId = typeof UserId.Type

class User extends Model.Class<User>("User")({
  id: Model.Field({ select: UserId, update: UserId, json: UserId }),
  email: Schema.String,
  createdAt: Model.DateTimeInsertFromDate
}) {}
const UserEvents = ModelEvents.make("user", User)

class Post extends Model.Class<Post>("Post")({
  slug: Model.GeneratedByApp(Schema.String),
  title: Schema.String
}) {}
const PostEvents = ModelEvents.make("blog:post", Post, { idColumn: "slug" })

declare const user: User
declare const insert: typeof User.insert.Type
declare const update: typeof User.update.Type
declare const id: UserId

class SendWelcome extends SideEffect.make("user:mail:welcome", {
  description: "Email a welcome.",
  payload: { to: Schema.String }
}) {}

const makeUsers = SqlModel.makeRepository(User, { tableName: "users", spanPrefix: "users", idColumn: "id" })
const makePosts = SqlModel.makeRepository(Post, { tableName: "posts", spanPrefix: "posts", idColumn: "slug" })
declare const users: Effect.Success<typeof makeUsers>
declare const posts: Effect.Success<typeof makePosts>
const observed = ModelEvents.observe(users, UserEvents)

type Needs<Name extends string> = SideEffects.SideEffects<Name>

describe("make", () => {
  test("names the events and gives them the schemas of the model", () => {
    expect(UserEvents.creating).type.toBe<Event.Event<"user:creating", typeof User.insert>>()
    expect(UserEvents.created).type.toBe<Event.Event<"user:created", typeof User>>()
    expect(UserEvents.updating).type.toBe<Event.Event<"user:updating", typeof User.update>>()
    expect(UserEvents.updated).type.toBe<Event.Event<"user:updated", typeof User>>()
    expect(UserEvents.deleting._tag).type.toBe<"user:deleting">()
    expect(PostEvents.deleted._tag).type.toBe<"blog:post:deleted">()
  })

  test("the payloads", () => {
    expect<Event.Payload<typeof UserEvents.creating>>().type.toBe<typeof User.insert.Type>()
    expect<Event.Payload<typeof UserEvents.created>>().type.toBe<User>()
    expect<Event.Payload<typeof UserEvents.created>["createdAt"]>().type.toBe<DateTime.Utc>()
    expect<Event.Payload<typeof UserEvents.updating>>().type.toBe<typeof User.update.Type>()
    expect<Event.Payload<typeof UserEvents.updated>>().type.toBe<User>()
    expect<Event.Payload<typeof UserEvents.deleting>>().type.toBe<{ readonly id: UserId }>()
    expect<Event.Payload<typeof UserEvents.deleted>>().type.toBe<{ readonly id: UserId }>()
    expect<Event.Payload<typeof PostEvents.deleted>>().type.toBe<{ readonly slug: string }>()
  })

  test("the id column has to be a field", () => {
    expect(ModelEvents.make).type.toBeCallableWith("user", User)
    expect(ModelEvents.make).type.toBeCallableWith("user", User, { label: "a customer" })
    expect(ModelEvents.make).type.toBeCallableWith("user", User, { idColumn: "email" })
    expect(ModelEvents.make).type.not.toBeCallableWith("user", User, { idColumn: "mail" })
    expect(ModelEvents.make).type.not.toBeCallableWith("post", Post)
    expect(ModelEvents.make).type.not.toBeCallableWith("post", Post, { label: "a post" })
    expect(ModelEvents.make).type.not.toBeCallableWith("post", Post, { idColumn: "id" })
  })

  test("a schema that is no model is refused", () => {
    class Plain extends Schema.Class<Plain>("Plain")({ id: Schema.Number }) {}
    expect(ModelEvents.make).type.not.toBeCallableWith("plain", Plain)
  })

  test("a group takes them, by name and by pattern", () => {
    const group = SideEffectGroup.make("users")
      .events(...UserEvents.all)
      .on(UserEvents.created, SendWelcome, (user) => {
        expect(user).type.toBe<User>()
        return { to: user.email }
      })
    expect<SideEffectGroup.Names<typeof group>>().type.toBe<
      | "user:mail:welcome"
      | "user:creating"
      | "user:created"
      | "user:updating"
      | "user:updated"
      | "user:deleting"
      | "user:deleted"
    >()
    group.on("user:*", SendWelcome, (payload, { name }) => {
      expect(payload).type.toBe<
        typeof User.insert.Type | User | typeof User.update.Type | { readonly id: UserId }
      >()
      expect(name).type.toBe<(typeof UserEvents.all)[number]["_tag"]>()
      return { to: name }
    }, { id: "all" })
  })
})

describe("observe", () => {
  type Failed = Schema.SchemaError | SqlError

  test("adds to each method what it emits, and nothing else", () => {
    expect(observed.insert).type.toBe<
      (insert: typeof User.insert.Type) => Effect.Effect<User, Failed, Needs<"user:creating" | "user:created">>
    >()
    expect(observed.insertVoid).type.toBe<
      (insert: typeof User.insert.Type) => Effect.Effect<void, Failed, Needs<"user:creating" | "user:created">>
    >()
    expect(observed.update).type.toBe<
      (update: typeof User.update.Type) => Effect.Effect<User, Failed, Needs<"user:updating" | "user:updated">>
    >()
    expect(observed.updateVoid).type.toBe<
      (update: typeof User.update.Type) => Effect.Effect<void, Failed, Needs<"user:updating" | "user:updated">>
    >()
    expect(observed.delete).type.toBe<
      (id: UserId) => Effect.Effect<void, Failed, Needs<"user:deleting" | "user:deleted">>
    >()
    expect(observed.findById).type.toBe<typeof users.findById>()
    expect(observed.findById(id)).type.toBe<Effect.Effect<User, Cause.NoSuchElementError | Failed>>()
    expect<keyof typeof observed>().type.toBe<keyof typeof users>()
  })

  test("keeps generics, overloads and plain members", () => {
    interface Repository {
      readonly insert: (user: typeof User.insert.Type) => Effect.Effect<User>
      generic<A extends string>(a: A): Effect.Effect<A>
      over(a: string): Effect.Effect<string>
      over(a: number): Effect.Effect<number>
      count: number
      readonly optional?: () => void
    }
    const wrapped = ModelEvents.observe(null! as Repository, UserEvents)
    expect(wrapped.generic("a")).type.toBe<Effect.Effect<"a">>()
    expect(wrapped.over("a")).type.toBe<Effect.Effect<string>>()
    expect(wrapped.over(1)).type.toBe<Effect.Effect<number>>()
    expect(wrapped.count).type.toBe<number>()
    expect(wrapped.optional).type.toBe<(() => void) | undefined>()
    expect<keyof typeof wrapped>().type.toBe<keyof Repository>()
  })

  test("a live layer whose group does not know an event does not compile", () => {
    const WithoutCreated = SideEffectGroup.make("users").events(UserEvents.creating)
    const Users = SideEffectGroup.make("users").events(...UserEvents.all)
    const some = SideEffects.LiveLayer(WithoutCreated).pipe(Layer.provide(WithoutCreated.toLayer({})))
    const all = SideEffects.LiveLayer(Users).pipe(Layer.provide(Users.toLayer({})))
    expect(Effect.provide(observed.insert(insert), all)).type.toBe<Effect.Effect<User, Failed>>()
    expect(Effect.runPromise).type.toBeCallableWith(Effect.provide(observed.insert(insert), all))
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.provide(observed.insert(insert), some))
    expect(Effect.runPromise).type.not.toBeCallableWith(observed.update(update))
    expect(Effect.runPromise).type.toBeCallableWith(users.insert(insert))
  })

  test("the events of another model are refused", () => {
    expect(ModelEvents.observe).type.toBeCallableWith(users, UserEvents)
    expect(ModelEvents.observe).type.toBeCallableWith(posts, PostEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith(posts, UserEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith(users, PostEvents)
    // Also where there is only one method to tell by.
    expect(ModelEvents.observe).type.not.toBeCallableWith({ insert: posts.insert }, UserEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith({ delete: posts.delete }, UserEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith(
      { update: (_: typeof User.update.Type) => Effect.succeed("a row") },
      UserEvents
    )
  })

  test("an input that leaves something to a default is refused: event and row would differ", () => {
    expect(ModelEvents.observe).type.not.toBeCallableWith(
      { insert: (_: typeof User.insert["~type.make.in"]) => Effect.succeed(user) },
      UserEvents
    )
  })

  test("a Void method without the one that returns the row is refused, and so is nothing to observe", () => {
    const { delete: delete_, insertVoid, updateVoid } = users
    expect(ModelEvents.observe).type.not.toBeCallableWith({ insertVoid }, UserEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith({ delete: delete_, updateVoid }, UserEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith({ findById: users.findById }, UserEvents)
    expect(ModelEvents.observe).type.not.toBeCallableWith({ insert: () => 1 }, UserEvents)
  })
})
