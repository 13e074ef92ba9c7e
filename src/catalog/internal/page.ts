/** The looks of the page. The heights of rows and titles are known to `html.ts`, too. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #f8f8f7; --paper: #fff; --ink: #1d2024; --soft: #5b616a; --off: #a4a9b0; --line: #dfe1e4; --edge: #b4bac3;
  --event: #2456c7; --event-ground: #edf2fd; --effect: #a34a0b; --effect-ground: #fdf2e9;
  --mono: ui-monospace, "SF Mono", SFMono-Regular, Menlo, Consolas, "Liberation Mono", "DejaVu Sans Mono", monospace;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif;
  --top: 56px; --head: 36px; --row: 50px; --node: 42px;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #141619; --paper: #1c1f23; --ink: #e6e8eb; --soft: #a0a7b1; --off: #5f666f; --line: #2e3238; --edge: #4c535d;
    --event: #8fb3ff; --event-ground: #1c2740; --effect: #f0a673; --effect-ground: #37261a;
  }
}
* { box-sizing: border-box; margin: 0; }
[hidden] { display: none !important; }
html { scroll-padding: calc(var(--top) + 60px) 0 24px; }
body { background: var(--ground); color: var(--ink); font: 14px/1.5 var(--sans); -webkit-text-size-adjust: 100%; }
button, input { font: inherit; color: inherit; }
button { cursor: pointer; text-align: left; }
:focus-visible { outline: 2px solid var(--event); outline-offset: 2px; }
ul, ol { list-style: none; padding: 0; }
code, .name, .to, .link { font-family: var(--mono); }

.top { position: sticky; top: 0; z-index: 3; display: flex; align-items: center; gap: 4px 16px; height: var(--top); padding: 0 24px;
  background: var(--paper); border-bottom: 1px solid var(--line); }
h1 { flex: 0 0 auto; max-width: 60%; font-size: 16px; font-weight: 650; letter-spacing: -.005em; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.counts { color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.search { position: relative; margin-left: auto; flex: 0 9999 320px; min-width: 200px; }
.search input { width: 100%; height: 34px; padding: 0 34px 0 12px; border: 1px solid var(--line); border-radius: 8px; background: var(--ground); }
.search input::placeholder { color: var(--soft); opacity: 1; }
.search kbd { position: absolute; right: 8px; top: 7px; width: 20px; height: 20px; border: 1px solid var(--line); border-radius: 4px;
  color: var(--soft); font: 12px/18px var(--mono); text-align: center; pointer-events: none; }
.search input:focus + kbd, .search input:not(:placeholder-shown) + kbd { display: none; }

.page { display: grid; grid-template-columns: minmax(0, 1fr) 400px; max-width: 1760px; margin: 0 auto; }
main { padding: 0 32px 48px 24px; min-width: 0; }
.columns, .sides { display: grid; grid-template-columns: minmax(0, 38fr) minmax(72px, 24fr) minmax(0, 38fr); }
.columns { position: sticky; top: var(--top); z-index: 2; align-items: center; padding: 14px 0 8px; background: var(--ground); }
h2 { font-size: 13px; font-weight: 650; }
.legend { display: flex; align-items: center; justify-content: center; color: var(--soft); font-size: 12px; white-space: nowrap; }
.legend::before { content: ""; width: 22px; margin-right: 6px; border-top: 1.5px dashed var(--soft); }

.picture { position: relative; }
.picture svg { position: absolute; top: 0; left: 38%; width: 24%; pointer-events: none; }
.band { padding-bottom: 20px; }
.side { display: flex; flex-direction: column; justify-content: center; grid-column: 1; }
.right { grid-column: 3; }
h3 { height: var(--head); padding-top: 10px; font-size: 12px; font-weight: 500; line-height: 18px; color: var(--soft);
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.band > h3 { display: flex; align-items: center; gap: 12px; padding: 0; }
.band > h3::after { content: ""; flex: 1; border-top: 1px solid var(--line); }
.row { position: static; display: flex; align-items: center; height: var(--row); }
.node { position: relative; display: flex; flex-direction: column; justify-content: center; width: 100%; height: var(--node); padding: 0 16px;
  border: 1px solid var(--line); border-radius: 8px; background: var(--paper); min-width: 0; }
.left .node { border-radius: 21px; }
.node::after { content: ""; position: absolute; top: 50%; width: 7px; height: 7px; margin: -4px; border: 1px solid var(--paper); box-sizing: content-box; background: var(--event); border-radius: 50%; }
.left .node::after { right: -1px; }
.right .node::after { left: -1px; background: var(--effect); border-radius: 2px; }
.node:hover { border-color: var(--edge); }
.name { display: flex; font-size: 12.5px; line-height: 17px; white-space: nowrap; }
.name span { flex: 0 1 auto; min-width: 0; overflow: hidden; text-overflow: ellipsis; color: var(--soft); }
.name b { flex: 0 0 auto; max-width: 100%; overflow: hidden; text-overflow: ellipsis; font-weight: 600; }
.summary { font-size: 12px; line-height: 16px; color: var(--soft); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.then { display: none; }
.dense { --row: 30px; --node: 26px; }
.dense .summary { display: none; }
/* Of thousands of rows only those in sight cost anything. What sticks out of them has to fit into them, then. */
.dense .row { content-visibility: auto; contain-intrinsic-size: auto var(--row); }
@media screen and (min-width: 720px) {
  .dense .left .row { margin-right: -8px; padding-right: 8px; }
  .dense .right .row { margin-left: -64px; padding-left: 64px; }
}
.dense .node { border-color: transparent; background: none; }
.dense .node:hover { border-color: var(--edge); }

