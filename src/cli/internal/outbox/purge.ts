import { bulk, type Verb } from "./bulk.ts"
import type { Source } from "./source.ts"

const verb: Verb = {
  name: "purge",
  past: "Purged",
  states: ["pending", "scheduled", "done", "dead"],
  unasked: ["done", "dead"],
  description: "Removes what is done or dead; with --state, also what is pending or scheduled.",
  examples: ["side-effects outbox purge --state dead --older-than 30d --dry-run"],
  run: (outbox, filter) => outbox.purge(filter)
}

export const purge = <E, R>(source: Source<E, R>) => bulk(source, verb)
