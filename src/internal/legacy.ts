import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ambient from "./ambient.ts"
import { EnqueuedBy, Tags } from "./annotations.ts"
import { codecOf } from "./codec.ts"
import * as describe from "./describe.ts"
import { here, locate, type Site } from "./site.ts"

// What `SideEffect.fromFunction` does for functions that were written without Effect.

/** The arguments of a function that says nothing about them. */
export const Arguments = /*#__PURE__*/ Schema.Array(Schema.Json)

/** Where those look who read the catalogue. */
export const annotations = (
  name: string,
  own: Context.Context<never> | undefined
): Context.Context<never> => {
  const told = Context.make(EnqueuedBy, [`callers of the function ${name === "" ? "it was made from" : name}`]).pipe(
    Context.add(Tags, ["from-function"])
  ) as Context.Context<never>
  return own === undefined ? told : Context.merge(told, own)
}

interface Definition {
  readonly _tag: string
  readonly payloadSchema: Schema.Top
}

/** Whatever a promise was rejected with. */
type Rejection = object | string | number | boolean | bigint | symbol | null | undefined

/** Performs the function itself. What it rejects with is a typed failure, so that it can be tried again. */
export const perform =
  (name: string, f: (...args: any) => unknown) => (args: ReadonlyArray<any>): Effect.Effect<unknown, unknown> =>
    Effect.withFiber((fiber) => {
      const around = ambient.here()
      return Effect.tryPromise({
        try: () => {
          const call = () => f(...args)
          return Promise.resolve(
            around === undefined ? call() : ambient.run({ ...around, context: fiber.context, performing: name }, call)
          )
        },
        catch: (error) => error as Rejection
      })
    })

/** The function that callers keep calling. */
export const dropIn = (
  definition: Definition,
  f: (...args: any) => unknown,
  replacement: string | false
): (...args: ReadonlyArray<any>) => Promise<any> => {
  const warned = new Set<string>()
  const hasSchema = definition.payloadSchema !== Arguments
  const call = (...args: ReadonlyArray<any>): Promise<any> => {
    const around = ambient.here()
    if (around === undefined || around.place.isOutside || around.performing === definition._tag) {
      const returned = f(...args)
      // What it returns is more than a promise in many a library.
      return isPromise(returned) ? returned : Promise.resolve(returned)
    }
    const site = replacement === false ? undefined : siteOf(call)
    return Effect.runPromiseWith(around.context)(Effect.suspend(() => {
      const kept = hasSchema ? copied(definition, args) : jsonOf(definition._tag, args)
      const enqueued = Effect.asVoid(around.place.enqueue(definition, kept))
      if (site === undefined) return enqueued
      // First it is enqueued: calls that nobody waits for keep their order.
      return Effect.andThen(enqueued, Effect.suspend(() => warn(definition._tag, site, replacement as string, warned)))
    }))
  }
  return call
}

const isPromise = (u: any): u is Promise<unknown> => typeof u?.then === "function"

/** Only the caller: the rest of a stack is not read, and costs. */
const siteOf = (above: unknown): Site => {
  const { stackTraceLimit } = Error as { stackTraceLimit?: number }
  if (stackTraceLimit === undefined) return here(above)
  ;(Error as any).stackTraceLimit = 1
  try {
    return here(above)
  } finally {
    ;(Error as any).stackTraceLimit = stackTraceLimit
  }
}

const warn = (name: string, site: Site, replacement: string, warned: Set<string>): Effect.Effect<void> => {
  const found = locate({ "~effect-side-effects/site": site })
  const where = found === undefined ? "" : ` at ${found.file}:${found.line}:${found.column}`
  if (warned.has(where)) return Effect.void
  warned.add(where)
  return Effect.logWarning(
    `Side effect "${name}" was called as a function${where} inside a boundary, so it was enqueued, and its caller gets ` +
      `no result. Write instead: ${replacement} (This is said once per call site.)`
  )
}

/** As it is now: the caller may go on to change what it has passed. */
const copied = (definition: Definition, args: ReadonlyArray<unknown>): unknown => {
  const { decode, encode } = codecOf(definition)
  try {
    return decode(encode(args))
  } catch (error) {
    throw new TypeError(
      `Side effect "${definition._tag}" was called with arguments that do not fit the schema given to ` +
        `SideEffect.fromFunction as payload. ${describe.error(error)}`,
      { cause: error }
    )
  }
}

/** A copy that holds only what JSON has. What is `undefined` in an object, or at the end, is left out as JSON does. */
const jsonOf = (name: string, args: ReadonlyArray<unknown>): ReadonlyArray<Schema.Json> => {
  const given = args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1)
  const refuse = (path: string, what: string): never => {
    throw new TypeError(
      `Side effect "${name}" was called with ${path} being ${what}, which is no JSON value and cannot be kept until its ` +
        "boundary succeeds. Pass JSON values, or give SideEffect.fromFunction a schema of the arguments as payload, " +
        "such as Schema.Tuple([Schema.String, Schema.Date])."
    )
  }
  return given.map((arg, i) => copyJson(arg, `argument ${i + 1}`, refuse, []))
}

const copyJson = (
  u: unknown,
  path: string,
  refuse: (path: string, what: string) => never,
  around: ReadonlyArray<unknown>
): Schema.Json => {
  if (u === null || typeof u === "string" || typeof u === "boolean") return u
  if (typeof u === "number") return Number.isFinite(u) ? u : refuse(path, String(u))
  if (typeof u !== "object") return refuse(path, typeof u === "undefined" ? "undefined" : `a ${typeof u}`)
  if (around.includes(u)) return refuse(path, "an object that holds itself")
  const inside = [...around, u]
  if (Array.isArray(u)) return Array.from(u, (item, i) => copyJson(item, `${path}[${i}]`, refuse, inside))
  const proto = Object.getPrototypeOf(u)
  // One of another realm is plain, too.
  if (proto !== null && Object.getPrototypeOf(proto) !== null) {
    return refuse(path, `an instance of ${proto.constructor?.name ?? "a class"}`)
  }
  const copy: Record<string, Schema.Json> = {}
  for (const [key, value] of Object.entries(u)) {
    if (value !== undefined) define(copy, key, copyJson(value, `${path}.${key}`, refuse, inside))
  }
  return copy
}

/** Also where the key is `__proto__`. */
const define = (target: object, key: string, value: unknown): void => {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}
