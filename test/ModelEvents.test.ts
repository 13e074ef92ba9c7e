import { PgClient } from "@effect/sql-pg"
import { assert, describe, it, layer } from "@effect/vitest"
import { Event, ModelEvents, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { capture, enqueued, expectEmitted, expectEnqueued, expectNotEmitted } from "effect-side-effects/testing"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Model } from "effect/schema"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as SqlModel from "effect/sql/SqlModel"
import { locate } from "../src/internal/site.ts"

const UserId = Schema.Number.pipe(Schema.brand("UserId"))
type UserId = typeof UserId.Type

class User extends Model.Class<User>("User")({
  id: Model.Field({ select: UserId, update: UserId, json: UserId }),
  email: Schema.NonEmptyString,
  handle: Model.GeneratedByDb(Schema.String),
  password: Model.Sensitive(Schema.String),
  nick: Model.FieldOption(Schema.String),
  createdAt: Model.DateTimeInsertFromDate,
  updatedAt: Model.DateTimeUpdateFromDate
}) {
  get shout() {
    return this.email.toUpperCase()
  }
}

const UserEvents = ModelEvents.make("user", User)

class Note extends Model.Class<Note>("Note")({
  slug: Model.GeneratedByApp(Schema.String),
  text: Schema.String,
  deletedAt: Model.GeneratedByDb(Schema.NullOr(Schema.DateTimeUtcFromDate))
}) {}

const NoteEvents = ModelEvents.make("notes:note", Note, { idColumn: "slug", label: "a note of a user" })

class SendWelcome extends SideEffect.make("mail:welcome", {
  description: "Email a new user a welcome.",
  payload: { to: Schema.String, id: Schema.Number }
}) {}

class Audit extends SideEffect.make("audit:write", {
  description: "Tell the audit log.",
  payload: { what: Schema.String }
}) {}

const Users = SideEffectGroup.make("users")
  .events(...UserEvents.all, ...NoteEvents.all)
  .on(UserEvents.created, SendWelcome, ({ email, id }) => ({ to: email, id }))
  .on("user:*", Audit, (_, { name }) => ({ what: name }))

const someone = (email: string, nick = Option.none<string>()) => User.insert.make({ email, nick, password: "secret" })

const nobody = 999_999 as UserId

const names = (events: ReadonlyArray<Event.Emitted>) => events.map(({ name }) => name.split(":").at(-1)).join(" ")

/** The snapshot of the events that the current boundary has so far. */
const soFar = Effect.map(SideEffects.events, names)

class Taken extends Schema.TaggedError<Taken>()("Taken", { email: Schema.String }) {}
class NoSuchUser extends Schema.TaggedError<NoSuchUser>()("NoSuchUser", { id: Schema.Number }) {}

/** Rows in memory, in the shape of a repository; `seen` has the events that there were when a row was written. */
class MemoryUsers {
  readonly #rows = new Map<number, User>()
  readonly seen: Array<string> = []
  static readonly table = "users"
  model = User
  #writes = 0

  get size() {
    return this.#rows.size
  }
  get writes() {
    return this.#writes
  }
  set writes(n: number) {
    this.#writes = n
  }

