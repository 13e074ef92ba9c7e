import type * as EngineSuite from "effect-side-effects/engine/testing"
import type * as Layer from "effect/Layer"
import { type Entry, subjects } from "../../../test/engine/subjects/index.ts"

/** An engine that is killed here. */
export interface Target {
  readonly name: string
  readonly engine: string
  /** Where the outbox is that is relayed from. */
  readonly outbox?: "pg" | "sqlite"
  readonly needs: ReadonlyArray<string>
}

const entries: Readonly<Record<string, Omit<Entry, "make"> & { readonly make: () => Promise<Entry["make"]> }>> =
  subjects

export const subjectOf = async (
  engine: string,
  namespace: string,
  { mayRemove }: { readonly mayRemove: boolean }
): Promise<{ readonly subject: EngineSuite.Subject<any, any>; readonly layer: Layer.Layer<any, any> }> =>
  (await entries[engine]!.make())(namespace, { child: !mayRemove })

/** Those that live on when a process is lost. The outbox has its own suite. */
const alone = Object.entries(entries).flatMap(([name, { needs }]): ReadonlyArray<Target> =>
  /memory|^own$|^outbox/.test(name) ? [] : [{ name, engine: name, needs: needs === undefined ? [] : [needs] }]
)

const relay = (outbox: "pg" | "sqlite", engine: string): ReadonlyArray<Target> =>
  alone.filter(({ name }) => name === engine).map(({ needs }) => ({
    name: `relay-${outbox}-${engine}`,
    engine,
    outbox,
    needs: outbox === "pg" ? [...needs, "POSTGRES_URL"] : needs
  }))

/** Those of a small run: of an engine with several databases not the one that is a file. */
export const isBrief = ({ name, outbox }: Target): boolean => outbox !== undefined || !name.endsWith("-sqlite")

export const targets: ReadonlyArray<Target> = [
  ...alone,
  ...relay("pg", "bullmq"),
  ...relay("sqlite", "persisted-queue-redis")
]
