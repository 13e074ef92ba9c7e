import {
  classOf,
  type Definition,
  isFunction,
  keyOf,
  type Node,
  propertyOf,
  type SourceCode,
  unwrap,
  valueOf,
  type Variable,
  variableOf
} from "./ast.ts"
import { globalObjects, type Path } from "./pattern.ts"

/** Finds the names of an expression. */
export interface Names {
  /**
   * Every name by which a reader could call the expression: as it is written, and where its variables, imports and types
   * lead. None if its implementation stands in this file, or if it is a collection.
   */
  (node: Node): ReadonlyArray<Path>
}

const collections: ReadonlySet<string> = new Set(
  "Array HashMap HashSet Map MutableHashMap MutableHashSet Object ReadonlyArray ReadonlyMap ReadonlySet Set WeakMap WeakSet"
    .split(" ")
)

const unknown: ReadonlyArray<Path> = [{ segments: ["?"], free: false }]
const own: ReadonlyArray<Path> = []

const named = (name: string, free = false): Path => ({ segments: [name], free })

const isCollection = (paths: ReadonlyArray<Path>): boolean =>
  paths.some(({ free, segments }) => free && segments.length === 1 && collections.has(segments[0]!))

const called = (paths: ReadonlyArray<Path>): ReadonlyArray<Path> =>
  paths.map(({ isModule: _, ...path }) => ({
    ...path,
    segments: [...path.segments.slice(0, -1), `${path.segments.at(-1) ?? ""}()`]
  }))

const moduleName = (specifier: string): string => specifier.split("/").at(-1)!.replace(/\.[cm]?[jt]sx?$/, "")

