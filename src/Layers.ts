/**
 * The layers of the service `SideEffects`: one program, and the choice of what becomes of its side effects.
 *
 * Programs reach them through the module `SideEffects`.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as Binding from "./Binding.ts"
import { InvalidPayload, type Root } from "./Boundary.ts"
import * as Decision from "./Decision.ts"
import * as Dispatcher from "./Dispatcher.ts"
import * as Event from "./Event.ts"
import * as Instruments from "./Instruments.ts"
import type * as Intent from "./Intent.ts"
import { codecOf } from "./internal/codec.ts"
import * as describe from "./internal/describe.ts"
import type { HandlerEntry } from "./internal/handler.ts"
import { IntentImpl } from "./internal/intent.ts"
import { Later } from "./internal/later.ts"
import * as Performer from "./Performer.ts"
import { Place, SideEffects } from "./Place.ts"
import * as Policy from "./Policy.ts"
import * as Recorder from "./Recorder.ts"
import type * as SideEffect from "./SideEffect.ts"
import type * as SideEffectGroup from "./SideEffectGroup.ts"

const formatIssue = /*#__PURE__*/ SchemaIssue.makeFormatterDefault()

const problemOf = (error: unknown): string => {
  const issue = error instanceof Error ? error.cause : undefined
  return SchemaIssue.isIssue(issue) ? formatIssue(issue) : describe.error(error)
}

