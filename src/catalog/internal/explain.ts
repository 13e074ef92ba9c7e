import { plural } from "../../internal/describe.ts"
import { clean, columns, enumerate, inkOf, wrap } from "../../internal/lines.ts"
import { compilePattern } from "../../internal/pattern.ts"
import type { Catalog, Entry, EventEntry, GroupEntry, SideEffectEntry } from "./model.ts"
import { nearest } from "./nearest.ts"
import { bound, brief, defaultsOf } from "./text.ts"
import { type Arrow, arrows, collect, destinations, position } from "./view.ts"

/** What `ConfigLayer` would read. */
interface Environment {
  readonly mode?: string | undefined
  readonly block?: string | undefined
  readonly allowOnly?: string | undefined
}

export interface ExplainOptions {
  readonly environment?: Environment | undefined
  readonly width?: number | undefined
  readonly colors?: boolean | undefined
}

type Lines = ReadonlyArray<string>

const isSideEffect = (entry: Entry): entry is SideEffectEntry => "enqueuedBy" in entry

/** What happens when, and what would keep it from happening. Throws when nothing has the name. */
export const explain = (catalog: Catalog, query: string, options: ExplainOptions = {}): string => {
  const all: ReadonlyArray<Entry> = [...catalog.events, ...catalog.sideEffects]
  const named = all.filter(({ name }) => name === query)
  // A class is what one has before one's eyes in the code.
  const [entry, another] = named.length > 0 ? named : all.filter(({ exportName }) => exportName === query)
  if (entry === undefined || another !== undefined) {
    if (another === undefined) refuse(catalog, query)
    if (!query.includes("*") && another === undefined) throw unknown(all, query)
    return `${matching(catalog, all, query, options).join("\n")}\n`
  }
  const lines = isSideEffect(entry)
    ? sideEffectLines(catalog, entry, options)
    : eventLines(catalog, entry as EventEntry, options)
  return `${lines.join("\n")}\n`
}

/** Throws when it is the name of something that has no explanation of its own. */
const refuse = (catalog: Catalog, query: string): void => {
  const group = catalog.groups.find(({ name }) => name === query)
  if (group !== undefined) throw new Error(`"${clean(query)}" is a group: ${contents(group)}`)
  const binding = catalog.bindings.find(({ id }) => id === query)
  if (binding === undefined) return
  const { events, from, sideEffect } = binding
  throw new Error(
    `"${clean(query)}" is a binding of ${
      events.length === 0
        ? `${clean(from)}, which matches no event; explain ${sideEffect}.`
        : `${enumerate(events)}; explain ${events.length === 1 ? "that" : "one of them"}.`
    }`
  )
}

const contents = ({ events, sideEffects }: GroupEntry): string => {
  const [first] = [...events, ...sideEffects]
  if (first === undefined) return "it has no event and no side effect yet."
  const counts = [
    ...events.length === 0 ? [] : [plural(events.length, "event")],
    ...sideEffects.length === 0 ? [] : [plural(sideEffects.length, "side effect")]
  ]
  return `it has ${enumerate(counts)}. Explain one of them, such as ${first}.`
}

/** The nearest names; of a class only where the name of its entry is not among them. */
const suggestions = (all: ReadonlyArray<Entry>, query: string): ReadonlyArray<string> => {
  const classes = all.flatMap(({ exportName }) => exportName === undefined ? [] : [exportName])
  const near = nearest([...new Set([...all.map(({ name }) => name), ...classes])], query)
  const said = new Set(all.filter(({ name }) => near.includes(name)).map(({ exportName }) => exportName))
  return near.filter((name) => !said.has(name))
}

/** Says that nothing has a name, and which ones are near. */
const unknown = (all: ReadonlyArray<Entry>, query: string): Error => {
  const near = suggestions(all, query)
  const help = near.length > 0
    ? `Did you mean ${enumerate(near.map((name) => `"${name}"`), "or")}?`
    : all.length === 0
    ? "The catalogue is empty."
    : "List all with: side-effects list"
  return new Error(`There is no event and no side effect "${clean(query)}". ${help}`)
}

const matching = (catalog: Catalog, all: ReadonlyArray<Entry>, query: string, options: ExplainOptions): Lines => {
  const selects = query.includes("*") ? compilePattern(query) : undefined
  const found = all.filter(({ exportName, name }) => selects === undefined ? exportName === query : selects(name))
  if (found.length === 0) {
    throw new Error(`No event and no side effect matches "${clean(query)}": "*" is one segment, "**" any number.`)
  }
  const events = new Set(found.map(({ name }) => name))
  const sideEffects = [
    ...new Set([
      ...arrows(catalog).filter(({ event }) => events.has(event.name)).map(({ sideEffect }) => sideEffect),
      ...found.filter(isSideEffect)
    ])
  ]
  return [
    ...brief(catalog, found, options),
    "",
    ...bullet(environmentNow(catalog, sideEffects, options.environment), options)
  ]
}

