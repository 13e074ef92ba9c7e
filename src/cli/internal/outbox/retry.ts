import { bulk, type Verb } from "./bulk.ts"
import type { Source } from "./source.ts"

const verb: Verb = {
  name: "retry",
  past: "Retried",
  states: ["scheduled", "dead"],
  unasked: ["dead"],
  description: "Makes what is dead due at once, with fresh budgets; with --state, also what is scheduled.",
  examples: ["side-effects outbox retry 3f2a81c4", "side-effects outbox retry --state dead --error ECONNREFUSED"],
  run: (outbox, filter) => outbox.retry(filter)
}

export const retry = <E, R>(source: Source<E, R>) => bulk(source, verb)
