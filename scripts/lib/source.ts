/** Reads a TypeScript module of `src` as the architecture rules see it. */
import { existsSync, globSync, readFileSync } from "node:fs"
import { join, posix, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "vite"
import { fail } from "./report.ts"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** A node of the syntax tree, whatever it is. */
export type Node = { readonly type: string; readonly start: number; readonly end: number } & Record<string, any>

/** A comment; `value` is what stands between its marks. */
export type Comment = ReturnType<typeof parseSync>["comments"][number]

export interface Import {
  readonly specifier: string
  readonly position: number
  /** `import("x")`, in code or in a type. */
  readonly inline: boolean
  /** `import type`, `export type`, or every name is marked `type`. */
  readonly typeOnly: boolean
  /** `import * as X`. */
  readonly namespace: boolean
}

export interface Source {
  /** Path from `src`, with `/`. */
  readonly path: string
  readonly text: string
  readonly statements: ReadonlyArray<Node>
  readonly imports: ReadonlyArray<Import>
  readonly comments: ReadonlyArray<Comment>
  /** Lines that are neither blank nor only comment. */
  readonly codeLines: number
}

/** Every module below `directory`, with paths relative to it. */
export const readSources = (directory: string): ReadonlyArray<Source> =>
  existsSync(directory)
    ? globSync("**/*.ts", { cwd: directory }).toSorted().map((file) => readSource(directory, file))
    : []

const readSource = (directory: string, file: string): Source => {
  const text = readFileSync(join(directory, file), "utf8")
  const { comments, errors, program } = parseSync(file, text)
  if (errors[0] !== undefined) fail(`${join(directory, file)} does not parse: ${errors[0].message}`)
  return {
    path: file.split(sep).join("/"),
    text,
    statements: program.body as ReadonlyArray<Node>,
    imports: findImports(program),
    comments,
    codeLines: countCode(text, comments)
  }
}

/** Calls `visit` for every node of a tree, parents first. */
export const walk = (node: unknown, visit: (node: Node) => void): void => {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, visit)
  } else if (typeof node === "object" && node !== null) {
    if ("type" in node && typeof node.type === "string") visit(node as Node)
    for (const value of Object.values(node)) walk(value, visit)
  }
}

const findImports = (program: unknown): ReadonlyArray<Import> => {
  const imports: Array<Import> = []
  walk(program, (node) => {
    const source = node["source"] as Node | null | undefined
    if (typeof source?.["value"] !== "string") return
    const names: ReadonlyArray<Node> = node["specifiers"] ?? []
    const kind = node["importKind"] ?? node["exportKind"]
    imports.push({
      specifier: source["value"],
      position: node.start,
      inline: node.type === "ImportExpression" || node.type === "TSImportType",
      typeOnly: kind === "type" || (names.length > 0 && names.every((name) => name["importKind"] === "type")),
      namespace: names.length === 1 && names[0]?.type === "ImportNamespaceSpecifier"
    })
  })
  return imports
}

const countCode = (text: string, comments: ReadonlyArray<Comment>): number => {
  let code = ""
  let end = 0
  for (const comment of comments) {
    code += text.slice(end, comment.start)
    end = comment.end
  }
  return (code + text.slice(end)).split("\n").filter((line) => line.trim() !== "").length
}

/** The module a relative import names, as a path from `src`. */
export const target = (source: Source, specifier: string): string => posix.join(posix.dirname(source.path), specifier)

/** The JSDoc comment that belongs to the node: the one right before it. */
export const docOf = (source: Source, node: { readonly start: number }): Comment | undefined => {
  const comment = source.comments.findLast((comment) => comment.end <= node.start)
  if (comment === undefined || comment.type !== "Block" || !comment.value.startsWith("*")) return undefined
  return source.text.slice(comment.end, node.start).trim() === "" ? comment : undefined
}

/** `src/Module.ts:12`, the way editors and terminals link it. */
export const at = (directory: string, source: Source, position: number): string =>
  `${relative(root, join(directory, source.path))}:${source.text.slice(0, position).split("\n").length}`
