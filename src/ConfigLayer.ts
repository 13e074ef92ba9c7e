/**
 * The live layer as a deployer turns it.
 *
 * Programs reach it through the module `SideEffects`.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Dispatcher from "./Dispatcher.ts"
import type * as Event from "./Event.ts"
import * as describe from "./internal/describe.ts"
import { compilePattern } from "./internal/pattern.ts"
import { type Name, Settings } from "./internal/settings.ts"
import * as Layers from "./Layers.ts"
import { SideEffects } from "./Place.ts"
import * as Policy from "./Policy.ts"
import type * as SideEffect from "./SideEffect.ts"
import type * as SideEffectGroup from "./SideEffectGroup.ts"

const modes = ["live", "drop", "assert-none", "record"] as const

/**
 * The kill switch: the deployer picks the layer, and turns it, without a release.
 *
 * **Details**
 *
 * | config value | meaning |
 * | --- | --- |
 * | `SIDE_EFFECTS_MODE` | `live` (default), `drop`, `assert-none`, or `record`, which performs nothing and logs when the layer is closed what would have left |
 * | `SIDE_EFFECTS_BLOCK` | comma-separated patterns of side effects that are not to leave while all others do |
 * | `SIDE_EFFECTS_ALLOW_ONLY` | comma-separated patterns of side effects that may leave while no others do; what is blocked stays in all the same |
 * | `SIDE_EFFECTS_OUTSIDE_BOUNDARY` | `warn`, `dispatch` or `reject`, instead of `outsideBoundary` in the code |
 * | `SIDE_EFFECTS_CONCURRENCY` | how many handlers run at once, instead of `concurrency` of `Dispatcher.background` or `Dispatcher.inline` in the code |
 * | `SIDE_EFFECTS_CAPACITY` | how many intents may be underway, instead of `capacity` of `Dispatcher.background` |
 * | `SIDE_EFFECTS_GRACE_PERIOD` | how long closing waits, instead of `gracePeriod` of `Dispatcher.background`: a duration such as `30 seconds` |
 *
 * All are read when the layer is built. Wrong values are one `ConfigError` that names the group and lists them all, each
 * with the right ones. What differs from the code is logged once. What is set and has no effect is warned of: a number
 * that no dispatcher of the layer takes, a name that nothing reads.
 *
 * The policies narrow in this order: those of the deployer, then `policy`.
 *
 * **Gotchas**
 *
 * The handlers' layers are built in every mode, as they are provided from outside. Where that must not happen, as on a
 * machine without credentials, provide `DropLayer` itself.
 *
 * What was written to the outbox is performed by its worker: give that the same settings, with `Outbox.layerWorkerConfig`.
 *
 * @category layers
 * @since 0.1.0
 */
export const ConfigLayer = <
  S extends SideEffect.Any,
  Ev extends Event.Any,
  Performs extends boolean = true,
  E = never,
  R = never
>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: Layers.LiveOptions<Performs, E, R>
): Layer.Layer<
  SideEffects<S["_tag"] | Ev["_tag"]>,
  E | Config.ConfigError,
  Layers.LiveServices<S, Performs, R, Ev>
> => Layer.unwrap(read(group, options as Layers.LiveOptions<boolean, E, R> | undefined)) as any

const read = /*#__PURE__*/ Effect.fnUntraced(function*<E, R>(
  group: SideEffectGroup.Any,
  options: Layers.LiveOptions<boolean, E, R> | undefined
) {
  const settings = new Settings()
  const { mode, policy } = yield* readSwitches(settings, group, options?.policy)
  const outsideBoundary = yield* settings.oneOf(
    "OUTSIDE_BOUNDARY",
    ["warn", "dispatch", "reject"],
    options?.outsideBoundary ?? "warn"
  )
  const numbers: Dispatcher.Settings = {
    concurrency: yield* settings.number("CONCURRENCY"),
    capacity: yield* settings.number("CAPACITY"),
    gracePeriod: yield* settings.duration("GRACE_PERIOD", 0)
  }
  yield* settings.end(`group "${group.name}"`)
  switch (mode) {
    case "live":
      return live(group, { ...options, policy, outsideBoundary: outsideBoundary ?? options?.outsideBoundary }, numbers)
    case "drop":
      return Layers.dropping(group)
    case "assert-none":
      return Layers.AssertNoneLayer
    case "record":
      return recording(group, policy)
  }
})

