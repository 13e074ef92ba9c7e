/** The order service's database, in memory. */
import { Effect, HashMap, HashSet, Layer, Option, Ref } from "effect"
import { SideEffects } from "effect-side-effects"
import { AlreadyPlaced, OutOfStock, type Product, Store, UnknownProduct } from "../Domain.ts"

export const layer = (products: ReadonlyArray<Product>) =>
  Layer.effect(
    Store,
    Effect.gen(function*() {
      const orders = yield* Ref.make(HashSet.empty<string>())
      const stock = yield* Ref.make(HashMap.fromIterable(products.map(({ sku, stock }) => [sku, stock] as const)))
      const bySku = HashMap.fromIterable(products.map((product) => [product.sku, product] as const))

      return Store.of({
        insert: Effect.fnUntraced(function*({ id }) {
          if (HashSet.has(yield* Ref.get(orders), id)) return yield* new AlreadyPlaced({ order: id })
          yield* Ref.update(orders, HashSet.add(id))
        }),
        take: Effect.fnUntraced(function*({ quantity, sku }) {
          const product = Option.getOrUndefined(HashMap.get(bySku, sku))
          if (product === undefined) return yield* new UnknownProduct({ sku })
          const left = HashMap.getUnsafe(yield* Ref.get(stock), sku)
          if (left < quantity) return yield* new OutOfStock({ sku, wanted: quantity, left })
          yield* Ref.update(stock, HashMap.set(sku, left - quantity))
          return product
        }),
        // Orders are processed one after the other, so going back to the state before is enough.
        unitOfWork: (self, options) =>
          Effect.gen(function*() {
            const before = { orders: yield* Ref.get(orders), stock: yield* Ref.get(stock) }
            return yield* Effect.onError(
              self,
              () => Effect.andThen(Ref.set(orders, before.orders), Ref.set(stock, before.stock))
            )
          }).pipe(SideEffects.boundary(options))
      })
    })
  )
