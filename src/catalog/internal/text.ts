import { clean, columns, type Ink, inkOf, wrap } from "../../internal/lines.ts"
import type { Catalog, Entry, EventEntry, SideEffectEntry } from "./model.ts"
import { fields } from "./payload.ts"
import { type Arrow, arrows, collect, destinations, inline, json, ownId, position, rest, told } from "./view.ts"

export interface TextOptions {
  readonly verbose?: boolean | undefined
  readonly raw?: boolean | undefined
  readonly within?: Catalog | undefined
  readonly width?: number | undefined
  readonly colors?: boolean | undefined
}

/** All that the renderings of one catalogue need to know. */
interface Page {
  readonly width: number
  readonly ink: Ink
  /** What follows from an event, and leads to a side effect, by name. */
  readonly byEvent: ReadonlyMap<string, ReadonlyArray<Arrow>>
  readonly bySideEffect: ReadonlyMap<string, ReadonlyArray<Arrow>>
  readonly deadPatterns: ReadonlyMap<string, ReadonlyArray<string>>
}

type Lines = ReadonlyArray<string>

/** The catalogue for people at a terminal, or for scripts. Ends with a newline unless it is empty. */
export const text = (catalog: Catalog, options: TextOptions = {}): string => {
  if (options.raw === true) return raw(catalog)
  if (catalog.events.length + catalog.sideEffects.length === 0) {
    return "There is nothing in this catalogue yet: no event and no side effect.\n"
  }
  const page = pageOf(catalog, options)
  return `${(options.verbose === true ? inFull(catalog, page) : inShort(catalog, page)).join("\n")}\n`
}

const raw = ({ bindings, events }: Catalog): string => {
  const sideEffects = new Map(bindings.map(({ id, sideEffect }) => [id, sideEffect]))
  return events.flatMap((event) =>
    event.bindings.map((id) => `${event.name}\t${sideEffects.get(id)}\t${id.replace(/\s+/g, " ")}\n`)
  ).join("")
}

const pageOf = (catalog: Catalog, { colors, width = columns, within = catalog }: TextOptions): Page => {
  const kept = new Set(catalog.events.flatMap((event) => event.bindings.map((id) => `${event.name}\n${id}`)))
  // The place of a side effect among those of its event is not another one because some are not shown.
  const all = arrows(within).filter(({ binding, event }) => kept.has(`${event.name}\n${binding.id}`))
  const dead = collect(catalog.bindings.filter(({ events }) => events.length === 0), ({ sideEffect }) => sideEffect)
  return {
    width,
    ink: inkOf(colors),
    byEvent: collect(all, ({ event }) => event.name),
    bySideEffect: collect(all, ({ sideEffect }) => sideEffect.name),
    deadPatterns: new Map([...dead].map(([name, bindings]) => [name, bindings.map(({ from }) => from)]))
  }
}

const head = ({ ink }: Page, { name, summary }: Entry): string => `${ink.strong(name)}  ${clean(summary)}`

// ---------------------------------------------------------------------------------------------------------------------
// In short
// ---------------------------------------------------------------------------------------------------------------------

const inShort = (catalog: Catalog, page: Page): Lines => {
  const { bySideEffect, deadPatterns, ink, width } = page
  const events = catalog.events.flatMap((event) => [...eventInShort(event, page), ""])
  const byCode = catalog.sideEffects.filter(({ enqueuedBy }) => enqueuedBy.length > 0)
  const byNothing = catalog.sideEffects.filter(({ enqueuedBy, name }) =>
    enqueuedBy.length === 0 && !bySideEffect.has(name)
  )
  const section = (title: string, entries: ReadonlyArray<SideEffectEntry>, note: (entry: SideEffectEntry) => string) =>
    entries.length === 0 ? [] : [
      `${ink.strong(title)}:`,
      ...entries.flatMap((entry) => wrap(`${head(page, entry)}${ink.soft(note(entry))}`, width, "  ", 6)),
      ""
    ]
  return [
    ...events,
    ...section("Enqueued by code", byCode, ({ enqueuedBy }) => ` (by ${enqueuedBy.map(clean).join(", ")})`),
    ...section("Nothing is known to trigger", byNothing, ({ name }) => {
      const dead = deadPatterns.get(name)
      return dead === undefined ? "" : ` (bound to ${dead.map(clean).join(", ")}, which matches no event)`
    })
  ].slice(0, -1)
}

const eventInShort = (event: EventEntry, page: Page): Lines => {
  const { byEvent, ink, width } = page
  const then = byEvent.get(event.name) ?? []
  return [
    ...wrap(head(page, event), width, "", 4),
    ...then.length === 0 ? [`  ${ink.soft("nothing follows")}`] : then.flatMap((arrow) =>
      wrap(
        arrowInShort(arrow, page),
        width,
        `  ${arrow.order}. `,
        `${arrow.order}`.length + 6
      )
    )
  ]
}

const arrowInShort = ({ binding, sideEffect }: Arrow, { ink }: Page): string => {
  const id = ownId(binding)
  const options = told(binding.enqueue)
  return [
    ink.strong(sideEffect.name),
    id === undefined ? "" : ink.soft(` (${clean(id)})`),
    `  ${clean(sideEffect.summary)}`,
    binding.conditional ? ink.soft(" (only when its condition holds)") : "",
    options.length === 0 ? "" : ink.soft(` (${clean(options.join(", "))})`)
  ].join("")
}

