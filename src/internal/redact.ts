import type * as SchemaAST from "effect/SchemaAST"

/** Where secrets are: each a path of keys, and one without keys is all of it. */
export type Paths = ReadonlyArray<ReadonlyArray<string>>

/** What stands for a secret where a payload is shown. */
const placeholder = "<redacted>"

const isRedacted = (ast: SchemaAST.AST): boolean => {
  const representation = ast.annotations?.["representation"] as { readonly id?: unknown } | undefined
  return representation?.id === "effect/schema/Redacted"
}

/** The types that a type is made of, those it is encoded to included. */
const partsOf = (ast: SchemaAST.AST): ReadonlyArray<SchemaAST.AST> => {
  const encoded = ast.encoding?.map(({ to }) => to) ?? []
  switch (ast._tag) {
    case "Declaration":
      return [...encoded, ...ast.typeParameters]
    case "Objects":
      return [
        ...encoded,
        ...ast.propertySignatures.map(({ type }) => type),
        ...ast.indexSignatures.flatMap(({ parameter, type }) => [parameter, type])
      ]
    case "Arrays":
      return [...encoded, ...ast.elements, ...ast.rest]
    case "Union":
      return [...encoded, ...ast.types]
    case "Suspend":
      return [...encoded, ast.thunk()]
    default:
      return encoded
  }
}

const known = new WeakMap<SchemaAST.AST, boolean>()

/** Whether a value of this type can hold a secret. Found out once for each type. */
const canHold = (root: SchemaAST.AST): boolean => {
  const answer = known.get(root)
  if (answer !== undefined) return answer
  const seen = new Set<SchemaAST.AST>()
  const left = [root]
  let found = false
  while (!found && left.length > 0) {
    const ast = left.pop()!
    if (seen.has(ast)) continue
    seen.add(ast)
    // A type that never ends, as it is made anew each time it is asked for, might.
    found = isRedacted(ast) || seen.size > 10_000
    left.push(...partsOf(ast))
  }
  known.set(root, found)
  return found
}

/** A class is encoded key by key to the struct it is made from. Nothing can be said about other transformations. */
const structOf = ({ encoding, typeParameters }: SchemaAST.Declaration): SchemaAST.AST | undefined =>
  encoding?.length === 1 && typeParameters.length === 1 && encoding[0].to === typeParameters[0]
    ? typeParameters[0]
    : undefined

const locate = (ast: SchemaAST.AST, json: unknown, path: ReadonlyArray<string>, found: Map<string, typeof path>) => {
  if (json === undefined || json === null || !canHold(ast)) return
  const struct = ast._tag === "Declaration" && !isRedacted(ast) ? structOf(ast) : undefined
  if (struct !== undefined) return locate(struct, json, path, found)
  const within = (type: SchemaAST.AST, key: string) =>
    locate(type, (json as Readonly<Record<string, unknown>>)[key], [...path, key], found)
  if (ast.encoding === undefined && ast._tag === "Objects" && typeof json === "object") {
    const names = new Set<PropertyKey>(ast.propertySignatures.map(({ name }) => name))
    for (const { name, type } of ast.propertySignatures) {
      if (Object.hasOwn(json, name)) within(type, String(name))
    }
    for (const key of Object.keys(json)) {
      if (!names.has(key)) { for (const { type } of ast.indexSignatures) within(type, key) }
    }
  } else if (ast.encoding === undefined && ast._tag === "Arrays" && Array.isArray(json)) {
    for (const index of json.keys()) {
      const element = ast.elements[index]
      for (const type of element === undefined ? ast.rest : [element]) within(type, String(index))
    }
  } else if (ast.encoding === undefined && ast._tag === "Union") {
    for (const type of ast.types) locate(type, json, path, found)
  } else if (ast.encoding === undefined && ast._tag === "Suspend") {
    locate(ast.thunk(), json, path, found)
  } else {
    found.set(JSON.stringify(path), path)
  }
}

/**
 * Where the secrets of a payload are in its JSON. A side effect without secrets costs one look-up.
 *
 * What is encoded by a transformation ends where the transformed value stands, whatever becomes of it: so all of that
 * value counts as a secret when there is one in it.
 */
