import { assert, describe, layer } from "@effect/vitest"
import { OutboxStore } from "effect-side-effects/outbox"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { makeMet, run, Step } from "./model.ts"
import { stores } from "./stores.ts"

// Random steps of several workers and operators, taken in a store and in a model.

/** How many runs, and whether they are enough to meet everything. */
const budgets: Readonly<Record<string, { readonly runs: number; readonly meetsAll: boolean }>> = {
  "in memory": { runs: 600, meetsAll: true },
  "on SQLite in memory": { runs: 600, meetsAll: true },
  "on PostgreSQL": { runs: 60, meetsAll: false }
}

const Steps = Schema.Array(Step).check(Schema.isMinLength(10))

for (const { database, fresh, name, skip } of stores("model_test_outbox")) {
  const { meetsAll, runs } = budgets[name] ?? { runs: 0, meetsAll: false }
  if (runs === 0) continue
  describe.skipIf(skip)(`an outbox ${name}`, () => {
    layer(database, { excludeTestServices: true })((it) => {
      const met = makeMet()

      it.effect.prop(
        "does what the model does",
        [Steps],
        ([steps]) =>
          OutboxStore.OutboxStore.pipe(
            Effect.flatMap((store) => run(store, steps, met)),
            Effect.provide(fresh)
          ),
        { arbitrary: { runs, size: 60 }, timeout: 60_000 }
      )

      if (meetsAll) {
        it("has met everything that can happen", () => {
          assert.deepStrictEqual([...met].filter(([, times]) => times < 5), [])
        })
      }
    })
  })
}
