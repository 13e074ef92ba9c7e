import * as Schema from "effect/Schema"

/** How payloads are stored: encoded as JSON values. Both directions throw where a payload does not fit. */
export interface Codec {
  readonly encode: (payload: unknown) => unknown
  readonly decode: (json: unknown) => unknown
}

const codecs = new WeakMap<object, Codec>()

/** Made once for each definition. */
export const codecOf = (definition: { readonly payloadSchema: Schema.Constraint }): Codec => {
  let codec = codecs.get(definition)
  if (codec === undefined) {
    const schema: Schema.Codec<unknown, unknown> = Schema.toCodecJson(definition.payloadSchema) as any
    codec = { encode: Schema.encodeUnknownSync(schema), decode: Schema.decodeUnknownSync(schema) }
    codecs.set(definition, codec)
  }
  return codec
}
