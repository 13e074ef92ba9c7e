import type { BindingEntry, Catalog, Entry } from "./model.ts"

export interface FilterOptions {
  readonly label?: string | undefined
  readonly contains?: string | undefined
  readonly sorted?: boolean | undefined
}

/** By code unit, so that it is the same order everywhere. */
export const compare = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => compare(a.name, b.name)

/** A part of a catalogue whose lists know each other, as those of a whole one do. */
export const filter = (catalog: Catalog, { contains, label, sorted }: FilterOptions): Catalog => {
  const part = label === undefined && contains === undefined ?
    catalog :
    select(
      catalog,
      ({ name }) => (label === undefined || name === label) && (contains === undefined || name.includes(contains))
    )
  // The order of what follows from an event means something, and stays.
  return sorted !== true ? part : {
    groups: part.groups.toSorted(byName),
    events: part.events.toSorted(byName),
    sideEffects: part.sideEffects.toSorted(byName),
    bindings: part.bindings.toSorted((a, b) => compare(a.id, b.id))
  }
}

const select = (catalog: Catalog, wanted: (entry: Entry) => boolean): Catalog => {
  const events = new Set(catalog.events.filter(wanted).map(({ name }) => name))
  const sideEffects = new Set(catalog.sideEffects.filter(wanted).map(({ name }) => name))
  const bindings = new Map<string, BindingEntry>()
  for (const binding of catalog.bindings) {
    const all = sideEffects.has(binding.sideEffect)
    const its = all ? binding.events : binding.events.filter((event) => events.has(event))
    if (all || its.length > 0) bindings.set(binding.id, { ...binding, events: its })
  }
  const named = new Set([...bindings.values()].flatMap((binding) => [binding.sideEffect, ...binding.events]))
  const has = ({ name }: Entry): boolean => events.has(name) || sideEffects.has(name) || named.has(name)
  const inPart = {
    events: catalog.events.filter(has).map((event) => ({
      ...event,
      bindings: event.bindings.filter((id) => bindings.get(id)?.events.includes(event.name))
    })),
    sideEffects: catalog.sideEffects.filter(has).map((sideEffect) => ({
      ...sideEffect,
      bindings: sideEffect.bindings.filter((id) => bindings.has(id))
    })),
    bindings: [...bindings.values()]
  }
  const eventNames = new Set(inPart.events.map(({ name }) => name))
  const sideEffectNames = new Set(inPart.sideEffects.map(({ name }) => name))
  return {
    groups: catalog.groups.map((group) => ({
      ...group,
      sideEffects: group.sideEffects.filter((name) => sideEffectNames.has(name)),
      events: group.events.filter((name) => eventNames.has(name)),
      bindings: group.bindings.filter((id) => bindings.has(id))
    })).filter((group) => group.sideEffects.length + group.events.length > 0),
    ...inPart
  }
}
