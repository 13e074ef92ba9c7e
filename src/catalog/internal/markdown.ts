import { plural } from "../../internal/describe.ts"
import { mermaid } from "./mermaid.ts"
import type { Catalog, Entry, EventEntry, SideEffectEntry } from "./model.ts"
import { type Field, fields } from "./payload.ts"
import { type Arrow, arrows, collect, destinations, inline, json, position, rest, told } from "./view.ts"

/** What Mermaid refuses to draw, unless the page that hosts it says otherwise. GitHub does not. */
const limits = { arrows: 500, characters: 50_000 }

/** Text as it is: nothing in it is Markdown or HTML. A line that looks like the beginning of a block gets a backslash. */
const escape = (text: string): string =>
  text
    .replace(/[\\`*_{}[\]<>|~&$]/g, "\\$&")
    .replace(/^(\s*)(#|[-+=](?=\s|[-=]*\s*$))/gm, "$1\\$2")
    .replace(/^(\s*\d+)([.)])(?=\s|$)/gm, "$1\\$2")

const line = (text: string): string => escape(text.replace(/\s+/g, " ").trim())

/** Lines stay lines, and a blank one ends a paragraph. */
const paragraphs = (text: string): string =>
  text.split(/\n\s*\n/).map((part) => part.trim().split(/\s*\n\s*/).map(escape).join("\\\n")).join("\n\n")

/** A code span, with as many backticks around it as it takes. */
const code = (text: string): string => {
  const plain = text.replace(/\s+/g, " ")
  const longest = Math.max(0, ...(plain.match(/`+/g) ?? []).map((run) => run.length))
  const fence = "`".repeat(longest + 1)
  const pad = plain.startsWith("`") || plain.endsWith("`") ? " " : ""
  return `${fence}${pad}${plain}${pad}${fence}`
}

/** In a table the bar ends a cell, in code, too. */
const codeCell = (text: string): string => code(text).replaceAll("|", "\\|")

const fence = (language: string, text: string): string => {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length))
  const ticks = "`".repeat(longest + 1)
  return `${ticks}${language}\n${text.trimEnd()}\n${ticks}`
}

/** The anchors that GitHub gives to headings, in the order in which they come: a second one of the same name gets a number. */
const slugger = (): (heading: string) => string => {
  const seen = new Map<string, number>()
  return (heading) => {
    const slug = heading.toLowerCase().replace(/[^a-z0-9_ -]/g, "").replaceAll(" ", "-")
    let anchor = slug
    while (seen.has(anchor)) {
      const n = seen.get(slug)! + 1
      seen.set(slug, n)
      anchor = `${slug}-${n}`
    }
    seen.set(anchor, 0)
    return anchor
  }
}

const row = ({ description, name, required, type }: Field): string =>
  `| ${codeCell(name)} | ${codeCell(type)} | ${required ? "yes" : "no"} | ${line(description)} |`

const payload = (entry: Entry): ReadonlyArray<string> => {
  if (entry.payload === undefined) return ["No payload."]
  const rows = fields(entry.payload)
  if (rows === undefined) return ["Payload:", fence("json", json(entry.payload))]
  if (rows.length === 0) return ["The payload has no fields."]
  return [
    ["| payload | type | required | description |", "| --- | --- | --- | --- |", ...rows.map(row)].join("\n")
  ]
}

const facts = (all: ReadonlyArray<readonly [label: string, value: string | undefined]>): ReadonlyArray<string> => {
  const known = all.filter(([, value]) => value !== undefined && value !== "")
  return known.length === 0 ? [] : [known.map(([label, value]) => `- ${label}: ${value}`).join("\n")]
}

const about = (entry: Entry): ReadonlyArray<readonly [string, string | undefined]> => [
  ["Owner", entry.owner === undefined ? undefined : line(entry.owner)],
  ["Tags", entry.tags.map(code).join(", ")],
  ["Groups", entry.groups.map(code).join(", ")],
  ["Class", entry.exportName === undefined ? undefined : code(entry.exportName)],
  ...Object.entries(entry.annotations).map(([key, value]) => [line(key), code(inline(value))] as const),
  ["Source", entry.source === undefined ? undefined : code(position(entry.source))]
]

const list = (items: ReadonlyArray<string>, indent: string, ordered: boolean): string =>
  items.map((item, index) => `${indent}${ordered ? `${index + 1}.` : "-"} ${item}`).join("\n")

const section = (parts: ReadonlyArray<string>): string => parts.filter((part) => part !== "").join("\n\n")

