import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makerOf } from "../sides/index.ts"
import type { Kind } from "./side.ts"

let made = 0

const begun = Date.now().toString(36)

const used = new Set<string>()

/** An own place in the database of an engine. */
export const place = (engine: string, kind: Kind): string => {
  const name = `bench_${begun}_${kind}_${++made}`
  used.add(`${engine} ${name}`)
  return name
}

/** The layer of who may remove it does so when it is closed. */
export const remove = async (engine: string, namespace: string): Promise<void> => {
  used.delete(`${engine} ${namespace}`)
  const { layer } = (await makerOf(engine))(namespace)
  await Effect.runPromise(Effect.scoped(Layer.build(layer)))
}

/** What is left where a section has failed. */
export const removeAll = async (): Promise<void> => {
  for (const one of used) {
    const [engine, namespace] = one.split(" ")
    await remove(engine!, namespace!).catch((error: unknown) => console.error(error))
  }
}
