import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { median } from "../lib/measure.ts"
import { emptyDirectory, root } from "../lib/project.ts"
import { bar, heading, number, table, times } from "../lib/report.ts"

// --- the programs

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

/** What every program imports, so that the price of reading it can be taken off. */
const imports = `import { Context, Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
export const imported = [Context.empty, Layer.empty, Schema.Void, SideEffect.make, SideEffectGroup.make, SideEffects.open]
`

const name = (i: number): string => `"module${i % 10}:context:action${i}"`

const definition = (i: number): string =>
  `export class E${i} extends SideEffect.make(${name(i)}, {
  description: "Does ${i}.",
  payload: { orderId: Schema.String, to: Schema.String, amount${i}: Schema.Number }
}) {}`

const handler = (i: number): string => `${name(i)}: ({ amount${i}, orderId }) => Effect.log(orderId, amount${i})`

const enqueueing = (i: number): string =>
  `export const f${i} = (orderId: string) =>
  SideEffects.enqueue(E${i}, { orderId, to: "ada@example.com", amount${i}: ${i} })`

/** A generator that calls all of them. */
const calling = (name: string, calls: ReadonlyArray<string>): string =>
  `export const ${name} = Effect.gen(function*() {
${calls.map((call) => `  yield* ${call}`).join("\n")}
})`

const parts = (n: number): ReadonlyArray<string> => [
  imports,
  ...numbers(n).map(definition),
  `export const Group = SideEffectGroup.make("all").add(${numbers(n).map((i) => `E${i}`).join(", ")})`,
  `export const Handlers = Group.toLayer({ ${numbers(n).map(handler).join(",\n")} })`,
  `export const Live = SideEffects.LiveLayer(Group).pipe(Layer.provide(Handlers))`,
  ...numbers(n).map(enqueueing),
  `export const run: Effect.Effect<void> = Effect.suspend(() => SideEffects.boundary(all).pipe(Effect.provide(Live)))`
]

const callsOf = (from: number, to: number): ReadonlyArray<string> =>
  numbers(to - from).map((i) => `f${from + i}("1042")`)

/** As a program grows: functions that call ten others. */
const inModules = (n: number): string => {
  const modules = numbers(n / 10)
  return [
    ...parts(n),
    ...modules.map((m) => calling(`module${m}`, callsOf(10 * m, 10 * m + 10))),
    calling("all", modules.map((m) => `module${m}`))
  ].join("\n")
}

const inOneGenerator = (n: number): string => [...parts(n), calling("all", callsOf(0, n))].join("\n")

/** The same with nothing but Effect: a service for each action. */
const services = (n: number): string =>
  [
    imports,
    ...numbers(n).map((i) =>
      `export class S${i} extends Context.Service<S${i}, {
  readonly run: (payload: { orderId: string; to: string; amount${i}: number }) => Effect.Effect<void>
}>()(${name(i)}) {}
export const f${i} = (orderId: string) => S${i}.use(({ run }) => run({ orderId, to: "ada@example.com", amount${i}: ${i} }))`
    ),
    `export const Live = Layer.mergeAll(${
      numbers(n).map((i) => `Layer.succeed(S${i}, { run: () => Effect.void })`).join(",\n")
    })`,
    calling("all", callsOf(0, n)),
    `export const run: Effect.Effect<void> = Effect.provide(all, Live)`
  ].join("\n")

// --- what they cost

interface Cost {
  readonly time: number
  readonly types: number
  readonly instantiations: number
  readonly memory: number
}

const keys = ["time", "types", "instantiations", "memory"] as const

const tsconfig = JSON.stringify({
  compilerOptions: {
    target: "ES2023",
    lib: ["ES2023", "DOM"],
    types: [],
    module: "NodeNext",
    moduleDetection: "force",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    noEmit: true,
    // One checker, so that nothing is counted twice.
    singleThreaded: true,
    paths: { "effect-side-effects": [join(root, "dist/index.d.ts")] }
  },
  files: ["program.ts"]
})

