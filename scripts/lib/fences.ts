/** The TypeScript examples in the documentation. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fail } from "./report.ts"
import { readSources, root } from "./source.ts"

const modes = ["run", "no-run", "expect-error"] as const

export interface Fence {
  /** Path from the top of the repository. */
  readonly file: string
  /** The line of its first line of code, counted from 1. */
  readonly line: number
  readonly code: string
  /** Written after `ts`: nothing runs it, `no-run` only checks its types, `expect-error` wants them to be wrong. */
  readonly mode: typeof modes[number]
}

interface Line {
  readonly number: number
  readonly text: string
}

/** Every `ts` fence of the pages and of the JSDoc comments in `src`. */
export const readFences = (): ReadonlyArray<Fence> => [
  ...["README.md", "CONTRIBUTING.md", ...globSync("docs/**/*.md", { cwd: root }).toSorted()]
    .filter((file) => existsSync(join(root, file)))
    .flatMap(fencesOfPage),
  ...fencesOfSource()
]

/** The `ts` fences of one page. */
export const fencesOfPage = (file: string): ReadonlyArray<Fence> => {
  const lines = readFileSync(join(root, file), "utf8").split("\n")
  return extract(file, lines.map((text, index) => ({ number: index + 1, text })))
}

const fencesOfSource = (): ReadonlyArray<Fence> =>
  readSources(join(root, "src")).flatMap((source) =>
    source.comments.filter((comment) => comment.type === "Block").flatMap((comment) => {
      const first = source.text.slice(0, comment.start).split("\n").length
      const lines = comment.value.split("\n").map((text, index) => ({
        number: first + index,
        text: text.replace(/^\s*\* ?/, "")
      }))
      return extract(`src/${source.path}`, lines)
    })
  )

const extract = (file: string, lines: ReadonlyArray<Line>): ReadonlyArray<Fence> => {
  const fences: Array<Fence> = []
  let open:
    | { readonly line: Line; readonly mark: string; readonly info: string; readonly code: Array<string> }
    | undefined
  for (const line of lines) {
    const [, mark, info] = /^\s*(`{3,})(.*)$/.exec(line.text) ?? []
    if (open === undefined) {
      if (mark !== undefined) open = { line, mark, info: info!.trim(), code: [] }
    } else if (mark?.startsWith(open.mark) && info!.trim() === "") {
      const mode = modeOf(`${file}:${open.line.number}`, open.info)
      if (mode !== undefined) fences.push({ file, line: open.line.number + 1, code: open.code.join("\n"), mode })
      open = undefined
    } else {
      open.code.push(line.text)
    }
  }
  if (open !== undefined) fail(`${file}:${open.line.number} opens a fence that nothing closes`)
  return fences
}

const modeOf = (place: string, info: string): Fence["mode"] | undefined => {
  const [language, ...words] = info.split(/\s+/)
  if (/^(typescript|tsx|mts|javascript|js|jsx|mjs)$/.test(language!)) {
    fail(`${place} is a fence in "${language}", which nothing checks; write \`\`\`ts`)
  }
  if (language !== "ts") return undefined
  const mode = modes.find((mode) => words.join(" ") === (mode === "run" ? "" : mode))
  if (mode === undefined) {
    fail(`${place} is marked "${info}"; write "ts", "ts no-run" or "ts expect-error"`)
  }
  return mode
}
