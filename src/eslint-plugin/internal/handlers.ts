import {
  isFunction,
  keyOf,
  type Node,
  outer,
  type Reference,
  type SourceCode,
  unwrap,
  type Variable,
  variableOf
} from "./ast.ts"
import type { Names } from "./names.ts"

/** Finds the handlers of a file. */
export interface Handlers {
  /** Whether the node stands where only a handler leads. */
  readonly contains: (node: Node) => boolean
  /** The side effect that the called expression is the handler of. */
  readonly sideEffectOf: (callee: Node) => Target | undefined
}

/** The side effect of a handler, as source text. */
interface Target {
  /** Its definition where the file shows it, its name in quotes otherwise. */
  readonly sideEffect: string
  /** What `enqueue` takes, with `definition` for one that the file does not show. */
  readonly definition: string
  /** Whether its payload is the array of the arguments. */
  readonly takesArguments: boolean
}

/** What else of effect has a method `toLayer`: what is given to it is domain code. */
const others: ReadonlySet<string> = new Set(
  "ClusterCron DurableQueue Entity EventGroup EventLog McpServer Rpc RpcGroup Toolkit Workflow".split(" ")
)

/** Whether its declaration exports it. What is exported in a place of its own is used there. */
const isExported = (variable: Variable): boolean => {
  const definition = variable.defs[0]!.node
  const statement = definition.type === "VariableDeclarator" ? definition.parent.parent : definition.parent
  return statement.type.startsWith("Export")
}

const isTypeUse = ({ identifier, isValueReference }: Reference): boolean =>
  isValueReference === false || identifier.parent.type === "TSTypeQuery"

const isWithin = (node: Node, ancestor: Node): boolean => {
  for (let at = node; at; at = at.parent) if (at === ancestor) return true
  return false
}

