import { assert, describe, it } from "@effect/vitest"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { ClusterSideEffects } from "effect-side-effects/cluster"
import * as TestRunner from "effect/cluster/TestRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"

class Note extends SideEffect.make("cluster:note", {
  description: "Write something down.",
  payload: { id: Schema.String }
}) {}

const Notes = SideEffectGroup.make("notes").add(Note)

describe("ClusterSideEffects", () => {
  it.live("performs what a boundary has released", () =>
    Effect.gen(function*() {
      const performed = yield* Queue.unbounded<string>()
      yield* Effect.gen(function*() {
        yield* SideEffects.boundary(SideEffects.enqueue(Note, { id: "1" }))
        assert.strictEqual(yield* Queue.take(performed), "1")
      }).pipe(Effect.provide(
        Layer.merge(
          SideEffects.LiveLayer(Notes, { dispatcher: ClusterSideEffects.dispatcher() }),
          ClusterSideEffects.layerWorker(Notes).pipe(
            Layer.provide(Note.toLayer(({ id }) => Queue.offer(performed, id)))
          )
        ).pipe(Layer.provideMerge(TestRunner.layer))
      ))
    }))
})
