import type { BindingEntry, Catalog, Entry } from "./model.ts"
import { arrows, collect, ownId } from "./view.ts"

/**
 * Mermaid reads Markdown in labels: `_` at the edge of a word is emphasis, `1.` and `-` begin a list, `www.` a link. It
 * reads none of it in an entity.
 */
const escape = (name: string): string =>
  name.replace(
    /[^A-Za-z0-9:._-]|(?<![A-Za-z0-9])[._-]|[._-](?![A-Za-z0-9])|(?<=^www)\./gu,
    (char) => `#${char.codePointAt(0)};`
  )

const label = (name: string): string => `"${escape(name)}"`

const arrow = (binding: BindingEntry): string => {
  const id = ownId(binding)
  if (binding.conditional) return id === undefined ? "-. when .->" : `-.->|"when: ${escape(id)}"|`
  return id === undefined ? "-->" : `-->|${label(id)}|`
}

/**
 * The picture of a catalogue in the language of Mermaid: events on the left, side effects on the right, a dotted arrow
 * where a condition decides, and the id of a binding that has one of its own.
 */
export const mermaid = (catalog: Catalog): string => {
  const all: ReadonlyArray<Entry> = [...catalog.events, ...catalog.sideEffects]
  const ids = new Map(all.map((entry, index) => [entry, `n${index}`]))
  const events = new Set<Entry>(catalog.events)
  const node = (entry: Entry): string =>
    events.has(entry) ? `${ids.get(entry)}(${label(entry.name)})` : `${ids.get(entry)}[${label(entry.name)}]`

  const known = new Map(catalog.groups.map((group, index) => [group.name, `g${index}`]))
  const home = collect(all, (entry) => entry.groups.find((name) => known.has(name)))
  const subgraphs = catalog.groups.flatMap((group) => {
    const entries = home.get(group.name) ?? []
    return entries.length === 0
      ? []
      : [`  subgraph ${known.get(group.name)}[${label(group.name)}]`, ...entries.map((e) => `    ${node(e)}`), "  end"]
  })
  const nodes = catalog.groups.length > 1
    ? [...subgraphs, ...(home.get(undefined) ?? []).map((entry) => `  ${node(entry)}`)]
    : all.map((entry) => `  ${node(entry)}`)

  const edges = arrows(catalog).map(({ binding, event, sideEffect }) =>
    `  ${ids.get(event)} ${arrow(binding)} ${ids.get(sideEffect)}`
  )
  return ["flowchart LR", ...nodes, ...edges, ""].join("\n")
}
