/**
 * A worker in a process of its own, to be killed: node --import ./scripts/lib/from-source.ts test/engine/child.ts
 * <engine> <namespace>, where the engine is a name of `subjects`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as EngineSuite from "effect-side-effects/engine/testing"
import * as Effect from "effect/Effect"
import { subjects } from "./subjects/index.ts"

const [engine, namespace] = process.argv.slice(2)

Effect.gen(function*() {
  const known = subjects[engine as keyof typeof subjects]
  if (known === undefined || namespace === undefined) {
    return yield* Effect.die(`usage: child.ts <${Object.keys(subjects).join(" | ")}> <namespace>`)
  }
  const make = yield* Effect.promise(known.make)
  const { layer, subject } = make(namespace, { child: true })
  return yield* Effect.provide(EngineSuite.runWorker(subject.layerWorker as any), layer)
}).pipe(Effect.provide(NodeServices.layer), (main) => NodeRuntime.runMain(main as Effect.Effect<never>))
