import { bulk, type Verb } from "./bulk.ts"
import type { Source } from "./source.ts"

const verb: Verb = {
  name: "replay",
  past: "Replayed",
  states: ["done", "dead"],
  description: "Offers what is done or dead once more, as new entries that name the original.",
  examples: ["side-effects outbox replay --state done --name orders:mail:invoice --newer-than 2h"],
  run: (outbox, filter) => outbox.replay(filter)
}

export const replay = <E, R>(source: Source<E, R>) => bulk(source, verb)