path { fill: none; stroke: var(--edge); stroke-width: 1.25; vector-effect: non-scaling-stroke; }
.when { stroke-dasharray: 4 4; }
.dense .all path { stroke-width: 1; }
.from-event .on path { stroke: var(--event); stroke-width: 1.75; }
.from-effect .on path { stroke: var(--effect); stroke-width: 1.75; }
.focus .all { opacity: .3; }
.focus .row:not(.on) .node, .focus .row:not(.on) .node span { color: var(--off); }
.context:not(.on) .node { background: none; }
.context:not(.on) .name b { color: var(--soft); font-weight: 400; }
.focus .row:not(.on) .node::after { opacity: .4; }
.left .on .node { border-color: var(--event); }
.right .on .node { border-color: var(--effect); }
.left .selected .node { background: var(--event-ground); border-color: var(--event); box-shadow: inset 0 0 0 1px var(--event); }
.right .selected .node { background: var(--effect-ground); border-color: var(--effect); box-shadow: inset 0 0 0 1px var(--effect); }
.right .node[data-order]::before { content: attr(data-order); position: absolute; left: -12px; top: 50%; transform: translate(-100%, -50%); min-width: 18px; padding: 0 5px;
  border-radius: 9px; background: var(--event); color: var(--paper); font: 600 11px/18px var(--sans); text-align: center; font-variant-numeric: tabular-nums; }

aside { position: sticky; top: var(--top); height: calc(100vh - var(--top)); overflow: auto; overscroll-behavior: contain; padding: 20px 24px 32px;
  background: var(--paper); border-left: 1px solid var(--line); outline: none; }
