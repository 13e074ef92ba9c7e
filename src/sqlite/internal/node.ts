/** What `SqliteClient` touches of Node. It is not imported, so that the types of Node stay out of the build. */
declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

/** A connection of `node:sqlite`. `isTransaction` came with Node 22.16. */
interface Database {
  readonly isTransaction?: boolean
  exec(sql: string): void
  prepare(sql: string): Prepared
  close(): void
}

export interface Prepared {
  all(...params: ReadonlyArray<unknown>): Array<any>
  run(...params: ReadonlyArray<unknown>): unknown
  columns(): ReadonlyArray<unknown>
  setReadBigInts(enabled: boolean): void
  setReturnArrays(enabled: boolean): void
}

interface Sqlite {
  readonly DatabaseSync: new(filename: string, options: { readonly readOnly: boolean }) => Database
}

/** Throws, with the remedy, when this runtime has no SQLite. */
export const load = (): Sqlite => {
  const node = typeof process === "undefined" ? undefined : process
  const sqlite = node?.getBuiltinModule?.("node:sqlite")
  if (sqlite === undefined) {
    throw new Error("SqliteClient needs \"node:sqlite\", and it is not here. Run it with Node 22.13 or later.")
  }
  return sqlite as Sqlite
}
