import { type Context, isFunction, keyOf, type Node, unwrap } from "./ast.ts"
import { makeHandlers } from "./handlers.ts"
import { makeNames } from "./names.ts"
import { compilePattern, matchesFile, type Pattern, patternSource } from "./pattern.ts"
import { makeIsReading } from "./reading.ts"

/** The clients that the rule knows without being told. */
export const defaultClients: ReadonlyArray<string> = [
  "fetch",
  "HttpClient.post|put|patch|del|execute",
  "axios.post|put|patch|delete",
  "axios.create().post|put|patch|delete",
  "*.sendMail",
  "queue|*Queue.add|addBulk"
]

const listOfPatterns = (description: string) => ({
  description,
  type: "array",
  items: { type: "string", pattern: patternSource },
  uniqueItems: true
})

const schema = [{
  type: "object",
  description: "What is a direct side effect, and where it may be.",
  additionalProperties: false,
  properties: {
    clients: listOfPatterns("More patterns of clients that only handlers may call, such as \"stripe.*.create\"."),
    ignore: listOfPatterns("Patterns of clients that anybody may call. They win, over the default ones, too."),
    handlers: {
      description: "Globs of files, from the directory that is linted, in which everything is a handler.",
      type: "array",
      items: { type: "string", minLength: 1 },
      uniqueItems: true
    },
    reads: {
      description: "Whether fetch is reported where it only asks, too: GET, HEAD and OPTIONS.",
      type: "boolean"
    }
  }
}]

const messages = {
  client:
    "`{{call}}` is called outside a handler, so it happens even when the unit of work fails. Define a side effect " +
    "and `yield* SideEffects.enqueue(...)` it here, and move the call into its handler.",
  handler:
    "`{{call}}` is the handler of {{sideEffect}}. Called directly, it happens even when the unit of work fails, and " +
    "no policy sees it. Write `yield* SideEffects.enqueue({{enqueue}})`."
}

/** The functions that call the functions they are given. */
const callers: ReadonlySet<string> = new Set([
  "andThen",
  "flatMap",
  "flow",
  "forEach",
  "map",
  "pipe",
  "tap",
  "then"
])

const calls = (call: Node): boolean => {
  const callee = unwrap(call["callee"])
  const name: string | undefined = callee.type === "MemberExpression" ? keyOf(callee) : callee["name"]
  return name !== undefined && callers.has(name)
}

/** Queues of brokers take data. One that takes a function works in this process. */
const isGivenWork = (call: Node): boolean => {
  const callee = unwrap(call["callee"])
  const first: Node | undefined = call["arguments"][0]
  return callee.type === "MemberExpression" && keyOf(callee) === "add" && first !== undefined && isFunction(first)
}

const shorten = (text: string, most: number): string => {
  const line = text.replaceAll(/\s+/g, " ")
  return line.length <= most ? line : `${line.slice(0, most - 3)}...`
}

const withoutCall = (callee: Node): Node => {
  const isCall = callee.type === "MemberExpression" && /^(?:apply|call)$/.test(keyOf(callee) ?? "")
  return isCall ? unwrap(callee["object"]) : callee
}

const create = (context: Context): Record<string, (node: any) => void> => {
  const { clients = [], handlers: files = [], ignore = [], reads = true } = context.options[0] ?? {}
  if (matchesFile(files, context.cwd, context.filename)) return {}

  const source = context.sourceCode
  const reported: ReadonlyArray<Pattern> = [...defaultClients, ...clients].map(compilePattern)
  const ignored: ReadonlyArray<Pattern> = ignore.map(compilePattern)
  const names = makeNames(source)
  const handlers = makeHandlers(source, names)
  const isReading = makeIsReading(source, names, reads)

  const isClient = (node: Node, isNew: boolean): boolean => {
    const paths = names(node)
    const fits = (patterns: ReadonlyArray<Pattern>) =>
      patterns.some((pattern) => pattern.isNew === isNew && paths.some(pattern.matches))
    return fits(reported) && !fits(ignored)
  }

  /** `used` is called by `call`, or by the function that `call` gives it to. */
  const check = (used: Node, call: Node, isDirect: boolean) => {
    const text = shorten(source.getText(used), 60)
    const target = isDirect && call.type === "CallExpression" ? handlers.sideEffectOf(used) : undefined
    if (target !== undefined) {
      if (handlers.contains(used)) return
      const { definition, sideEffect, takesArguments } = target
      const given: ReadonlyArray<string> = call["arguments"].map((argument: Node) => source.getText(argument))
      const payload = takesArguments ? `[${given.join(", ")}]` : given[0]
      const enqueue = payload === undefined ? definition : `${definition}, ${shorten(payload, 60)}`
      context.report({ node: call, messageId: "handler", data: { call: text, sideEffect, enqueue } })
    } else if (isClient(used, call.type === "NewExpression" && isDirect)) {
      if (isReading(used, isDirect ? call : undefined)) return
      if (isDirect && isGivenWork(call)) return
      if (handlers.contains(used)) return
      context.report({ node: isDirect ? call : used, messageId: "client", data: { call: text } })
    }
  }

  const visit = (call: Node) => {
    check(withoutCall(unwrap(call["callee"])), call, true)
    if (!calls(call)) return
    for (const given of call["arguments"]) {
      const used = unwrap(given)
      if (used.type === "Identifier" || used.type === "MemberExpression") check(used, call, false)
    }
  }

  return { CallExpression: visit, NewExpression: visit }
}

/** `no-direct-side-effect`, with types as loose as any linter's may be. */
export const rule = {
  meta: {
    type: "problem" as const,
    docs: {
      description: "Calls of clients and of handlers of side effects stand in handlers only",
      recommended: true,
      url: "docs/lint.md"
    },
    schema,
    messages
  },
  create: (context: any) => create(context)
}
