/**
 * The catalogue: what can happen, and what it leads to, as a plain value computed from groups. It cannot go stale, as it
 * is read from the definitions that run.
 *
 * On the command line it is `side-effects`. `effect-side-effects/cli` has this module once more, with `Catalog.command`
 * beside the rest: a command to mount in a CLI of one's own.
 *
 * **Example** (What happens when?)
 *
 * ```ts
 * import { Catalog, Event, SideEffect, SideEffectGroup } from "effect-side-effects"
 *
 * class AccountClosed extends Event.make("accounts:account:closed", { description: "A customer closed the account." }) {}
 * class SendGoodbye extends SideEffect.make("accounts:mail:goodbye", {
 *   description: "Send confirmation email to user."
 * }) {}
 * const Accounts = SideEffectGroup.make("accounts").on(AccountClosed, SendGoodbye)
 *
 * console.log(Catalog.toText(Catalog.make(Accounts)))
 * ```
 *
 * @since 0.1.0
 */
import type * as Dispatcher from "../Dispatcher.ts"
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { build } from "./internal/build.ts"
import * as checks from "./internal/check.ts"
import * as diffs from "./internal/diff.ts"
import * as explanations from "./internal/explain.ts"
import * as filters from "./internal/filter.ts"
import * as pages from "./internal/html.ts"
import * as markdowns from "./internal/markdown.ts"
import * as mermaids from "./internal/mermaid.ts"
import type * as model from "./internal/model.ts"
import * as texts from "./internal/text.ts"

export { EnqueuedBy, MayBeUnbound, Owner, Tags } from "../internal/annotations.ts"
export type { Finding } from "./internal/check.ts"
export type {
  BindingEntry,
  Catalog,
  DestinationEntry,
  Entry,
  EventEntry,
  GroupEntry,
  SideEffectEntry,
  Source
} from "./internal/model.ts"

/**
 * The catalogue of one or several groups. Builds no layer and runs nothing but the retry schedules of the definitions'
 * defaults, to tell what they come to.
 *
 * **Details**
 *
 * - `root`: the directory that the files of definitions are named relative to.
 * - `dispatcher`: that of the live layer, so that the catalogue tells which side effect goes where, and of which queue.
 * - `relay`: the record that `Outbox.layerRelay` gets, so that it tells which engine gets what from the outbox.
 *
 * Throws when two groups have different definitions of one name.
 *
 * **Example** (What goes where)
 *
 * ```ts
 * import { Catalog, Dispatcher, SideEffect, SideEffectGroup } from "effect-side-effects"
 *
 * class SendGoodbye extends SideEffect.make("accounts:mail:goodbye", { description: "Email a goodbye." }) {}
 * const Accounts = SideEffectGroup.make("accounts").add(SendGoodbye)
 *
 * const dispatcher = Dispatcher.route([[{ queue: "slow" }, Dispatcher.background()], ["**", Dispatcher.inline()]])
 *
 * console.log(Catalog.make(Accounts, { dispatcher }).sideEffects[0]?.destinations)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>,
  options?: {
    readonly root?: string | undefined
    readonly dispatcher?: Dispatcher.Dispatcher<boolean, any, any> | undefined
    readonly relay?: Readonly<Record<string, Dispatcher.Dispatcher<false, any, any>>> | undefined
  }
): model.Catalog => build(Array.isArray(groups) ? groups : [groups], options)

/**
 * What a catalogue is better without: definitions without a description, events that nothing is bound to, side effects
 * that nothing can trigger, patterns without a match, side effects with the same summary.
 *
 * @category checking
 * @since 0.1.0
 */
export const check = (catalog: model.Catalog): ReadonlyArray<checks.Finding> => checks.check(catalog)

/**
 * A part of a catalogue, as a catalogue of its own: the events and side effects of a name, what follows from those events,
 * and what leads to those side effects.
 *
 * **Details**
 *
 * - `label`: the exact name. `contains`: a part of the name. Both given: both have to hold; none given: all of it.
 * - `sorted`: everything by name. What follows from an event keeps its order, as it means something.
 *
 * @category filtering
 * @since 0.1.0
 */