export const makeHandlers = (source: SourceCode, names: Names): Handlers => {
  const only = new Map<Variable, boolean>()

  /** What the receiver of `toLayer` was made by. */
  const definitionOf = (receiver: Node): ReadonlyArray<string> => {
    const definition = receiver.type === "Identifier" ? variableOf(source, receiver)?.defs[0] : undefined
    const parent: Node | undefined = definition?.type === "ClassName" ? definition.node["superClass"] : undefined
    return names(parent ?? receiver).flatMap(({ segments }) => segments.map((segment) => segment.replace("()", "")))
  }

  /** Where the handler is in the arguments of a call, or -1 if it takes none. */
  const positionIn = (call: Node): number => {
    const callee = unwrap(call["callee"])
    if (callee.type === "Identifier") {
      const isOurs = names(callee).some(({ module, segments }) =>
        module?.startsWith("effect-side-effects") && segments[0] === "fromFunction"
      )
      return isOurs ? 1 : -1
    }
    if (callee.type !== "MemberExpression") return -1
    const receiver = unwrap(callee["object"])
    switch (keyOf(callee)) {
      case "toLayer":
        return definitionOf(receiver).some((name) => others.has(name)) ? -1 : 0
      case "handler":
        return isSideEffect(receiver) ? 0 : -1
      case "fromFunction":
        return definitionOf(receiver).includes("SideEffect") ? 1 : -1
      default:
        return -1
    }
  }

  // `handler` is a word of many libraries: here it is a method of a class or of something made by SideEffect.make.
  const isSideEffect = (receiver: Node): boolean => {
    const name: string | undefined = receiver.type === "MemberExpression" ? keyOf(receiver) : receiver["name"]
    if (name === undefined) return false
    return /^[A-Z]/.test(name) || definitionOf(receiver).includes("SideEffect")
  }

  /** The side effect whose handler the expression is made to be by its place. */
  const given = (expression: Node): Target | undefined => {
    const child = outer(expression)
    const { parent } = child
    if (parent.type === "CallExpression") {
      return parent["arguments"].includes(child) && parent["arguments"].indexOf(child) === positionIn(parent)
        ? targetOf(parent)
        : undefined
    }
    if (parent.type !== "Property" || parent["value"] !== child || keyOf(parent) === undefined) return undefined
    const object = outer(parent.parent)
    const isGroup = object.type === "ObjectExpression" && passedTo(object) !== undefined
    return isGroup ? targetNamed(keyOf(parent)!) : undefined
  }

  /** The call that takes the expression, or the variable of this name, as its handlers. */
  const passedTo = (expression: Node): Node | undefined => {
    const { parent } = outer(expression)
    if (parent.type === "CallExpression" && positionIn(parent) === parent["arguments"].indexOf(outer(expression))) {
      return parent["arguments"].includes(outer(expression)) ? parent : undefined
    }
    const isNamed = parent.type === "VariableDeclarator" && parent["id"].type === "Identifier"
    const variable = isNamed ? variableOf(source, parent["id"]) : undefined
    const reference = variable?.references.find(({ identifier }) =>
      identifier.parent.type === "CallExpression" && passedTo(identifier) !== undefined
    )
    return reference?.identifier.parent
  }

  const targetOf = (call: Node): Target => {
    const callee = unwrap(call["callee"])
    if (callee.type === "MemberExpression" && keyOf(callee) !== "fromFunction") {
      const definition = source.getText(callee["object"])
      return { sideEffect: definition, definition, takesArguments: false }
    }
    const { id, type } = outer(call).parent
    const definition = type === "VariableDeclarator" && id.type === "Identifier"
      ? `${id.name}.definition`
      : "definition"
    return { sideEffect: source.getText(call["arguments"][0]), definition, takesArguments: true }
  }

  /** The side effect of this name: its definition stands at the top of the file, or elsewhere. */
  const targetNamed = (name: string): Target => {
    const makes = (made: Node | null | undefined) =>
      made?.type === "CallExpression" && made["arguments"][0]?.value === name &&
      made["callee"].property?.name === "make"
    const declared = source.ast["body"].flatMap((statement: Node): ReadonlyArray<Node> => {
      const declaration: Node = statement["declaration"] ?? statement
      return declaration["declarations"] ?? [declaration]
    })
    const found = declared.find(({ init, superClass }: Node) => makes(superClass) || makes(init))?.["id"]?.name
    return { sideEffect: found ?? `"${name}"`, definition: found ?? "definition", takesArguments: false }
  }

  const handlerOf = (variable: Variable): Target | undefined => {
    for (const { identifier } of variable.references) {
      const sideEffect = given(identifier)
      if (sideEffect !== undefined) return sideEffect
    }
    return undefined
  }

  /** Whether only handlers use what the variable holds. */
  const isOnlyForHandlers = (variable: Variable): boolean => {
    const answer = only.get(variable)
    if (answer !== undefined) return answer
    // Functions that call each other do not stand in each other's way.
    only.set(variable, true)
    const definition = variable.defs[0]!.node
    const uses = variable.references.filter((reference) =>
      reference.isRead() && !isTypeUse(reference) && !isWithin(reference.identifier, definition)
    )
    const result =
      uses.some(({ identifier }) => given(identifier) !== undefined || passedTo(identifier) !== undefined) ||
      (uses.length > 0 && !isExported(variable) && uses.every(({ identifier }) => contains(identifier)))
    only.set(variable, result)
    return result
  }

  const contains = (node: Node): boolean => {
    let isLater = false
    for (let at = node; at.parent; at = at.parent) {
      const { parent } = at
      if (parent.type === "CallExpression" && parent["arguments"].includes(at) && positionIn(parent) !== -1) return true
      isLater ||= isFunction(at)
      const id: Node | null | undefined = at.type === "FunctionDeclaration"
        ? at["id"]
        : isLater && parent.type === "VariableDeclarator" && parent["init"] === at
        ? parent["id"]
        : undefined
      const variable = id?.type === "Identifier" ? variableOf(source, id) : undefined
      if (variable !== undefined && isOnlyForHandlers(variable)) return true
    }
    return false
  }

  const sideEffectOf = (callee: Node): Target | undefined => {
    const expression = unwrap(callee)
    if (expression.type === "Identifier") {
      const variable = variableOf(source, expression)
      return variable === undefined ? undefined : handlerOf(variable)
    }
    if (expression.type !== "MemberExpression") return undefined
    const key = keyOf(expression)
    const object = unwrap(expression["object"])
    if (key === "handle") return ofHandlerWith(object)
    const variable = object.type === "Identifier" ? variableOf(source, object) : undefined
    const isGroup = variable?.references.some(({ identifier }) =>
      identifier.parent.type === "CallExpression" && passedTo(identifier) !== undefined
    )
    const literal: Node | undefined = variable?.defs[0]?.node["init"]
    const isHandler = isGroup && literal?.type === "ObjectExpression" && key !== undefined
    return isHandler ? targetNamed(key) : undefined
  }

  /** For `SendMail.handler(...)`, or a variable that holds it: SendMail. */
  const ofHandlerWith = (object: Node): Target | undefined => {
    if (object.type === "Identifier") {
      const definition = variableOf(source, object)?.defs[0]
      const init: Node | null | undefined = definition?.node["init"]
      return init && init.type === "CallExpression" ? ofHandlerWith(init) : undefined
    }
    const isMade = object.type === "CallExpression" && object["callee"].type === "MemberExpression" &&
      keyOf(object["callee"]) === "handler" && positionIn(object) === 0
    return isMade ? targetOf(object) : undefined
  }

  return { contains, sideEffectOf }
}