const typeCheck = (directory: string): Cost => {
  const tsc = join(root, "node_modules/.bin/tsc")
  const { error, status, stderr, stdout } = spawnSync(tsc, ["--project", directory, "--extendedDiagnostics"], {
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(`tsc of ${directory} failed: ${error?.message ?? (stdout + stderr).slice(0, 2000)}`)
  const figure = (name: string): number => {
    const match = new RegExp(`^${name}:\\s*([\\d.]+)`, "m").exec(stdout)
    if (match === null) throw new Error(`tsc printed no ${name}:\n${stdout}`)
    return Number(match[1])
  }
  return {
    time: figure("Check time"),
    types: figure("Types"),
    instantiations: figure("Instantiations"),
    memory: figure("Memory used") / 1024
  }
}

/** Medians. The programs have their turns in each round, so that a slow minute of the machine hits all of them. */
const costs = (programs: ReadonlyArray<string>, rounds: number): ReadonlyArray<Cost> => {
  const directories = programs.map((program, i) => {
    const directory = emptyDirectory(`types/${i}`)
    writeFileSync(join(directory, "program.ts"), program)
    writeFileSync(join(directory, "tsconfig.json"), tsconfig)
    return directory
  })
  const measured = numbers(rounds).map(() => directories.map(typeCheck))
  return programs.map((_, i) => {
    const of = (key: keyof Cost): number => median(measured.map((round) => round[i]![key]))
    return { time: of("time"), types: of("types"), instantiations: of("instantiations"), memory: of("memory") }
  })
}

const seconds = (n: number): string => `${number(n, 2)} s`

const sizes = [250, 500] as const

/** Twice as much is to cost twice as much. */
const growing = (what: string, program: (n: number) => string, rounds: number): void => {
  const [none, half, whole] = costs([imports, ...sizes.map(program)], rounds) as [Cost, Cost, Cost]
  const growth = (key: keyof Cost): number => (whole[key] - none[key]) / (half[key] - none[key])
  const row = (name: string, { instantiations, memory, time, types }: Cost) => [
    name,
    seconds(time),
    number(types),
    number(instantiations),
    `${number(memory)} MB`
  ]
  table([what, "check", "types", "instantiations", "memory"], [
    row("none", none),
    row("250", half),
    row("500", whole),
    ["growth", ...keys.map((key) => times(growth(key)))],
    [
      "",
      "",
      bar(`types from 250 to 500 ${what}`, growth("types"), 2.2),
      bar(`instantiations from 250 to 500 ${what}`, growth("instantiations"), 2.2)
    ]
  ])
}

export const types = (rounds: number): void => {
  heading(
    "Type checking",
    "Programs with n side effects, a group of all, a handler and a function that enqueues for each, functions that call " +
      "ten of those, one that calls all, in a boundary, under a live layer. Growth is that of what exceeds the price of " +
      "the imports."
  )
  growing("side effects", inModules, rounds)
}

// --- events

/** Modules of 10 events, 10 side effects and 30 bindings, every third one by a pattern; a function emits each event. */
const withEvents = (n: number): string => {
  const modules = numbers(n / 10)
  const event = (i: number) => `"module${Math.floor(i / 10)}:event${i}:happened"`
  return [
    `import { Context, Effect, Layer, Schema } from "effect"
import { Event, SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
export const imported = [Context.empty, Layer.empty, Schema.Void, SideEffect.make, Event.make, SideEffects.open]`,
    ...numbers(n).map(definition),
    ...numbers(n).map((i) =>
      `export class H${i} extends Event.make(${event(i)}, {
  description: "Happened ${i}.",
  payload: { orderId: Schema.String, to: Schema.String, count${i}: Schema.Number }
}) {}
export const f${i} = (orderId: string) => SideEffects.emit(H${i}, { orderId, to: "ada@example.com", count${i}: ${i} })`
    ),
    ...modules.map((m) => {
      const own = numbers(10).map((i) => 10 * m + i)
      return `export const Group${m} = SideEffectGroup.make("module${m}").events(${own.map((i) => `H${i}`).join(", ")})
${
        own.flatMap((i) => {
          const mapping = (amount: string) => `({ orderId, to }) => ({ orderId, to, amount${i}: ${amount} })`
          const next = 10 * m + (i + 1) % 10
          return [
            `  .on(H${i}, E${i}, ({ count${i}, orderId, to }) => ({ orderId, to, amount${i}: count${i} }))`,
            `  .on(H${next}, E${i}, ${mapping(String(i))})`,
            `  .on("module${m}:*:happened", E${i}, ${mapping("0")}, { id: "all-${i}" })`
          ]
        }).join("\n")
      }`
    }),
    `export const Group = SideEffectGroup.make("all").merge(${modules.map((m) => `Group${m}`).join(", ")})`,
    `export const Handlers = Group.toLayer({ ${numbers(n).map(handler).join(",\n")} })`,
    `export const Live = SideEffects.LiveLayer(Group).pipe(Layer.provide(Handlers))`,
    ...modules.map((m) => calling(`module${m}`, callsOf(10 * m, 10 * m + 10))),
    calling("all", modules.map((m) => `module${m}`)),
    `export const run: Effect.Effect<void> = Effect.suspend(() => SideEffects.boundary(all).pipe(Effect.provide(Live)))`
  ].join("\n")
}

export const eventTypes = (rounds: number): void => {
  heading(
    "Type checking events and bindings",
    "Programs with n events, n side effects and 3n bindings in modules of ten events, every third binding by a pattern " +
      "that selects the events of its module; the modules' groups merged, handlers, a live layer, and a function that " +
      "emits each event."
  )
  growing("events", withEvents, rounds)
}

export const oneGenerator = (rounds: number): void => {
  heading(
    "Type checking one generator that calls them all",
    "The compiler compares each yield with every other one, whatever it is that is yielded, so its time is quadratic in " +
      "their number: beside it, the same with a service in place of each side effect, and nothing but Effect."
  )
  const measured = costs([...sizes.map(inOneGenerator), ...sizes.map(services)], rounds)
  const row = (name: string, [half, whole]: ReadonlyArray<Cost>) => [
    name,
    seconds(half!.time),
    seconds(whole!.time),
    times(whole!.time / half!.time)
  ]
  table(["", "250", "500", "growth"], [
    row("ours", measured.slice(0, 2)),
    row("services", measured.slice(2))
  ])
}