/** What several entries come to, shortly each: as `explain` of a pattern shows it. */
export const brief = (catalog: Catalog, entries: ReadonlyArray<Entry>, options: TextOptions): Lines => {
  const page = pageOf(catalog, options)
  return entries.flatMap((entry) => {
    if ("enqueuedBy" in entry) {
      const from = (page.bySideEffect.get(entry.name) ?? []).map(({ event }) => event.name)
      const by = [...new Set([...from, ...(entry as SideEffectEntry).enqueuedBy.map(clean)])]
      const triggers = by.length === 0 ? "nothing leads to it" : `from ${by.join(", ")}`
      return [...wrap(head(page, entry), page.width, "", 4), ...wrap(triggers, page.width, "  ", 4), ""]
    }
    return [...eventInShort(entry as EventEntry, page), ""]
  }).slice(0, -1)
}

// ---------------------------------------------------------------------------------------------------------------------
// In full
// ---------------------------------------------------------------------------------------------------------------------

const labelWidth = 13

/** `  label      value`, each further value below the first. */
const fact = (label: string, values: string | Lines | undefined, width: number): Lines =>
  (typeof values === "string" ? [values] : values ?? []).flatMap((value, index) =>
    wrap(value, width, `  ${(index === 0 ? label : "").padEnd(labelWidth - 1)} `, labelWidth + 4)
  )

const inFull = (catalog: Catalog, page: Page): Lines => {
  const section = <A>(title: string, entries: ReadonlyArray<A>, render: (entry: A) => Lines) =>
    entries.length === 0 ? [] : [page.ink.strong(title), "", ...entries.flatMap((entry) => [...render(entry), ""])]
  return [
    ...section("EVENTS", catalog.events, (event) => eventInFull(event, page)),
    ...section("SIDE EFFECTS", catalog.sideEffects, (sideEffect) => sideEffectInFull(sideEffect, page))
  ].slice(0, -1)
}

const eventInFull = (event: EventEntry, page: Page): Lines => {
  const then = page.byEvent.get(event.name) ?? []
  return [
    ...entryInFull(event, page),
    ...fact("then", then.length === 0 ? "nothing follows" : "in this order", page.width),
    ...then.flatMap((arrow) => [
      ...wrap(`${arrow.order}. ${page.ink.strong(arrow.sideEffect.name)}`, page.width, "    "),
      ...bound(arrow).flatMap((line) => wrap(line, page.width, "       ", 9))
    ])
  ]
}

const sideEffectInFull = (entry: SideEffectEntry, page: Page): Lines => {
  const { bySideEffect, deadPatterns, width } = page
  const from = (bySideEffect.get(entry.name) ?? []).map(({ event, order }) => `${event.name} (number ${order})`)
  const dead = (deadPatterns.get(entry.name) ?? []).map((pattern) => `${clean(pattern)} (matches no event)`)
  const nothing = from.length + dead.length + entry.enqueuedBy.length === 0 ? ["nothing"] : []
  return [
    ...entryInFull(entry, page),
    ...defaultsOf(entry).flatMap(([label, value]) => fact(label, value, width)),
    ...fact("goes to", destinations(entry).map(clean), width),
    ...fact("follows from", [...from, ...dead, ...nothing], width),
    ...fact("enqueued by", entry.enqueuedBy.map(clean), width)
  ]
}

/** What a definition says of how it is performed. */
export const defaultsOf = (entry: SideEffectEntry): ReadonlyArray<readonly [label: string, value: string]> => {
  const { attempts, concurrency, priority, queue, retry, timeout } = entry.defaults
  const all: ReadonlyArray<readonly [string, string | undefined]> = [
    ["timeout", timeout],
    ["retry", retry],
    ["attempts", attempts],
    ["concurrency", concurrency],
    ["queue", queue],
    ["priority", priority],
    ["idempotency", entry.hasIdempotencyKey ? "has a key of its own" : undefined]
  ]
  return all.flatMap(([label, value]) => value === undefined ? [] : [[label, clean(value)] as const])
}

/** How an arrow came to be. */
export const bound = ({ binding }: Arrow): Lines => [
  ...binding.conditional ? ["only when the condition of its binding holds"] : [],
  ...binding.kind === "event" ? [] : [`bound as ${clean(binding.from)}`],
  ...binding.priority === 0 ? [] : [`priority ${binding.priority}`],
  ...Object.entries(binding.enqueue).map(([option, value]) => clean(`enqueued with ${option} ${value}`)),
  `binding "${clean(binding.id)}"`,
  ...binding.source === undefined ? [] : [`at ${position(binding.source)}`]
]

const entryInFull = (entry: Entry, page: Page): Lines => [
  ...wrap(head(page, entry), page.width, "", 4),
  ...rest(entry).split(/\r?\n/).flatMap((line) => line.trim() === "" ? [] : wrap(clean(line), page.width, "  ")),
  ...fact("payload", payloadOf(entry), page.width),
  ...fact("owner", entry.owner && clean(entry.owner), page.width),
  ...fact("tags", entry.tags.length === 0 ? undefined : clean(entry.tags.join(", ")), page.width),
  ...fact("groups", entry.groups.join(", "), page.width),
  ...fact("class", entry.exportName, page.width),
  ...Object.entries(entry.annotations).flatMap(([key, value]) =>
    fact("annotation", `${clean(key)}: ${clean(inline(value))}`, page.width)
  ),
  ...fact("source", entry.source && position(entry.source), page.width)
]

/** One line for each field: `orderId: string`, `note?: string  What it is for`. */
export const payloadOf = ({ payload }: Pick<Entry, "payload">): Lines => {
  if (payload === undefined) return ["none"]
  const rows = fields(payload)
  if (rows === undefined) return [clean(json(payload))]
  if (rows.length === 0) return ["no fields"]
  return rows.map(({ description, name, required, type }) =>
    clean(`${name}${required ? "" : "?"}: ${type}${description === "" ? "" : ` (${description})`}`)
  )
}