/** The catalogue as a page of a repository's documentation, as GitHub shows it. */
export const markdown = (catalog: Catalog): string => {
  if (catalog.events.length + catalog.sideEffects.length === 0) {
    return "# Side effects\n\nThere is nothing in this catalogue yet: no event and no side effect.\n"
  }
  const all = arrows(catalog)
  const byEvent = collect(all, (arrow) => arrow.event)
  const bySideEffect = collect(all, (arrow) => arrow.sideEffect)

  const anchor = slugger()
  for (const heading of ["Side effects", "What happens when", "The picture"]) anchor(heading)
  const anchorsOf = (title: string, entries: ReadonlyArray<Entry>) => {
    if (entries.length > 0) anchor(title)
    return entries.map((entry) => [entry, anchor(entry.name)] as const)
  }
  const anchors = new Map<Entry, string>([
    ...anchorsOf("Events", catalog.events),
    ...anchorsOf("All side effects", catalog.sideEffects)
  ])
  const link = (entry: Entry): string => `[${code(entry.name)}](#${anchors.get(entry)})`

  const via = ({ binding }: Arrow): string =>
    `${binding.kind === "event" ? "" : `, bound as ${code(binding.from)}`}${
      binding.conditional ? ", **when** its condition holds" : ""
    }${told(binding.enqueue).map((option) => `, ${line(option)}`).join("")}`
  const toSideEffect = (arrow: Arrow): string => `${link(arrow.sideEffect)}${via(arrow)}`

  const overview = (event: EventEntry): string => {
    const then = byEvent.get(event) ?? []
    return [
      `- ${link(event)}: ${line(event.summary)}`,
      then.length === 0 ? "  - nothing" : list(then.map(toSideEffect), "  ", true)
    ].join("\n")
  }

  const eventSection = (event: EventEntry): string => {
    const then = byEvent.get(event) ?? []
    return section([
      `### ${code(event.name)}`,
      line(event.summary),
      paragraphs(rest(event)),
      then.length === 0
        ? "Nothing happens."
        : `What happens, in this order:\n\n${list(then.map(toSideEffect), "", true)}`,
      ...payload(event),
      ...facts(about(event))
    ])
  }

  const unmatched = collect(
    catalog.bindings.filter((binding) => binding.events.length === 0),
    (binding) => binding.sideEffect
  )
  const sideEffectSection = (sideEffect: SideEffectEntry): string => {
    const triggers = [
      ...(bySideEffect.get(sideEffect) ?? []).map((arrow) => `${link(arrow.event)}${via(arrow)}`),
      ...(unmatched.get(sideEffect.name) ?? []).map((binding) => `${code(binding.from)}, which matches no event`)
    ]
    const { defaults } = sideEffect
    return section([
      `### ${code(sideEffect.name)}`,
      line(sideEffect.summary),
      paragraphs(rest(sideEffect)),
      triggers.length === 0 ? "" : `Triggered by:\n\n${list(triggers, "", false)}`,
      sideEffect.enqueuedBy.length === 0
        ? ""
        : `Enqueued by:\n\n${list(sideEffect.enqueuedBy.map((by) => code(by)), "", false)}`,
      triggers.length + sideEffect.enqueuedBy.length === 0 ? "No event leads to it." : "",
      ...payload(sideEffect),
      ...facts([
        ["Timeout", defaults.timeout === undefined ? undefined : line(defaults.timeout)],
        ["Retry", defaults.retry === undefined ? undefined : line(defaults.retry)],
        ["Attempts", defaults.attempts],
        ["Concurrency", defaults.concurrency],
        ["Queue", defaults.queue === undefined ? undefined : code(defaults.queue)],
        ["Priority", defaults.priority === undefined ? undefined : line(defaults.priority)],
        ["Idempotency key", sideEffect.hasIdempotencyKey ? "computed from the payload" : undefined],
        ["Goes to", line(destinations(sideEffect).join("; "))],
        ...about(sideEffect)
      ])
    ])
  }

  const graph = mermaid(catalog)
  const picture = all.length > limits.arrows || graph.length > limits.characters
    ? `It has ${plural(all.length, "arrow")}: more than Mermaid draws.`
    : fence("mermaid", graph)

  return section([
    "# Side effects",
    `${plural(catalog.events.length, "event")}, ${plural(catalog.sideEffects.length, "side effect")}, ${
      plural(catalog.bindings.length, "binding")
    }.`,
    "## What happens when",
    catalog.events.length === 0 ? "There are no events." : catalog.events.map(overview).join("\n"),
    "## The picture",
    picture,
    ...(catalog.events.length === 0 ? [] : ["## Events", ...catalog.events.map(eventSection)]),
    ...(catalog.sideEffects.length === 0 ? [] : ["## All side effects", ...catalog.sideEffects.map(sideEffectSection)])
  ]) + "\n"
}