/** What `ConfigLayer` calls the numbers of a dispatcher. */
const variables: Readonly<Record<keyof Dispatcher.Settings, Name>> = {
  concurrency: "CONCURRENCY",
  capacity: "CAPACITY",
  gracePeriod: "GRACE_PERIOD"
}

const live = <E, R>(
  group: SideEffectGroup.Any,
  options: Layers.LiveOptions<boolean, E, R>,
  numbers: Dispatcher.Settings
) => {
  const taken = new Set<keyof Dispatcher.Settings>()
  const setting: NonNullable<Dispatcher.Port["setting"]> = (name) => {
    taken.add(name)
    return numbers[name]
  }
  const idle = Effect.suspend(() => {
    const names = (Object.keys(variables) as Array<keyof Dispatcher.Settings>).filter((name) =>
      numbers[name] !== undefined && !taken.has(name)
    )
    return names.length === 0 ? Effect.void : Effect.logWarning(
      `${names.map((name) => `SIDE_EFFECTS_${variables[name]}`).join(" and ")} ${
        names.length === 1 ? "changes" : "change"
      } nothing for group ` +
        `"${group.name}": no dispatcher of its layer (${options.dispatcher?.name ?? "inline"}) takes it from there. ` +
        "Dispatcher.background takes all three, Dispatcher.inline the concurrency unless its code says 1, which keeps " +
        "the order."
    )
  })
  return Layer.effect(SideEffects, Effect.tap(Layers.makeLive(group, options, setting), idle))
}

const recording = (group: SideEffectGroup.Any, policy: Policy.Policy | undefined) =>
  Layers.counting(
    "SIDE_EFFECTS_MODE=record",
    "held back",
    (intent) => ({ _tag: "Dispatched", intent, by: "SIDE_EFFECTS_MODE=record", attempts: 0 }),
    group,
    policy
  )

/**
 * What the deployer has turned off.
 *
 * @internal
 */
export interface Switches {
  readonly mode: typeof modes[number]
  /** Those of the deployer, and then that of the code. */
  readonly policy: Policy.Policy | undefined
  /** Whether the patterns keep a side effect in. */
  readonly keepsIn: (name: string) => boolean
}

/**
 * Reads `SIDE_EFFECTS_MODE`, `SIDE_EFFECTS_BLOCK` and `SIDE_EFFECTS_ALLOW_ONLY`.
 *
 * @internal
 */
export const readSwitches = /*#__PURE__*/ Effect.fnUntraced(function*(
  settings: Settings,
  group: SideEffectGroup.Any,
  policy: Policy.Policy | undefined
): Effect.fn.Return<Switches, Config.ConfigError> {
  const mode = yield* settings.oneOf("MODE", modes, "live")
  const blocked = yield* readPatterns(settings, group, "BLOCK", "keeps in")
  const allowed = yield* readPatterns(settings, group, "ALLOW_ONLY", "keeps in all but")
  const policies = [
    blocked && Policy.block(...blocked.patterns),
    allowed && Policy.allowOnly(...allowed.patterns),
    policy
  ].filter((policy) => policy !== undefined)
  return {
    mode: mode ?? "live",
    policy: policies.length > 1 ? Policy.all(...policies) : policies[0],
    keepsIn: (name) => blocked?.picks(name) === true || allowed?.picks(name) === false
  }
})

/** Nothing where there are none. */
const readPatterns = /*#__PURE__*/ Effect.fnUntraced(function*(
  settings: Settings,
  group: SideEffectGroup.Any,
  name: "BLOCK" | "ALLOW_ONLY",
  verb: string
) {
  const patterns = yield* settings.patterns(name)
  const problems = patterns.flatMap((pattern) => problemOf(group, `SIDE_EFFECTS_${name}`, pattern) ?? [])
  settings.problems.push(...problems)
  if (patterns.length === 0 || problems.length > 0) return undefined
  const tests = patterns.map(compilePattern)
  const picks = (name: string) => tests.some((test) => test(name))
  const names = [...group.sideEffects.keys()]
  settings.turned.push(
    `SIDE_EFFECTS_${name}=${patterns.join(",")} ${verb} ${names.filter(picks).length} of ${
      describe.plural(names.length, "side effect")
    }`
  )
  return { patterns, picks }
})

const problemOf = (group: SideEffectGroup.Any, variable: string, pattern: string): string | undefined => {
  try {
    return Policy.unmatched(group, variable, pattern)
  } catch (error) {
    return `${variable}: ${(error as Error).message}`
  }
}
