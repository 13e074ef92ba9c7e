import { clean, columns, wrap } from "../../internal/lines.ts"
import { compare } from "./filter.ts"
import type * as model from "./model.ts"
import { payloadOf } from "./text.ts"
import { destinations, told } from "./view.ts"

/** What of an entry others rely on. Where it was written, and what its class is called, is nobody's matter. */
interface Locked {
  readonly groups: ReadonlyArray<Pick<model.GroupEntry, "name" | "owner" | "tags" | "annotations">>
  readonly events: ReadonlyArray<LockedEntry & Pick<model.EventEntry, "bindings">>
  readonly sideEffects: ReadonlyArray<
    LockedEntry & Pick<model.SideEffectEntry, "hasIdempotencyKey" | "defaults" | "enqueuedBy" | "destinations">
  >
  readonly bindings: ReadonlyArray<Omit<model.BindingEntry, "source">>
}

type LockedEntry = Pick<model.Entry, "name" | "groups" | "description" | "payload" | "owner" | "tags" | "annotations">

/**
 * The same value with the keys of every object in one order, and the fields that a schema requires, so that the text is the
 * same, however it came about.
 */
const stable = (u: unknown, key?: string): unknown =>
  Array.isArray(u)
    ? (key === "required" ? u.toSorted() : u).map((each) => stable(each))
    : typeof u === "object" && u !== null
    ? Object.fromEntries(
      Object.entries(u).sort(([a], [b]) => compare(a, b)).map(([key, value]) => [key, stable(value, key)])
    )
    : u

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => compare(a.name, b.name)

const entryOf = ({ annotations, description, groups, name, owner, payload, tags }: model.Entry): LockedEntry => ({
  name,
  groups: groups.toSorted(compare),
  description,
  payload,
  owner,
  tags,
  annotations
})

const reduce = (catalog: model.Catalog): Locked => ({
  groups: catalog.groups.map(({ annotations, name, owner, tags }) => ({ name, owner, tags, annotations }))
    .sort(byName),
  events: catalog.events.map((event) => ({ ...entryOf(event), bindings: event.bindings })).sort(byName),
  sideEffects: catalog.sideEffects.map((sideEffect) => ({
    ...entryOf(sideEffect),
    hasIdempotencyKey: sideEffect.hasIdempotencyKey,
    defaults: sideEffect.defaults,
    enqueuedBy: sideEffect.enqueuedBy,
    destinations: sideEffect.destinations
  })).sort(byName),
  bindings: catalog.bindings.map(({ source: _, ...binding }) => ({
    ...binding,
    events: binding.events.toSorted(compare)
  }))
    .sort((a, b) => compare(a.id, b.id))
})

/** The catalogue as a text to commit. */
export const lock = (catalog: model.Catalog): string => `${JSON.stringify(stable(reduce(catalog)), null, 2)}\n`

const read = (text: string): Locked => {
  const problem = (what: string) =>
    new Error(`This is no catalogue that Catalog.lock has made: ${what}. Make it again, and commit it.`)
  let u: any
  try {
    u = JSON.parse(text)
  } catch (error) {
    throw problem(clean((error as Error).message))
  }
  for (
    const [list, key] of [["groups", "name"], ["events", "name"], ["sideEffects", "name"], ["bindings", "id"]] as const
  ) {
    const entries: unknown = u?.[list]
    if (!Array.isArray(entries)) throw problem(`it has no list "${list}"`)
    if (!entries.every((entry) => typeof entry?.[key] === "string")) {
      throw problem(`an entry of "${list}" has no ${key}`)
    }
  }
  return u
}

// ---------------------------------------------------------------------------------------------------------------------
// The difference
// ---------------------------------------------------------------------------------------------------------------------

/** What can change about an entry, in words. A label may come several times. */
type Facts = ReadonlyArray<readonly [label: string, value: string]>

const yes = (is: boolean | undefined): string => is === true ? "yes" : "no"

const annotationsOf = (annotations: Readonly<Record<string, unknown>> | undefined): Facts =>
  Object.entries(annotations ?? {}).map(([key, value]) => [`annotation ${key}`, JSON.stringify(stable(value))])

const text = (label: string, value: string | undefined): Facts => value === undefined ? [] : [[label, value]]

const list = (label: string, values: ReadonlyArray<string> | undefined): Facts =>
  values === undefined || values.length === 0 ? [] : [[label, values.join(", ")]]

const groupFacts = ({ annotations, owner, tags }: Locked["groups"][number]): Facts => [
  ...text("owner", owner),
  ...list("tags", tags),
  ...annotationsOf(annotations)
]

const entryFacts = (entry: LockedEntry): Facts => [
  ...text("description", entry.description),
  ...text("owner", entry.owner),
  ...list("tags", entry.tags),
  ...list("groups", entry.groups),
  ...payloadOf(entry).map((field) => ["payload", field] as const),
  ...annotationsOf(entry.annotations)
]

const sideEffectFacts = (entry: Locked["sideEffects"][number]): Facts => [
  ...entryFacts(entry),
  ...Object.entries(entry.defaults ?? {}),
  ["idempotency key", yes(entry.hasIdempotencyKey)],
  ...list("enqueued by", entry.enqueuedBy),
  ...destinations(entry).map((to) => ["goes to", to] as const)
]