const validate = (definition: SideEffect.Any | Event.Any, payload: unknown): unknown => {
  try {
    return definition.payloadSchema.make(payload)
  } catch (error) {
    const problem = problemOf(error)
    throw new InvalidPayload(
      Event.isEvent(definition) ? { event: definition._tag, problem } : { sideEffect: definition._tag, problem }
    )
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Live
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How a live layer behaves.
 *
 * **Details**
 *
 * - `dispatcher`: performs what is released. Default: `Dispatcher.inline()`.
 * - `policy`: asked about everything, after the policies of all boundaries.
 * - `outsideBoundary`: what becomes of an intent enqueued outside a boundary. `"warn"` (default) dispatches at once and
 *   logs a warning, `"dispatch"` does it silently, `"reject"` dies with `NoBoundary`.
 * - `onDispatchError`: what a failed side effect does to the boundary that released it. `"log"` (default) leaves its
 *   result alone and logs an error, `"die"` makes it die with `DispatchError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface LiveOptions<Performs extends boolean = true, E = never, R = never> {
  readonly dispatcher?: Dispatcher.Dispatcher<Performs, E, R> | undefined
  readonly policy?: Policy.Policy | undefined
  readonly outsideBoundary?: "warn" | "dispatch" | "reject" | undefined
  readonly onDispatchError?: "log" | "die" | undefined
}

/**
 * The services that a live layer needs: those of its dispatcher, and every handler when it performs in this process.
 *
 * @category utility types
 * @since 0.1.0
 */
export type LiveServices<S extends SideEffect.Any, Performs extends boolean, R, Ev extends Event.Any = never> =
  | Exclude<R, Scope.Scope>
  | (true extends Performs ? SideEffect.ToHandler<S, S["_tag"] | Ev["_tag"]> : never)

/**
 * Production: what a boundary releases is dispatched.
 *
 * **Details**
 *
 * A program that enqueues a side effect or emits an event that the group does not have does not compile, and neither does
 * a group with a side effect that nobody performs: what is missing is left in the requirements as `Handler<name, names of the group>`. The same
 * is left when the handler of `name` is there but enqueues a side effect that the group does not have. Building the layer
 * dies when a pattern in its policy or dispatcher matches nothing in the group.
 *
 * **Example** (From definition to delivery)
 *
 * ```ts
 * import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
 * import { Console, Effect, Layer, Schema } from "effect"
 *
 * class SendReceipt extends SideEffect.make("billing:mail:send-receipt", {
 *   description: "Email the customer a receipt.",
 *   payload: { invoice: Schema.String }
 * }) {}
 *
 * const Billing = SideEffectGroup.make("billing").add(SendReceipt)
 *
 * const Live = SideEffects.LiveLayer(Billing).pipe(
 *   Layer.provide(SendReceipt.toLayer(({ invoice }) => Console.log(`receipt for ${invoice}`)))
 * )
 *
 * const program = SideEffects.boundary(SideEffects.enqueue(SendReceipt, { invoice: "1042" }))
 *
 * await Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const LiveLayer = <
  S extends SideEffect.Any,
  Ev extends Event.Any,
  Performs extends boolean = true,
  E = never,
  R = never
>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: LiveOptions<Performs, E, R>
): Layer.Layer<SideEffects<S["_tag"] | Ev["_tag"]>, E, LiveServices<S, Performs, R, Ev>> =>
  Layer.effect(SideEffects, makeLive(group, options as LiveOptions<boolean, E, R> | undefined)) as any

/**
 * The value of the service in a live layer. `setting` is asked for what the deployer says instead of the code.
 *
 * @internal
 */
export const makeLive = <E, R>(
  group: SideEffectGroup.Any,
  options: LiveOptions<boolean, E, R> | undefined,
  setting?: Dispatcher.Port["setting"]
) => {
  const dispatcher: Dispatcher.Dispatcher<boolean, E, R> = options?.dispatcher ?? Dispatcher.inline()
  return Effect.flatMap(
    dispatcher.performs ? collectHandlers(group, "LiveLayer") : Effect.succeed(noHandlers),
    (handlers) =>
      Effect.flatMap(open(group, dispatcher, handlers, options, setting), ({ root }) =>
        // Before the dispatcher is closed.
        Effect.as(Effect.addFinalizer(() => root.later.close), Place.outside(root)))
  )
}

const noHandlers: ReadonlyMap<string, HandlerEntry> = new Map()

/**
 * The root of a live layer, and the way to perform what is dispatched.
 *
 * @internal
 */
export const open = /*#__PURE__*/ Effect.fnUntraced(function*<E, R>(
  group: SideEffectGroup.Any,
  dispatcher: Dispatcher.Dispatcher<boolean, E, R>,
  handlers: ReadonlyMap<string, HandlerEntry>,
  options: Omit<LiveOptions<boolean, E, R>, "dispatcher"> | undefined,
  setting?: Dispatcher.Port["setting"]
) {
  const instruments = yield* Instruments.taken
  const observer = instruments?.observer
  const names = new Set(group.sideEffects.keys())
  const known = knownTo(group, options?.policy)
  for (const pattern of dispatcher.patterns) Policy.checkSelector(group, `dispatcher ${dispatcher.name}`, pattern)

  const root: Root = {
    policy: options?.policy,
    outsideBoundary: options?.outsideBoundary ?? "warn",
    onDispatchError: options?.onDispatchError ?? "log",
    ...known,
    isDurable: (intent) => opened.isDurable(intent),
    isBound: (intent) => opened.isBound(intent),
    dispatch: (intents) => opened.dispatch(intents as ReadonlyArray<any>),
    drain: Effect.suspend(() => opened.drain),
    observer,
    instruments,
    get check() {
      return opened.check
    },
    get noticed() {
      return opened.noticed
    },
    later: new Later(),
    seq: 0
  }
  const port: Dispatcher.Port = {
    names,
    told: toldOf(group),
    settle: (decision) => Decision.settle(observer, decision),
    underway: (intent) => {
      const impl = intent as unknown as IntentImpl
      impl.detached = true
      impl.owner = undefined
    },
    perform: Performer.make(root, handlers, observer),
    instruments: () => root.instruments,
    setting
  }
  const opened = Dispatcher.guard(dispatcher, port, yield* dispatcher.open(port))
  return { root, perform: port.perform }
})

/**
 * What definitions and bindings tell each of their intents, as far as they can be asked.
 *
 * @internal
 */
export const toldOf = (group: SideEffectGroup.Any): ReadonlyArray<Dispatcher.Told> => [
  ...Array.from(
    group.sideEffects.values(),
    ({ _tag, defaults }) => ({ ...defaults, name: _tag, by: "its definition" })
  ),
  ...group.bindings.flatMap(({ enqueue, id, sideEffect }) =>
    typeof enqueue === "object" ? [{ ...enqueue, name: sideEffect._tag, by: `binding "${id}"` }] : []
  )
]

/** What a layer of a group lets in, and which policies it takes. */
const knownTo = (
  group: SideEffectGroup.Any,
  policy: Policy.Policy | undefined
): Pick<Root, "admit" | "admitEvent" | "bindings" | "checkPolicy"> => {
  const checked = new WeakSet<Policy.Policy>()
  const checkPolicy = (policy: Policy.Policy): void => {
    if (checked.has(policy)) return
    Policy.check(policy, group)
    checked.add(policy)
  }
  if (policy !== undefined) checkPolicy(policy)
  return {
    checkPolicy,
    admit: (sideEffect, payload) => {
      if (group.sideEffects.get(sideEffect._tag) !== sideEffect) throw stranger(group, sideEffect)
      return validate(sideEffect, payload)
    },
    admitEvent: (event, payload) => {
      if (group.eventsByName.get(event._tag) !== event) throw stranger(group, event)
      return validate(event, payload)
    },
    bindings: Binding.byEvent(group.bindings)
  }
}

/**
 * The handlers of a group, from the context of the layer `who` that is being built.
 *
 * @internal
 */
export const collectHandlers = (
  group: SideEffectGroup.Any,
  who: string
): Effect.Effect<ReadonlyMap<string, HandlerEntry>> =>
  Effect.contextWith((context: Context.Context<never>) => {
    const handlers = new Map<string, HandlerEntry>()
    for (const [name, { key }] of group.sideEffects) {
      const entry = context.mapUnsafe.get(key) as HandlerEntry | undefined
      if (entry === undefined) {
        return Effect.die(
          new Error(
            `${who} of group "${group.name}" has no handler for side effect "${name}". Provide the layer made by ` +
              "its toLayer, or by the toLayer of the group."
          )
        )
      }
      handlers.set(name, entry)
    }
    return Effect.succeed(handlers)
  })

const stranger = (group: SideEffectGroup.Any, definition: SideEffect.Any | Event.Any): Error => {
  const { _tag } = definition
  const event = Event.isEvent(definition)
  return new Error(
    (event ? group.eventsByName : group.sideEffects).has(_tag)
      ? `Two definitions are named "${_tag}", and the one that was ${
        event ? "emitted" : "enqueued"
      } is not the one in ` +
        `group "${group.name}". Import the definition from one place, or rename one of them.`
      : event
      ? `Event "${_tag}" is not in group "${group.name}", so its layer does not know what follows from it. Add it with ` +
        "the group's events or on; where there is another live layer for it, merge the two groups."
      : `Side effect "${_tag}" is not in group "${group.name}", so its layer cannot perform it. Add it to the group; ` +
        "where there is another live layer for it, merge the two groups."
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// Recording
// ---------------------------------------------------------------------------------------------------------------------

/** What a queue would do to a payload. */
const roundTrip = (sideEffect: SideEffect.Any, payload: unknown): unknown => {
  const { decode, encode } = codecOf(sideEffect)
  try {
    return decode(encode(payload))
  } catch (error) {
    throw new InvalidPayload({
      sideEffect: sideEffect._tag,
      problem: `it is valid, but would not survive being stored in a queue and read back. ${problemOf(error)}`
    })
  }
}

const unbound: Root["bindings"] = () => []

/**
 * Records and performs nothing. It knows no group, so nothing follows from an event unless it is told what.
 *
 * @internal
 */
export const recordingRoot = (options: {
  readonly by: string
  readonly observer: Decision.Observer | undefined
  readonly policy?: Policy.Policy | undefined
  readonly outsideBoundary?: Root["outsideBoundary"] | undefined
  readonly roundTrip: boolean
  readonly bindings?: Root["bindings"] | undefined
}): Root => ({
  policy: options.policy,
  outsideBoundary: options.outsideBoundary ?? "dispatch",
  onDispatchError: "log",
  admit: (sideEffect, payload) => {
    const valid = validate(sideEffect, payload)
    return options.roundTrip ? roundTrip(sideEffect, valid) : valid
  },
  admitEvent: validate,
  bindings: options.bindings ?? unbound,
  checkPolicy: undefined,
  // Recording is all that will happen, and it happens at once.
  isDurable: () => true,
  isBound: () => false,
  dispatch: (intents) =>
    Effect.sync(() => {
      for (const intent of intents as ReadonlyArray<any>) {
        Decision.settle(options.observer, { _tag: "Dispatched", intent, by: options.by, attempts: 0 })
      }
    }),
  drain: Effect.void,
  observer: options.observer,
  instruments: undefined,
  recording: true,
  later: new Later(),
  seq: 0
})

/**
 * Tests: nothing leaves, and what would have left is recorded in a `Recorder`.
 *
 * **Details**
 *
 * Boundaries and policies are obeyed: what a failed boundary discarded or a policy dropped is recorded as that. Outside
 * a boundary an intent counts as escaped, without a warning. An event is recorded; what follows from it is not known
 * without a group. Payloads of side effects are encoded and decoded once, so a test finds what
 * would break in a queue.
 *
 * **Gotchas**
 *
 * Provide it to each test. Tests that share it (`it.layer`) share what is recorded; `Recorder.clear` forgets it. It knows no
 * group, so it cannot find a pattern that matches nothing; `TestLayerFor` does.
 *
 * @category layers
 * @since 0.1.0
 */
export const TestLayer: Layer.Layer<SideEffects<any> | Recorder.Recorder> = /*#__PURE__*/ Layer.suspend(() =>
  Layer.succeedContext(makeTest((observer) => recordingRoot({ by: "TestLayer", observer, roundTrip: true })))
)

const makeTest = (
  makeRoot: (observer: Decision.Observer) => Root
): Context.Context<SideEffects<any> | Recorder.Recorder> => {
  const { observer, recorder } = Recorder.make()
  return Context.make(SideEffects, Place.outside(makeRoot(observer))).pipe(
    Context.add(Recorder.Recorder, recorder)
  ) as Context.Context<any>
}

/**
 * As `TestLayer`, for one group and with options: what the group binds to an event follows from it, and a program that
 * enqueues or emits what the group does not have does not compile.
 *
 * **Details**
 *
 * `policy` and `outsideBoundary` are those of `LiveLayer`, but `"dispatch"` is the default. `roundTrip: false` records
 * payloads as they were enqueued.
 *
 * @category layers
 * @since 0.1.0
 */
export const TestLayerFor = <S extends SideEffect.Any, Ev extends Event.Any>(
  group: SideEffectGroup.SideEffectGroup<S, Ev>,
  options?: {
    readonly policy?: Policy.Policy | undefined
    readonly outsideBoundary?: "warn" | "dispatch" | "reject" | undefined
    readonly roundTrip?: boolean | undefined
  }
): Layer.Layer<SideEffects<S["_tag"] | Ev["_tag"]> | Recorder.Recorder> =>
  Layer.effectContext(Effect.sync(() => {
    const { admit, ...known } = knownTo(group, options?.policy)
    return makeTest((observer) => {
      const root = recordingRoot({ ...options, by: "TestLayer", observer, roundTrip: false })
      return {
        ...root,
        ...known,
        admit: (sideEffect, payload) => {
          const valid = admit(sideEffect, payload)
          return options?.roundTrip === false ? valid : roundTrip(sideEffect, valid)
        }
      }
    })
  }))

// ---------------------------------------------------------------------------------------------------------------------
// Dropping and refusing
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Counts instead of dispatching; says when the layer is closed what it has seen.
 *
 * @internal
 */
export const counting = (
  name: string,
  verb: string,
  decide: (intent: Intent.Any) => Decision.Decision,
  group?: SideEffectGroup.Any | undefined,
  policy?: Policy.Policy | undefined
) =>
  Layer.effect(
    SideEffects,
    Effect.gen(function*() {
      const instruments = yield* Instruments.taken
      const sideEffects = new Map<string, number>()
      const events = new Map<string, number>()
      yield* Effect.addFinalizer(() => {
        const emitted = total("event", events)
        return Effect.logInfo(
          `${name} ${verb} ${total("side effect", sideEffects)}` +
            (events.size === 0
              ? ""
              : group === undefined
              ? `, and whatever follows from ${emitted}`
              : `, after ${emitted}`)
        )
      })
      const root = recordingRoot({
        by: name,
        observer: {
          enqueued: (intent) => instruments?.observer.enqueued(intent),
          decided: (decision) => instruments?.observer.decided(decision),
          emitted: (event) => instruments?.observer.emitted(event),
          concluded: (event) => {
            instruments?.observer.concluded(event)
            if (event.fate?._tag === "Released") describe.tally(events, event.name)
          }
        },
        policy,
        bindings: group && Binding.byEvent(group.bindings),
        roundTrip: false
      })
      return Place.outside({
        ...root,
        dispatch: (intents) =>
          Effect.sync(() => {
            for (const intent of intents as ReadonlyArray<any>) {
              describe.tally(sideEffects, intent.name)
              Decision.settle(root.observer, decide(intent))
            }
          })
      })
    })
  ) as Layer.Layer<SideEffects<any>>

/** `2 side effects: orders:mail ×2` */
const total = (what: string, counts: ReadonlyMap<string, number>): string => {
  const n = [...counts.values()].reduce((sum, n) => sum + n, 0)
  return `${describe.plural(n, what)}${n === 0 ? "" : `: ${describe.counted(counts)}`}`
}

/**
 * Nothing leaves. Where the group is known, what follows from events is counted, too.
 *
 * @internal
 */
export const dropping = (group?: SideEffectGroup.Any): Layer.Layer<SideEffects<any>> =>
  counting("DropLayer", "dropped", (intent) => ({
    _tag: "Dropped",
    intent,
    by: "DropLayer",
    reason: "nothing may leave here"
  }), group)

/**
 * Migrations and backfills: nothing leaves. When the layer is closed it logs how many of each side effect it dropped.
 *
 * **Details**
 *
 * It knows no group. What was emitted is counted by event, as what would have followed from it is not known here.
 *
 * @category layers
 * @since 0.1.0
 */
export const DropLayer: Layer.Layer<SideEffects<any>> = /*#__PURE__*/ dropping()

/**
 * Code that must be pure: any attempt to enqueue or to emit dies at the call site with `PolicyViolation`.
 *
 * **Details**
 *
 * A violation cannot be swallowed: when code catches the defect, closing the layer dies with it again.
 *
 * @category layers
 * @since 0.1.0
 */
export const AssertNoneLayer: Layer.Layer<SideEffects<any>> = /*#__PURE__*/ Layer.suspend(() =>
  Layer.effect(SideEffects, makeAssertNone())
) as Layer.Layer<SideEffects<any>>

const makeAssertNone = /*#__PURE__*/ Effect.fnUntraced(function*() {
  const violations: Array<Policy.PolicyViolation> = []
  yield* Effect.addFinalizer((exit) => {
    const swallowed = violations.find((violation) => !carries(exit, violation))
    return swallowed === undefined ? Effect.void : Effect.die(swallowed)
  })
  const root = recordingRoot({ by: "AssertNoneLayer", observer: undefined, roundTrip: false })
  const refuse = (what: string, of: { readonly intent: any; readonly event?: any }): never => {
    const violation = new Policy.PolicyViolation({
      ...of,
      policy: "AssertNoneLayer",
      message:
        `${what} under AssertNoneLayer, which allows none. Remove the call from this code path, or run it with ` +
        "another layer."
    })
    violations.push(violation)
    throw violation
  }
  return Place.outside({
    ...root,
    // Before anything else is looked at.
    admit: (sideEffect, payload) =>
      refuse(`Side effect "${sideEffect._tag}" was enqueued`, {
        intent: new IntentImpl(sideEffect, valid(sideEffect, payload), undefined, {}, undefined, undefined, undefined)
      }),
    admitEvent: (event, payload) =>
      refuse(`Event "${event._tag}" was emitted`, {
        intent: undefined,
        event: new Event.EmittedImpl(event, valid(event, payload), undefined)
      })
  })
})

/** What does not fit the schema may hold a secret that is not marked as one. */
const valid = ({ payloadSchema }: SideEffect.Any | Event.Any, payload: unknown): unknown => {
  try {
    return payloadSchema.make(payload)
  } catch {
    return undefined
  }
}

const carries = (exit: Exit.Exit<unknown, unknown>, defect: unknown): boolean =>
  exit._tag === "Failure" && exit.cause.reasons.some((reason) => Cause.isDieReason(reason) && reason.defect === defect)
