import type * as model from "./model.ts"
import { collect } from "./view.ts"

/**
 * Something a catalogue is better without.
 *
 * **Details**
 *
 * `subject` is the name or id it is about; `message` says what is wrong and what to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  readonly kind:
    | "no-description"
    | "unbound-event"
    | "untriggered-side-effect"
    | "unmatched-pattern"
    | "same-summary"
  readonly subject: string
  readonly message: string
  readonly source: model.Source | undefined
}

export const check = (catalog: model.Catalog): ReadonlyArray<Finding> => [
  ...undescribed("Event", catalog.events),
  ...undescribed("Side effect", catalog.sideEffects),
  ...catalog.events.filter(({ bindings, mayBeUnbound }) => bindings.length === 0 && !mayBeUnbound).map((
    { name, source }
  ): Finding => ({
    kind: "unbound-event",
    subject: name,
    message: `Event "${name}" has no side effect bound to it. Bind one with on(...), or remove the event; ` +
      "if nothing has to follow from it, say so with the annotation Catalog.MayBeUnbound.",
    source
  })),
  ...catalog.sideEffects.filter((entry) => entry.bindings.length === 0 && entry.enqueuedBy.length === 0).map((
    { name, source }
  ): Finding => ({
    kind: "untriggered-side-effect",
    subject: name,
    message:
      `Side effect "${name}" can be triggered by nothing: no event is bound to it. Bind one with on(...); if code ` +
      "enqueues it itself, say where with the annotation Catalog.EnqueuedBy; otherwise remove it.",
    source
  })),
  ...catalog.bindings.filter(({ events }) => events.length === 0).map(({ from, id, source }): Finding => ({
    kind: "unmatched-pattern",
    subject: id,
    message: `The pattern ${from} of binding "${id}" matches no event of its group. Correct it, move it behind the ` +
      "events it is to select, or remove it.",
    source
  })),
  ...sameSummaries(catalog.sideEffects)
]

const placeholder = /^(TODO|FIXME|TBD|XXX)\b|^(todo|fixme|tbd)\s*([:.!?-]|$)|^[^\p{L}\p{N}\p{Extended_Pictographic}]*$/u

const undescribed = (what: string, entries: ReadonlyArray<model.Entry>): ReadonlyArray<Finding> =>
  entries.filter(({ description, name, summary }) => placeholder.test(summary) || description.trim() === name).map((
    { name, source }
  ) => ({
    kind: "no-description",
    subject: name,
    message: `${what} "${name}" has no description yet. Say in one sentence what ` +
      `${what === "Event" ? "has happened when it is emitted" : "happens outside when it is performed"}.`,
    source
  }))

const sameSummaries = (entries: ReadonlyArray<model.SideEffectEntry>): ReadonlyArray<Finding> => {
  const bySummary = collect(entries, ({ summary }) => summary.toLowerCase().replace(/[\s.!]+$/, ""))
  return [...bySummary.values()].filter((same) => same.length > 1).map((same) => ({
    kind: "same-summary",
    subject: same[0]!.name,
    message: `Side effects ${same.map(({ name }) => `"${name}"`).join(" and ")} have the same summary, ` +
      `"${same[0]!.summary}". Say what sets them apart, or make them one.`,
    source: same[0]!.source
  }))
}
