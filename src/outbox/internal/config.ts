import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as ConfigLayer from "../../ConfigLayer.ts"
import { Settings } from "../../internal/settings.ts"
import type * as SideEffectGroup from "../../SideEffectGroup.ts"
import type * as worker from "./worker.ts"

/** The options of a worker as the deployer turns them. */
export const read = /*#__PURE__*/ Effect.fnUntraced(function*(
  group: SideEffectGroup.Any,
  options: worker.Options = {}
): Effect.fn.Return<worker.Options, Config.ConfigError> {
  const settings = new Settings()
  const { keepsIn, mode, policy } = yield* ConfigLayer.readSwitches(settings, group, options.policy)
  const queues = yield* settings.list("OUTBOX_QUEUES", "names of queues, separated by commas, or a list of them")
  if (queues.length > 0) settings.turned.push(`SIDE_EFFECTS_OUTBOX_QUEUES=${queues.join(",")}`)
  const turned: worker.Options = {
    queues: queues.length === 0 ? undefined : queues,
    concurrency: yield* settings.number("OUTBOX_CONCURRENCY"),
    batchSize: yield* settings.number("OUTBOX_BATCH_SIZE"),
    maxCrashes: yield* settings.number("OUTBOX_MAX_CRASHES"),
    lease: yield* settings.duration("OUTBOX_LEASE", 1),
    pollInterval: yield* settings.duration("OUTBOX_POLL_INTERVAL", 1),
    gracePeriod: yield* settings.duration("OUTBOX_GRACE_PERIOD", 0)
  }
  const retention = {
    done: yield* settings.duration("OUTBOX_RETENTION_DONE", 0),
    dead: yield* settings.duration("OUTBOX_RETENTION_DEAD", 0),
    unknown: yield* settings.duration("OUTBOX_RETENTION_UNKNOWN", 0)
  }
  yield* settings.end(`the outbox worker of group "${group.name}"`)
  const holdsBack = (name: string) => mode !== "live" || keepsIn(name)
  const held = [...group.sideEffects.keys()].filter(holdsBack)
  if (held.length > 0) {
    yield* Effect.logWarning(
      `The outbox worker of group "${group.name}" begins nothing of ${held.join(", ")}, as ${
        mode === "live"
          ? "SIDE_EFFECTS_BLOCK and SIDE_EFFECTS_ALLOW_ONLY say"
          : `SIDE_EFFECTS_MODE is ${mode}`
      }. What is in the outbox waits there.`
    )
  }
  return {
    ...options,
    ...given(turned),
    retention: { ...options.retention, ...given(retention) },
    policy,
    holdsBack
  }
})

/** Without what is not set, so that it does not hide what the code says. */
const given = <A extends object>(values: A): A =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as A
