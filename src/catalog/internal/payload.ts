import * as JsonPointer from "effect/JsonPointer"
import type * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"

type Schema = JsonSchema.JsonSchema

/** One row of a payload's table. What lies deeper has a path for a name: `items[].sku`. */
export interface Field {
  readonly name: string
  readonly type: string
  readonly required: boolean
  readonly description: string
}

const maximumDepth = 4

const isSchema = (u: unknown): u is Schema => typeof u === "object" && u !== null && !Array.isArray(u)

const schemas = (u: unknown): ReadonlyArray<Schema> => Array.isArray(u) ? u.filter(isSchema) : []

const propertiesOf = (schema: Schema): Readonly<Record<string, unknown>> | undefined =>
  isSchema(schema["properties"]) ? schema["properties"] : undefined

const union = (types: Iterable<string>): string => [...new Set(types)].join(" | ")

const nonFinite = new Set<unknown>(["NaN", "Infinity", "-Infinity"])

/** How JSON writes a number that it cannot: nobody who reads the table wants to know. */
const isNonFinite = (schema: Schema): boolean =>
  Array.isArray(schema["enum"]) && schema["enum"].every((value) => nonFinite.has(value))

const pointer = (ref: string): ReadonlyArray<string> =>
  ref.split("/").slice(1).map((part) =>
    JsonPointer.unescapeToken(Result.getOrElse(Result.try(() => decodeURIComponent(part)), () => part))
  )

const follow = (root: Schema, schema: Schema): Schema => {
  const seen = new Set<string>()
  let at = schema
  while (typeof at["$ref"] === "string") {
    if (seen.has(at["$ref"])) return {}
    seen.add(at["$ref"])
    const target = pointer(at["$ref"]).reduce<unknown>((u, key) => isSchema(u) ? u[key] : undefined, root)
    if (!isSchema(target)) return at
    const { $ref: _, ...own } = at
    at = { ...target, ...own }
  }
  return at
}

const alternatives = (schema: Schema): ReadonlyArray<Schema> =>
  [...schemas(schema["anyOf"]), ...schemas(schema["oneOf"])].filter((each, _, all) =>
    all.length === 1 || !isNonFinite(each)
  )

const element = (type: string): string => type.includes(" | ") ? `(${type})[]` : `${type}[]`

/** `{ _tag: "Some", ... }`: what tells the members of a union apart. */
const tagged = (root: Schema, schema: Schema): string | undefined => {
  const tag = propertiesOf(schema)?.["_tag"]
  const name = isSchema(tag) ? typeName(root, tag, maximumDepth) : ""
  return name.startsWith("\"") && !name.includes(" | ") ? `{ _tag: ${name}, ... }` : undefined
}

const typeName = (root: Schema, raw: Schema, depth: number): string => {
  if (depth > maximumDepth) return "..."
  const schema = follow(root, raw)
  const nested = (u: unknown): string => isSchema(u) ? typeName(root, u, depth + 1) : "unknown"
  if (Array.isArray(schema["enum"])) return union(schema["enum"].map((value) => JSON.stringify(value)))
  if ("const" in schema) return JSON.stringify(schema["const"])
  const either = alternatives(schema)
  if (either.length > 0) return union(either.map(nested))
  if (Array.isArray(schema["type"])) return union(schema["type"].map(String))
  if (schema["type"] === "array") {
    const first = schemas(schema["prefixItems"])
    if (first.length === 0) return element(nested(schema["items"]))
    const more = isSchema(schema["items"]) ? [`...${element(nested(schema["items"]))}`] : []
    return `[${[...first.map(nested), ...more].join(", ")}]`
  }
  if (schema["type"] === "object" && !isSchema(schema["properties"]) && isSchema(schema["additionalProperties"])) {
    return `Record<string, ${nested(schema["additionalProperties"])}>`
  }
  if (typeof schema["type"] !== "string") return "unknown"
  if (schema["type"] === "object") return tagged(root, schema) ?? "object"
  return typeof schema["format"] === "string" ? `${schema["type"]} (${schema["format"]})` : schema["type"]
}

/** What of a field has fields of its own, and how to write the way to them. */
const within = (root: Schema, raw: Schema, path: string, depth = 0): readonly [Schema, string] | undefined => {
  if (depth > maximumDepth) return undefined
  const schema = follow(root, raw)
  if (propertiesOf(schema) !== undefined) return [schema, `${path}.`]
  if (isSchema(schema["items"])) return within(root, schema["items"], `${path}[]`, depth + 1)
  const objects = alternatives(schema).filter((each) => follow(root, each)["type"] !== "null")
  return objects.length === 1 ? within(root, objects[0]!, path, depth + 1) : undefined
}

const below = (
  root: Schema,
  schema: Schema,
  prefix: string,
  seen: ReadonlyArray<unknown>
): ReadonlyArray<Field> => {
  const properties = propertiesOf(schema)
  if (properties === undefined || seen.includes(properties) || seen.length >= maximumDepth) return []
  const required = new Set<unknown>(Array.isArray(schema["required"]) ? schema["required"] : [])
  return Object.entries(properties).flatMap(([key, raw]) => {
    const property = isSchema(raw) ? raw : {}
    const name = `${prefix}${key}`
    const description = follow(root, property)["description"]
    const inner = within(root, property, name)
    return [
      {
        name,
        type: typeName(root, property, 0),
        required: required.has(key),
        description: typeof description === "string" ? description : ""
      },
      ...(inner === undefined ? [] : below(root, inner[0], inner[1], [...seen, properties]))
    ]
  })
}

/** The fields of an object, those of objects inside it after it. `undefined`: it is something else than an object. */
export const fields = (schema: Schema): ReadonlyArray<Field> | undefined => {
  const at = follow(schema, schema)
  const isRecord = propertiesOf(at) === undefined && isSchema(at["additionalProperties"])
  return at["type"] === "object" && !isRecord ? below(schema, at, "", []) : undefined
}