.page > aside { border-right: 0; }
aside h2 { font: 600 16px/1.35 var(--mono); overflow-wrap: anywhere; padding-right: 28px; }
aside h2 span { color: var(--soft); font-weight: 400; }
aside h3 { height: auto; padding: 22px 0 6px; font-size: 12px; font-weight: 650; color: var(--ink); white-space: normal; }
aside p { white-space: pre-line; overflow-wrap: anywhere; }
aside p + p { margin-top: 8px; }
aside .kind { display: flex; align-items: center; gap: 8px; margin-bottom: 4px; font-size: 12px; font-weight: 600; color: var(--event); }
aside .kind::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: currentColor; }
aside .kind.effect { color: var(--effect); }
aside .kind.effect::before { border-radius: 2px; }
aside .lead { margin-top: 10px; font-size: 15px; }
.soft { color: var(--soft); }
.close { position: absolute; top: 14px; right: 16px; width: 30px; height: 30px; border: 0; border-radius: 6px; background: none; color: var(--soft); font-size: 18px; line-height: 1; text-align: center; }
.close:hover, .plain:hover { background: var(--ground); color: var(--ink); }
.plain { padding: 5px 12px; border: 1px solid var(--line); border-radius: 6px; background: var(--paper); font-size: 13px; }
aside .plain { margin-top: 14px; }
.steps > li { display: grid; grid-template-columns: 24px minmax(0, 1fr); padding: 6px 0; border-top: 1px solid var(--line); font-size: 13px; }
.steps > li:first-child { border-top: 0; }
.steps.bare > li { display: block; }
.steps .no { color: var(--soft); font-variant-numeric: tabular-nums; }
.steps small { display: block; color: var(--soft); font-size: 12px; overflow-wrap: anywhere; }
.link { padding: 0; border: 0; background: none; font-size: 12.5px; color: var(--event); overflow-wrap: anywhere; }
.link.effect { color: var(--effect); }
.link:hover { text-decoration: underline; text-underline-offset: 3px; }
.badge { display: inline-block; margin-left: 8px; padding: 0 6px; border: 1px dashed var(--soft); border-radius: 4px; color: var(--soft); font-size: 11px; line-height: 16px; }
.fields > li { padding: 6px 0; border-top: 1px solid var(--line); font-size: 12.5px; overflow-wrap: anywhere; }
.fields > li:first-child { border-top: 0; }
.fields b { font: 600 12.5px/1.5 var(--mono); }
.fields code { margin-left: 6px; color: var(--soft); }
.fields p { color: var(--soft); }
dl { display: grid; grid-template-columns: 104px minmax(0, 1fr); gap: 4px 12px; font-size: 13px; }
dt { color: var(--soft); }
dd { overflow-wrap: anywhere; }
dd code, p code { font-size: 12.5px; }
.tag { display: inline-block; margin: 0 6px 4px 0; padding: 0 8px; border: 1px solid var(--line); border-radius: 10px; background: none; font-size: 12px; line-height: 19px; }
.tag:hover { border-color: var(--edge); }
details { margin-top: 8px; font-size: 12.5px; }
summary { cursor: pointer; color: var(--soft); }
pre { margin-top: 6px; padding: 10px 12px; overflow: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); font: 12px/1.5 var(--mono); }
.none, .empty { max-width: 460px; margin: 12vh auto; padding: 0 24px; text-align: center; color: var(--soft); }
.none b, .empty h2 { color: var(--ink); font-size: 16px; }
.none .plain { margin-top: 14px; }
.noscript { padding: 12px 24px; color: var(--soft); }

