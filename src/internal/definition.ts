import * as Context from "effect/Context"
import { pipeArguments } from "effect/Pipeable"
import * as Schema from "effect/Schema"
import { checkDescription, checkName } from "./pattern.ts"
import type { Site, Sited } from "./site.ts"

// What the definitions of side effects and of events have in common.

/**
 * Any schema that encodes and decodes without services.
 *
 * **Details**
 *
 * A payload is validated where it is enqueued or emitted and may be stored, so both directions have to work anywhere.
 *
 * @category models
 * @since 0.1.0
 */
export interface PayloadSchema extends Schema.Top {
  readonly DecodingServices: never
  readonly EncodingServices: never
}

/**
 * The schema of a payload that was given as a schema or as the fields of a struct.
 *
 * @category utility types
 * @since 0.1.0
 */
export type ToPayloadSchema<P> = P extends PayloadSchema ? P
  : P extends Schema.Struct.Fields ? Schema.Struct<P> extends infer S extends PayloadSchema ? S : never
  : never

/** What all definitions hold. */
export interface Fields extends Sited {
  readonly _tag: string
  readonly description: string
  readonly payloadSchema: Schema.Top
  readonly annotations: Context.Context<never>
}

/** Checks and completes what `make` of a definition was given. */
export const fieldsOf = (what: string, name: string, site: Site, options: {
  readonly description: string
  readonly payload?: unknown
  readonly annotations?: Context.Context<never> | undefined
}): Fields => {
  checkName(what, name)
  const { payload } = options
  return {
    _tag: name,
    description: checkDescription(what, name, options.description),
    payloadSchema: payload === undefined
      ? Schema.Void
      : Schema.isSchema(payload)
      ? payload as Schema.Top
      : Schema.Struct(payload as Schema.Struct.Fields),
    annotations: options.annotations ?? Context.empty(),
    "~effect-side-effects/site": site
  }
}

/** A definition: a class, so that it can be extended by one with a name of its own. */
export const define = <F extends Fields>(proto: object, fields: F): any => {
  function Definition() {}
  return Object.assign(Definition, proto, fields, {
    summary: fields.description.trim().split("\n", 1)[0]!.trim(),
    annotate: (key: Context.Key<any, any>, value: unknown) =>
      define(proto, { ...fields, annotations: Context.add(fields.annotations, key, value) }),
    annotateMerge: (annotations: Context.Context<any>) =>
      define(proto, { ...fields, annotations: Context.merge(fields.annotations, annotations) }),
    pipe() {
      return pipeArguments(this, arguments)
    }
  })
}
