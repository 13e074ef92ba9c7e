import * as Engine from "../../engine/Engine.ts"
import * as EngineWorker from "../../engine/EngineWorker.ts"
import { enumerate } from "../../internal/lines.ts"
import { compilePattern } from "../../internal/pattern.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"

/** What one engine gets: `names` are all that entries may have, `sideEffects` those of the definitions. */
export interface Share {
  readonly engine: Engine.Engine<any, any>
  readonly names: ReadonlyArray<string>
  readonly sideEffects: ReadonlySet<string>
}

/** What a pattern matches, in names that nothing has: another one that matches them all covers it. */
const samplesOf = (pattern: string): ReadonlyArray<string> =>
  [[], ["~"], ["~", "~", "~"]].flatMap((any) => {
    const segments = pattern.split(":").flatMap((part) => part === "**" ? any : [part === "*" ? "~" : part])
    return segments.length === 0 ? [] : [segments.join(":")]
  })

/** Which engine gets what: that of the first pattern that matches. Throws where that cannot be meant. */
export const assign = (
  who: string,
  group: SideEffectGroup.Any,
  engines: Readonly<Record<string, Engine.Engine<any, any>>>
): { readonly shares: ReadonlyArray<Share>; readonly left: ReadonlyArray<string> } => {
  const routes = Object.entries(engines).map(([pattern, engine]) => ({
    pattern,
    engine,
    matches: compilePattern(pattern)
  }))
  const names = [...group.sideEffects.keys()]
  if (routes.length === 0) throw new Error(`${who} was given no engine. Name one: { "**": engine }.`)
  const other = routes.find(({ engine }) => !Engine.isEngine(engine))
  if (other !== undefined) {
    throw new Error(
      `${who} was given something else than an engine for "${other.pattern}". It takes a dispatcher of one, such as ` +
        "BullMqSideEffects.dispatcher(), or one made with Engine.dispatcher."
    )
  }
  const idle = routes.find(({ matches }) => !names.some(matches))
  if (idle !== undefined) {
    throw new Error(
      `${who} was given the pattern "${idle.pattern}", which matches no side effect of group "${group.name}". It has ${
        names.length === 0 ? "none" : enumerate(names)
      }.`
    )
  }
  routes.forEach(({ pattern }, index) => {
    const before = routes.slice(0, index).find(({ matches }) => samplesOf(pattern).every(matches))
    if (before === undefined) return
    throw new Error(
      `${who} was given the pattern "${pattern}" after "${before.pattern}", which takes all that it matches. Name ` +
        `"${pattern}" before "${before.pattern}", or leave it out.`
    )
  })
  const byEngine = new Map<Engine.Engine<any, any>, { names: Array<string>; sideEffects: Set<string> }>()
  const left = new Set<string>()
  for (const [name, { _tag }] of EngineWorker.namesOf(group)) {
    const route = routes.find(({ matches }) => matches(_tag))
    if (route === undefined) {
      left.add(_tag)
      continue
    }
    let share = byEngine.get(route.engine)
    if (share === undefined) byEngine.set(route.engine, share = { names: [], sideEffects: new Set() })
    share.names.push(name)
    share.sideEffects.add(_tag)
  }
  return { left: [...left], shares: Array.from(byEngine, ([engine, share]) => ({ engine, ...share })) }
}
