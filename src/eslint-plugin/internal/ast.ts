/**
 * What the rule touches of ESLint and of the syntax tree. It is not imported, so that the plugin runs in any linter that
 * speaks ESLint's interface and the types of ESLint stay out of the build.
 */

/** A node of the syntax tree: ESTree, with what TypeScript adds to it. */
export interface Node {
  readonly type: string
  readonly parent: Node
  readonly range: readonly [number, number]
  readonly [property: string]: any
}

export interface Reference {
  readonly identifier: Node
  /** Only the scopes of TypeScript know references that are types; an export may be both. */
  readonly isValueReference?: boolean | undefined
  isRead(): boolean
  isWrite(): boolean
}

export interface Definition {
  readonly type: string
  readonly node: Node
  readonly name: Node
  readonly parent?: Node | null | undefined
}

export interface Variable {
  readonly name: string
  readonly defs: ReadonlyArray<Definition>
  readonly references: ReadonlyArray<Reference>
}

interface Scope {
  readonly set: { get(name: string): Variable | undefined }
  readonly upper: Scope | null
}

export interface SourceCode {
  readonly ast: { readonly [property: string]: any }
  getScope(node: Node): Scope
  getText(node: Node): string
}

export interface Context {
  readonly cwd: string
  readonly filename: string
  readonly options: ReadonlyArray<any>
  readonly sourceCode: SourceCode
  report(finding: {
    readonly node: Node
    readonly messageId: string
    readonly data: Readonly<Record<string, string>>
  }): void
}

const transparent: Readonly<Record<string, string>> = {
  AwaitExpression: "argument",
  ChainExpression: "expression",
  ParenthesizedExpression: "expression",
  TSAsExpression: "expression",
  TSInstantiationExpression: "expression",
  TSNonNullExpression: "expression",
  TSSatisfiesExpression: "expression",
  TSTypeAssertion: "expression",
  YieldExpression: "argument"
}

/** The expression without what changes its type or waits for it. */
export const unwrap = (node: Node): Node => {
  let at = node
  for (let inner = transparent[at.type]; inner !== undefined && at[inner]; inner = transparent[at.type]) at = at[inner]
  return at
}

/** The nearest node around this one that is more than a change of its type. */
export const outer = (node: Node): Node => {
  let child = node
  while (child.parent.type in transparent && child.parent.type !== "AwaitExpression") child = child.parent
  return child
}

export const isFunction = (node: Node): boolean =>
  node.type === "ArrowFunctionExpression" || node.type === "FunctionExpression" || node.type === "FunctionDeclaration"

/** The name under which a member or a property is found, if the source says it. */
export const keyOf = (node: Node): string | undefined => {
  const key: Node | undefined = node["property"] ?? node["key"]
  // Static blocks and index signatures are members of a class, too.
  if (key === undefined) return undefined
  if (!node["computed"]) {
    return key.type === "Literal"
      ? String(key["value"])
      : key.type === "PrivateIdentifier"
      ? `#${key["name"]}`
      : key["name"]
  }
  if (key.type === "Literal") return String(key["value"])
  return key.type === "TemplateLiteral" && key["expressions"].length === 0 ? key["quasis"][0].value.cooked : undefined
}

/** The property of an object literal with this name. */
export const propertyOf = (object: Node, name: string | undefined): Node | undefined =>
  object["properties"].find((property: Node) => property.type === "Property" && keyOf(property) === name)

export const variableOf = (source: SourceCode, identifier: Node): Variable | undefined => {
  for (let scope: Scope | null = source.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(identifier["name"])
    if (variable !== undefined) return variable
  }
  return undefined
}

/** What the expression holds: for the name of a variable or a function of this file, what that was made as. */
export const valueOf = (source: SourceCode, node: Node): Node => {
  const expression = unwrap(node)
  const definition = expression.type === "Identifier" ? variableOf(source, expression)?.defs[0] : undefined
  if (definition?.type === "FunctionName") return definition.node
  const isNamed = definition?.type === "Variable" && definition.node["id"].type === "Identifier"
  return isNamed && definition.node["init"] ? unwrap(definition.node["init"]) : expression
}

/** The nearest class around the node, if `this` means its instance there. */
export const classOf = (node: Node): Node | undefined => {
  for (let at = node; at; at = at.parent) {
    if (at.type === "ClassBody") return at.parent
    const isMethod = at.type === "FunctionExpression" && at.parent.type === "MethodDefinition"
    if (isFunction(at) && at.type !== "ArrowFunctionExpression" && !isMethod) return undefined
  }
  return undefined
}