const bindingFacts = (binding: Locked["bindings"][number]): Facts => [
  ...text("group", binding.group),
  ["from", `${binding.from} (${binding.kind})`],
  ["events", (binding.events ?? []).join(", ") || "none"],
  ...text("side effect", binding.sideEffect),
  ["priority", String(binding.priority)],
  ["conditional", yes(binding.conditional)],
  ...Object.entries(binding.enqueue ?? {}).map(([option, value]) => [`enqueue ${option}`, value] as const)
]

/** Every leaf of a value, by its path. */
const leaves = (u: unknown, path: string): Facts =>
  typeof u === "object" && u !== null && Object.keys(u).length > 0
    ? Object.entries(u).flatMap(([key, value]) => leaves(value, `${path}.${key}`))
    : [[path, JSON.stringify(u) ?? "undefined"]]

const changes = (before: Facts, after: Facts): ReadonlyArray<string> => {
  const shown = ([label, value]: Facts[number]): string => clean(`${label}: ${value}`)
  const [old, now] = [new Set(before.map(shown)), new Set(after.map(shown))]
  const labels = new Set([...before, ...after].map(([label]) => label))
  return [...labels].flatMap((label) => [
    ...before.filter((fact) => fact[0] === label).map(shown).filter((line) => !now.has(line)).map((line) =>
      `- ${line}`
    ),
    ...after.filter((fact) => fact[0] === label).map(shown).filter((line) => !old.has(line)).map((line) => `+ ${line}`)
  ])
}

const payloadChanges = (before: LockedEntry, after: LockedEntry, found: ReadonlyArray<string>): ReadonlyArray<string> =>
  found.some((line) => /^[-+] payload: /.test(line))
    ? []
    : changes(leaves(before.payload, "payload"), leaves(after.payload, "payload"))

/** What is only added at the end or taken away is told by the bindings themselves. */
const orderChanges = (before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<string> => {
  const kept = before.filter((id) => after.includes(id))
  if (kept.every((id, index) => after[index] === id)) return []
  const line = (sign: string) => (id: string, index: number) => `${sign} ${index + 1}. ${clean(id)}`
  return ["what follows, in order:", ...before.map(line("-")), ...after.map(line("+"))]
}

const compareLists = <A>(
  what: string,
  [before, after]: readonly [ReadonlyArray<A>, ReadonlyArray<A>],
  key: (entry: A) => string,
  say: (entry: A) => string,
  changesOf: (before: A, after: A) => ReadonlyArray<string>
): ReadonlyArray<string> => {
  const [old, now] = [new Map(before.map((a) => [key(a), a])), new Map(after.map((a) => [key(a), a]))]
  const line = (sign: string, entry: A) => wrap(`${what} ${clean(key(entry))}${say(entry)}`, columns, `${sign} `, 6)
  return [...new Set([...old.keys(), ...now.keys()])].sort(compare).flatMap((name) => {
    const [was, is] = [old.get(name), now.get(name)]
    if (was === undefined) return line("+", is!)
    if (is === undefined) return line("-", was)
    const found = changesOf(was, is)
    return found.length === 0 ? [] : [
      ...wrap(`${what} ${clean(name)}`, columns, "~ ", 6),
      ...found.flatMap((line) => wrap(line, columns, "    ", 8))
    ]
  })
}

const summary = ({ description }: LockedEntry): string => `  ${clean((description ?? "").trim().split("\n", 1)[0]!)}`

/** What has changed since a catalogue was locked, as lines to print; none when nothing has. Throws on another text. */
export const diff = (locked: string, current: model.Catalog): ReadonlyArray<string> => {
  const before = read(locked)
  // Through JSON, as the other one went.
  const after = read(lock(current))
  const name = (entry: { readonly name: string }): string => entry.name
  const withPayload = <A extends LockedEntry>(facts: (entry: A) => Facts) => (was: A, is: A) => {
    const found = changes(facts(was), facts(is))
    return [...found, ...payloadChanges(was, is, found)]
  }
  const eventChanges = withPayload<Locked["events"][number]>(entryFacts)
  return [
    ...compareLists(
      "group",
      [before.groups, after.groups],
      name,
      () => "",
      (was, is) => changes(groupFacts(was), groupFacts(is))
    ),
    ...compareLists("event", [before.events, after.events], name, summary, (was, is) => [
      ...eventChanges(was, is),
      ...orderChanges(was.bindings ?? [], is.bindings)
    ]),
    ...compareLists(
      "side effect",
      [before.sideEffects, after.sideEffects],
      name,
      summary,
      withPayload(sideEffectFacts)
    ),
    ...compareLists(
      "binding",
      [before.bindings, after.bindings],
      ({ id }) => id,
      (binding) =>
        `${binding.conditional ? ", conditional" : ""}${binding.priority ? `, priority ${binding.priority}` : ""}${
          told(binding.enqueue ?? {}).map((option) => `, ${clean(option)}`).join("")
        }`,
      (was, is) => changes(bindingFacts(was), bindingFacts(is))
    )
  ]
}