export const filter = (
  catalog: model.Catalog,
  options: {
    readonly label?: string | undefined
    readonly contains?: string | undefined
    readonly sorted?: boolean | undefined
  }
): model.Catalog => filters.filter(catalog, options)

/**
 * The catalogue for people: each event and what follows from it, in order, then what code enqueues itself, and what
 * nothing can trigger. Ends with a newline.
 *
 * **Details**
 *
 * - `verbose`: everything that is known, events and side effects apart.
 * - `raw`: for scripts, one line `event<TAB>side effect<TAB>id of the binding` for each side effect that follows from an
 *   event, and no headings.
 * - `within`: the whole catalogue, where this one is a part made by `filter`: side effects keep their numbers.
 * - `width`: columns, 80 by default. Lines are broken between words. `colors`: for a terminal; default `false`.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toText = (
  catalog: model.Catalog,
  options?: {
    readonly verbose?: boolean | undefined
    readonly raw?: boolean | undefined
    readonly within?: model.Catalog | undefined
    readonly width?: number | undefined
    readonly colors?: boolean | undefined
  }
): string => texts.text(catalog, options)

/**
 * The catalogue itself as JSON, indented by two spaces. Ends with a newline.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toJson = (catalog: model.Catalog): string => `${JSON.stringify(catalog, null, 2)}\n`

/**
 * The catalogue as Markdown, as GitHub shows it: an overview, a picture, and a section for each event and side effect.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toMarkdown = (catalog: model.Catalog): string => markdowns.markdown(catalog)

/**
 * The picture of a catalogue in the language of Mermaid.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toMermaid = (catalog: model.Catalog): string => mermaids.mermaid(catalog)

/**
 * The catalogue as one HTML page that needs nothing else: a picture, a search, and the details of each entry. `title` is
 * its heading.
 *
 * @category rendering
 * @since 0.1.0
 */
export const toHtml = (catalog: model.Catalog, options?: { readonly title?: string | undefined }): string =>
  pages.html(catalog, options)

/**
 * What happens when an event is emitted, or what leads to a side effect, and what would keep it from happening. Ends with a
 * newline.
 *
 * **Details**
 *
 * `query` is the name of an event or a side effect, the name of its class, or a pattern: `*` is one segment, `**` any
 * number. `environment` has the values of `SIDE_EFFECTS_MODE`, `SIDE_EFFECTS_BLOCK` and `SIDE_EFFECTS_ALLOW_ONLY`,
 * `undefined` where they are not set.
 *
 * Throws when nothing has the name; the message has the nearest ones.
 *
 * @category rendering
 * @since 0.1.0
 */
export const explain = (
  catalog: model.Catalog,
  query: string,
  options?: {
    readonly environment?: {
      readonly mode?: string | undefined
      readonly block?: string | undefined
      readonly allowOnly?: string | undefined
    } | undefined
    readonly width?: number | undefined
    readonly colors?: boolean | undefined
  }
): string => explanations.explain(catalog, query, options)

/**
 * The catalogue as a text to commit, so that a review shows what becomes of it: JSON, sorted by name, without the places
 * and names of classes in the code. The same definitions give the same text. Ends with a newline.
 *
 * @category locking
 * @since 0.1.0
 */
export const lock = (catalog: model.Catalog): string => diffs.lock(catalog)

/**
 * What has changed since `lock`, in lines of 80 columns to print: `+` was added, `-` was removed, `~` was changed, with its
 * old and new values below. Empty when nothing has. The order of what follows from an event counts.
 *
 * Throws when `locked` is no text that `lock` has made.
 *
 * @category locking
 * @since 0.1.0
 */
export const diff = (locked: string, current: model.Catalog): ReadonlyArray<string> => diffs.diff(locked, current)
