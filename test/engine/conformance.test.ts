import * as NodeServices from "@effect/platform-node/NodeServices"
import { describe, it } from "@effect/vitest"
import * as EngineSuite from "effect-side-effects/engine/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { subjects } from "./subjects/index.ts"

// What every engine promises, on each of them. The cases are those that users run on engines of their own.

for (const [engine, { make, needs }] of Object.entries(subjects)) {
  const skip = needs !== undefined && !process.env[needs]
  // One that cannot be loaded does not take the others with it.
  const maker = await make().catch((error) => {
    it(`${engine} can be loaded`, () => {
      throw error
    })
  })
  if (maker === undefined) continue
  const namespaceOf = (index: number) => `suite_${engine.replaceAll("-", "_")}_${process.pid}_${index}`
  const { subject } = maker(namespaceOf(0))

  describe.skipIf(skip).concurrent(skip ? `${subject.name} (skipped: set ${needs})` : subject.name, () => {
    EngineSuite.cases(subject).forEach(({ name }, index) => {
      // A connection of its own for each, so that they can run at the same time.
      it.live(name, () => {
        const { layer, subject } = maker(namespaceOf(index))
        const { run } = EngineSuite.cases(subject)[index]!
        return Effect.provide(run, Layer.merge(layer, NodeServices.layer))
      }, 60_000)
    })
  })
}
