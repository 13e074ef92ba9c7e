import { describe, layer } from "@effect/vitest"
import * as OutboxSuite from "effect-side-effects/outbox/testing"
import * as Effect from "effect/Effect"
import { stores } from "./stores.ts"

// What every store promises, on each of them. The cases are those that users run on stores of their own.

for (const { database, fresh, name, skip } of stores("conformance_test_outbox")) {
  describe.skipIf(skip)(`an outbox ${name}`, () => {
    layer(database, { excludeTestServices: true })((it) => {
      for (const { name, run } of OutboxSuite.cases) {
        it.effect(name, () => Effect.provide(run, fresh))
      }
    })
  })
}
