import { pathOf } from "../../internal/site.ts"

/** What is known of the module that could not be loaded. */
export interface Attempt {
  readonly file: string
  /** How people name a file: relative to their project. */
  readonly shown: (file: string) => string
  /** Whether a file is theirs, and not one of a package or of this one. */
  readonly isOwn: (file: string) => boolean
}

const isTypeScript = (file: string): boolean => /\.[cm]?tsx?$/.test(file)

const loader = "a loader such as tsx: NODE_OPTIONS=\"--import tsx\" side-effects ..."

const line = (text: string): string => text.replace(/\s+/g, " ").trim()

/** Where Node says that the text of a file is wrong, in the first line of the stack. */
const textPlace = (stack: string): readonly [file: string, line: string] | undefined => {
  const found = /^(file:\/\/.+|[^ ].*[\\/].+):(\d+)$/.exec(stack.split("\n", 1)[0]!)
  return found === null ? undefined : [pathOf(found[1]!), found[2]!]
}

/** The place in the project's own code that is the nearest to where it was thrown. */
const thrownPlace = (stack: string, { isOwn, shown }: Attempt): string => {
  for (const frame of stack.split("\n")) {
    const found = /^ +at (?:.*\()?(?:async )?(file:\/\/[^()]+|[^()]*[\\/][^()]*?):(\d+):\d+\)?$/.exec(frame)
    if (found !== null && isOwn(pathOf(found[1]!))) return ` at ${shown(pathOf(found[1]!))}:${found[2]}`
  }
  return ""
}

const wrongText = (message: string, code: unknown, stack: string, { file, shown }: Attempt): string => {
  const place = textPlace(stack)
  if (place === undefined) {
    return `${shown(file)}, or a module that it imports, has a syntax error: ${message}. This shows the line: ` +
      `node --check ${shown(file)}`
  }
  const where = `${shown(place[0])}:${place[1]}`
  if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
    return `${where} has TypeScript that Node cannot run, as it only strips types: ${message}. Write it in another way (in ` +
      `place of an enum, a union of literals), or use ${loader}`
  }
  if (/does not provide an export named/.test(message)) {
    const type = isTypeScript(place[0]) ? " If it is a type, import it with \"import type\"." : ""
    return `${where}: ${message}.${type}`
  }
  return `${where} has a syntax error: ${message}.`
}

const missing = (message: string, { file, shown }: Attempt): string => {
  const found = /^Cannot find (package|module) '(.+?)'(?: imported from (.+))?$/.exec(message)
  if (found === null) return `${shown(file)} imports what cannot be found: ${message}.`
  const [, kind, what, from = file] = found
  if (kind === "package") {
    // Node names the package alone, which for "~/orders" is "~".
    const alias = what === "~" ? "~/..." : what!.startsWith("@/") ? what : undefined
    const hint = alias === undefined
      ? ""
      : " If it is a path of tsconfig.json, Node does not know it: use \"imports\" in package.json, or a loader such as tsx."
    return `${shown(pathOf(from))} imports "${alias ?? what}", which is not installed.${hint}`
  }
  const hint = /\.(jsx?|mjs)$|[\\/][^.\\/]+$/.test(what!) && isTypeScript(from)
    ? ` Node takes the name of the file as it is, as in "./orders.ts"; otherwise use ${loader}`
    : ""
  return `${shown(pathOf(from))} imports ${shown(pathOf(what!))}, which does not exist.${hint}`
}

const notRun = (message: string, { file, shown }: Attempt): string => {
  const found = pathOf(/ for (.+)$/.exec(message)?.[1] ?? file)
  if (/\.[jt]sx$/.test(found)) {
    return `${shown(found)} is a kind of file that Node does not run: name another, or use ${loader}`
  }
  return isTypeScript(found)
    ? `${shown(found)} is TypeScript, which this Node does not run: take Node 22.18 or newer, or ${loader}`
    : `${shown(found)} is no JavaScript or TypeScript module.`
}

/** One sentence for whatever came of loading a module. */
export const problem = (error: unknown, attempt: Attempt): string => {
  const { shown, file } = attempt
  if (!(error instanceof Error)) return `${shown(file)} threw while it was loaded: ${line(String(error))}`
  const { code } = error as { readonly code?: unknown }
  const message = line(error.message)
  const stack = error.stack ?? ""
  switch (code) {
    case "ERR_MODULE_NOT_FOUND":
      return missing(message, attempt)
    case "ERR_UNKNOWN_FILE_EXTENSION":
      return notRun(message, attempt)
  }
  if (
    error instanceof SyntaxError && !/^ +at /.test(stack.split("\n")[1] ?? "") || /TYPESCRIPT_SYNTAX/.test(String(code))
  ) {
    return wrongText(message.replace(/\.$/, ""), code, stack, attempt)
  }
  const place = thrownPlace(stack, attempt)
  if (error instanceof SyntaxError && place === "") return wrongText(message, code, stack, attempt)
  const name = error.name === "Error" ? "" : `${error.name}: `
  return `${shown(file)} threw${place} while it was loaded: ${name}${message}`
}