export const redactedPaths = (
  definition: { readonly payloadSchema: { readonly ast: SchemaAST.AST } },
  json: unknown
): Paths | undefined => {
  const { ast } = definition.payloadSchema
  if (!canHold(ast)) return undefined
  const found = new Map<string, ReadonlyArray<string>>()
  locate(ast, json, [], found)
  return found.size === 0 ? undefined : [...found.values()]
}

// -- For those who look -----------------------------------------------------------------------------------------------

type Json = Record<string, unknown>

const isObject = (u: unknown): u is Json => typeof u === "object" && u !== null

const has = (u: unknown, key: string): u is Json => isObject(u) && Object.hasOwn(u, key)

const valueAt = (json: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((value, key) => has(value, key) ? value[key] : undefined, json)

const ownValue = { configurable: true, enumerable: true, writable: true }

/** A copy with another value at a path that is there. */
const withValueAt = (json: unknown, [key, ...rest]: ReadonlyArray<string>, value: unknown): unknown => {
  if (key === undefined) return value
  if (!has(json, key)) return json
  const copy: any = Array.isArray(json) ? [...json] : { ...json }
  // An assignment to `__proto__` would leave the value as it is.
  Object.defineProperty(copy, key, { ...ownValue, value: withValueAt(json[key], rest, value) })
  return copy
}

/** The payload as it may be shown. */
export const hide = (json: unknown, paths: Paths | undefined): unknown =>
  (paths ?? []).reduce((shown, path) => withValueAt(shown, path, placeholder), json)

/** The secrets themselves, as texts. */
const secretsOf = (json: unknown, paths: Paths): ReadonlyArray<string> => {
  const texts = (u: unknown): ReadonlyArray<string> =>
    typeof u === "string" || typeof u === "number"
      ? [String(u)]
      : isObject(u)
      ? Object.values(u).flatMap(texts)
      : []
  // Also as they stand in JSON and in a URL.
  const quoted = (text: string) => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]
  return paths.flatMap((path) => texts(valueAt(json, path))).flatMap(quoted)
}

/** Takes the secrets of a payload out of a text, as a schema may quote what does not fit. */
export const hideIn = (text: string, json: unknown, paths: Paths | undefined): string =>
  // Shorter ones would take half of the words with them.
  secretsOf(json, paths ?? []).filter(({ length }) => length >= 4).sort((a, b) => b.length - a.length)
    .reduce((shown, secret) => shown.replaceAll(secret, placeholder), text)

/** How long the arrays are that a path goes through. */
const lengths = (json: unknown, path: ReadonlyArray<string>): ReadonlyArray<number> =>
  path.flatMap((_, index) => {
    const value = valueAt(json, path.slice(0, index))
    return Array.isArray(value) ? [value.length] : []
  })

export const show = (path: ReadonlyArray<string>): string => path.length === 0 ? "the payload" : path.join(".")

/** Whether paths lead to the same places in an edited payload as in the stored one. */
export const sameShape = (edited: unknown, stored: unknown, paths: Paths): boolean =>
  paths.every((path) =>
    valueAt(edited, path) !== undefined && String(lengths(edited, path)) === String(lengths(stored, path))
  )

/**
 * An edited payload with the stored secrets in the place of placeholders, or the path of one that cannot be told to stand
 * for the secret at its place, as an array has lost or gained elements.
 */
export const unhide = (
  edited: unknown,
  stored: unknown,
  paths: Paths | undefined
): { readonly json: unknown } | { readonly moved: ReadonlyArray<string> } => {
  let json = edited
  for (const path of paths ?? []) {
    if (valueAt(edited, path) !== placeholder) continue
    if (String(lengths(edited, path)) !== String(lengths(stored, path))) return { moved: path }
    json = withValueAt(json, path, valueAt(stored, path))
  }
  return { json }
}

/** Where a placeholder is left at the place of a secret. */
export const leftAt = (json: unknown, paths: Paths | undefined): ReadonlyArray<string> | undefined =>
  paths?.find((path) => valueAt(json, path) === placeholder)
