import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import type * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Terminal from "effect/Terminal"
import type { Options, Report } from "../../../Boundary.ts"
import * as Decision from "../../../Decision.ts"
import { DispatchError } from "../../../Dispatcher.ts"
import * as Instruments from "../../../Instruments.ts"
import * as describe from "../../../internal/describe.ts"
import { clean, columns, inkOf, wrap } from "../../../internal/lines.ts"
import { Place } from "../../../Place.ts"
import * as Policy from "../../../Policy.ts"
import * as Recorder from "../../../Recorder.ts"
import type * as SideEffectGroup from "../../../SideEffectGroup.ts"
import * as SideEffects from "../../../SideEffects.ts"
import { CommandError, Violated } from "../errors.ts"
import { look, print } from "../output.ts"
import { choose, type Chosen, type Mode } from "./flags.ts"
import * as Tally from "./tally.ts"
import * as text from "./text.ts"

type Handler = Effect.Effect<void, any, any>

/** What the author of the command has said. */
export interface Told {
  readonly group: SideEffectGroup.Any
  readonly live: Layer.Layer<any, any, any>
  readonly default?: Mode | "dry-run" | undefined
  readonly policy?: Policy.Policy | undefined
  readonly abortOnError?: boolean | undefined
  readonly around?: ((self: Handler) => Handler) | undefined
  readonly limit?: number | undefined
}

const complain = (message: string): Effect.Effect<void> =>
  message === "" ? Effect.void : Console.error(message.split("\n").flatMap((line) => wrap(line, columns)).join("\n"))

/** Whether the run ended for the user and not for the program: by a signal, or at a prompt. */
const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && (Cause.hasInterruptsOnly(exit.cause) || Terminal.isQuitError(Cause.squash(exit.cause)))

/** Asked for help, by a command that does nothing without a subcommand. */
const isHelp = (exit: Exit.Exit<unknown, unknown>): boolean => {
  if (exit._tag === "Success") return false
  const error = Cause.squash(exit.cause)
  return CliError.isCliError(error) && error._tag === "ShowHelp"
}

// ---------------------------------------------------------------------------------------------------------------------
// Settings
// ---------------------------------------------------------------------------------------------------------------------

/** The configuration around, with another mode: the flag has won already. */
const withMode = (mode: Mode): Layer.Layer<never> =>
  ConfigProvider.layer(
    Effect.map(
      ConfigProvider.ConfigProvider,
      (around) => ConfigProvider.orElse(ConfigProvider.fromUnknown({ SIDE_EFFECTS_MODE: mode }), around)
    )
  )

/** What a deployer blocks by configuration, in whichever way `ConfigLayer` reads that. */
const configured = (group: SideEffectGroup.Any): Effect.Effect<Policy.Policy | undefined, CommandError> => {
  const layer: Layer.Layer<any, Config.ConfigError, any> = SideEffects.ConfigLayer(
    group as SideEffectGroup.SideEffectGroup<any, any>
  )
  // It asks for handlers only to let side effects leave.
  return Layer.build(Layer.provide(layer as Layer.Layer<any, Config.ConfigError>, withMode("record"))).pipe(
    Effect.map((context) => Context.get(context as Context.Context<any>, SideEffects.SideEffects).root.policy),
    Effect.scoped,
    // It is not for long, so there is nothing to say about it, except of a name that nothing reads.
    Effect.provideService(References.MinimumLogLevel, "Warn"),
    Effect.mapError(({ cause }) => new CommandError({ message: cause.message.split("\n").map(clean).join("\n  ") }))
  )
}

const both = (a: Policy.Policy | undefined, b: Policy.Policy | undefined): Policy.Policy | undefined =>
  a === undefined || b === undefined ? a ?? b : Policy.all(a, b)

// ---------------------------------------------------------------------------------------------------------------------
// One run
// ---------------------------------------------------------------------------------------------------------------------

/** The handler in the boundary of the run, with more options. */
type Bounded = (more?: Partial<Options>) => Handler

/** Nothing leaves, and what would have is told to an observer; the group says what follows from what. */
const held = (
  group: SideEffectGroup.Any,
  policy: Policy.Policy | undefined,
  observer: Decision.Observer,
  decide: (intent: any) => Decision.Decision
): Layer.Layer<SideEffects.SideEffects<any>> =>
  Layer.effect(
    SideEffects.SideEffects,
    Effect.gen(function*() {
      const context = yield* Layer.build(
        SideEffects.TestLayerFor(group as SideEffectGroup.SideEffectGroup<any, any>, { policy, roundTrip: false })
      )
      const { root } = Context.get(context as Context.Context<any>, SideEffects.SideEffects)
      return Place.outside({
        ...root,
        observer,
        dispatch: (intents) =>
          Effect.sync(() => {
            for (const intent of intents) Decision.settle(observer, decide(intent))
          })
      })
    })
  ) as Layer.Layer<any>