// ---------------------------------------------------------------------------------------------------------------------
// One of them
// ---------------------------------------------------------------------------------------------------------------------

const title = (entry: Entry, { colors, width = columns }: ExplainOptions): Lines => [
  ...wrap(`${inkOf(colors).strong(entry.name)}  ${clean(entry.summary)}`, width, "", 4),
  ...entry.source === undefined ? [] : wrap(`at ${position(entry.source)}`, width, "  "),
  ...entry.owner === undefined ? [] : wrap(clean(`owner ${entry.owner}`), width, "  ", 4),
  ...entry.tags.length === 0 ? [] : wrap(clean(`tags ${entry.tags.join(", ")}`), width, "  ", 4)
]

const heading = (text: string, { colors }: ExplainOptions): string => inkOf(colors).strong(text)

const bullet = (text: string, { width = columns }: ExplainOptions): Lines => wrap(text, width, "  - ")

/** Who has the last word on a default. */
const sayOtherwise: Readonly<Record<string, string>> = {
  timeout: "its handler says otherwise",
  retry: "its handler says otherwise",
  attempts: "its handler says otherwise",
  concurrency: "its handler says otherwise",
  queue: "the call says otherwise",
  priority: "the call says otherwise"
}

const defaults = (entry: SideEffectEntry, indent: string, { width = columns }: ExplainOptions): Lines => {
  const to = destinations(entry)
  return [
    ...defaultsOf(entry).map(([label, value]) =>
      label === "idempotency" ? "idempotency key of its own" : `${label} ${value}, unless ${sayOtherwise[label]}`
    ),
    ...to.length === 0 ? [] : [clean(`goes to ${to.join("; ")}`.replace(/^goes to (in|through) /, "goes $1 "))]
  ].flatMap((line) => wrap(line, width, indent, indent.length + 2))
}

const eventLines = (catalog: Catalog, event: EventEntry, options: ExplainOptions): Lines => {
  const then = collect(arrows(catalog), (arrow) => arrow.event.name).get(event.name) ?? []
  if (then.length === 0) {
    return [...title(event, options), "", "Nothing follows: no side effect is bound to it. Bind one with on(...)."]
  }
  return [
    ...title(event, options),
    "",
    heading("What happens, in this order, once the unit of work around has succeeded:", options),
    ...then.flatMap((arrow) => ["", ...step(arrow, options)]),
    "",
    heading("What would keep it from happening:", options),
    ...obstacles(catalog, then.map(({ sideEffect }) => sideEffect), then, options)
  ]
}

const step = (arrow: Arrow, options: ExplainOptions): Lines => {
  const { width = columns } = options
  const number = `  ${arrow.order}. `
  const indent = " ".repeat(number.length)
  return [
    ...wrap(
      `${inkOf(options.colors).strong(arrow.sideEffect.name)}  ${clean(arrow.sideEffect.summary)}`,
      width,
      number,
      indent.length + 2
    ),
    ...defaults(arrow.sideEffect, indent, options),
    ...bound(arrow).flatMap((line) => wrap(line, width, indent, indent.length + 2))
  ]
}

const sideEffectLines = (catalog: Catalog, entry: SideEffectEntry, options: ExplainOptions): Lines => {
  const { width = columns } = options
  const all = arrows(catalog)
  const from = all.filter(({ sideEffect }) => sideEffect.name === entry.name)
  const sizes = collect(all, ({ event }) => event.name)
  const dead = catalog.bindings.filter((binding) => binding.sideEffect === entry.name && binding.events.length === 0)
  const triggers = [
    ...from.flatMap((arrow) => [
      ...wrap(
        `${inkOf(options.colors).strong(arrow.event.name)}, as number ${arrow.order} of ${
          sizes.get(arrow.event.name)!.length
        }  ${clean(arrow.event.summary)}`,
        width,
        "  ",
        6
      ),
      ...bound(arrow).flatMap((line) => wrap(line, width, "    ", 6))
    ]),
    ...dead.flatMap(({ from }) => wrap(`${clean(from)}, which matches no event`, width, "  ", 6)),
    ...entry.enqueuedBy.flatMap((by) => wrap(`${clean(by)}, which enqueues it itself`, width, "  ", 6))
  ]
  const about = [...title(entry, options), ...defaults(entry, "  ", options), ""]
  if (triggers.length === 0) {
    return [
      ...about,
      ...wrap(
        "Nothing leads to it: no event is bound to it, and no annotation Catalog.EnqueuedBy says that code enqueues it.",
        width
      )
    ]
  }
  return [
    ...about,
    heading("What leads to it:", options),
    ...triggers,
    "",
    heading("What would keep it from happening:", options),
    ...obstacles(catalog, [entry], from, options)
  ]
}

// ---------------------------------------------------------------------------------------------------------------------
// What would keep it from happening
// ---------------------------------------------------------------------------------------------------------------------

