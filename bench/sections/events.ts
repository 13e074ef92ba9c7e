import { Effect, Layer, Schema } from "effect"
import { Catalog, Dispatcher, Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
import { type Effort, measure, median, quartiles, ratios, type Subject } from "../lib/measure.ts"
import { bar, heading, number, spread, table, times } from "../lib/report.ts"
import { repeat } from "../lib/subjects.ts"

const Payload = Schema.Struct({ orderId: Schema.String, to: Schema.String, amount: Schema.Number })

type AnyGroup = SideEffectGroup.SideEffectGroup<any, any>

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

// --- emit

class OrderPlaced extends Event.make("orders:order:placed", {
  description: "A customer placed an order.",
  payload: Payload
}) {}

const followers = numbers(10).map((i) =>
  SideEffect.make(`orders:follow:number-${i}`, { description: `Follows as number ${i}.`, payload: Payload })
)

type Placed = typeof Payload.Type

/** What a binding does, and what one writes who enqueues by hand. */
const mapping = ({ amount, orderId, to }: Placed): Placed => ({ orderId, to, amount })

const Bound = followers.reduce(
  (group: AnyGroup, sideEffect) => group.on(OrderPlaced, sideEffect, mapping as any),
  SideEffectGroup.make("orders") as any
)

const layers = {
  "and performed": SideEffects.LiveLayer(Bound).pipe(
    Layer.provide(Bound.toLayer(Object.fromEntries(followers.map(({ _tag }) => [_tag, () => Effect.void]))))
  ),
  "not performed": SideEffects.LiveLayer(Bound, {
    dispatcher: Dispatcher.make({ name: "nothing", dispatch: () => Effect.void })
  })
}

export const emitting = async (effort: Effort): Promise<void> => {
  heading(
    "Emitting an event with 10 bindings",
    "Beside enqueueing the same 10 side effects one after the other, in a boundary. Nanoseconds per side effect, with " +
      "handlers that do nothing, and with a dispatcher that does not even call them."
  )
  const rows: Array<ReadonlyArray<string>> = []
  for (const [name, layer] of Object.entries(layers)) {
    const live = await Effect.runPromise(Effect.scoped(Layer.build(layer)))
    const subject = (unit: () => Effect.Effect<unknown, never, any>): Subject => {
      const program = repeat(20, () => SideEffects.boundary(unit()))
      return { run: () => Effect.runSyncWith(live as any)(program), units: 200 }
    }
    const payload = { orderId: "1042", to: "ada@example.org", amount: 7 }
    const series = await measure({
      emit: subject(() => SideEffects.emit(OrderPlaced, payload)),
      hand: subject(() =>
        Effect.forEach(followers, (sideEffect) => SideEffects.enqueue(sideEffect, mapping(payload)), { discard: true })
      )
    }, effort)
    const ratio = ratios(series.emit, series.hand)
    rows.push([
      name,
      number(median(series.emit)),
      number(median(series.hand)),
      times(median(ratio)),
      spread(quartiles(ratio)),
      bar(`emit, 10 bindings, ${name}, to enqueueing by hand`, median(ratio), 1.5)
    ])
  }
  table(["", "emit", "enqueue", "ratio", "spread", " "], rows)
}

// --- the catalogue

/** 50 modules of 20 events, 20 side effects and 60 bindings each, every third one by a pattern. */
const modules = (): ReadonlyArray<AnyGroup> =>
  numbers(50).map((m) => {
    const events = numbers(20).map((i) =>
      Event.make(`module${m}:event${i}:happened`, { description: `Event ${i} of ${m} happened.`, payload: Payload })
    )
    const sideEffects = numbers(20).map((i) =>
      SideEffect.make(`module${m}:effect${i}:do`, { description: `Does ${i} of ${m}.`, payload: Payload })
    )
    return numbers(60).reduce((group: AnyGroup, i) => {
      const from = i < 20 ? events[i]! : i < 40 ? `module${m}:event${i - 20}:*` : events[(i + 7) % 20]!
      return group.on(from, sideEffects[i % 20]!, mapping as any)
    }, SideEffectGroup.make(`module${m}`).events(...events) as any)
  })

const seconds = (run: () => unknown): number => {
  const start = performance.now()
  run()
  return (performance.now() - start) / 1000
}

export const catalogue = (rounds: number): void => {
  const all = modules()
  const catalog = Catalog.make(all)
  heading(
    "The catalogue",
    `${number(catalog.events.length)} events, ${number(catalog.sideEffects.length)} side effects and ` +
      `${number(catalog.bindings.length)} bindings in 50 groups. Seconds, medians; the first row is what loading the ` +
      "modules costs, which is not the catalogue's own."
  )
  const each = (run: () => unknown) => median(numbers(rounds + 2).map(() => seconds(run)))
  // Groups remember nothing of a catalogue, but the JSON Schema of a definition is made once: new ones every time.
  const rows: ReadonlyArray<readonly [string, number]> = [
    ["defining all of it", each(modules)],
    [
      "Catalog.make",
      median(
        numbers(rounds + 2).map(() => {
          const fresh = modules()
          return seconds(() => Catalog.make(fresh))
        })
      )
    ],
    ["toText", each(() => Catalog.toText(catalog))],
    ["toMarkdown", each(() => Catalog.toMarkdown(catalog))],
    ["toMermaid", each(() => Catalog.toMermaid(catalog))],
    ["toHtml", each(() => Catalog.toHtml(catalog))],
    ["check", each(() => Catalog.check(catalog))],
    ["one group merged of all", each(() => SideEffectGroup.make("all").merge(...all))]
  ]
  const [, make, text] = rows.map(([, value]) => value) as [number, number, number]
  table(
    ["", "seconds", " "],
    rows.map(([name, value]) => [
      name,
      number(value, 3),
      name === "toText" ? bar("Catalog.make and toText, 1,000 of each", make + text, 1, " s") : ""
    ])
  )
}