@media (max-width: 1099px) {
  .page { display: block; }
  main { padding: 0 24px 32px; }
  aside { position: static; height: auto; border-left: 0; border-top: 1px solid var(--line); }
  .has-selection aside { position: fixed; z-index: 4; inset: auto 0 0; top: auto; max-height: 46vh; border-top: 1px solid var(--edge); box-shadow: 0 -8px 32px rgb(0 0 0 / .16); }
  .has-selection main { padding-bottom: 50vh; }
}
@media (max-width: 719px) {
  :root { --top: 116px; }
  html { scroll-padding-top: 80px; }
  .top { top: -54px; display: block; padding: 10px 16px 0; }
  h1 { max-width: none; line-height: 24px; }
  .counts { height: 20px; font-size: 12px; }
  .search { margin: 10px 0 0; }
  .search input { font-size: 16px; }
  main { padding: 4px 16px 24px; }
  .has-selection aside { max-height: 64vh; }
  .has-selection main { padding-bottom: 68vh; }
}
@media (max-width: 719px), print {
  .columns, .picture svg, .node::after, .right .node[data-order]::before { display: none !important; }
  .sides { display: block; }
  .band { padding-bottom: 4px; }
  .row { display: block; height: auto; margin-bottom: 10px; border: 1px solid var(--line); border-radius: 10px; background: var(--paper); overflow: hidden; break-inside: avoid; }
  .row.selected { border-color: var(--event); }
  .left .selected .node, .right .selected .node { box-shadow: none; }
  .dense .row { contain-intrinsic-size: auto 160px; }
  .right .reached { display: none; }
  .left .node, .right .node, .dense .node { display: block; height: auto; padding: 10px 14px; border: 0; border-radius: 0; background: none; box-shadow: none; }
  .name, .name span, .name b, .summary, .dense .summary { display: inline; white-space: normal; overflow-wrap: anywhere; }
  .summary, .dense .summary { display: block; font-size: 13px; line-height: 1.45; margin-top: 2px; }
  .right .summary::after { content: "No event leads to it."; display: block; }
  .then { display: block; padding: 0 14px 10px; counter-reset: n; }
  .then li { display: flex; align-items: baseline; gap: 8px; padding: 3px 0; counter-increment: n; font-size: 12.5px; }
  .then li::before { content: counter(n); color: var(--soft); min-width: 10px; font-variant-numeric: tabular-nums; }
  .then i { margin-left: auto; padding: 0 6px; border: 1px dashed var(--soft); border-radius: 4px; color: var(--soft); font-size: 11px; font-style: normal; }
  .to { padding: 3px 0; border: 0; background: none; color: var(--effect); overflow-wrap: anywhere; }
  .to.context { color: var(--soft); }
  .to.chosen { font-weight: 600; text-decoration: underline; text-underline-offset: 3px; }
  .focus .row:not(.on) .node, .focus .row:not(.on) .node span { color: inherit; }
  .focus .row:not(.on) .node span { color: var(--soft); }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --paper: #fff; --ink: #000; --soft: #444; --off: #444; --line: #bbb; --edge: #888; --event: #1c46a3; --event-ground: #fff; --effect: #7a3606; --effect-ground: #fff; }
  .top { position: static; border: 0; padding: 0 0 8px; }
  .search, .noscript, .close, aside, .plain { display: none !important; }
  .has-selection aside { display: block !important; position: static; max-height: none; height: auto; padding: 12px 0; border: 0; box-shadow: none; }
  .page { display: block; }
  main { padding: 0 !important; }
  .band { columns: 2; column-gap: 16px; }
  .band > h3 { column-span: all; break-after: avoid; }
  .dense .row { content-visibility: visible; }
}
@media (prefers-reduced-motion: no-preference) { .node { transition: border-color .12s; } }
`

/**
 * What the page does. A string, as it runs elsewhere: no build may touch it. It sets text only as text, and reads all it
 * knows from the element `data`.
 */
export const script = `
"use strict"
{
  const $ = (id) => document.getElementById(id)
  const data = JSON.parse($("data").textContent)
  const picture = $("picture"), panel = $("details"), search = $("search"), count = $("count"), root = document.body
  const svg = picture.querySelector("svg"), [gAll, gOn] = svg.children
  const narrow = matchMedia("(max-width: 719px)")

  const entries = new Map()
  const add = (letter, kind) => (entry, index) => {
    const text = [entry.name, entry.exportName, entry.summary, entry.owner, ...entry.tags].join(" ").toLowerCase()
    entries.set(letter + index, { ...entry, kind, key: letter + index, text, arrows: [] })
  }
  data.events.forEach(add("e", "event"))
  data.sideEffects.forEach(add("s", "effect"))
  const byHash = new Map()
  for (const entry of entries.values()) {
    entry.hash = byHash.has(entry.name) ? "~" + entry.name : entry.name
    byHash.set(entry.hash, entry)
  }
  for (const row of picture.querySelectorAll(".row")) entries.get(row.dataset.key).row = row
  const chips = [...picture.querySelectorAll(".to")]
  data.arrows.forEach((arrow, index) => {
    arrow.path = gAll.children[index]
    arrow.ends = [entries.get(arrow.from), entries.get(arrow.to)]
    for (const end of arrow.ends) end.arrows.push(arrow)
  })
  for (const arrow of data.arrows) arrow.path.remove(), gAll.append(arrow.path)
  const allCounts = count.textContent

  let selected, hovered, query = "", only = false, filter = ""

  const h = (tag, props, ...children) => {
    const node = Object.assign(document.createElement(tag), props)
    node.append(...children.flat().filter((child) => child != null && child !== false))
    return node
  }
  const plural = (n, noun) => n + " " + noun + (n === 1 ? "" : "s")
  const other = (entry, arrow) => arrow.ends[arrow.ends[0] === entry ? 1 : 0]

  const draw = () => {
    if (narrow.matches) return
    const middle = new Map()
    let half
    for (const entry of entries.values()) {
      if (entry.row.hidden) continue
      half ??= entry.row.offsetHeight / 2
      middle.set(entry, entry.row.offsetTop + half)
    }
    const height = picture.offsetHeight
    svg.setAttribute("viewBox", "0 0 100 " + height)
    svg.setAttribute("height", height)
    for (const { ends, path } of data.arrows) {
      const [from, to] = ends.map((end) => middle.get(end))
      const d = from === undefined || to === undefined ? "" : "M0 " + from + "C50 " + from + " 50 " + to + " 100 " + to
      if (path.getAttribute("d") !== d) path.setAttribute("d", d)
    }
  }

  const show = () => {
    const key = query + "\\n" + (only ? selected?.key : "")
    if (key === filter) return
    filter = key
    const terms = query.toLowerCase().split(/\\s+/).filter(Boolean)
    const matches = new Set(), visible = new Set()
    const near = only && selected && new Set([selected, ...selected.arrows.map((arrow) => other(selected, arrow))])
    for (const entry of entries.values()) {
      if (!terms.every((term) => entry.text.includes(term)) || (near && !near.has(entry))) continue
      matches.add(entry)
      visible.add(entry)
      if (terms.length > 0) for (const arrow of entry.arrows) visible.add(other(entry, arrow))
    }
    for (const entry of entries.values()) {
      const hidden = !visible.has(entry)
      if (entry.row.hidden !== hidden) entry.row.hidden = hidden
      entry.row.classList.toggle("context", !hidden && !matches.has(entry))
    }
    for (const chip of chips) chip.classList.toggle("context", !matches.has(entries.get(chip.dataset.key)))
    for (const part of [...picture.querySelectorAll("section"), ...picture.querySelectorAll(".band")]) {
      part.hidden = !part.querySelector(".row:not([hidden])")
    }
    const events = [...matches].filter((entry) => entry.kind === "event").length
    count.textContent = terms.length === 0 && !near ? allCounts
      : matches.size === 0 ? "nothing matches"
      : [events && plural(events, "event"), matches.size > events && plural(matches.size - events, "side effect")].filter(Boolean).join(" and ") +
        (matches.size === 1 ? " matches" : " match")
    $("none").hidden = matches.size > 0
    draw()
  }

  let lit = []
  const light = () => {
    const focus = hovered ?? selected
    for (const node of lit) node.classList.remove("on"), delete node.firstElementChild.dataset.order
    for (const path of [...gOn.children]) gAll.append(path)
    picture.classList.toggle("focus", focus !== undefined)
    picture.classList.toggle("from-event", focus?.kind === "event")
    picture.classList.toggle("from-effect", focus?.kind === "effect")
    lit = []
    if (focus === undefined) return
    const lightUp = (entry) => (entry.row.classList.add("on"), lit.push(entry.row))
    lightUp(focus)
    for (const arrow of focus.arrows) {
      gOn.append(arrow.path)
      const to = other(focus, arrow)
      lightUp(to)
      const shown = to.row.firstElementChild.dataset
      if (focus.kind === "event") shown.order = (shown.order ? shown.order + ", " : "") + arrow.order
    }
  }

  const link = (entry) => h("button", { type: "button", className: "link " + entry.kind, onclick: (event) => select(entry, true, event) }, ...wrap(entry.name))
  const wrap = (name) => name.split(/(?<=:)/).flatMap((part) => [part, document.createElement("wbr")])
  const code = (text) => h("code", {}, text)
  const block = (title, ...children) => [h("h3", {}, title), ...children]
  const facts = (all) => {
    const known = all.filter(([, value]) => value !== undefined && value.length !== 0)
    return known.length > 0 && h("dl", {}, ...known.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]))
  }
  const step = (no, head, arrow, ...more) => h("li", {},
    no > 0 && h("span", { className: "no" }, no),
    h("div", {}, head, arrow.when && h("span", { className: "badge", title: "Only when the condition of its binding holds" }, "when"), ...more,
      (arrow.as || arrow.priority || arrow.enqueue || arrow.source) && h("small", {}, [
        arrow.as && "bound as " + arrow.as, arrow.priority && "priority " + arrow.priority, arrow.enqueue, arrow.source
      ].filter(Boolean).join(" · "))))
  const field = (it) => h("li", {}, h("b", {}, it.name), " ", code(it.type), !it.required && h("span", { className: "badge" }, "optional"),
    it.description && h("p", {}, it.description))
  const payload = (entry) => block("Payload",
    entry.payload === undefined ? h("p", { className: "soft" }, "None.")
      : entry.fields === undefined ? h("pre", {}, JSON.stringify(entry.payload, null, 2))
      : [
        entry.fields.length === 0 ? h("p", { className: "soft" }, "An object without fields.") : h("ul", { className: "fields" }, ...entry.fields.map(field)),
        h("details", {}, h("summary", {}, "JSON Schema"), h("pre", {}, JSON.stringify(entry.payload, null, 2)))
      ])
  const steps = (items) => h("ol", { className: "steps" }, ...items)
  const bare = (items) => h("ul", { className: "steps bare" }, ...items.map((item) => h("li", {}, item)))

  const leadsOn = (entry) => block("Enqueues, in this order", entry.arrows.length === 0
    ? h("p", { className: "soft" }, "Nothing: no side effect is bound to it.")
    : steps(entry.arrows.map((arrow) => step(arrow.order, link(arrow.ends[1]), arrow, h("small", {}, arrow.ends[1].summary)))))
  const comesFrom = (entry) => {
    const dead = data.unmatched.filter((binding) => binding.to === entry.name)
    return [
      block("Triggered by", entry.arrows.length + dead.length === 0
        ? h("p", { className: "soft" }, "No event.")
        : h("ul", { className: "steps bare" },
          ...entry.arrows.map((arrow) => step(0, link(arrow.ends[0]), arrow, h("small", {}, arrow.ends[0].summary))),
          ...dead.map((binding) => step(0, code(binding.from), binding, h("small", {}, "matches no event")))
        )),
      entry.enqueuedBy.length > 0 && block("Enqueued by", bare(entry.enqueuedBy.map(code))),
    ]
  }
  const tag = (name) => h("button", { type: "button", className: "tag", title: "Search for " + name, onclick: () => find(name) }, name)
  const about = (entry) => block("About", facts([
    ["Owner", entry.owner], ["Tags", entry.tags.map(tag)],
    ["Groups", entry.groups.map((name) => name + (data.owners[name] ? " (" + data.owners[name] + ")" : "")).join(", ")],
    ["Timeout", entry.defaults?.timeout], ["Retry", entry.defaults?.retry], ["Attempts", entry.defaults?.attempts],
    ["Concurrency", entry.defaults?.concurrency], ["Queue", entry.defaults?.queue], ["Priority", entry.defaults?.priority],
    ["Idempotency", entry.hasIdempotencyKey ? "has a key of its own" : undefined], ["Goes to", entry.destinations],
    ["Class", entry.exportName && code(entry.exportName)],
    ...Object.entries(entry.annotations).map(([key, value]) => [key, typeof value === "string" ? value : code(JSON.stringify(value))]),
    ["Source", entry.source && code(entry.source)]
  ]))

  const entryPanel = (entry) => {
    const end = entry.name.lastIndexOf(":") + 1
    return [
      h("p", { className: "kind " + entry.kind }, entry.kind === "event" ? "Event" : "Side effect"),
      h("button", { type: "button", className: "close", title: "Close (Escape)", ariaLabel: "Close", onclick: (event) => select(undefined, false, event) }, "×"),
      h("h2", { id: "title", tabIndex: -1 }, h("span", {}, ...wrap(entry.name.slice(0, end))), entry.name.slice(end)),
      h("p", { className: "lead" }, entry.summary),
      entry.rest && h("p", {}, entry.rest),
      entries.size > 60 && h("button", { type: "button", className: "plain", ariaPressed: String(only), onclick: () => (only = !only, render(), panel.querySelector(".plain").focus()) },
        only ? "Show everything" : "Show only what is connected"),
      entry.kind === "event" ? leadsOn(entry) : comesFrom(entry),
      payload(entry), about(entry)
    ]
  }
  const many = 12
  const worth = (title, items) => items.length > 0 && block(title + " (" + items.length + ")", bare([
    ...items.slice(0, many),
    ...(items.length > many ? [h("span", { className: "soft" }, "and " + (items.length - many) + " more")] : [])
  ]))
  const overviewPanel = () => {
    const all = [...entries.values()]
    return [
      h("p", { className: "lead" }, "Pick an event to see what it leads to, or a side effect to see where it comes from."),
      h("p", { className: "soft" }, "/ searches, the arrow keys move, Escape goes back."),
      worth("Events that lead to nothing", all.filter((it) => it.kind === "event" && it.arrows.length === 0).map(link)),
      worth("Side effects that no event leads to", all.filter((it) => it.kind === "effect" && it.arrows.length === 0).map(link)),
      worth("Bindings that match no event", data.unmatched.map((binding) => code(binding.from)))
    ]
  }

  const render = () => {
    root.classList.toggle("has-selection", selected !== undefined)
    for (const row of picture.querySelectorAll(".selected")) row.classList.remove("selected"), row.firstElementChild.removeAttribute("aria-current")
    selected?.row.classList.add("selected")
    selected?.row.firstElementChild.setAttribute("aria-current", "true")
    for (const chip of chips) chip.classList.toggle("chosen", chip.dataset.key === selected?.key)
    panel.replaceChildren(...(selected ? entryPanel(selected) : overviewPanel()).flat(3).filter(Boolean))
    panel.scrollTop = 0
    show()
    light()
  }

  const write = (push) => {
    const hash = "#" + (selected?.hash ?? "") + (query ? "?q=" + encodeURIComponent(query) : "")
    if (hash !== (location.hash || "#")) history[push ? "pushState" : "replaceState"](null, "", hash)
  }
  /* Who uses the keyboard is taken to what the selection has opened, and back to where it was made. */
  const select = (entry, reveal, event) => {
    const last = selected, byKey = event && event.detail === 0
    if (entry !== last) hovered = undefined, only = only && entry !== undefined
    selected = entry
    write(true)
    render()
    if (reveal && entry) seek(entry.row)
    if (byKey && entry) $("title").focus({ preventScroll: true })
    else if (byKey && last.row.offsetHeight > 0) last.row.firstElementChild.focus({ preventScroll: true })
  }
  const seek = (row) => {
    const { bottom, top } = row.getBoundingClientRect()
    const covered = getComputedStyle(panel).position === "fixed"
    const limit = covered ? panel.getBoundingClientRect().top : innerHeight
    if (bottom - top > 0 && (top < 120 || bottom > limit)) row.scrollIntoView({ block: covered ? "start" : "center" })
  }
  const find = (text) => {
    query = text.trim()
    if (search.value !== text) search.value = text
    write(false)
    show()
  }
  const read = () => {
    const [name, q = ""] = location.hash.slice(1).split("?q=")
    const plain = (text) => { try { return decodeURIComponent(text) } catch { return text } }
    selected = byHash.get(plain(name))
    only = only && selected !== undefined
    query = plain(q)
    search.value = query
    render()
    if (selected) seek(selected.row)
  }

  const entryAt = (event) => {
    const node = event.target.closest?.(".to, .row")
    return node ? entries.get(node.dataset.key) : undefined
  }
  const hover = (entry) => { if (entry !== hovered) hovered = entry, light() }
  picture.addEventListener("click", (event) => {
    const entry = event.target.closest("button") && entryAt(event)
    if (!entry) return
    select(entry === selected ? undefined : entry, false, event)
  })
  picture.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse") hover(event.target.closest("button") ? entryAt(event) : undefined) })
  picture.addEventListener("pointerleave", () => hover(undefined))
  picture.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) hover(entryAt(event)) })
  picture.addEventListener("focusout", () => hover(undefined))
  search.addEventListener("input", () => find(search.value))
  $("clear").addEventListener("click", () => (only = false, find(""), search.focus()))
  addEventListener("hashchange", read)
  narrow.addEventListener("change", draw)

  const visible = (selector) => [...picture.querySelectorAll(selector)].filter((row) => row.offsetHeight > 0)
  const move = (row, key) => {
    const entry = entries.get(row.dataset.key)
    if (key === "ArrowUp" || key === "ArrowDown") {
      const rows = visible(row.closest(".left") ? ".left .row" : ".right .row")
      return rows[rows.indexOf(row) + (key === "ArrowUp" ? -1 : 1)]
    }
    if ((key === "ArrowRight") !== (entry.kind === "event")) return
    return entry.arrows.map((arrow) => other(entry, arrow).row).find((row) => row.offsetHeight > 0)
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const { key } = event
    if (key === "/" && event.target !== search) {
      event.preventDefault()
      search.select()
    } else if (key === "Escape") {
      if (event.target === search && search.value !== "") return event.preventDefault(), find("")
      if (event.target === search) search.blur()
      if (selected) select(undefined, false, panel.contains(event.target) ? event : undefined)
      else if (query) find("")
    } else if (key.startsWith("Arrow") && event.target.matches?.(".node")) {
      const to = move(event.target.parentElement, key)
      if (to) event.preventDefault(), to.firstElementChild.focus()
    }
  })
  read()
}
`

/** Of `style` and `script`, for the Content-Security-Policy. A test knows what they must be. */
export const styleHash = "sha256-ia3UDxpa9X0tefQGiiIWoS4mORV7AKig2crRs2p3Z94="
export const scriptHash = "sha256-gyejTzEjKvzopsTd+Zxfun9uKU4uDkPM3gt4mknSTAg="
