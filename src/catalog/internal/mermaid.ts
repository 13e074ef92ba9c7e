import type { Catalog, Entry } from "./model.ts"
import { arrows, collect } from "./view.ts"

/**
 * Mermaid reads Markdown in labels: `_` at the edge of a word is emphasis, `1.` and `-` begin a list, `www.` a link. It
 * reads none of it in an entity.
 */
const label = (name: string): string =>
  `"${
    name.replace(
      /[^A-Za-z0-9:._-]|(?<![A-Za-z0-9])[._-]|[._-](?![A-Za-z0-9])|(?<=^www)\./g,
      (char) => `#${char.codePointAt(0)};`
    )
  }"`

/**
 * The picture of a catalogue in the language of Mermaid: events on the left, side effects on the right, a dotted arrow
 * where a condition decides.
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
    `  ${ids.get(event)} ${binding.conditional ? "-. when .->" : "-->"} ${ids.get(sideEffect)}`
  )
  return ["flowchart LR", ...nodes, ...edges, ""].join("\n")
}
