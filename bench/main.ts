/**
 * The benchmarks: what the library costs, beside the least that a person could write by hand in Effect for the same job
 * (`lib/subjects.ts`), measured in the same run, in turns.
 *
 *     npm run bench                          all of it, a few minutes
 *     npm run bench -- --quick               fewer rounds, about a minute
 *     npm run bench -- size types            some of the sections, see below
 *     npm run bench -- --strict              exits with 1 when a bar is missed
 *
 * Every bar is printed with what was measured. The bars hold for medians of ratios, which keep well on a noisy machine;
 * absolute figures are those of the machine.
 */
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import type { Effort } from "./lib/measure.ts"
import { summary } from "./lib/report.ts"
import { background } from "./sections/background.ts"
import { emptyBoundary } from "./sections/boundary.ts"
import { catalogue, emitting } from "./sections/events.ts"
import { http } from "./sections/http.ts"
import { memory } from "./sections/memory.ts"
import { observability } from "./sections/observability.ts"
import { size } from "./sections/size.ts"
import { nesting, perIntent, policies } from "./sections/throughput.ts"
import { eventTypes, oneGenerator, types } from "./sections/types.ts"

const { positionals, values: { quick, strict } } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, strict: { type: "boolean", default: false } }
})

const effort: Effort = quick ? { rounds: 11, time: 12, heavyRounds: 4 } : { rounds: 61, time: 30, heavyRounds: 21 }

const sections: Readonly<Record<string, () => void | Promise<void>>> = {
  intents: () => perIntent(effort),
  boundary: () => emptyBoundary(effort),
  memory: () => memory(quick ? 1 : 5),
  policies: () => policies(effort),
  nested: () => nesting(effort),
  events: () => emitting(effort),
  catalogue: () => catalogue(quick ? 1 : 5),
  background: () => background(effort),
  http: () => http(effort),
  observability: () => observability(effort),
  size,
  types: () => types(quick ? 1 : 5),
  "event-types": () => eventTypes(quick ? 1 : 5),
  generator: () => oneGenerator(quick ? 1 : 5)
}

// Slow, informational, and the same everywhere.
const leftOutWhenQuick = ["generator"]

for (const name of positionals) {
  if (sections[name] === undefined) {
    console.error(`There is no section ${name}. There are: ${Object.keys(sections).join(", ")}`)
    process.exit(2)
  }
}

console.log(`node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? "unknown"}${quick ? ", quick" : ""}`)
for (const [name, section] of Object.entries(sections)) {
  const all = positionals.length === 0 && !(quick && leftOutWhenQuick.includes(name))
  if (all || positionals.includes(name)) await section()
}

process.exitCode = summary() > 0 && strict ? 1 : 0
