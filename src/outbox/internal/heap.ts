/** Something that is in at most one heap at a time. Only the heap writes `index`. */
export interface Item {
  index: number
}

/** A binary heap that knows where its items are, so that any of them can be taken out. */
export interface Heap<A extends Item> {
  readonly items: Array<A>
  readonly before: (left: A, right: A) => boolean
}

export const make = <A extends Item>(before: (left: A, right: A) => boolean): Heap<A> => ({ items: [], before })

const put = <A extends Item>({ items }: Heap<A>, item: A, index: number): void => {
  items[index] = item
  item.index = index
}

const rise = <A extends Item>(self: Heap<A>, item: A): void => {
  let { index } = item
  while (index > 0) {
    const parent = self.items[(index - 1) >> 1]!
    if (!self.before(item, parent)) break
    put(self, parent, index)
    index = (index - 1) >> 1
  }
  put(self, item, index)
}

const sink = <A extends Item>(self: Heap<A>, item: A): void => {
  const { before, items } = self
  let { index } = item
  for (let child = 2 * index + 1; child < items.length; child = 2 * index + 1) {
    if (child + 1 < items.length && before(items[child + 1]!, items[child]!)) child++
    if (!before(items[child]!, item)) break
    put(self, items[child]!, index)
    index = child
  }
  put(self, item, index)
}

export const add = <A extends Item>(self: Heap<A>, item: A): void => {
  put(self, item, self.items.length)
  rise(self, item)
}

export const remove = <A extends Item>(self: Heap<A>, item: A): void => {
  const last = self.items.pop()!
  if (last === item) return
  put(self, last, item.index)
  rise(self, last)
  sink(self, last)
}