/** Whether it is a module of the program: relative, or under one of the names that no package may have. */
const isOfProgram = (module: string | undefined): boolean => module !== undefined && /^(?:[.#~/]|@\/)/.test(module)

const wholeModule = (module: string, name?: string): ReadonlyArray<Path> => [
  { module, segments: [], free: true },
  named(moduleName(module), true),
  ...(name === undefined || name === moduleName(module) ? [] : [named(name, true)])
]

const exported = (module: string, name: string, local: string): ReadonlyArray<Path> => [
  { module, segments: [name], free: true },
  named(name === "default" ? local : name, true)
]

/** A module whose members are its exports, as a default import, which may be any object, is not. */
const namespace = (module: string, name?: string): ReadonlyArray<Path> =>
  wholeModule(module, name).map((path) => path.module === undefined ? path : { ...path, isModule: true })

const isNamespace = (paths: ReadonlyArray<Path>): boolean => paths.some(({ isModule }) => isModule)

const imported = ({ node, parent }: Definition): ReadonlyArray<Path> => {
  const module: string = parent?.["source"]?.value ?? ""
  const local: string = node["local"]?.name ?? node["id"]?.name
  if (node.type === "ImportNamespaceSpecifier") return namespace(module, local)
  if (node.type !== "ImportSpecifier") {
    return [{ module, segments: ["default"], free: true }, ...wholeModule(module, local)]
  }
  return exported(module, node["imported"].name ?? node["imported"].value, local)
}

const member = (paths: ReadonlyArray<Path>, key: string): ReadonlyArray<Path> =>
  paths.flatMap(({ isModule, ...path }) =>
    // `Orders.fetch` of a module of the program is its own word for something; `undici.fetch` is what it looks like.
    isModule && !isOfProgram(path.module)
      ? exported(path.module!, key, key)
      : [{ ...path, segments: [...path.segments, key] }]
  )

/** Paths are few, unless a program is made to have many: two for every `?:` that leads to another one. */
const mostPaths = 128

const distinct = (paths: ReadonlyArray<Path>): ReadonlyArray<Path> => {
  if (paths.length < 2) return paths
  const seen = new Map(paths.map((path) => [JSON.stringify(path), path]))
  return [...seen.values()].slice(0, mostPaths)
}

/** How far a name is followed: further than any program goes, and not as far as the stack. */
const mostSteps = 200

/** The keys that lead from a pattern to the identifier in it; `undefined` if the source does not say them. */
const keysTo = (pattern: Node, identifier: Node): ReadonlyArray<string> | undefined => {
  if (pattern === identifier) return []
  if (pattern.type === "AssignmentPattern") return keysTo(pattern["left"], identifier)
  if (pattern.type === "TSParameterProperty") return keysTo(pattern["parameter"], identifier)
  if (pattern.type !== "ObjectPattern") return undefined
  for (const property of pattern["properties"]) {
    const rest = property.type === "Property" ? keysTo(property.value, identifier) : undefined
    if (rest !== undefined) return [keyOf(property) ?? "?", ...rest]
  }
  return undefined
}

const isContained = (node: Node, inside: Node): boolean =>
  inside.range[0] <= node.range[0] && node.range[1] <= inside.range[1]

const flattening = new Set(["flatMap", "map", "tap", "andThen"])

/** What a function is called with, where it stands in `Effect.flatMap(it, (x) => ...)` or `it.pipe(flatMap((x) => ...))`. */
const argumentOf = (callback: Node): Node | undefined => {
  const call = callback.parent
  if (call?.type !== "CallExpression" || call["callee"].type !== "MemberExpression") return undefined
  const name = keyOf(call["callee"])
  if (name === "use") return call["callee"].object
  if (name === undefined || !flattening.has(name)) return undefined
  if (call["arguments"].length > 1) return call["arguments"][0] === callback ? undefined : call["arguments"][0]
  const pipe = call.parent
  const isFirst = pipe.type === "CallExpression" && pipe["arguments"][0] === call &&
    pipe["callee"].type === "MemberExpression" && keyOf(pipe["callee"]) === "pipe"
  return isFirst ? pipe["callee"].object : undefined
}

export const makeNames = (source: SourceCode): Names => {
  const known = new Map<Node, ReadonlyArray<Path>>()
  let steps = 0

  const names = (node: Node): ReadonlyArray<Path> => {
    const expression = unwrap(node)
    const found = known.get(expression)
    if (found !== undefined) return found
    if (steps === mostSteps) return unknown
    // What leads back to itself is unknown.
    known.set(expression, unknown)
    steps++
    const paths = distinct(find(expression))
    steps--
    known.set(expression, paths)
    return paths
  }

  const ofType = (type: Node | undefined): ReadonlyArray<Path> | undefined => {
    if (type?.type === "TSTypeAnnotation") return ofType(type["typeAnnotation"])
    if (type?.type !== "TSTypeReference") return undefined
    const ofName = (name: Node): ReadonlyArray<Path> =>
      name.type === "TSQualifiedName" ? member(ofName(name["left"]), name["right"].name) : names(name)
    const paths = ofName(type["typeName"])
    return isCollection(paths) ? own : paths
  }

  /** By what it is called, what it is made of, and its type. */
  const ofVariable = (name: string, made: Node | undefined | null, type: Node | undefined): ReadonlyArray<Path> => {
    const typed = ofType(type)
    const paths = made ? names(made) : unknown
    if (typed?.length === 0 || paths.length === 0) return own
    return [named(name, isNamespace(paths)), ...paths, ...typed ?? []]
  }

  const ofPattern = (
    name: string,
    keys: ReadonlyArray<string> | undefined,
    base: ReadonlyArray<Path>
  ): ReadonlyArray<Path> => {
    const isForeign = base.some(({ free }) => free) && !base.some(({ module }) => isOfProgram(module))
    const paths = (keys ?? ["?"]).reduce(member, base)
    // Taken out of a module, it is an import in all but its form.
    const imports = base.flatMap(({ isModule, module }) =>
      isModule && keys?.length === 1 ? exported(module!, keys[0]!, name) : []
    )
    return [named(name), ...imports, ...isForeign ? paths : paths.map((path) => ({ ...path, isTaken: true }))]
  }

  const ofDefinition = (variable: Variable, definition: Definition): ReadonlyArray<Path> => {
    const { name, node, type } = definition
    if (type === "ImportBinding") return imported(definition)
    if (type === "FunctionName") return own
    if (type === "ClassName") return node["superClass"] ? [named(variable.name)] : own
    if (type === "Variable") {
      const { id, init } = node as unknown as { readonly id: Node; readonly init: Node | null }
      if (id.type === "Identifier") return ofVariable(variable.name, init, id["typeAnnotation"])
      const keys = keysTo(id, name)
      const literal = init === null ? undefined : literalOf(init)
      if (literal !== undefined && keys?.length === 1) return ofProperty(literal, keys[0])
      return ofPattern(variable.name, keys, init === null ? unknown : names(init))
    }
    if (type === "Parameter") {
      const parameter: Node | undefined = node["params"]?.find((parameter: Node) => isContained(name, parameter))
      const given = parameter !== undefined && parameter === node["params"][0] ? argumentOf(node) : undefined
      if (parameter === undefined) return [named(variable.name)]
      const keys = keysTo(parameter, name)
      if (keys?.length === 0) return ofVariable(variable.name, given, name["typeAnnotation"])
      const typed = ofType(parameter["typeAnnotation"])
      return ofPattern(variable.name, keys, given === undefined ? typed ?? unknown : names(given))
    }
    return [named(variable.name)]
  }

  /** The object literal that an expression is. */
  const literalOf = (node: Node): Node | undefined => {
    const value = valueOf(source, node)
    const made = value.type === "CallExpression" ? returnedBy(value["callee"]) : undefined
    const object = made === undefined ? value : unwrap(made)
    return object.type === "ObjectExpression" ? object : undefined
  }

  /** What a function of this file returns, if it ends with that. */
  const returnedBy = (callee: Node): Node | undefined => {
    const body: Node | undefined = isFunction(valueOf(source, callee)) ? valueOf(source, callee)["body"] : undefined
    if (body?.type !== "BlockStatement") return body
    const last: Node | undefined = body["body"].at(-1)
    return last?.type === "ReturnStatement" ? last["argument"] ?? undefined : undefined
  }

  const ofProperty = (literal: Node, key: string | undefined): ReadonlyArray<Path> => {
    const property = propertyOf(literal, key)
    if (property !== undefined) return names(property["value"])
    const hasOthers = key === undefined || literal["properties"].some(({ type }: Node) => type === "SpreadElement")
    return hasOthers ? member(unknown, key ?? "?") : own
  }

  /** What `this.key` is: a member of the class says how it is made, or is its own implementation. */
  const ofThis = (expression: Node, key: string): ReadonlyArray<Path> => {
    const written: Path = { segments: ["this", key], free: false }
    const body: ReadonlyArray<Node> = classOf(expression)?.["body"].body ?? []
    const found = body.find((entry) => keyOf(entry) === key && !entry["static"])
    const build: ReadonlyArray<Node> = body.filter((entry) => entry["kind"] === "constructor")
    const parameters = build.flatMap((entry): ReadonlyArray<Node> => entry["value"].params)
    const parameter = parameters.find((it) => it.type === "TSParameterProperty" && it["parameter"].name === key)
    const assigned = build.flatMap((entry): ReadonlyArray<Node> => entry["value"].body?.body ?? []).find(
      (statement) => {
        const left = statement["expression"]?.type === "AssignmentExpression" ? statement["expression"].left : undefined
        return left?.type === "MemberExpression" && left.object.type === "ThisExpression" && keyOf(left) === key
      }
    )
    const made: Node | undefined = found?.["kind"] === "get"
      ? undefined
      : found?.["value"] ?? assigned?.["expression"].right
    const typed = ofType(found?.["typeAnnotation"] ?? parameter?.["parameter"].typeAnnotation)
    const paths = made === undefined ? unknown : names(made)
    return typed?.length === 0 || paths.length === 0 ? own : [written, ...paths, ...typed ?? []]
  }

  const ofCall = (call: Node): ReadonlyArray<Path> => {
    const callee = unwrap(call["callee"])
    const first: Node | undefined = call["arguments"][0]
    if (callee.type === "MemberExpression" && keyOf(callee) === "pipe") return names(callee["object"])
    if (callee.type === "Identifier" && first !== undefined) {
      if (callee["name"] === "pipe") return names(first)
      if (callee["name"] === "require" && typeof first["value"] === "string") return namespace(first["value"])
    }
    const returned = returnedBy(callee)
    if (returned !== undefined) return names(returned)
    const paths = names(callee)
    return paths.length === 0 ? unknown : called(paths)
  }

  const find = (node: Node): ReadonlyArray<Path> => {
    if (isFunction(node)) return own
    switch (node.type) {
      case "Identifier": {
        const variable = variableOf(source, node)
        const definition = variable?.defs[0]
        if (definition !== undefined) return ofDefinition(variable!, definition)
        return globalObjects.has(node["name"]) ? [{ segments: [], free: true }] : [named(node["name"], true)]
      }
      case "MemberExpression": {
        const key = keyOf(node)
        const object = unwrap(node["object"])
        if (object.type === "ThisExpression") return ofThis(node, key ?? "?")
        const literal = literalOf(object)
        return literal === undefined ? member(names(object), key ?? "?") : ofProperty(literal, key)
      }
      case "CallExpression":
        return ofCall(node)
      case "NewExpression": {
        const paths = names(node["callee"])
        return isCollection(paths) ? own : paths.map(({ isModule: _, ...path }) => path)
      }
      case "ImportExpression":
        return typeof node["source"].value === "string" ? namespace(node["source"].value) : unknown
      case "AssignmentExpression":
        return names(node["right"])
      case "SequenceExpression":
        return names(node["expressions"].at(-1))
      case "ConditionalExpression":
        return [...names(node["consequent"]), ...names(node["alternate"])]
      case "LogicalExpression":
        return [...names(node["left"]), ...names(node["right"])]
      case "ArrayExpression":
      case "ClassExpression":
      case "Literal":
      case "ObjectExpression":
      case "TemplateLiteral":
        return own
      default:
        return unknown
    }
  }

  return names
}
