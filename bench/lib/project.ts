import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"

/** Of the repository. */
export const root = join(import.meta.dirname, "../..")

/** An empty directory that nobody keeps. */
export const emptyDirectory = (name: string): string => {
  const directory = join(root, "node_modules/.cache/bench", name)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  return directory
}
