/**
 * The catalogue: what can happen, and what it leads to, as a plain value computed from groups. It cannot go stale, as it
 * is read from the definitions that run.
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
import type * as SideEffectGroup from "../SideEffectGroup.ts"
import { build } from "./internal/build.ts"
import * as checks from "./internal/check.ts"
import type * as model from "./internal/model.ts"

export { EnqueuedBy, Owner, Tags } from "./internal/annotations.ts"
export type { Finding } from "./internal/check.ts"
export type {
  BindingEntry,
  Catalog,
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
 * `root` is the directory that the files of definitions are named relative to.
 *
 * Throws when two groups have different definitions of one name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  groups: SideEffectGroup.Any | ReadonlyArray<SideEffectGroup.Any>,
  options?: { readonly root?: string | undefined }
): model.Catalog => build(Array.isArray(groups) ? groups : [groups], options?.root)

/**
 * What a catalogue is better without: definitions without a description, events that nothing is bound to, side effects
 * that nothing can trigger, patterns without a match, side effects with the same summary.
 *
 * @category checking
 * @since 0.1.0
 */
export const check = (catalog: model.Catalog): ReadonlyArray<checks.Finding> => checks.check(catalog)
