import { Console, Effect } from "effect"

export const columns = 80

/** Runs a guide and returns what it prints. */
export const printed = <E>(program: Effect.Effect<unknown, E>): Effect.Effect<string, E> =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const log = (...args: ReadonlyArray<unknown>) => void lines.push(args.join(" "))
    return program.pipe(
      Effect.provideService(Console.Console, { ...globalThis.console, log }),
      Effect.map(() => `${lines.join("\n")}\n`)
    )
  })

export const widerThan = (width: number, output: string) => output.split("\n").filter((line) => line.length > width)
