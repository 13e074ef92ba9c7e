/**
 * Traces and metrics of what leaves a program.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as LayerModule from "effect/Layer"
import * as Instruments from "../Instruments.ts"

/** @internal */
export const layer: Layer.Layer<never> = LayerModule.effect(
  Instruments.Current,
  Effect.map(Instruments.Current, (i) => i)
)
