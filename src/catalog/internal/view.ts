import { defaultId } from "../../Binding.ts"
import type { BindingEntry, Catalog, DestinationEntry, Entry, EventEntry, SideEffectEntry, Source } from "./model.ts"

/** One arrow of the picture: `order` counts the side effects of the event from 1. */
export interface Arrow {
  readonly event: EventEntry
  readonly binding: BindingEntry
  readonly sideEffect: SideEffectEntry
  readonly order: number
}

const named = <A extends Entry>(entries: ReadonlyArray<A>): ReadonlyMap<string, A> =>
  new Map(entries.map((entry) => [entry.name, entry]))

/** All arrows, by event, in the order in which the side effects are enqueued. */
export const arrows = (catalog: Catalog): ReadonlyArray<Arrow> => {
  const bindings = new Map(catalog.bindings.map((binding) => [binding.id, binding]))
  const sideEffects = named(catalog.sideEffects)
  return catalog.events.flatMap((event) =>
    event.bindings.flatMap((id) => {
      const binding = bindings.get(id)
      const sideEffect = binding && sideEffects.get(binding.sideEffect)
      return sideEffect === undefined ? [] : [{ event, binding: binding!, sideEffect }]
    }).map((arrow, index) => ({ ...arrow, order: index + 1 }))
  )
}

/** What is in one place by its key, in order. */
export const collect = <A, B>(self: Iterable<A>, key: (a: A) => B): ReadonlyMap<B, ReadonlyArray<A>> => {
  const out = new Map<B, Array<A>>()
  for (const a of self) {
    const k = key(a)
    const at = out.get(k)
    if (at === undefined) out.set(k, [a])
    else at.push(a)
  }
  return out
}

/** The id that a binding was given, where it was. */
export const ownId = ({ from, id, sideEffect }: BindingEntry): string | undefined =>
  id === defaultId(from, sideEffect) ? undefined : id

/** What a binding enqueues with: `after 1d`, `queue slow`. */
export const told = (enqueue: BindingEntry["enqueue"]): ReadonlyArray<string> =>
  Object.entries(enqueue).map(([option, value]) => option === "delay" ? `after ${value}` : `${option} ${value}`)

/** Where a side effect goes, what is for one queue after the rest: `pg-boss`, `in queue slow: through the outbox to bullmq`. */
export const destinations = ({ destinations = [] }: Pick<SideEffectEntry, "destinations">): ReadonlyArray<string> => {
  const say = ({ dispatcher, engine, queue }: DestinationEntry): string =>
    `${queue === undefined ? "" : `in queue ${queue}: `}${
      engine === undefined ? dispatcher : `through the ${dispatcher} to ${engine}`
    }`
  const [all, some] = [
    destinations.filter(({ queue }) => queue === undefined),
    destinations.filter(({ queue }) => queue)
  ]
  return [...all, ...some].map(say)
}

/** `src/Orders.ts:12` */
export const position = (source: Source): string => `${source.file}:${source.line}`

/** The description without its summary. */
export const rest = (entry: Entry): string =>
  (entry.description.startsWith(entry.summary) ? entry.description.slice(entry.summary.length) : entry.description)
    .trim()

/** Pretty-printed, whatever it is. */
export const json = (u: unknown): string => JSON.stringify(u, null, 2) ?? "undefined"

/** An annotation in one line. */
export const inline = (u: unknown): string => typeof u === "string" ? u : JSON.stringify(u) ?? "undefined"
