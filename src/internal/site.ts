/** Remembers where something was called. Reading `stack` costs, having one does not. */
export interface Site {
  readonly stack?: string
}

/** Where `above` was called: what the stack begins with is the caller of that function. V8 only; elsewhere it is empty. */
export const here = (above: unknown): Site => {
  const site = {}
  const { captureStackTrace } = Error as { captureStackTrace?: (target: object, above: unknown) => void }
  captureStackTrace?.(site, above)
  return site
}

/** Under which a definition or a binding keeps where it was written. */
export interface Sited {
  readonly "~effect-side-effects/site": Site
}

/** File, line and column, counted from 1. */
export interface Location {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** Where a definition or a binding was written. */
export const locate = (value: object): Location | undefined => {
  const { stack } = (value as Sited)["~effect-side-effects/site"]
  const frame = stack?.split("\n").find((line) => line.trimStart().startsWith("at "))
  const found = frame === undefined ? null : /(?:at |\()(?:async )?([^()]+):(\d+):(\d+)\)?$/.exec(frame)
  return found === null
    ? undefined
    : { file: pathOf(found[1]!), line: Number(found[2]), column: Number(found[3]) }
}

/** The path of a file that the runtime may name by a `file:` URL. */
export const pathOf = (file: string): string => {
  if (!file.startsWith("file://")) return file
  const path = decodeURIComponent(new URL(file).pathname)
  return /^\/[A-Za-z]:\//.test(path) ? path.slice(1) : path
}
