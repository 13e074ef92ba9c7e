/**
 * The patterns of clients, such as `HttpClient.post|put`, and of files, such as `src/handlers/**`.
 */

/** One of the names of what is called. */
export interface Path {
  /** Where it is imported from, if the path begins with one of its exports. */
  readonly module?: string | undefined
  readonly segments: ReadonlyArray<string>
  /** Whether the path begins with a global or an import, not with a variable of the file. */
  readonly free: boolean
  /** Whether it was taken out of something by name that nobody knows: `const { sendMail } = given`. */
  readonly isTaken?: boolean | undefined
  /** Whether it is a module as such, so that its members are exports. */
  readonly isModule?: boolean | undefined
}

export interface Pattern {
  readonly isNew: boolean
  readonly matches: (path: Path) => boolean
}

/** What a pattern has to look like, for the schema of the options. */
export const patternSource = String.raw`^(new )?([^#\s]+#)?[\w$*|()]+(\.[\w$*#|()]+)*$`

const escape = (text: string): string => text.replaceAll(/[$()+.?[\\\]^{}]/g, String.raw`\$&`)

const compileSegment = (segment: string): RegExp =>
  new RegExp(`^(?:${segment.split("|").map((word) => escape(word).replaceAll("*", ".*")).join("|")})$`)

export const compilePattern = (pattern: string): Pattern => {
  const isNew = pattern.startsWith("new ")
  const [name, module] = pattern.slice(isNew ? 4 : 0).split("#").toReversed()
  const words = name!.split(".")
  if (words.length > 1 && globalObjects.has(words[0]!)) words.shift()
  const isOpen = words.length > 1 && words[0] === "*"
  const segments = (isOpen ? words.slice(1) : words).map(compileSegment)
  return {
    isNew,
    matches: (path) => {
      if (path.module !== module) return false
      const rest = path.segments.length - segments.length
      // A word alone is a name that the file did not make up; `anything.fetch` is somebody else's.
      const fits = isOpen
        ? rest > 0 && !path.isTaken
        : rest === 0
        ? words.length > 1 || path.free
        : module === undefined && words.length > 1
      return fits && rest >= 0 && segments.every((segment, index) => segment.test(path.segments[rest + index]!))
    }
  }
}

/** The objects whose members are the globals. */
export const globalObjects: ReadonlySet<string> = new Set(["globalThis", "window", "self", "global"])

const globWords: Readonly<Record<string, string>> = { "**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]" }

const compileGlob = (glob: string): RegExp => {
  const source = glob.replace(/^\.\//, "").split(/(\*\*\/|\*\*|\*|\?|\{[^}]*\})/).map((part) => {
    if (part in globWords) return globWords[part]!
    return part.startsWith("{") ? `(?:${part.slice(1, -1).split(",").map(escape).join("|")})` : escape(part)
  })
  return new RegExp(`^${source.join("")}$`)
}

/** Whether one of the globs, which are relative to the directory, has the file. */
export const matchesFile = (globs: ReadonlyArray<string>, directory: string, file: string): boolean => {
  const [from, path] = [directory, file].map((name) => name.replaceAll("\\", "/")) as [string, string]
  const root = from.endsWith("/") ? from : `${from}/`
  const relative = path.startsWith(root) ? path.slice(root.length) : path
  return globs.some((glob) => compileGlob(glob).test(relative))
}
