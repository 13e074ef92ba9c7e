import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { checkName } from "../../internal/pattern.ts"
import { CommandError } from "./errors.ts"
import { named, write } from "./output.ts"
import { attempt } from "./source.ts"

const kinds = {
  "side-effect": {
    what: "Side effect",
    segments: 1,
    fallback: "NewSideEffect",
    code: (name: string, className: string) =>
      `import { Schema } from "effect"
import { SideEffect } from "effect-side-effects"

export class ${className} extends SideEffect.make("${name}", {
  description: "TODO: say in one sentence what happens outside when it is performed.",
  payload: { id: Schema.String }
}) {}
`,
    next: (className: string) =>
      `Describe it, and add it to a group: .add(${className}) or .on(event, ${className}, ...)`
  },
  event: {
    what: "Event",
    // "Placed" alone says too little where it is imported.
    segments: 2,
    fallback: "NewEvent",
    code: (name: string, className: string) =>
      `import { Schema } from "effect"
import { Event } from "effect-side-effects"

export class ${className} extends Event.make("${name}", {
  description: "TODO: say in one sentence what has happened when it is emitted.",
  payload: { id: Schema.String }
}) {}
`,
    next: (className: string) =>
      `Describe it, and bind side effects to it in a group: .on(${className}, sideEffect, ...)`
  },
  group: {
    what: "Group",
    segments: 1,
    fallback: "NewGroup",
    code: (name: string, className: string) =>
      `import { SideEffectGroup } from "effect-side-effects"

export const ${className} = SideEffectGroup.make("${name}")
`,
    next: () => "Add to it: .on(event, sideEffect, payload => payload) or .add(sideEffect)"
  }
}

/** What the written file imports or the language has, and a class cannot be called. */
const taken = new Set(["Schema", "SideEffect", "SideEffectGroup", "Event", "Object"])

const pascal = (text: string): string =>
  text.split(/[^A-Za-z0-9]+/).map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("")

/** From the last `wanted` segments, or more, or else fewer: whatever makes an identifier that is free. */
const classNameOf = (name: string, wanted: number, fallback: string): string => {
  const segments = name.split(":").map(pascal)
  const counts = segments.map((_, index) => index + 1)
  const inOrder = [...counts.filter((count) => count >= wanted), ...counts.filter((count) => count < wanted)]
  return inOrder.map((count) => segments.slice(-count).join(""))
    .find((candidate) => /^[A-Z]/.test(candidate) && !taken.has(candidate)) ?? fallback
}

export const make = Command.make(
  "new",
  {
    kind: Argument.Literals("kind", Object.keys(kinds) as ReadonlyArray<keyof typeof kinds>).pipe(
      Argument.withMetavar("kind"),
      Argument.withDescription("side-effect, event or group")
    ),
    name: Argument.String("name").pipe(
      Argument.withDescription("Such as orders:mail:send-confirmation")
    ),
    out: Flag.File("out").pipe(
      Flag.withMetavar("file"),
      Flag.withDescription("The file to write, instead of one named after the class"),
      Flag.optional
    ),
    dir: Flag.Directory("dir").pipe(
      Flag.withMetavar("directory"),
      Flag.withDescription("Where to put the file, instead of here"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ dir, kind, name, out }) {
    if (Option.isSome(dir) && Option.isSome(out)) {
      return yield* new CommandError({ message: "--out and --dir contradict each other: give one of them." })
    }
    const { code, fallback, next, segments, what } = kinds[kind]
    yield* attempt(() => checkName(what, name))
    const path = yield* Path.Path
    const className = classNameOf(name, segments, fallback)
    const file = Option.getOrElse(out, () => path.join(Option.getOrElse(dir, () => "."), `${className}.ts`))
    yield* write(file, code(name, className), true)
    yield* Console.log(`Wrote ${className} to ${yield* named(file)}.\n${next(className)}`)
  })
).pipe(
  Command.withDescription("Writes the file of a side effect, an event or a group, to begin with."),
  Command.withExamples([
    { command: "side-effects new event orders:order:placed" },
    { command: "side-effects new side-effect orders:mail:send-receipt --dir src" }
  ])
)
