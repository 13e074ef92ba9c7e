import { plural } from "../../internal/describe.ts"
import type { Catalog, Entry } from "./model.ts"
import { script, scriptHash, style, styleHash } from "./page.ts"
import { fields } from "./payload.ts"
import { type Arrow, arrows, collect, destinations, position, rest, told } from "./view.ts"

/** From so many entries on, a row is one line: a long list is skimmed, a short one is read. */
const denseFrom = 120

/** Heights in pixels. The style sheet has the same ones: what is drawn here must meet the rows there. */
const heights = { head: 36, gap: 20, row: 50, denseRow: 30 }

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (char) => entities[char]!)

/** JSON inside a script element: no `<` can end it, and it is JavaScript, too. */
const embed = (u: unknown): string =>
  JSON.stringify(u).replace(/[<\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

interface Section {
  readonly title: string
  readonly entries: ReadonlyArray<Entry>
}

/** A stripe of the picture. It has a title of its own where both sides have the same. */
interface Band {
  readonly title: string | undefined
  readonly left: ReadonlyArray<Section>
  readonly right: ReadonlyArray<Section>
}

/** What belongs together: a group where there are several, else the first segment of the name. */
const sectionOf = (catalog: Catalog) => (entry: Entry): string =>
  catalog.groups.length > 1
    ? entry.groups[0] ?? ""
    : entry.name.includes(":")
    ? entry.name.slice(0, entry.name.indexOf(":"))
    : ""

const mean = (all: ReadonlyArray<number>): number =>
  all.length === 0 ? Number.POSITIVE_INFINITY : all.reduce((a, b) => a + b, 0) / all.length

/**
 * Left and right side by side where both have a section of the same name, else one under the other. A side effect stands
 * at the mean height of its events, as far as its section allows: few arrows cross.
 */
const bandsOf = (catalog: Catalog, all: ReadonlyArray<Arrow>): ReadonlyArray<Band> => {
  const section = sectionOf(catalog)
  const left = collect(catalog.events, section)
  const ranks = new Map<Entry, number>([...left.values()].flat().map((event, index) => [event, index]))
  const incoming = collect(all, (arrow) => arrow.sideEffect)
  const weights = new Map<Entry, number>(catalog.sideEffects.map((sideEffect) => [
    sideEffect,
    mean(
      (incoming.get(sideEffect) ?? []).map(({ event, order }) =>
        ranks.get(event)! + order / (event.bindings.length + 1)
      )
    )
  ]))
  const weight = (entry: Entry): number => weights.get(entry)!
  const byWeight = (a: number, b: number): number => a === b ? 0 : a - b
  const right = new Map(
    [...collect(catalog.sideEffects, section)].map(([title, entries]) =>
      [title, [...entries].sort((a, b) => byWeight(weight(a), weight(b)))] as const
    )
  )

  const places = new Map([
    ...[...right].map(([title, entries]) =>
      [title, mean(entries.map(weight).filter((n) => Number.isFinite(n)))] as const
    ),
    ...[...left].map(([title, entries]) => [title, mean(entries.map((event) => ranks.get(event)!))] as const)
  ])
  const bands: Array<{ title: string | undefined; left: Array<Section>; right: Array<Section> }> = []
  for (const [title] of [...places].sort((a, b) => byWeight(a[1], b[1]))) {
    const here = { left: left.get(title), right: right.get(title) }
    const last = bands.at(-1)
    const isShared = here.left !== undefined && here.right !== undefined
    const band = !isShared && last !== undefined && last.title === undefined
      ? last
      : { title: isShared ? title : undefined, left: [], right: [] }
    if (band !== last) bands.push(band)
    if (here.left) band.left.push({ title, entries: here.left })
    if (here.right) band.right.push({ title, entries: here.right })
  }
  return bands
}

/** Where the middle of each row is, and how high all is: what the style sheet does with these bands, in numbers. */
const layout = (bands: ReadonlyArray<Band>, rowHeight: number, hasTitles: boolean) => {
  const middles = new Map<Entry, number>()
  const titled = (band: Band): boolean => hasTitles && band.title === undefined
  const heightOf = (band: Band, side: ReadonlyArray<Section>): number =>
    side.reduce((sum, { entries }) => sum + (titled(band) ? heights.head : 0) + entries.length * rowHeight, 0)
  let y = 0
  for (const band of bands) {
    if (hasTitles && band.title !== undefined) y += heights.head
    const height = Math.max(heightOf(band, band.left), heightOf(band, band.right))
    for (const side of [band.left, band.right]) {
      let at = y + (height - heightOf(band, side)) / 2
      for (const section of side) {
        if (titled(band)) at += heights.head
        for (const entry of section.entries) {
          middles.set(entry, at + rowHeight / 2)
          at += rowHeight
        }
      }
    }
    y += height + heights.gap
  }
  return { middles, height: y }
}

const curve = (from: number, to: number): string => `M0 ${from}C50 ${from} 50 ${to} 100 ${to}`

/** The last segment says most: it is the last to be cut off. */
const nameHtml = (name: string): string => {
  const end = name.lastIndexOf(":") + 1
  const prefix = end === 0 ? "" : `<span>${escape(name.slice(0, end))}</span>`
  return `<span class="name">${prefix}<b>${escape(name.slice(end))}</b></span>`
}

const details = (entry: Entry) => ({
  name: entry.name,
  exportName: entry.exportName,
  groups: entry.groups,
  summary: entry.summary,
  rest: rest(entry),
  owner: entry.owner,
  tags: entry.tags,
  annotations: entry.annotations,
  source: entry.source && position(entry.source),
  fields: entry.payload && fields(entry.payload),
  payload: entry.payload
})

const dataOf = (catalog: Catalog, keys: ReadonlyMap<Entry, string>, all: ReadonlyArray<Arrow>) => ({
  owners: Object.fromEntries(catalog.groups.flatMap(({ name, owner }) => owner === undefined ? [] : [[name, owner]])),
  events: catalog.events.map(details),
  sideEffects: catalog.sideEffects.map((sideEffect) => ({
    ...details(sideEffect),
    hasIdempotencyKey: sideEffect.hasIdempotencyKey,
    defaults: sideEffect.defaults,
    enqueuedBy: sideEffect.enqueuedBy,
    destinations: destinations(sideEffect).join("; ") || undefined
  })),
  arrows: all.map(({ binding, event, order, sideEffect }) => ({
    from: keys.get(event),
    to: keys.get(sideEffect),
    order,
    as: binding.kind === "event" ? undefined : binding.from,
    when: binding.conditional || undefined,
    priority: binding.priority === 0 ? undefined : binding.priority,
    enqueue: told(binding.enqueue).join(", ") || undefined,
    source: binding.source && position(binding.source)
  })),
  unmatched: catalog.bindings.filter(({ events }) => events.length === 0).map((binding) => ({
    from: binding.from,
    to: binding.sideEffect,
    source: binding.source && position(binding.source)
  }))
})

const pictureOf = (catalog: Catalog, keys: ReadonlyMap<Entry, string>, all: ReadonlyArray<Arrow>): string => {
  const dense = catalog.events.length + catalog.sideEffects.length >= denseFrom
  const bands = bandsOf(catalog, all)
  const hasTitles = new Set(bands.flatMap(({ left, right }) => [...left, ...right]).map(({ title }) => title)).size > 1
  const { height, middles } = layout(bands, dense ? heights.denseRow : heights.row, hasTitles)
  const outgoing = collect(all, (arrow) => arrow.event)
  const reached = new Set(all.map((arrow) => arrow.sideEffect as Entry))

  const chip = ({ binding, sideEffect }: Arrow): string => {
    const how = [...binding.conditional ? ["when"] : [], ...told(binding.enqueue)].join(", ")
    return `<li><button type="button" class="to" data-key="${keys.get(sideEffect)}">${
      escape(sideEffect.name)
    }</button>${how === "" ? "" : `<i>${escape(how)}</i>`}</li>`
  }
  const row = (entry: Entry): string => {
    const then = outgoing.get(entry as Arrow["event"]) ?? []
    return `<li class="row${reached.has(entry) ? " reached" : ""}" data-key="${
      keys.get(entry)
    }"><button type="button" class="node" title="${escape(entry.name)}">${nameHtml(entry.name)}<span class="summary">${
      escape(entry.summary)
    }</span></button>${then.length === 0 ? "" : `<ol class="then">${then.map(chip).join("")}</ol>`}</li>`
  }
  const title = (text: string): string => `<h3>${escape(text === "" ? "without a group" : text)}</h3>`
  const side = (band: Band, name: "left" | "right", label: string): string =>
    `<div class="side ${name}">${
      band[name].map((section) =>
        `<section>${hasTitles && band.title === undefined ? title(section.title) : ""}<ul aria-label="${label}">${
          section.entries.map(row).join("")
        }</ul></section>`
      ).join("")
    }</div>`
  const band = (self: Band): string =>
    `<div class="band">${hasTitles && self.title !== undefined ? title(self.title) : ""}<div class="sides">${
      side(self, "left", "Events")
    }${side(self, "right", "Side effects")}</div></div>`
  const edge = ({ binding, event, sideEffect }: Arrow): string =>
    `<path data-from="${keys.get(event)}" data-to="${keys.get(sideEffect)}"${
      binding.conditional ? " class=\"when\"" : ""
    } d="${curve(middles.get(event)!, middles.get(sideEffect)!)}"/>`

  return `<div id="picture" class="picture${dense ? " dense" : ""}">
<svg aria-hidden="true" preserveAspectRatio="none" viewBox="0 0 100 ${height}" height="${height}"><g class="all">${
    all.map(edge).join("")
  }</g><g class="on"></g></svg>
${bands.map(band).join("\n")}
</div>`
}

const shell = (title: string, body: string): string =>
  `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${styleHash}'; script-src '${scriptHash}'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`

/** The catalogue as one page that needs nothing else: a picture to look at, a search, and the details of each entry. */
export const html = (catalog: Catalog, options?: { readonly title?: string | undefined }): string => {
  const title = options?.title ?? "What happens when"
  const heading = (inner: string): string => `<header class="top"><h1>${escape(title)}</h1>${inner}</header>`
  if (catalog.events.length + catalog.sideEffects.length === 0) {
    return shell(
      title,
      `${heading("")}
<main class="empty"><h2>Nothing here yet</h2>
<p>This catalogue has no event and no side effect. As soon as a group has one, it is drawn here.</p></main>`
    )
  }
  const all = arrows(catalog)
  const keys = new Map<Entry, string>([
    ...catalog.events.map((event, index) => [event, `e${index}`] as const),
    ...catalog.sideEffects.map((sideEffect, index) => [sideEffect, `s${index}`] as const)
  ])
  const counts = `${plural(catalog.events.length, "event")}, ${plural(catalog.sideEffects.length, "side effect")}, ${
    plural(catalog.bindings.length, "binding")
  }`
  return shell(
    title,
    `${
      heading(`<p class="counts" id="count" role="status">${counts}</p>
<div class="search" role="search"><input id="search" type="search" aria-label="Search by name, summary, owner or tag" placeholder="Name, summary, owner or tag" autocomplete="off" spellcheck="false"><kbd aria-hidden="true">/</kbd></div>`)
    }
<div class="page">
<main>
<div class="columns"><h2>Events</h2><p class="legend" title="Only when the condition of the binding holds">conditional</p><h2>Side effects</h2></div>
${pictureOf(catalog, keys, all)}
<div id="none" class="none" hidden><p><b>Nothing matches.</b> Try a part of a name, a word of a summary, an owner or a tag.</p><button type="button" class="plain" id="clear">Show everything</button></div>
</main>
<aside id="details" aria-label="Details" tabindex="-1"></aside>
</div>
<noscript><p class="noscript">Search and details need JavaScript.</p></noscript>
<script type="application/json" id="data">${embed(dataOf(catalog, keys, all))}</script>
<script>${script}</script>`
  )
}
