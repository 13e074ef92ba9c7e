/** What the bin touches of Node besides the services of Effect. All else of Node stays out of the build. */
declare const process: {
  exitCode: number | undefined
  readonly stdout: Output
  readonly stderr: Output
  exit(code?: number): never
  on(event: string, listener: (value: unknown) => void): void
  off(event: string, listener: (value: unknown) => void): void
}

interface Output {
  write: (chunk: any, ...more: ReadonlyArray<any>) => boolean
  on(event: "error", listener: () => void): void
}

/** Ends the process as soon as all is written: what a module has left open does not keep it. */
export const exit = (code: number): void => {
  const { stderr, stdout } = process
  const end = () => process.exit(code)
  // Whoever reads it may have seen enough, as `head` does.
  for (const output of [stdout, stderr]) output.on("error", end)
  stdout.write("", () => stderr.write("", end))
}

/** How the process ends when it is interrupted, which for a worker is how it is meant to. */
export const interrupted = { code: 130 }

export const sayAndExit = (message: string): void => {
  process.stderr.write(`${message}\n`)
  exit(2)
}

/** How a module is watched while it is loaded. */
export interface Watch {
  /** What it threw when nobody could catch it any more. */
  readonly onThrown: (error: unknown) => void
  /** What to say if it ends the process. */
  readonly onExit: string
}

/**
 * Until the function it returns is called, what a module prints goes to stderr, as stdout is for what the command has to
 * say, and a module that ends the process does not end it as if all were well.
 */
export const watch = ({ onExit, onThrown }: Watch): () => void => {
  const write = process.stdout.write
  process.stdout.write = (chunk, ...more) => process.stderr.write(chunk, ...more)
  const onEnd = () => {
    process.stderr.write(`${onExit}\n`)
    process.exitCode = 2
  }
  process.on("exit", onEnd)
  // For good: what a module does after it was loaded is not asked for.
  process.on("uncaughtException", onThrown)
  process.on("unhandledRejection", onThrown)
  return () => {
    process.stdout.write = write
    process.off("exit", onEnd)
  }
}
