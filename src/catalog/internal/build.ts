import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as JsonSchema from "effect/JsonSchema"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Binding from "../../Binding.ts"
import * as Dispatcher from "../../Dispatcher.ts"
import type * as Event from "../../Event.ts"
import { EnqueuedBy, MayBeUnbound, Owner, Tags } from "../../internal/annotations.ts"
import { compilePattern } from "../../internal/pattern.ts"
import { locate } from "../../internal/site.ts"
import type * as SideEffect from "../../SideEffect.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import type * as model from "./model.ts"
import { collect } from "./view.ts"

type Definition = SideEffect.Any | Event.Any

/** Definitions or bindings of all groups, and the groups they are in, in order. */
interface Listed<A> {
  readonly value: A
  readonly groups: Array<SideEffectGroup.Any>
}

/** See `Catalog.make`. */
export interface BuildOptions {
  readonly root?: string | undefined
  readonly dispatcher?: Dispatcher.Dispatcher<boolean, any, any> | undefined
  readonly relay?: Readonly<Record<string, Dispatcher.Dispatcher<false, any, any>>> | undefined
}

export const build = (groups: ReadonlyArray<SideEffectGroup.Any>, options: BuildOptions = {}): model.Catalog => {
  const sideEffects = listAll(groups, "side effects", (group) => group.sideEffects)
  const events = listAll(groups, "events", (group) => group.eventsByName)
  const both = [...sideEffects.keys()].find((name) => events.has(name))
  if (both !== undefined) throw new Error(`"${both}" names both a side effect and an event. Rename one of them.`)
  const bindings = [
    ...listAll(groups, "bindings", (group) => new Map(group.bindings.map((binding) => [binding.id, binding])))
      .values()
  ].map(({ value }) => value)
  const where = sourceOf(options.root)
  const routed = routing(options)
  const following = Binding.byEvent(bindings)
  const leading = collect(bindings, ({ sideEffect }) => sideEffect)
  return {
    groups: groups.map((group) => ({
      name: group.name,
      ...annotationsOf(group.annotations),
      sideEffects: [...group.sideEffects.keys()],
      events: [...group.eventsByName.keys()],
      bindings: idsOf(group.bindings)
    })),
    events: [...events.values()].map((listed) => ({
      ...entryOf(listed, where),
      bindings: idsOf(following(listed.value._tag)),
      mayBeUnbound: read(listed.value.annotations, MayBeUnbound) === true
    })),
    sideEffects: [...sideEffects.values()].map((listed) => ({
      ...entryOf(listed, where),
      hasIdempotencyKey: listed.value.idempotencyKey !== undefined,
      defaults: defaultsOf(listed.value.defaults),
      bindings: idsOf(leading.get(listed.value) ?? []),
      enqueuedBy: read(listed.value.annotations, EnqueuedBy) ?? [],
      ...routed(listed.value._tag)
    })),
    bindings: bindings.map((binding) => ({
      id: binding.id,
      group: binding.group,
      from: binding.from,
      kind: binding.kind,
      events: [...binding.events],
      sideEffect: binding.sideEffect._tag,
      priority: binding.priority,
      conditional: binding.when !== undefined,
      enqueue: enqueueOf(binding.enqueue),
      source: where(binding)
    }))
  }
}

/** The dispatcher that writes what a relay hands on. */
const outbox = "outbox"

/** Where a side effect goes, as far as that is told. */
const routing = (
  { dispatcher, relay }: BuildOptions
): (name: string) => Pick<model.SideEffectEntry, "destinations"> => {
  const engines = Object.entries(relay ?? {}).map(([pattern, { name }]) => ({ matches: compilePattern(pattern), name }))
  return (name) => {
    const engine = engines.find(({ matches }) => matches(name))
    // Who only tells of a relay tells of an outbox.
    const to = dispatcher !== undefined
      ? Dispatcher.destinationsOf(dispatcher, name)
      : engine === undefined
      ? []
      : [{ dispatcher: outbox, queue: undefined }]
    return to.length === 0 ? {} : {
      destinations: to.map(({ dispatcher, queue }) => ({
        dispatcher,
        ...queue === undefined ? {} : { queue },
        ...dispatcher !== outbox || engine === undefined ? {} : { engine: engine.name }
      }))
    }
  }
}

const idsOf = (bindings: ReadonlyArray<Binding.Binding>): ReadonlyArray<string> => bindings.map(({ id }) => id)

const listAll = <A>(
  groups: ReadonlyArray<SideEffectGroup.Any>,
  what: string,
  of: (group: SideEffectGroup.Any) => ReadonlyMap<string, A>
): ReadonlyMap<string, Listed<A>> => {
  const all = new Map<string, Listed<A>>()
  for (const group of groups) {
    for (const [name, value] of of(group)) {
      const listed = all.get(name)
      if (listed === undefined) all.set(name, { value, groups: [group] })
      else if (listed.value === value) listed.groups.push(group)
      else {
        throw new Error(
          `Groups "${
            listed.groups[0]!.name
          }" and "${group.name}" have different ${what} named "${name}". Import it from ` +
            "one place, or rename one of them."
        )
      }
    }
  }
  return all
}

const entryOf = (
  { groups, value }: Listed<Definition>,
  where: (value: object) => model.Source | undefined
): model.Entry => {
  const annotations = annotationsOf(value.annotations)
  const exportName = (value as { readonly name?: unknown }).name
  return {
    name: value._tag,
    // A definition that nobody has extended has the name of the function behind it.
    exportName: typeof exportName === "string" && exportName !== "" && exportName !== "Definition"
      ? exportName
      : undefined,
    groups: groups.map(({ name }) => name),
    summary: value.summary,
    description: value.description,
    payload: payloadOf(value.payloadSchema),
    ...annotations,
    owner: annotations.owner ?? firstOwner(groups, value),
    source: where(value)
  }
}

