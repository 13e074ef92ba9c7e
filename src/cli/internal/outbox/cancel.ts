import { bulk, type Verb } from "./bulk.ts"
import type { Source } from "./source.ts"

const verb: Verb = {
  name: "cancel",
  past: "Cancelled",
  states: ["pending", "scheduled", "running"],
  description: "Makes what is not done yet dead; a handler that runs is interrupted.",
  examples: ["side-effects outbox cancel --name orders:mail:newsletter --older-than 1d"],
  run: (outbox, filter) => outbox.cancel(filter)
}

export const cancel = <E, R>(source: Source<E, R>) => bulk(source, verb)