const names = (all: Iterable<{ readonly name: string }>): string =>
  enumerate([...new Set([...all].map(({ name }) => name))])

const obstacles = (
  catalog: Catalog,
  sideEffects: ReadonlyArray<SideEffectEntry>,
  path: ReadonlyArray<Arrow>,
  options: ExplainOptions
): Lines => {
  const several = sideEffects.length > 1
  const conditional = path.filter(({ binding }) => binding.conditional)
  const keyed = sideEffects.filter(({ hasIdempotencyKey }) => hasIdempotencyKey)
  const dedupe = keyed.length === 0
    ? "None of this has an idempotency key of its own, so Policy.dedupe() lets it pass."
    : `Policy.dedupe() lets only the first of those with the same idempotency key pass: that concerns ${names(keyed)}.`
  return [
    `The unit of work around it fails, dies or is interrupted: ${several ? "all of it is" : "it is"} discarded.`,
    ...conditional.length === 0 ? [] : [
      `The condition of a binding says no: that concerns ${
        enumerate([
          ...new Set(conditional.map(({ event, sideEffect }) =>
            several ? sideEffect.name : `${sideEffect.name} after ${event.name}`
          ))
        ])
      }.`
    ],
    ...path.length === 0 ? [] : [
      "A condition, mapping or option of a binding throws: the emit dies, and nothing at all follows from the event."
    ],
    "A policy on the way (of a piece of code, a boundary or the layer) keeps it in: block, allowOnly, reject, limit, " +
    `limitBy, dropAll, assertNone or one of your own. ${dedupe}`,
    "The layer is another one than LiveLayer: DropLayer performs nothing, under AssertNoneLayer the attempt dies, and " +
    `TestLayer only records${
      path.length === 0 ? "" : "; what follows from an event is known to TestLayerFor(group) alone"
    }.`,
    environmentNow(catalog, sideEffects, options.environment)
  ].flatMap((text) => bullet(text, options))
}

/** What the deployer's switch does here and now. In the order in which `ConfigLayer` finds out. */
const environmentNow = (
  catalog: Catalog,
  sideEffects: ReadonlyArray<SideEffectEntry>,
  { allowOnly, block, mode: asked }: Environment = {}
): string => {
  const here = "In this environment, for programs that use ConfigLayer: "
  const mode = asked === undefined || asked.trim() === "" ? undefined : asked.trim().toLowerCase().replaceAll("_", "-")
  const set: Array<string> = []
  const blocked = new Set<SideEffectEntry>()
  const lists = [["SIDE_EFFECTS_BLOCK", block, true], ["SIDE_EFFECTS_ALLOW_ONLY", allowOnly, false]] as const
  for (const [variable, value, stops] of lists) {
    const patterns = (value ?? "").split(",").map((pattern) => pattern.trim()).filter((pattern) => pattern !== "")
    if (patterns.length === 0) continue
    set.push(`${variable} is ${clean(patterns.join(", "))}`)
    const picked = new Set<SideEffectEntry>()
    for (const pattern of patterns) {
      let selects
      try {
        selects = compilePattern(pattern)
      } catch (error) {
        return `${here}they do not start. ${variable}: ${(error as Error).message}`
      }
      if (!catalog.sideEffects.some(({ name }) => selects(name))) {
        return `${here}they do not start, as "${pattern}" in ${variable} matches no side effect.`
      }
      for (const sideEffect of sideEffects) if (selects(sideEffect.name)) picked.add(sideEffect)
    }
    for (const sideEffect of sideEffects) if (picked.has(sideEffect) === stops) blocked.add(sideEffect)
  }
  const asSet = set.join(" and ")
  switch (mode) {
    case undefined:
    case "live":
      break
    case "drop":
      return `${here}SIDE_EFFECTS_MODE is drop, so nothing leaves.`
    case "record":
      return `${here}SIDE_EFFECTS_MODE is record, so nothing leaves, and what would have is logged.`
    case "assert-none":
      return `${here}SIDE_EFFECTS_MODE is assert-none, so the attempt dies.`
    default:
      return `${here}they do not start, as SIDE_EFFECTS_MODE is "${
        clean(asked!)
      }" and not one of live, drop, assert-none ` +
        "and record."
  }
  const said = mode === undefined ? "SIDE_EFFECTS_MODE is not set, which means live" : "SIDE_EFFECTS_MODE is live"
  if (blocked.size > 0) {
    const others = sideEffects.filter((sideEffect) => !blocked.has(sideEffect))
    const left = others.length === 0 ? "" : ` It does not stop ${names(others)}.`
    return `${here}${asSet}, which stops ${
      names(sideEffects.filter((sideEffect) => blocked.has(sideEffect)))
    }.${left} ${said}.`
  }
  return `${here}nothing keeps it in. ${said}, and ${
    set.length === 0 ? "SIDE_EFFECTS_BLOCK is not set" : `${asSet}, which stops none of this`
  }.`
}