/** Of the group it was put into, rather than of one that this was merged into. */
const firstOwner = (groups: ReadonlyArray<SideEffectGroup.Any>, value: Definition): string | undefined => {
  for (const group of groups) {
    if (group.sideEffects.get(value._tag) !== value && group.eventsByName.get(value._tag) !== value) continue
    const owner = firstOwner(group.parts, value) ?? read(group.annotations, Owner)
    if (owner !== undefined) return owner
  }
  return undefined
}

const annotationsOf = (
  annotations: Context.Context<never>
): Pick<model.GroupEntry, "annotations" | "owner" | "tags"> => {
  const others: Record<string, unknown> = {}
  for (const [key, value] of annotations.mapUnsafe) {
    if (key === Owner.key || key === Tags.key || key === EnqueuedBy.key || key === MayBeUnbound.key) continue
    const json = jsonOf(value)
    if (json !== undefined) others[key] = json
  }
  return {
    owner: read(annotations, Owner),
    tags: read(annotations, Tags) ?? [],
    annotations: others
  }
}

/** An annotation, that the type of a definition does not tell of. */
const read = <I, A>(annotations: Context.Context<never>, key: Context.Key<I, A>): A | undefined =>
  Context.getOrUndefined(annotations as Context.Context<I>, key)

/** What is left of a value in JSON, or `undefined` where nothing is. */
const jsonOf = (value: unknown): unknown => {
  try {
    const text = JSON.stringify(value)
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

const sourceOf = (root: string | undefined) => {
  const prefix = root === undefined ? undefined : `${root.replaceAll("\\", "/").replace(/\/+$/, "")}/`
  return (value: object): model.Source | undefined => {
    const source = locate(value)
    if (source === undefined || prefix === undefined || !source.file.startsWith(prefix)) return source
    return { ...source, file: source.file.slice(prefix.length) }
  }
}

const schemas = new WeakMap<Schema.Top, JsonSchema.JsonSchema | undefined>()

const payloadOf = (schema: Schema.Top): JsonSchema.JsonSchema | undefined => {
  if (schema.ast._tag === "Void") return undefined
  if (!schemas.has(schema)) schemas.set(schema, jsonSchemaOf(schema))
  return schemas.get(schema)
}

const jsonSchemaOf = (schema: Schema.Top): JsonSchema.JsonSchema => {
  try {
    const { definitions, schema: root } = Schema.toJsonSchemaDocument(Schema.toCodecJson(schema))
    return Object.keys(definitions).length === 0 ? root : { ...root, $defs: definitions }
  } catch {
    // Nothing that a queue could store; the catalogue is no place to find out.
    return { $comment: "has no JSON Schema" }
  }
}

const defaultsOf = (
  { concurrency, maxAttempts, priority, queue, retry, timeout }: SideEffect.Defaults
): model.SideEffectEntry["defaults"] => ({
  ...timeout === undefined ? {} : { timeout: Duration.format(Duration.fromInputUnsafe(timeout)) },
  ...retry === undefined ? {} : { retry: describeRetry(retry) },
  ...maxAttempts === undefined ? {} : { attempts: `at most ${maxAttempts}` },
  ...concurrency === undefined ? {} : { concurrency: `${concurrency} in each worker` },
  ...queue === undefined ? {} : { queue },
  ...priority === undefined ? {} : { priority: String(priority) }
})

const enqueueOf = (enqueue: Binding.Binding["enqueue"]): model.BindingEntry["enqueue"] => {
  if (enqueue === undefined) return {}
  if (typeof enqueue === "function") return { options: "computed for each event" }
  const { delay, key, priority, queue } = enqueue
  return {
    ...delay === undefined ? {} : { delay: delayOf(delay) },
    ...key === undefined ? {} : { key },
    ...queue === undefined ? {} : { queue },
    ...priority === undefined ? {} : { priority: String(priority) }
  }
}

/** One that is none is told as it is; the catalogue is no place to find out. */
const delayOf = (delay: Duration.Input): string =>
  Option.match(Duration.fromInput(delay), { onNone: () => String(delay), onSome: (known) => Duration.format(known) })

const middle = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0.5 }
const shown = 5
const most = 100

/** A schedule says nothing of itself, so it is stepped through as far as a reader wants to know. */
const describeRetry = (retry: SideEffect.Retry<unknown>): string => {
  const schedule = Schedule.isSchedule(retry) ? retry : retry.schedule
  const some = Schedule.isSchedule(retry) || retry.while === undefined ? "" : ", if the error allows it"
  const preview = Effect.gen(function*() {
    const step = yield* Schedule.toStep(schedule as Schedule.Schedule<unknown, unknown>)
    const pauses: Array<Duration.Duration> = []
    let now = 0
    while (pauses.length < most) {
      const next = yield* Effect.exit(step(now, undefined))
      if (Exit.isFailure(next)) {
        if (Pull.isDoneCause(next.cause)) break
        return undefined
      }
      pauses.push(next.value[1])
      now += Duration.toMillis(next.value[1])
    }
    return pauses
  })
  // Jitter is shown by its middle, so that a catalogue is the same every time.
  const exit = Effect.runSyncExit(Effect.provideService(preview, Random.Random, middle))
  // One that looks at the error has none to look at here.
  if (Exit.isFailure(exit) || exit.value === undefined || exit.value.length === 0) return `by a schedule${some}`
  const pauses = exit.value.slice(0, shown).map((pause) => Duration.format(pause))
  const times = exit.value.length
  return (times === most ? "without end" : times === 1 ? "once" : `up to ${times} times`) +
    `: after ${pauses.join(", ")}${times > shown ? " and so on" : ""}${some}`
}
