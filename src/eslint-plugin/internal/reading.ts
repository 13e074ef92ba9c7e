import { keyOf, type Node, propertyOf, type SourceCode, valueOf } from "./ast.ts"
import type { Names } from "./names.ts"

const reads: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"])

/**
 * Tells what only asks something from what changes something, as far as the source says which method is used. With
 * `strict`, `fetch` never only asks.
 */
export const makeIsReading = (source: SourceCode, names: Names, strict: boolean) => {
  /** The options of `fetch` and `Request`; without them it is a GET. */
  const isReadingInit = (init: Node | undefined): boolean => {
    if (init === undefined) return true
    const options = valueOf(source, init)
    if (options.type === "Identifier" && options["name"] === "undefined") return true
    if (options.type !== "ObjectExpression") return false
    if (options["properties"].some(({ type }: Node) => type === "SpreadElement")) return false
    const method = propertyOf(options, "method")?.["value"]
    return method === undefined || reads.has(String(method.value).toUpperCase())
  }

  const isReadingFetch = (call: Node): boolean => {
    const [first, init] = call["arguments"] as ReadonlyArray<Node>
    if (first === undefined || first.type === "SpreadElement" || init?.type === "SpreadElement") return false
    if (init !== undefined) return isReadingInit(init)
    const input = valueOf(source, first)
    if (input.type === "NewExpression" && input["callee"].name === "Request") {
      return isReadingInit(input["arguments"][1])
    }
    return input.type !== "Identifier" || !/^req(?:uest)?$|Request$/.test(input["name"])
  }

  /** The request that goes through `request.pipe(Effect.flatMap(client.execute))` and its like. */
  const requestOf = (execute: Node): Node | undefined => {
    const call = execute.parent
    if (call?.type !== "CallExpression") return undefined
    if (call["callee"] === execute) return call["arguments"][0]
    if (call["callee"].name === "pipe") return call["arguments"][0]
    if (call["callee"].type !== "MemberExpression") return undefined
    if (keyOf(call["callee"]) === "pipe") return call["callee"].object
    return call["arguments"].length > 1 ? call["arguments"][0] : requestOf(call)
  }

  const isReadingRequest = (request: Node | undefined): boolean =>
    request !== undefined && names(request).some(({ segments }) => {
      const [from, method] = segments.slice(-2)
      return from === "HttpClientRequest" && /^(?:get|head|options)\(\)$/.test(method ?? "")
    })

  /** `used` is the client itself, `call` what calls it, if this is a call. */
  return (used: Node, call: Node | undefined): boolean => {
    const last = names(used)[0]?.segments.at(-1)
    const isFetch = names(used).some(({ segments }) => segments.length === 1 && segments[0] === "fetch")
    if (isFetch) return !strict && call !== undefined && isReadingFetch(call)
    return last === "execute" && isReadingRequest(requestOf(used))
  }
}
