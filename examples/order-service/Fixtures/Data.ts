/** The order file and the products of the demo. */
import { Effect, FileSystem, Path, Schema } from "effect"
import { Product } from "../Domain.ts"

export const readData = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const read = (name: string) => fs.readFileString(path.join(import.meta.dirname, "..", "..", "data", name))
  const products = yield* Schema.decodeEffect(Schema.fromJsonString(Schema.NonEmptyArray(Product)))(
    yield* read("products.json")
  )
  return { lines: (yield* read("orders.jsonl")).trimEnd().split("\n"), products }
})
