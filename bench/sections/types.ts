import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { median } from "../lib/measure.ts"
import { emptyDirectory, root } from "../lib/project.ts"
import { bar, heading, number, table, times } from "../lib/report.ts"

interface Cost {
  readonly time: number
  readonly types: number
  readonly instantiations: number
  readonly memory: number
}

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

const lines = (n: number, line: (i: number) => string): string => numbers(n).map(line).join("\n")

/** What every program imports, so that the price of reading it can be taken off. */
const imports = `import { Effect, Layer, Schema } from "effect"
import { SideEffect, SideEffectGroup, SideEffects } from "effect-side-effects"
export const nothing = [Effect.void, Layer.empty, Schema.Void, SideEffect.make, SideEffectGroup.make, SideEffects.drain]
`

/** Everything that a program does with its side effects, `n` times. */
const programOf = (n: number): string =>
  `${imports}
${
    lines(n, (i) =>
      `export class E${i} extends SideEffect.make("module${i % 10}:context:action${i}", {
  description: "Does ${i}.",
  payload: { orderId: Schema.String, to: Schema.String, amount${i}: Schema.Number }
}) {}`)
  }
export const Group = SideEffectGroup.make("all").add(${numbers(n).map((i) => `E${i}`).join(", ")})

export const Handlers = Group.toLayer({
${
    lines(
      n,
      (i) => `  "module${i % 10}:context:action${i}": ({ amount${i}, orderId }) => Effect.log(orderId, amount${i}),`
    )
  }
})

export const Live = SideEffects.LiveLayer(Group).pipe(Layer.provide(Handlers))

${
    lines(n, (i) =>
      `export const f${i} = (orderId: string) =>
  SideEffects.enqueue(E${i}, { orderId, to: "ada@example.com", amount${i}: ${i} })`)
  }

export const program = Effect.gen(function*() {
${lines(n, (i) => `  yield* f${i}("1042")`)}
  return "done"
})

export const main: Effect.Effect<string> = SideEffects.boundary(program).pipe(Effect.provide(Live))
`

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
    // The only checker, so that the counts are those of one and the time is not that of idle cores.
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

const keys = ["time", "types", "instantiations", "memory"] as const

/** One round after the other, so that a slow minute of the machine is not that of one program. */
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

export const types = (rounds: number): void => {
  heading(
    "Type checking",
    "A program with n side effects, a group of all, a handler and a function that enqueues for each, one program that " +
      "calls all functions, and the live layer. Growth is that of what exceeds the price of the imports."
  )
  const [offset, half, full] = costs([imports, programOf(250), programOf(500)], rounds) as [Cost, Cost, Cost]
  const growth = (key: keyof Cost): number => (full[key] - offset[key]) / (half[key] - offset[key])
  const row = (name: string, { instantiations, memory, time, types }: Cost) => [
    name,
    `${number(time, 2)} s`,
    number(types),
    number(instantiations),
    `${number(memory)} MB`
  ]
  table(["side effects", "check", "types", "instantiations", "memory"], [
    row("none", offset),
    row("250", half),
    row("500", full),
    ["growth", ...keys.map((key) => times(growth(key)))]
  ])
  console.log()
  table(["", ""], [
    ["types", bar("types from 250 to 500 side effects", growth("types"), 2.2)],
    ["instantiations", bar("instantiations from 250 to 500 side effects", growth("instantiations"), 2.2)]
  ])
}