  #write(row: User) {
    return Effect.suspend(() => {
      this.#rows.set(row.id, row)
      this.#writes++
      return Effect.map(SideEffects.events, (events) => {
        this.seen.push(names(events))
        return row
      })
    }) as Effect.Effect<User>
  }

  insert(user: typeof User.insert.Type): Effect.Effect<User, Taken> {
    return Effect.suspend(() => {
      if ([...this.#rows.values()].some(({ email }) => email === user.email)) return new Taken({ email: user.email })
      return this.#write(new User({ ...user, id: (this.#rows.size + 1) as UserId, handle: user.email.toLowerCase() }))
    })
  }
  insertVoid(_: typeof User.insert.Type): Effect.Effect<void, Taken> {
    return Effect.die("it returns no row")
  }
  update(user: typeof User.update.Type): Effect.Effect<User, NoSuchUser> {
    return Effect.flatMap(
      this.findById(user.id),
      (old) => this.#write(new User({ ...old, ...user, handle: user.email.toLowerCase() }))
    )
  }
  updateVoid(_: typeof User.update.Type): Effect.Effect<void, NoSuchUser> {
    return Effect.die("it returns no row")
  }
  findById(id: UserId): Effect.Effect<User, NoSuchUser> {
    return Effect.suspend(() => {
      const found = this.#rows.get(id)
      return found === undefined ? Effect.fail(new NoSuchUser({ id })) : Effect.succeed(found)
    })
  }
  delete(id: UserId): Effect.Effect<void> {
    return Effect.sync(() => void this.#rows.delete(id))
  }

  /** Writes by a way of its own. */
  register(email: string) {
    return this.insert(someone(email))
  }
}

const memory = () => {
  const repository = new MemoryUsers()
  return { repository, users: ModelEvents.observe(repository, UserEvents) }
}

const thrown = (f: () => unknown): string => {
  try {
    f()
  } catch (error) {
    return (error as Error).message
  }
  throw new Error("nothing was thrown")
}

describe("make", () => {
  it("names and describes the six events", () => {
    assert.deepStrictEqual(UserEvents.all.map(({ _tag, description }) => [_tag, description]), [
      ["user:creating", "A user is about to be created."],
      ["user:created", "A user was created."],
      ["user:updating", "A user is about to be updated."],
      ["user:updated", "A user was updated."],
      ["user:deleting", "A user is about to be deleted."],
      ["user:deleted", "A user was deleted."]
    ])
    const { all, idColumn, ...events } = UserEvents
    assert.deepStrictEqual(Object.values(events), [...all])
    assert.strictEqual(idColumn, "id")
    assert.isTrue(all.every(Event.isEvent))
    assert.deepStrictEqual([NoteEvents.creating._tag, NoteEvents.creating.description], [
      "notes:note:creating",
      "A note of a user is about to be created."
    ])
    assert.strictEqual(ModelEvents.make("shop:order-line", User).created.summary, "An order line was created.")
  })

  it("has the schemas of the model as payloads", () => {
    assert.strictEqual(UserEvents.creating.payloadSchema, User.insert)
    assert.strictEqual(UserEvents.created.payloadSchema, User)
    assert.strictEqual(UserEvents.updating.payloadSchema, User.update)
    assert.strictEqual(UserEvents.updated.payloadSchema, User)
    assert.strictEqual(NoteEvents.deleted.payloadSchema.fields.slug, Note.fields.slug)
  })

  it("was written where it was called", () => {
    const line = Number(/ModelEvents\.test\.ts:(\d+)/.exec(new Error("here").stack!)![1]) + 1
    const events = ModelEvents.make("here", User)
    for (const event of events.all) {
      const site = locate(event)
      assert.match(site!.file, /test\/ModelEvents\.test\.ts$/)
      assert.strictEqual(site!.line, line)
    }
    const annotated = locate(events.created.annotateMerge(events.created.annotations))
    assert.strictEqual(annotated!.line, line)
  })

  it("says what is wrong with its arguments", () => {
    assert.match(thrown(() => ModelEvents.make("a b", User)), /^Model events name "a b" has an invalid segment "a b"/)
    assert.match(thrown(() => ModelEvents.make("", User)), /^Model events name "" is empty/)
    assert.strictEqual(
      thrown(() => ModelEvents.make("note", Note as any)),
      "Model events \"note\": the model has no field \"id\" that could be its id. Give the option idColumn one of: slug, " +
        "text, deletedAt."
    )
    assert.match(thrown(() => ModelEvents.make("note", Note as any, { idColumn: "toString" })), /no field "toString"/)
  })
})

describe("observe", () => {
  it.effect("creating comes before the row, created after it, both inside the boundary", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      const input = someone("Ada@example.org", Option.some("ada"))
      const { events, released } = yield* capture(
        Effect.gen(function*() {
          const row = yield* users.insert(input)
          assert.instanceOf(row, User)
          assert.strictEqual(yield* soFar, "creating created")
        }).pipe(SideEffects.boundary()),
        { group: Users }
      )
      assert.deepStrictEqual(repository.seen, ["creating"])
      const [creating, created] = events
      assert.deepStrictEqual(creating!.payload, input)
      const row = created!.payload as User
      assert.instanceOf(row, User)
      assert.deepStrictEqual([row.id, row.handle, row.nick, row.shout], [
        1 as UserId,
        "ada@example.org",
        Option.some("ada"),
        "ADA@EXAMPLE.ORG"
      ])
      assert.strictEqual(row.createdAt, input.createdAt, "the defaults were made once")
      assert.deepStrictEqual(released.map(({ payload }) => payload), [
        { what: "user:creating" },
        { to: "Ada@example.org", id: 1 },
        { what: "user:created" }
      ])
    }))

  it.effect("update, updateVoid, insertVoid and delete", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      const { events } = yield* capture(
        Effect.gen(function*() {
          assert.isUndefined(yield* users.insertVoid(someone("ada@example.org")))
          const row = yield* users.findById(1 as UserId)
          const changed = User.update.make({ ...row, updatedAt: undefined, email: "Lovelace@example.org" })
          assert.strictEqual((yield* users.update(changed)).handle, "lovelace@example.org")
          assert.isUndefined(yield* users.updateVoid({ ...changed, email: "countess@example.org" }))
          assert.isUndefined(yield* users.delete(row.id))
          assert.isUndefined(yield* users.delete(nobody))
        }).pipe(SideEffects.boundary())
      )
      assert.strictEqual(
        names(events),
        "creating created updating updated updating updated deleting deleted deleting deleted"
      )
      const payloads = events.map(({ payload }) => payload as any)
      assert.instanceOf(payloads[1], User)
      assert.strictEqual(payloads[1].handle, "ada@example.org")
      assert.isFalse("handle" in payloads[2])
      assert.deepStrictEqual([payloads[3].handle, payloads[5].handle], ["lovelace@example.org", "countess@example.org"])
      assert.deepStrictEqual(payloads.slice(6), [{ id: 1 }, { id: 1 }, { id: nobody }, { id: nobody }])
      assert.strictEqual(repository.size, 0)
    }))

  it.effect("a write that failed emits no -ed event, and its boundary takes the -ing event with it", () =>
    Effect.gen(function*() {
      const { users } = memory()
      const twice = Effect.andThen(users.insert(someone("ada@example.org")), users.insert(someone("ada@example.org")))
      yield* users.insert(someone("ada@example.org")).pipe(SideEffects.boundary())
      const exit = yield* Effect.exit(SideEffects.boundary(twice))
      assert.isTrue(Exit.hasFails(exit))
      yield* Effect.flip(SideEffects.boundary(users.updateVoid({ ...someone("x"), id: nobody })))
      yield* expectEmitted(UserEvents.creating, undefined, { times: 1 })
      yield* expectEmitted(UserEvents.created, { email: "ada@example.org" }, { times: 1 })
      yield* expectNotEmitted(UserEvents.updating)
      yield* expectNotEmitted(UserEvents.updated)
      assert.deepStrictEqual(yield* enqueued(SendWelcome), [{ to: "ada@example.org", id: 1 }])
    }).pipe(Effect.provide(SideEffects.TestLayerFor(Users))))

  it.effect("outside a boundary there is nothing to wait for: creating leaves before the row is there", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      const sizes: Array<string> = []
      const Live = SideEffects.LiveLayer(Users, { outsideBoundary: "dispatch" }).pipe(Layer.provide(Users.toLayer({
        "audit:write": ({ what }) => Effect.sync(() => sizes.push(`${what} ${repository.size}`)),
        "mail:welcome": () => Effect.void
      })))
      yield* Effect.provide(users.insert(someone("ada@example.org")), Live)
      assert.deepStrictEqual(sizes, ["user:creating 0", "user:created 1"])
    }))

  it.effect("a failure that the boundary survives leaves its -ing event, unless it has a boundary of its own", () =>
    Effect.gen(function*() {
      const { users } = memory()
      yield* users.insert(someone("ada@example.org")).pipe(SideEffects.boundary())
      const again = users.insert(someone("ada@example.org"))
      const survived = yield* capture(SideEffects.boundary(Effect.ignore(again)))
      const contained = yield* capture(SideEffects.boundary(Effect.ignore(SideEffects.boundary(again))))
      assert.deepStrictEqual([names(survived.events), names(contained.events)], ["creating", ""])
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("the original emits nothing, and stays as it was", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      const { events } = yield* capture(
        Effect.andThen(repository.insert(someone("a@example.org")), users.register("b@example.org")).pipe(
          SideEffects.boundary()
        )
      )
      assert.strictEqual(names(events), "")
      assert.strictEqual(repository.size, 2)
      assert.deepStrictEqual(Object.keys(repository), ["seen", "model"])
      assert.isTrue(Object.hasOwn(MemoryUsers.prototype, "insert"))
    }))

  it.effect("a class instance: private fields, accessors, prototype methods and classes are passed through", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      yield* SideEffects.boundary(users.insert(someone("ada@example.org")))
      assert.instanceOf(users, MemoryUsers)
      assert.strictEqual((yield* users.findById(1 as UserId)).email, "ada@example.org")
      assert.deepStrictEqual([users.size, users.writes], [1, 1])
      users.writes = 7
      assert.strictEqual(repository.writes, 7)
      assert.strictEqual(users.model, User)
      assert.strictEqual(users.seen, repository.seen)
      assert.strictEqual(users.findById, users.findById)
      assert.strictEqual(users.findById.name, "findById")
      assert.deepStrictEqual(Object.keys(users), Object.keys(repository))
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("an object: what is frozen, named by a symbol or without a prototype", () =>
    Effect.gen(function*() {
      const key = Symbol("key")
      const insert = (user: typeof User.insert.Type, ...rest: ReadonlyArray<number>) =>
        Effect.succeed(new User({ ...user, id: rest.length as UserId, handle: "" }))
      const repository = Object.freeze(Object.assign(Object.create(null) as {}, {
        insert,
        [key]: key,
        lazily: Effect.succeed(1),
        all() {
          return this === repository
        }
      }))
      const users = ModelEvents.observe(repository, UserEvents)
      assert.isTrue(users.all())
      assert.strictEqual(users[key], key)
      assert.strictEqual(users.lazily, repository.lazily)
      const { insert: taken } = users
      const row = yield* SideEffects.boundary(taken(someone("a@example.org"), 1, 2))
      assert.strictEqual(row.id, 2, "all arguments arrive")
      assert.strictEqual((yield* SideEffects.boundary({ ...users }.insert(someone("a@example.org")))).id, 0)
      assert.isFalse("update" in users)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it.effect("two repositories with two sets of events do not mix, and one may be observed twice", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      const notes = ModelEvents.observe({
        insert: (note: typeof Note.insert.Type) => Effect.succeed(new Note({ ...note, deletedAt: null })),
        delete: (_: string) => Effect.void
      }, NoteEvents)
      const Other = ModelEvents.make("other", User)
      const both = ModelEvents.observe(users, Other)
      const { events } = yield* capture(
        Effect.gen(function*() {
          yield* users.insert(someone("a@example.org"))
          yield* notes.insert({ slug: "n", text: "" })
          yield* notes.delete("n")
          yield* both.insert(someone("b@example.org"))
        }).pipe(SideEffects.boundary())
      )
      assert.deepStrictEqual(events.map(({ name }) => name), [
        "user:creating",
        "user:created",
        "notes:note:creating",
        "notes:note:created",
        "notes:note:deleting",
        "notes:note:deleted",
        "other:creating",
        "user:creating",
        "user:created",
        "other:created"
      ])
      assert.deepStrictEqual(events[5]!.payload, { slug: "n" })
      assert.strictEqual(repository.size, 2)
    }))

  it.effect("each run of the effect emits", () =>
    Effect.gen(function*() {
      const { users } = memory()
      const remove = users.delete(1 as UserId)
      const { events } = yield* capture(SideEffects.boundary(Effect.andThen(remove, remove)))
      assert.strictEqual(names(events), "deleting deleted deleting deleted")
    }))

  it.effect("an invalid input dies before the write, an invalid row after it", () =>
    Effect.gen(function*() {
      const { repository, users } = memory()
      const invalid = yield* Effect.exit(SideEffects.boundary(users.insert({ ...someone("x"), email: "" })))
      assert.match(Cause.pretty((invalid as any).cause), /event "user:creating".*email/s)
      assert.strictEqual(repository.size, 0)
      const lying = ModelEvents.observe(
        { insert: (_: typeof User.insert.Type) => Effect.succeed({ id: 1 } as any as User) },
        UserEvents
      )
      const row = yield* Effect.exit(SideEffects.boundary(lying.insert(someone("x"))))
      assert.match(Cause.pretty((row as any).cause), /event "user:created".*Missing key/s)
    }).pipe(Effect.provide(SideEffects.TestLayer)))

  it("refuses what could never emit", () => {
    const id: any = () => Effect.void
    const refused = (repository: any) => thrown(() => ModelEvents.observe(repository, UserEvents))
    assert.strictEqual(
      refused({ insertVoid: id }),
      "The repository to be observed with \"user:creating\" and its like has insertVoid, which returns no row for the " +
        "event, and no insert that would. Give it the method insert."
    )
    assert.match(refused({ insert: id, updateVoid: id }), /has updateVoid,.*Give it the method update\.$/)
    assert.match(refused({ create: id }), /has none of the methods insert, insertVoid, update, updateVoid, delete/)
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// A real database
// ---------------------------------------------------------------------------------------------------------------------

const url = process.env["POSTGRES_URL"]
const schema = `model_events_${crypto.randomUUID().replaceAll("-", "_")}`

const Database = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient
  yield* Effect.acquireRelease(
    sql`create schema ${sql(schema)}`,
    () => Effect.orDie(sql`drop schema ${sql(schema)} cascade`)
  )
  yield* sql`create table ${sql(`${schema}.users`)} (
    id serial primary key,
    email text not null unique,
    handle text generated always as (lower(email)) stored,
    password text not null,
    nick text,
    "createdAt" timestamptz not null,
    "updatedAt" timestamptz not null
  )`
  // At the commit, and not before, it turns out that a text was taken.
  yield* sql`create table ${sql(`${schema}.notes`)} (
    slug text primary key,
    text text not null unique deferrable initially deferred,
    "deletedAt" timestamptz
  )`
})).pipe(
  Layer.provideMerge(Layer.unwrap(Effect.sync(() => PgClient.layer({ url: Redacted.make(url!), maxConnections: 5 }))))
)

const makeUsers = SqlModel.makeRepository(User, {
  tableName: `${schema}.users`,
  spanPrefix: "users",
  idColumn: "id"
})
const usersOf = Effect.map(makeUsers, (users) => ModelEvents.observe(users, UserEvents))

const count = (email: string) =>
  Effect.flatMap(SqlClient, (sql) =>
    Effect.map(
      sql<{ n: number }>`select count(*)::int as n from ${sql(`${schema}.users`)} where email = ${email}`,
      ([row]) => row!.n
    ))

const reasonOf = (error: unknown) => (error as SqlError).reason._tag

describe.skipIf(url === undefined)(
  url === undefined ? "PostgreSQL (skipped: set POSTGRES_URL)" : "PostgreSQL",
  () => {
    layer(Database, { excludeTestServices: true })((it) => {
      const test = <E>(title: string, body: Effect.Effect<void, E, SqlClient>) => it.effect(title, () => body)

      test(
        "creating, the row, created: with what the database made",
        Effect.gen(function*() {
          const repository = yield* makeUsers
          const seen: Array<string> = []
          const users = ModelEvents.observe({
            ...repository,
            insert: (user: typeof User.insert.Type) =>
              Effect.tap(repository.insert(user), () => Effect.map(soFar, (events) => seen.push(events)))
          }, UserEvents)
          const input = someone("Order@example.org", Option.some("o"))
          const { events, released } = yield* capture(
            Effect.gen(function*() {
              const row = yield* users.insert(input)
              assert.strictEqual(yield* soFar, "creating created")
              assert.strictEqual(yield* count("Order@example.org"), 1)
              return row
            }).pipe(SideEffects.boundary()),
            { group: Users }
          )
          assert.deepStrictEqual(seen, ["creating"])
          assert.deepStrictEqual(events[0]!.payload, input)
          const row = events[1]!.payload as User
          assert.instanceOf(row, User)
          assert.isAbove(row.id, 0)
          assert.strictEqual(row.handle, "order@example.org")
          assert.deepStrictEqual([row.password, row.nick], ["secret", Option.some("o")])
          assert.strictEqual(DateTime.toEpochMillis(row.createdAt), DateTime.toEpochMillis(input.createdAt))
          assert.deepStrictEqual(released.map(({ payload }) => payload), [
            { what: "user:creating" },
            { to: "Order@example.org", id: row.id },
            { what: "user:created" }
          ])
        })
      )

      test(
        "insertVoid emits the whole row",
        Effect.gen(function*() {
          const users = yield* usersOf
          const { events, exit } = yield* capture(SideEffects.boundary(users.insertVoid(someone("Void@example.org"))))
          assert.deepStrictEqual(exit, Exit.void)
          assert.strictEqual((events[1]!.payload as User).handle, "void@example.org")
        })
      )

      test(
        "update, updateVoid and delete",
        Effect.gen(function*() {
          const users = yield* usersOf
          const { events, exit } = yield* capture(
            Effect.gen(function*() {
              const row = yield* users.insert(someone("change@example.org"))
              const changed = User.update.make({ ...row, updatedAt: undefined, email: "Changed@example.org" })
              yield* users.update(changed)
              yield* users.updateVoid({ ...changed, nick: Option.some("c") })
              yield* users.delete(row.id)
              yield* users.delete(nobody)
              return row.id
            }).pipe(SideEffects.boundary())
          )
          const id = (exit as Exit.Success<UserId>).value
          assert.strictEqual(
            names(events.slice(2)),
            "updating updated updating updated deleting deleted deleting deleted"
          )
          const payloads = events.map(({ payload }) => payload as any)
          assert.strictEqual(payloads[3].handle, "changed@example.org")
          assert.deepStrictEqual(payloads[5].nick, Option.some("c"))
          assert.deepStrictEqual(payloads.slice(6), [{ id }, { id }, { id: nobody }, { id: nobody }])
          assert.strictEqual(yield* count("Changed@example.org"), 0)
        })
      )

      test(
        "updateVoid of a row that is not there dies as update does",
        Effect.gen(function*() {
          const users = yield* usersOf
          const nothing = User.update.make({
            id: nobody,
            email: "n@example.org",
            password: "",
            nick: Option.none()
          })
          const { events, exit } = yield* capture(SideEffects.boundary(users.updateVoid(nothing)))
          assert.isTrue(Exit.hasDies(exit))
          assert.strictEqual(names(events), "")
        })
      )

      test(
        "a unique violation: no created, and no creating where the boundary fails",
        Effect.gen(function*() {
          const users = yield* usersOf
          yield* Effect.provide(
            SideEffects.boundary(users.insert(someone("unique@example.org"))),
            SideEffects.DropLayer
          )
          const again = users.insert(someone("unique@example.org"))
          const failed = yield* capture(SideEffects.boundary(again), { group: Users })
          assert.strictEqual(
            reasonOf(Option.getOrThrow(Exit.findErrorOption(failed.exit))),
            "UniqueViolation"
          )
          assert.deepStrictEqual([names(failed.events), failed.released.length, failed.discarded.length], ["", 0, 1])
          const survived = yield* capture(SideEffects.boundary(Effect.ignore(again)))
          assert.strictEqual(names(survived.events), "creating")
          assert.strictEqual(yield* count("unique@example.org"), 1)
        })
      )

      test(
        "a boundary around a transaction that is rolled back: no row, and nothing escapes",
        Effect.gen(function*() {
          const sql = yield* SqlClient
          const users = yield* usersOf
          const { discarded, events, released } = yield* capture(
            Effect.gen(function*() {
              yield* users.insert(someone("back@example.org"))
              assert.strictEqual(yield* count("back@example.org"), 1, "in the same transaction it is there")
              return yield* Effect.fail("no")
            }).pipe(sql.withTransaction, SideEffects.boundary()),
            { group: Users }
          )
          assert.strictEqual(yield* count("back@example.org"), 0)
          assert.deepStrictEqual([names(events), released.length, discarded.length], ["", 0, 3])
        })
      )

      test(
        "a commit that fails: nothing escapes through a boundary around it, everything through one inside it",
        Effect.gen(function*() {
          const sql = yield* SqlClient
          const notes = ModelEvents.observe(
            yield* SqlModel.makeRepository(Note, {
              tableName: `${schema}.notes`,
              spanPrefix: "notes",
              idColumn: "slug"
            }),
            NoteEvents
          )
          const two = (slug: string) =>
            Effect.andThen(
              notes.insert({ slug: `${slug}-1`, text: slug }),
              notes.insert({ slug: `${slug}-2`, text: slug })
            )
          const outside = yield* capture(SideEffects.boundary(sql.withTransaction(two("outside"))))
          const inside = yield* capture(sql.withTransaction(SideEffects.boundary(two("inside"))))
          for (const { exit } of [outside, inside]) {
            assert.strictEqual(
              reasonOf(Option.getOrThrow(Exit.findErrorOption(exit))),
              "UniqueViolation"
            )
          }
          assert.deepStrictEqual([names(outside.events), names(inside.events)], [
            "",
            "creating created creating created"
          ])
        })
      )

      test(
        "a savepoint that is rolled back and recovered from: a boundary of its own takes the events with it",
        Effect.gen(function*() {
          const sql = yield* SqlClient
          const users = yield* usersOf
          const attempt = Effect.andThen(users.insert(someone("save@example.org")), Effect.fail("no")).pipe(
            sql.withTransaction
          )
          const around = (inner: typeof attempt) =>
            capture(
              Effect.andThen(Effect.ignore(inner), users.insert(someone("outer@example.org"))).pipe(
                Effect.andThen((row) => users.delete(row.id)),
                sql.withTransaction,
                SideEffects.boundary()
              )
            )
          const without = yield* around(attempt)
          const contained = yield* around(SideEffects.boundary(attempt))
          assert.deepStrictEqual([names(without.events), names(contained.events)], [
            "creating created creating created deleting deleted",
            "creating created deleting deleted"
          ])
          assert.strictEqual(yield* count("save@example.org"), 0)
        })
      )

      test(
        "a soft delete counts as a delete",
        Effect.gen(function*() {
          const sql = yield* SqlClient
          const notes = ModelEvents.observe(
            yield* SqlModel.makeRepository(Note, {
              tableName: `${schema}.notes`,
              spanPrefix: "notes",
              idColumn: "slug",
              softDeleteColumn: "deletedAt"
            }),
            NoteEvents
          )
          const { events } = yield* capture(
            Effect.gen(function*() {
              assert.isNull((yield* notes.insert({ slug: "soft", text: "soft" })).deletedAt)
              yield* notes.delete("soft")
              yield* Effect.flip(notes.findById("soft"))
            }).pipe(SideEffects.boundary())
          )
          assert.strictEqual(names(events), "creating created deleting deleted")
          assert.deepStrictEqual(events[3]!.payload, { slug: "soft" })
          const [row] = yield* sql<{ deletedAt: Date }>`select "deletedAt" from ${
            sql(`${schema}.notes`)
          } where slug = 'soft'`
          assert.instanceOf(row!.deletedAt, Date)
        })
      )

      test(
        "bindings, by event and by pattern",
        Effect.gen(function*() {
          const users = yield* usersOf
          const row = yield* users.insert(someone("bound@example.org")).pipe(SideEffects.boundary())
          yield* users.delete(row.id).pipe(SideEffects.boundary())
          yield* expectEnqueued(SendWelcome, { to: "bound@example.org", id: row.id }, { times: 1 })
          assert.deepStrictEqual((yield* enqueued(Audit)).map(({ what }) => what), [
            "user:creating",
            "user:created",
            "user:deleting",
            "user:deleted"
          ])
        }).pipe(Effect.provide(SideEffects.TestLayerFor(Users)))
      )

      test(
        "an unobserved repository emits nothing",
        Effect.gen(function*() {
          const users = yield* makeUsers
          yield* usersOf
          const { events } = yield* capture(
            SideEffects.boundary(Effect.andThen(users.insert(someone("alone@example.org")), users.delete(nobody)))
          )
          assert.strictEqual(names(events), "")
        })
      )

      test(
        "concurrent units of work have their own events",
        Effect.gen(function*() {
          const sql = yield* SqlClient
          const users = yield* usersOf
          const units = yield* Effect.forEach(Array.from({ length: 40 }, (_, n) => n), (n) =>
            capture(
              Effect.gen(function*() {
                const row = yield* users.insert(someone(`n${n}@example.org`))
                if (n % 4 === 0) return yield* Effect.fail("no")
                yield* users.updateVoid(User.update.make({ ...row, updatedAt: undefined, password: `${n}` }))
              }).pipe(sql.withTransaction, SideEffects.boundary())
            ), { concurrency: "unbounded" })
          for (const [n, { events }] of units.entries()) {
            assert.strictEqual(names(events), n % 4 === 0 ? "" : "creating created updating updated")
            assert.isTrue(events.every(({ payload }) => (payload as User).email === `n${n}@example.org`))
            assert.strictEqual(yield* count(`n${n}@example.org`), n % 4 === 0 ? 0 : 1)
          }
          // And in one unit of work, each -ed event comes after its own -ing event.
          const { events } = yield* capture(
            Effect.forEach(
              Array.from({ length: 20 }, (_, n) => `m${n}@example.org`),
              (email) => users.insert(someone(email)),
              { concurrency: 5 }
            ).pipe(SideEffects.boundary())
          )
          assert.strictEqual(events.length, 40)
          for (const [at, { name, payload }] of events.entries()) {
            if (name !== "user:created") continue
            const { email } = payload as User
            const before = events.findIndex((other) => (other.payload as User).email === email)
            assert.strictEqual(events[before]!.name, "user:creating")
            assert.isBelow(before, at)
          }
        })
      )
    })
  }
)