/** Tells whoever sits at the terminal why a signal does not end it at once. */
const attended = (self: Handler, notice: () => string): Handler =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkChild(restore(self)), (fiber) =>
      Effect.onInterrupt(
        restore(Fiber.join(fiber)),
        () => Effect.andThen(Effect.suspend(() => complain(notice())), Fiber.interrupt(fiber))
      ))
  )

/** What became of a run that was to let its side effects leave, where that is not what one expects. */
const outcome = (exit: Exit.Exit<unknown, unknown>, tally: Tally.Tally, isLive = true): string => {
  // That tells itself.
  if (exit._tag === "Failure" && Cause.squash(exit.cause) instanceof DispatchError) return ""
  const [dispatched, discarded, dropped, failed] = (["Dispatched", "Discarded", "Dropped", "Failed"] as const)
    .map(tally.of)
  const lines: Array<string> = []
  const counted = (n: ReadonlyMap<string, number>, verb: string) =>
    `${Tally.amount(n)} ${Tally.were(n)} ${verb}: ${describe.counted(n)}.`
  if (exit._tag === "Failure" && discarded!.size > 0) {
    lines.push(
      `${isInterrupted(exit) ? "Interrupted" : "The command failed"}, so ${counted(discarded!, "discarded")}`
    )
  } else if (isInterrupted(exit)) {
    lines.push(
      `Interrupted. ${tally.enqueued() === 0 ? "No side effect was enqueued." : "No side effect was discarded."}`
    )
  }
  if (isLive && exit._tag === "Failure" && dispatched!.size > 0) lines.push(counted(dispatched!, "dispatched"))
  // An operator must not think that it was sent.
  if (isLive && dropped!.size > 0) lines.push(counted(dropped!, "kept in"))
  if (failed!.size > 0) lines.push(`${Tally.amount(failed!)} failed: ${describe.counted(failed!)}.`)
  return lines.join("\n")
}

/** Has effect/cli print it: each that failed in a line. */
const printed = (error: DispatchError): DispatchError => {
  const { dispatched, failures } = error
  const [head, ...lines] = [
    `${failures.length} of ${describe.plural(failures.length + dispatched, "side effect")} failed:`,
    ...failures.map(({ cause, intent }) => `- ${intent.name}: ${clean(describe.cause(cause))}`)
  ]
  const shown = lines.flatMap((line) => wrap(line, columns, "  ", 4))
  return Object.assign(error, { [CliError.userMessage]: [head, ...shown].join("\n") })
}

const live = Effect.fnUntraced(function*(told: Told, bounded: Bounded, name: string) {
  const tally = Tally.make()
  const around = yield* Instruments.Current
  const listening = { ...Instruments.silent, observer: tally.observer }
  const layer = told.live.pipe(
    Layer.provide(
      Layer.succeed(Instruments.Current, around === undefined ? listening : Instruments.both(around, listening))
    ),
    Layer.provide(withMode("live"))
  )
  let phase: "running" | "releasing" | "closing" = "running"
  const unit = bounded({
    abortOnError: told.abortOnError,
    releaseWhen: (exit: Exit.Exit<unknown, unknown>) => {
      phase = "releasing"
      return exit._tag === "Success"
    },
    onClose: (report: Report) =>
      Effect.sync(() => {
        phase = "closing"
        // A layer that cannot be listened to, as one of a test.
        if (tally.enqueued() > 0) return
        for (const intent of report.intents) tally.observer.enqueued(intent)
        for (const decision of report.decisions) tally.observer.decided(decision)
      })
  })
  const run = Effect.flatMap(Effect.provide(unit, layer), () => {
    // What the background performed is only known when its layer is closed.
    const { failures } = tally
    return told.abortOnError === true && failures.length > 0
      ? Effect.fail(new DispatchError({ boundary: name, failures, dispatched: Tally.sum(tally.of("Dispatched")) }))
      : Effect.void
  })
  return yield* attended(run, () =>
    phase === "running"
      ? ""
      : "Interrupted, but side effects are being performed. That is finished first.").pipe(
      Effect.mapError((error) => error instanceof DispatchError ? printed(error) : error),
      Effect.onExit((exit) => complain(outcome(exit, tally)))
    )
})

