import * as ChildProcess from "effect/process/ChildProcess"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../..", import.meta.url))

/** A process that performs what is in an engine, on the connection of this one. `engine` is a name of `subjects`. */
export const command = (engine: string, namespace: string): ChildProcess.Command =>
  ChildProcess.make(
    process.execPath,
    ["--import", "./scripts/lib/from-source.ts", "test/engine/child.ts", engine, namespace],
    { cwd: root, extendEnv: true, stdin: "ignore", stderr: "inherit" }
  )
