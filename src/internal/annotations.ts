import * as Context from "effect/Context"

/**
 * The annotation of who is responsible: a team, a person, a channel. On a group it holds for all in it that have none of
 * their own.
 *
 * @category annotations
 * @since 0.1.0
 */
export class Owner extends Context.Service<Owner, string>()("effect-side-effects/Catalog/Owner") {}

/**
 * The annotation of words to find something by.
 *
 * @category annotations
 * @since 0.1.0
 */
export class Tags extends Context.Service<Tags, ReadonlyArray<string>>()("effect-side-effects/Catalog/Tags") {}

/**
 * The annotation of a side effect that code enqueues itself, without an event: who does. A group cannot see that, so
 * without it the catalogue takes the side effect for one that nothing can trigger.
 *
 * @category annotations
 * @since 0.1.0
 */
export class EnqueuedBy
  extends Context.Service<EnqueuedBy, ReadonlyArray<string>>()("effect-side-effects/Catalog/EnqueuedBy")
{}

/**
 * The annotation of an event that need not have a side effect bound to it, such as one of the six that a model has.
 *
 * @category annotations
 * @since 0.1.0
 */
export class MayBeUnbound
  extends Context.Service<MayBeUnbound, boolean>()("effect-side-effects/Catalog/MayBeUnbound")
{}
