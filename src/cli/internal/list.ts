import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Catalog from "../../catalog/Catalog.ts"
import { clean, enumerate } from "../../internal/lines.ts"
import { CommandError } from "./errors.ts"
import { look, named, print, size, write } from "./output.ts"
import { attempt, catalogOf, type Source } from "./source.ts"

const formats = ["text", "json", "markdown", "mermaid", "html"] as const
type Format = typeof formats[number]

/** What a file's name says of what is to be in it. */
const extensions: Readonly<Record<string, Format>> = {
  json: "json",
  md: "markdown",
  mmd: "mermaid",
  mermaid: "mermaid",
  html: "html",
  htm: "html"
}

export const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withoutNegation, Flag.withDefault(false))

const config = {
  label: Flag.String("label").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("Only what has exactly this name, and what belongs to it"),
    Flag.optional
  ),
  contains: Flag.String("label-contains").pipe(
    Flag.withMetavar("text"),
    Flag.withDescription("Only what has this text in its name, and the --label"),
    Flag.optional
  ),
  raw: flag("raw", "For scripts: event, side effect, binding, by tabs"),
  json: flag("json", "The same as --format json"),
  verbose: flag("verbose", "Everything that is known"),
  sorted: flag("sorted", "By name instead of in the order of the code"),
  format: Flag.Literals("format", formats).pipe(
    Flag.withMetavar("format"),
    Flag.withDescription("How to render it; default: text"),
    Flag.optional
  ),
  out: Flag.File("out").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Write it there; .json, .md, .mmd and .html choose a format"),
    Flag.optional
  )
}

type Flags = Command.Command.Config.Infer<typeof config>

/** The format that the flags agree on. */
const formatOf = (flags: Flags): Effect.Effect<Format, CommandError> => {
  const asked = [
    ...flags.raw ? [["--raw", "text"] as const] : [],
    ...flags.verbose ? [["--verbose", "text"] as const] : [],
    ...flags.json ? [["--json", "json"] as const] : [],
    ...Option.isSome(flags.format) ? [[`--format ${flags.format.value}`, flags.format.value] as const] : []
  ]
  const [first, ...others] = asked
  const other = others.find(([, format]) => format !== first![1])
  if (other !== undefined) return contradiction(first![0], other[0])
  if (flags.raw && flags.verbose) return contradiction("--raw", "--verbose")
  const extension = Option.getOrElse(flags.out, () => "").split(".").at(-1)!.toLowerCase()
  return Effect.succeed(first?.[1] ?? (Object.hasOwn(extensions, extension) ? extensions[extension]! : "text"))
}

const contradiction = (a: string, b: string): Effect.Effect<never, CommandError> =>
  Effect.fail(new CommandError({ message: `${a} and ${b} contradict each other: give one of them.` }))

const render = Effect.fnUntraced(
  function*(part: Catalog.Catalog, within: Catalog.Catalog, format: Format, flags: Flags) {
    switch (format) {
      case "json":
        return Catalog.toJson(part)
      case "markdown":
        return Catalog.toMarkdown(part)
      case "mermaid":
        return Catalog.toMermaid(part)
      case "html":
        return Catalog.toHtml(part)
      case "text": {
        const { raw, verbose } = flags
        const forFile = Option.isSome(flags.out)
        return Catalog.toText(part, { ...forFile ? {} : yield* look, raw, verbose, within })
      }
    }
  }
)

/** Fails unless it is the name of an event or a side effect. */
const exactly = (catalog: Catalog.Catalog, label: string): Effect.Effect<void, CommandError> => {
  const all = [...catalog.events, ...catalog.sideEffects]
  if (all.some(({ name }) => name === label)) return Effect.void
  const names = all.filter(({ exportName }) => exportName === label).map(({ name }) => name)
  const advice = names.length > 0
    ? `: ${label} is ${enumerate(names, "or")}.`
    : label.includes("*")
    ? ". For a part of it there is --label-contains; for patterns, side-effects explain."
    : undefined
  return advice === undefined
    // It is nothing that explain could find, and explain knows what is near.
    ? Effect.asVoid(attempt(() => Catalog.explain(catalog, label)))
    : Effect.fail(new CommandError({ message: `--label takes the exact name${advice}` }))
}

/** What of a catalogue the flags ask for. Fails when that is nothing, which is a slip. */
const partOf = Effect.fnUntraced(function*(catalog: Catalog.Catalog, { contains, label, sorted }: Flags) {
  const part = Catalog.filter(catalog, {
    label: Option.getOrUndefined(label),
    contains: Option.getOrUndefined(contains),
    sorted
  })
  if (part.events.length + part.sideEffects.length > 0) return part
  if (Option.isSome(label)) yield* exactly(catalog, label.value)
  if (Option.isNone(contains)) return part
  if (Option.isSome(label)) {
    return yield* new CommandError({ message: `${label.value} does not have "${clean(contains.value)}" in its name.` })
  }
  return yield* new CommandError({ message: `No event and no side effect has "${clean(contains.value)}" in its name.` })
})

export const list = <E, R>(source: Source<E, R>) =>
  Command.make(
    "list",
    config,
    Effect.fnUntraced(function*(flags) {
      const format = yield* formatOf(flags)
      const catalog = yield* catalogOf(source)
      const text = yield* render(yield* partOf(catalog, flags), catalog, format, flags)
      if (Option.isNone(flags.out)) return yield* print(text)
      yield* write(flags.out.value, text)
      yield* Console.error(`Wrote ${yield* named(flags.out.value)} (${format}, ${size(text)}).`)
    })
  ).pipe(
    Command.withDescription("What happens when: each event, and what follows from it, in order."),
    Command.withExamples([
      { command: "side-effects list --label-contains mail" },
      { command: "side-effects list --raw | grep warehouse" },
      { command: "side-effects list --out docs/side-effects.html" }
    ])
  )