const keepingIn = Effect.fnUntraced(function*(
  { group }: Told,
  bounded: Bounded,
  policy: Policy.Policy | undefined,
  { by, mode }: Chosen
) {
  const tally = Tally.make()
  const around = yield* Instruments.Current
  const layer = held(
    group,
    policy,
    around === undefined ? tally.observer : Instruments.alongside(around.observer, tally.observer),
    (intent) =>
      mode === "drop"
        ? { _tag: "Dropped", intent, by, reason: "nothing may leave here" }
        : { _tag: "Dispatched", intent, by, attempts: 0 }
  )
  const counts = tally.of(mode === "drop" ? "Dropped" : "Dispatched")
  const verb = mode === "drop" ? "dropped" : "held back"
  return yield* Effect.provide(bounded(), layer).pipe(
    Effect.onExit((exit) => {
      if (isHelp(exit)) return Effect.void
      const names = counts.size === 0 ? "" : `: ${describe.counted(counts)}`
      return complain(
        `As ${by} says, ${Tally.amount(counts)} ${Tally.were(counts)} ${verb}${names}.\n${outcome(exit, tally, false)}`
          .trim()
      )
    })
  )
})

const assertingNone = (bounded: Bounded, { by }: Chosen): Handler =>
  Effect.provide(bounded(), SideEffects.AssertNoneLayer).pipe(
    Effect.catchDefect((defect) => {
      if (!(defect instanceof Policy.PolicyViolation && defect.policy === "AssertNoneLayer")) return Effect.die(defect)
      const what = defect.intent === undefined
        ? `Event "${defect.event?.name}" was emitted`
        : `Side effect "${defect.intent.name}" was enqueued`
      return Effect.fail(new Violated({ message: `${what}, and ${by} allows none.` }))
    })
  )

const foot = [
  "Only side effects are held back. What the command does besides, such as writing to a database, it has done."
]

const byDefault = ["To let them leave: --side-effects live"]

const dryRun = Effect.fnUntraced(function*(
  { around, group, limit = 10 }: Told,
  bounded: Bounded,
  policy: Policy.Policy | undefined,
  path: string,
  chosen: Chosen
) {
  const { observer, recorder } = Recorder.make()
  const layer = held(group, policy, observer, (intent) => ({ _tag: "Dispatched", intent, by: "dry run", attempts: 0 }))
  const unit = Effect.provide(bounded(), layer)
  return yield* (around === undefined ? unit : around(unit)).pipe(
    Effect.onExit(Effect.fnUntraced(function*(exit) {
      if (isHelp(exit)) return
      if (isInterrupted(exit)) {
        const enqueued = yield* recorder.enqueued
        const n = describe.plural(enqueued.length, "side effect")
        return yield* complain(`Interrupted. The dry run had come to ${n}; none has left.`)
      }
      const { colors, width } = yield* look
      const seen = { decisions: yield* recorder.decisions, emitted: yield* recorder.emitted }
      yield* print(
        text.plan(
          seen,
          path,
          exit._tag === "Success" ? undefined : describe.exit(exit),
          [...(around === undefined ? foot : []), ...(chosen.byDefault ? byDefault : [])],
          { ink: inkOf(colors), width, limit: Math.max(0, limit), origin: nameOf(path) }
        )
      )
    }))
  )
})

const nameOf = (path: string): string => `command ${path}`

/** A run of the command: what it does is one unit of work, and the mode says what becomes of its side effects. */
export const run = Effect.fnUntraced(function*(told: Told, handler: Handler, names: ReadonlyArray<string>) {
  const chosen = yield* choose(told.default ?? "live")
  const blocked = chosen.mode === "assert-none" ? undefined : yield* configured(told.group)
  const path = names.join(" ")
  const name = nameOf(path)
  const bounded: Bounded = (more) =>
    SideEffects.boundary(handler, {
      name,
      origin: name,
      policy: chosen.mode === "live" ? both(blocked, told.policy) : told.policy,
      ...more
    })
  switch (chosen.mode) {
    case "live":
      return yield* live(told, bounded, name)
    case "dry-run":
      return yield* dryRun(told, bounded, blocked, path, chosen)
    case "assert-none":
      return yield* assertingNone(bounded, chosen)
    default:
      return yield* keepingIn(told, bounded, blocked, chosen)
  }
})
